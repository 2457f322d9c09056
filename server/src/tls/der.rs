//! DER, as far as certificates and encrypted keys need it: one value behind the other, each with its tag and length.
//!
//! ```text
//!   tag  length                      contents
//!   30   82 01 0a (266, big endian)  ...
//! ```
//! Lengths are definite, and of four bytes at most.

/// A row of elements.
pub const SEQUENCE: u8 = 0x30;
/// A whole number.
pub const INTEGER: u8 = 0x02;
/// Bits; the first byte says how many of the last are unused.
pub const BIT_STRING: u8 = 0x03;
/// Bytes.
pub const OCTET_STRING: u8 = 0x04;
/// The name of a thing, in numbers.
pub const OBJECT: u8 = 0x06;
/// Seconds since a year of two digits.
pub const UTC_TIME: u8 = 0x17;
/// The same with four.
pub const GENERALIZED_TIME: u8 = 0x18;

/// Reads values from the front of bytes that nobody trusts.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads these bytes.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    /// The tag of the next value.
    pub fn tag(self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next value: its tag, its contents, and both with the length between them.
    pub fn any(&mut self) -> Option<(u8, &'a [u8], &'a [u8])> {
        let (&tag, &short) = (self.0.first()?, self.0.get(1)?);
        let (head, length) = match short {
            0..=0x7f => (2, usize::from(short)),
            0x81..=0x84 => {
                let count = usize::from(short & 0x7f);
                let digits = self.0.get(2..2 + count)?;
                let length = digits
                    .iter()
                    .fold(0usize, |n, byte| n << 8 | usize::from(*byte));
                (2 + count, length)
            }
            _ => return None,
        };
        let whole = self.0.get(..head.checked_add(length)?)?;
        self.0 = &self.0[whole.len()..];
        Some((tag, &whole[head..], whole))
    }

    /// The contents of the next value, if it has this tag.
    pub fn value(&mut self, tag: u8) -> Option<&'a [u8]> {
        match self.tag() == Some(tag) {
            true => Some(self.any()?.1),
            false => None,
        }
    }

    /// The elements of the next value, if it is a row.
    pub fn sequence(&mut self) -> Option<Reader<'a>> {
        self.value(SEQUENCE).map(Reader)
    }

    /// The next value, if it is a whole number that is not negative and not too large.
    pub fn number(&mut self) -> Option<u64> {
        let bytes = self.value(INTEGER)?;
        let is_small = !bytes.is_empty() && bytes.len() <= 8 && bytes[0] < 0x80;
        is_small.then(|| bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_one_behind_the_other() {
        let mut reader = Reader::new(&[0x30, 3, 2, 1, 5, 4, 0x81, 1, 9, 2, 2, 1, 0]);
        assert_eq!(reader.sequence().unwrap().number(), Some(5));
        assert_eq!(reader.value(OBJECT), None);
        assert_eq!(reader.value(OCTET_STRING), Some(&[9][..]));
        assert_eq!(reader.number(), Some(256));
        assert_eq!(reader.tag(), None);
    }

    #[test]
    fn what_is_cut_or_too_long_is_nothing() {
        for bytes in [
            &[][..],
            &[0x30],
            &[0x30, 2, 0],
            &[0x30, 0x80, 0, 0],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x30, 0x85, 0, 0, 0, 0, 1],
        ] {
            assert_eq!(Reader::new(bytes).any(), None, "{bytes:?}");
        }
        assert_eq!(Reader::new(&[2, 1, 0x80]).number(), None, "negative");
        assert_eq!(Reader::new(&[2, 0]).number(), None, "no digits");
    }
}
