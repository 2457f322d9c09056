//! Replication at work: the machines of [`cairn_replication`] joined to sockets, files, children and the data.
//!
//! | file | what |
//! |---|---|
//! | `settle` | once a turn: changes enter the stream, snapshots begin and end, actions are done |
//! | `feed` | what a replica's socket is sent: its snapshot, then the stream |
//! | `upstream` | the connection to a primary: made, read, lost, tried again |
//! | `arrive` | a snapshot from a primary: written, proven, loaded |
//! | `failover` | the role is handed to a replica |
//! | `role` | following another server, and being promoted |

mod arrive;
pub mod failover;
mod feed;
mod role;
mod settle;
mod upstream;

pub use arrive::{go_on, is_under_way};
pub use feed::flush;
pub use role::{follow, follow_configured, promote, refresh_gate};
pub use settle::{closed, restore, settle, tick};
pub use upstream::{acknowledge, applied, broken, read};
