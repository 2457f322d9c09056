//! Sockets of clients on threads of their own (`io-threads`), while the data stays with one.
//!
//! ```text
//!   I/O thread                                             the thread of the data
//!   socket --read--> Input --parse--> Parcel of letters ==ring==> run, letter by letter --> its replies, in the same parcel
//!   socket <--write------------------ Parcel of replies <==ring== once the log is written
//!   socket <--write--- Output <------ Sends, Close, Recall <==ring== what else is for a client
//! ```
//! A connection belongs to one thread whole. The thread of the data keeps its place in the slab all the same: [`Far`] stands there
//! as its stream, so that limits, lists, pub/sub and closing are what they are with a socket. A parcel goes to and fro: it is filled
//! by one side, answered by the other, and filled again, so that nothing is allocated or copied per request.
//!
//! | file | what |
//! |---|---|
//! | `parcel` | what travels: requests of many clients with their replies, news, orders |
//! | `doze`, `bell` | sleeping without missing what comes |
//! | `wire`, `worker` | a connection on an I/O thread; the thread |
//! | `far` | what stands for the connection at the data's thread |
//! | `pool` | all threads, as the data's thread sees them |
//!
//! Invariants: both rings are bounded, and neither side waits for the other in them (a worker without a free parcel does not read,
//! the data's thread keeps what found no room); a thread has at most [`PARCELS`] parcels; between a letter and its reply nothing else
//! of that client is sent in front; a number of a wire is used again only when its thread has said that it is gone.

mod bell;
mod doze;
mod far;
mod parcel;
mod pool;
mod wire;
mod worker;

pub use far::Far;
pub use parcel::{Letter, News, Parcel, Parsed, Requests};
pub use pool::{Load, Pool, Settings, Ticket};

/// What `doze` is built on; its test has others of these names.
mod sync {
    pub use std::sync::atomic::{AtomicBool, Ordering, fence};
}

/// Parcels that a thread has at most, wherever they are.
pub const PARCELS: usize = 4;
