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
    /// Compared at once: two that are told by the first sixteen bytes.
    fronts: Fronts,
    is_every: bool,
    /// There is one in `fronts`.
    is_front: bool,
    /// What holds for the command in question. Commands of which the same is known share what was granted.
    of: Pass,
    /// Only who has such keys pays for it: most sessions may do everything, or have rules that are told by the first bytes.
    further: Option<Box<Further>>,
}

/// What is not told by the first sixteen bytes, and what had to make room for others.
#[derive(Debug)]
struct Further {
    /// Compared at once, as well.
    places: Places,
    /// Hits among the older ones.
    hits: u8,
    /// The one of the older ones that is forgotten next.
    next: u8,
    older: Vec<Likeness>,
}

impl Further {
    const NONE: Further = Further {
        places: Places::NONE,
        hits: 0,
        next: 0,
        older: Vec::new(),
    };

    /// Puts one among the older ones.
    fn keep(&mut self, likeness: Likeness) {
        if self.older.len() < OLDER_MAX {
            self.older.push(likeness);
            return;
        }
        self.older[usize::from(self.next)] = likeness;
        self.next = (self.next + 1) % OLDER_MAX as u8;
    }

    /// Forgets all, and keeps the memory.
    fn clear(&mut self) {
        let mut older = std::mem::take(&mut self.older);
        older.clear();
        *self = Further {
            older,
            ..Further::NONE
        };
    }

    /// The older one that a call is of, if it is asked for so often that it is to be compared at once again; and whether there is any.
    fn find_older(&mut self, args: &Args) -> (bool, Option<Likeness>) {
        let mut older = self.older.iter();
        let Some(at) = older.position(|likeness| likeness.has(args, KEY)) else {
            return (false, None);
        };
        self.hits += 1;
        if self.hits < HITS {
            return (true, None);
        }
        self.hits = 0;
        (true, Some(self.older.swap_remove(at)))
    }
}

impl Granted {
    /// No calls.
    pub const NONE: Granted = Granted::of(Pass::Unclear);
    /// All calls.
    pub const EVERY: Granted = Granted::of(Pass::Always);

    /// What is granted at first where this is known of the command.
    const fn of(pass: Pass) -> Granted {
        Granted {
            fronts: Fronts::NONE,
            is_every: matches!(pass, Pass::Always),
            is_front: false,
            of: pass,
            further: None,
        }
    }

    /// The command in question is another one, of which this is known.
    #[inline]
    pub(super) fn turn_to(&mut self, pass: Pass) {
        if self.of != pass {
            let mut further = self.further.take();
            if let Some(further) = &mut further {
                further.clear();
            }
            *self = Granted {
                further,
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
                    self.further().keep(Likeness::Front(gone));
                }
            }
            Likeness::Places(places) => {
                let further = self.further();
                let gone = std::mem::replace(&mut further.places, *places);
                if gone != Places::NONE {
                    further.keep(Likeness::Places(gone));
                }
            }
        }
    }

    fn further(&mut self) -> &mut Further {
        self.further.get_or_insert_with(|| Box::new(Further::NONE))
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
        let further = self.further.as_ref();
        further.is_some_and(|further| further.places.has_plainly(args, KEY))
    }

    /// Whether a call is one of them where [`Granted::covers_plainly`] did not say so. False says nothing.
    #[inline(always)]
    pub fn covers_further(&self, args: &Args) -> bool {
        let further = self.further.as_ref();
        further.is_some_and(|further| further.places.has_further(args, KEY))
    }

    /// Whether a call is one of them where neither of these says so. False says nothing.
    #[inline(always)]
    pub fn covers_rarely(&mut self, args: &Args) -> bool {
        self.is_front && self.fronts.has_at_end(args, KEY)
            || self.further.is_some() && self.is_older(args)
    }

    /// Whether a call is one of the older ones. Which is asked for often is compared at once again.
    #[inline(never)]
    fn is_older(&mut self, args: &Args) -> bool {
        let (is_there, again) = self.further().find_older(args);
        if let Some(likeness) = again {
            self.remember(&likeness);
        }
        is_there
    }

    /// Whether a call is one of them. False says nothing.
    pub fn covers(&mut self, args: &Args) -> bool {
        self.covers_plainly(args) || self.covers_further(args) || self.covers_rarely(args)
    }
}
