//! A key that has expired is removed by whoever looks it up, and its removal may move other keys in their table. A command with
//! several keys must not hold on to where it found the first one: it answers as if the expired keys had been deleted before.

mod support;

use support::Bench;

/// Keys of each kind: `a`, `b` and `c`, in all orders of insertion, so that each may move for each.
const ORDERS: [[&str; 3]; 6] = [
    ["a", "b", "c"],
    ["a", "c", "b"],
    ["b", "a", "c"],
    ["b", "c", "a"],
    ["c", "a", "b"],
    ["c", "b", "a"],
];

/// How a key of a kind is made.
const KINDS: [(&str, &str); 6] = [
    ("string", "SET {} value"),
    ("list", "RPUSH {} 1 2 3"),
    ("set", "SADD {} x y z"),
    ("zset", "ZADD {} 1 x 2 y 3 z"),
    ("hash", "HSET {} f 1 g 2"),
    ("stream", "XADD {} 1-1 f v"),
];

/// Commands with several keys, by the kind that the keys have.
const COMMANDS: [(&str, &[&str]); 7] = [
    (
        "any",
        &[
            "RENAME a b",
            "RENAMENX a b",
            "COPY a b",
            "COPY a b REPLACE",
            "DEL a b c",
            "UNLINK c b a",
            "EXISTS a b c a",
            "TOUCH a b c",
            "MOVE a 1",
        ],
    ),
    (
        "string",
        &[
            "MGET a b c",
            "MSET a 1 b 2 c 3",
            "MSETNX a 1 b 2",
            "LCS a b",
            "BITOP AND d a b c",
            "BITOP OR a b c",
            "BITOP NOT a b",
            "PFCOUNT a b",
            "PFMERGE b c",
            "SETRANGE a 3 x",
        ],
    ),
    (
        "list",
        &[
            "LMOVE a b LEFT RIGHT",
            "LMOVE a a LEFT RIGHT",
            "RPOPLPUSH a b",
            "BLMOVE a c RIGHT LEFT 1",
            "BLPOP b a c 1",
            "BRPOP c b a 1",
            "LMPOP 3 c b a LEFT COUNT 2",
            "BLMPOP 1 3 b c a RIGHT",
            "SORT a BY b* GET c* STORE b",
            "SORT a BY nosort GET # STORE a",
        ],
    ),
    (
        "set",
        &[
            "SMOVE a b x",
            "SMOVE a c y",
            "SINTER a b c",
            "SUNION a b c",
            "SDIFF a b c",
            "SINTERCARD 3 a b c",
            "SINTERSTORE b a c",
            "SUNIONSTORE c a b",
            "SDIFFSTORE b a c",
            "SORT a ALPHA STORE b",
        ],
    ),
    (
        "zset",
        &[
            "ZUNION 3 a b c",
            "ZINTER 2 a b",
            "ZDIFF 3 a b c",
            "ZINTERCARD 3 a b c",
            "ZUNIONSTORE b 3 a b c",
            "ZINTERSTORE c 2 a b",
            "ZDIFFSTORE b 2 a c",
            "ZRANGESTORE b a 0 -1",
            "ZMPOP 3 b c a MIN COUNT 2",
            "BZPOPMIN b c a 1",
            "BZMPOP 1 2 c a MAX",
            "GEOSEARCHSTORE b a FROMLONLAT 0 0 BYRADIUS 20000 km",
        ],
    ),
    ("hash", &["HMGET a f g", "SORT a"]),
    (
        "stream",
        &[
            "XREAD COUNT 5 STREAMS a b c 0 0 0",
            "XREAD STREAMS c b a 0 0 0",
            "XREADGROUP GROUP g me STREAMS a b > >",
        ],
    ),
];

/// What a command answers and leaves when `dead` have expired, or were deleted right before.
fn outcome(
    make: &str,
    order: [&str; 3],
    dead: &[&str],
    command: &str,
    expire: bool,
) -> [String; 2] {
    let mut bench = Bench::new();
    for key in order {
        bench.line(&make.replace("{}", key));
        bench.line(&format!("XGROUP CREATE {key} g 0"));
        if expire && dead.contains(&key) {
            bench.line(&format!("PEXPIRE {key} 5"));
        }
        if !expire && dead.contains(&key) {
            bench.line(&format!("DEL {key}"));
        }
    }
    bench.sleep_ms(10);
    let reply = bench.line(command);
    // By another client: the first one may wait.
    let other = bench.open();
    let mut look = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        String::from_utf8_lossy(&bench.run_as(other, &words)).into_owned()
    };
    let mut left = String::new();
    for key in ["a", "b", "c", "d"] {
        let kind = look(&format!("TYPE {key}"));
        left += &kind;
        left += &match kind.trim_end() {
            "+string" => look(&format!("GET {key}")),
            "+list" => look(&format!("LRANGE {key} 0 -1")),
            "+set" => look(&format!("SCARD {key}")),
            "+zset" => look(&format!("ZRANGE {key} 0 -1 WITHSCORES")),
            "+hash" => look(&format!("HLEN {key}")),
            _ => String::new(),
        };
    }
    [reply, left]
}

#[test]
fn expired_keys_are_as_good_as_deleted() {
    let dead: [&[&str]; 5] = [&["b"], &["c"], &["b", "c"], &["a"], &["a", "b"]];
    for (kind, make) in KINDS {
        let lists = COMMANDS
            .iter()
            .filter(|(of, _)| *of == kind || *of == "any");
        for command in lists.flat_map(|(_, commands)| commands.iter()) {
            for order in ORDERS {
                for dead in dead {
                    let got = outcome(make, order, dead, command, true);
                    let want = outcome(make, order, dead, command, false);
                    let sorted = |reply: &str| {
                        let mut lines: Vec<_> = reply.lines().map(str::to_string).collect();
                        lines.sort();
                        lines
                    };
                    // The order of a set is nobody's business.
                    assert_eq!(
                        got.each_ref().map(|s| sorted(s)),
                        want.each_ref().map(|s| sorted(s)),
                        "{command} of a {kind}, inserted as {order:?}, {dead:?} expired"
                    );
                }
            }
        }
    }
}
