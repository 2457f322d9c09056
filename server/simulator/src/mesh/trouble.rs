//! What befalls hosts and ways.

use cairn_cluster::machine::{Failover, SetSlot};
use cairn_format::crc16::SLOTS;

use super::world::{SECOND_MS, World};

/// Something happens after so long, at most.
const PAUSE_MS: u64 = 1500;
/// A cut lasts so long at most, in timeouts.
const CUT_TIMEOUTS: u64 = 6;
/// A clock is set by so much at most, milliseconds.
const CLOCK_MS: u64 = 3600 * SECOND_MS;

/// Does something, if it is time; whether it was.
pub fn act(world: &mut World) -> bool {
    if world.now_ms < world.next_trouble_ms {
        return false;
    }
    world.next_trouble_ms = world.now_ms + world.random.below(PAUSE_MS);
    let host = world.random.index(world.hosts.len());
    match world.random.below(16) {
        0..=2 => die(world, host),
        3..=5 => live(world),
        6 | 7 => cut(world, host),
        8 => part(world),
        9 => clock(world, host),
        10 | 11 => fail_over(world, host),
        12 | 13 => move_slots(world),
        14 => backup(world, host),
        _ => slow(world),
    }
    true
}

fn die(world: &mut World, host: usize) {
    let dead = world
        .hosts
        .iter()
        .filter(|host| host.machine.is_none())
        .count();
    if world.hosts[host].machine.is_none() || dead * 3 > world.hosts.len() {
        return;
    }
    let is_silent = world.random.below(2) == 0;
    world.kill(host, is_silent);
    // A power cut takes what was not synced.
    if is_silent && world.random.below(2) == 0 {
        let of = &mut world.hosts[host];
        of.written.clone_from(&of.synced);
    }
}

/// One that is dead comes back: with its file, now and then with none or an old one.
fn live(world: &mut World) {
    let dead = world.hosts.iter().position(|host| host.machine.is_none());
    let Some(host) = dead else {
        return;
    };
    match world.random.below(12) {
        0 => {
            let of = &mut world.hosts[host];
            (of.written, of.synced, of.offset) = (None, None, 0);
        }
        1 if world.hosts[host].backup.is_some() => {
            let of = &mut world.hosts[host];
            of.written.clone_from(&of.backup);
            of.synced.clone_from(&of.backup);
            world.judge.has_forgotten = true;
        }
        _ => {}
    }
    if let Err(error) = world.start(host) {
        panic!("{error}");
    }
}

fn cut(world: &mut World, host: usize) {
    let other = world.random.index(world.hosts.len());
    let until = world.now_ms + world.random.below(CUT_TIMEOUTS * world.timeout_ms);
    world.cuts.insert((host.min(other), host.max(other)), until);
}

/// Two parts that do not reach each other.
fn part(world: &mut World) {
    let until = world.now_ms + world.random.below(CUT_TIMEOUTS * world.timeout_ms);
    let side: Vec<bool> = world
        .hosts
        .iter()
        .map(|_| world.random.below(2) == 0)
        .collect();
    for a in 0..side.len() {
        for b in a + 1..side.len() {
            if side[a] != side[b] {
                world.cuts.insert((a, b), until);
            }
        }
    }
}

fn clock(world: &mut World, host: usize) {
    let by = world.random.below(2 * CLOCK_MS) as i64 - CLOCK_MS as i64;
    world.hosts[host].off_ms = by;
}

fn slow(world: &mut World) {
    world.slow_ms = 1 + world.random.below(world.timeout_ms / 4);
}

fn backup(world: &mut World, host: usize) {
    let of = &mut world.hosts[host];
    of.backup.clone_from(&of.synced);
}

fn fail_over(world: &mut World, host: usize) {
    let forms = if world.has_takeovers { 4 } else { 3 };
    let form = [
        Failover::Agreed,
        Failover::Agreed,
        Failover::Force,
        Failover::Takeover,
    ][world.random.index(forms)];
    world.judge.has_taken_over |= form == Failover::Takeover;
    if let Err(error) = world.act(host, |machine, moment| machine.failover(form, moment)) {
        panic!("{error}");
    }
}

/// A slot moves as redis-cli moves it, or half of the way.
fn move_slots(world: &mut World) {
    let slot = world.random.below(u64::from(SLOTS)) as u16;
    let target = world.random.index(world.hosts.len());
    let source = world.hosts.iter().position(|host| {
        host.machine
            .as_ref()
            .is_some_and(|m| m.slots().contains(slot))
    });
    let Some(source) = source.filter(|source| *source != target) else {
        return;
    };
    let (Some(from), Some(to)) = (world.hosts[source].id(), world.hosts[target].id()) else {
        return;
    };
    let steps = [
        (target, SetSlot::Importing(from)),
        (source, SetSlot::Migrating(to)),
        (target, SetSlot::Node(to)),
        (source, SetSlot::Node(to)),
    ];
    let done = 1 + world.random.index(steps.len());
    for (host, form) in steps.into_iter().take(done) {
        let keys = world.random.below(2);
        let outcome = world.act(host, |machine, moment| {
            machine.set_slot(slot, form, keys, moment)
        });
        outcome.unwrap_or_else(|error| panic!("{error}"));
    }
}
