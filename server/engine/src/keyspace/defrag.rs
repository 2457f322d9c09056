//! The walk of active defragmentation: over all blocks behind all keys, in slices, moving those that leave.
//!
//! What it keeps between two slices holds no address: the number of a table, the cursor of SCAN in it, names of large values and a place
//! inside the first of them. So whatever happens in between, the walk goes on; docs/defragmentation.md tells what it may miss then.
//! Nor does anybody else keep an address that a move would make wrong: outside of `structure` everything that refers to a value
//! borrows the keyspace and is gone when the command ends, and a [`Slot`] is a number.
//!
//! A move changes nothing that a key says: no door of `keyed` is passed, nothing is propagated, nothing expires.
//!
//! [`Slot`]: crate::structure::table::Slot

use super::{Keyspace, Moved};
use crate::structure::mover::Mover;
use crate::structure::record::Record;
use crate::value::Object;
use crate::value::moving::Place;

/// A value of more elements is walked by itself.
const SMALL: usize = 32;
/// Elements between two looks at the clock.
const BATCH: usize = 64;

/// How far a walk has come.
#[derive(Debug, Default)]
pub struct Walk {
    table: usize,
    part: Part,
    /// Keys of the last bucket whose values are large, the last one first.
    large: Vec<Box<[u8]>>,
    /// Where the walk stands in the first of them.
    inside: Option<Inside>,
}

/// Which part of a table comes next.
#[derive(Debug)]
enum Part {
    /// The bucket of this cursor.
    Keys(u64),
    /// Which hashes have fields that expire.
    Fields(Option<(i64, Box<[u8]>)>),
}

impl Default for Part {
    fn default() -> Part {
        Part::Keys(0)
    }
}

#[derive(Debug)]
struct Inside {
    place: Place,
    /// Whether something of the key was moved so far.
    hit: bool,
}

/// What ended a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slice {
    /// Everything was visited.
    Done,
    /// Its time was over.
    Time,
    /// So many elements of large values were looked at as one slice may.
    Elements,
}

impl Keyspace {
    /// One slice of a walk: moves blocks of which `leaves` says so, for as long as `go_on` answers, at least a little, and up to
    /// about `elements` elements of large values. Counts are added to [`KeyStats::moved`](super::KeyStats::moved).
    pub fn move_slice(
        &mut self,
        walk: &mut Walk,
        elements: usize,
        leaves: &mut dyn FnMut(*const u8) -> bool,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Slice {
        let mut mover = Mover::new(leaves);
        let mut left = elements.max(1);
        let ended = loop {
            if walk.table >= self.dbs.len() {
                break Slice::Done;
            }
            match walk.large.last().is_some() {
                true => {
                    let most = left.min(BATCH);
                    self.move_large(walk, most, &mut mover);
                    left -= most;
                }
                false => self.move_part(walk, &mut mover),
            }
            if left == 0 {
                break Slice::Elements;
            }
            if !go_on() {
                break Slice::Time;
            }
        };
        self.stats.moved.hits += mover.hits;
        self.stats.moved.misses += mover.misses;
        ended
    }

    /// A bucket, or a batch of the index of fields.
    fn move_part(&mut self, walk: &mut Walk, mover: &mut Mover) {
        let Walk {
            table, part, large, ..
        } = walk;
        let (db, moved) = (&mut self.dbs[*table], &mut self.stats.moved);
        match part {
            Part::Keys(cursor) => {
                let next = db.keys.move_step(*cursor, mover, &mut |record, mover| {
                    move_record(record, large, moved, mover);
                });
                *part = match next {
                    0 => Part::Fields(None),
                    next => Part::Keys(next),
                };
            }
            Part::Fields(from) => {
                if !db.fields.move_step(from, BATCH, mover) {
                    *part = Part::Keys(0);
                    *table += 1;
                }
            }
        }
    }

    /// A batch of elements of the large value that is to be walked next.
    fn move_large(&mut self, walk: &mut Walk, most: usize, mover: &mut Mover) {
        let Some(key) = walk.large.last() else { return };
        let mut inside = walk.inside.take().unwrap_or(Inside {
            place: Place::Begin,
            hit: false,
        });
        let keys = &mut self.dbs[walk.table].keys;
        let slot = keys.find(keys.hasher().hash(key), key);
        // It may be gone, or small by now.
        let object = slot.and_then(|slot| keys.object_to_move(slot));
        let before = mover.hits;
        let next = object.and_then(|object| object.move_step(inside.place, most, mover));
        inside.hit |= mover.hits > before;
        match next {
            Some(place) => walk.inside = Some(Inside { place, ..inside }),
            None => {
                walk.large.pop();
                count_key(&mut self.stats.moved, inside.hit);
            }
        }
    }
}

fn move_record(
    record: &mut Record<Object>,
    large: &mut Vec<Box<[u8]>>,
    moved: &mut Moved,
    mover: &mut Mover,
) {
    let before = mover.hits;
    record.move_away(mover);
    record.move_object(mover);
    match record.object_mut() {
        Some(object) if is_large(object) => return large.push(record.key().into()),
        Some(object) => object.move_whole(mover),
        None => {}
    }
    count_key(moved, mover.hits > before);
}

/// Groups of a stream can be many while it has no entry.
fn is_large(object: &Object) -> bool {
    matches!(object, Object::Stream(_)) || object.weight() > SMALL
}

fn count_key(moved: &mut Moved, hit: bool) {
    moved.key_hits += u64::from(hit);
    moved.key_misses += u64::from(!hit);
}
