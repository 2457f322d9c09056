//! Texts in the order of their bytes, without an allocation for each.
//!
//! ```text
//!   head    the first eight bytes as one number, zeros behind a shorter text: mostly it decides
//!   text    as the file has it; an integer is made decimal where its bytes are asked for
//! ```
//!
//! Invariant: where two heads differ, so do the bytes, and in the same direction; only equal heads ask for the bytes.

use cairn_format::rdb::Text;
use cairn_format::text::number::I64Text;
use std::cmp::Ordering;

/// A text that is to be sorted.
#[derive(Debug)]
pub struct Ordered<'a> {
    head: u64,
    text: Text<'a>,
}

impl<'a> Ordered<'a> {
    /// The text.
    pub fn text(&self) -> &Text<'a> {
        &self.text
    }
}

impl<'a> From<Text<'a>> for Ordered<'a> {
    #[inline]
    fn from(text: Text<'a>) -> Ordered<'a> {
        let head = head(text.bytes(&mut I64Text::new()));
        Ordered { head, text }
    }
}

#[inline]
fn head(bytes: &[u8]) -> u64 {
    if let Some(first) = bytes.first_chunk() {
        return u64::from_be_bytes(*first);
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        // From both ends, where they may overlap, being the same bytes.
        let (first, last) = (u32::from_be_bytes(*first), u32::from_be_bytes(*last));
        return u64::from(first) << 32 | u64::from(last) << (8 * (8 - bytes.len()));
    }
    let put = |head, (at, byte): (usize, &u8)| head | u64::from(*byte) << (56 - 8 * at);
    bytes.iter().enumerate().fold(0, put)
}

impl Ord for Ordered<'_> {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.head.cmp(&other.head).then_with(|| {
            let (mut one, mut two) = (I64Text::new(), I64Text::new());
            self.text.bytes(&mut one).cmp(other.text.bytes(&mut two))
        })
    }
}

impl PartialOrd for Ordered<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ordered<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ordered<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_bytes() {
        let texts = [
            Text::Bytes(b""),
            Text::Bytes(b"\0"),
            Text::Bytes(b"a"),
            Text::Bytes(b"a\0"),
            Text::Bytes(b"a\0\0\0\0\0\0\0"),
            Text::Bytes(b"a\0\0\0\0\0\0\0\0"),
            Text::Bytes(b"field:10"),
            Text::Owned(b"field:100".to_vec()),
            Text::Owned(b"field:1".to_vec()),
            Text::Bytes(b"\xff\xff\xff\xff\xff\xff\xff\xff"),
            Text::Int(0),
            Text::Int(9),
            Text::Int(10),
            Text::Int(-10),
            Text::Int(i64::MIN),
            Text::Int(i64::MAX),
        ];
        for a in &texts {
            for b in &texts {
                let (one, other) = (Ordered::from(a.clone()), Ordered::from(b.clone()));
                assert_eq!(one.cmp(&other), a.to_vec().cmp(&b.to_vec()), "{a:?} {b:?}");
            }
        }
    }
}
