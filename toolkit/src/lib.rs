//! Talking to a person at a terminal: what the three tools say, read and leave behind.
//!
//! | module | question it answers |
//! |---|---|
//! | [`outcome`] | how a tool ends: exit code, error line, hints; a closed pipe is no error |
//! | [`mod@arguments`] | clap's complaints in the words of the house; words that several tools take |
//! | [`input`], [`map`] | a path, `-` or a server: mapped when it is a regular file, streamed otherwise |
//! | [`remote`] | the data of a server as the bytes of a snapshot |
//! | [`kind`] | which tool reads a file that this one does not |
//! | [`output`], [`folder`] | a file that appears whole or not at all; the folder of a log in parts |
//! | [`progress`], [`table`], [`human`], [`escape`] | what numbers, keys and waiting look like |
//! | [`snapshot`] | a snapshot that may be damaged: what is wrong, and what can be saved |
//! | [`select`] | which keys a command is about |
//! | [`prefix`] | keys counted by what they begin with |
//! | [`start`] | how a text begins, in two numbers: for sorting and for letters |
//! | [`json`], `letters`, [`json_line`] | the same for programs that read us, bytes as base64 among it, and what they write back |
//!
//! A tool's `main` is one line: `cairn_toolkit::run("rdb-tool", || { ... })`. Data goes to stdout
//! through [`output::Output::stdout`], talk goes to stderr through [`note`] and [`hint`].
#![deny(unsafe_code)]

pub mod arguments;
pub mod escape;
pub mod folder;
pub mod human;
pub mod input;
pub mod json;
pub mod json_line;
pub mod kind;
mod letters;
pub mod map;
pub mod outcome;
pub mod output;
pub mod prefix;
pub mod progress;
pub mod remote;
pub mod select;
pub mod snapshot;
pub mod start;
pub mod table;

pub use arguments::arguments;
pub use escape::quoted;
pub use input::Input;
pub use outcome::{Failure, Outcome, Verdict, hint, note, run};
pub use output::Output;
pub use progress::Progress;
pub use select::Selection;
pub use table::Table;
