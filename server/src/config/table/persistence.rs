//! Snapshots and the append-only log.

use crate::config::choice::{AppendFsync, Sanitize};
use crate::config::directive::{Directive, Key, Kind, bytes, choice, flag, int, ruled, shaped};
use crate::config::rules::TextRule;
use crate::config::value::{Dir, Save, Text};
#[cfg(test)]
use crate::config::value::{Setting, Value};

const INT_MAX: i64 = i32::MAX as i64;

directives! {
    after super::encoding::END;

    /// Folder that the server works in: snapshots, log folder, relative paths.
    DIR: Dir = shaped("dir", ".", Kind::Dir).protected().not_while_loading();
    /// Save points: a snapshot after so many seconds if so many changes happened.
    SAVE: Save = shaped("save", "3600 1 300 100 60 10000", Kind::Save);
    /// File name of the snapshot.
    DBFILENAME: Text = ruled("dbfilename", "dump.rdb", TextRule::FileName { name: "dbfilename", noun: "filename", empty: true }).protected();
    /// Compress strings in the snapshot.
    RDBCOMPRESSION: bool = flag("rdbcompression", "yes");
    /// Put a checksum at the end of the snapshot.
    RDBCHECKSUM: bool = flag("rdbchecksum", "yes").immutable();
    /// Version of the snapshot: auto, a number, or a server such as redis-6.2 or valkey-9.0.
    RDB_SAVE_VERSION: Text = ruled("rdb-save-version", "auto", TextRule::RdbVersion);
    /// Refuse writes after a snapshot failed.
    STOP_WRITES_ON_BGSAVE_ERROR: bool = flag("stop-writes-on-bgsave-error", "yes");
    /// Let the disk follow while a snapshot is written.
    RDB_SAVE_INCREMENTAL_FSYNC: bool = flag("rdb-save-incremental-fsync", "yes");
    /// Remove snapshots that were only made for replication.
    RDB_DEL_SYNC_FILES: bool = flag("rdb-del-sync-files", "no");
    /// Whose payloads are checked deeply.
    SANITIZE_DUMP_PAYLOAD: Sanitize = choice("sanitize-dump-payload", "no", Sanitize::WORDS).moot("all payloads are checked deeply, as with yes");
    /// Write a log of all changes.
    APPENDONLY: bool = flag("appendonly", "no").not_while_loading();
    /// File name that the log's files begin with.
    APPENDFILENAME: Text = ruled("appendfilename", "appendonly.aof", TextRule::FileName { name: "appendfilename", noun: "filename", empty: false }).immutable();
    /// Folder of the log, inside `dir`.
    APPENDDIRNAME: Text = ruled("appenddirname", "appendonlydir", TextRule::FileName { name: "appenddirname", noun: "dirname", empty: false }).immutable();
    /// When the log reaches the disk.
    APPENDFSYNC: AppendFsync = choice("appendfsync", "everysec", AppendFsync::WORDS);
    /// Do not wait for the disk while a child writes.
    NO_APPENDFSYNC_ON_REWRITE: bool = flag("no-appendfsync-on-rewrite", "no");
    /// Percent of growth after which the log is rewritten; 0 never.
    AUTO_AOF_REWRITE_PERCENTAGE: i64 = int("auto-aof-rewrite-percentage", "100", 0, INT_MAX);
    /// Bytes below which the log is not rewritten by itself.
    AUTO_AOF_REWRITE_MIN_SIZE: i64 = bytes("auto-aof-rewrite-min-size", "64mb", 0, i64::MAX);
    /// Cut a torn end off the log at start instead of refusing it.
    AOF_LOAD_TRUNCATED: bool = flag("aof-load-truncated", "yes");
    /// Let the disk follow while the log is rewritten.
    AOF_REWRITE_INCREMENTAL_FSYNC: bool = flag("aof-rewrite-incremental-fsync", "yes");
    /// Begin a rewritten log with a snapshot.
    AOF_USE_RDB_PREAMBLE: bool = flag("aof-use-rdb-preamble", "yes");
    /// Put time stamps into the log.
    AOF_TIMESTAMP_ENABLED: bool = flag("aof-timestamp-enabled", "no");
}
