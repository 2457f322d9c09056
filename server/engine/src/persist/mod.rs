//! The data set as bytes: saved as a snapshot or log, loaded from one, summed up in a digest.

pub mod digest;
