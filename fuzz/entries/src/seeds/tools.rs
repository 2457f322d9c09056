//! First inputs of what rdb-tool makes of files of strangers.

use super::{FILE_MAX, contents};
use cairn_format::rdb::{Event, Options, SliceReader};
use cairn_toolkit::json::Bytes;
use rdb_tool::Lines;

/// Snapshots as lines, in both forms.
pub fn json_lines() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for file in contents("rdb", ".rdb") {
        for (number, form) in [Bytes::Base64, Bytes::Text].into_iter().enumerate() {
            let Ok(mut reader) = SliceReader::from_slice(&file, Options::sound()) else {
                continue;
            };
            let (mut seed, mut lines) = (vec![number as u8], Lines::new(form));
            while let Ok(Some(found)) = reader.next() {
                if let Event::Record(record) = &found.event
                    && let Ok(line) = lines.record(record)
                    && seed.len() + line.len() <= FILE_MAX
                {
                    seed.extend_from_slice(line);
                }
            }
            seeds.push(seed);
        }
    }
    seeds
}

/// Database, size, expiry or none, and a key that a table has to quote or to escape.
pub fn table_keys() -> Vec<Vec<u8>> {
    let keys: [&[u8]; 9] = [
        b"user:1",
        b"",
        b"a,b",
        b"say \"hi\"",
        b"\"",
        b"\\\"\\",
        b"two\r\nlines\t",
        b"\\x41\\n",
        b"\x00\xff\x7f",
    ];
    let numbers = [&[7; 16][..], &[0]].concat();
    let with_expiry = [&[0; 16][..], &[1, 0], &[9; 9]].concat();
    [numbers, with_expiry]
        .iter()
        .flat_map(|before| keys.map(|key| [before, key].concat()))
        .collect()
}

/// An option, a key with its attributes, and the word behind the option.
pub fn selections() -> Vec<Vec<u8>> {
    let words = [
        "user:*",
        "^user:[0-9]+$",
        "hash",
        "3",
        "0-7",
        "'>0'",
        "<1h",
        "1h..2h",
        "none",
        "any",
        "expired",
        ">1mb",
        "1kb..1mb",
        "0-100",
        ">30d",
        "[]-a]",
        "(a|b)*",
        "",
    ];
    (0..8_u8)
        .flat_map(|option| {
            words.map(|word| {
                let attributes = [
                    &[option, 6][..],
                    b"user:1",
                    &[3; 8],
                    &[1; 9],
                    &[100; 8],
                    &[1; 9],
                ];
                [&attributes.concat()[..], word.as_bytes()].concat()
            })
        })
        .collect()
}
