//! The differences between 7.0.15 and 7.2 that are known and right, in one table. What is not in it is a finding.
//!
//! A row says for which commands it speaks and when two different replies mean the same. The order of sets and tables and
//! what chance or the clock decides stand here too: there no two servers agree.

use cairn_format::resp::value::Value;
use cairn_format::text::double::parse_f64;

/// A known difference of replies.
pub struct Row {
    /// Commands, upper case; with a blank for a subcommand.
    pub commands: &'static [&'static str],
    /// A further condition on the words of the command.
    pub when: fn(&[Vec<u8>]) -> bool,
    /// Whether these different replies are as good as equal: ours, the reference's.
    pub same: fn(&Value, &Value) -> bool,
    /// Why.
    pub why: &'static str,
}

/// Seconds and milliseconds that two servers may be apart on a busy machine.
const NEAR_MS: i64 = 5_000;

/// All known differences of replies.
pub const REPLIES: &[Row] = &[
    Row {
        commands: &[
            "SMEMBERS", "SINTER", "SUNION", "SDIFF", "KEYS", "HKEYS", "HVALS", "SPOP",
        ],
        when: always,
        same: unordered,
        why: "members of tables come in any order, and 7.2 packs small sets",
    },
    Row {
        commands: &["SSCAN", "SCAN"],
        when: always,
        same: unordered,
        why: "members of tables come in any order, and 7.2 packs small sets",
    },
    Row {
        commands: &["HGETALL", "HSCAN", "ZSCAN"],
        when: always,
        same: pairs_unordered,
        why: "fields of tables come in any order; 7.2 prints scores in their shortest form",
    },
    Row {
        commands: &["SRANDMEMBER", "HRANDFIELD", "ZRANDMEMBER", "RANDOMKEY"],
        when: always,
        same: same_shape,
        why: "chance",
    },
    Row {
        commands: &["TTL", "EXPIRETIME"],
        when: always,
        same: |a, b| near(a, b, NEAR_MS / 1000),
        why: "the clock runs on between the two",
    },
    Row {
        commands: &["PTTL", "PEXPIRETIME"],
        when: always,
        same: |a, b| near(a, b, NEAR_MS),
        why: "the clock runs on between the two",
    },
    Row {
        commands: &[
            "ZSCORE",
            "ZMSCORE",
            "ZINCRBY",
            "ZADD",
            "ZRANGE",
            "ZREVRANGE",
            "ZRANGEBYSCORE",
            "ZREVRANGEBYSCORE",
            "ZPOPMIN",
            "ZPOPMAX",
            "ZMPOP",
            "BZPOPMIN",
            "BZPOPMAX",
            "BZMPOP",
            "ZUNION",
            "ZINTER",
            "ZDIFF",
        ],
        when: always,
        same: same_numbers,
        why: "7.0 prints 17 digits of a score, 7.2 the shortest form that reads back",
    },
    Row {
        commands: &["SORT", "SORT_RO"],
        when: |words| has(words, b"BY"),
        same: same_length,
        why: "elements that compare equal come in any order",
    },
    Row {
        commands: &["OBJECT ENCODING"],
        when: always,
        same: |ours, theirs| {
            let is = |value: &Value, word: &str| value.as_bytes() == Some(word.as_bytes());
            ENCODINGS
                .iter()
                .any(|row| is(ours, row.1) && is(theirs, row.2))
        },
        why: "encodings that are new in 7.2",
    },
    Row {
        commands: &["XINFO GROUPS"],
        when: always,
        same: |a, b| without_consumers(a) == without_consumers(b),
        why: "7.2 makes the consumer of a read or claim that brings nothing",
    },
    Row {
        commands: &["GEOHASH"],
        when: always,
        same: same_shape,
        why: "scores that name no place: C leaves open what infinite numbers convert to",
    },
    Row {
        commands: &["XINFO STREAM"],
        when: always,
        same: same_stream_info,
        why: "how many nodes of a radix tree hold the same keys depends on what was there before",
    },
];

/// Encodings that differ rightly: type, ours, the reference's, why.
pub const ENCODINGS: &[(&str, &str, &str, &str)] = &[
    ("list", "listpack", "quicklist", "7.2 packs small lists"),
    ("set", "listpack", "hashtable", "7.2 packs small sets"),
    (
        "set",
        "listpack",
        "intset",
        "7.2 stores results in the form of a source; 7.0 tries integers first",
    ),
];

/// Whether a row of the table speaks for these replies.
pub fn known(words: &[Vec<u8>], ours: &Value, theirs: &Value) -> Option<&'static Row> {
    let name = String::from_utf8_lossy(&words[0]).to_ascii_uppercase();
    let with_sub = words.get(1).map(|sub| {
        format!(
            "{name} {}",
            String::from_utf8_lossy(sub).to_ascii_uppercase()
        )
    });
    REPLIES.iter().find(|row| {
        row.commands
            .iter()
            .any(|c| *c == name || Some(*c) == with_sub.as_deref())
            && (row.when)(words)
            && (row.same)(ours, theirs)
    })
}

fn always(_: &[Vec<u8>]) -> bool {
    true
}

fn has(words: &[Vec<u8>], word: &[u8]) -> bool {
    words.iter().any(|w| w.eq_ignore_ascii_case(word))
}

fn children(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(all) | Value::Set(all) => Some(all),
        _ => None,
    }
}

fn sorted(values: &[Value]) -> Vec<String> {
    let mut all: Vec<String> = values
        .iter()
        .map(|v| format!("{:?}", canonical(v)))
        .collect();
    all.sort();
    all
}

/// Order taken out, at every level.
fn canonical(value: &Value) -> Value {
    match children(value) {
        Some(all) => {
            let mut all: Vec<Value> = all.iter().map(canonical).collect();
            all.sort_by_key(|v| format!("{v:?}"));
            Value::Array(all)
        }
        None => value.clone(),
    }
}

fn unordered(ours: &Value, theirs: &Value) -> bool {
    canonical(ours) == canonical(theirs)
}

/// Flat pairs, or a map, or the cursor and flat pairs of a scan.
fn pairs_unordered(ours: &Value, theirs: &Value) -> bool {
    let pairs = |value: &Value| -> Option<Vec<String>> {
        let flat: Vec<Value> = match value {
            Value::Map(pairs) => pairs
                .iter()
                .flat_map(|(k, v)| [k.clone(), v.clone()])
                .collect(),
            other => match children(other)? {
                [cursor, Value::Array(flat)] if cursor.as_bytes() == Some(b"0") => flat.clone(),
                flat => flat.to_vec(),
            },
        };
        let pair = |pair: &[Value]| Value::Array(vec![pair[0].clone(), number_of(&pair[1])]);
        Some(sorted_pairs(flat.chunks_exact(2).map(pair).collect()))
    };
    pairs(ours).is_some() && pairs(ours) == pairs(theirs)
}

fn sorted_pairs(pairs: Vec<Value>) -> Vec<String> {
    let mut all: Vec<String> = pairs.iter().map(|v| format!("{v:?}")).collect();
    all.sort();
    all
}

/// A text that is a number as the number.
fn number_of(value: &Value) -> Value {
    match value {
        Value::Bulk(text) => parse_f64(text).map_or(value.clone(), Value::Double),
        other => other.clone(),
    }
}

fn same_numbers(ours: &Value, theirs: &Value) -> bool {
    match (children(ours), children(theirs)) {
        (Some(a), Some(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_numbers(a, b))
        }
        _ => ours == theirs || number_of(ours) == number_of(theirs),
    }
}

/// The same kind, as many elements, nothing said about what they are.
fn same_shape(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Bulk(_) | Value::Double(_), Value::Bulk(_) | Value::Double(_)) => true,
        _ => match (children(ours), children(theirs)) {
            (Some(a), Some(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_shape(a, b))
            }
            _ => ours == theirs,
        },
    }
}

fn same_length(ours: &Value, theirs: &Value) -> bool {
    match (children(ours), children(theirs)) {
        (Some(a), Some(b)) => a.len() == b.len(),
        _ => false,
    }
}

fn near(ours: &Value, theirs: &Value, within: i64) -> bool {
    match (ours, theirs) {
        (Value::Int(a), Value::Int(b)) => *a >= 0 && *b >= 0 && a.abs_diff(*b) <= within as u64,
        _ => false,
    }
}

/// A listing of groups without their numbers of consumers.
fn without_consumers(value: &Value) -> Value {
    let is_count = |v: &Value| v.as_bytes() == Some(b"consumers");
    match value {
        Value::Map(pairs) => Value::Map(
            pairs
                .iter()
                .filter(|(k, _)| !is_count(k))
                .map(|(k, v)| (k.clone(), without_consumers(v)))
                .collect(),
        ),
        Value::Array(flat) => {
            let skipped = |i: usize| i > 0 && is_count(&flat[i - 1]);
            let kept = flat.iter().enumerate().filter(|(i, _)| !skipped(*i));
            Value::Array(kept.map(|(_, v)| without_consumers(v)).collect())
        }
        other => other.clone(),
    }
}

fn same_stream_info(ours: &Value, theirs: &Value) -> bool {
    let without_nodes = |value: &Value| {
        let mut flat: Vec<Value> = match value {
            Value::Map(pairs) => pairs
                .iter()
                .flat_map(|(k, v)| [k.clone(), v.clone()])
                .collect(),
            other => children(other)?.to_vec(),
        };
        let at = flat
            .iter()
            .position(|v| v.as_bytes() == Some(b"radix-tree-nodes"))?;
        flat[at + 1] = Value::Null;
        Some(flat)
    };
    without_nodes(ours).is_some() && without_nodes(ours) == without_nodes(theirs)
}

/// The elements of a whole reply without their order, for states that are compared beside the table.
pub fn names(value: &Value) -> Vec<String> {
    children(value).map_or(Vec::new(), sorted)
}

/// Whether two flat or nested listings of members with scores are the same numbers, with one among them that 7.0 and 7.2
/// print differently.
pub fn same_scores(ours: &Value, theirs: &Value) -> bool {
    fn fractional(value: &Value) -> bool {
        match (value, number_of(value)) {
            (_, Value::Double(d)) => d.fract() != 0.0 || d.abs() >= 1e17,
            _ => children(value).is_some_and(|all| all.iter().any(fractional)),
        }
    }
    same_numbers(ours, theirs) && fractional(theirs)
}
