//! Values of modules, which can be copied or skipped without the module.
//!
//! ```text
//!   id len | opcode len, value | ... | 0
//!   opcode 1 signed (len), 2 unsigned (len), 3 float (4 bytes), 4 double (8 bytes), 5 string
//! ```
//!
//! The id has nine characters of six bits, then ten bits of version.

use super::super::length::read_len;
use super::super::string::{Stored, Text, read_string};
use crate::cursor::Cursor;
use crate::error::{Damage, Result};

/// The characters of a module's name.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A module's value, verbatim.
#[derive(Clone, Copy, Debug)]
pub struct Module<'a> {
    /// Name and version of the module's type.
    pub id: u64,
    /// The module values, their EOF included.
    pub values: &'a [u8],
    /// Absolute offset of `values`.
    pub offset: u64,
}

impl<'a> Module<'a> {
    /// The nine characters of the type's name.
    pub fn name(&self) -> String {
        module_name(self.id)
    }

    /// The version of the type's own encoding.
    pub fn version(&self) -> u64 {
        self.id & 0x3ff
    }

    /// The values, decoded.
    pub fn decoded(&self) -> ModuleValues<'a> {
        ModuleValues {
            cursor: Cursor::at_base(self.values, self.offset),
            done: false,
        }
    }
}

/// The name in a module id.
pub fn module_name(id: u64) -> String {
    (0..9)
        .map(|place| char::from(ALPHABET[(id >> (58 - 6 * place) & 63) as usize]))
        .collect()
}

/// One value that a module saved.
#[derive(Clone, Debug, PartialEq)]
pub enum ModuleValue<'a> {
    /// A signed integer.
    Signed(i64),
    /// An unsigned integer.
    Unsigned(u64),
    /// A single.
    Float(f32),
    /// A double.
    Double(f64),
    /// A string.
    String(Text<'a>),
}

/// The values of a module, an iterator.
#[derive(Clone, Debug)]
pub struct ModuleValues<'a> {
    cursor: Cursor<'a>,
    done: bool,
}

impl<'a> ModuleValues<'a> {
    fn read(&mut self) -> Result<Option<ModuleValue<'a>>> {
        let cursor = &mut self.cursor;
        Ok(Some(match read_len(cursor, "module opcode")? {
            0 => return Ok(None),
            1 => ModuleValue::Signed(read_len(cursor, "module integer")? as i64),
            2 => ModuleValue::Unsigned(read_len(cursor, "module integer")?),
            3 => ModuleValue::Float(cursor.f32le("module float")?),
            4 => ModuleValue::Double(cursor.f64le("module double")?),
            5 => ModuleValue::String(read_string(cursor, "module string").and_then(Stored::text)?),
            other => return Err(cursor.error(Damage::Opcode, format!("module opcode {other}"))),
        }))
    }
}

impl<'a> Iterator for ModuleValues<'a> {
    type Item = Result<ModuleValue<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let value = self.read().transpose();
        self.done = !matches!(value, Some(Ok(_)));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values() {
        // `A` is 0, `B` 1, `_` 63: AAAAAAAB_ with version 5.
        let id = 1 << 16 | 63 << 10 | 5;
        assert_eq!(module_name(id), "AAAAAAAB_");
        let values = b"\x01\x81\xff\xff\xff\xff\xff\xff\xff\xff\x02\x07\x05\x02hi\x00";
        let module = Module {
            id,
            values,
            offset: 0,
        };
        assert_eq!(module.version(), 5);
        let decoded: Vec<_> = module.decoded().map(|value| value.unwrap()).collect();
        assert_eq!(
            decoded,
            [
                ModuleValue::Signed(-1),
                ModuleValue::Unsigned(7),
                ModuleValue::String(Text::Bytes(b"hi"))
            ]
        );
    }
}
