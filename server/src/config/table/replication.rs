//! Replication.

use crate::config::choice::{DisklessLoad, PropagationError};
use crate::config::directive::{Directive, Key, Kind, bytes, choice, flag, int, shaped, text};
use crate::config::value::{Primary, Text};
#[cfg(test)]
use crate::config::value::{Setting, Value};

const INT_MAX: i64 = i32::MAX as i64;

directives! {
    after super::persistence::END;

    /// Host and port of the primary; `no one` for none.
    REPLICAOF: Primary = shaped("replicaof", "", Kind::Primary).alias("slaveof").immutable();
    /// User name at the primary.
    MASTERUSER: Text = text("masteruser", "").secret();
    /// Password at the primary.
    MASTERAUTH: Text = text("masterauth", "").secret();
    /// Refuse writes on a replica.
    REPLICA_READ_ONLY: bool = flag("replica-read-only", "yes").alias("slave-read-only");
    /// Answer reads while the primary is away.
    REPLICA_SERVE_STALE_DATA: bool = flag("replica-serve-stale-data", "yes").alias("slave-serve-stale-data");
    /// Do not evict on a replica.
    REPLICA_IGNORE_MAXMEMORY: bool = flag("replica-ignore-maxmemory", "yes").alias("slave-ignore-maxmemory");
    /// Free the old data of a full synchronisation on another thread.
    REPLICA_LAZY_FLUSH: bool = flag("replica-lazy-flush", "no").alias("slave-lazy-flush").moot("old data is always freed on another thread");
    /// Go on when the log of a replica cannot be written.
    REPLICA_IGNORE_DISK_WRITE_ERRORS: bool = flag("replica-ignore-disk-write-errors", "no").moot("a replica always goes on with what its primary sends; that its disk fails is in its log and INFO");
    /// Rank for promotion; 0 never.
    REPLICA_PRIORITY: i64 = int("replica-priority", "100", 0, INT_MAX).alias("slave-priority");
    /// Address that a replica tells its primary.
    REPLICA_ANNOUNCE_IP: Text = text("replica-announce-ip", "").alias("slave-announce-ip");
    /// Port that a replica tells its primary.
    REPLICA_ANNOUNCE_PORT: i64 = int("replica-announce-port", "0", 0, 65535).alias("slave-announce-port");
    /// Show this replica to Sentinel.
    REPLICA_ANNOUNCED: bool = flag("replica-announced", "yes");
    /// Replicas that must be in time for writes.
    MIN_REPLICAS_TO_WRITE: i64 = int("min-replicas-to-write", "0", 0, INT_MAX).alias("min-slaves-to-write");
    /// Seconds that such a replica may lag.
    MIN_REPLICAS_MAX_LAG: i64 = int("min-replicas-max-lag", "10", 0, INT_MAX).alias("min-slaves-max-lag");
    /// Bytes of the stream kept for partial synchronisation.
    REPL_BACKLOG_SIZE: i64 = bytes("repl-backlog-size", "1mb", 1, i64::MAX);
    /// Take an empty snapshot of another history in place of data, as from a primary that has lost its own; not in Redis.
    REPLICA_ACCEPT_EMPTY_PRIMARY: bool = flag("replica-accept-empty-primary", "no");
    /// Send replicas what has left the backlog from the append log, if it is there; not in Redis.
    REPL_BACKLOG_FROM_AOF: bool = flag("repl-backlog-from-aof", "yes");
    /// Seconds without replicas after which it is freed; 0 never.
    REPL_BACKLOG_TTL: i64 = int("repl-backlog-ttl", "3600", 0, i64::MAX);
    /// Let the kernel gather small packets to replicas.
    REPL_DISABLE_TCP_NODELAY: bool = flag("repl-disable-tcp-nodelay", "no");
    /// Send snapshots to replicas without a file.
    REPL_DISKLESS_SYNC: bool = flag("repl-diskless-sync", "yes");
    /// Seconds to wait for more replicas before sending.
    REPL_DISKLESS_SYNC_DELAY: i64 = int("repl-diskless-sync-delay", "5", 0, INT_MAX);
    /// Replicas to wait for before sending; 0 is any.
    REPL_DISKLESS_SYNC_MAX_REPLICAS: i64 = int("repl-diskless-sync-max-replicas", "0", 0, INT_MAX);
    /// When a replica loads from the socket.
    REPL_DISKLESS_LOAD: DisklessLoad = choice("repl-diskless-load", "disabled", DisklessLoad::WORDS).not_while_loading();
    /// Seconds between pings to replicas.
    REPL_PING_REPLICA_PERIOD: i64 = int("repl-ping-replica-period", "10", 1, INT_MAX).alias("repl-ping-slave-period");
    /// Seconds after which the other side is taken for lost.
    REPL_TIMEOUT: i64 = int("repl-timeout", "60", 1, INT_MAX);
    /// What an error in the stream of changes does.
    PROPAGATION_ERROR_BEHAVIOR: PropagationError = choice("propagation-error-behavior", "ignore", PropagationError::WORDS);
}
