//! Network, connections and their limits.

use crate::config::directive::{
    Directive, Key, Kind, bytes, count, flag, int, octal, shaped, size, text,
};
use crate::config::output_limits::OutputLimits;
#[cfg(test)]
use crate::config::value::{Setting, Value};
use crate::config::value::{Text, Words};

const INT_MAX: i64 = i32::MAX as i64;
const UINT_MAX: i64 = u32::MAX as i64;

directives! {
    after 0;

    /// Addresses to listen on; `*` and `::*` are all of a family, a leading `-` forgives an address that is not there.
    BIND: Words = shaped("bind", "* -::*", Kind::Words);
    /// TCP port; 0 listens on none.
    PORT: i64 = int("port", "6379", 0, 65535);
    /// Address that connections to other servers are made from, if this machine has it.
    BIND_SOURCE_ADDR: Text = text("bind-source-addr", "");
    /// Refuse connections from other machines while no password is set.
    PROTECTED_MODE: bool = flag("protected-mode", "yes");
    /// Length of the queue of connections that wait to be accepted.
    TCP_BACKLOG: i64 = int("tcp-backlog", "511", 0, INT_MAX).immutable();
    /// Seconds between TCP keep-alive probes; 0 sends none.
    TCP_KEEPALIVE: i64 = int("tcp-keepalive", "300", 0, INT_MAX);
    /// Seconds after which an idle client is disconnected; 0 never.
    TIMEOUT: i64 = int("timeout", "0", 0, INT_MAX);
    /// Path of a Unix socket to listen on.
    UNIXSOCKET: Text = text("unixsocket", "").immutable();
    /// File mode of the Unix socket, octal; 0 leaves what the umask gives.
    UNIXSOCKETPERM: u64 = octal("unixsocketperm", "0", 0o777).immutable();
    /// Mark of TCP sockets, for packet filters; 0 is none. It needs CAP_NET_ADMIN.
    SOCKET_MARK_ID: u64 = count("socket-mark-id", "0", 0, UINT_MAX).immutable();
    /// Clients that may be connected at the same time.
    MAXCLIENTS: u64 = count("maxclients", "10000", 1, UINT_MAX);
    /// Bytes of the largest argument of a command.
    PROTO_MAX_BULK_LEN: i64 = bytes("proto-max-bulk-len", "512mb", 1 << 20, i64::MAX);
    /// Bytes that a client's unread request may take.
    CLIENT_QUERY_BUFFER_LIMIT: u64 = size("client-query-buffer-limit", "1gb", 1 << 20, i64::MAX);
    /// Bytes that may wait to be sent, by class of clients: hard limit, soft limit, seconds above the soft limit.
    CLIENT_OUTPUT_BUFFER_LIMIT: OutputLimits = shaped("client-output-buffer-limit", "normal 0 0 0 slave 256mb 64mb 60 pubsub 32mb 8mb 60", Kind::Limits);
    /// Threads that read and write sockets, that of the data included: with 1 there is no other.
    IO_THREADS: i64 = int("io-threads", "1", 1, 128);
    /// Percent of a processor that serving clients takes before I/O threads are used; below half of it they no longer are. 0: always.
    IO_THREADS_MIN_LOAD: i64 = int("io-threads-min-load", "50", 0, 100);
    /// Whether those threads read as well.
    IO_THREADS_DO_READS: bool = flag("io-threads-do-reads", "no").immutable().moot("I/O threads always read, as in Redis 8");
    /// TCP port that answers HTTP with metrics in Prometheus' text form, `/healthz` and `/readyz`; 0 listens on none.
    METRICS_PORT: i64 = int("metrics-port", "0", 0, 65535);
    /// Addresses that the metrics port listens on, written as those of `bind`.
    METRICS_BIND: Words = shaped("metrics-bind", "127.0.0.1 -::1", Kind::Words);
    /// Password that clients must give; empty asks for none.
    REQUIREPASS: Text = text("requirepass", "").secret();
}
