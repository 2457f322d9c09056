//! The structure of the project's own source, measured from its tokens.
//!
//! A crate is a house. Its *rooms* are modules, one or more files each; an *arrow* says that a room names something of
//! another one, by `use` or by a path inside an expression. [`plan`] reads the floors that `docs/architecture.md` shows for each
//! crate, and finds the arrows that do not go down; [`surface`] finds public items and dependencies that nobody uses.
//!
//! ```text
//! source   one file as tokens, without its tests
//! paths    the module paths that a file names
//! crates   all files of all members of the workspace
//! plan     floors as the map shows them, arrows beside them
//! circles  rooms that reach themselves
//! surface  pub items without a caller, dependencies without a user, assertions per function
//! ```
//! Nothing here runs the code; what a macro makes is not seen.
#![forbid(unsafe_code)]

pub mod circles;
pub mod crates;
pub mod paths;
pub mod plan;
pub mod source;
pub mod surface;
