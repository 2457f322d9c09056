//! Numbers of databases at their edges, in all commands that take one; as a Redis 7.0.15 with 16 databases replies.

mod support;

use support::Bench;

#[test]
fn the_last_database_is_one_and_the_next_is_none() {
    const OUT: &str = "-ERR DB index is out of range\r\n";
    let none = ["16", "17", "-1", "9223372036854775807"];
    for number in none {
        for line in [
            format!("SELECT {number}"),
            format!("MOVE k {number}"),
            format!("MOVE missing {number}"),
            format!("COPY k d DB {number}"),
            format!("COPY missing d DB {number}"),
            format!("SWAPDB 0 {number}"),
            format!("SWAPDB {number} 0"),
        ] {
            let mut bench = Bench::new();
            bench.line("SET k v");
            let reply = bench.line(&line);
            // All but MOVE read an int of C; what is beyond it is no index.
            let beyond = number.len() > 3 && !line.contains("MOVE");
            assert!(
                reply == OUT || (beyond && reply.starts_with("-ERR ")),
                "{line}: {reply}"
            );
            assert_eq!(bench.line("GET k"), "$1\r\nv\r\n", "{line}");
        }
    }
    for (line, reply) in [
        ("MOVE k 15", ":1\r\n"),
        ("COPY k d DB 15", ":1\r\n"),
        ("SWAPDB 0 15", "+OK\r\n"),
        ("SELECT 15", "+OK\r\n"),
        (
            "MOVE k x",
            "-ERR value is not an integer or out of range\r\n",
        ),
        ("SWAPDB x 0", "-ERR invalid first DB index\r\n"),
    ] {
        let mut bench = Bench::new();
        bench.line("SET k v");
        assert_eq!(bench.line(line), reply, "{line}");
    }
}
