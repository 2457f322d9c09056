//! Where a handler writes its answer: RESP bytes appended straight to the connection's output, or another [`Sink`].
//!
//! Large shared values are not copied: they are kept beside the bytes, each at the offset where it belongs, and the
//! server writes both with one vectored write.

use bytes::Bytes;
use cairn_format::encoding::listpack::Entry;
use cairn_format::resp::reply as encode;
pub use cairn_format::resp::reply::Protocol;

use super::sink::{Shape, Sink};
use crate::base::error::Error;

/// From this size on a stored value is shared with the reply instead of being copied into it, bytes.
pub const SHARE_FROM: usize = 16 * 1024;

/// The answers of one connection that wait to be sent.
#[derive(Debug)]
pub struct Reply {
    /// Encoded bytes.
    pub buf: Vec<u8>,
    /// Values to insert, if there are any: a pointer, since most replies are made and dropped without.
    shared: Option<Box<SharedValues>>,
    /// With so many bytes in `buf` it is full: the client is going to be cut off and sees nothing of it. What is shared takes
    /// its length off.
    pub limit: usize,
    /// RESP2 or RESP3.
    pub protocol: Protocol,
    /// Error replies written so far.
    pub errors: u64,
    /// Nothing is kept (CLIENT REPLY OFF, replay of a log).
    pub muted: bool,
    /// Takes everything in place of `buf`.
    other: Option<Box<dyn Sink>>,
}

/// Values that are not copied: (offset in `buf`, value), offsets rising.
#[derive(Debug, Default)]
struct SharedValues(Vec<(usize, Bytes)>);

/// A part of what waits.
#[derive(Debug)]
pub enum Piece<'a> {
    /// Encoded bytes.
    Bytes(&'a [u8]),
    /// A stored value.
    Shared(Bytes),
}

/// A place where a length is written later.
#[derive(Debug)]
pub struct Mark(usize, usize);

impl Default for Reply {
    fn default() -> Self {
        Reply {
            buf: Vec::new(),
            shared: None,
            limit: usize::MAX,
            protocol: Protocol::Resp2,
            errors: 0,
            muted: false,
            other: None,
        }
    }
}

impl Reply {
    /// An empty reply of a protocol.
    pub fn to(protocol: Protocol) -> Reply {
        Reply {
            protocol,
            ..Reply::default()
        }
    }

    /// A reply that goes on behind bytes that wait already; full at `limit` bytes.
    pub fn behind(buf: Vec<u8>, limit: usize) -> Reply {
        Reply {
            buf,
            limit,
            ..Reply::default()
        }
    }

    /// A sink that keeps nothing but counts errors.
    pub fn discard() -> Reply {
        Reply {
            muted: true,
            ..Reply::default()
        }
    }

    /// Answers go to `sink`, in the vocabulary that a client of `protocol` would get.
    pub fn into_sink(protocol: Protocol, sink: Box<dyn Sink>) -> Reply {
        Reply {
            other: Some(sink),
            ..Reply::to(protocol)
        }
    }

    /// The sink that was given to [`Reply::into_sink`].
    pub fn take_sink(&mut self) -> Option<Box<dyn Sink>> {
        self.other.take()
    }

    fn shared_values(&self) -> &[(usize, Bytes)] {
        self.shared.as_ref().map_or(&[], |shared| &shared.0)
    }

    /// Whether shared values stand between the bytes of `buf`.
    #[inline]
    pub fn has_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// Bytes that wait, the shared ones included.
    pub fn len(&self) -> usize {
        self.buf.len()
            + self
                .shared_values()
                .iter()
                .map(|(_, b)| b.len())
                .sum::<usize>()
    }

    /// Grows with each byte that is written, shared values included: differences of it are sizes of replies.
    #[inline]
    pub fn weight(&self) -> usize {
        self.buf.len().wrapping_sub(self.limit)
    }

    /// Hands all that waits out in order.
    pub fn each_piece(&self, mut take: impl FnMut(Piece<'_>)) {
        let mut from = 0;
        for (at, value) in self.shared_values() {
            debug_assert!(from <= *at && *at <= self.buf.len(), "the places rise");
            take(Piece::Bytes(&self.buf[from..*at]));
            take(Piece::Shared(value.clone()));
            from = *at;
        }
        take(Piece::Bytes(&self.buf[from..]));
    }

    /// The bytes that a client would read.
    pub fn flat(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len());
        self.each_piece(|piece| match piece {
            Piece::Bytes(part) => bytes.extend_from_slice(part),
            Piece::Shared(value) => bytes.extend_from_slice(&value),
        });
        bytes
    }

    /// Forgets what waits; keeps the memory.
    pub fn clear(&mut self) {
        self.buf.clear();
        self.shared = None;
    }

    /// Whether it is beyond its limit. Who could go on for ever should stop then: what follows is not sent.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.buf.len() >= self.limit
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.buf.is_empty()
    }

    /// A place to cut back to.
    #[inline]
    pub fn position(&self) -> usize {
        match &self.other {
            None => self.buf.len(),
            Some(sink) => sink.position(),
        }
    }

    /// Whether what stands behind an earlier position begins as an error does.
    pub fn is_error_from(&self, at: usize) -> bool {
        self.other.is_none() && self.buf.get(at) == Some(&b'-')
    }

    /// Cuts back to an earlier position; for a muted session after its command.
    pub fn truncate(&mut self, at: usize) {
        if let Some(sink) = &mut self.other {
            return sink.truncate(at);
        }
        debug_assert!(at <= self.buf.len(), "back, not on");
        self.buf.truncate(at);
        let Some(SharedValues(values)) = self.shared.as_deref_mut() else {
            return;
        };
        while let Some((_, value)) = values.pop_if(|(place, _)| *place > at) {
            self.limit = self.limit.saturating_add(value.len());
        }
    }

    /// `+OK`.
    #[inline]
    pub fn ok(&mut self) {
        match &mut self.other {
            None => self.buf.extend_from_slice(b"+OK\r\n"),
            Some(sink) => sink.simple(b"OK"),
        }
    }

    /// A simple string.
    pub fn simple(&mut self, text: impl AsRef<[u8]>) {
        let text = text.as_ref();
        match &mut self.other {
            None => encode::simple(&mut self.buf, text),
            Some(sink) => sink.simple(text),
        }
    }

    /// An error; counted.
    pub fn error(&mut self, error: &Error) {
        self.errors += 1;
        match &mut self.other {
            None => encode::error(&mut self.buf, error.bytes()),
            Some(sink) => sink.error(error.bytes().as_ref()),
        }
    }

    /// An integer.
    #[inline]
    pub fn int(&mut self, i: i64) {
        match &mut self.other {
            None => encode::int(&mut self.buf, i),
            Some(sink) => sink.int(i),
        }
    }

    /// A bulk string.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        match &mut self.other {
            None => encode::bulk(&mut self.buf, bytes),
            Some(sink) => sink.bulk(bytes),
        }
    }

    /// A bulk string with the decimal text of an integer.
    pub fn bulk_int(&mut self, i: i64) {
        match &mut self.other {
            None => encode::bulk_int(&mut self.buf, i),
            Some(sink) => sink.bulk(i.to_string().as_bytes()),
        }
    }

    /// An entry of a packed value, always as a bulk string.
    pub fn entry(&mut self, entry: Entry) {
        match entry {
            Entry::Int(i) => self.bulk_int(i),
            Entry::Str(bytes) => self.bulk(bytes),
        }
    }

    /// A stored string: shared from [`SHARE_FROM`] bytes up.
    pub fn bulk_shared(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARE_FROM || self.muted || self.other.is_some() {
            return self.bulk(bytes);
        }
        encode::bulk_header(&mut self.buf, bytes.len());
        let shared = self.shared.get_or_insert_default();
        debug_assert!(shared.0.last().is_none_or(|(at, _)| *at < self.buf.len()));
        shared.0.push((self.buf.len(), bytes.clone()));
        self.limit = self.limit.saturating_sub(bytes.len());
        self.buf.extend_from_slice(b"\r\n");
    }

    /// Nothing: `$-1` or `_`.
    #[inline]
    pub fn null(&mut self) {
        match &mut self.other {
            None => encode::null(&mut self.buf, self.protocol),
            Some(sink) => sink.null(),
        }
    }

    /// Nothing where an array was expected: `*-1` or `_`.
    pub fn null_array(&mut self) {
        match &mut self.other {
            None => encode::null_array(&mut self.buf, self.protocol),
            Some(sink) => sink.null_array(),
        }
    }

    /// Header of an array of `n` elements.
    #[inline]
    pub fn array(&mut self, n: usize) {
        match &mut self.other {
            None => encode::array_header(&mut self.buf, n),
            Some(sink) => sink.header(Shape::Array, n),
        }
    }

    /// Header of a map of `n` pairs; a flat array of twice as many in RESP2.
    pub fn map(&mut self, n: usize) {
        self.header(Shape::Map, n);
    }

    /// Header of a set; an array in RESP2.
    pub fn set(&mut self, n: usize) {
        self.header(Shape::Set, n);
    }

    /// Header of a push; an array in RESP2.
    pub fn push(&mut self, n: usize) {
        self.header(Shape::Push, n);
    }

    /// Header of an attribute: `n` pairs about the element that follows them. Only RESP3 has it.
    pub fn attribute(&mut self, n: usize) {
        self.header(Shape::Attribute, n);
    }

    fn header(&mut self, shape: Shape, n: usize) {
        match &mut self.other {
            None => write_header(&mut self.buf, self.protocol, shape, n),
            Some(sink) => sink.header(shape, n),
        }
    }

    /// A double; a bulk string in RESP2.
    pub fn double(&mut self, d: f64) {
        match &mut self.other {
            None => encode::double(&mut self.buf, self.protocol, d),
            Some(sink) => sink.double(d),
        }
    }

    /// A double in digits of the caller's choice; a bulk string in RESP2.
    pub fn double_text(&mut self, digits: &[u8]) {
        match &mut self.other {
            None => encode::double_text(&mut self.buf, self.protocol, digits),
            Some(sink) => sink.double_text(digits),
        }
    }

    /// A boolean; 1 or 0 in RESP2.
    pub fn bool(&mut self, b: bool) {
        match &mut self.other {
            None => encode::boolean(&mut self.buf, self.protocol, b),
            Some(sink) => sink.bool(b),
        }
    }

    /// Text with a format of three letters (`txt`, `mkd`); a bulk string in RESP2.
    pub fn verbatim(&mut self, kind: &[u8; 3], bytes: &[u8]) {
        match &mut self.other {
            None => encode::verbatim(&mut self.buf, self.protocol, kind, bytes),
            Some(sink) => sink.verbatim(kind, bytes),
        }
    }

    /// A big number; a bulk string in RESP2.
    pub fn big_number(&mut self, digits: impl AsRef<[u8]>) {
        let digits = digits.as_ref();
        match &mut self.other {
            None => encode::big_number(&mut self.buf, self.protocol, digits),
            Some(sink) => sink.big_number(digits),
        }
    }

    /// Remembers this place for a header whose count is not known yet.
    pub fn mark(&self) -> Mark {
        Mark(self.position(), self.shared_values().len())
    }

    /// Inserts an array header at a mark.
    pub fn array_at(&mut self, mark: Mark, n: usize) {
        self.header_at(mark, Shape::Array, n);
    }

    /// Inserts a map header at a mark.
    pub fn map_at(&mut self, mark: Mark, n: usize) {
        self.header_at(mark, Shape::Map, n);
    }

    fn header_at(&mut self, Mark(at, shared): Mark, shape: Shape, n: usize) {
        if let Some(sink) = &mut self.other {
            return sink.insert_header(at, shape, n);
        }
        let body = self.buf.len();
        write_header(&mut self.buf, self.protocol, shape, n);
        debug_assert!(at <= body, "the place is gone");
        let header = self.buf.len() - body;
        self.buf[at..].rotate_right(header);
        let values = self.shared.iter_mut().flat_map(|values| &mut values.0);
        for (offset, _) in values.skip(shared) {
            *offset += header;
        }
    }
}

fn write_header(buf: &mut Vec<u8>, protocol: Protocol, shape: Shape, n: usize) {
    match shape {
        Shape::Array => encode::array_header(buf, n),
        Shape::Map => encode::map_header(buf, protocol, n),
        Shape::Set => encode::set_header(buf, protocol, n),
        Shape::Push => encode::push_header(buf, protocol, n),
        Shape::Attribute => encode::attribute_header(buf, n),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_patched_in_before_what_follows_it() {
        let mut reply = Reply::default();
        reply.ok();
        let mark = reply.mark();
        reply.int(7);
        reply.bulk_shared(&Bytes::from(vec![b'x'; SHARE_FROM]));
        reply.array_at(mark, 2);
        assert_eq!(reply.buf, b"+OK\r\n*2\r\n:7\r\n$16384\r\n\r\n");
        assert_eq!(reply.shared_values()[0].0, reply.buf.len() - 2);
        assert_eq!(reply.len(), reply.buf.len() + SHARE_FROM);
    }

    #[test]
    fn truncating_drops_what_lay_behind() {
        let mut reply = Reply::default();
        reply.ok();
        reply.bulk_shared(&Bytes::from(vec![b'x'; SHARE_FROM]));
        reply.truncate(5);
        assert_eq!(
            (
                reply.buf.as_slice(),
                reply.shared_values().len(),
                reply.len()
            ),
            (b"+OK\r\n".as_slice(), 0, 5)
        );
    }

    #[test]
    fn shared_values_count_for_the_limit() {
        let mut reply = Reply {
            limit: SHARE_FROM + 20,
            ..Reply::default()
        };
        reply.bulk(&[b'x'; 8]);
        assert!(!reply.is_full());
        reply.bulk_shared(&Bytes::from(vec![b'x'; SHARE_FROM]));
        assert!(reply.is_full());
    }
}
