//! Blobs that are the same in memory and on disk: the packed forms of small collections, and their ancestors.
//!
//! A view is a checked header over borrowed bytes; edits are functions over `&mut Vec<u8>`. `check` walks everything and is
//! what makes a blob from a file fit to be edited. Views over bytes that were never checked stop early, they do not panic.

pub mod hll;
pub mod intset;
pub mod listpack;
pub mod stream_id;
pub mod stream_node;
pub mod ziplist;
pub mod zipmap;
