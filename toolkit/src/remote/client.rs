//! One connection that sends commands and waits for their replies.

use super::Address;
use super::sign::Sign;
use super::stream::{Place, Stream};
use super::tls::Tls;
use crate::outcome::Failure;
use cairn_format::rdb::Dialect;
use cairn_format::resp::value::{ReplyScanner, ReplyStep, Value, write_command};
use std::io::{self, Read, Write};
use std::time::Duration;

/// Longest silence. A server that makes a snapshot sends a line end every second or so.
const SILENCE: Duration = Duration::from_secs(60);
/// Bytes read at once.
const CHUNK: usize = 64 << 10;

/// A connection that has signed in.
#[derive(Debug)]
pub struct Client {
    stream: Stream,
    name: String,
    /// What was received and not used yet stands from `at` on.
    input: Vec<u8>,
    at: usize,
}

impl Client {
    /// Connects and signs in. The database of the address is left to whoever asks.
    pub fn connect(address: &Address) -> Result<Client, Failure> {
        let name = address.to_string();
        let sign = Sign {
            db: 0,
            ..address.sign().clone()
        };
        Client::open(address.place(), address.tls(), &sign, &name, SILENCE)
    }

    /// Connects and signs in; `name` is what error lines call the server, `patience` the longest silence.
    pub fn open(
        place: &Place,
        tls: Option<&Tls>,
        sign: &Sign,
        name: &str,
        patience: Duration,
    ) -> Result<Client, Failure> {
        let mut client = Client {
            stream: Stream::connect(place, tls, name, patience)?,
            name: name.to_owned(),
            input: Vec::new(),
            at: 0,
        };
        for command in sign.commands() {
            client.ask(&command)?;
        }
        Ok(client)
    }

    /// The reply to one command; an error reply is a failure.
    pub fn ask<A: AsRef<[u8]>>(&mut self, words: &[A]) -> Result<Value, Failure> {
        let command = String::from_utf8_lossy(words[0].as_ref()).into_owned();
        match self.try_ask(words)? {
            Value::Error(line) => Err(self.refused(&command, &line)),
            value => Ok(value),
        }
    }

    /// The reply to one command, whatever it is.
    pub fn try_ask<A: AsRef<[u8]>>(&mut self, words: &[A]) -> Result<Value, Failure> {
        let mut bytes = Vec::new();
        write_command(&mut bytes, words);
        self.send(&bytes)?;
        self.reply()
    }

    /// What error lines call the server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The newest version of snapshots that the server writes, by what it says of itself; what is not known is old.
    pub fn dialect(&mut self) -> Result<Dialect, Failure> {
        Ok(of_server(&self.ask(&["INFO", "server"])?))
    }

    /// Sends the bytes of commands.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.stream
            .write_all(bytes)
            .and_then(|()| self.stream.flush())
            .map_err(|error| Failure::io(&self.name, &error))
    }

    /// The next reply.
    pub fn reply(&mut self) -> Result<Value, Failure> {
        let mut scanner = ReplyScanner::new();
        loop {
            let step = scanner
                .next(&self.input, self.at)
                .map_err(|error| Failure::new(format!("{}: {error}", self.name)))?;
            if let ReplyStep::Complete { end } = step {
                let (value, _) = Value::decode(&self.input[self.at..end])
                    .map_err(|error| Failure::new(format!("{}: {error}", self.name)))?;
                self.at = end;
                return Ok(value);
            }
            self.receive()
                .map_err(|error| Failure::io(&self.name, &error))?;
        }
    }

    /// The next line, without its end.
    pub fn line(&mut self) -> Result<Vec<u8>, Failure> {
        loop {
            let rest = &self.input[self.at..];
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line = rest[..end].trim_ascii_end().to_vec();
                self.at += end + 1;
                return Ok(line);
            }
            if rest.len() > CHUNK {
                return Err(Failure::new(format!(
                    "{}: no reply: a line without end",
                    self.name
                )));
            }
            self.receive()
                .map_err(|error| Failure::io(&self.name, &error))?;
        }
    }

    /// What was received and not used yet, and the socket.
    pub fn into_parts(mut self) -> (Vec<u8>, Stream) {
        self.input.drain(..self.at);
        (self.input, self.stream)
    }

    /// The failure for an error reply.
    pub fn refused(&self, command: &str, line: &[u8]) -> Failure {
        let line = String::from_utf8_lossy(line);
        Failure::new(format!("{}: {command} was refused: {line}", self.name))
    }

    fn receive(&mut self) -> io::Result<()> {
        // What was used goes when it is most of the buffer, so that bytes are moved once on average.
        if self.at * 2 > self.input.len() {
            self.input.drain(..self.at);
            self.at = 0;
            self.input.shrink_to(CHUNK * 4);
        }
        let old = self.input.len();
        self.input.resize(old + CHUNK, 0);
        let read = self.stream.read(&mut self.input[old..]);
        self.input.truncate(old + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "closed by the server",
            )),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn of_server(info: &Value) -> Dialect {
    let text = String::from_utf8_lossy(info.as_bytes().unwrap_or_default()).into_owned();
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim_start_matches(':').trim().to_owned())
    };
    let valkey = field("valkey_version").map(|version| format!("valkey-{version}"));
    let server =
        valkey.or_else(|| field("redis_version").map(|version| format!("redis-{version}")));
    server
        .and_then(|server| Dialect::parse(&server))
        .unwrap_or(Dialect::redis(9))
}
