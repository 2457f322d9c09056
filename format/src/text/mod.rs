//! The texts that Redis reads and prints: numbers, patterns, quoted words.

mod big;
pub mod double;
pub mod glob;
mod grisu;
pub mod long_double;
pub mod number;
pub mod words;
