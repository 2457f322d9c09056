//! Figures of large clusters: what the bus takes, and how fast news is everywhere.
//!
//! All nodes are primaries with slots, with the timeout of the default. They are introduced to the first one all at once.

use cairn_cluster::Machine;
use cairn_cluster::seam::Options;
use cairn_engine::base::random::Random;
use cairn_format::cluster::NodeId;

use super::operator;
use super::world::{SECOND_MS, World};

/// How long nothing happens while bytes are counted.
const COUNTED_MS: u64 = 15 * SECOND_MS;
/// What takes longer than this does not end.
const PATIENCE_MS: u64 = 600 * SECOND_MS;
/// How exactly times are told, milliseconds.
const LOOK_MS: u64 = 50;

/// Figures of a cluster.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// How many nodes.
    pub nodes: usize,
    /// From the MEETs until each knows all, milliseconds.
    pub known_ms: u64,
    /// From the MEETs until each has the same owner for each slot, milliseconds.
    pub table_ms: u64,
    /// Bytes that a node sends each second.
    pub bytes_per_second: u64,
    /// Messages that a node sends each second.
    pub messages_per_second: u64,
    /// From the death of a node until all others know that it has failed, milliseconds.
    pub failed_ms: u64,
}

/// Measures a cluster of so many nodes.
///
/// # Errors
/// It does not come together, or something happened that may not.
pub fn measure(nodes: usize, seed: u64) -> Result<Figures, String> {
    let options = Options::default();
    let mut world = World::with(Random::new(seed), nodes, options, false);
    world.heal();
    world.keeps_files = false;
    operator::build_of(&mut world, nodes)?;
    let began = world.now_ms;
    let known_ms = wait(&mut world, |machine, _| machine.info().nodes == nodes)? - began;
    let table_ms = wait(&mut world, |machine, owners| {
        machine.info().assigned == owners.len() && is_same(machine, owners)
    })? - began;
    let (bytes, messages, at) = (world.bytes, world.messages, world.now_ms);
    while world.now_ms < at + COUNTED_MS {
        world.step()?;
    }
    let each_second = |sum: u64| sum * SECOND_MS / (world.now_ms - at) / nodes as u64;
    let (bytes_per_second, messages_per_second) = (
        each_second(world.bytes - bytes),
        each_second(world.messages - messages),
    );
    let dead = nodes / 2;
    let slots = world.hosts[dead]
        .machine
        .as_ref()
        .map_or(0, |machine| machine.slots().len());
    world.kill(dead, true);
    let died = world.now_ms;
    let failed_ms = wait(&mut world, |machine, _| machine.info().slots_fail == slots)? - died;
    Ok(Figures {
        nodes,
        known_ms,
        table_ms,
        bytes_per_second,
        messages_per_second,
        failed_ms,
    })
}

fn is_same(machine: &Machine, owners: &[Option<NodeId>]) -> bool {
    (0..)
        .zip(owners)
        .all(|(slot, owner)| machine.owner(slot) == *owner)
}

/// Goes on until all that run fit; when that was.
fn wait(
    world: &mut World,
    fits: impl Fn(&Machine, &[Option<NodeId>]) -> bool,
) -> Result<u64, String> {
    let until = world.now_ms + PATIENCE_MS;
    let mut next_look = world.now_ms;
    // Who is looked at first: the one that did not fit the last time.
    let mut late = 0;
    while world.now_ms < until {
        world.step()?;
        if world.now_ms < next_look {
            continue;
        }
        next_look = world.now_ms + LOOK_MS;
        let machines: Vec<&Machine> = world
            .hosts
            .iter()
            .filter_map(|host| host.machine.as_ref())
            .collect();
        let owners: Vec<Option<NodeId>> = owners(&machines);
        let count = machines.len();
        match (0..count)
            .map(|step| (late + step) % count)
            .find(|at| !fits(machines[*at], &owners))
        {
            None => return Ok(world.now_ms),
            Some(at) => late = at,
        }
    }
    Err("it does not end".to_owned())
}

/// Who has each slot, as each says of itself.
fn owners(machines: &[&Machine]) -> Vec<Option<NodeId>> {
    let mut owners = vec![None; usize::from(cairn_format::crc16::SLOTS)];
    for machine in machines {
        for slot in machine.slots().iter() {
            owners[usize::from(slot)] = Some(machine.id());
        }
    }
    owners
}
