//! The append log on a disk that loses what was not synced.

#[path = "support/fed.rs"]
mod fed;

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use cairn_server::files::append::{FlushMode, Flushed, SyncPolicy};
use cairn_server::host::faulty::{FaultyDisk, Step};
use cairn_server::host::{Disk, Level, Logger};
use fed::FedLog;

#[derive(Default)]
struct Lines(RefCell<Vec<String>>);

impl Logger for Lines {
    fn log(&self, _level: Level, line: &str) {
        self.0.borrow_mut().push(line.to_string());
    }
}

const NOW: FlushMode = FlushMode {
    force: false,
    hold_syncs: false,
};

fn command(number: usize) -> Vec<u8> {
    let text = number.to_string();
    format!("*2\r\n$4\r\nPING\r\n${}\r\n{text}\r\n", text.len()).into_bytes()
}

const SELECT: &[u8] = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n";

fn new_log(disk: &FaultyDisk, policy: SyncPolicy) -> FedLog {
    let log = FedLog::open(Arc::new(disk.clone()), Path::new("log"), policy).unwrap();
    disk.sync_dir(Path::new(".")).unwrap();
    disk.take_steps();
    log
}

#[test]
fn always_loses_nothing_that_was_acknowledged_wherever_the_power_fails() {
    for stop in 0..120 {
        for torn in [0, 1, 7, 1000] {
            let disk = FaultyDisk::new();
            let mut log = new_log(&disk, SyncPolicy::Always);
            // Short writes make records straddle several system calls.
            disk.set_write_max(Some(11));
            disk.stop_after(stop);
            let mut written = SELECT.to_vec();
            let mut acknowledged = 0;
            for number in 0..20 {
                log.feed(0, &command(number), None);
                written.extend_from_slice(&command(number));
                match log.flush(number as u64, NOW, &Lines::default()) {
                    Flushed::Done => acknowledged = written.len(),
                    Flushed::Fatal(_) => break,
                    other => panic!("{other:?} under always"),
                }
            }
            disk.crash(torn);
            let found = disk.seen("log").unwrap();
            assert!(found.len() >= acknowledged, "stop {stop} torn {torn}");
            assert!(
                written.starts_with(&found),
                "stop {stop} torn {torn}: bytes that nobody wrote"
            );
        }
    }
}

#[test]
fn under_always_the_sync_comes_before_flush_returns() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, SyncPolicy::Always);
    log.feed(0, &command(1), None);
    log.feed(0, &command(2), None);
    assert_eq!(log.flush(0, NOW, &Lines::default()), Flushed::Done);
    let bytes = SELECT.len() + 2 * command(1).len();
    assert_eq!(
        disk.take_steps(),
        [Step::Write("log".into(), bytes), Step::Sync("log".into())]
    );
    // Nothing new, nothing to do.
    assert_eq!(log.flush(1, NOW, &Lines::default()), Flushed::Done);
    assert_eq!(disk.take_steps(), []);
    assert_eq!(log.size(), bytes as u64);
}

#[test]
fn select_and_timestamps_come_where_they_are_due() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, SyncPolicy::Never);
    log.feed(0, b"A", Some(100));
    log.feed(0, b"B", Some(100));
    log.feed(3, b"C", Some(101));
    assert_eq!(log.flush(0, NOW, &Lines::default()), Flushed::Done);
    let expected = b"#TS:100\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\nAB#TS:101\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\nC";
    assert_eq!(disk.seen("log").unwrap(), expected);
    assert_eq!(
        disk.take_steps(),
        [Step::Write("log".into(), expected.len())],
        "no sync under `no`"
    );
}

#[test]
fn everysec_syncs_once_a_second_on_another_thread() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, SyncPolicy::EverySecond);
    let flush = |log: &mut FedLog, number: usize, now: u64| {
        log.feed(0, &command(number), None);
        assert_eq!(log.flush(now, NOW, &Lines::default()), Flushed::Done);
        log.wait_for_syncs();
        disk.take_steps()
            .iter()
            .filter(|step| **step == Step::Sync("log".into()))
            .count()
    };
    assert_eq!(flush(&mut log, 1, 1000), 1);
    assert_eq!(flush(&mut log, 2, 1500), 0);
    assert_eq!(flush(&mut log, 3, 1999), 0);
    assert_eq!(flush(&mut log, 4, 2000), 1);
    // What came after the last sync is synced although nothing more comes.
    assert_eq!(flush(&mut log, 5, 2500), 0);
    assert_eq!(log.flush(3000, NOW, &Lines::default()), Flushed::Done);
    log.wait_for_syncs();
    assert_eq!(disk.take_steps(), [Step::Sync("log".into())]);
    // While a child writes, syncs may be held.
    log.feed(0, &command(6), None);
    let held = FlushMode {
        hold_syncs: true,
        ..NOW
    };
    assert_eq!(log.flush(9000, held, &Lines::default()), Flushed::Done);
    log.wait_for_syncs();
    assert_eq!(disk.take_steps().len(), 1);
}

#[test]
fn a_write_waits_two_seconds_for_a_sync_that_runs() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, SyncPolicy::EverySecond);
    let lines = Lines::default();
    disk.hold_syncs(true);
    log.feed(0, &command(1), None);
    assert_eq!(log.flush(1000, NOW, &lines), Flushed::Done);
    assert_eq!(log.pending_syncs(), 1);
    log.feed(0, &command(2), None);
    assert_eq!(log.flush(1100, NOW, &lines), Flushed::Postponed);
    assert_eq!(log.flush(3099, NOW, &lines), Flushed::Postponed);
    assert!(log.buffered() > 0);
    assert!(lines.0.borrow().is_empty());
    assert_eq!(log.flush(3100, NOW, &lines), Flushed::Done);
    assert_eq!((log.buffered(), log.delayed()), (0, 1));
    assert!(lines.0.borrow()[0].starts_with("Asynchronous AOF fsync is taking too long"));
    // The end does not wait politely.
    log.feed(0, &command(3), None);
    assert_eq!(
        log.flush(
            3200,
            FlushMode {
                force: true,
                hold_syncs: true
            },
            &lines
        ),
        Flushed::Done
    );
    disk.hold_syncs(false);
    log.wait_for_syncs();
    assert_eq!(log.pending_syncs(), 0);
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_room() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, SyncPolicy::EverySecond);
    let lines = Lines::default();
    log.feed(0, &command(1), None);
    assert_eq!(log.flush(1000, NOW, &lines), Flushed::Done);
    let whole = disk.seen("log").unwrap();
    disk.set_space(Some(9));
    log.feed(0, &command(2), None);
    log.wait_for_syncs();
    assert_eq!(log.flush(2000, NOW, &lines), Flushed::Failed);
    assert_eq!(disk.seen("log").unwrap(), whole, "the torn piece is gone");
    assert_eq!(
        log.refusal().unwrap(),
        "MISCONF Errors writing to the AOF file: No space left on device"
    );
    assert_eq!(log.flush(2100, NOW, &lines), Flushed::Failed);
    assert_eq!(
        lines.0.borrow().len(),
        1,
        "one line in half a minute: {:?}",
        lines.0.borrow()
    );
    disk.set_space(None);
    assert_eq!(log.flush(2200, NOW, &lines), Flushed::Done);
    assert_eq!(log.refusal(), None);
    assert_eq!(
        disk.seen("log").unwrap(),
        [&whole[..], &command(2)].concat()
    );
    assert_eq!(
        lines.0.into_inner(),
        [
            "Error writing to the AOF file: No space left on device",
            "AOF write error looks solved. The server can write again."
        ]
    );
}

#[test]
fn under_always_a_failed_write_or_sync_is_the_end() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, SyncPolicy::Always);
    disk.set_space(Some(5));
    log.feed(0, &command(1), None);
    let Flushed::Fatal(line) = log.flush(0, NOW, &Lines::default()) else {
        panic!("not fatal")
    };
    assert!(line.starts_with("Can't recover from AOF write error"));
    assert_eq!(disk.seen("log").unwrap(), b"");
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, SyncPolicy::Always);
    disk.fail_syncs(1);
    log.feed(0, &command(1), None);
    let Flushed::Fatal(line) = log.flush(0, NOW, &Lines::default()) else {
        panic!("not fatal")
    };
    assert_eq!(
        line,
        "Can't persist AOF for fsync error when the AOF fsync policy is 'always': Input/output error. Exiting..."
    );
}

#[test]
fn a_failed_background_sync_refuses_writes_until_one_succeeds() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, SyncPolicy::EverySecond);
    let lines = Lines::default();
    disk.fail_syncs(1);
    log.feed(0, &command(1), None);
    // The sync is only begun, and may or may not have failed yet.
    let _ = log.flush(1000, NOW, &lines);
    log.wait_for_syncs();
    assert_eq!(log.flush(1001, NOW, &lines), Flushed::Failed);
    assert_eq!(
        log.refusal().unwrap(),
        "MISCONF Errors writing to the AOF file: Input/output error"
    );
    let _ = log.flush(2000, NOW, &lines);
    log.wait_for_syncs();
    assert_eq!(log.flush(2001, NOW, &lines), Flushed::Done);
    assert_eq!(log.refusal(), None);
    disk.crash(0);
    assert_eq!(disk.seen("log").unwrap(), [SELECT, &command(1)].concat());
}

#[test]
fn another_file_begins_afresh_once_the_old_one_is_synced() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, SyncPolicy::EverySecond);
    log.feed(0, &command(1), None);
    log.finish(10, &Lines::default()).unwrap();
    assert_eq!(log.durable(), Some(log.position()));
    log.switch_to(Path::new("next")).unwrap();
    disk.sync_dir(Path::new(".")).unwrap();
    log.feed(0, &command(2), None);
    log.finish(20, &Lines::default()).unwrap();
    disk.crash(0);
    assert_eq!(disk.seen("log").unwrap(), [SELECT, &command(1)].concat());
    assert_eq!(disk.seen("next").unwrap(), [SELECT, &command(2)].concat());
}
