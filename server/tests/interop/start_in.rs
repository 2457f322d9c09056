//! Ours starts in folders that 7.0.15 left, and goes on from there.

use crate::support::dataset::{assert_same, digest, fill, holdings};
use crate::support::process::{children_of, send_signal};
use crate::support::{Connection, Folder, Setup};

/// Ours must hold what the reference held; then the reference must hold what ours made of it.
fn go_over(folder: &Folder, options: &str, from: &mut Connection, end: impl FnOnce()) {
    let (expected, sum) = (holdings(from), digest(from));
    end();
    let server = Setup::cairn(folder)
        .with("--rdb-save-version 10")
        .with(options)
        .start();
    let mut connection = server.connect();
    assert_same(&expected, &holdings(&mut connection));
    assert_eq!(digest(&mut connection), sum);
    connection.good("SET then ours");
    connection.good("RPUSH list:mixed more");
    if !options.contains("appendonly") {
        connection.good("SAVE");
    }
    let (expected, sum) = (holdings(&mut connection), digest(&mut connection));
    server.stop();
    let server = Setup::reference(folder).with(options).start();
    let mut connection = server.connect();
    assert_same(&expected, &holdings(&mut connection));
    assert_eq!(digest(&mut connection), sum);
}

#[test]
fn a_snapshot_of_the_reference() {
    let folder = Folder::new();
    let server = Setup::reference(&folder).start();
    let mut connection = server.connect();
    fill(&mut connection);
    connection.good("SAVE");
    go_over(&folder, "", &mut connection, || server.kill());
}

fn log_of_the_reference(options: &str) {
    let folder = Folder::new();
    let options = format!("--appendonly yes {options}");
    let server = Setup::reference(&folder).with(&options).start();
    let mut connection = server.connect();
    fill(&mut connection);
    connection.good("BGREWRITEAOF");
    connection.wait_for_children();
    for round in 0..3 {
        connection.good("MULTI");
        connection.good(&format!("SET round:{round} x PXAT 4102444800555"));
        connection.good("SELECT 9");
        connection.good("INCR counter");
        connection.good("EXEC");
        connection.good("SELECT 0");
        connection.good(&format!("LPUSH list:long {round}"));
        // A rewrite that is killed leaves one more increment.
        connection.good("CONFIG SET rdb-key-save-delay 10000");
        connection.good("BGREWRITEAOF");
        for child in children_of(server.pid()) {
            send_signal(child, libc::SIGKILL);
        }
        connection.wait_for_children();
        connection.good(&format!("SADD set:table round:{round}"));
    }
    let increments = folder
        .names()
        .iter()
        .filter(|name| name.contains(".incr."))
        .count();
    assert_eq!(increments, 4, "{:?}", folder.names());
    go_over(&folder, &options, &mut connection, || server.kill());
}

#[test]
fn a_log_of_the_reference_with_a_snapshot_as_base() {
    log_of_the_reference("");
}

#[test]
fn a_log_of_the_reference_with_commands_as_base() {
    log_of_the_reference("--aof-use-rdb-preamble no");
}

#[test]
fn a_log_of_the_reference_with_other_names_and_timestamps() {
    log_of_the_reference(
        "--appenddirname logs --appendfilename my.aof --aof-timestamp-enabled yes",
    );
}
