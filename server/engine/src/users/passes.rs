//! What can be said of each command before it is called, so that a permitted call costs a look into a table and, where rules name keys,
//! a comparison; and what was said of the last one, so that the next one like it costs the comparison alone.

use std::sync::Arc;

use super::catalog::{Catalog, KnownKeys};
use super::check::Touched;
use super::glob::Glob;
use super::granted::{Granted, KEY};
use super::likeness::Likeness;
use super::patterns::KeyPattern;
use super::selector::Selector;
use super::user::User;
use crate::base::args::Args;
use crate::base::id::CommandId;

/// What is known of one command. A few bytes, as each user has one for each command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
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
    /// What all of them have in common, if it says all.
    likeness: Option<Likeness>,
    /// All of them have the same bytes at the same places, so that a key tells no more than the pattern.
    tells_all: bool,
}

impl Keys {
    fn of(pattern: &KeyPattern) -> Keys {
        let glob = pattern.glob().clone();
        let example = glob.example();
        let of_example = |key: &[u8]| Likeness::of(&glob.fit(key)?, key);
        Keys {
            likeness: example.as_deref().and_then(of_example),
            tells_all: example.is_some(),
            glob,
        }
    }

    /// Whether one of these patterns takes a key. Notes what others have in common with it.
    fn grant(all: &[Keys], args: &Args, granted: &mut Granted) -> bool {
        let mut likenesses = all.iter().filter_map(|keys| keys.likeness.as_ref());
        if let Some(likeness) = likenesses.find(|likeness| likeness.has(args, KEY)) {
            granted.remember(likeness);
            return true;
        }
        let Some(key) = args.get(KEY) else {
            return false;
        };
        // Some keys are too short to be told by the likeness of their pattern.
        let mut fits = all.iter().filter_map(|k| Some((k, k.glob.fit(key)?)));
        let Some((keys, fit)) = fits.next() else {
            return false;
        };
        let learned = match keys.tells_all {
            true => None,
            false => Likeness::of(&fit, key),
        };
        learned
            .iter()
            .for_each(|likeness| granted.remember(likeness));
        true
    }
}

/// The permitted calls of a user that are easily told.
#[derive(Debug)]
pub struct Passes {
    /// By number of the command.
    passes: Box<[Pass]>,
    keys: Vec<Box<[Keys]>>,
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

    /// The command in question is this one: what was granted before is forgotten, unless it holds for this one as well.
    pub fn turn_to(&self, command: CommandId, granted: &mut Granted) {
        granted.turn_to(self.passes[command.index()]);
    }

    /// Whether a call is permitted, and which others are with it ([`Passes::turn_to`]). False says nothing: the call has to be looked at.
    pub fn grant(&self, command: CommandId, args: &Args, granted: &mut Granted) -> bool {
        self.turn_to(command, granted);
        match self.passes[command.index()] {
            Pass::Key { at, keys } if usize::from(at) == KEY => {
                Keys::grant(&self.keys[usize::from(keys)], args, granted)
            }
            _ => self.allows(command, args),
        }
    }

    /// Whether a call is permitted. False says nothing.
    pub fn allows(&self, command: CommandId, args: &Args) -> bool {
        match self.passes[command.index()] {
            Pass::Unclear => false,
            Pass::Always => true,
            Pass::Key { at, keys } => {
                let key = args.get(usize::from(at));
                let mut keys = self.keys[usize::from(keys)].iter();
                key.is_some_and(|key| keys.any(|keys| keys.glob.fit(key).is_some()))
            }
        }
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
