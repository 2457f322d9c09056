//! Commands that take their words in pairs refuse an odd one, as 7.0.15 does, and store nothing of the rest.

mod support;

use support::Bench;

#[test]
fn a_word_without_its_other_half_is_refused() {
    let mut bench = Bench::new();
    for (line, words) in [
        ("MSET k 1 b", "wrong number of arguments for 'mset' command"),
        (
            "MSETNX k 1 b",
            "wrong number of arguments for 'msetnx' command",
        ),
        (
            "HSET k a 1 b",
            "wrong number of arguments for 'hset' command",
        ),
        (
            "HMSET k a 1 b",
            "wrong number of arguments for 'hmset' command",
        ),
        (
            "XADD k * a 1 b",
            "wrong number of arguments for 'xadd' command",
        ),
        (
            "XADD k 9-1 a",
            "wrong number of arguments for 'xadd' command",
        ),
        (
            "XADD k NOMKSTREAM MAXLEN 5 9-1 a 1 b",
            "wrong number of arguments for 'xadd' command",
        ),
        ("ZADD k 1 a 2", "syntax error"),
        (
            "ZADD k INCR 1 a 2 b",
            "INCR option supports a single increment-element pair",
        ),
        ("GEOADD k 1 1 m 2", "syntax error"),
    ] {
        assert_eq!(bench.line(line), format!("-ERR {words}\r\n"), "{line}");
        assert_eq!(bench.line("EXISTS k"), ":0\r\n", "{line}");
    }
}
