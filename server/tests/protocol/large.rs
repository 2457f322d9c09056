//! Deep pipelines, long commands, large values.

use std::thread;

use cairn_format::resp::value::{Value, write_command};

use crate::support::dataset::noise;
use crate::support::{Folder, Setup};

#[test]
fn a_pipeline_of_ten_thousand_commands() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut connection = server.connect();
    let mut out = Vec::new();
    for i in 0..10_000 {
        write_command(&mut out, &["SET", &format!("key:{i}"), &i.to_string()]);
        write_command(&mut out, &["GET", &format!("key:{i}")]);
    }
    connection.send(&out);
    for i in 0..10_000 {
        assert_eq!(connection.read(), Value::Simple(b"OK".into()), "{i}");
        assert_eq!(
            connection.read(),
            Value::Bulk(i.to_string().into_bytes()),
            "{i}"
        );
    }
    assert_eq!(connection.int("DBSIZE"), 10_000);
}

/// What is looked at ahead within large collections changes no answer: they go, come again and become something else in the middle of a
/// pipeline, and commands name what is no member.
#[test]
fn pipelines_within_large_collections_answer_as_single_commands_do() {
    let (one, other) = (Folder::new(), Folder::new());
    let servers = [&one, &other].map(|folder| Setup::cairn(folder).start());
    let [mut piped, mut single] = servers.each_ref().map(|server| server.connect());
    let mut state = 1_u64;
    let mut draw = |n: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % n
    };
    for connection in [&mut piped, &mut single] {
        for (name, score) in [("HSET h", "f"), ("SADD s", ""), ("ZADD z", "1")] {
            let words = |i: usize| match score {
                "f" => format!("m:{i} {i}"),
                "" => format!("m:{i}"),
                score => format!("{score}{i} m:{i}"),
            };
            for from in (0..20_000).step_by(500) {
                let members: Vec<String> = (from..from + 500).map(words).collect();
                connection.good(&format!("{name} {}", members.join(" ")));
            }
        }
    }
    let commands = [
        "HSET h m:# 1",
        "HGET h m:#",
        "HDEL h m:#",
        "HINCRBY h m:# 2",
        "HLEN h",
        "SADD s m:#",
        "SISMEMBER s m:#",
        "SREM s m:#",
        "SADD s m:# x:# y:#",
        "ZADD z # m:#",
        "ZADD z NX # m:#",
        "ZSCORE z m:#",
        "ZRANK z m:#",
        "ZINCRBY z 3 m:#",
        "ZREM z m:# x:#",
        "GET h",
        "SET k# v",
        "HGET k# m",
        "SADD h m:#",
        "ZADD z m:# #",
        "HSET h",
        "RENAME h h2",
        "RENAME h2 h",
        "COPY s s2 REPLACE",
        "SMOVE s s2 m:#",
        "PEXPIRE s2 1",
        "SISMEMBER s2 m:#",
    ];
    let many = [
        "HMGET h",
        "SMISMEMBER s",
        "ZMSCORE z",
        "SREM s",
        "HDEL h",
        "ZREM z",
    ];
    let mut many: Vec<String> = many
        .map(|start| format!("{start}{}", " m:#".repeat(40)))
        .into();
    many.push(format!("HSET h{}", " m:# #".repeat(40)));
    many.push(format!("ZADD z CH{}", " # m:#".repeat(33)));
    let commands: Vec<&str> = commands
        .iter()
        .copied()
        .chain(many.iter().map(String::as_str))
        .collect();
    for number in 0..60 {
        let mut filled = |text: &str| {
            let mut parts = text.split('#');
            let first = parts.next().unwrap_or_default().to_owned();
            parts.fold(first, |done, part| format!("{done}{}{part}", draw(25_000)))
        };
        let batch: Vec<String> = (0..64)
            .map(|i| filled(commands[(i * 11 + number) % commands.len()]))
            .collect();
        let mut out = Vec::new();
        for command in &batch {
            write_command(&mut out, &command.split(' ').collect::<Vec<_>>());
        }
        piped.send(&out);
        for command in &batch {
            let answer = single.line(command);
            // When it is due is not the same moment in both.
            if !command.contains(" s2 ") {
                assert_eq!(piped.read(), answer, "{command}");
            } else {
                piped.read();
            }
        }
    }
}

#[test]
fn replies_that_are_not_read_do_not_stop_others() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut other = server.connect();
    other.good_call(&[b"SET".as_slice(), b"large", &noise(1, 1 << 20)]);
    let mut connection = server.connect();
    let request = b"*2\r\n$3\r\nGET\r\n$5\r\nlarge\r\n".repeat(64);
    connection.send(&request);
    for _ in 0..100 {
        assert_eq!(other.line("PING"), Value::Simple(b"PONG".into()));
    }
    for _ in 0..64 {
        assert_eq!(connection.read().as_bytes().unwrap().len(), 1 << 20);
    }
}

#[test]
fn a_command_of_a_million_arguments() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut connection = server.connect();
    let mut args = vec!["RPUSH".to_string(), "list".to_string()];
    args.extend((0..1_000_000).map(|i| i.to_string()));
    assert_eq!(connection.call(&args), Value::Int(1_000_000));
    assert_eq!(connection.text("LINDEX list 999999"), "999999");
    assert_eq!(connection.int("LLEN list"), 1_000_000);
    let all = connection.good("LRANGE list 0 -1");
    assert_eq!(all.as_array().unwrap().len(), 1_000_000);
    // From 2^31 on it is a protocol error, told before the arguments arrive.
    let mut connection = server.connect();
    connection.send(b"*2147483648\r\n");
    assert_eq!(
        connection.read_to_end(),
        b"-ERR Protocol error: invalid multibulk length\r\n"
    );
}

#[test]
fn values_of_64_megabytes() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let value = noise(2, 64 << 20);
    let mut connection = server.connect();
    assert_eq!(
        connection.call(&[b"SET".as_slice(), b"large", &value]),
        Value::Simple(b"OK".into())
    );
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut connection = server.connect();
        clients.push(thread::spawn(move || connection.line("GET large")));
    }
    for client in clients {
        let reply = client.join().unwrap();
        assert!(
            reply.as_bytes().unwrap() == value,
            "64 MB come back as they went"
        );
    }
    assert_eq!(connection.int("STRLEN large"), 64 << 20);
    let last = connection.good("GETRANGE large -3 -1");
    assert_eq!(last.as_bytes().unwrap(), &value[value.len() - 3..]);
    connection.good("DEL large");
    assert_eq!(connection.int("DBSIZE"), 0);
}
