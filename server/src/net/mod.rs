//! Sockets: what listens, what is connected, what goes in and what goes out. Knows bytes and limits, no commands.
//!
//! ```text
//!   Listeners --accept--> Stream --add--> Connections (slab; the slot is the poll token)
//!                                            Connection { Input, Output, Closing, ... }
//!   Listeners --accept--> Stream --add--> Doorway --hands shaken--> Stream --add--> Connections (where it is encrypted)
//!   Listeners --accept--> Stream ----------> Visitors (of the metrics port; http)
//!   Listeners --accept--> Stream ----------> Bus (of the cluster; frames)
//! ```
//!
//! The poll is edge-triggered: who stops reading or accepting before the system says "would block" must come back
//! by itself. `Connections` keeps a list of such connections, the node polls without waiting while it is not empty.

pub mod budget;
pub mod bus;
pub mod closing;
pub mod connection;
pub mod connections;
pub mod doorway;
pub mod http;
pub mod input;
pub mod limit;
pub mod listener;
pub mod output;
pub mod porter;
pub mod visitors;

pub use budget::Budget;
pub use bus::Bus;
pub use closing::{Cause, Closing};
pub use connection::{Connection, Flush, Received, TURN_MAX};
pub use connections::Connections;
pub use doorway::{Departures, Doorway};
pub use input::Input;
pub use limit::{BufferLimit, ClientClass, LimitWatch};
pub use listener::{Accepting, Listeners};
pub use output::{Output, ReplyTrim, Resized, SHARED_MIN};
pub use porter::Porter;
pub use visitors::Visitors;

/// Poll token of what a child tells of itself.
pub const CHILD_NEWS: usize = 1;
/// Poll token of the pipe that a child writes a snapshot into.
pub const CHILD_PIPE: usize = 2;
/// Poll token with which other threads ring.
pub const IO_NEWS: usize = 3;
/// Poll tokens of listeners begin here, those of connections at [`FIRST_CONNECTION`]; 0 is the poll's own.
pub const FIRST_LISTENER: usize = 16;
/// Poll tokens of what the metrics port is listened on with begin here.
pub const FIRST_METRICS_LISTENER: usize = 512;
/// Poll tokens of those who ask there begin here.
pub const FIRST_VISITOR: usize = 768;
/// Poll tokens of what the cluster's bus is listened on with begin here.
pub const FIRST_BUS_LISTENER: usize = 900;
/// Poll tokens of the bus's connections begin here.
pub const FIRST_BUS: usize = 1024;
/// Poll tokens of those who still shake hands begin here.
pub const FIRST_GUEST: usize = FIRST_BUS + 8192;
/// See [`FIRST_LISTENER`].
pub const FIRST_CONNECTION: usize = FIRST_GUEST + 4097;
const _: () = assert!(
    CHILD_PIPE < IO_NEWS
        && IO_NEWS < FIRST_LISTENER
        && FIRST_LISTENER < FIRST_METRICS_LISTENER
        && FIRST_METRICS_LISTENER < FIRST_VISITOR
        && FIRST_VISITOR < FIRST_BUS_LISTENER
        && FIRST_BUS_LISTENER < FIRST_BUS
        && FIRST_BUS < FIRST_GUEST
        && FIRST_GUEST < FIRST_CONNECTION
);
