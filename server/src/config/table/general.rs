//! The process: log, signals, statistics, who may do what.

use crate::config::choice::{
    AclPubsubDefault, LogLevel, OomScoreAdj, Permission, Supervised, SyslogFacility,
};
use crate::config::directive::{
    Directive, Key, Kind, choice, count, flag, int, ruled, shaped, text,
};
use crate::config::rules::TextRule;
use crate::config::value::{OomValues, Percentiles, SHUTDOWN_WORDS, ShutdownFlags, Text};
#[cfg(test)]
use crate::config::value::{Setting, Value};

const INT_MAX: i64 = i32::MAX as i64;

directives! {
    after super::network::END;

    /// Number of databases.
    DATABASES: i64 = int("databases", "16", 1, INT_MAX).immutable();
    /// Go on in the background, unless `supervised` says that somebody waits.
    DAEMONIZE: bool = flag("daemonize", "no").immutable();
    /// Who started the server and is told when it is ready.
    SUPERVISED: Supervised = choice("supervised", "no", Supervised::WORDS).immutable();
    /// File that the process number is written to; in the background `/var/run/redis.pid` where none is named.
    PIDFILE: Text = text("pidfile", "").immutable();
    /// Least important log line that is written.
    LOGLEVEL: LogLevel = choice("loglevel", "notice", LogLevel::WORDS);
    /// Log file; empty is standard output.
    LOGFILE: Text = text("logfile", "").immutable();
    /// Send the log to syslog.
    SYSLOG_ENABLED: bool = flag("syslog-enabled", "no").immutable();
    /// Name of this server in syslog.
    SYSLOG_IDENT: Text = text("syslog-ident", "redis").immutable();
    /// Facility of syslog.
    SYSLOG_FACILITY: SyslogFacility = choice("syslog-facility", "local0", SyslogFacility::WORDS).immutable();
    /// Show the logo in the log even when the log is not a terminal.
    ALWAYS_SHOW_LOGO: bool = flag("always-show-logo", "no").immutable();
    /// Whether `ps` shows what `proc-title-template` says.
    SET_PROC_TITLE: bool = flag("set-proc-title", "yes").immutable();
    /// What `ps` shows, with names in braces: title, listen-addr, server-mode, port, tls-port, unixsocket, config-file.
    PROC_TITLE_TEMPLATE: Text = ruled("proc-title-template", "{title} {listen-addr} {server-mode}", TextRule::Title);
    /// Locale by which SORT orders texts; empty is that of the environment. A static build knows only C.
    LOCALE_COLLATE: Text = text("locale-collate", "");
    /// Flaws of the system that do not end the start: `ARM64-COW-BUG`, of kernels that lose memory of a child.
    IGNORE_WARNINGS: Text = text("ignore-warnings", "");
    /// Who may change protected directives.
    ENABLE_PROTECTED_CONFIGS: Permission = choice("enable-protected-configs", "no", Permission::WORDS).immutable();
    /// Who may use DEBUG.
    ENABLE_DEBUG_COMMAND: Permission = choice("enable-debug-command", "no", Permission::WORDS).immutable();
    /// Who may use MODULE: nobody.
    ENABLE_MODULE_COMMAND: Permission = choice("enable-module-command", "no", Permission::WORDS).immutable();
    /// Write a report into the log when the server crashes.
    CRASH_LOG_ENABLED: bool = flag("crash-log-enabled", "yes");
    /// Look for broken memory when a signal ends the server.
    CRASH_MEMCHECK_ENABLED: bool = flag("crash-memcheck-enabled", "yes");
    /// Keep this process out of transparent huge pages where the system has them always on.
    DISABLE_THP: bool = flag("disable-thp", "yes").immutable();
    /// How the kernel's out-of-memory score is set.
    OOM_SCORE_ADJ: OomScoreAdj = choice("oom-score-adj", "no", OomScoreAdj::WORDS);
    /// Out-of-memory scores of a primary, a replica and a saving child.
    OOM_SCORE_ADJ_VALUES: OomValues = shaped("oom-score-adj-values", "0 200 800", Kind::OomValues);
    /// Ticks a second of background work.
    HZ: i64 = int("hz", "10", 0, INT_MAX).clamped(1, 500);
    /// Tick more often when there are many clients.
    DYNAMIC_HZ: bool = flag("dynamic-hz", "yes");
    /// What SIGINT does: default, or save, nosave, now, force.
    SHUTDOWN_ON_SIGINT: ShutdownFlags = shaped("shutdown-on-sigint", "default", Kind::Bits(SHUTDOWN_WORDS));
    /// What SIGTERM does: default, or save, nosave, now, force.
    SHUTDOWN_ON_SIGTERM: ShutdownFlags = shaped("shutdown-on-sigterm", "default", Kind::Bits(SHUTDOWN_WORDS));
    /// Seconds that a shutdown waits for replicas.
    SHUTDOWN_TIMEOUT: i64 = int("shutdown-timeout", "10", 0, INT_MAX);
    /// Milliseconds after which a running script answers BUSY to others.
    BUSY_REPLY_THRESHOLD: i64 = int("busy-reply-threshold", "5000", 0, i64::MAX).alias("lua-time-limit");
    /// Scripts of EVAL that are kept; those of SCRIPT LOAD count not. The one that was not used for the longest time goes.
    SCRIPT_CACHE_MAX: u64 = count("script-cache-max", "500", 1, i64::MAX);
    /// Microseconds from which a command is put into the slow log; -1 never.
    SLOWLOG_LOG_SLOWER_THAN: i64 = int("slowlog-log-slower-than", "10000", -1, i64::MAX).alias("commandlog-execution-slower-than");
    /// Entries of the slow log.
    SLOWLOG_MAX_LEN: u64 = count("slowlog-max-len", "128", 0, i64::MAX).alias("commandlog-slow-execution-max-len");
    /// Bytes from which a request is put into the log of large requests; -1 never.
    COMMANDLOG_REQUEST_LARGER_THAN: i64 = int("commandlog-request-larger-than", "1048576", -1, i64::MAX);
    /// Entries of the log of large requests.
    COMMANDLOG_LARGE_REQUEST_MAX_LEN: u64 = count("commandlog-large-request-max-len", "128", 0, i64::MAX);
    /// Bytes from which a reply is put into the log of large replies; -1 never.
    COMMANDLOG_REPLY_LARGER_THAN: i64 = int("commandlog-reply-larger-than", "1048576", -1, i64::MAX);
    /// Entries of the log of large replies.
    COMMANDLOG_LARGE_REPLY_MAX_LEN: u64 = count("commandlog-large-reply-max-len", "128", 0, i64::MAX);
    /// Milliseconds from which an event is put into the latency monitor; 0 never.
    LATENCY_MONITOR_THRESHOLD: i64 = int("latency-monitor-threshold", "0", 0, i64::MAX);
    /// Keep a histogram of each command's time.
    LATENCY_TRACKING: bool = flag("latency-tracking", "yes");
    /// Percentiles that INFO latencystats shows.
    LATENCY_TRACKING_INFO_PERCENTILES: Percentiles = shaped("latency-tracking-info-percentiles", "50 99 99.9", Kind::Percentiles);
    /// Classes of keyspace events that are published.
    NOTIFY_KEYSPACE_EVENTS: Text = ruled("notify-keyspace-events", "", TextRule::Events);
    /// Keys remembered for client-side caching.
    TRACKING_TABLE_MAX_KEYS: u64 = count("tracking-table-max-keys", "1000000", 0, i64::MAX);
    /// File that users are read from.
    ACLFILE: Text = text("aclfile", "").immutable();
    /// Channels that new users may use.
    ACL_PUBSUB_DEFAULT: AclPubsubDefault = choice("acl-pubsub-default", "resetchannels", AclPubsubDefault::WORDS);
    /// Entries of the ACL log.
    ACLLOG_MAX_LEN: u64 = count("acllog-max-len", "128", 0, i64::MAX);
    /// Processors for the main thread: numbers and ranges, such as `0,2` or `0-7:2`.
    SERVER_CPULIST: Text = text("server_cpulist", "").immutable();
    /// Processors for background threads.
    BIO_CPULIST: Text = text("bio_cpulist", "").immutable();
    /// Processors for the child that rewrites the log.
    AOF_REWRITE_CPULIST: Text = text("aof_rewrite_cpulist", "").immutable();
    /// Processors for the child that saves.
    BGSAVE_CPULIST: Text = text("bgsave_cpulist", "").immutable();
}
