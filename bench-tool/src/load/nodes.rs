//! The nodes of a cluster and who has which slot, as all threads know it.
//!
//! Asked for once at the start (CLUSTER SLOTS); after that every MOVED corrects it. Without a cluster there is one node, which has everything.

use crate::target::Target;
use cairn_format::crc16::SLOTS;
use cairn_format::resp::value::Value;
use cairn_toolkit::Failure;
use cairn_toolkit::remote::{Place, Redirect};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

/// More nodes than any cluster has; a node that answers nonsense must not fill the memory.
const NODES_MAX: usize = 2000;

/// All nodes.
#[derive(Debug)]
pub struct Nodes {
    targets: Mutex<Vec<Target>>,
    /// Empty without a cluster.
    slots: Vec<AtomicU16>,
}

impl Nodes {
    /// One server.
    pub fn single(target: &Target) -> Nodes {
        Nodes {
            targets: Mutex::new(vec![target.clone()]),
            slots: Vec::new(),
        }
    }

    /// The nodes of the cluster that a server is part of.
    ///
    /// # Errors
    /// It cannot be asked, or its slots have no owners.
    pub fn of_cluster(target: &Target) -> Result<Nodes, Failure> {
        let reply = target.client()?.ask(&["CLUSTER", "SLOTS"])?;
        let nodes = Nodes {
            targets: Mutex::new(Vec::new()),
            slots: (0..SLOTS).map(|_| AtomicU16::new(0)).collect(),
        };
        let mut owned = 0;
        for range in reply.as_array().unwrap_or_default() {
            let Some([Value::Int(first), Value::Int(last), master, ..]) = range.as_array() else {
                continue;
            };
            let Some([host, Value::Int(port), ..]) = master.as_array() else {
                continue;
            };
            let host = String::from_utf8_lossy(host.as_bytes().unwrap_or_default()).into_owned();
            let Some(node) = nodes.known(&target.of(&host, u16::try_from(*port).unwrap_or(0)))
            else {
                continue;
            };
            for slot in (*first).max(0)..=(*last).min(i64::from(SLOTS) - 1) {
                nodes.slots[slot as usize].store(node as u16, Relaxed);
                owned += 1;
            }
        }
        match owned {
            n if n == usize::from(SLOTS) => Ok(nodes),
            n => Err(Failure::new(format!(
                "{}: {n} of {SLOTS} slots have a node",
                target.name()
            ))
            .hint("`redis-cli --cluster check` tells what the cluster lacks")),
        }
    }

    /// Whether this is a cluster.
    pub fn is_cluster(&self) -> bool {
        !self.slots.is_empty()
    }

    /// How many nodes there are.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Where a node is.
    pub fn target(&self, node: usize) -> Target {
        let targets = self.lock();
        targets[node.min(targets.len() - 1)].clone()
    }

    /// The node of a slot.
    pub fn owner(&self, slot: Option<u16>) -> usize {
        let slot = slot.and_then(|slot| self.slots.get(usize::from(slot)));
        slot.map_or(0, |node| usize::from(node.load(Relaxed)))
    }

    /// The node that a redirect from `asked` names; that of MOVED has the slot from now on. `None` if there are too many nodes.
    pub fn follow(&self, redirect: &Redirect, asked: usize) -> Option<usize> {
        let target = self.target(asked).of(&redirect.host, redirect.port);
        let node = self.known(&target)?;
        if !redirect.once
            && let Some(slot) = self.slots.get(usize::from(redirect.slot))
        {
            slot.store(node as u16, Relaxed);
        }
        Some(node)
    }

    fn known(&self, target: &Target) -> Option<usize> {
        let mut targets = self.lock();
        if let Some(at) = targets.iter().position(|known| known.place == target.place) {
            return Some(at);
        }
        let has_room = targets.len() < NODES_MAX;
        has_room.then(|| {
            targets.push(target.clone());
            targets.len() - 1
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Target>> {
        self.targets
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Target {
    /// A node as another one names it: without a host it is where that one is.
    fn of(&self, host: &str, port: u16) -> Target {
        match (&self.place, host) {
            (Place::Tcp(own, _), "" | "?") => self.at(own, port),
            _ => self.at(host, port),
        }
    }
}
