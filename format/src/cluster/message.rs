//! A message of the bus: a header of 2,256 bytes, and what follows by its kind.
//!
//! ```text
//!     0 "RCmb"         12 type           40 sender (40)      2214 extensions     2252 state
//!     4 total length   14 gossip entries 80 slots (2048)     2216 unused (30)    2253 flags of the message (3)
//!     8 version, 1     16 currentEpoch   2128 primary (40)   2246 other port     2256 ...
//!    10 port           24 configEpoch    2168 ip (46)        2248 bus port
//!                      32 offset                             2250 flags
//!
//!  0 PING, 1 PONG, 2 MEET    gossip entries (104 each), extensions
//!  3 FAIL                    id (40)
//!  4 PUBLISH, 10 PUBLISHSHARD    channel length u32, message length u32, channel, message
//!  5 AUTH_REQUEST, 6 AUTH_ACK, 8 MFSTART    nothing
//!  7 UPDATE                  configEpoch u64, id (40), slots (2048)
//!  9 MODULE                  module (8), length u32, type u8, payload
//! ```
//!
//! Invariants: what was read has exactly the length that its kind, counts and extensions say; ids, addresses and names hold only
//! characters that may stand in `nodes.conf`.

use crate::cursor::Cursor;
use crate::error::{Damage, FormatError, Result};

use super::{Extensions, Flags, Gossip, NodeId, SlotSet, read_address, write_address};

/// Bytes of a header.
pub const HEADER_SIZE: usize = 2256;
/// How each message begins.
const SIGNATURE: &[u8; 4] = b"RCmb";
/// The only version of the bus.
const VERSION: u16 = 1;
/// Signature and length: what must be there to know how long a message is.
const HEAD_SIZE: usize = 8;
/// Where the total length stands.
const LENGTH_AT: usize = 4;
/// Where the number of extensions stands.
const EXTENSIONS_AT: usize = 2214;
/// Bytes between the number of extensions and the other port.
const UNUSED: usize = 30;

/// Kinds of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Are you there? And here is what I know.
    Ping,
    /// The answer, or news unasked.
    Pong,
    /// A PING that asks to be let in.
    Meet,
    /// A node has failed.
    Fail,
    /// A message to all subscribers.
    Publish,
    /// A replica asks for a vote.
    AuthRequest,
    /// A vote.
    AuthAck,
    /// Somebody else has these slots.
    Update,
    /// A replica asks its primary to stand still.
    MfStart,
    /// For a module.
    Module,
    /// A message to the subscribers of a shard.
    PublishShard,
}

/// Kinds that there are.
pub const KINDS: usize = 11;

impl Kind {
    /// All of them, each at its number; with the name in CLUSTER INFO.
    const ALL: [(Kind, &'static str); KINDS] = [
        (Kind::Ping, "ping"),
        (Kind::Pong, "pong"),
        (Kind::Meet, "meet"),
        (Kind::Fail, "fail"),
        (Kind::Publish, "publish"),
        (Kind::AuthRequest, "auth-req"),
        (Kind::AuthAck, "auth-ack"),
        (Kind::Update, "update"),
        (Kind::MfStart, "mfstart"),
        (Kind::Module, "module"),
        (Kind::PublishShard, "publishshard"),
    ];

    /// All kinds, by number.
    pub fn all() -> impl Iterator<Item = Kind> {
        Kind::ALL.iter().map(|(kind, _)| *kind)
    }

    /// The kind of a number.
    pub fn of(number: u16) -> Option<Kind> {
        Kind::ALL.get(usize::from(number)).map(|(kind, _)| *kind)
    }

    /// Its number.
    pub fn number(self) -> u16 {
        self as u16
    }

    /// Its name in CLUSTER INFO.
    pub fn name(self) -> &'static str {
        Kind::ALL[usize::from(self.number())].1
    }
}

/// What each message says of its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Main port for clients.
    pub port: u16,
    /// The greatest epoch that the sender knows.
    pub current_epoch: u64,
    /// The epoch of the sender's slots; of its primary's, if it is a replica.
    pub config_epoch: u64,
    /// Offset of replication.
    pub offset: u64,
    /// Its id.
    pub sender: NodeId,
    /// Its slots, or its primary's.
    pub slots: SlotSet,
    /// Its primary.
    pub primary: Option<NodeId>,
    /// Its address; empty: that of the socket.
    pub ip: String,
    /// The other port for clients, 0: none.
    pub pport: u16,
    /// Port of the bus.
    pub cport: u16,
    /// What it is.
    pub flags: Flags,
    /// Whether it takes the cluster for fit to serve.
    pub is_ok: bool,
    /// See [`super::mflags`].
    pub mflags: u8,
}

/// What follows the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// PING, PONG or MEET.
    Ping {
        /// Which.
        kind: Kind,
        /// What the sender says of others.
        gossip: Vec<Gossip>,
        /// What else it says of itself.
        extensions: Extensions,
    },
    /// This node has failed.
    Fail(NodeId),
    /// A message for subscribers.
    Publish {
        /// Only those of the shard.
        is_sharded: bool,
        /// The channel.
        channel: Vec<u8>,
        /// The message.
        message: Vec<u8>,
    },
    /// A replica asks for a vote.
    AuthRequest,
    /// A vote.
    AuthAck,
    /// Who has which slots since when.
    Update {
        /// The epoch of its slots.
        config_epoch: u64,
        /// Who.
        id: NodeId,
        /// What it has.
        slots: SlotSet,
    },
    /// A manual failover begins.
    MfStart,
    /// For a module.
    Module {
        /// Which module, opaque.
        module: [u8; 8],
        /// The module's own kind.
        kind: u8,
        /// What it says.
        payload: Vec<u8>,
    },
}

impl Body {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Body::Ping { kind, .. } => *kind,
            Body::Fail(_) => Kind::Fail,
            Body::Publish {
                is_sharded: false, ..
            } => Kind::Publish,
            Body::Publish {
                is_sharded: true, ..
            } => Kind::PublishShard,
            Body::AuthRequest => Kind::AuthRequest,
            Body::AuthAck => Kind::AuthAck,
            Body::Update { .. } => Kind::Update,
            Body::MfStart => Kind::MfStart,
            Body::Module { .. } => Kind::Module,
        }
    }
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Of whom.
    pub header: Header,
    /// What.
    pub body: Body,
}

/// How long the message is that begins here, in bytes; none if that cannot be known yet.
///
/// # Errors
/// No message begins so: the connection is of no use any more.
pub fn frame_len(bytes: &[u8]) -> Result<Option<usize>> {
    let Some(head) = bytes.get(..HEAD_SIZE) else {
        return Ok(None);
    };
    let mut cursor = Cursor::new(head);
    if cursor.bytes(SIGNATURE.len(), "signature")? != SIGNATURE {
        return Err(FormatError::new(
            Damage::Magic,
            0,
            "no message of the cluster bus",
        ));
    }
    let length = cursor.u32be("length")? as usize;
    match length < HEADER_SIZE {
        true => Err(too_short(length)),
        false => Ok(Some(length)),
    }
}

fn too_short(length: usize) -> Box<FormatError> {
    let what = format!("message of {length} bytes, a header has {HEADER_SIZE}");
    FormatError::new(Damage::Length, LENGTH_AT as u64, what)
}

/// The number of the kind of a whole frame, known or not; none if it is shorter.
pub fn kind_of_frame(bytes: &[u8]) -> Option<u16> {
    let number = bytes.get(12..14)?;
    Some(u16::from_be_bytes([number[0], number[1]]))
}

impl Message {
    /// Reads a message, which is all of `bytes`.
    ///
    /// # Errors
    /// What is wrong: [`Damage::Version`] for another version of the bus, [`Damage::Type`] for a kind that is not known, and others for
    /// messages that do not hold what they say.
    pub fn decode(bytes: &[u8]) -> Result<Message> {
        if frame_len(bytes)? != Some(bytes.len()) {
            return Err(FormatError::new(
                Damage::Length,
                LENGTH_AT as u64,
                "length is not that of the message",
            ));
        }
        let mut cursor = Cursor::new(bytes);
        cursor.skip(HEAD_SIZE, "header")?;
        let version = cursor.u16be("version")?;
        if version != VERSION {
            return Err(FormatError::new(
                Damage::Version,
                8,
                format!("version {version} of the bus"),
            ));
        }
        let port = cursor.u16be("header")?;
        let number = cursor.u16be("header")?;
        let kind = Kind::of(number);
        let kind = kind.ok_or_else(|| {
            FormatError::new(Damage::Type, 12, format!("message of type {number}"))
        })?;
        let gossips = cursor.u16be("header")?;
        let (header, extensions) = Header::read(&mut cursor, port)?;
        debug_assert_eq!(cursor.position(), HEADER_SIZE);
        let body = read_body(&mut cursor, kind, gossips, extensions)?;
        match cursor.is_at_end() {
            true => Ok(Message { header, body }),
            false => Err(cursor.error(
                Damage::Length,
                format!("bytes behind a message of type {}", kind.name()),
            )),
        }
    }

    /// The message as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let header = &self.header;
        let mut out = Vec::with_capacity(HEADER_SIZE + 1024);
        out.extend(SIGNATURE);
        out.extend([0; 4]);
        let gossips = match &self.body {
            Body::Ping { gossip, .. } => gossip.len() as u16,
            _ => 0,
        };
        for number in [VERSION, header.port, self.body.kind().number(), gossips] {
            out.extend(number.to_be_bytes());
        }
        header.write(&mut out);
        write_body(&mut out, &self.body);
        let length = (out.len() as u32).to_be_bytes();
        out[LENGTH_AT..LENGTH_AT + length.len()].copy_from_slice(&length);
        out
    }
}

impl Header {
    /// What stands behind the counts, and the number of extensions.
    fn read(cursor: &mut Cursor<'_>, port: u16) -> Result<(Header, u16)> {
        let current_epoch = cursor.u64be("header")?;
        let config_epoch = cursor.u64be("header")?;
        let offset = cursor.u64be("header")?;
        let sender = NodeId::read(cursor, "sender")?;
        let slots = SlotSet::from_bytes(&cursor.array("slots")?);
        let primary = NodeId::read_or_none(cursor, "primary of the sender")?;
        let ip = read_address(cursor, "address of the sender")?;
        let extensions = cursor.u16be("header")?;
        cursor.skip(UNUSED, "header")?;
        let header = Header {
            port,
            current_epoch,
            config_epoch,
            offset,
            sender,
            slots,
            primary,
            ip,
            pport: cursor.u16be("header")?,
            cport: cursor.u16be("header")?,
            flags: Flags(cursor.u16be("header")?),
            is_ok: cursor.u8("header")? == 0,
            mflags: cursor.u8("header")?,
        };
        cursor.skip(2, "header")?;
        Ok((header, extensions))
    }

    fn write(&self, out: &mut Vec<u8>) {
        for number in [self.current_epoch, self.config_epoch, self.offset] {
            out.extend(number.to_be_bytes());
        }
        out.extend(self.sender.as_bytes());
        self.slots.write(out);
        let none = [0; NodeId::LEN];
        out.extend(self.primary.as_ref().map_or(&none, NodeId::as_bytes));
        write_address(out, &self.ip);
        out.extend([0; 2 + UNUSED]);
        for number in [self.pport, self.cport, self.flags.0] {
            out.extend(number.to_be_bytes());
        }
        out.extend([u8::from(!self.is_ok), self.mflags, 0, 0]);
        debug_assert_eq!(out.len(), HEADER_SIZE);
    }
}

fn read_body(cursor: &mut Cursor<'_>, kind: Kind, gossips: u16, extensions: u16) -> Result<Body> {
    Ok(match kind {
        Kind::Ping | Kind::Pong | Kind::Meet => {
            // A claimed number is believed as far as there are bytes.
            let room = cursor.rest().len() / super::GOSSIP_SIZE;
            let mut gossip = Vec::with_capacity(usize::from(gossips).min(room));
            for _ in 0..gossips {
                gossip.push(Gossip::read(cursor)?);
            }
            let extensions = Extensions::read(cursor, extensions)?;
            Body::Ping {
                kind,
                gossip,
                extensions,
            }
        }
        Kind::Fail => Body::Fail(NodeId::read(cursor, "failed node")?),
        Kind::Publish | Kind::PublishShard => {
            let channel = cursor.u32be("channel")? as usize;
            let message = cursor.u32be("message")? as usize;
            Body::Publish {
                is_sharded: kind == Kind::PublishShard,
                channel: cursor.bytes(channel, "channel")?.to_vec(),
                message: cursor.bytes(message, "message")?.to_vec(),
            }
        }
        Kind::AuthRequest => Body::AuthRequest,
        Kind::AuthAck => Body::AuthAck,
        Kind::Update => Body::Update {
            config_epoch: cursor.u64be("update")?,
            id: NodeId::read(cursor, "update")?,
            slots: SlotSet::from_bytes(&cursor.array("update")?),
        },
        Kind::MfStart => Body::MfStart,
        Kind::Module => {
            let module = cursor.array("module")?;
            let length = cursor.u32be("module")? as usize;
            let kind = cursor.u8("module")?;
            let payload = cursor.bytes(length, "module")?.to_vec();
            Body::Module {
                module,
                kind,
                payload,
            }
        }
    })
}

fn write_body(out: &mut Vec<u8>, body: &Body) {
    match body {
        Body::Ping {
            gossip, extensions, ..
        } => {
            gossip.iter().for_each(|entry| entry.write(out));
            extensions.write(out);
            let count = (extensions.count() as u16).to_be_bytes();
            out[EXTENSIONS_AT..EXTENSIONS_AT + count.len()].copy_from_slice(&count);
        }
        Body::Fail(id) => out.extend(id.as_bytes()),
        Body::Publish {
            channel, message, ..
        } => {
            out.extend((channel.len() as u32).to_be_bytes());
            out.extend((message.len() as u32).to_be_bytes());
            out.extend(channel);
            out.extend(message);
        }
        Body::AuthRequest | Body::AuthAck | Body::MfStart => {}
        Body::Update {
            config_epoch,
            id,
            slots,
        } => {
            out.extend(config_epoch.to_be_bytes());
            out.extend(id.as_bytes());
            slots.write(out);
        }
        Body::Module {
            module,
            kind,
            payload,
        } => {
            out.extend(module);
            out.extend((payload.len() as u32).to_be_bytes());
            out.push(*kind);
            out.extend(payload);
        }
    }
}
