//! What is freed elsewhere: values and whole tables whose destruction would hold the loop up.
//!
//! Memory that is on its way to be freed is counted as free already as far as `maxmemory` goes, so that nothing else has to
//! go for it, and no command is refused that fits in a moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::field_expire::FieldIndex;
use crate::structure::keyed;
use crate::tracking::table::Table;
use crate::value::Object;

/// Values of more elements than this are freed off the loop.
pub const LARGE: usize = 64;
/// Values of more elements than this are not freed on the loop even when their memory is wanted at once: about a
/// millisecond.
pub const HUGE: usize = 10_000;

/// What is on its way to be freed: written by the thread that puts it aside and by the one that frees it.
#[derive(Debug, Default)]
pub struct Ledger {
    pending: AtomicU64,
    freed: AtomicU64,
    owed: AtomicU64,
}

impl Ledger {
    /// Values that wait (`lazyfree_pending_objects`); a flushed database counts its keys.
    pub fn pending(&self) -> u64 {
        self.pending.load(Relaxed)
    }

    /// Values freed so far (`lazyfreed_objects`).
    pub fn freed(&self) -> u64 {
        self.freed.load(Relaxed)
    }

    /// Bytes that will soon be free, about.
    pub fn owed_bytes(&self) -> u64 {
        self.owed.load(Relaxed)
    }

    /// Tests that what waits on the loop is part of what is on its way; more may be under way on another thread.
    pub(super) fn check(&self, waiting: &[Garbage]) -> Result<(), String> {
        let objects: u64 = waiting.iter().map(|garbage| garbage.objects).sum();
        let bytes: u64 = waiting.iter().map(|garbage| garbage.bytes).sum();
        match objects <= self.pending() && bytes <= self.owed_bytes() {
            true => Ok(()),
            false => Err(format!(
                "{objects} values, {bytes} bytes wait beyond {self:?}"
            )),
        }
    }

    /// Counts what is freed from 0 again.
    pub(super) fn forget_freed(&self) {
        self.freed.store(0, Relaxed);
    }
}

/// Something to drop on another thread.
#[derive(Debug)]
pub struct Garbage {
    /// One large value, ...
    object: Option<Box<Object>>,
    /// ... or all keys of a flushed database, and which of them have fields that expire.
    keys: Option<(Box<keyed::Garbage<Object>>, FieldIndex)>,
    /// ... or what clients had read.
    read: Option<Box<Table>>,
    objects: u64,
    bytes: u64,
    ledger: Arc<Ledger>,
}

impl Garbage {
    /// One value of about so many bytes.
    pub(super) fn of_object(object: Box<Object>, bytes: usize, ledger: &Arc<Ledger>) -> Garbage {
        let mut garbage = Garbage::noted(1, bytes, ledger);
        garbage.object = Some(object);
        garbage
    }

    /// All keys of a database, of about so many bytes.
    pub(super) fn of_keys(
        keys: keyed::Garbage<Object>,
        fields: FieldIndex,
        bytes: usize,
        ledger: &Arc<Ledger>,
    ) -> Garbage {
        let mut garbage = Garbage::noted(keys.len(), bytes, ledger);
        garbage.keys = Some((Box::new(keys), fields));
        garbage
    }

    /// What clients had read, of about so many bytes. It is no value, and does not count as one.
    pub(super) fn of_read(read: Table, bytes: usize, ledger: &Arc<Ledger>) -> Garbage {
        let mut garbage = Garbage::noted(0, bytes, ledger);
        garbage.read = Some(Box::new(read));
        garbage
    }

    fn noted(objects: usize, bytes: usize, ledger: &Arc<Ledger>) -> Garbage {
        let (objects, bytes) = (objects as u64, bytes as u64);
        ledger.pending.fetch_add(objects, Relaxed);
        ledger.owed.fetch_add(bytes, Relaxed);
        Garbage {
            object: None,
            keys: None,
            read: None,
            objects,
            bytes,
            ledger: Arc::clone(ledger),
        }
    }
}

impl Drop for Garbage {
    fn drop(&mut self) {
        drop((self.object.take(), self.keys.take(), self.read.take()));
        let owed = self.ledger.owed.fetch_sub(self.bytes, Relaxed);
        let pending = self.ledger.pending.fetch_sub(self.objects, Relaxed);
        debug_assert!(
            owed >= self.bytes && pending >= self.objects,
            "freed more than was put aside"
        );
        self.ledger.freed.fetch_add(self.objects, Relaxed);
    }
}
