//! Where a handler writes its answer: bytes appended straight to the connection's output, or to nowhere.
//!
//! Large shared values are not copied: they are kept beside the bytes, each at the offset where it belongs, and the
//! server writes both with one vectored write.

use bytes::Bytes;
use cairn_format::encoding::listpack::Entry;
use cairn_format::resp::reply as encode;
pub use cairn_format::resp::reply::Protocol;

use super::error::Error;

/// From this size on a stored value is shared with the reply instead of being copied into it, bytes.
pub const SHARE_FROM: usize = 16 * 1024;

/// The answers of one connection that wait to be sent.
#[derive(Debug)]
pub struct Reply {
    /// Encoded bytes.
    pub buf: Vec<u8>,
    /// Values to insert: (offset in `buf`, value), offsets rising.
    pub shared: Vec<(usize, Bytes)>,
    /// With so many bytes in `buf` it is full: the client is going to be cut off and sees nothing of it. What is shared takes
    /// its length off.
    pub limit: usize,
    /// RESP2 or RESP3.
    pub protocol: Protocol,
    /// Error replies written so far.
    pub errors: u64,
    /// Nothing is kept (CLIENT REPLY OFF, replay of a log).
    pub muted: bool,
}

/// A place where a length is written later.
#[derive(Debug)]
pub struct Mark(usize, usize);

impl Default for Reply {
    fn default() -> Self {
        Reply {
            buf: Vec::new(),
            shared: Vec::new(),
            limit: usize::MAX,
            protocol: Protocol::Resp2,
            errors: 0,
            muted: false,
        }
    }
}

impl Reply {
    /// A sink that keeps nothing but counts errors.
    pub fn discard() -> Reply {
        Reply {
            muted: true,
            ..Reply::default()
        }
    }

    /// Bytes that wait, the shared ones included.
    pub fn len(&self) -> usize {
        self.buf.len() + self.shared.iter().map(|(_, b)| b.len()).sum::<usize>()
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

    /// Cuts back to an earlier length; for a muted session after its command.
    pub fn truncate(&mut self, len: usize) {
        self.buf.truncate(len);
        while let Some((_, value)) = self.shared.pop_if(|(at, _)| *at > len) {
            self.limit = self.limit.saturating_add(value.len());
        }
    }

    /// `+OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.buf.extend_from_slice(b"+OK\r\n");
    }

    /// A simple string.
    pub fn simple(&mut self, text: &str) {
        encode::simple(&mut self.buf, text.as_bytes());
    }

    /// An error; counted.
    pub fn error(&mut self, error: &Error) {
        self.errors += 1;
        encode::error(&mut self.buf, error.bytes());
    }

    /// An integer.
    #[inline]
    pub fn int(&mut self, i: i64) {
        encode::int(&mut self.buf, i);
    }

    /// A bulk string.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        encode::bulk(&mut self.buf, bytes);
    }

    /// A bulk string with the decimal text of an integer.
    pub fn bulk_int(&mut self, i: i64) {
        encode::bulk_int(&mut self.buf, i);
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
        if bytes.len() < SHARE_FROM || self.muted {
            return self.bulk(bytes);
        }
        encode::bulk_header(&mut self.buf, bytes.len());
        self.shared.push((self.buf.len(), bytes.clone()));
        self.limit = self.limit.saturating_sub(bytes.len());
        self.buf.extend_from_slice(b"\r\n");
    }

    /// Nothing: `$-1` or `_`.
    #[inline]
    pub fn null(&mut self) {
        encode::null(&mut self.buf, self.protocol);
    }

    /// Nothing where an array was expected: `*-1` or `_`.
    pub fn null_array(&mut self) {
        encode::null_array(&mut self.buf, self.protocol);
    }

    /// Header of an array of `n` elements.
    #[inline]
    pub fn array(&mut self, n: usize) {
        encode::array_header(&mut self.buf, n);
    }

    /// Header of a map of `n` pairs; a flat array of twice as many in RESP2.
    pub fn map(&mut self, n: usize) {
        encode::map_header(&mut self.buf, self.protocol, n);
    }

    /// Header of a set; an array in RESP2.
    pub fn set(&mut self, n: usize) {
        encode::set_header(&mut self.buf, self.protocol, n);
    }

    /// Header of a push; an array in RESP2.
    pub fn push(&mut self, n: usize) {
        encode::push_header(&mut self.buf, self.protocol, n);
    }

    /// A double; a bulk string in RESP2.
    pub fn double(&mut self, d: f64) {
        encode::double(&mut self.buf, self.protocol, d);
    }

    /// A boolean; 1 or 0 in RESP2.
    pub fn bool(&mut self, b: bool) {
        encode::boolean(&mut self.buf, self.protocol, b);
    }

    /// Text with a format of three letters (`txt`, `mkd`); a bulk string in RESP2.
    pub fn verbatim(&mut self, kind: &[u8; 3], bytes: &[u8]) {
        encode::verbatim(&mut self.buf, self.protocol, kind, bytes);
    }

    /// A big number; a bulk string in RESP2.
    pub fn big_number(&mut self, digits: &str) {
        encode::big_number(&mut self.buf, self.protocol, digits.as_bytes());
    }

    /// Bytes that are encoded already.
    pub fn raw(&mut self, encoded: &[u8]) {
        self.buf.extend_from_slice(encoded);
    }

    /// Remembers this place for a header whose count is not known yet.
    pub fn mark(&self) -> Mark {
        Mark(self.buf.len(), self.shared.len())
    }

    /// Inserts an array header at a mark.
    pub fn array_at(&mut self, mark: Mark, n: usize) {
        self.header_at(mark, |buf, _| encode::array_header(buf, n));
    }

    /// Inserts a set header at a mark.
    pub fn set_at(&mut self, mark: Mark, n: usize) {
        self.header_at(mark, |buf, protocol| encode::set_header(buf, protocol, n));
    }

    /// Inserts a map header at a mark.
    pub fn map_at(&mut self, mark: Mark, n: usize) {
        self.header_at(mark, |buf, protocol| encode::map_header(buf, protocol, n));
    }

    fn header_at(&mut self, Mark(at, shared): Mark, write: impl Fn(&mut Vec<u8>, Protocol)) {
        let body = self.buf.len();
        write(&mut self.buf, self.protocol);
        let header = self.buf.len() - body;
        self.buf[at..].rotate_right(header);
        for (offset, _) in &mut self.shared[shared..] {
            *offset += header;
        }
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
        assert_eq!(reply.shared[0].0, reply.buf.len() - 2);
        assert_eq!(reply.len(), reply.buf.len() + SHARE_FROM);
    }

    #[test]
    fn truncating_drops_what_lay_behind() {
        let mut reply = Reply::default();
        reply.ok();
        reply.bulk_shared(&Bytes::from(vec![b'x'; SHARE_FROM]));
        reply.truncate(5);
        assert_eq!(
            (reply.buf.as_slice(), reply.shared.len(), reply.len()),
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
