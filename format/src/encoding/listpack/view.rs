//! Reading a listpack: the view, its iterators, the deep check and the search.

use std::borrow::Cow;

use super::{
    COUNT_UNKNOWN, END, HEAD_I16, HEAD_I24, HEAD_I32, HEAD_I64, HEAD_STR32, HEADER, back_size,
};
use crate::error::{Damage, FormatError, Result};
use crate::text::double::parse_f64;
use crate::text::number::{I64Text, parse_i64};

/// One element, borrowed from the blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// Stored as an integer; its text is the canonical decimal.
    Int(i64),
    /// Stored as bytes.
    Str(&'a [u8]),
}

impl<'a> Entry<'a> {
    /// Whether the element's text is `text`.
    #[inline]
    pub fn eq_bytes(&self, text: &[u8]) -> bool {
        match self {
            Entry::Str(bytes) => *bytes == text,
            Entry::Int(value) => parse_i64(text) == Some(*value),
        }
    }

    /// The element's text.
    pub fn to_bytes(&self) -> Cow<'a, [u8]> {
        match self {
            Entry::Str(bytes) => Cow::Borrowed(bytes),
            Entry::Int(value) => Cow::Owned(I64Text::new().format(*value).to_vec()),
        }
    }

    /// The element's text in `scratch` or in the blob: no allocation.
    #[inline]
    pub fn text<'s>(&self, scratch: &'s mut I64Text) -> &'s [u8]
    where
        'a: 's,
    {
        match self {
            Entry::Str(bytes) => bytes,
            Entry::Int(value) => scratch.format(*value),
        }
    }

    /// Appends the element's text.
    #[inline]
    pub fn append_to(&self, out: &mut Vec<u8>) {
        match self {
            Entry::Str(bytes) => out.extend_from_slice(bytes),
            Entry::Int(value) => out.extend_from_slice(I64Text::new().format(*value)),
        }
    }

    /// The length of the element's text in bytes.
    #[inline]
    pub fn text_len(&self) -> usize {
        match self {
            Entry::Str(bytes) => bytes.len(),
            Entry::Int(value) => I64Text::new().format(*value).len(),
        }
    }

    /// The element as an integer, if its text is a canonical one.
    #[inline]
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Entry::Int(value) => Some(*value),
            Entry::Str(bytes) => parse_i64(bytes),
        }
    }

    /// The element as a sorted set's score; `None` if it is no number.
    #[inline]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Entry::Int(value) => Some(*value as f64),
            Entry::Str(bytes) => parse_f64(bytes),
        }
    }
}

impl PartialEq<[u8]> for Entry<'_> {
    fn eq(&self, other: &[u8]) -> bool {
        self.eq_bytes(other)
    }
}

/// The entry at `at` and the size of its head and data, back length not counted. `None` at the end or if it leaves the blob.
#[inline]
pub(super) fn decode(bytes: &[u8], at: usize) -> Option<(Entry<'_>, usize)> {
    let rest = bytes.get(at..)?;
    let head = *rest.first()?;
    Some(match head {
        0..=0x7f => (Entry::Int(i64::from(head)), 1),
        0x80..=0xbf => string(rest, 1, usize::from(head & 0x3f))?,
        0xc0..=0xdf => {
            // Thirteen bits: the sign is the fourth of the head's low five, brought to the top and back down again.
            let raw = (u16::from(head & 0x1f) << 8) | u16::from(*rest.get(1)?);
            (Entry::Int(i64::from(((raw << 3) as i16) >> 3)), 2)
        }
        0xe0..=0xef => string(
            rest,
            2,
            (usize::from(head & 0x0f) << 8) | usize::from(*rest.get(1)?),
        )?,
        HEAD_STR32 => string(
            rest,
            5,
            u32::from_le_bytes(*rest.get(1..)?.first_chunk()?) as usize,
        )?,
        HEAD_I16 => (
            Entry::Int(i64::from(i16::from_le_bytes(
                *rest.get(1..)?.first_chunk()?,
            ))),
            3,
        ),
        HEAD_I24 => {
            let [low, middle, high] = *rest.get(1..)?.first_chunk()?;
            (
                Entry::Int(i64::from(i32::from_le_bytes([0, low, middle, high]) >> 8)),
                4,
            )
        }
        HEAD_I32 => (
            Entry::Int(i64::from(i32::from_le_bytes(
                *rest.get(1..)?.first_chunk()?,
            ))),
            5,
        ),
        HEAD_I64 => (
            Entry::Int(i64::from_le_bytes(*rest.get(1..)?.first_chunk()?)),
            9,
        ),
        _ => return None,
    })
}

#[inline]
fn string(rest: &[u8], head: usize, len: usize) -> Option<(Entry<'_>, usize)> {
    Some((
        Entry::Str(rest.get(head..head.checked_add(len)?)?),
        head + len,
    ))
}

/// The size of the whole entry at `at`, without looking at its data. `None` at the end.
#[inline]
fn whole_size(bytes: &[u8], at: usize) -> Option<usize> {
    let head = *bytes.get(at)?;
    let size = match head {
        0..=0x7f => return Some(2),
        0x80..=0xbf => return Some(usize::from(head & 0x3f) + 2),
        0xc0..=0xdf => return Some(3),
        0xe0..=0xef => 2 + ((usize::from(head & 0x0f) << 8) | usize::from(*bytes.get(at + 1)?)),
        HEAD_STR32 => {
            (u32::from_le_bytes(*bytes.get(at + 1..)?.first_chunk()?) as usize).checked_add(5)?
        }
        HEAD_I16 => return Some(4),
        HEAD_I24 => return Some(5),
        HEAD_I32 => return Some(6),
        HEAD_I64 => return Some(10),
        _ => return None,
    };
    size.checked_add(back_size(size))
}

/// The size that the back length ending just before `at` tells, and how many bytes it takes itself.
#[inline]
fn read_back(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut size = 0usize;
    for step in 0..5 {
        let byte = *bytes.get(at.checked_sub(step + 1)?)?;
        size |= usize::from(byte & 0x7f) << (7 * step);
        if byte & 0x80 == 0 {
            return Some((size, step + 1));
        }
    }
    None
}

/// How many entries the header tells of a blob that was checked before, without a look at the rest; none if it does not tell.
#[inline]
pub fn told_len(bytes: &[u8]) -> Option<usize> {
    let [_, _, _, _, low, high, ..] = *bytes else {
        return None;
    };
    let count = u16::from_le_bytes([low, high]);
    (count != COUNT_UNKNOWN).then_some(usize::from(count))
}

/// A view of a listpack whose header agrees with its length. Places (`pos`) are byte offsets of entries within the blob.
#[derive(Clone, Copy, Debug)]
pub struct Listpack<'a> {
    bytes: &'a [u8],
}

fn damage<T>(offset: usize, what: String) -> Result<T> {
    Err(FormatError::new(Damage::Encoding, offset as u64, what))
}

/// A walk over entries that are checked on the way: what was given is to be trusted only when the walk is finished.
#[derive(Clone, Debug)]
pub struct CheckWalk<'a> {
    list: Listpack<'a>,
    /// What is left of the entries.
    rest: &'a [u8],
    count: usize,
}

impl<'a> CheckWalk<'a> {
    /// The next entry; `None` after the last.
    ///
    /// # Errors
    /// [`Damage::Encoding`] with the offset within the blob.
    #[inline(always)]
    pub fn step(&mut self) -> Result<Option<Entry<'a>>> {
        // The common forms, a short string and a small number, with a back length of one byte.
        match *self.rest {
            [head @ 0..=0x7f, 1, ref next @ ..] => {
                (self.rest, self.count) = (next, self.count + 1);
                return Ok(Some(Entry::Int(i64::from(head))));
            }
            [head @ 0x80..=0xbf, ref behind @ ..] => {
                let len = usize::from(head & 0x3f);
                if let Some((string, [back, next @ ..])) = behind.split_at_checked(len)
                    && usize::from(*back) == len + 1
                {
                    (self.rest, self.count) = (next, self.count + 1);
                    return Ok(Some(Entry::Str(string)));
                }
            }
            [] => return Ok(None),
            _ => {}
        }
        self.step_any()
    }

    /// The same for an entry of any form, which there is.
    #[inline(never)]
    fn step_any(&mut self) -> Result<Option<Entry<'a>>> {
        let end = self.list.end_pos();
        let (entry, next) = self
            .list
            .check_any_entry(end - self.rest.len(), self.count)?;
        self.rest = &self.list.bytes[next..end];
        self.count += 1;
        Ok(Some(entry))
    }

    /// Compares the count with that of the header, after the last entry.
    ///
    /// # Errors
    /// As [`CheckWalk::step`].
    #[inline]
    pub fn finish(self) -> Result<Listpack<'a>> {
        let count = self.count;
        match self.list.stored_count() {
            COUNT_UNKNOWN => Ok(self.list),
            stored if usize::from(stored) == count => Ok(self.list),
            stored => damage(
                4,
                format!("listpack: {stored} entries claimed, it has {count}"),
            ),
        }
    }
}

impl<'a> Listpack<'a> {
    /// Checks the total and the end byte, nothing between.
    ///
    /// # Errors
    /// [`Damage::Encoding`] with the offset within the blob.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        let total = match bytes.first_chunk::<4>() {
            Some(total) if bytes.len() > HEADER => u32::from_le_bytes(*total),
            _ => {
                return damage(
                    0,
                    format!("listpack: 7 bytes needed, {} remain", bytes.len()),
                );
            }
        };
        if total as usize != bytes.len() {
            return damage(
                0,
                format!(
                    "listpack: total of {total} bytes claimed, it has {}",
                    bytes.len()
                ),
            );
        }
        if bytes.last() != Some(&END) {
            return damage(bytes.len() - 1, "listpack: no end byte".into());
        }
        Ok(Listpack { bytes })
    }

    /// Checks every entry and the count. An empty listpack passes: whether one may stand here is for the caller to say.
    ///
    /// # Errors
    /// [`Damage::Encoding`] with the offset within the blob.
    pub fn check(bytes: &'a [u8]) -> Result<Self> {
        Listpack::check_each(bytes, |_| {})
    }

    /// The same; `each` sees the entries before they are all known to be sound.
    ///
    /// # Errors
    /// As [`Listpack::check`].
    #[inline]
    pub fn check_each(bytes: &'a [u8], mut each: impl FnMut(Entry<'a>)) -> Result<Self> {
        let mut walk = Listpack::check_walk(bytes)?;
        while let Some(entry) = walk.step()? {
            each(entry);
        }
        walk.finish()
    }

    /// The same, entry by entry.
    ///
    /// # Errors
    /// As [`Listpack::new`].
    #[inline]
    pub fn check_walk(bytes: &'a [u8]) -> Result<CheckWalk<'a>> {
        let list = Listpack::new(bytes)?;
        let rest = &bytes[HEADER..bytes.len() - 1];
        Ok(CheckWalk {
            list,
            rest,
            count: 0,
        })
    }

    /// Checks one entry; gives it and the place of the next.
    fn check_any_entry(&self, at: usize, index: usize) -> Result<(Entry<'a>, usize)> {
        let end = self.bytes.len() - 1;
        let Some((entry, size)) = decode(&self.bytes[..end], at) else {
            return self.bad_entry(at, index);
        };
        let next = at + size + back_size(size);
        if next > end {
            return damage(
                at,
                format!(
                    "listpack: entry {index} claims {size} bytes and a back length, {} remain",
                    end - at
                ),
            );
        }
        match read_back(&self.bytes[at + size..next], next - at - size) {
            Some((told, width)) if told == size && width == next - at - size => Ok((entry, next)),
            _ => damage(
                at + size,
                format!("listpack: entry {index} has {size} bytes, its back length says otherwise"),
            ),
        }
    }

    #[cold]
    fn bad_entry<T>(&self, at: usize, index: usize) -> Result<T> {
        let head = self.bytes[at];
        if head > HEAD_I64 {
            return damage(
                at,
                format!("listpack: entry {index} begins with the unknown byte {head:#04x}"),
            );
        }
        let remain = self.bytes.len() - 1 - at;
        match whole_size(self.bytes, at) {
            Some(size) => damage(
                at,
                format!("listpack: entry {index} claims {size} bytes, {remain} remain"),
            ),
            None => damage(
                at,
                format!("listpack: entry {index} is cut off, {remain} bytes remain"),
            ),
        }
    }

    /// The blob.
    #[inline]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    #[inline]
    fn stored_count(&self) -> u16 {
        u16::from_le_bytes([self.bytes[4], self.bytes[5]])
    }

    /// How many entries there are: O(1) up to 65,534, a walk above.
    #[inline]
    pub fn len(&self) -> usize {
        told_len(self.bytes).unwrap_or_else(|| self.walk_count())
    }

    /// How many entries there are, counted.
    pub(super) fn walk_count(&self) -> usize {
        let mut count = 0;
        let mut at = HEADER;
        while let Some(next) = self.next_pos(at) {
            count += 1;
            at = next;
        }
        // The last entry has no next place but counts, if there is one.
        count + usize::from(self.at(at).is_some())
    }

    /// Whether there are no entries.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes[HEADER] == END
    }

    /// The place of the end byte: where an insert puts a new last entry.
    #[inline]
    pub fn end_pos(&self) -> usize {
        self.bytes.len() - 1
    }

    /// The place of the first entry.
    #[inline]
    pub fn first_pos(&self) -> Option<usize> {
        (!self.is_empty()).then_some(HEADER)
    }

    /// The place of the last entry.
    #[inline]
    pub fn last_pos(&self) -> Option<usize> {
        self.prev_pos(self.end_pos())
    }

    /// The place after the entry at `pos`, if an entry stands there.
    #[inline]
    pub fn next_pos(&self, pos: usize) -> Option<usize> {
        let next = pos.checked_add(whole_size(self.bytes, pos)?)?;
        (next < self.end_pos()).then_some(next)
    }

    /// The place before `pos`, which is that of an entry or of the end byte.
    #[inline]
    pub fn prev_pos(&self, pos: usize) -> Option<usize> {
        if pos <= HEADER {
            return None;
        }
        let (size, width) = read_back(self.bytes, pos)?;
        let prev = pos.checked_sub(size + width)?;
        (prev >= HEADER && size > 0).then_some(prev)
    }

    /// The entry at `pos`.
    #[inline]
    pub fn at(&self, pos: usize) -> Option<Entry<'a>> {
        decode(&self.bytes[..self.end_pos()], pos).map(|(entry, _)| entry)
    }

    /// The place of the entry at `index`; negative ones count from the end, -1 being the last. Walks from the nearer end.
    pub fn pos_of(&self, index: i64) -> Option<usize> {
        let stored = self.stored_count();
        let from_end = match stored {
            COUNT_UNKNOWN => index < 0,
            count => {
                let forward = if index < 0 {
                    index.checked_add(i64::from(count))?
                } else {
                    index
                };
                if forward < 0 || forward >= i64::from(count) {
                    return None;
                }
                return match forward <= i64::from(count) / 2 {
                    true => self.walk(forward as u64),
                    false => self.walk_back((i64::from(count) - 1 - forward) as u64),
                };
            }
        };
        if from_end {
            self.walk_back(index.unsigned_abs() - 1)
        } else {
            self.walk(index as u64)
        }
    }

    fn walk(&self, steps: u64) -> Option<usize> {
        let mut at = self.first_pos()?;
        for _ in 0..steps {
            at = self.next_pos(at)?;
        }
        Some(at)
    }

    fn walk_back(&self, steps: u64) -> Option<usize> {
        let mut at = self.last_pos()?;
        for _ in 0..steps {
            at = self.prev_pos(at)?;
        }
        Some(at)
    }

    /// The entry at `index`; negative ones count from the end, -1 being the last.
    pub fn get(&self, index: i64) -> Option<Entry<'a>> {
        self.at(self.pos_of(index)?)
    }

    /// The last entry.
    pub fn last(&self) -> Option<Entry<'a>> {
        self.at(self.last_pos()?)
    }

    /// All entries with their places, first to last.
    #[inline]
    pub fn iter(&self) -> Iter<'a> {
        self.iter_from(HEADER)
    }

    /// The entries from `pos` on.
    #[inline]
    pub fn iter_from(&self, pos: usize) -> Iter<'a> {
        debug_assert!(
            (HEADER..=self.end_pos()).contains(&pos),
            "no place of this listpack"
        );
        Iter {
            bytes: &self.bytes[..self.end_pos()],
            at: pos,
        }
    }

    /// All entries with their places, last to first.
    #[inline]
    pub fn iter_rev(&self) -> IterRev<'a> {
        IterRev {
            list: *self,
            before: self.end_pos(),
        }
    }

    /// The place of the first entry whose text is `text`, looking at every `step`-th entry from the first on: 1 for a list
    /// or set, 2 for the fields of a hash.
    #[inline]
    pub fn find(&self, text: &[u8], step: usize) -> Option<usize> {
        self.find_from(HEADER, text, step)
    }

    /// As [`Listpack::find`], beginning with the entry at `pos`.
    ///
    /// What does not match is passed over by its head alone. Integers and strings are told apart by the head too: a text that
    /// is a canonical integer can stand in either form, any other text only as a string.
    fn find_from(&self, pos: usize, text: &[u8], step: usize) -> Option<usize> {
        let number = parse_i64(text);
        let bytes = &self.bytes[..self.end_pos()];
        let mut at = pos;
        loop {
            let head = *bytes.get(at)?;
            if (0x80..0xc0).contains(&head) {
                // The common form, a short string, without the general decoder.
                let len = usize::from(head & 0x3f);
                if len == text.len() && bytes.get(at + 1..at + 1 + len)? == text {
                    return Some(at);
                }
                at += len + 2;
            } else {
                let (entry, size) = decode(bytes, at)?;
                match entry {
                    Entry::Int(value) if number == Some(value) => return Some(at),
                    Entry::Str(found) if found == text => return Some(at),
                    _ => at += size + back_size(size),
                }
            }
            for _ in 1..step {
                at += whole_size(bytes, at)?;
            }
        }
    }
}

impl<'a> IntoIterator for Listpack<'a> {
    type Item = (usize, Entry<'a>);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Entries with their places, first to last. Stops early where the bytes make no sense.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    /// Without the end byte, so that no entry can reach it.
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iter<'a> {
    /// The place of the next entry.
    #[inline]
    pub fn pos(&self) -> usize {
        self.at
    }

    /// The next entry without its place.
    #[inline]
    pub fn next_entry(&mut self) -> Option<Entry<'a>> {
        self.next().map(|(_, entry)| entry)
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = (usize, Entry<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at;
        let (entry, size) = decode(self.bytes, at)?;
        self.at = at + size + back_size(size);
        Some((at, entry))
    }
}

/// Entries with their places, last to first. Stops early where the bytes make no sense.
#[derive(Clone, Debug)]
pub struct IterRev<'a> {
    list: Listpack<'a>,
    before: usize,
}

impl<'a> Iterator for IterRev<'a> {
    type Item = (usize, Entry<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let at = self.list.prev_pos(self.before)?;
        self.before = at;
        Some((at, self.list.at(at)?))
    }
}
