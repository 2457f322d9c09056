//! What may follow the gossip of PING, PONG and MEET.
//!
//! ```text
//!  length u32   type u16   unused u16   payload, zeros up to a multiple of 8
//!  (all of it)
//!
//!  0 host name       text, NUL                     7.0
//!  1 name for people text, NUL                     7.2
//!  2 forgotten node  id (40), seconds left u64     7.2
//!  3 shard           id (40)                       7.2
//!  4 and above       kept as they are: 4 is a secret in Redis 7.4 and an address in Valkey 8
//! ```
//!
//! A missing name means that there is none. They are written in the order of their types.

use crate::cursor::Cursor;
use crate::error::{Damage, Result};

use super::{NodeId, is_hostname, is_node_name, text_of};

const HOSTNAME: u16 = 0;
const NODE_NAME: u16 = 1;
const FORGOTTEN: u16 = 2;
const SHARD: u16 = 3;
/// Length, type and unused bytes.
const HEAD: usize = 8;
const ALIGN: usize = 8;

/// A node that the sender has forgotten, and that others are to forget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// Who.
    pub id: NodeId,
    /// For how long nobody may introduce it again, seconds.
    pub seconds: u64,
}

/// An extension that is not known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// Its type.
    pub kind: u16,
    /// What it holds.
    pub payload: Vec<u8>,
}

/// All extensions of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// The sender's host name. One with other characters than a host name has is left out.
    pub hostname: Option<String>,
    /// The sender's name for people. One that would not stand in `nodes.conf` is left out.
    pub node_name: Option<String>,
    /// Whom the sender has forgotten.
    pub forgotten: Vec<Forgotten>,
    /// The sender's shard.
    pub shard: Option<NodeId>,
    /// What is not known here.
    pub others: Vec<Other>,
}

impl Extensions {
    /// How many there are.
    pub fn count(&self) -> usize {
        let single = [
            self.hostname.is_some(),
            self.node_name.is_some(),
            self.shard.is_some(),
        ];
        let single = single.into_iter().filter(|there| *there).count();
        single + self.forgotten.len() + self.others.len()
    }

    /// Reads so many, which must be all that is left.
    pub(super) fn read(cursor: &mut Cursor<'_>, count: u16) -> Result<Extensions> {
        let mut all = Extensions::default();
        for _ in 0..count {
            all.read_one(cursor)?;
        }
        match cursor.is_at_end() {
            true => Ok(all),
            false => Err(cursor.error(Damage::Length, "bytes behind the last extension")),
        }
    }

    fn read_one(&mut self, cursor: &mut Cursor<'_>) -> Result<()> {
        let offset = cursor.offset();
        let length = cursor.u32be("extension")? as usize;
        let kind = cursor.u16be("extension")?;
        cursor.skip(2, "extension")?;
        if length < HEAD || !length.is_multiple_of(ALIGN) {
            let what = format!("extension of {length} bytes");
            return Err(crate::error::FormatError::new(Damage::Length, offset, what));
        }
        let payload = cursor.bytes(length - HEAD, "extension")?;
        let mut inner = Cursor::at_base(payload, offset + HEAD as u64);
        match kind {
            HOSTNAME => self.hostname = name(payload, is_hostname),
            NODE_NAME => self.node_name = name(payload, is_node_name),
            FORGOTTEN => self.forgotten.push(Forgotten {
                id: NodeId::read(&mut inner, "forgotten node")?,
                seconds: inner.u64be("forgotten node")?,
            }),
            SHARD => self.shard = Some(NodeId::read(&mut inner, "shard")?),
            kind => self.others.push(Other {
                kind,
                payload: payload.to_vec(),
            }),
        }
        Ok(())
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let names = [(HOSTNAME, &self.hostname), (NODE_NAME, &self.node_name)];
        for (kind, name) in names {
            if let Some(name) = name {
                write_one(out, kind, &[name.as_bytes(), &[0]]);
            }
        }
        for forgotten in &self.forgotten {
            let seconds = forgotten.seconds.to_be_bytes();
            write_one(out, FORGOTTEN, &[forgotten.id.as_bytes(), &seconds]);
        }
        if let Some(shard) = &self.shard {
            write_one(out, SHARD, &[shard.as_bytes()]);
        }
        for other in &self.others {
            write_one(out, other.kind, &[&other.payload]);
        }
    }
}

/// A text, if it has characters, all of them fit, and it ends with its NUL: Redis reads on behind one that does not.
fn name(payload: &[u8], fits: fn(&str) -> bool) -> Option<String> {
    let ends = |text: &&str| !text.is_empty() && text.len() < payload.len();
    let text = text_of(payload).filter(ends).filter(|text| fits(text))?;
    Some(text.to_owned())
}

fn write_one(out: &mut Vec<u8>, kind: u16, parts: &[&[u8]]) {
    let size: usize = parts.iter().map(|part| part.len()).sum();
    let length = HEAD + size.next_multiple_of(ALIGN);
    let end = out.len() + length;
    out.extend((length as u32).to_be_bytes());
    out.extend(kind.to_be_bytes());
    out.extend([0, 0]);
    parts.iter().for_each(|part| out.extend(*part));
    out.resize(end, 0);
}
