//! Directives for tests: CONFIG GET shows them only by their exact name.

use crate::config::directive::{Directive, Key, flag, int};
#[cfg(test)]
use crate::config::value::{Setting, Value};

const INT_MIN: i64 = i32::MIN as i64;
const INT_MAX: i64 = i32::MAX as i64;

directives! {
    after super::tls::END;

    /// Microseconds to sleep after each key of a snapshot, to slow tests down; negative: one microsecond after so many keys.
    RDB_KEY_SAVE_DELAY: i64 = int("rdb-key-save-delay", "0", INT_MIN, INT_MAX).hidden();
    /// Microseconds to sleep after each key loaded; negative: one microsecond after so many keys.
    KEY_LOAD_DELAY: i64 = int("key-load-delay", "0", INT_MIN, INT_MAX).hidden();
    /// Bytes loaded between two looks at the clients.
    LOADING_PROCESS_EVENTS_INTERVAL_BYTES: i64 = int("loading-process-events-interval-bytes", "2097152", 1024, INT_MAX).hidden().moot("a load looks at its clients every 20 milliseconds");
    /// Milliseconds of silence after which a node of the cluster is pinged; 0 is half of `cluster-node-timeout`.
    CLUSTER_PING_INTERVAL: i64 = int("cluster-ping-interval", "0", 0, i64::MAX).hidden();
    /// Milliseconds after which the watchdog reports a stuck server; 0 is off.
    WATCHDOG_PERIOD: i64 = int("watchdog-period", "0", 0, INT_MAX).hidden();
    /// End by exit instead of abort after a panic.
    USE_EXIT_ON_PANIC: bool = flag("use-exit-on-panic", "no").hidden();
    /// Keep replaced files of the log.
    AOF_DISABLE_AUTO_GC: bool = flag("aof-disable-auto-gc", "no").hidden();
    /// Keep deprecated functions in Lua.
    LUA_ENABLE_DEPRECATED_API: bool = flag("lua-enable-deprecated-api", "no").immutable().hidden().moot("getfenv, setfenv and newproxy are there in any case, in forms that leave nothing for the next script");
}
