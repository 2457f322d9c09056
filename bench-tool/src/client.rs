//! One connection: what it has to send, what it waits for.
//!
//! ```text
//!   out      [ sent already | to be sent ]
//!   waiting  oldest request ... newest request        (due time, command), one for each reply to come
//!   input    [ parsed | reply bytes | room ]
//! ```

use crate::tally::Tally;
use crate::target::Stream;
use cairn_format::resp::value::{ReplyScanner, ReplyStep, Value, is_error};
use cairn_toolkit::outcome::plain;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};

/// First size of the input buffer; it doubles when a reply does not fit.
const INPUT_BYTES: usize = 16 << 10;

/// A request on its way.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// When it was sent (closed loop) or due (open loop), in nanoseconds from the start of the run.
    pub since: u64,
    /// Which of the plan's commands it is.
    pub command: u32,
    /// Whether it belongs to the measured part.
    pub counts: bool,
}

/// A connection and its queue.
#[derive(Debug)]
pub struct Client {
    stream: Stream,
    /// Requests being written; the worker appends here.
    pub out: Vec<u8>,
    sent: usize,
    waiting: VecDeque<Waiting>,
    input: Vec<u8>,
    parsed: usize,
    filled: usize,
    scanner: ReplyScanner,
}

impl Client {
    /// A client over a connected stream.
    pub fn new(stream: Stream) -> Client {
        Client {
            stream,
            out: Vec::new(),
            sent: 0,
            waiting: VecDeque::new(),
            input: vec![0; INPUT_BYTES],
            parsed: 0,
            filled: 0,
            scanner: ReplyScanner::new(),
        }
    }

    /// The socket, for its registration.
    pub fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// Requests without a reply yet.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Measured requests without a reply yet.
    pub fn waiting_measured(&self) -> u64 {
        self.waiting.iter().filter(|waiting| waiting.counts).count() as u64
    }

    /// Remembers a request whose bytes were just appended to `out`.
    pub fn push(&mut self, waiting: Waiting) {
        self.waiting.push_back(waiting);
    }

    /// Hands as much as possible to the system; the rest waits until the socket is writable.
    pub fn send(&mut self) -> Result<(), String> {
        while self.sent < self.out.len() {
            match self.stream.write(&self.out[self.sent..]) {
                Ok(0) => return Err("closed by the server".to_owned()),
                Ok(n) => self.sent += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(plain(&error)),
            }
        }
        self.out.clear();
        self.sent = 0;
        Ok(())
    }

    /// Reads what is there and counts the replies at the time that `now` tells after each read. Says how many came.
    ///
    /// `drain` asks to go on until the system says there is no more, which is needed when the other side has closed:
    /// that event comes once. Fails with the reason if the connection is over or the bytes are no replies.
    pub fn receive(
        &mut self,
        tally: &mut Tally,
        now: impl Fn() -> u64,
        drain: bool,
    ) -> Result<u64, String> {
        let mut replies = 0;
        loop {
            self.make_room();
            let room = self.input.len() - self.filled;
            let n = match self.stream.read(&mut self.input[self.filled..]) {
                Ok(0) => return Err("closed by the server".to_owned()),
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(replies),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(plain(&error)),
            };
            self.filled += n;
            replies += self.parse(tally, now())?;
            if n < room && !drain {
                return Ok(replies);
            }
        }
    }

    fn parse(&mut self, tally: &mut Tally, now: u64) -> Result<u64, String> {
        let mut replies = 0;
        while self.parsed < self.filled {
            let step = self
                .scanner
                .next(&self.input[..self.filled], self.parsed)
                .map_err(|error| error.to_string())?;
            let ReplyStep::Complete { end } = step else {
                break;
            };
            let reply = &self.input[self.parsed..end];
            self.parsed = end;
            // Protocol 3 sends messages that answer nothing.
            if reply[0] == b'>' {
                continue;
            }
            let waiting = self.waiting.pop_front().ok_or("a reply to no request")?;
            replies += 1;
            if waiting.counts {
                tally.reply(waiting.command as usize, now.saturating_sub(waiting.since));
                tally.last_reply = tally.last_reply.max(now);
                if is_error(reply[0])
                    && let Ok((Value::Error(line), _)) = Value::decode(reply)
                {
                    tally.error(waiting.command as usize, &line);
                }
            }
        }
        Ok(replies)
    }

    /// Moves an unfinished reply to the front, and doubles the buffer if it fills it.
    fn make_room(&mut self) {
        if self.parsed == self.filled {
            (self.parsed, self.filled) = (0, 0);
        }
        if self.filled < self.input.len() {
            return;
        }
        self.input.copy_within(self.parsed..self.filled, 0);
        self.filled -= self.parsed;
        self.parsed = 0;
        if self.filled == self.input.len() {
            self.input.resize(self.input.len() * 2, 0);
        }
    }
}

/// Connects `count` clients one after the other.
pub fn connect_all(
    target: &crate::target::Target,
    count: usize,
) -> Result<Vec<Client>, cairn_toolkit::Failure> {
    (0..count)
        .map(|_| target.connect().map(Client::new))
        .collect()
}

/// Registers a client for both directions; mio reports each change once.
pub fn register(client: &mut Client, registry: &mio::Registry, token: usize) -> io::Result<()> {
    registry.register(
        client.stream(),
        mio::Token(token),
        mio::Interest::READABLE | mio::Interest::WRITABLE,
    )
}
