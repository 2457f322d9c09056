//! Snapshots that may be damaged, for both tools: what is wrong, what is left, and what stands behind.
//!
//! | module | question it answers |
//! |---|---|
//! | [`examine`] | all that is wrong with it, and all that can be read of it |
//! | `sound` | what sound sections have, found out on all processors |
//! | `piece` | parts of what was examined |
//! | [`salvage`] | a sound file of what is left |
//! | [`behind`] | what stands behind its end |
//! | [`spill`] | where hashes of keys go that memory is not to hold |
//! | [`again`] | is it sound, on all processors; is what was written |

pub mod again;
pub mod behind;
pub mod examine;
mod piece;
pub mod salvage;
mod sound;
pub mod spill;
