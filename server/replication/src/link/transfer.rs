//! A snapshot as it comes: of a size that is told first, or up to a marker.

use std::io::{self, Write};

/// Bytes of a marker.
const MARKER: usize = 40;

/// How much is still to come.
#[derive(Debug)]
enum Form {
    /// So many bytes.
    Sized(u64),
    /// Until these come. What could be a part of them is held back.
    Marked { marker: [u8; MARKER], held: Vec<u8> },
}

/// A snapshot under way.
#[derive(Debug)]
pub(super) struct Transfer {
    form: Form,
    got: u64,
}

impl Transfer {
    /// As the line behind `$` says.
    pub(super) fn of(line: &[u8]) -> Option<Transfer> {
        let form = match line.strip_prefix(b"EOF:") {
            Some(marker) => Form::Marked {
                marker: marker.try_into().ok()?,
                held: Vec::with_capacity(MARKER),
            },
            None => Form::Sized(std::str::from_utf8(line).ok()?.parse().ok()?),
        };
        Some(Transfer { form, got: 0 })
    }

    /// All its bytes, if that is known.
    pub(super) fn size(&self) -> Option<u64> {
        match &self.form {
            Form::Sized(left) => Some(left + self.got),
            Form::Marked { .. } => None,
        }
    }

    /// Bytes that have come.
    pub(super) fn got(&self) -> u64 {
        self.got
    }

    /// Writes what belongs to it. Answers how many bytes were taken, and whether it is complete.
    pub(super) fn take(&mut self, bytes: &[u8], file: &mut dyn Write) -> io::Result<(usize, bool)> {
        match &mut self.form {
            Form::Sized(left) => {
                let count = bytes
                    .len()
                    .min(usize::try_from(*left).unwrap_or(usize::MAX));
                file.write_all(&bytes[..count])?;
                *left -= count as u64;
                self.got += count as u64;
                Ok((count, *left == 0))
            }
            Form::Marked { marker, held } => {
                // Behind the marker nothing comes until we say so: it is the end of what has come.
                let before = held.len() as u64;
                held.extend_from_slice(&bytes[..bytes.len().min(MARKER)]);
                if bytes.len() >= MARKER {
                    held.truncate(before as usize);
                    file.write_all(held)?;
                    let (now, tail) = bytes.split_at(bytes.len() - MARKER);
                    file.write_all(now)?;
                    held.clear();
                    held.extend_from_slice(tail);
                } else if held.len() > MARKER {
                    let surplus = held.len() - MARKER;
                    file.write_all(&held[..surplus])?;
                    held.drain(..surplus);
                }
                self.got += bytes.len() as u64;
                Ok((bytes.len(), held[..] == marker[..]))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_sizes_and_markers_are_understood() {
        for bad in ["", "-1", "EOF:", "EOF:123", "12x", "99999999999999999999"] {
            assert!(Transfer::of(bad.as_bytes()).is_none(), "{bad}");
        }
        assert_eq!(Transfer::of(b"17").unwrap().size(), Some(17));
        let marked = Transfer::of(format!("EOF:{}", "a".repeat(40)).as_bytes());
        assert_eq!(marked.unwrap().size(), None);
    }

    proptest! {
        #[test]
        fn it_is_the_same_however_it_is_cut(
            data in prop::collection::vec(any::<u8>(), 0..300),
            cuts in prop::collection::vec(1usize..90, 1..40),
        ) {
            let marker = [b'm'; MARKER];
            let line = [&b"EOF:"[..], &marker].concat();
            let size = data.len().to_string();
            for (line, sent) in [
                (&line[..], [&data[..], &marker].concat()),
                (size.as_bytes(), data.clone()),
            ] {
                let mut transfer = Transfer::of(line).unwrap();
                let (mut file, mut at, mut complete) = (Vec::new(), 0, sent.is_empty());
                for cut in cuts.iter().cycle() {
                    if complete {
                        break;
                    }
                    let end = sent.len().min(at + cut);
                    let (taken, ended) = transfer.take(&sent[at..end], &mut file).unwrap();
                    prop_assert!(taken > 0);
                    at += taken;
                    complete = ended;
                }
                prop_assert_eq!(&file, &data);
                prop_assert_eq!(at, sent.len());
            }
        }
    }
}
