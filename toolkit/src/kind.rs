//! What a file is that a tool cannot read, by its first bytes, and what reads it instead.

use crate::outcome::{Failure, tool_name};
use std::io::{self, Read};

/// Bytes that [`FileKind::of`] wants to see: a block of a tar archive.
pub const KIND_BYTES: usize = 512;
/// Bytes that tell most kinds. Whoever writes into a pipe may take their time with more.
const MOST_KINDS_BYTES: usize = 64;
/// What stands in the first block of a tar archive, and where.
const TAR_MAGIC: (usize, &[u8]) = (257, b"ustar");

/// What the first bytes of a file say about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// No bytes at all.
    Empty,
    /// A snapshot, or a log that begins with one.
    Snapshot,
    /// A log of commands.
    Log,
    /// The manifest of a log in parts.
    Manifest,
    /// A snapshot as a server sends it to a replica: this many bytes of another line stand before it.
    Sent(usize),
    /// Lines of JSON.
    Json,
    /// Compressed; the program that undoes it.
    Compressed(&'static str),
    /// Files in a tar archive.
    Tar,
    /// The envelope in which Valkey 9.2 is said to compress a snapshot as a whole; no real file was at hand.
    Envelope,
    /// None of these.
    Unknown,
}

/// Compressed files that are not read as what is in them: magic, and the command that writes what is in them to its standard output.
const COMPRESSED: [(&[u8], &str); 3] = [
    (b"\xfd7zXZ\x00", "xz -dc"),
    (b"BZh", "bzip2 -dc"),
    (b"PK\x03\x04", "unzip -p"),
];

impl FileKind {
    /// The kind of a file that begins with `first`, which is all of it or at least [`KIND_BYTES`].
    pub fn of(first: &[u8]) -> FileKind {
        let begins = |magic: &[u8]| first.starts_with(magic);
        if first.is_empty() {
            return FileKind::Empty;
        }
        if begins(b"REDIS") || begins(b"VALKEY") {
            return FileKind::Snapshot;
        }
        if let Some((_, undo)) = COMPRESSED.iter().find(|(magic, _)| begins(magic)) {
            return FileKind::Compressed(undo);
        }
        if begins(b"VKCS") {
            return FileKind::Envelope;
        }
        let (at, magic) = TAR_MAGIC;
        if first.get(at..).is_some_and(|rest| rest.starts_with(magic)) {
            return FileKind::Tar;
        }
        let second = first.get(1).copied().unwrap_or_default();
        match first[0] {
            b'*' if second.is_ascii_digit() => FileKind::Log,
            b'#' if begins(b"#TS:") => FileKind::Log,
            b'$' | b'\n' => sent(first).map_or(FileKind::Unknown, FileKind::Sent),
            b'f' if begins(b"file ") => FileKind::Manifest,
            b'{' if second == b'"' => FileKind::Json,
            _ => FileKind::Unknown,
        }
    }

    /// Whether it is known to be no snapshot, and something.
    pub fn is_another(self) -> bool {
        !matches!(
            self,
            FileKind::Empty | FileKind::Snapshot | FileKind::Unknown
        )
    }

    /// Says that the file called `name` is no snapshot for this reason, and what reads it.
    pub fn refusal(self, name: &str, reason: &str) -> Failure {
        let failure = Failure::new(format!("{name}: {reason}"));
        match self.advice(tool_name(), name) {
            Some(advice) => failure.hint(advice),
            None => failure,
        }
    }

    /// What someone can do who gave the file called `name` to `tool`, which could not read it; nothing if the kind is one
    /// that it reads, or unknown.
    pub fn advice(self, tool: &str, name: &str) -> Option<String> {
        // Standard input has no name that another command could take.
        let name = if name == "stdin" { "FILE" } else { name };
        Some(match self {
            FileKind::Empty => "the file is empty".to_owned(),
            FileKind::Snapshot => return None,
            FileKind::Log | FileKind::Manifest if tool == "aof-tool" => return None,
            FileKind::Log => format!(
                "this is a log of commands: `aof-tool check {name}` looks at it, and `aof-tool rewrite --form snapshot -o whole.rdb {name}` makes a snapshot of it"
            ),
            FileKind::Manifest => {
                format!(
                    "this is the manifest of a log: `aof-tool check {name}` looks at all its parts, and `aof-tool rewrite --form snapshot -o whole.rdb {name}` makes a snapshot of them"
                )
            }
            FileKind::Sent(before) => format!(
                "this is what a server sends to a replica: the snapshot begins behind the first line, `tail -c +{} {name} | {tool} ... -` reads it",
                before + 1
            ),
            FileKind::Json => format!(
                "this is JSON: `rdb-tool convert --from jsonl --to redis-7.2 -o dump.rdb {name}` makes a snapshot of lines that `rdb-tool dump` wrote"
            ),
            FileKind::Compressed(undo) => {
                format!(
                    "the file is compressed: `{undo} {name} | {tool} ... -` reads what is in it"
                )
            }
            FileKind::Tar => format!(
                "this is a tar archive: `tar -tf {name}` lists what is in it, and `tar -xOf {name} MEMBER | {tool} ... -` reads a file of it"
            ),
            FileKind::Envelope => "this is a snapshot in the envelope of Valkey 9.2, compressed as a whole: a server that loads it can save it without".to_owned(),
            FileKind::Unknown => return None,
        })
    }
}

/// The first bytes of a stream, as many as [`FileKind::of`] wants to see of it.
///
/// # Errors
/// Those of the stream.
pub fn first_of(source: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut first = Vec::new();
    let mut read = |until: usize| {
        let more = (until - first.len()) as u64;
        source.take(more).read_to_end(&mut first)?;
        io::Result::Ok(FileKind::of(&first))
    };
    if read(MOST_KINDS_BYTES)? == FileKind::Unknown {
        read(KIND_BYTES)?;
    }
    Ok(first)
}

/// Bytes before the snapshot of a reply to SYNC: `$LENGTH` or `$EOF:` and a mark, perhaps after newlines that keep the link alive.
fn sent(first: &[u8]) -> Option<usize> {
    let newlines = first.iter().take_while(|byte| **byte == b'\n').count();
    let line = &first[newlines..];
    let end = line.iter().position(|byte| *byte == b'\n')? + 1;
    let head = line[..end].trim_ascii_end().strip_prefix(b"$")?;
    let is_length = !head.is_empty() && head.iter().all(u8::is_ascii_digit);
    let magic = &line[end..];
    let is_snapshot = magic.starts_with(b"REDIS") || magic.starts_with(b"VALKEY");
    ((is_length || head.starts_with(b"EOF:")) && is_snapshot).then_some(newlines + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_the_kind() {
        let tar = [&b"dump.rdb"[..], &[0; 249], b"ustar\x0000", &[0; 247]].concat();
        let mark = [&b"$EOF:"[..], &[b'a'; 40], b"\r\nREDIS0011"].concat();
        for (first, kind) in [
            (&b""[..], FileKind::Empty),
            (b"REDIS0011", FileKind::Snapshot),
            (b"VALKEY080", FileKind::Snapshot),
            (b"*2\r\n$6\r\nSELECT\r\n", FileKind::Log),
            (b"#TS:1700000000\r\n", FileKind::Log),
            (
                b"file appendonly.aof.1.base.rdb seq 1 type b\n",
                FileKind::Manifest,
            ),
            (b"$65\r\nREDIS0011", FileKind::Sent(5)),
            (b"\n\n$65\r\nREDIS0011", FileKind::Sent(7)),
            (&mark, FileKind::Sent(47)),
            (b"{\"db\":0,", FileKind::Json),
            (b"BZh91AY", FileKind::Compressed("bzip2 -dc")),
            (b"VKCS\x01\x01\x00\x00", FileKind::Envelope),
            (&tar, FileKind::Tar),
            (&tar[..260], FileKind::Unknown),
            (b"$", FileKind::Unknown),
            (b"$6\r\nSELECT\r\n", FileKind::Unknown),
            (b"*", FileKind::Unknown),
            (b"\n", FileKind::Unknown),
            (b"hello", FileKind::Unknown),
        ] {
            assert_eq!(FileKind::of(first), kind, "{}", first.escape_ascii());
        }
    }

    /// A pipe that gives what makes a kind is not waited for; what is unknown is read as far as it says something.
    #[test]
    fn no_more_of_a_stream_is_read_than_tells_its_kind() {
        let log = b"*2\r\n$6\r\nSELECT\r\n".repeat(50);
        let unknown = vec![b'x'; 2000];
        for (bytes, read) in [
            (&log[..], MOST_KINDS_BYTES),
            (&unknown, KIND_BYTES),
            (&unknown[..100], 100),
            (b"", 0),
        ] {
            let mut source = bytes;
            assert_eq!(first_of(&mut source).unwrap(), bytes[..read]);
            assert_eq!(source, &bytes[read..]);
        }
    }
}
