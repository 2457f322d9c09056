//! A sound file in memory, checked in sections on several processors.
//!
//! ```text
//!   bytes   header | records ... | records ... | records ... | EOF checksum
//!                                ^ cut         ^ cut
//! ```
//!
//! Where a record begins is known only to who has read all before it. So a cut is guessed ([`SliceReader::resync`]), each section is
//! checked as if the guess were right, and proven by the one before it: that has to end exactly at the cut, in the database that
//! the next one was begun with. Whatever else comes out (damage, a wrong guess, a key that occurs twice) says nothing: the
//! caller then reads in one go, which tells what is wrong. Nothing is called sound here that a reader in one go would not.

use std::ops::Range;
use std::thread;

use super::super::dialect::Dialect;
use super::super::event::{Checksum, Event};
use super::keys::{KeyIndex, have_repeats};
use super::resync::Resync;
use super::{Options, RawKind, SliceReader};
use crate::crc64::{self, crc64};

/// Bytes of a section at least: less is not worth a thread.
const SECTION_MIN: usize = 8 << 20;
/// Bytes behind the middle in which a record has to begin.
const SEARCH: u64 = 1 << 20;
/// Records that have to follow each other where a section begins.
const RECORDS: usize = 64;
/// Places that are tried for that.
const GUESSES: usize = 64;
/// Events at the head that may come before the first name of a database.
const HEAD_EVENTS: usize = 1000;

/// A file that is sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sound {
    /// Family and version.
    pub dialect: Dialect,
    /// What became of the checksum.
    pub checksum: Checksum,
    /// Its keys.
    pub records: u64,
    /// Its bytes.
    pub end: u64,
}

/// What one section came to.
struct Section {
    /// The database at its end.
    db: u64,
    records: u64,
    keys: KeyIndex,
    /// Of its bytes, but for the checksum that the file ends with; and how many those are.
    crc: (u64, u64),
    /// What the file ends with, in the last one.
    end: Option<(Checksum, u64)>,
}

/// Whether all of a file is sound, found out by as many threads as there are processors, up to `threads`. `None`: it is not, or it is
/// too small to be worth it, or a guess was wrong; [`super::verify`] tells.
pub fn verify_in_sections(bytes: &[u8], options: Options, threads: usize) -> Option<Sound> {
    let count = threads.min(bytes.len() / SECTION_MIN);
    verify_in(bytes, options, count, RECORDS)
}

/// In `count` sections, each of which begins behind so many records.
fn verify_in(bytes: &[u8], options: Options, count: usize, records: usize) -> Option<Sound> {
    let asked = options;
    let options = Options {
        checksum: false,
        ..options
    };
    let reader = SliceReader::from_slice(bytes, options).ok()?;
    let (dialect, first) = (reader.dialect(), reader.offset());
    let db = first_db(bytes, options)?;
    let mut cuts = vec![first];
    for number in 1..count {
        let middle = (bytes.len() / count * number) as u64;
        cuts.push(cut(&reader, bytes, middle, records)?);
    }
    if cuts.len() < 2 || !cuts.is_sorted_by(|a, b| a < b) {
        return None;
    }
    let run = |number: usize| {
        let until = cuts.get(number + 1).copied();
        let until = until.map_or(Some(bytes.len()), |cut| usize::try_from(cut).ok())?;
        section(&bytes[..until], cuts[number], db, dialect, options)
    };
    let sections: Vec<Option<Section>> = thread::scope(|scope| {
        let run = &run;
        let others = (1..cuts.len()).map(|number| scope.spawn(move || run(number)));
        let others: Vec<_> = others.collect();
        let first = run(0);
        let others = others.into_iter().map(|one| one.join().ok().flatten());
        std::iter::once(first).chain(others).collect()
    });
    let sections = sections.into_iter().collect::<Option<Vec<Section>>>()?;
    proven(sections, db, dialect, bytes, asked, cuts.len())
}

/// What sections that fit together say of the whole.
fn proven(
    sections: Vec<Section>,
    db: u64,
    dialect: Dialect,
    bytes: &[u8],
    options: Options,
    threads: usize,
) -> Option<Sound> {
    let (last, before) = sections.split_last()?;
    let fits = before
        .iter()
        .all(|section| section.end.is_none() && section.db == db);
    let (stored, end) = last.end.filter(|_| fits)?;
    let records = sections.iter().map(|section| section.records).sum();
    let head = bytes.get(..super::header::SIZE)?;
    let sums = sections.iter().map(|section| section.crc);
    let computed = sums.fold(crc64(head), |sum, (next, len)| {
        crc64::combine(sum, next, len)
    });
    let checksum = match stored {
        Checksum::Unchecked(stored) if options.checksum && stored != computed => return None,
        Checksum::Unchecked(stored) if options.checksum => Checksum::Verified(stored),
        other => other,
    };
    let keys: Vec<KeyIndex> = sections.into_iter().map(|section| section.keys).collect();
    (!options.duplicate_keys || !have_repeats(&keys, threads)).then_some(Sound {
        dialect,
        checksum,
        records,
        end,
    })
}

/// The database that the file names first.
fn first_db(bytes: &[u8], options: Options) -> Option<u64> {
    let mut reader = SliceReader::from_slice(bytes, options).ok()?;
    for _ in 0..HEAD_EVENTS {
        match reader.next_raw().ok()??.kind {
            RawKind::Value(_) => return Some(reader.db),
            RawKind::Opcode(_) => {}
        }
    }
    None
}

/// The end of a record, behind this place. What looks like records may be the inside of one, but after so many of them it either does not
/// go on or has met the real ones.
fn cut(reader: &SliceReader<'_>, bytes: &[u8], place: u64, records: usize) -> Option<u64> {
    let mut places: Range<u64> = place..place + SEARCH;
    let asked = Resync {
        beyond: place,
        text_key: false,
        db: None,
        hints: false,
        beginnings: None,
    };
    for _ in 0..GUESSES {
        let begin = reader.resync(places.clone(), asked)?;
        let ahead = SliceReader::headless(bytes, begin, reader.dialect(), reader.options);
        if let Some(cut) = end_of_many(ahead, records) {
            return Some(cut);
        }
        places.start = begin + 1;
    }
    None
}

/// Where many records end.
fn end_of_many(mut ahead: SliceReader<'_>, records: usize) -> Option<u64> {
    let mut passed = 0;
    while passed < records {
        match ahead.next_raw().ok()??.kind {
            RawKind::Value(_) => passed += 1,
            RawKind::Opcode(_) => {}
        }
    }
    Some(ahead.offset())
}

/// Checks what begins at `from`, a record of database `db`, up to the end of `bytes` or of the file.
fn section(
    bytes: &[u8],
    from: u64,
    db: u64,
    dialect: Dialect,
    options: Options,
) -> Option<Section> {
    let mut reader = SliceReader::headless(bytes, from, dialect, options);
    reader.db = db;
    reader.keys.is_part = true;
    let mut end = None;
    loop {
        reader.pass();
        if reader.offset() == bytes.len() as u64 {
            break;
        }
        let shape = reader.advance().ok()??;
        if let Event::End(checksum) = reader.decode_shape(&shape).ok()?.event {
            end = Some((checksum, reader.offset()));
            break;
        }
    }
    let summed = match end {
        // The checksum is not summed up itself.
        Some((Checksum::None, end)) => end,
        Some((_, end)) => end - 8,
        None => bytes.len() as u64,
    };
    let range = usize::try_from(from).ok()?..usize::try_from(summed).ok()?;
    let crc = (crc64(bytes.get(range)?), summed - from);
    Some(Section {
        db: reader.db,
        records: reader.records(),
        keys: std::mem::take(&mut reader.keys),
        crc,
        end,
    })
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::rdb::verify;
    use crate::rdb::{Head, WriteOptions, Writer};

    fn in_one_go(bytes: &[u8], options: Options) -> Option<Sound> {
        let mut reader = SliceReader::from_slice(bytes, options).ok()?;
        let checksum = verify(&mut reader).ok()?;
        Some(Sound {
            dialect: reader.dialect(),
            checksum,
            records: reader.records(),
            end: reader.offset(),
        })
    }

    fn files(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => files(&path, found),
                false if path.extension().is_some_and(|end| end == "rdb") => found.push(path),
                false => {}
            }
        }
    }

    #[test]
    fn files_of_servers_are_found_sound_as_in_one_go_and_damaged_ones_never() {
        let mut all = Vec::new();
        files(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata"),
            &mut all,
        );
        let (mut sound, mut damaged) = (0, 0);
        for path in &all {
            let bytes = std::fs::read(path).unwrap();
            let wanted = in_one_go(&bytes, Options::deep());
            damaged += u32::from(wanted.is_none());
            for count in 2..=5 {
                if let Some(found) = verify_in(&bytes, Options::deep(), count, 2) {
                    assert_eq!(Some(found), wanted, "{}", path.display());
                    sound += 1;
                }
            }
        }
        assert!(
            sound > 50 && damaged > 50,
            "{sound} found sound, {damaged} files damaged"
        );
    }

    /// Keys with and without expiry, and lists.
    fn many(keys: u32, twice: Option<u32>) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), WriteOptions::new(Dialect::REDIS_7_2)).unwrap();
        writer.select_db(0).unwrap();
        for number in 0..keys {
            let number = if number == keys - 1 {
                twice.unwrap_or(number)
            } else {
                number
            };
            let key = format!("key:{number}");
            let head = Head {
                expire_ms: number.is_multiple_of(3).then_some(1_900_000_000_000),
                ..Head::new(key.as_bytes())
            };
            if number.is_multiple_of(5) {
                writer.begin_list(&head, 3).unwrap();
                for element in [&b"a"[..], b"bc", b"12345"] {
                    writer.element(element).unwrap();
                }
            } else {
                writer.string(&head, b"some value").unwrap();
            }
        }
        writer.finish().unwrap()
    }

    #[test]
    fn no_damage_and_no_key_that_is_there_twice_is_missed() {
        let bytes = many(300, None);
        for count in 2..=8 {
            let found = verify_in(&bytes, Options::deep(), count, 2);
            assert_eq!(
                found,
                in_one_go(&bytes, Options::deep()),
                "{count} sections"
            );
            assert!(found.is_some());
            let twice = many(300, Some(1));
            assert_eq!(verify_in(&twice, Options::deep(), count, 2), None);
        }
        let unsummed = Options {
            checksum: false,
            ..Options::deep()
        };
        for at in (0..bytes.len()).step_by(3) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            if at < bytes.len() - 8 {
                assert_eq!(
                    verify_in(&damaged, Options::deep(), 3, 2),
                    None,
                    "byte {at}"
                );
            }
            if let Some(found) = verify_in(&damaged, unsummed, 3, 2) {
                assert_eq!(Some(found), in_one_go(&damaged, unsummed), "byte {at}");
            }
        }
    }
}
