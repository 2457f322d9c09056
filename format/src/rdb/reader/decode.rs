//! From the extent of a record to its event.

use super::super::dialect::{Dialect, Family};
use super::super::event::{Event, Head, Located, ModuleAux, Record, SlotImport};
use super::super::length::read_len;
use super::super::object::{self, Module};
use super::super::opcode::{self, TypeInfo};
use super::super::raw::Source;
use super::super::string::{Stored, Text, read_string};
use super::super::template::Templates;
use super::keys::KeyIndex;
use super::{Check, Kind, Options, Shape};
use crate::cursor::Cursor;
use crate::error::{Damage, FormatError, Result};

/// What decoding needs of the reader, besides its buffers.
pub(super) struct Context<'c> {
    pub options: &'c Options,
    pub dialect: Dialect,
    pub db: &'c mut u64,
    pub checker: &'c mut object::Checker,
    pub templates: &'c Templates,
}

/// Decodes the record at the source's window.
pub(super) fn event<'s, S: Source>(
    context: &mut Context<'_>,
    source: &'s S,
    shape: &Shape,
    key_buffer: &'s mut Vec<u8>,
    value_buffer: &'s mut Vec<u8>,
    keys: &mut KeyIndex,
) -> Result<Located<'s>> {
    let offset = source.offset();
    let bytes = &source.window()[..shape.len];
    let end = offset + shape.len as u64;
    let event = match shape.kind {
        Kind::End(checksum) => {
            if let Some(twice) = context
                .options
                .duplicate_keys
                .then(|| keys.repeated(source, context.dialect))
                .flatten()
            {
                return Err(twice);
            }
            Event::End(checksum)
        }
        Kind::Opcode(byte) => {
            let body = offset + shape.body as u64;
            opcode_event(context, byte, Cursor::at_base(&bytes[shape.body..], body))
                .map_err(|error| error.in_db(*context.db))?
        }
        Kind::Value(info) => Event::Record(record(
            context,
            source,
            info,
            bytes,
            offset,
            shape,
            key_buffer,
            value_buffer,
            keys,
        )?),
    };
    Ok(Located { offset, end, event })
}

#[allow(clippy::too_many_arguments)] // the buffers are borrowed apart, so they cannot share a struct
fn record<'s, S: Source>(
    context: &mut Context<'_>,
    source: &'s S,
    info: &'static TypeInfo,
    bytes: &'s [u8],
    offset: u64,
    shape: &Shape,
    key_buffer: &'s mut Vec<u8>,
    value_buffer: &'s mut Vec<u8>,
    keys: &mut KeyIndex,
) -> Result<Record<'s>> {
    let parts = &shape.parts;
    let db = *context.db;
    let key_offset = offset + parts.key.start as u64;
    let stored = read_string(
        &mut Cursor::at_base(&bytes[parts.key.clone()], key_offset),
        "key",
    );
    let key: &'s [u8] = stored
        .and_then(|stored| stored.bytes_in(key_buffer))
        .map_err(|error| error.in_db(db))?;
    if context.options.duplicate_keys {
        keys.note(db, key, source.can_reread());
    }
    let value_offset = offset + parts.value.start as u64;
    let cursor = Cursor::at_base(&bytes[parts.value.clone()], value_offset);
    let located = |error: Box<FormatError>| error.inside(info.name).at_key(key).in_db(db);
    let mut value = match object::decode(info, cursor, context.templates, value_buffer) {
        Ok(value) => value,
        Err(error) => return Err(located(error)),
    };
    if let Err(error) = (context.checker).check(&mut value, value_offset, context.options.check) {
        return Err(located(error));
    }
    let head = Head {
        key,
        expire_ms: parts.expire_ms,
        idle_s: parts.idle_s,
        freq: parts.freq,
        meta: parts.meta.clone().map(|range| &bytes[range]),
    };
    let value_len = parts.value.len() as u64;
    Ok(Record {
        db,
        head,
        type_byte: info.byte,
        value,
        value_offset,
        value_len,
    })
}

fn opcode_event<'s>(
    context: &mut Context<'_>,
    byte: u8,
    mut cursor: Cursor<'s>,
) -> Result<Event<'s>> {
    let cursor = &mut cursor;
    let offset = cursor.offset();
    Ok(match byte {
        opcode::TEMPLATE if context.dialect.has_templates() => Event::Template,
        opcode::COMMAND if context.dialect.has_commands() => Event::Command(cursor.rest()),
        opcode::SELECTDB => {
            let db = read_len(cursor, "database")?;
            if let Some(limit) = context.options.databases.filter(|limit| db >= *limit) {
                let what = format!(
                    "database {db}, and a server has {limit} (0 to {}) by default",
                    limit - 1
                );
                return Err(FormatError::new(Damage::Opcode, offset, what));
            }
            *context.db = db;
            Event::SelectDb(db)
        }
        opcode::RESIZEDB => Event::Resize {
            keys: read_len(cursor, "keys")?,
            expires: read_len(cursor, "keys")?,
        },
        opcode::AUX => Event::Aux {
            name: text(cursor, "aux name")?,
            value: text(cursor, "aux value")?,
        },
        opcode::FUNCTION => Event::Function(function(context, cursor)?),
        opcode::SLOT_INFO => Event::SlotInfo {
            slot: read_len(cursor, "slot")?,
            keys: read_len(cursor, "keys")?,
            expires: read_len(cursor, "keys")?,
        },
        opcode::MODULE_AUX => Event::ModuleAux(module_aux(context, cursor)?),
        opcode::SLOT_IMPORT if context.dialect.family() == Family::Valkey => {
            let job = text(cursor, "slot import job")?;
            let mut ranges = Vec::new();
            for _ in 0..read_len(cursor, "ranges")? {
                ranges.push((
                    read_len(cursor, "first slot")?,
                    read_len(cursor, "last slot")?,
                ));
            }
            Event::SlotImport(SlotImport { job, ranges })
        }
        _ => {
            return Err(FormatError::new(
                Damage::Opcode,
                offset,
                opcode::opcode_refusal(context.dialect, byte),
            ));
        }
    })
}

fn text<'s>(cursor: &mut Cursor<'s>, what: &str) -> Result<Text<'s>> {
    read_string(cursor, what).and_then(Stored::text)
}

fn module_aux<'s>(context: &Context<'_>, cursor: &mut Cursor<'s>) -> Result<ModuleAux<'s>> {
    let offset = cursor.offset();
    let id = read_len(cursor, "module id")?;
    if !context.options.modules {
        let what = format!(
            "aux data of module type {}, and its module is not loaded",
            object::module_name(id)
        );
        return Err(FormatError::new(Damage::Encoding, offset, what));
    }
    let tag = read_len(cursor, "module opcode")?;
    let when = read_len(cursor, "module aux place")?;
    if tag != 2 || !(1..=2).contains(&when) {
        return Err(FormatError::new(
            Damage::Encoding,
            offset,
            format!("module aux: opcode {tag}, place {when}"),
        ));
    }
    Ok(ModuleAux {
        when,
        module: Module {
            id,
            values: cursor.rest(),
            offset: cursor.offset(),
        },
    })
}

/// A function library; its first line must name engine and library, or no server can load it.
fn function<'s>(context: &Context<'_>, cursor: &mut Cursor<'s>) -> Result<Text<'s>> {
    let offset = cursor.offset();
    let code = text(cursor, "function library")?;
    if context.options.check == Check::Strict && library_name(&code.to_vec()).is_none() {
        return Err(FormatError::new(
            Damage::Encoding,
            offset,
            "function library without its line `#!engine name=library`",
        ));
    }
    Ok(code)
}

/// Engine and name in a library's first line, `#!lua name=mylib`.
pub fn library_name(code: &[u8]) -> Option<(String, String)> {
    let line = code
        .split(|byte| *byte == b'\n')
        .next()?
        .strip_prefix(b"#!")?;
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_whitespace();
    let engine = words.next()?.to_string();
    let name = words.find_map(|word| {
        word.get(..5)
            .filter(|head| head.eq_ignore_ascii_case("name="))
            .map(|_| word[5..].to_string())
    })?;
    (!name.is_empty()).then_some((engine, name))
}
