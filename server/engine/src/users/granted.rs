//! What a session remembers of the keys that it was allowed, so that the next one made alike costs a comparison.

use super::front::{Front, Fronts};
use super::likeness::Likeness;
use super::passes::Pass;
use super::places::Places;
use crate::base::args::Args;

/// The place of the keys that are remembered: that of nearly all commands with one.
pub(super) const KEY: usize = 1;

/// How many likenesses are kept beside those that are compared at once.
const OLDER_MAX: usize = 8;
/// The hit among these that brings one back.
const HITS: u8 = 16;

/// Calls of one command that are permitted: all, or those with such keys.
#[derive(Debug)]
pub struct Granted {
    /// Compared at once: two that are told by the first sixteen bytes, and one of another kind.
    places: Places,
    fronts: Fronts,
    is_every: bool,
    /// There is one in `fronts`.
    is_front: bool,
    /// What holds for the command in question. Commands of which the same is known share what was granted.
    of: Pass,
    /// Hits among the older ones.
    hits: u8,
    /// The one of the older ones that is forgotten next.
    next: u8,
    /// What had to make room for others. Only who has keys of many kinds pays for it.
    older: Vec<Likeness>,
}

impl Granted {
    /// No calls.
    pub const NONE: Granted = Granted::of(Pass::Unclear);
    /// All calls.
    pub const EVERY: Granted = Granted::of(Pass::Always);

    /// What is granted at first where this is known of the command.
    const fn of(pass: Pass) -> Granted {
        Granted {
            places: Places::NONE,
            fronts: Fronts::NONE,
            is_every: matches!(pass, Pass::Always),
            is_front: false,
            of: pass,
            hits: 0,
            next: 0,
            older: Vec::new(),
        }
    }

    /// The command in question is another one, of which this is known.
    #[inline]
    pub(super) fn turn_to(&mut self, pass: Pass) {
        if self.of != pass {
            let mut older = std::mem::take(&mut self.older);
            older.clear();
            *self = Granted {
                older,
                ..Granted::of(pass)
            };
        }
    }

    /// Keys of such a likeness are permitted, too.
    pub(super) fn remember(&mut self, likeness: &Likeness) {
        match likeness {
            Likeness::Front(front) => {
                self.is_front = true;
                let gone = self.fronts.push(*front);
                if gone != Front::NONE {
                    self.keep(Likeness::Front(gone));
                }
            }
            Likeness::Places(places) => {
                let gone = std::mem::replace(&mut self.places, *places);
                if gone != Places::NONE {
                    self.keep(Likeness::Places(gone));
                }
            }
        }
    }

    /// Puts one among the older ones.
    fn keep(&mut self, likeness: Likeness) {
        if self.older.len() < OLDER_MAX {
            self.older.push(likeness);
            return;
        }
        self.older[usize::from(self.next)] = likeness;
        self.next = (self.next + 1) % OLDER_MAX as u8;
    }

    /// Whether a call is one of them, as far as a few instructions tell. False says nothing.
    #[inline(always)]
    pub fn covers_plainly(&self, args: &Args) -> bool {
        if self.is_every {
            return true;
        }
        // Asked once, so that those below need not.
        if args.len() <= KEY {
            return false;
        }
        if self.is_front && self.fronts.has_plainly(args, KEY) {
            return true;
        }
        self.places.has_plainly(args, KEY)
    }

    /// Whether a call is one of them where [`Granted::covers_plainly`] did not say so. False says nothing.
    #[inline(always)]
    pub fn covers_further(&self, args: &Args) -> bool {
        self.places.has_further(args, KEY)
    }

    /// Whether a call is one of them where neither of these says so. False says nothing.
    #[inline(always)]
    pub fn covers_rarely(&mut self, args: &Args) -> bool {
        self.is_front && self.fronts.has_at_end(args, KEY)
            || !self.older.is_empty() && self.is_older(args)
    }

    /// Whether a call is one of the older ones. Which is asked for often is compared at once again.
    #[inline(never)]
    fn is_older(&mut self, args: &Args) -> bool {
        let mut older = self.older.iter();
        let Some(at) = older.position(|likeness| likeness.has(args, KEY)) else {
            return false;
        };
        self.hits += 1;
        if self.hits == HITS {
            self.hits = 0;
            let likeness = self.older.swap_remove(at);
            self.remember(&likeness);
        }
        true
    }

    /// Whether a call is one of them. False says nothing.
    pub fn covers(&mut self, args: &Args) -> bool {
        self.covers_plainly(args) || self.covers_further(args) || self.covers_rarely(args)
    }
}
