//! One connection: what it has to send, what it waits for.
//!
//! ```text
//!   out      [ sent already | to be sent ]
//!   waiting  oldest requests ... newest requests      one entry for requests that have all in common but their bytes
//!   input    [ parsed | reply bytes | room ]
//! ```
//!
//! The buffers are the thread's ([`Stock`]) while nothing is in them. Of a cluster also the bytes of each request are kept, as another node may be the one to ask.

use super::sink::Sink;
use super::skim::{near_end, skim};
use super::stock::Stock;
use crate::target::Stream;
use crate::workload::page::Page;
use crate::workload::template::About;
use cairn_format::resp::value::{ReplyScanner, ReplyStep, Value, is_error};
use cairn_toolkit::outcome::plain;
use cairn_toolkit::remote::Redirect;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};

/// Requests on their way that have all this in common.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// How many.
    pub count: u64,
    /// When it was due (open loop) or sent (closed loop), in nanoseconds from the start of the run.
    pub due: u64,
    /// When it was sent.
    pub sent: u64,
    /// Which of the workload's operations it is.
    pub operation: u32,
    /// Replies to each.
    pub replies: u32,
    /// Replies to the oldest that are still to come.
    pub left: u32,
    /// What it is about.
    pub about: About,
    /// Whether it belongs to the measured part.
    pub counts: bool,
    /// Its reply tells nothing: that of ASKING.
    pub is_silent: bool,
}

impl Waiting {
    /// A request that is due and sent at these times, of an operation that is still to be chosen.
    pub fn new(due: u64, sent: u64, counts: bool) -> Waiting {
        Waiting {
            count: 1,
            due,
            sent,
            operation: 0,
            replies: 1,
            left: 1,
            about: About::default(),
            counts,
            is_silent: false,
        }
    }

    /// Makes it a request of this operation.
    #[inline]
    pub fn be_of(&mut self, operation: u32, replies: u32, about: About) {
        (self.operation, self.about) = (operation, about);
        (self.replies, self.left) = (replies, replies);
    }

    /// Whether another request differs in nothing that is told apart.
    #[inline]
    fn is_like(&self, other: &Waiting) -> bool {
        self.due == other.due
            && self.sent == other.sent
            && self.operation == other.operation
            && self.replies == other.replies
            && self.about == other.about
            && self.counts == other.counts
            && self.is_silent == other.is_silent
    }
}

/// A request that another node is to be asked for.
#[derive(Debug)]
pub struct Redirected {
    /// Where to.
    pub to: Redirect,
    /// The request, as it waits.
    pub waiting: Waiting,
    /// Its bytes.
    pub bytes: Box<[u8]>,
}

/// A connection and its queue.
#[derive(Debug)]
pub struct Link {
    stream: Stream,
    /// Requests being written; the worker appends here.
    pub out: Page,
    waiting: VecDeque<Waiting>,
    /// Bytes of what waits, of a cluster.
    kept: Option<VecDeque<Box<[u8]>>>,
    redirect: Option<Redirect>,
    input: Vec<u8>,
    parsed: usize,
    filled: usize,
    scanner: ReplyScanner,
    /// A reply that did not end within a read has been begun by the scanner.
    is_scanning: bool,
}

impl Link {
    /// A link over a connected stream; `keeps`: of a cluster.
    pub fn new(stream: Stream, keeps: bool) -> Link {
        Link {
            stream,
            out: Page::default(),
            waiting: VecDeque::new(),
            kept: keeps.then(VecDeque::new),
            redirect: None,
            input: Vec::new(),
            parsed: 0,
            filled: 0,
            scanner: ReplyScanner::new(),
            is_scanning: false,
        }
    }

    /// The socket, for its registration.
    pub fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// Requests without a reply yet.
    pub fn waiting(&self) -> usize {
        self.count(|waiting| !waiting.is_silent) as usize
    }

    /// Measured requests without a reply yet.
    pub fn waiting_measured(&self) -> u64 {
        self.count(|waiting| waiting.counts && !waiting.is_silent)
    }

    fn count(&self, is_asked_for: impl Fn(&Waiting) -> bool) -> u64 {
        let waiting = self.waiting.iter().filter(|waiting| is_asked_for(waiting));
        waiting.map(|waiting| waiting.count).sum()
    }

    /// Makes room to write in.
    pub fn open(&mut self, stock: &mut Stock) {
        if self.out.is_new() {
            self.out = stock.page();
        }
    }

    /// Remembers a request whose bytes were just appended to `out`, from `start` on.
    #[inline]
    pub fn push(&mut self, waiting: Waiting, start: usize) {
        if let Some(kept) = &mut self.kept {
            kept.push_back(self.out.since(start).into());
        }
        match self.waiting.back_mut() {
            Some(last) if last.is_like(&waiting) => last.count += waiting.count,
            _ => self.waiting.push_back(waiting),
        }
    }

    /// All that waits is sent now, and was due now.
    pub fn stamp(&mut self, now: u64) {
        for waiting in &mut self.waiting {
            (waiting.due, waiting.sent) = (now, now);
        }
    }

    /// Hands as much as possible to the system; the rest waits until the socket is writable.
    ///
    /// # Errors
    /// Why the connection is over.
    pub fn send(&mut self, stock: &mut Stock) -> Result<(), String> {
        if self.out.is_new() {
            return self.flush();
        }
        while !self.out.is_empty() {
            match self.stream.write(self.out.rest()) {
                Ok(0) => return Err("closed by the server".to_owned()),
                Ok(n) => self.out.sent(n),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(plain(&error)),
            }
        }
        stock.give_page(std::mem::take(&mut self.out));
        self.flush()
    }

    fn flush(&mut self) -> Result<(), String> {
        match self.stream.flush() {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(plain(&error)),
            _ => Ok(()),
        }
    }

    /// Reads what is there and counts the replies at the time that the sink tells after each read. Says how many requests were answered.
    ///
    /// `drain` asks to go on until the system says there is no more, which is needed when the other side has closed:
    /// that event comes once. Requests that another node is to be asked for go to `redirected`.
    ///
    /// # Errors
    /// Why the connection is over, or that the bytes are no replies.
    pub fn receive(
        &mut self,
        sink: &mut Sink<'_>,
        drain: bool,
        redirected: &mut Vec<Redirected>,
        stock: &mut Stock,
    ) -> Result<u64, String> {
        let drain = drain || self.stream.may_hold_more();
        let mut answered = 0;
        loop {
            self.make_room(stock);
            let room = self.input.len() - self.filled;
            let is_last = match self.stream.read(&mut self.input[self.filled..]) {
                Ok(0) => return Err("closed by the server".to_owned()),
                Ok(n) => {
                    self.filled += n;
                    sink.look_at_the_clock();
                    answered += self.parse(sink, redirected)?;
                    sink.flush();
                    n < room && !drain
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => true,
                Err(error) if error.kind() == ErrorKind::Interrupted => false,
                Err(error) => return Err(plain(&error)),
            };
            if is_last {
                self.give_back(stock);
                return Ok(answered);
            }
        }
    }

    /// As [`Link::receive`], of bytes that have been read, and come as of the sink's last look at the clock; who looks there again flushes the sink first.
    ///
    /// # Errors
    /// The bytes are no replies.
    pub fn take(
        &mut self,
        mut bytes: &[u8],
        sink: &mut Sink<'_>,
        redirected: &mut Vec<Redirected>,
        stock: &mut Stock,
    ) -> Result<u64, String> {
        let mut answered = 0;
        while !bytes.is_empty() {
            self.make_room(stock);
            let room = &mut self.input[self.filled..];
            let (now, later) = bytes.split_at(room.len().min(bytes.len()));
            room[..now.len()].copy_from_slice(now);
            self.filled += now.len();
            bytes = later;
            answered += self.parse(sink, redirected)?;
        }
        self.give_back(stock);
        Ok(answered)
    }

    fn parse(
        &mut self,
        sink: &mut Sink<'_>,
        redirected: &mut Vec<Redirected>,
    ) -> Result<u64, String> {
        let mut answered = 0;
        while self.parsed < self.filled {
            answered += self.skim(sink);
            if self.parsed == self.filled {
                break;
            }
            let Some(end) = self.reply_end()? else {
                break;
            };
            let reply = self.parsed..end;
            self.parsed = end;
            let first = self.input[reply.start];
            // Protocol 3 sends messages that answer nothing.
            if first == b'>' {
                continue;
            }
            let waiting = self.waiting.front_mut().ok_or("a reply to no request")?;
            let bytes = &self.input[reply];
            if is_error(first) && self.kept.is_some() {
                self.redirect = Redirect::of(&bytes[1..]).or(self.redirect.take());
            }
            if self.redirect.is_none() && !waiting.is_silent {
                sink.reply(waiting, bytes);
            }
            waiting.left -= 1;
            if waiting.left == 0 {
                answered += self.answered(sink, redirected);
            }
        }
        Ok(answered)
    }

    /// Passes over replies that are all there and of which nothing is to be known but their number and the misses among them.
    fn skim(&mut self, sink: &mut Sink<'_>) -> u64 {
        let mut answered = 0;
        while let Some(waiting) = self.waiting.front_mut() {
            let is_plain = waiting.replies == 1 && !waiting.is_silent && self.kept.is_none();
            if self.is_scanning || !is_plain || sink.verifies(waiting) {
                break;
            }
            let skimmed = skim(&self.input[self.parsed..self.filled], waiting.count);
            if skimmed.replies == 0 {
                break;
            }
            sink.skimmed(waiting, skimmed);
            self.parsed += skimmed.bytes;
            answered += skimmed.replies;
            waiting.count -= skimmed.replies;
            if waiting.count > 0 {
                break;
            }
            self.waiting.pop_front();
        }
        answered
    }

    /// The oldest request has all its replies.
    fn answered(&mut self, sink: &mut Sink<'_>, redirected: &mut Vec<Redirected>) -> u64 {
        let Some(oldest) = self.waiting.front_mut() else {
            return 0;
        };
        oldest.left = oldest.replies;
        oldest.count -= 1;
        let waiting = Waiting {
            count: 1,
            ..*oldest
        };
        if oldest.count == 0 {
            self.waiting.pop_front();
        }
        let bytes = self.kept.as_mut().and_then(VecDeque::pop_front);
        if let (Some(to), Some(bytes)) = (self.redirect.take(), bytes) {
            redirected.push(Redirected { to, waiting, bytes });
            return 0;
        }
        if waiting.is_silent {
            return 0;
        }
        sink.answered(&waiting, 1);
        1
    }

    /// Where the reply at `parsed` ends, if it is all there.
    fn reply_end(&mut self) -> Result<Option<usize>, String> {
        let input = &self.input[..self.filled];
        if !self.is_scanning
            && let Some(end) = near_end(&input[self.parsed..])
        {
            return Ok(Some(self.parsed + end));
        }
        let step = self
            .scanner
            .next(input, self.parsed)
            .map_err(|error| error.to_string())?;
        match step {
            ReplyStep::Complete { end } => {
                self.is_scanning = false;
                Ok(Some(end))
            }
            ReplyStep::Incomplete { .. } => {
                self.is_scanning = true;
                Ok(None)
            }
        }
    }

    /// Moves an unfinished reply to the front, and doubles the buffer if it fills it.
    fn make_room(&mut self, stock: &mut Stock) {
        if self.parsed == self.filled {
            (self.parsed, self.filled) = (0, 0);
        }
        if self.input.is_empty() {
            self.input = stock.input();
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

    /// Nothing is left in the input: it is for whoever reads next.
    fn give_back(&mut self, stock: &mut Stock) {
        if self.parsed == self.filled {
            (self.parsed, self.filled) = (0, 0);
            stock.give_input(std::mem::take(&mut self.input));
        }
    }
}

/// The text of an error reply, for counting.
pub fn error_line(reply: &[u8]) -> Option<Vec<u8>> {
    match Value::decode(reply) {
        Ok((Value::Error(line), _)) => Some(line),
        _ => None,
    }
}

/// Registers a link for both directions; mio reports each change once.
///
/// # Errors
/// Those of the system.
pub fn register(link: &mut Link, registry: &mio::Registry, token: usize) -> io::Result<()> {
    registry.register(
        link.stream(),
        mio::Token(token),
        mio::Interest::READABLE | mio::Interest::WRITABLE,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::budget::Marks;
    use crate::load::sink::{Gauge, Place};
    use crate::load::tally::Tally;
    use crate::load::timeline::Timeline;
    use crate::workload::data::Pools;
    use crate::workload::reading::Reading;
    use std::net::Shutdown;
    use std::os::unix::net::UnixStream;

    /// A link and the other end of its socket.
    fn pair() -> (Link, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let stream = Stream::Unix(mio::net::UnixStream::from_std(ours));
        (Link::new(stream, false), theirs)
    }

    /// What a worker has around its links.
    struct Around(Tally, Timeline, Marks, Pools, Gauge, Stock);

    impl Around {
        fn new() -> Around {
            let marks = Marks::new(Some(std::time::Duration::ZERO), None);
            Around(
                Tally::new(1, false),
                Timeline::default(),
                marks,
                Pools::default(),
                Gauge::default(),
                Stock::default(),
            )
        }

        fn receive(&mut self, link: &mut Link, drain: bool) -> Result<u64, String> {
            let reading = Reading {
                has_hits: true,
                ..Reading::default()
            };
            let place = Place {
                timeline: &self.1,
                marks: &self.2,
                pools: &self.3,
                gauge: &self.4,
                readings: &[reading],
                verify: false,
            };
            let mut sink = Sink::new(&mut self.0, place);
            link.receive(&mut sink, drain, &mut Vec::new(), &mut self.5)
        }
    }

    fn ask(link: &mut Link, count: usize) {
        for _ in 0..count {
            link.push(Waiting::new(0, 0, true), 0);
        }
    }

    #[test]
    fn a_socket_that_is_empty_or_full_is_no_failure() {
        let (mut link, mut server) = pair();
        let mut around = Around::new();
        for drain in [false, true] {
            assert_eq!(around.receive(&mut link, drain), Ok(0));
            ask(&mut link, 2);
            server.write_all(b"+OK\r\n:1\r\n").unwrap();
            assert_eq!(around.receive(&mut link, drain), Ok(2));
        }
        let request = vec![b'x'; 8 << 20];
        link.open(&mut around.5);
        link.out.put(&request);
        assert_eq!(link.send(&mut around.5), Ok(()));
        assert!(!link.out.is_empty() && link.out.rest().len() <= request.len());
        let reader = std::thread::spawn(move || {
            let mut got = Vec::new();
            server.read_to_end(&mut got).map(|_| got)
        });
        while !link.out.is_empty() {
            assert_eq!(link.send(&mut around.5), Ok(()));
        }
        drop(link);
        assert_eq!(reader.join().unwrap().unwrap(), request);
    }

    #[test]
    fn an_end_and_a_reply_to_nothing_are_told() {
        let (mut link, mut server) = pair();
        let mut around = Around::new();
        server.write_all(b"+OK\r\n").unwrap();
        assert_eq!(
            around.receive(&mut link, false),
            Err("a reply to no request".to_owned())
        );
        let (mut link, server) = pair();
        ask(&mut link, 1);
        server.shutdown(Shutdown::Both).unwrap();
        assert_eq!(
            around.receive(&mut link, true),
            Err("closed by the server".to_owned())
        );
    }

    /// However replies fall into reads, the buffer is that of one reply and not of all.
    #[test]
    fn room_grows_with_a_reply_and_not_with_their_number() {
        let (mut link, mut server) = pair();
        let mut around = Around::new();
        let small = [&b"$100\r\n"[..], &[b'v'; 100], b"\r\n"].concat();
        let mut replies = 0;
        for _ in 0..300 {
            ask(&mut link, 40);
            server.write_all(&small.repeat(40)).unwrap();
            replies += around.receive(&mut link, true).unwrap();
        }
        assert_eq!(replies, 12_000);
        assert_eq!(
            (link.input.len(), around.5.input().len()),
            (0, Stock::default().input().len())
        );
        assert_eq!(around.0.hits(), Some((12_000, 0)));
        let large = [b"$100000\r\n".as_slice(), &[b'v'; 100_000], b"\r\n"].concat();
        ask(&mut link, 1);
        let mut got = 0;
        for piece in large.chunks(30_000) {
            server.write_all(piece).unwrap();
            got += around.receive(&mut link, true).unwrap();
        }
        assert_eq!((got, around.5.input().len()), (1, 128 << 10));
    }
}
