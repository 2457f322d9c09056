//! The node.
//!
//! | file | what |
//! |---|---|
//! | `links` | connections that come and go, and who is at their other end |
//! | `receive` | a message, from its frame to what it changes |
//! | `gossip` | what others say of others, and what we say |
//! | `send` | messages out |
//! | `claims` | who has which slots: claims, epochs, collisions, the state of the cluster |
//! | `failure` | from silence to a node that has failed, and back |
//! | `role` | primary or replica, of whom |
//! | `election` | a replica stands, and gets votes or not |
//! | `manual` | a failover that somebody asked for |
//! | `migration` | a replica moves to a primary that has none |
//! | `tick` | what time brings |
//! | `persist` | `nodes.conf` |
//! | `change`, `topology` | what commands change: slots; nodes and roles |
//! | `handover` | slots that change hands as one |
//! | `report` | what commands tell |
//! | `route` | whether a call is served here |
//!
//! What is to be done is gathered in [`Machine::take`].

mod change;
mod claims;
mod election;
mod failure;
mod gossip;
mod handover;
mod links;
mod manual;
mod migration;
mod persist;
mod receive;
mod report;
mod role;
mod route;
mod send;
mod tick;
mod topology;

use std::collections::BTreeMap;

use cairn_format::cluster::nodes_conf::Way;
use cairn_format::cluster::{Flags, NodeId, SlotSet};

pub use change::{Bumped, Done, Refusal, SetSlot};
pub use links::{Addresses, length_of_frame};
pub use report::{Health, Info, LinkInfo, NodeInfo, ShardInfo, SlotsInfo};
pub use route::{Asked, Place, Present, Route};
pub use topology::Failover;

use crate::nodes::{Ix, Node, Nodes};
use crate::owners::Owners;
use crate::seam::{Action, Counters, Level, LinkId, Local, Moment, Options, Output, Save};
use election::Election;
use links::Inbound;
use manual::Manual;

/// A slot that moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moving {
    way: Way,
    /// The other node.
    node: Ix,
}

/// Whether the cluster serves, and what that hangs on.
#[derive(Debug, Default)]
struct State {
    is_ok: bool,
    /// When it was looked at first.
    first_ms: Option<u64>,
    /// When this node last saw too few primaries.
    minority_ms: Option<u64>,
    /// It is to be looked at again.
    is_due: bool,
}

/// The node.
#[derive(Debug)]
pub struct Machine {
    /// What is configured.
    pub options: Options,
    /// What only the server knows.
    pub local: Local,
    /// What was counted.
    pub counters: Counters,
    nodes: Nodes,
    owners: Owners,
    moving: BTreeMap<u16, Moving>,
    /// Slots that calls are served in without another look.
    served: SlotSet,
    /// Slots of its primary, on a replica: READONLY serves reads of them.
    readable: SlotSet,
    /// Raised whenever these change.
    routes: u64,
    myself: Ix,
    current_epoch: u64,
    last_vote_epoch: u64,
    state: State,
    election: Election,
    manual: Manual,
    inbound: BTreeMap<LinkId, Inbound>,
    /// Who was forgotten, and until when nobody may introduce it.
    forgotten: BTreeMap<NodeId, u64>,
    /// Whom replication was told to follow.
    following: Option<(NodeId, String, u16)>,
    /// Since when this node follows one that follows it.
    circle_ms: Option<u64>,
    ticks: u64,
    /// Messages that told of nodes.
    messages: u64,
    /// What the options were when they were last looked at.
    seen: Options,
    output: Output,
}

impl Machine {
    /// A node that knows nobody, under a random id.
    pub fn new(moment: &mut Moment<'_>) -> Machine {
        let id = moment.id();
        let mut machine = Machine::under(id, moment.id(), moment.now_ms);
        machine.log(
            Level::Notice,
            format!("No cluster configuration found, I'm {id}"),
        );
        machine.save(Save::Synced);
        machine
    }

    /// A node that knows nobody.
    fn under(id: NodeId, shard: NodeId, now_ms: u64) -> Machine {
        let mut nodes = Nodes::default();
        let myself = nodes.add(id, Flags::MYSELF.with(Flags::PRIMARY, true), shard, now_ms);
        Machine {
            options: Options::default(),
            local: Local::default(),
            counters: Counters::default(),
            nodes,
            owners: Owners::new(),
            moving: BTreeMap::new(),
            served: SlotSet::new(),
            readable: SlotSet::new(),
            routes: 0,
            myself: myself.expect("the first node has its place"),
            current_epoch: 0,
            last_vote_epoch: 0,
            state: State::default(),
            election: Election::default(),
            manual: Manual::default(),
            inbound: BTreeMap::new(),
            forgotten: BTreeMap::new(),
            following: None,
            circle_ms: None,
            ticks: 0,
            messages: 0,
            seen: Options::default(),
            output: Output::default(),
        }
    }

    /// What is to be done since this was asked last.
    pub fn take(&mut self) -> Output {
        std::mem::take(&mut self.output)
    }

    /// Its id.
    pub fn id(&self) -> NodeId {
        self.me().id
    }

    /// Whether it is a primary.
    pub fn is_primary(&self) -> bool {
        self.me().is_primary()
    }

    /// Whether the cluster serves.
    pub fn is_ok(&self) -> bool {
        self.state.is_ok
    }

    /// The greatest epoch that it knows.
    pub fn current_epoch(&self) -> u64 {
        self.current_epoch
    }

    /// The epoch of its last vote.
    pub fn last_vote_epoch(&self) -> u64 {
        self.last_vote_epoch
    }

    /// The epoch of its slots, or of its primary's.
    pub fn config_epoch(&self) -> u64 {
        let primary = self.me().primary.unwrap_or(self.myself);
        self.nodes.get(primary).config_epoch
    }

    /// Its primary.
    pub fn primary(&self) -> Option<NodeId> {
        self.me().primary.map(|primary| self.nodes.get(primary).id)
    }

    /// Its slots.
    pub fn slots(&self) -> &SlotSet {
        self.owners.mine()
    }

    /// Slots that move one by one, as SETSLOT says.
    pub fn open_slots(&self) -> impl Iterator<Item = u16> {
        self.moving.keys().copied()
    }

    /// Who has a slot.
    pub fn owner(&self, slot: u16) -> Option<NodeId> {
        self.owners.of(slot).map(|owner| self.nodes.get(owner).id)
    }

    fn me(&self) -> &Node {
        self.nodes.get(self.myself)
    }

    fn me_mut(&mut self) -> &mut Node {
        self.nodes.get_mut(self.myself)
    }

    fn act(&mut self, action: Action) {
        self.output.actions.push(action);
    }

    fn log(&mut self, level: Level, text: impl Into<String>) {
        self.act(Action::Log(level, text.into()));
    }

    /// The file is to be saved before anything else leaves.
    fn save(&mut self, save: Save) {
        self.output.save = self.output.save.max(Some(save));
    }

    /// Lets a node go, with its slots, its connections and what moves to or from it.
    fn remove_node(&mut self, ix: Ix) {
        debug_assert!(ix != self.myself, "it cannot do without itself");
        let lost: Vec<u16> = self.owners.slots_of(ix).collect();
        for slot in lost {
            self.owners.set(slot, None, self.myself);
        }
        self.moving.retain(|_, moving| moving.node != ix);
        self.disconnect(ix);
        if let Some(link) = self.nodes.get(ix).inbound {
            self.hang_up(link);
        }
        self.manual_forgets(ix);
        self.nodes.remove(ix);
        self.state.is_due = true;
        self.refresh_served();
    }

    /// Sets what calls are served in without another look.
    fn refresh_served(&mut self) {
        let (mut served, mut readable) = (SlotSet::new(), SlotSet::new());
        match (self.state.is_ok, self.me().primary) {
            (false, _) => {}
            (true, Some(primary)) => readable = self.owners.set_of(primary),
            (true, None) if self.is_primary() => {
                served.clone_from(self.owners.mine());
                for slot in self.moving.keys() {
                    served.remove(*slot);
                }
            }
            (true, None) => {}
        }
        if served != self.served || readable != self.readable {
            (self.served, self.readable) = (served, readable);
            self.routes += 1;
        }
    }

    /// What is plainly served: calls of any kind in the first, reads after READONLY in the second. The number is another one after each change, so that who
    /// keeps a copy knows when it is old.
    pub fn plainly_served(&self) -> (u64, &SlotSet, &SlotSet) {
        (self.routes, &self.served, &self.readable)
    }

    /// Whether all holds that must.
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self) -> Result<(), String> {
        self.owners.check(self.myself)?;
        let me = self.me();
        if me.is_primary() == me.is_replica() || (me.is_primary() && me.primary.is_some()) {
            return Err(format!(
                "{:?} is its role, {:?} its primary",
                me.flags, me.primary
            ));
        }
        if me.is_replica() && !(self.owners.mine().is_empty() && self.moving.is_empty()) {
            return Err("a replica has slots".to_owned());
        }
        for (slot, moving) in &self.moving {
            let is_mine = self.owners.mine().contains(*slot);
            if is_mine != (moving.way == Way::To) || moving.node == self.myself {
                return Err(format!(
                    "slot {slot} moves {moving:?}, and is ours or not: {is_mine}"
                ));
            }
        }
        for (ix, node) in self.nodes.iter() {
            let is_sound = node.primary.is_none_or(|primary| {
                primary != ix && self.nodes.iter().any(|(at, _)| at == primary)
            });
            if !is_sound || node.config_epoch > self.current_epoch {
                return Err(format!(
                    "{}: primary {:?}, epoch {} of {}",
                    node.id, node.primary, node.config_epoch, self.current_epoch
                ));
            }
        }
        let serves = self.state.is_ok && me.is_primary();
        let mine = self
            .owners
            .mine()
            .iter()
            .filter(|slot| serves && !self.moving.contains_key(slot));
        if !mine.eq(self.served.iter()) {
            return Err("what is served at once is not what is ours".to_owned());
        }
        let primary = me.primary.filter(|_| self.state.is_ok);
        let readable = primary
            .map(|primary| self.owners.set_of(primary))
            .unwrap_or_default();
        if readable != self.readable {
            return Err("what is read at once is not what the primary has".to_owned());
        }
        match self.last_vote_epoch <= self.current_epoch {
            true => Ok(()),
            false => Err("it voted in an epoch to come".to_owned()),
        }
    }
}
