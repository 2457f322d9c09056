//! Looking ahead within large collections: where the members that the commands of a batch name will be found.
//!
//! One command of each batch tells whether that pays: if the key it names holds a collection that does not fit the caches, all commands of the
//! batch are looked at, and else none, so that other work pays next to nothing. A command that names many members of one collection goes through
//! them with [`Named`], which looks ahead at the next ones.

use super::ahead::{Aim, fetch_entries, fetch_keys};
use super::{AHEAD, Keyspace};
use crate::base::args::Args;
use crate::structure::record::{PayloadRef, Record};
use crate::structure::table::{Ahead, Slot};
use crate::value::Object;

/// Members from which on a collection does not fit the caches.
const BEYOND_CACHE: usize = 16_384;

/// Words of the shortest command that names a member.
const WORDS: usize = 3;

/// A large collection.
#[derive(Clone, Copy)]
struct Large<'a> {
    members: Ahead<'a>,
    has_scores: bool,
}

impl<'a> Large<'a> {
    fn in_record(record: &'a Record<Object>) -> Option<Large<'a>> {
        match record.payload() {
            PayloadRef::Heap(object) => Large::of(object),
            _ => None,
        }
    }

    fn of(object: &'a Object) -> Option<Large<'a>> {
        let (len, members) = match object {
            Object::Set(table) => (table.len(), table.ahead()),
            Object::Hash(table) => (table.stored_len(), table.ahead()),
            Object::Zset(ranked) => (ranked.len(), ranked.ahead()),
            _ => return None,
        };
        let large = Large {
            members,
            has_scores: matches!(object, Object::Zset(_)),
        };
        (len >= BEYOND_CACHE).then_some(large)
    }

    /// The first member that a command names: behind the key, or behind a score. Where it names none there, what is fetched is of no use.
    #[inline]
    fn member<'b>(&self, args: &Args<'b>) -> Option<&'b [u8]> {
        args.get(match self.has_scores && args.len() > WORDS {
            true => 3,
            false => 2,
        })
    }
}

impl Keyspace {
    /// Whether looking ahead within collections pays for a batch of which this is one command.
    pub fn wants_members(&self, db: usize, args: &Args<'_>) -> bool {
        if args.len() < WORDS {
            return false;
        }
        let key = args.at(1);
        self.large(&self.aim(db, key), key).is_some()
    }

    /// The large collection at a key, if there is one. That of an expired key is as good as any.
    fn large(&self, aim: &Aim, key: &[u8]) -> Option<Large<'_>> {
        let keys = &self.dbs[aim.table as usize].keys;
        let (_, record) = keys.lookup(aim.hash, key)?;
        Large::in_record(record)
    }

    /// Fetches the members that the commands of a batch name, of which the keys are fetched by now.
    pub fn fetch_members<'a>(&self, commands: impl Iterator<Item = (&'a Aim, Args<'a>)>) {
        let mut commands = commands.filter(|(aim, args)| aim.is_known && args.len() >= WORDS);
        let mut last: Option<(u64, Option<Large<'_>>)> = None;
        let mut sought = Vec::with_capacity(AHEAD);
        while let Some(first) = commands.next() {
            let some = std::iter::once(first).chain(commands.by_ref().take(AHEAD - 1));
            sought.extend(some.filter_map(|(aim, args)| {
                let large = match last {
                    // Keys of one hash are one key, and if they are not, nothing comes of it.
                    Some((hash, large)) if hash == aim.hash => large,
                    _ => self.large(aim, args.at(1)),
                };
                last = Some((aim.hash, large));
                let Large { members, .. } = large?;
                let hash = members.hash(large?.member(&args)?);
                members.bucket(hash);
                Some((members, hash))
            }));
            fetch_entries(&sought, |(table, hash)| Some((*table, *hash)));
            sought.clear();
        }
    }
}

/// The members that a command names, one after the other, those of a large collection looked ahead at.
#[derive(Debug)]
pub struct Named<'a> {
    args: Args<'a>,
    /// The next member.
    at: usize,
    step: usize,
    /// Where it looks ahead again.
    look: usize,
}

impl<'a> Named<'a> {
    /// Members at argument `first` and each `step` arguments from there on.
    #[inline]
    pub fn new(args: &Args<'a>, first: usize, step: usize) -> Named<'a> {
        debug_assert!(step > 0, "it goes on");
        let is_alone = args.len() <= first + step;
        Named {
            args: *args,
            at: first,
            step,
            // What is needed at once cannot be fetched ahead.
            look: if is_alone { usize::MAX } else { first },
        }
    }

    /// Which argument the next member is. `slot` is where the collection is, if there is one.
    #[inline]
    pub fn next(&mut self, ks: &Keyspace, slot: impl Into<Option<Slot>>) -> Option<usize> {
        if self.at >= self.look {
            self.look_ahead(ks, slot.into());
        }
        let at = self.at;
        self.at += self.step;
        (at < self.args.len()).then_some(at)
    }

    /// Fetches the next members.
    #[inline(never)]
    fn look_ahead(&mut self, ks: &Keyspace, slot: Option<Slot>) {
        self.look = self.at + self.step * AHEAD;
        let Some(large) = slot.and_then(|slot| Large::in_record(ks.record(slot))) else {
            return;
        };
        let next = (self.at..self.args.len().min(self.look)).step_by(self.step);
        fetch_keys(large.members, next.map(|at| self.args.at(at)));
    }
}
