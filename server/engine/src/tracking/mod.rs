//! Client-side caching as data: which connection has read which key, which prefixes are listened to, what a client has asked for.
//!
//! ```text
//!   Tracking --table-----> Table      key -> readers             one entry per key that was read
//!            --prefixes--> Prefixes   prefix -> readers, and what was written in this turn   (BCAST)
//!   Session  ------------> Options    mode, redirection, prefixes of one client
//! ```
//! Nothing here sends anything: [`crate::call::tracking`] does. There is a `Tracking` as long as there is a client that tracks.

pub mod options;
pub mod prefixes;
pub mod table;

use crate::base::id::Reader;
use crate::structure::table::Hasher;
use options::Options;
use prefixes::Prefixes;
use table::Table;

/// What is remembered for all clients that track.
#[derive(Debug)]
pub struct Tracking {
    /// Keys that were read.
    pub table: Table,
    /// Who listens to prefixes.
    pub prefixes: Prefixes,
    /// Clients that track.
    clients: usize,
    /// Clients that had too much waiting when there was something to tell: they get a null when they have read.
    pub missed: Vec<Reader>,
    /// Targets of clients that are gone, which nobody will tell what those had read: they get a null.
    pub orphans: Vec<Reader>,
}

impl Tracking {
    /// Nobody tracks yet.
    pub fn new(hasher: Hasher) -> Tracking {
        Tracking {
            table: Table::new(hasher),
            prefixes: Prefixes::default(),
            clients: 0,
            missed: Vec::new(),
            orphans: Vec::new(),
        }
    }

    /// Number of clients that track.
    pub fn clients(&self) -> usize {
        self.clients
    }

    /// A client begins to track.
    pub fn enter(&mut self) {
        self.clients += 1;
    }

    /// A client tracks no more. What it has read stays until it changes: then nobody answers to its number.
    pub fn leave(&mut self, reader: Reader, options: &Options) {
        debug_assert!(self.clients > 0, "it had entered");
        self.clients -= 1;
        for prefix in &options.prefixes {
            self.prefixes.remove(prefix, reader);
        }
        self.missed.retain(|other| *other != reader);
    }

    /// Whether the end of a turn has something to do.
    pub fn has_work(&self, keys_max: usize) -> bool {
        self.prefixes.is_written()
            || !self.missed.is_empty()
            || !self.orphans.is_empty()
            || self.table.is_over(keys_max)
    }

    /// Tests what can be told without the sessions.
    ///
    /// # Errors
    /// Names the first that does not hold.
    pub fn check(&self) -> Result<(), String> {
        self.table.check()?;
        self.prefixes.check()
    }
}
