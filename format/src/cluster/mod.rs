//! What the nodes of a cluster say to each other on the bus, and the file in which a node remembers what it knows.
//!
//! | file | what |
//! |---|---|
//! | `id` | the 40 characters that name a node or a shard |
//! | `slots` | a set of slots as it stands in messages |
//! | `flags` | what a node is, as bits and as words |
//! | `message` | a message: its header, its kind, what follows; both ways |
//! | `gossip` | what one node says about another |
//! | `extension` | what may follow the gossip: names, forgotten nodes, the shard |
//! | `nodes_conf` | `nodes.conf`, which is also the text of CLUSTER NODES |
//!
//! Numbers of more than one byte are big-endian. There is no checksum and nobody proves who he is, so all that ends up in a file or in an
//! answer (ids, addresses, names) is looked at here, character by character.

mod extension;
mod flags;
mod gossip;
mod id;
mod message;
pub mod nodes_conf;
mod slots;

pub use extension::{Extensions, Forgotten, Other};
pub use flags::{Flags, mflags};
pub use gossip::{GOSSIP_SIZE, Gossip};
pub use id::NodeId;
pub use message::{Body, HEADER_SIZE, Header, KINDS, Kind, Message, frame_len, kind_of_frame};
pub use slots::{SlotSet, ranges};

use crate::error::{Damage, Result};

/// Bytes of an address in a message.
const IP_SIZE: usize = 46;
/// Longest host name or name for people, characters.
pub const NAME_MAX: usize = 255;

/// Whether a text may stand as address of a node: it enters `nodes.conf` and answers, where blanks, commas and `@` divide.
pub fn is_address(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".:-_%".contains(&byte);
    text.len() < IP_SIZE && text.bytes().all(fits)
}

/// Whether a text may be a host name: letters, digits, hyphens and dots.
pub fn is_hostname(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
    text.len() <= NAME_MAX && text.bytes().all(fits)
}

/// Whether a text may be a node's name for people: what a host name may have, and `_`. Redis 7.2 lets blanks, commas and `=` through,
/// and cannot read its own file afterwards.
pub fn is_node_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    text.len() <= NAME_MAX && text.bytes().all(fits)
}

/// The text in front of the first NUL; none if it is no ASCII.
fn text_of(bytes: &[u8]) -> Option<&str> {
    let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    std::str::from_utf8(text)
        .ok()
        .filter(|text| text.is_ascii())
}

/// An address in its field.
fn read_address(cursor: &mut crate::cursor::Cursor<'_>, what: &str) -> Result<String> {
    let offset = cursor.offset();
    let text = text_of(cursor.bytes(IP_SIZE, what)?).filter(|text| is_address(text));
    text.map(str::to_owned).ok_or_else(|| {
        crate::error::FormatError::new(Damage::Encoding, offset, format!("{what}: no address"))
    })
}

/// Writes an address into its field, cut where it would be too long.
fn write_address(out: &mut Vec<u8>, address: &str) {
    debug_assert!(
        is_address(address),
        "an address was looked at before: {address:?}"
    );
    let end = out.len() + IP_SIZE;
    out.extend(address.bytes().take(IP_SIZE - 1));
    out.resize(end, 0);
}
