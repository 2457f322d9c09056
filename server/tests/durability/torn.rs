//! A log that ends inside a record: the whole ones before it are kept, transactions are whole or gone.

use cairn_format::resp::value::{Value, write_command};

use crate::support::process::check_with;
use crate::support::{Folder, Setup};

/// A unit of the log (a command or a transaction) and the keys it makes.
struct Unit {
    bytes: Vec<u8>,
    keys: &'static [&'static str],
}

fn unit(commands: &[&[&str]], keys: &'static [&'static str]) -> Unit {
    let mut bytes = Vec::new();
    for command in commands {
        write_command(&mut bytes, command);
    }
    Unit { bytes, keys }
}

/// The last increment, unit by unit.
fn units() -> Vec<Unit> {
    vec![
        unit(&[&["SELECT", "0"]], &[]),
        unit(&[&["SET", "one", "1"]], &["one"]),
        unit(
            &[
                &["MULTI"],
                &["SET", "two", "2"],
                &["RPUSH", "three", "a", "b"],
                &["EXEC"],
            ],
            &["two", "three"],
        ),
        unit(&[&["SET", "four", "a value\r\nof two lines"]], &["four"]),
        unit(&[&["MULTI"], &["SET", "five", "5"], &["EXEC"]], &["five"]),
        unit(&[&["SET", "six", "6"]], &["six"]),
    ]
}

/// A folder whose log has a base with the key `base` and one increment, which holds `bytes`.
fn folder_with(bytes: &[u8]) -> (Folder, std::path::PathBuf) {
    let folder = Folder::new();
    let logs = folder.data().join("appendonlydir");
    std::fs::create_dir(&logs).unwrap();
    let mut base = Vec::new();
    write_command(&mut base, &["SELECT", "0"]);
    write_command(&mut base, &["SET", "base", "0"]);
    std::fs::write(logs.join("appendonly.aof.1.base.aof"), base).unwrap();
    let increment = logs.join("appendonly.aof.1.incr.aof");
    std::fs::write(&increment, bytes).unwrap();
    let manifest = "file appendonly.aof.1.base.aof seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n";
    std::fs::write(logs.join("appendonly.aof.manifest"), manifest).unwrap();
    (folder, increment)
}

#[test]
fn cut_at_every_byte_it_starts_with_all_that_is_whole() {
    let units = units();
    let whole: Vec<u8> = units.iter().flat_map(|unit| unit.bytes.clone()).collect();
    for cut in 0..=whole.len() {
        let mut end = 0;
        let mut expected = vec!["base"];
        for unit in &units {
            if end + unit.bytes.len() > cut {
                break;
            }
            end += unit.bytes.len();
            expected.extend(unit.keys);
        }
        expected.sort_unstable();
        let (folder, increment) = folder_with(&whole[..cut]);
        let server = Setup::cairn(&folder).with("--appendonly yes").start();
        let mut connection = server.connect();
        let keys = connection.good("KEYS *");
        let mut found: Vec<&[u8]> = keys
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key.as_bytes().unwrap())
            .collect();
        found.sort_unstable();
        let expected: Vec<&[u8]> = expected.iter().map(|key| key.as_bytes()).collect();
        assert_eq!(found, expected, "cut at {cut}");
        assert_eq!(
            std::fs::metadata(&increment).unwrap().len(),
            end as u64,
            "cut at {cut}"
        );
        let log = server.log();
        assert_eq!(
            log.contains("Truncating"),
            end != cut,
            "cut at {cut}:\n{log}"
        );
        if end != cut {
            assert!(
                log.contains(&format!("at offset {end}")),
                "cut at {cut}:\n{log}"
            );
        }
        // What is written next is found by the next start.
        connection.good("SET next 1");
        server.kill();
        if cut % 16 == 0 {
            check_with(
                "redis-check-aof",
                &folder.data().join("appendonlydir/appendonly.aof.manifest"),
            );
            let server = Setup::cairn(&folder).with("--appendonly yes").start();
            assert_eq!(
                server.connect().int("DBSIZE"),
                expected.len() as i64 + 1,
                "cut at {cut}, second start"
            );
        }
    }
}

#[test]
fn with_the_option_off_a_torn_log_is_refused_and_kept() {
    let units = units();
    let whole: Vec<u8> = units.iter().flat_map(|unit| unit.bytes.clone()).collect();
    let mut ends = vec![0];
    for unit in &units {
        ends.push(ends.last().unwrap() + unit.bytes.len());
    }
    for cut in (1..whole.len())
        .step_by(7)
        .filter(|cut| !ends.contains(cut))
    {
        let (folder, increment) = folder_with(&whole[..cut]);
        let ended = Setup::cairn(&folder)
            .with("--appendonly yes --aof-load-truncated no")
            .run();
        assert_eq!(ended.status.code(), Some(1), "cut at {cut}:\n{}", ended.log);
        assert!(
            ended
                .log
                .contains("Unexpected end of file reading the append only file"),
            "{}",
            ended.log
        );
        assert!(
            ended.log.contains("appendonly.aof.1.incr.aof"),
            "{}",
            ended.log
        );
        assert_eq!(std::fs::read(&increment).unwrap(), &whole[..cut]);
    }
}

#[test]
fn a_torn_file_that_is_not_the_last_is_refused_and_kept() {
    let units = units();
    let whole: Vec<u8> = units.iter().flat_map(|unit| unit.bytes.clone()).collect();
    let cut = whole.len() - 3;
    let (folder, first) = folder_with(&whole[..cut]);
    let logs = folder.data().join("appendonlydir");
    std::fs::write(logs.join("appendonly.aof.2.incr.aof"), &whole).unwrap();
    let manifest = logs.join("appendonly.aof.manifest");
    let mut lines = std::fs::read_to_string(&manifest).unwrap();
    lines.push_str("file appendonly.aof.2.incr.aof seq 2 type i\n");
    std::fs::write(&manifest, lines).unwrap();
    let ended = Setup::cairn(&folder).with("--appendonly yes").run();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.log);
    assert!(
        ended.log.contains("appendonly.aof.1.incr.aof"),
        "{}",
        ended.log
    );
    assert_eq!(std::fs::read(first).unwrap(), &whole[..cut]);
}

#[test]
fn a_torn_base_is_refused_and_kept() {
    let (folder, _) = folder_with(b"");
    let base = folder
        .data()
        .join("appendonlydir/appendonly.aof.1.base.aof");
    let bytes = std::fs::read(&base).unwrap();
    let cut = &bytes[..bytes.len() - 2];
    std::fs::write(&base, cut).unwrap();
    let ended = Setup::cairn(&folder).with("--appendonly yes").run();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.log);
    assert_eq!(std::fs::read(&base).unwrap(), cut);
}

#[test]
fn a_torn_log_without_any_base_of_its_own_starts_with_what_is_whole() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).with("--appendonly yes").start();
    let mut connection = server.connect();
    connection.good("SET kept 1");
    assert_eq!(
        connection.call(&["SET", "torn", "2"]),
        Value::Simple(b"OK".into())
    );
    server.kill();
    let increment = folder.log_file(".incr.");
    let bytes = std::fs::read(&increment).unwrap();
    std::fs::write(&increment, &bytes[..bytes.len() - 1]).unwrap();
    let server = Setup::cairn(&folder).with("--appendonly yes").start();
    let mut connection = server.connect();
    assert_eq!(connection.text("GET kept"), "1");
    assert_eq!(connection.int("EXISTS torn"), 0);
}
