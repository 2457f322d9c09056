//! What the commands do, a file or folder per family.
//!
//! Adding one is one place: a [`Command`](crate::call::Command) constant beside its handler in the file of its family, and its name
//! in that family's list. COMMAND, ACL categories, key extraction and documentation are read from the constant.

pub mod bitmap;
pub mod cluster;
pub mod connection;
pub mod first;
pub mod generic;
pub mod geo;
pub mod hash;
pub mod hyperloglog;
pub mod introspect;
pub mod list;
pub mod members;
pub mod pubsub;
pub mod sample;
pub mod scripting;
pub mod set;
pub mod stream;
pub mod string;
pub mod transaction;
pub mod users;
pub mod watching;
pub mod zset;
