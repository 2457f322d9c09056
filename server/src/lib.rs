//! The server of Cairn: sockets, files, processes around the [`cairn_engine`].
//!
//! ```text
//! boot, node        one running instance: start, and the loop of poll, read, call, effects, write, tick
//! front, request    what commands see of the instance, in parts (clients, settings, figures, keeper, host); from bytes to calls
//! admin, cron, defrag, shutdown, keeper    instance commands, timed work, moving small blocks together, the end, what keeps the data
//! journal           the order of all changes, and the readers of it
//! net, config, log, files          sockets, redis.conf, the log file, files that survive a power cut
//! peer, scrape      connections to other servers; what the metrics port answers
//! tls               encrypted connections over others
//! os                the operating system, and nothing else calls it
//! host              the traits through which the rest sees it
//! ```

pub mod admin;
mod again;
pub mod boot;
mod busy;
mod clients;
pub mod cluster;
pub mod commands;
pub mod config;
pub mod cron;
mod defrag;
mod figures;
pub mod files;
pub mod front;
pub mod host;
pub mod info;
pub mod journal;
pub mod keeper;
mod listening;
pub mod log;
pub mod member;
pub mod net;
pub mod node;
pub mod os;
pub mod peer;
pub mod replication;
pub mod request;
mod scrape;
mod serve;
mod settings;
pub mod shutdown;
pub mod sync;
pub mod threads;
pub mod tls;
