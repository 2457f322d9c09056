//! From a type byte and a span of bytes to a value in its encoding.

use super::super::length::read_len;
use super::super::opcode::{Layout, TypeInfo};
use super::super::string::{Stored, read_string};
use super::super::template::Templates;
use super::hash::{TtlForm, TtlHash};
use super::node::Nodes;
use super::template;
use super::texts::Texts;
use super::{Array, Blob, Hash, List, Module, Object, Scores, Set, Stream, Zset};
use crate::cursor::Cursor;
use crate::error::{Damage, Result};

/// Decodes the value that `cursor` stands at; `scratch` holds it if it was compressed as a whole.
///
/// # Errors
/// Malformed lengths and strings; packed blocks are not looked into.
pub(crate) fn decode<'a>(
    info: &TypeInfo,
    mut cursor: Cursor<'a>,
    templates: &Templates,
    scratch: &'a mut Vec<u8>,
) -> Result<Object<'a>> {
    let cursor = &mut cursor;
    match info.layout {
        Layout::String if info.byte == 0 => string(cursor, scratch),
        Layout::String => blob(cursor, scratch).map(|blob| packed(info.byte, blob)),
        Layout::Strings(each) => {
            let count = read_len(cursor, "count")?.saturating_mul(u64::from(each));
            let texts = Texts::new(cursor.clone(), count);
            Ok(match info.byte {
                2 => Object::Set(Set::Plain(texts)),
                4 => Object::Hash(Hash::Plain(texts)),
                14 => Object::List(List::Quicklist(Nodes::new(texts, false))),
                _ => Object::List(List::Plain(texts)),
            })
        }
        Layout::Nodes => {
            let count = read_len(cursor, "number of nodes")?;
            Ok(Object::List(List::Quicklist(Nodes::new(
                Texts::new(cursor.clone(), count),
                true,
            ))))
        }
        Layout::TextScores | Layout::BinaryScores => {
            let count = read_len(cursor, "count")?;
            Ok(Object::Zset(Zset::Plain(Scores::full(
                cursor.clone(),
                count,
                info.layout == Layout::BinaryScores,
            ))))
        }
        Layout::Expiring { base } => {
            let form = if base {
                TtlForm::Relative {
                    lowest: cursor.i64le("lowest expiry")?,
                }
            } else {
                TtlForm::Absolute
            };
            expiring(cursor, form)
        }
        Layout::ValkeyExpiring => expiring(cursor, TtlForm::Valkey),
        Layout::ExpiringPack { base } => {
            if base {
                cursor.i64le("lowest expiry")?;
            }
            Ok(Object::Hash(Hash::ExpiringListpack(blob(cursor, scratch)?)))
        }
        Layout::Stream(form) => {
            Stream::read(cursor, form).map(|stream| Object::Stream(Box::new(stream)))
        }
        Layout::Module => {
            let id = read_len(cursor, "module id")?;
            Ok(Object::Module(Module {
                id,
                values: cursor.rest(),
                offset: cursor.offset(),
            }))
        }
        Layout::Array => array(cursor),
        Layout::Template {
            by_reference,
            packed,
        } => template::decode(cursor, by_reference, packed, templates, scratch),
    }
}

fn string<'a>(cursor: &mut Cursor<'a>, scratch: &'a mut Vec<u8>) -> Result<Object<'a>> {
    let stored = read_string(cursor, "string")?;
    Ok(Object::String(match stored {
        Stored::Lzf { .. } => super::Text::Bytes(stored.bytes_in(scratch)?),
        _ => stored.text()?,
    }))
}

fn blob<'a>(cursor: &mut Cursor<'a>, scratch: &'a mut Vec<u8>) -> Result<Blob<'a>> {
    let at = cursor.offset();
    let stored = read_string(cursor, "packed value")?;
    Blob::read(stored, at, cursor.offset(), scratch)
}

fn packed(byte: u8, blob: Blob<'_>) -> Object<'_> {
    match byte {
        9 => Object::Hash(Hash::Zipmap(blob)),
        10 => Object::List(List::Ziplist(blob)),
        11 => Object::Set(Set::Intset(blob)),
        12 => Object::Zset(Zset::Ziplist(blob)),
        13 => Object::Hash(Hash::Ziplist(blob)),
        16 => Object::Hash(Hash::Listpack(blob)),
        17 => Object::Zset(Zset::Listpack(blob)),
        _ => Object::Set(Set::Listpack(blob)),
    }
}

fn expiring<'a>(cursor: &mut Cursor<'a>, form: TtlForm) -> Result<Object<'a>> {
    let count = read_len(cursor, "count")?;
    Ok(Object::Hash(Hash::Expiring(TtlHash::new(
        cursor.clone(),
        count,
        form,
    ))))
}

fn array<'a>(cursor: &mut Cursor<'a>) -> Result<Object<'a>> {
    let count = read_len(cursor, "count")?;
    let insert_index = match read_len(cursor, "array flag")? {
        0 => None,
        1 => Some(read_len(cursor, "array insert index")?),
        other => return Err(cursor.error(Damage::Encoding, format!("array flag {other}"))),
    };
    Ok(Object::Array(Array {
        count,
        insert_index,
        cursor: cursor.clone(),
    }))
}
