//! What was acknowledged is there after the end, however the end came.
//!
//! - `kill`: kill -9 under load, while children write snapshots and bases.
//! - `order`: a trace of system calls shows the sync before the reply. A kill leaves the page cache, so only this (and
//!   the disk that forgets, in the tests of the log) can tell whether somebody syncs.
//! - `power`: power cuts at random moments, on the disk that forgets.
//! - `full`: the disk takes nothing more.
//! - `torn`: the log ends inside a record.
//! - `waited`: WAITAOF says 1 only of what is on the disk.
//! - `damaged`: files that are wrong elsewhere end the start and stay as they are.

mod damaged;
#[path = "../support/fed.rs"]
mod fed;
mod full;
mod kill;
mod order;
mod power;
#[path = "../support/mod.rs"]
mod support;
mod torn;
mod waited;
