//! What stands behind the end of a snapshot.
//!
//! ```text
//!   REDIS0011 ... EOF checksum | *3 $3 SET ...         a log with a snapshot in front of its commands
//!                              | REDIS0011 ...         a second snapshot
//!                              | 40 hex digits         the mark with which a server without a disk ends what it sends
//!                              | 00 00 00 ...          a file that was made larger than it needed to be
//! ```
//!
//! Servers stop at the end and ignore the rest. Whoever takes such a file for the whole of its data may lose most of it.

use crate::human;
use crate::kind::{FileKind, KIND_BYTES};
use cairn_format::error::{Damage, FormatError};
use std::io::{self, Read};

/// Hex digits of the mark that ends a snapshot sent without a length.
const MARK_BYTES: usize = 40;
/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;

/// Bytes behind the end of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind {
    /// Offset of the first of them.
    pub at: u64,
    /// How many there are.
    pub bytes: u64,
    /// What they look like.
    pub looks: Looks,
}

/// What bytes look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looks {
    /// Commands of a log.
    Commands,
    /// A snapshot of its own.
    Snapshot,
    /// Nothing but zeros.
    Zeros,
    /// The end mark of a snapshot that was sent to a replica, perhaps with newlines behind it.
    Mark,
    /// Nothing but line ends and spaces.
    Blank,
    /// Printable text.
    Text,
    /// Anything else.
    Bytes,
}

impl Looks {
    /// As a person reads it.
    pub fn text(self) -> &'static str {
        match self {
            Looks::Commands => "commands of a log",
            Looks::Snapshot => "a second snapshot",
            Looks::Zeros => "all zeros",
            Looks::Mark => "the 40 hex digits that end a snapshot sent to a replica",
            Looks::Blank => "line ends and spaces",
            Looks::Text => "text",
            Looks::Bytes => "no snapshot, no commands, no text",
        }
    }

    /// As one word for programs.
    pub fn word(self) -> &'static str {
        match self {
            Looks::Commands => "commands",
            Looks::Snapshot => "snapshot",
            Looks::Zeros => "zeros",
            Looks::Mark => "mark",
            Looks::Blank => "blank",
            Looks::Text => "text",
            Looks::Bytes => "bytes",
        }
    }
}

impl Behind {
    /// Looks at all that `rest` still gives; its first byte stands at offset `at`. Nothing if there is none.
    ///
    /// # Errors
    /// Those of the input.
    pub fn look(mut rest: impl Read, at: u64) -> io::Result<Option<Behind>> {
        let mut first = Vec::new();
        rest.by_ref()
            .take(KIND_BYTES as u64)
            .read_to_end(&mut first)?;
        let mut seen = Seen::default();
        seen.add(&first);
        let mut chunk = vec![0; CHUNK];
        while seen.bytes >= KIND_BYTES as u64 {
            match rest.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => seen.add(&chunk[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok((seen.bytes > 0).then(|| Behind {
            at,
            bytes: seen.bytes,
            looks: seen.looks(&first),
        }))
    }

    /// The finding; `keys` stand in the snapshot before.
    pub fn damage(&self, keys: u64) -> Box<FormatError> {
        let follow = if self.bytes == 1 { "follows" } else { "follow" };
        let what = format!(
            "the snapshot of {} ends here, and {} {follow}: {}",
            human::plural(keys, "key", "keys"),
            human::plural(self.bytes, "byte", "bytes"),
            self.looks.text()
        );
        FormatError::new(Damage::Length, self.at, what)
    }

    /// What someone can do who wants all that is in the file called `name`, if there is something.
    pub fn advice(&self, name: &str) -> Option<String> {
        // Standard input has no name that another command could take.
        let file = if name == "stdin" { "FILE" } else { name };
        match self.looks {
            Looks::Commands => Some(format!(
                "`aof-tool rewrite --form snapshot -o whole.rdb {file}` runs the commands and writes a snapshot of the whole"
            )),
            Looks::Snapshot => Some(format!(
                "`tail -c +{} {file} > second.rdb` makes a file of the second one",
                self.at + 1
            )),
            _ => None,
        }
    }
}

/// What was seen of some bytes.
#[derive(Debug)]
struct Seen {
    bytes: u64,
    zeros: bool,
    blank: bool,
    text: bool,
    /// Whether all but the first 40 bytes are line ends and spaces.
    blank_behind_mark: bool,
}

impl Default for Seen {
    fn default() -> Seen {
        Seen {
            bytes: 0,
            zeros: true,
            blank: true,
            text: true,
            blank_behind_mark: true,
        }
    }
}

impl Seen {
    fn add(&mut self, bytes: &[u8]) {
        let before = (MARK_BYTES as u64).saturating_sub(self.bytes) as usize;
        self.bytes += bytes.len() as u64;
        self.zeros &= bytes.iter().all(|byte| *byte == 0);
        self.blank &= bytes.iter().all(u8::is_ascii_whitespace);
        self.text &= bytes
            .iter()
            .all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
        let behind = bytes.get(before..).unwrap_or_default();
        self.blank_behind_mark &= behind.iter().all(u8::is_ascii_whitespace);
    }

    fn looks(&self, first: &[u8]) -> Looks {
        let mark = first.get(..MARK_BYTES);
        let is_mark = mark.is_some_and(|mark| mark.iter().all(u8::is_ascii_hexdigit));
        match FileKind::of(first) {
            FileKind::Log => Looks::Commands,
            FileKind::Snapshot => Looks::Snapshot,
            _ if self.zeros => Looks::Zeros,
            _ if self.blank => Looks::Blank,
            _ if is_mark && self.blank_behind_mark => Looks::Mark,
            _ if self.text => Looks::Text,
            _ => Looks::Bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(bytes: &[u8]) -> Option<(u64, Looks)> {
        let behind = Behind::look(bytes, 7).unwrap()?;
        assert_eq!(behind.at, 7);
        Some((behind.bytes, behind.looks))
    }

    #[test]
    fn bytes_are_counted_and_told_apart() {
        let mark = b"0123456789abcdef0123456789abcdef01234567";
        let long_zeros = vec![0; 3 * CHUNK];
        let mut not_quite = long_zeros.clone();
        not_quite.push(1);
        for (bytes, expected) in [
            (&b""[..], None),
            (b"\n", Some((1, Looks::Blank))),
            (b"*1\r\n$4\r\nPING\r\n", Some((14, Looks::Commands))),
            (b"REDIS0011\xff", Some((10, Looks::Snapshot))),
            (mark, Some((40, Looks::Mark))),
            (&[mark, &b"\n\n"[..]].concat(), Some((42, Looks::Mark))),
            (&[mark, &b"x"[..]].concat(), Some((41, Looks::Text))),
            (&mark[1..], Some((39, Looks::Text))),
            (&long_zeros, Some((3 * CHUNK as u64, Looks::Zeros))),
            (&not_quite, Some((3 * CHUNK as u64 + 1, Looks::Bytes))),
        ] {
            assert_eq!(looks(bytes), expected);
        }
    }
}
