//! The command log: what changed the data, in order, as commands in the form in which clients send them.
//!
//! ```text
//!   [ snapshot preamble ]  *2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n  *3\r\n$3\r\nSET ...  #TS:1700000000\r\n  *3 ...
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | [`record`] | one record: a command or an annotation line, found in place |
//! | [`reader`] | the records of a slice or of a stream, one after the other |
//! | [`extent`] | how far a log is valid, and what is wrong behind that |
//! | [`survey`] | all that is wrong in a log, and what is left without that |
//! | [`vocabulary`] | the commands that logs hold, and how many arguments they take |
//! | [`fault`] | what can be wrong with a command |
//! | [`manifest`] | the file that lists the parts of a multi-part log, and their names |
//! | [`block`] | blocks of an archived stream, with their checksums |
//! | [`place`] | where in a stream of replication a log is |
//! | [`release`] | which commands a server has for what values hold |
//! | [`rewrite`] | values as the commands that make them |
//! | [`writer`] | commands, SELECT, expiry and annotations as log bytes |

pub mod block;
pub mod extent;
pub mod fault;
pub mod manifest;
pub mod place;
pub mod reader;
pub mod record;
pub mod release;
pub mod rewrite;
pub mod survey;
pub mod vocabulary;
pub mod writer;

/// What the first bytes of a log say about its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Commands from the first byte, or no bytes at all.
    Commands,
    /// A snapshot, then commands.
    Preamble,
}

/// Most bytes that [`form`] needs.
pub const FORM_BYTES: usize = 6;

/// Tell the form of a log from its first bytes, as Redis 4.0 (`REDIS`) and Valkey 9 (`VALKEY`) do.
pub fn form(first: &[u8]) -> Form {
    match first.starts_with(b"REDIS") || first.starts_with(b"VALKEY") {
        true => Form::Preamble,
        false => Form::Commands,
    }
}
