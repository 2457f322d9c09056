//! What a command answers, kept element by element until it becomes values of Lua. No RESP is made and parsed for that.

use std::any::Any;
use std::ops::Range;

use crate::call::sink::{Shape, Sink};

/// An element; texts are ranges of [`Tape::bytes`].
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item {
    Simple(Range<usize>),
    Error(Range<usize>),
    Int(i64),
    Bulk(Range<usize>),
    Null,
    Double(f64),
    Digits(Range<usize>),
    Bool(bool),
    Verbatim([u8; 3], Range<usize>),
    BigNumber(Range<usize>),
    Header(Shape, usize),
}

/// An answer.
#[derive(Debug, Default)]
pub(super) struct Tape {
    pub(super) items: Vec<Item>,
    bytes: Vec<u8>,
}

/// Bytes and elements that are kept from one command to the next.
const KEPT: usize = 64 * 1024;

impl Tape {
    pub(super) fn clear(&mut self) {
        self.items.clear();
        self.items.shrink_to(KEPT);
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
    }

    pub(super) fn text(&self, range: &Range<usize>) -> &[u8] {
        &self.bytes[range.clone()]
    }

    fn keep(&mut self, text: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(text);
        start..self.bytes.len()
    }
}

impl Sink for Tape {
    fn simple(&mut self, text: &[u8]) {
        let text = self.keep(text);
        self.items.push(Item::Simple(text));
    }

    fn error(&mut self, text: &[u8]) {
        let text = self.keep(text);
        self.items.push(Item::Error(text));
    }

    fn int(&mut self, i: i64) {
        self.items.push(Item::Int(i));
    }

    fn bulk(&mut self, bytes: &[u8]) {
        let text = self.keep(bytes);
        self.items.push(Item::Bulk(text));
    }

    fn null(&mut self) {
        self.items.push(Item::Null);
    }

    fn null_array(&mut self) {
        self.items.push(Item::Null);
    }

    fn double(&mut self, d: f64) {
        self.items.push(Item::Double(d));
    }

    fn double_text(&mut self, digits: &[u8]) {
        let text = self.keep(digits);
        self.items.push(Item::Digits(text));
    }

    fn bool(&mut self, b: bool) {
        self.items.push(Item::Bool(b));
    }

    fn verbatim(&mut self, kind: &[u8; 3], bytes: &[u8]) {
        let text = self.keep(bytes);
        self.items.push(Item::Verbatim(*kind, text));
    }

    fn big_number(&mut self, digits: &[u8]) {
        let text = self.keep(digits);
        self.items.push(Item::BigNumber(text));
    }

    fn header(&mut self, shape: Shape, n: usize) {
        self.items.push(Item::Header(shape, n));
    }

    fn position(&self) -> usize {
        self.items.len()
    }

    fn insert_header(&mut self, at: usize, shape: Shape, n: usize) {
        self.items.insert(at, Item::Header(shape, n));
    }

    fn truncate(&mut self, at: usize) {
        self.items.truncate(at);
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
