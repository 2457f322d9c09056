//! How the server starts and ends, as programs that drive `redis-server` rely on.
//!
//! - `begin`: lines of the log and their order, what is answered while loading, ports that are taken.
//! - `finish`: signals and SHUTDOWN.
//! - `words`: the command line and the configuration file.

mod begin;
mod finish;
#[path = "../support/mod.rs"]
mod support;
mod words;
