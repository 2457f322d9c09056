//! Plain strings as events, without the general walk.

use super::super::event::{Event, Head, Located, Record};
use super::super::object::Object;
use super::super::opcode;
use super::super::raw::Source;
use super::Reader;
use super::fast::{self, PlainString};

impl<S: Source> Reader<S> {
    /// Takes the next record if it is a plain string that can be read.
    #[inline]
    pub(super) fn plain_string_ahead(&mut self) -> Option<PlainString> {
        self.settle();
        if !self.is_at_record() {
            return None;
        }
        let info = opcode::type_info(self.dialect.family(), opcode::STRING)?;
        let window = self.source.window();
        let found = fast::plain_string(window)?;
        if !found.unpacked(window, &mut self.key_buffer, &mut self.value_buffer) {
            return None;
        }
        if self.options.duplicate_keys {
            let (key, _) = found.texts(window, &self.key_buffer, &self.value_buffer);
            self.keys.note(self.db, key, self.source.can_reread());
        }
        self.last_value = Some((self.source.offset() + found.start.key_at as u64, info));
        self.records += 1;
        self.taken = found.end;
        Some(found)
    }

    /// The event of a record that was taken so.
    #[inline]
    pub(super) fn plain_string(&self, found: &PlainString) -> Located<'_> {
        let offset = self.source.offset();
        let window = self.source.window();
        let (key, value) = found.texts(window, &self.key_buffer, &self.value_buffer);
        Located {
            offset,
            end: offset + found.end as u64,
            event: Event::Record(Record {
                db: self.db,
                head: Head::expiring(key, found.start.expire_ms),
                type_byte: 0,
                value: Object::String(value),
                value_offset: offset + found.value_at as u64,
                value_len: (found.end - found.value_at) as u64,
            }),
        }
    }
}
