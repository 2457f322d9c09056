//! What can be said of each command before it is called, so that a permitted call costs a look into a table and, where rules name keys,
//! a comparison; and what was said of the last one, so that the next one like it costs the comparison alone.

use super::catalog::{Catalog, KnownKeys};
use super::check::Touched;
use super::patterns::{Ends, KeyPattern};
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

/// Keys that are allowed.
#[derive(Debug, PartialEq)]
struct Keys {
    /// Those with short ends and anything between.
    ends: Box<[Ends]>,
    /// The others.
    patterns: Box<[KeyPattern]>,
}

impl Keys {
    fn of<'p>(patterns: impl Iterator<Item = &'p KeyPattern>) -> Keys {
        let (short, others): (Vec<_>, Vec<_>) = patterns.partition(|p| p.ends().is_some());
        Keys {
            ends: short.into_iter().filter_map(KeyPattern::ends).collect(),
            patterns: others.into_iter().cloned().collect(),
        }
    }

    fn is_empty(&self) -> bool {
        self.ends.is_empty() && self.patterns.is_empty()
    }
}

/// The permitted calls of a user that are easily told.
#[derive(Debug)]
pub struct Passes {
    /// By number of the command.
    passes: Box<[Pass]>,
    keys: Vec<Keys>,
}

/// The place of the keys that are remembered: that of nearly all commands with one.
const KEY: usize = 1;

/// Calls of one command that are permitted: all, or those with a key that begins and ends so.
#[derive(Clone, Copy, Debug)]
pub struct Granted {
    every: bool,
    ends: Ends,
}

impl Granted {
    /// No calls.
    pub const NONE: Granted = Granted {
        every: false,
        ends: Ends::NONE,
    };
    /// All calls.
    pub const EVERY: Granted = Granted {
        every: true,
        ends: Ends::NONE,
    };

    /// Whether a call is one of them. False says nothing.
    #[inline(always)]
    pub fn covers(&self, args: &Args) -> bool {
        self.every || self.ends.are_of(args, KEY)
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

    /// Whether a call is permitted, and which others of the same command are with it. None says nothing: the call has to be looked at.
    pub fn grant(&self, command: CommandId, args: &Args) -> Option<Granted> {
        match self.passes[command.index()] {
            Pass::Unclear => None,
            Pass::Always => Some(Granted::EVERY),
            Pass::Key { at, keys } => self.keys[usize::from(keys)].grant(usize::from(at), args),
        }
    }

    /// Whether a call is permitted ([`Passes::grant`]).
    pub fn allows(&self, command: CommandId, args: &Args) -> bool {
        self.grant(command, args).is_some()
    }
}

impl Keys {
    fn grant(&self, at: usize, args: &Args) -> Option<Granted> {
        let fits = |ends: &&Ends| ends.are_of(args, at);
        if let Some(ends) = self.ends.iter().find(fits).copied() {
            let key = Granted { every: false, ends };
            return Some(if at == KEY { key } else { Granted::NONE });
        }
        let key = args.get(at)?;
        let is_there = self.patterns.iter().any(|pattern| pattern.matches(key));
        is_there.then_some(Granted::NONE)
    }
}

fn pass_of(
    selectors: &[Selector],
    command: CommandId,
    catalog: &dyn Catalog,
    lists: &mut Vec<Keys>,
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
    lists: &mut Vec<Keys>,
    patterns: impl Iterator<Item = &'p KeyPattern>,
) -> Option<u16> {
    let wanted = Keys::of(patterns);
    if wanted.is_empty() {
        return None;
    }
    let place = lists.iter().position(|known| *known == wanted);
    let place = place.unwrap_or_else(|| {
        lists.push(wanted);
        lists.len() - 1
    });
    u16::try_from(place).ok()
}
