//! Times: LATENCY, INFO latencystats, commandstats.

use crate::both;
use crate::support::process::Server;
use crate::support::told;
use crate::support::{Connection, Folder, Setup};

/// `p50` and the like of a command, microseconds.
fn percentile(c: &mut Connection, command: &str, name: &str) -> f64 {
    let line = c.info("latencystats")[&format!("latency_percentiles_usec_{command}")].clone();
    let mut parts = line.split(',').filter_map(|part| part.split_once('='));
    let found = parts.find(|(known, _)| *known == name);
    found.expect("a percentile").1.parse().expect("a number")
}

/// What a client sees of a histogram is what it did.
#[test]
fn percentiles_and_steps_show_what_commands_took() {
    let folder = Folder::new();
    let options = "--enable-debug-command yes --latency-tracking-info-percentiles 50 100";
    let server = Setup::cairn(&folder).with(options).start();
    let mut c = server.connect();
    (0..9).for_each(|_| drop(c.good("DEBUG SLEEP 0.002")));
    c.good("DEBUG SLEEP 0.1");
    let (half, all) = (
        percentile(&mut c, "debug", "p50"),
        percentile(&mut c, "debug", "p100"),
    );
    assert!((2_000.0..50_000.0).contains(&half), "{half}");
    assert!((100_000.0..1_000_000.0).contains(&all), "{all}");
    let reply = c.good("LATENCY HISTOGRAM debug nosuch");
    let map = reply.as_array().unwrap();
    assert_eq!(map.len(), 2);
    assert_eq!(map[0].as_bytes(), Some(&b"debug"[..]));
    let figures = map[1].as_array().unwrap();
    assert_eq!(figures[1].as_int(), Some(10));
    let steps = figures[3].as_array().unwrap();
    assert_eq!(steps.last().unwrap().as_int(), Some(10));
    // Without histograms there are no lines, and the old ones stay.
    c.good("CONFIG SET latency-tracking no");
    c.good("DEBUG SLEEP 0");
    assert!(
        !c.info("latencystats")
            .contains_key("latency_percentiles_usec_debug")
    );
    let reply = c.good("LATENCY HISTOGRAM debug");
    assert_eq!(
        reply.as_array().unwrap()[1].as_array().unwrap()[1].as_int(),
        Some(10)
    );
    c.good("CONFIG RESETSTAT");
    let reply = c.good("LATENCY HISTOGRAM");
    assert_eq!(reply.as_array().unwrap().len(), 0);
}

/// A command is timed without the wait for its bytes, its predecessors and whom it serves.
#[test]
fn only_the_own_time_counts() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder)
        .with("--enable-debug-command yes")
        .start();
    let (mut c, mut waiting) = (server.connect(), server.connect());
    waiting.send(b"BLPOP list 0\r\n");
    crate::support::wait_until("it waits", || c.info("clients")["blocked_clients"] == "1");
    std::thread::sleep(std::time::Duration::from_millis(50));
    c.send(b"DEBUG SLEEP 0.05\r\nPING\r\nMULTI\r\nDEBUG SLEEP 0.05\r\nRPUSH list x\r\nEXEC\r\n");
    (0..6).for_each(|_| drop(c.read()));
    waiting.read();
    let stats = c.info("commandstats");
    let usec = |command: &str| -> u64 {
        let line = &stats[&format!("cmdstat_{command}")];
        let (_, rest) = line.split_once("usec=").unwrap();
        rest.split_once(',').unwrap().0.parse().unwrap()
    };
    assert!((100_000..1_000_000).contains(&usec("debug")));
    assert!(usec("exec") >= 50_000, "what runs inside counts there, too");
    for quick in ["ping", "rpush", "blpop", "multi"] {
        assert!(usec(quick) < 40_000, "{quick}: {}", usec(quick));
    }
}

fn shapes(server: &Server) -> Vec<String> {
    let mut c = server.connect();
    let requests = [
        "LATENCY LATEST",
        "LATENCY HISTORY command",
        "LATENCY HISTORY nosuch",
        "LATENCY GRAPH nosuch",
        "LATENCY RESET",
        "LATENCY RESET nosuch",
        "LATENCY HISTOGRAM nosuch",
        "LATENCY HELP",
        "LATENCY HELP x",
        "LATENCY NOSUCH",
        "LATENCY GRAPH",
        "LATENCY",
        "SLOWLOG",
        "SLOWLOG HELP",
        "SLOWLOG LEN x",
        "SLOWLOG GET 1 2",
    ];
    requests
        .iter()
        .map(|request| {
            let reply = told(&c.line(request));
            // 7.2 says it in the third person no more.
            reply.replace("Prints this help", "Print this help")
        })
        .collect()
}

#[test]
fn answers_without_events_are_those_of_the_reference() {
    let (_folders, servers) = both("");
    let [ours, expected] = servers.each_ref().map(shapes);
    assert_eq!(ours, expected);
}

#[test]
fn events_are_noted_and_told() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder)
        .with("--enable-debug-command yes --latency-monitor-threshold 20")
        .start();
    let mut c = server.connect();
    c.good("DEBUG SLEEP 0.03");
    let latest = c.good("LATENCY LATEST");
    let event = latest.as_array().unwrap()[0].as_array().unwrap();
    assert_eq!(event[0].as_bytes(), Some(&b"command"[..]));
    let ms = event[2].as_int().unwrap();
    assert!((30..1000).contains(&ms) && event[3].as_int() == Some(ms));
    let history = c.good("LATENCY HISTORY command");
    let samples = history.as_array().unwrap();
    assert_eq!(samples[0].as_array().unwrap()[1].as_int(), Some(ms));
    assert!(
        c.text("LATENCY GRAPH command")
            .starts_with(&format!("command - high {ms} ms, low "))
    );
    assert!(c.text("LATENCY DOCTOR").contains("1. command: 1 seconds"));
    assert_eq!(c.int("LATENCY RESET COMMAND"), 1);
    assert_eq!(c.good("LATENCY LATEST").as_array().unwrap().len(), 0);
    assert!(c.text("LATENCY DOCTOR").contains("Nothing took 20"));
}
