//! The machines of replication: what a primary says to a replica, and what replicas say to a primary.
//!
//! - `link`: any bytes from a primary, in any state, with time going on.
//! - `transfer`: a snapshot in pieces, by size or by marker, against a plain model.
//! - `primary`: replicas that name themselves, ask, acknowledge, are sent things and go, in any order.

pub mod link;
pub mod primary;
pub mod transfer;

use cairn_replication::ReplId;

/// One of a few names of streams.
fn name(digit: u8) -> ReplId {
    ReplId::of_random([digit; 20])
}
