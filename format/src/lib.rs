//! The bytes of Redis and Valkey that every room of Cairn shares: no sockets, no files, no clock.
//!
//! From the ground up:
//!
//! - [`error`] and [`cursor`]: damage that knows its kind and place, and the reader that never leaves its slice.
//! - [`crc64`], [`crc16`], [`hash`], [`lzf`]: checksum of snapshots, slots of a cluster, hashes for memory, compression of long strings.
//! - [`text`]: numbers as Redis accepts and prints them, patterns, quoted words.
//! - [`encoding`]: blobs that are the same in memory and on disk (listpack, intset and their ancestors, stream nodes).
//! - [`resp`]: the protocol, for servers (requests in place, replies) and clients (values).
//! - [`cluster`]: messages between the nodes of a cluster, and the file in which a node remembers it.
//! - [`rdb`]: snapshots and DUMP payloads of every version, read and written through one vocabulary of events.
//! - [`aof`]: command logs, single files and multi-part folders.
//!
//! A module talks to those above it in this list. Nothing here trusts its input: bytes give a value or an error with an offset,
//! in time linear in their number and without memory for lengths that are only claimed.
//!
//! ```
//! use cairn_format::encoding::listpack::{self, Listpack};
//!
//! let mut blob = listpack::empty();
//! listpack::push_back(&mut blob, b"colour");
//! listpack::push_back(&mut blob, b"17");
//! let list = Listpack::check(&blob)?;
//! assert_eq!(list.find(b"17", 1), list.last_pos());
//! # Ok::<(), Box<cairn_format::error::FormatError>>(())
//! ```
#![forbid(unsafe_code)]

pub mod aof;
pub mod cluster;
pub mod crc16;
pub mod crc64;
pub mod cursor;
pub mod encoding;
pub mod error;
pub mod hash;
pub mod lzf;
pub mod rdb;
pub mod resp;
pub mod text;
