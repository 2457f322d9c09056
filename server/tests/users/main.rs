//! Users over sockets, beside 7.0.15 where it has the same.
//!
//! - `rules`: random rules make the same users as for the reference, and those may do the same.
//! - `clients`: who a client is, who is cut off, what the log of refusals tells.
//! - `files`: users in redis.conf and in a file of their own.

mod clients;
mod files;
mod rules;
#[path = "../support/mod.rs"]
mod support;
