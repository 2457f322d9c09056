//! What INFO counts as refused and as failed, beside 7.0.15: refused is what did not run.

use crate::both;
use crate::support::process::Server;

/// Each on a connection of its own.
const REQUESTS: &[&[&str]] = &[
    &["SET k v", "LPUSH k x", "GET k", "GET"],
    &["DEBUG JMAP", "DEBUG", "DEBUG SLEEP 0"],
    &[
        "MODULE LOAD /nowhere",
        "MODULE UNLOAD x",
        "MODULE LIST",
        "MODULE NOSUCH",
    ],
    &[
        "NOSUCH",
        "CONFIG NOSUCH",
        "CONFIG GET",
        "CONFIG SET nosuch 1",
    ],
    &["MULTI", "GET", "EXEC", "EXEC", "DISCARD"],
    &["MULTI", "LPUSH k x", "GET k", "EXEC"],
    &["MULTI", "DEBUG JMAP", "EXEC"],
    &["WATCH k", "SET k w", "MULTI", "PING", "EXEC"],
    &["SUBSCRIBE x", "GET k", "PING"],
    &["AUTH x", "HELLO 9", "SELECT 99", "OBJECT ENCODING nothing"],
    &["BLPOP k 0.01", "BLPOP nothing 0.01", "BLPOP nothing x"],
    &["EXPIRE k", "EXPIRE k x", "INCR k", "ZADD z x y"],
    &["CLIENT KILL 1.2.3.4:5", "CLIENT NOSUCH", "MONITOR x"],
];

fn counted(server: &Server) -> Vec<String> {
    for requests in REQUESTS {
        let mut client = server.connect();
        requests
            .iter()
            .for_each(|request| drop(client.line(request)));
    }
    let mut c = server.connect();
    let mut lines = Vec::new();
    for (name, value) in c.info("commandstats") {
        let shown = value.split(',').filter(|pair| !pair.starts_with("usec"));
        lines.push(format!("{name}:{}", shown.collect::<Vec<_>>().join(",")));
    }
    lines.extend(
        c.info("errorstats")
            .into_iter()
            .map(|(name, value)| format!("{name}:{value}")),
    );
    lines.push(format!(
        "total_error_replies:{}",
        c.info("stats")["total_error_replies"]
    ));
    // The harness asks until the server answers.
    lines.retain(|line| !line.starts_with("cmdstat_ping") && !line.starts_with("cmdstat_info"));
    lines
}

#[test]
fn refused_and_failed_are_those_of_the_reference() {
    let (_folders, servers) = both("");
    let [ours, expected] = servers.each_ref().map(counted);
    assert_eq!(ours, expected);
}
