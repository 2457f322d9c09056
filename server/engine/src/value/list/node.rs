//! One node of a list: a listpack, a compressed listpack, or one element by itself.

use super::ListLimits;
use crate::structure::mover::Mover;
use crate::value::list_pack;
use cairn_format::encoding::listpack::{self, Entry};
use cairn_format::lzf;
use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::ControlFlow;

/// Smaller listpacks are not worth compressing, bytes (as Redis).
const SQUEEZE_BYTES_MIN: usize = 48;
/// Compression has to save so many bytes (as Redis).
const SQUEEZE_GAIN_MIN: usize = 8;

thread_local! {
    /// The compressor's table, kept because clearing a fresh one costs more than compressing a node.
    static TABLE: RefCell<lzf::Table> = RefCell::new(lzf::Table::new());
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A listpack.
    Packed,
    /// A listpack that compression did not make smaller; not tried again before it changes.
    Stubborn,
    /// The text of one element.
    Plain,
    /// A compressed listpack of so many bytes.
    Squeezed { raw_len: u32 },
}

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Node {
    bytes: Vec<u8>,
    /// Where a listpack begins in `bytes` (see [`listpack::ends`]); 0 in the other forms.
    start: u32,
    count: u32,
    form: Form,
}

/// A node as a snapshot stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeRef<'a> {
    /// A listpack.
    Packed(&'a [u8]),
    /// The text of one element.
    Plain(&'a [u8]),
    /// A listpack of `raw_len` bytes, compressed with LZF.
    Squeezed {
        /// Bytes of the listpack.
        raw_len: usize,
        /// The LZF stream.
        lzf: &'a [u8],
    },
}

impl Node {
    /// A node of a whole listpack.
    pub(super) fn packed(blob: Vec<u8>) -> Self {
        let count = u32::try_from(list_pack::len(&blob))
            .expect("an entry takes two bytes, a listpack less than 4 GB");
        Self {
            bytes: blob,
            start: 0,
            count,
            form: Form::Packed,
        }
    }

    pub(super) fn plain(value: Vec<u8>) -> Self {
        Self {
            bytes: value,
            start: 0,
            count: 1,
            form: Form::Plain,
        }
    }

    /// A new node of one element.
    pub(super) fn of(value: &[u8], limits: &ListLimits) -> Self {
        if limits.is_plain(value) {
            return Self::plain(value.to_vec());
        }
        let mut blob = listpack::empty();
        listpack::push_back(&mut blob, value);
        Self {
            bytes: blob,
            start: 0,
            count: 1,
            form: Form::Packed,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.count as usize
    }

    pub(super) fn is_plain(&self) -> bool {
        self.form == Form::Plain
    }

    pub(super) fn is_squeezed(&self) -> bool {
        matches!(self.form, Form::Squeezed { .. })
    }

    /// Bytes of the element or of the uncompressed listpack.
    pub(super) fn raw_len(&self) -> usize {
        match self.form {
            Form::Squeezed { raw_len } => raw_len as usize,
            _ => self.stored().len(),
        }
    }

    /// The listpack, element or compressed bytes, without the room before it.
    fn stored(&self) -> &[u8] {
        &self.bytes[self.start as usize..]
    }

    pub(super) fn mem_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Whether `value` may join this node.
    pub(super) fn has_room(&self, value: &[u8], limits: &ListLimits) -> bool {
        let bytes = self
            .raw_len()
            .saturating_add(value.len())
            .saturating_add(super::ENTRY_OVERHEAD);
        !self.is_plain() && !limits.is_plain(value) && !limits.exceeded(bytes, self.len() + 1)
    }

    pub(super) fn view(&self) -> NodeRef<'_> {
        match self.form {
            Form::Packed | Form::Stubborn => NodeRef::Packed(self.stored()),
            Form::Plain => NodeRef::Plain(&self.bytes),
            Form::Squeezed { raw_len } => NodeRef::Squeezed {
                raw_len: raw_len as usize,
                lzf: &self.bytes,
            },
        }
    }

    /// The listpack or the element.
    fn raw(&self) -> Cow<'_, [u8]> {
        match self.form {
            Form::Squeezed { raw_len } => {
                let mut raw = Vec::new();
                lzf::decompress(&self.bytes, raw_len as usize, &mut raw)
                    .expect("compressed by ourselves");
                Cow::Owned(raw)
            }
            _ => Cow::Borrowed(self.stored()),
        }
    }

    pub(super) fn into_raw(mut self) -> Vec<u8> {
        self.open();
        self.bytes
    }

    /// Uncompresses, and closes the room before the listpack.
    pub(super) fn open(&mut self) {
        if self.is_squeezed() {
            self.bytes = self.raw().into_owned();
            self.form = Form::Packed;
        }
        if self.start > 0 {
            self.at_ends(listpack::ends::close);
        }
    }

    /// Lends buffer and place of the listpack.
    fn at_ends<R>(&mut self, change: impl FnOnce(&mut Vec<u8>, &mut usize) -> R) -> R {
        let mut start = self.start as usize;
        let result = change(&mut self.bytes, &mut start);
        self.start = u32::try_from(start).expect("the room is smaller than the listpack it served");
        debug_assert_eq!(
            list_pack::len(self.stored()),
            self.len(),
            "the count is that of the listpack"
        );
        result
    }

    /// Compresses a listpack if that saves memory.
    pub(super) fn squeeze(&mut self) {
        if self.form != Form::Packed || self.raw_len() < SQUEEZE_BYTES_MIN {
            return;
        }
        self.open();
        let mut small = Vec::new();
        let smaller = TABLE.with_borrow_mut(|table| lzf::compress(&self.bytes, &mut small, table));
        match u32::try_from(self.bytes.len()) {
            Ok(raw_len) if smaller && small.len() + SQUEEZE_GAIN_MIN <= self.bytes.len() => {
                small.shrink_to_fit();
                debug_assert!(raw_len > 0 && small.len() < raw_len as usize);
                self.bytes = small;
                self.form = Form::Squeezed { raw_len };
            }
            _ => self.form = Form::Stubborn,
        }
    }

    /// Changes the listpack, which then holds `count` elements; must not be called on a plain node. The count is not
    /// read from the listpack, because one of 65,535 or more entries has to be walked for it.
    pub(super) fn edit<R>(&mut self, count: usize, change: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        assert!(!self.is_plain(), "a plain node is replaced, not edited");
        self.open();
        self.form = Form::Packed;
        self.count =
            u32::try_from(count).expect("an entry takes two bytes, a listpack less than 4 GB");
        debug_assert_eq!(self.start, 0, "the listpack begins with its buffer");
        change(&mut self.bytes)
    }

    /// Adds one element by `change`.
    pub(super) fn grow(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        self.edit(self.len() + 1, change);
    }

    /// Removes `count` elements from `offset` on, but not all.
    pub(super) fn remove(&mut self, offset: usize, count: usize) {
        assert!(count < self.len(), "an empty node goes as a whole");
        self.edit(self.len() - count, |blob| {
            list_pack::remove_range(blob, offset, count);
            if blob.capacity() / 2 > blob.len() {
                blob.shrink_to_fit();
            }
        });
    }

    /// Moves the node's block, if it leaves.
    pub(super) fn move_away(&mut self, mover: &mut Mover) {
        mover.list(&mut self.bytes);
    }

    /// Gives unused capacity back: no more pushes are expected here.
    pub(super) fn finish(&mut self) {
        if self.start > 0 {
            self.open();
        }
        if self.bytes.capacity() - self.bytes.len() > self.bytes.len() / 16 {
            self.bytes.shrink_to_fit();
        }
    }

    /// Adds before all others.
    pub(super) fn push_front(&mut self, value: &[u8]) {
        self.count_at_ends(1);
        self.at_ends(|bytes, start| listpack::ends::push_front(bytes, start, value));
    }

    /// Adds behind all others.
    pub(super) fn push_back(&mut self, value: &[u8]) {
        self.count_at_ends(1);
        self.at_ends(|bytes, start| listpack::ends::push_back(bytes, *start, value));
    }

    pub(super) fn pop_front<R>(&mut self, take: impl FnOnce(Entry<'_>) -> R) -> Option<R> {
        if self.is_plain() {
            return self.pop_plain(take);
        }
        self.count_at_ends(-1);
        self.at_ends(|bytes, start| listpack::ends::pop_front(bytes, start, take))
    }

    pub(super) fn pop_back<R>(&mut self, take: impl FnOnce(Entry<'_>) -> R) -> Option<R> {
        if self.is_plain() {
            return self.pop_plain(take);
        }
        self.count_at_ends(-1);
        self.at_ends(|bytes, start| listpack::ends::pop_back(bytes, *start, take))
    }

    fn pop_plain<R>(&mut self, take: impl FnOnce(Entry<'_>) -> R) -> Option<R> {
        self.count = 0;
        Some(take(Entry::Str(&self.bytes)))
    }

    /// An element comes or goes at an end of the listpack, which is uncompressed for that.
    fn count_at_ends(&mut self, change: i32) {
        assert!(!self.is_plain(), "a plain node is replaced, not edited");
        if self.is_squeezed() {
            self.open();
        }
        self.form = Form::Packed;
        self.count = self
            .count
            .checked_add_signed(change)
            .expect("an entry takes two bytes, a listpack less than 4 GB; and no node is empty");
    }

    pub(super) fn get<R>(&self, offset: usize, see: impl FnOnce(Entry<'_>) -> R) -> Option<R> {
        let raw = self.raw();
        if self.is_plain() {
            return (offset == 0).then(|| see(Entry::Str(&raw)));
        }
        list_pack::get(&raw, i64::try_from(offset).ok()?).map(see)
    }

    /// Offset of the first element equal to `value`.
    pub(super) fn find(&self, value: &[u8]) -> Option<usize> {
        let mut offset = 0;
        let found = self.visit(0, self.len(), &mut |entry| {
            if entry.eq_bytes(value) {
                return ControlFlow::Break(());
            }
            offset += 1;
            ControlFlow::Continue(())
        });
        found.is_break().then_some(offset)
    }

    pub(super) fn visit(
        &self,
        offset: usize,
        count: usize,
        see: &mut impl FnMut(Entry<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let raw = self.raw();
        if self.is_plain() {
            see(Entry::Str(&raw))
        } else {
            list_pack::visit(&raw, offset, count, see)
        }
    }

    pub(super) fn visit_rev(
        &self,
        offset: usize,
        count: usize,
        see: &mut impl FnMut(Entry<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let raw = self.raw();
        if self.is_plain() {
            see(Entry::Str(&raw))
        } else {
            list_pack::visit_rev(&raw, offset, count, see)
        }
    }

    /// Removes at most `most` elements equal to `value`, from the tail if `back`; returns how many. An emptied node
    /// has length 0 and must be taken out by the caller.
    pub(super) fn remove_value(&mut self, value: &[u8], most: usize, back: bool) -> usize {
        if self.find(value).is_none() {
            return 0;
        }
        if self.is_plain() {
            self.count = 0;
            return 1;
        }
        let removed = self.edit(self.len(), |blob| match back {
            true => list_pack::remove_value_back(blob, value, most),
            false => list_pack::remove_value_front(blob, value, most),
        });
        assert!((1..=most).contains(&removed), "one was found");
        self.count -= removed as u32;
        debug_assert_eq!(list_pack::len(&self.bytes), self.len());
        removed
    }

    /// Keeps the first `keep` elements and returns a node of the others.
    pub(super) fn split(&mut self, keep: usize) -> Self {
        assert!(0 < keep && keep < self.len(), "both halves hold something");
        self.open();
        let (count, mut right) = (self.len(), self.bytes.clone());
        list_pack::remove_range(&mut right, 0, keep);
        right.shrink_to_fit();
        self.edit(keep, |blob| {
            list_pack::remove_range(blob, keep, count - keep);
            blob.shrink_to_fit();
        });
        Self {
            bytes: right,
            start: 0,
            count: (count - keep) as u32,
            form: Form::Packed,
        }
    }

    /// Appends all elements of a packed node.
    pub(super) fn append(&mut self, right: Self) {
        let count = self.len() + right.len();
        let right = right.into_raw();
        self.edit(count, |blob| {
            listpack::append(blob, &list_pack::view(&right))
        });
        debug_assert_eq!(list_pack::len(&self.bytes), self.len());
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let raw = self.raw();
        if self.count == 0 || (self.is_plain() && self.count != 1) {
            return Err(format!("{} elements", self.count));
        }
        if self.is_plain() {
            return Ok(());
        }
        cairn_format::encoding::listpack::Listpack::check(&raw)
            .map_err(|error| format!("{error:?}"))?;
        let count = list_pack::len(&raw);
        if count != self.len() {
            Err(format!("count {}, listpack {count}", self.count))
        } else {
            Ok(())
        }
    }
}
