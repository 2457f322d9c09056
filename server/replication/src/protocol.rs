//! Words that a replica and a primary of this kind share.

/// With a number behind it: the latest version of snapshots that a replica reads. Nobody else's capability begins so, and who
/// does not know a capability passes over it.
pub const CAPA_READS: &str = "rdb-version-";

/// A replica passes over empty lines between commands and does not count them, as Redis does: so it can be told that somebody is
/// there while its primary has nothing to send.
pub const CAPA_EMPTY_LINES: &str = "empty-lines";
