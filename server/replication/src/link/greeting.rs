//! The handshake: what a replica says, and how it reads the answers.
//!
//! ```text
//!   > PING                                < +PONG, or a reason to stay away
//!   > AUTH, REPLCONF ... all at once      < a line for each; only AUTH's matters
//!   > PSYNC id offset                     < +FULLRESYNC, +CONTINUE, or a refusal
//!   > SYNC, where PSYNC is unknown        < $size
//! ```

use std::collections::VecDeque;

use cairn_format::resp::value::write_command;

use super::transfer::Transfer;
use super::{Failure, Link, Order, State};
use crate::history::ReplId;
use crate::protocol::{CAPA_EMPTY_LINES, CAPA_READS};

/// Longest line that an answer may be, bytes.
const LINE_MAX: usize = 1024;

/// Where a replica's data stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume {
    /// The stream that it is of.
    pub id: ReplId,
    /// Offset of the first byte that it does not hold.
    pub from: u64,
}

/// What this server says of itself.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// `masteruser`; empty: the default user.
    pub user: Vec<u8>,
    /// `masterauth`; empty: none is sent.
    pub password: Vec<u8>,
    /// The port that it is found at.
    pub port: u16,
    /// The address that it is found at; empty: that of the connection.
    pub address: String,
    /// The latest version of snapshots that it reads.
    pub reads: u32,
    /// What it holds; none: it needs all.
    pub resume: Option<Resume>,
    /// It takes over from this primary, which has asked for it.
    pub failover: bool,
}

/// An answer that is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    Ping,
    Auth,
    /// REPLCONF, by the word that its refusal is logged with.
    Replconf(&'static str),
    Psync,
    /// Whether PSYNC asked to go on.
    Sync,
}

/// Answers that are awaited, in order.
#[derive(Debug)]
pub(super) struct Handshake {
    awaited: VecDeque<Awaited>,
    /// PSYNC asked for what comes behind our data.
    asked_to_go_on: bool,
    failover: bool,
}

fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_command(&mut bytes, words);
    bytes
}

impl Handshake {
    /// And what is sent first.
    pub(super) fn begin() -> (Handshake, Vec<u8>) {
        let handshake = Handshake {
            awaited: [Awaited::Ping].into(),
            asked_to_go_on: false,
            failover: false,
        };
        (handshake, command(&[b"PING"]))
    }

    /// Which answer is awaited, for the log.
    pub(super) fn step(&self) -> String {
        let word = match self.awaited.front() {
            None => return "in the handshake".to_owned(),
            Some(Awaited::Ping) => "PING",
            Some(Awaited::Auth) => "AUTH",
            Some(Awaited::Replconf(word)) => {
                return format!("waiting for its answer to REPLCONF {word}");
            }
            Some(Awaited::Psync) => "PSYNC",
            Some(Awaited::Sync) => "SYNC",
        };
        format!("waiting for its answer to {word}")
    }

    /// Nothing was answered yet.
    pub(super) fn is_first(&self) -> bool {
        self.awaited.front() == Some(&Awaited::Ping)
    }

    /// Names this server, all in one write.
    fn introduce(&mut self, about: &About) -> Vec<u8> {
        let mut bytes = Vec::new();
        if !about.password.is_empty() {
            let user = (!about.user.is_empty()).then_some(&about.user[..]);
            let words: Vec<&[u8]> = std::iter::once(&b"AUTH"[..])
                .chain(user)
                .chain([&about.password[..]])
                .collect();
            write_command(&mut bytes, &words);
            self.awaited.push_back(Awaited::Auth);
        }
        let port = about.port.to_string();
        let reads = format!("{}{}", CAPA_READS, about.reads);
        let mut pairs: Vec<(&'static str, Vec<&[u8]>)> =
            vec![("listening-port", vec![b"listening-port", port.as_bytes()])];
        if !about.address.is_empty() {
            pairs.push(("ip-address", vec![b"ip-address", about.address.as_bytes()]));
        }
        pairs.push((
            "capa",
            vec![
                b"capa",
                b"eof",
                b"capa",
                b"psync2",
                b"capa",
                reads.as_bytes(),
                b"capa",
                CAPA_EMPTY_LINES.as_bytes(),
            ],
        ));
        for (word, arguments) in pairs {
            let words: Vec<&[u8]> = std::iter::once(&b"REPLCONF"[..]).chain(arguments).collect();
            write_command(&mut bytes, &words);
            self.awaited.push_back(Awaited::Replconf(word));
        }
        bytes
    }

    fn ask(&mut self, about: &About) -> Vec<u8> {
        self.awaited.push_back(Awaited::Psync);
        self.asked_to_go_on = about.resume.is_some();
        self.failover = about.failover;
        let from = about
            .resume
            .map_or("-1".to_owned(), |resume| resume.from.to_string());
        let id: &[u8] = about
            .resume
            .as_ref()
            .map_or(b"?", |resume| resume.id.as_bytes());
        let mut words: Vec<&[u8]> = vec![b"PSYNC", id, from.as_bytes()];
        if about.failover {
            words.push(b"FAILOVER");
        }
        command(&words)
    }
}

impl Link {
    /// Takes one line.
    pub(super) fn line(&mut self, bytes: &[u8], about: &About) -> (usize, Order) {
        let near = &bytes[..bytes.len().min(LINE_MAX + 1)];
        let Some(end) = near.iter().position(|byte| *byte == b'\n') else {
            return match bytes.len() > LINE_MAX {
                true => (
                    0,
                    Order::Fail(Failure::later("MASTER sent a line without an end")),
                ),
                false => (0, Order::Wait),
            };
        };
        let line = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
        let order = match line {
            // Nothing but a sign of life.
            b"" => Order::Wait,
            _ if matches!(self.state, State::Size) => self.size(line),
            _ => self.answer(line, about),
        };
        (end + 1, order)
    }

    fn answer(&mut self, line: &[u8], about: &About) -> Order {
        let State::Greeting(handshake) = &mut self.state else {
            return Order::Wait;
        };
        let Some(awaited) = handshake.awaited.pop_front() else {
            return Order::Fail(Failure::later("MASTER says more than it was asked"));
        };
        let shown = line.escape_ascii();
        match awaited {
            Awaited::Ping => {
                let known = [&b"-NOAUTH"[..], b"-NOPERM", b"-ERR operation not permitted"];
                let goes_on = line[0] == b'+' || known.iter().any(|word| line.starts_with(word));
                if !goes_on {
                    return Order::Fail(Failure::soon(format!(
                        "Error reply to PING from master: '{shown}'"
                    )));
                }
                let words = handshake.introduce(about);
                self.say("Master replied to PING, replication can continue...");
                return Order::Send(words);
            }
            Awaited::Auth if line[0] == b'-' => {
                return Order::Fail(Failure::soon(format!("Unable to AUTH to MASTER: {shown}")));
            }
            Awaited::Replconf(word) if line[0] == b'-' => {
                let text =
                    format!("(Non critical) Master does not understand REPLCONF {word}: {shown}");
                self.say(text);
            }
            Awaited::Auth | Awaited::Replconf(_) => {}
            Awaited::Psync => return self.psync_answered(line),
            Awaited::Sync => return self.size(line),
        }
        let State::Greeting(handshake) = &mut self.state else {
            return Order::Wait;
        };
        if !handshake.awaited.is_empty() {
            return Order::Wait;
        }
        let ask = handshake.ask(about);
        let text = match about.resume {
            Some(Resume { id, from }) => {
                format!("Trying a partial resynchronization (request {id}:{from}).")
            }
            None => "Partial resynchronization not possible (no cached master)".to_owned(),
        };
        self.say(text);
        Order::Send(ask)
    }

    fn psync_answered(&mut self, line: &[u8]) -> Order {
        let State::Greeting(handshake) = &mut self.state else {
            return Order::Wait;
        };
        let shown = line.escape_ascii();
        let mut words = line.split(|byte| *byte == b' ');
        match words.next() {
            Some(b"+FULLRESYNC") if handshake.failover => Order::Reject,
            Some(b"+FULLRESYNC") => {
                let id = words.next().and_then(ReplId::parse);
                let offset = words.next().and_then(number);
                let Some(given) = id.zip(offset) else {
                    return Order::Fail(Failure::later(format!(
                        "Master replied with wrong +FULLRESYNC syntax: {shown}"
                    )));
                };
                self.given = Some(given);
                self.state = State::Size;
                self.say(format!("Full resync from master: {}:{}", given.0, given.1));
                Order::Wait
            }
            Some(b"+CONTINUE") => {
                if !handshake.asked_to_go_on {
                    return Order::Fail(Failure::later(format!(
                        "MASTER goes on with a stream that was not asked for: {shown}"
                    )));
                }
                let id = match words.next() {
                    None => None,
                    Some(id) => match ReplId::parse(id) {
                        Some(id) => Some(id),
                        None => {
                            return Order::Fail(Failure::later(format!(
                                "Master replied with wrong +CONTINUE syntax: {shown}"
                            )));
                        }
                    },
                };
                self.goes_well();
                self.say("Successful partial resynchronization with master.");
                Order::Continue(id)
            }
            _ if handshake.failover => Order::Reject,
            Some(b"-NOMASTERLINK" | b"-LOADING") => Order::Fail(Failure::soon(format!(
                "Master is currently unable to PSYNC but should be in the future: {shown}"
            ))),
            Some(b"-NOPERM" | b"-NOAUTH") => Order::Fail(Failure::later(format!(
                "Unexpected reply to PSYNC from master: {shown}"
            ))),
            _ => {
                handshake.awaited.push_back(Awaited::Sync);
                let text = match line[0] {
                    b'-' => format!(
                        "Master does not support PSYNC or is in error state (reply: {shown})"
                    ),
                    _ => format!("Unexpected reply to PSYNC from master: {shown}"),
                };
                self.say(text);
                self.say("Retrying with SYNC...");
                Order::Send(b"SYNC\r\n".to_vec())
            }
        }
    }

    /// `$size`, or `$EOF:` and the marker.
    fn size(&mut self, line: &[u8]) -> Order {
        if line[0] == b'-' {
            return Order::Fail(Failure::later(format!(
                "MASTER aborted replication with an error: {}",
                line[1..].escape_ascii()
            )));
        }
        let Some(transfer) = line.strip_prefix(b"$").and_then(Transfer::of) else {
            return Order::Fail(Failure::later(format!(
                "Bad protocol from MASTER, the first byte is not '$' (we received '{}'), are you sure the host and port are right?",
                line.escape_ascii()
            )));
        };
        let size = transfer.size();
        self.progress = (size, 0);
        self.state = State::Receiving(transfer);
        Order::Open(size)
    }
}

/// An offset: Redis counts them with a sign, so that none is beyond what can be added to.
fn number(text: &[u8]) -> Option<u64> {
    let number: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    number.try_into().ok()
}
