//! The manifest of a multi-part log (Redis 7.0 and later), and the names of its parts.
//!
//! ```text
//!   file appendonly.aof.2.base.rdb seq 2 type b
//!   file appendonly.aof.1.incr.aof seq 1 type h
//!   file appendonly.aof.3.incr.aof seq 3 type i startoffset 35
//! ```
//!
//! Each line is pairs of name and value, quoted as in the configuration where needed. Type `b` is the
//! base (at most one), `i` an incremental part (rising numbers), `h` history that waits for deletion.
//! A line that begins with `#` is a comment. Pairs with unknown names are kept and mean nothing here.
//! Rules and messages are those of Redis 7.2 (`aof.c`), also where it is lax: names and letters after
//! the first of a type are not case-sensitive or not looked at, numbers end at the first non-digit.

use crate::error::{Damage, FormatError, Result};
use crate::text::words::{quote, split_words};

/// Longest line in bytes, its end included.
pub const LINE_MAX: usize = 1024;

/// What part of the log a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PartType {
    /// The data set as it was when the log was last rewritten.
    Base,
    /// Changes since then.
    Incr,
    /// Not needed any more.
    History,
}

impl PartType {
    /// The letter of the manifest.
    pub fn letter(self) -> char {
        match self {
            PartType::Base => 'b',
            PartType::Incr => 'i',
            PartType::History => 'h',
        }
    }
}

/// One file of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// File name without folder.
    pub name: Vec<u8>,
    /// Number; base and incremental files count apart.
    pub seq: i64,
    /// What it is.
    pub part_type: PartType,
    /// Pairs of newer writers, for instance `startoffset` of Redis 8.
    pub extra: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Part {
    /// A part without further pairs.
    pub fn new(name: impl Into<Vec<u8>>, seq: i64, part_type: PartType) -> Self {
        Part {
            name: name.into(),
            seq,
            part_type,
            extra: Vec::new(),
        }
    }

    fn write_line(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"file ");
        write_word(out, &self.name);
        out.extend_from_slice(
            format!(" seq {} type {}", self.seq, self.part_type.letter()).as_bytes(),
        );
        for (name, value) in &self.extra {
            for word in [name, value] {
                out.push(b' ');
                write_word(out, word);
            }
        }
        out.push(b'\n');
    }
}

/// All files of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The base, if there is one.
    pub base: Option<Part>,
    /// Incremental parts by rising number.
    pub incr: Vec<Part>,
    /// Files that are no longer needed, in the order listed.
    pub history: Vec<Part>,
}

impl Manifest {
    /// Read the text of a manifest.
    ///
    /// The error has the offset of the line; its text is the line's number, the line, and the words
    /// of Redis for what is wrong.
    pub fn parse(text: &[u8]) -> Result<Manifest> {
        if text.is_empty() {
            return Err(FormatError::new(Damage::Manifest, 0, EMPTY));
        }
        let mut manifest = Manifest::default();
        let mut at = 0;
        let mut number = 0;
        while at < text.len() {
            let piece = line_piece(&text[at..]);
            number += 1;
            if piece[0] != b'#' {
                let add = trimmed(piece).and_then(|line| manifest.add_line(line));
                add.map_err(|what| error_at(at, number, piece, what))?;
            }
            at += piece.len();
        }
        debug_assert!(manifest.is_ordered(), "as the next line was let in");
        Ok(manifest)
    }

    /// Whether the parts are where they belong, and the increments rise: what the order of loading relies on.
    fn is_ordered(&self) -> bool {
        let all_are = |parts: &[Part], kind| parts.iter().all(|part| part.part_type == kind);
        self.base
            .as_ref()
            .is_none_or(|base| base.part_type == PartType::Base)
            && all_are(&self.incr, PartType::Incr)
            && all_are(&self.history, PartType::History)
            && self.incr.is_sorted_by(|a, b| a.seq < b.seq)
    }

    /// [`Manifest::parse`], and besides refuse what servers load but never write: line ends with CR,
    /// the trace of an editor.
    pub fn parse_strict(text: &[u8]) -> Result<Manifest> {
        let manifest = Manifest::parse(text)?;
        let mut at = 0;
        for (index, line) in text.split_inclusive(|b| *b == b'\n').enumerate() {
            if line.ends_with(b"\r\n") {
                return Err(error_at(at, index + 1, line, CR_LF));
            }
            at += line.len();
        }
        Ok(manifest)
    }

    fn add_line(&mut self, line: &[u8]) -> std::result::Result<(), &'static str> {
        let (part, letter) = parse_line(line)?;
        match letter {
            b'b' if self.base.is_some() => return Err(TWO_BASES),
            b'b' => self.base = Some(part),
            b'h' => self.history.push(Part {
                part_type: PartType::History,
                ..part
            }),
            b'i' if part.seq <= self.last_incr_seq() => return Err(NOT_RISING),
            b'i' => self.incr.push(Part {
                part_type: PartType::Incr,
                ..part
            }),
            _ => return Err(UNKNOWN_TYPE),
        }
        Ok(())
    }

    /// The text of the manifest, in the order in which Redis writes it: base, history, increments.
    pub fn to_text(&self) -> Vec<u8> {
        assert!(
            self.is_ordered(),
            "a start would refuse the manifest, or load its parts in another order"
        );
        let mut out = Vec::new();
        let parts = self.base.iter().chain(&self.history).chain(&self.incr);
        parts.for_each(|part| part.write_line(&mut out));
        out
    }

    /// The files to load, in order.
    pub fn to_load(&self) -> impl Iterator<Item = &Part> {
        self.base.iter().chain(&self.incr)
    }

    /// Number of the base, or 0.
    pub fn base_seq(&self) -> i64 {
        self.base.as_ref().map_or(0, |part| part.seq)
    }

    /// Highest number of an incremental part, or 0.
    pub fn last_incr_seq(&self) -> i64 {
        self.incr.last().map_or(0, |part| part.seq)
    }

    /// True when nothing is listed, not even history.
    pub fn is_empty(&self) -> bool {
        self.base.is_none() && self.incr.is_empty() && self.history.is_empty()
    }
}

const EMPTY: &str = "Found an empty AOF manifest";
const INVALID: &str = "Invalid AOF manifest file format";
const TOO_LONG: &str = "The AOF manifest file contains too long line";
const IS_PATH: &str = "File can't be a path, just a filename";
const TWO_BASES: &str = "Found duplicate base file information";
const NOT_RISING: &str = "Found a non-monotonic sequence number";
const CR_LF: &str = "the line ends with CRLF, LF was expected";
const UNKNOWN_TYPE: &str = "Unknown AOF file type";

fn error_at(at: usize, number: usize, piece: &[u8], what: &'static str) -> Box<FormatError> {
    let line = piece.trim_ascii();
    let shown = quote(&line[..line.len().min(80)]);
    FormatError::new(
        Damage::Manifest,
        at as u64,
        format!("line {number}, {shown}: {what}"),
    )
}

/// The next line with its end, or as much of it as a line may have.
fn line_piece(text: &[u8]) -> &[u8] {
    debug_assert!(!text.is_empty(), "there is a next line");
    let most = &text[..text.len().min(LINE_MAX)];
    match most.iter().position(|b| *b == b'\n') {
        Some(lf) => &most[..lf + 1],
        None => most,
    }
}

/// A line must have its end within the limit (a zero byte hides it) and hold something.
fn trimmed(piece: &[u8]) -> std::result::Result<&[u8], &'static str> {
    debug_assert!(piece.len() <= LINE_MAX, "as much as a line may have");
    if piece.last() != Some(&b'\n') || piece.contains(&0) {
        return Err(TOO_LONG);
    }
    let blank = |b: &u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n');
    let start = piece.iter().position(|b| !blank(b)).ok_or(INVALID)?;
    let end = piece.iter().rposition(|b| !blank(b)).ok_or(INVALID)?;
    Ok(&piece[start..=end])
}

/// The part that a line describes, and the letter of its type, which may be unknown.
fn parse_line(line: &[u8]) -> std::result::Result<(Part, u8), &'static str> {
    let words = split_words(line).map_err(|_| INVALID)?;
    if words.len() < 6 || words.len() % 2 == 1 {
        return Err(INVALID);
    }
    let (mut name, mut letter) = (None, 0);
    let mut part = Part::new(Vec::new(), 0, PartType::Base);
    for pair in words.chunks_exact(2) {
        let (key, value) = (&pair[0], &pair[1]);
        if key.eq_ignore_ascii_case(b"file") {
            if value.iter().any(|b| matches!(b, b'/' | b'\\')) {
                return Err(IS_PATH);
            }
            name = Some(value.clone());
        } else if key.eq_ignore_ascii_case(b"seq") {
            part.seq = leading_number(value);
        } else if key.eq_ignore_ascii_case(b"type") {
            letter = value.first().copied().unwrap_or(0);
        } else {
            part.extra.push((key.clone(), value.clone()));
        }
    }
    part.name = name.ok_or(INVALID)?;
    if part.seq == 0 || letter == 0 {
        return Err(INVALID);
    }
    Ok((part, letter))
}

/// What C's `atoll` makes of a word: the number at its start, 0 if there is none.
fn leading_number(word: &[u8]) -> i64 {
    let word = word.trim_ascii_start();
    let (negative, digits) = match word {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let number = digits
        .iter()
        .take_while(|b| b.is_ascii_digit())
        .fold(0i64, |number, digit| {
            number
                .saturating_mul(10)
                .saturating_add(i64::from(digit - b'0'))
        });
    if negative { -number } else { number }
}

/// A word, quoted if it would otherwise be read as something else.
fn write_word(out: &mut Vec<u8>, word: &[u8]) {
    let plain = |b: &u8| b.is_ascii_graphic() && !matches!(b, b'\\' | b'"' | b'\'');
    match !word.is_empty() && word.iter().all(plain) && word[0] != b'#' {
        true => out.extend_from_slice(word),
        false => out.extend_from_slice(quote(word).as_bytes()),
    }
}

/// Name of the manifest of the log called `prefix` (`appendfilename`).
pub fn manifest_name(prefix: &str) -> String {
    format!("{prefix}.manifest")
}

/// Name under which a new manifest is written before it replaces the old one.
pub fn manifest_temp_name(prefix: &str) -> String {
    format!("temp-{prefix}.manifest")
}

/// Name of base number `seq`; `rdb` tells whether it is a snapshot or commands.
pub fn base_name(prefix: &str, seq: i64, rdb: bool) -> String {
    debug_assert!(seq > 0, "a manifest refuses 0");
    format!("{prefix}.{seq}.base.{}", if rdb { "rdb" } else { "aof" })
}

/// Name of incremental part number `seq`.
pub fn incr_name(prefix: &str, seq: i64) -> String {
    debug_assert!(seq > 0, "a manifest refuses 0");
    format!("{prefix}.{seq}.incr.aof")
}

/// What the name of a part says of itself: the log it belongs to, its number in digits, its type. None for other names.
pub fn split_part_name(name: &str) -> Option<(&str, &str, PartType)> {
    let endings = [
        (".base.rdb", PartType::Base),
        (".base.aof", PartType::Base),
        (".incr.aof", PartType::Incr),
    ];
    let (stem, part_type) = endings
        .into_iter()
        .find_map(|(ending, kind)| Some((name.strip_suffix(ending)?, kind)))?;
    let (prefix, seq) = stem.rsplit_once('.')?;
    let is_number = !seq.is_empty() && seq.bytes().all(|b| b.is_ascii_digit());
    is_number.then_some((prefix, seq, part_type))
}

/// Whether servers give parts of the log called `prefix` such a name: that of a base, of an increment, or the bare
/// prefix, which a log of the time before 7.0 keeps when it is moved in.
pub fn is_part_name(prefix: &str, name: &str) -> bool {
    name == prefix || split_part_name(name).is_some_and(|(own, ..)| own == prefix)
}
