//! Texts in the order of their bytes, without an allocation for each.
//!
//! ```text
//!   start   the first sixteen bytes: mostly they decide, and mostly they are the whole text
//!   text    as the file has it; an integer is made decimal where its bytes are asked for
//! ```
//!
//! What is sorted are places of items with a number each, which mostly decides: the items themselves, four times as large, stay where they are.

use cairn_format::rdb::Text;
use cairn_format::text::number::{I64Text, short_text};
use cairn_toolkit::start::Start;
use std::cmp::Ordering;

/// A text that is to be sorted.
#[derive(Debug)]
pub struct Ordered<'a> {
    start: Start,
    text: Text<'a>,
}

impl<'a> Ordered<'a> {
    /// The text.
    pub fn text(&self) -> &Text<'a> {
        &self.text
    }

    /// A number in the order of the texts, the same for some of them.
    pub fn number(&self) -> u64 {
        self.start.head()
    }

    /// How it begins.
    pub fn start(&self) -> &Start {
        &self.start
    }
}

impl<'a> From<Text<'a>> for Ordered<'a> {
    #[inline(always)]
    fn from(text: Text<'a>) -> Ordered<'a> {
        let start = match &text {
            Text::Int(value) => return Ordered::from(*value),
            Text::Bytes(bytes) => Start::of(bytes),
            Text::Owned(bytes) => Start::of(bytes),
        };
        Ordered { start, text }
    }
}

impl From<i64> for Ordered<'_> {
    #[inline(always)]
    fn from(value: i64) -> Self {
        let start = match short_text(value) {
            Some((text, len)) => Start::whole(text, len),
            None => Start::of(I64Text::new().format(value)),
        };
        let text = Text::Int(value);
        Ordered { start, text }
    }
}

/// The places of items, in order: the number of each above its place, so that a comparison is one of two numbers.
#[derive(Debug, Default)]
pub struct Order(Vec<u128>);

impl Order {
    /// Puts items in order: by `number`, and where that is the same by `rest`.
    pub fn sort<T>(
        &mut self,
        items: &[T],
        number: impl Fn(&T) -> u64,
        rest: impl Fn(&T, &T) -> Ordering,
    ) {
        let numbers = items.iter().map(|item| u128::from(number(item)) << 64);
        self.0.clear();
        self.0
            .extend((numbers.zip(0u64..)).map(|(number, place)| number | u128::from(place)));
        let has_lower = |a: &u128, b: &u128| number_in(*a) < number_in(*b);
        // As hashes that grew field by field and sorted sets mostly are.
        if self.0.is_sorted_by(has_lower) {
            return;
        }
        self.0.sort_unstable();
        if !self.0.is_sorted_by(has_lower) {
            for same in self.0.chunk_by_mut(|a, b| number_in(*a) == number_in(*b)) {
                same.sort_unstable_by(|a, b| rest(&items[place(*a)], &items[place(*b)]));
            }
        }
    }

    /// The items in that order.
    pub fn of<'i, T>(&'i self, items: &'i [T]) -> impl Iterator<Item = &'i T> {
        self.0.iter().map(|key| &items[place(*key)])
    }
}

/// The number in the upper half.
fn number_in(key: u128) -> u64 {
    (key >> 64) as u64
}

/// The place in the lower half.
fn place(key: u128) -> usize {
    key as u64 as usize
}

impl Ord for Ordered<'_> {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.start.order(&other.start).then_with(|| {
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
            Text::Bytes(b"0123456789abcdef"),
            Text::Bytes(b"0123456789abcdef\0"),
            Text::Bytes(b"0123456789abcdefg"),
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

    #[test]
    fn items_are_in_the_order_of_numbers_and_then_of_the_rest() {
        let mut state: u64 = 1;
        let mut order = Order::default();
        for len in (0..72).cycle().take(2_000) {
            let items: Vec<(u64, u64)> = (0..len)
                .map(|_| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    // Some numbers are the same, and some are the least and the largest.
                    let number = match state >> 61 {
                        0 => 0,
                        7 => u64::MAX,
                        some => some << 61,
                    };
                    (number, state >> 58 & 3)
                })
                .collect();
            order.sort(&items, |item| item.0, |a, b| a.1.cmp(&b.1));
            let sorted: Vec<_> = order.of(&items).copied().collect();
            let mut wanted = items.clone();
            wanted.sort();
            assert_eq!(sorted, wanted);
        }
    }
}
