//! INFO stats, cpu, cluster.

use super::{Field, View, show, tracked, word};

/// Kilobytes a second, as Redis prints them.
fn kbps(bytes: u64) -> String {
    format!("{:.2}", bytes as f64 / 1024.0)
}

fn command_us(view: &View) -> u64 {
    view.shared.stats.commands.iter().map(|c| c.usec).sum()
}

/// For how long `maxmemory` has been exceeded without a break, milliseconds.
fn over_limit_ms(view: &View) -> u64 {
    let since = view.ks.stats.over_limit_since_us;
    since.map_or(0, |us| view.now.mono_us.saturating_sub(us) / 1000)
}

/// For how long blocks have been moved together without a break, microseconds.
fn defrag_us(view: &View) -> u64 {
    view.front.figures.defrag.current_us(view.now.mono_us)
}

/// `# Stats`.
pub(super) const STATS: &[Field] = &[
    (
        "total_connections_received",
        show!(|v| v.front.figures.counters.connections),
    ),
    (
        "total_commands_processed",
        show!(|v| v.shared.stats.processed),
    ),
    (
        "instantaneous_ops_per_sec",
        show!(|v| v.front.figures.rates.commands()),
    ),
    (
        "total_net_input_bytes",
        show!(|v| v.front.figures.counters.bytes_in),
    ),
    (
        "total_net_output_bytes",
        show!(|v| v.front.figures.counters.bytes_out),
    ),
    (
        "total_net_repl_input_bytes",
        show!(|v| v.front.replication.bytes.0),
    ),
    (
        "total_net_repl_output_bytes",
        show!(|v| v.front.replication.bytes.1),
    ),
    ("instantaneous_input_kbps", |v| {
        kbps(v.front.figures.rates.bytes_in())
    }),
    ("instantaneous_output_kbps", |v| {
        kbps(v.front.figures.rates.bytes_out())
    }),
    ("instantaneous_input_repl_kbps", word!("0.00")),
    ("instantaneous_output_repl_kbps", word!("0.00")),
    (
        "rejected_connections",
        show!(|v| v.front.figures.counters.rejected),
    ),
    (
        "sync_full",
        show!(|v| v.front.replication.primary.counters.sync_full),
    ),
    (
        "sync_partial_ok",
        show!(|v| v.front.replication.primary.counters.partial_ok),
    ),
    (
        "sync_partial_err",
        show!(|v| v.front.replication.primary.counters.partial_err),
    ),
    ("expired_keys", show!(|v| v.ks.stats.expired)),
    ("expired_stale_perc", |v| {
        format!("{:.2}", v.ks.stats.stale * 100.0)
    }),
    (
        "expired_time_cap_reached_count",
        show!(|v| v.ks.stats.expire_capped),
    ),
    (
        "expire_cycle_cpu_milliseconds",
        show!(|v| v.ks.stats.expire_us / 1000),
    ),
    ("evicted_keys", show!(|v| v.ks.stats.evicted)),
    (
        "evicted_clients",
        show!(|v| v.front.figures.counters.evicted_clients),
    ),
    (
        "total_eviction_exceeded_time",
        show!(|v| v.ks.stats.over_limit_us / 1000 + over_limit_ms(v)),
    ),
    (
        "current_eviction_exceeded_time",
        show!(|v| over_limit_ms(v)),
    ),
    ("keyspace_hits", show!(|v| v.ks.stats.hits)),
    ("keyspace_misses", show!(|v| v.ks.stats.misses)),
    ("pubsub_channels", show!(|v| v.shared.pubsub.channels.len())),
    ("pubsub_patterns", show!(|v| v.shared.pubsub.patterns.len())),
    (
        "pubsubshard_channels",
        show!(|v| v.shared.pubsub.shard_channels.len()),
    ),
    ("latest_fork_usec", show!(|v| v.front.keeper.last_fork_us)),
    ("total_forks", show!(|v| v.front.keeper.forks)),
    ("migrate_cached_sockets", show!(|v| v.front.peers.count())),
    (
        "slave_expires_tracked_keys",
        show!(|v| v.shared.own_keys.len()),
    ),
    ("active_defrag_hits", show!(|v| v.ks.stats.moved.hits)),
    ("active_defrag_misses", show!(|v| v.ks.stats.moved.misses)),
    (
        "active_defrag_key_hits",
        show!(|v| v.ks.stats.moved.key_hits),
    ),
    (
        "active_defrag_key_misses",
        show!(|v| v.ks.stats.moved.key_misses),
    ),
    (
        "total_active_defrag_time",
        show!(|v| (v.front.figures.defrag.before_us + defrag_us(v)) / 1000),
    ),
    ("current_active_defrag_time", show!(|v| defrag_us(v) / 1000)),
    (
        "tracking_total_keys",
        show!(|v| tracked(v, |tracking| tracking.table.len())),
    ),
    (
        "tracking_total_items",
        show!(|v| tracked(v, |tracking| tracking.table.items())),
    ),
    (
        "tracking_total_prefixes",
        show!(|v| tracked(v, |tracking| tracking.prefixes.len())),
    ),
    (
        "unexpected_error_replies",
        show!(|v| v.front.replication.unexpected_errors),
    ),
    (
        "total_error_replies",
        show!(|v| v.shared.stats.error_replies),
    ),
    ("dump_payload_sanitizations", word!("0")),
    (
        "total_reads_processed",
        show!(|v| v.front.figures.counters.reads),
    ),
    (
        "total_writes_processed",
        show!(|v| v.front.figures.counters.writes),
    ),
    ("io_threaded_reads_processed", word!("0")),
    ("io_threaded_writes_processed", word!("0")),
    (
        "reply_buffer_shrinks",
        show!(|v| v.front.figures.counters.reply_shrinks),
    ),
    (
        "reply_buffer_expands",
        show!(|v| v.front.figures.counters.reply_expands),
    ),
    (
        "eventloop_cycles",
        show!(|v| v.front.figures.counters.turns),
    ),
    (
        "eventloop_duration_sum",
        show!(|v| v.front.figures.counters.turn_us),
    ),
    ("eventloop_duration_cmd_sum", show!(|v| command_us(v))),
    (
        "instantaneous_eventloop_cycles_per_sec",
        show!(|v| v.front.figures.rates.turns()),
    ),
    (
        "instantaneous_eventloop_duration_usec",
        show!(|v| v.front.figures.rates.turn_us()),
    ),
    (
        "acl_access_denied_auth",
        show!(|v| v.shared.users.log.denials.auth),
    ),
    (
        "acl_access_denied_cmd",
        show!(|v| v.shared.users.log.denials.command),
    ),
    (
        "acl_access_denied_key",
        show!(|v| v.shared.users.log.denials.key),
    ),
    (
        "acl_access_denied_channel",
        show!(|v| v.shared.users.log.denials.channel),
    ),
];

fn seconds(time: f64) -> String {
    format!("{time:.6}")
}

/// `# CPU`. The main thread does nearly everything; its figures are those of the process.
pub(super) const CPU: &[Field] = &[
    ("used_cpu_sys", |v| seconds(v.cpu().system)),
    ("used_cpu_user", |v| seconds(v.cpu().user)),
    ("used_cpu_sys_children", |v| {
        seconds(v.cpu().system_children)
    }),
    ("used_cpu_user_children", |v| seconds(v.cpu().user_children)),
    ("used_cpu_sys_main_thread", |v| seconds(v.cpu().system)),
    ("used_cpu_user_main_thread", |v| seconds(v.cpu().user)),
];

/// `# Debug`: what a turn of the loop is made of.
pub(super) const DEBUG: &[Field] = &[
    (
        "eventloop_duration_aof_sum",
        show!(|v| v.front.keeper.flush_us),
    ),
    (
        "eventloop_duration_cron_sum",
        show!(|v| v.front.figures.counters.cron_us),
    ),
    (
        "eventloop_duration_max",
        show!(|v| v.front.figures.counters.turn_us_max),
    ),
    (
        "eventloop_cmd_per_cycle_max",
        show!(|v| v.front.figures.counters.turn_commands_max),
    ),
];

/// `# Cluster`.
pub(super) const CLUSTER: &[Field] = &[(
    "cluster_enabled",
    show!(|v| u8::from(v.front.cluster.is_some())),
)];
