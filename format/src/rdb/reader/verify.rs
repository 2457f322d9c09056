//! Whether a file is sound, for who wants to know no more.

use super::super::event::{Checksum, Event};
use super::super::opcode;
use super::super::raw::Source;
use super::{Reader, State, fast};
use crate::error::Result;

impl<S: Source> Reader<S> {
    /// Leaves the last event behind, and plain strings after it.
    pub(super) fn pass(&mut self) {
        self.source.consume(std::mem::take(&mut self.taken));
        self.pass_strings();
    }

    /// Passes over plain strings: seeing their extent checks all there is to check. Their keys are noted.
    fn pass_strings(&mut self) {
        let string = opcode::type_info(self.dialect.family(), 0);
        if self.taken > 0 || !matches!(self.state, State::Body) {
            return;
        }
        let again = self.source.can_reread();
        loop {
            let window = self.source.window();
            let Some(found) = fast::plain_string(window) else {
                return;
            };
            let Some(key) = found.key(window, &mut self.key_buffer) else {
                return;
            };
            if self.options.duplicate_keys {
                self.keys.note(self.db, key, again);
            }
            let offset = self.source.offset();
            self.last_value = string.map(|info| (offset + found.key_at as u64, info));
            self.records += 1;
            debug_assert!(found.key_at < found.end, "a record has a key");
            self.source.consume(found.end);
        }
    }
}

/// Reads to the end and gives what became of the checksum, for callers who only want to know whether a file is sound.
/// Plain strings, the most frequent records, are checked without building an event.
///
/// # Errors
/// The first damage.
pub fn verify<S: Source>(reader: &mut Reader<S>) -> Result<Checksum> {
    loop {
        reader.pass();
        let Some(shape) = reader.advance()? else {
            return Ok(Checksum::None);
        };
        if let Event::End(checksum) = reader.decode_shape(&shape)?.event {
            return Ok(checksum);
        }
    }
}
