//! The ground: time as a value, random numbers from a seed, ids, arguments, errors, effects, limits.

pub mod args;
pub mod effect;
pub mod error;
pub mod id;
pub mod limits;
pub mod random;
pub mod stale;
pub mod time;
