//! Adding and taking at both ends of a listpack that begins inside its buffer.
//!
//! ```text
//!   buffer   [ room | header | entry | entry | ... | end ]
//!            0      start
//! ```
//! A long list is pushed at its head as often as at its tail. In a buffer that begins with the header each of these pushes
//! would move all entries; here only the six bytes of the header move. The buffer must hold a checked listpack from
//! `start` on, and does afterwards; whoever wants it by itself closes the gap first ([`close`]).

use super::edit::{Encoded, count_down, count_up, push_encoded, set_total, size_at};
use super::{END, Entry, HEADER, Listpack};

/// Least and most room that is made before a header at a time, bytes. In between it doubles the listpack, so that the cost
/// of moving the entries is spread over as many pushes.
const ROOM: (usize, usize) = (64, 4096);

#[inline]
fn view(pack: &[u8]) -> Listpack<'_> {
    Listpack::new(pack).expect("the buffer holds a checked listpack")
}

/// Puts a text before all others.
#[inline]
pub fn push_front(buf: &mut Vec<u8>, start: &mut usize, text: &[u8]) {
    let value = Encoded::new(text);
    let size = value.size();
    if *start < size {
        make_room(buf, start, size);
    }
    debug_assert!(*start >= size, "room was made");
    let at = *start - size;
    buf.copy_within(*start..*start + HEADER, at);
    value.write(&mut buf[at + HEADER..at + HEADER + size]);
    *start = at;
    set_total(&mut buf[at..]);
    count_up(&mut buf[at..]);
}

/// Puts a text behind all others.
#[inline]
pub fn push_back(buf: &mut Vec<u8>, start: usize, text: &[u8]) {
    push_encoded(buf, start, &Encoded::new(text));
}

/// Hands the first entry to `take` and removes it; `None` if there is none.
#[inline]
pub fn pop_front<R>(
    buf: &mut Vec<u8>,
    start: &mut usize,
    take: impl FnOnce(Entry<'_>) -> R,
) -> Option<R> {
    let (from, size) = (*start, size_at(&buf[*start..], HEADER));
    let taken = take(view(&buf[from..]).at(HEADER)?);
    debug_assert!(size > 0, "an entry was shown");
    buf.copy_within(from..from + HEADER, from + size);
    *start = from + size;
    set_total(&mut buf[*start..]);
    count_down(&mut buf[*start..]);
    if *start > ROOM.1.max(buf.len() / 2) {
        close(buf, start);
        buf.shrink_to_fit();
    }
    Some(taken)
}

/// Hands the last entry to `take` and removes it; `None` if there is none.
#[inline]
pub fn pop_back<R>(
    buf: &mut Vec<u8>,
    start: usize,
    take: impl FnOnce(Entry<'_>) -> R,
) -> Option<R> {
    let pack = view(&buf[start..]);
    let last = pack.pos_of(-1)?;
    let taken = take(pack.at(last)?);
    debug_assert!(
        last >= HEADER && start + last < buf.len(),
        "an entry was shown"
    );
    buf.truncate(start + last);
    buf.push(END);
    set_total(&mut buf[start..]);
    count_down(&mut buf[start..]);
    Some(taken)
}

/// Moves the listpack to the beginning of its buffer.
pub fn close(buf: &mut Vec<u8>, start: &mut usize) {
    buf.drain(..*start);
    *start = 0;
    debug_assert_eq!(view(buf).as_bytes().len(), buf.len(), "by itself");
}

/// Moves the listpack back in a new buffer, with room for `least` bytes before it.
#[cold]
fn make_room(buf: &mut Vec<u8>, start: &mut usize, least: usize) {
    let pack = &buf[*start..];
    let room = pack.len().clamp(ROOM.0, ROOM.1).max(least);
    let mut moved = Vec::with_capacity(room + pack.len());
    moved.resize(room, 0);
    moved.extend_from_slice(pack);
    (*buf, *start) = (moved, room);
    debug_assert!(*start >= least, "as much as is needed");
}
