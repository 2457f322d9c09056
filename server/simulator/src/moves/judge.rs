//! What may never be, and what has to be in the end.

use std::collections::BTreeSet;

use cairn_cluster::moves::{End, Move, State};
use cairn_format::cluster::NodeId;

use super::stage::{Kind, Stage, TAGS, slot_of};
use crate::net::HostId;

/// What is known of one server.
#[derive(Clone, Default)]
struct Seen {
    /// Moves that are over, of those that were counted.
    past: usize,
    /// It was a replica.
    was_replica: bool,
    /// Moves whose target may have taken the slots by now.
    giving: BTreeSet<NodeId>,
}

/// See the head of this file.
pub struct Judge {
    seen: Vec<Seen>,
    /// Moves whose target has taken the slots.
    taken: BTreeSet<NodeId>,
    /// Moves whose source has died and did not know.
    forgotten: BTreeSet<NodeId>,
}

impl Judge {
    pub fn new(count: usize) -> Judge {
        Judge {
            seen: vec![Seen::default(); count],
            taken: BTreeSet::new(),
            forgotten: BTreeSet::new(),
        }
    }

    /// A server begins with what its disk tells.
    pub fn started(&mut self, host: HostId) {
        self.seen[host] = Seen::default();
    }

    /// A server has died. One that starts again knows nothing of a move whose target may have taken the slots meanwhile: until it hears of them on the bus
    /// it serves them, as a primary does that starts again after it was replaced.
    pub fn died(&mut self, host: HostId, stage: &mut Stage) {
        let giving = std::mem::take(&mut self.seen[host].giving);
        stage.note(|| format!("server {host} dies while these may be over: {giving:?}"));
        self.forgotten.extend(giving);
        self.look_at_forgotten(stage);
    }

    fn look_at_forgotten(&self, stage: &mut Stage) {
        if !self.forgotten.is_disjoint(&self.taken) {
            stage.may_lose("by sources that died before they heard");
        }
    }

    /// After a turn of a server.
    ///
    /// # Errors
    /// What may not be.
    pub fn look(&mut self, host: HostId, stage: &mut Stage) -> Result<(), String> {
        let Some(cluster) = stage.cluster(host) else {
            return Ok(());
        };
        let (machine, moves) = (&cluster.machine, &cluster.moves);
        for import in &moves.imports {
            let what = &import.what;
            if let Some(slot) = what
                .slots
                .iter()
                .find(|slot| machine.slots().contains(*slot))
            {
                return Err(format!("slot {slot} is served while it comes: {what:?}"));
            }
        }
        if let Some(slot) = moves
            .dropping
            .iter()
            .find(|slot| machine.slots().contains(**slot))
        {
            return Err(format!("slot {slot} is served while its keys go"));
        }
        // One that was heard to be over is so on the disk with the next turn.
        let exports = moves.exports.iter().map(|export| &export.what);
        let giving = exports.filter(|what| what.holds_writes() || what.state == State::Success);
        self.seen[host].giving = giving.map(|what| what.name).collect();
        let gives = !self.seen[host].giving.is_empty();
        let was_replica =
            std::mem::replace(&mut self.seen[host].was_replica, !machine.is_primary());
        let is_promoted = was_replica && machine.is_primary();
        let over: Vec<Move> = moves
            .past
            .iter()
            .skip(self.seen[host].past)
            .cloned()
            .collect();
        self.seen[host].past = moves.past.len();
        if gives {
            stage.gave_us[host] = Some(stage.now_us);
        }
        if is_promoted {
            stage.figures.count("replicas that took over");
            if stage.kind == Kind::Rough {
                stage.may_lose("by failover");
            }
        }
        for what in &over {
            self.ended(host, stage, what)?;
        }
        one_owner(stage)
    }

    /// A move has ended at one end.
    fn ended(&mut self, host: HostId, stage: &mut Stage, what: &Move) -> Result<(), String> {
        stage.note(|| format!("server {host}: a move ends: {what:?}"));
        let figure = match (what.end, what.state) {
            (End::Export, State::Success) => "moves",
            (End::Export, State::Failed) => "moves that failed",
            (End::Export, State::Cancelled) => "moves cancelled",
            (End::Import, State::Success) => {
                self.taken.insert(what.name);
                self.look_at_forgotten(stage);
                return Ok(());
            }
            (End::Import, _) => return Ok(()),
            (_, state) => return Err(format!("a move ends while {state:?}: {what:?}")),
        };
        stage.figures.count(figure);
        // The target took the slots, and its source did not hear of it for the whole lease, also not on the bus: what it was told since is lost, as on a
        // primary that is cut off.
        if what.state != State::Success && self.taken.contains(&what.name) {
            stage.may_lose("by leases that ran out unheard");
        }
        Ok(())
    }
}

/// At no time two take writes for one slot, unless one was elected in the other's place.
fn one_owner(stage: &mut Stage) -> Result<(), String> {
    if stage.loss.is_some() {
        return Ok(());
    }
    for slot in TAGS.map(slot_of) {
        let takers = stage.writable_at(slot);
        if takers.len() > 1 {
            return Err(format!("servers {takers:?} take writes for slot {slot}"));
        }
    }
    Ok(())
}

/// Whether all serve, agree on who has the slots, and nothing is on its way any more.
///
/// # Errors
/// What is not so.
pub fn agreement(stage: &Stage) -> Result<(), String> {
    let count = stage.machines.len();
    let mut first: Option<Vec<Option<NodeId>>> = None;
    for host in 0..count {
        let Some(cluster) = stage.cluster(host) else {
            return Err(format!("server {host} does not run"));
        };
        let machine = &cluster.machine;
        if machine.info().nodes != count || !machine.is_ok() {
            return Err(format!(
                "server {host} does not serve, or does not know all"
            ));
        }
        if !cluster.moves.is_idle() {
            return Err(format!(
                "server {host} still moves slots: {:?}",
                cluster.moves
            ));
        }
        let slots = TAGS
            .map(slot_of)
            .into_iter()
            .flat_map(|slot| [slot, slot + 1]);
        let owners: Vec<Option<NodeId>> = slots.map(|slot| machine.owner(slot)).collect();
        let first = first.get_or_insert_with(|| owners.clone());
        if *first != owners {
            return Err(format!(
                "server {host} knows {owners:?}, server 0 {first:?}"
            ));
        }
    }
    for slot in TAGS.map(slot_of) {
        let takers = stage.writable_at(slot);
        if takers.len() != 1 {
            return Err(format!("servers {takers:?} take writes for slot {slot}"));
        }
    }
    Ok(())
}
