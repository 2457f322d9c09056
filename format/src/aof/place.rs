//! Where in a stream of replication a log is: annotations, which servers and tools that do not know them pass over.
//!
//! ```text
//!   #REPL:begins <id> <offset> <db> <at>   here the stream of this id is at this offset; from here on the log holds it, byte for
//!                                          byte, but for annotations
//!   #REPL:goes-on <id> <offset> <db> <at>  so it does still, perhaps under another id
//!   #REPL:at <id> <offset> <db> <at>       here the stream is at this offset; the commands are those of this server alone
//!   #REPL:ends - 0 0 <at>                  from here on nothing is known of it
//!   #STREAM:<text>                         bytes of the stream that are no changes: a ping, a message
//!   #STREAM+<count>                        so many of them, which are not kept
//! ```
//! `offset` is that of the last byte of the stream so far; `db` is the database that it is at; `at` is where the line stands in
//! its file, so that a file that somebody changed gives itself away.

use crate::text::number::{parse_i64, write_i64};

/// Bytes of an id.
pub const ID: usize = 40;
/// Bytes of text of one line, far enough from the 1024 that Redis allows for a line.
const TEXT_MAX: usize = 960;

const MARK: &[u8] = b"#REPL:";
const BYTES: &[u8] = b"#STREAM:";
const GAP: &[u8] = b"#STREAM+";

/// What holds from a mark on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// The log is the stream from here on, and was not before.
    Begins,
    /// The log is the stream, before and behind.
    GoesOn,
    /// The stream's place alone.
    At,
    /// Nothing.
    Ends,
}

impl Holds {
    const WORDS: [(Holds, &'static str); 4] = [
        (Holds::Begins, "begins"),
        (Holds::GoesOn, "goes-on"),
        (Holds::At, "at"),
        (Holds::Ends, "ends"),
    ];
}

/// A place in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What holds from here on.
    pub holds: Holds,
    /// The stream's name; none if it ends.
    pub id: Option<[u8; ID]>,
    /// Offset of its last byte so far.
    pub offset: u64,
    /// The database that it is at.
    pub db: u64,
    /// Where the line stands in its file.
    pub at: u64,
}

/// What an annotation says of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A place.
    Mark(Mark),
    /// Bytes of the stream that are no changes.
    Bytes(Vec<u8>),
    /// So many such bytes, which are not kept.
    Gap(u64),
}

impl Note {
    /// Reads an annotation, given without its line end; none if it says something else, or it in another way.
    pub fn parse(text: &[u8]) -> Option<Note> {
        if let Some(rest) = text.strip_prefix(MARK) {
            return parse_mark(rest).map(Note::Mark);
        }
        if let Some(rest) = text.strip_prefix(BYTES) {
            return unescape(rest).map(Note::Bytes);
        }
        number(text.strip_prefix(GAP)?).map(Note::Gap)
    }
}

fn number(text: &[u8]) -> Option<u64> {
    u64::try_from(parse_i64(text)?).ok()
}

fn parse_mark(rest: &[u8]) -> Option<Mark> {
    let words: Vec<&[u8]> = rest.split(|byte| *byte == b' ').collect();
    let [word, id, offset, db, at] = words[..] else {
        return None;
    };
    let found = Holds::WORDS
        .iter()
        .find(|(_, known)| known.as_bytes() == word);
    let holds = found?.0;
    let id: Option<[u8; ID]> = match holds {
        Holds::Ends => None,
        _ => Some(id.try_into().ok()?),
    };
    if id.is_some_and(|id| !id.iter().all(u8::is_ascii_alphanumeric)) {
        return None;
    }
    Some(Mark {
        holds,
        id,
        offset: number(offset)?,
        db: number(db)?,
        at: number(at)?,
    })
}

/// Appends a mark.
pub fn write_mark(out: &mut Vec<u8>, mark: &Mark) {
    let word = Holds::WORDS.iter().find(|(holds, _)| *holds == mark.holds);
    out.extend_from_slice(MARK);
    out.extend_from_slice(word.map_or("", |(_, word)| word).as_bytes());
    out.push(b' ');
    out.extend_from_slice(mark.id.as_ref().map_or(b"-", |id| &id[..]));
    for value in [mark.offset, mark.db, mark.at] {
        out.push(b' ');
        write_i64(out, i64::try_from(value).unwrap_or(i64::MAX));
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends bytes of the stream that are no changes, in as many lines as it takes.
pub fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut left = bytes;
    while !left.is_empty() {
        out.extend_from_slice(BYTES);
        let end = out.len() + TEXT_MAX;
        while let Some((first, rest)) = left.split_first().filter(|_| out.len() < end) {
            escape(out, *first);
            left = rest;
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends that so many bytes of the stream are not kept.
pub fn write_gap(out: &mut Vec<u8>, count: u64) {
    out.extend_from_slice(GAP);
    write_i64(out, i64::try_from(count).unwrap_or(i64::MAX));
    out.extend_from_slice(b"\r\n");
}

fn escape(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\\' => out.extend_from_slice(b"\\\\"),
        // A blank at the end of a line would be taken for a part of the line end.
        b'!'..=b'~' => out.push(byte),
        _ => out.extend_from_slice(&[
            b'\\',
            b'x',
            DIGITS[usize::from(byte >> 4)],
            DIGITS[usize::from(byte & 15)],
        ]),
    }
}

fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut bytes = Vec::with_capacity(text.len());
    let mut left = text;
    while let Some((first, rest)) = left.split_first() {
        let (byte, rest) = match (first, rest) {
            (b'\\', [b'r', rest @ ..]) => (b'\r', rest),
            (b'\\', [b'n', rest @ ..]) => (b'\n', rest),
            (b'\\', [b'\\', rest @ ..]) => (b'\\', rest),
            (b'\\', [b'x', high, low, rest @ ..]) => {
                ((digit(*high)? * 16 + digit(*low)?) as u8, rest)
            }
            (b'\\', _) => return None,
            (byte, rest) => (*byte, rest),
        };
        bytes.push(byte);
        left = rest;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::reader::SliceReader;
    use super::*;
    use proptest::prelude::*;

    fn notes(log: &[u8]) -> Vec<Note> {
        let mut reader = SliceReader::new(log, 0);
        let mut notes = Vec::new();
        while let Some(item) = reader
            .next_item()
            .expect("lines that any reader passes over")
        {
            assert!(item.raw.len() <= 1024);
            notes.push(Note::parse(item.annotation().expect("no command")).expect("ours"));
        }
        notes
    }

    #[test]
    fn the_lines_are_these() {
        let mark = Mark {
            holds: Holds::GoesOn,
            id: Some([b'a'; ID]),
            offset: 12,
            db: 3,
            at: 450,
        };
        let mut log = Vec::new();
        write_mark(&mut log, &mark);
        write_bytes(&mut log, b"*1\r\n$4\r\nping\r\n");
        write_gap(&mut log, 37);
        let expected = format!(
            "#REPL:goes-on {} 12 3 450\r\n#STREAM:*1\\r\\n$4\\r\\nping\\r\\n\r\n#STREAM+37\r\n",
            "a".repeat(ID)
        );
        assert_eq!(String::from_utf8(log).unwrap(), expected);
    }

    #[test]
    fn what_is_not_ours_is_none() {
        let id = "a".repeat(ID);
        for bad in [
            "#TS:1700000000".to_owned(),
            "#REPL:".to_owned(),
            "#REPL:never - 0 0 0".to_owned(),
            format!("#REPL:at {id} 1 0"),
            format!("#REPL:at {id} -1 0 0"),
            format!("#REPL:at {id} 1 0 0 0"),
            format!("#REPL:at {} 1 0 0", &id[1..]),
            format!("#REPL:at {}\u{1} 1 0 0", &id[1..]),
            "#STREAM:\\q".to_owned(),
            "#STREAM:\\x1".to_owned(),
            "#STREAM:\\xgg".to_owned(),
            "#STREAM+".to_owned(),
            "#STREAM+-1".to_owned(),
        ] {
            assert_eq!(Note::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn bytes_come_back(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
            let mut log = Vec::new();
            write_bytes(&mut log, &bytes);
            let back: Vec<u8> = notes(&log)
                .into_iter()
                .flat_map(|note| match note {
                    Note::Bytes(part) => part,
                    other => panic!("{other:?}"),
                })
                .collect();
            prop_assert_eq!(back, bytes);
        }

        #[test]
        fn marks_come_back(
            holds in prop::sample::select(&[Holds::Begins, Holds::GoesOn, Holds::At, Holds::Ends][..]),
            (offset, db, at) in (0..u64::MAX / 2, 0..16u64, 0..u64::MAX / 2),
        ) {
            let id = (holds != Holds::Ends).then_some([b'9'; ID]);
            let mark = Mark { holds, id, offset, db, at };
            let mut log = Vec::new();
            write_mark(&mut log, &mark);
            prop_assert_eq!(notes(&log), vec![Note::Mark(mark)]);
        }

        #[test]
        fn any_text_is_read_or_not(text in prop::collection::vec(any::<u8>(), 0..200)) {
            for prefix in [MARK, BYTES, GAP] {
                let _ = Note::parse(&[prefix, &text].concat());
            }
        }
    }
}
