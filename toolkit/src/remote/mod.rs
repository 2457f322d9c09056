//! A server as an input: its data as the bytes of a snapshot.
//!
//! ```text
//!   Way::Snapshot   AUTH, REPLCONF, SYNC      the file that the server makes for a replica
//!   Way::Scan       AUTH, SCAN, DUMP          a file made here of what each key answers
//! ```
//!
//! [`Client`] is the connection of all tools: `stream` connects, over TLS if that is wanted, `sign` says who we are. [`Fleet`] are those to
//! all nodes of a cluster.
//!
//! The first way is one moment of the data and costs the server a fork; the second needs no right to replicate and sees keys that change
//! meanwhile before or after the change.

mod address;
mod client;
mod fleet;
mod redirect;
mod scan;
mod sign;
mod stream;
mod sync;
mod tls;

pub use address::Address;
pub use client::Client;
pub use fleet::{Fleet, Item};
pub use redirect::Redirect;
pub use sign::Sign;
pub use stream::{CONNECT_TIMEOUT, Place, Stream};
pub use tls::Tls;

use crate::outcome::Failure;
use std::io::Read;

/// How a server is asked for its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// As a replica asks for it.
    #[default]
    Snapshot,
    /// Key by key.
    Scan,
}

/// Connects, and gives the bytes of a snapshot.
pub fn open(address: &Address, way: Way) -> Result<Box<dyn Read + Send>, Failure> {
    let client = Client::connect(address)?;
    match way {
        Way::Snapshot => sync::begin(client),
        Way::Scan => Ok(Box::new(scan::Scan::begin(client, address.db())?)),
    }
}
