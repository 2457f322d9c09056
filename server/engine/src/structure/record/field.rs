//! A field of a big hash: name, value and perhaps an expiry in one allocation.
//!
//! ```text
//!   +-----------+--------------------+------+-------+
//!   | expiry    | lengths            | name | value |
//!   | i64, ms   | 1 byte, or         |      |       |
//!   |           | 255, name, value   |      |       |
//!   +-----------+--------------------+------+-------+
//!    if marked
//! ```
//! One byte `17 * (name length - 1) + value length` tells both lengths of a name of 1 to 15 bytes with a value of up to
//! 16, which is what most hashes hold; 255 says that both follow in groups of seven bits. So a name of 15 bytes
//! and a value of 16 take 32 bytes, where two lengths would make it 40.
//!
//! `2a 666f6f 62617a2121212121` is field `foo` with value `baz!!!!!`: 0x2a is 17 * 2 + 8.
//!
//! Invariants: the handle's bit 0 is set exactly if an expiry stands first; the allocation's size follows from the head.
#![allow(unsafe_code)]

use std::fmt;
use std::ptr::{self, NonNull};

use super::raw;
use crate::structure::mover::Mover;
use crate::structure::table::{Entry, is_marked};

const SHORT_NAME: usize = 15;
const SHORT_VALUE: usize = 16;
const LONG: u8 = 255;

/// A field with its value.
#[repr(transparent)]
pub struct Field {
    handle: NonNull<u8>,
}

/// Where the parts lie, relative to the allocation.
#[derive(Clone, Copy)]
struct Shape {
    expires: bool,
    name_at: usize,
    name_len: usize,
    value_len: usize,
}

impl Shape {
    #[inline]
    fn new(expires: bool, name_len: usize, value_len: usize) -> Shape {
        let lengths = match short_code(name_len, value_len) {
            Some(_) => 1,
            None => 1 + raw::len_width(name_len) + raw::len_width(value_len),
        };
        Shape {
            expires,
            name_at: head_at(expires) + lengths,
            name_len,
            value_len,
        }
    }

    #[inline]
    fn value_at(self) -> usize {
        self.name_at + self.name_len
    }

    #[inline]
    fn size(self) -> usize {
        raw::rounded(self.value_at() + self.value_len)
    }
}

#[inline]
fn head_at(expires: bool) -> usize {
    if expires { 8 } else { 0 }
}

#[inline]
fn short_code(name_len: usize, value_len: usize) -> Option<u8> {
    let short = (1..=SHORT_NAME).contains(&name_len) && value_len <= SHORT_VALUE;
    const { assert!((SHORT_NAME - 1) * (SHORT_VALUE + 1) + SHORT_VALUE < LONG as usize) };
    short.then(|| ((name_len - 1) * (SHORT_VALUE + 1) + value_len) as u8)
}

// SAFETY: a field owns its allocation, which holds plain bytes.
unsafe impl Send for Field {}

// SAFETY: transparent over a handle whose bit 0 is the mark; the name's bytes never change while the handle lives.
unsafe impl Entry for Field {
    #[inline]
    fn key(&self) -> &[u8] {
        Field::key(self)
    }
}

impl Field {
    /// A new field.
    pub fn new(name: &[u8], value: &[u8], expire: Option<i64>) -> Field {
        let shape = Shape::new(expire.is_some(), name.len(), value.len());
        let field = Field {
            handle: raw::handle(raw::allocate(shape.size()), shape.expires),
        };
        // SAFETY: the allocation has this shape's size; the sources are borrowed and cannot be part of it.
        unsafe {
            if let Some(at) = expire {
                field.at(0).cast::<i64>().write(at);
            }
            field.put_lengths(shape);
            ptr::copy_nonoverlapping(name.as_ptr(), field.at(shape.name_at), name.len());
            ptr::copy_nonoverlapping(value.as_ptr(), field.at(shape.value_at()), value.len());
        }
        debug_assert!(
            field.pair() == (name, value),
            "both are where they are looked for"
        );
        debug_assert_eq!(field.expire(), expire);
        field
    }

    #[inline]
    fn at(&self, offset: usize) -> *mut u8 {
        raw::address(self.handle).as_ptr().wrapping_add(offset)
    }

    /// # Safety
    /// The allocation has the shape's size, and nothing borrows its head.
    unsafe fn put_lengths(&self, shape: Shape) {
        let head = self.at(head_at(shape.expires));
        // SAFETY: the shape reserves these bytes before the name.
        unsafe {
            match short_code(shape.name_len, shape.value_len) {
                Some(code) => head.write(code),
                None => {
                    head.write(LONG);
                    let value_len_at = raw::put_len(head.add(1), shape.name_len);
                    let end = raw::put_len(value_len_at, shape.value_len);
                    debug_assert_eq!(end, self.at(shape.name_at), "the name follows at once");
                }
            }
        }
    }

    #[inline]
    fn shape(&self) -> Shape {
        let expires = is_marked(self.handle);
        let head = self.at(head_at(expires)).cast_const();
        // SAFETY: every field has its lengths here, written by `put_lengths`.
        unsafe {
            let code = usize::from(head.read());
            if code != usize::from(LONG) {
                let (name_len, value_len) =
                    (1 + code / (SHORT_VALUE + 1), code % (SHORT_VALUE + 1));
                return Shape {
                    expires,
                    name_at: head_at(expires) + 1,
                    name_len,
                    value_len,
                };
            }
            let (name_len, next) = raw::get_len(head.add(1));
            let (value_len, name) = raw::get_len(next);
            let name_at = head_at(expires) + name.offset_from_unsigned(head);
            Shape {
                expires,
                name_at,
                name_len,
                value_len,
            }
        }
    }

    /// The field's name.
    #[inline]
    pub fn key(&self) -> &[u8] {
        let shape = self.shape();
        // SAFETY: the shape tells where the name's bytes are; they live as long as the field.
        unsafe { std::slice::from_raw_parts(self.at(shape.name_at), shape.name_len) }
    }

    /// The field's value.
    #[inline]
    pub fn value(&self) -> &[u8] {
        self.pair().1
    }

    /// Name and value.
    #[inline]
    pub fn pair(&self) -> (&[u8], &[u8]) {
        let shape = self.shape();
        // SAFETY: the shape tells where the bytes of both are; they live as long as the field.
        unsafe {
            (
                std::slice::from_raw_parts(self.at(shape.name_at), shape.name_len),
                std::slice::from_raw_parts(self.at(shape.value_at()), shape.value_len),
            )
        }
    }

    /// When the field expires, milliseconds since 1970.
    #[inline]
    pub fn expire(&self) -> Option<i64> {
        // SAFETY: the mark says that the expiry stands first, and allocations are aligned to 8.
        is_marked(self.handle).then(|| unsafe { self.at(0).cast::<i64>().read() })
    }

    /// Replaces the value, keeps the expiry. The allocation moves only if the size changes.
    pub fn set_value(&mut self, value: &[u8]) {
        let old = self.shape();
        if old.value_len == value.len() {
            // SAFETY: so many bytes are there; the value given cannot be part of what is borrowed exclusively.
            unsafe {
                ptr::copy_nonoverlapping(value.as_ptr(), self.at(old.value_at()), value.len())
            };
            return;
        }
        let new = Shape::new(old.expires, old.name_len, value.len());
        if new.name_at != old.name_at {
            *self = Field::new(self.key(), value, self.expire());
            return;
        }
        // SAFETY: `old` is the allocation's shape; after resizing it has the new one's size, and name and expiry stay where
        // they are because the name begins at the same place.
        unsafe {
            let ptr = raw::resize(raw::address(self.handle), old.size(), new.size());
            self.handle = raw::handle(ptr, old.expires);
            self.put_lengths(new);
            ptr::copy_nonoverlapping(value.as_ptr(), self.at(new.value_at()), value.len());
        }
        debug_assert!(self.value() == value, "the value is where it is looked for");
        debug_assert_eq!(
            self.mem_bytes(),
            new.size(),
            "freeing computes the size anew"
        );
    }

    /// Gives the field an expiry or takes it away.
    pub fn set_expire(&mut self, expire: Option<i64>) {
        match (is_marked(self.handle), expire) {
            (false, None) => {}
            // SAFETY: the mark says that the expiry stands first.
            (true, Some(at)) => unsafe { self.at(0).cast::<i64>().write(at) },
            _ => {
                let (name, value) = self.pair();
                *self = Field::new(name, value, expire);
            }
        }
        debug_assert_eq!(self.expire(), expire);
    }

    /// Moves the field's block, if it leaves.
    pub fn move_away(&mut self, mover: &mut Mover) {
        let (old, size) = (raw::address(self.handle), self.mem_bytes());
        if mover.takes(old.as_ptr(), size) {
            // SAFETY: the allocation has its shape's size; the handle is replaced at once.
            let moved = unsafe { raw::relocate(old, size) };
            self.handle = raw::handle(moved, is_marked(self.handle));
        }
    }

    /// Size of the allocation, bytes.
    #[inline]
    pub fn mem_bytes(&self) -> usize {
        self.shape().size()
    }
}

impl Drop for Field {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the allocation has its shape's size, and this is its last use.
        unsafe { raw::free(raw::address(self.handle), self.mem_bytes()) }
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, value) = self.pair();
        write!(
            f,
            "Field({} = {}, {:?})",
            name.escape_ascii(),
            value.escape_ascii(),
            self.expire()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_example() {
        let field = Field::new(b"foo", b"baz!!!!!", None);
        // SAFETY: the field takes 12 bytes, rounded to 16.
        let bytes = unsafe { std::slice::from_raw_parts(field.at(0), 12) };
        assert_eq!(bytes, b"\x2afoobaz!!!!!");
        assert_eq!(field.mem_bytes(), 16);
    }

    #[test]
    fn sizes_follow_lengths() {
        for (name, value, expire, size) in [
            (15, 16, None, 32),
            (15, 16, Some(1), 40),
            (16, 16, None, 40),
            (0, 0, None, 8),
            (1, 0, None, 8),
            (300, 3, None, 312),
        ] {
            assert_eq!(
                Field::new(&vec![b'n'; name], &vec![b'v'; value], expire).mem_bytes(),
                size,
                "{name} {value}"
            );
        }
    }
}
