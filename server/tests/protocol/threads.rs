//! Connections that I/O threads own: what a client sees is what it sees with one thread. (The differential, durability and protocol
//! tests run with them as well: `scripts/test`, step `threads`.)

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cairn_format::resp::value::{Value, write_command};

use crate::support::dataset::noise;
use crate::support::process::Server;
use crate::support::{Connection, Folder, Setup, wait_until};

/// Always used, so that nothing depends on how busy the machine is.
const ALWAYS: &str = "--io-threads 4 --io-threads-min-load 0";

fn start(folder: &Folder, options: &str) -> Server {
    let server = Setup::cairn(folder).with(options).start();
    if options.contains(ALWAYS) {
        wait_active(&server, "3");
    }
    server
}

fn wait_active(server: &Server, count: &str) {
    let mut connection = server.connect();
    wait_until("the threads are used, or not", || {
        connection.info("server")["io_threads_active"] == count
    });
}

/// Sends `rounds` pipelines of INCR, ECHO and what else, each reply in its place.
fn count_up(mut connection: Connection, key: &str, rounds: u64) {
    let mut done = 0;
    for round in 0..rounds {
        let depth = 1 + round % 40;
        let mut out = Vec::new();
        for n in 0..depth {
            write_command(&mut out, &["INCR", key]);
            match n % 3 {
                0 => write_command(&mut out, &["ECHO", &format!("{round}:{n}")]),
                1 => out.extend_from_slice(b"PING\r\n"),
                _ => write_command(&mut out, &["LPUSH"]),
            }
        }
        // In two parts, the first of which ends anywhere.
        let (first, second) = out.split_at(out.len() * (round as usize % 7) / 7);
        connection.send(first);
        connection.send(second);
        for n in 0..depth {
            done += 1;
            assert_eq!(connection.read(), Value::Int(done), "{key}, round {round}");
            let other = connection.read();
            match n % 3 {
                0 => assert_eq!(other, Value::Bulk(format!("{round}:{n}").into_bytes())),
                1 => assert_eq!(other, Value::Simple(b"PONG".into())),
                _ => assert!(other.is_error(), "{other:?}"),
            }
        }
    }
}

#[test]
fn replies_keep_their_order_while_threads_come_and_go() {
    let folder = Folder::new();
    let server = start(&folder, ALWAYS);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..12)
            .map(|number| {
                let connection = server.connect();
                scope.spawn(move || count_up(connection, &format!("key:{number}"), 400))
            })
            .collect();
        scope.spawn(|| {
            let mut admin = server.connect();
            for count in [1, 3, 2, 8, 4].iter().cycle() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                admin.good(&format!("CONFIG SET io-threads {count}"));
                thread::sleep(Duration::from_millis(250));
            }
        });
        for client in clients {
            client.join().unwrap();
        }
        over.store(true, Ordering::Relaxed);
    });
    let mut connection = server.connect();
    connection.good("CONFIG SET io-threads 1");
    wait_until("all connections are back", || {
        connection.owned_by_threads().is_empty()
    });
    assert_eq!(connection.line("PING"), Value::Simple(b"PONG".into()));
    server.stop();
}

#[test]
fn threads_are_used_from_their_load_on_and_no_longer_below_half_of_it() {
    let folder = Folder::new();
    // A load that any test makes, and that an idle server does not.
    let server = start(&folder, "--io-threads 3 --io-threads-min-load 4");
    let mut watcher = server.connect();
    assert_eq!(watcher.info("server")["io_threads_active"], "0");
    let busy = AtomicBool::new(true);
    thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut connection = server.connect();
            let mut out = Vec::new();
            (0..500).for_each(|_| write_command(&mut out, &["INCR", "key"]));
            while busy.load(Ordering::Relaxed) {
                connection.send(&out);
                (0..500).for_each(|_| drop(connection.read()));
            }
        });
        wait_until("they are used", || {
            thread::sleep(Duration::from_millis(100));
            watcher.info("server")["io_threads_active"] == "2"
        });
        wait_until("they own all", || {
            watcher.owned_by_threads().iter().sum::<u64>() == 2
        });
        busy.store(false, Ordering::Relaxed);
        client.join().unwrap();
    });
    wait_until("they are used no longer", || {
        thread::sleep(Duration::from_millis(200));
        watcher.info("server")["io_threads_active"] == "0"
    });
    wait_until("all is back", || {
        watcher.owned_by_threads().iter().sum::<u64>() == 0
    });
    server.stop();
}

#[test]
fn who_waits_listens_or_watches_is_served_as_ever() {
    let folder = Folder::new();
    let server = start(&folder, ALWAYS);
    let mut connections: Vec<Connection> = (0..5).map(|_| server.connect()).collect();
    let [waits, listens, monitors, tracks, acts] = &mut connections[..] else {
        unreachable!("five");
    };
    // What comes behind a command that waits is answered behind it.
    let mut out = Vec::new();
    write_command(&mut out, &["BLPOP", "list", "0"]);
    write_command(&mut out, &["ECHO", "behind"]);
    waits.send(&out);
    // Clients of different threads are served in any order.
    wait_until("it waits", || {
        acts.info("clients")["blocked_clients"] == "1"
    });
    listens.good("SUBSCRIBE channel");
    monitors.good("MONITOR");
    tracks.good("HELLO 3");
    tracks.good("CLIENT TRACKING ON BCAST");
    acts.good("MULTI");
    acts.good("RPUSH list a");
    acts.good("PUBLISH channel message");
    acts.good("EXEC");
    let popped = waits.read();
    assert_eq!(popped.as_array().unwrap()[1].as_bytes().unwrap(), b"a");
    assert_eq!(waits.read(), Value::Bulk(b"behind".into()));
    let message = listens.read();
    assert_eq!(
        message.as_array().unwrap()[2].as_bytes().unwrap(),
        b"message"
    );
    let seen = monitors.read();
    assert!(
        matches!(&seen, Value::Simple(line) if line.ends_with(b"\"HELLO\" \"3\"")),
        "{seen:?}"
    );
    let push = tracks.read();
    assert!(matches!(push, Value::Push(_)), "{push:?}");
    server.stop();
}

#[test]
fn who_does_not_read_is_cut_off_at_its_limit_and_can_be_killed() {
    let folder = Folder::new();
    let options = format!("{ALWAYS} --client-output-buffer-limit normal 12mb 0 0");
    let server = start(&folder, &options);
    let mut other = server.connect();
    other.good_call(&[b"SET".as_slice(), b"large", &noise(1, 1 << 20)]);
    let mut greedy = server.connect();
    greedy.send(&b"*2\r\n$3\r\nGET\r\n$5\r\nlarge\r\n".repeat(64));
    server.wait_for_log("overcoming of output buffer limits");
    // One below the limit waits, and goes when it is told to.
    let mut slow = server.connect();
    let id = slow.int("CLIENT ID");
    slow.send(&b"*2\r\n$3\r\nGET\r\n$5\r\nlarge\r\n".repeat(7));
    wait_until("its commands have run", || {
        let list = other.text("CLIENT LIST");
        let line = list
            .lines()
            .find(|line| line.starts_with(&format!("id={id} ")));
        line.unwrap().contains("cmd=get")
    });
    let killed = Instant::now();
    assert_eq!(other.int(&format!("CLIENT KILL ID {id}")), 1);
    wait_until("it is closed", || slow.try_send(b"PING\r\n").is_err());
    assert!(killed.elapsed() < Duration::from_secs(5), "at once");
    server.stop();
}

#[test]
fn large_values_and_broken_requests_pass_through_threads() {
    let folder = Folder::new();
    let server = start(&folder, ALWAYS);
    let value = noise(2, 40 << 20);
    let mut connection = server.connect();
    assert_eq!(
        connection.call(&[b"SET".as_slice(), b"large", &value]),
        Value::Simple(b"OK".into())
    );
    assert_eq!(connection.call(&["GET", "large"]), Value::Bulk(value));
    connection.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\nget k\r\n\"unbalanced\r\nPING\r\n");
    assert_eq!(
        String::from_utf8_lossy(&connection.read_to_end()),
        "+OK\r\n$1\r\nv\r\n-ERR Protocol error: unbalanced quotes in request\r\n"
    );
    let mut half = server.connect();
    half.send(b"*2\r\n$3\r\nGET\r\n$1\r\n");
    half.stream().shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(half.read_to_end(), b"");
    wait_until("both are gone", || {
        server.connect().owned_by_threads().iter().sum::<u64>() <= 1
    });
    server.stop();
}

/// A value that is on its way to a thread without having been copied is what it was when it was asked for, however it is changed meanwhile.
#[test]
fn what_is_changed_behind_a_reply_does_not_change_it() {
    let folder = Folder::new();
    let server = start(&folder, ALWAYS);
    thread::scope(|scope| {
        for (number, len) in [100, 16_384, 40_000, 300_000, 2_500_000]
            .into_iter()
            .enumerate()
        {
            let connection = server.connect();
            scope.spawn(move || read_and_change(connection, &format!("key:{number}"), len));
        }
    });
    server.stop();
}

/// Pipelines of GET, changes in the middle and at the end, and small replies between; nothing is read before all is sent.
fn read_and_change(mut connection: Connection, key: &str, len: usize) {
    let mut value = noise(len as u64, len);
    connection.good_call(&[b"SET", key.as_bytes(), &value]);
    for round in 0..12_u8 {
        let mut out = Vec::new();
        let mut expected = Vec::new();
        for step in 0..4_u8 {
            write_command(&mut out, &["GET", key]);
            expected.push(Value::Bulk(value.clone()));
            let at = usize::from(round * 4 + step) * len / 48;
            let word = [round, step, 1, 2];
            write_command(
                &mut out,
                &[
                    b"SETRANGE",
                    key.as_bytes(),
                    at.to_string().as_bytes(),
                    &word,
                ],
            );
            value.resize(value.len().max(at + word.len()), 0);
            value[at..at + word.len()].copy_from_slice(&word);
            expected.push(Value::Int(value.len() as i64));
            write_command(&mut out, &[b"APPEND", key.as_bytes(), &word]);
            value.extend_from_slice(&word);
            expected.push(Value::Int(value.len() as i64));
        }
        connection.send(&out);
        for reply in expected {
            assert!(connection.read() == reply, "{key}, round {round}");
        }
    }
}

#[test]
fn a_replica_that_connected_to_a_thread_is_fed_by_the_data() {
    let folders = [Folder::new(), Folder::new()];
    let primary = start(
        &folders[0],
        &format!("{ALWAYS} --repl-diskless-sync-delay 0"),
    );
    let mut writer = primary.connect();
    for n in 0..200 {
        let value = noise(n, 10_000);
        writer.good_call(&[b"SET".as_slice(), format!("key:{n}").as_bytes(), &value]);
    }
    let replica = start(
        &folders[1],
        &format!("{ALWAYS} --replicaof 127.0.0.1 {}", primary.port),
    );
    let mut reader = replica.connect();
    wait_until("the link is up", || {
        reader.info("replication")["master_link_status"] == "up"
    });
    for n in 0..200 {
        writer.good(&format!("INCRBY counter {n}"));
    }
    assert_eq!(writer.int("WAIT 1 5000"), 1);
    assert_eq!(reader.text("DEBUG DIGEST"), writer.text("DEBUG DIGEST"));
    replica.stop();
    primary.stop();
}

#[test]
fn a_script_that_runs_for_long_leaves_room_for_who_is_on_a_thread() {
    let folder = Folder::new();
    let server = start(&folder, &format!("{ALWAYS} --busy-reply-threshold 100"));
    let (mut runs, mut asks) = (server.connect(), server.connect());
    assert_eq!(asks.line("PING"), Value::Simple(b"PONG".into()));
    let mut out = Vec::new();
    write_command(&mut out, &["EVAL", "while true do end", "0"]);
    write_command(&mut out, &["ECHO", "behind"]);
    runs.send(&out);
    wait_until("the server is busy", || asks.line("PING").is_error());
    let mut late = server.connect();
    assert!(late.error("GET key").starts_with("BUSY"));
    asks.good("SCRIPT KILL");
    assert!(runs.read().is_error());
    assert_eq!(runs.read(), Value::Bulk(b"behind".into()));
    assert_eq!(late.line("GET key"), Value::Null);
    server.stop();
}

/// What a client is answered before a script runs for long leaves when that ends, and what it sends meanwhile is answered behind it.
#[test]
fn replies_of_one_parcel_with_a_long_script_keep_their_order() {
    let folder = Folder::new();
    let options = "--io-threads-min-load 0 --busy-reply-threshold 100";
    let server = start(&folder, options);
    // One beside the data's, whatever all servers of this run are started with.
    server.connect().good("CONFIG SET io-threads 2");
    wait_active(&server, "1");
    let mut all: Vec<Connection> = (0..8).map(|_| server.connect()).collect();
    for connection in &mut all {
        connection.good("PING");
    }
    let [sleeps, one, two, three, first, runs, asks, listens] = &mut all[..] else {
        unreachable!("eight");
    };
    listens.good("SUBSCRIBE channel");
    first.good("HELLO 3");
    first.good("SUBSCRIBE channel");
    sleeps.send(b"DEBUG SLEEP 1\r\n");
    // The thread has four parcels: that of the sleeper and these three are under way, so what follows comes in one.
    for connection in [one, two, three] {
        thread::sleep(Duration::from_millis(50));
        connection.send(b"PING\r\n");
    }
    thread::sleep(Duration::from_millis(50));
    first.send(b"*2\r\n$4\r\nECHO\r\n$5\r\nfirst\r\n");
    thread::sleep(Duration::from_millis(50));
    let mut out = Vec::new();
    write_command(&mut out, &["EVAL", "while true do end", "0"]);
    runs.send(&out);
    wait_until("the server is busy", || asks.line("PING").is_error());
    first.send(b"*2\r\n$4\r\nECHO\r\n$6\r\nsecond\r\n");
    thread::sleep(Duration::from_millis(200));
    asks.good("SCRIPT KILL");
    assert!(runs.read().is_error());
    assert_eq!(first.read(), Value::Bulk(b"first".into()));
    // Had they not come in one parcel after all, the server was too busy for it.
    let second = first.read();
    assert!(
        second == Value::Bulk(b"second".into()) || second.is_error(),
        "{second:?}"
    );
    assert_eq!(asks.int("PUBLISH channel message"), 2);
    assert!(matches!(first.read(), Value::Push(_)));
    server.stop();
}
