//! A connected socket, the names of its two ends, and what is listened on.

use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use socket2::{SockRef, TcpKeepalive};

/// One end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// An internet address.
    Tcp(SocketAddr),
    /// The path of the unix socket that the server listens on: clients of it have no name.
    Unix(String),
}

impl Address {
    /// Whether the other end is on this machine; protected mode lets only these in.
    pub fn is_local(&self) -> bool {
        match self {
            Address::Tcp(address) => match address.ip() {
                IpAddr::V4(ip) => ip.is_loopback(),
                IpAddr::V6(ip) => {
                    ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback())
                }
            },
            Address::Unix(_) => true,
        }
    }
}

impl fmt::Display for Address {
    /// As CLIENT LIST prints it: `127.0.0.1:5000`, `[::1]:5000`, `/run/redis.sock:0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => match address.ip() {
                IpAddr::V4(ip) => write!(f, "{ip}:{}", address.port()),
                // Without the scope, which Redis does not print either.
                IpAddr::V6(ip) => write!(f, "[{ip}]:{}", address.port()),
            },
            Address::Unix(path) => write!(f, "{path}:0"),
        }
    }
}

/// What to listen on, as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenPlan {
    /// The words of `bind`: addresses or names, `*`, `::*`, each with `-` in front when it may be missing.
    pub bind: Vec<String>,
    /// TCP port; 0 for none.
    pub port: u16,
    /// Number that packet filters know its packets by (`socket-mark-id`).
    pub mark: Option<u32>,
    /// Connections that may wait to be accepted (`tcp-backlog`).
    pub backlog: i32,
    /// Path of the unix socket (`unixsocket`).
    pub unixsocket: Option<PathBuf>,
    /// Its permissions (`unixsocketperm`); `None` leaves them to the umask.
    pub unixsocketperm: Option<u32>,
    /// What is spoken on the port, for the log: `tcp` or `tls`.
    pub speech: &'static str,
}

/// Something that is listened on. It does not block.
pub trait Acceptor: Source + fmt::Debug {
    /// The next who waits.
    fn accept(&mut self) -> io::Result<Stream>;
    /// The address or path, for the log: `127.0.0.1:6379`, `[::]:6379`, `/run/redis.sock`.
    fn name(&self) -> String;
    /// The internet address, if it is one, with the port that the system chose where 0 was asked for.
    fn address(&self) -> Option<SocketAddr>;
    /// Whether those who come shake hands before they are served.
    fn is_encrypted(&self) -> bool {
        false
    }
    /// Called when it is listened on no more: takes away what would be left of it.
    fn close(&mut self) {}
}

/// How far the handshake of an encrypted connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shake {
    /// It is over, or there is none: the connection can be used.
    Done,
    /// The other side has to say something, or take something: the poll tells.
    Waits,
    /// A step was made, and there may be another.
    Goes,
}

/// What replies are written to.
pub trait Outlet: Write {
    /// Whether it keeps what was written, and can keep a shared value as it is.
    fn keeps_shared(&self) -> bool {
        false
    }

    /// Writes a value that is shared, from a place on, and answers as `write` does.
    ///
    /// # Errors
    /// As of `write`.
    fn write_shared(&mut self, value: &Bytes, from: usize) -> io::Result<usize> {
        self.write(&value[from..])
    }
}

/// A connection that is no plain socket of the system: encrypted, or simulated. Whatever `write` has taken leaves with it or with
/// the next `flush`, which fails with `WouldBlock` while something is left.
pub trait Socket: Read + Outlet + Source + fmt::Debug {
    /// The other end's name.
    fn peer(&self) -> Address;
    /// This end's name.
    fn local(&self) -> Address;
    /// Ends the connection for both sides.
    fn shutdown(&mut self);
    /// As [`Socket::shutdown`], and what was written and has not left is dropped.
    fn cut(&mut self) {
        self.shutdown();
    }
    /// A number for CLIENT LIST.
    fn fd(&self) -> RawFd;
    /// The socket of the system beneath, if there is one, to set options of.
    fn tcp(&self) -> Option<&TcpStream>;
    /// See [`Stream::is_empty_after_short_read`].
    fn is_empty_after_short_read(&self) -> bool;
    /// Whether nobody on the way can read it.
    fn is_encrypted(&self) -> bool {
        false
    }
    /// See [`Stream::shake`].
    ///
    /// # Errors
    /// There will be no connection.
    fn shake(&mut self) -> io::Result<Shake> {
        Ok(Shake::Done)
    }
    /// Bytes of memory that it holds beside a plain socket.
    fn memory(&self) -> usize {
        0
    }
    /// Bytes that have come and were not handed over yet, since they are no whole command.
    fn gathered(&self) -> usize {
        0
    }
    /// Whether bytes came or left, since this was asked last, of which nobody heard here.
    fn take_moved(&self) -> bool {
        false
    }
    /// Whether it can go to another thread.
    fn is_movable(&self) -> bool {
        false
    }
    /// Makes it ready to go to another thread, or stays what it is.
    fn depart(self: Box<Self>) -> Departure;
}

/// What becomes of a connection that is to go to another thread.
#[derive(Debug)]
pub enum Departure {
    /// It can go.
    Goes(Movable),
    /// It belongs to this thread.
    Stays(Box<dyn Socket>),
}

/// A connection on its way to another thread, which is more than a socket of the system.
pub trait Traveller: Send + fmt::Debug {
    /// It is there.
    fn arrive(self: Box<Self>) -> Stream;
}

/// A connection that can go to another thread.
#[derive(Debug)]
pub enum Movable {
    /// Over the network or loopback.
    Tcp(TcpStream),
    /// Over the unix socket of this path.
    Unix(UnixStream, String),
    /// Over something else.
    Other(Box<dyn Traveller>),
}

impl Movable {
    /// The connection, if it can go to another thread.
    ///
    /// # Errors
    /// The connection as it was.
    pub fn of(stream: Stream) -> Result<Movable, Stream> {
        match stream {
            Stream::Tcp(stream) => Ok(Movable::Tcp(stream)),
            Stream::Unix(stream, path) => Ok(Movable::Unix(stream, path)),
            Stream::Other(other) => match other.depart() {
                Departure::Goes(movable) => Ok(movable),
                Departure::Stays(other) => Err(Stream::Other(other)),
            },
        }
    }
}

impl From<Movable> for Stream {
    fn from(movable: Movable) -> Stream {
        match movable {
            Movable::Tcp(stream) => Stream::Tcp(stream),
            Movable::Unix(stream, path) => Stream::Unix(stream, path),
            Movable::Other(other) => other.arrive(),
        }
    }
}

/// A connection that does not block. Sockets of the system are named here and not behind the trait, so that the path of
/// requests reaches them without a table.
#[derive(Debug)]
pub enum Stream {
    /// Over the network or loopback.
    Tcp(TcpStream),
    /// Over the unix socket of this path.
    Unix(UnixStream, String),
    /// Over something else.
    Other(Box<dyn Socket>),
}

impl Stream {
    /// The other end's name. The socket may be closed by now: then an unspecified address.
    pub fn peer(&self) -> Address {
        match self {
            Stream::Tcp(stream) => Address::Tcp(stream.peer_addr().unwrap_or_else(|_| nowhere())),
            Stream::Unix(_, path) => Address::Unix(path.clone()),
            Stream::Other(other) => other.peer(),
        }
    }

    /// This end's name.
    pub fn local(&self) -> Address {
        match self {
            Stream::Tcp(stream) => Address::Tcp(stream.local_addr().unwrap_or_else(|_| nowhere())),
            Stream::Unix(_, path) => Address::Unix(path.clone()),
            Stream::Other(other) => other.local(),
        }
    }

    /// The socket of the system beneath, if it is one of the network.
    pub fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Stream::Tcp(stream) => Some(stream),
            Stream::Unix(..) => None,
            Stream::Other(other) => other.tcp(),
        }
    }

    /// Whether a connection that was begun ([`Host::connect`](super::Host::connect)) is made by now.
    ///
    /// # Errors
    /// Why it will not be.
    pub fn is_connected(&self) -> io::Result<bool> {
        let Some(stream) = self.tcp() else {
            return Ok(true);
        };
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether a read that brings less than there was room for has emptied it, so that nobody need ask again before the
    /// poll does.
    #[inline]
    pub fn is_empty_after_short_read(&self) -> bool {
        match self {
            Stream::Tcp(_) | Stream::Unix(..) => true,
            Stream::Other(other) => other.is_empty_after_short_read(),
        }
    }

    /// Whether nobody on the way can read it.
    pub fn is_encrypted(&self) -> bool {
        matches!(self, Stream::Other(other) if other.is_encrypted())
    }

    /// Whether it can go to another thread.
    pub fn is_movable(&self) -> bool {
        match self {
            Stream::Tcp(_) | Stream::Unix(..) => true,
            Stream::Other(other) => other.is_movable(),
        }
    }

    /// Goes on with the handshake, by one step at most: the costly part of a step is one signature made or checked.
    ///
    /// # Errors
    /// There will be no connection: the system's, or what is wrong with the other side.
    pub fn shake(&mut self) -> io::Result<Shake> {
        match self {
            Stream::Tcp(_) | Stream::Unix(..) => Ok(Shake::Done),
            Stream::Other(other) => other.shake(),
        }
    }

    /// Bytes of memory that it holds beside a plain socket.
    pub fn memory(&self) -> usize {
        match self {
            Stream::Tcp(_) | Stream::Unix(..) => 0,
            Stream::Other(other) => other.memory(),
        }
    }

    /// Bytes that have come and were not handed over yet, since they are no whole command.
    pub fn gathered(&self) -> usize {
        match self {
            Stream::Tcp(_) | Stream::Unix(..) => 0,
            Stream::Other(other) => other.gathered(),
        }
    }

    /// Whether bytes came or left, since this was asked last, of which nobody heard here.
    pub fn take_moved(&self) -> bool {
        match self {
            Stream::Tcp(_) | Stream::Unix(..) => false,
            Stream::Other(other) => other.take_moved(),
        }
    }

    /// Sends what is small at once, or waits for more (TCP only).
    pub fn set_nodelay(&self, at_once: bool) -> io::Result<()> {
        self.tcp()
            .map_or(Ok(()), |stream| stream.set_nodelay(at_once))
    }

    /// Probes a silent peer after `seconds` (`tcp-keepalive`), then every third of it, three times; 0 turns it off.
    pub fn set_keepalive(&self, seconds: u64) -> io::Result<()> {
        let Some(stream) = self.tcp() else {
            return Ok(());
        };
        let socket = SockRef::from(stream);
        if seconds == 0 {
            return socket.set_keepalive(false);
        }
        let probes = TcpKeepalive::new()
            .with_time(Duration::from_secs(seconds))
            .with_interval(Duration::from_secs((seconds / 3).max(1)))
            .with_retries(3);
        socket.set_tcp_keepalive(&probes)
    }

    /// Ends the connection for both sides, also where a child process still holds a copy of the socket.
    pub fn shutdown(&mut self) {
        // The peer may be gone already; then there is nothing to end.
        let _ = match self {
            Stream::Tcp(stream) => stream.shutdown(std::net::Shutdown::Both),
            Stream::Unix(stream, _) => stream.shutdown(std::net::Shutdown::Both),
            Stream::Other(other) => {
                other.shutdown();
                Ok(())
            }
        };
    }

    /// As [`Stream::shutdown`], and what was written and has not left need not leave.
    pub fn cut(&mut self) {
        match self {
            Stream::Other(other) => other.cut(),
            Stream::Tcp(_) | Stream::Unix(..) => self.shutdown(),
        }
    }

    /// The number of the file descriptor, as CLIENT LIST prints it.
    pub fn fd(&self) -> RawFd {
        match self {
            Stream::Tcp(stream) => stream.as_raw_fd(),
            Stream::Unix(stream, _) => stream.as_raw_fd(),
            Stream::Other(other) => other.fd(),
        }
    }

    fn source(&mut self) -> &mut dyn Source {
        match self {
            Stream::Tcp(stream) => stream,
            Stream::Unix(stream, _) => stream,
            Stream::Other(other) => other,
        }
    }
}

fn nowhere() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], 0))
}

impl Source for Stream {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        self.source().register(registry, token, interests)
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        self.source().reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.source().deregister(registry)
    }
}

impl Read for Stream {
    #[inline]
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(into),
            Stream::Unix(stream, _) => stream.read(into),
            Stream::Other(other) => other.read(into),
        }
    }
}

impl Outlet for Stream {
    fn keeps_shared(&self) -> bool {
        matches!(self, Stream::Other(other) if other.keeps_shared())
    }

    fn write_shared(&mut self, value: &Bytes, from: usize) -> io::Result<usize> {
        match self {
            Stream::Tcp(_) | Stream::Unix(..) => self.write(&value[from..]),
            Stream::Other(other) => other.write_shared(value, from),
        }
    }
}

impl Write for Stream {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(bytes),
            Stream::Unix(stream, _) => stream.write(bytes),
            Stream::Other(other) => other.write(bytes),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write_vectored(slices),
            Stream::Unix(stream, _) => stream.write_vectored(slices),
            Stream::Other(other) => other.write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Tcp(_) | Stream::Unix(..) => Ok(()),
            Stream::Other(other) => other.flush(),
        }
    }
}
