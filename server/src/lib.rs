//! Cairn server.
pub mod config;
pub mod host;
pub mod log;
pub mod os;
pub mod net;
pub mod persist;
