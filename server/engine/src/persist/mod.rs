//! The data set as bytes: saved as a snapshot, loaded from one, summed up in a digest.

pub mod digest;
pub mod load;
pub mod rewrite;
pub mod save;
mod stream;
pub mod value;
pub mod words;

/// Where a value that the engine cannot hold yet stands in a snapshot, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unheld(pub &'static str);
