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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Shutdown;
    use std::os::unix::net::UnixStream;

    /// A client and the other end of its socket.
    fn pair() -> (Client, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let stream = Stream::Unix(mio::net::UnixStream::from_std(ours));
        (Client::new(stream), theirs)
    }

    fn ask(client: &mut Client, count: usize) {
        for _ in 0..count {
            client.push(Waiting {
                since: 0,
                command: 0,
                counts: true,
            });
        }
    }

    #[test]
    fn a_socket_that_is_empty_or_full_is_no_failure() {
        let (mut client, mut server) = pair();
        let mut tally = Tally::new(1);
        for drain in [false, true] {
            assert_eq!(client.receive(&mut tally, || 1, drain), Ok(0));
            ask(&mut client, 2);
            server.write_all(b"+OK\r\n:1\r\n").unwrap();
            assert_eq!(client.receive(&mut tally, || 1, drain), Ok(2));
        }
        let request = vec![b'x'; 8 << 20];
        client.out.extend_from_slice(&request);
        assert_eq!(client.send(), Ok(()));
        assert!(!client.out.is_empty() && client.sent < request.len());
        let reader = std::thread::spawn(move || {
            let mut got = Vec::new();
            server.read_to_end(&mut got).map(|_| got)
        });
        while !client.out.is_empty() {
            assert_eq!(client.send(), Ok(()));
        }
        drop(client);
        assert_eq!(reader.join().unwrap().unwrap(), request);
    }

    #[test]
    fn an_end_and_a_reply_to_nothing_are_told() {
        let (mut client, mut server) = pair();
        let mut tally = Tally::new(1);
        server.write_all(b"+OK\r\n").unwrap();
        let told = client.receive(&mut tally, || 1, false);
        assert_eq!(told, Err("a reply to no request".to_owned()));
        let (mut client, server) = pair();
        ask(&mut client, 1);
        server.shutdown(Shutdown::Both).unwrap();
        let told = client.receive(&mut tally, || 1, true);
        assert_eq!(told, Err("closed by the server".to_owned()));
    }

    /// However replies fall into reads, the buffer is that of one reply and not of all.
    #[test]
    fn room_grows_with_a_reply_and_not_with_their_number() {
        let (mut client, mut server) = pair();
        let mut tally = Tally::new(1);
        let small = b"$100\r\n"
            .iter()
            .copied()
            .chain([b'v'; 100])
            .chain(*b"\r\n");
        let small: Vec<u8> = small.collect();
        let mut replies = 0;
        for _ in 0..300 {
            ask(&mut client, 40);
            server.write_all(&small.repeat(40)).unwrap();
            replies += client.receive(&mut tally, || 1, true).unwrap();
        }
        assert_eq!((replies, client.input.len()), (12_000, INPUT_BYTES));
        let large = [b"$100000\r\n".as_slice(), &[b'v'; 100_000], b"\r\n"].concat();
        ask(&mut client, 1);
        let mut got = 0;
        for piece in large.chunks(30_000) {
            server.write_all(piece).unwrap();
            got += client.receive(&mut tally, || 1, true).unwrap();
        }
        assert_eq!((got, client.input.len()), (1, 128 << 10));
    }
}
