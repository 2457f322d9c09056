//! SLOWLOG beside 7.0.15, and COMMANDLOG as Valkey has it.

use cairn_format::resp::value::Value;

use crate::both;
use crate::support::process::Server;
use crate::support::{Connection, Folder, Setup};

fn texts(value: &Value) -> Vec<String> {
    let list = value.as_array().expect("an array");
    let text = |v: &Value| String::from_utf8_lossy(v.as_bytes().unwrap()).into_owned();
    list.iter().map(text).collect()
}

/// The arguments of all entries, oldest first.
fn entries(c: &mut Connection, request: &str) -> Vec<Vec<String>> {
    let reply = c.good(request);
    let mut list: Vec<Vec<String>> = reply
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let fields = entry.as_array().unwrap();
            assert_eq!(fields.len(), 6);
            texts(&fields[3])
        })
        .collect();
    list.reverse();
    list
}

fn slow_commands(server: &Server) -> Vec<Vec<String>> {
    let (mut c, mut waiting, mut dead) = (server.connect(), server.connect(), server.connect());
    c.good("CONFIG SET slowlog-log-slower-than 0");
    c.good("SLOWLOG RESET");
    for request in [
        "SET k v",
        "LPUSH k wrong-type",
        "NOSUCH command",
        "GET",
        "MULTI",
        "SADD s a b",
        "SPOP s 5",
        "EXEC",
        "AUTH secret",
        "HELLO 2 AUTH user secret",
        "CONFIG SET masterauth secret maxmemory 0",
        "CONFIG SET masterauth",
        "MIGRATE 127.0.0.1 1 key 0 10 AUTH secret",
        "MIGRATE 127.0.0.1 1 key 0 10 AUTH2 user secret",
        "GETSET k other",
        "INCRBYFLOAT f 1.5",
        "GEOADD places 13.3 38.1 here",
        "PEXPIRE k 100000",
        "CLIENT SETNAME me",
        "BLPOP nothing 0.01",
    ] {
        c.line(request);
    }
    let long = "x".repeat(129);
    c.good(&format!("SET {long} {long}"));
    let many: Vec<String> = (0..40).map(|i| i.to_string()).collect();
    c.good(&format!("SADD many {}", many.join(" ")));
    waiting.send(b"*3\r\n$5\r\nBLPOP\r\n$1\r\nl\r\n$1\r\n0\r\n");
    crate::support::wait_until("it waits", || c.info("clients")["blocked_clients"] == "1");
    c.good("CONFIG SET slowlog-log-slower-than 0");
    dead.good("LPUSH l x");
    waiting.read();
    c.good("CONFIG SET slowlog-log-slower-than -1");
    c.good("SET not shown");
    let list = entries(&mut c, "SLOWLOG GET -1");
    // How often it was looked whether the client waits is a matter of time.
    // Since 7.2 a wait that ends without an element is noted as well.
    let differs = |words: &[String]| words[0] == "INFO" || words[1..].contains(&"nothing".into());
    list.into_iter().filter(|words| !differs(words)).collect()
}

#[test]
fn slow_commands_are_those_of_the_reference() {
    let (_folders, servers) = both("--slowlog-max-len 1000");
    let [ours, expected] = servers.each_ref().map(slow_commands);
    assert_eq!(ours, expected);
    assert!(ours.iter().flatten().all(|word| word != "secret"));
    assert!(ours.len() > 20);
}

#[test]
fn an_entry_tells_when_how_long_and_who() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder)
        .with("--enable-debug-command yes --slowlog-log-slower-than 50000")
        .start();
    let mut c = server.connect();
    c.good("CLIENT SETNAME me");
    c.good("DEBUG SLEEP 0.06");
    let address = c.stream().local_addr().unwrap().to_string();
    let reply = c.good("SLOWLOG GET");
    let entry = reply.as_array().unwrap()[0].as_array().unwrap();
    let bytes = |at: usize| String::from_utf8_lossy(entry[at].as_bytes().unwrap()).into_owned();
    assert_eq!(entry[0].as_int(), Some(0));
    assert!(entry[1].as_int().unwrap() > 1_700_000_000);
    assert!(entry[2].as_int().unwrap() >= 60_000);
    assert_eq!(texts(&entry[3]), ["DEBUG", "SLEEP", "0.06"]);
    assert_eq!((bytes(4), bytes(5)), (address, "me".to_owned()));
    for (request, error) in [
        (
            "SLOWLOG GET -2",
            "ERR count should be greater than or equal to -1",
        ),
        (
            "SLOWLOG GET x",
            "ERR count should be greater than or equal to -1",
        ),
        (
            "COMMANDLOG LEN big",
            "ERR type should be one of the following: slow, large-request, large-reply",
        ),
        (
            "COMMANDLOG GET x slow",
            "ERR count should be greater than or equal to -1",
        ),
    ] {
        assert_eq!(c.error(request), error);
    }
}

/// The sizes are those that a Valkey 9.1.2 told of the same requests.
#[test]
fn large_requests_and_replies_are_kept_with_their_sizes() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut c = server.connect();
    c.good("CONFIG SET commandlog-request-larger-than 1 commandlog-reply-larger-than 1");
    for kind in ["slow", "large-request", "large-reply"] {
        c.good(&format!("COMMANDLOG RESET {kind}"));
    }
    c.good_call(&["set", "a", "bbbbb"]);
    c.good_call(&["get", "a"]);
    c.good("CONFIG SET commandlog-request-larger-than 10000 commandlog-reply-larger-than 30000");
    let values = |c: &mut Connection, kind: &str| {
        let reply = c.good(&format!("COMMANDLOG GET -1 {kind}"));
        let list = reply.as_array().unwrap().to_vec();
        list.iter()
            .map(|entry| {
                let fields = entry.as_array().unwrap();
                (texts(&fields[3])[0].clone(), fields[2].as_int().unwrap())
            })
            .collect::<Vec<_>>()
    };
    let requests = values(&mut c, "large-request");
    assert_eq!(requests[..2], [("get".into(), 20), ("set".into(), 31)]);
    let replies = values(&mut c, "large-reply");
    assert_eq!(replies[..2], [("get".into(), 11), ("set".into(), 5)]);
    // A value that is shared with the reply, not copied, counts as well; and so does a transaction's command for itself.
    let large = "x".repeat(40_000);
    c.good_call(&["SET", "large", &large]);
    c.good("MULTI");
    c.good("GET large");
    c.good("EXEC");
    assert_eq!(values(&mut c, "large-request")[0].0, "SET");
    assert_eq!(values(&mut c, "large-reply")[0], ("GET".into(), 40_010));
    assert_eq!(c.int("COMMANDLOG LEN slow"), c.int("SLOWLOG LEN"));
    c.good("CONFIG SET commandlog-large-reply-max-len 1");
    assert_eq!(c.int("COMMANDLOG LEN large-reply"), 1);
}
