//! Either side is killed while it is written to. What comes back is in step again, and holds the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::fleet::{Member, all_equal, in_step};
use crate::support::Dice;
use crate::support::process::Program::Cairn;

/// Rounds of each test; `CAIRN_KILL_ROUNDS` asks for more.
fn rounds() -> u32 {
    let asked = std::env::var("CAIRN_KILL_ROUNDS").ok();
    asked.map_or(5, |text| text.parse().expect("a number"))
}

/// Writes until told to stop, or the server is gone.
fn write_on(member: &Member, stop: &Arc<AtomicBool>, seed: u64) -> std::thread::JoinHandle<()> {
    let mut client = member.connect();
    let stop = Arc::clone(stop);
    std::thread::spawn(move || {
        let mut dice = Dice::new(seed);
        while !stop.load(Ordering::Relaxed) {
            let (key, number) = (dice.below(50), dice.below(1000));
            let line = match dice.below(6) {
                0 => format!("SET s:{key} {number}"),
                1 => format!("RPUSH l:{key} {number}"),
                2 => format!("INCRBY n:{key} {number}"),
                3 => format!("ZADD z:{key} {number} m:{number}"),
                4 => format!("DEL l:{key}"),
                _ => format!("HSET h:{key} f:{number} {number}"),
            };
            let words: Vec<&str> = line.split(' ').collect();
            if client.try_call(&words).is_err() {
                return;
            }
        }
    })
}

#[test]
fn a_replica_is_killed() {
    let primary = Member::start(Cairn, "");
    let mut replica = Member::following(Cairn, &primary, "--appendonly yes");
    in_step(&primary, &replica);
    for round in 0..rounds() {
        let stop = Arc::new(AtomicBool::new(false));
        let writer = write_on(&primary, &stop, u64::from(round));
        std::thread::sleep(std::time::Duration::from_millis(100));
        replica.server.kill_here();
        replica.restart();
        std::thread::sleep(std::time::Duration::from_millis(100));
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap();
        all_equal(&[&primary, &replica]);
    }
}

#[test]
fn a_primary_is_killed() {
    let mut primary = Member::start(Cairn, "--appendonly yes --appendfsync always");
    let replica = Member::following(Cairn, &primary, "");
    in_step(&primary, &replica);
    for round in 0..rounds() {
        let stop = Arc::new(AtomicBool::new(false));
        let writer = write_on(&primary, &stop, u64::from(round));
        std::thread::sleep(std::time::Duration::from_millis(100));
        primary.server.kill_here();
        writer.join().unwrap();
        primary.restart();
        all_equal(&[&primary, &replica]);
    }
}

#[test]
fn the_replica_of_a_killed_primary_takes_over() {
    for round in 0..rounds() {
        let mut primary = Member::start(Cairn, "");
        let replica = Member::following(Cairn, &primary, "");
        in_step(&primary, &replica);
        let stop = Arc::new(AtomicBool::new(false));
        let writer = write_on(&primary, &stop, u64::from(round));
        let mut careful = primary.connect();
        for n in 0..20 {
            careful.good(&format!("SET careful {n}"));
            assert_eq!(careful.int("WAIT 1 10000"), 1);
        }
        primary.server.kill_here();
        writer.join().unwrap();
        let mut promoted = replica.connect();
        promoted.good("REPLICAOF NO ONE");
        assert_eq!(
            promoted.text("GET careful"),
            "19",
            "what WAIT promised is there"
        );
    }
}
