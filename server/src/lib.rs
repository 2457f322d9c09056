//! Cairn server.
