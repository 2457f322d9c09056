//! What all who act see: machines, time, what is between them, and what is known.

use std::collections::BTreeMap;

use cairn_cluster::Machine as Member;
use cairn_cluster::moves::State;
use cairn_engine::base::random::Random;
use cairn_format::cluster::NodeId;
use cairn_format::crc16::key_slot;
use cairn_server::cluster::Cluster;

use crate::cable::{Cables, Quality};
use crate::machine::Machine;
use crate::net::HostId;

pub const SECOND_US: u64 = 1_000_000;
/// Ways without trouble.
pub const GOOD: Quality = Quality {
    delay_us: 400,
    per_kb_us: 2,
};
/// Others that are usual in some runs.
pub const USUAL: [Quality; 3] = [
    GOOD,
    Quality {
        delay_us: 4000,
        per_kb_us: 20,
    },
    Quality {
        delay_us: 30_000,
        per_kb_us: 100,
    },
];
/// Keys are made of these: each has a slot of its own, and nothing is in the slot behind it.
pub const TAGS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// What may happen in a run, and so what has to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// With replicas that take over as they are told; connections break. Nothing may be lost.
    Gentle,
    /// Without replicas; nodes die and are parted, all is on the disk before it is answered. Nothing may be lost.
    Alone,
    /// Everything. What a replica that was elected did not have is lost.
    Rough,
}

/// What runs did.
#[derive(Default)]
pub struct Figures(pub BTreeMap<&'static str, u64>);

impl Figures {
    pub fn count(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }
}

/// See the head of this file.
pub struct Stage {
    pub random: Random,
    pub now_us: u64,
    pub cables: Cables,
    pub machines: Vec<Machine>,
    pub kind: Kind,
    pub timeout_ms: u64,
    /// How ways are as long as nothing happens to them.
    pub usual: Quality,
    /// Nothing is broken any more, and nothing new is begun.
    pub is_calm: bool,
    /// Clients only read, until each has found all that it has written.
    pub is_reading: bool,
    /// When each held its writes last as slots may have left it.
    pub gave_us: Vec<Option<u64>>,
    /// What was acknowledged may be gone since this happened.
    pub loss: Option<&'static str>,
    pub figures: Figures,
    /// What happened when, if anybody wants to know.
    pub diary: Option<Vec<String>>,
}

/// The slot of a tag.
pub fn slot_of(tag: &str) -> u16 {
    key_slot(tag.as_bytes())
}

impl Stage {
    /// Any machine.
    pub fn any(&mut self) -> HostId {
        self.random.index(self.machines.len())
    }

    /// What a running server is as a node.
    pub fn cluster(&self, host: HostId) -> Option<&Cluster> {
        self.machines[host].node()?.front.cluster.as_deref()
    }

    pub fn member(&self, host: HostId) -> Option<&Member> {
        self.cluster(host).map(|cluster| &cluster.machine)
    }

    pub fn id(&self, host: HostId) -> Option<NodeId> {
        self.member(host).map(Member::id)
    }

    /// Running primaries.
    pub fn primaries(&self) -> Vec<HostId> {
        let is_primary = |host: &HostId| self.member(*host).is_some_and(Member::is_primary);
        (0..self.machines.len()).filter(is_primary).collect()
    }

    /// Whether a move waits at its source for the word that its target has done all.
    pub fn asks_target(&self, host: HostId) -> bool {
        self.cluster(host).is_some_and(|cluster| {
            let mut exports = cluster.moves.exports.iter();
            exports.any(|export| export.what.state == State::Preparing)
        })
    }

    /// The slots with keys that a server has.
    pub fn served_by(&self, host: HostId) -> Vec<u16> {
        let Some(member) = self.member(host) else {
            return Vec::new();
        };
        let slots = TAGS.map(slot_of).into_iter();
        slots
            .filter(|slot| member.slots().contains(*slot))
            .collect()
    }

    /// Who serves a slot and takes writes for it.
    pub fn writable_at(&self, slot: u16) -> Vec<HostId> {
        let takes = |host: &HostId| {
            let Some(node) = self.machines[*host].node() else {
                return false;
            };
            let shared = &node.engine.shared;
            let routes = shared.routes.as_ref();
            !shared.gate.holds.any() && routes.is_some_and(|routes| routes.served.contains(slot))
        };
        (0..self.machines.len()).filter(takes).collect()
    }

    /// From now on writes may be gone.
    pub fn may_lose(&mut self, why: &'static str) {
        if self.loss.is_none() {
            self.loss = Some(why);
            self.figures.count(why);
            self.note(|| format!("writes may be lost: {why}"));
        }
    }

    pub fn note(&mut self, what: impl FnOnce() -> String) {
        let at = self.now_us as f64 / 1e6;
        if let Some(diary) = &mut self.diary {
            diary.push(format!("{at:.3} {}", what()));
        }
    }
}
