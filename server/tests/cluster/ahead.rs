//! Pipelines to a node with so many keys that it looks ahead at them.

use cairn_format::resp::value::{Value, write_command};

use crate::support::process::Program;
use crate::support::{Connection, told, wait_until};
use crate::{Node, join};

const KEYS: usize = 6_000;
const PIPELINE: usize = 300;

/// Keys of all lengths, some with a tag.
fn key(at: usize) -> String {
    match at % 5 {
        0 => format!("{at}"),
        1 => format!("key:{at:012}"),
        2 => format!("{{tag{}}}:{at}", at % 100),
        3 => format!("a key with much to say, and a number: {at:020}"),
        _ => format!("key:{at}"),
    }
}

/// What a pipeline answers.
fn pipelined(client: &mut Connection, lines: &[Vec<String>]) -> Vec<Value> {
    let mut replies = Vec::new();
    for part in lines.chunks(PIPELINE) {
        let mut bytes = Vec::new();
        for words in part {
            write_command(&mut bytes, words);
        }
        client.send(&bytes);
        replies.extend(part.iter().map(|_| client.read()));
    }
    replies
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

fn are_found(options: &str) {
    let nodes: Vec<Node> = (0..2)
        .map(|_| Node::start_with(Program::Cairn, options))
        .collect();
    join(&nodes, 1);
    let mut client = nodes[0].connect();
    let sets: Vec<_> = (0..KEYS)
        .map(|at| words(["SET", &key(at), &format!("value {at}")]))
        .collect();
    assert!(
        pipelined(&mut client, &sets)
            .iter()
            .all(|reply| told(reply) == "OK")
    );
    // What is no key, what has none, what changes the key of the next, and what fails stands between those that are asked for.
    let mut lines = Vec::new();
    for at in 0..KEYS {
        lines.push(match at % 7 {
            0 => words(["ECHO", &key(at)]),
            1 => words(["PING"]),
            2 => words(["EVAL", "return redis.call('get', KEYS[1])", "1", &key(at)]),
            3 => words(["APPEND", &key(at + 1), "!"]),
            4 => words(["LPUSH", &key(at), "x"]),
            5 => words(["MGET", &key(at), &key(at)]),
            _ => words(["EXISTS", &key(at)]),
        });
        lines.push(words(["GET", &key(at)]));
    }
    let replies = pipelined(&mut client, &lines);
    for at in 0..KEYS {
        let expected = match at % 7 {
            4 => format!("value {at}!"),
            _ => format!("value {at}"),
        };
        assert_eq!(told(&replies[2 * at + 1]), expected, "{}", key(at));
        if at % 7 == 2 {
            assert_eq!(told(&replies[2 * at]), expected);
        }
    }
    let digest = |node: &Node| node.ask("DEBUG DIGEST");
    wait_until("the replica has the same", || {
        digest(&nodes[0]) == digest(&nodes[1])
    });
}

#[test]
fn keys_that_are_looked_up_ahead_are_those_that_are_asked_for() {
    are_found("");
}

#[test]
fn so_they_are_with_threads() {
    are_found("--io-threads 3 --io-threads-min-load 0");
}
