//! A replica moves to a primary that has none left.

use cairn_format::cluster::Flags;

use super::Machine;
use crate::nodes::Ix;
use crate::seam::{Level, Moment};

/// A primary is without replicas for so long before one comes, milliseconds.
const ORPHANED_MS: u64 = 5000;

impl Machine {
    /// Looks which primaries have lost their replicas, and moves there if it is for this one to do.
    pub(super) fn look_after_orphans(&mut self, moment: &mut Moment<'_>) {
        let mut good = vec![0_usize; self.nodes.reach()];
        for (_, node) in self.nodes.iter() {
            if let Some(primary) = node.primary.filter(|_| !node.has_failed()) {
                good[usize::from(primary.0)] += 1;
            }
        }
        let mut target: Option<Ix> = None;
        for ix in self.nodes.places() {
            let is_orphan = good[usize::from(ix.0)] == 0
                && self.has_voice(ix)
                && self.nodes.get(ix).flags.has(Flags::MIGRATE_TO);
            let node = self.nodes.get_mut(ix);
            if !is_orphan || node.has_failed() {
                node.orphaned_ms = None;
                continue;
            }
            let since_ms = *node.orphaned_ms.get_or_insert(moment.now_ms);
            if ix != self.myself && target.is_none() && moment.now_ms - since_ms > ORPHANED_MS {
                target = Some(ix);
            }
        }
        if let Some(target) = target
            && self.is_mine_to_move(&good)
        {
            self.log(
                Level::Notice,
                format!("Migrating to orphaned master {}", self.nodes.get(target).id),
            );
            self.follow(target);
        }
    }

    /// Of all replicas of primaries with most, the one with the smallest id moves.
    fn is_mine_to_move(&self, good: &[usize]) -> bool {
        let Some(primary) = self.me().primary else {
            return false;
        };
        let most = good.iter().copied().max().unwrap_or(0);
        let here = good[usize::from(primary.0)];
        let may = self.state.is_ok && self.options.replica_migration && most >= 2;
        if !may || here != most || here <= self.options.migration_barrier {
            return false;
        }
        let of_most = |ix: Ix| good[usize::from(ix.0)] == most && self.owners.count(ix) > 0;
        let candidates = self
            .nodes
            .iter()
            .filter(|(_, node)| !node.has_failed() && node.primary.is_some_and(of_most));
        candidates.map(|(_, node)| node.id).min() == Some(self.id())
    }
}
