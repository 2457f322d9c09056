//! Everything that a primary does arrives: all types, in all ways, to ours and to 7.0.15, in pairs and chains; also what the
//! primary does by itself.

use crate::changes::{all_same, change, change_fields, fill_all, know_fields};
use crate::fleet::{Member, all_equal, all_in_step, in_step, syncs};
use crate::support::dataset::fill;
use crate::support::process::Program::{self, Cairn, Reference};
use crate::support::wait_until;

/// Everything arrives: what was there before, in a snapshot; what is made and changed then, in the stream, from clients of
/// either dialect; and what was written while the link was cut.
fn everything_arrives(chain: &[&Member]) {
    let mut client = chain[0].connect();
    all_same(chain);
    for dialect in ["HELLO 2", "HELLO 3"] {
        client.good("FLUSHALL");
        fill(&mut client);
        client.good(dialect);
        change(&mut client);
        if know_fields(chain) {
            change_fields(&mut client);
        }
        client.good("HELLO 2");
        all_same(chain);
    }
    client.good("CLIENT KILL TYPE replica");
    client.good("SET meanwhile 1");
    all_same(chain);
    for member in &chain[..chain.len() - 1] {
        assert_eq!(syncs(member).0, "1", "one snapshot for each link");
    }
    assert_eq!(syncs(chain[0]).1, "1", "the cut was gone on from");
}

/// The second follows the first.
pub fn follows(primary: Program, replica: Program) {
    let first = Member::start(primary, "");
    fill_all(&mut first.connect());
    let second = Member::following(replica, &first, "");
    everything_arrives(&[&first, &second]);
}

/// Each follows the one before it.
pub fn chain(programs: [Program; 3]) {
    let first = Member::start(programs[0], "");
    fill_all(&mut first.connect());
    let middle = Member::following(programs[1], &first, "");
    let last = Member::following(programs[2], &middle, "");
    all_in_step(&[&first, &middle, &last]);
    everything_arrives(&[&first, &middle, &last]);
}

#[test]
fn among_ours() {
    follows(Cairn, Cairn);
}

#[test]
fn from_ours_to_the_reference() {
    follows(Cairn, Reference);
}

#[test]
fn from_the_reference_to_ours() {
    follows(Reference, Cairn);
}

#[test]
fn in_chains_that_begin_with_ours() {
    chain([Cairn, Cairn, Cairn]);
    chain([Cairn, Cairn, Reference]);
    chain([Cairn, Reference, Cairn]);
}

#[test]
fn in_chains_that_begin_with_the_reference() {
    chain([Reference, Cairn, Cairn]);
    chain([Reference, Cairn, Reference]);
    chain([Reference, Reference, Cairn]);
}

/// The pairs in which one is ours.
const PAIRS: [(Program, Program); 3] = [(Cairn, Cairn), (Cairn, Reference), (Reference, Cairn)];

#[test]
fn what_is_evicted() {
    for (primary, replica) in PAIRS {
        for policy in ["allkeys-lru", "volatile-ttl"] {
            let options = format!("--maxmemory 5mb --maxmemory-policy {policy}");
            let first = Member::start(primary, &options);
            let second = Member::following(replica, &first, "");
            in_step(&first, &second);
            let mut client = first.connect();
            let value = "x".repeat(10_000);
            for n in 0..1000 {
                client.good_call(&["SET", &format!("key:{n}"), &value, "EX", "1000"]);
            }
            let evicted = first.field("stats", "evicted_keys");
            assert!(evicted.parse::<u64>().unwrap() > 100, "{evicted}");
            // What looks at them takes memory, too: it could evict another key between two looks.
            client.good("CONFIG SET maxmemory 0");
            all_equal(&[&first, &second]);
            assert!(second.connect().int("DBSIZE") > 100);
            assert_eq!(second.field("stats", "evicted_keys"), "0");
        }
    }
}

#[test]
fn what_expires() {
    for (primary, replica) in PAIRS {
        let first = Member::start(primary, "");
        let second = Member::following(replica, &first, "");
        in_step(&first, &second);
        let mut client = first.connect();
        for n in 1..=1000 {
            client.good(&format!("SET key:{n} {n} PX {n}"));
            client.good(&format!("RPUSH list:{} {n}", n % 7));
            client.good(&format!("PEXPIRE list:{} 500", n % 5));
        }
        // Nobody asks for them: the primary finds them by itself, and says so.
        wait_until("only what has no end is left", || client.int("DBSIZE") == 2);
        all_equal(&[&first, &second]);
        assert_eq!(second.connect().int("DBSIZE"), 2);
        assert_eq!(second.field("stats", "expired_keys"), "0");
    }
}
