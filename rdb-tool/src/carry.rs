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
use crate::loss::{Fate, Loss, Losses};
use crate::repair;
use crate::snapshot::{Stop, Visit, inside};
use cairn_format::rdb::object::Module;
use cairn_format::rdb::writer::FIELD_EXPIRY;
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
    /// Write what remains of a value of which only a part has no place.
    pub drop_parts: bool,
    /// Hash fields that expire, where the target has no such thing.
    pub expiring_fields: Option<ExpiringFields>,
}

impl Terms {
    /// The loss of a part or the whole of a value that the writer had no place for.
    pub fn loss(&self, what: &str, needs: &str) -> Loss {
        loss_of(what, needs, self.expiring_fields)
    }
}

/// The same where no snapshot is written.
pub fn loss_of(what: &str, needs: &str, fields: Option<ExpiringFields>) -> Loss {
    let fate = match (what == FIELD_EXPIRY, fields) {
        (false, _) => Fate::Dropped,
        (true, Some(ExpiringFields::Keep { .. })) => Fate::KeptFields,
        (true, _) => Fate::DroppedFields,
    };
    Loss {
        what: what.to_owned(),
        needs: needs.to_owned(),
        fate,
    }
}

/// What a target with these modules would refuse, if the event is such a thing.
pub fn foreign_module(known: &[String], event: &Event<'_>) -> Option<Loss> {
    let (module, what) = match event {
        Event::Record(record) => match &record.value {
            Object::Module(module) => (module, "values"),
            _ => return None,
        },
        Event::ModuleAux(aux) => (&aux.module, "data outside the keys"),
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
        what: format!("{what} of the module type {name}"),
        needs,
        fate: Fate::DroppedModule,
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
            drop_parts: terms.drop_parts,
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
            let loss = Loss::dropped("key metadata", "Redis 8.6 (version 13)");
            self.losses.add(loss, place(event));
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
                let loss = self.terms.loss(lost.what, lost.needs);
                self.losses.add(loss, place(event));
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

/// What goes without a refusal, as it went with every server that was brought back to an older version.
fn silent_losses(losses: &mut Losses, record: &Record<'_>, target: Dialect) {
    let place = Some((record.db, record.head.key));
    if !target.has_streams() && record.head.idle_s.is_some() {
        losses.add(Loss::silent("an idle time", "Redis 5.0 (version 9)"), place);
    }
    if !target.has_streams() && record.head.freq.is_some() {
        let loss = Loss::silent("an access frequency", "Redis 5.0 (version 9)");
        losses.add(loss, place);
    }
    let Object::Stream(stream) = &record.value else {
        return;
    };
    if (1..2).contains(&target.stream_form()) && stream.entries_added.is_some() {
        let loss = Loss::silent("counters of a stream", "Redis 7.0 (version 10)");
        losses.add(loss, place);
    }
    let has_times = stream.groups.iter().flat_map(|group| &group.consumers);
    if (1..3).contains(&target.stream_form())
        && has_times
            .into_iter()
            .any(|consumer| consumer.active_ms.is_some())
    {
        let loss = Loss::silent("when a consumer was active", "Redis 7.2 (version 11)");
        losses.add(loss, place);
    }
}

fn failed(error: WriteError) -> Failure {
    match error {
        WriteError::Io(error) => error.into(),
        other => Failure::new(other.to_string()),
    }
}
