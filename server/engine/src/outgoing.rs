//! Slots on their way to another node: first their keys, as the commands that make them again, then what changes in them.
//!
//! ```text
//!   slots   sent ... sent | at hand | not begun ...
//!   change   is passed on | noted   | nothing: the keys come later as they are then
//! ```
//! A slot with few keys is sent in one step. One with many is scanned over several; the keys that change meanwhile are sent again, as
//! they are at its end. All keys of a command have one slot, so that a change never concerns a slot that is there and one that is not.
//!
//! Nothing is copied before it is sent, and no child is needed: what the move takes in memory is what waits to be sent.

use std::collections::BTreeSet;
use std::ops::Range;

use cairn_format::aof::release::Release;
use cairn_format::aof::rewrite::Rewriter;
use cairn_format::cluster::SlotSet;
use cairn_format::crc16::key_slot;
use cairn_format::resp::request::{Limits, RequestParser, Step};
use cairn_format::resp::value::write_command;

use crate::base::args::Args;
use crate::call::keys::keys_of;
use crate::call::table::CommandTable;
use crate::keyspace::Keyspace;
use crate::persist::rewrite::write_record;
use crate::structure::record::Record;
use crate::value::Object;

/// A slot with no more keys is sent in one step.
const AT_ONCE: usize = 512;

/// All data went: what was sent is worth nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Emptied;

/// See the head of this file.
#[derive(Debug)]
pub struct Outgoing {
    slots: Vec<u16>,
    /// How many of them are sent.
    at: usize,
    sent: SlotSet,
    /// The scan of the slot at hand, if it takes several steps.
    scan: Option<Scan>,
    writer: Rewriter,
    keys: u64,
}

#[derive(Debug, Default)]
struct Scan {
    cursor: u64,
    /// Keys that changed since it began.
    changed: BTreeSet<Box<[u8]>>,
}

impl Outgoing {
    /// Of these slots nothing is sent yet.
    pub fn new(slots: &SlotSet) -> Outgoing {
        Outgoing {
            slots: slots.iter().collect(),
            at: 0,
            sent: SlotSet::new(),
            scan: None,
            writer: Rewriter::new(Release::NEWEST),
            keys: 0,
        }
    }

    /// Whether all keys are sent, so that only changes follow.
    pub fn is_complete(&self) -> bool {
        self.at == self.slots.len()
    }

    /// Keys sent so far; one that changed while its slot was sent counts again.
    pub fn keys(&self) -> u64 {
        self.keys
    }

    /// Sends on, until `out` has grown by `budget` bytes or all is sent. A key is sent whole, whatever its size.
    pub fn step(&mut self, ks: &Keyspace, out: &mut Vec<u8>, budget: usize) {
        let end = out.len() + budget;
        while out.len() < end && !self.is_complete() {
            let table = usize::from(self.slots[self.at]);
            match self.scan.take() {
                None if ks.table(table).len() > AT_ONCE => self.scan = Some(Scan::default()),
                None => {
                    for record in ks.table(table).iter() {
                        self.send(record, out);
                    }
                    self.slot_is_sent();
                }
                Some(scan) => self.scan_on(ks, table, scan, out),
            }
        }
    }

    fn scan_on(&mut self, ks: &Keyspace, table: usize, mut scan: Scan, out: &mut Vec<u8>) {
        // A table that grows shows some keys twice.
        let mut again = |this: &mut Outgoing, record: &Record<Object>| {
            write_command(out, &[b"DEL", record.key()]);
            this.send(record, out);
        };
        scan.cursor = ks
            .table(table)
            .scan(scan.cursor, &mut |record| again(self, record));
        if scan.cursor != 0 {
            self.scan = Some(scan);
            return;
        }
        for key in &scan.changed {
            write_command(out, &[&b"DEL"[..], key]);
            let found = ks.table(table).keys.lookup(ks.hasher.hash(key), key);
            if let Some((_, record)) = found {
                self.send(record, out);
            }
        }
        self.slot_is_sent();
    }

    fn slot_is_sent(&mut self) {
        self.sent.insert(self.slots[self.at]);
        self.at += 1;
    }

    fn send(&mut self, record: &Record<Object>, out: &mut Vec<u8>) {
        let written = write_record(&mut self.writer, record);
        assert!(written.is_ok(), "the newest servers have all commands");
        out.extend_from_slice(self.writer.bytes());
        self.writer.clear();
        self.keys += 1;
    }

    /// Takes whole commands that have changed the data since [`Outgoing::step`] was called last, as the log has them.
    ///
    /// # Errors
    /// All data went.
    pub fn note(
        &mut self,
        table: &CommandTable,
        changes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Emptied> {
        let mut parser = RequestParser::new();
        let limits = Limits {
            bulk_max: usize::MAX,
            ..Limits::default()
        };
        let (mut at, mut ranges) = (0, Vec::new());
        while at < changes.len() {
            ranges.clear();
            let Step::Command { end } = parser.next(changes, at, &mut ranges, &limits) else {
                // Only what holds whole commands, and nothing else, is given.
                debug_assert!(false, "changes are commands");
                return Ok(());
            };
            self.note_one(table, changes, &ranges, at..end, out)?;
            at = end;
        }
        Ok(())
    }

    fn note_one(
        &mut self,
        table: &CommandTable,
        changes: &[u8],
        ranges: &[Range<u32>],
        command: Range<usize>,
        out: &mut Vec<u8>,
    ) -> Result<(), Emptied> {
        let args = Args::new(changes, ranges, None);
        let Some(found) = table.find_logged(args.at(0)) else {
            return Ok(());
        };
        if matches!(found.spec.name, "flushall" | "flushdb") {
            return Err(Emptied);
        }
        let keys = keys_of(found.spec, &args).unwrap_or_default();
        let mut names = keys.iter().filter_map(|key| args.get(key.at)).peekable();
        let Some(first) = names.peek() else {
            return Ok(());
        };
        let slot = key_slot(first);
        if self.sent.contains(slot) {
            out.extend_from_slice(&changes[command]);
        } else if let Some(scan) = &mut self.scan
            && self.slots[self.at] == slot
        {
            scan.changed.extend(names.map(Box::from));
        }
        Ok(())
    }
}
