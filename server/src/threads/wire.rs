//! A connection on an I/O thread.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use cairn_format::resp::request::{Limits, RequestParser, Step};
use mio::{Interest, Registry, Token};

use super::parcel::{Letter, Line, Parsed, Requests};
use crate::host::{Movable, Stream};
use crate::net::{Input, Output, ReplyTrim};

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It stays.
    Stays,
    /// It is closed when all is sent.
    Closes,
    /// It is given back when all is sent.
    Returns,
}

/// What a look at the socket brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// So many bytes, and the socket is empty for now.
    Drained(usize),
    /// So many bytes, and there may be more.
    More(usize),
    /// There will be no more, or it failed.
    Ended(Option<io::ErrorKind>),
}

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    number: u32,
    input: Input,
    parser: RequestParser,
    output: Output,
    line: Arc<Line>,
    pub fate: Fate,
    /// What comes is understood no more: the data's thread finds out why.
    broken: bool,
    /// The end of what comes was told.
    ended: bool,
    watches_room: bool,
    is_encrypted: bool,
    /// An encrypted stream has taken something that has not left.
    keeps: bool,
    /// It is to be told when all is sent.
    pub tells_room: bool,
    /// Something came since memory was given back last.
    read_since_trim: bool,
    /// It waits to be read again.
    pub is_listed: bool,
    /// Monotonic milliseconds since which nothing has left, of one that closes.
    pub since_ms: u64,
}

impl Wire {
    pub fn new(number: u32, stream: Movable, line: Arc<Line>) -> Wire {
        let stream = Stream::from(stream);
        Wire {
            is_encrypted: stream.is_encrypted(),
            keeps: false,
            stream,
            number,
            input: Input::new(),
            parser: RequestParser::new(),
            output: Output::new(),
            line,
            fate: Fate::Stays,
            broken: false,
            ended: false,
            watches_room: false,
            tells_room: false,
            read_since_trim: false,
            is_listed: false,
            since_ms: 0,
        }
    }

    pub fn watch(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.stream, token, Interest::READABLE)
    }

    /// Whether it is read: not once its end was told, or it is on its way out.
    pub fn reads(&self) -> bool {
        !self.ended && self.fate == Fate::Stays
    }

    /// One read, without understanding what came.
    pub fn receive(&mut self, hangup: bool) -> Read {
        debug_assert!(self.reads(), "its input is over");
        loop {
            let room = self.input.room();
            let offered = room.len();
            match io::Read::read(&mut self.stream, room) {
                Ok(0) => return self.end(None),
                Ok(count) => {
                    self.input.received(count);
                    let is_short = count < offered && self.stream.is_empty_after_short_read();
                    return match is_short && !hangup {
                        true => Read::Drained(count),
                        false => Read::More(count),
                    };
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Read::Drained(0),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.end(Some(error.kind())),
            }
        }
    }

    fn end(&mut self, error: Option<io::ErrorKind>) -> Read {
        self.ended = true;
        Read::Ended(error)
    }

    /// Moves all whole commands into a parcel. What is no RESP, and what is longer than `query_max`, goes as it came: the data's
    /// thread knows what to say to it.
    pub fn understand(&mut self, into: &mut Requests, limits: &Limits, query_max: usize) {
        let mut at = 0;
        while at < self.input.len() && !self.broken {
            let bytes = self.input.filled();
            let (from, first) = (into.bytes.len(), into.commands.len());
            // Ranges count from the input first, and are moved with the bytes.
            let begin = at;
            let ranges = into.ranges.len();
            let mut step;
            loop {
                let args = into.ranges.len() as u32;
                step = self.parser.next(bytes, at, &mut into.ranges, limits);
                match step {
                    Step::Command { end } => {
                        into.commands.push(Parsed {
                            args: args..into.ranges.len() as u32,
                            bytes: shift(at, from, begin)..shift(end, from, begin),
                        });
                        at = end;
                    }
                    Step::Skip { end } => at = end,
                    _ => break,
                }
                if at == bytes.len() {
                    break;
                }
            }
            for range in &mut into.ranges[ranges..] {
                *range = shift(range.start as usize, from, begin)
                    ..shift(range.end as usize, from, begin);
            }
            if into.commands.len() > first {
                into.bytes.extend_from_slice(&bytes[begin..at]);
                let commands = first as u32..into.commands.len() as u32;
                into.letters
                    .push(self.letter(from, into.bytes.len(), commands));
            }
            if at == bytes.len() {
                break;
            }
            match step {
                Step::Inline { end, .. } => {
                    self.pass_on(into, at, end);
                    at = end;
                }
                Step::Incomplete { need } => {
                    if bytes.len() - at > query_max {
                        self.broken = true;
                    } else {
                        self.input.consume(at);
                        self.input.expect(need);
                        return;
                    }
                }
                Step::Error(_) => self.broken = true,
                Step::Command { .. } | Step::Skip { .. } => {}
            }
        }
        if self.broken && at < self.input.len() {
            self.parser.reset();
            self.pass_on(into, at, self.input.len());
            at = self.input.len();
        }
        self.input.consume(at);
    }

    fn letter(&self, from: usize, to: usize, commands: std::ops::Range<u32>) -> Letter {
        Letter {
            wire: self.number,
            bytes: from as u32..to as u32,
            commands,
        }
    }

    /// Bytes that are not understood here.
    fn pass_on(&self, into: &mut Requests, from: usize, to: usize) {
        let begin = into.bytes.len();
        into.bytes.extend_from_slice(&self.input.filled()[from..to]);
        let none = into.commands.len() as u32;
        into.letters
            .push(self.letter(begin, into.bytes.len(), none..none));
    }

    /// Sends bytes, behind what waits.
    ///
    /// # Errors
    /// The connection has failed.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sent = self.send_at_once(bytes)?;
        self.output.tail().extend_from_slice(&bytes[sent..]);
        self.has_left()
    }

    /// As [`Wire::send`], without copying what has to wait.
    ///
    /// # Errors
    /// The connection has failed.
    pub fn send_shared(&mut self, mut value: Bytes) -> io::Result<()> {
        let sent = self.send_at_once(&value)?;
        self.output.push_shared(value.split_off(sent));
        self.has_left()
    }

    /// Sends as much as can leave now, if nothing waits.
    fn send_at_once(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.waits() {
            return Ok(0);
        }
        let mut sent = 0;
        while sent < bytes.len() {
            match io::Write::write(&mut self.stream, &bytes[sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.line.sent(sent);
        Ok(sent)
    }

    /// Notes whether all that an encrypted stream has taken has left.
    fn has_left(&mut self) -> io::Result<()> {
        if self.is_encrypted {
            self.keeps = match io::Write::flush(&mut self.stream) {
                Ok(()) => false,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => true,
                Err(error) => return Err(error),
            };
        }
        Ok(())
    }

    /// Whether nobody on the way can read it.
    pub fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }

    /// Sends what waits; whether all has left. The poll tells when there is room again.
    ///
    /// # Errors
    /// The connection has failed.
    pub fn flush(&mut self, registry: &Registry, token: Token) -> io::Result<bool> {
        if !self.waits() {
            return Ok(true);
        }
        let (written, done) = self.output.write_to(&mut self.stream)?;
        self.has_left()?;
        let done = done && !self.keeps;
        self.line.sent(written);
        if written > 0 {
            self.line.moves();
            self.since_ms = 0;
        }
        if done && !self.watches_room {
            return Ok(true);
        }
        // Also when it was asked for before: asking again rearms the edge.
        self.watches_room = !done;
        let interest = match done {
            true => Interest::READABLE,
            false => Interest::READABLE | Interest::WRITABLE,
        };
        registry.reregister(&mut self.stream, token, interest)?;
        Ok(done)
    }

    /// Whether something waits to be sent.
    pub fn waits(&self) -> bool {
        !self.output.is_empty() || self.keeps
    }

    /// Something came: it is told to the other side, and with it what is held.
    pub fn note_read(&mut self) {
        self.read_since_trim = true;
        self.line.moves();
        self.note_memory();
    }

    /// Tells the other side what it holds.
    pub fn note_memory(&self) {
        let memory = self.input.capacity() + self.output.memory() + self.stream.memory();
        // As on the thread of the data: what is understood of a command has left the query buffer.
        let (understood, _) = self.parser.understood();
        let gathered = self.input.len().saturating_sub(understood);
        self.line.hold(memory, gathered);
    }

    /// Gives memory back: all that is not needed, if nothing came since this was called last.
    pub fn trim(&mut self, now_ms: u64) {
        let idle = !std::mem::take(&mut self.read_since_trim);
        self.input.trim(idle);
        self.output.trim(now_ms, idle, ReplyTrim::default());
        self.note_memory();
    }

    /// Whether there is memory to give back.
    pub fn holds_memory(&self) -> bool {
        self.input.free() > FREE_KEPT || self.output.memory() > 0
    }

    /// It leaves this thread: the connection, and what was read and is no whole command.
    pub fn into_parts(mut self, registry: &Registry) -> Option<(Movable, Vec<u8>)> {
        let _ = registry.deregister(&mut self.stream);
        let rest = self.input.filled().to_vec();
        if !self.stream.is_movable() {
            return None;
        }
        Movable::of(self.stream).ok().map(|stream| (stream, rest))
    }

    /// Closes it.
    pub fn close(&mut self, registry: &Registry) {
        let _ = registry.deregister(&mut self.stream);
        self.stream.shutdown();
    }
}

/// Less unused memory than this is left alone.
const FREE_KEPT: usize = 4 * 1024;

/// A place in the input, among the bytes of the parcel.
fn shift(at: usize, from: usize, begin: usize) -> u32 {
    (at - begin + from) as u32
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use proptest::prelude::*;

    use super::*;

    /// A wire, and the other end of its socket.
    fn pair() -> (Wire, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let stream = mio::net::UnixStream::from_std(ours);
        let stream = Movable::Unix(stream, String::new());
        (Wire::new(7, stream, Arc::default()), theirs)
    }

    /// What a client might send, and how: commands, inline ones, and sometimes what is neither.
    fn requests() -> impl Strategy<Value = Vec<u8>> {
        let words = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 1..4);
        let command = words.prop_map(|words| {
            let mut out = Vec::new();
            cairn_format::resp::value::write_command(&mut out, &words);
            out
        });
        let piece = prop_oneof![
            8 => command,
            1 => Just(b"ping with words\r\n".to_vec()),
            1 => Just(b"*1\r\n$x\r\n".to_vec()),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    #[test]
    fn empty_requests_are_passed_over() {
        let (mut wire, mut theirs) = pair();
        let mut requests = Requests::default();
        let sent = b"\r\n*0\r\n*1\r\n$4\r\nPING\r\n*-1\r\n*1\r\n";
        theirs.write_all(sent).unwrap();
        wire.receive(false);
        wire.understand(&mut requests, &Limits::default(), 1 << 20);
        assert_eq!((requests.letters.len(), requests.commands.len()), (1, 1));
        let args = requests.ranges[0].clone();
        assert_eq!(
            &requests.bytes[args.start as usize..args.end as usize],
            b"PING"
        );
        assert_eq!(wire.input.filled(), b"*1\r\n");
    }

    #[test]
    fn what_is_longer_than_it_may_be_goes_to_where_that_is_judged() {
        let (mut wire, mut theirs) = pair();
        let mut requests = Requests::default();
        let limits = Limits::default();
        for (part, letters) in [(100, 0), (2000, 1), (10, 2)] {
            let mut bytes = vec![b'x'; part];
            if letters == 0 {
                bytes = [b"*1\r\n$1000000\r\n".as_slice(), &bytes].concat();
            }
            theirs.write_all(&bytes).unwrap();
            wire.receive(false);
            wire.understand(&mut requests, &limits, 1000);
            assert_eq!(requests.letters.len(), letters, "{part}");
        }
        assert!(requests.commands.is_empty() && wire.input.is_empty());
    }

    proptest! {
        #[test]
        fn letters_hold_what_was_sent_and_nothing_else(bytes in requests(), cuts in prop::collection::vec(1..60usize, 1..20)) {
            let (mut wire, mut theirs) = pair();
            let mut requests = Requests::default();
            let limits = Limits::default();
            let mut left = &bytes[..];
            let mut cuts = cuts.iter().cycle();
            while !left.is_empty() {
                let (now, later) = left.split_at(left.len().min(*cuts.next().unwrap()));
                theirs.write_all(now).unwrap();
                prop_assert_eq!(wire.receive(false), Read::Drained(now.len()));
                wire.understand(&mut requests, &limits, 1 << 20);
                left = later;
            }
            // All bytes in their order: in letters, then what is no whole command yet.
            let mut seen = requests.bytes.clone();
            seen.extend_from_slice(wire.input.filled());
            prop_assert_eq!(&seen, &bytes);
            // Each command is the one that a parser finds at its place.
            for letter in &requests.letters {
                prop_assert_eq!(letter.wire, 7);
                let mut at = letter.bytes.start as usize;
                for command in &requests.commands[letter.commands.start as usize..letter.commands.end as usize] {
                    let mut ranges = Vec::new();
                    let end = loop {
                        match RequestParser::new().next(&requests.bytes, at, &mut ranges, &limits) {
                            Step::Skip { end } => at = end,
                            Step::Command { end } => break end,
                            other => panic!("{other:?}"),
                        }
                    };
                    prop_assert_eq!(command.bytes.clone(), at as u32..end as u32);
                    let args = command.args.start as usize..command.args.end as usize;
                    prop_assert_eq!(&requests.ranges[args], &ranges[..]);
                    at = end;
                }
            }
        }
    }
}
