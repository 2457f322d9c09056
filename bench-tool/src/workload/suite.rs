//! The customary set of single commands, in the order and with the keys of `redis-benchmark` (7.0): one is measured after the other.

use super::place::Vocabulary;
use super::template::Template;
use super::{Operation, Workload};

/// Elements of the lists that LRANGE reads: those that the LPUSH before it leaves, at least.
const LIST: u64 = 1000;

/// Names, requests, and what must be there before; `$KEYS` is the number of keys, `$DATA` the length of values.
const SUITE: [(&str, &str, &str); 19] = [
    ("PING_MBULK", "PING", ""),
    ("SET", "SET key:{rand:$KEYS} {data:$DATA}", ""),
    ("GET", "GET key:{rand:$KEYS}", "SET key:{seq} {data:$DATA}"),
    ("INCR", "INCR counter:{rand:$KEYS}", ""),
    ("LPUSH", "LPUSH mylist {data:$DATA}", ""),
    ("RPUSH", "RPUSH mylist {data:$DATA}", ""),
    ("LPOP", "LPOP mylist", "RPUSH mylist {data:$DATA}"),
    ("RPOP", "RPOP mylist", "RPUSH mylist {data:$DATA}"),
    ("SADD", "SADD myset element:{rand:$KEYS}", ""),
    ("HSET", "HSET myhash element:{rand:$KEYS} {data:$DATA}", ""),
    ("SPOP", "SPOP myset", "SADD myset element:{seq}"),
    ("ZADD", "ZADD myzset {rand:$KEYS} element:{rand:$KEYS}", ""),
    (
        "ZPOPMIN",
        "ZPOPMIN myzset",
        "ZADD myzset {seq} element:{seq}",
    ),
    (
        "LRANGE_100",
        "LRANGE mylist:range 0 99",
        "LPUSH mylist:range {data:$DATA}",
    ),
    ("LRANGE_300", "LRANGE mylist:range 0 299", ""),
    ("LRANGE_500", "LRANGE mylist:range 0 499", ""),
    ("LRANGE_600", "LRANGE mylist:range 0 599", ""),
    (
        "MSET_10",
        "MSET key:{rand:$KEYS} {data:$DATA} key:{rand:$KEYS} {data:$DATA} key:{rand:$KEYS} {data:$DATA} key:{rand:$KEYS} {data:$DATA} \
         key:{rand:$KEYS} {data:$DATA} key:{rand:$KEYS} {data:$DATA} key:{rand:$KEYS} {data:$DATA} key:{rand:$KEYS} {data:$DATA} \
         key:{rand:$KEYS} {data:$DATA} key:{rand:$KEYS} {data:$DATA}",
        "",
    ),
    ("XADD", "XADD mystream * myfield {data:$DATA}", ""),
];

/// All names of the set.
pub fn names() -> Vec<&'static str> {
    SUITE.iter().map(|(name, ..)| *name).collect()
}

/// The set with values of so many bytes, or those of it whose names were given.
///
/// # Errors
/// A name that is none.
pub fn redis(only: &[String], data: u64, vocabulary: &Vocabulary) -> Result<Vec<Workload>, String> {
    let is_called = |name: &str, wanted: &String| name.eq_ignore_ascii_case(wanted);
    if let Some(unknown) = only
        .iter()
        .find(|wanted| !SUITE.iter().any(|(name, ..)| is_called(name, wanted)))
    {
        return Err(format!(
            "{unknown} is none of the set: {}",
            names().join(", ")
        ));
    }
    let taken = SUITE
        .iter()
        .filter(|(name, ..)| only.is_empty() || only.iter().any(|wanted| is_called(name, wanted)));
    taken.map(|part| workload(part, data, vocabulary)).collect()
}

fn workload(
    (name, text, fill): &(&str, &str, &str),
    data: u64,
    vocabulary: &Vocabulary,
) -> Result<Workload, String> {
    let filled = |text: &str| {
        text.replace("$KEYS", &vocabulary.keys.to_string())
            .replace("$DATA", &data.to_string())
    };
    let operation = Operation {
        name: (*name).to_owned(),
        template: Template::parse(&filled(text), vocabulary)?,
        weight: 1,
    };
    let workload = Workload {
        operations: vec![operation],
        fills: Vec::new(),
    };
    let count = if name.starts_with("LRANGE") {
        LIST
    } else {
        vocabulary.keys
    };
    let fills = match fill.is_empty() {
        true => vec![],
        false => vec![(filled(fill), count)],
    };
    workload.filled(&fills, vocabulary)
}
