//! Encrypted connections: clients of every sort, other servers, and what is no handshake at all.
//!
//! - `authority`: certificates made for the test.
//! - `talk`: a client that encrypts.
//! - `clients`: who is let in; large and slow ones; what all of them have in common with others.
//! - `doors`: who connects and does not shake hands as he should.
//! - `reload`: other certificates while clients are connected.
//! - `keys`: keys that are locked, and certificates as OpenSSL makes them.
//! - `words`: what CONFIG, the start and INFO say, beside what the reference says.
//! - `between`: replicas, clusters and MIGRATE, with 7.0.15 on either side.
//! - `threads`: connections that I/O threads own.
//! - `pieces`: bytes that come and go in pieces of any length.

mod authority;
mod between;
mod clients;
mod doors;
mod keys;
mod pieces;
mod reload;
#[path = "../support/mod.rs"]
mod support;
mod talk;
mod threads;
mod words;
