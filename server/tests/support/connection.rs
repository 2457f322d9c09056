//! One client: requests out, replies in.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use cairn_format::resp::value::{ReplyScanner, ReplyStep, Value, write_command};

use super::PATIENCE;

/// A connected client.
pub struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    /// Where in `input` the next reply begins.
    start: usize,
    scanner: ReplyScanner,
}

impl Connection {
    /// Wraps a connected socket.
    pub fn new(stream: TcpStream) -> Connection {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Connection {
            stream,
            input: Vec::new(),
            start: 0,
            scanner: ReplyScanner::new(),
        }
    }

    /// The socket.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Writes bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).expect("the server takes what is sent");
    }

    /// Writes bytes as they are; the server may be gone.
    pub fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next reply.
    pub fn read(&mut self) -> Value {
        self.try_read().expect("a reply")
    }

    /// The next reply, or why there is none.
    pub fn try_read(&mut self) -> std::io::Result<Value> {
        let raw = self.try_read_raw()?;
        let (value, used) = Value::decode(&raw).expect("replies are well formed");
        assert_eq!(used, raw.len());
        Ok(value)
    }

    /// The bytes of the next reply, or why there is none.
    pub fn try_read_raw(&mut self) -> std::io::Result<Vec<u8>> {
        loop {
            if self.start < self.input.len() {
                match self
                    .scanner
                    .next(&self.input, self.start)
                    .expect("replies are well formed")
                {
                    ReplyStep::Complete { end } => {
                        let raw = self.input[self.start..end].to_vec();
                        self.start = end;
                        return Ok(raw);
                    }
                    ReplyStep::Incomplete { .. } => {}
                }
            }
            if self.start > 1 << 16 {
                self.input.drain(..self.start);
                self.start = 0;
            }
            let mut chunk = [0; 1 << 16];
            let count = self.stream.read(&mut chunk)?;
            if count == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            self.input.extend_from_slice(&chunk[..count]);
        }
    }

    /// Everything until the server hangs up.
    pub fn read_to_end(&mut self) -> Vec<u8> {
        let mut all = self.input.split_off(self.start);
        // A server that hangs up with unread input resets the connection: that is an end too.
        if let Err(error) = self.stream.read_to_end(&mut all) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
        }
        all
    }

    /// Sends a command and reads its reply.
    pub fn call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Value {
        self.try_call(args).expect("a reply")
    }

    /// Sends a command and reads its reply; the server may be gone.
    pub fn try_call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> std::io::Result<Value> {
        let mut out = Vec::new();
        write_command(&mut out, args);
        self.try_send(&out)?;
        self.try_read()
    }

    /// As [`Connection::line`]; the server may be gone.
    pub fn try_line(&mut self, line: &str) -> std::io::Result<Value> {
        let words: Vec<&str> = line.split_whitespace().collect();
        self.try_call(&words)
    }

    /// Sends a command given as words between blanks.
    pub fn line(&mut self, line: &str) -> Value {
        self.try_line(line).expect("a reply")
    }

    /// As [`Connection::line`]; the reply must not be an error.
    pub fn good(&mut self, line: &str) -> Value {
        let reply = self.line(line);
        assert!(!reply.is_error(), "{line}: {reply:?}");
        reply
    }

    /// As [`Connection::call`]; the reply must not be an error.
    pub fn good_call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Value {
        let reply = self.call(args);
        let name = String::from_utf8_lossy(args[0].as_ref()).into_owned();
        assert!(!reply.is_error(), "{name}: {reply:?}");
        reply
    }

    /// Sends a command given as words; the reply must be an error, whose text is answered.
    pub fn error(&mut self, line: &str) -> String {
        match self.line(line) {
            Value::Error(text) => String::from_utf8_lossy(&text).into_owned(),
            other => panic!("{line}: an error was expected, not {other:?}"),
        }
    }

    /// Sends a command given as words; the reply must be a string or status, whose text is answered.
    pub fn text(&mut self, line: &str) -> String {
        let reply = self.line(line);
        let bytes = reply
            .as_bytes()
            .unwrap_or_else(|| panic!("{line}: {reply:?}"));
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// Sends a command given as words; the reply must be an integer.
    pub fn int(&mut self, line: &str) -> i64 {
        let reply = self.line(line);
        reply
            .as_int()
            .unwrap_or_else(|| panic!("{line}: {reply:?}"))
    }

    /// A section of INFO (or all of it) as field and value.
    pub fn info(&mut self, section: &str) -> BTreeMap<String, String> {
        info_fields(&self.text(&format!("INFO {section}")))
    }

    /// Connections that each I/O thread owns.
    pub fn owned_by_threads(&mut self) -> Vec<u64> {
        let lines = self.info("threads").into_values();
        let clients = lines.map(|line| {
            let word = line
                .split(',')
                .find_map(|word| word.strip_prefix("clients="));
            word.unwrap().parse().unwrap()
        });
        clients.collect()
    }

    /// Waits until no child works and none is about to start.
    pub fn wait_for_children(&mut self) {
        super::wait_until("no child works", || {
            let info = self.info("persistence");
            [
                "rdb_bgsave_in_progress",
                "aof_rewrite_in_progress",
                "aof_rewrite_scheduled",
            ]
            .iter()
            .all(|field| info[*field] == "0")
        });
    }
}

/// What INFO says, as field and value.
pub fn info_fields(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines();
    let pairs = lines.filter_map(|line| line.trim_end().split_once(':'));
    pairs
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}
