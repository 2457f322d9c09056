//! The name of a node: 40 characters, random when the node first starts. Shards have names of the same form.

use std::fmt;

use crate::cursor::Cursor;
use crate::error::{Damage, Result};

/// The name of a node or of a shard.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId([u8; NodeId::LEN]);

impl NodeId {
    /// Characters of an id.
    pub const LEN: usize = 40;

    /// The id that a text names: 40 digits and lower-case letters, as `nodes.conf` takes them (real ones are hexadecimal).
    pub fn parse(text: &[u8]) -> Option<NodeId> {
        let id = NodeId(text.try_into().ok()?);
        let fits = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        text.iter().all(fits).then_some(id)
    }

    /// An id of random numbers, of which 160 bits are used.
    pub fn of_random(mut draw: impl FnMut() -> u64) -> NodeId {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut id = [0; NodeId::LEN];
        for chunk in id.chunks_mut(16) {
            let mut random = draw();
            for digit in chunk {
                *digit = DIGITS[(random & 15) as usize];
                random >>= 4;
            }
        }
        NodeId(id)
    }

    /// Its characters.
    pub fn as_bytes(&self) -> &[u8; NodeId::LEN] {
        &self.0
    }

    /// Its characters as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Reads one.
    pub(super) fn read(cursor: &mut Cursor<'_>, what: &str) -> Result<NodeId> {
        let offset = cursor.offset();
        NodeId::parse(cursor.bytes(NodeId::LEN, what)?).ok_or_else(|| no_id(offset, what))
    }

    /// Reads one that may be missing: zeros.
    pub(super) fn read_or_none(cursor: &mut Cursor<'_>, what: &str) -> Result<Option<NodeId>> {
        let offset = cursor.offset();
        let bytes = cursor.bytes(NodeId::LEN, what)?;
        if bytes.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        let id = NodeId::parse(bytes);
        id.map(Some).ok_or_else(|| no_id(offset, what))
    }
}

fn no_id(offset: u64, what: &str) -> Box<crate::error::FormatError> {
    let what = format!("{what}: no id of a node");
    crate::error::FormatError::new(Damage::Encoding, offset, what)
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nodes_conf_takes_is_an_id() {
        assert!(NodeId::parse(&[b'f'; 40]).is_some());
        for bad in [&[b'F'; 40][..], &[b'f'; 39], &[b' '; 40], &[0; 40]] {
            assert_eq!(NodeId::parse(bad), None);
        }
        let mut number = 0;
        let id = NodeId::of_random(|| {
            number += 0x0123_4567_89ab_cdef;
            number
        });
        assert_eq!(NodeId::parse(id.as_bytes()), Some(id));
        assert_eq!(id.to_string().len(), NodeId::LEN);
    }
}
