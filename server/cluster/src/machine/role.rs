//! Primary or replica, and of whom.

use cairn_format::cluster::{Flags, Header, NodeId};

use super::Machine;
use crate::nodes::Ix;
use crate::seam::{Action, Level, Moment, Save};

/// Two nodes may follow each other for so long, milliseconds, beyond the timeout: while one takes the other's place it can look so.
const CIRCLE_MS: u64 = 5000;

impl Machine {
    /// Two replicas that follow each other, as after an old `nodes.conf` was put back, would do so for good: the one with the smaller id becomes a primary
    /// without slots, and keeps its data.
    pub(super) fn leave_circle(&mut self, moment: &Moment<'_>) {
        let primary = self.me().primary.map(|primary| self.nodes.get(primary));
        let is_circle = primary
            .is_some_and(|primary| primary.primary == Some(self.myself) && self.id() < primary.id);
        if !is_circle {
            self.circle_ms = None;
            return;
        }
        let since_ms = *self.circle_ms.get_or_insert(moment.now_ms);
        if moment.now_ms - since_ms > CIRCLE_MS + self.options.node_timeout_ms {
            self.log(
                Level::Warning,
                "The node that I follow follows me. I am a primary without slots from now on.",
            );
            self.lead();
        }
    }

    /// What a node says that it is.
    pub(super) fn hear_role(&mut self, ix: Ix, header: &Header, _moment: &mut Moment<'_>) {
        let Some(primary) = header.primary else {
            self.becomes_primary(ix);
            return;
        };
        let primary = self.nodes.find(&primary).filter(|primary| *primary != ix);
        if self.nodes.get(ix).is_primary() {
            let slots: Vec<u16> = self.owners.slots_of(ix).collect();
            for slot in slots {
                self.owners.set(slot, None, self.myself);
            }
            let node = self.nodes.get_mut(ix);
            node.flags.set(Flags::PRIMARY | Flags::MIGRATE_TO, false);
            node.flags.set(Flags::REPLICA, true);
            node.claim = (0, 0, 0);
            // Nobody hears reports of replicas.
            for other in self.nodes.places() {
                self.nodes.get_mut(other).remove_report(ix);
            }
            self.changed();
        }
        if primary.is_some() && self.nodes.get(ix).primary != primary {
            self.nodes.get_mut(ix).primary = primary;
            self.changed();
        }
        if let Some(primary) = primary {
            self.gains_replica(primary);
            self.redirect_moves(ix, primary);
        }
    }

    fn changed(&mut self) {
        self.save(Save::Plain);
        self.state.is_due = true;
        self.refresh_served();
    }

    fn gains_replica(&mut self, primary: Ix) {
        let node = self.nodes.get_mut(primary);
        if node.is_primary() {
            node.flags.set(Flags::MIGRATE_TO, true);
        }
    }

    /// Slots that move to or from a node that is a replica now move to or from its primary, which has its slots.
    fn redirect_moves(&mut self, from: Ix, to: Ix) {
        let myself = self.myself;
        if !self.moving.values().any(|moving| moving.node == from) {
            return;
        }
        self.moving
            .retain(|_, moving| moving.node != from || to != myself);
        for moving in self
            .moving
            .values_mut()
            .filter(|moving| moving.node == from)
        {
            moving.node = to;
        }
        self.changed();
    }

    /// Another node is a primary.
    pub(super) fn becomes_primary(&mut self, ix: Ix) {
        let node = self.nodes.get_mut(ix);
        if node.is_primary() {
            return;
        }
        debug_assert!(ix != self.myself);
        let node = self.nodes.get_mut(ix);
        node.flags.set(Flags::REPLICA, false);
        node.flags.set(Flags::PRIMARY | Flags::MIGRATE_TO, true);
        node.primary = None;
        self.changed();
    }

    /// This node follows another.
    pub(super) fn follow(&mut self, primary: Ix) {
        debug_assert!(primary != self.myself && self.owners.mine().is_empty());
        let me = self.me_mut();
        me.flags.set(Flags::PRIMARY | Flags::MIGRATE_TO, false);
        me.flags.set(Flags::REPLICA, true);
        me.primary = Some(primary);
        self.moving.clear();
        self.gains_replica(primary);
        self.end_manual();
        self.election = super::election::Election::default();
        self.keep_following();
        self.changed();
    }

    /// Its primary, and where it is to be followed, as far as that is known.
    pub fn primary_place(&self) -> Option<(NodeId, String, u16)> {
        let node = self.nodes.get(self.me().primary?);
        if node.is(Flags::NOADDR) || node.ip.is_empty() {
            return None;
        }
        let port = match self.options.replicates_by_other {
            true => node.pport,
            false => node.port,
        };
        Some((node.id, node.ip.clone(), port))
    }

    /// Tells replication whom to follow, when that is somebody else or elsewhere.
    pub(super) fn keep_following(&mut self) {
        let Some(wanted) = self.primary_place() else {
            return;
        };
        if self.following.as_ref() != Some(&wanted) {
            self.following = Some(wanted.clone());
            let (id, ip, port) = wanted;
            self.act(Action::Replicate { id, ip, port });
        }
    }

    /// This node is a primary.
    pub(super) fn lead(&mut self) {
        if self.is_primary() {
            return;
        }
        let me = self.me_mut();
        me.flags.set(Flags::REPLICA, false);
        me.flags.set(Flags::PRIMARY, true);
        let before = me.primary.take();
        if before.is_some_and(|before| self.nodes.replicas(before).any(|(ix, _)| ix != self.myself))
        {
            self.me_mut().flags.set(Flags::MIGRATE_TO, true);
        }
        self.following = None;
        self.act(Action::Promote);
        self.changed();
    }

    /// The shard of a node: that of its primary, if it has one.
    pub(super) fn shard_of(&self, ix: Ix) -> NodeId {
        let node = self.nodes.get(ix);
        let of = node.primary.unwrap_or(ix);
        self.nodes.get(of).shard
    }

    /// This node takes all slots of its primary, which was lost or asked for it.
    pub(super) fn replace_primary(&mut self, moment: &mut Moment<'_>) {
        let Some(primary) = self.me().primary else {
            return;
        };
        let slots: Vec<u16> = self.owners.slots_of(primary).collect();
        // A primary is of its own shard, and the others of it stay where they are.
        let shard = self.shard_of(self.myself);
        self.me_mut().shard = shard;
        self.lead();
        for slot in slots {
            self.owners.set(slot, Some(self.myself), self.myself);
        }
        self.state.is_due = true;
        self.save(Save::Synced);
        self.end_manual();
        self.evaluate(moment);
        self.refresh_served();
        self.tell_all(moment);
        self.log(Level::Notice, "Took over the slots of the former primary.");
    }
}
