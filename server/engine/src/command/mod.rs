//! Commands: what they are called, what they may do, and what they do.
//!
//! Adding one is one place: a [`spec::Command`] constant beside its handler in the file of its family, and its name
//! in that family's list. COMMAND, ACL categories, key extraction and documentation are read from the constant.

pub mod args;
pub mod bitmap;
pub mod blocking;
pub mod categories;
pub mod connection;
pub mod ctx;
pub mod dispatch;
pub mod error;
pub mod families;
pub mod first;
pub mod generic;
pub mod geo;
pub mod hash;
pub mod help;
pub mod hyperloglog;
pub mod introspect;
pub mod keys;
pub mod list;
pub mod members;
pub mod peer;
pub mod pubsub;
pub mod reply;
pub mod room;
pub mod sample;
pub mod set;
pub mod spec;
pub mod stream;
pub mod string;
pub mod table;
pub mod transaction;
pub mod zset;

pub use args::Args;
pub use ctx::{Ctx, Instance, Pause, Shared};
pub use error::{Error, Outcome};
pub use reply::Reply;
pub use spec::{Command, Flags, Group, KeySpec};
pub use table::CommandTable;
