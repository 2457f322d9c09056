//! A pattern of keys, taken apart once, so that a key is compared with it without reading it again, and so that it can be told where in the
//! key each of its parts was found.

use cairn_format::text::glob::match_one;

/// What one byte is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Element {
    Byte(u8),
    Any,
    /// A bit for each byte.
    OneOf(Box<[u64; 4]>),
}

impl Element {
    fn takes(&self, byte: u8) -> bool {
        match self {
            Element::Byte(own) => *own == byte,
            Element::Any => true,
            Element::OneOf(bits) => bits[usize::from(byte / 64)] >> (byte % 64) & 1 == 1,
        }
    }

    /// The first element of a pattern, and its size.
    fn first_of(pattern: &[u8]) -> (Element, usize) {
        let taken = |byte| Some((byte, match_one(pattern, byte, false)?));
        let all: Vec<(u8, usize)> = (0..=u8::MAX).filter_map(taken).collect();
        let element = match all[..] {
            [(byte, _)] => Element::Byte(byte),
            _ if all.len() == 256 => Element::Any,
            _ => {
                let mut bits = [0; 4];
                for (byte, _) in &all {
                    bits[usize::from(byte / 64)] |= 1 << (byte % 64);
                }
                Element::OneOf(Box::new(bits))
            }
        };
        // What takes no byte ends the pattern: nothing that is behind it is ever reached.
        (
            element,
            all.first().map_or(pattern.len(), |(_, size)| *size),
        )
    }
}

/// What stands between two stars.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    elements: Box<[Element]>,
    /// The same where each is one byte; empty where one is more.
    text: Box<[u8]>,
    /// A bit for each of the first elements that is not any byte, the first in the lowest place.
    counts: u64,
    /// The same from the last one on.
    counts_back: u64,
}

impl Part {
    fn new(elements: Vec<Element>) -> Part {
        let byte = |element: &Element| match element {
            Element::Byte(byte) => Some(*byte),
            _ => None,
        };
        let text: Option<Box<[u8]>> = elements.iter().map(byte).collect();
        Part {
            text: text.unwrap_or_default(),
            counts: bits_of(elements.iter()),
            counts_back: bits_of(elements.iter().rev()),
            elements: elements.into(),
        }
    }

    fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether a text begins with it.
    fn begins(&self, text: &[u8]) -> bool {
        if self.text.len() == self.elements.len() {
            return text.starts_with(&self.text);
        }
        let mut pairs = self.elements.iter().zip(text);
        text.len() >= self.elements.len() && pairs.all(|(element, byte)| element.takes(*byte))
    }
}

/// A bit for each of the first 64 elements that is not any byte.
fn bits_of<'e>(elements: impl Iterator<Item = &'e Element>) -> u64 {
    let counted = elements.take(64).enumerate();
    let bits = counted.map(|(at, element)| u64::from(*element != Element::Any) << at);
    bits.sum()
}

/// A pattern as its parts between stars.
#[derive(Debug, PartialEq, Eq)]
pub struct Glob {
    parts: Box<[Part]>,
    /// The least length of a key.
    least: usize,
}

/// Where a pattern was found in a key: a key with the same bytes there, of such a length, is one of the pattern's as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fit {
    /// A bit for each of the first bytes that counts, the first in the lowest place.
    pub front: u64,
    /// A bit for each of the last ones, the last in the lowest place.
    pub back: u64,
    /// Bytes count that have no bit.
    pub is_beyond: bool,
    /// The least length, and whether it is the only one.
    pub least: usize,
    /// See `least`.
    pub is_exact: bool,
}

impl Fit {
    /// A part was found with `before` bytes in front of it.
    fn note_front(&mut self, part: &Part, before: usize) {
        self.is_beyond |= before + part.len() > 64;
        let bits = part.counts.checked_shl(before as u32);
        self.front |= bits.unwrap_or_default();
    }

    /// A part was found at the end.
    fn note_back(&mut self, part: &Part) {
        self.is_beyond |= part.len() > 64;
        self.back = part.counts_back;
    }
}

impl Glob {
    /// Takes a pattern apart.
    pub fn new(pattern: &[u8]) -> Glob {
        let mut parts = vec![Vec::new()];
        let mut rest = pattern;
        while let [first, behind @ ..] = rest {
            if *first == b'*' {
                parts.push(Vec::new());
                rest = behind;
                continue;
            }
            let (element, size) = Element::first_of(rest);
            parts.last_mut().expect("one at the least").push(element);
            rest = &rest[size..];
        }
        let sum = parts.iter().map(Vec::len).sum::<usize>();
        Glob {
            // Of stars alone only a single one takes the empty key.
            least: sum.max(usize::from(parts.len() > 2)),
            parts: parts.into_iter().map(Part::new).collect(),
        }
    }

    /// Where the pattern is found in a key, if the key is one of its.
    pub fn fit(&self, key: &[u8]) -> Option<Fit> {
        let (head, others) = self.parts.split_first().expect("one at the least");
        if key.len() < self.least || !head.begins(key) {
            return None;
        }
        let mut fit = Fit::default();
        fit.note_front(head, 0);
        let Some((tail, middles)) = others.split_last() else {
            fit.least = head.len();
            fit.is_exact = true;
            return (key.len() == head.len()).then_some(fit);
        };
        let (before_tail, last) = key.split_at(key.len() - tail.len());
        if !tail.begins(last) {
            return None;
        }
        fit.note_back(tail);
        let mut from = head.len();
        for part in middles {
            let until = before_tail.len().checked_sub(part.len())?;
            // The first place leaves the most to those behind.
            let at = (from..=until).find(|at| part.begins(&before_tail[*at..]))?;
            fit.note_front(part, at);
            from = at + part.len();
        }
        fit.least = self.least.max(from + tail.len());
        Some(fit)
    }

    /// A key of the pattern, if all of its keys have the same bytes at the same places.
    pub fn example(&self) -> Option<Box<[u8]>> {
        let elements = self.parts.iter().flat_map(|part| &part.elements);
        let byte = |element: &Element| match element {
            Element::Byte(byte) => Some(*byte),
            Element::Any => Some(0),
            Element::OneOf(_) => None,
        };
        let example = elements.map(byte).collect::<Option<_>>();
        example.filter(|_| self.parts.len() <= 2)
    }
}
