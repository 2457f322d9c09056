//! How the server starts and ends, as programs that drive `redis-server` rely on.
//!
//! - `begin`: lines of the log and their order, what is answered while loading, ports that are taken.
//! - `field`: logs as people had them.
//! - `finish`: signals and SHUTDOWN.
//! - `subsets`: every combination of files that may be missing, empty or foreign.
//! - `waited_for`: lines of the log that are waited for.
//! - `words`: the command line and the configuration file.

mod begin;
mod field;
mod finish;
mod subsets;
#[path = "../support/mod.rs"]
mod support;
mod waited_for;
mod words;
