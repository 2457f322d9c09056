//! Where the server is, and connections to it that never block.

use cairn_toolkit::Failure;
use cairn_toolkit::outcome::plain;
use cairn_toolkit::remote::{CONNECT_TIMEOUT, Client, Place, Sign, Stream as Connected, Tls};
use mio::event::Source;
use mio::{Interest, Registry, Token};
use rustls::{ClientConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};

/// A server and how to sign in to it.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where it is.
    pub place: Place,
    /// What to say.
    pub sign: Sign,
    /// How the way there is encrypted, if it is.
    pub tls: Option<Tls>,
}

/// A connected socket that never blocks.
#[derive(Debug)]
pub enum Stream {
    /// Over the network.
    Tcp(mio::net::TcpStream),
    /// On this machine.
    Unix(mio::net::UnixStream),
    /// Over the network, encrypted.
    Tls(Box<StreamOwned<ClientConnection, mio::net::TcpStream>>),
}

impl Target {
    /// What error lines call it.
    pub fn name(&self) -> String {
        self.place.to_string()
    }

    /// The same server of a cluster at another place.
    pub fn at(&self, host: &str, port: u16) -> Target {
        Target {
            place: Place::Tcp(host.to_owned(), port),
            ..self.clone()
        }
    }

    /// Connects, signs in and waits for each reply.
    ///
    /// # Errors
    /// It is not there, or refuses us.
    pub fn client(&self) -> Result<Client, Failure> {
        Client::open(
            &self.place,
            self.tls.as_ref(),
            &self.sign,
            &self.name(),
            CONNECT_TIMEOUT,
        )
    }

    /// Connects and signs in; blocks until both are done.
    ///
    /// # Errors
    /// It is not there, or refuses us.
    pub fn connect(&self) -> Result<Stream, Failure> {
        let (_, stream) = self.client()?.into_parts();
        let told = |error: io::Error| {
            Failure::new(format!(
                "{}: could not connect: {}",
                self.place,
                plain(&error)
            ))
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
            Connected::Tls(stream) => {
                let StreamOwned { conn, sock } = *stream;
                sock.set_nonblocking(true).map_err(told)?;
                let sock = mio::net::TcpStream::from_std(sock);
                Ok(Stream::Tls(Box::new(StreamOwned { conn, sock })))
            }
        }
    }
}

impl Stream {
    /// Whether the last bytes of a read may be followed by others that the system says nothing more about: those of a record
    /// that was decrypted already.
    pub fn may_hold_more(&self) -> bool {
        matches!(self, Stream::Tls(_))
    }

    /// The socket's descriptor, if bytes go through it as they are.
    pub fn plain_fd(&self) -> Option<RawFd> {
        match self {
            Stream::Tcp(stream) => Some(stream.as_raw_fd()),
            Stream::Unix(stream) => Some(stream.as_raw_fd()),
            Stream::Tls(_) => None,
        }
    }

    fn source(&mut self) -> &mut dyn Source {
        match self {
            Stream::Tcp(stream) => stream,
            Stream::Unix(stream) => stream,
            Stream::Tls(stream) => &mut stream.sock,
        }
    }
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
            Stream::Tls(stream) => stream.flush(),
            _ => Ok(()),
        }
    }
}

impl Source for Stream {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        self.source().register(registry, token, interest)
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        self.source().reregister(registry, token, interest)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.source().deregister(registry)
    }
}
