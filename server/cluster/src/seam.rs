//! What the machine is told and what it asks for.

use std::fmt;
use std::sync::Arc;

use cairn_format::cluster::{KINDS, NodeId};

/// When something happens, and where random numbers come from.
pub struct Moment<'a> {
    /// A clock that only goes on, milliseconds: all that is waited for is measured by it.
    pub now_ms: u64,
    /// Milliseconds since 1970: what messages and files tell.
    pub wall_ms: u64,
    /// 64 random bits. Ids are made of them.
    pub draw: &'a mut dyn FnMut() -> u64,
}

impl Moment<'_> {
    /// A random number below `n`; 0 if `n` is 0.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        let random = u128::from((self.draw)());
        ((random * u128::from(n)) >> 64) as u64
    }

    /// An id that nobody has.
    pub(crate) fn id(&mut self) -> NodeId {
        NodeId::of_random(&mut self.draw)
    }
}

impl fmt::Debug for Moment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.now_ms)
    }
}

/// What is configured, times in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `cluster-node-timeout`.
    pub node_timeout_ms: u64,
    /// `cluster-ping-interval`; 0: half of the timeout.
    pub ping_interval_ms: u64,
    /// `cluster-replica-validity-factor`.
    pub validity_factor: u64,
    /// `repl-ping-replica-period`.
    pub replication_ping_ms: u64,
    /// `cluster-migration-barrier`.
    pub migration_barrier: usize,
    /// `cluster-allow-replica-migration`.
    pub replica_migration: bool,
    /// `cluster-replica-no-failover`.
    pub no_failover: bool,
    /// `cluster-require-full-coverage`.
    pub full_coverage: bool,
    /// `cluster-allow-reads-when-down`.
    pub reads_when_down: bool,
    /// `cluster-allow-pubsubshard-when-down`.
    pub pubsub_when_down: bool,
    /// Primaries are followed on the other port for clients: one of `tls-replication` and `tls-cluster` is on.
    pub replicates_by_other: bool,
}

impl Default for Options {
    /// The defaults of Redis 7.2.
    fn default() -> Options {
        Options {
            node_timeout_ms: 15_000,
            ping_interval_ms: 0,
            validity_factor: 10,
            replication_ping_ms: 10_000,
            migration_barrier: 1,
            replica_migration: true,
            no_failover: false,
            full_coverage: true,
            reads_when_down: false,
            pubsub_when_down: true,
            replicates_by_other: false,
        }
    }
}

/// How it stands with replication from the primary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Upstream {
    /// It has never been in step since the role began.
    #[default]
    Never,
    /// It is connected, and spoke last so many milliseconds ago.
    Up {
        /// Silence.
        silent_ms: u64,
    },
    /// It is not connected for so many milliseconds.
    Down {
        /// Absence.
        away_ms: u64,
    },
}

/// What only the server knows of its node; it keeps this up to date.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Local {
    /// `cluster-announce-ip`; empty: others see it, and MEET tells us.
    pub ip: String,
    /// Main port for clients, as announced.
    pub port: u16,
    /// The other port for clients, 0: none.
    pub pport: u16,
    /// Port of the bus, as announced.
    pub cport: u16,
    /// `cluster-announce-hostname`.
    pub hostname: String,
    /// `cluster-announce-human-nodename`.
    pub node_name: String,
    /// Offset of replication: of the stream, or of what was applied of it.
    pub offset: u64,
    /// A replica's connection to its primary.
    pub upstream: Upstream,
    /// Slots of this node may have become another's without its knowing ([`crate::moves`]): no epoch is taken meanwhile.
    pub gives_slots: bool,
}

/// The own connection to a node. Numbers are not used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerId(pub u64);

/// A connection that another node made. The server numbers them and uses no number twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkId(pub u64);

/// How loud a line of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For who looks closely.
    Verbose,
    /// Usual.
    Notice,
    /// Needs attention.
    Warning,
}

/// What is to be done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make the own connection to a node.
    Connect {
        /// Its number from now on.
        peer: PeerId,
        /// Where.
        ip: String,
        /// Port of the bus.
        port: u16,
    },
    /// End it. It is not told of.
    Disconnect(PeerId),
    /// Send a frame on the own connection.
    SendPeer(PeerId, Arc<[u8]>),
    /// Send a frame on a connection that another made.
    SendLink(LinkId, Arc<[u8]>),
    /// End that one. It is not told of.
    HangUp(LinkId),
    /// Follow this server.
    Replicate {
        /// Its node.
        id: NodeId,
        /// Where.
        ip: String,
        /// Main port for clients.
        port: u16,
    },
    /// Follow nobody.
    Promote,
    /// These slots are another's, or nobody's: their subscribers are told, and clients that wait for their keys.
    SlotsLost {
        /// Which.
        slots: Vec<u16>,
        /// Their keys are deleted, as this node stays a primary and another has them.
        with_keys: bool,
    },
    /// Whether the cluster serves.
    State(bool),
    /// Writes, expiry, eviction and the stream's pings stand still until then (`now_ms`).
    PauseWrites(u64),
    /// They go on.
    ResumeWrites,
    /// For subscribers here.
    Publish {
        /// Of the shard only.
        is_sharded: bool,
        /// The channel.
        channel: Vec<u8>,
        /// The message.
        message: Vec<u8>,
    },
    /// The data goes, as a replica was reset.
    EmptyData,
    /// A line of the log.
    Log(Level, String),
}

/// How `nodes.conf` is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Save {
    /// It is written.
    Plain,
    /// And on the disk.
    Synced,
}

/// What is to be done: first the file, then the rest in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Whether `nodes.conf` is saved, before anything else.
    pub save: Option<Save>,
    /// The rest.
    pub actions: Vec<Action>,
}

/// What CLUSTER INFO counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages sent, by kind.
    pub sent: [u64; KINDS],
    /// Messages received, by kind.
    pub received: [u64; KINDS],
    /// Frames that do not hold what they say.
    pub damaged: u64,
    /// Messages under the name of somebody who did not send them.
    pub forged: u64,
    /// Connections that ended because too much waited on them.
    pub limits_exceeded: u64,
}
