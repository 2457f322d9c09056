//! Where the server is, and how a client introduces itself before the load starts.

use cairn_format::resp::reply::Protocol;
use cairn_format::resp::value::{ReplyScanner, ReplyStep, Value, write_command};
use cairn_toolkit::Failure;
use cairn_toolkit::outcome::plain;
use mio::event::Source;
use mio::{Interest, Registry, Token};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::ToSocketAddrs;
use std::os::unix::net::UnixStream as StdUnix;
use std::path::PathBuf;
use std::time::Duration;

/// Longest wait for a connection and for each reply of the introduction.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How a server is reached.
#[derive(Clone, Debug)]
pub enum Address {
    /// Host name or address, and port.
    Tcp(String, u16),
    /// Path of a socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp(host, port) => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// What each connection says first.
#[derive(Clone, Debug)]
pub struct Sign {
    /// User of the password, if not the default one.
    pub user: Option<String>,
    /// Password, if one is asked for.
    pub password: Option<String>,
    /// Database to select.
    pub db: u32,
    /// Protocol of the replies.
    pub protocol: Protocol,
}

/// A server and how to sign in to it.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where it is.
    pub address: Address,
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
        let told = |error: io::Error| {
            Failure::new(format!(
                "{}: could not connect: {}",
                self.address,
                plain(&error)
            ))
        };
        match &self.address {
            Address::Tcp(host, port) => {
                let stream = connect_tcp(host, *port).map_err(told)?;
                stream
                    .set_read_timeout(Some(CONNECT_TIMEOUT))
                    .map_err(told)?;
                self.sign_in(&stream)?;
                stream.set_nonblocking(true).map_err(told)?;
                Ok(Stream::Tcp(mio::net::TcpStream::from_std(stream)))
            }
            Address::Unix(path) => {
                let stream = StdUnix::connect(path).map_err(told)?;
                stream
                    .set_read_timeout(Some(CONNECT_TIMEOUT))
                    .map_err(told)?;
                self.sign_in(&stream)?;
                stream.set_nonblocking(true).map_err(told)?;
                Ok(Stream::Unix(mio::net::UnixStream::from_std(stream)))
            }
        }
    }

    fn sign_in<S>(&self, stream: &S) -> Result<(), Failure>
    where
        for<'a> &'a S: Read + Write,
    {
        for command in self.sign.commands() {
            let mut bytes = Vec::new();
            write_command(&mut bytes, &command);
            let reply = ask(stream, &bytes).map_err(|error| {
                Failure::new(format!(
                    "{}: no reply to {}: {}",
                    self.address,
                    command[0],
                    plain(&error)
                ))
            })?;
            if let Value::Error(line) = reply {
                let line = String::from_utf8_lossy(&line).into_owned();
                return Err(Failure::new(format!(
                    "{}: {} was refused: {line}",
                    self.address, command[0]
                )));
            }
        }
        Ok(())
    }
}

impl Sign {
    fn commands(&self) -> Vec<Vec<String>> {
        let words = |words: &[&str]| {
            words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<String>>()
        };
        let user = self.user.as_deref();
        let mut commands = Vec::new();
        match (self.protocol, &self.password) {
            (Protocol::Resp3, None) => commands.push(words(&["HELLO", "3"])),
            (Protocol::Resp3, Some(password)) => {
                commands.push(words(&[
                    "HELLO",
                    "3",
                    "AUTH",
                    user.unwrap_or("default"),
                    password,
                ]));
            }
            (Protocol::Resp2, None) => {}
            (Protocol::Resp2, Some(password)) => {
                commands.push(words(
                    &user.map_or(vec!["AUTH", password], |user| vec!["AUTH", user, password]),
                ));
            }
        }
        if self.db != 0 {
            commands.push(words(&["SELECT", &self.db.to_string()]));
        }
        commands
    }
}

fn connect_tcp(host: &str, port: u16) -> io::Result<std::net::TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs()? {
        match std::net::TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn ask<S>(mut stream: &S, command: &[u8]) -> io::Result<Value>
where
    for<'a> &'a S: Read + Write,
{
    stream.write_all(command)?;
    let (mut reply, mut scanner, mut chunk) = (Vec::new(), ReplyScanner::new(), [0; 4096]);
    let not_resp = |error: cairn_format::resp::value::ReplyError| {
        io::Error::new(io::ErrorKind::InvalidData, error.to_string())
    };
    loop {
        match stream.read(&mut chunk)? {
            0 => {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "closed by the server",
                ));
            }
            n => reply.extend_from_slice(&chunk[..n]),
        }
        if let ReplyStep::Complete { .. } = scanner.next(&reply, 0).map_err(not_resp)? {
            return Value::decode(&reply)
                .map(|(value, _)| value)
                .map_err(not_resp);
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
