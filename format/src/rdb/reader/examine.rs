//! Reading on behind what is wrong, and telling all of it.
//!
//! ```text
//!   found                             then
//!   no server writes it, all load it  a note, and the event as usual
//!   a value is damaged, its end known a note, and the extent without an event
//!   the end of a record is not known  an error; the reader stands where the record begins
//!   the checksum is wrong             a note, and the end
//! ```

use super::super::event::{Checksum, Event};
use super::super::raw::Source;
use super::{Check, Kind, Parts, Reader, Shape, SliceReader, State, wrong_checksum};
use crate::error::{Damage, Findings, FormatError, Result};

/// What was passed, whether it is sound or not.
#[derive(Clone, Debug)]
pub struct Examined<'a> {
    /// Absolute offset of its first byte.
    pub offset: u64,
    /// Absolute offset after its last byte.
    pub end: u64,
    /// The database that holds from here on.
    pub db: u64,
    /// The event; `None` if it is damaged.
    pub event: Option<Event<'a>>,
}

impl<S: Source> Reader<S> {
    /// The next event, damaged or not; `None` after the end. What is wrong with it goes to `found`.
    ///
    /// # Errors
    /// Damage behind which nobody knows where to go on. [`Reader::offset`] tells where the record begins; a reader of a slice
    /// can be sent on with [`SliceReader::go_to`].
    pub fn examine(&mut self, found: &mut Findings) -> Result<Option<Examined<'_>>> {
        if matches!(self.state, State::Done) {
            return Ok(None);
        }
        self.examining = true;
        self.checker.odd.get_or_insert_default();
        if let Some(found) = self.plain_string_ahead() {
            let located = self.plain_string(&found);
            return Ok(Some(Examined {
                offset: located.offset,
                end: located.end,
                db: self.db,
                event: Some(located.event),
            }));
        }
        let shape = self.scan_as_it_is(found)?;
        self.take(&shape);
        let offset = self.source.offset();
        let end = offset + shape.len as u64;
        if let Kind::End(Checksum::Wrong { stored, computed }) = shape.kind {
            found.push(wrong_checksum(offset, stored, computed));
        }
        let mut db = self.db;
        let (located, checker, _) = self.decode_apart(&shape);
        let notes = checker.odd.iter_mut().flat_map(|odd| odd.drain(..));
        let event = match located {
            Ok(located) => {
                let name = |note: Box<FormatError>| match &located.event {
                    Event::Record(record) => note.at_key(record.head.key).in_db(record.db),
                    _ => note,
                };
                found.extend(notes.map(name));
                if let Event::SelectDb(next) = located.event {
                    db = next;
                }
                Some(located.event)
            }
            Err(error) => {
                found.push(error);
                None
            }
        };
        Ok(Some(Examined {
            offset,
            end,
            db,
            event,
        }))
    }

    /// The extent of the next record. If only its form is unusual, that is a note.
    fn scan_as_it_is(&mut self, found: &mut Findings) -> Result<Shape> {
        let carried = self.carried.clone();
        let error = match self.scan().and_then(|shape| self.defined(shape)) {
            Ok(shape) => return Ok(shape),
            Err(error) => error,
        };
        let is_form = matches!(error.kind, Damage::Length | Damage::Type | Damage::Opcode);
        if self.options.check < Check::Strict || !is_form {
            return Err(self.blamed(error));
        }
        self.carried = carried;
        self.options.check = Check::Sound;
        let again = self.scan();
        self.options.check = Check::Strict;
        match again {
            Ok(shape) => {
                let problem = match error.kind {
                    Damage::Length => "long-length",
                    Damage::Type => "newer-type",
                    _ => "attribute-place",
                };
                found.push(error.odd(problem).in_db(self.db));
                Ok(shape)
            }
            // A type that is too new and cannot be read either is no type that was meant.
            Err(_) if error.kind == Damage::Type => Err(self.blamed(error)),
            Err(error) => Err(self.blamed(error)),
        }
    }
}

impl SliceReader<'_> {
    /// Goes on at `offset`, where a record of database `db` begins, forward or back. Bytes that are passed over still count for
    /// the checksum.
    pub fn go_to(&mut self, offset: u64, db: u64) {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        self.source.go_to(offset);
        self.db = db;
        self.taken = 0;
        self.carried = Parts::default();
        self.last_value = None;
        self.state = State::Body;
    }
}
