//! The way to a server: where it is, and the socket that is connected to it.

use super::tls::Tls;
use crate::outcome::{Failure, plain};
use rustls::{ClientConnection, StreamOwned};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// Longest wait for a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Host name or address, and port.
    Tcp(String, u16),
    /// Path of a socket.
    Unix(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Place::Tcp(host, port) => write!(f, "{host}:{port}"),
            Place::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A connected socket that waits.
#[derive(Debug)]
pub enum Stream {
    /// Over the network.
    Tcp(TcpStream),
    /// On this machine.
    Unix(UnixStream),
    /// Over the network, encrypted.
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    /// Connects; `name` is what error lines call the server. Each read and write waits no longer than `patience`.
    pub fn connect(
        place: &Place,
        tls: Option<&Tls>,
        name: &str,
        patience: Duration,
    ) -> Result<Stream, Failure> {
        let told = |error: io::Error| {
            Failure::new(format!("{name}: could not connect: {}", plain(&error)))
                .hint("a server has to listen there, and this machine has to be let through")
        };
        let (host, port) = match place {
            Place::Unix(path) => {
                let stream = UnixStream::connect(path).map_err(told)?;
                stream.set_read_timeout(Some(patience)).map_err(told)?;
                stream.set_write_timeout(Some(patience)).map_err(told)?;
                return Ok(Stream::Unix(stream));
            }
            Place::Tcp(host, port) => (host, *port),
        };
        let stream = connect_tcp(host, port).map_err(told)?;
        stream.set_write_timeout(Some(patience)).map_err(told)?;
        let Some(tls) = tls else {
            stream.set_read_timeout(Some(patience)).map_err(told)?;
            return Ok(Stream::Tcp(stream));
        };
        // Who does not speak TLS may wait for more of what we say.
        let soon = patience.min(CONNECT_TIMEOUT);
        stream.set_read_timeout(Some(soon)).map_err(told)?;
        let stream = tls.over(stream, host, name)?;
        stream.sock.set_read_timeout(Some(patience)).map_err(told)?;
        Ok(Stream::Tls(Box::new(stream)))
    }
}

/// Tries the addresses of a host one after the other.
fn connect_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(bytes),
            Stream::Unix(stream) => stream.read(bytes),
            Stream::Tls(stream) => stream.read(bytes),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(bytes),
            Stream::Unix(stream) => stream.write(bytes),
            Stream::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.flush(),
            Stream::Unix(stream) => stream.flush(),
            Stream::Tls(stream) => stream.flush(),
        }
    }
}
