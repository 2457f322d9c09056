//! One key in one allocation: header, expiry, name and a small value.
//!
//! ```text
//!   0       1       2               5        6          8
//!   +-------+-------+---------------+--------+----------+----------+-----------+-----+--------------+
//!   | tag   | flags | access        | key    | value    | expiry   | key       | key | value        |
//!   | 4 + 4 |       | 24 bits       | length | length   | i64, ms  | length u32|     |              |
//!   +-------+-------+---------------+--------+----------+----------+-----------+-----+--------------+
//!                                    u8       u16 LE     if flag 0  if u8 is 255
//!
//!   flags   bit 0      an expiry follows the header
//!           bits 1, 2  the value is 0: bytes, 1: an integer, 2: a pointer to a heap object
//!           bits 3..7  the owner's ([`Record::flags`])
//! ```
//! `10 00 000000 03 0500  6b6579  68656c6c6f` is key `key` with the bytes `hello` and tag kind 0, encoding 1: 16 bytes.
//!
//! An integer takes as many bytes as the allocation has left up to 8, at least as many as it needs. So a 16-byte key
//! with an integer or 8 bytes takes 32 bytes, with 64 bytes 88, and an expiry adds 8.
//!
//! Invariants:
//! - the handle is the allocation's address, with bit 0 set exactly if flag 0 is (the table counts these);
//! - the allocation has the size that `Shape::size` computes from the header, which freeing relies on;
//! - a record whose value form is 2 owns the object; it is dropped with the record unless taken out.
#![allow(unsafe_code)]

mod field;
mod member;
mod raw;

pub use field::Field;
pub use member::{Member, ScoredMember};

use std::fmt;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use super::mover::Mover;
use super::table::{Entry, is_marked, same_bytes};

/// The longest value in bytes that belongs inside a record; longer ones go behind a pointer.
pub const INLINE_MAX: usize = 512;

const HEADER: usize = 8;
const EXPIRES: u8 = 1;
const FORM: u8 = 0b110;
const FORM_BYTES: u8 = 0 << 1;
const FORM_INT: u8 = 1 << 1;
const FORM_HEAP: u8 = 2 << 1;
const OWNER_SHIFT: u32 = 3;
/// Key lengths from here on stand in four bytes of their own.
const LONG_KEY: usize = 255;

/// Type and encoding of a value: four bits each, without meaning here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tag(u8);

impl Tag {
    /// Both numbers must be below 16.
    #[inline]
    pub const fn new(kind: u8, encoding: u8) -> Tag {
        assert!(
            kind < 16 && encoding < 16,
            "kind and encoding have four bits each"
        );
        Tag(kind | encoding << 4)
    }

    /// The type's number.
    #[inline]
    pub const fn kind(self) -> u8 {
        self.0 & 15
    }

    /// The encoding's number.
    #[inline]
    pub const fn encoding(self) -> u8 {
        self.0 >> 4
    }
}

/// A value to store.
#[derive(Debug)]
pub enum Payload<'a, O> {
    /// An integer.
    Int(i64),
    /// Bytes that are copied into the record; at most 65,535, and [`INLINE_MAX`] by custom.
    Bytes(&'a [u8]),
    /// An object that the record will own through a pointer.
    Heap(Box<O>),
}

/// A value as it lies in a record.
#[derive(Debug)]
pub enum PayloadRef<'a, O> {
    /// An integer.
    Int(i64),
    /// Bytes inside the record.
    Bytes(&'a [u8]),
    /// The object behind the pointer.
    Heap(&'a O),
}

/// The header as one word, so that one load answers every question.
#[derive(Clone, Copy)]
struct Header(u64);

impl Header {
    fn new(tag: Tag, flags: u8, key_len: usize, value_len: usize) -> Header {
        let short = key_len.min(LONG_KEY) as u64;
        debug_assert!(value_len <= usize::from(u16::MAX), "the length has 16 bits");
        Header(u64::from(tag.0) | u64::from(flags) << 8 | short << 40 | (value_len as u64) << 48)
    }

    #[inline]
    fn tag(self) -> Tag {
        Tag(self.0 as u8)
    }

    #[inline]
    fn flags(self) -> u8 {
        (self.0 >> 8) as u8
    }

    #[inline]
    fn expires(self) -> bool {
        self.flags() & EXPIRES != 0
    }

    #[inline]
    fn access(self) -> u32 {
        (self.0 >> 16) as u32 & 0xff_ffff
    }

    #[inline]
    fn value_len(self) -> usize {
        (self.0 >> 48) as usize
    }

    #[inline]
    fn with_tag(self, tag: Tag) -> Header {
        Header(self.0 & !0xff | u64::from(tag.0))
    }

    #[inline]
    fn with_flags(self, flags: u8) -> Header {
        Header(self.0 & !0xff00 | u64::from(flags) << 8)
    }

    #[inline]
    fn with_access(self, access: u32) -> Header {
        Header(self.0 & !(0xff_ffff << 16) | u64::from(access & 0xff_ffff) << 16)
    }

    #[inline]
    fn with_value_len(self, len: usize) -> Header {
        debug_assert!(len <= usize::from(u16::MAX), "the length has 16 bits");
        Header(self.0 & (u64::MAX >> 16) | (len as u64) << 48)
    }
}

/// Where the parts of a record lie.
#[derive(Clone, Copy)]
struct Shape {
    key_at: usize,
    key_len: usize,
    value_len: usize,
}

impl Shape {
    #[inline]
    fn new(expires: bool, key_len: usize, value_len: usize) -> Shape {
        let key_at = HEADER + if expires { 8 } else { 0 } + if key_len >= LONG_KEY { 4 } else { 0 };
        Shape {
            key_at,
            key_len,
            value_len,
        }
    }

    #[inline]
    fn value_at(self) -> usize {
        self.key_at + self.key_len
    }

    /// Size of the allocation.
    #[inline]
    fn size(self) -> usize {
        raw::rounded(self.value_at() + self.value_len)
    }

    /// The same key with room for another value.
    #[inline]
    fn for_payload<O>(self, payload: &Payload<'_, O>) -> Shape {
        let value_len = match payload {
            Payload::Int(i) => int_width(*i, self.value_at()),
            Payload::Bytes(bytes) => bytes.len(),
            Payload::Heap(_) => size_of::<*mut O>(),
        };
        assert!(
            value_len <= usize::from(u16::MAX),
            "{value_len} bytes do not belong inside a record"
        );
        Shape { value_len, ..self }
    }
}

/// Bytes for an integer that begins at `at`: what it needs, and up to 8 of what would be padding otherwise.
fn int_width(i: i64, at: usize) -> usize {
    let width = (raw::rounded(at + int_needs(i)) - at).min(8);
    debug_assert!(
        (int_needs(i)..=8).contains(&width),
        "it fits, in a word at most"
    );
    width
}

/// The fewest bytes that hold an integer with its sign.
#[inline]
fn int_needs(i: i64) -> usize {
    let magnitude = if i < 0 { !i } else { i };
    (65 - magnitude.leading_zeros() as usize).div_ceil(8)
}

fn form_of<O>(payload: &Payload<'_, O>) -> u8 {
    match payload {
        Payload::Bytes(_) => FORM_BYTES,
        Payload::Int(_) => FORM_INT,
        Payload::Heap(_) => FORM_HEAP,
    }
}

/// One key with its value, in one allocation.
#[repr(transparent)]
pub struct Record<O> {
    handle: NonNull<u8>,
    owns: PhantomData<Box<O>>,
}

// SAFETY: a record owns its allocation and object like a box does.
unsafe impl<O: Send> Send for Record<O> {}

// SAFETY: transparent over a handle whose bit 0 is the mark; the key's bytes never change while the handle lives.
unsafe impl<O> Entry for Record<O> {
    #[inline]
    fn key(&self) -> &[u8] {
        Record::key(self)
    }

    #[inline]
    fn key_is(&self, key: &[u8]) -> bool {
        let header = self.header();
        let short = (header.0 >> 40) as usize & 0xff;
        if short == LONG_KEY {
            return Record::key(self) == key;
        }
        let at = if header.expires() { HEADER + 8 } else { HEADER };
        // SAFETY: a key of this length begins after header and expiry.
        same_bytes(
            unsafe { std::slice::from_raw_parts(self.at(at), short) },
            key,
        )
    }
}

impl<O> Record<O> {
    /// A new record with access clock 0 and no owner flags. `key` has at most `u32::MAX` bytes.
    pub fn new(key: &[u8], tag: Tag, payload: Payload<'_, O>, expire: Option<i64>) -> Record<O> {
        assert!(u32::try_from(key.len()).is_ok(), "a key has at most 4 GB");
        let shape = Shape::new(expire.is_some(), key.len(), 0).for_payload(&payload);
        let flags = form_of(&payload) | if expire.is_some() { EXPIRES } else { 0 };
        let ptr = raw::allocate(shape.size());
        let mut record = Record {
            handle: raw::handle(ptr, expire.is_some()),
            owns: PhantomData,
        };
        record.put_header(Header::new(tag, flags, key.len(), shape.value_len));
        // SAFETY: the allocation has the size of this shape, which has room for expiry, length, key and value in this order.
        unsafe {
            if let Some(at) = expire {
                record.at(HEADER).cast::<i64>().write_unaligned(at);
            }
            if key.len() >= LONG_KEY {
                record
                    .at(shape.key_at - 4)
                    .cast::<u32>()
                    .write_unaligned(key.len() as u32);
            }
            ptr::copy_nonoverlapping(key.as_ptr(), record.at(shape.key_at), key.len());
            record.put_value(shape, payload);
        }
        debug_assert!(record.key() == key, "the key is where it is looked for");
        debug_assert_eq!(record.expire(), expire);
        record
    }

    #[inline]
    fn at(&self, offset: usize) -> *mut u8 {
        raw::address(self.handle).as_ptr().wrapping_add(offset)
    }

    #[inline]
    fn header(&self) -> Header {
        // SAFETY: every record begins with its header, aligned to 8.
        Header(u64::from_le(unsafe { self.at(0).cast::<u64>().read() }))
    }

    /// By shared reference, because clock and flags change while others look at the key: nothing borrows header bytes.
    #[inline]
    fn put_header(&self, header: Header) {
        // SAFETY: as above; the type is not Sync, and slices handed out never cover the header.
        unsafe { self.at(0).cast::<u64>().write(header.0.to_le()) }
    }

    #[inline]
    fn shape(&self, header: Header) -> Shape {
        let short = (header.0 >> 40) as usize & 0xff;
        let mut shape = Shape::new(header.expires(), short, header.value_len());
        if short == LONG_KEY {
            // SAFETY: a short length of 255 says that four bytes of length stand before the key.
            shape.key_len =
                unsafe { self.at(shape.key_at - 4).cast::<u32>().read_unaligned() } as usize;
            debug_assert!(
                shape.key_len >= LONG_KEY,
                "shorter ones have their length in the header"
            );
        }
        shape
    }

    /// The key.
    #[inline]
    pub fn key(&self) -> &[u8] {
        let shape = self.shape(self.header());
        // SAFETY: these bytes were written when the record was made, and live as long as it.
        unsafe { std::slice::from_raw_parts(self.at(shape.key_at), shape.key_len) }
    }

    /// When it expires, milliseconds since 1970.
    #[inline]
    pub fn expire(&self) -> Option<i64> {
        debug_assert_eq!(
            is_marked(self.handle),
            self.header().expires(),
            "mark and flag"
        );
        // SAFETY: the flag says that the expiry follows the header.
        self.header()
            .expires()
            .then(|| unsafe { self.at(HEADER).cast::<i64>().read_unaligned() })
    }

    /// Type and encoding.
    #[inline]
    pub fn tag(&self) -> Tag {
        self.header().tag()
    }

    /// The length of a value of this type that lies here as bytes, from the header alone.
    #[inline]
    pub fn len_of_bytes(&self, kind: u8) -> Option<usize> {
        let header = self.header();
        let (mask, is) = (
            0xf | u64::from(FORM) << 8,
            u64::from(kind) | u64::from(FORM_BYTES) << 8,
        );
        (header.0 & mask == is).then(|| header.value_len())
    }

    /// Names another type or encoding for the same value.
    #[inline]
    pub fn set_tag(&self, tag: Tag) {
        self.put_header(self.header().with_tag(tag));
    }

    /// The owner's five flag bits.
    #[inline]
    pub fn flags(&self) -> u8 {
        self.header().flags() >> OWNER_SHIFT
    }

    /// Sets the owner's flag bits; `flags` is below 32.
    #[inline]
    pub fn set_flags(&self, flags: u8) {
        debug_assert!(flags < 32, "five bits");
        let header = self.header();
        self.put_header(
            header.with_flags(header.flags() & (EXPIRES | FORM) | flags << OWNER_SHIFT),
        );
    }

    /// The access clock or use counter, 24 bits.
    #[inline]
    pub fn access(&self) -> u32 {
        self.header().access()
    }

    /// Sets the access clock or use counter; bits above 24 are dropped.
    #[inline]
    pub fn set_access(&self, access: u32) {
        let header = self.header();
        // Mostly it is the same second still: a page that a child shares is not copied for that.
        if header.access() != access {
            self.put_header(header.with_access(access));
        }
    }

    /// Size of the record's allocation, bytes, without the object behind the pointer.
    #[inline]
    pub fn mem_bytes(&self) -> usize {
        self.shape(self.header()).size()
    }

    /// The value.
    #[inline]
    pub fn payload(&self) -> PayloadRef<'_, O> {
        let header = self.header();
        let shape = self.shape(header);
        let value = self.at(shape.value_at());
        // SAFETY: the form tells which of the three was written at this place; a pointer came from a box that this record
        // owns, and lives while the record is borrowed.
        unsafe {
            match header.flags() & FORM {
                FORM_BYTES => PayloadRef::Bytes(std::slice::from_raw_parts(value, shape.value_len)),
                FORM_INT => PayloadRef::Int(read_int(value, shape.value_len)),
                _ => PayloadRef::Heap(&*value.cast::<*mut O>().read_unaligned()),
            }
        }
    }

    /// Whether the value is an object behind the pointer.
    #[inline]
    pub fn is_object(&self) -> bool {
        self.header().flags() & FORM == FORM_HEAP
    }

    /// The object behind the pointer, to change where it lies; none if the value is no object.
    #[inline]
    pub fn object_mut(&mut self) -> Option<&mut O> {
        if !self.is_object() {
            return None;
        }
        let value = self.at(self.shape(self.header()).value_at());
        // SAFETY: the form says that a pointer from a box that this record owns stands here; the record is borrowed exclusively.
        Some(unsafe { &mut *value.cast::<*mut O>().read_unaligned() })
    }

    /// Overwrites an integer where it lies and answers the old one; none, and nothing done, if the value is no integer or the new
    /// one needs more bytes.
    #[inline]
    pub fn set_int(&mut self, i: i64) -> Option<i64> {
        let header = self.header();
        if header.flags() & FORM != FORM_INT || header.value_len() < int_needs(i) {
            return None;
        }
        let shape = self.shape(header);
        // SAFETY: the record holds an integer of this width here.
        unsafe {
            let old = read_int(self.at(shape.value_at()), shape.value_len);
            self.put_value(shape, Payload::Int(i));
            Some(old)
        }
    }

    /// Replaces tag and value, keeps all else; the allocation may move. Hands out the object that the old value was.
    #[inline]
    pub fn set_payload(&mut self, tag: Tag, payload: Payload<'_, O>) -> Option<Box<O>> {
        let old_heap = self.take_pointer();
        let header = self.header();
        let old = self.shape(header);
        let new = old.for_payload(&payload);
        if old.size() != new.size() {
            // SAFETY: the allocation has the size its header tells; the handle is replaced at once.
            let ptr = unsafe { raw::resize(raw::address(self.handle), old.size(), new.size()) };
            self.handle = raw::handle(ptr, header.expires());
        }
        let flags = header.flags() & !FORM | form_of(&payload);
        debug_assert_eq!(
            flags & EXPIRES,
            header.flags() & EXPIRES,
            "only the form changes"
        );
        self.put_header(
            header
                .with_tag(tag)
                .with_flags(flags)
                .with_value_len(new.value_len),
        );
        // SAFETY: the allocation has the new shape's size now.
        unsafe { self.put_value(new, payload) };
        old_heap
    }

    /// Gives the record an expiry or takes it away; the allocation moves unless only the time changes.
    pub fn set_expire(&mut self, expire: Option<i64>) {
        match (self.header().expires(), expire) {
            (false, None) => {}
            // SAFETY: the flag says that the expiry follows the header.
            (true, Some(at)) => unsafe { self.at(HEADER).cast::<i64>().write_unaligned(at) },
            _ => self.rebuild(None, expire),
        }
        debug_assert_eq!(self.expire(), expire);
    }

    /// Moves the record's own block, if it leaves. Nothing of what it says changes.
    pub fn move_away(&mut self, mover: &mut Mover) {
        let (old, size) = (raw::address(self.handle), self.mem_bytes());
        if mover.takes(old.as_ptr(), size) {
            // SAFETY: the allocation has the size its header tells; the handle is replaced at once.
            let moved = unsafe { raw::relocate(old, size) };
            self.handle = raw::handle(moved, is_marked(self.handle));
        }
    }

    /// Moves the block of the object behind the pointer, if it leaves; what the object owns stays where it is.
    pub fn move_object(&mut self, mover: &mut Mover) {
        if !self.is_object() {
            return;
        }
        let place = self
            .at(self.shape(self.header()).value_at())
            .cast::<*mut O>();
        // SAFETY: the form says that a pointer from a box that this record owns stands here. Between taking it over and writing the
        // new one nothing can unwind: to allocate may end the process, and no more.
        unsafe {
            let object = place.read_unaligned();
            if mover.takes(object.cast_const(), size_of::<O>()) {
                let moved = Box::new(*Box::from_raw(object));
                place.write_unaligned(Box::into_raw(moved));
            }
        }
    }

    /// Gives the record another key; all else stays. The allocation moves.
    pub fn set_key(&mut self, key: &[u8]) {
        let expire = self.expire();
        self.rebuild(Some(key), expire);
        debug_assert!(
            self.key() == key && self.expire() == expire,
            "only the key is new"
        );
    }

    fn rebuild(&mut self, key: Option<&[u8]>, expire: Option<i64>) {
        let header = self.header();
        let mut new = match self.payload() {
            PayloadRef::Int(i) => Record::new(
                key.unwrap_or(self.key()),
                header.tag(),
                Payload::Int(i),
                expire,
            ),
            PayloadRef::Bytes(b) => Record::new(
                key.unwrap_or(self.key()),
                header.tag(),
                Payload::Bytes(b),
                expire,
            ),
            PayloadRef::Heap(_) => {
                // The new record must exist before the object leaves the old one, so it starts with an empty value.
                let mut new = Record::new(
                    key.unwrap_or(self.key()),
                    header.tag(),
                    Payload::Int(0),
                    expire,
                );
                if let Some(object) = self.take_pointer() {
                    new.set_payload(header.tag(), Payload::Heap(object));
                }
                new
            }
        };
        new.set_access(header.access());
        new.set_flags(header.flags() >> OWNER_SHIFT);
        debug_assert_eq!(
            (new.tag(), new.flags()),
            (header.tag(), self.flags()),
            "all else stays"
        );
        std::mem::swap(self, &mut new);
    }

    /// Takes the object out, if the value is one. Eight bytes without meaning stay in its place until the next change, so
    /// that header and allocation keep agreeing on the size.
    #[inline]
    fn take_pointer(&mut self) -> Option<Box<O>> {
        let header = self.header();
        if header.flags() & FORM != FORM_HEAP {
            return None;
        }
        let shape = self.shape(header);
        // SAFETY: the form says that a pointer from `Box::into_raw` stands here; the form changes to bytes before anyone
        // else reads it, so it is owned once.
        let object =
            unsafe { Box::from_raw(self.at(shape.value_at()).cast::<*mut O>().read_unaligned()) };
        self.put_header(header.with_flags(header.flags() & !FORM | FORM_BYTES));
        Some(object)
    }

    /// Frees the record and hands out its object, if the value is one.
    pub fn into_heap(mut self) -> Option<Box<O>> {
        self.take_pointer()
    }

    /// # Safety
    /// The allocation has at least `shape.size()` bytes, and `shape` was made for this payload.
    #[inline]
    unsafe fn put_value(&mut self, shape: Shape, payload: Payload<'_, O>) {
        let value = self.at(shape.value_at());
        debug_assert_eq!(
            shape.value_len,
            match &payload {
                Payload::Int(i) => shape.value_len.clamp(int_needs(*i), 8),
                Payload::Bytes(bytes) => bytes.len(),
                Payload::Heap(_) => size_of::<*mut O>(),
            },
            "the shape was made for this payload"
        );
        // SAFETY: by contract `value_len` bytes are there, which is what each arm writes; a source slice cannot overlap
        // an allocation that is borrowed exclusively.
        unsafe {
            match payload {
                Payload::Int(i) => {
                    ptr::copy_nonoverlapping(i.to_le_bytes().as_ptr(), value, shape.value_len)
                }
                Payload::Bytes(b) => ptr::copy_nonoverlapping(b.as_ptr(), value, b.len()),
                Payload::Heap(object) => value
                    .cast::<*mut O>()
                    .write_unaligned(Box::into_raw(object)),
            }
        }
    }
}

/// Reads an integer of `width` bytes, 1 to 8.
///
/// # Safety
/// `value` points at `width` initialised bytes, and the 8 bytes before it are initialised and of the same allocation (a
/// record's header, if nothing else).
#[inline]
unsafe fn read_int(value: *const u8, width: usize) -> i64 {
    debug_assert!((1..=8).contains(&width), "a word at most");
    // SAFETY: by contract; the word ends where the integer ends, and the shift drops what lies before it.
    let word = unsafe {
        value
            .wrapping_add(width)
            .wrapping_sub(8)
            .cast::<u64>()
            .read_unaligned()
    };
    u64::from_le(word) as i64 >> (64 - 8 * width)
}

impl<O> Drop for Record<O> {
    fn drop(&mut self) {
        // The object goes last, so that a panic in its own drop cannot leak or reuse the record.
        let _object = self.take_pointer();
        // SAFETY: the allocation has the size its header tells, and this is its last use.
        unsafe { raw::free(raw::address(self.handle), self.mem_bytes()) };
    }
}

impl<O> fmt::Debug for Record<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("key", &self.key().escape_ascii().to_string())
            .field("tag", &self.tag())
            .field("expire", &self.expire())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_example() {
        let record = Record::<()>::new(b"key", Tag::new(0, 1), Payload::Bytes(b"hello"), None);
        // SAFETY: the record takes 16 bytes.
        let bytes = unsafe { std::slice::from_raw_parts(record.at(0), record.mem_bytes()) };
        assert_eq!(bytes, b"\x10\0\0\0\0\x03\x05\0keyhello");
    }
}
