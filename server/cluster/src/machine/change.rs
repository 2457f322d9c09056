//! What commands change of slots. Errors are the texts of Redis, without `ERR `.

use cairn_format::cluster::nodes_conf::Way;
use cairn_format::cluster::{NodeId, SlotSet};

use super::{Machine, Moving};
use crate::nodes::Ix;
use crate::seam::{Action, Level, Moment, Save};

/// Why a command is not done: what a client is told, without `ERR `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(pub String);

/// What a method of a command answers.
pub type Done<T = ()> = Result<T, Refusal>;

pub(super) fn refuse<T>(text: impl Into<String>) -> Done<T> {
    Err(Refusal(text.into()))
}

/// What CLUSTER BUMPEPOCH answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bumped {
    /// The epoch is a new one.
    Bumped(u64),
    /// It was the greatest already.
    Still(u64),
}

/// The forms of CLUSTER SETSLOT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetSlot {
    /// The slot leaves to this node.
    Migrating(NodeId),
    /// It comes from this node.
    Importing(NodeId),
    /// It does neither.
    Stable,
    /// It is this node's.
    Node(NodeId),
}

impl Machine {
    /// CLUSTER ADDSLOTS and ADDSLOTSRANGE: slots that nobody has are this node's.
    ///
    /// # Errors
    /// The first slot that cannot be taken; then none is. On a replica none can (Redis takes them there, and nobody serves them).
    pub fn add_slots(&mut self, slots: &[u16], moment: &mut Moment<'_>) -> Done {
        if !self.is_primary() {
            return refuse("Please use ADDSLOTS only with masters.");
        }
        self.each_once(slots, |machine, slot| match machine.owners.of(slot) {
            Some(_) => refuse(format!("Slot {slot} is already busy")),
            None => Ok(()),
        })?;
        for slot in slots {
            self.moving.remove(slot);
            self.owners.set(*slot, Some(self.myself), self.myself);
        }
        self.slots_changed(moment);
        Ok(())
    }

    /// CLUSTER DELSLOTS and DELSLOTSRANGE: as far as this node knows, nobody has these slots.
    ///
    /// # Errors
    /// The first slot that nobody has; then nothing changes.
    pub fn delete_slots(&mut self, slots: &[u16], moment: &mut Moment<'_>) -> Done {
        self.each_once(slots, |machine, slot| match machine.owners.of(slot) {
            Some(_) => Ok(()),
            None => refuse(format!("Slot {slot} is already unassigned")),
        })?;
        let mine: Vec<u16> = slots
            .iter()
            .copied()
            .filter(|slot| self.slots().contains(*slot))
            .collect();
        for slot in slots {
            self.unbind(*slot);
        }
        self.let_go(mine);
        self.slots_changed(moment);
        Ok(())
    }

    /// CLUSTER FLUSHSLOTS: this node has no slots.
    ///
    /// # Errors
    /// It has keys.
    pub fn flush_slots(&mut self, has_keys: bool, moment: &mut Moment<'_>) -> Done {
        if has_keys {
            return refuse("DB must be empty to perform CLUSTER FLUSHSLOTS.");
        }
        let mine: Vec<u16> = self.slots().iter().collect();
        mine.iter().for_each(|slot| self.unbind(*slot));
        self.let_go(mine);
        self.slots_changed(moment);
        Ok(())
    }

    fn each_once(&self, slots: &[u16], judge: impl Fn(&Machine, u16) -> Done) -> Done {
        let mut seen = SlotSet::new();
        for slot in slots {
            judge(self, *slot)?;
            if !seen.insert(*slot) {
                return refuse(format!("Slot {slot} specified multiple times"));
            }
        }
        Ok(())
    }

    fn unbind(&mut self, slot: u16) {
        if self
            .moving
            .get(&slot)
            .is_some_and(|moving| moving.way == Way::To)
        {
            self.moving.remove(&slot);
        }
        self.owners.set(slot, None, self.myself);
    }

    /// Slots that were this node's are not, by its own will: their keys stay.
    pub(super) fn let_go(&mut self, slots: Vec<u16>) {
        if !slots.is_empty() {
            let with_keys = false;
            self.act(Action::SlotsLost { slots, with_keys });
        }
    }

    pub(super) fn slots_changed(&mut self, moment: &Moment<'_>) {
        self.save(Save::Plain);
        self.evaluate(moment);
        self.refresh_served();
    }

    /// CLUSTER SETSLOT. `keys`: how many keys this node has in the slot.
    ///
    /// # Errors
    /// It cannot be so.
    pub fn set_slot(
        &mut self,
        slot: u16,
        form: SetSlot,
        keys: u64,
        moment: &mut Moment<'_>,
    ) -> Done {
        if !self.is_primary() {
            return refuse("Please use SETSLOT only with masters.");
        }
        let is_mine = self.slots().contains(slot);
        match form {
            SetSlot::Stable => {
                self.moving.remove(&slot);
            }
            SetSlot::Migrating(_) if !is_mine => {
                return refuse(format!("I'm not the owner of hash slot {slot}"));
            }
            SetSlot::Importing(_) if is_mine => {
                return refuse(format!("I'm already the owner of hash slot {slot}"));
            }
            SetSlot::Migrating(id) => self.open(slot, Way::To, &id)?,
            SetSlot::Importing(id) => self.open(slot, Way::From, &id)?,
            SetSlot::Node(id) => return self.give_slot(slot, &id, is_mine, keys, moment),
        }
        self.slots_changed(moment);
        Ok(())
    }

    fn open(&mut self, slot: u16, way: Way, id: &NodeId) -> Done {
        let node = self
            .nodes
            .find(id)
            .filter(|node| !self.nodes.get(*node).is_stranger());
        let Some(node) = node else {
            return refuse(format!("I don't know about node {id}"));
        };
        // Redis lets a slot move to or from the node itself, which means nothing.
        if !self.nodes.get(node).is_primary() || node == self.myself {
            return refuse("Target node is not a master");
        }
        self.moving.insert(slot, Moving { way, node });
        Ok(())
    }

    fn give_slot(
        &mut self,
        slot: u16,
        id: &NodeId,
        is_mine: bool,
        keys: u64,
        moment: &mut Moment<'_>,
    ) -> Done {
        let node = self.known(id)?;
        if !self.nodes.get(node).is_primary() {
            return refuse("Target node is not a master");
        }
        let to_me = node == self.myself;
        if is_mine && !to_me && keys > 0 {
            return refuse(format!(
                "Can't assign hashslot {slot} to a different node while I still hold keys for this hash slot."
            ));
        }
        let moving = self.moving.get(&slot).copied();
        let was_coming = to_me && moving.is_some_and(|moving| moving.way == Way::From);
        let is_over = moving.is_some_and(|moving| moving.way == Way::To) && keys == 0;
        if was_coming {
            self.may_take_epoch()?;
        }
        if is_over || was_coming {
            self.moving.remove(&slot);
        }
        self.owners.set(slot, Some(node), self.myself);
        if is_mine && !to_me {
            self.let_go(vec![slot]);
            self.follow_after_last(node, slot);
        }
        if was_coming {
            if let Some(epoch) = self.bump() {
                self.log(
                    Level::Notice,
                    format!("configEpoch updated after importing slot {slot}: {epoch}"),
                );
            }
            self.tell_all(moment);
        }
        self.slots_changed(moment);
        Ok(())
    }

    /// A primary that has given its last slot away follows who got it, if it may.
    pub(super) fn follow_after_last(&mut self, node: Ix, slot: u16) {
        if self.slots().is_empty() && self.options.replica_migration {
            let text = format!(
                "Lost my last slot during slot migration. Reconfiguring myself as a replica of {} after slot {slot}",
                self.nodes.get(node).named()
            );
            self.log(Level::Warning, text);
            self.follow(node);
        }
    }

    /// The node that a command names.
    pub(super) fn known(&self, id: &NodeId) -> Done<Ix> {
        let node = self.nodes.find(id);
        node.map_or_else(|| refuse(format!("Unknown node {id}")), Ok)
    }

    /// Slots of this node may be another's by now, who has taken an epoch for them. As long as nobody knows, this node must not take a greater one: its
    /// old claim would win, and what the other has written would be lost.
    ///
    /// # Errors
    /// It is so.
    pub(super) fn may_take_epoch(&self) -> Done {
        match self.local.gives_slots {
            true => refuse("Slots of this node change hands at this moment, please try again"),
            false => Ok(()),
        }
    }

    /// CLUSTER BUMPEPOCH.
    pub fn bump_epoch(&mut self) -> Bumped {
        let bumped = match self.local.gives_slots {
            true => None,
            false => self.bump(),
        };
        match bumped {
            Some(epoch) => Bumped::Bumped(epoch),
            None => Bumped::Still(self.me().config_epoch),
        }
    }

    /// CLUSTER SET-CONFIG-EPOCH.
    ///
    /// # Errors
    /// It has an epoch, or knows others.
    pub fn set_config_epoch(&mut self, epoch: u64) -> Done {
        if self.nodes.len() > 1 {
            return refuse(
                "The user can assign a config epoch only when the node does not know any other node.",
            );
        }
        if self.me().config_epoch != 0 {
            return refuse("Node config epoch is already non-zero");
        }
        self.me_mut().config_epoch = epoch;
        self.current_epoch = self.current_epoch.max(epoch);
        self.log(
            Level::Notice,
            format!("configEpoch set to {epoch} via CLUSTER SET-CONFIG-EPOCH"),
        );
        self.save(Save::Plain);
        Ok(())
    }

    /// CLUSTER SAVECONFIG.
    pub fn save_config(&mut self) {
        self.save(Save::Synced);
    }

    /// A primary has loaded its data: slots with keys that nobody has are its own, those of others come from them.
    pub fn keys_loaded(&mut self, slots: &SlotSet, moment: &mut Moment<'_>) {
        if !self.is_primary() {
            return;
        }
        for slot in slots
            .iter()
            .filter(|slot| !self.slots().contains(*slot))
            .collect::<Vec<u16>>()
        {
            match self.owners.of(slot) {
                None => {
                    self.moving.remove(&slot);
                    self.owners.set(slot, Some(self.myself), self.myself);
                    self.log(
                        Level::Warning,
                        format!(
                            "I have keys for unassigned slot {slot}. Taking responsibility for it."
                        ),
                    );
                }
                Some(node) if !self.moving.contains_key(&slot) => {
                    self.moving.insert(
                        slot,
                        Moving {
                            way: Way::From,
                            node,
                        },
                    );
                    let text = format!(
                        "I have keys for slot {slot}, but the slot is assigned to another node. Setting it to importing state."
                    );
                    self.log(Level::Warning, text);
                }
                Some(_) => {}
            }
            self.save(Save::Synced);
        }
        self.evaluate(moment);
        self.refresh_served();
    }
}
