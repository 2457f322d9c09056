//! Hashes on templates, in the full form of any hash.

use super::super::length::{read_len, write_len};
use super::super::string::{Stored, Text, read_string};
use super::super::template::Templates;
use super::texts::Texts;
use super::{Hash, Object};
use crate::cursor::Cursor;
use crate::encoding::listpack::Listpack;
use crate::error::{Damage, FormatError, Result};

/// Decodes one; `scratch` holds names and values, one by one.
pub(super) fn decode<'a>(
    cursor: &mut Cursor<'a>,
    by_reference: bool,
    packed: bool,
    templates: &Templates,
    scratch: &'a mut Vec<u8>,
) -> Result<Object<'a>> {
    let at = cursor.offset();
    let mut names = Vec::new();
    let mut values = Vec::new();
    if !by_reference {
        match read_len(cursor, "form of the names")? {
            0 => listpack(cursor, &mut names)?,
            _ => {
                let count = read_len(cursor, "number of fields")?;
                strings(cursor, count, &mut names)?;
            }
        }
    }
    let id = match (by_reference, packed) {
        (true, false) => Some(read_len(cursor, "template")?),
        _ => None,
    };
    if packed {
        listpack(cursor, &mut values)?;
        if values.is_empty() {
            return Err(wrong(at, "packed values without a template".to_owned()));
        }
        let first = values.remove(0);
        let id = std::str::from_utf8(&first)
            .ok()
            .and_then(|id| id.parse().ok());
        if by_reference {
            let id = id.ok_or_else(|| wrong(at, "a template that is no number".to_owned()))?;
            referred(templates, id, at, &mut names)?;
        }
    } else if let Some(id) = id {
        referred(templates, id, at, &mut names)?;
        strings(cursor, names.len() as u64, &mut values)?;
    } else {
        strings(cursor, names.len() as u64, &mut values)?;
    }
    if names.len() != values.len() {
        let (names, values) = (names.len(), values.len());
        return Err(wrong(at, format!("{values} values for {names} names")));
    }
    scratch.clear();
    for text in names
        .iter()
        .zip(&values)
        .flat_map(|(name, value)| [name, value])
    {
        write_len(scratch, text.len() as u64);
        scratch.extend_from_slice(text);
    }
    let count = 2 * names.len() as u64;
    let texts = Texts::new(Cursor::at_base(scratch, at), count);
    Ok(Object::Hash(Hash::Plain(texts)))
}

fn wrong(offset: u64, what: String) -> Box<FormatError> {
    FormatError::new(Damage::Encoding, offset, what)
}

fn referred(templates: &Templates, id: u64, at: u64, names: &mut Vec<Vec<u8>>) -> Result<()> {
    for name in templates.names(id, at)? {
        names.push(name?.to_vec());
    }
    Ok(())
}

fn strings(cursor: &mut Cursor<'_>, count: u64, out: &mut Vec<Vec<u8>>) -> Result<()> {
    for _ in 0..count {
        let text = read_string(cursor, "element").and_then(Stored::text)?;
        out.push(text.to_vec());
    }
    Ok(())
}

fn listpack(cursor: &mut Cursor<'_>, out: &mut Vec<Vec<u8>>) -> Result<()> {
    let at = cursor.offset();
    let pack = read_string(cursor, "listpack").and_then(Stored::text)?;
    let pack: std::borrow::Cow<'_, [u8]> = Text::into_cow(pack);
    let list = Listpack::check(&pack).map_err(|error| error.placed_at(at))?;
    out.extend(list.iter().map(|(_, entry)| entry.to_bytes().into_owned()));
    Ok(())
}
