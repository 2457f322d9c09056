//! Which answers CLIENT REPLY OFF and SKIP silence: replies, but not confirmations of subscriptions and not messages.
//! Each script runs against both servers, in RESP2 and RESP3. What comes is compared without its order: since 7.2
//! messages that a client causes itself follow the reply, in 7.0.15 they come before it.

use std::net::Shutdown;

use cairn_format::resp::value::Value;

use crate::support::process::{Program, Server};
use crate::support::{Folder, Setup, wait_until};

/// Requests; those with `@` come from another client, once the subscriptions of those before have arrived.
const SCRIPTS: &[&[&str]] = &[
    &[
        "SUBSCRIBE a b",
        "UNSUBSCRIBE b",
        "@PUBLISH a x",
        "UNSUBSCRIBE",
        "UNSUBSCRIBE",
    ],
    &[
        "PSUBSCRIBE a* b",
        "PUNSUBSCRIBE b",
        "@PUBLISH a x",
        "PUNSUBSCRIBE",
    ],
    &[
        "SSUBSCRIBE a b",
        "SUNSUBSCRIBE b",
        "@SPUBLISH a x",
        "SUNSUBSCRIBE",
    ],
    &["PSUBSCRIBE __key*", "@SET k v", "@DEL k"],
    &[
        "PSUBSCRIBE __key*",
        "SET own v",
        "DEL own",
        "PING",
        "GET k",
        "WRONG",
    ],
    &["PSUBSCRIBE __key*", "@RPUSH l a", "BLPOP l 0", "LPUSH l b"],
    &[
        "SUBSCRIBE a",
        "PUBLISH a x",
        "SPUBLISH a y",
        "CLIENT REPLY ON",
        "PING",
    ],
    &["MULTI", "SUBSCRIBE a", "SET k v", "EXEC", "PUBLISH a z"],
    &["SUBSCRIBE a", "RESET", "PING"],
    &["UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE", "PING"],
];

const MODES: &[&[&str]] = &[
    &[],
    &["CLIENT REPLY OFF"],
    &["CLIENT REPLY SKIP"],
    &["CLIENT REPLY OFF", "CLIENT REPLY ON"],
    &["CLIENT REPLY OFF", "CLIENT REPLY SKIP"],
];

/// All that a client reads, reply by reply.
fn play(server: &Server, requests: &[&str]) -> Vec<String> {
    let mut client = server.connect();
    let mut other = server.connect();
    other.good("FLUSHALL");
    let mut sent = String::new();
    for request in requests {
        match request.strip_prefix('@') {
            None => sent.push_str(&format!("{request}\r\n")),
            Some(by_other) => {
                client.send(std::mem::take(&mut sent).as_bytes());
                wait_until("it listens", || {
                    other.int("PUBSUB NUMPAT") > 0
                        || !other.line("PUBSUB CHANNELS").as_array().unwrap().is_empty()
                        || !other
                            .line("PUBSUB SHARDCHANNELS")
                            .as_array()
                            .unwrap()
                            .is_empty()
                });
                other.good(by_other);
            }
        }
    }
    client.send(sent.as_bytes());
    client.stream().shutdown(Shutdown::Write).unwrap();
    let bytes = client.read_to_end();
    let (mut at, mut values) = (0, Vec::new());
    while at < bytes.len() {
        let (_, used) = Value::decode(&bytes[at..]).unwrap();
        values.push(bytes[at..at + used].escape_ascii().to_string());
        at += used;
    }
    wait_until("nobody listens any more", || {
        other.text("CLIENT LIST").lines().count() == 1
    });
    values
}

#[test]
fn silence_is_that_of_the_reference() {
    let folders = [Folder::new(), Folder::new()];
    let [ours, reference] = [(Program::Cairn, 0), (Program::Reference, 1)].map(|(program, i)| {
        let setup = Setup::new(program, &folders[i]);
        setup.with("--notify-keyspace-events KEA").start()
    });
    for hello in [None, Some("HELLO 3")] {
        for mode in MODES {
            for script in SCRIPTS {
                let begin: Vec<&str> = hello.into_iter().chain(mode.iter().copied()).collect();
                let requests = [begin.as_slice(), script].concat();
                let [mut found, mut expected] = [&ours, &reference].map(|server| {
                    let mut values = play(server, &requests);
                    // HELLO tells the version.
                    values.drain(..usize::from(hello.is_some()));
                    values
                });
                if expected.iter().any(|value| value.contains("message")) {
                    found.sort();
                    expected.sort();
                }
                assert_eq!(found, expected, "{requests:?}");
            }
        }
    }
}
