//! Memory: limits, eviction, expiry, freeing.

use crate::config::choice::MaxmemoryPolicy;
use crate::config::directive::{Directive, Key, choice, count, flag, int, share, size};
#[cfg(test)]
use crate::config::value::{Setting, Value};

const INT_MAX: i64 = i32::MAX as i64;

directives! {
    after super::general::END;

    /// Bytes from which keys are evicted; 0 is no limit.
    MAXMEMORY: u64 = size("maxmemory", "0", 0, -1);
    /// What is evicted.
    MAXMEMORY_POLICY: MaxmemoryPolicy = choice("maxmemory-policy", "noeviction", MaxmemoryPolicy::WORDS);
    /// Keys looked at to find one to evict.
    MAXMEMORY_SAMPLES: i64 = int("maxmemory-samples", "5", 1, INT_MAX);
    /// How hard eviction works, 0 to 100.
    MAXMEMORY_EVICTION_TENACITY: i64 = int("maxmemory-eviction-tenacity", "10", 0, 100);
    /// Bytes, or percent of `maxmemory`, that all clients together may take; 0 is no limit.
    MAXMEMORY_CLIENTS: i64 = share("maxmemory-clients", "0");
    /// How strongly the counter of LFU resists growing.
    LFU_LOG_FACTOR: i64 = int("lfu-log-factor", "10", 0, INT_MAX);
    /// Minutes in which the counter of LFU falls by one.
    LFU_DECAY_TIME: i64 = int("lfu-decay-time", "1", 0, INT_MAX);
    /// How hard expired keys are searched for, 1 to 10.
    ACTIVE_EXPIRE_EFFORT: i64 = int("active-expire-effort", "1", 1, 10);
    /// Go on growing tables while there is nothing else to do.
    ACTIVEREHASHING: bool = flag("activerehashing", "yes");
    /// Free evicted values on another thread.
    LAZYFREE_LAZY_EVICTION: bool = flag("lazyfree-lazy-eviction", "no");
    /// Free expired values on another thread.
    LAZYFREE_LAZY_EXPIRE: bool = flag("lazyfree-lazy-expire", "no");
    /// Free overwritten values on another thread.
    LAZYFREE_LAZY_SERVER_DEL: bool = flag("lazyfree-lazy-server-del", "no").moot("values of more than 64 elements are always freed on another thread");
    /// DEL works like UNLINK.
    LAZYFREE_LAZY_USER_DEL: bool = flag("lazyfree-lazy-user-del", "no").moot("DEL frees values of more than 64 elements on another thread in any case");
    /// FLUSHALL and FLUSHDB work as with ASYNC.
    LAZYFREE_LAZY_USER_FLUSH: bool = flag("lazyfree-lazy-user-flush", "no").moot("what is flushed is always freed on another thread");
    /// Let the allocator return memory on a thread of its own.
    JEMALLOC_BG_THREAD: bool = flag("jemalloc-bg-thread", "yes");
    /// Move values to reduce fragmentation.
    ACTIVEDEFRAG: bool = flag("activedefrag", "no");
    /// Bytes of fragmentation below which nothing is moved.
    ACTIVE_DEFRAG_IGNORE_BYTES: u64 = size("active-defrag-ignore-bytes", "100mb", 1, i64::MAX);
    /// Percent of fragmentation from which values are moved.
    ACTIVE_DEFRAG_THRESHOLD_LOWER: i64 = int("active-defrag-threshold-lower", "10", 0, 1000);
    /// Percent of fragmentation with the greatest effort.
    ACTIVE_DEFRAG_THRESHOLD_UPPER: i64 = int("active-defrag-threshold-upper", "100", 0, 1000);
    /// Least percent of time for it.
    ACTIVE_DEFRAG_CYCLE_MIN: i64 = int("active-defrag-cycle-min", "1", 1, 99);
    /// Most percent of time for it.
    ACTIVE_DEFRAG_CYCLE_MAX: i64 = int("active-defrag-cycle-max", "25", 1, 99);
    /// Fields of a large value looked at in one step.
    ACTIVE_DEFRAG_MAX_SCAN_FIELDS: u64 = count("active-defrag-max-scan-fields", "1000", 1, i64::MAX);
}
