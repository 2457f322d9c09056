//! The mechanism of a call: from a request to its handler, and what follows it. It knows no family of commands.
//!
//! ```text
//! dispatch   look-up, reasons to refuse, the call, effects        blocking   sessions that wait
//! ctx        what a handler works with                            room       memory for what a command stores
//! spec       the constant that describes a command                table      names to commands
//! reply      where the answer goes                                keys       which arguments are keys
//! publish    messages to those who listen                         interests  what reaches beyond a session
//! sink       another place for answers than RESP        alone      a world without clients
//! check      whether sessions and what they reach agree
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
pub mod peer;
pub mod publish;
pub mod reply;
pub mod room;
pub mod sink;
pub mod spec;
pub mod table;

pub use ctx::{Ctx, Instance, Pause, Shared};
pub use reply::Reply;
pub use spec::{Command, Flags, Group, KeySpec};
pub use table::CommandTable;
