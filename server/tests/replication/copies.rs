//! Clients that keep copies of what a replica told them hear of what comes from its primary, as with 7.0.15.

use std::time::Duration;

use crate::fleet::{Member, in_step};
use crate::support::Connection;
use crate::support::process::Program::{self, Cairn, Reference};

/// Time after which nothing is going to arrive.
const SILENCE: Duration = Duration::from_millis(300);

/// All that a client is told without having asked.
fn pushed(client: &mut Connection) -> String {
    let patience = client.stream().read_timeout().unwrap();
    client.stream().set_read_timeout(Some(SILENCE)).unwrap();
    let mut told = Vec::new();
    while let Ok(frame) = client.try_read_raw() {
        told.extend_from_slice(&frame);
    }
    client.stream().set_read_timeout(patience).unwrap();
    told.escape_ascii().to_string()
}

/// What clients of a replica hear while its primary does this and that.
fn heard(program: Program) -> Vec<String> {
    let first = Member::start(program, "");
    let mut primary = first.connect();
    primary.good("SET key 1");
    let second = Member::following(program, &first, "");
    in_step(&first, &second);
    let [mut keeper, mut group] = [(); 2].map(|()| {
        let mut client = second.connect();
        client.good("HELLO 3");
        client
    });
    keeper.good("CLIENT TRACKING ON");
    group.good("CLIENT TRACKING ON BCAST PREFIX p");
    let mut heard = Vec::new();
    for line in [
        "SET key 2",
        "PEXPIRE key 3000",
        "GET key",
        "MSET p1 1 q 2 p2 3",
        "SET key 3",
        "EVAL redis.call('SET',KEYS[1],'by-script') 1 key",
        "SWAPDB 0 1",
        "SWAPDB 0 1",
        "FLUSHALL",
    ] {
        in_step(&first, &second);
        keeper.good("GET key");
        if line == "GET key" {
            // Whoever asks finds it expired, and the replica is told.
            crate::support::wait_until("it expires", || primary.int("EXISTS key") == 0);
        }
        primary.good(line);
        in_step(&first, &second);
        heard.push(format!("{line}: {}", pushed(&mut keeper)));
        heard.push(format!("{line}, for all: {}", pushed(&mut group)));
    }
    heard
}

#[test]
fn clients_of_a_replica_hear_what_its_primary_changes() {
    let ours = heard(Cairn);
    assert_eq!(ours, heard(Reference));
    assert!(ours[0].contains("invalidate"), "{ours:?}");
}
