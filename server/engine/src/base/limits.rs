//! The configured numbers that shape values and commands. The server copies them here from its configuration.

use std::cmp::Ordering;

use cairn_format::encoding::listpack::SAFE_SIZE_MAX;
use cairn_format::rdb::Dialect;

/// How much longer than `proto-max-bulk-len` a string may become while a log is replayed: its origin may have allowed more.
/// With the default, 2 GB.
pub const REPLAY_FACTOR: usize = 4;
/// Zeros up to this many bytes are taken for granted.
const ZEROS_FREE: usize = 1 << 20;

/// Whether there is memory for this many bytes that a command claims but does not bring along. To allocate what is not
/// there would end the process.
pub fn can_hold(bytes: usize) -> bool {
    bytes <= ZEROS_FREE || Vec::<u8>::new().try_reserve_exact(bytes).is_ok()
}

/// Limits and switches of the data set, with the defaults of Redis 7.2.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Longest string, bytes (`proto-max-bulk-len`).
    pub string_bytes_max: usize,
    /// `hash-max-listpack-entries`: field and value pairs in a packed hash.
    pub hash_listpack_entries: usize,
    /// `hash-max-listpack-value`: bytes of the longest field or value in a packed hash.
    pub hash_listpack_value: usize,
    /// `set-max-intset-entries`.
    pub set_intset_entries: usize,
    /// `set-max-listpack-entries`.
    pub set_listpack_entries: usize,
    /// `set-max-listpack-value`, bytes.
    pub set_listpack_value: usize,
    /// `zset-max-listpack-entries`.
    pub zset_listpack_entries: usize,
    /// `zset-max-listpack-value`, bytes.
    pub zset_listpack_value: usize,
    /// `list-max-listpack-size`: positive counts elements, -1 to -5 mean 4 KB to 64 KB.
    pub list_listpack_size: i32,
    /// `list-compress-depth`.
    pub list_compress_depth: u32,
    /// `stream-node-max-bytes`.
    pub stream_node_bytes: usize,
    /// `stream-node-max-entries`.
    pub stream_node_entries: usize,
    /// `hll-sparse-max-bytes`.
    pub hll_sparse_bytes: usize,
    /// Event classes of `notify-keyspace-events` as a bit set (see [`super::effect::EventClass`]); 0 is off.
    pub notify: u32,
    /// `lazyfree-lazy-expire`: expired keys are propagated as UNLINK.
    pub lazy_expire: bool,
    /// `active-expire-effort`, 1 to 10.
    pub expire_effort: u32,
    /// `rdb-save-version`: the version of DUMP's payloads; none: the oldest that Redis 7.2 and the value allow.
    pub dump_dialect: Option<Dialect>,
    /// `rdbcompression`: DUMP compresses long strings.
    pub dump_compress: bool,
    /// An LFU policy is in force: the access field of a record counts instead of telling the time.
    pub lfu: bool,
    /// `maxmemory`, bytes; 0 is no limit.
    pub memory_max: u64,
    /// First half of `maxmemory-policy`: only keys with an expiry may be evicted.
    pub evict_volatile: bool,
    /// Second half of `maxmemory-policy`: which of them goes first.
    pub eviction: EvictionRule,
    /// `maxmemory-samples`: keys looked at in each database to find one.
    pub eviction_samples: usize,
    /// `maxmemory-eviction-tenacity`, 0 to 100: how long one command may evict.
    pub eviction_tenacity: u32,
    /// `lazyfree-lazy-eviction`: evicted values of more than a few elements are freed elsewhere.
    pub lazy_eviction: bool,
    /// `lfu-log-factor`: how strongly the counter of LFU resists growing.
    pub lfu_log_factor: u32,
    /// `lfu-decay-time`: minutes in which the counter of LFU falls by one; 0: never.
    pub lfu_decay_minutes: u32,
    /// `busy-reply-threshold`, microseconds: a script that runs longer lets others in; 0: none does.
    pub script_slow_us: u64,
    /// `tracking-table-max-keys`: keys that are remembered for client-side caching; 0 is no limit.
    pub tracked_keys_max: usize,
    /// `script-cache-max`: scripts that EVAL brought and that are kept.
    pub eval_scripts: usize,
    /// `locale-collate`: how SORT orders texts that it answers; none: byte by byte.
    pub collation: Option<Collation>,
    /// What tests set.
    pub tests: TestLimits,
}

/// How two texts follow each other in a language.
pub type Collation = fn(&[u8], &[u8]) -> Ordering;

/// What DEBUG sets. It is no configuration: CONFIG SET leaves it as it is.
#[derive(Clone, Copy, Debug)]
pub struct TestLimits {
    /// QUICKLIST-PACKED-THRESHOLD: from so many bytes on an element of a long list has a node of its own.
    pub list_plain_threshold: usize,
    /// Bytes up to which a packed value grows, whatever the limits of its type say; set by our own tests only.
    pub packed_bytes_max: usize,
    /// SET-SKIP-CHECKSUM-VALIDATION: checksums of payloads and snapshots are not looked at.
    pub skip_checksums: bool,
    /// SET-DISABLE-DENY-SCRIPTS: scripts may call everything.
    pub scripts_call_all: bool,
}

impl Default for TestLimits {
    fn default() -> Self {
        TestLimits {
            // 1 GiB, as in Redis 7.0 and 7.2.
            list_plain_threshold: 1 << 30,
            packed_bytes_max: SAFE_SIZE_MAX,
            skip_checksums: false,
            scripts_call_all: false,
        }
    }
}

impl Limits {
    /// Whether a packed value of so many bytes may take so many bytes of text more. `*-max-listpack-value` can be set to
    /// anything, and a listpack ends at 4 GiB: from 1 GiB on, as in Redis, a value is no longer packed.
    #[inline]
    pub fn may_pack(&self, blob_bytes: usize, added_bytes: usize) -> bool {
        blob_bytes.saturating_add(added_bytes) <= self.tests.packed_bytes_max
    }
}

/// Which key is evicted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvictionRule {
    /// None is: commands that need memory are refused.
    Never,
    /// The one that was not used for the longest time.
    Lru,
    /// The one that is used least often.
    Lfu,
    /// The one that expires next.
    Ttl,
    /// Any.
    Random,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            string_bytes_max: 512 << 20,
            hash_listpack_entries: 512,
            hash_listpack_value: 64,
            set_intset_entries: 512,
            set_listpack_entries: 128,
            set_listpack_value: 64,
            zset_listpack_entries: 128,
            zset_listpack_value: 64,
            list_listpack_size: -2,
            list_compress_depth: 0,
            stream_node_bytes: 4096,
            stream_node_entries: 100,
            hll_sparse_bytes: 3000,
            notify: 0,
            lazy_expire: false,
            expire_effort: 1,
            dump_dialect: None,
            dump_compress: true,
            lfu: false,
            memory_max: 0,
            evict_volatile: false,
            eviction: EvictionRule::Never,
            eviction_samples: 5,
            eviction_tenacity: 10,
            lazy_eviction: false,
            lfu_log_factor: 10,
            lfu_decay_minutes: 1,
            script_slow_us: 5_000_000,
            tracked_keys_max: 1_000_000,
            eval_scripts: 500,
            collation: None,
            tests: TestLimits::default(),
        }
    }
}
