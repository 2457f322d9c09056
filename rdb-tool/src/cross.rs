//! `rdb-tool verify --cross-check`: a second opinion on what our own code sees.
//!
//! | what | ours | the other |
//! |---|---|---|
//! | each compressed string, keys and aux fields too | `cairn_format::lzf` | the crate `lzf` |
//! | the checksum of all bytes before it | `cairn_format::crc64` | the crate `crc64` |
//!
//! Whether a file is sound is decided before this. If the two then disagree, one of them is wrong, and neither says which.
//!
//! The other code is not trusted with hostile bytes: it sees only strings that ours has decompressed, so that no length is
//! believed; strings above 2 GiB, whose places it counts in 32 bits, are left out and counted; and a panic in it is a finding.

use crate::snapshot::{Stop, Walk};
use cairn_format::crc64::Crc64;
use cairn_format::error::{Damage, FormatError};
use cairn_format::lzf;
use cairn_format::rdb::reader::{Options, Packed, Reader};
use cairn_toolkit::outcome::damage_line;
use cairn_toolkit::{Failure, Input, Progress, hint, human, note};
use serde_json::{Value, json};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};

/// Longest string that the other code is asked about: it counts places in an `i32`.
const LEN_MAX: u64 = i32::MAX as u64;
/// Disagreements that are told one by one.
const TOLD_MAX: usize = 10;
/// Bytes summed up between two looks at the progress bar.
const SUM_STEP: usize = 16 << 20;
/// Bytes of a checksum in the file.
const CHECKSUM_BYTES: u64 = 8;

/// Somebody else's decompressor: compressed bytes and the claimed length.
type Decompress = fn(&[u8], usize) -> Result<Vec<u8>, String>;
/// Somebody else's checksum: of the bytes before, and more bytes.
type Sum = fn(u64, &[u8]) -> u64;

/// What came of asking.
#[derive(Debug, Default)]
pub struct Agreement {
    /// Compressed strings that both were asked about.
    strings: u64,
    /// Their bytes after decompression.
    bytes: u64,
    /// Strings that were too long to ask.
    left_out: u64,
    /// How often the two disagreed, and the first cases.
    disagreements: u64,
    told: Vec<FormatError>,
}

impl Agreement {
    /// Whether the two disagreed.
    pub fn is_broken(&self) -> bool {
        self.disagreements > 0
    }

    /// For the end of the line about a sound file.
    pub fn text(&self) -> String {
        let left_out = match self.left_out {
            0 => String::new(),
            n => format!(" ({} above 2 GiB not asked about)", human::count(n)),
        };
        let strings = human::plural(self.strings, "compressed string", "compressed strings");
        match self.disagreements {
            0 => format!(", lzf and crc64 agree on {strings}{left_out} and the checksum"),
            n => format!(
                ", lzf and crc64 disagree in {} of {strings}{left_out} and the checksum",
                human::count(n)
            ),
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let one = |error: &FormatError| json!({ "offset": error.offset, "reason": error.what });
        let told: Vec<Value> = self.told.iter().map(one).collect();
        json!({
            "strings": self.strings,
            "bytes": self.bytes,
            "left_out": self.left_out,
            "disagreements": self.disagreements,
            "first": told,
        })
    }

    /// Tells the disagreements.
    pub fn tell(&self, name: &str) {
        for error in &self.told {
            note(&damage_line(name, error));
        }
        hint(
            "two programs see different things in the same bytes, so one of them is wrong; please report it with this file",
        );
    }

    fn disagree(&mut self, kind: Damage, offset: u64, what: String) {
        self.disagreements += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push(*FormatError::new(kind, offset, what));
        }
    }

    /// Asks both about a compressed string.
    fn string(&mut self, packed: Packed<'_>, ours: &mut Vec<u8>, other: Decompress) {
        ours.clear();
        let len = usize::try_from(packed.len).unwrap_or(usize::MAX);
        let opinion = lzf::decompress(packed.bytes, len, ours);
        if let Err(error) = opinion {
            // The file was found to be sound, which this contradicts; the other is not asked about what ours refuses.
            let what = format!("a string that was found to be sound is not: {}", error.what);
            return self.disagree(Damage::Lzf, packed.offset, what);
        }
        if packed.len > LEN_MAX {
            self.left_out += 1;
            return;
        }
        self.strings += 1;
        self.bytes += packed.len;
        let theirs = catch_unwind(AssertUnwindSafe(|| other(packed.bytes, len)))
            .unwrap_or_else(|_| Err("panicked".to_owned()));
        let found = match theirs {
            Ok(theirs) if theirs == *ours => return,
            Ok(theirs) if theirs.len() != ours.len() => format!("{} bytes", theirs.len()),
            Ok(theirs) => {
                let pairs = theirs.iter().zip(ours.iter());
                let same = pairs.take_while(|(theirs, ours)| theirs == ours).count();
                format!("another byte at place {same}")
            }
            Err(error) => format!("this: {error}"),
        };
        let what = format!(
            "compressed string of {} bytes: ours gives {} bytes, the crate lzf {found}",
            packed.bytes.len(),
            ours.len()
        );
        self.disagree(Damage::Lzf, packed.offset, what);
    }

    /// Asks both about the checksum of `bytes`.
    fn checksum(&mut self, bytes: &[u8], progress: &mut Progress, other: Sum) {
        let (mut ours, mut theirs, mut at) = (Crc64::new(), 0, 0);
        for step in bytes.chunks(SUM_STEP) {
            ours.update(step);
            theirs = other(theirs, step);
            at += step.len() as u64;
            progress.at(at);
        }
        let ours = ours.value();
        if ours != theirs {
            let what = format!("checksum: ours gives {ours:016x}, the crate crc64 {theirs:016x}");
            self.disagree(Damage::Checksum, at, what);
        }
    }
}

/// Asks the others about a file that was found to be sound.
pub fn check(input: &Input, walk: &Walk) -> Result<Agreement, Failure> {
    let bytes = input.bytes().unwrap_or_default();
    let hook = take_hook();
    // A panic of the other code is told as what it is, a disagreement.
    set_hook(Box::new(|_| ()));
    let agreement = compare(input.name(), bytes, walk, their_decompress, crc64::crc64);
    set_hook(hook);
    agreement.map_err(|stop| stop.into_failure(input.name()))
}

fn their_decompress(packed: &[u8], len: usize) -> Result<Vec<u8>, String> {
    ::lzf::decompress(packed, len).map_err(|error| error.to_string())
}

fn compare(
    name: &str,
    bytes: &[u8],
    walk: &Walk,
    decompress: Decompress,
    sum: Sum,
) -> Result<Agreement, Stop> {
    let mut agreement = Agreement::default();
    let options = Options {
        any_version: true,
        checksum: false,
        ..Options::shallow()
    };
    let mut progress = Progress::bytes(&format!("asking lzf about {name}"), Some(walk.bytes));
    let mut ours = Vec::new();
    let watch = |packed: Packed<'_>| agreement.string(packed, &mut ours, decompress);
    let mut reader = Reader::watching(bytes, options, watch).map_err(Stop::inside)?;
    while let Some(record) = reader.next_raw().map_err(Stop::inside)? {
        progress.at(record.offset);
    }
    drop(reader);
    let mut progress = Progress::bytes(&format!("asking crc64 about {name}"), Some(walk.bytes));
    let end = match walk.dialect.has_checksum() {
        true => walk.bytes.saturating_sub(CHECKSUM_BYTES),
        false => walk.bytes,
    };
    let before = usize::try_from(end).ok().and_then(|end| bytes.get(..end));
    agreement.checksum(before.unwrap_or_default(), &mut progress, sum);
    Ok(agreement)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_format::rdb::{Checksum, Dialect, Head, WriteOptions, Writer};

    /// A snapshot with three compressed strings, one of them a key, and one that is not compressed.
    fn snapshot() -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), WriteOptions::new(Dialect::REDIS_7_2)).unwrap();
        writer.select_db(0).unwrap();
        let head = |key| Head {
            key,
            ..Head::default()
        };
        let long = [b'k'; 100];
        writer.string(&head(b"a"), &[b'x'; 5000]).unwrap();
        writer.string(&head(b"b"), b"short").unwrap();
        writer.string(&head(&long), &[b'y'; 70]).unwrap();
        writer.finish().unwrap()
    }

    fn ask(decompress: Decompress, sum: Sum) -> Agreement {
        let bytes = snapshot();
        let walk = Walk {
            dialect: Dialect::REDIS_7_2,
            checksum: Checksum::None,
            bytes: bytes.len() as u64,
            keys: 3,
            behind: None,
            is_cut: false,
        };
        compare("x", &bytes, &walk, decompress, sum).unwrap()
    }

    #[test]
    fn the_crates_agree_with_us() {
        let agreement = ask(their_decompress, crc64::crc64);
        assert!(!agreement.is_broken(), "{agreement:?}");
        assert_eq!((agreement.strings, agreement.bytes), (3, 5170));
        assert_eq!(
            agreement.text(),
            ", lzf and crc64 agree on 3 compressed strings and the checksum"
        );
    }

    #[test]
    fn another_opinion_is_a_finding_with_its_place_and_so_is_a_panic() {
        let liars: [(Decompress, &str); 4] = [
            (
                |packed, len| {
                    their_decompress(packed, len).map(|mut text| {
                        text[7] ^= 1;
                        text
                    })
                },
                "another byte at place 7",
            ),
            (
                |packed, len| their_decompress(packed, len).map(|text| text[1..].to_vec()),
                "4999 bytes",
            ),
            (
                |_, _| Err("the given data is corrupted".to_owned()),
                "this: the given data is corrupted",
            ),
            (|_, _| panic!("out of range"), "this: panicked"),
        ];
        for (liar, told) in liars {
            let agreement = ask(liar, crc64::crc64);
            assert_eq!((agreement.strings, agreement.disagreements), (3, 3));
            let first = &agreement.told[0];
            assert!(first.what.ends_with(told), "{}", first.what);
            // Magic, database 0, type, key "a", then one byte 0xc3 and two lengths of one and two bytes.
            assert_eq!(first.offset, 9 + 2 + 1 + 2 + 1 + 1 + 2, "{}", first.what);
        }
        let agreement = ask(their_decompress, |before, bytes| {
            !crc64::crc64(before, bytes)
        });
        assert_eq!(agreement.disagreements, 1);
        assert_eq!(agreement.told[0].kind, Damage::Checksum);
        assert_eq!(agreement.told[0].offset + 8, snapshot().len() as u64);
    }

    #[test]
    fn only_the_first_disagreements_are_kept() {
        let mut agreement = Agreement::default();
        for at in 0..1000 {
            agreement.disagree(Damage::Lzf, at, String::new());
        }
        assert_eq!(
            (agreement.disagreements, agreement.told.len()),
            (1000, TOLD_MAX)
        );
        assert_eq!(agreement.json()["disagreements"], 1000);
    }
}
