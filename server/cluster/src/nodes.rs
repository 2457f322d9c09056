//! All nodes that this one knows, itself among them.
//!
//! A node keeps its place as long as it is known; places are used again. Invariants: each id is there once; so is each number of a connection.

use std::collections::BTreeMap;

use cairn_format::cluster::{Flags, NodeId};

use crate::seam::{LinkId, PeerId};

/// Nodes at most: more are not taken in, whoever tells of them.
pub(crate) const NODES_MAX: usize = 16_384;

/// The place of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ix(pub u16);

/// The own connection to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// There is none.
    None,
    /// It is being made since then.
    Asked { since_ms: u64 },
    /// It is there since then.
    Up { since_ms: u64 },
}

/// A node. Times are monotonic milliseconds.
#[derive(Debug)]
pub(crate) struct Node {
    pub id: NodeId,
    pub flags: Flags,
    pub ip: String,
    pub port: u16,
    pub pport: u16,
    pub cport: u16,
    pub hostname: String,
    pub node_name: String,
    /// Its own; that of its primary counts where it has one.
    pub shard: NodeId,
    /// It has shown that it knows extensions.
    pub knows_extensions: bool,
    pub config_epoch: u64,
    pub offset: u64,
    pub primary: Option<Ix>,
    pub born_ms: u64,
    /// Since when an answer is waited for.
    pub ping_sent_ms: Option<u64>,
    pub pong_received_ms: Option<u64>,
    /// When anything last came from it.
    pub data_received_ms: Option<u64>,
    pub failed_ms: u64,
    /// When this node voted for one of its replicas.
    pub voted_ms: Option<u64>,
    /// Since when it has no replica that works, though it had some.
    pub orphaned_ms: Option<u64>,
    /// Who says that it fails, and when they said so last.
    pub reports: Vec<(Ix, u64)>,
    pub peer: PeerId,
    pub link: Link,
    pub inbound: Option<LinkId>,
    /// Whether it has ever come to us since we know it.
    pub has_come: bool,
    pub met_ms: u64,
    /// Fingerprint of what it last claimed, its epoch, and the version of the table at that time.
    pub claim: (u64, u64, u64),
    /// The last message that tells of it.
    pub gossiped: u64,
}

impl Node {
    pub fn is(&self, flags: Flags) -> bool {
        self.flags.has_any(flags)
    }

    pub fn is_primary(&self) -> bool {
        self.is(Flags::PRIMARY)
    }

    pub fn is_replica(&self) -> bool {
        self.is(Flags::REPLICA)
    }

    pub fn has_failed(&self) -> bool {
        self.is(Flags::FAIL)
    }

    /// Whether its id is not known yet.
    pub fn is_stranger(&self) -> bool {
        self.is(Flags::HANDSHAKE)
    }

    pub fn is_up(&self) -> bool {
        matches!(self.link, Link::Up { .. })
    }

    /// As the log names it.
    pub fn named(&self) -> String {
        format!("{} ({})", self.id, self.node_name)
    }

    /// Says that a node fails, or says it again; whether that is new.
    pub fn add_report(&mut self, from: Ix, now_ms: u64) -> bool {
        match self.reports.iter_mut().find(|(who, _)| *who == from) {
            Some((_, at)) => {
                *at = now_ms;
                false
            }
            None => {
                self.reports.push((from, now_ms));
                true
            }
        }
    }

    /// Takes that back; whether it had been said.
    pub fn remove_report(&mut self, from: Ix) -> bool {
        let before = self.reports.len();
        self.reports.retain(|(who, _)| *who != from);
        self.reports.len() < before
    }
}

/// All nodes.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    slab: Vec<Option<Node>>,
    free: Vec<Ix>,
    by_id: BTreeMap<NodeId, Ix>,
    by_peer: BTreeMap<PeerId, Ix>,
    next_peer: u64,
}

impl Nodes {
    /// Takes a node in that is not there yet; none if there are too many.
    pub fn add(&mut self, id: NodeId, flags: Flags, shard: NodeId, now_ms: u64) -> Option<Ix> {
        debug_assert!(!self.by_id.contains_key(&id), "{id} is known");
        if self.by_id.len() >= NODES_MAX {
            return None;
        }
        self.next_peer += 1;
        let node = Node {
            id,
            flags,
            ip: String::new(),
            port: 0,
            pport: 0,
            cport: 0,
            hostname: String::new(),
            node_name: String::new(),
            shard,
            knows_extensions: false,
            config_epoch: 0,
            offset: 0,
            primary: None,
            born_ms: now_ms,
            ping_sent_ms: None,
            pong_received_ms: None,
            data_received_ms: None,
            failed_ms: 0,
            voted_ms: None,
            orphaned_ms: None,
            reports: Vec::new(),
            peer: PeerId(self.next_peer),
            link: Link::None,
            inbound: None,
            has_come: false,
            met_ms: now_ms,
            claim: (0, 0, 0),
            gossiped: 0,
        };
        let ix = self.free.pop().unwrap_or(Ix(self.slab.len() as u16));
        self.by_id.insert(id, ix);
        self.by_peer.insert(node.peer, ix);
        match self.slab.get_mut(usize::from(ix.0)) {
            Some(place) => *place = Some(node),
            None => self.slab.push(Some(node)),
        }
        Some(ix)
    }

    /// Lets one go, and what the others say about it.
    pub fn remove(&mut self, ix: Ix) -> Option<Node> {
        let node = self.slab.get_mut(usize::from(ix.0))?.take()?;
        self.by_id.remove(&node.id);
        self.by_peer.remove(&node.peer);
        self.free.push(ix);
        for other in self.slab.iter_mut().flatten() {
            other.remove_report(ix);
            if other.primary == Some(ix) {
                other.primary = None;
            }
        }
        Some(node)
    }

    /// The node of a place.
    ///
    /// # Panics
    /// If the place is empty: places of nodes that are gone are kept nowhere.
    pub fn get(&self, ix: Ix) -> &Node {
        self.slab[usize::from(ix.0)]
            .as_ref()
            .expect("a place in use")
    }

    /// The same, to change it.
    ///
    /// # Panics
    /// As [`Nodes::get`].
    pub fn get_mut(&mut self, ix: Ix) -> &mut Node {
        self.slab[usize::from(ix.0)]
            .as_mut()
            .expect("a place in use")
    }

    /// Gives a node that was met its real id, which nobody has.
    pub fn rename(&mut self, ix: Ix, id: NodeId) {
        debug_assert!(!self.by_id.contains_key(&id), "{id} is known");
        let before = std::mem::replace(&mut self.get_mut(ix).id, id);
        self.by_id.remove(&before);
        self.by_id.insert(id, ix);
    }

    /// Gives the own connection to a node a new number.
    pub fn renumber(&mut self, ix: Ix) -> PeerId {
        self.next_peer += 1;
        let peer = PeerId(self.next_peer);
        let before = std::mem::replace(&mut self.get_mut(ix).peer, peer);
        self.by_peer.remove(&before);
        self.by_peer.insert(peer, ix);
        peer
    }

    pub fn find(&self, id: &NodeId) -> Option<Ix> {
        self.by_id.get(id).copied()
    }

    pub fn of_peer(&self, peer: PeerId) -> Option<Ix> {
        self.by_peer.get(&peer).copied()
    }

    /// How many there are, strangers included.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// All of them, in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = (Ix, &Node)> {
        let slab = (0..).zip(&self.slab);
        slab.filter_map(|(at, node)| Some((Ix(at), node.as_ref()?)))
    }

    /// All places in use.
    pub fn places(&self) -> Vec<Ix> {
        self.iter().map(|(ix, _)| ix).collect()
    }

    /// Any of them, or an empty place: `random` is below [`Nodes::reach`].
    pub fn at(&self, random: usize) -> Option<Ix> {
        self.slab.get(random)?.as_ref()?;
        Some(Ix(random as u16))
    }

    /// Places there are.
    pub fn reach(&self) -> usize {
        self.slab.len()
    }

    /// Replicas of a node.
    pub fn replicas(&self, of: Ix) -> impl Iterator<Item = (Ix, &Node)> {
        self.iter()
            .filter(move |(_, node)| node.primary == Some(of))
    }
}
