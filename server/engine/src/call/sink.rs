//! What an answer may be written to instead of RESP bytes: a script's values, a recorder.
//!
//! A sink gets the elements of an answer in order, aggregates as a header and then what it holds. Some counts are known only
//! at the end, as in RESP bytes: then the header is put in at an earlier [`Sink::position`].

use std::any::Any;
use std::fmt::Debug;

/// What a header announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// So many elements.
    Array,
    /// So many pairs.
    Map,
    /// So many elements without order.
    Set,
    /// So many elements that answer no request.
    Push,
    /// So many pairs about the element that follows.
    Attribute,
}

/// Takes an answer element by element. RESP2 and RESP3 are [`Reply`](super::Reply) itself, so that the path of requests calls nothing
/// through a table; everything else is one of these behind it.
pub trait Sink: Debug {
    /// A status such as OK.
    fn simple(&mut self, text: &[u8]);
    /// An error, its first word included.
    fn error(&mut self, text: &[u8]);
    /// An integer.
    fn int(&mut self, i: i64);
    /// A string.
    fn bulk(&mut self, bytes: &[u8]);
    /// Nothing.
    fn null(&mut self);
    /// Nothing where an array was expected.
    fn null_array(&mut self);
    /// A number with a fraction.
    fn double(&mut self, d: f64);
    /// A number with a fraction, in digits that were chosen already.
    fn double_text(&mut self, digits: &[u8]);
    /// A truth value.
    fn bool(&mut self, b: bool);
    /// Text with a format of three letters.
    fn verbatim(&mut self, kind: &[u8; 3], bytes: &[u8]);
    /// An integer of any size, in digits.
    fn big_number(&mut self, digits: &[u8]);
    /// An aggregate of `n` elements or pairs follows.
    fn header(&mut self, shape: Shape, n: usize);
    /// How much was written; grows with each element.
    fn position(&self) -> usize;
    /// Puts a header in where [`Sink::position`] once was `at`.
    fn insert_header(&mut self, at: usize, shape: Shape, n: usize);
    /// Forgets what was written behind a position.
    fn truncate(&mut self, at: usize);
    /// Itself, for whoever made it.
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}
