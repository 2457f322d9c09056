//! The extent of hashes on templates, and of templates.

use super::super::string::read_string;
use super::super::template::undefined;
use super::{Scan, Source};
use crate::cursor::Cursor;
use crate::encoding::listpack::Listpack;
use crate::error::{Damage, Result};

impl<S: Source> Scan<'_, S> {
    /// A definition.
    pub fn template(&mut self) -> Result<()> {
        self.len("template")?;
        self.strings_counted().map(|_| ())
    }

    /// A hash on a template, which it names or brings along.
    pub(super) fn template_hash(&mut self, by_reference: bool, packed: bool) -> Result<()> {
        let count = match (by_reference, packed) {
            (true, true) => return self.string("packed values"),
            (true, false) => {
                let offset = self.offset();
                let id = self.len("template")?;
                let known = self.templates.and_then(|known| known.count(id));
                known.ok_or_else(|| undefined(id, offset))?
            }
            (false, _) => self.names()?,
        };
        match packed {
            true => self.string("packed values"),
            false => (0..count).try_for_each(|_| self.string("value")),
        }
    }

    fn strings_counted(&mut self) -> Result<u64> {
        let count = self.count(1, "number of fields")?;
        (0..count).try_for_each(|_| self.string("field"))?;
        Ok(count)
    }

    /// How many names there are.
    fn names(&mut self) -> Result<u64> {
        let start = self.at;
        match self.len("form of the names")? {
            1 => self.strings_counted(),
            0 => {
                let (from, offset) = (self.at, self.offset());
                self.string("names")?;
                let mut cursor = Cursor::at_base(&self.source.window()[from..self.at], offset);
                let names = read_string(&mut cursor, "names")?.text()?.into_cow();
                let count = Listpack::check(&names).map(|list| list.len() as u64);
                count.map_err(|error| error.placed_at(offset))
            }
            other => Err(self.error_at(
                start,
                Damage::Encoding,
                format!("names of fields in the unknown form {other}"),
            )),
        }
    }
}
