//! A primary and its replicas: ours and 7.0.15, in both places and in chains.
//!
//! - `directives`: what each directive of replication does.
//! - `fleet`: servers that follow each other, and when they are in step.
//! - `pairs`: everything a primary does arrives; promotion, restarts, FAILOVER.
//! - `sentinels`: redis-sentinel fails over.
//! - `stream`: the bytes of the stream beside those of 7.0.15.
//! - `primaries`: what a replica makes of primaries that say nonsense.
//! - `replicas`: what a primary makes of replicas: what they say, tools that pose as them, slow ones.
//! - `waits`: WAIT, WAITAOF, min-replicas, SHUTDOWN.
//! - `kills`: either side is killed under load.

mod directives;
mod fleet;
mod kills;
mod pairs;
mod primaries;
mod replicas;
mod sentinels;
mod stream;
#[path = "../support/mod.rs"]
mod support;
mod waits;
