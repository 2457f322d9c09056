//! The ground: time as a value, random numbers from a seed, effects, limits.

pub mod effect;
pub mod limits;
pub mod random;
pub mod time;
