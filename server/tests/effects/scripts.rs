//! What others see while a script runs for long, and which scripts are kept.

use std::time::Duration;

use cairn_format::resp::value::Value;

use crate::support::connection::Connection;
use crate::support::{Folder, Setup, wait_until};

const BUSY: &str =
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";

/// A reply as text, in Rust's notation: bytes become readable.
fn shown(value: &Value) -> String {
    match value {
        Value::Bulk(bytes) | Value::Simple(bytes) | Value::Error(bytes) => {
            String::from_utf8_lossy(bytes).into_owned()
        }
        Value::Array(all) => all.iter().map(shown).collect::<Vec<_>>().join(" "),
        other => format!("{other:?}"),
    }
}

/// Begins a script without an answer.
fn begin(client: &mut Connection, words: &[&str]) {
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request += &format!("${}\r\n{word}\r\n", word.len());
    }
    client.send(request.as_bytes());
}

fn wait_for_busy(client: &mut Connection, busy: &str) {
    wait_until("the script is slow", || {
        std::thread::sleep(Duration::from_millis(5));
        shown(&client.line("GET key")).contains(busy)
    });
}

#[test]
fn others_are_served_from_busy_reply_threshold_on() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder)
        .with("--busy-reply-threshold 20")
        .start();
    let (mut runs, mut other) = (server.connect(), server.connect());
    other.good("SET key value");
    // In a pipeline: what comes before is answered, what comes behind waits.
    runs.send(b"*1\r\n$4\r\nPING\r\n");
    begin(
        &mut runs,
        &[
            "EVAL",
            "while true do pcall(function() while true do end end) end",
            "0",
        ],
    );
    begin(&mut runs, &["GET", "key"]);
    wait_for_busy(&mut other, BUSY);
    // Who comes now is let in, and may do what ends it.
    let mut new = server.connect();
    assert_eq!(new.error("PING"), BUSY);
    assert_eq!(new.error("FUNCTION KILL"), BUSY);
    assert_eq!(new.error("SHUTDOWN SAVE"), BUSY);
    new.good("HELLO 2");
    new.good("MULTI");
    assert_eq!(new.error("INCR n"), BUSY);
    assert!(new.error("EXEC").starts_with("EXECABORT"));
    new.good("SCRIPT KILL");
    assert_eq!(shown(&runs.read()), "PONG");
    let ended = shown(&runs.read());
    assert!(
        ended.contains("Script killed by user with SCRIPT KILL"),
        "{ended}"
    );
    assert_eq!(shown(&runs.read()), "value");
    assert_eq!(
        new.error("SCRIPT KILL"),
        "NOTBUSY No scripts in execution right now."
    );
    server.stop();
}

/// The poller tells nothing twice: who asked in the turn in which the script began is served in between, too.
#[test]
fn who_asked_in_the_same_turn_can_end_the_script() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder)
        .with("--busy-reply-threshold 1")
        .start();
    let mut other = server.connect();
    for _ in 0..30 {
        let mut runs = server.connect();
        begin(&mut runs, &["EVAL", "while true do end", "0"]);
        while shown(&other.line("PING")) == "PONG" {}
        other.good("SCRIPT KILL");
        assert!(shown(&runs.read()).contains("killed by user"));
    }
    server.stop();
}

/// A script that has changed something ends by itself or with the server, and then nothing of it is in the log.
#[test]
fn half_a_script_is_in_no_log() {
    let folder = Folder::new();
    let options = "--busy-reply-threshold 20 --appendonly yes --appendfsync always";
    let mut server = Setup::cairn(&folder).with(options).start();
    let (mut runs, mut other) = (server.connect(), server.connect());
    other.good("SET key value");
    begin(
        &mut runs,
        &[
            "EVAL",
            "redis.call('SET', 'half', 1) while true do end",
            "0",
        ],
    );
    wait_for_busy(&mut other, BUSY);
    assert!(other.error("SCRIPT KILL").starts_with("UNKILLABLE"));
    other.send(b"SHUTDOWN NOSAVE\r\n");
    server.wait_end();
    let server = Setup::cairn(&folder).with(options).start();
    let mut client = server.connect();
    assert_eq!(client.int("EXISTS half"), 0);
    assert_eq!(client.text("GET key"), "value");
    server.stop();
}

#[test]
fn functions_say_which_command_ends_them() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder)
        .with("--busy-reply-threshold 20")
        .start();
    let (mut runs, mut other) = (server.connect(), server.connect());
    let code = "#!lua name=l\nredis.register_function('f', function() while true do end end)";
    other.good_call(&["FUNCTION", "LOAD", code]);
    begin(&mut runs, &["FCALL", "f", "0"]);
    wait_for_busy(&mut other, "FUNCTION KILL");
    assert!(other.error("SCRIPT KILL").starts_with("BUSY"));
    let stats = shown(&other.line("FUNCTION STATS"));
    assert!(
        stats.contains("FCALL") && stats.contains("duration_ms"),
        "{stats}"
    );
    other.good("FUNCTION KILL");
    assert!(shown(&runs.read()).contains("script: f, on @user_function:2."));
    server.stop();
}

#[test]
fn as_many_scripts_are_kept_as_script_cache_max_says() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).with("--script-cache-max 3").start();
    let mut client = server.connect();
    let loaded = shown(&client.good_call(&["SCRIPT", "LOAD", "return 'loaded'"]));
    for n in 0..10 {
        let code = format!("return {n}");
        assert_eq!(client.good_call(&["EVAL", &code, "0"]), Value::Int(n));
    }
    assert_eq!(client.info("memory")["number_of_cached_scripts"], "4");
    assert_eq!(client.text(&format!("EVALSHA {loaded} 0")), "loaded");
    let gone = client.error("EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0");
    assert_eq!(gone, "NOSCRIPT No matching script. Please use EVAL.");
    server.stop();
}

/// What a script leaves behind in Lua is given back, however much it was.
#[test]
fn what_a_large_script_took_is_given_back() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut client = server.connect();
    let code = "local t = {} for n = 1, 64 do t[n] = string.rep('x', 1000000) .. n end return #t";
    assert_eq!(client.good_call(&["EVAL", code, "0"]), Value::Int(64));
    let held: u64 = client.info("memory")["used_memory_vm_eval"]
        .parse()
        .unwrap();
    assert!(held < 1 << 20, "{held} bytes");
    server.stop();
}
