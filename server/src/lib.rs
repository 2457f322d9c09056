//! Cairn server.
pub mod host;
pub mod os;
