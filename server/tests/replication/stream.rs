//! The bytes of the stream, beside those of 7.0.15.

use std::io::Read;
use std::time::Duration;

use crate::fleet::Member;
use crate::support::process::Program::{self, Cairn, Reference};

/// What neither times nor chance have a part in.
const SCRIPT: &[&str] = &[
    "SET k v",
    "set lower case",
    "GET k",
    "SELECT 2",
    "GET k",
    "SET k v",
    "SELECT 0",
    "MULTI",
    "SET one 1",
    "EXEC",
    "MULTI",
    "INCR n",
    "INCR n",
    "EXEC",
    "MULTI",
    "GET n",
    "EXEC",
    "MULTI",
    "EXEC",
    "PUBLISH channel message",
    "SELECT 4",
    "PUBLISH channel message",
    "SELECT 0",
    "SADD s a b c",
    "SREM s zzz",
    "SMOVE s t a",
    "RPUSH l 1 2 3",
    "LMPOP 2 none l LEFT COUNT 2",
    "BLMOVE l m LEFT RIGHT 0",
    "BRPOPLPUSH m l 0",
    "GETSET k w",
    "GETDEL one",
    "SET e v PXAT 99999999999999",
    "GETEX e PERSIST",
    "EXPIREAT e 1",
    "INCRBYFLOAT f 1.25",
    "HINCRBYFLOAT h f 0.5",
    "ZADD z 1 a 2 b 3 c",
    "ZMPOP 1 z MIN COUNT 2",
    "XADD x 1-1 a 1",
    "XADD x 2-1 a 1",
    "XTRIM x MAXLEN 1",
    "XGROUP CREATE x g 0",
    "XREADGROUP GROUP g c COUNT 1 NOACK STREAMS x >",
    "SPOP t 5",
    "PFADD hll a b",
    "PFCOUNT hll",
    "FLUSHDB",
    "FLUSHALL",
    "SWAPDB 0 1",
    "SETRANGE k 0 abc",
    "COPY k j",
    "RENAME j i",
    "SORT l STORE sorted",
    "MSETNX a 1 b 2",
    "DEBUG REPLICATE fake command",
];

/// The stream of a server that runs the script, without the snapshot before it.
fn recorded(program: Program) -> String {
    let member = Member::start(program, "--repl-diskless-sync no");
    let mut replica = member.connect();
    replica.send(b"SYNC\r\n");
    let stream = replica.stream();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut byte = [0];
    let mut line = String::new();
    while !line.ends_with("\r\n") || !line.starts_with('$') {
        stream.read_exact(&mut byte).unwrap();
        match byte[0] {
            b'\n' if line.is_empty() => {}
            other => line.push(char::from(other)),
        }
    }
    let mut snapshot = vec![0; line[1..].trim_end().parse().unwrap()];
    stream.read_exact(&mut snapshot).unwrap();
    let mut client = member.connect();
    for line in SCRIPT {
        client.line(line);
    }
    client.line("SET the end");
    let mut text = Vec::new();
    while !text.ends_with(b"$3\r\nSET\r\n$3\r\nthe\r\n$3\r\nend\r\n") {
        stream.read_exact(&mut byte).unwrap();
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

#[test]
fn our_stream_is_that_of_the_reference_byte_by_byte() {
    let (ours, theirs) = (recorded(Cairn), recorded(Reference));
    let commands = |text: &str| -> Vec<String> {
        text.split("\r\n*")
            .map(|one| one.replace("\r\n", " "))
            .collect()
    };
    for (n, pair) in commands(&ours).iter().zip(commands(&theirs)).enumerate() {
        assert_eq!(*pair.0, pair.1, "command {n} of the stream");
    }
    assert_eq!(ours, theirs);
}
