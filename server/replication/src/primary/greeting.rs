//! What a replica says of itself before it asks for the stream: the pairs of REPLCONF.

use crate::protocol::{CAPA_EMPTY_LINES, CAPA_READS};

use super::{Filter, PeerId, Primary, Replica, State};

/// Longest address that is taken, bytes.
const ADDRESS_MAX: usize = 255;
/// One pair, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// `listening-port`.
    Port(i64),
    /// `ip-address`.
    Address(String),
    /// `capa`: a word that may mean something.
    Capability(String),
    /// `version`: of the replica's program, as Valkey says it.
    Version(String),
    /// `rdb-only`.
    RdbOnly(bool),
    /// `rdb-filter-only`.
    Filter(Filter),
}

impl Greeting {
    /// An address, if it is not too long.
    ///
    /// # Errors
    /// The reply.
    pub fn address(text: &[u8]) -> Result<Greeting, String> {
        if text.len() > ADDRESS_MAX {
            return Err(format!(
                "ERR REPLCONF ip-address provided by replica instance is too long: {} bytes",
                text.len()
            ));
        }
        Ok(Greeting::Address(
            String::from_utf8_lossy(text).into_owned(),
        ))
    }
}

/// The latest version of snapshots that a program of Valkey reads, by its version.
fn reads_of_valkey(version: &str) -> Option<u32> {
    let major: u32 = version.split('.').next()?.parse().ok()?;
    Some(if major >= 9 { 80 } else { 11 })
}

impl Primary {
    /// Notes what a client that may become a replica says of itself. `host`: where its connection comes from.
    pub fn greeted(&mut self, peer: PeerId, host: &str, word: Greeting) {
        let replica = self
            .replicas
            .entry(peer)
            .or_insert_with(|| Replica::new(peer, host.to_owned()));
        match word {
            Greeting::Port(port) => replica.port = port,
            Greeting::Address(address) => {
                replica.announced = (!address.is_empty()).then_some(address);
            }
            Greeting::Capability(word) => match word.to_ascii_lowercase().as_str() {
                "eof" => replica.capa.eof = true,
                "psync2" => replica.capa.psync2 = true,
                CAPA_EMPTY_LINES => replica.capa.empty_lines = true,
                other => {
                    let version = other.strip_prefix(CAPA_READS);
                    if let Some(version) = version.and_then(|text| text.parse().ok()) {
                        replica.reads = Some(version);
                    }
                }
            },
            Greeting::Version(version) => {
                replica.reads = reads_of_valkey(&version).or(replica.reads);
            }
            Greeting::RdbOnly(only) => replica.rdb_only = only,
            Greeting::Filter(filter) => replica.filter = filter,
        }
    }

    /// A replica says how far it has applied the stream, and how far its log is on its disk. Others say so in vain.
    pub fn acked(&mut self, peer: PeerId, offset: u64, synced: Option<u64>, now_ms: u64) {
        let end = self.history.offset();
        let Some(replica) = self.replicas.get_mut(&peer) else {
            return;
        };
        if matches!(replica.state, State::Named | State::Dropped) {
            return;
        }
        // More than there is was said by somebody who follows another stream: it counts for nothing.
        if offset <= end {
            replica.acked = replica.acked.max(offset);
        }
        if let Some(synced) = synced.filter(|synced| *synced <= end) {
            replica.synced = Some(replica.synced.map_or(synced, |before| before.max(synced)));
        }
        replica.acked_at_ms = now_ms;
        self.answered_marker(peer);
    }

    /// A replica is alive, though it has nothing to say: a newline while it loads.
    pub fn heard(&mut self, peer: PeerId, now_ms: u64) {
        if let Some(replica) = self.replicas.get_mut(&peer) {
            replica.acked_at_ms = now_ms;
        }
    }
}
