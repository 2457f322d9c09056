//! Hashes: full, as zipmap, ziplist or listpack, and four forms with an expiry per field.
//!
//! ```text
//!   type 24   lowest int64 | count | t len, field, value | ...     t 0: none, else expiry = lowest + t - 1
//!   type 22   count | t len, field, value | ...                    Redis, release candidates: t absolute
//!   type 22   count | field, value, expiry int64 | ...             Valkey: -1 none
//!   type 25   lowest int64 | listpack of field, value, expiry      0: none
//!   type 23   listpack of field, value, expiry                     Redis, release candidates
//! ```
//!
//! Times are Unix milliseconds, at most 2^48. Valkey takes later ones; they are read as that, the year 10889.

use super::super::length::read_len;
use super::super::string::{Stored, Text, read_string};
use super::blob::Blob;
use super::packed::Elements;
use super::texts::Texts;
use crate::cursor::Cursor;
use crate::error::{Damage, FormatError, Result};

/// Times beyond this cannot be held by Redis's field expiry, in Unix milliseconds.
const EXPIRE_MS_MAX: u64 = 1 << 48;

/// A hash in its encoding.
#[derive(Clone, Debug)]
pub enum Hash<'a> {
    /// Type 4: field, value, one by one.
    Plain(Texts<'a>),
    /// Type 9.
    Zipmap(Blob<'a>),
    /// Type 13.
    Ziplist(Blob<'a>),
    /// Type 16.
    Listpack(Blob<'a>),
    /// Redis 22 and 24, Valkey 22: fields with expiry, one by one.
    Expiring(TtlHash<'a>),
    /// Types 23 and 25: listpack of field, value, expiry.
    ExpiringListpack(Blob<'a>),
}

/// A field of a hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name.
    pub name: Text<'a>,
    /// Its value.
    pub value: Text<'a>,
    /// When it expires, Unix milliseconds.
    pub expire_ms: Option<i64>,
}

impl<'a> Hash<'a> {
    /// Names, values and expiries, in the order of the file.
    pub fn fields(&self) -> Fields<'a> {
        let (elements, step, at) = match self {
            Hash::Plain(texts) => (Elements::texts(texts.clone()), 2, texts.offset()),
            Hash::Zipmap(blob) => (Elements::zipmap(blob), 2, blob.offset()),
            Hash::Ziplist(blob) => (Elements::ziplist(blob), 2, blob.offset()),
            Hash::Listpack(blob) => (Elements::listpack(blob), 2, blob.offset()),
            Hash::ExpiringListpack(blob) => (Elements::listpack(blob), 3, blob.offset()),
            Hash::Expiring(hash) => return Fields(Form::Full(hash.clone())),
        };
        Fields(Form::Flat { elements, step, at })
    }

    /// Names and values only.
    pub fn pairs(&self) -> impl Iterator<Item = Result<(Text<'a>, Text<'a>)>> + use<'a> {
        self.fields()
            .map(|field| field.map(|field| (field.name, field.value)))
    }

    /// Whether the encoding has room for field expiries.
    pub fn may_expire(&self) -> bool {
        matches!(self, Hash::Expiring(_) | Hash::ExpiringListpack(_))
    }

    /// The number of fields.
    ///
    /// # Errors
    /// Damage inside the packed block.
    pub fn count(&self) -> Result<u64> {
        match self {
            Hash::Plain(texts) => Ok(texts.left() / 2),
            Hash::Zipmap(blob) => Ok(Elements::zipmap(blob).count()? / 2),
            Hash::Ziplist(blob) => Ok(Elements::ziplist(blob).count()? / 2),
            Hash::Listpack(blob) => Ok(Elements::listpack(blob).count()? / 2),
            Hash::ExpiringListpack(blob) => Ok(Elements::listpack(blob).count()? / 3),
            Hash::Expiring(hash) => Ok(hash.left),
        }
    }

    /// In the words of OBJECT ENCODING.
    pub fn encoding_name(&self) -> &'static str {
        match self {
            Hash::Plain(_) | Hash::Expiring(_) => "hashtable",
            Hash::Zipmap(_) => "zipmap",
            Hash::Ziplist(_) => "ziplist",
            Hash::Listpack(_) => "listpack",
            Hash::ExpiringListpack(_) => "listpackex",
        }
    }
}

/// How a full hash states the expiry of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TtlForm {
    /// Redis 24: before the field, counted from the lowest.
    Relative {
        /// The lowest expiry, Unix milliseconds.
        lowest: i64,
    },
    /// Redis 22: before the field, absolute.
    Absolute,
    /// Valkey 22: after the value, absolute, -1 for none.
    Valkey,
}

/// The fields of a full hash with expiry, undecoded.
#[derive(Clone, Debug)]
pub struct TtlHash<'a> {
    cursor: Cursor<'a>,
    left: u64,
    form: TtlForm,
}

impl<'a> TtlHash<'a> {
    pub(super) fn new(cursor: Cursor<'a>, left: u64, form: TtlForm) -> Self {
        TtlHash { cursor, left, form }
    }

    /// How expiries are stated.
    pub fn form(&self) -> TtlForm {
        self.form
    }

    fn read(&mut self) -> Result<Field<'a>> {
        let at = self.cursor.offset();
        let ahead = if self.form == TtlForm::Valkey {
            0
        } else {
            read_len(&mut self.cursor, "field expiry")?
        };
        let name = read_string(&mut self.cursor, "field").and_then(Stored::text)?;
        let value = read_string(&mut self.cursor, "value").and_then(Stored::text)?;
        let expire_ms = match self.form {
            TtlForm::Valkey => valkey_expiry(&mut self.cursor)?,
            TtlForm::Absolute => absolute(ahead, at)?,
            TtlForm::Relative { .. } if ahead == 0 => None,
            TtlForm::Relative { lowest } => {
                let sum = i128::from(lowest) + i128::from(ahead) - 1;
                absolute(u64::try_from(sum).unwrap_or(u64::MAX), at)?
            }
        };
        Ok(Field {
            name,
            value,
            expire_ms,
        })
    }
}

fn valkey_expiry(cursor: &mut Cursor<'_>) -> Result<Option<i64>> {
    let at = cursor.offset();
    match cursor.i64le("field expiry")? {
        -1 => Ok(None),
        time if time < 0 => Err(FormatError::new(
            Damage::Encoding,
            at,
            format!("field expiry {time} is negative"),
        )),
        // No other form can hold more: a value that was read must be one that can be written.
        time => Ok(Some(time.min(EXPIRE_MS_MAX as i64))),
    }
}

fn absolute(time: u64, at: u64) -> Result<Option<i64>> {
    if time > EXPIRE_MS_MAX {
        return Err(FormatError::new(
            Damage::Encoding,
            at,
            "field expiry lies beyond 2^48 ms",
        ));
    }
    Ok((time != 0).then_some(time as i64))
}

/// Fields of a hash, an iterator.
#[derive(Clone, Debug)]
pub struct Fields<'a>(Form<'a>);

#[derive(Clone, Debug)]
enum Form<'a> {
    Flat {
        elements: Elements<'a>,
        step: u8,
        at: u64,
    },
    Full(TtlHash<'a>),
    Failed,
}

fn flat_field<'a>(
    name: Result<Text<'a>>,
    elements: &mut Elements<'a>,
    step: u8,
    at: u64,
) -> Result<Field<'a>> {
    let odd = || FormatError::new(Damage::Encoding, at, "the last field is incomplete");
    let name = name?;
    let value = elements.next().unwrap_or_else(|| Err(odd()))?;
    if step == 2 {
        return Ok(Field {
            name,
            value,
            expire_ms: None,
        });
    }
    let time = elements.next().unwrap_or_else(|| Err(odd()))?;
    let time = time.as_int().and_then(|time| u64::try_from(time).ok());
    let Some(time) = time else {
        return Err(FormatError::new(
            Damage::Encoding,
            at,
            "field expiry is no time",
        ));
    };
    Ok(Field {
        name,
        value,
        expire_ms: absolute(time, at)?,
    })
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let field = match &mut self.0 {
            Form::Failed => return None,
            Form::Flat { elements, step, at } => {
                let name = elements.next()?;
                flat_field(name, elements, *step, *at)
            }
            Form::Full(hash) => {
                hash.left = hash.left.checked_sub(1)?;
                hash.read()
            }
        };
        if field.is_err() {
            self.0 = Form::Failed;
        }
        Some(field)
    }
}
