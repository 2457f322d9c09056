//! A primary and its replicas: ours and 7.0.15, in both places and in chains.
//!
//! - `copies`: clients of a replica that keep copies.
//! - `changes`: changes of every sort, and what must be the same then.
//! - `directives`: what each directive of replication does.
//! - `diskless`: snapshots that touch no disk.
//! - `everything`: all types, in all ways, in pairs and chains; eviction and expiry.
//! - `fleet`: servers that follow each other, and when they are in step.
//! - `logs`: the place in the stream that the append log keeps.
//! - `pairs`: everything a primary does arrives; promotion, restarts, FAILOVER.
//! - `sentinels`: redis-sentinel fails over.
//! - `stream`: the bytes of the stream beside those of 7.0.15.
//! - `peers`: Valkey 8.1 and 9.1 and Redis 8.2, in both places.
//! - `primaries`: what a replica makes of primaries that say nonsense.
//! - `replicas`: what a primary makes of replicas: what they say, tools that pose as them, slow ones.
//! - `slow`: values beyond the limit of a replica's buffer, narrow links, replicas that stand still.
//! - `waits`: WAIT, WAITAOF, min-replicas, SHUTDOWN.
//! - `kills`: either side is killed under load.

mod changes;
mod copies;
mod directives;
mod diskless;
mod everything;
mod fleet;
mod kills;
mod logs;
mod pairs;
mod peers;
mod primaries;
mod replicas;
mod sentinels;
mod slow;
mod stream;
#[path = "../support/mod.rs"]
mod support;
mod waits;
