//! A snapshot into living servers: 7.0.15 alone and as a cluster of three, Redis 8.2, Valkey 9.1.

mod common;

use common::real_server::{Program, RealServer};
use common::{code, golden, names, run, stderr, stdout};
use std::fs;
use std::path::Path;
use std::process::Output;

const SOON: [&str; 2] = ["--repl-diskless-sync-delay", "0"];

fn url(server: &RealServer) -> String {
    format!("redis://127.0.0.1:{}", server.port)
}

fn words(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn load(to: &str, extra: &[&str], from: &Path) -> Output {
    let from = words(from);
    run(&[&["load", "--to", to][..], extra, &[&from]].concat())
}

fn told(output: &Output) -> String {
    format!("{}{}", stdout(output), stderr(output))
}

#[test]
fn what_is_loaded_is_the_data_of_the_file() {
    for (program, files) in [
        (
            Program::Redis7,
            &[
                "redis-5.0.14/all.rdb",
                "redis-7.0.15/lru.rdb",
                "redis-7.0.15/lfu.rdb",
            ][..],
        ),
        (
            Program::Redis8,
            &["redis-7.4.1/small-nocompress.rdb", "redis-7.2.4/all.rdb"],
        ),
        (
            Program::Valkey9,
            &["redis-7.2.4/small-nocompress.rdb", "redis-2.4.18/all.rdb"],
        ),
    ] {
        for file in files {
            let folder = tempfile::tempdir().unwrap();
            let server = RealServer::start_program(program, folder.path(), &SOON);
            let from = golden(file);
            let output = load(&url(&server), &["--verify"], &from);
            assert_eq!(code(&output), 0, "{program:?} {file}: {}", told(&output));
            assert!(told(&output).contains(" as in "), "{}", told(&output));
            let alive = ["diff", "--not-ttl", "expired", &words(&from), &url(&server)];
            let output = run(&alive);
            assert_eq!(code(&output), 0, "{program:?} {file}: {}", told(&output));
        }
    }
}

/// By digests where the server has them, by values elsewhere; the last line says which, and both see a change.
#[test]
fn verify_says_what_it_compared_by() {
    let from = golden("redis-7.0.15/small-nocompress.rdb");
    for (program, debug, by) in [
        (Program::Redis7, "yes", " by DEBUG DIGEST-VALUE, "),
        (Program::Valkey9, "yes", " by DEBUG DIGEST-VALUE, "),
        (Program::Redis7, "no", " (by DUMP)"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let options = [&SOON[..], &["--enable-debug-command", debug]].concat();
        let server = RealServer::start_program(program, folder.path(), &options);
        let first = load(&url(&server), &["--verify"], &from);
        assert_eq!(code(&first), 0, "{}", told(&first));
        assert!(
            told(&first).contains(by),
            "{program:?} {debug}: {}",
            told(&first)
        );
        server.ask("SADD iset 987654");
        let words = ["--existing", "skip", "--verify"];
        let changed = load(&url(&server), &words, &from);
        assert_eq!(code(&changed), 1, "{}", told(&changed));
        assert!(
            told(&changed).contains("1 key is not as in "),
            "{}",
            told(&changed)
        );
        let key = "key \"iset\": the value is another";
        assert!(told(&changed).contains(key), "{}", told(&changed));
    }
}

#[test]
fn the_digest_is_that_of_the_file() {
    let from = golden("redis-7.0.15/small-nocompress.rdb");
    let [folder, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    fs::copy(&from, folder.path().join("dump.rdb")).unwrap();
    let [whole, loaded] = [&folder, &other].map(|folder| RealServer::start(folder.path(), &SOON));
    let output = load(&url(&loaded), &["--pipeline", "3"], &from);
    assert_eq!(code(&output), 0, "{}", told(&output));
    assert_eq!(loaded.ask("DEBUG DIGEST"), whole.ask("DEBUG DIGEST"));
    let functions = loaded.ask("FUNCTION LIST");
    for name in ["mylib_one", "mylib_ro", "mylib_set"] {
        assert!(functions.contains(name), "{functions}");
    }
}

#[test]
fn keys_that_are_there_end_it_or_go_or_stay() {
    let folder = tempfile::tempdir().unwrap();
    let server = RealServer::start(folder.path(), &SOON);
    let from = folder.path().join("in.rdb");
    fs::write(
        &from,
        b"REDIS0009\xfe\0\0\x01a\x03new\0\x01b\x03new\xff\0\0\0\0\0\0\0\0",
    )
    .unwrap();
    server.ask("SET b old");
    let output = load(&url(&server), &[], &from);
    assert_eq!(code(&output), 2);
    let line = "db 0, key \"b\": RESTORE was refused: BUSYKEY";
    assert!(told(&output).contains(line), "{}", told(&output));
    assert!(
        told(&output).contains("hint: 1 key is loaded"),
        "{}",
        told(&output)
    );
    let output = load(&url(&server), &["--existing", "skip", "--verify"], &from);
    assert_eq!(code(&output), 1, "{}", told(&output));
    assert!(
        told(&output).contains("0 keys loaded into"),
        "{}",
        told(&output)
    );
    assert!(told(&output).contains("key \"b\": the value is another"));
    let output = load(&url(&server), &["--existing", "replace", "--verify"], &from);
    assert_eq!(code(&output), 0, "{}", told(&output));
    assert!(server.ask("GET b").contains("new"));
}

#[test]
fn an_error_reply_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let server = RealServer::start(folder.path(), &SOON);
    let from = golden("redis-7.0.15/small-nocompress.rdb");
    let refused = |to: &str, options: &[&str], line: &str, hint: &str| {
        let output = load(to, options, &from);
        assert_eq!(code(&output), 2, "{}", told(&output));
        assert!(told(&output).contains(line), "{}", told(&output));
        assert!(told(&output).contains(hint), "{}", told(&output));
    };
    assert_eq!(code(&load(&url(&server), &[], &from)), 0);
    let existing = "hint: --existing replace or skip";
    refused(&url(&server), &[], "FUNCTION LOAD was refused", existing);
    // Libraries are no keys.
    let output = load(&url(&server), &["--existing", "skip"], &from);
    let keys = server.ask("INFO keyspace");
    let keys = keys.lines().filter_map(|line| line.split("keys=").nth(1));
    let there: u64 = keys
        .map(|rest| rest.split(',').next().unwrap().parse::<u64>().unwrap())
        .sum();
    let line = format!(
        "0 keys loaded into {}, {there} were there already",
        url(&server)
    );
    assert_eq!(code(&output), 0);
    assert!(told(&output).contains(&line), "{}", told(&output));
    server.ask("ACL SETUSER reader on >secret ~* +@read +@connection +info");
    let reader = url(&server).replace("redis://", "redis://reader:secret@");
    refused(&reader, &[], "NOPERM", "hint: the user of the address");
    server.ask("CONFIG SET maxmemory 1");
    let replace = ["--existing", "replace"];
    refused(
        &url(&server),
        &replace,
        "OOM",
        "hint: the server needs a larger maxmemory",
    );
}

#[test]
fn what_the_server_cannot_hold_is_told_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let server = RealServer::start(folder.path(), &SOON);
    let from = golden("redis-8.6.3/all.rdb");
    let output = load(&url(&server), &[], &from);
    assert_eq!(code(&output), 2);
    assert!(
        told(&output).contains("cannot hold hash fields that expire"),
        "{}",
        told(&output)
    );
    assert!(server.ask("DBSIZE").starts_with(":0"));
    let output = load(
        &url(&server),
        &["--drop-unsupported", "--not-type", "module"],
        &from,
    );
    assert_eq!(code(&output), 0, "{}", told(&output));
    assert!(
        told(&output).contains(": dropped hash fields"),
        "{}",
        told(&output)
    );
    for wrong in ["nonsense", "redis://127.0.0.1:1"] {
        let output = load(wrong, &[], &from);
        assert_eq!(code(&output), 2, "{wrong}");
    }
}

#[test]
fn a_load_that_broke_off_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("in.rdb");
    fs::write(&from, common::many_strings(5000)).unwrap();
    let journal = folder.path().join("journal");
    let server = RealServer::start(folder.path(), &SOON);
    server.ask("SET key:3000 there");
    let options = ["--pipeline", "100", "--journal", &words(&journal)];
    let output = load(&url(&server), &options, &from);
    assert_eq!(code(&output), 2, "{}", told(&output));
    assert!(fs::read_to_string(&journal).unwrap().contains("\ndone "));
    // The batch that held it is sent again, its other keys are there: they are ours, and so is this one by now.
    let other = folder.path().join("other.rdb");
    fs::write(&other, common::many_strings(10)).unwrap();
    let output = load(&url(&server), &options, &other);
    assert!(
        told(&output).contains("a load goes on only with the same input"),
        "{}",
        told(&output)
    );
    let output = load(
        &url(&server),
        &[&options[..], &["--verify"]].concat(),
        &from,
    );
    assert_eq!(code(&output), 0, "{}", told(&output));
    let line = told(&output);
    assert!(
        line.contains("2,000 keys loaded into"),
        "only what was missing: {line}"
    );
    assert!(line.contains("5,000 keys are as in"), "{line}");
    assert!(!names(folder.path()).contains(&"journal".to_owned()));
}

#[test]
fn no_more_than_the_rate_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("in.rdb");
    fs::write(&from, common::many_strings(2000)).unwrap();
    let server = RealServer::start(folder.path(), &SOON);
    let since = std::time::Instant::now();
    // More than 60 bytes for each key, compressed.
    let output = load(
        &url(&server),
        &["--rate", "100kb", "--pipeline", "50"],
        &from,
    );
    assert_eq!(code(&output), 0, "{}", told(&output));
    assert!(since.elapsed() > std::time::Duration::from_millis(600));
}

/// Three masters, each with a third of the slots.
fn cluster(folder: &Path) -> Vec<RealServer> {
    let servers: Vec<RealServer> = (0..3)
        .map(|index| {
            let folder = folder.join(index.to_string());
            fs::create_dir(&folder).unwrap();
            let options = [&SOON[..], &["--cluster-enabled", "yes"]].concat();
            RealServer::start(&folder, &options)
        })
        .collect();
    for (index, server) in servers.iter().enumerate() {
        let (first, last) = (
            index * 5461,
            if index == 2 {
                16383
            } else {
                index * 5461 + 5460
            },
        );
        server.ask(&format!("CLUSTER ADDSLOTSRANGE {first} {last}"));
        server.ask(&format!("CLUSTER SET-CONFIG-EPOCH {}", index + 1));
    }
    for server in &servers[1..] {
        server.ask(&format!("CLUSTER MEET 127.0.0.1 {}", servers[0].port));
    }
    let is_ready = |server: &RealServer| {
        let info = server.ask("CLUSTER INFO");
        info.contains("cluster_state:ok") && info.contains("cluster_slots_assigned:16384")
    };
    for _ in 0..600 {
        if servers.iter().all(is_ready) {
            return servers;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("the cluster does not come up");
}

#[test]
fn every_key_goes_to_the_node_that_has_its_slot() {
    let folder = tempfile::tempdir().unwrap();
    let servers = cluster(folder.path());
    let from = folder.path().join("in.rdb");
    fs::write(&from, common::many_strings(3000)).unwrap();
    // The last node is asked first, and has most keys not.
    let output = load(&url(&servers[2]), &["--verify"], &from);
    assert_eq!(code(&output), 0, "{}", told(&output));
    let sizes: Vec<usize> = servers
        .iter()
        .map(|server| {
            let size = server.ask("DBSIZE");
            size[1..].lines().next().unwrap().parse().unwrap()
        })
        .collect();
    assert_eq!(sizes.iter().sum::<usize>(), 3000, "{sizes:?}");
    assert!(sizes.iter().all(|size| *size > 800), "{sizes:?}");
    // A slot under way to another node: keys that are not here any more are asked for there.
    let id = |server: &RealServer| {
        let reply = server.ask("CLUSTER MYID");
        reply.lines().nth(1).unwrap().to_owned()
    };
    let slot = "12182"; // of the key "foo", which the last node has
    servers[0].ask(&format!(
        "CLUSTER SETSLOT {slot} IMPORTING {}",
        id(&servers[2])
    ));
    servers[2].ask(&format!(
        "CLUSTER SETSLOT {slot} MIGRATING {}",
        id(&servers[0])
    ));
    fs::write(
        &from,
        b"REDIS0009\xfe\0\0\x03foo\x03bar\xff\0\0\0\0\0\0\0\0",
    )
    .unwrap();
    let output = load(&url(&servers[2]), &[], &from);
    assert_eq!(code(&output), 0, "{}", told(&output));
    let moved = servers[0].try_ask("ASKING\r\nGET foo").unwrap();
    assert!(moved.contains("bar"), "{moved}");
    // One database, and functions everywhere.
    let output = load(
        &url(&servers[0]),
        &[],
        &golden("redis-7.0.15/small-nocompress.rdb"),
    );
    assert!(
        told(&output).contains("a cluster has database 0 alone"),
        "{}",
        told(&output)
    );
    let only = ["--db", "0", "--existing", "replace"];
    let output = load(
        &url(&servers[0]),
        &only,
        &golden("redis-7.0.15/small-nocompress.rdb"),
    );
    assert_eq!(code(&output), 0, "{}", told(&output));
    for server in &servers {
        assert!(server.ask("FUNCTION LIST").contains("mylib"));
    }
}
