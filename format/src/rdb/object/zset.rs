//! Sorted sets: full with text or binary scores, as ziplist, as listpack.
//!
//! ```text
//!   full, type 5     count | member, 8 bytes double LE | ...
//!   full, type 3     count | member, n, n bytes of text | ...     n 253 NaN, 254 +inf, 255 -inf
//!   packed           member, score, member, score ...             ascending
//! ```

use super::super::string::{Stored, Text, read_string};
use super::blob::Blob;
use super::packed::Elements;
use crate::cursor::Cursor;
use crate::error::{Damage, FormatError, Result};
use crate::text::double::parse_f64;

/// A sorted set in its encoding.
#[derive(Clone, Debug)]
pub enum Zset<'a> {
    /// Types 3 and 5: members and scores one by one, in any order.
    Plain(Scores<'a>),
    /// Type 12: a ziplist, ascending.
    Ziplist(Blob<'a>),
    /// Type 17: a listpack, ascending.
    Listpack(Blob<'a>),
}

impl<'a> Zset<'a> {
    /// Members and scores, in the order of the file.
    pub fn pairs(&self) -> Scores<'a> {
        match self {
            Zset::Plain(scores) => scores.clone(),
            Zset::Ziplist(blob) => Scores(Form::Packed {
                elements: Elements::ziplist(blob),
                at: blob.offset(),
            }),
            Zset::Listpack(blob) => Scores(Form::Packed {
                elements: Elements::listpack(blob),
                at: blob.offset(),
            }),
        }
    }

    /// The number of members.
    ///
    /// # Errors
    /// Damage inside the packed block.
    pub fn count(&self) -> Result<u64> {
        match self {
            Zset::Plain(Scores(Form::Full { left, .. })) => Ok(*left),
            Zset::Plain(_) => Ok(0),
            Zset::Ziplist(blob) => Ok(Elements::ziplist(blob).count()? / 2),
            Zset::Listpack(blob) => Ok(Elements::listpack(blob).count()? / 2),
        }
    }

    /// In the words of OBJECT ENCODING.
    pub fn encoding_name(&self) -> &'static str {
        match self {
            Zset::Plain(_) => "skiplist",
            Zset::Ziplist(_) => "ziplist",
            Zset::Listpack(_) => "listpack",
        }
    }
}

/// Members and scores, an iterator. A score is never NaN.
#[derive(Clone, Debug)]
pub struct Scores<'a>(Form<'a>);

#[derive(Clone, Debug)]
enum Form<'a> {
    Full {
        cursor: Cursor<'a>,
        left: u64,
        binary: bool,
    },
    Packed {
        elements: Elements<'a>,
        at: u64,
    },
    Failed,
}

impl<'a> Scores<'a> {
    pub(super) fn full(cursor: Cursor<'a>, left: u64, binary: bool) -> Self {
        Scores(Form::Full {
            cursor,
            left,
            binary,
        })
    }
}

fn full_pair<'a>(cursor: &mut Cursor<'a>, binary: bool) -> Result<(Text<'a>, f64)> {
    let member = read_string(cursor, "member").and_then(Stored::text)?;
    let at = cursor.offset();
    let score = if binary {
        cursor.f64le("score")?
    } else {
        text_score(cursor)?
    };
    if score.is_nan() {
        return Err(
            FormatError::new(Damage::Encoding, at, "score is not a number (NaN)")
                .called("not-a-number"),
        );
    }
    Ok((member, score))
}

fn text_score(cursor: &mut Cursor<'_>) -> Result<f64> {
    let at = cursor.offset();
    match cursor.u8("score")? {
        253 => Ok(f64::NAN),
        254 => Ok(f64::INFINITY),
        255 => Ok(f64::NEG_INFINITY),
        len => {
            let text = cursor.bytes(usize::from(len), "score")?;
            parse_f64(text).ok_or_else(|| bad_score(at, text))
        }
    }
}

#[cold]
fn bad_score(at: u64, text: &[u8]) -> Box<FormatError> {
    FormatError::new(
        Damage::Encoding,
        at,
        format!("score {} is no number", crate::text::words::quote(text)),
    )
}

pub(super) fn packed_score(score: &Text<'_>, at: u64) -> Result<f64> {
    match score {
        Text::Int(value) => Ok(*value as f64),
        Text::Bytes(bytes) => parse_f64(bytes).ok_or_else(|| bad_score(at, bytes)),
        Text::Owned(bytes) => parse_f64(bytes).ok_or_else(|| bad_score(at, bytes)),
    }
}

impl<'a> Iterator for Scores<'a> {
    type Item = Result<(Text<'a>, f64)>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let pair = match &mut self.0 {
            Form::Failed => return None,
            Form::Full { left: 0, .. } => return None,
            Form::Full {
                cursor,
                left,
                binary,
            } => {
                *left -= 1;
                full_pair(cursor, *binary)
            }
            Form::Packed { elements, at } => match (elements.next()?, elements.next()) {
                (Ok(member), Some(Ok(score))) => {
                    packed_score(&score, *at).map(|score| (member, score))
                }
                (Err(error), _) | (_, Some(Err(error))) => Err(error),
                (Ok(_), None) => Err(FormatError::new(
                    Damage::Encoding,
                    *at,
                    "the last member has no score",
                )),
            },
        };
        if pair.is_err() {
            self.0 = Form::Failed;
        }
        Some(pair)
    }
}
