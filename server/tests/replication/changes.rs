//! Changes of every sort, as clients make them on a primary, and what must be the same on its replicas then.

use std::collections::BTreeMap;

use cairn_format::resp::value::Value;

use crate::fleet::{Member, all_in_step, said, same_digest};
use crate::support::Connection;
use crate::support::dataset::{Holdings, assert_same, fill, holdings};
use crate::support::process::Program::{Reference, Valkey8, Valkey9};

/// The types that the data set of all tests has none of.
const MORE: &[&str] = &[
    "XADD entries 1-1 a 1 b 2",
    "XADD entries 2-1 a 3 b 4",
    "XADD entries 3-1 other field",
    "XADD entries 4-1 a 5 b 6",
    "XDEL entries 2-1",
    "XGROUP CREATE entries readers 0 ENTRIESREAD 2",
    "XREADGROUP GROUP readers first COUNT 2 STREAMS entries >",
    "XGROUP CREATE entries idle $",
    "PFADD sketch a b c d e",
    "GEOADD places 13.361389 38.115556 Palermo 15.087269 37.502669 Catania",
    "SETBIT bits 1000 1",
    "SADD plain-set 1 2 3 4 5 6",
];

/// One line for each way in which data changes, most of them for what the lines before made.
const CHANGES: &[&str] = &[
    "SET plain 1",
    "SETEX for-a-while 1000 v",
    "PSETEX for-less 1000000 v",
    "SET kept v EXAT 4102444800",
    "SET kept w KEEPTTL",
    "SET kept w XX GET",
    "GETSET plain 2",
    "MSET m1 1 m2 2",
    "MSETNX m3 3 m4 4",
    "GETDEL m1",
    "GETEX m2 EX 1000",
    "GETEX m2 PERSIST",
    "APPEND plain x",
    "SETRANGE plain 5 abc",
    "INCR counted",
    "DECRBY counted 7",
    "INCRBYFLOAT float 1.5",
    "SETBIT bits 7 1",
    "BITFIELD bits SET u8 0 200 INCRBY i5 100 1",
    "BITOP NOT negated bits",
    "RPUSH listed a b c d e f",
    "LPUSHX listed z",
    "LINSERT listed BEFORE b between",
    "LSET listed 0 first",
    "LREM listed 1 f",
    "LTRIM listed 0 4",
    "LMOVE listed other-list LEFT RIGHT",
    "RPOPLPUSH listed other-list",
    "LMPOP 1 listed LEFT COUNT 2",
    "LPOP other-list 1",
    "SADD some 1 2 3 x",
    "SREM some 1",
    "SMOVE some others x",
    "SPOP plain-set 2",
    "SUNIONSTORE all-of-them some others plain-set",
    "SINTERSTORE none some others",
    "SDIFFSTORE left plain-set some",
    "HSET hashed a 1 b 2 c 3",
    "HSETNX hashed d 4",
    "HINCRBY hashed a 5",
    "HINCRBYFLOAT hashed b 0.25",
    "HDEL hashed c",
    "ZADD ranked 1 a 2 b 3 c 4 d 5 e",
    "ZADD ranked GT CH 9 a",
    "ZADD ranked INCR 1.5 b",
    "ZINCRBY ranked 2 c",
    "ZREM ranked d",
    "ZPOPMIN ranked",
    "ZUNIONSTORE summed 2 ranked plain-set WEIGHTS 1 2",
    "ZRANGESTORE part summed 0 2",
    "ZREMRANGEBYRANK summed 0 0",
    "ZREMRANGEBYSCORE summed 9 9",
    "ZMPOP 1 summed MAX COUNT 1",
    "XADD entries * a 7 b 8",
    "XADD entries MAXLEN ~ 100 NOMKSTREAM 9999999999999-* a 9",
    "XREADGROUP GROUP readers second COUNT 1 STREAMS entries >",
    "XACK entries readers 1-1",
    "XCLAIM entries readers third 0 3-1 JUSTID",
    "XAUTOCLAIM entries readers fourth 0 0 COUNT 1",
    "XGROUP CREATECONSUMER entries readers nobody",
    "XGROUP SETID entries idle 4-1",
    "XGROUP DELCONSUMER entries readers first",
    "XGROUP CREATE made-for-it g $ MKSTREAM",
    "XTRIM entries MAXLEN 3",
    "PFADD sketch f g",
    "PFMERGE merged sketch",
    "PFCOUNT sketch",
    "GEOADD places 2.349014 48.864716 Paris",
    "GEOSEARCHSTORE near places FROMLONLAT 15 37 BYRADIUS 200 km",
    "COPY plain copied",
    "RENAME copied renamed",
    "RENAMENX renamed named",
    "SORT left ALPHA DESC STORE sorted",
    "PEXPIREAT named 4102444800123",
    "PERSIST named",
    "MOVE named 7",
    "UNLINK m3",
    "DEL m4",
    "MULTI",
    "INCR counted",
    "SELECT 3",
    "INCR counted",
    "SET short 1 PX 20",
    "SELECT 0",
    "LPUSH listed a b c",
    "EXEC",
    "SWAPDB 0 3",
    "SET swapped 1",
    "SWAPDB 0 3",
    "SELECT 5",
    "SET gone 1",
    "FLUSHDB",
    "SET stays 1",
    "SELECT 0",
    "SET dies 1 PX 20",
    "SET dies-later 1 PX 40",
    "EXPIRE plain 1000",
    "EXPIRE counted -1",
];

/// Fields of a hash that expire; for those who know it.
const FIELDS: &[&str] = &[
    "HSET timed a 1 b 2 c 3 d 4 e 5",
    "HPEXPIREAT timed 4102444800123 FIELDS 2 a b",
    "HEXPIRE timed 1000 NX FIELDS 2 b c",
    "HPERSIST timed FIELDS 1 b",
    "HPEXPIRE timed 20 FIELDS 1 d",
    "HSETEX timed EX 1000 FIELDS 2 f 6 g 7",
    "HGETEX timed PERSIST FIELDS 1 g",
    "HSET timed a 10",
    "HINCRBY timed c 5",
    "HINCRBYFLOAT timed c 0.5",
    "HSET short-lived a 1",
    "HPEXPIRE short-lived 20 FIELDS 1 a",
];

/// Scripts, their keys and arguments: what each does is one unit of the stream, and chance and time are those of the primary.
const SCRIPTS: &[(&str, &[&str])] = &[
    (
        "for i = 1, 5 do redis.call('INCR', KEYS[1]) redis.call('RPUSH', KEYS[2], i) end return 1",
        &["2", "by-script", "listed-by-script"],
    ),
    (
        "redis.call('SADD', KEYS[1], unpack(ARGV)) return redis.call('SPOP', KEYS[1], 2)",
        &["1", "drawn", "a", "b", "c", "d", "e"],
    ),
    (
        "return redis.call('SET', KEYS[1], redis.call('TIME')[1] .. math.random())",
        &["1", "timed-by-script"],
    ),
    (
        "redis.call('SET', KEYS[1], 'v', 'PX', 20) return redis.call('EXPIRE', KEYS[2], 1000)",
        &["2", "dies-in-script", "by-script"],
    ),
    (
        "redis.call('SET', KEYS[1], 'before') redis.pcall('INCR', KEYS[2]) return redis.call('APPEND', KEYS[1], ' and after')",
        &["2", "around-an-error", "listed-by-script"],
    ),
    (
        "redis.call('SELECT', 3) redis.call('INCR', KEYS[1]) redis.call('SELECT', 0) return redis.call('INCR', KEYS[1])",
        &["1", "in-two-databases"],
    ),
    ("return redis.call('GET', KEYS[1])", &["1", "by-script"]),
];

fn run_scripts(connection: &mut Connection) {
    for (script, rest) in SCRIPTS {
        connection.good_call(&[&["EVAL", script], *rest].concat());
    }
    let fails = "redis.call('SET', KEYS[1], 'stays') return redis.call('NO-SUCH-COMMAND')";
    let failed = connection.call(&["EVAL", fails, "1", "before-an-error"]);
    assert!(failed.is_error(), "{failed:?}");
    let counts = "return redis.call('INCR', KEYS[1])";
    let sha = said(&connection.good_call(&["SCRIPT", "LOAD", counts]));
    connection.good("MULTI");
    connection.good("INCR by-script");
    connection.good_call(&["EVALSHA", &sha, "1", "by-script"]);
    connection.good_call(&["EVAL", SCRIPTS[0].0, "2", "by-script", "listed-by-script"]);
    connection.good("EXEC");
}

fn run(connection: &mut Connection, lines: &[&str]) {
    for line in lines {
        connection.good(line);
    }
}

/// All types, encodings, odd keys and expiry times, in several databases.
pub fn fill_all(connection: &mut Connection) {
    fill(connection);
    run(connection, MORE);
}

/// Makes the types that [`fill`] has none of and changes everything in all ways, with keys that expire meanwhile.
pub fn change(connection: &mut Connection) {
    run(connection, MORE);
    run(connection, CHANGES);
    run_scripts(connection);
    // Whoever asks removes what has expired, on the primary.
    waits(connection, "dies-later");
    waits(connection, "dies-in-script");
    connection.good("GET dies");
    connection.good("SELECT 3");
    waits(connection, "short");
    connection.good("SELECT 0");
}

/// As [`change`], for fields of hashes.
pub fn change_fields(connection: &mut Connection) {
    run(connection, FIELDS);
    waits(connection, "short-lived");
}

/// Until a key is seen as expired.
fn waits(connection: &mut Connection, key: &str) {
    crate::support::wait_until("it expires", || {
        connection.int(&format!("EXISTS {key}")) == 0
    });
}

/// What a server holds beyond keys and values: times of fields, groups of streams.
type Beyond = BTreeMap<Vec<u8>, String>;

/// Groups of a stream, and who waits for what. How much a group has read and still has to read is left out: with 7.2 and
/// before, reading with acknowledgement counts on the primary only.
fn groups_of(connection: &mut Connection, key: &[u8]) -> String {
    let mut text = String::new();
    let groups = connection.good_call(&[b"XINFO".as_slice(), b"GROUPS", key]);
    for group in groups.as_array().unwrap() {
        let words: Vec<String> = group.as_array().unwrap().iter().map(said).collect();
        text.push_str(&words[..8].join(" "));
        let pending = connection.good_call(&[
            b"XPENDING".as_slice(),
            key,
            words[1].as_bytes(),
            b"-",
            b"+",
            b"1000",
        ]);
        for entry in pending.as_array().unwrap() {
            let entry = entry.as_array().unwrap();
            // The third is how long it has been idle, which goes on.
            text.push_str(&format!(
                " [{} {} {}]",
                said(&entry[0]),
                said(&entry[1]),
                said(&entry[3])
            ));
        }
    }
    text
}

fn times_of_fields(connection: &mut Connection, key: &[u8]) -> String {
    let fields = connection.good_call(&[b"HKEYS".as_slice(), key]);
    let mut fields = fields.as_array().unwrap().to_vec();
    fields.sort_by_key(said);
    let count = fields.len().to_string();
    let mut words: Vec<&[u8]> = vec![b"HPEXPIRETIME", key, b"FIELDS", count.as_bytes()];
    words.extend(fields.iter().filter_map(Value::as_bytes));
    said(&connection.good_call(&words))
}

/// The keys of the first database that have more to them.
fn beyond(connection: &mut Connection, fields: bool) -> Beyond {
    let mut all = Beyond::new();
    let keys = connection.good("KEYS *");
    for key in keys.as_array().unwrap() {
        let key = key.as_bytes().unwrap();
        let text = match said(&connection.good_call(&[b"TYPE".as_slice(), key])).as_str() {
            "stream" => groups_of(connection, key),
            "hash" if fields => times_of_fields(connection, key),
            _ => continue,
        };
        all.insert(key.to_vec(), text);
    }
    all
}

/// Whether all of them know hash fields that expire.
pub fn know_fields(chain: &[&Member]) -> bool {
    chain
        .iter()
        .all(|member| !matches!(member.program, Reference | Valkey8))
}

/// All are in step, one behind the other, at the same offset, and hold the same: values, times, groups, and the same digest
/// where that is made in the same way.
pub fn all_same(chain: &[&Member]) {
    all_in_step(chain);
    let fields = know_fields(chain);
    let held: Vec<(Holdings, Beyond)> = chain
        .iter()
        .map(|member| {
            let mut client = member.connect();
            (holdings(&mut client), beyond(&mut client, fields))
        })
        .collect();
    assert!(held[0].0.len() > 2000, "{} keys", held[0].0.len());
    for (values, more) in &held[1..] {
        assert_same(&held[0].0, values);
        assert_eq!(held[0].1, *more);
    }
    // Valkey leaves the times of fields out of it.
    if !(fields && chain.iter().any(|member| member.program == Valkey9)) {
        same_digest(chain);
    }
}
