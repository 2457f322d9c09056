//! Commands that Redis 7.2 does not have, beside servers that have them: Redis 8.2 and Valkey 9.1. What neither has (DELEX, DIGEST, INCREX,
//! SUNIONCARD, SDIFFCARD) is replayed from recordings (`testdata/transcripts/newer`) or tested for what their pages tell.

#[path = "../support/mod.rs"]
mod support;

use cairn_format::resp::value::Value;
use support::process::{Program, Server};
use support::{Connection, Folder, Setup};

fn pair(other: Program) -> ([Folder; 2], [Server; 2]) {
    let folders = [Folder::new(), Folder::new()];
    let programs = [Program::Cairn, other];
    let servers = std::array::from_fn(|i| Setup::new(programs[i], &folders[i]).start());
    (folders, servers)
}

/// The same requests to both, in both protocols; all answers must be equal.
fn same_answers(other: Program, requests: &str) {
    let (_folders, servers) = pair(other);
    for hello in ["HELLO 2", "HELLO 3"] {
        let mut clients = servers.each_ref().map(Server::connect);
        for client in &mut clients {
            client.good(hello);
            client.good("FLUSHALL");
        }
        for request in requests.lines().map(str::trim).filter(|r| !r.is_empty()) {
            let [ours, theirs] = clients.each_mut().map(|client| client.line(request));
            assert_eq!(ours, theirs, "{hello}: {request}");
        }
    }
}

/// What COMMAND INFO tells of a command, but for its subcommands and remarks.
fn same_description(other: Program, names: &[&str]) {
    let (_folders, servers) = pair(other);
    for name in names {
        let request = format!("COMMAND INFO {name}");
        let [ours, theirs] = servers.each_ref().map(|server| {
            let answer = server.connect().good(&request);
            let Some([Value::Array(parts)]) = answer.as_array() else {
                panic!("{name}: {answer:?}");
            };
            parts.clone()
        });
        for (part, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            // ACL categories have no order.
            let sorted = |value: &Value| {
                let mut words: Vec<String> = value
                    .as_array()
                    .unwrap_or_default()
                    .iter()
                    .map(|word| format!("{word:?}"))
                    .collect();
                words.sort();
                words
            };
            match part {
                2 | 6 => assert_eq!(sorted(ours), sorted(theirs), "{name}, part {part}"),
                _ => assert_eq!(ours, theirs, "{name}, part {part}"),
            }
        }
    }
}

#[test]
fn commands_describe_themselves_as_where_they_come_from() {
    same_description(Program::Redis8, &["xdelex", "xackdel", "bitop"]);
    same_description(Program::Valkey9, &["msetex", "delifeq", "client|capa"]);
}

#[test]
fn bits_are_combined_as_redis_8_does() {
    same_answers(
        Program::Redis8,
        "SET a abc
        SET b abd
        SET c zz~zz
        SET i 1234567
        BITOP DIFF d a b c
        GET d
        BITOP DIFF1 d a b c
        GET d
        BITOP ANDOR d a b c i
        GET d
        BITOP ONE d a b c
        GET d
        BITOP ONE d a
        GET d
        BITOP ONE d a a a b
        GET d
        BITOP DIFF d a
        BITOP diff1 d a
        BITOP ANDOR d a
        BITOP DIFF d a nokey
        GET d
        BITOP DIFF d nokey a
        GET d
        BITOP DIFF1 d nokey a c
        GET d
        BITOP FOO d a
        BITOP NOT d a b
        BITOP NOT d a
        GET d
        BITOP AND d a b c
        GET d
        BITOP XOR d a b c
        GET d
        BITOP OR d nokey nokey
        EXISTS d
        RPUSH l x
        BITOP ONE d a l",
    );
}

#[test]
fn entries_go_from_streams_as_redis_8_does_it() {
    same_answers(
        Program::Redis8,
        "XADD s 1-1 f v
        XADD s 2-1 f v
        XADD s 3-1 f v
        XADD s 4-1 f v
        XADD s 5-1 f v
        XGROUP CREATE s g 0
        XGROUP CREATE s h 0
        XREADGROUP GROUP g c COUNT 3 STREAMS s >
        XREADGROUP GROUP h c COUNT 2 STREAMS s >
        XDELEX s IDS 1 1-1
        XDELEX s KEEPREF IDS 1 1-1
        XPENDING s g
        XDELEX s DELREF IDS 2 1-1 2-1
        XPENDING s g
        XPENDING s h
        XDELEX s ACKED IDS 2 3-1 4-1
        XACKDEL s g ACKED IDS 1 3-1
        XACKDEL s g KEEPREF IDS 2 4-1 3-1
        XACKDEL s g IDS 1 5-1
        XDELEX s ACKED IDS 3 4-1 5-1 9-9
        XLEN s
        XDELEX s IDS 0
        XDELEX s IDS x 1-1
        XDELEX s IDS 0 1-1
        XDELEX s IDS 2 1-1
        XDELEX s IDS 1 1-1 2-1
        XDELEX s IDS 1 foo
        XDELEX s FOO IDS 1 1-1
        XDELEX s IDS 1 1-1 KEEPREF
        XDELEX s KEEPREF DELREF IDS 1 1-1
        XDELEX s KEEPREF 1-1 2-1
        XDELEX s IDS -1 1-1
        XDELEX nokey IDS 2 1-1 foo
        XDELEX nokey FOO 2 1-1 foo
        XACKDEL nokey g IDS 2 1-1 2-1
        XACKDEL s nogroup IDS 1 1-1
        XACKDEL s g FOO IDS 1 1-1
        XACKDEL s g IDS 1 foo
        SET a x
        XDELEX a IDS 1 1-1
        XACKDEL a g IDS 1 1-1
        XDELEX s IDS
        XACKDEL s g IDS
        XDELEX s IDS 2 2-1 2-1
        XADD s 6 f v
        XADD s 7 f v
        XREADGROUP GROUP g c STREAMS s >
        XACKDEL s g DELREF IDS 3 6-0 6-0 7-0
        XREADGROUP GROUP h c STREAMS s >
        XDEL s 5-1
        XACKDEL s g IDS 1 5-1
        XACKDEL s h ACKED IDS 1 5-1
        XACKDEL s g ACKED IDS 1 4-1
        XACKDEL s h ACKED IDS 1 4-1
        XPENDING s g
        XPENDING s h
        XINFO GROUPS s
        XLEN s
        XRANGE s - +",
    );
}

#[test]
fn strings_are_compared_and_set_as_valkey_9_does_it() {
    same_answers(
        Program::Valkey9,
        "SET k v1
        SET k v2 IFEQ v1
        SET k v3 IFEQ v1
        GET k
        SET k v3 IFEQ v2 EX 0
        SET k v4 IFEQ zz GET
        SET k v4 IFEQ v2 GET KEEPTTL
        SET k v4 IFEQ v4 EX 100
        TTL k
        SET k v9 IFEQ
        SET k 10
        SET k 11 IFEQ 10
        SET nokey x IFEQ y
        SET nokey x IFEQ y GET
        EXISTS nokey
        RPUSH l a
        SET l x IFEQ a
        SET l x IFEQ a GET
        DELIFEQ k 12
        DELIFEQ k 11
        DELIFEQ k 11
        DELIFEQ l a
        DELIFEQ k
        MSETEX 2 a 1 b 2
        MSETEX 2 a 1 b 2 EX 100
        TTL a
        MSETEX 1 a 5 KEEPTTL
        TTL a
        MSETEX 2 a 7 c 8 NX
        EXISTS c
        MSETEX 2 c 7 d 8 NX PXAT 4000000000000
        PEXPIRETIME d
        MSETEX 2 c 9 e 9 XX
        MSETEX 2 c 9 d 9 XX EXAT 4000000000
        MSETEX 1 a 1 NX XX
        MSETEX 1 a 1 EX -1
        MSETEX 1 a 1 EX
        MSETEX 1 a 1 EX 10 PX 10
        MSETEX 1 a 1 EX x
        MSETEX 1 a 1 foo
        MSETEX 1 a 1 EX 10 KEEPTTL
        MSETEX 1 l 1
        GET l
        MSETEX 2 a 1 a 2
        GET a
        TTL a
        CLIENT CAPA redirect
        CLIENT CAPA foo bar
        CLIENT CAPA",
    );
}

#[test]
fn polygons_hold_what_valkey_9_finds_in_them() {
    let mut requests = String::from(
        "GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania 13.583333 37.316667 Agrigento
        GEOADD w 10 10 a 20 30 b 30 50 c 5 45 d 170 10 e -170 -10 f 0 0 h 179 80 i -100 -80 j\n",
    );
    let square = "BYPOLYGON 4 12 36 16 36 16 39 12 39";
    for options in [
        "ASC",
        "DESC",
        "ASC WITHDIST WITHHASH",
        "ASC COUNT 2",
        "COUNT 1",
        "ANY",
    ] {
        requests += &format!("GEOSEARCH g {square} {options}\n");
    }
    requests += &format!(
        "GEOSEARCHSTORE to g {square}
        ZRANGE to 0 -1 WITHSCORES
        GEOSEARCHSTORE to g {square} STOREDIST
        ZRANGE to 0 -1 WITHSCORES\n"
    );
    for polygon in [
        "5 12 36 16 36 12 39 16 39 14 35",
        "3 12 36 16 36 16 39",
        "3 12 36 12 36 12 36",
        "4 0 0 40 0 40 60 0 60",
        "5 0 0 40 0 40 60 20 60 0 60",
        "4 -179 -80 179 -80 179 80 -179 80",
        "4 -20 -20 25 -20 25 47 -20 47",
        "3 160 0 180 0 170 40",
        "6 0 0 50 0 50 60 0 60 0 40 20 30",
    ] {
        for key in ["g", "w"] {
            requests += &format!("GEOSEARCH {key} BYPOLYGON {polygon} ASC WITHDIST\n");
        }
    }
    requests += "GEOSEARCH g BYPOLYGON 2 12 36 16 36 16 39
        GEOSEARCH g BYPOLYGON 4 12 36 16 36 16 39
        GEOSEARCH g BYPOLYGON x 12 36 16 36 16 39
        GEOSEARCH g BYPOLYGON -1 12 36 16 36 16 39
        GEOSEARCH g BYPOLYGON 9223372036854775807 12 36 16 36 16 39
        GEOSEARCH g BYPOLYGON 3 12 36 16 36 200 39
        GEOSEARCH g BYPOLYGON 3 12 36 16 36 x 39
        GEOSEARCH g FROMLONLAT 15 37 BYPOLYGON 3 12 36 16 36 16 39
        GEOSEARCH g BYPOLYGON 3 12 36 16 36 16 39 FROMMEMBER Palermo
        GEOSEARCH g BYPOLYGON 3 12 36 16 36 16 39 BYRADIUS 10 km
        GEOSEARCH g BYRADIUS 10 km BYPOLYGON 3 12 36 16 36 16 39
        GEOSEARCH nokey BYPOLYGON 3 12 36 16 36 16 39
        GEOSEARCH nokey BYPOLYGON 2 12 36 16 36 16 39";
    same_answers(Program::Valkey9, &requests);
}

/// The pages of Redis 8.8 and what redis-py sends: see `increx.rs` of the engine.
#[test]
fn increx_keeps_to_its_bounds() {
    let folder = Folder::new();
    let server = Setup::new(Program::Cairn, &folder).start();
    let mut client = server.connect();
    let ints = |client: &mut Connection, line: &str| -> Vec<i64> {
        let answer = client.good(line);
        let parts = answer.as_array().expect("two numbers");
        parts
            .iter()
            .map(|part| part.as_int().expect("an integer"))
            .collect()
    };
    assert_eq!(ints(&mut client, "INCREX n"), [1, 1]);
    assert_eq!(ints(&mut client, "INCREX n BYINT 5 EX 100"), [6, 5]);
    assert_eq!(client.int("TTL n"), 100);
    assert_eq!(ints(&mut client, "INCREX n BYINT -2 EX 50 ENX"), [4, -2]);
    assert_eq!(client.int("TTL n"), 100);
    assert_eq!(ints(&mut client, "INCREX n BYINT 7 UBOUND 10 EX 5"), [4, 0]);
    assert_eq!(client.int("TTL n"), 100);
    assert_eq!(
        ints(&mut client, "INCREX n BYINT 7 UBOUND 10 SATURATE"),
        [10, 6]
    );
    assert_eq!(
        ints(&mut client, "INCREX n BYINT -70 LBOUND 0 SATURATE PERSIST"),
        [0, -10]
    );
    assert_eq!(client.int("TTL n"), -1);
    assert_eq!(ints(&mut client, "INCREX other UBOUND 0"), [0, 0]);
    assert_eq!(client.int("EXISTS other"), 0);
    assert_eq!(ints(&mut client, "INCREX other LBOUND 5 SATURATE"), [5, 5]);
    client.good("SET most 9223372036854775807");
    assert_eq!(ints(&mut client, "INCREX most"), [i64::MAX, 0]);
    assert_eq!(ints(&mut client, "INCREX most SATURATE"), [i64::MAX, 0]);
    let texts = |client: &mut Connection, line: &str| -> Vec<String> {
        let answer = client.good(line);
        let text = |part: &Value| String::from_utf8_lossy(part.as_bytes().unwrap()).into_owned();
        answer.as_array().unwrap().iter().map(text).collect()
    };
    assert_eq!(texts(&mut client, "INCREX f BYFLOAT 0.1"), ["0.1", "0.1"]);
    assert_eq!(texts(&mut client, "INCREX f BYFLOAT 0.2"), ["0.3", "0.2"]);
    assert_eq!(
        texts(&mut client, "INCREX f BYFLOAT 9 UBOUND 1.5"),
        ["0.3", "0"]
    );
    assert_eq!(
        texts(&mut client, "INCREX f BYFLOAT 9 UBOUND 1.5 SATURATE"),
        ["1.5", "1.2"]
    );
    for (line, error) in [
        ("INCREX n ENX", "ERR ENX flag requires an expiration"),
        ("INCREX n BYINT 1 BYFLOAT 1", "ERR syntax error"),
        ("INCREX n EX 1 PERSIST", "ERR syntax error"),
        ("INCREX n LBOUND", "ERR syntax error"),
        (
            "INCREX n BYINT x",
            "ERR value is not an integer or out of range",
        ),
        (
            "INCREX n LBOUND 1.5",
            "ERR value is not an integer or out of range",
        ),
        ("INCREX n BYFLOAT x", "ERR value is not a valid float"),
        (
            "INCREX n EX 0",
            "ERR invalid expire time in 'increx' command",
        ),
        (
            "INCREX n LBOUND 2 UBOUND 1",
            "ERR LBOUND can't be greater than UBOUND",
        ),
    ] {
        assert_eq!(client.error(line), error, "{line}");
    }
    client.good("RPUSH l x");
    assert!(client.error("INCREX l").starts_with("WRONGTYPE"));
}

#[test]
fn members_of_several_sets_are_counted() {
    let folder = Folder::new();
    let server = Setup::new(Program::Cairn, &folder).start();
    let mut client = server.connect();
    client.good("SADD a 1 2 3 x");
    client.good("SADD b 3 4 y");
    for (line, count) in [
        ("SUNIONCARD 2 a b", 6),
        ("SUNIONCARD 3 a b none LIMIT 0", 6),
        ("SUNIONCARD 2 a b LIMIT 5", 5),
        ("SUNIONCARD 2 a b APPROX LIMIT 3", 3),
        ("SUNIONCARD 1 a", 4),
        ("SUNIONCARD 1 none", 0),
        ("SDIFFCARD 2 a b", 3),
        ("SDIFFCARD 2 a b LIMIT 2", 2),
        ("SDIFFCARD 2 none a", 0),
        ("SDIFFCARD 1 a LIMIT 0", 4),
        ("SINTERCARD 2 a b", 1),
    ] {
        assert_eq!(client.int(line), count, "{line}");
    }
    for (line, error) in [
        ("SUNIONCARD 0 a", "ERR numkeys should be greater than 0"),
        (
            "SUNIONCARD 2 a",
            "ERR Number of keys can't be greater than number of args",
        ),
        ("SDIFFCARD 1 a APPROX", "ERR syntax error"),
        ("SDIFFCARD 1 a LIMIT -1", "ERR LIMIT can't be negative"),
    ] {
        assert_eq!(client.error(line), error, "{line}");
    }
}

/// A replica that has none of these commands follows one that does.
#[test]
fn an_older_replica_follows() {
    let (folders, _) = ([Folder::new(), Folder::new()], ());
    let primary = Setup::new(Program::Cairn, &folders[0]).start();
    let replica = Setup::new(Program::Reference, &folders[1]).start();
    let mut client = primary.connect();
    client.good("SET start 1");
    let mut follower = replica.connect();
    follower.good(&format!("REPLICAOF 127.0.0.1 {}", primary.port));
    support::wait_until("the replica is there", || {
        follower.info("replication")["master_link_status"] == "up"
    });
    for line in [
        "SET k v",
        "SET k w IFEQ v",
        "SET k x IFNE v PX 100000",
        "SET k y IFEQ x KEEPTTL",
        "SET k z IFEQ y GET",
        "SET d v",
        "DELEX d IFNE w",
        "SET e v",
        "DELIFEQ e v",
        "MSETEX 2 m1 1 m2 2",
        "MSETEX 2 m3 1 m4 2 EX 1000",
        "MSETEX 1 m3 9 KEEPTTL",
        "INCREX n BYINT 5 EX 1000",
        "INCREX n UBOUND 3",
        "INCREX n BYINT 50 UBOUND 10 SATURATE",
        "INCREX f BYFLOAT 1.5",
        "BITOP ONE b k m1",
        "XADD s 1-1 f v",
        "XADD s 2-1 f v",
        "XGROUP CREATE s g 0",
        "XGROUP CREATE s h 0",
        "XREADGROUP GROUP g c STREAMS s >",
        "XREADGROUP GROUP h c STREAMS s >",
        "XACKDEL s g ACKED IDS 1 1-1",
        "XDELEX s DELREF IDS 2 1-1 2-1",
    ] {
        client.good(line);
    }
    support::wait_until("it has all", || client.int("WAIT 1 100") == 1);
    let digest = |connection: &mut Connection| connection.text("DEBUG DIGEST");
    assert_eq!(digest(&mut client), digest(&mut follower));
    assert_eq!(follower.text("GET n"), "10");
    assert_eq!(client.int("PEXPIRETIME n"), follower.int("PEXPIRETIME n"));
    assert_eq!(follower.int("EXISTS d e"), 0);
    let pending = |connection: &mut Connection, group: &str| {
        format!("{:?}", connection.good(&format!("XPENDING s {group}")))
    };
    for group in ["g", "h"] {
        assert_eq!(pending(&mut client, group), pending(&mut follower, group));
    }
}

/// Entries of the only stream of an answer, as `id fields`, and how often each was delivered before; all that were pending have been for
/// `idle_ms`.
fn delivered(answer: &Value, idle_ms: i64) -> Vec<(String, i64)> {
    let [Value::Array(stream)] = answer.as_array().expect("streams") else {
        panic!("{answer:?}");
    };
    let entries = stream[1].as_array().expect("entries");
    let entry = |entry: &Value| {
        let [id, fields, idle, deliveries] = entry.as_array().expect("an entry") else {
            panic!("{entry:?}");
        };
        let (idle, deliveries) = (idle.as_int().unwrap(), deliveries.as_int().unwrap());
        assert!(idle >= idle_ms || deliveries == 0 && idle == 0, "{entry:?}");
        (words(&[id.clone(), fields.clone()]), deliveries)
    };
    entries.iter().map(entry).collect()
}

fn words(values: &[Value]) -> String {
    let word = |value: &Value| match value {
        Value::Array(values) => words(values),
        value => String::from_utf8_lossy(value.as_bytes().unwrap()).into_owned(),
    };
    values.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// As the page of XREADGROUP and the tests of clients tell it; no server at hand has it.
#[test]
fn a_consumer_claims_what_is_pending_for_long() {
    let folder = Folder::new();
    let setup = Setup::cairn(&folder).with("--appendonly yes");
    let server = setup.start();
    let mut client = server.connect();
    for line in [
        "XGROUP CREATE s g 0 MKSTREAM",
        "XADD s 1-0 k 1",
        "XADD s 2-0 k 2",
        "XADD s 3-0 k 3",
        "XREADGROUP GROUP g one STREAMS s >",
        "XCLAIM s g one 0 1-0 IDLE 5000",
        "XCLAIM s g one 0 2-0 IDLE 9000",
        "XADD s 4-0 k 4",
        "XADD s 5-0 k 5",
    ] {
        client.good(line);
    }
    let read = |client: &mut Connection, options: &str| {
        client.good(&format!("XREADGROUP GROUP g two {options} STREAMS s >"))
    };
    let (second, first) = (("2-0 k 2".to_owned(), 2), ("1-0 k 1".to_owned(), 2));
    let fourth = ("4-0 k 4".to_owned(), 0);
    let got = delivered(&read(&mut client, "COUNT 1 CLAIM 4000"), 9000);
    assert_eq!(got, [second]);
    let got = delivered(&read(&mut client, "CLAIM 4000 COUNT 2 NOACK"), 5000);
    assert_eq!(got, [first, fourth]);
    // What was claimed is acknowledged by nobody; the new one is.
    let pending = client.good("XPENDING s g - + 10 two");
    assert_eq!(pending.as_array().unwrap().len(), 2);
    // History is what it was.
    let history = client.good("XREADGROUP GROUP g two CLAIM 0 STREAMS s 0");
    let [Value::Array(stream)] = history.as_array().unwrap() else {
        panic!("{history:?}");
    };
    assert_eq!(words(&stream[1..]), "1-0 k 1 2-0 k 2");
    // What is gone from the stream is not pending any more.
    client.good("XDEL s 1-0");
    let got = delivered(&read(&mut client, "CLAIM 0"), 0);
    assert_eq!(got.len(), 3, "{got:?}");
    assert!(!got.iter().any(|(entry, _)| entry.starts_with("1-0")));
    for (options, error) in [
        ("CLAIM -1", "ERR min-idle-time must be a positive integer"),
        ("CLAIM x", "ERR value is not an integer or out of range"),
    ] {
        let line = format!("XREADGROUP GROUP g two {options} STREAMS s >");
        assert_eq!(client.error(&line), error);
    }
    assert_eq!(
        client.error("XREAD CLAIM 5 STREAMS s 0"),
        "ERR The CLAIM option is only supported by XREADGROUP. You called XREAD instead."
    );
    let before = client.text("DEBUG DIGEST");
    client.good("DEBUG LOADAOF");
    assert_eq!(client.text("DEBUG DIGEST"), before);
}

#[test]
fn a_consumer_that_waits_claims_what_becomes_old_enough() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let (mut client, mut waits, mut gives_up) =
        (server.connect(), server.connect(), server.connect());
    client.good("XGROUP CREATE s g 0 MKSTREAM");
    let began = std::time::Instant::now();
    waits.send(b"XREADGROUP GROUP g two BLOCK 0 CLAIM 300 STREAMS s >\r\n");
    gives_up.send(b"XREADGROUP GROUP g three BLOCK 400 CLAIM 60000 STREAMS s >\r\n");
    support::wait_until("they wait", || {
        client.info("clients")["blocked_clients"] == "2"
    });
    std::thread::sleep(std::time::Duration::from_millis(100));
    // In one go, so that nobody who waits is served in between.
    for line in [
        "MULTI",
        "XADD s 1-0 k 1",
        "XREADGROUP GROUP g one STREAMS s >",
        "EXEC",
    ] {
        client.good(line);
    }
    let got = delivered(&waits.read(), 300);
    assert_eq!(got, [("1-0 k 1".to_owned(), 1)]);
    let took = began.elapsed().as_millis();
    assert!((400..5_000).contains(&took), "{took} ms");
    assert_eq!(gives_up.read(), Value::Null, "nothing was old enough");
    assert_eq!(client.info("clients")["blocked_clients"], "0");
}
