//! What one node says about another, 104 bytes.
//!
//! ```text
//!  0        40          44               48      94     96      98      100     102
//!  id (40)  ping_sent   pong_received    ip (46) port   cport   flags   pport   unused
//!           seconds     seconds
//! ```

use crate::cursor::Cursor;
use crate::error::Result;

use super::{Flags, NodeId, read_address, write_address};

/// Bytes of an entry.
pub const GOSSIP_SIZE: usize = 104;

/// What one node says about another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gossip {
    /// Who.
    pub id: NodeId,
    /// Since when a ping waits for its answer, seconds since 1970; 0: none does.
    pub ping_sent: u32,
    /// When the last answer came, seconds since 1970.
    pub pong_received: u32,
    /// Its address; empty if it is not known.
    pub ip: String,
    /// Its main port for clients.
    pub port: u16,
    /// Its port of the bus.
    pub cport: u16,
    /// What the sender takes it for.
    pub flags: Flags,
    /// Its other port for clients, 0: none.
    pub pport: u16,
}

impl Gossip {
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Gossip> {
        let gossip = Gossip {
            id: NodeId::read(cursor, "gossip")?,
            ping_sent: cursor.u32be("gossip")?,
            pong_received: cursor.u32be("gossip")?,
            ip: read_address(cursor, "gossip")?,
            port: cursor.u16be("gossip")?,
            cport: cursor.u16be("gossip")?,
            flags: Flags(cursor.u16be("gossip")?),
            pport: cursor.u16be("gossip")?,
        };
        cursor.skip(2, "gossip")?;
        Ok(gossip)
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.id.as_bytes());
        out.extend(self.ping_sent.to_be_bytes());
        out.extend(self.pong_received.to_be_bytes());
        write_address(out, &self.ip);
        for number in [self.port, self.cport, self.flags.0, self.pport, 0] {
            out.extend(number.to_be_bytes());
        }
    }
}
