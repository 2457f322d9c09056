//! The six core workloads of YCSB (Cooper and others, "Benchmarking cloud serving systems with YCSB", 2010) on hashes of ten fields of 100 bytes.
//!
//! | name | mix | keys |
//! |---|---|---|
//! | a | half reads, half updates of one field | zipf 0.99 |
//! | b | 95 % reads, 5 % updates | zipf 0.99 |
//! | c | reads | zipf 0.99 |
//! | d | 95 % reads, 5 % inserts | latest |
//! | e | 95 % short scans, 5 % inserts | zipf 0.99 |
//! | f | half reads, half reads with an update behind | zipf 0.99 |
//!
//! What a server without scans over keys makes different: the records of `e` are also in a sorted set by number, and a scan reads 1 to 100 of their
//! names there. In `f` the update is sent behind the read without waiting for it. The most popular record is `key:0`, not a scattered one.

use super::Workload;
use super::place::Vocabulary;

/// Names of all of them.
pub const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// A workload by its letter, over so many records as the vocabulary has keys.
///
/// # Errors
/// A name that is none.
pub fn workload(name: &str, vocabulary: &Vocabulary) -> Result<Workload, String> {
    let n = vocabulary.keys;
    let fields: String = (0..10)
        .map(|field| format!(" field:{field} {{data:100}}"))
        .collect();
    let read = format!("HGETALL {{key:zipf:{n}}}");
    let update = format!("HSET {{key:zipf:{n}}} {{field:10}} {{data:100}}");
    let insert = format!("HSET {{=k:key:insert:{n}}}{fields}");
    let index = "ZADD ycsb:index";
    let mix = match name.to_ascii_lowercase().as_str() {
        "a" => vec![(read, 50), (update, 50)],
        "b" => vec![(read, 95), (update, 5)],
        "c" => vec![(read, 1)],
        "d" => vec![(format!("HGETALL {{key:latest:{n}}}"), 95), (insert, 5)],
        "e" => vec![
            (
                format!(
                    "ZRANGEBYSCORE ycsb:index {{int:zipf:{n}}} +inf LIMIT 0 {{int:uniform:1:100}}"
                ),
                95,
            ),
            (format!("{insert} ; {index} {{int:insert:{n}}} {{=k}}"), 5),
        ],
        "f" => vec![
            (read, 50),
            (
                format!("HGETALL {{=k:key:zipf:{n}}} ; HSET {{=k}} {{field:10}} {{data:100}}"),
                50,
            ),
        ],
        _ => {
            return Err(format!(
                "{name} is none of the core workloads a, b, c, d, e and f"
            ));
        }
    };
    let mut fill = format!("HSET {{=k:key:seq}}{fields}");
    if name.eq_ignore_ascii_case("e") {
        fill.push_str(&format!(" ; {index} {{int:seq}} {{=k}}"));
    }
    Workload::of_commands(&mix, vocabulary)?.filled(&[(fill, n)], vocabulary)
}
