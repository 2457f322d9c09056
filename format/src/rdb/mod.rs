//! Snapshots (RDB): read and written, every version of Redis and Valkey.
//!
//! ```text
//! dialect   Redis or Valkey, version, what each can express
//! opcode    the byte that opens a record; the table of value types
//! length    string                     how numbers and strings are stored
//! event     what a snapshot says: the vocabulary of reader and writer
//! object/   the values, one file per type, lazily decoded
//! raw       finding the extent of a record without decoding it
//! reader    writer                     whole files, over a slice or a pipe
//! dump      the payload of DUMP and RESTORE
//! ```
//!
//! Three depths: [`Reader::next_raw`] gives spans, [`Reader::next`] values in their encoding, and the
//! iterators of [`object`] the elements, the same ones from every encoding.

pub mod dialect;
pub mod dump;
pub mod event;
mod length;
pub mod object;
pub mod opcode;
mod raw;
pub mod reader;
mod string;
mod template;
pub mod writer;

pub use dialect::{Dialect, Family};
pub use event::{Checksum, Event, Head, Located, ModuleAux, Record, SlotImport};
pub use length::write_len;
pub use object::Object;
pub use reader::library_name;
pub use reader::{
    Check, Options, Plan, Reader, SliceReader, Sound, StreamReader, verify, verify_in_sections,
};
pub use string::Text;
pub use writer::{
    ExpiringFields, Unsupported, WriteError, WriteOptions, WriteResult, Writer, Written,
};
