//! What can be written, by name.

use crate::series::{KNOWN, newest_of};
use cairn_format::aof::release::Release;
use cairn_format::rdb::Dialect;
use std::fmt;

/// Who reads the folder of a log if nobody is named.
const FOLDER_SERVER: &str = "redis-7.2";

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A snapshot.
    Snapshot(Snapshot),
    /// A line of JSON for each key.
    Lines,
    /// A row for each key.
    Table,
    /// Columns of Parquet.
    Columns,
    /// The commands that make the data.
    Commands(Release),
    /// The folder of a log in parts, with a snapshot as its base.
    Folder(Snapshot),
}

/// A server that is to load the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// What it reads.
    pub dialect: Dialect,
    /// It has vector sets: Redis 8.0, which writes version 12 as 7.4 does.
    pub has_vector_sets: bool,
}

impl Snapshot {
    fn parse(name: &str) -> Option<Snapshot> {
        let name = newest_of(name);
        let dialect = Dialect::parse(name)?;
        Some(Snapshot {
            dialect,
            has_vector_sets: name.starts_with("redis-8.") || dialect.has_key_meta(),
        })
    }
}

impl Target {
    /// Reads a target as it is named on the command line.
    pub fn parse(name: &str) -> Result<Target, String> {
        if let Some(server) = name
            .strip_prefix("aof:")
            .or_else(|| name.strip_prefix("resp:"))
        {
            return Release::parse(newest_of(server))
                .map(Target::Commands)
                .ok_or_else(|| {
                    "expected aof: or resp: and a server, as in aof:redis-6.2, from redis-2.6 on"
                        .to_owned()
                });
        }
        let folder = name.strip_prefix("aof-folder");
        if let Some(server) = folder.and_then(|rest| match rest {
            "" => Some(FOLDER_SERVER),
            rest => rest.strip_prefix(':'),
        }) {
            return Snapshot::parse(server)
                .filter(|snapshot| snapshot.dialect.is_writable() && snapshot.dialect.has_listpacks())
                .map(Target::Folder)
                .ok_or_else(|| {
                    "expected aof-folder: and a server from redis-7.0 on, which began to have such folders"
                        .to_owned()
                });
        }
        match name {
            "jsonl" => Ok(Target::Lines),
            "csv" => Ok(Target::Table),
            "parquet" if cfg!(feature = "parquet") => Ok(Target::Columns),
            "parquet" => Err("this program was built without the feature parquet: `cargo build --release -p rdb-tool --features parquet`".to_owned()),
            "aof" | "resp" => Ok(Target::Commands(Release::NEWEST)),
            name => match Snapshot::parse(name) {
                Some(snapshot) if snapshot.dialect.is_writable() => Ok(Target::Snapshot(snapshot)),
                Some(Snapshot { dialect, .. }) => Err(format!(
                    "{dialect} is read but not written; Redis 2 to 15 and Valkey 80 and 81 are"
                )),
                None => Err(format!(
                    "expected a server as in redis-7.2 or valkey-9.0, a version number, jsonl, csv, parquet, resp, aof or aof-folder; {KNOWN}"
                )),
            },
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Snapshot(snapshot) => snapshot.dialect.fmt(f),
            Target::Lines => f.write_str("jsonl"),
            Target::Table => f.write_str("csv"),
            Target::Columns => f.write_str("parquet"),
            Target::Folder(snapshot) => write!(f, "a log with a base of {}", snapshot.dialect),
            Target::Commands(release) => write!(f, "a command log for {release}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_by_name_and_number() {
        assert_eq!(Target::parse("aof"), Ok(Target::Commands(Release::NEWEST)));
        assert_eq!(Target::parse("resp"), Target::parse("aof"));
        assert_eq!(
            Target::parse("aof:valkey-8"),
            Ok(Target::Commands(
                Release::parse("valkey-8.1").expect("a server")
            ))
        );
        assert!(Target::parse("aof:11").is_err());
        assert!(matches!(Target::parse("aof-folder"), Ok(Target::Folder(_))));
        assert!(Target::parse("aof-folder:redis-6.2").is_err());
        let snapshot = |name: &str| match Target::parse(name) {
            Ok(Target::Snapshot(snapshot)) => (snapshot.dialect, snapshot.has_vector_sets),
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(snapshot("valkey-8"), (Dialect::redis(11), false));
        assert_eq!(snapshot("valkey-9"), (Dialect::valkey(80), false));
        assert_eq!(snapshot("valkey-9.1"), (Dialect::valkey(80), false));
        assert_eq!(snapshot("valkey-9.2"), (Dialect::valkey(81), false));
        assert_eq!(snapshot("redis-2.4"), (Dialect::redis(2), false));
        assert_eq!(snapshot("redis-5"), (Dialect::redis(9), false));
        assert_eq!(snapshot("redis-8"), (Dialect::redis(13), true));
        assert_eq!(snapshot("redis-5.0"), (Dialect::redis(9), false));
        assert_eq!(snapshot("redis-7.4"), (Dialect::redis(12), false));
        assert_eq!(snapshot("redis-8.0"), (Dialect::redis(12), true));
        assert_eq!(snapshot("redis-8.10"), (Dialect::redis(15), true));
        for version in 2..=15 {
            let dialect = Dialect::redis(version);
            assert_eq!(snapshot(&version.to_string()), (dialect, version >= 13));
        }
        assert!(
            Target::parse("redis-2.2")
                .unwrap_err()
                .contains("read but not written")
        );
        assert!(Target::parse("mysql").is_err());
    }
}
