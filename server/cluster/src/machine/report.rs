//! What commands tell.

use std::collections::BTreeMap;

use cairn_format::cluster::nodes_conf::Line;
use cairn_format::cluster::{Flags, NodeId};

use super::Machine;
use super::change::{Done, refuse};
use crate::nodes::{Ix, Node};
use crate::seam::{LinkId, Moment, PeerId};

/// CLUSTER INFO, without its counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// Whether the cluster serves.
    pub is_ok: bool,
    /// Slots with an owner.
    pub assigned: usize,
    /// Of these, slots whose owner is well.
    pub slots_ok: usize,
    /// Whose owner may have failed.
    pub slots_pfail: usize,
    /// Whose owner has failed.
    pub slots_fail: usize,
    /// Nodes that are known.
    pub nodes: usize,
    /// Primaries with slots; 1 on a node that knows none.
    pub size: usize,
    /// The greatest epoch.
    pub current_epoch: u64,
    /// That of the node's slots, or its primary's.
    pub my_epoch: u64,
}

/// How it stands with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It serves.
    Online,
    /// It has failed.
    Fail,
    /// A replica that has nothing yet.
    Loading,
}

/// A node as SLOTS and SHARDS tell of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeInfo {
    /// Its id.
    pub id: NodeId,
    /// Its address, empty if it is not known.
    pub ip: String,
    /// Main port for clients.
    pub port: u16,
    /// The other one, 0: none.
    pub pport: u16,
    /// Its host name, or nothing.
    pub hostname: String,
    /// Whether it follows another.
    pub is_replica: bool,
    /// Offset of replication.
    pub offset: u64,
    /// How it stands.
    pub health: Health,
}

/// Neighbouring slots of one owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotsInfo {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
    /// The owner, then its replicas that have its data.
    pub nodes: Vec<NodeInfo>,
}

/// A primary and its replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardInfo {
    /// Its slots.
    pub slots: Vec<(u16, u16)>,
    /// Its nodes.
    pub nodes: Vec<NodeInfo>,
}

/// A connection of the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkInfo {
    /// The own one to a node.
    To(NodeId, PeerId),
    /// The one that a node made.
    From(NodeId, LinkId),
}

impl Machine {
    /// The slots of this node, or those of its primary.
    pub fn served_slots(&self) -> Vec<u16> {
        let primary = self.me().primary.unwrap_or(self.myself);
        self.owners.slots_of(primary).collect()
    }

    /// CLUSTER INFO.
    pub fn info(&self) -> Info {
        let mut info = Info {
            is_ok: self.state.is_ok,
            assigned: self.owners.assigned(),
            slots_ok: 0,
            slots_pfail: 0,
            slots_fail: 0,
            nodes: self.nodes.len(),
            size: self.size().max(1),
            current_epoch: self.current_epoch,
            my_epoch: self.config_epoch(),
        };
        for (ix, node) in self.nodes.iter() {
            let slots = self.owners.count(ix);
            let counted = match () {
                () if node.has_failed() => &mut info.slots_fail,
                () if node.is(Flags::PFAIL) => &mut info.slots_pfail,
                () => &mut info.slots_ok,
            };
            *counted += slots;
        }
        info
    }

    /// CLUSTER NODES: a line for each node.
    pub fn nodes(&self, moment: &Moment<'_>) -> Vec<Line> {
        self.lines(moment, true)
    }

    /// CLUSTER REPLICAS.
    ///
    /// # Errors
    /// There is no such primary.
    pub fn replicas(&self, id: &NodeId, moment: &Moment<'_>) -> Done<Vec<Line>> {
        let of = self.known(id)?;
        if !self.nodes.get(of).is_primary() {
            return refuse("The specified node is not a master");
        }
        Ok(self
            .nodes
            .replicas(of)
            .map(|(ix, _)| self.line(ix, Vec::new(), moment))
            .collect())
    }

    /// CLUSTER COUNT-FAILURE-REPORTS.
    ///
    /// # Errors
    /// There is no such node.
    pub fn count_failure_reports(&mut self, id: &NodeId, moment: &Moment<'_>) -> Done<usize> {
        let ix = self.known(id)?;
        Ok(self.reports_about(ix, moment.now_ms))
    }

    /// CLUSTER MYSHARDID.
    pub fn shard_id(&self) -> NodeId {
        self.shard_of(self.myself)
    }

    fn node_info(&self, ix: Ix, node: &Node) -> NodeInfo {
        let is_me = ix == self.myself;
        let local = &self.local;
        let offset = if is_me { local.offset } else { node.offset };
        let ip = if is_me && !local.ip.is_empty() {
            &local.ip
        } else {
            &node.ip
        };
        NodeInfo {
            id: node.id,
            ip: ip.clone(),
            port: if is_me { local.port } else { node.port },
            pport: if is_me { local.pport } else { node.pport },
            hostname: if is_me {
                local.hostname.clone()
            } else {
                node.hostname.clone()
            },
            is_replica: node.is_replica(),
            offset,
            health: match () {
                () if node.has_failed() => Health::Fail,
                () if node.is_replica() && offset == 0 => Health::Loading,
                () => Health::Online,
            },
        }
    }

    /// Replicas of each primary, by the primary's place: one walk.
    fn by_primary(&self) -> BTreeMap<Ix, Vec<Ix>> {
        let mut all: BTreeMap<Ix, Vec<Ix>> = BTreeMap::new();
        for (ix, node) in self.nodes.iter() {
            if let Some(primary) = node.primary {
                all.entry(primary).or_default().push(ix);
            }
        }
        all
    }

    /// CLUSTER SLOTS. Replicas that failed or have nothing yet are left out.
    pub fn slots_info(&self) -> Vec<SlotsInfo> {
        let replicas = self.by_primary();
        let ranges = self.owners.ranges().into_iter();
        ranges
            .map(|(owner, first, last)| {
                let others = replicas.get(&owner).into_iter().flatten();
                let all = std::iter::once(&owner)
                    .chain(others)
                    .map(|ix| self.node_info(*ix, self.nodes.get(*ix)));
                let nodes = all
                    .filter(|node| !node.is_replica || node.health == Health::Online)
                    .collect();
                SlotsInfo { first, last, nodes }
            })
            .collect()
    }

    /// CLUSTER SHARDS.
    pub fn shards(&self) -> Vec<ShardInfo> {
        let mut shards: BTreeMap<NodeId, ShardInfo> = BTreeMap::new();
        let mut of = BTreeMap::new();
        for (ix, node) in self.nodes.iter() {
            let id = self.shard_of(ix);
            of.insert(ix, id);
            let empty = || ShardInfo {
                slots: Vec::new(),
                nodes: Vec::new(),
            };
            shards
                .entry(id)
                .or_insert_with(empty)
                .nodes
                .push(self.node_info(ix, node));
        }
        for (owner, first, last) in self.owners.ranges() {
            if let Some(shard) = of.get(&owner).and_then(|id| shards.get_mut(id)) {
                shard.slots.push((first, last));
            }
        }
        shards.into_values().collect()
    }

    /// CLUSTER LINKS: whose connections there are; what waits on them the server knows.
    pub fn links(&self) -> Vec<LinkInfo> {
        let mut links = Vec::new();
        for (_, node) in self.nodes.iter().filter(|(_, node)| !node.is_stranger()) {
            links.extend(node.is_up().then_some(LinkInfo::To(node.id, node.peer)));
            links.extend(node.inbound.map(|link| LinkInfo::From(node.id, link)));
        }
        links
    }
}
