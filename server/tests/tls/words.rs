//! What CONFIG, the start and INFO say, beside what the reference says.

use super::authority::{Authority, Wish};
use super::support::process::Program;
use super::support::{Folder, Setup};
use super::talk::{Encrypted, FILES, Place};

/// The lines of a log that tell of an end, without time and process.
fn told(log: &str) -> Vec<String> {
    let lines = log.lines().filter_map(|line| line.split_once(" # "));
    let lines = lines.map(|(_, text)| text.split(": error:").next().unwrap_or_default().to_owned());
    lines
        .filter(|text| !text.starts_with("WARNING") && !text.starts_with("Warning: no config"))
        .collect()
}

#[test]
fn a_start_that_cannot_be_ends_with_the_words_of_the_reference() {
    let place = Place::new();
    for options in [
        "--tls-port 1",
        "--tls-port 1 --tls-cert-file server.crt",
        "--tls-port 1 --tls-cert-file server.crt --tls-key-file server.key",
        "--tls-replication yes",
        "--tls-cluster yes",
        "--tls-cluster yes --tls-auth-clients no --tls-cert-file server.crt --tls-key-file server.key",
    ] {
        let [ours, theirs] = [Program::Cairn, Program::Reference].map(|program| {
            let ended = Setup::new(program, &place.folder).with(options).run();
            (ended.status.code(), told(&ended.log))
        });
        assert_eq!(ours.0, theirs.0, "{options}");
        let last = |lines: &[String]| lines[lines.len().saturating_sub(2)..].to_vec();
        assert_eq!(last(&ours.1), last(&theirs.1), "{options}");
    }
    let ended = Setup::cairn(&place.folder)
        .with(&format!("--tls-port 1 {FILES} --tls-cert-file missing.crt"))
        .run();
    assert!(
        ended
            .log
            .contains("Failed to load certificate: missing.crt: No such file or directory"),
        "{}",
        ended.log
    );
}

#[test]
fn both_answer_config_alike() {
    let folders = [Folder::new(), Folder::new()];
    let authority = Authority::new("the authority");
    for folder in &folders {
        for name in ["server", "client"] {
            authority.write(&folder.data(), name, Wish::default());
        }
    }
    let [ours, theirs] = [Program::Cairn, Program::Reference];
    let servers = [
        Encrypted::start(ours, &folders[0], ""),
        Encrypted::start(theirs, &folders[1], ""),
    ];
    let mut controls = servers.each_ref().map(|one| one.server.connect());
    for words in [
        &["CONFIG", "GET", "tls-*file*"][..],
        &["CONFIG", "SET", "tls-cert-file", "/nowhere"],
        &["CONFIG", "SET", "tls-key-file", "client.key"],
        &["CONFIG", "SET", "tls-protocols", "nonsense"],
        &["CONFIG", "SET", "tls-protocols", "TLSv1.2 TLSv1.3"],
        &["CONFIG", "SET", "tls-ciphers", "nonsense"],
        &["CONFIG", "SET", "tls-ciphersuites", "nonsense"],
        &["CONFIG", "SET", "tls-auth-clients", "maybe"],
        &["CONFIG", "SET", "tls-auth-clients", "optional"],
        &["CONFIG", "SET", "tls-session-cache-size", "0"],
        &["CONFIG", "SET", "tls-session-caching", "no"],
        &["CONFIG", "SET", "tls-ca-cert-file", ""],
        &["CONFIG", "SET", "tls-port", "0"],
        &["CONFIG", "SET", "tls-cert-file", "/nowhere"],
        &["CONFIG", "SET", "tls-replication", "yes"],
        &[
            "CONFIG",
            "SET",
            "tls-cert-file",
            "client.crt",
            "tls-key-file",
            "client.key",
        ],
        &["CONFIG", "SET", "tls-replication", "yes"],
        &["CONFIG", "GET", "tls-*c*"],
    ] {
        let [ours, theirs] = controls.each_mut().map(|control| control.call(words));
        assert_eq!(sorted(&ours), sorted(&theirs), "{words:?}");
    }
}

/// A reply whose pairs stand in any order.
fn sorted(value: &cairn_format::resp::value::Value) -> Vec<String> {
    let words = |value: &cairn_format::resp::value::Value| super::talk::told(value);
    match value.as_array() {
        None => vec![words(value)],
        Some(list) => {
            let pairs = list.chunks(2).map(|pair| pair.iter().map(words).collect());
            let mut pairs: Vec<Vec<String>> = pairs.collect();
            pairs.sort();
            pairs.concat()
        }
    }
}

#[test]
fn a_server_may_listen_for_encrypted_connections_alone() {
    let place = Place::new();
    let encrypted = place.start("--tls-auth-clients no");
    let mut control = encrypted.server.connect();
    control.good("CONFIG SET port 0");
    let mut talk = encrypted.talk(&place.config(None));
    let info = talk.ask("INFO server");
    assert!(
        info.contains(&format!("tcp_port:{}\r\n", encrypted.port)),
        "{info}"
    );
    assert!(
        info.contains("listener2:name=tls") && !info.contains("listener0"),
        "{info}"
    );
}
