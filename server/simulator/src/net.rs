//! Sockets without a system: two queues of bytes each, and how the two ends stand.
//!
//! What TCP allows happens: bytes arrive in pieces, a reader may get less than there is, a writer finds little room, an end
//! that is closed with unread bytes takes what it sent along, and the poll reports edges in any order, some of them late.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::rc::Rc;

use cairn_engine::base::random::Random;
use cairn_server::host::{Acceptor, Address, Departure, Outlet, Readiness, Socket, Stream};
use mio::event::Source;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

/// How a client's end stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    /// It sends no more but reads.
    HalfClosed,
    /// It is gone, and the other end learns it.
    Reset,
}

struct Connection {
    to_server: VecDeque<u8>,
    to_client: VecDeque<u8>,
    /// Bytes that fit into `to_client`.
    room: usize,
    client: End,
    server_closed: bool,
    /// Where the other end and this one are; none for clients of this machine.
    ends: Option<[SocketAddr; 2]>,
    /// A read gives all there is, as sockets of the system do; otherwise any part of it.
    whole_reads: bool,
    token: Option<usize>,
    watches: Watched,
    /// What happened since it was reported last.
    edges: Watched,
}

#[derive(Clone, Copy, Default)]
struct Watched {
    read: bool,
    write: bool,
}

impl Connection {
    fn readable(&self) -> bool {
        !self.to_server.is_empty() || self.client != End::Open
    }

    fn free(&self) -> usize {
        self.room.saturating_sub(self.to_client.len())
    }

    fn is_reported(&self) -> bool {
        let read = self.edges.read && self.watches.read && self.readable();
        let write = self.edges.write && self.watches.write && self.free() > 0;
        self.token.is_some() && (read || write)
    }

    /// Something happened that the poll has not told, or cannot tell yet.
    fn is_eager(&self) -> bool {
        self.token.is_some() && (self.edges.read || self.edges.write)
    }

    fn report(&mut self) -> Option<Readiness> {
        let readiness = Readiness {
            token: self.token?,
            readable: self.edges.read && self.watches.read && self.readable(),
            writable: self.edges.write && self.watches.write && self.free() > 0,
            hangup: self.client != End::Open,
        };
        self.edges = Watched::default();
        Some(readiness)
    }
}

struct State {
    random: Random,
    connections: Vec<Connection>,
    /// Those that are eager: the poll looks at no other, however many there were.
    eager: BTreeSet<usize>,
    /// What is listened on, by port.
    doors: BTreeMap<u16, Door>,
}

impl State {
    fn add(&mut self, whole_reads: bool, room: usize, ends: Option<[SocketAddr; 2]>) {
        self.connections.push(Connection {
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            room,
            client: End::Open,
            server_closed: false,
            ends,
            whole_reads,
            token: None,
            watches: Watched::default(),
            edges: Watched::default(),
        });
    }

    /// Changes a connection. All changes pass here, so that the poll knows of them.
    fn change<T>(&mut self, id: usize, f: impl FnOnce(&mut Connection, &mut Random) -> T) -> T {
        let connection = &mut self.connections[id];
        let was_eager = connection.is_eager();
        let outcome = f(connection, &mut self.random);
        match (was_eager, connection.is_eager()) {
            (false, true) => drop(self.eager.insert(id)),
            (true, false) => drop(self.eager.remove(&id)),
            _ => {}
        }
        outcome
    }
}

/// A port.
#[derive(Default)]
struct Door {
    /// Connected and not accepted.
    waiting: VecDeque<usize>,
    /// Token of the listener while it listens.
    listener: Option<usize>,
    /// Somebody came since that was reported last.
    came: bool,
}

/// Most bytes on the way to a client that did not read them.
const ROOM_MAX: usize = 1 << 20;
/// A machine, by its number.
pub type HostId = usize;

/// The port that clients connect to.
pub const PORT: u16 = 6379;

/// The network; clones are the same one.
#[derive(Clone)]
pub struct Net(Rc<RefCell<State>>);

/// Moves the first bytes of a queue, which has so many, behind others.
fn append(from: &mut VecDeque<u8>, count: usize, into: &mut Vec<u8>) {
    let (front, back) = from.as_slices();
    let split = front.len().min(count);
    into.extend_from_slice(&front[..split]);
    into.extend_from_slice(&back[..count - split]);
    from.drain(..count);
}

/// A client's end of a connection.
pub struct Plug {
    net: Net,
    id: usize,
}

impl Net {
    /// A network without anybody.
    pub fn new(seed: u64) -> Net {
        Net(Rc::new(RefCell::new(State {
            random: Random::new(seed),
            connections: Vec::new(),
            eager: BTreeSet::new(),
            doors: BTreeMap::new(),
        })))
    }

    /// Connects to the server; none while it does not listen.
    pub fn connect(&self) -> Option<Plug> {
        self.connect_to(PORT)
    }

    /// Connects to a port of the server; none while it does not listen there.
    pub fn connect_to(&self, port: u16) -> Option<Plug> {
        self.connect_between(port, None)
    }

    /// As [`Net::connect_to`], from another machine: the client's end and the server's.
    pub fn connect_between(&self, port: u16, ends: Option<[SocketAddr; 2]>) -> Option<Plug> {
        let mut state = self.0.borrow_mut();
        let state = &mut *state;
        let door = state.doors.get_mut(&port)?;
        door.listener?;
        let id = state.connections.len();
        door.waiting.push_back(id);
        door.came = true;
        let (whole_reads, room) = (
            state.random.below(2) == 0,
            [64, 1000, 20_000, ROOM_MAX][state.random.index(4)],
        );
        state.add(whole_reads, room, ends);
        Some(self.plug(id))
    }

    /// The server's own connection to somebody else, and that one's end. Nothing can be written before [`Plug::set_room`].
    pub fn open(&self, ends: [SocketAddr; 2]) -> (Plug, Stream) {
        let mut state = self.0.borrow_mut();
        let id = state.connections.len();
        let whole_reads = state.random.below(2) == 0;
        state.add(whole_reads, 0, Some(ends));
        let net = self.clone();
        let socket = Stream::Other(Box::new(SimSocket { net, id }));
        (self.plug(id), socket)
    }

    fn plug(&self, id: usize) -> Plug {
        Plug {
            net: self.clone(),
            id,
        }
    }

    /// Whether the poll has anything to tell.
    pub fn is_anybody_ready(&self) -> bool {
        let state = self.0.borrow();
        let reported = |id: &usize| state.connections[*id].is_reported();
        let knocks = |door: &Door| door.came && door.listener.is_some();
        state.eager.iter().any(reported) || state.doors.values().any(knocks)
    }

    /// What the server listens on a port with.
    pub fn acceptor(&self, port: u16) -> Box<dyn Acceptor> {
        let net = self.clone();
        Box::new(SimAcceptor { net, port })
    }

    /// Adds who is ready, some of them or all, in any order. Whoever is left out is reported later.
    pub fn report(&self, ready: &mut Vec<Readiness>) {
        let mut state = self.0.borrow_mut();
        let state = &mut *state;
        let eager = state.eager.iter().copied();
        let mut ids: Vec<usize> = eager
            .filter(|id| state.connections[*id].is_reported())
            .collect();
        for at in (1..ids.len()).rev() {
            ids.swap(at, state.random.index(at + 1));
        }
        let shown = match state.random.below(4) {
            0 => ids.len().div_ceil(2),
            _ => ids.len(),
        };
        for id in &ids[..shown] {
            ready.extend(state.change(*id, |c, _| c.report()));
        }
        for door in state.doors.values_mut() {
            if let Some(token) = door.listener
                && std::mem::take(&mut door.came)
            {
                ready.push(Readiness {
                    token,
                    readable: true,
                    writable: false,
                    hangup: false,
                });
            }
        }
    }
}

impl Plug {
    fn with<T>(&self, f: impl FnOnce(&mut Connection) -> T) -> T {
        let mut state = self.net.0.borrow_mut();
        state.change(self.id, |c, _| f(c))
    }

    /// Sends bytes.
    pub fn send(&self, bytes: &[u8]) {
        self.with(|c| {
            if c.client == End::Open && !c.server_closed {
                c.to_server.extend(bytes);
                c.edges.read = true;
            }
        });
    }

    /// Reads up to `max` bytes of what has come.
    pub fn receive(&self, max: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.receive_into(&mut bytes, max);
        bytes
    }

    /// Reads up to `max` bytes of what has come, behind those that are there.
    pub fn receive_into(&self, bytes: &mut Vec<u8>, max: usize) {
        self.with(|c| {
            let count = max.min(c.to_client.len());
            c.edges.write |= count > 0;
            append(&mut c.to_client, count, bytes);
        });
    }

    /// As much room as anybody has: the reader is in no hurry to be slow any more.
    pub fn widen(&self) {
        self.set_room(ROOM_MAX);
    }

    /// So many bytes may be on the way from the server.
    pub fn set_room(&self, bytes: usize) {
        self.with(|c| {
            c.room = bytes;
            c.edges.write = true;
        });
    }

    /// Bytes that the server has not read yet.
    pub fn unread(&self) -> usize {
        self.with(|c| c.to_server.len())
    }

    /// Nothing more comes: the server has closed, and all was read.
    pub fn is_over(&self) -> bool {
        self.with(|c| c.server_closed && c.to_client.is_empty())
    }

    /// The server has closed its end.
    pub fn is_closed(&self) -> bool {
        self.with(|c| c.server_closed)
    }

    /// Sends no more; reads on.
    pub fn half_close(&self) {
        self.with(|c| {
            c.client = End::HalfClosed;
            c.edges.read = true;
        });
    }

    /// Is gone at once.
    pub fn reset(&self) {
        self.with(|c| {
            c.client = End::Reset;
            c.to_client.clear();
            c.edges.read = true;
        });
    }
}

/// The server's end.
struct SimSocket {
    net: Net,
    id: usize,
}

impl SimSocket {
    fn with<T>(&self, f: impl FnOnce(&mut Connection, &mut Random) -> T) -> T {
        self.net.0.borrow_mut().change(self.id, f)
    }

    fn close(&self) {
        self.with(|c, random| {
            // Unread bytes make it a reset, and a reset may overtake what was sent.
            if !c.server_closed && !c.to_server.is_empty() && random.below(2) == 0 {
                c.to_client.clear();
            }
            c.server_closed = true;
            c.token = None;
        });
    }
}

impl Drop for SimSocket {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for SimSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimSocket({})", self.id)
    }
}

impl Read for SimSocket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.with(|c, random| match c.client {
            End::Reset => Err(io::ErrorKind::ConnectionReset.into()),
            End::HalfClosed if c.to_server.is_empty() => Ok(0),
            End::Open if c.to_server.is_empty() => Err(io::ErrorKind::WouldBlock.into()),
            _ => {
                let mut count = into.len().min(c.to_server.len());
                if !c.whole_reads {
                    count = 1 + random.index(count);
                }
                c.to_server.read_exact(&mut into[..count])?;
                Ok(count)
            }
        })
    }
}

impl Write for SimSocket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(|c, random| {
            if c.client == End::Reset || c.server_closed {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            let fits = bytes.len().min(c.free());
            if fits == 0 && !bytes.is_empty() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let count = match random.below(4) {
                0 if fits > 0 => 1 + random.index(fits),
                _ => fits,
            };
            c.to_client.extend(&bytes[..count]);
            // The rest of a short write would have found room: the edge is still to come.
            c.edges.write |= count < fits;
            Ok(count)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Source for SimSocket {
    fn register(&mut self, _: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        self.with(|c, _| {
            c.token = Some(token.0);
            c.watches = Watched {
                read: interest.is_readable(),
                write: interest.is_writable(),
            };
            c.edges = Watched {
                read: true,
                write: true,
            };
        });
        Ok(())
    }

    fn reregister(&mut self, to: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        self.register(to, token, interest)
    }

    fn deregister(&mut self, _: &Registry) -> io::Result<()> {
        self.with(|c, _| c.token = None);
        Ok(())
    }
}

impl Outlet for SimSocket {}

impl Socket for SimSocket {
    fn depart(self: Box<Self>) -> Departure {
        Departure::Stays(self)
    }

    fn peer(&self) -> Address {
        let port = (10_000 + self.id % 50_000) as u16;
        let here = SocketAddr::from(([127, 0, 0, 1], port));
        Address::Tcp(self.with(|c, _| c.ends.map_or(here, |ends| ends[0])))
    }

    fn local(&self) -> Address {
        let here = SocketAddr::from(([127, 0, 0, 1], PORT));
        Address::Tcp(self.with(|c, _| c.ends.map_or(here, |ends| ends[1])))
    }

    fn shutdown(&mut self) {
        self.close();
    }

    fn fd(&self) -> RawFd {
        // No descriptor of this process may be mistaken for it.
        -1
    }

    fn tcp(&self) -> Option<&TcpStream> {
        None
    }

    fn is_empty_after_short_read(&self) -> bool {
        self.with(|c, _| c.whole_reads)
    }
}

struct SimAcceptor {
    net: Net,
    port: u16,
}

impl SimAcceptor {
    fn with<T>(&self, f: impl FnOnce(&mut Door) -> T) -> T {
        f(self.net.0.borrow_mut().doors.entry(self.port).or_default())
    }
}

impl fmt::Debug for SimAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimAcceptor({})", self.port)
    }
}

impl Acceptor for SimAcceptor {
    fn accept(&mut self) -> io::Result<Stream> {
        let id = self.with(|door| door.waiting.pop_front());
        let id = id.ok_or(io::ErrorKind::WouldBlock)?;
        Ok(Stream::Other(Box::new(SimSocket {
            net: self.net.clone(),
            id,
        })))
    }

    fn name(&self) -> String {
        format!("simulated:{}", self.port)
    }

    fn address(&self) -> Option<SocketAddr> {
        None
    }

    fn close(&mut self) {
        // Who was not accepted yet is turned away.
        let turned_away = self.with(|door| {
            door.listener = None;
            std::mem::take(&mut door.waiting)
        });
        let mut state = self.net.0.borrow_mut();
        for id in turned_away {
            state.change(id, |c, _| c.server_closed = true);
        }
    }
}

impl Source for SimAcceptor {
    fn register(&mut self, _: &Registry, token: Token, _: Interest) -> io::Result<()> {
        self.with(|door| door.listener = Some(token.0));
        Ok(())
    }

    fn reregister(&mut self, to: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        self.register(to, token, interest)
    }

    fn deregister(&mut self, _: &Registry) -> io::Result<()> {
        self.with(|door| door.listener = None);
        Ok(())
    }
}
