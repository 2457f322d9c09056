//! The bytes that came from a client and are not yet understood.
//!
//! ```text
//!   0        start           end            bytes.len()
//!   +--------+---------------+--------------+
//!   | done   | filled        | room         |
//!   +--------+---------------+--------------+
//! ```
//!
//! Invariant: `start <= end <= bytes.len()`, and all of `bytes` is initialised: a socket reads into `room` without
//! clearing it first. Moving `filled` to the front happens only in [`Input::room`], so offsets relative to
//! `filled()` stay valid from one read to the next.

/// Bytes asked of the system at once at first; grows while reads fill it.
const CHUNK: usize = 16 * 1024;
/// Largest room that is made for a client that merely sends fast.
const CHUNK_MAX: usize = 64 * 1024;
/// Room that a client gets for the asking, as it does in Redis up to any length. It is no memory yet before bytes come.
const CLAIM_MAX: usize = 4 * 1024 * 1024;
/// Most bytes of one read.
const READ_MAX: usize = 1024 * 1024;
/// Less unused memory than this is left alone by [`Input::trim`].
const FREE_KEPT: usize = 4 * 1024;
/// A buffer up to this is left alone while its client is not idle (`PROTO_RESIZE_THRESHOLD` of Redis).
const TRIM_FROM: usize = 32 * 1024;

/// A buffer that is read into at its end and consumed from its front.
#[derive(Debug, Default)]
pub struct Input {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes that the parser said are still missing of the command at hand; claimed by the client, so only a hint.
    missing: usize,
    /// The last read filled all the room it got.
    filled_all: bool,
    /// Most bytes that waited since the last trim.
    peak: usize,
}

impl Input {
    /// An empty buffer that holds no memory.
    pub fn new() -> Input {
        Input::default()
    }

    /// The bytes received and not consumed.
    #[inline]
    pub fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Number of bytes received and not consumed.
    #[inline]
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether all bytes are consumed.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Bytes of memory held.
    pub fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes of memory held beside those received and not consumed.
    pub fn free(&self) -> usize {
        self.bytes.len() - self.len()
    }

    /// Drops the first `count` bytes of `filled`.
    #[inline(always)]
    pub fn consume(&mut self, count: usize) {
        assert!(
            count <= self.len(),
            "consumed {count} of {} bytes",
            self.len()
        );
        self.start += count;
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Says that the command at hand needs at least `missing` bytes more, so that the next reads make room for them.
    /// The room grows with what has really come, not with what was claimed: at most twice the bytes at hand, or a few megabytes.
    pub fn expect(&mut self, missing: usize) {
        debug_assert!(missing > 0, "a whole command is run");
        self.missing = missing;
        if missing > CHUNK_MAX {
            // At once, so that what a client takes does not depend on how its bytes fall into reads.
            self.room();
        }
    }

    /// Room for the next read: at least a few kilobytes, or what a large command still lacks.
    pub fn room(&mut self) -> &mut [u8] {
        if !self.holds_rest() {
            self.make_room();
        }
        debug_assert_eq!(self.check(), Ok(()));
        debug_assert!(self.end < self.bytes.len(), "a read finds some room");
        let end = self.bytes.len().min(self.end + READ_MAX);
        &mut self.bytes[self.end..end]
    }

    /// Whether there is room for all that a large command is known to lack. More would move all of it, for its last few bytes.
    fn holds_rest(&self) -> bool {
        let is_large = self.len().saturating_add(self.missing) > CHUNK_MAX;
        is_large && self.missing > 0 && self.bytes.len() - self.end >= self.missing
    }

    fn make_room(&mut self) {
        let mut wanted = self.missing.min(self.len().max(CLAIM_MAX)).max(CHUNK);
        if self.filled_all {
            wanted = wanted.max((self.bytes.len() * 2).min(CHUNK_MAX));
        }
        if self.bytes.len() - self.end < wanted.min(CHUNK) || self.bytes.len() - self.start < wanted
        {
            if self.start > 0 {
                self.bytes.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            if self.bytes.len() - self.end < wanted {
                self.grow(self.end + wanted);
            }
        }
    }

    /// Says that `count` bytes were read into the room.
    #[inline]
    pub fn received(&mut self, count: usize) {
        assert!(
            count <= self.bytes.len() - self.end,
            "received {count} bytes into a smaller room"
        );
        self.end += count;
        self.missing = self.missing.saturating_sub(count);
        self.filled_all = self.end == self.bytes.len();
        self.peak = self.peak.max(self.len());
    }

    /// Adds bytes from elsewhere: a script, a test.
    pub fn push(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = self.room();
            let count = room.len().min(rest.len());
            room[..count].copy_from_slice(&rest[..count]);
            self.received(count);
            rest = &rest[count..];
        }
    }

    /// Gives memory back, as Redis 7.2 does: what is unused of an idle client's buffer; of another's, if it is large
    /// and not half of it was needed since the last call, what was not needed. Call it about once a second.
    pub fn trim(&mut self, idle: bool) {
        debug_assert!(self.peak >= self.len(), "more waits than ever did");
        let claimed = self.len().saturating_add(self.missing);
        let needed = self.peak.max(claimed).max(CHUNK);
        if self.free() > FREE_KEPT {
            if idle {
                self.resize(self.len());
            } else if self.bytes.len() > TRIM_FROM && self.bytes.len() / 2 > needed {
                self.resize(needed);
            }
        }
        self.peak = self.len();
        debug_assert_eq!(self.check(), Ok(()));
    }

    /// Makes the buffer longer. Memory fresh from the allocator is zero and is not touched before it is read into.
    fn grow(&mut self, len: usize) {
        debug_assert!(
            self.start == 0 && len > self.bytes.len(),
            "it grows in front"
        );
        let mut bytes = vec![0; len];
        bytes[..self.end].copy_from_slice(&self.bytes[..self.end]);
        self.bytes = bytes;
    }

    /// Moves what waits into a buffer of this length, or as long as it is itself.
    fn resize(&mut self, len: usize) {
        let mut bytes = Vec::with_capacity(len.max(self.len()));
        bytes.extend_from_slice(self.filled());
        self.end = bytes.len();
        bytes.resize(bytes.capacity(), 0);
        self.bytes = bytes;
        self.start = 0;
        self.filled_all = false;
        debug_assert_eq!(self.check(), Ok(()));
    }

    /// What must hold at any time.
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self) -> Result<(), String> {
        if self.start > self.end || self.end > self.bytes.len() {
            return Err(format!(
                "input from {} to {} of {} bytes",
                self.start,
                self.end,
                self.bytes.len()
            ));
        }
        match self.start == self.end && self.start > 0 {
            true => Err(format!("an empty input begins at {}", self.start)),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_came_in() {
        let mut input = Input::new();
        let mut seen = Vec::new();
        let mut sent = Vec::new();
        for round in 0..2000usize {
            let piece: Vec<u8> = (0..round % 97).map(|at| (round + at) as u8).collect();
            sent.extend_from_slice(&piece);
            input.push(&piece);
            let take = input.len() * (round % 3) / 2;
            seen.extend_from_slice(&input.filled()[..take]);
            input.consume(take);
        }
        seen.extend_from_slice(input.filled());
        assert_eq!(seen, sent);
    }

    #[test]
    fn a_claimed_length_takes_little_memory() {
        let mut input = Input::new();
        input.push(b"$536870912\r\n");
        input.expect(512 << 20);
        assert!(input.capacity() <= CLAIM_MAX + 2 * CHUNK_MAX);
        // As the bytes come, the room doubles, so that a large value is moved a few times only.
        let mut rounds = 0;
        while input.len() < 64 << 20 {
            input.expect(512 << 20);
            let count = input.room().len();
            input.received(count);
            assert!(count <= READ_MAX);
            rounds += 1;
        }
        assert!(rounds < 80, "{rounds} reads");
        assert!(input.capacity() < 3 * (64 << 20));
    }

    /// Clients that send the same take the same: which of them goes first for `maxmemory-clients` hangs on it.
    #[test]
    fn a_large_value_takes_what_it_is_however_its_bytes_fall_into_reads() {
        let head = b"*2\r\n$3000000\r\n";
        for piece in [1_000, 16 * 1024, 65_483, 300_000, READ_MAX] {
            let mut input = Input::new();
            input.push(head);
            let mut lacks = 3_000_002;
            while lacks > 2 {
                input.expect(lacks);
                input.consume(0);
                let count = input.room().len().min(piece).min(lacks - 2);
                input.received(count);
                lacks -= count;
            }
            assert_eq!(
                input.capacity(),
                head.len() + 3_000_002,
                "in pieces of {piece}"
            );
        }
    }

    #[test]
    fn idle_buffers_hold_nothing() {
        let mut input = Input::new();
        input.push(&vec![1; 1 << 20]);
        input.consume((1 << 20) - 3);
        input.trim(true);
        assert_eq!((input.filled(), input.free()), (&[1, 1, 1][..], 0));
        input.consume(3);
        input.push(b"abc");
        input.trim(true);
        assert_eq!((input.filled(), input.free()), (&b"abc"[..], 0));
        input.consume(3);
        input.trim(true);
        assert_eq!(input.capacity(), 3, "so little is not worth the work");
        input.push(&[0; 10_000]);
        input.consume(10_000);
        input.trim(true);
        assert_eq!(input.capacity(), 0);
    }

    #[test]
    fn busy_buffers_keep_what_was_needed_lately() {
        let mut input = Input::new();
        input.push(&vec![1; 400_000]);
        input.consume(400_000);
        let large = input.capacity();
        input.trim(false);
        assert_eq!(input.capacity(), large, "it was needed a moment ago");
        input.push(&[1; 100]);
        input.consume(100);
        input.trim(false);
        assert!((CHUNK..TRIM_FROM).contains(&input.capacity()));
        let small = input.capacity();
        input.trim(false);
        assert_eq!(input.capacity(), small);
        // A large value that arrives slowly keeps its room.
        input.push(&vec![1; 300_000]);
        input.consume(1);
        input.expect(1 << 20);
        let large = input.capacity();
        input.trim(false);
        input.trim(false);
        assert_eq!((input.capacity(), input.len()), (large, 299_999));
    }
}
