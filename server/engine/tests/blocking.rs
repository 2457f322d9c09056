//! Commands that wait: how often they count, who is looked at, and what wakes them.

mod support;

use cairn_engine::Engine;
use cairn_engine::base::id::SessionId;
use cairn_engine::call::blocking::unblock;
use cairn_engine::call::ctx::{Extent, Paused};
use cairn_engine::call::pause;
use cairn_engine::session::ReplyMode;
use support::Bench;

/// Consumer `c` of group `g` waits for new entries of the stream `s`.
const GROUP_READ: [&str; 9] = [
    "XREADGROUP",
    "GROUP",
    "g",
    "c",
    "BLOCK",
    "0",
    "STREAMS",
    "s",
    ">",
];

fn wait_for(bench: &mut Bench, words: &[&str]) -> SessionId {
    let session = bench.open();
    assert!(bench.run_as(session, words).is_empty(), "{words:?} waits");
    session
}

fn heard(bench: &mut Bench, session: SessionId) -> String {
    let bytes = bench.world.delivered.remove(&session).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Calls and failures of a command, as INFO commandstats shows them.
fn counted(bench: &Bench, name: &str) -> (u64, u64) {
    let shared = &bench.engine.shared;
    let command = shared.table.find(name.as_bytes()).expect("a command");
    let stats = &shared.stats.commands[command.id.index()];
    (stats.calls, stats.failed)
}

#[test]
fn a_command_that_waits_counts_once_when_it_ends() {
    let mut bench = Bench::new();
    let served = wait_for(&mut bench, &["BLPOP", "list", "0"]);
    let late = wait_for(&mut bench, &["BLPOP", "list", "0.5"]);
    let thrown = wait_for(&mut bench, &["BLPOP", "list", "0"]);
    assert_eq!(counted(&bench, "blpop"), (0, 0));
    bench.line("RPUSH list a");
    assert_eq!(heard(&mut bench, served), "*2\r\n$4\r\nlist\r\n$1\r\na\r\n");
    assert_eq!(counted(&bench, "blpop"), (1, 0));
    bench.sleep_ms(501);
    bench.engine.time_out(&mut bench.world);
    assert_eq!(heard(&mut bench, late), "*-1\r\n");
    assert_eq!(counted(&bench, "blpop"), (2, 0));
    let Engine { ks, shared, .. } = &mut bench.engine;
    assert!(unblock(ks, shared, thrown, true, &mut bench.world));
    assert!(heard(&mut bench, thrown).starts_with("-UNBLOCKED "));
    assert_eq!(counted(&bench, "blpop"), (3, 1));
    let errors = &bench.engine.shared.stats.errors;
    assert_eq!(errors.get("UNBLOCKED"), Some(&1));
}

/// What the clock shows has begun already, so that as many milliseconds later less than that has passed.
#[test]
fn nobody_waits_for_less_than_was_asked() {
    let mut bench = Bench::new();
    let waits = [
        wait_for(&mut bench, &["BLPOP", "list", "0.1"]),
        wait_for(&mut bench, &["XREAD", "BLOCK", "100", "STREAMS", "s", "$"]),
    ];
    bench.sleep_ms(100);
    bench.engine.time_out(&mut bench.world);
    for waiting in waits {
        assert_eq!(heard(&mut bench, waiting), "");
    }
    let due = bench.world.now.wall_ms() + 1;
    assert_eq!(bench.engine.next_deadline_ms(), Some(due));
    bench.sleep_ms(1);
    bench.engine.time_out(&mut bench.world);
    for waiting in waits {
        assert_eq!(heard(&mut bench, waiting), "*-1\r\n");
    }
}

/// A key named a hundred thousand times, and a queue of ten thousand: neither may take time that grows with its square.
#[test]
fn many_names_and_many_waiters() {
    let mut bench = Bench::new();
    let mut words = vec!["BLPOP".to_string()];
    words.extend((0..100_000).map(|i| format!("key{}", i % 50_000)));
    words.push("0".into());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let first = wait_for(&mut bench, &words);
    assert_eq!(bench.engine.ks.waited_keys(), (50_000, 0));
    let rest: Vec<_> = (0..10_000)
        .map(|_| wait_for(&mut bench, &["BLPOP", "key7", "0"]))
        .collect();
    bench.line("MULTI");
    for i in 0..5000 {
        bench.line(&format!("RPUSH key7 {i}"));
    }
    bench.line("EXEC");
    assert!(heard(&mut bench, first).ends_with("$1\r\n0\r\n"));
    assert_eq!(bench.engine.ks.waited_keys(), (1, 0));
    for (i, session) in rest.into_iter().enumerate() {
        let want = format!("\r\n{}\r\n", i + 1);
        let got = heard(&mut bench, session);
        assert_eq!(got.ends_with(&want), i + 1 < 5000, "{i} {got}");
        bench.engine.close_session(session);
    }
    assert_eq!(bench.engine.ks.waited_keys(), (0, 0));
}

#[test]
fn who_is_not_served_keeps_the_place() {
    let mut bench = Bench::new();
    let set = wait_for(&mut bench, &["BZPOPMIN", "k", "0"]);
    let one = wait_for(&mut bench, &["BLPOP", "k", "0"]);
    let two = wait_for(&mut bench, &["BLPOP", "k", "0"]);
    bench.line("RPUSH k a");
    assert!(heard(&mut bench, one).ends_with("a\r\n"));
    let three = wait_for(&mut bench, &["BLPOP", "k", "0"]);
    bench.line("RPUSH k b");
    assert!(heard(&mut bench, two).ends_with("b\r\n"));
    bench.line("ZADD k 1 m");
    assert!(heard(&mut bench, set).contains("m\r\n"));
    bench.line("RPUSH k c");
    assert!(heard(&mut bench, three).ends_with("c\r\n"));
}

/// BLMOVE in a circle: each move wakes the next one, and in the end the element lies where nobody waits.
#[test]
fn moves_wake_moves() {
    let mut bench = Bench::new();
    let chain: Vec<_> = (0..50)
        .map(|i| {
            let (from, to) = (format!("l{i}"), format!("l{}", i + 1));
            wait_for(&mut bench, &["BLMOVE", &from, &to, "LEFT", "RIGHT", "0"])
        })
        .collect();
    bench.line("RPUSH l0 x");
    for session in chain {
        assert_eq!(heard(&mut bench, session), "$1\r\nx\r\n");
    }
    assert_eq!(bench.line("LRANGE l50 0 -1"), "*1\r\n$1\r\nx\r\n");
    assert_eq!(bench.line("DBSIZE"), ":1\r\n");
}

#[test]
fn keys_that_appear_in_any_way_wake() {
    for lines in [
        &["RPUSH other a", "RENAME other k"][..],
        &["RPUSH other a", "COPY other k"],
        &["SELECT 1", "RPUSH k a", "MOVE k 0"],
        &["SELECT 1", "RPUSH k a", "SWAPDB 0 1"],
        &["RPUSH other a", "SORT other ALPHA STORE k"],
        &["SET k a", "DEL k", "RPUSH k a"],
        &["MULTI", "SET k a", "DEL k", "RPUSH k a", "EXEC"],
        &["MULTI", "RPUSH k a b", "RPOP k", "EXEC"],
    ] {
        let mut bench = Bench::new();
        let waits = wait_for(&mut bench, &["BLPOP", "k", "k", "0"]);
        for line in lines {
            assert!(!bench.line(line).starts_with('-'), "{line}");
        }
        assert!(heard(&mut bench, waits).ends_with("a\r\n"), "{lines:?}");
        assert_eq!(bench.engine.ks.waited_keys(), (0, 0));
    }
    let mut bench = Bench::new();
    let waits = wait_for(&mut bench, &["BLPOP", "k", "0"]);
    for lines in [
        &["MULTI", "RPUSH k a", "DEL k", "EXEC"][..],
        &["MULTI", "RPUSH k a", "DEL k", "SET k x", "EXEC", "DEL k"],
    ] {
        lines.iter().for_each(|line| _ = bench.line(line));
        assert_eq!(heard(&mut bench, waits), "", "{lines:?}");
    }
}

/// A reader of a group hears at once that group or stream are gone, whoever removes them.
#[test]
fn readers_of_a_group_hear_of_its_end() {
    let gone = [
        ("XGROUP DESTROY s g", "-NOGROUP"),
        ("DEL s", "-NOGROUP"),
        ("UNLINK s", "-NOGROUP"),
        ("SET s x", "-WRONGTYPE"),
        ("RENAME s t", "-NOGROUP"),
        ("FLUSHALL", "-NOGROUP"),
        ("SWAPDB 0 1", "-NOGROUP"),
        ("MOVE s 2", "-NOGROUP"),
    ];
    for (line, want) in gone {
        let mut bench = Bench::new();
        bench.line("XGROUP CREATE s g $ MKSTREAM");
        let waits = wait_for(&mut bench, &GROUP_READ);
        bench.line(line);
        let got = heard(&mut bench, waits);
        assert!(got.starts_with(want), "{line}: {got}");
    }
    let mut bench = Bench::new();
    bench.line("XGROUP CREATE s g $ MKSTREAM");
    bench.line("PEXPIRE s 10");
    let waits = wait_for(&mut bench, &GROUP_READ);
    bench.sleep_ms(11);
    bench.engine.expire(&mut bench.world, 1000);
    assert!(heard(&mut bench, waits).starts_with("-NOGROUP"));
}

/// EXEC finds a watched key expired and answers nil; the next transaction of the same client is another matter.
#[test]
fn a_watched_key_that_expires_fails_one_exec_only() {
    for lines in [
        ["SET k v PX 10", "GET k"],
        ["HSETEX k PX 10 FIELDS 1 f v", "HGET k f"],
        ["HSETEX k PX 10 FIELDS 1 f v", "HLEN k"],
    ] {
        let mut bench = Bench::new();
        bench.line(lines[0]);
        if lines[1] == "HLEN k" {
            bench.line("HSET k stays v");
        }
        bench.line("WATCH k");
        bench.sleep_ms(11);
        bench.line("MULTI");
        bench.line(lines[1]);
        assert_eq!(bench.line("EXEC"), "*-1\r\n", "{lines:?}");
        bench.line("WATCH k");
        bench.line("MULTI");
        bench.line("PING");
        assert_eq!(bench.line("EXEC"), "*1\r\n+PONG\r\n", "{lines:?}");
    }
}

/// SWAPDB touches a watched key when there is one on either side, before or after; one whose time has come is none.
#[test]
fn a_swap_touches_no_key_that_was_and_is_not_there() {
    let swapped = |here: &str, there: &str, after: &[&str]| {
        let mut bench = Bench::new();
        for line in ["SELECT 1", there, "SELECT 0", here] {
            bench.line(line);
        }
        bench.line("WATCH k");
        bench.sleep_ms(2);
        for line in after.iter().chain(&["SWAPDB 0 1", "MULTI", "PING"]) {
            bench.line(line);
        }
        bench.line("EXEC")
    };
    let (stale, fresh, none) = ("SET k v PX 1", "SET k v", "PING");
    let done = "*1\r\n+PONG\r\n";
    assert_eq!(swapped(none, none, &[]), done);
    assert_eq!(swapped(none, stale, &[]), done);
    assert_eq!(swapped(none, fresh, &[]), "*-1\r\n");
    assert_eq!(swapped(fresh, none, &[]), "*-1\r\n");
    assert_eq!(swapped(fresh, stale, &[]), "*-1\r\n");
    // It was there when it was watched.
    assert_eq!(swapped(stale, none, &[]), "*-1\r\n");
    assert_eq!(swapped(stale, stale, &[]), "*-1\r\n");
    assert_eq!(swapped(stale, stale, &["UNWATCH", "WATCH k"]), done);
}

/// However often it is unblocked and waits again within a turn.
#[test]
fn who_waits_for_the_log_stands_in_its_queue_once() {
    let mut bench = Bench::new();
    let session = wait_for(&mut bench, &["WAITAOF", "0", "1", "0"]);
    for _ in 0..3 {
        let Engine { ks, shared, .. } = &mut bench.engine;
        assert!(unblock(ks, shared, session, false, &mut bench.world));
        assert!(bench.engine.shared.held_waiters.is_empty());
        let again = bench.run_as(session, &["WAITAOF", "0", "1", "0"]);
        assert!(again.is_empty(), "it waits again");
        assert_eq!(bench.engine.shared.held_waiters.len(), 1);
    }
    bench.engine.close_session(session);
    assert!(bench.engine.shared.held_waiters.is_empty());
}

/// A long pause does not remember all who came and went meanwhile.
#[test]
fn who_leaves_during_a_pause_is_forgotten() {
    let mut bench = Bench::new();
    let pause = Paused {
        extent: Extent::All,
        end_ms: i64::MAX,
    };
    pause::begin(&mut bench.engine.shared, pause);
    for _ in 0..3 {
        let session = wait_for(&mut bench, &["PING"]);
        assert_eq!(bench.engine.shared.postponed, [session]);
        bench.engine.close_session(session);
        assert!(bench.engine.shared.postponed.is_empty());
    }
}

/// CLIENT REPLY OFF and SKIP hold for what a wait answers at its end.
#[test]
fn who_wants_no_reply_gets_none() {
    for (mode, after) in [
        (ReplyMode::Off, ReplyMode::Off),
        (ReplyMode::Skip, ReplyMode::On),
    ] {
        let mut bench = Bench::new();
        let waits = bench.open();
        let session = bench.engine.shared.sessions.get_mut(waits);
        session.expect("a session").reply_mode = mode;
        assert!(bench.run_as(waits, &["BLPOP", "k", "0"]).is_empty());
        bench.line("RPUSH k a");
        assert_eq!(heard(&mut bench, waits), "");
        assert_eq!(bench.line("EXISTS k"), ":0\r\n", "it was served");
        let session = bench.engine.shared.sessions.get(waits);
        assert_eq!(session.map(|s| s.reply_mode), Some(after));
    }
}
