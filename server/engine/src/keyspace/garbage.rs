//! What is freed elsewhere: values and whole tables whose destruction would hold the loop up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::structure::keyed;
use crate::value::Object;

/// Values of more elements than this are freed off the loop.
pub const LARGE: usize = 64;
/// Values of more elements than this are not freed on the loop even when their memory is wanted at once: about a
/// millisecond.
pub const HUGE: usize = 10_000;

/// Something to drop on another thread.
#[derive(Debug)]
pub enum Garbage {
    /// One large value.
    Object(Box<Object>),
    /// One large value that was evicted.
    Evicted(Promised),
    /// All keys of a flushed database.
    Keys(Box<keyed::Garbage<Object>>),
}

/// An evicted value whose memory will soon be free: until then its bytes are owed, so that nothing else has to go for them.
#[derive(Debug)]
pub struct Promised {
    object: Option<Box<Object>>,
    bytes: u64,
    owed: Arc<AtomicU64>,
}

impl Promised {
    pub(super) fn new(object: Box<Object>, owed: &Arc<AtomicU64>) -> Promised {
        let bytes = object.mem_estimate() as u64;
        owed.fetch_add(bytes, Ordering::Relaxed);
        Promised {
            object: Some(object),
            bytes,
            owed: Arc::clone(owed),
        }
    }
}

impl Drop for Promised {
    fn drop(&mut self) {
        drop(self.object.take());
        self.owed.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
