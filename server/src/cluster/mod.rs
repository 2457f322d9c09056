//! This server as a node of a cluster: the machine that knows the nodes, the bus that it speaks on, the file that it remembers them in.
//! What the machine asks for is done in [`crate::member`].

mod file;
mod moves;
mod redirect;

use cairn_cluster::Machine;
use cairn_cluster::seam::{Local, Moment, Options, Upstream};

pub use file::NodesFile;
pub use moves::{Export, Import, Moves};
pub use redirect::{endpoint, port_for_client};

use crate::config::{Config, table};
use crate::host::Host;
use crate::listening;
use crate::net::Bus;
use crate::replication::Replication;

/// Milliseconds between two ticks of the machine.
pub const TICK_MS: u64 = 100;

/// See the head of this file.
#[derive(Debug)]
pub struct Cluster {
    /// Who knows the nodes.
    pub machine: Machine,
    /// Its connections.
    pub bus: Bus,
    /// `nodes.conf`.
    pub file: NodesFile,
    /// The data is there, and the machine has begun.
    pub is_begun: bool,
    /// Frames of this kind are dropped unread (DEBUG DROP-CLUSTER-PACKET-FILTER).
    pub dropped: Option<u16>,
    /// A command has spoken to the machine in this turn.
    pub is_asked: bool,
    /// When the machine's next tick is due, monotonic milliseconds.
    pub tick_ms: u64,
    /// Slots that move as one.
    pub moves: Moves,
}

/// Calls the machine with the time and random numbers of a host.
pub fn at_moment<T>(host: &dyn Host, call: impl FnOnce(&mut Moment<'_>) -> T) -> T {
    let mut draw = || {
        let mut bytes = [0; 8];
        host.random(&mut bytes);
        u64::from_le_bytes(bytes)
    };
    let now = host.clock().now();
    call(&mut Moment {
        now_ms: now.mono_us / 1000,
        wall_ms: u64::try_from(now.wall_ms()).unwrap_or(0),
        draw: &mut draw,
    })
}

/// What is configured.
pub fn options_of(config: &Config) -> Options {
    let number = |value: i64| u64::try_from(value).unwrap_or(0);
    Options {
        node_timeout_ms: number(config.get(table::CLUSTER_NODE_TIMEOUT)),
        ping_interval_ms: number(config.get(table::CLUSTER_PING_INTERVAL)),
        validity_factor: number(config.get(table::CLUSTER_REPLICA_VALIDITY_FACTOR)),
        replication_ping_ms: config.milliseconds(table::REPL_PING_REPLICA_PERIOD),
        migration_barrier: number(config.get(table::CLUSTER_MIGRATION_BARRIER)) as usize,
        replica_migration: config.get(table::CLUSTER_ALLOW_REPLICA_MIGRATION),
        no_failover: config.get(table::CLUSTER_REPLICA_NO_FAILOVER),
        replicates_by_other: config.get(table::TLS_REPLICATION) != config.get(table::TLS_CLUSTER),
        full_coverage: config.get(table::CLUSTER_REQUIRE_FULL_COVERAGE),
        reads_when_down: config.get(table::CLUSTER_ALLOW_READS_WHEN_DOWN),
        pubsub_when_down: config.get(table::CLUSTER_ALLOW_PUBSUBSHARD_WHEN_DOWN),
    }
}

/// What only the server knows of its node, but for slots that move.
pub fn local_of(config: &Config, replication: &Replication, now_ms: u64) -> Local {
    let announced = |key, own: i64| match config.get(key) {
        0 => own as u16,
        port => port as u16,
    };
    let plain = announced(table::CLUSTER_ANNOUNCE_PORT, config.get(table::PORT));
    let tls = announced(
        table::CLUSTER_ANNOUNCE_TLS_PORT,
        config.get(table::TLS_PORT),
    );
    let (port, pport) = match config.get(table::TLS_CLUSTER) {
        true => (tls, plain),
        false => (plain, tls),
    };
    let link = replication.upstream.as_ref().map(|upstream| &upstream.link);
    Local {
        ip: config.text(table::CLUSTER_ANNOUNCE_IP).into_owned(),
        port,
        pport,
        cport: announced(
            table::CLUSTER_ANNOUNCE_BUS_PORT,
            listening::bus_port(config).unwrap_or(0),
        ),
        hostname: config.text(table::CLUSTER_ANNOUNCE_HOSTNAME).into_owned(),
        node_name: config
            .text(table::CLUSTER_ANNOUNCE_HUMAN_NODENAME)
            .into_owned(),
        offset: replication.offset(),
        upstream: match link {
            None => Upstream::Never,
            Some(link) if link.is_up() => Upstream::Up {
                silent_ms: now_ms.saturating_sub(link.heard_at_ms()),
            },
            Some(link) => match link.streamed_until_ms() {
                Some(until) => Upstream::Down {
                    away_ms: now_ms.saturating_sub(until),
                },
                None => Upstream::Never,
            },
        },
        gives_slots: false,
    }
}
