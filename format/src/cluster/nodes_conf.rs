//! `nodes.conf`: what a node remembers of its cluster. CLUSTER NODES answers lines of the same form.
//!
//! ```text
//!   <id> <ip:port@cport>[,<host name>[,<name>=<value> ...]] <flags> <primary or -> <ping> <pong> <epoch> <link> [<slot> | <first>-<last> | <move>] ...
//!   vars currentEpoch 4 lastVoteEpoch 4
//!
//!   names   tls-port or tcp-port (the other port for clients), nodename, shard-id       from 7.2 on, in files only
//!   moves   [<slot>->-<id>] to that node, [<slot>-<-<id>] from it                       on the line of `myself` only
//! ```
//!
//! What is read: files of 7.0 and 7.2, and those of Valkey 8 and Redis 8 as far as they have these names. Anything else is damage with line and
//! reason; a node without its memory could vote twice. Invariants of what was read: one line is `myself`, ids are there once, a slot has one owner.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use crate::crc16::SLOTS;

use super::{Flags, NodeId, SlotSet, is_address, is_hostname, is_node_name};

const TLS_PORT: &str = "tls-port";
const TCP_PORT: &str = "tcp-port";
const NODE_NAME: &str = "nodename";
const SHARD_ID: &str = "shard-id";
const VARS: &str = "vars";
const CURRENT_EPOCH: &str = "currentEpoch";
const LAST_VOTE_EPOCH: &str = "lastVoteEpoch";
/// The bus is so far above the port for clients where nothing else is said.
const BUS_OFFSET: u16 = 10_000;
/// Words in front of the slots.
const WORDS_MIN: usize = 8;

/// Which way a slot moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It leaves to that node.
    To,
    /// It comes from that node.
    From,
}

/// A slot that moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// The slot.
    pub slot: u16,
    /// Which way.
    pub way: Way,
    /// The other node.
    pub node: NodeId,
}

/// One line: a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its id.
    pub id: NodeId,
    /// Its address, empty if it is not known.
    pub ip: String,
    /// Its main port for clients.
    pub port: u16,
    /// Its port of the bus.
    pub cport: u16,
    /// The other port for clients; 0: none.
    pub pport: u16,
    /// Its host name, or nothing.
    pub hostname: String,
    /// Its name for people, or nothing.
    pub node_name: String,
    /// Its shard; files of 7.0 do not say.
    pub shard: Option<NodeId>,
    /// What it is.
    pub flags: Flags,
    /// Its primary.
    pub primary: Option<NodeId>,
    /// Since when a ping waits, milliseconds since 1970; 0: none does.
    pub ping_sent: u64,
    /// When the last answer came, milliseconds since 1970.
    pub pong_received: u64,
    /// The epoch of its slots.
    pub config_epoch: u64,
    /// Whether there is a link to it.
    pub is_connected: bool,
    /// Its slots, first and last.
    pub slots: Vec<(u16, u16)>,
    /// Slots that move; only of the node itself.
    pub moves: Vec<Move>,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodesConf {
    /// The nodes.
    pub nodes: Vec<Line>,
    /// The greatest epoch that the node knew.
    pub current_epoch: u64,
    /// The epoch of its last vote.
    pub last_vote_epoch: u64,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Line, the first is 1; 0: the file as a whole.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// The line.
    pub text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.what),
            line => write!(f, "line {line}: {}: \"{}\"", self.what, self.text),
        }
    }
}

impl std::error::Error for Fault {}

/// Who reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// The node whose memory it is: it must understand all of it.
    Node,
    /// Somebody who asks for slots.
    Onlooker,
}

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// For CLUSTER NODES, and as files of 7.0 have it: a host name if there is one.
    Answer,
    /// For a file of 7.2: host name and all names. `is_tls`: the main port is the one for TLS.
    File {
        /// Whether the bus speaks TLS.
        is_tls: bool,
    },
}

impl Line {
    /// Appends the line, without its end.
    pub fn write(&self, out: &mut String, style: Style) {
        // Writing into a string does not fail.
        let _ = self.write_to(out, style);
    }

    fn write_to(&self, out: &mut String, style: Style) -> fmt::Result {
        write!(out, "{} {}:{}@{}", self.id, self.ip, self.port, self.cport)?;
        match style {
            Style::Answer if self.hostname.is_empty() => {}
            Style::Answer => write!(out, ",{}", self.hostname)?,
            Style::File { is_tls } => {
                let port = if is_tls { TCP_PORT } else { TLS_PORT };
                write!(out, ",{},{port}={}", self.hostname, self.pport)?;
                if !self.node_name.is_empty() {
                    write!(out, ",{NODE_NAME}={}", self.node_name)?;
                }
                if let Some(shard) = self.shard {
                    write!(out, ",{SHARD_ID}={shard}")?;
                }
            }
        }
        let primary = self.primary.as_ref().map_or("-", NodeId::as_str);
        let link = if self.is_connected {
            "connected"
        } else {
            "disconnected"
        };
        write!(
            out,
            " {} {primary} {} {} {} {link}",
            self.flags.words(),
            self.ping_sent,
            self.pong_received,
            self.config_epoch
        )?;
        for (first, last) in &self.slots {
            match first == last {
                true => write!(out, " {first}")?,
                false => write!(out, " {first}-{last}")?,
            }
        }
        for moving in &self.moves {
            let way = if moving.way == Way::To { "->-" } else { "-<-" };
            write!(out, " [{}{way}{}]", moving.slot, moving.node)?;
        }
        Ok(())
    }

    fn parse(text: &str, reader: Reader) -> Result<Line, String> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let [
            id,
            address,
            flags,
            primary,
            ping,
            pong,
            epoch,
            link,
            rest @ ..,
        ] = words.as_slice()
        else {
            return Err(format!("a node has at least {WORDS_MIN} words"));
        };
        let mut line = Line {
            id: id_of(id)?,
            ip: String::new(),
            port: 0,
            cport: 0,
            pport: 0,
            hostname: String::new(),
            node_name: String::new(),
            shard: None,
            flags: Flags::of_words(flags).map_err(|word| format!("unknown flag {word}"))?,
            primary: match *primary {
                "-" => None,
                primary => Some(id_of(primary)?),
            },
            ping_sent: number(ping, "time of the ping")?,
            pong_received: number(pong, "time of the pong")?,
            config_epoch: number(epoch, "epoch")?,
            is_connected: *link == "connected",
            slots: Vec::new(),
            moves: Vec::new(),
        };
        line.parse_address(address, reader)?;
        rest.iter().try_for_each(|word| line.parse_slots(word))?;
        Ok(line)
    }

    fn parse_address(&mut self, text: &str, reader: Reader) -> Result<(), String> {
        let mut parts = text.split(',');
        let address = parts.next().unwrap_or_default();
        let (address, cport) = match address.split_once('@') {
            Some((address, cport)) => (address, Some(number(cport, "port of the bus")?)),
            None => (address, None),
        };
        let (ip, port) = address.rsplit_once(':').ok_or("an address has a port")?;
        if !is_address(ip) {
            return Err(format!("{ip} is no address"));
        }
        self.ip = ip.to_owned();
        self.port = number(port, "port")?;
        let usual = || {
            self.port
                .checked_add(BUS_OFFSET)
                .ok_or("the port of the bus is above 65535")
        };
        self.cport = cport.map_or_else(usual, Ok)?;
        let hostname = parts.next().unwrap_or_default();
        if !is_hostname(hostname) {
            return Err(format!("{hostname} is no host name"));
        }
        self.hostname = hostname.to_owned();
        parts.try_for_each(|part| self.parse_name(part, reader))
    }

    fn parse_name(&mut self, part: &str, reader: Reader) -> Result<(), String> {
        let (name, value) = part
            .split_once('=')
            .ok_or_else(|| format!("{part} has no value"))?;
        match name {
            TLS_PORT | TCP_PORT => self.pport = number(value, name)?,
            NODE_NAME if is_node_name(value) => self.node_name = value.to_owned(),
            NODE_NAME => return Err(format!("{value} is no name of a node")),
            SHARD_ID => self.shard = Some(id_of(value)?),
            _ if reader == Reader::Onlooker => {}
            name => return Err(format!("unknown name {name}")),
        }
        Ok(())
    }

    fn parse_slots(&mut self, word: &str) -> Result<(), String> {
        if let Some(inner) = word.strip_prefix('[') {
            let moving = parse_move(inner).ok_or_else(|| format!("{word} is no move of a slot"))?;
            self.moves.push(moving?);
            return Ok(());
        }
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        let (first, last) = (slot(first)?, slot(last)?);
        if first > last {
            return Err(format!("{word} ends before it begins"));
        }
        self.slots.push((first, last));
        Ok(())
    }
}

/// `7->-<id>]` or `7-<-<id>]`.
fn parse_move(inner: &str) -> Option<Result<Move, String>> {
    let inner = inner.strip_suffix(']')?;
    let split = |arrow, way| inner.split_once(arrow).map(|parts| (parts, way));
    let ((number, node), way) = split("->-", Way::To).or_else(|| split("-<-", Way::From))?;
    Some(slot(number).and_then(|slot| {
        let node = id_of(node)?;
        Ok(Move { slot, way, node })
    }))
}

fn id_of(text: &str) -> Result<NodeId, String> {
    NodeId::parse(text.as_bytes()).ok_or_else(|| format!("{text} is no id of a node"))
}

fn number<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits);
    number.ok_or_else(|| format!("{what}: {text} is no number or too large"))
}

fn slot(text: &str) -> Result<u16, String> {
    let slot = number(text, "slot")?;
    match slot < SLOTS {
        true => Ok(slot),
        false => Err(format!("there is no slot {slot}")),
    }
}

impl NodesConf {
    /// Reads a file, and what of it is passed over: words for the log.
    ///
    /// # Errors
    /// The first line that is damaged, and why.
    pub fn parse(bytes: &[u8]) -> Result<(NodesConf, Vec<String>), Fault> {
        let (conf, notes) = NodesConf::read(bytes, Reader::Node)?;
        conf.finish(notes)
    }

    /// Reads a file, or what CLUSTER NODES answers, for somebody who only asks who has which slot: names that newer servers write are passed
    /// over, no line has to be the node itself, and the last one may lack its end.
    ///
    /// # Errors
    /// The first line that is damaged, and why.
    pub fn parse_any(bytes: &[u8]) -> Result<NodesConf, Fault> {
        NodesConf::read(bytes, Reader::Onlooker).map(|(conf, _)| conf)
    }

    fn read(bytes: &[u8], reader: Reader) -> Result<(NodesConf, Vec<String>), Fault> {
        let mut conf = NodesConf::default();
        let mut notes = Vec::new();
        let mut seen = Seen::default();
        let is_whole = bytes.last() == Some(&b'\n');
        let mut lines = (1..).zip(bytes.split(|&byte| byte == b'\n')).peekable();
        while let Some((number, line)) = lines.next() {
            let is_cut = lines.peek().is_none() && !is_whole && reader == Reader::Node;
            let read = conf.parse_line(line, reader, &mut seen, &mut notes);
            let read = match is_cut && !line.trim_ascii().is_empty() {
                true => read.and(Err("the line has no end".to_owned())),
                false => read,
            };
            read.map_err(|what| Fault {
                line: number,
                what,
                text: String::from_utf8_lossy(line).trim_end().to_owned(),
            })?;
        }
        Ok((conf, notes))
    }

    fn parse_line(
        &mut self,
        line: &[u8],
        reader: Reader,
        seen: &mut Seen,
        notes: &mut Vec<String>,
    ) -> Result<(), String> {
        let text = std::str::from_utf8(line)
            .map_err(|_| "it is no text")?
            .trim_ascii();
        if text.is_empty() {
            return Ok(());
        }
        if let Some(vars) = text.strip_prefix(VARS).filter(|rest| rest.starts_with(' ')) {
            return self.parse_vars(vars, notes);
        }
        let node = Line::parse(text, reader)?;
        seen.add(&node)?;
        self.nodes.push(node);
        Ok(())
    }

    fn parse_vars(&mut self, text: &str, notes: &mut Vec<String>) -> Result<(), String> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let (pairs, []) = words.as_chunks::<2>() else {
            return Err("a variable has no value".to_owned());
        };
        for [name, value] in pairs {
            match *name {
                CURRENT_EPOCH => self.current_epoch = number(value, name)?,
                LAST_VOTE_EPOCH => self.last_vote_epoch = number(value, name)?,
                name => notes.push(format!("Skipping unknown cluster config variable '{name}'")),
            }
        }
        Ok(())
    }

    /// What can be told when all lines are there.
    fn finish(mut self, mut notes: Vec<String>) -> Result<(NodesConf, Vec<String>), Fault> {
        let myself = self
            .nodes
            .iter()
            .filter(|node| node.flags.has(Flags::MYSELF));
        if myself.count() != 1 {
            let what = "one node must be the node itself".to_owned();
            return Err(Fault {
                line: 0,
                what,
                text: String::new(),
            });
        }
        let shards: std::collections::BTreeMap<NodeId, Option<NodeId>> = self
            .nodes
            .iter()
            .map(|node| (node.id, node.shard))
            .collect();
        for node in &mut self.nodes {
            self.current_epoch = self.current_epoch.max(node.config_epoch);
            let Some(Some(of_primary)) = node.primary.and_then(|id| shards.get(&id)) else {
                continue;
            };
            // 7.2 does not start from such a file, and writes it.
            if node
                .shard
                .replace(*of_primary)
                .is_some_and(|shard| shard != *of_primary)
            {
                notes.push(format!("{}: takes the shard of its primary", node.id));
            }
        }
        Ok((self, notes))
    }

    /// The file as 7.2 writes it.
    pub fn write(&self, is_tls: bool) -> String {
        let mut out = String::new();
        for node in &self.nodes {
            node.write(&mut out, Style::File { is_tls });
            out.push('\n');
        }
        let _ = writeln!(
            out,
            "{VARS} {CURRENT_EPOCH} {} {LAST_VOTE_EPOCH} {}",
            self.current_epoch, self.last_vote_epoch
        );
        out
    }
}

/// What the lines so far have named.
#[derive(Default)]
struct Seen {
    ids: BTreeSet<NodeId>,
    slots: SlotSet,
}

impl Seen {
    fn add(&mut self, node: &Line) -> Result<(), String> {
        if !self.ids.insert(node.id) {
            return Err(format!("{} is there twice", node.id));
        }
        for slot in node.slots.iter().flat_map(|(first, last)| *first..=*last) {
            if !self.slots.insert(slot) {
                return Err(format!("slot {slot} has two owners"));
            }
        }
        Ok(())
    }
}
