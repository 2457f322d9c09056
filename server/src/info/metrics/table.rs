//! All metrics: one line each, in the order of the text.

use super::super::{memory, persistence, replication, server, stats};
use super::replication as replicas;
use super::{Kind, Metric, Samples, Source, View, field, labelled, threads};

/// The value of a field of INFO.
type Value = fn(&View) -> String;

const fn metric(name: &'static str, help: &'static str, kind: Kind, source: Source) -> Metric {
    Metric {
        name,
        help,
        kind,
        labels: &[],
        source,
    }
}

const fn gauge(name: &'static str, help: &'static str, value: Value) -> Metric {
    gauge_by(name, help, value, 1.0)
}

const fn gauge_by(name: &'static str, help: &'static str, value: Value, factor: f64) -> Metric {
    metric(name, help, Kind::Gauge, Source::Field(value, factor))
}

const fn counter(name: &'static str, help: &'static str, value: Value) -> Metric {
    counter_by(name, help, value, 1.0)
}

const fn counter_by(name: &'static str, help: &'static str, value: Value, factor: f64) -> Metric {
    metric(name, help, Kind::Counter, Source::Field(value, factor))
}

const fn samples(
    kind: Kind,
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    write: fn(&View, &mut Samples),
) -> Metric {
    Metric {
        labels,
        ..metric(name, help, kind, Source::Samples(write))
    }
}

/// All of them.
#[rustfmt::skip]
pub const METRICS: &[Metric] = &[
    // the server
    samples(Kind::Gauge, "redis_up", "1 while the server answers.", &[], labelled::up),
    samples(Kind::Gauge, "redis_instance_info", "Always 1; the labels say who this is.", &["role", "redis_version", "cairn_version", "redis_mode", "maxmemory_policy", "tcp_port", "run_id"], labelled::instance),
    samples(Kind::Gauge, "redis_start_time_seconds", "When the process began, Unix seconds.", &[], labelled::started),
    gauge("redis_uptime_in_seconds", "Seconds since the start.", field(server::SERVER, "uptime_in_seconds")),
    gauge("redis_io_threads_active", "I/O threads beside that of the data, while they are used.", field(server::SERVER, "io_threads_active")),
    samples(Kind::Gauge, "cairn_io_thread_clients", "Connections that an I/O thread owns.", threads::LABELS, threads::clients),
    samples(Kind::Counter, "cairn_io_thread_reads_total", "Times that an I/O thread has read from a socket.", threads::LABELS, threads::reads),
    samples(Kind::Counter, "cairn_io_thread_writes_total", "Times that an I/O thread was given something to write.", threads::LABELS, threads::writes),
    samples(Kind::Counter, "cairn_io_thread_cpu_seconds_total", "Processor time of an I/O thread.", threads::LABELS, threads::cpu_seconds),
    gauge("redis_process_id", "Number of the process.", field(server::SERVER, "process_id")),
    // clients
    gauge("redis_connected_clients", "Clients that are connected.", field(server::CLIENTS, "connected_clients")),
    gauge("redis_max_clients", "Clients that may be connected (maxclients).", field(server::CLIENTS, "maxclients")),
    gauge("redis_blocked_clients", "Clients that wait in a command such as BLPOP.", field(server::CLIENTS, "blocked_clients")),
    gauge("redis_tracking_clients", "Clients with client-side caching.", field(server::CLIENTS, "tracking_clients")),
    gauge("redis_clients_in_timeout_table", "Waiting clients whose wait has an end.", field(server::CLIENTS, "clients_in_timeout_table")),
    gauge("redis_total_blocking_keys", "Keys that clients wait for.", field(server::CLIENTS, "total_blocking_keys")),
    gauge("redis_client_recent_max_input_buffer_bytes", "Largest input buffer of a client, bytes.", field(server::CLIENTS, "client_recent_max_input_buffer")),
    gauge("redis_client_recent_max_output_buffer_bytes", "Largest output buffer of a client, bytes.", field(server::CLIENTS, "client_recent_max_output_buffer")),
    counter("redis_connections_received_total", "Connections accepted.", field(stats::STATS, "total_connections_received")),
    counter("redis_rejected_connections_total", "Connections turned away (maxclients, protected mode).", field(stats::STATS, "rejected_connections")),
    counter("redis_evicted_clients_total", "Clients closed because of maxmemory-clients.", field(stats::STATS, "evicted_clients")),
    // memory
    gauge("redis_memory_used_bytes", "Memory that the process has allocated, bytes.", field(memory::MEMORY, "used_memory")),
    gauge("redis_memory_used_rss_bytes", "Memory that the system has given to the process, bytes.", field(memory::MEMORY, "used_memory_rss")),
    gauge("redis_memory_used_peak_bytes", "Most memory that was allocated so far, bytes.", field(memory::MEMORY, "used_memory_peak")),
    gauge("redis_memory_used_overhead_bytes", "Memory beside keys and values, bytes.", field(memory::MEMORY, "used_memory_overhead")),
    gauge("redis_memory_used_startup_bytes", "Memory at the start, bytes.", field(memory::MEMORY, "used_memory_startup")),
    gauge("redis_memory_used_dataset_bytes", "Memory of keys and values, bytes.", field(memory::MEMORY, "used_memory_dataset")),
    gauge("redis_memory_max_bytes", "Limit of memory (maxmemory), bytes; 0 is none.", field(memory::MEMORY, "maxmemory")),
    gauge("redis_allocator_allocated_bytes", "What the allocator has handed out, bytes.", field(memory::MEMORY, "allocator_allocated")),
    gauge("redis_allocator_active_bytes", "Pages of the allocator in use, bytes.", field(memory::MEMORY, "allocator_active")),
    gauge("redis_allocator_resident_bytes", "Pages of the allocator in memory, bytes.", field(memory::MEMORY, "allocator_resident")),
    gauge("redis_allocator_frag_ratio", "Active by allocated.", field(memory::MEMORY, "allocator_frag_ratio")),
    gauge("redis_allocator_rss_ratio", "Resident by active.", field(memory::MEMORY, "allocator_rss_ratio")),
    gauge("redis_mem_fragmentation_ratio", "Memory of the system by memory allocated.", field(memory::MEMORY, "mem_fragmentation_ratio")),
    gauge("redis_mem_fragmentation_bytes", "Memory of the system beyond memory allocated, bytes.", field(memory::MEMORY, "mem_fragmentation_bytes")),
    gauge("redis_mem_clients_normal", "Memory of clients and their buffers, bytes.", field(memory::MEMORY, "mem_clients_normal")),
    gauge("redis_mem_clients_slaves", "Memory of replicas and their buffers, bytes.", field(memory::MEMORY, "mem_clients_slaves")),
    gauge("redis_mem_aof_buffer_bytes", "Memory of what waits to be written to the log, bytes.", field(memory::MEMORY, "mem_aof_buffer")),
    gauge("redis_mem_replication_backlog_bytes", "Memory of the replication backlog, bytes.", field(memory::MEMORY, "mem_replication_backlog")),
    gauge("redis_mem_not_counted_for_eviction_bytes", "Memory that maxmemory does not count, bytes.", field(memory::MEMORY, "mem_not_counted_for_evict")),
    gauge("redis_lazyfree_pending_objects", "Values that wait to be freed by another thread.", field(memory::MEMORY, "lazyfree_pending_objects")),
    counter("redis_lazyfreed_objects", "Values that another thread has freed.", field(memory::MEMORY, "lazyfreed_objects")),
    gauge("redis_active_defrag_running", "Percent of the time that active defragmentation takes; 0: it does not run.", field(memory::MEMORY, "active_defrag_running")),
    counter("redis_defrag_hits", "Blocks that active defragmentation has moved.", field(stats::STATS, "active_defrag_hits")),
    counter("redis_defrag_misses", "Blocks that it has looked at and left.", field(stats::STATS, "active_defrag_misses")),
    counter("redis_defrag_key_hits", "Keys of which it has moved something.", field(stats::STATS, "active_defrag_key_hits")),
    counter("redis_defrag_key_misses", "Keys of which it has moved nothing.", field(stats::STATS, "active_defrag_key_misses")),
    // persistence
    gauge("redis_loading_dump_file", "1 while the data is being loaded.", field(persistence::PERSISTENCE, "loading")),
    gauge("redis_rdb_changes_since_last_save", "Changes that no snapshot has yet.", field(persistence::PERSISTENCE, "rdb_changes_since_last_save")),
    gauge("redis_rdb_bgsave_in_progress", "1 while a child writes a snapshot.", field(persistence::PERSISTENCE, "rdb_bgsave_in_progress")),
    gauge("redis_rdb_last_save_timestamp_seconds", "When the last snapshot was written, Unix seconds.", field(persistence::PERSISTENCE, "rdb_last_save_time")),
    gauge("redis_rdb_last_bgsave_status", "1 if the last background save succeeded.", field(persistence::PERSISTENCE, "rdb_last_bgsave_status")),
    gauge("redis_rdb_last_bgsave_duration_sec", "Seconds that the last background save took; -1: none yet.", field(persistence::PERSISTENCE, "rdb_last_bgsave_time_sec")),
    gauge("redis_rdb_current_bgsave_duration_sec", "Seconds that the save under way has taken; -1: none.", field(persistence::PERSISTENCE, "rdb_current_bgsave_time_sec")),
    counter("redis_rdb_saves_total", "Snapshots written.", field(persistence::PERSISTENCE, "rdb_saves")),
    gauge("redis_rdb_last_cow_size_bytes", "Memory copied during the last background save, bytes.", field(persistence::PERSISTENCE, "rdb_last_cow_size")),
    gauge("redis_rdb_last_load_expired_keys", "Keys that the last load left out as expired.", field(persistence::PERSISTENCE, "rdb_last_load_keys_expired")),
    gauge("redis_rdb_last_load_loaded_keys", "Keys that the last load brought.", field(persistence::PERSISTENCE, "rdb_last_load_keys_loaded")),
    gauge("redis_aof_enabled", "1 while the append-only log is on.", field(persistence::PERSISTENCE, "aof_enabled")),
    gauge("redis_aof_rewrite_in_progress", "1 while a child rewrites the log.", field(persistence::PERSISTENCE, "aof_rewrite_in_progress")),
    gauge("redis_aof_rewrite_scheduled", "1 if a rewrite waits for a save to end.", field(persistence::PERSISTENCE, "aof_rewrite_scheduled")),
    gauge("redis_aof_last_rewrite_duration_sec", "Seconds that the last rewrite took; -1: none yet.", field(persistence::PERSISTENCE, "aof_last_rewrite_time_sec")),
    gauge("redis_aof_current_rewrite_duration_sec", "Seconds that the rewrite under way has taken; -1: none.", field(persistence::PERSISTENCE, "aof_current_rewrite_time_sec")),
    gauge("redis_aof_last_bgrewrite_status", "1 if the last rewrite succeeded.", field(persistence::PERSISTENCE, "aof_last_bgrewrite_status")),
    gauge("redis_aof_last_write_status", "1 if the last write to the log succeeded.", field(persistence::PERSISTENCE, "aof_last_write_status")),
    gauge("redis_aof_last_cow_size_bytes", "Memory copied during the last rewrite, bytes.", field(persistence::PERSISTENCE, "aof_last_cow_size")),
    samples(Kind::Gauge, "redis_aof_current_size_bytes", "Size of the log, bytes; only while it is on.", &[], labelled::log_size),
    samples(Kind::Gauge, "redis_aof_base_size_bytes", "Size of the log after the last rewrite, bytes; only while it is on.", &[], labelled::log_base_size),
    samples(Kind::Gauge, "redis_aof_buffer_length", "Bytes that wait to be written to the log; only while it is on.", &[], labelled::log_buffer),
    samples(Kind::Gauge, "redis_aof_pending_bio_fsync", "Syncs of the log under way; only while it is on.", &[], labelled::log_syncs),
    samples(Kind::Counter, "redis_aof_delayed_fsync", "Writes that had to wait for a sync; only while the log is on.", &[], labelled::log_delays),
    gauge_by("redis_latest_fork_seconds", "Seconds of the last fork.", field(stats::STATS, "latest_fork_usec"), 1e-6),
    counter("redis_forks_total", "Children started.", field(stats::STATS, "total_forks")),
    // commands
    counter("redis_commands_processed_total", "Commands run.", field(stats::STATS, "total_commands_processed")),
    gauge("redis_instantaneous_ops_per_sec", "Commands per second, over the last 16 samples.", field(stats::STATS, "instantaneous_ops_per_sec")),
    samples(Kind::Counter, "redis_commands_total", "Times that a command ran.", &["cmd"], labelled::calls),
    samples(Kind::Counter, "redis_commands_duration_seconds_total", "Seconds that a command took.", &["cmd"], labelled::seconds),
    samples(Kind::Counter, "redis_commands_rejected_calls_total", "Times that a command was refused before it ran.", &["cmd"], labelled::rejected),
    samples(Kind::Counter, "redis_commands_failed_calls_total", "Times that a command answered with an error.", &["cmd"], labelled::failed),
    samples(Kind::Histogram, "redis_commands_latencies_usec", "Microseconds that a command took; only while latency-tracking is on.", &["cmd", "le"], labelled::latencies),
    samples(Kind::Counter, "redis_errors_total", "Error replies by their first word.", &["err"], labelled::errors),
    counter("redis_total_error_replies", "Error replies.", field(stats::STATS, "total_error_replies")),
    counter("redis_acl_access_denied_auth_total", "Wrong passwords.", field(stats::STATS, "acl_access_denied_auth")),
    // the network
    counter("redis_net_input_bytes_total", "Bytes received from clients.", field(stats::STATS, "total_net_input_bytes")),
    counter("redis_net_output_bytes_total", "Bytes sent to clients.", field(stats::STATS, "total_net_output_bytes")),
    counter("redis_total_reads_processed", "Reads from sockets of clients.", field(stats::STATS, "total_reads_processed")),
    counter("redis_total_writes_processed", "Writes to sockets of clients.", field(stats::STATS, "total_writes_processed")),
    // keys
    samples(Kind::Gauge, "redis_db_keys", "Keys of a database.", &["db"], labelled::keys),
    samples(Kind::Gauge, "redis_db_keys_expiring", "Keys of a database that expire.", &["db"], labelled::expiring),
    samples(Kind::Gauge, "redis_db_avg_ttl_seconds", "Mean time to live of keys that expire, seconds, from samples.", &["db"], labelled::ttl),
    counter("redis_keyspace_hits_total", "Reads that found their key.", field(stats::STATS, "keyspace_hits")),
    counter("redis_keyspace_misses_total", "Reads that did not find their key.", field(stats::STATS, "keyspace_misses")),
    counter("redis_expired_keys_total", "Keys removed because their time had come.", field(stats::STATS, "expired_keys")),
    gauge("redis_expired_stale_percentage", "Part of the sampled keys that had expired, percent.", field(stats::STATS, "expired_stale_perc")),
    counter("redis_expired_time_cap_reached_total", "Times that expiry ran out of time with more to do.", field(stats::STATS, "expired_time_cap_reached_count")),
    counter("redis_expire_cycle_cpu_time_ms_total", "Milliseconds spent on expiry.", field(stats::STATS, "expire_cycle_cpu_milliseconds")),
    counter("redis_evicted_keys_total", "Keys removed for want of memory.", field(stats::STATS, "evicted_keys")),
    counter("redis_eviction_exceeded_time_ms_total", "Milliseconds beyond maxmemory.", field(stats::STATS, "total_eviction_exceeded_time")),
    gauge("redis_current_eviction_exceeded_time_ms", "Milliseconds beyond maxmemory without a break until now.", field(stats::STATS, "current_eviction_exceeded_time")),
    gauge("redis_pubsub_channels", "Channels that somebody listens to.", field(stats::STATS, "pubsub_channels")),
    gauge("redis_pubsub_patterns", "Patterns that somebody listens to.", field(stats::STATS, "pubsub_patterns")),
    gauge("redis_pubsubshard_channels", "Shard channels that somebody listens to.", field(stats::STATS, "pubsubshard_channels")),
    gauge("redis_migrate_cached_sockets_total", "Connections that MIGRATE keeps.", field(stats::STATS, "migrate_cached_sockets")),
    // replication and clusters
    gauge("redis_connected_slaves", "Replicas that are connected.", field(replication::REPLICAS, "connected_slaves")),
    gauge("redis_master_repl_offset", "Position in the stream of changes.", field(replication::REPLICATION, "master_repl_offset")),
    gauge("redis_second_repl_offset", "Position up to which the history of before holds; -1: none.", field(replication::REPLICATION, "second_repl_offset")),
    gauge("redis_repl_backlog_is_active", "1 while there is a backlog.", field(replication::REPLICATION, "repl_backlog_active")),
    gauge("redis_replication_backlog_bytes", "Size that the backlog may have, bytes.", field(replication::REPLICATION, "repl_backlog_size")),
    gauge("redis_repl_backlog_first_byte_offset", "Position of the first byte of the backlog.", field(replication::REPLICATION, "repl_backlog_first_byte_offset")),
    gauge("redis_repl_backlog_history_bytes", "Bytes in the backlog.", field(replication::REPLICATION, "repl_backlog_histlen")),
    samples(Kind::Gauge, "redis_connected_slave_offset_bytes", "What a replica has acknowledged of the stream.", replicas::REPLICA, replicas::offsets),
    samples(Kind::Gauge, "redis_connected_slave_lag_seconds", "Seconds since a replica acknowledged anything.", replicas::REPLICA, replicas::silence),
    samples(Kind::Gauge, "redis_connected_slave_lag_bytes", "What a replica has not acknowledged yet, bytes.", replicas::REPLICA, replicas::lag_bytes),
    samples(Kind::Gauge, "redis_connected_slave_lag_milliseconds", "For how long what a replica has not acknowledged has been in the stream.", replicas::REPLICA, replicas::lag_ms),
    samples(Kind::Gauge, "redis_master_link_up", "1 while commands come from the primary; only of a replica.", replicas::PRIMARY, replicas::link_up),
    samples(Kind::Gauge, "redis_master_last_io_seconds_ago", "Seconds since the primary was heard; only of a replica.", replicas::PRIMARY, replicas::link_silence),
    samples(Kind::Gauge, "redis_master_sync_in_progress", "1 while a snapshot of the primary comes or is loaded; only of a replica.", replicas::PRIMARY, replicas::link_syncs),
    counter("redis_replica_resyncs_full", "Whole synchronizations of replicas.", field(stats::STATS, "sync_full")),
    counter("redis_replica_partial_resync_accepted", "Partial synchronizations of replicas.", field(stats::STATS, "sync_partial_ok")),
    counter("redis_replica_partial_resync_denied", "Partial synchronizations that were not possible.", field(stats::STATS, "sync_partial_err")),
    gauge("redis_cluster_enabled", "1 in a cluster.", field(stats::CLUSTER, "cluster_enabled")),
    // processor and loop
    counter("redis_cpu_sys_seconds_total", "Processor time in the system, seconds.", field(stats::CPU, "used_cpu_sys")),
    counter("redis_cpu_user_seconds_total", "Processor time of the program, seconds.", field(stats::CPU, "used_cpu_user")),
    counter("redis_cpu_sys_children_seconds_total", "Processor time in the system of ended children, seconds.", field(stats::CPU, "used_cpu_sys_children")),
    counter("redis_cpu_user_children_seconds_total", "Processor time of ended children, seconds.", field(stats::CPU, "used_cpu_user_children")),
    counter("redis_eventloop_cycles_total", "Turns of the loop.", field(stats::STATS, "eventloop_cycles")),
    counter("redis_eventloop_duration_sum_usec_total", "Microseconds spent in turns.", field(stats::STATS, "eventloop_duration_sum")),
    counter("redis_eventloop_duration_cmd_sum_usec_total", "Microseconds spent in commands.", field(stats::STATS, "eventloop_duration_cmd_sum")),
    gauge_by("cairn_eventloop_duration_max_seconds", "Longest turn so far, seconds.", field(stats::DEBUG, "eventloop_duration_max"), 1e-6),
    counter_by("cairn_eventloop_log_seconds_total", "Seconds spent on writing the log.", field(stats::DEBUG, "eventloop_duration_aof_sum"), 1e-6),
    counter_by("cairn_eventloop_timed_work_seconds_total", "Seconds spent on timed work.", field(stats::DEBUG, "eventloop_duration_cron_sum"), 1e-6),
    // the metrics port itself
    samples(Kind::Counter, "cairn_scrapes_total", "Times that metrics were asked for here before.", &[], labelled::scrapes),
    samples(Kind::Counter, "cairn_scrape_seconds_total", "Seconds that the loop spent on them.", &[], labelled::scrape_seconds),
    samples(Kind::Gauge, "cairn_last_scrape_seconds", "Seconds that the loop spent on the last of them.", &[], labelled::last_scrape_seconds),
    samples(Kind::Gauge, "cairn_metrics_connections", "Connections to the metrics port.", &[], labelled::visitors),
];
