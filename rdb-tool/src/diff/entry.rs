//! What is compared of a key: its place, 16 bytes for its value, its expiry.

use crate::canon::{Canon, Canonizer};
use crate::parts::{Made, read_parts};
use crate::snapshot::{Need, Reading, Stop, Visit, inside, unrun};
use cairn_format::rdb::object::{TYPE_NAMES, module_name};
use cairn_format::rdb::reader::Options;
use cairn_format::rdb::{Event, Located, ModuleAux, library_name};
use cairn_format::text::number::I64Text;
use cairn_toolkit::select::FUNCTION;
use cairn_toolkit::{Failure, Input, human, quoted};

/// The kind of what modules keep outside the keys.
pub const MODULE_DATA: &str = "module data";

/// All kinds; an entry has the place in this list.
const KINDS: [&str; TYPE_NAMES.len() + 2] = {
    let mut all = [FUNCTION; TYPE_NAMES.len() + 2];
    let mut at = 0;
    while at < TYPE_NAMES.len() {
        all[at] = TYPE_NAMES[at];
        at += 1;
    }
    all[TYPE_NAMES.len() + 1] = MODULE_DATA;
    all
};

/// Database and name; what is no key has no database, and comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The database.
    pub db: Option<u64>,
    /// The key, or the name of a library.
    pub key: &'a [u8],
}

impl Place<'_> {
    /// As a person reads it.
    pub fn text(&self, kind: &str) -> String {
        let key = quoted(self.key);
        match self.db {
            Some(db) => format!("db {db}, key {key}"),
            None if kind == MODULE_DATA => format!("data of the module type {key}"),
            None => format!("function library {key}"),
        }
    }
}

/// What is kept of a key, without its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The value.
    pub canon: Canon,
    /// Unix milliseconds.
    pub expire_ms: Option<i64>,
    /// Which of [`KINDS`].
    kind: u8,
}

impl Entry {
    fn new(canon: Canon, expire_ms: Option<i64>, kind: &str) -> Entry {
        let kind = KINDS.iter().position(|known| *known == kind);
        Entry {
            canon,
            expire_ms,
            kind: kind.unwrap_or(KINDS.len() - 1) as u8,
        }
    }

    /// The type, as TYPE names it, or what it is instead of a key.
    pub fn kind(&self) -> &'static str {
        KINDS[usize::from(self.kind) % KINDS.len()]
    }

    /// `hash of 3 fields`.
    pub fn describe(&self) -> String {
        format!("{} of {}", self.kind(), self.size())
    }

    /// `3 fields`.
    pub fn size(&self) -> String {
        let count = self.canon.count;
        match self.kind() {
            "string" | FUNCTION | MODULE_DATA => human::plural(count, "byte", "bytes"),
            "hash" => human::plural(count, "field", "fields"),
            "set" | "zset" => human::plural(count, "member", "members"),
            "stream" => human::plural(count, "entry", "entries"),
            "module" => human::plural(count, "value", "values"),
            _ => human::plural(count, "element", "elements"),
        }
    }

    /// Whether the values differ, their types included.
    pub fn differs(&self, other: &Entry) -> bool {
        let counters = (self.canon.counters, other.canon.counters);
        self.kind != other.kind
            || self.canon.value != other.canon.value
            || matches!(counters, (Some(a), Some(b)) if a != b)
    }

    /// Whether the expiries are further apart than `drift_ms`.
    pub fn expires_elsewhen(&self, other: &Entry, drift_ms: u64) -> bool {
        match (self.expire_ms, other.expire_ms) {
            (Some(a), Some(b)) => a.abs_diff(b) > drift_ms,
            (a, b) => a != b,
        }
    }

    /// What differs, in words; nothing if all is equal.
    pub fn differences(&self, other: &Entry, drift_ms: u64) -> Vec<String> {
        let mut what = Vec::new();
        if self.kind != other.kind {
            what.push(format!("type {} and {}", self.kind(), other.kind()));
        } else if self.canon.value != other.canon.value {
            what.push(match self.canon.count == other.canon.count {
                true => format!("value, {} on both sides", self.size()),
                false => format!("value, {} and {}", self.size(), other.size()),
            });
        } else if self.differs(other) {
            what.push("entries added or highest deleted id of the stream".to_owned());
        }
        if self.expires_elsewhen(other, drift_ms) {
            let text =
                |expiry: Option<i64>| expiry.map_or("none".to_owned(), |ms| format!("{ms} ms"));
            let (a, b) = (text(self.expire_ms), text(other.expire_ms));
            what.push(format!("expiry {a} and {b}"));
        }
        what
    }

    /// Bytes of [`Entry::to_bytes`].
    pub const BYTES: usize = 16 + 9 + 8 + 9 + 1;

    /// For a file of our own.
    pub fn to_bytes(self) -> [u8; Entry::BYTES] {
        let mut bytes = [0; Entry::BYTES];
        let mut at = 0;
        let mut put = |part: &[u8]| {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        };
        put(&self.canon.value.to_le_bytes());
        put(&[u8::from(self.canon.counters.is_some())]);
        put(&self.canon.counters.unwrap_or(0).to_le_bytes());
        put(&self.canon.count.to_le_bytes());
        put(&[u8::from(self.expire_ms.is_some())]);
        put(&self.expire_ms.unwrap_or(0).to_le_bytes());
        put(&[self.kind]);
        bytes
    }

    /// The way back.
    pub fn from_bytes(bytes: &[u8; Entry::BYTES]) -> Entry {
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(word)
        };
        let value = u128::from(word(0)) | u128::from(word(8)) << 64;
        Entry {
            canon: Canon {
                value,
                counters: (bytes[16] == 1).then(|| word(17)),
                count: word(25),
            },
            expire_ms: (bytes[33] == 1).then(|| word(34) as i64),
            kind: bytes[42],
        }
    }
}

/// What data of a module is called: type and place.
pub fn module_data_name(aux: &ModuleAux<'_>) -> String {
    let place = match aux.when {
        1 => "before",
        _ => "behind",
    };
    format!("{} {place} the keys", module_name(aux.module.id))
}

/// What is compared of a section.
#[derive(Default)]
struct Section {
    /// Hash of the place, database, where the name ends in the names, and the entry.
    entries: Vec<(u128, Option<u64>, usize, Entry)>,
    names: Vec<u8>,
}

impl Section {
    fn push(&mut self, canonizer: &Canonizer, place: Place<'_>, entry: Entry) {
        let hash = canonizer.place(place.db, place.key);
        self.names.extend_from_slice(place.key);
        self.entries.push((hash, place.db, self.names.len(), entry));
    }

    fn event(&mut self, canonizer: &Canonizer, name: &str, event: &Event<'_>) -> Visit {
        match event {
            Event::Record(record) => {
                let (db, key) = (record.db, record.head.key);
                let canon = inside(canonizer.value(&record.value), db, key)?;
                let entry = Entry::new(canon, record.head.expire_ms, record.value.type_name());
                self.push(canonizer, Place { db: Some(db), key }, entry);
            }
            Event::Function(code) => {
                let mut scratch = I64Text::new();
                let code = code.bytes(&mut scratch);
                let name = library_name(code).unwrap_or_default().1;
                let entry = Entry::new(canonizer.bytes(code), None, FUNCTION);
                let key = name.as_bytes();
                self.push(canonizer, Place { db: None, key }, entry);
            }
            Event::ModuleAux(aux) => {
                let name = module_data_name(aux);
                let entry = Entry::new(canonizer.bytes(aux.module.values), None, MODULE_DATA);
                let key = name.as_bytes();
                self.push(canonizer, Place { db: None, key }, entry);
            }
            Event::Command(_) => return Err(unrun(name)),
            _ => {}
        }
        Ok(())
    }

    fn each(
        &self,
        visit: &mut dyn FnMut(u128, Place<'_>, Entry) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut begin = 0;
        for (hash, db, end, entry) in &self.entries {
            let key = &self.names[begin..*end];
            visit(*hash, Place { db: *db, key }, *entry)?;
            begin = *end;
        }
        Ok(())
    }
}

/// Goes over all that is compared of a file, each with the hash of its place. Nothing else is looked at, so that what is read is read fast.
pub fn each_entry(
    input: &Input,
    reading: &Reading,
    canonizer: &Canonizer,
    visit: &mut dyn FnMut(u128, Place<'_>, Entry) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let label = format!("reading {}", input.name());
    let name = input.name();
    let sections = Made {
        begin: |_| Section::default(),
        event: |section: &mut Section, located: &Located<'_>| {
            section.event(canonizer, name, &located.event)
        },
    };
    read_parts(
        input,
        reading,
        Need::All,
        Options::shallow(),
        &label,
        &sections,
        &mut |section: Section| section.each(visit).map_err(Stop::Failed),
    )
    .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_back_from_its_bytes() {
        for (counters, expire_ms, kind) in [
            (None, None, "hash"),
            (Some(u64::MAX), Some(-1), FUNCTION),
            (Some(0), Some(0), MODULE_DATA),
        ] {
            let canon = Canon {
                value: 7 << 64 | 9,
                counters,
                count: 11,
            };
            let entry = Entry::new(canon, expire_ms, kind);
            assert_eq!(entry.kind(), kind);
            assert_eq!(Entry::from_bytes(&entry.to_bytes()), entry);
        }
    }
}
