//! What a sound section of a snapshot has, looked at on any thread, for an examination that takes it in.

use super::piece::{Piece, What};
use cairn_format::rdb::reader::{Work, beginning, is_text};
use cairn_format::rdb::{Dialect, Event, Located};
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

/// Zeros one behind the other that are no records.
const ZEROS: usize = 16;
/// The database of a piece at the begin of a section, which is that of the one before.
pub const UNKNOWN_DB: u64 = u64::MAX;

/// Looks at sound sections.
pub struct Looking<'a> {
    /// The file.
    pub bytes: &'a [u8],
    /// For the hashes of keys.
    pub seed: &'a RandomState,
}

/// What a sound section has.
#[derive(Default)]
pub struct Section {
    /// In the order of the file.
    pub pieces: Vec<Piece>,
    /// Its keys.
    pub keys: usize,
    /// How many of them are text.
    pub text_keys: usize,
    /// How they begin.
    pub beginnings: HashSet<[u8; 2]>,
    /// Whether a database was named.
    pub named: bool,
    /// Keys that hints promise.
    pub promised: u64,
}

/// Zeros where a record should begin, and the database there.
pub struct Zeros {
    /// Where that is.
    pub at: u64,
    /// The database.
    pub db: u64,
}

impl Work for Looking<'_> {
    type Part = Section;
    type Stop = Zeros;

    fn begin(&self, _: Dialect) -> Section {
        Section::default()
    }

    fn event(&self, section: &mut Section, located: &Located<'_>) -> Result<(), Zeros> {
        let (from, to) = (located.offset, located.end);
        let rest = usize::try_from(from).ok();
        let rest = rest.and_then(|from| self.bytes.get(from..));
        let rest = rest.unwrap_or_default();
        let last_db = section.pieces.last().map(|piece| piece.db);
        let (db, what) = match &located.event {
            Event::Record(record) if is_zeros(rest) => {
                let (at, db) = (from, record.db);
                return Err(Zeros { at, db });
            }
            Event::Record(record) => {
                let key = record.head.key;
                let hash = self.seed.hash_one((record.db, key));
                section.keys += 1;
                section.text_keys += usize::from(is_text(key));
                section.beginnings.insert(beginning(key));
                (record.db, What::Key { hash })
            }
            Event::SelectDb(db) => {
                section.named = true;
                (*db, What::Other(rest.first().copied().unwrap_or_default()))
            }
            event => {
                if let Event::Resize { keys, .. } = event {
                    section.promised = section.promised.saturating_add(*keys);
                }
                let byte = rest.first().copied().unwrap_or_default();
                // Where a section begins nobody says so; the examiner knows.
                (last_db.unwrap_or(UNKNOWN_DB), What::Other(byte))
            }
        };
        section.pieces.push(Piece { from, to, db, what });
        Ok(())
    }
}

/// Whether an area of zeros begins here.
pub fn is_zeros(bytes: &[u8]) -> bool {
    bytes.len() >= ZEROS && bytes[..ZEROS].iter().all(|byte| *byte == 0)
}
