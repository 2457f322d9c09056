//! The machines of replication: what a primary and a replica do, without sockets, files and clocks.
//!
//! ```text
//! primary    all replicas of this server: who they are, how far each is, what each is sent
//! link       this server's own connection to a primary, step by step
//! backlog    the last part of the stream, once for all who read it
//! history    which stream this is, how far it is, and which one it goes on from
//! protocol   words that both know
//! ```
//! A machine is told what happened (bytes, the time, a snapshot that is ready) and answers with what is to be done. It never
//! calls back, and draws no random numbers: ids are handed in.

pub mod backlog;
pub mod history;
pub mod link;
pub mod primary;
mod protocol;

pub use backlog::Backlog;
pub use history::{History, ReplId};
