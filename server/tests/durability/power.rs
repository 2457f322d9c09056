//! Power cuts at random moments, on the disk that forgets: `always` loses nothing acknowledged, `everysec` nothing that
//! is older than a second and a turn of the loop, `no` may lose all; none ever finds bytes that nobody wrote.

use std::path::Path;
use std::sync::Arc;

use cairn_server::files::append::{FlushMode, Flushed, SyncPolicy};
use cairn_server::host::faulty::FaultyDisk;
use cairn_server::host::{Disk, Level, Logger};

use crate::fed::FedLog;
use crate::support::Dice;

struct Silence;

impl Logger for Silence {
    fn log(&self, _: Level, _: &str) {}
}

/// Longest time between two turns here, milliseconds.
const TURN_MAX_MS: u64 = 100;

/// One life of a log until the power fails; answers what was found and the bytes that had to be there.
fn life(policy: SyncPolicy, seed: u64) -> (Vec<u8>, usize, Vec<u8>) {
    let mut dice = Dice::new(seed);
    let disk = FaultyDisk::new();
    let mut log = FedLog::open(Arc::new(disk.clone()), Path::new("log"), policy).unwrap();
    disk.sync_dir(Path::new(".")).unwrap();
    let mode = FlushMode {
        force: false,
        hold_syncs: false,
    };
    let mut written = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n".to_vec();
    // After each turn: the time, and the bytes acknowledged by then.
    let mut turns = vec![(0, 0)];
    let mut now = 1000;
    for turn in 0..dice.below(120) + 1 {
        for i in 0..dice.below(4) {
            let command = format!("*1\r\n$8\r\n{:04}{:04}\r\n", turn, i);
            log.feed(0, command.as_bytes(), None);
            written.extend_from_slice(command.as_bytes());
        }
        assert_eq!(log.flush(now, mode, &Silence), Flushed::Done);
        log.wait_for_syncs();
        turns.push((now, log.size() as usize));
        now += 1 + dice.below(TURN_MAX_MS);
    }
    let last = turns.last().unwrap().0;
    let safe = match policy {
        SyncPolicy::Always => turns.last().unwrap().1,
        SyncPolicy::EverySecond => {
            let old = turns
                .iter()
                .rev()
                .find(|turn| turn.0 + 1000 + TURN_MAX_MS <= last);
            old.map_or(0, |turn| turn.1)
        }
        SyncPolicy::Never => 0,
    };
    disk.crash(dice.below(40) as usize);
    (disk.seen("log").unwrap_or_default(), safe, written)
}

#[test]
fn each_policy_loses_no_more_than_it_may() {
    for policy in [
        SyncPolicy::Always,
        SyncPolicy::EverySecond,
        SyncPolicy::Never,
    ] {
        let mut lost = 0;
        for seed in 0..300 {
            let (found, safe, written) = life(policy, seed);
            assert!(
                found.len() >= safe,
                "{policy:?} seed {seed}: {} bytes found, {safe} were safe",
                found.len()
            );
            assert!(
                written.starts_with(&found),
                "{policy:?} seed {seed}: bytes that nobody wrote"
            );
            lost += usize::from(found.len() < written.len());
        }
        // The disk does forget: without syncs nearly every life loses something.
        assert!(
            policy != SyncPolicy::Never || lost > 200,
            "{lost} lives lost something"
        );
    }
}
