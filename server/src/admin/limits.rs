//! The configured numbers that the engine works with.

use cairn_engine::base::effect::EventClass;
use cairn_engine::base::limits::{EvictionRule, Limits, TestLimits};
use cairn_engine::call::watch::WatchLimits;
use cairn_engine::call::watch::command_log::LogLimits;

use crate::config::choice::MaxmemoryPolicy;
use crate::config::{Config, table};

/// Copies everything that shapes values and commands out of the configuration: at start and after each CONFIG SET.
pub fn limits_of(config: &Config) -> Limits {
    let size = |key| usize::try_from(config.get(key)).unwrap_or(usize::MAX);
    let int = |key| config.get(key);
    let (evict_volatile, eviction) = policy_of(config.get(table::MAXMEMORY_POLICY));
    Limits {
        string_bytes_max: usize::try_from(int(table::PROTO_MAX_BULK_LEN)).unwrap_or(usize::MAX),
        hash_listpack_entries: size(table::HASH_MAX_LISTPACK_ENTRIES),
        hash_listpack_value: size(table::HASH_MAX_LISTPACK_VALUE),
        set_intset_entries: size(table::SET_MAX_INTSET_ENTRIES),
        set_listpack_entries: size(table::SET_MAX_LISTPACK_ENTRIES),
        set_listpack_value: size(table::SET_MAX_LISTPACK_VALUE),
        zset_listpack_entries: size(table::ZSET_MAX_LISTPACK_ENTRIES),
        zset_listpack_value: size(table::ZSET_MAX_LISTPACK_VALUE),
        list_listpack_size: int(table::LIST_MAX_LISTPACK_SIZE) as i32,
        list_compress_depth: int(table::LIST_COMPRESS_DEPTH) as u32,
        stream_node_bytes: size(table::STREAM_NODE_MAX_BYTES),
        stream_node_entries: usize::try_from(int(table::STREAM_NODE_MAX_ENTRIES)).unwrap_or(0),
        hll_sparse_bytes: size(table::HLL_SPARSE_MAX_BYTES),
        notify: event_classes(config.get(table::NOTIFY_KEYSPACE_EVENTS)),
        lazy_expire: config.get(table::LAZYFREE_LAZY_EXPIRE),
        expire_effort: int(table::ACTIVE_EXPIRE_EFFORT).clamp(1, 10) as u32,
        dump_dialect: config.rdb_save_version(),
        dump_compress: config.get(table::RDBCOMPRESSION),
        lfu: eviction == EvictionRule::Lfu,
        memory_max: config.get(table::MAXMEMORY),
        evict_volatile,
        eviction,
        eviction_samples: usize::try_from(int(table::MAXMEMORY_SAMPLES)).unwrap_or(1),
        eviction_tenacity: int(table::MAXMEMORY_EVICTION_TENACITY).clamp(0, 100) as u32,
        lazy_eviction: config.get(table::LAZYFREE_LAZY_EVICTION),
        lfu_log_factor: u32::try_from(int(table::LFU_LOG_FACTOR)).unwrap_or(0),
        lfu_decay_minutes: u32::try_from(int(table::LFU_DECAY_TIME)).unwrap_or(0),
        script_slow_us: u64::try_from(int(table::BUSY_REPLY_THRESHOLD))
            .unwrap_or(0)
            .saturating_mul(1000),
        tracked_keys_max: usize::try_from(config.get(table::TRACKING_TABLE_MAX_KEYS))
            .unwrap_or(usize::MAX),
        eval_scripts: usize::try_from(config.get(table::SCRIPT_CACHE_MAX)).unwrap_or(usize::MAX),
        collation: None,
        tests: TestLimits::default(),
    }
}

/// Copies everything that is noted of commands out of the configuration, as [`limits_of`] does.
pub fn watch_limits_of(config: &Config) -> WatchLimits {
    let log = |from: i64, entries_max: u64| LogLimits {
        // -1 is never.
        from: u64::try_from(from).ok(),
        entries_max: usize::try_from(entries_max).unwrap_or(usize::MAX),
    };
    let latency_from_ms = config.get(table::LATENCY_MONITOR_THRESHOLD);
    WatchLimits {
        histograms: config.get(table::LATENCY_TRACKING),
        slots: config.get(table::CLUSTER_ENABLED) && config.get(table::CLUSTER_SLOT_STATS_ENABLED),
        logs: [
            log(
                config.get(table::SLOWLOG_LOG_SLOWER_THAN),
                config.get(table::SLOWLOG_MAX_LEN),
            ),
            log(
                config.get(table::COMMANDLOG_REQUEST_LARGER_THAN),
                config.get(table::COMMANDLOG_LARGE_REQUEST_MAX_LEN),
            ),
            log(
                config.get(table::COMMANDLOG_REPLY_LARGER_THAN),
                config.get(table::COMMANDLOG_LARGE_REPLY_MAX_LEN),
            ),
        ],
        latency_from_ms: u64::try_from(latency_from_ms).ok().filter(|ms| *ms > 0),
    }
}

/// Whether only keys with an expiry may be evicted, and which of them goes first.
fn policy_of(policy: MaxmemoryPolicy) -> (bool, EvictionRule) {
    match policy {
        MaxmemoryPolicy::VolatileLru => (true, EvictionRule::Lru),
        MaxmemoryPolicy::VolatileLfu => (true, EvictionRule::Lfu),
        MaxmemoryPolicy::VolatileRandom => (true, EvictionRule::Random),
        MaxmemoryPolicy::VolatileTtl => (true, EvictionRule::Ttl),
        MaxmemoryPolicy::AllkeysLru => (false, EvictionRule::Lru),
        MaxmemoryPolicy::AllkeysLfu => (false, EvictionRule::Lfu),
        MaxmemoryPolicy::AllkeysRandom => (false, EvictionRule::Random),
        MaxmemoryPolicy::Noeviction => (false, EvictionRule::Never),
    }
}

/// The classes that the letters of `notify-keyspace-events` name. Without K or E nothing is published.
fn event_classes(letters: &[u8]) -> u32 {
    let class = |letter: &u8| match letter {
        b'K' => EventClass::KEYSPACE,
        b'E' => EventClass::KEYEVENT,
        b'A' => EventClass::ALL,
        b'g' => EventClass::GENERIC,
        b'$' => EventClass::STRING,
        b'l' => EventClass::LIST,
        b's' => EventClass::SET,
        b'h' => EventClass::HASH,
        b'z' => EventClass::ZSET,
        b'x' => EventClass::EXPIRED,
        b'e' => EventClass::EVICTED,
        b't' => EventClass::STREAM,
        b'm' => EventClass::KEY_MISS,
        b'd' => EventClass::MODULE,
        b'n' => EventClass::NEW,
        _ => 0,
    };
    let classes = letters.iter().fold(0, |bits, letter| bits | class(letter));
    match classes & (EventClass::KEYSPACE | EventClass::KEYEVENT) {
        0 => 0,
        _ => classes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_name_classes_only_with_a_channel() {
        assert_eq!(event_classes(b""), 0);
        assert_eq!(event_classes(b"g$"), 0);
        assert_eq!(
            event_classes(b"Kg"),
            EventClass::KEYSPACE | EventClass::GENERIC
        );
        let all = EventClass::KEYSPACE | EventClass::KEYEVENT | EventClass::ALL;
        assert_eq!(event_classes(b"AKE"), all);
        assert_eq!(event_classes(b"AKEm"), all | EventClass::KEY_MISS);
    }

    #[test]
    fn the_defaults_of_both_rooms_agree() {
        let config = Config::new(std::path::Path::new("/"));
        let limits = limits_of(&config);
        let defaults = Limits::default();
        assert_eq!(limits.string_bytes_max, defaults.string_bytes_max);
        assert_eq!(limits.set_intset_entries, defaults.set_intset_entries);
        assert_eq!(limits.list_listpack_size, -2);
        assert_eq!(limits.notify, 0);
        assert!(!limits.lfu);
        assert!(limits.dump_dialect.is_none() && limits.dump_compress);
        assert_eq!(limits.eviction, defaults.eviction);
        assert_eq!(limits.eviction_samples, defaults.eviction_samples);
        assert_eq!(limits.lfu_log_factor, defaults.lfu_log_factor);
        assert_eq!(limits.lfu_decay_minutes, defaults.lfu_decay_minutes);
    }
}
