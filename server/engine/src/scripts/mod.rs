//! Scripts and functions as data: what was compiled, in which machine, under which name. It runs nothing but the loading of a library;
//! running on behalf of a client is the work of [`crate::scripting`].
//!
//! ```text
//! cache      EVAL: programs by the SHA-1 of their text, the oldest of them forgotten
//! libraries  FUNCTION: libraries by name, functions by name, the payload of DUMP
//! register   what a library may do while it is loaded
//! api        the table `redis`
//! shebang    the line `#!lua ...`          flags   what a program asks for
//! running    the one that runs right now
//! ```

pub mod api;
pub mod cache;
pub mod flags;
pub mod libraries;
mod register;
pub mod running;
pub mod shebang;
