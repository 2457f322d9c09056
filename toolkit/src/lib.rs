//! Cairn.
