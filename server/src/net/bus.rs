//! Connections of the cluster's bus: those that this server makes to other nodes, and those that they make. Knows frames by their
//! length, not what is in them.
//!
//! ```text
//!   accepted ----bytes----> frames --> News        what is sent waits here, shared with whoever else gets the same
//!   asked for --connected-> News
//! ```
//! A connection is looked at for no more than `TURN_MAX` bytes a turn. What ends by itself is told; what was ended by a call is not.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use cairn_cluster::machine::length_of_frame;
use cairn_cluster::seam::{LinkId, PeerId};
use mio::{Interest, Registry, Token};

use super::{Accepting, FIRST_BUS, FIRST_GUEST, Listeners};
use crate::host::{Address, Readiness, Shake, Stream};

/// Bytes that one connection may bring in a turn.
const TURN_MAX: usize = 256 * 1024;
/// Connections at the same time: two for each node of a large cluster, and some.
const WIRES_MAX: usize = FIRST_GUEST - FIRST_BUS;
/// Handshakes of encrypted connections that go on in one turn.
const SHAKES_MAX: usize = 1;
/// A handshake must be over after so long, milliseconds.
const SHAKE_MS: u64 = 10_000;

/// Which connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// One that this server makes.
    Peer(PeerId),
    /// One that another node made.
    Link(LinkId),
}

/// What happened on the bus.
#[derive(Debug)]
pub enum News {
    /// A connection that was asked for is made.
    Connected(PeerId),
    /// Another node has made one: its end, and ours.
    Accepted(LinkId, SocketAddr, SocketAddr),
    /// A connection has ended by itself; too much waited on it if `is_full`.
    Ended {
        /// Which.
        end: End,
        /// Too much waited on it.
        is_full: bool,
    },
    /// A whole frame has come.
    Frame(End, Vec<u8>),
}

#[derive(Debug)]
struct Wire {
    stream: Stream,
    end: End,
    is_connected: bool,
    /// It is encrypted, and cannot be used yet.
    is_shaking: bool,
    /// The poll said that there may be something to do.
    is_ready: bool,
    input: Vec<u8>,
    queue: VecDeque<Arc<[u8]>>,
    /// Bytes of the first one that have left.
    sent: usize,
    /// Bytes that wait.
    waiting: usize,
    created_ms: u64,
}

impl Wire {
    /// Goes on with the handshake; whether it can at once again.
    fn shake(&mut self, now_ms: u64) -> io::Result<bool> {
        match self.stream.shake()? {
            Shake::Done => {
                self.is_shaking = false;
                Ok(true)
            }
            Shake::Goes => Ok(true),
            Shake::Waits if now_ms.saturating_sub(self.created_ms) > SHAKE_MS => {
                Err(io::ErrorKind::TimedOut.into())
            }
            Shake::Waits => Ok(false),
        }
    }

    /// Sends what waits as far as it goes.
    fn send(&mut self) -> io::Result<()> {
        while let Some(first) = self.queue.front() {
            match self.stream.write(&first[self.sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.sent += count;
                    self.waiting -= count;
                    if self.sent == first.len() {
                        self.queue.pop_front();
                        self.sent = 0;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::NotConnected => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        // An encrypted connection may have taken more than it could send.
        match self.stream.flush() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            flushed => flushed,
        }
    }

    /// Reads what has come; whether there may be more.
    fn receive(&mut self) -> io::Result<bool> {
        let mut room = [0; 16 * 1024];
        let mut bytes = 0;
        while bytes < TURN_MAX {
            match self.stream.read(&mut room) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    self.is_connected = true;
                    self.input.extend_from_slice(&room[..count]);
                    bytes += count;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::NotConnected => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Takes the whole frames out of what has come.
    fn cut(&mut self, news: &mut Vec<News>) -> io::Result<()> {
        let mut at = 0;
        loop {
            let length = length_of_frame(&self.input[at..]);
            let length = length.map_err(|what| io::Error::new(io::ErrorKind::InvalidData, what))?;
            match length {
                Some(length) if length <= self.input.len() - at => {
                    let frame = self.input[at..at + length].to_vec();
                    news.push(News::Frame(self.end, frame));
                    at += length;
                }
                _ => break,
            }
        }
        self.input.drain(..at);
        Ok(())
    }
}

/// How it stands with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireInfo {
    /// When it was made, monotonic milliseconds.
    pub created_ms: u64,
    /// Bytes allocated for what waits.
    pub allocated: usize,
    /// Bytes that wait.
    pub waiting: usize,
    /// Something is wanted of the poll beside reading.
    pub writes: bool,
}

/// All of them. The place of a connection is its token.
#[derive(Debug)]
pub struct Bus {
    listeners: Listeners,
    wires: Vec<Option<Wire>>,
    places: BTreeMap<End, usize>,
    free: Vec<usize>,
    knocks: Vec<usize>,
    next_link: u64,
    news: Vec<News>,
    /// The next turn must not wait.
    pub work_left: bool,
}

impl Bus {
    /// Nobody; who comes comes through these.
    pub fn new(listeners: Listeners) -> Bus {
        Bus {
            listeners,
            wires: Vec::new(),
            places: BTreeMap::new(),
            free: Vec::new(),
            knocks: Vec::new(),
            next_link: 0,
            news: Vec::new(),
            work_left: false,
        }
    }

    /// Takes an event of the poll, if it is of the bus.
    pub fn take(&mut self, event: Readiness) -> bool {
        if let Some(place) = self.listeners.place_of(Token(event.token)) {
            if !self.knocks.contains(&place) {
                self.knocks.push(place);
            }
        } else if let Some(place) = event.token.checked_sub(FIRST_BUS)
            && place < WIRES_MAX
        {
            if let Some(Some(wire)) = self.wires.get_mut(place) {
                wire.is_ready = true;
            }
        } else {
            return false;
        }
        self.work_left = true;
        true
    }

    /// Puts a connection that was begun under the poll's eyes. One too many, and one that cannot be watched, ends at once.
    pub fn add(&mut self, registry: &Registry, end: End, stream: io::Result<Stream>, now_ms: u64) {
        let added = stream.and_then(|stream| self.seat(registry, end, stream, now_ms));
        if added.is_err() {
            self.news.push(News::Ended {
                end,
                is_full: false,
            });
            self.work_left = true;
        }
    }

    fn seat(
        &mut self,
        registry: &Registry,
        end: End,
        mut stream: Stream,
        now_ms: u64,
    ) -> io::Result<()> {
        let place = match self.free.pop() {
            Some(place) => place,
            None if self.wires.len() < WIRES_MAX => {
                self.wires.push(None);
                self.wires.len() - 1
            }
            None => return Err(io::ErrorKind::QuotaExceeded.into()),
        };
        let _ = stream.set_nodelay(true);
        let is_encrypted = stream.is_encrypted();
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = registry.register(&mut stream, Token(FIRST_BUS + place), interest) {
            self.free.push(place);
            return Err(error);
        }
        self.places.insert(end, place);
        self.wires[place] = Some(Wire {
            stream,
            end,
            is_connected: matches!(end, End::Link(_)),
            is_shaking: is_encrypted,
            is_ready: true,
            input: Vec::new(),
            queue: VecDeque::new(),
            sent: 0,
            waiting: 0,
            created_ms: now_ms,
        });
        self.work_left = true;
        Ok(())
    }

    /// Queues a frame; it leaves with the next [`Bus::turn`].
    pub fn send(&mut self, end: End, frame: Arc<[u8]>) {
        if let Some(wire) = self.wire(end) {
            wire.waiting += frame.len();
            wire.queue.push_back(frame);
            wire.is_ready = true;
            self.work_left = true;
        }
    }

    /// Ends a connection. It is not told of.
    pub fn end(&mut self, registry: &Registry, end: End) {
        if let Some(place) = self.places.remove(&end) {
            if let Some(mut wire) = self.wires[place].take() {
                let _ = registry.deregister(&mut wire.stream);
                wire.stream.shutdown();
            }
            self.free.push(place);
        }
    }

    fn wire(&mut self, end: End) -> Option<&mut Wire> {
        let place = self.places.get(&end)?;
        self.wires[*place].as_mut()
    }

    /// Number of connections, both ways.
    pub fn connections(&self) -> usize {
        self.places.len()
    }

    /// Bytes that all of them take, with what came and what waits.
    pub fn mem_bytes(&self) -> usize {
        let wires = self.wires.iter().flatten();
        let buffers = wires.map(|wire| {
            let queue = wire.queue.capacity() * size_of::<Arc<[u8]>>();
            let stream = wire.stream.memory();
            size_of::<Wire>() + stream + wire.input.capacity() + queue + wire.waiting
        });
        buffers.sum()
    }

    /// How it stands with a connection.
    pub fn info(&self, end: End) -> Option<WireInfo> {
        let wire = self.wires[*self.places.get(&end)?].as_ref()?;
        Some(WireInfo {
            created_ms: wire.created_ms,
            allocated: wire.queue.capacity() * size_of::<Arc<[u8]>>() + wire.waiting,
            waiting: wire.waiting,
            writes: !wire.queue.is_empty(),
        })
    }

    /// Lets in, sends and reads as far as it goes without waiting, and answers what happened. `limit`: bytes that may wait on one
    /// connection; 0: as many as there are.
    pub fn turn(&mut self, registry: &Registry, now_ms: u64, limit: usize) -> Vec<News> {
        self.work_left = false;
        self.let_in(registry, now_ms);
        let mut shakes = 0;
        for place in 0..self.wires.len() {
            let Some(wire) = &mut self.wires[place] else {
                continue;
            };
            let is_late = wire.is_shaking && now_ms.saturating_sub(wire.created_ms) > SHAKE_MS;
            if !std::mem::take(&mut wire.is_ready) && !is_late {
                continue;
            }
            if wire.is_shaking && shakes == SHAKES_MAX {
                wire.is_ready = true;
                self.work_left = true;
                continue;
            }
            shakes += usize::from(wire.is_shaking);
            let end = wire.end;
            let visited = Bus::visit(wire, now_ms, &mut self.news);
            let is_full = limit > 0 && wire.waiting > limit;
            match visited {
                Ok(more) if !is_full => {
                    wire.is_ready = more;
                    self.work_left |= more;
                }
                _ => {
                    self.end(registry, end);
                    self.news.push(News::Ended { end, is_full });
                }
            }
        }
        std::mem::take(&mut self.news)
    }

    /// Whether there may be more to read.
    fn visit(wire: &mut Wire, now_ms: u64, news: &mut Vec<News>) -> io::Result<bool> {
        if wire.is_shaking {
            return wire.shake(now_ms);
        }
        let was_connected = wire.is_connected;
        let more = wire.receive()?;
        if !was_connected && (wire.is_connected || wire.stream.is_connected()?) {
            wire.is_connected = true;
            if let End::Peer(peer) = wire.end {
                news.push(News::Connected(peer));
            }
        }
        wire.cut(news)?;
        wire.send()?;
        Ok(more)
    }

    fn let_in(&mut self, registry: &Registry, now_ms: u64) {
        for door in std::mem::take(&mut self.knocks) {
            loop {
                match self.listeners.accept_one(door) {
                    Ok(stream) => self.welcome(registry, stream, now_ms),
                    Err(Accepting::Exhausted(_)) => {
                        // A descriptor may be free the next time.
                        self.knocks.push(door);
                        break;
                    }
                    Err(_) => break,
                }
            }
        }
    }

    fn welcome(&mut self, registry: &Registry, stream: Stream, now_ms: u64) {
        let (Address::Tcp(theirs), Address::Tcp(ours)) = (stream.peer(), stream.local()) else {
            return;
        };
        let link = LinkId(self.next_link);
        self.next_link += 1;
        if self.seat(registry, End::Link(link), stream, now_ms).is_ok() {
            self.news.push(News::Accepted(link, theirs, ours));
        }
    }

    /// Stops listening.
    pub fn close(&mut self, registry: &Registry) {
        self.listeners.close(registry);
    }
}
