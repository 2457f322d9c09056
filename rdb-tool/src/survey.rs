//! What a snapshot holds, counted: by database, by type, by encoding, and its largest keys.

use cairn_format::error::Result;
use cairn_format::rdb::{Event, Located, Record, Text, library_name};
use cairn_format::text::number::I64Text;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Keys, their elements and their bytes in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Keys.
    pub keys: u64,
    /// Keys with an expiry.
    pub expires: u64,
    /// Elements; 1 for a string.
    pub elements: u64,
    /// Bytes in the file, with key and attributes.
    pub bytes: u64,
}

impl Count {
    fn add(&mut self, other: Count) {
        self.keys += other.keys;
        self.expires += other.expires;
        self.elements += other.elements;
        self.bytes += other.bytes;
    }
}

/// One of the largest keys. Ordered by bytes, then by place in the file, so that the choice is the same every time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Large {
    /// Bytes in the file.
    pub bytes: u64,
    /// Offset in the file, reversed: of equals the first counts as larger.
    pub offset: Reverse<u64>,
    /// Database.
    pub db: u64,
    /// Key.
    pub key: Vec<u8>,
    /// Type.
    pub type_name: &'static str,
    /// Form in the file.
    pub encoding: &'static str,
    /// Elements.
    pub elements: u64,
}

/// Everything that is counted in one walk.
#[derive(Debug, Default)]
pub struct Survey {
    /// Facts about the file, in its order.
    pub aux: Vec<(Vec<u8>, Vec<u8>)>,
    /// Engine and name of each function library.
    pub libraries: Vec<(String, String)>,
    /// Names of modules with data outside the keys.
    pub module_aux: Vec<String>,
    /// Cluster slots that have a hint.
    pub slots: u64,
    /// By database.
    pub databases: BTreeMap<u64, Count>,
    /// By type and encoding.
    pub encodings: BTreeMap<(&'static str, &'static str), Count>,
    /// The largest keys, smallest on top.
    largest: BinaryHeap<Reverse<Large>>,
    top: usize,
}

impl Survey {
    /// A survey that keeps the `top` largest keys.
    pub fn new(top: usize) -> Survey {
        Survey {
            top,
            ..Survey::default()
        }
    }

    /// Counts an event.
    pub fn event(&mut self, located: &Located<'_>) -> Result<()> {
        match &located.event {
            Event::Aux { name, value } => self.aux.push((name.to_vec(), value.to_vec())),
            Event::Function(code) => self.library(code),
            Event::ModuleAux(aux) => self.module_aux.push(aux.module.name()),
            Event::SlotInfo { .. } => self.slots += 1,
            Event::Record(record) => {
                return self.record(record, located.offset, located.end - located.offset);
            }
            Event::SelectDb(_) | Event::Resize { .. } | Event::SlotImport(_) | Event::End(_) => {}
        }
        Ok(())
    }

    fn library(&mut self, code: &Text<'_>) {
        self.libraries
            .push(library_name(code.bytes(&mut I64Text::new())).unwrap_or_default());
    }

    fn record(&mut self, record: &Record<'_>, offset: u64, bytes: u64) -> Result<()> {
        let elements = record.value.count()?;
        let count = Count {
            keys: 1,
            expires: u64::from(record.head.expire_ms.is_some()),
            elements,
            bytes,
        };
        let (type_name, encoding) = (record.value.type_name(), record.value.encoding_name());
        self.databases.entry(record.db).or_default().add(count);
        self.encodings
            .entry((type_name, encoding))
            .or_default()
            .add(count);
        let smallest = self.largest.peek().map_or(0, |Reverse(large)| large.bytes);
        if self.largest.len() < self.top || bytes > smallest && self.top > 0 {
            let key = record.head.key.to_vec();
            let large = Large {
                bytes,
                offset: Reverse(offset),
                db: record.db,
                key,
                type_name,
                encoding,
                elements,
            };
            self.largest.push(Reverse(large));
            if self.largest.len() > self.top {
                self.largest.pop();
            }
        }
        Ok(())
    }

    /// Keys of all databases.
    pub fn keys(&self) -> u64 {
        self.databases.values().map(|count| count.keys).sum()
    }

    /// By type alone.
    pub fn types(&self) -> BTreeMap<&'static str, Count> {
        let mut types = BTreeMap::new();
        for ((type_name, _), count) in &self.encodings {
            types
                .entry(*type_name)
                .or_insert_with(Count::default)
                .add(*count);
        }
        types
    }

    /// The largest keys, largest first.
    pub fn largest(&self) -> Vec<&Large> {
        let mut largest: Vec<&Large> = self.largest.iter().map(|Reverse(large)| large).collect();
        largest.sort_by(|a, b| b.cmp(a));
        largest
    }
}
