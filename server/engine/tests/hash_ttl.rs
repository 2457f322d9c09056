//! Fields that expire: what is propagated, which events there are, and that no command ever sees a dead field.

mod support;

use std::collections::BTreeMap;

use cairn_engine::base::random::Random;
use cairn_engine::persist::load::Loader;
use cairn_engine::persist::rewrite::rewrite;
use cairn_engine::persist::save::{SaveOptions, save};
use cairn_format::aof::release::Release;
use cairn_format::rdb::Dialect;
use support::Bench;

const NOW: i64 = Bench::START_MS;

fn expire_all(bench: &mut Bench) {
    while bench.engine.expire(&mut bench.world, 1000).removed > 0 {}
}

#[test]
fn times_are_propagated_as_absolute_ones() {
    let mut bench = Bench::new();
    bench.line("HSET h a 1 b 2 c 3 d 4");
    bench.propagated();
    let at = NOW + 5000;
    let cases = [
        (
            "HEXPIRE h 5 FIELDS 2 a x",
            vec![format!("HPEXPIREAT h {at} FIELDS 1 a")],
        ),
        (
            "HPEXPIRE h 5000 XX FIELDS 2 a b",
            vec![format!("HPEXPIREAT h {at} FIELDS 1 a")],
        ),
        ("HEXPIRE h 5 NX FIELDS 1 a", vec![]),
        (
            "HGETEX h PX 5000 FIELDS 2 b x",
            vec![format!("HPEXPIREAT h {at} FIELDS 1 b")],
        ),
        ("HGETEX h FIELDS 1 b", vec![]),
        (
            "HGETEX h PERSIST FIELDS 2 b c",
            vec!["HPERSIST h FIELDS 1 b".into()],
        ),
        (
            "HPERSIST h FIELDS 2 a b",
            vec!["HPERSIST h FIELDS 1 a".into()],
        ),
        (
            "HSETEX h EX 5 FIELDS 1 a 7",
            vec![format!("HSETEX h PXAT {at} FIELDS 1 a 7")],
        ),
        (
            "HSETEX h KEEPTTL FIELDS 1 a 8",
            vec!["HSETEX h KEEPTTL FIELDS 1 a 8".into()],
        ),
        (
            "HINCRBYFLOAT h a 0.5",
            vec!["HSETEX h KEEPTTL FIELDS 1 a 8.5".into()],
        ),
        ("HSETEX h PXAT 1 FIELDS 2 a 9 x 9", vec!["HDEL h a".into()]),
        ("HEXPIREAT h 1 FIELDS 2 b x", vec!["HDEL h b".into()]),
        ("HGETEX h EXAT 1 FIELDS 1 c", vec!["HDEL h c".into()]),
        ("HGETDEL h FIELDS 2 d x", vec!["HDEL h d".into()]),
        ("HSETEX h PXAT 1 FIELDS 1 a 9", vec![]),
        ("EXISTS h", vec![]),
    ];
    for (line, want) in cases {
        bench.line(line);
        assert_eq!(bench.propagated(), want, "{line}");
    }
    assert_eq!(bench.engine.ks.ttl_hashes, 0);
}

#[test]
fn a_dead_field_is_removed_by_whoever_looks() {
    let mut bench = Bench::new();
    bench.line("HSET h a 1 b 2 c 3");
    bench.line("HPEXPIRE h 10 FIELDS 2 a b");
    bench.propagated();
    bench.sleep_ms(11);
    assert_eq!(bench.line("HLEN h"), ":1\r\n");
    assert_eq!(bench.propagated(), ["HDEL h b a"]);
    assert_eq!(bench.line("HSET h a 5"), ":1\r\n");
    bench.line("HPEXPIRE h 10 FIELDS 2 a c");
    bench.propagated();
    bench.sleep_ms(11);
    assert_eq!(bench.line("EXISTS h"), ":0\r\n");
    assert_eq!(bench.propagated().len(), 1);
    assert_eq!(bench.engine.ks.stats.expired_fields, 4);
}

#[test]
fn the_cycle_removes_what_nobody_looks_at() {
    let mut bench = Bench::new();
    for i in 0..200 {
        bench.line(&format!("HSETEX small{i} PX {} FIELDS 2 a 1 b 2", 10 + i));
        bench.line(&format!("HSETEX big PX {} FIELDS 1 a-rather-long-name-that-does-not-fit-into-a-packed-hash-of-default-size-{i} 1", 10 + i));
    }
    assert_eq!(bench.line("OBJECT ENCODING big"), "$9\r\nhashtable\r\n");
    assert_eq!(bench.engine.ks.ttl_hashes, 201);
    bench.sleep_ms(111);
    expire_all(&mut bench);
    assert_eq!(bench.engine.ks.ttl_hashes, 100);
    assert_eq!(bench.line("HLEN big"), ":99\r\n");
    bench.sleep_ms(100);
    expire_all(&mut bench);
    assert_eq!(bench.line("DBSIZE"), ":0\r\n");
    assert_eq!(bench.engine.ks.ttl_hashes, 0);
}

#[test]
fn events_tell_what_happened() {
    let mut bench = Bench::new();
    bench.engine.ks.limits.notify = !0;
    let listener = bench.open();
    bench.run_as(listener, &["PSUBSCRIBE", "__keyevent@0__:*"]);
    bench.world.delivered.clear();
    let told = |bench: &mut Bench, line: &str| -> Vec<String> {
        bench.line(line);
        expire_all(bench);
        let bytes = bench.world.delivered.remove(&listener).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let event = |part: &str| part.split("\r\n").next().map(str::to_string);
        text.split("pmessage")
            .skip(1)
            .filter_map(|m| m.split("@0__:").nth(2).and_then(event))
            .collect()
    };
    for (line, want) in [
        (
            "HSETEX h PX 20 FIELDS 1 a 1",
            vec!["new", "hset", "hexpire"],
        ),
        ("HPEXPIRE h 10 FIELDS 1 a", vec!["hexpire"]),
        ("HGETEX h PERSIST FIELDS 1 a", vec!["hpersist"]),
        ("HGETEX h PX 10 FIELDS 1 a", vec!["hexpire"]),
        ("HSET h b 1", vec!["hset"]),
        ("HGETEX h PXAT 1 FIELDS 1 b", vec!["hdel"]),
        ("HSET h b 1", vec!["hset"]),
        ("HGETDEL h FIELDS 2 a b", vec!["hdel", "del"]),
        ("HSETEX h PX 5 FIELDS 1 a 1", vec!["new", "hset", "hexpire"]),
    ] {
        assert_eq!(told(&mut bench, line), want, "{line}");
    }
    bench.sleep_ms(6);
    assert_eq!(told(&mut bench, "PING"), ["hexpired", "del"]);
}

/// One hash as a map of field to value and expiry.
type Model = BTreeMap<String, (String, Option<i64>)>;

/// Random commands on a few hashes, in both encodings, against a map; the index of due hashes is checked by its count.
#[test]
fn random_commands_agree_with_a_map() {
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let mut bench = Bench::new();
        bench.engine.ks.limits.hash_listpack_entries = 6;
        let mut models: [Model; 3] = Default::default();
        for step in 0..1500 {
            let now = bench.engine.ks.now_ms;
            one_step(&mut bench, &mut models, &mut random, now);
            let now = bench.engine.ks.now_ms;
            for model in &mut models {
                model.retain(|_, (_, at)| at.is_none_or(|at| at >= now));
            }
            if step % 50 == 0 {
                let due = models
                    .iter()
                    .filter(|m| m.values().any(|(_, at)| at.is_some()))
                    .count();
                expire_all(&mut bench);
                let ttl_hashes = bench.engine.ks.ttl_hashes;
                assert_eq!(ttl_hashes, due, "seed {seed} step {step}");
                for (i, model) in models.iter().enumerate() {
                    check(&mut bench, i, model);
                }
            }
        }
    }
}

fn one_step(bench: &mut Bench, models: &mut [Model; 3], random: &mut Random, now: i64) {
    let key = random.index(3);
    let field = format!("f{}", random.index(10));
    let number = random.index(1000).to_string();
    let at = now + 1 + random.index(40) as i64;
    let model = &mut models[key];
    match random.index(12) {
        0 | 1 => {
            bench.line(&format!("HSET h{key} {field} {number}"));
            model.insert(field, (number, None));
        }
        2 => {
            bench.line(&format!("HDEL h{key} {field}"));
            model.remove(&field);
        }
        3 => {
            bench.line(&format!(
                "HSETEX h{key} PXAT {at} FIELDS 1 {field} {number}"
            ));
            model.insert(field, (number, Some(at)));
        }
        4 | 5 => {
            bench.line(&format!("HPEXPIREAT h{key} {at} FIELDS 1 {field}"));
            model.entry(field).and_modify(|entry| entry.1 = Some(at));
        }
        6 => {
            bench.line(&format!("HPERSIST h{key} FIELDS 1 {field}"));
            model.entry(field).and_modify(|entry| entry.1 = None);
        }
        7 => {
            bench.line(&format!("HINCRBY h{key} {field} 1"));
            let entry = model.entry(field).or_insert(("0".into(), None));
            entry.0 = (entry.0.parse::<i64>().unwrap_or(0) + 1).to_string();
        }
        8 => {
            let other = (key + 1) % 3;
            bench.line(&format!("COPY h{key} h{other} REPLACE"));
            if !models[key].is_empty() {
                models[other] = models[key].clone();
            }
        }
        9 if random.index(4) == 0 => {
            let other = (key + 1) % 3;
            bench.line(&format!("RENAME h{key} h{other}"));
            if !models[key].is_empty() {
                models[other] = std::mem::take(&mut models[key]);
            }
        }
        10 => {
            let want = model.get(&field).map_or("$-1\r\n".into(), |(v, _)| {
                format!("${}\r\n{v}\r\n", v.len())
            });
            assert_eq!(bench.line(&format!("HGET h{key} {field}")), want);
        }
        _ => bench.sleep_ms(random.below(4)),
    }
}

fn check(bench: &mut Bench, key: usize, model: &Model) {
    assert_eq!(
        bench.line(&format!("HLEN h{key}")),
        format!(":{}\r\n", model.len())
    );
    for (field, (value, at)) in model {
        assert_eq!(
            bench.line(&format!("HGET h{key} {field}")),
            format!("${}\r\n{value}\r\n", value.len())
        );
        let time = bench.line(&format!("HPEXPIRETIME h{key} FIELDS 1 {field}"));
        assert_eq!(time, format!("*1\r\n:{}\r\n", at.unwrap_or(-1)));
    }
}

#[test]
fn snapshots_logs_and_dumps_keep_expiries() {
    let mut bench = Bench::new();
    let at = NOW + 1000;
    bench.line(&format!("HSETEX p PXAT {at} FIELDS 2 a 1 b 2"));
    bench.line("HSET p c 3");
    let long = "x".repeat(100);
    bench.line(&format!(
        "HSETEX t PXAT {} FIELDS 2 a {long} b 2",
        at + 1000
    ));
    bench.line("HSET t c 3");
    bench.line("HSETEX gone PX 5 FIELDS 1 a 1");
    let digest = bench.line("DEBUG DIGEST");
    let options = SaveOptions {
        part: cairn_engine::persist::save::Part::Everything,
        dialect: Dialect::redis(12),
        compress: true,
        checksum: true,
        aux: Vec::new(),
        idle: false,
        freq: false,
    };
    let bytes = save(&bench.engine.ks, Vec::new(), &options, false, &mut |_| {})
        .expect("version 12 can hold it");
    let mut log = Vec::new();
    rewrite(&bench.engine.ks, &mut log, Release::NEWEST, &mut |_| {}).expect("a vector takes all");
    let log = String::from_utf8_lossy(&log).replace("\r\n", " ");
    assert!(
        log.contains(&format!("$10 HPEXPIREAT $1 p $13 {at} $6 FIELDS $1 1 $1 a")),
        "{log}"
    );

    let mut other = Bench::new();
    other.sleep_ms(10);
    let mut loader = Loader::new(bytes.as_slice(), 16, true, true).expect("a header of our own");
    let loaded = loader.run(&mut other.engine.ks);
    loaded.expect("a snapshot of our own");
    assert_eq!((loader.report().keys, loader.report().expired), (2, 1));
    assert_eq!(other.line("OBJECT ENCODING p"), "$10\r\nlistpackex\r\n");
    assert_eq!(other.line("OBJECT ENCODING t"), "$9\r\nhashtable\r\n");
    let times = format!("*3\r\n:{at}\r\n:{at}\r\n:-1\r\n");
    assert_eq!(other.line("HPEXPIRETIME p FIELDS 3 a b c"), times);
    assert_eq!(other.engine.ks.ttl_hashes, 2);
    bench.sleep_ms(10);
    bench.line("EXISTS gone");
    if !digest.starts_with('-') {
        assert_eq!(bench.line("DEBUG DIGEST"), other.line("DEBUG DIGEST"));
    }

    for key in ["p", "t"] {
        let payload = other.value(&format!("DUMP {key}"));
        let payload = payload.as_bytes().expect("a payload").to_vec();
        other.run(&[b"RESTORE".as_slice(), b"again", b"0", &payload, b"REPLACE"]);
        assert_eq!(
            other.line("HPEXPIRETIME again FIELDS 1 a"),
            other.line(&format!("HPEXPIRETIME {key} FIELDS 1 a"))
        );
    }
}
