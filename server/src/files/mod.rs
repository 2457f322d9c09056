//! Files that outlive the process: the snapshot and the append log, written so that a power cut at any moment
//! leaves a state that was true. What is in them is made by the engine; here is when and how it reaches the disk.

pub mod append;
pub mod append_files;
pub mod append_names;
pub mod log_stream;
pub mod snapshot;
mod strays;
