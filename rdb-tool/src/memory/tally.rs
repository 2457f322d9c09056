//! What a whole snapshot takes in a server's memory, added up.

use super::server::{Generation, Model};
use super::weigh::Weight;
use cairn_format::error::Result;
use cairn_format::rdb::{Event, Record};
use cairn_toolkit::prefix::Count;
use std::collections::BTreeMap;

/// A library beside its code, with its share of the interpreter.
const LIBRARY: u64 = 1024;

/// What Redis 8.2 takes for a database that has a key.
const DATABASE: u64 = 2600;

/// Sums for one server.
#[derive(Debug)]
pub struct Tally {
    /// The server.
    pub model: Model,
    /// By type, and by encoding in the server. `bytes` is memory.
    pub encodings: BTreeMap<(&'static str, &'static str), Count>,
    /// By database: keys, and how many expire.
    databases: BTreeMap<u64, (u64, u64)>,
    /// Keys whose time has come, which a server leaves out.
    pub expired: u64,
    libraries: u64,
    now_ms: i64,
}

impl Tally {
    /// Nothing yet. Keys whose time came before `now_ms`, Unix milliseconds, are left out.
    pub fn new(model: Model, now_ms: i64) -> Tally {
        Tally {
            model,
            encodings: BTreeMap::new(),
            databases: BTreeMap::new(),
            expired: 0,
            libraries: 0,
            now_ms,
        }
    }

    /// Sums of nothing for the same server, for a part of the file.
    pub fn of_part(&self) -> Tally {
        Tally::new(self.model.clone(), self.now_ms)
    }

    /// Adds the sums of a part.
    pub fn absorb(&mut self, part: Tally) {
        for (name, count) in part.encodings {
            self.encodings.entry(name).or_default().add(count);
        }
        for (db, (keys, expires)) in part.databases {
            let sum = self.databases.entry(db).or_default();
            (sum.0, sum.1) = (sum.0 + keys, sum.1 + expires);
        }
        self.expired += part.expired;
        self.libraries += part.libraries;
    }

    /// Counts an event. What a key takes, if it is one and is loaded.
    ///
    /// # Errors
    /// Damage inside the value.
    pub fn event(&mut self, event: &Event<'_>) -> Result<Option<Weight>> {
        match event {
            Event::Record(record) if self.is_expired(record) => {
                self.expired += 1;
                Ok(None)
            }
            Event::Record(record) => {
                let weight = self.model.weigh(record, u64::MAX)?;
                self.add(record, weight);
                Ok(Some(weight))
            }
            Event::Function(code) => {
                self.libraries += self.model.size(code.len() as u64) + LIBRARY;
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    /// Whether a server would leave a key out.
    pub fn is_expired(&self, record: &Record<'_>) -> bool {
        record.head.expire_ms.is_some_and(|at| at <= self.now_ms)
    }

    /// Counts a key.
    pub fn add(&mut self, record: &Record<'_>, weight: Weight) {
        let expires = u64::from(record.head.expire_ms.is_some());
        let count = Count {
            keys: 1,
            expires,
            elements: 0,
            bytes: weight.bytes,
        };
        let name = (record.value.type_name(), weight.encoding);
        self.encodings.entry(name).or_default().add(count);
        let db = self.databases.entry(record.db).or_default();
        (db.0, db.1) = (db.0 + 1, db.1 + expires);
    }

    /// Keys that are loaded.
    pub fn keys(&self) -> u64 {
        self.databases.values().map(|(keys, _)| keys).sum()
    }

    /// Bytes of the tables of keys and of their expiries.
    pub fn tables(&self) -> u64 {
        let links = self.model.links_of_keys();
        // Redis 8.2 grows the table when it is full, all others when it would be more than that.
        let table = |entries| match self.model.generation {
            Generation::Together => self.model.table_of(links, entries, entries + 1),
            _ => self.model.table(links, entries),
        };
        let own = match self.model.generation {
            Generation::Together => DATABASE,
            _ => 0,
        };
        let each = |(keys, expires): &(u64, u64)| own + table(*keys) + table(*expires);
        self.databases.values().map(each).sum()
    }

    /// Bytes of function libraries.
    pub fn libraries(&self) -> u64 {
        self.libraries
    }

    /// Bytes of all of the data.
    pub fn data(&self) -> u64 {
        let keys: u64 = self.encodings.values().map(|count| count.bytes).sum();
        keys + self.tables() + self.libraries
    }

    /// `used_memory` of a server that has loaded it and has no client.
    pub fn used_memory(&self) -> u64 {
        self.model.empty() + self.data()
    }
}
