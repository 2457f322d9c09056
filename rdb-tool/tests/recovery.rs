//! How much of damaged files a salvage keeps: a seeded experiment.
//!
//! Good files are damaged in one place (or at both ends), salvaged, and every key of the result is compared with the original, byte by
//! byte. A key counts as undamaged if none of its bytes was touched. With `RECOVERY_TRIALS=100` more is tried, the table of
//! docs/recovery.md is printed, and redis-check-rdb and redis-server are asked about the same files.

mod common;
#[path = "../../toolkit/tests/support/damage.rs"]
mod damage;

use cairn_format::encoding::listpack;
use cairn_format::rdb::object::NodeKind;
use cairn_format::rdb::{Dialect, Event, Head, Options, SliceReader, WriteOptions, Writer};
use common::{code, golden, run, stderr};
use damage::{Damage, Random, cut, drop_range, insert, one_bit, zeroed};
use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A snapshot of many small keys of several types, as an application has them.
fn mixed(count: usize, random: &mut Random) -> Vec<u8> {
    let options = WriteOptions::new(Dialect::REDIS_7_2);
    let mut writer = Writer::new(Vec::new(), options).unwrap();
    writer.select_db(0).unwrap();
    writer.resize(count as u64, 0).unwrap();
    for n in 0..count {
        let key = format!(
            "user:{n}:{}",
            ["name", "cart", "seen", "rank", "tags"][n % 5]
        );
        let expire = (n % 3 == 0).then_some(1_900_000_000_000 + n as i64);
        let head = Head::expiring(key.as_bytes(), expire);
        match n % 5 {
            0 => {
                let len = random.below(120);
                let text = random.bytes(len);
                writer.string(&head, &text).unwrap();
            }
            1 => {
                let fields = 1 + random.below(8);
                writer.begin_hash(&head, fields as u64).unwrap();
                for field in 0..fields {
                    let value = random.below(100_000).to_string();
                    writer
                        .field(format!("f{field}").as_bytes(), value.as_bytes())
                        .unwrap();
                }
            }
            2 => writer.integer(&head, random.below(1 << 40) as i64).unwrap(),
            3 => {
                let members = 1 + random.below(6);
                writer.begin_zset(&head, members as u64).unwrap();
                for member in 0..members {
                    writer
                        .member(format!("m{member}").as_bytes(), random.below(1000) as f64)
                        .unwrap();
                }
            }
            _ => {
                let mut blob = listpack::empty();
                let tags = 1 + random.below(10);
                for _ in 0..tags {
                    let tag = format!("tag-{}", random.below(5000));
                    listpack::push_back(&mut blob, tag.as_bytes());
                }
                writer.begin_list_nodes(&head, 1, tags as u64).unwrap();
                writer.node(NodeKind::Listpack, &blob).unwrap();
            }
        }
    }
    writer.finish().unwrap()
}

/// Where each key's record stands, and the bytes of all of it.
fn records(file: &[u8]) -> Vec<(u64, Vec<u8>, usize, usize)> {
    let options = Options {
        trailing: false,
        ..Options::shallow()
    };
    let mut reader = SliceReader::from_slice(file, options).unwrap();
    let mut records = Vec::new();
    while let Some(located) = reader.next().unwrap() {
        if let Event::Record(record) = &located.event {
            let key = record.head.key.to_vec();
            records.push((
                record.db,
                key,
                located.offset as usize,
                located.end as usize,
            ));
        }
    }
    records
}

const KINDS: [(&str, Damage); 8] = [
    ("one bit", one_bit),
    ("one byte", |file, random| {
        let at = random.below(file.len());
        file[at] ^= 1 + random.below(255) as u8;
        vec![(at, at + 1)]
    }),
    ("16 bytes random", |file, random| {
        let at = random.below(file.len() - 16);
        let bytes = random.bytes(16);
        file[at..at + 16].copy_from_slice(&bytes);
        vec![(at, at + 16)]
    }),
    ("4 KB zeroed", zeroed),
    ("cut", cut),
    ("100 bytes lost", |file, random| {
        let at = random.below(file.len() - 100);
        vec![drop_range(file, at..at + 100)]
    }),
    ("100 bytes more", |file, random| {
        let at = random.below(file.len());
        let bytes = random.bytes(100);
        vec![insert(file, at, bytes)]
    }),
    ("both ends", |file, random| {
        let (head, tail) = (random.below(200), file.len() - random.below(2000));
        let end = file.len();
        file[..head].fill(0);
        file.truncate(tail);
        vec![(0, head), (tail, end)]
    }),
];

#[derive(Default)]
struct Tally {
    files: u64,
    whole: u64,
    undamaged: u64,
    kept: u64,
    wrong: u64,
    invented: u64,
    damaged_kept: u64,
    check_passes: u64,
    server_loads: u64,
}

fn try_one(
    original: &[u8],
    file: &[u8],
    touched: &[(usize, usize)],
    folder: &Path,
    tally: &mut Tally,
) {
    let (bad, out) = (folder.join("bad.rdb"), folder.join("out.rdb"));
    std::fs::write(&bad, file).unwrap();
    let _ = std::fs::remove_file(&out);
    let output = run(&[
        "salvage".as_ref(),
        "-o".as_ref(),
        out.as_os_str(),
        bad.as_os_str(),
    ]);
    let saved = match code(&output) {
        2 => Vec::new(),
        _ => std::fs::read(&out).unwrap(),
    };
    assert!(
        !stderr(&output).contains("fault of the tool"),
        "{}",
        stderr(&output)
    );
    let mut kept: HashMap<(u64, Vec<u8>), Vec<u8>> = HashMap::new();
    if !saved.is_empty() {
        for (db, key, from, to) in records(&saved) {
            kept.insert((db, key), saved[from..to].to_vec());
        }
    }
    let expected = records(original);
    tally.files += 1;
    tally.whole += u64::from(kept.len() == expected.len());
    for (db, key, from, to) in &expected {
        let found = kept.remove(&(*db, key.clone()));
        let is_right = found.as_deref() == Some(&original[*from..*to]);
        let is_touched = touched.iter().any(|(start, end)| start < to && from < end);
        tally.wrong += u64::from(found.is_some() && !is_right);
        match is_touched {
            true => tally.damaged_kept += u64::from(is_right),
            false => {
                tally.undamaged += 1;
                tally.kept += u64::from(is_right);
            }
        }
    }
    // Keys that never were.
    tally.invented += kept.len() as u64;
}

/// Whether Redis's own tool and server take the file.
fn ask_redis(folder: &Path, tally: &mut Tally) {
    let bad = folder.join("bad.rdb");
    let quiet = |command: &mut Command| {
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
    };
    tally.check_passes += u64::from(quiet(Command::new("redis-check-rdb").arg(&bad)));
    let socket = folder.join("s");
    let mut server = Command::new("/usr/bin/redis-server")
        .args([
            "--port",
            "0",
            "--save",
            "",
            "--dbfilename",
            "bad.rdb",
            "--dir",
        ])
        .arg(folder)
        .arg("--unixsocket")
        .arg(&socket)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let since = Instant::now();
    let loads = loop {
        if server.try_wait().unwrap().is_some() {
            break false;
        }
        let up = Command::new("redis-cli")
            .arg("-s")
            .arg(&socket)
            .arg("ping")
            .output()
            .unwrap();
        if up.stdout.starts_with(b"PONG") {
            break true;
        }
        assert!(since.elapsed() < Duration::from_secs(20));
    };
    let _ = server.kill();
    let _ = server.wait();
    tally.server_loads += u64::from(loads);
}

#[test]
fn one_fault_costs_one_key_and_none_is_wrong_that_the_checksum_could_tell() {
    let trials: Option<usize> = std::env::var("RECOVERY_TRIALS")
        .ok()
        .map(|n| n.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random(20_261_129);
    let with_sum = [
        mixed(2000, &mut random),
        std::fs::read(golden("redis-5.0.14/all.rdb")).unwrap(),
        std::fs::read(golden("redis-7.2.4/all.rdb")).unwrap(),
    ];
    if trials.is_some() {
        println!(
            "| damage | checksum | files | all keys back | undamaged keys kept | of touched keys | wrong | not there before | check passes | server loads |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|");
    }
    for has_sum in [true, false] {
        for (name, damage) in KINDS {
            let mut tally = Tally::default();
            for original in &with_sum {
                let mut original = original.clone();
                if !has_sum {
                    let end = original.len();
                    original[end - 8..].fill(0);
                }
                for _ in 0..trials.unwrap_or(6) {
                    let mut file = original.clone();
                    let touched = damage(&mut file, &mut random);
                    try_one(&original, &file, &touched, folder.path(), &mut tally);
                    if trials.is_some() {
                        ask_redis(folder.path(), &mut tally);
                    }
                }
            }
            let rate = 100.0 * tally.kept as f64 / tally.undamaged as f64;
            if trials.is_some() {
                let sum = if has_sum { "yes" } else { "none" };
                println!(
                    "| {name} | {sum} | {} | {} | {rate:.3} % | {} | {} | {} | {} | {} |",
                    tally.files,
                    tally.whole,
                    tally.damaged_kept,
                    tally.wrong,
                    tally.invented,
                    tally.check_passes,
                    tally.server_loads
                );
            }
            assert!(rate > 99.9, "{name}, checksum {has_sum}: {rate} %");
            if has_sum && (name == "one bit" || name == "one byte") {
                assert_eq!((tally.whole, tally.wrong), (tally.files, 0), "{name}");
            }
        }
    }
}
