//! Many fields of one hash that expire at the same moment: nobody sees them from then on, although they are removed only
//! some at a time, by look-ups and by active expiry.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use cairn_engine::base::random::Random;
use cairn_engine::keyspace::Expired;
use cairn_engine::persist::digest::of_value;
use cairn_engine::persist::rewrite::rewrite;
use cairn_format::aof::release::Release;
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
    rewrite(&bench.engine.ks, &mut log, Release::NEWEST, &mut |_| {}).expect("a vector takes all");
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

/// Fields with their values and expiries.
type Model = BTreeMap<String, (String, Option<i64>)>;

/// A server, a model of its hashes `h0` to `h2`, and one that replays its log and never expires anything by itself until the end.
struct Play {
    bench: Bench,
    log: Vec<String>,
    models: [Model; 3],
    random: Random,
}

impl Play {
    fn run(&mut self, line: &str) -> String {
        let reply = self.bench.line(line);
        assert!(!reply.starts_with("-ERR"), "{line}: {reply}");
        self.log.append(&mut self.bench.propagated());
        reply
    }

    /// Forgets what is dead by now.
    fn bury(&mut self) {
        let now = self.bench.engine.ks.now_ms;
        for model in &mut self.models {
            model.retain(|_, (_, at)| at.is_none_or(|at| at >= now));
        }
    }

    /// Many fields get the same expiry, some of them new ones.
    fn burst(&mut self, key: usize) {
        let at = self.bench.engine.ks.now_ms + 1 + self.random.index(60) as i64;
        let from = self.random.index(100);
        let names: Vec<String> = (from..from + 400).map(|i| format!("f{i}")).collect();
        let pairs: Vec<String> = names.iter().map(|name| format!("{name} 7")).collect();
        let pairs = pairs.join(" ");
        self.run(&format!("HSETEX h{key} PXAT {at} FIELDS 400 {pairs}"));
        let fields = names.into_iter().map(|name| (name, ("7".into(), Some(at))));
        self.models[key].extend(fields);
    }

    fn step(&mut self) {
        let (key, other) = (self.random.index(3), self.random.index(3));
        let name = format!("f{}", self.random.index(500));
        match self.random.index(16) {
            0 | 1 => self.burst(key),
            2 => {
                self.run(&format!("HSET h{key} {name} 1"));
                self.models[key].insert(name, ("1".into(), None));
            }
            3 => {
                self.run(&format!("HSETNX h{key} {name} 2"));
                let fresh = || ("2".into(), None);
                self.models[key].entry(name).or_insert_with(fresh);
            }
            4 => {
                self.run(&format!("HINCRBY h{key} {name} 1"));
                let entry = self.models[key].entry(name).or_insert(("0".into(), None));
                entry.0 = (entry.0.parse::<i64>().unwrap_or(0) + 1).to_string();
            }
            5 => {
                self.run(&format!("HDEL h{key} {name}"));
                self.models[key].remove(&name);
            }
            6 => {
                self.run(&format!("HPERSIST h{key} FIELDS 1 {name}"));
                self.models[key].entry(name).and_modify(|e| e.1 = None);
            }
            7 => {
                self.run(&format!("HGETDEL h{key} FIELDS 1 {name}"));
                self.models[key].remove(&name);
            }
            8 if key != other => {
                self.run(&format!("COPY h{key} h{other} REPLACE"));
                if !self.models[key].is_empty() {
                    self.models[other] = self.models[key].clone();
                }
            }
            9 if key != other && !self.models[key].is_empty() => {
                self.run(&format!("RENAME h{key} h{other}"));
                self.models[other] = std::mem::take(&mut self.models[key]);
            }
            10 => {
                let moved = self.run(&format!("MOVE h{key} 1"));
                assert_eq!(moved == ":1\r\n", !self.models[key].is_empty());
                for line in ["SELECT 1", &format!("MOVE h{key} 0"), "SELECT 0"] {
                    self.run(line);
                }
            }
            11 => {
                for line in ["SWAPDB 0 1", "SELECT 1", "SWAPDB 1 0", "SELECT 0"] {
                    self.run(line);
                }
            }
            12 if self.random.index(8) == 0 => {
                self.run(&format!("SET h{key} overwritten"));
                self.run(&format!("DEL h{key}"));
                self.models[key].clear();
            }
            13 => {
                self.bench.engine.expire(&mut self.bench.world, 0);
                self.log.append(&mut self.bench.propagated());
            }
            _ => {
                let ms = self.random.below(20);
                self.bench.sleep_ms(ms);
                self.bury();
            }
        }
        // Not each time: a look-up removes some of what this test is about.
        if self.random.index(4) == 0 {
            let got = self.run(&format!("HLEN h{key}"));
            assert_eq!(got, format!(":{}\r\n", self.models[key].len()));
        }
    }

    /// Whoever replays the log arrives at the same fields, although nothing expired on the way but by its commands.
    fn replay(&mut self) {
        let mut copy = Bench::new();
        copy.engine.ks.expired = Expired::Stays;
        let session = copy.engine.shared.sessions.get_mut(copy.session);
        session.expect("a session").role = cairn_engine::session::Role::Replay;
        for line in &self.log {
            let (db, words) = line.split_once("> ").unwrap_or(("0", line));
            if !matches!(words, "MULTI" | "EXEC") {
                copy.line(&format!("SELECT {db}"));
                copy.line(words);
            }
        }
        copy.engine.ks.expired = Expired::Goes;
        copy.world.now = self.bench.world.now;
        copy.engine.set_now(copy.world.now);
        copy.line("SELECT 0");
        for key in ["h0", "h1", "h2"] {
            let [mut here, mut there] = [&mut self.bench, &mut copy].map(|bench| {
                let all = bench.value(&format!("HGETALL {key}"));
                let words = all.as_array().expect("pairs");
                let pairs = words.chunks(2).map(|p| format!("{p:?}"));
                pairs.collect::<Vec<_>>()
            });
            here.sort();
            there.sort();
            assert_eq!(here, there, "{key}");
        }
    }
}

#[test]
fn random_bursts_agree_with_a_map_and_with_the_log() {
    for seed in 0..9 {
        println!("seed {seed}");
        let mut play = Play {
            bench: Bench::new(),
            log: Vec::new(),
            models: Default::default(),
            random: Random::new(seed),
        };
        play.bench.engine.ks.limits.hash_listpack_entries = 40;
        for _ in 0..600 {
            play.step();
        }
        play.replay();
        while play
            .bench
            .engine
            .expire(&mut play.bench.world, 1000)
            .removed
            > 0
        {}
        let due = play
            .models
            .iter()
            .filter(|m| m.values().any(|(_, at)| at.is_some()));
        assert_eq!(play.bench.engine.ks.ttl_hashes, due.count());
        for (i, model) in play.models.iter().enumerate() {
            let all = names(&play.bench.value(&format!("HKEYS h{i}")));
            assert!(all.iter().eq(model.keys()), "h{i}");
        }
        play.bench.line("FLUSHALL");
        assert_eq!(play.bench.engine.ks.ttl_hashes, 0);
    }
}
