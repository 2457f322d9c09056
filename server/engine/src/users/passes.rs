//! What can be said of each command before it is called, so that a permitted call costs a look into a table and, where rules name keys,
//! a comparison; and what was said of the last one, so that the next one like it costs the comparison alone.

use std::sync::Arc;

use super::catalog::{Catalog, KnownKeys};
use super::check::Touched;
use super::glob::Glob;
use super::likeness::Likeness;
use super::patterns::KeyPattern;
use super::selector::Selector;
use super::user::User;
use crate::base::args::Args;
use crate::base::id::CommandId;

/// What is known of one command. A few bytes, as each user has one for each command.
#[derive(Clone, Copy, Debug)]
enum Pass {
    /// It has to be looked at.
    Unclear,
    /// It is allowed with whatever arguments.
    Always,
    /// It is allowed where its only key is one of these.
    Key { at: u8, keys: u16 },
}

/// Keys that are allowed: a pattern of them.
#[derive(Clone, Debug)]
struct Keys {
    glob: Arc<Glob>,
    /// What all of them have in common, if it says all. Beside it some of them may be too short to be told by it.
    likeness: Likeness,
    /// All of them have the same bytes at the same places, more than a likeness tells.
    is_too_long: bool,
}

impl Keys {
    fn of(pattern: &KeyPattern) -> Keys {
        let glob = pattern.glob().clone();
        let example = glob.example();
        let likeness = example
            .as_ref()
            .and_then(|key| Likeness::of(&glob.fit(key)?, key));
        Keys {
            likeness: likeness.unwrap_or(Likeness::NONE),
            is_too_long: example.is_some() && likeness.is_none(),
            glob,
        }
    }

    /// Finds one of these patterns that a key is of, and notes what others have in common with it.
    #[inline]
    fn grant(all: &[Keys], at: usize, args: &Args, granted: &mut Granted) -> bool {
        let told = |keys: &&Keys| keys.likeness.has_plainly(args, at);
        if let Some(keys) = all.iter().find(told) {
            match at {
                KEY => granted.0 = keys.likeness,
                _ => granted.0.clear(),
            }
            return true;
        }
        let Some(key) = args.get(at) else {
            granted.0.clear();
            return false;
        };
        let found = all
            .iter()
            .find_map(|keys| Some((keys, keys.glob.fit(key)?)));
        // What the pattern does not tell by itself a key of it tells, unless it is too much.
        let learned = found.filter(|(keys, _)| at == KEY && !keys.is_too_long);
        match learned.and_then(|(_, fit)| Likeness::of(&fit, key)) {
            Some(likeness) => granted.0 = likeness,
            None => granted.0.clear(),
        }
        found.is_some()
    }
}

/// The permitted calls of a user that are easily told.
#[derive(Debug)]
pub struct Passes {
    /// By number of the command.
    passes: Box<[Pass]>,
    keys: Vec<Box<[Keys]>>,
}

/// The place of the keys that are remembered: that of nearly all commands with one.
const KEY: usize = 1;

/// Calls of one command that are permitted: all, or those with such a key.
#[derive(Clone, Copy, Debug)]
pub struct Granted(Likeness);

impl Granted {
    /// No calls.
    pub const NONE: Granted = Granted(Likeness::NONE);
    /// All calls.
    pub const EVERY: Granted = Granted(Likeness::EVERY);

    /// Whether a call is one of them, as far as a few instructions tell. False says nothing.
    #[inline(always)]
    pub fn covers_plainly(&self, args: &Args) -> bool {
        self.0.has_plainly(args, KEY)
    }

    /// Whether a call is one of them where [`Granted::covers_plainly`] did not say so. False says nothing.
    #[inline(always)]
    pub fn covers_narrowly(&self, args: &Args) -> bool {
        self.0.has_narrowly(args, KEY)
    }

    /// Whether a call is one of them. False says nothing.
    pub fn covers(&self, args: &Args) -> bool {
        self.0.has(args, KEY)
    }
}

impl Passes {
    /// Those of a user.
    pub fn of(user: &User, catalog: &dyn Catalog) -> Passes {
        let selectors = user.selectors();
        let mut keys = Vec::new();
        let commands = 0..catalog.count() as u16;
        Passes {
            passes: commands
                .map(|number| pass_of(selectors, CommandId(number), catalog, &mut keys))
                .collect(),
            keys,
        }
    }

    /// Whether a call is permitted, and which others of the same command are with it, in place of what was granted before. False says
    /// nothing: the call has to be looked at.
    pub fn grant(&self, command: CommandId, args: &Args, granted: &mut Granted) -> bool {
        match self.passes[command.index()] {
            Pass::Unclear => {
                granted.0.clear();
                false
            }
            Pass::Always => {
                *granted = Granted::EVERY;
                true
            }
            Pass::Key { at, keys } => {
                let (keys, at) = (&self.keys[usize::from(keys)], usize::from(at));
                Keys::grant(keys, at, args, granted)
            }
        }
    }

    /// Whether a call is permitted ([`Passes::grant`]).
    pub fn allows(&self, command: CommandId, args: &Args) -> bool {
        let mut granted = Granted::NONE;
        self.grant(command, args, &mut granted)
    }
}

fn pass_of(
    selectors: &[Selector],
    command: CommandId,
    catalog: &dyn Catalog,
    lists: &mut Vec<Box<[Keys]>>,
) -> Pass {
    let uses_channels = catalog.uses_channels(command);
    let allows = |selector: &&Selector| {
        selector.commands.allows(command, None) && (selector.channels.has_all() || !uses_channels)
    };
    let keys = catalog.known_keys(command);
    let has_no_keys = keys == KnownKeys::None;
    let has_all_keys = |selector: &Selector| has_no_keys || selector.keys.has_all();
    if selectors.iter().filter(allows).any(has_all_keys) {
        return Pass::Always;
    }
    let KnownKeys::One(Touched { at, access }) = keys else {
        return Pass::Unclear;
    };
    // Any of them may allow it, as a whole.
    let allowed = selectors.iter().filter(allows);
    let found = list_of(lists, allowed.flat_map(|s| s.keys.patterns_for(access)));
    let of_key = |keys| {
        Some(Pass::Key {
            at: u8::try_from(at).ok()?,
            keys,
        })
    };
    found.and_then(of_key).unwrap_or(Pass::Unclear)
}

/// The number of the list of these patterns, which many commands share. None where there is no pattern, or no number left.
fn list_of<'p>(
    lists: &mut Vec<Box<[Keys]>>,
    patterns: impl Iterator<Item = &'p KeyPattern>,
) -> Option<u16> {
    let wanted: Vec<_> = patterns.collect();
    if wanted.is_empty() {
        return None;
    }
    let is_wanted = |known: &[Keys]| {
        let pairs = || known.iter().zip(&wanted);
        known.len() == wanted.len() && pairs().all(|(keys, p)| Arc::ptr_eq(&keys.glob, p.glob()))
    };
    let place = lists
        .iter()
        .position(|known| is_wanted(known))
        .unwrap_or_else(|| {
            lists.push(wanted.into_iter().map(Keys::of).collect());
            lists.len() - 1
        });
    u16::try_from(place).ok()
}
