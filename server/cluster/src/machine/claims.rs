//! Who has which slots: claims and their epochs, and whether the cluster serves.

use cairn_format::cluster::nodes_conf::Way;
use cairn_format::cluster::{Flags, Header, NodeId, SlotSet};
use cairn_format::crc16::SLOTS;

use super::Machine;
use crate::nodes::Ix;
use crate::seam::{Action, Level, Moment, Save};

/// So long a primary does not serve after its start, milliseconds.
const WRITABLE_DELAY_MS: u64 = 2000;
/// Bounds of the time that a primary waits behind a minority, milliseconds.
const REJOIN_MIN_MS: u64 = 500;
const REJOIN_MAX_MS: u64 = 5000;

impl Machine {
    /// What a header says of slots.
    pub(super) fn hear_claims(&mut self, ix: Ix, header: &Header, moment: &mut Moment<'_>) {
        let claim = (header.slots.fingerprint(), header.config_epoch);
        let seen = (claim.0, claim.1, self.owners.version());
        if self.nodes.get(ix).claim != seen {
            if self.nodes.get(ix).is_primary() {
                self.claim(ix, header.config_epoch, &header.slots, moment);
            }
            let is_settled = !self.contradict(ix, header);
            // Who still claims with an old epoch is told each time.
            let version = self.owners.version();
            if is_settled {
                self.nodes.get_mut(ix).claim = (claim.0, claim.1, version);
            }
        }
        let node = self.nodes.get(ix);
        if node.is_primary() && self.is_primary() && header.config_epoch == self.me().config_epoch {
            self.resolve_collision(ix);
        }
    }

    /// Tells a node that claims what another has with a greater epoch; whether there was need.
    fn contradict(&mut self, ix: Ix, header: &Header) -> bool {
        let of = self.nodes.get(ix).primary.unwrap_or(ix);
        let mut owners = header.slots.iter().filter_map(|slot| self.owners.of(slot));
        let newer = owners.find(|owner| {
            *owner != of && self.nodes.get(*owner).config_epoch > header.config_epoch
        });
        if let Some(owner) = newer {
            self.send_update(ix, owner);
        }
        newer.is_some()
    }

    /// A primary says which slots are its own since an epoch.
    pub(super) fn claim(&mut self, ix: Ix, epoch: u64, slots: &SlotSet, moment: &mut Moment<'_>) {
        debug_assert!(ix != self.myself, "nobody else claims for this node");
        let mine_before = self.me().primary.unwrap_or(self.myself);
        let (mut lost, mut from_ours) = (Vec::new(), 0);
        for slot in 0..SLOTS {
            let owner = self.owners.of(slot);
            if !slots.contains(slot) {
                if owner == Some(ix) {
                    self.owners.set_unclaimed(slot, true);
                }
                continue;
            }
            if owner == Some(ix) {
                self.owners.set_unclaimed(slot, false);
                continue;
            }
            let yields = owner.is_none_or(|owner| {
                self.owners.is_unclaimed(slot) || self.nodes.get(owner).config_epoch < epoch
            });
            if !yields {
                continue;
            }
            if owner == Some(mine_before) {
                lost.push(slot);
            }
            from_ours += usize::from(owner == Some(mine_before));
            self.owners.set(slot, Some(ix), self.myself);
            self.move_with(slot, owner, ix);
            self.save(Save::Synced);
            self.state.is_due = true;
        }
        self.lose_to(ix, mine_before, from_ours, slots.len(), lost, moment);
        self.refresh_served();
    }

    /// A slot has another owner: what of its move is still true.
    fn move_with(&mut self, slot: u16, from: Option<Ix>, to: Ix) {
        let Some(moving) = self.moving.get_mut(&slot) else {
            return;
        };
        if moving.way == Way::To {
            self.moving.remove(&slot);
        } else if from == Some(moving.node) {
            moving.node = to;
        }
    }

    /// What follows for this node when slots that were its own, or its primary's, are another's.
    fn lose_to(
        &mut self,
        ix: Ix,
        mine_before: Ix,
        from_ours: usize,
        claimed: usize,
        lost: Vec<u16>,
        moment: &mut Moment<'_>,
    ) {
        let may_follow = self.options.replica_migration || claimed == from_ours;
        let is_emptied = from_ours > 0 && self.owners.count(mine_before) == 0;
        if is_emptied && may_follow {
            let text = format!(
                "Configuration change detected. Reconfiguring myself as a replica of {}",
                self.nodes.get(ix).named()
            );
            self.log(Level::Notice, text);
            self.follow(ix);
        } else if !self.leave_sub_replica() && !lost.is_empty() {
            // A replica hears of the keys from its primary; its listeners are its own.
            self.act(Action::SlotsLost {
                slots: lost,
                with_keys: mine_before == self.myself,
            });
        }
        if from_ours > 0 {
            self.evaluate(moment);
        }
    }

    /// A replica of a replica follows the latter's primary.
    pub(super) fn leave_sub_replica(&mut self) -> bool {
        let grand = self
            .me()
            .primary
            .and_then(|primary| self.nodes.get(primary).primary);
        let Some(grand) = grand.filter(|grand| *grand != self.myself) else {
            return false;
        };
        let text = format!(
            "I'm a sub-replica! Reconfiguring myself as a replica of grandmaster {}",
            self.nodes.get(grand).named()
        );
        self.log(Level::Notice, text);
        self.follow(grand);
        true
    }

    /// Somebody tells who has slots that this node claimed.
    pub(super) fn hear_update(
        &mut self,
        epoch: u64,
        id: &NodeId,
        slots: &SlotSet,
        moment: &mut Moment<'_>,
    ) {
        let Some(ix) = self
            .nodes
            .find(id)
            .filter(|ix| !self.nodes.get(*ix).is_stranger())
        else {
            return;
        };
        if self.nodes.get(ix).config_epoch >= epoch {
            return;
        }
        if ix == self.myself {
            self.log(Level::Notice, "Discarding UPDATE message about myself.");
            return;
        }
        self.becomes_primary(ix);
        self.current_epoch = self.current_epoch.max(epoch);
        self.nodes.get_mut(ix).config_epoch = epoch;
        self.save(Save::Synced);
        self.claim(ix, epoch, slots, moment);
    }

    /// Two primaries with one epoch: the one with the smaller id takes another.
    fn resolve_collision(&mut self, other: Ix) {
        if self.nodes.get(other).id <= self.id() || self.local.gives_slots {
            return;
        }
        let epoch = self.take_epoch();
        let text = format!(
            "WARNING: configEpoch collision with node {}. configEpoch set to {epoch}",
            self.nodes.get(other).named()
        );
        self.log(Level::Verbose, text);
    }

    /// Takes a new epoch without asking, unless this node's is the greatest already; the epoch if it was taken.
    pub(super) fn bump(&mut self) -> Option<u64> {
        let greatest = self
            .nodes
            .iter()
            .map(|(_, node)| node.config_epoch)
            .max()
            .unwrap_or(0)
            .max(self.current_epoch);
        if self.me().config_epoch != 0 && self.me().config_epoch == greatest {
            return None;
        }
        let epoch = self.take_epoch();
        self.log(Level::Notice, format!("New configEpoch set to {epoch}"));
        Some(epoch)
    }

    /// The next epoch is this node's.
    pub(super) fn take_epoch(&mut self) -> u64 {
        self.current_epoch += 1;
        let epoch = self.current_epoch;
        self.me_mut().config_epoch = epoch;
        self.save(Save::Synced);
        epoch
    }

    /// Primaries with slots.
    pub(super) fn size(&self) -> usize {
        self.nodes
            .iter()
            .filter(|(ix, node)| node.is_primary() && self.owners.count(*ix) > 0)
            .count()
    }

    /// So many of them are most.
    pub(super) fn majority(&self) -> usize {
        self.size() / 2 + 1
    }

    /// Whether a node votes and is heard about failures.
    pub(super) fn has_voice(&self, ix: Ix) -> bool {
        self.nodes.get(ix).is_primary() && self.owners.count(ix) > 0
    }

    /// Looks whether the cluster serves.
    pub(super) fn evaluate(&mut self, moment: &Moment<'_>) {
        self.state.is_due = false;
        let now_ms = moment.now_ms;
        let first_ms = *self.state.first_ms.get_or_insert(now_ms);
        let is_primary = self.is_primary();
        if is_primary && !self.state.is_ok && now_ms - first_ms < WRITABLE_DELAY_MS {
            return;
        }
        let (mut size, mut reachable, mut covered) = (0, 0, self.owners.assigned());
        for (ix, node) in self.nodes.iter() {
            let slots = self.owners.count(ix);
            if slots == 0 {
                continue;
            }
            covered -= if node.has_failed() { slots } else { 0 };
            size += usize::from(node.is_primary());
            reachable += usize::from(node.is_primary() && !node.is(Flags::PFAIL | Flags::FAIL));
        }
        let is_covered = covered == usize::from(SLOTS) || !self.options.full_coverage;
        let is_minority = reachable < size / 2 + 1;
        if is_minority {
            self.state.minority_ms = Some(now_ms);
        }
        let is_ok = is_covered && !is_minority;
        if is_ok == self.state.is_ok {
            return;
        }
        let delay = self
            .options
            .node_timeout_ms
            .clamp(REJOIN_MIN_MS, REJOIN_MAX_MS);
        let is_soon = self.state.minority_ms.is_some_and(|at| now_ms - at < delay);
        if is_ok && is_primary && is_soon {
            return;
        }
        self.state.is_ok = is_ok;
        let (level, word) = if is_ok {
            (Level::Notice, "ok")
        } else {
            (Level::Warning, "fail")
        };
        self.log(level, format!("Cluster state changed: {word}"));
        self.act(Action::State(is_ok));
        self.refresh_served();
    }
}
