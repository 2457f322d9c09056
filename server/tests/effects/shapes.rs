//! Directives that decide in which form or in which file something is kept.

use cairn_format::resp::value::Value;

use crate::support::{Connection, Folder, Setup, wait_until};

/// What sets a directive, what is done then, what is asked, and the answer for each of two values.
type Limit = (
    &'static str,
    &'static [&'static str],
    &'static str,
    [(&'static str, &'static str); 2],
);

#[test]
fn the_form_is_that_of_the_limit() {
    let forms: [Limit; 7] = [
        (
            "CONFIG SET set-max-intset-entries",
            &["SADD k 1 2 3", "SADD k 4"],
            "OBJECT ENCODING k",
            [("4", "intset"), ("3", "hashtable")],
        ),
        (
            "CONFIG SET set-max-listpack-entries",
            &["SADD k a b c"],
            "OBJECT ENCODING k",
            [("3", "listpack"), ("2", "hashtable")],
        ),
        (
            "CONFIG SET set-max-listpack-value",
            &["SADD k abcd"],
            "OBJECT ENCODING k",
            [("4", "listpack"), ("3", "hashtable")],
        ),
        (
            "CONFIG SET hll-sparse-max-bytes",
            &["PFADD k a b c"],
            "PFDEBUG ENCODING k",
            [("3000", "sparse"), ("0", "dense")],
        ),
        (
            "CONFIG SET hash-max-listpack-value",
            &["HSET k abcd v"],
            "OBJECT ENCODING k",
            [("4", "listpack"), ("3", "hashtable")],
        ),
        (
            "CONFIG SET zset-max-listpack-entries",
            &["ZADD k 1 a 2 b 3 c"],
            "OBJECT ENCODING k",
            [("3", "listpack"), ("2", "skiplist")],
        ),
        (
            "CONFIG SET zset-max-listpack-value",
            &["ZADD k 1 abcd"],
            "OBJECT ENCODING k",
            [("4", "listpack"), ("3", "skiplist")],
        ),
    ];
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut client = server.connect();
    for (set, script, ask, answers) in forms {
        for (value, answer) in answers {
            client.good("FLUSHALL");
            client.good(&format!("{set} {value}"));
            for line in script {
                client.good(line);
            }
            assert_eq!(client.text(ask), answer, "{set} {value}");
        }
    }
    server.stop();
}

/// Bytes of a key after `set` and the commands.
fn bytes_after(client: &mut Connection, set: &str, commands: &[String]) -> i64 {
    client.good("DEL k");
    client.good(set);
    for line in commands {
        client.good(line);
    }
    client.int("MEMORY USAGE k SAMPLES 0")
}

#[test]
fn nodes_of_streams_and_lists_are_as_their_limits_say() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut client = server.connect();
    let entries: Vec<String> = (1..=50).map(|i| format!("XADD k {i} f v")).collect();
    let whole = bytes_after(
        &mut client,
        "CONFIG SET stream-node-max-entries 100",
        &entries,
    );
    let many = bytes_after(
        &mut client,
        "CONFIG SET stream-node-max-entries 1",
        &entries,
    );
    assert!(
        many > whole + 49 * 8,
        "{many} for fifty nodes, {whole} for one"
    );
    client.good("CONFIG SET stream-node-max-entries 100");
    let again = bytes_after(
        &mut client,
        "CONFIG SET stream-node-max-bytes 4096",
        &entries,
    );
    let many = bytes_after(&mut client, "CONFIG SET stream-node-max-bytes 1", &entries);
    assert!(
        many > again + 49 * 8,
        "{many} for many nodes, {again} for one"
    );
    // Ten nodes of which all but the first and the last may be small.
    client.good("CONFIG SET list-max-listpack-size 10");
    let element = "a".repeat(400);
    let pushes: Vec<String> = (0..100).map(|_| format!("RPUSH k {element}")).collect();
    let plain = bytes_after(&mut client, "CONFIG SET list-compress-depth 0", &pushes);
    let small = bytes_after(&mut client, "CONFIG SET list-compress-depth 1", &pushes);
    assert!(small < plain / 2, "{small} squeezed, {plain} not");
    server.stop();
}

#[test]
fn there_are_as_many_databases_as_were_asked_for() {
    for (databases, last) in [("--databases 3", 2), ("--databases 20", 19)] {
        let folder = Folder::new();
        let server = Setup::cairn(&folder).with(databases).start();
        let mut client = server.connect();
        client.good(&format!("SELECT {last}"));
        assert_eq!(
            client.error(&format!("SELECT {}", last + 1)),
            "ERR DB index is out of range"
        );
        server.stop();
    }
}

#[test]
fn a_snapshot_has_a_checksum_if_it_is_to() {
    for (options, has) in [("--rdbchecksum yes", true), ("--rdbchecksum no", false)] {
        let folder = Folder::new();
        let server = Setup::cairn(&folder).with(options).start();
        let mut client = server.connect();
        client.good("SET a b");
        client.good("SAVE");
        let bytes = std::fs::read(folder.data().join("dump.rdb")).unwrap();
        let sum = bytes.last_chunk::<8>().unwrap();
        assert_eq!(sum != &[0; 8], has, "{sum:?}");
        server.stop();
    }
}

#[test]
fn the_parts_of_the_log_have_the_names_that_are_asked_for() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder)
        .with("--appendonly yes --appendfilename changes.log --appenddirname parts")
        .start();
    for part in ["base.rdb", "incr.aof"] {
        let file = folder.data().join(format!("parts/changes.log.1.{part}"));
        assert!(file.exists(), "{}", file.display());
    }
    server.stop();
}

#[test]
fn evicted_keys_are_logged_by_the_command_that_is_asked_for() {
    for (options, command) in [
        ("--lazyfree-lazy-eviction no", "DEL"),
        ("--lazyfree-lazy-eviction yes", "UNLINK"),
    ] {
        let folder = Folder::new();
        let server = Setup::cairn(&folder)
            .with(&format!("{options} --maxmemory-policy allkeys-random"))
            .with("--appendonly yes")
            .start();
        let mut client = server.connect();
        client.good("SET a b");
        client.good("CONFIG SET maxmemory 1");
        wait_until("the key is evicted", || client.int("DBSIZE") == 0);
        server.stop();
        let log = std::fs::read_to_string(folder.log_file(".incr.aof")).unwrap();
        assert!(
            log.contains(&format!("\r\n{command}\r\n$1\r\na\r\n")),
            "{log}"
        );
    }
}

#[test]
fn idle_clients_are_cut_off_after_the_timeout() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).with("--timeout 0").start();
    let mut client = server.connect();
    client.good("PING");
    std::thread::sleep(std::time::Duration::from_millis(2500));
    client.good("CONFIG SET timeout 1");
    assert_eq!(client.read_to_end(), b"");
    server.stop();
}

#[test]
fn who_sends_a_command_slowly_is_not_idle() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).with("--timeout 1").start();
    let mut client = server.connect();
    client.good("PING");
    for piece in b"*2\r\n$4\r\nECHO\r\n$1\r\na\r\n".chunks(2) {
        std::thread::sleep(std::time::Duration::from_millis(300));
        client.send(piece);
    }
    assert_eq!(client.read(), Value::Bulk(b"a".to_vec()));
    server.stop();
}
