//! Replication at work: the machines of [`cairn_replication`] joined to sockets, files, children and the data.
//!
//! | file | what |
//! |---|---|
//! | `settle` | once a turn: changes enter the stream, snapshots begin and end, actions are done |
//! | `pour` | a snapshot from the child that writes it to the sockets of replicas |
//! | `feed` | what a replica's socket is sent: its snapshot, then the stream |
//! | `upstream` | the connection to a primary: made, read, lost, tried again |
//! | `arrive` | a snapshot from a primary: written, proven, loaded |
//! | `failover` | the role is handed to a replica |
//! | `role` | following another server, and being promoted |

mod arrive;
pub mod failover;
mod feed;
mod pour;
mod role;
mod settle;
mod upstream;

pub use arrive::go_on;
pub use feed::flush;
pub use pour::pipe_is_ready;
pub use role::{follow, follow_configured, promote, refresh_gate};
pub use settle::{closed, connect, restore, settle, tick};
pub use upstream::{acknowledge, applied, broken, dial, read};

use crate::front::Front;

/// Whether there is something to go on with, so that the loop does not wait.
#[inline]
pub fn is_under_way(front: &Front) -> bool {
    let replication = &front.replication;
    (replication.load.is_some() || replication.pouring.is_some()) && is_more(front)
}

#[cold]
fn is_more(front: &Front) -> bool {
    arrive::is_under_way(front) || pour::has_work(front)
}
