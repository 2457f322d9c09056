//! Whole clusters of the bus's machine, without servers around it: who owns which slots while nodes die, forget, are cut off and stand for election.
//!
//! | file | what |
//! |---|---|
//! | `world` | hosts, connections, time: whoever is next does what it does |
//! | `host` | a host: its machine, its disk, its clock, and how far its data is |
//! | `trouble` | what befalls them |
//! | `operator` | who builds the cluster, and puts right what only a person can |
//! | `judge` | what may never be |
//! | `scale` | figures of large clusters |
//!
//! Once all is healed, all have to agree within a bounded time.

mod host;
mod judge;
mod operator;
pub mod scale;
mod trouble;
mod world;

use std::collections::BTreeMap;

use crate::seed::guarded;
use world::{SECOND_MS, World};

/// How long things happen, at most.
const TROUBLE_MS: u64 = 20 * SECOND_MS;
/// How long a new cluster may take until all know all.
const BUILDING_MS: u64 = 60 * SECOND_MS;
/// How many timeouts all may take to agree once nothing is broken, and how much longer in any case.
const HEALING_TIMEOUTS: u64 = 30;
const HEALING_MS: u64 = 30 * SECOND_MS;
/// Agreement is looked for so often.
const LOOK_MS: u64 = 200;

/// Runs a seed. `with_logs`: a failure is told with all that was logged.
///
/// # Errors
/// What happened that may not, with the seed.
pub fn run(seed: u64, with_logs: bool) -> Result<BTreeMap<&'static str, u64>, String> {
    guarded(seed, || {
        let mut world = World::new(seed, with_logs);
        let outcome = whole(&mut world);
        outcome.map_err(|error| world.tell(error))?;
        Ok(world.figures())
    })
}

fn whole(world: &mut World) -> Result<(), String> {
    operator::build(world)?;
    let until = world.now_ms + BUILDING_MS;
    agree(world, until, "a new cluster does not come together")?;
    operator::make_replicas(world);
    let until = world.now_ms + SECOND_MS + world.random.below(TROUBLE_MS);
    while world.now_ms < until {
        world.step()?;
        if trouble::act(world) {
            world.judge.look_at_all(&world.hosts)?;
        }
    }
    world.heal();
    let patience_ms = HEALING_TIMEOUTS * world.timeout_ms + HEALING_MS;
    let until = world.now_ms + patience_ms;
    agree(world, until, "they do not agree")
}

fn agree(world: &mut World, until: u64, what: &str) -> Result<(), String> {
    let mut next_look = world.now_ms;
    loop {
        world.step()?;
        if world.now_ms < next_look {
            continue;
        }
        next_look = world.now_ms + LOOK_MS;
        operator::insist(world);
        let Err(why) = judge::agreement(world) else {
            return Ok(());
        };
        if world.now_ms > until {
            return Err(format!("{what}: {why}"));
        }
    }
}
