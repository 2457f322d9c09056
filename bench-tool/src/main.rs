//! Cairn.

fn main() {}
