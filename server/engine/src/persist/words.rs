//! What Redis 7.2 says of damaged snapshots and payloads. Programs that drive a server wait for these words in its log, so
//! they stand there beside our own, which say more.

use cairn_format::error::{Damage, FormatError};

use super::load::LoadError;
use super::stream::TWICE;

/// What is wrong, in the words of Redis; the value's type is named where the damage is inside a value.
pub fn usual(error: &FormatError) -> String {
    match error.kind {
        Damage::Checksum => "RDB CRC error".into(),
        Damage::Magic => "Wrong signature trying to load DB from file".into(),
        Damage::Version => "Can't handle RDB format version".into(),
        Damage::Truncated if error.key.is_none() => {
            "Short read or OOM loading DB. Unrecoverable error, aborting now.".into()
        }
        _ if is_second_consumer(&error.what) => "Duplicate stream consumer detected".into(),
        _ => match called(&error.what) {
            // Redis has a second word for these.
            Some(name) if error.what.ends_with(TWICE) => {
                format!("{name} integrity check failed. {name} with dup elements.")
            }
            Some(name) => format!("{name} integrity check failed."),
            None => format!("Internal error in RDB reading offset {}", error.offset),
        },
    }
}

/// The same for a snapshot that cannot be loaded.
pub fn usual_of_load(error: &LoadError) -> String {
    match error {
        LoadError::Damaged(error) => usual(error),
        LoadError::Library { offset, .. } | LoadError::Unheld { offset, .. } => {
            format!("Internal error in RDB reading offset {offset}")
        }
    }
}

/// Whether a consumer of a group is there a second time.
fn is_second_consumer(what: &str) -> bool {
    what.starts_with("stream")
        && what.ends_with(TWICE)
        && what
            .rsplit(": ")
            .next()
            .is_some_and(|last| last.starts_with("consumer "))
}

/// What Redis calls a value in which something is wrong by the packed form alone.
const BY_FORM: [(&str, &str); 5] = [
    ("hash as zipmap: ", "Zipmap"),
    ("set as intset: ", "Intset"),
    ("list as quicklist: list node: ziplist: ", "Ziplist"),
    ("list as quicklist 2: list node: listpack: ", "Listpack"),
    ("stream: stream node: ", "Stream listpack"),
];

/// `Hash listpack` for a text that begins with `hash as listpack: `. A value in one piece is called by its type alone.
fn called(what: &str) -> Option<String> {
    const TYPES: [&str; 6] = ["string", "list", "set", "zset", "hash", "stream"];
    if let Some((_, name)) = BY_FORM.iter().find(|(start, _)| what.starts_with(start)) {
        return Some((*name).into());
    }
    let (name, _) = what.split_once(':')?;
    let word = name.split([' ', ',']).next()?;
    if !TYPES.contains(&word) {
        return None;
    }
    let name = name.replacen(" as ", " ", 1);
    let (first, rest) = name.split_at(1);
    Some(first.to_uppercase() + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_value_is_called_by_its_type() {
        let said = |kind, what: &str| usual(&FormatError::new(kind, 9, what).at_key(b"k"));
        let encoding = |what| said(Damage::Encoding, what);
        assert_eq!(
            encoding("hash as listpack: entry 12 claims 300 bytes, 251 remain"),
            "Hash listpack integrity check failed."
        );
        assert_eq!(
            said(Damage::Truncated, "zset: the bytes end"),
            "Zset integrity check failed."
        );
        assert_eq!(
            encoding("the key occurs twice in this database"),
            "Internal error in RDB reading offset 9"
        );
        assert_eq!(
            encoding("hash: field \"a\" occurs twice"),
            "Hash integrity check failed. Hash with dup elements."
        );
        assert_eq!(
            encoding("stream: stream node: listpack: entry 1 is cut off"),
            "Stream listpack integrity check failed."
        );
        let consumer = "Duplicate stream consumer detected";
        assert_eq!(
            encoding("stream group: consumer \"a\" occurs twice"),
            consumer
        );
        assert_eq!(
            encoding("stream: group \"g\": consumer \"a\" occurs twice"),
            consumer
        );
        assert_eq!(
            encoding("stream: group \"consumer \" occurs twice"),
            "Stream integrity check failed. Stream with dup elements."
        );
        assert_eq!(said(Damage::Checksum, ""), "RDB CRC error");
    }
}
