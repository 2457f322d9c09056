//! Whether a thread sleeps, for whoever has something for it.
//!
//! Each side writes before it reads, with a fence between: who sends sees that the other sleeps, or the other sees what was sent. The
//! atomics are those of `super::sync`, so that a test tries all orders in which two threads can do this (`tests/threads_loom.rs`).

use super::sync::{AtomicBool, Ordering, fence};

/// One thread's.
#[derive(Debug)]
pub struct Doze {
    asleep: AtomicBool,
}

impl Doze {
    /// Of a thread that is awake.
    pub fn new() -> Doze {
        Doze {
            asleep: AtomicBool::new(false),
        }
    }

    /// The thread is going to sleep: it looks for what has come once more behind this, and sleeps only if there is nothing.
    pub fn begin(&self) {
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// The thread is awake.
    pub fn end(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }

    /// Something was sent to the thread; whether it has to be woken. Of several who ask at once one is told so.
    pub fn must_be_woken(&self) -> bool {
        fence(Ordering::SeqCst);
        self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::Relaxed)
    }
}
