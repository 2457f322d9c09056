//! Lua 5.1 for scripts: a machine, its sandbox, and the libraries that scripts of Redis count on.
//!
//! Nothing here knows a command or a key. What a script reaches beyond its own values goes through [`Host`], which whoever runs it
//! supplies.
//!
//! ```text
//! sandbox                      the globals of scripts, which they cannot change
//! base   libraries             functions made anew; cjson, cmsgpack, struct, bit
//! raw                          the machine and its stack: the only unsafe code
//! ```
#![deny(unsafe_code)]

mod base;
mod libraries;
pub mod raw;
pub mod sandbox;

pub use raw::{Fault, Host, Kept, Kind, Machine, Native, Place, Raise, Stack};
