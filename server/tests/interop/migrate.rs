//! MIGRATE between ours and 7.0.15, both ways, and between two of ours.

use std::net::TcpListener;

use cairn_format::resp::value::Value;

use crate::support::dataset::{assert_same, holdings};
use crate::support::process::Server;
use crate::support::{Connection, Folder, Setup};

const KEYS: &str = "string int list listpack set intset zset hash stream";

/// One key of each type; the long ones are no listpacks.
fn fill(connection: &mut Connection) {
    connection.good("SET string hello PX 3000000");
    connection.good("SET int 12");
    for i in 0..3000 {
        connection.good(&format!("RPUSH list element:{i}"));
    }
    connection.good("RPUSH listpack a b 3");
    connection.good("SADD set a b 3");
    connection.good("SADD intset 1 2 3");
    connection.good("ZADD zset 1.5 a 2 b");
    connection.good("HSET hash f v g 7");
    connection.good("XADD stream 1-1 f v");
    connection.good("XGROUP CREATE stream g 0");
}

fn keys() -> Vec<&'static str> {
    KEYS.split(' ').collect()
}

/// The words of a MIGRATE of all keys to database 0.
fn migrate(to: &Server, more: &str) -> Vec<String> {
    let line = format!("MIGRATE 127.0.0.1 {} - 0 5000 {more} KEYS {KEYS}", to.port);
    let words = line.split_whitespace();
    words
        .map(|word| if word == "-" { "" } else { word }.to_string())
        .collect()
}

/// Expiries may be some milliseconds apart after a journey.
fn without_expiry(connection: &mut Connection) -> crate::support::dataset::Holdings {
    let mut all = holdings(connection);
    all.values_mut()
        .for_each(|(_, expiry)| *expiry = expiry.signum());
    all
}

fn there_and_back(a: &Server, b: &Server) {
    let (mut here, mut there) = (a.connect(), b.connect());
    fill(&mut here);
    let expected = without_expiry(&mut here);
    here.good_call(&migrate(b, ""));
    assert_eq!(here.int("DBSIZE"), 0);
    assert_same(&expected, &without_expiry(&mut there));
    let left = there.int("PTTL string");
    assert!((2_900_000..=3_000_000).contains(&left), "{left}");
    there.good_call(&migrate(a, ""));
    assert_eq!(there.int("DBSIZE"), 0);
    assert_same(&expected, &without_expiry(&mut here));
}

#[test]
fn every_type_goes_to_the_reference_and_back() {
    let (ours, theirs) = (Folder::new(), Folder::new());
    let (ours, theirs) = (
        Setup::cairn(&ours).start(),
        Setup::reference(&theirs).start(),
    );
    there_and_back(&ours, &theirs);
}

#[test]
fn every_type_goes_to_another_of_ours_and_back() {
    let (a, b) = (Folder::new(), Folder::new());
    let (a, b) = (Setup::cairn(&a).start(), Setup::cairn(&b).start());
    there_and_back(&a, &b);
}

#[test]
fn copies_replacements_and_refusals_are_those_of_the_reference() {
    let folders = [Folder::new(), Folder::new(), Folder::new()];
    let ours = Setup::cairn(&folders[0]).start();
    let theirs = Setup::reference(&folders[1]).start();
    let target = Setup::reference(&folders[2])
        .with("--requirepass secret")
        .start();
    let port = target.port;
    for source in [&ours, &theirs] {
        let (mut from, mut to) = (source.connect(), target.connect());
        to.good("AUTH secret");
        to.good("FLUSHALL");
        from.good("MSET a 1 b 2 c 3");
        let mut run = |line: &str| {
            let words: Vec<&str> = line
                .split(' ')
                .map(|w| if w == "-" { "" } else { w })
                .collect();
            match from.call(&words) {
                Value::Error(text) | Value::Simple(text) | Value::Bulk(text) => {
                    String::from_utf8_lossy(&text).into_owned()
                }
                _ => String::new(),
            }
        };
        let to_target = |rest: &str| {
            let (key, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            format!("MIGRATE 127.0.0.1 {port} {key} 0 2000 {rest}")
                .trim_end()
                .to_string()
        };
        let refused = run(&to_target("a"));
        assert_eq!(
            refused,
            "ERR Target instance replied with error: NOAUTH Authentication required."
        );
        let refused = run(&to_target("a AUTH wrong"));
        assert_eq!(
            refused,
            "ERR Target instance replied with error: WRONGPASS invalid username-password pair or user is disabled."
        );
        assert_eq!(run(&to_target("a AUTH secret COPY")), "OK");
        assert_eq!(run("GET a"), "1");
        let busy =
            "ERR Target instance replied with error: BUSYKEY Target key name already exists.";
        assert_eq!(run(&to_target("a AUTH secret")), busy);
        assert_eq!(run(&to_target("a AUTH2 default secret REPLACE")), "OK");
        assert_eq!(run("GET a"), "");
        // What can go goes, although one of the keys is refused.
        run("SET a again");
        assert_eq!(run(&to_target("- AUTH secret KEYS a b c nosuch")), busy);
        assert_eq!(run("GET a"), "again");
        assert_eq!((run("GET b"), run("GET c")), (String::new(), String::new()));
        assert_eq!(run(&to_target("nosuch AUTH secret")), "NOKEY");
        let far = format!("MIGRATE 127.0.0.1 {port} a 99 2000 AUTH secret");
        let far = run(&far);
        assert_eq!(
            far,
            "ERR Target instance replied with error: ERR DB index is out of range"
        );
        assert_eq!(run("GET a"), "again");
        assert_eq!(
            (to.text("GET b"), to.text("GET c")),
            ("2".into(), "3".into())
        );
    }
}

#[test]
fn who_does_not_answer_costs_the_timeout_and_no_key() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut connection = server.connect();
    connection.good("SET k v");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    // Long enough for the request to be written on a busy machine.
    let line = format!("MIGRATE 127.0.0.1 {port} k 0 1000");
    assert_eq!(
        connection.error(&line),
        "IOERR error or timeout reading to target instance"
    );
    drop(silent);
    assert_eq!(
        connection.error(&line),
        "IOERR error or timeout writing to target instance"
    );
    assert_eq!(connection.text("GET k"), "v");
}

#[test]
fn what_has_gone_is_deleted_in_the_log() {
    let (folder, other) = (Folder::new(), Folder::new());
    let target = Setup::cairn(&other).start();
    let setup = Setup::cairn(&folder).with("--appendonly yes --appendfsync always");
    let server = setup.start();
    let mut connection = server.connect();
    connection.good("MSET a 1 b 2 stays 3");
    let line = format!("MIGRATE 127.0.0.1 {} - 0 5000 KEYS a b", target.port);
    let words: Vec<&str> = line
        .split(' ')
        .map(|w| if w == "-" { "" } else { w })
        .collect();
    connection.good_call(&words);
    connection.good(&format!(
        "MIGRATE 127.0.0.1 {} stays 1 5000 COPY",
        target.port
    ));
    server.kill();
    let server = setup.start();
    let mut connection = server.connect();
    assert_eq!(connection.int("DBSIZE"), 1);
    assert_eq!(connection.text("GET stays"), "3");
    assert_eq!(target.connect().int("DBSIZE"), 2);
}

#[test]
fn a_payload_is_written_in_the_version_that_was_asked_for() {
    let (ours, theirs) = (Folder::new(), Folder::new());
    let ours = Setup::cairn(&ours).with("--rdb-save-version 10").start();
    let theirs = Setup::reference(&theirs).start();
    let (mut from, mut to) = (ours.connect(), theirs.connect());
    fill(&mut from);
    for key in keys() {
        let payload = from.good_call(&["DUMP", key]);
        let payload = payload.as_bytes().unwrap();
        to.good_call(&[b"RESTORE".as_slice(), key.as_bytes(), b"0", payload]);
    }
    from.good("PERSIST string");
    assert_same(&holdings(&mut from), &holdings(&mut to));
}
