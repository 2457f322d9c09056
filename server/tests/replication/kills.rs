//! Either side is killed while it is written to. What comes back is in step again, and holds the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use crate::fleet::{Member, all_equal, in_step};
use crate::support::process::Program::{self, Cairn, Reference};
use crate::support::{Dice, wait_until};

/// Rounds of each test; `CAIRN_KILL_ROUNDS` asks for more.
fn rounds() -> u32 {
    let asked = std::env::var("CAIRN_KILL_ROUNDS").ok();
    asked.map_or(50, |text| text.parse().expect("a number"))
}

/// A client that writes until it is told to stop, or the server is gone.
struct Writer {
    stop: Arc<AtomicBool>,
    /// Changes that were acknowledged.
    done: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Writer {
    fn start(member: &Member, seed: u64) -> Writer {
        let mut client = member.connect();
        let (stop, done) = (Arc::default(), Arc::default());
        let (told, counted) = (Arc::clone(&stop), Arc::clone(&done));
        let thread = std::thread::spawn(move || {
            let mut dice = Dice::new(seed);
            while !AtomicBool::load(&told, Ordering::Relaxed) {
                for line in change(&mut dice) {
                    let words: Vec<&str> = line.split(' ').collect();
                    if client.try_call(&words).is_err() {
                        return;
                    }
                }
                AtomicU64::fetch_add(&counted, 1, Ordering::Relaxed);
            }
        });
        Writer { stop, done, thread }
    }

    /// Waits until it has made so many more changes.
    fn wait_for(&self, count: u64) {
        let until = self.done.load(Ordering::Relaxed) + count;
        wait_until("the load goes on", || {
            self.done.load(Ordering::Relaxed) >= until
        });
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

/// The lines of one change.
fn change(dice: &mut Dice) -> Vec<String> {
    let (key, number) = (dice.below(50), dice.below(1000));
    let line = match dice.below(8) {
        0 => format!("SET s:{key} {number}"),
        1 => format!("RPUSH l:{key} {number}"),
        2 => format!("INCRBY n:{key} {number}"),
        3 => format!("ZADD z:{key} {number} m:{number}"),
        4 => format!("DEL l:{key}"),
        5 => format!("SET e:{key} {number} EX 1000"),
        6 => {
            let both = [
                format!("INCR both:{key}"),
                format!("RPUSH also:{key} {number}"),
            ];
            let [first, second] = both;
            return vec!["MULTI".to_owned(), first, second, "EXEC".to_owned()];
        }
        _ => format!("HSET h:{key} f:{number} {number}"),
    };
    vec![line]
}

/// Transactions are whole: as many were counted as were listed.
fn whole(member: &Member) {
    let mut client = member.connect();
    for key in 0..50 {
        let listed = client.int(&format!("LLEN also:{key}"));
        let counted = client.line(&format!("GET both:{key}"));
        let counted = counted
            .as_bytes()
            .map_or("0".into(), String::from_utf8_lossy);
        assert_eq!(counted, listed.to_string(), "key {key}");
    }
}

fn a_replica_is_killed(primary: Program, replica: Program, rounds: u32) {
    let primary = Member::start(primary, "");
    let mut replica = Member::following(replica, &primary, "--appendonly yes");
    in_step(&primary, &replica);
    let mut dice = Dice::new(1);
    for round in 0..rounds {
        let writer = Writer::start(&primary, u64::from(round));
        writer.wait_for(dice.below(200));
        replica.server.kill_here();
        replica.restart();
        writer.wait_for(dice.below(200));
        writer.end();
        all_equal(&[&primary, &replica]);
    }
    whole(&replica);
}

fn a_primary_is_killed(primary: Program, replica: Program, rounds: u32) {
    let mut primary = Member::start(primary, "--appendonly yes --appendfsync always");
    let replica = Member::following(replica, &primary, "");
    in_step(&primary, &replica);
    let mut dice = Dice::new(2);
    for round in 0..rounds {
        let writer = Writer::start(&primary, u64::from(round));
        writer.wait_for(dice.below(100));
        primary.server.kill_here();
        writer.end();
        primary.restart();
        all_equal(&[&primary, &replica]);
    }
    whole(&replica);
}

#[test]
fn a_replica_of_ours() {
    a_replica_is_killed(Cairn, Cairn, rounds());
}

#[test]
fn a_primary_of_ours() {
    a_primary_is_killed(Cairn, Cairn, rounds());
}

/// The reference tries again after a second only, so there are fewer rounds with it.
#[test]
fn either_side_beside_the_reference() {
    let few = rounds().div_ceil(10);
    a_replica_is_killed(Reference, Cairn, few);
    a_replica_is_killed(Cairn, Reference, few);
    a_primary_is_killed(Reference, Cairn, few);
    a_primary_is_killed(Cairn, Reference, few);
}

#[test]
fn the_replica_of_a_killed_primary_takes_over() {
    for round in 0..rounds() {
        let mut primary = Member::start(Cairn, "");
        let replica = Member::following(Cairn, &primary, "");
        in_step(&primary, &replica);
        let writer = Writer::start(&primary, u64::from(round));
        let mut careful = primary.connect();
        for n in 0..20 {
            careful.good(&format!("SET careful {n}"));
            assert_eq!(careful.int("WAIT 1 10000"), 1);
        }
        primary.server.kill_here();
        writer.end();
        let mut promoted = replica.connect();
        promoted.good("REPLICAOF NO ONE");
        assert_eq!(
            promoted.text("GET careful"),
            "19",
            "what WAIT promised is there"
        );
        whole(&replica);
    }
}
