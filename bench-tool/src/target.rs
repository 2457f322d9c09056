//! Where the server is, and connections to it that never block.

use cairn_toolkit::Failure;
use cairn_toolkit::outcome::plain;
use cairn_toolkit::remote::{CONNECT_TIMEOUT, Client, Place, Sign, Stream as Connected};
use mio::event::Source;
use mio::{Interest, Registry, Token};
use std::io::{self, Read, Write};

/// A server and how to sign in to it.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where it is.
    pub place: Place,
    /// What to say.
    pub sign: Sign,
}

/// A connected socket that never blocks.
#[derive(Debug)]
pub enum Stream {
    /// Over the network.
    Tcp(mio::net::TcpStream),
    /// On this machine.
    Unix(mio::net::UnixStream),
}

impl Target {
    /// Connects and signs in; blocks until both are done.
    pub fn connect(&self) -> Result<Stream, Failure> {
        let name = self.place.to_string();
        let client = Client::open(&self.place, None, &self.sign, &name, CONNECT_TIMEOUT)?;
        let (_, stream) = client.into_parts();
        let told = |error: io::Error| {
            Failure::new(format!("{name}: could not connect: {}", plain(&error)))
        };
        match stream {
            Connected::Tcp(stream) => {
                stream.set_nonblocking(true).map_err(told)?;
                Ok(Stream::Tcp(mio::net::TcpStream::from_std(stream)))
            }
            Connected::Unix(stream) => {
                stream.set_nonblocking(true).map_err(told)?;
                Ok(Stream::Unix(mio::net::UnixStream::from_std(stream)))
            }
            Connected::Tls(_) => Err(Failure::new(format!("{name}: nobody asked for TLS"))),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(bytes),
            Stream::Unix(stream) => stream.read(bytes),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(bytes),
            Stream::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Source for Stream {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.register(registry, token, interest),
            Stream::Unix(stream) => stream.register(registry, token, interest),
        }
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.reregister(registry, token, interest),
            Stream::Unix(stream) => stream.reregister(registry, token, interest),
        }
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.deregister(registry),
            Stream::Unix(stream) => stream.deregister(registry),
        }
    }
}
