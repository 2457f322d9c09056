//! How much of damaged logs `aof-tool fix` keeps: a seeded experiment.
//!
//! A good log is damaged in one place (or at both ends), mended, and every command of the result is looked for in the original, in order. With
//! `RECOVERY_TRIALS=20` more is tried, the table of docs/recovery.md is printed, and redis-check-aof --fix is asked about the same files.

#[path = "../../toolkit/tests/support/damage.rs"]
mod damage;
mod tool;

use cairn_format::aof::reader::SliceReader;
use damage::{Damage, Random, cut, drop_range, flip, insert, one_bit, zeroed};
use std::collections::HashMap;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};
use tool::run;

fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// A log as an application makes it: nine kinds of commands, binary values, transactions; every command is another one.
fn made(count: usize, random: &mut Random) -> Vec<u8> {
    let mut log = command(&[b"SELECT", b"0"]);
    let mut left_in_multi = 0;
    for n in 0..count {
        if left_in_multi == 0 && random.below(12) == 0 {
            log.extend(command(&[b"MULTI"]));
            left_in_multi = 2 + random.below(4);
        }
        let key = format!("user:{n}");
        let key = key.as_bytes();
        let len = random.below(200);
        let value = random.bytes(len);
        let number = n.to_string();
        let number = number.as_bytes();
        log.extend(match random.below(9) {
            0 => command(&[b"SET", key, &value, b"PXAT", b"1900000000000"]),
            1 => command(&[b"SET", key, &value]),
            2 => command(&[b"HSET", key, b"name", &value, b"age", number]),
            3 => command(&[b"INCRBY", key, number]),
            4 => command(&[b"RPUSH", b"queue", number, &value]),
            5 => command(&[b"ZADD", b"scores", number, key]),
            6 => command(&[b"SADD", b"tags", key]),
            7 => command(&[b"PEXPIREAT", key, b"1900000000000"]),
            _ => command(&[b"DEL", key]),
        });
        if left_in_multi > 0 {
            left_in_multi -= 1;
            if left_in_multi == 0 {
                log.extend(command(&[b"EXEC"]));
            }
        }
    }
    if left_in_multi > 0 {
        log.extend(command(&[b"EXEC"]));
    }
    log
}

/// The commands of a sound log with their places.
fn commands(log: &[u8]) -> Vec<(Range<usize>, Vec<u8>)> {
    let mut reader = SliceReader::new(log, 0);
    let mut found = Vec::new();
    while let Some(item) = reader.next_item().expect("a sound log") {
        found.push((item.offset as usize..item.end() as usize, item.raw.to_vec()));
    }
    found
}

fn find(log: &[u8], what: &[u8], from: usize) -> usize {
    let found = log[from..].windows(what.len()).position(|w| w == what);
    found.map_or(0, |at| from + at)
}

const KINDS: [(&str, Damage); 8] = [
    ("one bit", one_bit),
    ("one byte gone", |log, random| {
        let at = random.below(log.len());
        vec![drop_range(log, at..at + 1)]
    }),
    ("4 KB zeroed", zeroed),
    ("cut", cut),
    ("splice", |log, random| {
        let at = random.below(log.len() - 10_000);
        let len = 1 + random.below(10_000);
        vec![drop_range(log, at..at + len)]
    }),
    ("both ends", |log, random| {
        let end = log.len();
        let at = end - 1 - random.below(2000);
        log.truncate(at);
        vec![drop_range(log, 0..1 + random.below(2000)), (at, end)]
    }),
    ("bit inside MULTI", |log, random| {
        let from = random.below(log.len() / 2);
        let begin = find(log, b"*1\r\n$5\r\nMULTI\r\n", from);
        let end = find(log, b"EXEC\r\n", begin) + 6;
        let at = begin + random.below(end - begin);
        vec![flip(log, at, random)]
    }),
    ("text between", |log, random| {
        let at = random.below(log.len());
        let text = (0..100)
            .map(|_| 32 + random.below(90) as u8)
            .collect::<Vec<u8>>();
        vec![insert(log, at, text)]
    }),
];

#[derive(Default)]
struct Score {
    untouched: usize,
    kept: usize,
    peer_kept: usize,
    /// Commands of the result that are none of the original.
    changed: usize,
}

/// How many commands of the result stood in the original, in order, and how many did not.
fn compare(original: &HashMap<&[u8], Vec<usize>>, result: &[u8]) -> (Vec<usize>, usize) {
    let (mut kept, mut changed, mut next) = (Vec::new(), 0, 0);
    for (_, raw) in commands(result) {
        let places = original.get(&raw[..]);
        match places.and_then(|places| places.iter().find(|place| **place >= next)) {
            Some(place) => {
                kept.push(*place);
                next = place + 1;
            }
            None => changed += 1,
        }
    }
    (kept, changed)
}

fn check_aof(path: &Path) -> Vec<u8> {
    let mut child = Command::new("redis-check-aof")
        .arg("--fix")
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"y\n").ok();
    child.wait().unwrap();
    let bytes = fs::read(path).unwrap();
    // What it leaves may hold what we do not call a command; count what is good.
    let end = cairn_format::aof::extent::check(&bytes, 0, Default::default()).valid_end;
    bytes[..end as usize].to_vec()
}

fn trial(log: &[u8], damage: Damage, random: &mut Random, score: &mut Score, ask_peer: bool) {
    let original = commands(log);
    let mut places: HashMap<&[u8], Vec<usize>> = HashMap::new();
    for (index, (_, raw)) in original.iter().enumerate() {
        places.entry(raw).or_default().push(index);
    }
    let mut bytes = log.to_vec();
    let touched = damage(&mut bytes, random);
    let is_touched =
        |range: &Range<usize>| touched.iter().any(|t| t.0 < range.end && range.start < t.1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.aof");
    fs::write(&path, &bytes).unwrap();
    let fixed = run(&["fix", path.to_str().unwrap()]);
    assert!(fixed.code <= 1, "{fixed:?}");
    assert_eq!(
        run(&["check", path.to_str().unwrap()]).code,
        0,
        "what is mended is valid"
    );
    let (kept, changed) = compare(&places, &fs::read(&path).unwrap());
    let untouched = original
        .iter()
        .filter(|(range, _)| !is_touched(range))
        .count();
    score.untouched += untouched;
    score.kept += kept
        .iter()
        .filter(|index| !is_touched(&original[**index].0))
        .count();
    score.changed += changed;
    if ask_peer {
        fs::write(&path, &bytes).unwrap();
        let (kept, _) = compare(&places, &check_aof(&path));
        score.peer_kept += kept
            .iter()
            .filter(|index| !is_touched(&original[**index].0))
            .count();
    }
}

#[test]
fn one_fault_costs_less_than_a_thousandth() {
    let trials = std::env::var("RECOVERY_TRIALS")
        .ok()
        .and_then(|n| n.parse().ok());
    let ask_peer = trials.is_some();
    let trials: usize = trials.unwrap_or(4);
    let mut random = Random(20_261_129);
    let log = made(20_000, &mut random);
    println!(
        "| damage | logs | untouched commands kept | commands with other text | redis-check-aof --fix keeps |"
    );
    println!("|---|---|---|---|---|");
    for (name, damage) in KINDS {
        let mut score = Score::default();
        for _ in 0..trials {
            trial(&log, damage, &mut random, &mut score, ask_peer);
        }
        let share = |kept: usize| 100.0 * kept as f64 / score.untouched as f64;
        println!(
            "| {name} | {trials} | {:.3} % | {} | {:.1} % |",
            share(score.kept),
            score.changed,
            share(score.peer_kept)
        );
        assert!(share(score.kept) >= 99.9, "{name}: {}", share(score.kept));
        // Of text within an argument nobody can tell; anything else would be a command that was not there.
        assert!(score.changed <= trials, "{name}: {}", score.changed);
    }
}
