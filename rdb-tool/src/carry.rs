//! From a reader to a snapshot: what has a place in the target goes over, what is odd is put right, what has no place is counted.
//!
//! ```text
//!   read(input, selection) -> event -> Carrier::event -> Writer
//!                                         |-> Losses         what had no place
//!                                         |-> mended         values that were odd
//! ```
//!
//! Whoever makes a snapshot out of others (another version, a part, several) hands events to a [`Carrier`], one for each output.

use crate::fit::VECTOR_SET;
use crate::loss::{Loss, Losses};
use crate::repair;
use crate::snapshot::{Stop, Visit, inside};
use cairn_format::lzf::Table;
use cairn_format::rdb::object::Module;
use cairn_format::rdb::writer::Lack;
use cairn_format::rdb::{
    Dialect, Event, ExpiringFields, Object, Record, WriteError, WriteOptions, WriteResult, Writer,
    Written,
};
use cairn_toolkit::{Failure, human, note};
use std::io::Write;

/// What is written, and what becomes of what has no place in it.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Family and version.
    pub dialect: Dialect,
    /// The modules that the target has, by the nine letters of their types; `None` for whichever there are.
    pub modules: Option<Vec<String>>,
    /// Compress strings.
    pub compress: bool,
    /// Hash fields that expire, where the target has no such thing.
    pub expiring_fields: Option<ExpiringFields>,
}

/// What a target with these modules would refuse, if the event is such a thing.
pub fn foreign_module(known: &[String], event: &Event<'_>) -> Option<Loss> {
    let (module, lack, what) = match event {
        Event::Record(record) => match &record.value {
            Object::Module(module) => (module, Lack::Module, "values"),
            _ => return None,
        },
        Event::ModuleAux(aux) => (&aux.module, Lack::ModuleAux, "data outside the keys"),
        _ => return None,
    };
    let name = Module::name(module);
    if known.contains(&name) {
        return None;
    }
    let needs = match name == VECTOR_SET {
        true => "Redis 8.0".to_owned(),
        false => "a server with that module".to_owned(),
    };
    Some(Loss {
        lack,
        what: format!("{what} of the module type {name}"),
        needs,
    })
}
/// Database and key of an event, for the example of a loss.
pub fn place<'a>(event: &'a Event<'_>) -> Option<(u64, &'a [u8])> {
    match event {
        Event::Record(record) => Some((record.db, record.head.key)),
        _ => None,
    }
}

/// What a carrier leaves.
pub struct Carried<W> {
    /// What was written to.
    pub out: W,
    /// What had no place.
    pub losses: Losses,
    /// Values that were put right.
    pub mended: u64,
}

/// A snapshot under way.
pub struct Carrier<'t, W: Write> {
    writer: Writer<W>,
    terms: &'t Terms,
    losses: Losses,
    mended: u64,
}

impl<'t, W: Write> Carrier<'t, W> {
    /// Writes the header.
    pub fn new(out: W, terms: &'t Terms) -> Result<Self, Failure> {
        let options = WriteOptions {
            compress: terms.compress,
            // What became of a part is counted; who did not agree to it throws the output away.
            drop_parts: true,
            expiring_fields: terms.expiring_fields,
            ..WriteOptions::new(terms.dialect)
        };
        Ok(Carrier {
            writer: Writer::new(out, options).map_err(failed)?,
            terms,
            losses: Losses::default(),
            mended: 0,
        })
    }

    /// A carrier of what belongs into the middle of this snapshot, for [`Carrier::append`].
    pub fn section(&self) -> Carrier<'t, Vec<u8>> {
        Carrier {
            writer: self.writer.section(),
            terms: self.terms,
            losses: Losses::default(),
            mended: 0,
        }
    }

    /// Takes over what a section has.
    pub fn append(&mut self, section: Carrier<'t, Vec<u8>>) -> Visit {
        self.losses.append(section.losses);
        self.mended += section.mended;
        let written = self.writer.append(section.writer);
        written.map_err(|error| Stop::Failed(failed(error)))
    }

    /// Compresses with another table from here on.
    pub fn swap_table(&mut self, table: &mut Table) {
        self.writer.swap_table(table);
    }

    /// Takes an event over.
    pub fn event(&mut self, event: &Event<'_>) -> Visit {
        if let Some(known) = &self.terms.modules
            && let Some(loss) = foreign_module(known, event)
        {
            self.losses.add(loss, place(event));
            return Ok(());
        }
        let Event::Record(record) = event else {
            return self.write(event);
        };
        silent_losses(&mut self.losses, record, self.terms.dialect);
        let repair = inside(repair::needed(&record.value), record.db, record.head.key)?;
        if let Some(repair) = repair {
            self.mended += 1;
            return match repair::write(&mut self.writer, record, repair) {
                Ok(()) => Ok(()),
                Err(error) => self.unwritten(error, event),
            };
        }
        self.write(event)?;
        if record.head.meta.is_some() && !self.terms.dialect.has_key_meta() {
            self.losses.add(Loss::new(Lack::KeyMeta), place(event));
        }
        Ok(())
    }

    fn write(&mut self, event: &Event<'_>) -> Visit {
        self.write_with(event, |writer| writer.event(event))
    }

    /// Takes over what `write` writes in place of an event.
    pub fn write_with(
        &mut self,
        event: &Event<'_>,
        write: impl FnOnce(&mut Writer<W>) -> WriteResult<Written>,
    ) -> Visit {
        match write(&mut self.writer) {
            Ok(Written::Whole | Written::Nothing) => Ok(()),
            Ok(Written::Partly(lost)) => self.unwritten(WriteError::Unsupported(lost), event),
            Err(error) => self.unwritten(error, event),
        }
    }

    fn unwritten(&mut self, error: WriteError, event: &Event<'_>) -> Visit {
        match error {
            WriteError::Unsupported(lost) => {
                self.losses.add(Loss::new(lost.lack), place(event));
                Ok(())
            }
            WriteError::Source(error) => Err(Stop::inside(error)),
            error => Err(Stop::Failed(failed(error))),
        }
    }

    /// Writes the end, and tells what had no place. `name` is that of the input, for a word on what was put right.
    pub fn finish(self, name: &str) -> Result<Losses, Failure> {
        self.finish_into(name).map(|carried| carried.losses)
    }

    /// The same, and gives back what was written to.
    pub fn finish_into(self, name: &str) -> Result<Carried<W>, Failure> {
        let out = self.writer.finish().map_err(failed)?;
        if self.mended > 0 {
            let values = human::plural(self.mended, "odd value was", "odd values were");
            note(&format!(
                "{name}: {values} put right; `rdb-tool verify {name}` tells which"
            ));
        }
        Ok(Carried {
            out,
            losses: self.losses,
            mended: self.mended,
        })
    }
}

/// What goes without a refusal.
fn silent_losses(losses: &mut Losses, record: &Record<'_>, target: Dialect) {
    let place = Some((record.db, record.head.key));
    let mut goes = |lack, is_lost| {
        if is_lost {
            losses.add(Loss::new(lack), place);
        }
    };
    let head = &record.head;
    let has_ms = head.expire_ms.is_some_and(|ms| ms % 1000 != 0);
    goes(Lack::ExpiryMs, has_ms && !target.has_ms_expiry());
    goes(Lack::Idle, head.idle_s.is_some() && !target.has_streams());
    goes(
        Lack::Frequency,
        head.freq.is_some() && !target.has_streams(),
    );
    let (Object::Stream(stream), 1..) = (&record.value, target.stream_form()) else {
        return;
    };
    let has_counters = stream.entries_added.is_some();
    goes(
        Lack::StreamCounters,
        has_counters && target.stream_form() < 2,
    );
    let mut consumers = stream.groups.iter().flat_map(|group| &group.consumers);
    let has_times = consumers.any(|consumer| consumer.active_ms.is_some());
    goes(Lack::ConsumerTimes, has_times && target.stream_form() < 3);
}

fn failed(error: WriteError) -> Failure {
    match error {
        WriteError::Io(error) => error.into(),
        other => Failure::new(other.to_string()),
    }
}
