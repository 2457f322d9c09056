//! What arrives on a socket: well formed, malformed, too much, from where it may not come.
//!
//! - `closing`: clients that end in every order of what can end them, beside 7.0.15.
//! - `ending`: what is acknowledged in the turn that ends the server is there after the next start.
//! - `pushes`: what CLIENT REPLY silences and what not, beside 7.0.15.
//! - `recorded`: the recorded answers of a real 7.2.4 to odd and broken requests.
//! - `hostile`: malformed requests hurt nobody else.
//! - `large`: deep pipelines, long commands, large values.
//! - `limits`: maxclients, passwords, protected mode, buffers.
//! - `threads`: all that with sockets on threads of their own.

mod closing;
mod ending;
mod hostile;
mod large;
mod limits;
mod pushes;
mod recorded;
#[path = "../support/mod.rs"]
mod support;
mod threads;
