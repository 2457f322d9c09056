//! One client's connection: socket, input, output, and how it is going to end.

use std::io::{self, IoSlice, Read, Write};

use mio::{Interest, Registry, Token};

use super::{Cause, Closing, Input, LimitWatch, Output, ReplyTrim, Resized};
use crate::host::{Shake, Stream};

/// Bytes that one client may send in one turn before the others get theirs.
pub const TURN_MAX: usize = 1 << 20;

/// Pieces in one vectored write.
const PIECES_MAX: usize = 64;

/// What a read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// So many bytes, and there may be more: understand these, then read again.
    More(usize),
    /// So many bytes, and the socket is empty for now (0: it was empty before).
    Drained(usize),
    /// The peer has closed its side.
    End,
}

/// What a flush achieved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// All replies are with the system.
    Done,
    /// The socket is full; the poll tells when it takes more.
    Blocked,
}

/// What sending takes beside a write. Most connections have nothing of it, which is asked with one look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sending {
    /// The poll watches for room in the socket.
    blocked: bool,
    /// It is encrypted: there may be a handshake yet to come, and bytes that were taken and have not left.
    encrypted: bool,
}

/// A client's connection. `input` and `output` are open to the node, which moves the input out for a batch
/// (`std::mem::take`) and puts it back.
#[derive(Debug)]
pub struct Connection {
    /// The client's id: counts connections, never used twice.
    pub id: u64,
    /// Bytes received.
    pub input: Input,
    /// Replies that wait.
    pub output: Output,
    /// Since when the output is beyond its soft limit.
    pub limit_watch: LimitWatch,
    /// Milliseconds, monotonic, of the last bytes received; of its begin, if there were none.
    pub heard_ms: u64,
    /// As `heard_ms`, of the last bytes sent.
    pub sent_ms: u64,
    closing: Closing,
    stream: Stream,
    token: Token,
    /// The last event said that the peer closed or the socket failed: a short read is then not the end.
    hangup: bool,
    /// Bytes received in this turn.
    turn_bytes: usize,
    /// See [`Sending`].
    sending: Sending,
    pub(super) on_ready_list: bool,
    pub(super) on_touched_list: bool,
    /// It is that of a replica, which is sent the stream beside its replies.
    pub feeds: bool,
}

impl Connection {
    pub(super) fn new(id: u64, stream: Stream, token: Token, now_ms: u64) -> Connection {
        let sending = Sending {
            blocked: false,
            encrypted: stream.is_encrypted(),
        };
        Connection {
            id,
            input: Input::new(),
            output: Output::new(),
            closing: Closing::Open,
            limit_watch: LimitWatch::default(),
            heard_ms: now_ms,
            sent_ms: now_ms,
            stream,
            token,
            hangup: false,
            turn_bytes: 0,
            sending,
            on_ready_list: false,
            on_touched_list: false,
            feeds: false,
        }
    }

    /// Whether and how it ends.
    #[inline]
    pub fn closing(&self) -> Closing {
        self.closing
    }

    pub(super) fn end(&mut self, cause: Cause) {
        let before = self.closing;
        self.closing = before.after(cause);
        debug_assert!(self.closing >= before, "nothing leads back");
    }

    /// Whether it was noted that it must be visited: commands of it may be left to run.
    pub fn is_ready(&self) -> bool {
        self.on_ready_list
    }

    /// The socket, for names and options.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    pub(super) fn stream_mut(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// Ends it for both sides, while it stays in its place.
    pub fn hang_up(&mut self) {
        self.stream.cut();
    }

    /// Puts another stream in the place of this one, which is watched no more; the other is watched if it is a socket of the system.
    ///
    /// # Errors
    /// The system's; then it stays as it was, unless the poll refuses it too.
    pub fn exchange(&mut self, registry: &Registry, stream: Stream) -> io::Result<Stream> {
        registry.deregister(&mut self.stream)?;
        let mut before = std::mem::replace(&mut self.stream, stream);
        let interest = match self.sending.blocked {
            true => Interest::READABLE | Interest::WRITABLE,
            false => Interest::READABLE,
        };
        if let Err(error) = registry.register(&mut self.stream, self.token, interest) {
            std::mem::swap(&mut self.stream, &mut before);
            registry.register(&mut self.stream, self.token, interest)?;
            return Err(error);
        }
        Ok(before)
    }

    /// Bytes of memory of all that comes and goes.
    pub fn buffers(&self) -> usize {
        self.input.capacity() + self.output.memory() + self.stream.memory()
    }

    /// Begins a turn: the budget of bytes is whole again. `hangup`: the event carried read-closed or an error.
    pub fn begin_turn(&mut self, hangup: bool) {
        self.turn_bytes = 0;
        self.hangup |= hangup;
    }

    /// Whether this turn's budget is used up; then the connection goes on the ready list.
    pub fn turn_is_over(&self) -> bool {
        self.turn_bytes >= TURN_MAX
    }

    /// One read into `input`. A read that brings less than there was room for ends the drain without asking again,
    /// unless the event carried read-closed or an error.
    pub fn receive(&mut self, now_ms: u64) -> io::Result<Received> {
        debug_assert!(self.closing.reads(), "its input is over");
        loop {
            let room = self.input.room();
            let offered = room.len();
            match self.stream.read(room) {
                Ok(0) => return Ok(Received::End),
                Ok(count) => {
                    self.input.received(count);
                    self.turn_bytes += count;
                    self.heard_ms = now_ms;
                    debug_assert!(!self.input.is_empty(), "what came is there to be run");
                    let drained =
                        count < offered && !self.hangup && self.stream.is_empty_after_short_read();
                    return Ok(if drained {
                        Received::Drained(count)
                    } else {
                        Received::More(count)
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Received::Drained(0));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes what waits, once; asks the poll for room only when the socket is full. Returns the bytes written too.
    pub fn flush(&mut self, registry: &Registry) -> io::Result<(usize, Flush)> {
        debug_assert!(self.closing.sends(), "nothing is sent any more");
        if self.sending != Sending::default() {
            return self.flush_with_care(registry);
        }
        let (written, done) = self.output.write_to(&mut self.stream)?;
        debug_assert_eq!(done, self.output.is_empty());
        if done {
            return Ok((written, Flush::Done));
        }
        self.ask_for_room(registry)?;
        Ok((written, Flush::Blocked))
    }

    /// As [`Connection::flush`], of one that the poll watches for room, or that is encrypted.
    #[inline(never)]
    fn flush_with_care(&mut self, registry: &Registry) -> io::Result<(usize, Flush)> {
        if self.sending.encrypted && !self.is_open(registry)? {
            return Ok((0, Flush::Blocked));
        }
        let (written, done) = self.output.write_apart(&mut self.stream)?;
        if done && self.has_left()? {
            if self.sending.blocked {
                self.sending.blocked = false;
                self.stream_watch(registry, Interest::READABLE)?;
            }
            return Ok((written, Flush::Done));
        }
        // Also when it was asked for before: asking again rearms the edge, which matters when the turn's budget
        // ended the write and not the socket.
        self.ask_for_room(registry)?;
        Ok((written, Flush::Blocked))
    }

    /// Whether an encrypted connection can be written to now.
    fn is_open(&mut self, registry: &Registry) -> io::Result<bool> {
        let shake = self.stream.shake()?;
        // While it waits for the other side the reader may be the one who ends the handshake. The poll tells of room beside whatever
        // comes, if it was asked to: so what is to be sent is tried again then. Asked anew it would tell at once, again and again.
        if shake != Shake::Done && (!self.sending.blocked || !self.has_left()?) {
            self.ask_for_room(registry)?;
        }
        Ok(shake == Shake::Done)
    }

    /// Whether all that the stream has taken has left.
    fn has_left(&mut self) -> io::Result<bool> {
        match self.stream.flush() {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes what waits and behind it pieces that belong to somebody else, once. Answers the bytes written of either, and whether
    /// all were.
    pub fn flush_with<'a>(
        &mut self,
        registry: &Registry,
        pieces: impl Iterator<Item = &'a [u8]>,
    ) -> io::Result<(usize, usize, Flush)> {
        if self.sending.encrypted && !self.is_open(registry)? {
            return Ok((0, 0, Flush::Blocked));
        }
        let own = self.output.pending();
        let mut slices = [IoSlice::new(&[]); PIECES_MAX];
        let (mut count, mut offered, mut all) = (0, 0, true);
        let waiting = self.output.pieces();
        let pieces = pieces.map(|piece| -> &[u8] { piece });
        for piece in waiting.chain(pieces).filter(|piece| !piece.is_empty()) {
            if count == PIECES_MAX || offered >= TURN_MAX {
                all = false;
                break;
            }
            slices[count] = IoSlice::new(piece);
            offered += piece.len();
            count += 1;
        }
        if offered == 0 {
            return Ok((0, 0, Flush::Done));
        }
        let written = match self.stream.write_vectored(&slices[..count]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error),
        };
        let of_own = written.min(own);
        self.output.advance_apart(of_own);
        let flush =
            match all && written == offered && (!self.sending.encrypted || self.has_left()?) {
                true => Flush::Done,
                false => {
                    self.ask_for_room(registry)?;
                    Flush::Blocked
                }
            };
        Ok((of_own, written - of_own, flush))
    }

    /// The poll tells when the socket takes more, at once if it does now.
    pub fn ask_for_room(&mut self, registry: &Registry) -> io::Result<()> {
        self.sending.blocked = true;
        self.stream_watch(registry, Interest::READABLE | Interest::WRITABLE)
    }

    fn stream_watch(&mut self, registry: &Registry, interest: Interest) -> io::Result<()> {
        registry.reregister(&mut self.stream, self.token, interest)
    }

    /// Whether the poll watches for room in the socket (`events=rw` of CLIENT LIST instead of `r`).
    pub fn is_blocked(&self) -> bool {
        self.sending.blocked
    }

    /// For how long nothing has come or gone, milliseconds.
    pub fn idle_ms(&self, now_ms: u64) -> u64 {
        let last_ms = self.heard_ms.max(self.sent_ms);
        debug_assert!(last_ms <= now_ms, "heard of in the future");
        now_ms.saturating_sub(last_ms)
    }

    /// Gives memory back: more when nothing came or went for `idle_ms`. Answers what became of the room for replies.
    pub fn trim(&mut self, now_ms: u64, idle_ms: u64, replies: ReplyTrim) -> Resized {
        let idle = self.idle_ms(now_ms) >= idle_ms;
        self.input.trim(idle);
        self.output.trim(now_ms, idle, replies)
    }
}
