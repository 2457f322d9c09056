//! The bytes that go to a client: what commands append, and large values that are shared instead of copied.
//!
//! ```text
//!   chain: [Owned][Shared][Owned]...   tail: Vec<u8>, where replies are appended
//!    ^ sent bytes of the first piece (of the tail when the chain is empty)
//! ```
//!
//! Invariants: no piece of the chain is empty; `pending` is the sum of all lengths less `sent`; `sent` is less than
//! the length of the first piece, or 0 when nothing is pending.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::Bytes;

use crate::host::Outlet;

/// Values of at least so many bytes are worth sharing instead of copying.
pub const SHARED_MIN: usize = 16 * 1024;
/// A tail that grew beyond this is made a piece of the chain when the socket is full, so that it is neither copied
/// as it grows nor moved as it is sent.
const TAIL_MAX: usize = 64 * 1024;
/// A tail beyond this is not kept for the next replies.
const TAIL_KEPT: usize = 256 * 1024;
/// Pieces in one vectored write.
const PIECES_MAX: usize = 64;
/// Bytes written to one client in one turn; the others wait meanwhile.
const TURN_MAX: usize = 1 << 20;
/// A tail below twice this is as small as a client that gets replies needs it.
const TAIL_MIN: usize = 1024;
/// The reply buffer that Redis gives each client; CLIENT LIST counts it apart from the list of further blocks.
const REPLY_BUFFER: usize = 16 * 1024;

#[derive(Debug)]
enum Piece {
    Owned(Vec<u8>),
    Shared(Bytes),
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Piece::Owned(bytes) => bytes,
            Piece::Shared(bytes) => bytes,
        }
    }
}

/// The replies that wait for the socket.
#[derive(Debug, Default)]
pub struct Output {
    tail: Vec<u8>,
    chain: VecDeque<Piece>,
    chain_bytes: usize,
    sent: usize,
    /// Most bytes that a tail had when it was sent, since `peak_since_ms`.
    peak: usize,
    peak_since_ms: u64,
    /// Room of the tail at the last [`Self::trim`].
    room: usize,
}

/// Whether and when what was needed of a client's room for replies is forgotten.
#[derive(Clone, Copy, Debug)]
pub struct ReplyTrim {
    /// Whether any of it is ever given back.
    pub on: bool,
    /// What was needed is forgotten after so many milliseconds; none: never.
    pub forget_ms: Option<u64>,
}

impl Default for ReplyTrim {
    fn default() -> Self {
        ReplyTrim {
            on: true,
            forget_ms: Some(5000),
        }
    }
}

/// How often the room for replies was made larger or smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resized {
    /// It was larger than at the look before.
    pub expands: u64,
    /// It became smaller.
    pub shrinks: u64,
}

impl Output {
    /// An empty output that holds no memory.
    pub fn new() -> Output {
        Output::default()
    }

    /// Where replies are appended. Only append: what is in front may be partly sent already.
    #[inline]
    pub fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.tail
    }

    /// Appends a value without copying it.
    pub fn push_shared(&mut self, value: Bytes) {
        if value.is_empty() {
            return;
        }
        self.seal();
        self.chain_bytes += value.len();
        self.chain.push_back(Piece::Shared(value));
        debug_assert_eq!(self.check(), Ok(()));
    }

    /// Makes the tail a piece of the chain, so that something else can follow it.
    fn seal(&mut self) {
        if self.tail.is_empty() {
            return;
        }
        let block = std::mem::take(&mut self.tail);
        self.chain_bytes += block.len();
        self.chain.push_back(Piece::Owned(block));
    }

    /// Bytes that wait. While a batch runs the tail is with it and does not count, nor does what was sent of it.
    #[inline]
    pub fn pending(&self) -> usize {
        (self.chain_bytes + self.tail.len()).saturating_sub(self.sent)
    }

    /// Bytes that count for the limits of what may wait: all, once they do not fit into the fixed buffer. Redis counts whole
    /// blocks beyond that buffer; the difference is less than two blocks.
    #[inline]
    pub fn limited_bytes(&self) -> usize {
        match self.pending() {
            0..=REPLY_BUFFER => 0,
            pending => pending,
        }
    }

    /// The length of the tail with which `limit` is reached.
    pub fn tail_max(&self, limit: usize) -> usize {
        limit
            .max(REPLY_BUFFER + 1)
            .saturating_add(self.sent)
            .saturating_sub(self.chain_bytes)
    }

    /// Whether nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.pending() == 0
    }

    /// `obl` of CLIENT LIST: bytes that would be in Redis's fixed reply buffer.
    pub fn buffer_len(&self) -> usize {
        self.pending().min(REPLY_BUFFER)
    }

    /// `oll` of CLIENT LIST: blocks beyond the fixed buffer.
    pub fn list_len(&self) -> usize {
        let beyond = self.pending().saturating_sub(REPLY_BUFFER);
        if beyond == 0 {
            0
        } else {
            (self.chain.len()).max(1)
        }
    }

    /// `omem` of CLIENT LIST: bytes beyond the fixed buffer; shared values count with their length.
    pub fn list_bytes(&self) -> usize {
        self.pending().saturating_sub(REPLY_BUFFER)
    }

    /// Bytes of memory held, shared values counted in full.
    pub fn memory(&self) -> usize {
        self.tail.capacity() + self.chain_bytes + self.chain.capacity() * size_of::<Piece>()
    }

    /// Forgets everything that waits.
    pub fn clear(&mut self) {
        *self = Output::default();
    }

    /// Most bytes that one flush found here, as far back as that is remembered (`rbp` of CLIENT LIST).
    pub fn peak(&self) -> usize {
        self.peak.max(self.tail.len())
    }

    /// Gives memory back that replies do not need, as Redis 7.2 does: of a tail of which less than half was needed, what was not
    /// needed; all, if none was. What was needed is forgotten after a time, or when the client is idle. Call it about once a second.
    /// Answers what became of the room since the last call.
    pub fn trim(&mut self, now_ms: u64, idle: bool, policy: ReplyTrim) -> Resized {
        if !policy.on {
            return Resized::default();
        }
        let grown = self.tail.capacity().max(self.room);
        let expands = u64::from(grown > self.room);
        if idle && policy.forget_ms.is_some() {
            self.peak = 0;
        }
        if self.is_empty() {
            self.give_back();
        }
        let remembered_ms = now_ms.saturating_sub(self.peak_since_ms);
        if policy.forget_ms.is_some_and(|ms| remembered_ms > ms) {
            self.peak = 0;
            self.peak_since_ms = now_ms;
        }
        self.room = self.tail.capacity();
        Resized {
            expands,
            shrinks: u64::from(self.room < grown),
        }
    }

    fn give_back(&mut self) {
        debug_assert!(self.tail.is_empty(), "nothing waits");
        if self.peak == 0 {
            self.tail = Vec::new();
            self.chain = VecDeque::new();
        } else if self.tail.capacity() / 2 > self.peak.max(TAIL_MIN) {
            self.tail = Vec::with_capacity(self.peak.max(TAIL_MIN));
        }
    }

    /// Writes until everything is sent, the socket takes no more, or the turn is over. Returns the bytes written and
    /// whether all is sent. A socket that takes less than offered is full: it is not asked again.
    pub fn write_to(&mut self, stream: &mut dyn Outlet) -> io::Result<(usize, bool)> {
        let mut written = 0;
        while !self.is_empty() && written < TURN_MAX {
            let (offered, answer) = self.write_once(stream);
            match answer {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    debug_assert!(count <= offered, "the socket took what it was not given");
                    self.advance(count);
                    written += count;
                    if count < offered {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.tail.len() > TAIL_MAX {
            self.seal();
        }
        debug_assert_eq!(self.check(), Ok(()));
        Ok((written, self.is_empty()))
    }

    /// As [`Output::write_to`], for the same reason as [`Output::advance_apart`].
    #[inline(never)]
    pub(super) fn write_apart(&mut self, stream: &mut dyn Outlet) -> io::Result<(usize, bool)> {
        self.write_to(stream)
    }

    /// One system call; returns the bytes offered and what became of them.
    fn write_once(&self, stream: &mut dyn Outlet) -> (usize, io::Result<usize>) {
        debug_assert!(!self.is_empty(), "an empty write means an end");
        let Some(first) = self.chain.front() else {
            let bytes = &self.tail[self.sent..];
            return (bytes.len(), stream.write(bytes));
        };
        // Where it may stay as it is, a shared value goes by itself.
        let apart = stream.keeps_shared();
        if let (true, Piece::Shared(value)) = (apart, first) {
            let answer = stream.write_shared(value, self.sent);
            return (value.len() - self.sent, answer);
        }
        let is_shared = |piece: &Piece| matches!(piece, Piece::Shared(_));
        let next = apart.then(|| self.chain.iter().position(is_shared));
        let end = next.flatten().unwrap_or(self.chain.len());
        let mut slices = [IoSlice::new(&[]); PIECES_MAX];
        let mut count = 0;
        let mut offered = 0;
        let has_tail = end == self.chain.len() && !self.tail.is_empty();
        let tail = has_tail.then_some(&self.tail[..]);
        let pieces = self.chain.range(..end).map(Piece::bytes).chain(tail);
        for (slice, piece) in slices.iter_mut().zip(pieces) {
            let bytes = if count == 0 {
                &piece[self.sent..]
            } else {
                piece
            };
            *slice = IoSlice::new(bytes);
            offered += bytes.len();
            count += 1;
        }
        debug_assert!(offered > 0, "an empty write means an end");
        (offered, stream.write_vectored(&slices[..count]))
    }

    /// What waits, piece by piece.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let pieces = self.chain.iter().map(Piece::bytes).chain([&self.tail[..]]);
        pieces.enumerate().map(|(n, piece)| match n {
            0 => &piece[self.sent.min(piece.len())..],
            _ => piece,
        })
    }

    /// As [`Output::advance`], which stands in the loop of all others and would be a call there if it stood here as well.
    #[inline(never)]
    pub(super) fn advance_apart(&mut self, count: usize) {
        self.advance(count);
    }

    /// Drops the first `count` bytes that wait.
    #[inline(always)]
    fn advance(&mut self, count: usize) {
        assert!(
            count <= self.pending(),
            "{count} of {} bytes sent",
            self.pending()
        );
        self.sent += count;
        while let Some(first) = self.chain.front() {
            let len = first.bytes().len();
            if self.sent < len {
                debug_assert_eq!(self.check(), Ok(()));
                return;
            }
            self.sent -= len;
            self.chain_bytes -= len;
            self.chain.pop_front();
        }
        assert!(self.sent <= self.tail.len(), "more sent than there was");
        if self.sent == self.tail.len() {
            self.sent = 0;
            self.reuse_tail();
        }
    }

    /// What must hold while no batch has the tail.
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self) -> Result<(), String> {
        if self.chain.iter().any(|piece| piece.bytes().is_empty()) {
            return Err("an empty piece".to_owned());
        }
        let pieces: usize = self.chain.iter().map(|piece| piece.bytes().len()).sum();
        if pieces != self.chain_bytes {
            return Err(format!(
                "{pieces} bytes in pieces, {} counted",
                self.chain_bytes
            ));
        }
        let first = self
            .chain
            .front()
            .map_or(self.tail.len(), |piece| piece.bytes().len());
        match self.sent > 0 && self.sent >= first {
            true => Err(format!("{} bytes sent of {first}", self.sent)),
            false => Ok(()),
        }
    }

    /// Empties the tail. Its memory is kept for the next replies if they are likely to need it: what lies idle here counts
    /// against `maxmemory`, and keys would have to go for it.
    fn reuse_tail(&mut self) {
        debug_assert!(
            self.sent == 0 && self.chain_bytes == 0,
            "something is sent before it, or of it"
        );
        let (used, held) = (self.tail.len(), self.tail.capacity());
        self.peak = self.peak.max(used);
        if held > TAIL_KEPT || (held > TAIL_MAX && used < held / 4) {
            self.tail = Vec::new();
        } else {
            self.tail.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// Takes so many bytes per call, then blocks; remembers what it took.
    struct Socket {
        taken: Vec<u8>,
        room: usize,
        per_call: usize,
    }

    impl Write for Socket {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.room).min(self.per_call);
            if count == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.room -= count;
            self.taken.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            let all: Vec<u8> = slices
                .iter()
                .flat_map(|slice| slice.iter().copied())
                .collect();
            self.write(&all)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Outlet for Socket {}

    /// Keeps what it gets as it is, up to so many bytes at once.
    struct Keeper {
        kept: Vec<Bytes>,
        per_call: usize,
    }

    impl Write for Keeper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.per_call);
            self.kept.push(Bytes::copy_from_slice(&bytes[..count]));
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Outlet for Keeper {
        fn keeps_shared(&self) -> bool {
            true
        }

        fn write_shared(&mut self, value: &Bytes, from: usize) -> io::Result<usize> {
            let count = (value.len() - from).min(self.per_call);
            self.kept.push(value.slice(from..from + count));
            Ok(count)
        }
    }

    #[test]
    fn shared_values_stay_as_they_are_where_they_may() {
        for per_call in [7, 300, usize::MAX] {
            let mut output = Output::new();
            let mut expected = Vec::new();
            let values: Vec<_> = (0u8..20).map(|n| Bytes::from(vec![n; 500])).collect();
            for (n, value) in values.iter().enumerate() {
                let text = vec![b'x'; n % 3 * 40];
                output.tail().extend_from_slice(&text);
                output.push_shared(value.clone());
                expected.extend_from_slice(&text);
                expected.extend_from_slice(value);
            }
            output.tail().extend_from_slice(b"end");
            expected.extend_from_slice(b"end");
            let kept = Vec::new();
            let mut keeper = Keeper { kept, per_call };
            while !output.write_to(&mut keeper).unwrap().1 {}
            assert_eq!(keeper.kept.concat(), expected);
            for value in &values {
                let range = value.as_ptr_range();
                let parts = keeper
                    .kept
                    .iter()
                    .filter(|part| range.contains(&part.as_ptr()));
                assert_eq!(parts.map(Bytes::len).sum::<usize>(), 500, "copied");
            }
        }
    }

    #[test]
    fn order_is_kept_whatever_the_socket_takes() {
        for per_call in [1, 7, 100, 4096, usize::MAX] {
            let mut output = Output::new();
            let mut expected = Vec::new();
            for round in 0u8..40 {
                output.tail().extend_from_slice(&[round; 10]);
                expected.extend_from_slice(&[round; 10]);
                if round % 3 == 0 {
                    output.push_shared(Bytes::from(vec![round; 500]));
                    expected.extend_from_slice(&[round; 500]);
                }
            }
            assert_eq!(output.pending(), expected.len());
            let mut socket = Socket {
                taken: Vec::new(),
                room: usize::MAX,
                per_call,
            };
            while !output.write_to(&mut socket).unwrap().1 {
                assert_eq!(output.pending(), expected.len() - socket.taken.len());
            }
            assert_eq!(socket.taken, expected);
            assert_eq!(
                (output.pending(), output.list_len(), output.list_bytes()),
                (0, 0, 0)
            );
        }
    }

    #[test]
    fn replies_appended_after_a_partial_write_follow_it() {
        let mut output = Output::new();
        output.tail().extend_from_slice(&vec![b'a'; 100_000]);
        let mut socket = Socket {
            taken: Vec::new(),
            room: 1000,
            per_call: usize::MAX,
        };
        assert_eq!(output.write_to(&mut socket).unwrap(), (1000, false));
        assert_eq!(output.pending(), 99_000);
        output.tail().extend_from_slice(b"b");
        assert_eq!(
            (output.buffer_len(), output.list_bytes()),
            (16 * 1024, 99_001 - 16 * 1024)
        );
        let more = output.tail_max(100_000) - output.tail().len();
        assert_eq!(output.limited_bytes() + more, 100_000);
        assert!(output.tail_max(usize::MAX) > usize::MAX / 2);
        assert_eq!(output.write_to(&mut socket).unwrap(), (0, false));
        socket.room = usize::MAX;
        assert_eq!(output.write_to(&mut socket).unwrap(), (99_001, true));
        assert_eq!(socket.taken.len(), 100_001);
        assert_eq!(socket.taken.last(), Some(&b'b'));
        output.trim(0, true, ReplyTrim::default());
        assert_eq!(output.memory(), 0);
    }

    #[test]
    fn one_client_cannot_take_the_whole_turn() {
        let mut output = Output::new();
        for _ in 0..300 {
            output.push_shared(Bytes::from(vec![0; 100_000]));
        }
        let mut socket = Socket {
            taken: Vec::new(),
            room: usize::MAX,
            per_call: usize::MAX,
        };
        let (written, done) = output.write_to(&mut socket).unwrap();
        assert!(!done && written < 8 << 20, "{written}");
    }

    /// Sends a reply of so many bytes; answers the memory held then.
    fn send(output: &mut Output, len: usize) -> usize {
        output.tail().resize(len, b'x');
        let mut socket = Socket {
            taken: Vec::new(),
            room: usize::MAX,
            per_call: usize::MAX,
        };
        assert!(matches!(output.write_to(&mut socket), Ok((sent, true)) if sent == len));
        output.memory()
    }

    #[test]
    fn the_room_follows_what_was_needed_lately() {
        let (lately, never) = (
            ReplyTrim::default(),
            ReplyTrim {
                forget_ms: None,
                ..ReplyTrim::default()
            },
        );
        let resized = |expands, shrinks| Resized { expands, shrinks };
        let mut output = Output::new();
        assert_eq!(output.trim(0, false, lately), resized(0, 0), "none yet");
        send(&mut output, 16_000);
        assert_eq!(output.trim(1000, false, lately), resized(1, 0));
        assert_eq!((output.memory(), output.peak()), (16_000, 16_000));
        send(&mut output, 5000);
        assert_eq!(
            output.trim(5000, false, lately),
            resized(0, 0),
            "needed lately"
        );
        assert_eq!(output.trim(6001, false, lately), resized(0, 0));
        send(&mut output, 5000);
        assert_eq!(
            output.trim(7000, false, lately),
            resized(0, 1),
            "half is enough"
        );
        assert_eq!((output.memory(), output.peak()), (5000, 5000));
        send(&mut output, 9000);
        assert_eq!(
            output.trim(7100, true, never),
            resized(1, 0),
            "never given back"
        );
        output.tail().push(b'x');
        assert_eq!(output.trim(7200, true, lately), resized(0, 0), "it waits");
        send(&mut output, 1);
        assert_eq!(output.trim(8000, true, lately), resized(0, 1), "idle");
        assert_eq!((output.memory(), output.peak()), (0, 0));
        send(&mut output, 10);
        assert_eq!(output.trim(9000, false, lately), resized(1, 0));
        assert_eq!(
            output.trim(20_000, false, lately),
            resized(0, 0),
            "so little is kept"
        );
        assert_eq!(
            output.trim(20_001, false, lately),
            resized(0, 1),
            "if it is needed at all"
        );
    }

    #[test]
    fn a_large_tail_is_not_kept() {
        let mut output = Output::new();
        let mut send = |len: usize| send(&mut output, len);
        assert!(send(TAIL_MAX) >= TAIL_MAX, "the next batch may need it");
        assert!(send(TAIL_KEPT) >= TAIL_KEPT);
        assert_eq!(send(10), 0, "it did not");
        assert_eq!(send(TAIL_KEPT + 1), 0);
    }
}
