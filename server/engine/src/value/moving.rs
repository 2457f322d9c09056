//! A walk over the blocks of a value that moves those that leave: some elements at a time, as clients are served in between.
//!
//! Where it stands is kept as a [`Place`], which holds no address. It begins anew with each value, and whatever happens to the value
//! in between, a place of its type is good for it: at worst some blocks are not met.

use bytes::Bytes;

use super::{Object, stream};
use crate::structure::mover::Mover;

/// Strings up to so many bytes are freed of the counter that they shared with replies, which may lie in a slab although the bytes do
/// not. It is made with the first reply and stays; nobody can see whether there is one, so that the string is taken apart and put
/// together, for which its bytes may be touched.
const UNSHARED_MAX: usize = 16 * 1024;

/// Where a walk stands inside a value.
#[derive(Debug)]
pub enum Place {
    /// Nothing was looked at yet.
    Begin,
    /// In a table, at this cursor.
    Table(u64),
    /// In the index of fields that expire.
    Due(Option<(i64, u64)>),
    /// In the order of a sorted set, at this rank.
    Order(usize),
    /// In a list, at the node of this number.
    List(usize),
    /// In a stream.
    Stream(StreamPlace),
}

/// Where a walk stands inside a stream.
#[derive(Debug)]
pub struct StreamPlace(stream::Place);

impl Object {
    /// Moves the blocks of up to about `most` elements from a place on, those that leave. Answers where to go on; none where that was
    /// all, or where the place is that of another type.
    pub fn move_step(&mut self, place: Place, most: usize, mover: &mut Mover) -> Option<Place> {
        let mut seen = 0;
        match (self, place) {
            (Object::Str(bytes), Place::Begin) => {
                move_text(bytes, mover);
                None
            }
            (Object::Packed(blob), Place::Begin) => {
                mover.list(blob);
                None
            }
            (Object::List(list), Place::Begin) => list.move_step(0, most, mover).map(Place::List),
            (Object::List(list), Place::List(at)) => {
                list.move_step(at, most, mover).map(Place::List)
            }
            (Object::Set(table), place @ (Place::Begin | Place::Table(_))) => {
                let next = steps(place, most, &mut seen, |cursor, seen| {
                    table.move_step(cursor, mover, &mut |member, mover| {
                        *seen += 1;
                        member.move_away(mover);
                    })
                });
                next.map(Place::Table)
            }
            (Object::Hash(table), place @ (Place::Begin | Place::Table(_))) => {
                let next = steps(place, most, &mut seen, |cursor, seen| {
                    table.move_fields(cursor, seen, mover)
                });
                Some(next.map_or(Place::Due(None), Place::Table))
            }
            (Object::Hash(table), Place::Due(mut from)) => table
                .move_due(&mut from, most, mover)
                .then_some(Place::Due(from)),
            (Object::Zset(ranked), place @ (Place::Begin | Place::Table(_))) => {
                let next = steps(place, most, &mut seen, |cursor, seen| {
                    ranked.move_members(cursor, seen, mover)
                });
                Some(next.map_or(Place::Order(0), Place::Table))
            }
            (Object::Zset(ranked), Place::Order(mut rank)) => {
                let end = rank + most;
                while rank < end {
                    rank += ranked.move_order(rank, mover)?;
                }
                Some(Place::Order(rank))
            }
            (Object::Stream(stream), Place::Begin) => {
                stream_step(stream, stream::Place::BEGIN, most, mover)
            }
            (Object::Stream(stream), Place::Stream(StreamPlace(place))) => {
                stream_step(stream, place, most, mover)
            }
            _ => None,
        }
    }

    /// Moves the blocks of all elements, those that leave: for small values.
    pub fn move_whole(&mut self, mover: &mut Mover) {
        let mut place = Some(Place::Begin);
        while let Some(at) = place {
            place = self.move_step(at, usize::MAX / 2, mover);
        }
    }
}

/// Steps through a table until `most` buckets and entries were seen; the cursor then, none at the end.
fn steps(
    place: Place,
    most: usize,
    seen: &mut usize,
    mut step: impl FnMut(u64, &mut usize) -> u64,
) -> Option<u64> {
    let mut cursor = match place {
        Place::Table(cursor) => cursor,
        _ => 0,
    };
    loop {
        cursor = step(cursor, seen);
        // A table that was emptied has buckets without entries.
        *seen += 1;
        if cursor == 0 {
            return None;
        }
        if *seen >= most {
            return Some(cursor);
        }
    }
}

fn stream_step(
    stream: &mut stream::Stream,
    mut place: stream::Place,
    most: usize,
    mover: &mut Mover,
) -> Option<Place> {
    let more = stream.move_step(&mut place, most, mover);
    more.then_some(Place::Stream(StreamPlace(place)))
}

/// A string; replies that have its old block keep it until they are sent.
fn move_text(bytes: &mut Bytes, mover: &mut Mover) {
    if mover.takes(bytes.as_ptr(), bytes.len()) {
        *bytes = Bytes::copy_from_slice(bytes);
    } else if bytes.len() <= UNSHARED_MAX && bytes.is_unique() {
        // See `UNSHARED_MAX`.
        let own = Vec::from(std::mem::take(bytes));
        *bytes = Bytes::from(own);
    }
}
