//! Where the next record begins behind a damaged one.
//!
//! Every place is tried: records must stand there one behind the other, each whole in all its parts, until three are read or the
//! file ends as it should. Zeros are no records (a run of them would be empty keys), and no key may come twice.
//!
//! ```text
//!   good good DAMAGED ?????? good good good ...
//!            ^ from         ^ found: three records can be read
//!   good TOO-LONG ...
//!       [  swallowed: good good ]^          looked for inside, too: records that lead beyond its end
//! ```

use std::collections::HashSet;
use std::ops::Range;

use super::super::dialect::Dialect;
use super::super::event::{Event, Record};
use super::super::opcode;
use super::super::raw::{Scan, SliceSource};
use super::super::string;
use super::{Check, Options, SliceReader};
use crate::error::Severity;
use crate::hash::hash_bytes;

/// Records that must stand one behind the other.
const RECORDS: usize = 3;
/// Bytes that may be looked at for one place, while there is time left.
const LOOK: usize = 64 << 20;
/// The same afterwards.
const SHORT_LOOK: usize = 64 << 10;
/// Bytes that may be looked at in all: this, and so many times the size of the file.
const WORK: usize = 64 << 20;
const WORK_TIMES: usize = 4;
/// Databases above this are not believed.
const DATABASE_MAX: u64 = 1 << 14;

/// What is asked of records that are found again. The end of a damaged value may look like a small record, so the first key must look
/// like those that are known.
#[derive(Clone, Copy, Debug)]
pub struct Resync<'k> {
    /// They must lead beyond this place.
    pub beyond: u64,
    /// The first key is text, as those before were.
    pub text_key: bool,
    /// The database of the records before, if one was named: others that follow have higher numbers.
    pub db: Option<u64>,
    /// The file has hints at numbers of keys, so that one follows each name of a database.
    pub hints: bool,
    /// How keys begin, if enough are known: the first one must begin so.
    pub beginnings: Option<&'k HashSet<[u8; 2]>>,
}

impl Resync<'_> {
    /// Whether a first key looks like those that are known.
    fn takes(&self, key: &[u8]) -> bool {
        (!self.text_key || is_text(key))
            && self
                .beginnings
                .is_none_or(|known| known.contains(&beginning(key)))
    }
}

/// How a key begins.
pub fn beginning(key: &[u8]) -> [u8; 2] {
    [0, 1].map(|place| key.get(place).copied().unwrap_or(0))
}

impl SliceReader<'_> {
    /// The first place in `places` where records begin that can be read.
    pub fn resync(&self, places: Range<u64>, asked: Resync<'_>) -> Option<u64> {
        let bytes = self.source.all();
        let place = |offset| {
            usize::try_from(offset)
                .unwrap_or(usize::MAX)
                .min(bytes.len())
        };
        let (from, to) = (place(places.start), place(places.end));
        let mut work = WORK.saturating_add(bytes.len().saturating_mul(WORK_TIMES));
        for at in from..to {
            if !may_begin(bytes, at, self.dialect) {
                continue;
            }
            let look = if work > 0 { LOOK } else { SHORT_LOOK };
            let chain = Chain::read(bytes, at, look, self.dialect, asked);
            work = work.saturating_sub(chain.looked);
            if chain.fits && !chain.swallows(bytes, self.dialect, asked) {
                return Some(at as u64);
            }
        }
        None
    }

    /// Whether what stands between two places is one record but for its type byte.
    pub fn another_type_fits(&self, at: u64, end: u64) -> bool {
        let bytes = self.source.all();
        let place = |offset| {
            usize::try_from(offset)
                .unwrap_or(usize::MAX)
                .min(bytes.len())
        };
        let (at, end) = (place(at), place(end));
        at < end && some_type_fits(&bytes[..end], at, end, self.dialect)
    }
}

/// Whether a record of some type begins at `at` and ends at `end`, whatever its type byte says.
fn some_type_fits(bytes: &[u8], at: usize, end: usize, dialect: Dialect) -> bool {
    let mut source = SliceSource::new(bytes, false);
    let mut scan = Scan::new(&mut source, at + 1, false);
    if scan.string("key").is_err() {
        return false;
    }
    let value_at = scan.at;
    let known = (0..=u8::MAX).filter(|byte| dialect.knows_type(*byte));
    known
        .filter_map(|byte| opcode::type_info(dialect.family(), byte))
        .any(|info| {
            let mut source = SliceSource::new(bytes, false);
            let mut scan = Scan::new(&mut source, value_at, false);
            scan.value(info).is_ok() && scan.at == end
        })
}

/// Whether the byte at `at` can begin a record; most cannot.
fn may_begin(bytes: &[u8], at: usize, dialect: Dialect) -> bool {
    match bytes[at] {
        opcode::EOF => ends_at(bytes, at, dialect),
        byte => dialect.begins_record(byte),
    }
}

/// Whether the file ends properly with the EOF at `at`.
fn ends_at(bytes: &[u8], at: usize, dialect: Dialect) -> bool {
    bytes.len() - at - 1 == if dialect.has_checksum() { 8 } else { 0 }
}

/// Records that stand one behind the other.
struct Chain {
    /// Whether there are enough of them, or the file ends behind them as it should.
    fits: bool,
    /// How many bytes were looked at to see that.
    looked: usize,
    /// Those that are suspected to swallow others: the first, and the one that leads beyond the damage.
    suspects: Vec<Range<usize>>,
}

impl Chain {
    /// Reads the records that begin at `at`.
    fn read(bytes: &[u8], at: usize, look: usize, dialect: Dialect, asked: Resync<'_>) -> Chain {
        let is_cut = bytes.len() - at > look;
        let part = &bytes[..bytes.len().min(at.saturating_add(look))];
        let mut walk = Walk::new(part, at, dialect, asked);
        let mut suspects = Vec::new();
        let beyond = usize::try_from(asked.beyond).unwrap_or(usize::MAX);
        let mut behind = 0;
        let fits = loop {
            match walk.next() {
                Step::Record(range) => {
                    let crosses = range.start < beyond && beyond < range.end;
                    behind += usize::from(range.start >= beyond);
                    if suspects.is_empty() || crosses {
                        suspects.push(range);
                    }
                    if behind >= RECORDS {
                        break true;
                    }
                }
                Step::Other => {}
                Step::End(end) => {
                    // The commands of a log may follow.
                    let behind = bytes.get(end);
                    let is_log = behind == Some(&b'*') && !walk.keys.is_empty();
                    break !is_cut && (behind.is_none() || is_log);
                }
                Step::Stop => break false,
            }
        };
        Chain {
            fits,
            looked: walk.at.saturating_sub(at).max(1),
            suspects,
        }
    }

    /// Whether a record is none: a length that stands there by chance leads over others to where another begins.
    fn swallows(&self, bytes: &[u8], dialect: Dialect, asked: Resync<'_>) -> bool {
        let holds = |range: &Range<usize>| {
            let inside = range.start + 1..range.end;
            inside.into_iter().any(|at| {
                may_begin(bytes, at, dialect) && fills(bytes, at..range.end, dialect, asked)
            })
        };
        self.suspects.iter().any(holds)
    }
}

/// Whether two records or more stand from the begin of a range exactly to its end.
fn fills(bytes: &[u8], range: Range<usize>, dialect: Dialect, asked: Resync<'_>) -> bool {
    let part = &bytes[..range.end];
    if !key_fits(part, range.start, dialect) {
        return false;
    }
    let mut walk = Walk::new(part, range.start, dialect, asked);
    loop {
        match walk.next() {
            Step::Record(record) if record.end == range.end => return walk.keys.len() > 1,
            Step::Record(_) | Step::Other => {}
            Step::End(_) | Step::Stop => return false,
        }
    }
}

/// Whether the key of the record that may begin at `at` ends within the bytes. Most that begin by chance are told by that, without an
/// error in words that nobody reads.
fn key_fits(bytes: &[u8], at: usize, dialect: Dialect) -> bool {
    if opcode::type_info(dialect.family(), bytes[at]).is_none() {
        // Something else stands before the key.
        return true;
    }
    let key = string::form(bytes, at + 1, false);
    key.is_ok_and(|(form, begin)| form.stored_len() <= (bytes.len() - begin) as u64)
}

/// What stands at a place.
enum Step {
    /// A record of a key.
    Record(Range<usize>),
    /// Something beside the keys.
    Other,
    /// The end of a snapshot, and where it is.
    End(usize),
    /// Nothing that could be meant.
    Stop,
}

/// A walk over records that must be plausible.
struct Walk<'a, 'k> {
    reader: SliceReader<'a>,
    keys: HashSet<u64>,
    asked: Resync<'k>,
    /// A database was named, and the hint at its keys must be next.
    owes_hint: bool,
    /// Offset after the last record.
    at: usize,
}

impl<'a, 'k> Walk<'a, 'k> {
    fn new(bytes: &'a [u8], at: usize, dialect: Dialect, asked: Resync<'k>) -> Self {
        let options = Options {
            check: Check::Strict,
            checksum: false,
            trailing: false,
            duplicate_keys: false,
            ..Options::deep()
        };
        let mut reader = SliceReader::headless(bytes, at as u64, dialect, options);
        // Nobody reads why it is no record.
        reader.blames = false;
        Walk {
            reader,
            keys: HashSet::new(),
            asked,
            owes_hint: false,
            at,
        }
    }

    fn next(&mut self) -> Step {
        let mut found = Vec::new();
        let Ok(Some(passed)) = self.reader.examine(&mut found) else {
            return Step::Stop;
        };
        let range = passed.offset as usize..passed.end as usize;
        self.at = range.end;
        // What no server writes may be anywhere in a value, and nowhere in the frame around it.
        let is_bad = found.into_iter().any(|error| {
            error.severity == Severity::Damage
                || matches!(
                    error.problem,
                    "long-length" | "newer-type" | "attribute-place"
                )
        });
        let fits = match passed.event {
            _ if is_bad => false,
            None => false,
            Some(Event::Resize { keys, expires }) => {
                self.owes_hint = false;
                expires <= keys
            }
            Some(_) if self.owes_hint => false,
            Some(Event::Record(record)) => {
                let is_first = self.keys.is_empty();
                let fits = is_plausible(&record, &mut self.keys)
                    && (!is_first || self.asked.takes(record.head.key));
                return if fits {
                    Step::Record(range)
                } else {
                    Step::Stop
                };
            }
            Some(Event::End(_)) => return Step::End(range.end),
            Some(Event::SelectDb(db)) => {
                let follows = self.asked.db.is_none_or(|last| db > last);
                self.asked.db = Some(db);
                self.owes_hint = self.asked.hints;
                follows && db < DATABASE_MAX
            }
            Some(Event::Aux { name, .. }) => {
                let name = name.to_vec();
                !name.is_empty() && name.iter().all(u8::is_ascii_graphic)
            }
            Some(Event::SlotInfo { slot, .. }) => slot < 16_384,
            Some(_) => true,
        };
        if fits { Step::Other } else { Step::Stop }
    }
}

/// Whether a record looks like one that a server wrote, beside those before it.
fn is_plausible(record: &Record<'_>, keys: &mut HashSet<u64>) -> bool {
    let key = record.head.key;
    keys.insert(hash_bytes(key, record.db))
        && !key.is_empty()
        && record.head.expire_ms.is_none_or(|ms| ms > 0)
}

/// Whether bytes are text: UTF-8 without control characters but those of white space.
pub fn is_text(bytes: &[u8]) -> bool {
    let is_strange = |letter: char| letter.is_control() && !letter.is_ascii_whitespace();
    std::str::from_utf8(bytes).is_ok_and(|text| !text.chars().any(is_strange))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Strings `key:N`, a version without checksum.
    fn file(count: usize) -> Vec<u8> {
        let mut bytes = b"REDIS0004\xfe\x00".to_vec();
        for n in 0..count {
            bytes.extend_from_slice(format!("\0\x06key:{n:02}\x05value").as_bytes());
        }
        bytes.push(opcode::EOF);
        bytes
    }

    fn asked(beyond: u64) -> Resync<'static> {
        Resync {
            beyond,
            text_key: true,
            db: Some(0),
            hints: false,
            beginnings: None,
        }
    }

    #[test]
    fn the_end_of_a_value_is_no_record_where_keys_begin_otherwise() {
        // `.. 00 | 02 f4 | 02 ab` could be a string under the key f4.
        let bytes = [b"REDIS0004\xfe\x00?\x00\x02f4\x02ab", &file(5)[11..]].concat();
        let reader = SliceReader::from_slice(&bytes, Options::shallow()).unwrap();
        let whole = 11..bytes.len() as u64;
        assert_eq!(reader.resync(whole.clone(), asked(0)), Some(12));
        let known = HashSet::from([beginning(b"key:00")]);
        let knowing = Resync {
            beginnings: Some(&known),
            ..asked(0)
        };
        assert_eq!(reader.resync(whole, knowing), Some(19));
    }

    fn found(bytes: &[u8], from: u64, beyond: u64) -> Option<u64> {
        let reader = SliceReader::from_slice(bytes, Options::shallow()).unwrap();
        reader.resync(from..bytes.len() as u64, asked(beyond))
    }

    #[test]
    fn the_next_record_is_found_behind_zeros_and_text() {
        let mut bytes = file(10);
        bytes[12..60].fill(0);
        assert_eq!(found(&bytes, 12, 0), Some(67), "key:04");
        bytes[12..60].fill(b'x');
        assert_eq!(found(&bytes, 12, 0), Some(67));
    }

    #[test]
    fn what_does_not_lead_far_enough_is_none() {
        let bytes = file(10);
        assert_eq!(found(&bytes, 12, 0), Some(25), "key:01");
        let last = bytes.len() as u64 - 1;
        assert_eq!(found(&bytes, last - 13, 0), Some(last), "the end itself");
        assert_eq!(
            found(&bytes[..60], 26, 0),
            None,
            "one whole record, and a cut one"
        );
        let zeros = [&bytes[..11], &[0; 100_000]].concat();
        assert_eq!(found(&zeros, 11, 0), None);
    }

    #[test]
    fn a_database_is_believed_if_it_comes_later_and_has_its_hint() {
        let reads = |middle: &[u8], hints| {
            let bytes = [&file(0)[..11], b"?", middle, &file(5)[11..]].concat();
            let reader = SliceReader::from_slice(&bytes, Options::shallow()).unwrap();
            let asked = Resync { hints, ..asked(0) };
            reader.resync(11..bytes.len() as u64, asked)
        };
        assert_eq!(reads(b"\xfe\x02", false), Some(12));
        assert_eq!(reads(b"\xfe\x00", false), Some(14), "it is 0 already");
        assert_eq!(reads(b"\xfe\x02", true), Some(14));
        assert_eq!(reads(b"\xfe\x02\xfb\x05\x00", true), Some(12));
    }

    #[test]
    fn records_inside_another_are_taken_if_they_lead_beyond_it() {
        let mut bytes = file(10);
        // The value of key:02 claims 33 bytes and swallows the next two.
        bytes[47] = 33;
        let reader = SliceReader::from_slice(&bytes, Options::shallow()).unwrap();
        assert_eq!(reader.resync(40..81, asked(81)), Some(53), "key:03");
        // Where a length leads exactly to another record, its own is none.
        bytes[47] = 5 + 28;
        assert_eq!(found(&bytes, 39, 0), Some(53));
    }
}
