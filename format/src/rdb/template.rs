//! Templates of Redis 8.10: names of fields that many hashes share. No real file confirms what is read here.
//!
//! ```text
//!   opcode 242   len id | len count | count names
//!   type 30      one string, a listpack: id, then a value for each name
//!   type 32      len id | a string for each name
//!   type 29      names | one string, a listpack: a number to pass over, then a value for each name
//!   type 31      names | a string for each name
//!   names        len 0 | one string, a listpack        or    len 1 | len count | count strings
//! ```
//!
//! A hash on a template is a hash like any other: it is given out in its full form.

use std::collections::HashMap;

use super::length::read_len;
use super::object::Texts;
use crate::cursor::Cursor;
use crate::error::{Damage, FormatError, Result};

/// Templates that a file has defined so far.
#[derive(Debug, Default)]
pub(crate) struct Templates {
    by_id: HashMap<u64, Template>,
}

/// The names of one template, as they stand in the file.
#[derive(Debug)]
struct Template {
    names: Vec<u8>,
    count: u64,
}

impl Templates {
    /// Notes a definition: what stands behind its opcode, at this offset.
    pub fn define(&mut self, body: &[u8], offset: u64) -> Result<()> {
        let mut cursor = Cursor::at_base(body, offset);
        let id = read_len(&mut cursor, "template")?;
        let count = read_len(&mut cursor, "number of fields")?;
        let template = Template {
            names: cursor.rest().to_vec(),
            count,
        };
        match self.by_id.insert(id, template) {
            None if count > 0 => Ok(()),
            None => Err(wrong(offset, format!("template {id} has no fields"))),
            Some(_) => Err(wrong(offset, format!("template {id} is defined twice"))),
        }
    }

    /// How many names a template has.
    pub fn count(&self, id: u64) -> Option<u64> {
        self.by_id.get(&id).map(|template| template.count)
    }

    /// The names of a template.
    pub fn names(&self, id: u64, offset: u64) -> Result<Texts<'_>> {
        match self.by_id.get(&id) {
            Some(template) => Ok(Texts::new(Cursor::new(&template.names), template.count)),
            None => Err(undefined(id, offset)),
        }
    }
}

/// The error of a hash on a template that nobody has defined.
pub(crate) fn undefined(id: u64, offset: u64) -> Box<FormatError> {
    wrong(offset, format!("template {id} was not defined before"))
}

fn wrong(offset: u64, what: String) -> Box<FormatError> {
    FormatError::new(Damage::Encoding, offset, what)
}
