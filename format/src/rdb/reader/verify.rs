//! Whether a file is sound, for who wants to know no more.

use super::super::dialect::Dialect;
use super::super::event::{Checksum, Event, Located};
use super::super::opcode::{self, TypeInfo};
use super::super::raw::Source;
use super::sections::{Halt, Plan, Work, read_in_sections};
use super::{Options, Reader, State, fast, packed};
use crate::error::Result;

/// Bytes of short strings that are passed at once: few enough to be in a cache still when they are summed up.
const SHORT_AT_ONCE: usize = 32 << 10;

impl<S: Source> Reader<S> {
    /// Leaves the last event behind.
    #[inline]
    pub(super) fn settle(&mut self) {
        self.source.consume(std::mem::take(&mut self.taken));
    }

    /// Whether the next record stands at the window's begin, with nothing that was read before it.
    #[inline]
    pub(super) fn is_at_record(&self) -> bool {
        debug_assert_eq!(self.taken, 0, "the last event was left behind");
        matches!(self.state, State::Body) && self.resume == 0 && !self.carried.has_attributes()
    }

    /// Passes over plain strings, packed values and others that are runs of strings that begin before `limit`, as long as they are seen to be sound. Their keys are
    /// noted. The last event was left behind.
    pub(super) fn pass_sound(&mut self, limit: u64) {
        let string = opcode::type_info(self.dialect.family(), opcode::STRING);
        if !self.is_at_record() {
            return;
        }
        let again = self.source.can_reread();
        while self.source.offset() < limit {
            if self.pass_short(limit, again, string) {
                continue;
            }
            let window = self.source.window();
            let Some(start) = fast::start(window) else {
                return;
            };
            let (start, end, info) = if start.type_byte == opcode::STRING {
                match fast::plain_string_of(window, start) {
                    Some(found) if found.holds(window) => (found.start, found.end, string),
                    _ => return,
                }
            } else {
                let mut room = packed::Room {
                    checker: &mut self.checker,
                    buffer: &mut self.value_buffer,
                };
                let check = self.options.check;
                match packed::sound_value(window, &start, self.dialect, check, &mut room) {
                    Some((end, info)) => (start, end, Some(info)),
                    None => return,
                }
            };
            let Some(key) = start.key(window, &mut self.key_buffer) else {
                return;
            };
            if self.options.duplicate_keys {
                self.keys.note(self.db, key, again);
            }
            let offset = self.source.offset();
            self.last_value = info.map(|info| (offset + start.key_at as u64, info));
            self.records += 1;
            debug_assert!(start.key_at < end, "a record has a key");
            self.source.consume(end);
        }
    }
}

impl<S: Source> Reader<S> {
    /// Passes over short strings in the window that begin before `limit`, as many as a step of the checksum has: whether there was one.
    #[inline]
    fn pass_short(&mut self, limit: u64, again: bool, string: Option<&'static TypeInfo>) -> bool {
        let (db, notes, offset) = (self.db, self.options.duplicate_keys, self.source.offset());
        let most = usize::try_from(limit - offset).unwrap_or(usize::MAX);
        let most = most.min(SHORT_AT_ONCE);
        let window = self.source.window();
        let (mut at, mut key_at, mut records) = (0, 0, 0);
        while at < most
            && let Some(ahead) = window.get(at..)
            && let Some(found) = fast::short_string(ahead)
        {
            if notes {
                self.keys.note(db, found.key(ahead), again);
            }
            key_at = at + found.key_at;
            at += found.end;
            records += 1;
        }
        if records == 0 {
            return false;
        }
        self.last_value = string.map(|info| (offset + key_at as u64, info));
        self.records += records;
        self.source.consume(at);
        true
    }
}

/// Reads to the end and gives what became of the checksum, for callers who only want to know whether a file is sound.
/// Plain strings and packed values, the most frequent records, are checked without building an event.
///
/// # Errors
/// The first damage.
pub fn verify<S: Source>(reader: &mut Reader<S>) -> Result<Checksum> {
    loop {
        reader.settle();
        reader.pass_sound(u64::MAX);
        let Some(shape) = reader.advance()? else {
            return Ok(Checksum::None);
        };
        if let Event::End(checksum) = reader.decode_shape(&shape)?.event {
            return Ok(checksum);
        }
    }
}

/// A file that is sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sound {
    /// Family and version.
    pub dialect: Dialect,
    /// What became of the checksum.
    pub checksum: Checksum,
    /// Its keys.
    pub records: u64,
    /// Its bytes.
    pub end: u64,
}

/// Looks at nothing itself.
struct Look;

impl Work for Look {
    type Part = ();
    type Stop = ();
    const LOOKS: bool = false;

    fn begin(&self, _: Dialect) {}

    fn event(&self, (): &mut (), _located: &Located<'_>) -> std::result::Result<(), ()> {
        Ok(())
    }
}

/// As [`verify`], of a file in memory, in sections as the plan has it. `passed` is told how far that is.
///
/// # Errors
/// The first damage.
pub fn verify_in_sections(
    bytes: &[u8],
    options: Options,
    plan: Plan,
    passed: &mut dyn FnMut(u64),
) -> Result<Sound> {
    let reached = read_in_sections(bytes, options, plan, &Look, &mut |(), end| {
        passed(end);
        Ok(())
    })?;
    match reached.halt {
        Some(Halt::Damage(error)) => Err(error),
        Some(Halt::Stopped(())) | None => Ok(Sound {
            dialect: reached.dialect,
            checksum: reached.checksum,
            records: reached.records,
            end: reached.end,
        }),
    }
}
