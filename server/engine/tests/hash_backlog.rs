//! Many fields of one hash that expire at the same moment: nobody sees them from then on, although they are removed only
//! some at a time, by look-ups and by active expiry.

mod support;

use std::collections::BTreeSet;

use cairn_engine::persist::digest::of_value;
use cairn_engine::persist::rewrite::rewrite;
use cairn_format::resp::value::Value;
use support::Bench;

const DEAD: usize = 5000;
const ALIVE: usize = 500;

/// A hash of `dead{i}` = i, which has just expired, and `alive{i}` = i.
fn backlog() -> Bench {
    let mut bench = Bench::new();
    for i in 0..DEAD {
        bench.line(&format!("HSETEX h PX 10 FIELDS 1 dead{i} {i}"));
    }
    for i in 0..ALIVE {
        bench.line(&format!("HSET h alive{i} {i}"));
    }
    bench.line("HEXPIRE h 1000 FIELDS 1 alive0");
    bench.sleep_ms(11);
    bench.propagated();
    bench
}

fn removed(bench: &Bench) -> u64 {
    bench.engine.ks.stats.expired_fields
}

/// All fields that a reply of names holds.
fn names(reply: &Value) -> BTreeSet<String> {
    let names = reply.as_array().expect("an array");
    let text = |v: &Value| String::from_utf8_lossy(v.as_bytes().expect("a name")).into_owned();
    names.iter().map(text).collect()
}

fn digest(bench: &mut Bench, key: &str) -> String {
    let slot = bench.engine.ks.find(key.as_bytes()).expect("a key");
    of_value(bench.engine.ks.record(slot)).hex()
}

#[test]
fn a_look_up_removes_a_few_and_sees_none() {
    let mut bench = backlog();
    let some = (0..DEAD).step_by(97);
    for i in some {
        let before = removed(&bench);
        assert_eq!(bench.line(&format!("HGET h dead{i}")), "$-1\r\n");
        assert!(
            removed(&bench) - before <= 64,
            "one look-up, a bounded work"
        );
    }
    assert!(
        removed(&bench) < DEAD as u64,
        "the rest of this test needs a backlog"
    );
    for (line, want) in [
        ("HLEN h", format!(":{ALIVE}\r\n")),
        ("HEXISTS h dead4999", ":0\r\n".into()),
        ("HSTRLEN h dead4999", ":0\r\n".into()),
        ("HDEL h dead4999", ":0\r\n".into()),
        (
            "HTTL h FIELDS 2 dead4999 alive1",
            "*2\r\n:-2\r\n:-1\r\n".into(),
        ),
        ("HEXPIRE h 100 FIELDS 1 dead4999", "*1\r\n:-2\r\n".into()),
        ("HPERSIST h FIELDS 1 dead4999", "*1\r\n:-2\r\n".into()),
        ("HGETEX h PERSIST FIELDS 1 dead4999", "*1\r\n$-1\r\n".into()),
        ("HSETEX h FXX FIELDS 1 dead4999 1", ":0\r\n".into()),
        ("SORT_RO none BY nosort", "*0\r\n".into()),
        ("EXISTS h", ":1\r\n".into()),
    ] {
        assert_eq!(bench.line(line), want, "{line}");
    }
    bench.line("RPUSH elements 4999");
    assert_eq!(
        bench.line("SORT elements BY nosort GET h->dead* GET h->alive*"),
        "*2\r\n$-1\r\n$-1\r\n"
    );
    let all: BTreeSet<String> = (0..ALIVE).map(|i| format!("alive{i}")).collect();
    assert_eq!(names(&bench.value("HKEYS h")), all);
    assert_eq!(names(&bench.value("HRANDFIELD h 6000")), all);
    for _ in 0..100 {
        let one = names(&bench.value("HRANDFIELD h -3"));
        assert!(one.is_subset(&all), "{one:?}");
    }
    assert_eq!(
        bench.value("HGETALL h").as_array().map(<[Value]>::len),
        Some(2 * ALIVE)
    );
    let (mut cursor, mut seen) = ("0".to_string(), BTreeSet::new());
    loop {
        let step = bench.value(&format!("HSCAN h {cursor} NOVALUES"));
        let [next, found] = step.as_array().expect("two parts") else {
            panic!("two parts");
        };
        seen.append(&mut names(found));
        cursor = String::from_utf8_lossy(next.as_bytes().expect("a cursor")).into_owned();
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(seen, all);
}

#[test]
fn copies_and_files_hold_only_what_is_alive() {
    let mut bench = backlog();
    bench.line("HGET h dead0");
    bench.line("COPY h copy");
    assert_eq!(bench.line("HLEN copy"), format!(":{ALIVE}\r\n"));
    let payload = bench.value("DUMP h");
    bench.run(&[
        b"RESTORE".as_slice(),
        b"again",
        b"0",
        payload.as_bytes().expect("a payload"),
    ]);
    assert_eq!(bench.line("HLEN again"), format!(":{ALIVE}\r\n"));
    assert_eq!(digest(&mut bench, "h"), digest(&mut bench, "copy"));
    assert!(removed(&bench) < DEAD as u64);
    let mut log = Vec::new();
    rewrite(&bench.engine.ks, &mut log, &mut |_| {}).expect("a vector takes all");
    assert!(!String::from_utf8_lossy(&log).contains("dead"));
    for line in [
        "RENAME h other",
        "MOVE other 1",
        "SELECT 1",
        "SWAPDB 1 2",
        "SELECT 2",
    ] {
        assert!(!bench.line(line).starts_with('-'), "{line}");
    }
    assert_eq!(bench.line("HLEN other"), format!(":{ALIVE}\r\n"));
    assert!(removed(&bench) < DEAD as u64);
    bench.engine.expire(&mut bench.world, 1000);
    assert_eq!(removed(&bench), DEAD as u64);
    assert_eq!(bench.line("HLEN other"), format!(":{ALIVE}\r\n"));
    bench.line("HPERSIST other FIELDS 1 alive0");
    bench.line("DEL other");
    bench.line("FLUSHALL");
    assert_eq!(bench.engine.ks.ttl_hashes, 0);
}

/// Who replays the log has the dead field still: a command that makes the name anew must not find it there.
#[test]
fn a_name_taken_again_is_removed_first() {
    for (line, want, value) in [
        ("HSET h dead4999 7", ":1\r\n", "7"),
        ("HSETNX h dead4999 7", ":1\r\n", "7"),
        ("HINCRBY h dead4999 5", ":5\r\n", "5"),
        ("HSETEX h EX 100 FIELDS 1 dead4999 7", ":1\r\n", "7"),
        ("HSETEX h FNX FIELDS 1 dead4999 7", ":1\r\n", "7"),
        ("HSETEX h KEEPTTL FIELDS 1 dead4999 7", ":1\r\n", "7"),
    ] {
        let mut bench = backlog();
        assert_eq!(bench.line(line), want, "{line}");
        let propagated = bench.propagated();
        let at = propagated.iter().position(|c| c == "HDEL h dead4999");
        let own = propagated
            .iter()
            .rposition(|c| !c.starts_with("HDEL") && c != "EXEC");
        assert!(at.is_some() && at < own, "{line}: {propagated:?}");
        let got = format!("${}\r\n{value}\r\n", value.len());
        assert_eq!(bench.line("HGET h dead4999"), got, "{line}");
        assert_eq!(
            bench.line("HLEN h"),
            format!(":{}\r\n", ALIVE + 1),
            "{line}"
        );
        bench.engine.expire(&mut bench.world, 1000);
        assert_eq!(bench.line("HGET h dead4999"), got, "{line}");
        assert_eq!(removed(&bench), DEAD as u64, "{line}");
    }
}

#[test]
fn the_last_living_field_takes_the_dead_with_it() {
    let mut bench = backlog();
    for i in 1..ALIVE {
        bench.line(&format!("HDEL h alive{i}"));
    }
    bench.line("HDEL h alive0");
    assert_eq!(bench.line("EXISTS h"), ":0\r\n");
    assert_eq!(bench.line("DBSIZE"), ":0\r\n");
    assert_eq!(bench.engine.ks.ttl_hashes, 0);
}

#[test]
fn a_hash_of_which_nothing_is_left_goes_at_once() {
    let mut bench = Bench::new();
    bench.engine.ks.limits.notify = !0;
    for i in 0..DEAD {
        bench.line(&format!("HSETEX h PX 10 FIELDS 1 dead{i} {i}"));
    }
    let watcher = bench.open();
    bench.run_as(watcher, &["WATCH", "h"]);
    bench.run_as(watcher, &["MULTI"]);
    bench.sleep_ms(11);
    bench.propagated();
    assert_eq!(bench.line("HLEN h"), ":0\r\n");
    assert_eq!(bench.propagated(), ["DEL h"]);
    assert_eq!(removed(&bench), DEAD as u64);
    assert_eq!(bench.engine.ks.ttl_hashes, 0);
    assert_eq!(
        bench.engine.ks.ledger().pending(),
        1,
        "it is freed elsewhere"
    );
    assert_eq!(bench.run_as(watcher, &["EXEC"]), b"*-1\r\n");
}

/// A slice is bounded by the clock even if a hash has more to remove than fits.
#[test]
fn active_expiry_stops_when_its_time_is_up() {
    let mut bench = backlog();
    let cycle = bench.engine.expire(&mut bench.world, 0);
    assert!(cycle.cut_short && cycle.removed <= 64, "{cycle:?}");
    bench.engine.ks.active_expire = false;
    assert_eq!(bench.engine.expire(&mut bench.world, 1000).removed, 0);
    bench.engine.ks.active_expire = true;
    let rest = bench.engine.expire(&mut bench.world, 1000);
    assert!(!rest.cut_short);
    assert_eq!(removed(&bench), DEAD as u64);
}
