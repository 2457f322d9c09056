//! The bytes of Redis and Valkey that every room of Cairn shares.
#![forbid(unsafe_code)]

pub mod aof;
pub mod crc16;
pub mod crc64;
pub mod cursor;
pub mod encoding;
pub mod error;
pub mod lzf;
pub mod rdb;
pub mod resp;
pub mod text;
