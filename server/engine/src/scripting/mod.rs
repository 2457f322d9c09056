//! Scripts at work: a program of [`crate::scripts`] runs on behalf of a client, and its commands run like those of any other.
//!
//! ```text
//! run      takes the machine, runs, gives it back, answers          program  what is to run
//! host     what the running script reaches: the table `redis`
//! inner    one command of a script: reasons to refuse, the run
//! tape     what a command answers, element by element               values   answers to Lua, Lua to answers
//! ```
//! While it runs the client's session has the script's database and protocol, and must not wait; time stands still. Its effects are one
//! unit with those of the command that called it.

mod host;
mod inner;
mod run;
mod tape;
mod values;

pub use run::{Program, run};
