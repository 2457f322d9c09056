//! What arrives on a socket: well formed, malformed, too much, from where it may not come.
//!
//! - `recorded`: the recorded answers of a real 7.2.4 to odd and broken requests.
//! - `hostile`: malformed requests hurt nobody else.
//! - `large`: deep pipelines, long commands, large values.
//! - `limits`: maxclients, passwords, protected mode, buffers.

mod hostile;
mod large;
mod limits;
mod recorded;
#[path = "../support/mod.rs"]
mod support;
