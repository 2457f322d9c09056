//! kill -9 under load, while children write snapshots and bases.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use cairn_format::resp::value::{Value, write_command};

use crate::support::{Connection, Dice, Folder, Setup, wait_until};

/// Keys of each client.
const KEYS: u64 = 300;
/// Requests that a client sends before it reads replies.
const PIPELINE: u64 = 8;
const CLIENTS: u64 = 3;

/// Of each key the last value that was acknowledged and the last one that was sent.
type Ledger = BTreeMap<String, (u64, u64)>;

/// One client: writes counting values until the server is gone. Every fourth unit is a transaction that gives two keys
/// the same value.
fn write_until_the_end(
    mut connection: Connection,
    client: u64,
    from: u64,
    stop: Arc<AtomicBool>,
) -> Ledger {
    let mut ledger = Ledger::new();
    let mut value = from;
    while !stop.load(Ordering::Relaxed) {
        let mut out = Vec::new();
        let mut units = Vec::new();
        for _ in 0..PIPELINE {
            value += 1;
            let text = value.to_string();
            let place = value % KEYS;
            if value.is_multiple_of(4) {
                let pair = [
                    format!("pair:{client}:{place}:a"),
                    format!("pair:{client}:{place}:b"),
                ];
                write_command(&mut out, &["MULTI"]);
                write_command(&mut out, &["SET", &pair[0], &text]);
                write_command(&mut out, &["SET", &pair[1], &text]);
                write_command(&mut out, &["EXEC"]);
                units.push((pair.to_vec(), 4, value));
            } else {
                let key = format!("key:{client}:{place}");
                write_command(&mut out, &["SET", &key, &text]);
                units.push((vec![key], 1, value));
            }
        }
        for (keys, _, value) in &units {
            for key in keys {
                ledger.entry(key.clone()).or_default().1 = *value;
            }
        }
        if connection.try_send(&out).is_err() {
            return ledger;
        }
        for (keys, replies, value) in units {
            let mut last = None;
            for _ in 0..replies {
                match connection.try_read() {
                    Ok(reply) => last = Some(reply),
                    Err(_) => return ledger,
                }
            }
            assert!(
                matches!(last, Some(Value::Simple(_) | Value::Array(_))),
                "{last:?}"
            );
            for key in keys {
                ledger.get_mut(&key).unwrap().0 = value;
            }
        }
    }
    ledger
}

/// Every key has a value between the last acknowledged and the last sent; pairs agree; and of each client's commands
/// the first so many are there, without gaps.
///
/// What is found must be found from now on: the ledger is set to it, since what was only sent is never sent again.
fn check(connection: &mut Connection, ledger: &mut Ledger, round: u64) {
    let mut held = BTreeMap::new();
    let mut latest: BTreeMap<&str, u64> = BTreeMap::new();
    for (key, (acknowledged, sent)) in ledger.iter() {
        let reply = connection.line(&format!("GET {key}"));
        let number = |text: &[u8]| std::str::from_utf8(text).unwrap().parse::<u64>().unwrap();
        let found = reply.as_bytes().map_or(0, number);
        assert!(
            found >= *acknowledged,
            "round {round}: {key} is {found}, {acknowledged} was acknowledged"
        );
        assert!(
            found <= *sent,
            "round {round}: {key} is {found}, only {sent} was sent"
        );
        held.insert(key.clone(), found);
        let newest = latest.entry(client_of(key)).or_default();
        *newest = found.max(*newest);
    }
    for (key, value) in &held {
        let (sent, newest) = (ledger[key].1, latest[client_of(key)]);
        assert!(
            *value == sent || sent > newest,
            "round {round}: {key} is {value}, but {newest}, which came after {sent}, is there"
        );
        if let Some(stem) = key.strip_suffix(":a") {
            assert_eq!(
                held[&format!("{stem}:b")],
                *value,
                "round {round}: {key}: half of a transaction"
            );
        }
    }
    for (key, found) in held {
        ledger.insert(key, (found, found));
    }
}

/// The second word of a key.
fn client_of(key: &str) -> &str {
    key.split(':').nth(1).unwrap()
}

/// Waits until the log holds everything that was acknowledged. Under `everysec` what arrives while a sync runs waits
/// in memory, for two seconds at most, and a kill takes it: that is the bargain of this policy, as in Redis.
fn wait_for_the_log(connection: &mut Connection) {
    wait_until("the log is written", || {
        let info = connection.info("persistence");
        info["aof_buffer_length"] == "0" && info["aof_pending_bio_fsync"] == "0"
    });
}

/// When the kill comes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// In the middle of everything.
    Any,
    /// In even rounds after the clients stopped and the log was written; in odd ones at any moment, which may lose what
    /// waited.
    Written,
}

fn rounds(options: &str, moment: Moment, seed: u64) {
    let folder = Folder::new();
    let setup = Setup::cairn(&folder)
        .with("--appendonly yes --auto-aof-rewrite-percentage 0")
        .with(options);
    let mut dice = Dice::new(seed);
    let mut total = Ledger::new();
    let mut from = 0;
    for round in 0..6 {
        let server = setup.start();
        let mut connection = server.connect();
        check(&mut connection, &mut total, round);
        let stop = Arc::new(AtomicBool::new(false));
        let clients: Vec<JoinHandle<Ledger>> = (0..CLIENTS)
            .map(|client| {
                let (connection, stop) = (server.connect(), stop.clone());
                thread::spawn(move || write_until_the_end(connection, client, from, stop))
            })
            .collect();
        // Children are at work when the end comes.
        let orders = [
            ["BGREWRITEAOF", "BGSAVE SCHEDULE"],
            ["BGSAVE", "BGREWRITEAOF"],
        ];
        for order in orders[round as usize / 2 % 2] {
            thread::sleep(Duration::from_millis(dice.below(120)));
            connection.good(order);
        }
        thread::sleep(Duration::from_millis(dice.below(150)));
        let gentle = moment == Moment::Written && round % 2 == 0;
        let ledgers: Vec<Ledger> = if gentle {
            stop.store(true, Ordering::Relaxed);
            let ledgers = clients
                .into_iter()
                .map(|client| client.join().unwrap())
                .collect();
            wait_for_the_log(&mut connection);
            server.kill();
            ledgers
        } else {
            server.kill();
            clients
                .into_iter()
                .map(|client| client.join().unwrap())
                .collect()
        };
        let lossy = moment == Moment::Written && !gentle;
        let mut writes = 0;
        for (key, (acknowledged, sent)) in ledgers.into_iter().flatten() {
            from = from.max(sent);
            writes += u64::from(acknowledged > 0);
            let entry = total.entry(key).or_default();
            let sure = if lossy { 0 } else { acknowledged };
            *entry = (entry.0.max(sure), entry.1.max(sent));
        }
        assert!(writes > 0, "round {round}: nothing was acknowledged");
    }
    let server = setup.start();
    check(&mut server.connect(), &mut total, 99);
    println!("seed {seed}: {} keys, values up to {from}", total.len());
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_under_always() {
    rounds("--appendfsync always", Moment::Any, 1);
}

#[test]
fn nothing_that_was_written_is_lost_by_kill_under_everysec() {
    rounds("--appendfsync everysec", Moment::Written, 2);
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_with_commands_as_base() {
    rounds(
        "--appendfsync always --aof-use-rdb-preamble no",
        Moment::Any,
        3,
    );
}

#[test]
fn a_snapshot_is_whole_whenever_the_kill_comes() {
    let folder = Folder::new();
    let mut dice = Dice::new(4);
    let mut saved = 0;
    for round in 0..8 {
        let server = Setup::cairn(&folder).start();
        let mut connection = server.connect();
        let found = connection.int("DBSIZE");
        assert!(
            found >= saved,
            "round {round}: {found} keys, {saved} were saved"
        );
        connection.good(&format!("DEBUG POPULATE {} round:{round} 100", 20_000));
        connection.good("BGSAVE");
        if round % 2 == 0 {
            connection.wait_for_children();
            saved = connection.int("DBSIZE");
        } else {
            thread::sleep(Duration::from_millis(dice.below(40)));
        }
        server.kill();
    }
    let temporary: Vec<String> = folder
        .names()
        .into_iter()
        .filter(|name| name != "dump.rdb")
        .collect();
    assert!(
        temporary.iter().all(|name| name.starts_with("temp-")),
        "{temporary:?}"
    );
}
