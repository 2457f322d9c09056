//! How far the log says that it is on the disk, in positions of the journal: what WAITAOF believes.

use std::path::Path;
use std::sync::Arc;

use cairn_server::files::append::{FlushMode, Flushed, SyncPolicy};
use cairn_server::host::faulty::FaultyDisk;
use cairn_server::host::{Level, Logger};

#[path = "support/fed.rs"]
mod fed;

use fed::FedLog;

struct Silence;

impl Logger for Silence {
    fn log(&self, _level: Level, _line: &str) {}
}

const COMMAND: &[u8] = b"*1\r\n$4\r\nPING\r\n";

fn new_log(disk: &FaultyDisk, policy: SyncPolicy) -> FedLog {
    FedLog::open(Arc::new(disk.clone()), Path::new("log"), policy).unwrap()
}

fn feed(log: &mut FedLog) -> u64 {
    log.feed(0, COMMAND, None)
}

/// A turn's flush, after which no sync runs any more.
fn flush(log: &mut FedLog, now_ms: u64) -> Flushed {
    let flushed = log.flush(now_ms, FlushMode::default(), &Silence);
    log.wait_for_syncs();
    flushed
}

fn switch(log: &mut FedLog, name: &str) {
    log.finish(0, &Silence).unwrap();
    log.switch_to(Path::new(name)).unwrap();
}

#[test]
fn a_position_is_durable_with_the_sync_behind_it() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, SyncPolicy::EverySecond);
    assert_eq!(log.durable(), Some(0));
    let first = feed(&mut log);
    assert_eq!(log.durable(), Some(0), "in the buffer only");
    assert_eq!(flush(&mut log, 1000), Flushed::Done);
    assert_eq!(log.durable(), Some(first));
    let second = feed(&mut log);
    assert_eq!(flush(&mut log, 1500), Flushed::Done);
    assert_eq!(log.durable(), Some(first), "written only");
    assert_eq!(flush(&mut log, 2000), Flushed::Done);
    assert_eq!(log.durable(), Some(second));
    log.set_policy(SyncPolicy::Never);
    let third = feed(&mut log);
    assert_eq!(flush(&mut log, 9000), Flushed::Done);
    assert_eq!(log.durable(), Some(second), "nobody knows");
    log.set_policy(SyncPolicy::Always);
    assert_eq!(flush(&mut log, 9001), Flushed::Done);
    assert_eq!(log.durable(), Some(third));
}

/// SELECT, timestamps and bytes that were in the file already are in no position.
#[test]
fn positions_are_those_of_the_journal_whatever_the_file_says() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, SyncPolicy::Always);
    let first = log.feed(7, COMMAND, Some(1_700_000_000));
    assert_eq!(first, COMMAND.len() as u64);
    assert_eq!(flush(&mut log, 0), Flushed::Done);
    assert_eq!(log.durable(), Some(first));
    assert!(log.size() > first);
    let size = log.size();
    let mut again = new_log(&disk, SyncPolicy::Always);
    assert_eq!((again.size(), again.durable()), (size, Some(0)));
    let second = feed(&mut again);
    assert_eq!(flush(&mut again, 0), Flushed::Done);
    assert_eq!(again.durable(), Some(second));
}

#[test]
fn what_could_not_be_written_is_not_durable_and_a_torn_unit_is_none() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, SyncPolicy::EverySecond);
    let first = feed(&mut log);
    assert_eq!(flush(&mut log, 1000), Flushed::Done);
    let second = feed(&mut log);
    disk.set_write_max(Some(5));
    for stop in [0, 1, 2] {
        disk.set_space(Some(5 * stop));
        assert_eq!(flush(&mut log, 2000 + stop as u64 * 1000), Flushed::Failed);
        assert_eq!(log.durable(), Some(first));
    }
    disk.set_space(None);
    assert_eq!(flush(&mut log, 9000), Flushed::Done);
    assert_eq!(log.durable(), Some(second));
}

#[test]
fn after_a_failed_sync_only_a_base_makes_up_for_it() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, SyncPolicy::EverySecond);
    disk.fail_syncs(1);
    let first = feed(&mut log);
    // It may or may not have failed when the flush returns.
    let _ = flush(&mut log, 1000);
    assert_eq!(log.durable(), None);
    // The system forgot what it did not write: that the next sync succeeds says nothing of it.
    let _ = flush(&mut log, 3000);
    assert_eq!(flush(&mut log, 3001), Flushed::Done);
    assert_eq!(log.durable(), None);
    switch(&mut log, "next");
    let second = feed(&mut log);
    assert_eq!(flush(&mut log, 4000), Flushed::Done);
    assert_eq!(log.durable(), None, "no base yet");
    log.base_installed();
    assert_eq!(log.durable(), Some(second));
    assert!(second > first);
}

#[test]
fn a_base_covers_what_came_before_its_file_and_no_more() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, SyncPolicy::Never);
    let first = feed(&mut log);
    switch(&mut log, "next");
    assert_eq!(log.durable(), Some(first), "whatever the policy is");
    let _second = feed(&mut log);
    disk.fail_syncs(1);
    assert!(log.finish(1000, &Silence).is_err());
    assert_eq!(log.durable(), None);
    log.base_installed();
    assert_eq!(log.durable(), None, "the base is from before what was lost");
    switch(&mut log, "third");
    log.base_installed();
    assert_eq!(log.durable(), Some(log.position()));
}

#[test]
fn the_end_of_the_log_is_durable_under_each_policy() {
    for policy in [
        SyncPolicy::Always,
        SyncPolicy::EverySecond,
        SyncPolicy::Never,
    ] {
        let disk = FaultyDisk::new();
        let mut log = new_log(&disk, policy);
        let position = feed(&mut log);
        log.finish(10, &Silence).unwrap();
        assert_eq!(log.durable(), Some(position), "{policy:?}");
        // What is safe is not synced again.
        disk.take_steps();
        assert_eq!(flush(&mut log, 90_000), Flushed::Done);
        assert_eq!(disk.take_steps(), [], "{policy:?}");
    }
}
