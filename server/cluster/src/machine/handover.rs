//! Slots that change hands as one ([`crate::moves`]): who may, and what both ends do at its end. Errors are the texts of Valkey 9.1, without
//! `ERR `, where it has them.

use cairn_format::cluster::{NodeId, SlotSet};

use super::Machine;
use super::change::{Done, refuse};
use crate::seam::{Action, Level, Moment};

impl Machine {
    /// Whether these slots may leave for that node.
    ///
    /// # Errors
    /// Why not.
    pub fn may_export(&self, slots: &SlotSet, target: &NodeId) -> Done {
        if !self.is_primary() {
            return refuse("Slot migration can only be used on primary nodes.");
        }
        let node = self.nodes.find(target);
        let Some(node) = node.filter(|node| !self.nodes.get(*node).is_stranger()) else {
            return refuse(format!("Unknown node name: {target}"));
        };
        if node == self.myself {
            return refuse("Target node can not be this node.");
        }
        if !self.nodes.get(node).is_primary() {
            return refuse("Target node is not a primary.");
        }
        match self.has_all(slots) {
            true => Ok(()),
            false => refuse("Slots are not served by this node."),
        }
    }

    /// Whether these slots are this node's, and none of them is open.
    pub fn has_all(&self, slots: &SlotSet) -> bool {
        let is_open = self.moving.keys().any(|slot| slots.contains(*slot));
        !is_open && slots.is_within(self.slots())
    }

    /// Whether these slots may come from that node.
    ///
    /// # Errors
    /// Why not.
    pub fn may_import(&self, slots: &SlotSet, source: &NodeId) -> Done {
        if !self.is_primary() {
            return refuse("Slot migration can only be used on primary nodes.");
        }
        self.known(source)?;
        match self.are_of(slots, source) {
            true if !self.state.is_ok => refuse("The cluster is down"),
            true => Ok(()),
            false => refuse("Slots are not served by the source, as far as the target knows."),
        }
    }

    fn are_of(&self, slots: &SlotSet, node: &NodeId) -> bool {
        let node = self.nodes.find(node);
        node.is_some() && slots.iter().all(|slot| self.owners.of(slot) == node)
    }

    /// Whether what is wrong with slots that are to come is only that this node does not know them to be the source's, which it may hear yet.
    pub fn may_hear_of_owner(&self, slots: &SlotSet, source: &NodeId) -> bool {
        self.is_primary() && !self.are_of(slots, source)
    }

    /// The target takes the slots, under an epoch of its own, and tells all nodes. `theirs`: the greatest epoch that the source knows; the claim has to win
    /// against it, also where the source never hears that it was heard. Answers the epoch.
    ///
    /// # Errors
    /// It may not.
    pub fn take_over(
        &mut self,
        slots: &SlotSet,
        source: &NodeId,
        theirs: u64,
        moment: &mut Moment<'_>,
    ) -> Done<u64> {
        self.may_import(slots, source)?;
        self.may_take_epoch()?;
        for slot in slots.iter() {
            self.moving.remove(&slot);
            self.owners.set(slot, Some(self.myself), self.myself);
        }
        self.current_epoch = self.current_epoch.max(theirs);
        let taken = match self.me().config_epoch > theirs {
            true => self.bump(),
            false => Some(self.take_epoch()),
        };
        if let Some(epoch) = taken {
            let text = format!("configEpoch updated after importing slots: {epoch}");
            self.log(Level::Notice, text);
        }
        self.tell_all(moment);
        self.slots_changed(moment);
        Ok(self.me().config_epoch)
    }

    /// The source knows that the target has the slots: their keys here go.
    pub fn hand_over(&mut self, slots: &SlotSet, target: &NodeId, moment: &mut Moment<'_>) {
        let Some(target) = self.nodes.find(target) else {
            // Who was forgotten meanwhile tells of its slots when it is met again.
            return;
        };
        let mine: Vec<u16> = slots
            .iter()
            .filter(|slot| self.slots().contains(*slot))
            .collect();
        let Some(last) = mine.last().copied() else {
            return;
        };
        for slot in &mine {
            self.moving.remove(slot);
            self.owners.set(*slot, Some(target), self.myself);
        }
        self.act(Action::SlotsLost {
            slots: mine,
            with_keys: true,
        });
        self.follow_after_last(target, last);
        self.tell_all(moment);
        self.slots_changed(moment);
    }

    /// Where a node's clients find it: address and port.
    pub fn clients_address(&self, id: &NodeId) -> Option<(String, u16)> {
        let node = self.nodes.get(self.nodes.find(id)?);
        Some((node.ip.clone(), node.port))
    }
}
