//! Keys by slot: what a node of a cluster keeps in a table per slot is what a server keeps in one table.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use cairn_engine::Engine;
use cairn_engine::base::limits::EvictionRule;
use cairn_engine::base::random::Random;
use cairn_engine::outgoing::{Emptied, Outgoing};
use cairn_engine::persist::digest;
use cairn_engine::session::{ReplyMode, Role};
use cairn_format::cluster::SlotSet;
use cairn_format::crc16::key_slot;
use cairn_format::resp::value::{Value, write_command};
use support::Bench;

/// A bench whose engine keeps keys by slot, all of which are served.
fn by_slot() -> Bench {
    let mut bench = Bench::new();
    bench.engine = Engine::with_slots([1, 2, 3, 4], &[]);
    bench.engine.ks.fx.feed_on = true;
    bench.engine.set_now(bench.world.now);
    bench.session = bench.engine.open_session(bench.world.now);
    bench
}

/// A random command whose keys have one slot.
fn command(random: &mut Random) -> String {
    let key = |random: &mut Random| format!("key:{}", random.index(300));
    let tagged = |random: &mut Random, tag: usize| format!("{{t{tag}}}:{}", random.index(20));
    let tag = random.index(30);
    match random.index(20) {
        0..=3 => format!("SET {} {}", key(random), random.index(1000)),
        4 => format!("SET {} v PX {}", key(random), 1 + random.index(5000)),
        5 => format!("DEL {}", key(random)),
        6 => format!("PEXPIRE {} {}", key(random), 1 + random.index(9000)),
        7 => format!("RPUSH {} a b c", tagged(random, tag)),
        8 => format!("LPOP {}", tagged(random, tag)),
        9 => format!(
            "HSET h:{} f {} g {}",
            random.index(50),
            random.index(9),
            random.index(9)
        ),
        10 => format!(
            "HPEXPIRE h:{} {} FIELDS 1 f",
            random.index(50),
            1 + random.index(5000)
        ),
        11 => format!("RENAME {} {}", tagged(random, tag), tagged(random, tag)),
        12 => format!(
            "COPY {} {} REPLACE",
            tagged(random, tag),
            tagged(random, tag)
        ),
        13 => format!("GET {}", key(random)),
        14 => format!("MSET {} 1 {} 2", tagged(random, tag), tagged(random, tag)),
        15 => "DBSIZE".to_owned(),
        16 => format!("EXISTS {}", key(random)),
        17 => format!("SADD s:{} {}", random.index(50), random.index(600)),
        18 => format!("PERSIST {}", key(random)),
        _ => format!("INCR n:{}", random.index(40)),
    }
}

fn scanned(bench: &mut Bench, count: usize) -> BTreeMap<String, usize> {
    let (mut cursor, mut seen) = ("0".to_owned(), BTreeMap::new());
    for _ in 0..100_000 {
        let reply = bench.line(&format!("SCAN {cursor} COUNT {count}"));
        let mut words = reply
            .split("\r\n")
            .filter(|word| !word.starts_with(['*', '$']));
        cursor = words.next().expect("a cursor").to_owned();
        for key in words.filter(|word| !word.is_empty()) {
            *seen.entry(key.to_owned()).or_default() += 1;
        }
        if cursor == "0" {
            return seen;
        }
    }
    panic!("a scan that does not end");
}

#[test]
fn a_node_answers_as_a_server_does() {
    let mut random = Random::new(11);
    let (mut slots, mut plain) = (by_slot(), Bench::new());
    for step in 0..12_000 {
        let line = command(&mut random);
        assert_eq!(slots.line(&line), plain.line(&line), "step {step}: {line}");
        if step % 200 == 0 {
            let ms = random.index(900) as u64;
            for bench in [&mut slots, &mut plain] {
                bench.sleep_ms(ms);
            }
        }
        if step % 1500 == 0 {
            assert_eq!(slots.engine.check(), Ok(()), "step {step}: {line}");
            assert_eq!(
                digest::of_all(&slots.engine.ks).hex(),
                digest::of_all(&plain.engine.ks).hex()
            );
            let seen = scanned(&mut slots, 7);
            assert_eq!(seen, scanned(&mut plain, 1000), "step {step}");
            assert!(seen.values().all(|times| *times == 1));
            let keys: BTreeSet<String> = seen.into_keys().collect();
            let listed = slots.line("KEYS *");
            let listed: BTreeSet<String> = listed
                .split("\r\n")
                .filter(|word| !word.is_empty() && !word.starts_with(['*', '$']))
                .map(str::to_owned)
                .collect();
            assert_eq!(listed, keys);
        }
    }
    // Only walks over all keys meet what has expired in another order.
    let sorted = |bench: &Bench| {
        let mut fed = bench.world.fed.clone();
        fed.sort();
        fed
    };
    assert_eq!(
        sorted(&slots),
        sorted(&plain),
        "log and replicas hear the same, of database 0"
    );
    assert!(slots.engine.ks.keys_here() > 300);
    for bench in [&mut slots, &mut plain] {
        assert_eq!(bench.line("FLUSHALL"), "+OK\r\n");
        assert_eq!(bench.line("DBSIZE"), ":0\r\n");
    }
}

#[test]
fn keys_of_different_slots_are_refused_and_databases_are_not_there() {
    let mut bench = by_slot();
    let across = "-CROSSSLOT Keys in request don't hash to the same slot\r\n";
    for line in [
        "MSET a 1 b 2",
        "RENAME a b",
        "SUNIONSTORE {x}1 {x}2 y",
        "EVAL return 2 a b",
    ] {
        assert_eq!(bench.line(line), across, "{line}");
    }
    assert_eq!(bench.line("MSET {a}1 1 {a}2 2"), "+OK\r\n");
    for (line, reply) in [
        ("SELECT 1", "-ERR SELECT is not allowed in cluster mode\r\n"),
        ("SELECT 0", "+OK\r\n"),
        (
            "SWAPDB 0 0",
            "-ERR SWAPDB is not allowed in cluster mode\r\n",
        ),
        (
            "MOVE {a}1 1",
            "-ERR MOVE is not allowed in cluster mode\r\n",
        ),
        ("COPY {a}1 {a}3 DB 1", "-ERR DB index is out of range\r\n"),
        ("COPY {a}1 {a}3 DB 0", ":1\r\n"),
        ("READONLY", "+OK\r\n"),
        ("READWRITE", "+OK\r\n"),
        ("ASKING", "+OK\r\n"),
    ] {
        assert_eq!(bench.line(line), reply, "{line}");
    }
    bench.line("MULTI");
    bench.line("SET a 1");
    bench.line("SET b 1");
    assert_eq!(bench.line("EXEC"), across);
    assert_eq!(bench.line("EXISTS a"), ":0\r\n");
    bench.line("RPUSH {a}l 1 2");
    let elsewhere = "-ERR GET option of SORT denied in Cluster mode.\r\n";
    assert_eq!(bench.line("SORT {a}l GET x*"), elsewhere);
    assert_eq!(
        bench.line("SORT {a}l GET {a}* GET #"),
        "*4\r\n$1\r\n1\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n2\r\n"
    );
    assert_eq!(
        Bench::new().line("ASKING"),
        "-ERR This instance has cluster support disabled\r\n"
    );
}

#[test]
fn who_waits_and_who_watches_does_so_in_the_slot_of_the_key() {
    let mut bench = by_slot();
    let other = bench.open();
    bench.run_as(other, &["BLPOP", "{q}list", "0"]);
    assert_eq!(bench.line("RPUSH {q}list a"), ":1\r\n");
    let woken = bench.world.delivered.remove(&other).unwrap_or_default();
    assert_eq!(
        String::from_utf8_lossy(&woken),
        "*2\r\n$7\r\n{q}list\r\n$1\r\na\r\n"
    );
    bench.line("WATCH w");
    bench.run_as(other, &["SET", "w", "1"]);
    bench.line("MULTI");
    bench.line("GET w");
    assert_eq!(bench.line("EXEC"), "*-1\r\n");
}

#[test]
fn a_script_keeps_to_what_it_says_of_itself() {
    let mut bench = by_slot();
    let run = |bench: &mut Bench, script: &str| -> String {
        let reply = bench.run(&[b"EVAL".as_slice(), script.as_bytes(), b"0"]);
        String::from_utf8_lossy(&reply).into_owned()
    };
    let two = "redis.call('set', 'a', 1) return redis.call('set', 'b', 1)";
    assert_eq!(run(&mut bench, two), "+OK\r\n");
    let told = run(&mut bench, &format!("#!lua\n{two}"));
    let refused = "-ERR Script attempted to access keys that do not hash to the same slot";
    assert!(told.starts_with(refused), "{told}");
    let told = run(
        &mut bench,
        &format!("#!lua flags=allow-cross-slot-keys\n{two}"),
    );
    assert_eq!(told, "+OK\r\n");
    let told = run(&mut bench, "#!lua flags=no-cluster\nreturn 1");
    assert_eq!(
        told,
        "-ERR Can not run script on cluster, 'no-cluster' flag is set.\r\n"
    );
}

#[test]
fn a_random_key_is_as_likely_as_any_other() {
    let mut bench = by_slot();
    // Fifty keys in one slot, fifty in as many.
    for i in 0..50 {
        bench.line(&format!("SET {{one}}{i} v"));
        bench.line(&format!("SET k{i} v"));
    }
    let mut together = 0;
    for _ in 0..4000 {
        together += usize::from(bench.line("RANDOMKEY").contains("{one}"));
    }
    assert!((1850..2150).contains(&together), "{together} of 4000");
}

#[test]
fn what_expires_goes_by_itself_and_what_is_evicted_is_drawn_from_all_slots() {
    let mut bench = by_slot();
    for i in 0..3000 {
        let line = match i % 3 {
            0 => format!("SET k{i} v PX 100"),
            1 => format!("SET k{i} v"),
            _ => format!("HSET k{i} f v"),
        };
        bench.line(&line);
        if i % 3 == 2 {
            bench.line(&format!("HPEXPIRE k{i} 100 FIELDS 1 f"));
        }
    }
    bench.sleep_ms(200);
    for _ in 0..200 {
        bench.engine.expire(&mut bench.world, 100_000);
    }
    assert_eq!(bench.line("DBSIZE"), ":1000\r\n");
    for (rule, volatile) in [
        (EvictionRule::Random, false),
        (EvictionRule::Lru, false),
        (EvictionRule::Ttl, true),
        (EvictionRule::Random, true),
    ] {
        bench.line("SET {v}1 v EX 1000");
        bench.line("SET {w}1 v EX 1000");
        let mut limits = bench.engine.ks.limits.clone();
        (limits.eviction, limits.evict_volatile) = (rule, volatile);
        bench.engine.ks.set_limits(limits);
        let before = bench.engine.ks.total_keys();
        let evicted = (0..100).filter(|_| bench.engine.ks.evict_one()).count();
        assert!(
            evicted == if volatile { 2 } else { 100 },
            "{rule:?} {volatile}: {evicted}"
        );
        assert_eq!(bench.engine.ks.total_keys(), before - evicted);
        bench.line("DEL {v}1");
        bench.line("DEL {w}1");
    }
}

#[test]
fn a_data_set_made_beside_takes_the_place_of_the_one_in_use() {
    let mut bench = by_slot();
    for i in 0..500 {
        bench.line(&format!("SET old{i} v"));
    }
    let mut other = bench.engine.ks.beside();
    for i in 0..300 {
        let key = format!("new{i}");
        other.select_key(key.as_bytes());
        other.add(
            key.as_bytes(),
            cairn_engine::value::NewValue::string(b"v"),
            Some(Bench::START_MS + 10),
        );
    }
    bench.engine.ks.take_over(other);
    assert_eq!(bench.engine.check(), Ok(()));
    assert_eq!(bench.line("DBSIZE"), ":300\r\n");
    let unused = bench.engine.ks.beside();
    bench.engine.ks.forget(unused);
}

/// A bench that slots come to.
fn importing(slots: &SlotSet) -> Bench {
    let mut bench = by_slot();
    let session = bench.session;
    let state = bench.engine.shared.sessions.get_mut(session);
    let state = state.expect("it is there");
    (state.role, state.reply_mode) = (Role::Import, ReplyMode::Errors);
    for slot in slots.iter() {
        bench.engine.ks.hide_slot(slot, true);
    }
    bench
}

/// What changed in a bench since this was called last, as the log has it.
fn changes(bench: &mut Bench) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in bench.propagated() {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        write_command(&mut bytes, &words);
    }
    bytes
}

fn apply(bench: &mut Bench, mut commands: &[u8]) {
    while !commands.is_empty() {
        let (command, end) = Value::decode(commands).expect("whole commands");
        let words = command.as_array().expect("a command").iter();
        let words: Vec<&[u8]> = words.filter_map(Value::as_bytes).collect();
        let reply = bench.run(&words);
        assert_eq!(reply, b"", "errors only: {command:?}");
        commands = &commands[end..];
    }
}

/// Keys, values and expiries of some slots.
fn held(bench: &Bench, slots: &SlotSet) -> BTreeMap<Vec<u8>, (String, Option<i64>)> {
    let tables = slots
        .iter()
        .map(|slot| bench.engine.ks.table(usize::from(slot)));
    let records = tables.flat_map(|table| table.iter());
    let told = records.map(|record| {
        let digest = digest::of_value(record).hex();
        (record.key().to_vec(), (digest, record.expire()))
    });
    told.collect()
}

#[test]
fn slots_leave_as_they_are_while_they_change() {
    let slots: SlotSet = (0..9000).chain([key_slot(b"big")]).collect();
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let (mut source, mut target) = (by_slot(), importing(&slots));
        for _ in 0..1500 {
            source.line(&command(&mut random));
        }
        // One slot that takes several steps, in which much changes.
        let big = |random: &mut Random| format!("{{big}}:{}", random.index(2000));
        for _ in 0..1500 {
            source.line(&format!("SADD {} a b", big(&mut random)));
        }
        changes(&mut source);
        let mut outgoing = Outgoing::new(&slots);
        let mut after = 0;
        while after < 30 {
            for _ in 0..random.index(12) {
                let line = match random.index(5) {
                    0 => format!("DEL {}", big(&mut random)),
                    1 => format!("SADD {} c", big(&mut random)),
                    2 => format!("RENAME {} {}", big(&mut random), big(&mut random)),
                    _ => command(&mut random),
                };
                source.line(&line);
            }
            if random.index(9) == 0 {
                let ms = random.index(900) as u64;
                source.sleep_ms(ms);
                target.sleep_ms(ms);
            }
            let mut out = Vec::new();
            let changed = changes(&mut source);
            let noted = outgoing.note(&source.engine.shared.table, &changed, &mut out);
            assert_eq!(noted, Ok(()));
            outgoing.step(&source.engine.ks, &mut out, 500);
            apply(&mut target, &out);
            after += usize::from(outgoing.is_complete());
        }
        let (sent, came) = (held(&source, &slots), held(&target, &slots));
        let differs = |key: &&Vec<u8>| sent.get(*key) != came.get(*key);
        let keys: BTreeSet<&Vec<u8>> = sent.keys().chain(came.keys()).collect();
        if let Some(key) = keys.into_iter().find(differs) {
            panic!(
                "seed {seed}: {} is {:?} there and {:?} here",
                key.escape_ascii(),
                came.get(key),
                sent.get(key)
            );
        }
        assert!(held(&target, &slots).len() > 1000);
        assert_eq!(target.line("RANDOMKEY"), "");
        assert_eq!(
            target.engine.ks.keys_here(),
            0,
            "hidden until they are owned"
        );
        assert_eq!(target.engine.check(), Ok(()));
        for slot in slots.iter() {
            target.engine.ks.hide_slot(slot, false);
        }
        assert_eq!(target.engine.ks.keys_here(), held(&target, &slots).len());
    }
}

#[test]
fn keys_of_hidden_slots_are_not_seen() {
    let mut bench = by_slot();
    for i in 0..200 {
        bench.line(&format!("SET k{i} v"));
    }
    let hidden = key_slot(b"k7");
    bench.engine.ks.hide_slot(hidden, true);
    let others: usize = (0..200)
        .filter(|i| key_slot(format!("k{i}").as_bytes()) != hidden)
        .count();
    assert!(others < 200);
    assert_eq!(bench.line("DBSIZE"), format!(":{others}\r\n"));
    assert_eq!(scanned(&mut bench, 10).len(), others);
    let listed = bench.value("KEYS *");
    assert_eq!(listed.as_array().expect("keys").len(), others);
    bench.line("SET k7 w PX 1");
    bench.sleep_ms(5);
    bench.engine.expire(&mut bench.world, 1_000_000);
    assert_eq!(
        bench.engine.ks.table(usize::from(hidden)).len(),
        200 - others
    );
    bench.engine.ks.hide_slot(hidden, false);
    bench.engine.expire(&mut bench.world, 1_000_000);
    assert_eq!(bench.line("DBSIZE"), ":199\r\n");
}

#[test]
fn a_move_ends_when_all_data_goes() {
    let mut bench = by_slot();
    bench.line("SET k v");
    let mut outgoing = Outgoing::new(&(0..16384).collect());
    changes(&mut bench);
    bench.line("FLUSHALL");
    let changes = changes(&mut bench);
    let noted = outgoing.note(&bench.engine.shared.table, &changes, &mut Vec::new());
    assert_eq!(noted, Err(Emptied));
}
