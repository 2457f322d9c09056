//! Who builds the cluster, and puts right what only a person can.

use cairn_cluster::machine::SetSlot;
use cairn_format::cluster::nodes_conf::{Line, Way};
use cairn_format::cluster::{Flags, NodeId};
use cairn_format::crc16::SLOTS;

use super::world::World;

/// Starts all, gives slots to the first, and introduces them: to the first, or in a chain.
///
/// # Errors
/// Something happened that may not.
pub fn build(world: &mut World) -> Result<(), String> {
    let primaries = primaries(world);
    build_of(world, primaries)
}

/// The same with so many that have slots.
///
/// # Errors
/// As [`build`].
pub fn build_of(world: &mut World, primaries: usize) -> Result<(), String> {
    let count = world.hosts.len();
    // As redis-cli does; without it, epochs collide until they differ.
    let with_epochs = world.random.below(2) == 0;
    for host in 0..count {
        world.start(host)?;
        let end = |part: usize| (part * usize::from(SLOTS) / primaries) as u16;
        world.act(host, |machine, moment| {
            if host < primaries {
                let slots: Vec<u16> = (end(host)..end(host + 1)).collect();
                machine.add_slots(&slots, moment).expect("nobody has them");
            }
            if with_epochs {
                machine
                    .set_config_epoch(host as u64 + 1)
                    .expect("it is fresh");
            }
        })?;
    }
    let is_chain = world.random.below(2) == 0;
    for host in 1..count {
        introduce(world, host, if is_chain { host - 1 } else { 0 })?;
    }
    Ok(())
}

fn primaries(world: &World) -> usize {
    let count = world.hosts.len();
    (count / 2).max(3).min(count)
}

fn introduce(world: &mut World, host: usize, to: usize) -> Result<(), String> {
    let (ip, port) = (world.hosts[to].ip.clone(), world.hosts[to].port);
    world.act(host, |machine, moment| {
        machine.meet(&ip, port, None, moment)
    })
}

/// Who has no slots follows somebody who has.
pub fn make_replicas(world: &mut World) {
    let primaries = primaries(world);
    for host in primaries..world.hosts.len() {
        let of = world.random.index(primaries);
        follow(world, host, of);
    }
}

fn follow(world: &mut World, host: usize, of: usize) {
    if let Some(id) = world.hosts[of].id() {
        // What it may not do now, it is told again.
        let _ = world.act(host, |machine, moment| {
            machine.replicate(&id, false, moment)
        });
    }
}

/// Once nothing is broken: what does not heal by itself.
pub fn insist(world: &mut World) {
    if !world.is_calm {
        return;
    }
    for host in 0..world.hosts.len() {
        if world.hosts[host].machine.is_none() {
            let _ = world.start(host);
        }
    }
    let ids: Vec<NodeId> = world
        .hosts
        .iter()
        .filter_map(super::host::Host::id)
        .collect();
    for host in 0..world.hosts.len() {
        let now_ms = world.now_ms;
        let lines = world.hosts[host]
            .with(now_ms, |machine, moment| machine.nodes(moment))
            .unwrap_or_default();
        forget_the_dead(world, host, &lines, &ids);
        close_moves(world, host, &lines);
        let known = lines
            .iter()
            .filter(|line| !line.flags.has(Flags::HANDSHAKE))
            .count();
        if known < ids.len() && world.random.below(5) == 0 {
            let to = world.random.index(ids.len());
            let _ = introduce(world, host, to);
        }
    }
    cover(world);
}

/// Nodes that nobody is any more.
fn forget_the_dead(world: &mut World, host: usize, lines: &[Line], ids: &[NodeId]) {
    for line in lines
        .iter()
        .filter(|line| !ids.contains(&line.id) && !line.flags.has(Flags::HANDSHAKE))
    {
        let is_primary = world.hosts[host]
            .machine
            .as_ref()
            .and_then(cairn_cluster::Machine::primary)
            == Some(line.id);
        let _ = world.act(host, |machine, moment| match is_primary {
            // Who follows somebody that is gone takes its place, if nobody votes for it.
            true => machine.failover(cairn_cluster::machine::Failover::Takeover, moment),
            false => machine.forget(&line.id, moment),
        });
    }
}

fn close_moves(world: &mut World, host: usize, lines: &[Line]) {
    for moving in lines.iter().flat_map(|line| &line.moves) {
        debug_assert!(matches!(moving.way, Way::To | Way::From));
        let _ = world.act(host, |machine, moment| {
            machine.set_slot(moving.slot, SetSlot::Stable, 0, moment)
        });
    }
}

/// Slots that nobody has anywhere go to the first primary that has some.
fn cover(world: &mut World) {
    let free = |slot: &u16| {
        world
            .hosts
            .iter()
            .flat_map(|host| &host.machine)
            .all(|machine| machine.owner(*slot).is_none())
    };
    let free: Vec<u16> = (0..SLOTS).filter(free).collect();
    let taker = world.hosts.iter().position(super::host::Host::is_primary);
    if let Some(host) = taker.filter(|_| !free.is_empty()) {
        let _ = world.act(host, |machine, moment| machine.add_slots(&free, moment));
    }
    bind_what_is_claimed_by_nobody(world);
}

/// A slot that some remember as of a node which no longer has it, and that others know to be free.
fn bind_what_is_claimed_by_nobody(world: &mut World) {
    let owns = |slot: u16, id: NodeId| {
        let owner = world
            .hosts
            .iter()
            .flat_map(|host| &host.machine)
            .find(|machine| machine.id() == id);
        owner.is_some_and(|machine| machine.slots().contains(slot))
    };
    let machines: Vec<_> = world.hosts.iter().flat_map(|host| &host.machine).collect();
    let is_stale = |slot: &u16| {
        let owners = machines.iter().filter_map(|machine| machine.owner(*slot));
        owners.clone().next().is_some() && !owners.clone().any(|id| owns(*slot, id))
    };
    let stale: Vec<u16> = (0..SLOTS).filter(is_stale).collect();
    for slot in stale.into_iter().take(64) {
        for host in 0..world.hosts.len() {
            let _ = world.act(host, |machine, moment| {
                machine.delete_slots(&[slot], moment)
            });
        }
    }
}
