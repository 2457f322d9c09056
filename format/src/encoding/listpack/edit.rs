//! Writing a listpack in place. The buffer must hold a checked listpack; places come from its view.
//!
//! Every edit is one gap opened or closed (`copy_within` of what follows) and the bytes written straight into it: nothing is
//! allocated but the buffer's own growth. An edit moves all places behind it.

use super::{
    COUNT_UNKNOWN, END, HEAD_I16, HEAD_I24, HEAD_I32, HEAD_I64, HEAD_STR32, HEADER, Listpack,
    back_size, view::decode,
};
use crate::text::number::parse_i64;

/// A value on its way into a listpack: up to nine bytes of head (an integer is all head), then the string's own bytes.
pub(super) struct Encoded<'a> {
    head: [u8; 9],
    head_len: u8,
    body: &'a [u8],
}

impl<'a> Encoded<'a> {
    /// A text; a canonical integer is stored as a number, as Redis does.
    #[inline]
    pub(super) fn new(text: &'a [u8]) -> Self {
        match parse_i64(text) {
            Some(value) => Encoded::int(value),
            None => Encoded::string(text),
        }
    }

    #[inline]
    fn string(body: &'a [u8]) -> Self {
        debug_assert!(parse_i64(body).is_none(), "a number has a form of its own");
        let mut head = [0; 9];
        let len = body.len();
        let head_len = if len < 64 {
            head[0] = 0x80 | len as u8;
            1
        } else if len < 4096 {
            head[0] = 0xe0 | (len >> 8) as u8;
            head[1] = len as u8;
            2
        } else {
            let len = u32::try_from(len).expect("a listpack entry is shorter than 4 GiB");
            head[0] = HEAD_STR32;
            head[1..5].copy_from_slice(&len.to_le_bytes());
            5
        };
        Encoded {
            head,
            head_len,
            body,
        }
    }

    /// A number, in the narrowest of its forms.
    #[inline]
    pub(super) fn int(value: i64) -> Self {
        let mut head = [0; 9];
        let head_len = if (0..=127).contains(&value) {
            head[0] = value as u8;
            1
        } else if (-4096..=4095).contains(&value) {
            head[0] = 0xc0 | ((value >> 8) as u8 & 0x1f);
            head[1] = value as u8;
            2
        } else {
            let width = if i16::try_from(value).is_ok() {
                head[0] = HEAD_I16;
                2
            } else if (-(1 << 23)..1 << 23).contains(&value) {
                head[0] = HEAD_I24;
                3
            } else if i32::try_from(value).is_ok() {
                head[0] = HEAD_I32;
                4
            } else {
                head[0] = HEAD_I64;
                8
            };
            head[1..=width].copy_from_slice(&value.to_le_bytes()[..width]);
            1 + width as u8
        };
        Encoded {
            head,
            head_len,
            body: &[],
        }
    }

    /// Head, body and back length in bytes.
    #[inline]
    pub(super) fn size(&self) -> usize {
        let size = usize::from(self.head_len) + self.body.len();
        size + back_size(size)
    }

    /// Writes all of it over `to`, which is [`Encoded::size`] long.
    #[inline]
    pub(super) fn write(&self, to: &mut [u8]) {
        debug_assert_eq!(to.len(), self.size(), "head, body and back length");
        let head = usize::from(self.head_len);
        let size = head + self.body.len();
        to[..head].copy_from_slice(&self.head[..head]);
        to[head..size].copy_from_slice(self.body);
        write_back(&mut to[size..], size);
    }
}

/// Writes a back length of `to.len()` bytes: seven bits a byte, the last byte holding the lowest and all but the first marked.
#[inline]
fn write_back(to: &mut [u8], size: usize) {
    let mut left = size;
    for (index, byte) in to.iter_mut().enumerate().rev() {
        *byte = (left & 0x7f) as u8 | if index > 0 { 0x80 } else { 0 };
        left >>= 7;
    }
    debug_assert_eq!(left, 0, "so many bytes hold the size");
}

/// Whether the size in the header is that of the buffer, and the end byte the last.
fn is_framed(buf: &[u8]) -> bool {
    buf.len() > HEADER
        && buf.first_chunk() == Some(&(buf.len() as u32).to_le_bytes())
        && buf.last() == Some(&END)
}

/// A new listpack without entries.
pub fn empty() -> Vec<u8> {
    vec![HEADER as u8 + 1, 0, 0, 0, 0, 0, END]
}

/// A new listpack without entries, with room for `bytes` in all.
pub fn with_capacity(bytes: usize) -> Vec<u8> {
    let mut buf = Vec::with_capacity(bytes.max(HEADER + 1));
    buf.extend_from_slice(&[HEADER as u8 + 1, 0, 0, 0, 0, 0, END]);
    buf
}

/// Takes all entries out; the buffer keeps its room.
pub fn clear(buf: &mut Vec<u8>) {
    buf.clear();
    buf.extend_from_slice(&[HEADER as u8 + 1, 0, 0, 0, 0, 0, END]);
}

#[inline]
pub(super) fn set_total(buf: &mut [u8]) {
    let total = u32::try_from(buf.len()).expect("a listpack is smaller than 4 GiB");
    buf[..4].copy_from_slice(&total.to_le_bytes());
}

#[inline]
pub(super) fn stored_count(buf: &[u8]) -> u16 {
    u16::from_le_bytes([buf[4], buf[5]])
}

#[inline]
pub(super) fn set_count(buf: &mut [u8], count: u16) {
    buf[4..6].copy_from_slice(&count.to_le_bytes());
}

/// One more entry. From 65,534 it becomes 65,535, which is the very mark for "unknown".
#[inline]
pub(super) fn count_up(buf: &mut [u8]) {
    let count = stored_count(buf);
    if count != COUNT_UNKNOWN {
        set_count(buf, count + 1);
    }
}

/// Makes the `old` bytes at `at` into `new` bytes of unsaid content, and moves what follows.
#[inline]
fn resize_gap(buf: &mut Vec<u8>, at: usize, old: usize, new: usize) {
    let len = buf.len();
    debug_assert!(at >= HEADER && at + old < len, "header and end byte stay");
    if new > old {
        buf.resize(len + (new - old), 0);
        buf.copy_within(at + old..len, at + new);
    } else if new < old {
        buf.copy_within(at + old.., at + new);
        buf.truncate(len - (old - new));
    }
    set_total(buf);
    debug_assert!(is_framed(buf), "only what lies between has moved");
}

#[inline]
fn insert_encoded(buf: &mut Vec<u8>, pos: usize, value: &Encoded<'_>) {
    debug_assert!(
        pos >= HEADER && pos < buf.len(),
        "an insert stands before an entry or the end byte"
    );
    let size = value.size();
    resize_gap(buf, pos, 0, size);
    value.write(&mut buf[pos..pos + size]);
    count_up(buf);
}

/// Takes one entry off the count.
#[inline]
pub(super) fn count_down(buf: &mut [u8]) {
    let count = stored_count(buf);
    debug_assert!(count > 0, "an entry that was not counted");
    if count != COUNT_UNKNOWN {
        set_count(buf, count.saturating_sub(1));
    }
}

/// Appends to the listpack that begins at `start` of its buffer.
#[inline]
pub(super) fn push_encoded(buf: &mut Vec<u8>, start: usize, value: &Encoded<'_>) {
    debug_assert!(is_framed(&buf[start..]), "a listpack to begin with");
    // The end byte gives way to the entry and comes back behind it: nothing is moved and nothing is zeroed first.
    buf.pop();
    buf.reserve(value.size() + 1);
    buf.extend_from_slice(&value.head[..usize::from(value.head_len)]);
    buf.extend_from_slice(value.body);
    let size = usize::from(value.head_len) + value.body.len();
    if size < 128 {
        buf.extend_from_slice(&[size as u8, END]);
    } else {
        let mut back = [0; 5];
        let width = back_size(size);
        write_back(&mut back[..width], size);
        buf.extend_from_slice(&back[..width]);
        buf.push(END);
    }
    set_total(&mut buf[start..]);
    count_up(&mut buf[start..]);
    debug_assert!(is_framed(&buf[start..]), "and afterwards");
}

/// Appends a text; a canonical integer is stored as a number.
#[inline]
pub fn push_back(buf: &mut Vec<u8>, text: &[u8]) {
    push_encoded(buf, 0, &Encoded::new(text));
}

/// Appends a number.
#[inline]
pub fn push_back_int(buf: &mut Vec<u8>, value: i64) {
    push_encoded(buf, 0, &Encoded::int(value));
}

/// Puts a text before all others.
#[inline]
pub fn push_front(buf: &mut Vec<u8>, text: &[u8]) {
    insert_encoded(buf, HEADER, &Encoded::new(text));
}

/// Puts a number before all others.
#[inline]
pub fn push_front_int(buf: &mut Vec<u8>, value: i64) {
    insert_encoded(buf, HEADER, &Encoded::int(value));
}

/// Puts a text before the entry at `pos`, or last if `pos` is the place of the end byte. It then stands at `pos`.
#[inline]
pub fn insert(buf: &mut Vec<u8>, pos: usize, text: &[u8]) {
    insert_encoded(buf, pos, &Encoded::new(text));
}

/// Puts a number before the entry at `pos`.
#[inline]
pub fn insert_int(buf: &mut Vec<u8>, pos: usize, value: i64) {
    insert_encoded(buf, pos, &Encoded::int(value));
}

/// The size of the entry at `pos`, back length included; 0 at the end byte.
#[inline]
pub(super) fn size_at(buf: &[u8], pos: usize) -> usize {
    match decode(&buf[..buf.len() - 1], pos) {
        Some((_, size)) => size + back_size(size),
        None => 0,
    }
}

#[inline]
fn replace_encoded(buf: &mut Vec<u8>, pos: usize, value: &Encoded<'_>) {
    let old = size_at(buf, pos);
    assert!(old > 0, "only an entry can be replaced");
    let size = value.size();
    resize_gap(buf, pos, old, size);
    value.write(&mut buf[pos..pos + size]);
}

/// Puts a text in the place of the entry at `pos`.
///
/// # Panics
/// If no entry stands at `pos`.
pub fn replace(buf: &mut Vec<u8>, pos: usize, text: &[u8]) {
    replace_encoded(buf, pos, &Encoded::new(text));
}

/// Puts a number in the place of the entry at `pos`.
///
/// # Panics
/// If no entry stands at `pos`.
pub fn replace_int(buf: &mut Vec<u8>, pos: usize, value: i64) {
    replace_encoded(buf, pos, &Encoded::int(value));
}

/// Takes out up to `count` entries from `pos` on and says how many there were. What followed them then stands at `pos`.
pub fn remove(buf: &mut Vec<u8>, pos: usize, count: usize) -> usize {
    let (mut end, mut removed) = (pos, 0);
    while removed < count {
        match size_at(buf, end) {
            0 => break,
            size => end += size,
        }
        removed += 1;
    }
    resize_gap(buf, pos, end - pos, 0);
    let stored = stored_count(buf);
    debug_assert!(
        removed <= usize::from(stored) || stored == COUNT_UNKNOWN,
        "entries are counted"
    );
    if stored != COUNT_UNKNOWN {
        set_count(buf, stored - removed.min(usize::from(stored)) as u16);
    }
    removed
}

/// Appends all entries of `other`, as they are.
pub fn append(buf: &mut Vec<u8>, other: &Listpack<'_>) {
    debug_assert!(
        is_framed(buf) && is_framed(other.as_bytes()),
        "two listpacks"
    );
    let entries = &other.as_bytes()[HEADER..];
    let (mine, theirs) = (stored_count(buf), stored_count(other.as_bytes()));
    buf.pop();
    buf.extend_from_slice(entries);
    set_total(buf);
    let count = match (mine, theirs) {
        (COUNT_UNKNOWN, _) | (_, COUNT_UNKNOWN) => COUNT_UNKNOWN,
        (mine, theirs) => mine.saturating_add(theirs),
    };
    set_count(buf, count);
}

/// Counts the entries of a list whose count is unknown, and stores the number if it fits. O(n).
pub fn recount(buf: &mut [u8]) {
    if stored_count(buf) != COUNT_UNKNOWN {
        return;
    }
    if let Ok(list) = Listpack::new(buf) {
        let count = list.walk_count();
        set_count(buf, u16::try_from(count).unwrap_or(COUNT_UNKNOWN));
    }
}
