//! The mechanism of a call: from a request to its handler, and what follows it. It knows no family of commands.
//!
//! ```text
//! dispatch   look-up, reasons to refuse, room, the run            blocking   sessions that wait
//! run        a handler's run, and the effects that it leaves
//! ctx        what a handler works with                            room       memory for what a command stores
//! spec       the constant that describes a command                table      names to commands
//! reply      where the answer goes                                keys       which arguments are keys
//! publish    messages to those who listen                         interests  what reaches beyond a session
//! pause      commands that wait because clients are paused
//! sink       another place for answers than RESP        alone      a world without clients
//! check      whether sessions and what they reach agree      rights   whether a user may run a command
//! watch      what is noted of commands that ran                route    which table a call works in, and whether here
//! tracking   who is told that a copy of a key is out of date
//! ```

pub mod alone;
pub mod blocking;
pub mod categories;
pub mod check;
pub mod ctx;
pub mod dispatch;
pub mod help;
pub mod interests;
pub mod keys;
pub mod pause;
pub mod peer;
pub mod publish;
pub mod reply;
pub mod rights;
pub mod room;
pub mod route;
pub mod run;
pub mod sink;
pub mod spec;
pub mod table;
pub mod tracking;
pub mod watch;

pub use ctx::{Ctx, Instance, Shared};
pub use reply::Reply;
pub use spec::{Command, Flags, Group, KeySpec, Secrets};
pub use table::CommandTable;
