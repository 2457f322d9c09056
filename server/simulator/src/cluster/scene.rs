//! What all who act in a cluster see of it.

use std::collections::{BTreeMap, BTreeSet};

use cairn_engine::base::random::Random;

use super::archive::{Archive, StreamId, Token};
use super::data;
use super::watch::Watch;
use crate::cable::Cables;
use crate::machine::Machine;
use crate::net::HostId;

/// What a run did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Turns of all servers.
    pub turns: u64,
    /// Answers judged.
    pub replies: u64,
    /// Synchronizations with a snapshot.
    pub full: u64,
    /// Those that went on where they had been.
    pub partial: u64,
    /// Promises of WAIT that were looked into.
    pub waits: u64,
    /// Times the role of the primary went to another server.
    pub failovers: u64,
    /// Servers started.
    pub starts: u64,
}

impl Figures {
    /// Each with its name.
    pub fn named(&self) -> BTreeMap<&'static str, u64> {
        BTreeMap::from([
            ("turns", self.turns),
            ("replies judged", self.replies),
            ("snapshots", self.full),
            ("times gone on", self.partial),
            ("promises", self.waits),
            ("other primaries", self.failovers),
            ("starts", self.starts),
        ])
    }
}

/// The cluster.
pub struct Scene {
    /// What decides.
    pub random: Random,
    /// What time it is.
    pub now_us: u64,
    /// What is between machines.
    pub cables: Cables,
    /// Machines, by number.
    pub machines: Vec<Machine>,
    /// What is known of their servers.
    pub watches: Vec<Watch>,
    /// What was ever written.
    pub archive: Archive,
    /// Who is to be the primary.
    pub primary: HostId,
    /// Nothing new is begun any more.
    pub calm: bool,
    /// Writes begun so far.
    pub tokens: Token,
    /// Increments sent so far, by counter.
    pub counted: BTreeMap<usize, i64>,
    /// Writes that were there when a stream without a past began.
    pub bases: BTreeMap<StreamId, BTreeSet<Token>>,
    /// What was done.
    pub figures: Figures,
    /// What happened when, if anybody wants to know.
    pub diary: Option<Vec<String>>,
}

impl Scene {
    /// A number of a write that nobody had yet.
    pub fn new_token(&mut self) -> Token {
        self.tokens += 1;
        self.tokens
    }

    /// Whether the server of a machine follows another one; false if it does not run.
    pub fn follows(&self, host: HostId) -> bool {
        let node = self.machines[host].node();
        node.is_some_and(|node| node.front.replication.follows())
    }

    /// If the server of a machine has begun a stream without a past, its data is what there was before.
    pub fn note_base(&mut self, host: HostId) {
        let Some(node) = self.machines[host].node() else {
            return;
        };
        let name = node.front.replication.primary.history().id();
        let Some(stream) = self.archive.stream(name.as_bytes()) else {
            return;
        };
        if self.archive.root(stream) == stream && self.archive.author(stream) == host {
            self.bases
                .entry(stream)
                .or_insert_with(|| data::tokens(&node.engine.ks));
        }
    }

    /// Who asked to go on and could have, did.
    ///
    /// # Errors
    /// Somebody was sent a snapshot instead.
    pub fn judge_syncs(&mut self) -> Result<(), String> {
        for synced in self.cables.take_synced() {
            if !synced.full {
                self.figures.partial += 1;
                continue;
            }
            self.figures.full += 1;
            if self.watches[synced.primary].reaches(&synced, &self.archive) {
                let asked = synced
                    .asked
                    .map(|(id, from)| format!("{}:{from}", id.escape_ascii()));
                return Err(format!(
                    "server {} has what server {} asked for, {}, and sends a snapshot",
                    synced.primary,
                    synced.replica,
                    asked.unwrap_or_default()
                ));
            }
        }
        Ok(())
    }

    /// Something has happened.
    pub fn note(&mut self, what: impl FnOnce() -> String) {
        let at = self.now_us as f64 / 1e6;
        if let Some(diary) = &mut self.diary {
            diary.push(format!("{at:.3} {}", what()));
        }
    }

    /// Any machine.
    pub fn any(&mut self) -> HostId {
        self.random.index(self.machines.len())
    }
}
