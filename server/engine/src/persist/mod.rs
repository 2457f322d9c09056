//! The data set as bytes: saved as a snapshot, loaded from one, summed up in a digest.

pub mod digest;
pub mod load;
pub mod restore;
pub mod rewrite;
pub mod save;
mod stream;
pub mod value;
pub mod words;
