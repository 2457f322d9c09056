//! RESP, the protocol of clients, servers and the command log.
//!
//! | module | what it holds |
//! |---|---|
//! | [`request`] | what a server reads: incremental parser of commands, zero copy |
//! | [`reply`] | what a server writes: appending encoder for protocol 2 and 3 |
//! | [`value`] | what a client reads and writes: decoded replies, encoded commands |

pub mod reply;
pub mod request;
pub mod value;
