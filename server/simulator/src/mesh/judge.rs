//! What may never be, and what has to be in the end.

use std::collections::{BTreeMap, BTreeSet};

use cairn_format::cluster::{Body, Kind, Message, NodeId};
use cairn_format::crc16::SLOTS;

use super::host::Host;
use super::world::World;

/// What has been seen.
#[derive(Default)]
pub struct Judge {
    /// Who voted in which epoch, and on which host.
    pub votes: BTreeMap<(NodeId, u64), usize>,
    /// Who won which epoch by votes.
    pub won: BTreeMap<u64, NodeId>,
    /// Hosts that have won and are about to be promoted.
    winning: Vec<usize>,
    /// The greatest epochs that each host has shown since its start.
    epochs: BTreeMap<usize, (NodeId, u64, u64)>,
    /// Whom most primaries ever took for the owner of a slot, by the epoch of its claim.
    owners: BTreeMap<(u16, u64), NodeId>,
    /// Epochs that nodes took without votes: for a slot that came, or as another had the same. Another node may win the same by votes at that time.
    taken: BTreeSet<(NodeId, u64)>,
    /// How often that was seen.
    pub races: u64,
    /// Somebody has taken over without being voted for: two may do so in one epoch.
    pub has_taken_over: bool,
    /// Somebody has put an old file back: votes are forgotten then, as they would be anywhere.
    pub has_forgotten: bool,
}

impl Judge {
    /// A host begins with what its disk tells.
    pub fn started(&mut self, host: usize) {
        self.epochs.remove(&host);
    }

    /// A node has taken an epoch without votes.
    pub fn takes(&mut self, id: NodeId, epoch: u64) {
        self.taken.insert((id, epoch));
    }

    pub fn wins(&mut self, host: usize) {
        self.winning.push(host);
    }

    /// After each step of a host. Epochs never fall; now and then, all that the machine itself says must hold.
    pub fn look(
        &mut self,
        host: usize,
        of: &Host,
        _now_ms: u64,
        is_due: bool,
    ) -> Result<(), String> {
        let Some(machine) = &of.machine else {
            return Ok(());
        };
        let now = (
            machine.id(),
            machine.current_epoch(),
            machine.last_vote_epoch(),
        );
        let before = self.epochs.insert(host, now);
        if let Some((id, current, vote)) = before
            && id == now.0
            && (now.1 < current || now.2 < vote)
        {
            return Err(format!(
                "epochs {current} and {vote} became {} and {}",
                now.1, now.2
            ));
        }
        if is_due { machine.check() } else { Ok(()) }
    }

    /// Each vote is the only one of its epoch, and is on the disk before it leaves.
    pub fn sent(&mut self, host: usize, hosts: &[Host], bytes: &[u8]) -> Result<(), String> {
        let kind = u16::from_be_bytes([bytes[12], bytes[13]]);
        if kind != Kind::AuthAck.number() {
            return Ok(());
        }
        let message = Message::decode(bytes).map_err(|error| error.to_string())?;
        debug_assert_eq!(message.body, Body::AuthAck);
        let (voter, epoch) = (message.header.sender, message.header.current_epoch);
        let is_kept = hosts[host]
            .synced
            .as_ref()
            .is_some_and(|text| text.ends_with(&format!("lastVoteEpoch {epoch}\n")));
        if !is_kept {
            return Err(format!(
                "host {host}: a vote in epoch {epoch} leaves and is not on the disk"
            ));
        }
        if self.votes.insert((voter, epoch), host).is_some() && !self.has_forgotten {
            return Err(format!("host {host}: {voter} votes twice in epoch {epoch}"));
        }
        Ok(())
    }

    /// An epoch has one winner.
    pub fn promoted(&mut self, host: usize, hosts: &[Host]) -> Result<(), String> {
        let Some(at) = self.winning.iter().position(|winner| *winner == host) else {
            return Ok(());
        };
        self.winning.remove(at);
        let Some(machine) = &hosts[host].machine else {
            return Ok(());
        };
        let (id, epoch) = (machine.id(), machine.config_epoch());
        match self.won.insert(epoch, id) {
            Some(other) if other != id && !self.has_forgotten => {
                Err(format!("{other} and {id} have both won epoch {epoch}"))
            }
            _ => Ok(()),
        }
    }
}

impl Judge {
    /// A slot has one owner in an epoch, of those whom most primaries took for it at any time.
    pub fn look_at_all(&mut self, hosts: &[Host]) -> Result<(), String> {
        if self.has_forgotten || self.has_taken_over {
            return Ok(());
        }
        let primaries: Vec<_> = hosts
            .iter()
            .filter_map(|host| host.machine.as_ref().filter(|machine| machine.is_primary()))
            .collect();
        let voices = primaries
            .iter()
            .filter(|machine| !machine.slots().is_empty())
            .count();
        for machine in &primaries {
            let (id, epoch) = (machine.id(), machine.config_epoch());
            // The bounds of what it has: there the others' claims meet its own.
            let mut slots = machine.slots().iter();
            for slot in [slots.next(), slots.last()].into_iter().flatten() {
                let agree = primaries
                    .iter()
                    .filter(|other| !other.slots().is_empty() && other.owner(slot) == Some(id))
                    .count();
                if agree * 2 <= voices {
                    continue;
                }
                let before = *self.owners.entry((slot, epoch)).or_insert(id);
                if before == id {
                    continue;
                }
                // As in Redis: such an epoch is nobody's alone until the collision is seen.
                if !self.taken.contains(&(before, epoch)) && !self.taken.contains(&(id, epoch)) {
                    return Err(format!(
                        "slot {slot} is {before}'s and {id}'s in epoch {epoch}, as most say"
                    ));
                }
                self.owners.insert((slot, epoch), id);
                self.races += 1;
            }
        }
        Ok(())
    }
}

/// Whether all agree: on who is there, who has which slots, that all are served, and that no two primaries have one epoch.
///
/// # Errors
/// What they do not agree on.
pub fn agreement(world: &World) -> Result<(), String> {
    let mut machines = Vec::new();
    for (number, host) in world.hosts.iter().enumerate() {
        machines.push(
            host.machine
                .as_ref()
                .ok_or_else(|| format!("host {number} does not run"))?,
        );
    }
    let first = machines[0];
    let mut epochs = BTreeMap::new();
    for (number, machine) in machines.iter().enumerate() {
        let info = machine.info();
        if info.nodes != machines.len() {
            return Err(format!(
                "host {number} knows {} nodes of {}",
                info.nodes,
                machines.len()
            ));
        }
        if !machine.is_ok() {
            return Err(format!("host {number} does not serve"));
        }
        if let Some(slot) = (0..SLOTS).find(|slot| {
            machine.owner(*slot) != first.owner(*slot) || machine.owner(*slot).is_none()
        }) {
            let (here, there) = (machine.owner(slot), first.owner(slot));
            return Err(format!(
                "slot {slot} is of {here:?} on host {number} and of {there:?} on host 0"
            ));
        }
        if machine.is_primary()
            && let Some(other) = epochs.insert(machine.config_epoch(), number)
        {
            return Err(format!("hosts {other} and {number} have one epoch"));
        }
        let follows = machine.primary();
        let upper = follows.and_then(|id| machines.iter().find(|machine| machine.id() == id));
        if !machine.is_primary() && !upper.is_some_and(|upper| upper.is_primary()) {
            return Err(format!("host {number} follows {follows:?}"));
        }
        world.hosts[number]
            .follows
            .as_ref()
            .map_or(Ok(()), |(ip, _)| {
                match world.host_at(ip).and_then(|host| world.hosts[host].id()) {
                    id if id == follows => Ok(()),
                    id => Err(format!(
                        "host {number}: data comes from {id:?}, and its primary is {follows:?}"
                    )),
                }
            })?;
    }
    all_tell_the_same(&machines)
}

/// CLUSTER SLOTS and SHARDS are the same everywhere, but for order and offsets.
fn all_tell_the_same(machines: &[&cairn_cluster::Machine]) -> Result<(), String> {
    let told = |machine: &cairn_cluster::Machine| {
        let mut nodes = BTreeMap::new();
        for shard in machine.shards() {
            for node in shard.nodes {
                nodes.insert(node.id, (node.is_replica, shard.slots.clone()));
            }
        }
        let slots = machine
            .slots_info()
            .into_iter()
            .map(|range| (range.first, range.last, range.nodes[0].id));
        (nodes, slots.collect::<Vec<_>>())
    };
    let first = told(machines[0]);
    match machines.iter().position(|machine| told(machine) != first) {
        None => Ok(()),
        Some(host) => Err(format!(
            "host {host} tells of other shards: {:?} and {:?}",
            told(machines[host]),
            first
        )),
    }
}
