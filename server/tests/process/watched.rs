//! The watchdog, and what a crash does.

use std::os::unix::process::ExitStatusExt;

use crate::support::{Connection, Folder, Setup};

/// The watchdog's reports of a loop that was asleep. A machine that stands still for a moment is reported too, and rightly, so
/// the others are not looked at.
fn reports_of_sleep(log: &str) -> Vec<&str> {
    log.split("--- WATCHDOG TIMER EXPIRED ---")
        .skip(1)
        .filter(|report| report.contains("argv[1]: 'SLEEP'"))
        .collect()
}

#[test]
fn a_loop_that_is_stuck_says_what_it_is_at() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).with("--watchdog-period 200").start();
    let mut client = server.connect();
    client.good("DEBUG SLEEP 1");
    let log = server.log();
    let reports = reports_of_sleep(&log);
    assert_eq!(reports.len(), 1, "{log}");
    assert!(reports[0].contains("\ninterrupted at: 0x"), "{log}");
    let frames = reports[0].lines().filter(|line| line.contains(": 0x"));
    assert!(frames.count() > 5, "{log}");
    client.good("CONFIG SET watchdog-period 0");
    client.good("DEBUG SLEEP 1");
    assert_eq!(reports_of_sleep(&server.log()).len(), 1, "{log}");
    client.good("CONFIG SET watchdog-period 1");
    client.good("DEBUG SLEEP 1");
    let log = server.log();
    assert_eq!(reports_of_sleep(&log).len(), 2, "{log}");
    server.stop();
}

#[test]
fn the_watchdog_waits_for_two_runs_of_timed_work_at_least() {
    let told = |program: Setup| -> Vec<String> {
        let server = program.with("--watchdog-period 50").start();
        let mut client = server.connect();
        let mut told = Vec::new();
        let mut tell = |client: &mut Connection, line: &str| {
            if !line.is_empty() {
                client.good(line);
            }
            let answer = client.call(&["CONFIG", "GET", "watchdog-period"]);
            told.push(format!("{line}: {answer:?}"));
        };
        for line in [
            "",
            "CONFIG SET watchdog-period 0",
            "CONFIG SET watchdog-period 1",
            "CONFIG SET watchdog-period 199",
            "CONFIG SET watchdog-period 200",
            "CONFIG SET watchdog-period 201",
            "CONFIG SET dynamic-hz no hz 3 watchdog-period 10",
            "CONFIG SET hz 10",
            "CONFIG SET hz 400",
        ] {
            tell(&mut client, line);
        }
        server.stop();
        told
    };
    let (ours, reference) = (Folder::new(), Folder::new());
    assert_eq!(
        told(Setup::cairn(&ours)),
        told(Setup::reference(&reference))
    );
}

#[test]
fn memory_is_looked_at_after_a_crash_if_that_is_wanted() {
    for (at_start, then, wanted) in [
        ("yes", None, true),
        ("no", None, false),
        ("no", Some("yes"), true),
        ("yes", Some("no"), false),
    ] {
        let folder = Folder::new();
        let mut server = Setup::cairn(&folder)
            .with(&format!(
                "--crash-memcheck-enabled {at_start} --appendonly yes"
            ))
            .start();
        let mut client = server.connect();
        client.good("DEBUG POPULATE 10000");
        if let Some(then) = then {
            client.good(&format!("CONFIG SET crash-memcheck-enabled {then}"));
        }
        client.send(b"DEBUG SEGFAULT\r\n");
        assert_eq!(server.wait_end().signal(), Some(libc::SIGSEGV));
        let log = server.log();
        assert_eq!(log.contains("Fast memory test PASSED"), wanted, "{log}");
        assert!(
            log.contains("Crashed running the instruction at: 0x"),
            "{log}"
        );
        assert!(
            log.trim_end()
                .ends_with("REDIS BUG REPORT END. Make sure to include from START to END. ==="),
            "{log}"
        );
    }
}

#[test]
fn a_panic_ends_with_a_signal_or_a_status() {
    for exits in [false, true] {
        let folder = Folder::new();
        let mut server = Setup::cairn(&folder).start();
        let mut client = server.connect();
        if exits {
            client.good("CONFIG SET use-exit-on-panic yes");
        }
        client.send(b"DEBUG PANIC\r\n");
        let status = server.wait_end();
        assert_eq!(
            status.signal(),
            (!exits).then_some(libc::SIGABRT),
            "{status}"
        );
        assert_eq!(status.code(), exits.then_some(1), "{status}");
        assert!(server.log().contains("Guru Meditation"));
    }
}
