//! Cairn server.
pub mod host;
pub mod os;
pub mod net;
pub mod persist;
