//! What is freed elsewhere: values and whole tables whose destruction would hold the loop up.

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
    /// All keys of a flushed database.
    Keys(Box<keyed::Garbage<Object>>),
}
