//! Signals: the polite end, the second Ctrl-C, and the report of a crash. What ends a process runs in one of its own:
//! this program starts itself again with a part to play.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};
use std::time::Duration;

use cairn_server::host::Interrupt;
use cairn_server::os::crash;
use cairn_server::os::daemon::Background;
use cairn_server::os::process;
use cairn_server::os::signals::{self, Signals};
use mio::{Events, Interest, Poll, Token};

const PART: &str = "CAIRN_TEST_PART";

fn play(part: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_part", "--nocapture", "--test-threads=1"])
        .env(PART, part)
        .output()
        .unwrap()
}

fn raise(signal: i32) {
    // SAFETY: sends a signal to this process.
    unsafe { libc::kill(libc::getpid(), signal) };
}

/// The part that a process started by `play` plays; in the test program itself there is none.
#[test]
fn the_part() {
    let Ok(part) = std::env::var(PART) else {
        return;
    };
    let words: Vec<&str> = part.split(' ').collect();
    match words[0] {
        "insist" => {
            let _installed = Signals::install().unwrap();
            signals::set_emergency_file(Some(words[1].as_ref()));
            raise(libc::SIGINT);
            // Two of the same signal that wait at once are delivered as one.
            while signals::requested().is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
            raise(libc::SIGINT);
        }
        "crash" => {
            if words.len() > 2 {
                crash::set_log_file(Some(words[2].as_ref()));
            }
            crash::install().unwrap();
            let signal = words[1].parse().unwrap();
            // To this thread, which has the stack for the report.
            // SAFETY: sends a signal to this thread.
            unsafe { libc::raise(signal) };
        }
        "overflow" => {
            // The way a deep recursion ends on the main thread: this thread has no signal stack of ours, so the
            // fault is made by hand.
            crash::install().unwrap();
            // SAFETY: none: the fault is what is asked for.
            unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) };
        }
        "abort" => {
            crash::install().unwrap();
            std::process::abort();
        }
        "off" => {
            crash::install().unwrap();
            crash::uninstall();
            raise(libc::SIGSEGV);
        }
        "pidfile" => {
            process::set_umask(0o077);
            process::write_pidfile(words[1].as_ref()).unwrap();
            std::process::exit(0);
        }
        "daemonize" => {
            let background = Background::enter().unwrap();
            process::write_pidfile(words[1].as_ref()).unwrap();
            background.detach().unwrap();
            std::process::exit(0);
        }
        other => panic!("no part {other}"),
    }
    std::thread::sleep(Duration::from_secs(5));
    panic!("the part should have ended the process");
}

#[test]
fn a_signal_wakes_the_poll_and_stays_until_it_is_reset() {
    let mut poll = Poll::new().unwrap();
    let mut signals = Signals::install().unwrap();
    poll.registry()
        .register(&mut signals, Token(1), Interest::READABLE)
        .unwrap();
    assert_eq!(signals::requested(), None);
    raise(libc::SIGTERM);
    raise(libc::SIGHUP);
    raise(libc::SIGPIPE);
    let mut events = Events::with_capacity(8);
    poll.poll(&mut events, Some(Duration::from_secs(5)))
        .unwrap();
    assert_eq!(events.iter().next().unwrap().token(), Token(1));
    signals.drain();
    assert_eq!(signals::requested(), Some(Interrupt::Sigterm));
    assert_eq!(signals::requested(), Some(Interrupt::Sigterm));
    signals::abort();
    assert_eq!(signals::requested(), None);
    raise(libc::SIGINT);
    poll.poll(&mut events, Some(Duration::from_secs(5)))
        .unwrap();
    assert_eq!(signals::requested(), Some(Interrupt::Sigint));
    signals::abort();
}

#[test]
fn a_second_sigint_ends_at_once_and_takes_the_temporary_file_along() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("temp-1.rdb");
    std::fs::write(&file, b"half").unwrap();
    let output = play(&format!("insist {}", file.display()));
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("You insist... exiting now."));
    assert!(!file.exists());
}

fn assert_report(text: &str, signal: i32) {
    for part in [
        "=== REDIS BUG REPORT START",
        &format!("crashed by signal: {signal}, si_code: "),
        "STACK TRACE",
        "=== REDIS BUG REPORT END",
    ] {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
    assert!(
        text.contains("os_signals"),
        "no frame of this program in:\n{text}"
    );
}

#[test]
fn crashes_are_reported_and_end_as_the_signal_would() {
    for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL] {
        let output = play(&format!("crash {signal}"));
        assert_eq!(output.status.signal(), Some(signal));
        assert_report(&String::from_utf8_lossy(&output.stdout), signal);
    }
    let output = play("abort");
    assert_eq!(output.status.signal(), Some(libc::SIGABRT));
    assert_report(&String::from_utf8_lossy(&output.stdout), libc::SIGABRT);
}

#[test]
fn a_bad_access_names_its_address() {
    let output = play("overflow");
    assert_eq!(output.status.signal(), Some(libc::SIGSEGV));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_report(&text, libc::SIGSEGV);
    assert!(text.contains("Accessing address: 0x8\n"), "{text}");
}

#[test]
fn the_report_goes_to_the_log_file_and_can_be_turned_off() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    std::fs::write(&log, b"first line\n").unwrap();
    let output = play(&format!("crash {} {}", libc::SIGSEGV, log.display()));
    assert_eq!(output.status.signal(), Some(libc::SIGSEGV));
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.starts_with("first line\n"));
    assert_report(&text, libc::SIGSEGV);
    let output = play("off");
    assert_eq!(output.status.signal(), Some(libc::SIGSEGV));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("BUG REPORT"));
}

#[test]
fn pidfiles_and_the_background() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    assert_eq!(
        play(&format!("pidfile {}", file.display())).status.code(),
        Some(0)
    );
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let file = folder.path().join("daemon-pid");
    assert_eq!(
        play(&format!("daemonize {}", file.display())).status.code(),
        Some(0)
    );
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.trim().parse::<u32>().unwrap() != process::pid());
}
