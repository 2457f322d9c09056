//! A snapshot that is made of others: opened, filled with events, ended, read again.
//!
//! Function libraries, data of modules outside the keys and facts about the file go over as they are. Hints at numbers of keys
//! do not: they would be those of another file. Databases are selected as their keys come.

use crate::carry::{Carrier, Terms};
use crate::convert::LOOK;
use crate::parts::{self, read_parts};
use crate::policy::Policies;
use crate::snapshot::{Need, Reading, Stop, Visit, Walk, read};
use cairn_format::lzf::Table;
use cairn_format::rdb::writer::WriteResult;
use cairn_format::rdb::{Dialect, Event, Located, Record, Writer, Written};
use cairn_toolkit::snapshot::again::read_again;
use cairn_toolkit::{Failure, Input, Output};
use clap::Args;
use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;

/// What to say when a written snapshot cannot be read again.
const OURS: &str = "nothing was written; this is a fault of ours or of the disk";

/// How an output is made.
#[derive(Args, Clone, Debug)]
pub struct Manner {
    /// Replace what is there
    #[arg(long)]
    force: bool,
    /// Do not compress strings
    #[arg(long)]
    no_compress: bool,
}

impl Manner {
    /// Opens an output; a file that is there is refused, unless it may be replaced.
    pub fn open(&self, path: &Path, inputs: &[&Input]) -> Result<Output, Failure> {
        Output::refuse_existing(path, self.force)?;
        Output::create_whole(path, inputs)
    }

    /// What holds all of a file of this dialect: the same, or the next that is written.
    pub fn terms(&self, dialect: Dialect) -> Terms {
        Terms {
            dialect: nearest_written(dialect),
            modules: None,
            compress: !self.no_compress,
            expiring_fields: None,
        }
    }
}

fn nearest_written(dialect: Dialect) -> Dialect {
    let version = dialect.newest_known().version().min(dialect.version());
    let newer = version..=dialect.newest_known().version();
    newer
        .chain((1..version).rev())
        .filter_map(Dialect::from_number)
        // Before version 6 the packed forms of a file could not be kept.
        .filter(|known| known.is_writable() && known.has_small_integers())
        .find(|known| known.family() == dialect.family())
        .unwrap_or(Dialect::REDIS_7_2)
}

/// A snapshot under way.
pub struct Making<'t> {
    flow: Flow<'t, Output>,
    terms: &'t Terms,
    name: String,
}

/// Events on their way into a snapshot: all of it, or a section that [`Making::append`] takes.
pub struct Flow<'t, W: Write = Vec<u8>> {
    carrier: Carrier<'t, W>,
    db: Option<u64>,
    /// Of a section: the database in which it begins, which its bytes do not name.
    begins_in: Option<u64>,
    /// Nothing was taken over that comes before the keys of a section.
    is_section_begin: bool,
    keys: u64,
}

/// A snapshot that only has to be given its name.
pub struct Made {
    output: Output,
    /// Its keys.
    pub keys: u64,
    /// Its bytes, if it could be read again.
    pub bytes: Option<u64>,
}

impl<'t> Flow<'t> {
    /// The flow that is there, or a new one.
    pub fn of<'f>(place: &'f mut Option<Flow<'t>>, terms: &'t Terms) -> Result<&'f mut Self, Stop> {
        let flow = match place.take() {
            Some(flow) => flow,
            None => stopped(Flow::section(terms))?,
        };
        Ok(place.insert(flow))
    }

    /// What belongs into the middle of a snapshot.
    pub fn section(terms: &'t Terms) -> Result<Flow<'t>, Failure> {
        Ok(Flow {
            carrier: Carrier::new(Vec::new(), terms)?.section(),
            db: None,
            begins_in: None,
            is_section_begin: true,
            keys: 0,
        })
    }
}

impl<W: Write> Flow<'_, W> {
    /// Takes an event over.
    pub fn event(&mut self, event: &Event<'_>) -> Visit {
        match event {
            Event::SelectDb(_) | Event::Resize { .. } | Event::SlotInfo { .. } | Event::End(_) => {
                return Ok(());
            }
            Event::Record(record) => self.begin(record.db)?,
            _ => self.is_section_begin = false,
        }
        self.carrier.event(event)
    }

    /// The same with a table for compression that several share.
    pub fn event_with(&mut self, event: &Event<'_>, table: &mut Table) -> Visit {
        self.carrier.swap_table(table);
        let taken = self.event(event);
        self.carrier.swap_table(table);
        taken
    }

    fn begin(&mut self, db: u64) -> Visit {
        if std::mem::take(&mut self.is_section_begin) {
            self.begins_in = Some(db);
        } else {
            self.select(db)?;
        }
        self.db = Some(db);
        self.keys += 1;
        Ok(())
    }

    fn select(&mut self, db: u64) -> Visit {
        match self.db == Some(db) {
            true => Ok(()),
            false => self.carrier.event(&Event::SelectDb(db)),
        }
    }
}

impl<'t> Making<'t> {
    /// Writes the header.
    pub fn new(output: Output, terms: &'t Terms) -> Result<Making<'t>, Failure> {
        Ok(Making {
            name: output.name().to_owned(),
            flow: Flow {
                carrier: Carrier::new(output, terms)?,
                db: None,
                begins_in: None,
                is_section_begin: false,
                keys: 0,
            },
            terms,
        })
    }

    /// Takes an event over.
    pub fn event(&mut self, event: &Event<'_>) -> Visit {
        self.flow.event(event)
    }

    /// Takes over what `write` writes in place of a record, which is one key.
    pub fn instead(
        &mut self,
        record: &Record<'_>,
        write: impl FnOnce(&mut Writer<Output>) -> WriteResult<Written>,
    ) -> Visit {
        self.flow.begin(record.db)?;
        self.flow
            .carrier
            .write_with(&Event::Record(record.clone()), write)
    }

    /// Takes a section over.
    pub fn append(&mut self, section: Flow<'t>) -> Visit {
        if let Some(db) = section.begins_in {
            self.flow.select(db)?;
        }
        self.flow.db = section.db.or(self.flow.db);
        self.flow.keys += section.keys;
        self.flow.carrier.append(section.carrier)
    }

    /// Writes the end and reads what was written. `input` is what it was made of.
    pub fn finish(self, input: &str) -> Result<Made, Failure> {
        let keys = self.flow.keys;
        let carried = self.flow.carrier.finish_into(input)?;
        let (mut losses, mut output) = (carried.losses, carried.out);
        let version = self.terms.dialect;
        if !losses.refused(&Policies::default()).is_empty() {
            let line = format!("{input}: {version} cannot hold all of it");
            let advice = format!(
                "nothing was written; `rdb-tool convert --dry-run --to {} {input}` tells what it is",
                version.version()
            );
            return Err(Failure::new(line).hint(advice));
        }
        let Some(again) = read_again(&mut output)? else {
            return Ok(Made {
                output,
                keys,
                bytes: None,
            });
        };
        let found = again.map_err(|error| Failure::damage(&self.name, &error).hint(OURS))?;
        // Empty collections are left out as servers do it.
        if found.records > keys || found.records + carried.mended < keys {
            let line = format!(
                "{}: {} keys can be read where {keys} were written",
                self.name, found.records
            );
            return Err(Failure::new(line).hint(OURS));
        }
        Ok(Made {
            output,
            keys: found.records,
            bytes: Some(found.end),
        })
    }
}

impl Made {
    /// Gives it its name.
    pub fn keep(self) -> Result<(), Failure> {
        self.output.finish()
    }
}

/// For visitors: an error of an output.
pub fn stopped<T>(result: Result<T, Failure>) -> Result<T, Stop> {
    result.map_err(Stop::Failed)
}

/// Where a snapshot of a part of a file goes, and what of the file goes there.
pub struct Job<'a> {
    /// What is read.
    pub input: &'a Input,
    /// How, and which keys.
    pub reading: &'a Reading,
    /// Where the snapshot goes.
    pub output: &'a Path,
    /// How it is made.
    pub manner: &'a Manner,
    /// For the one who waits.
    pub label: &'a str,
}

/// Makes a snapshot of the version of a file, which its first event tells: only then can `begin` make of the output what takes the
/// events, in the order of the file. Nothing if there was no event, not even the end of the file.
pub fn make<'t, T>(
    job: &Job<'_>,
    terms: &'t OnceLock<Terms>,
    begin: impl FnOnce(Making<'t>, Dialect) -> T,
    event: impl Fn(&mut T, &Event<'_>) -> Visit,
) -> Result<Option<(T, Walk)>, Failure> {
    let output = job.manner.open(job.output, &[job.input])?;
    let mut unbegun = Some((output, begin));
    let mut begun = None;
    let visit = &mut |dialect, located: &Located<'_>| {
        let terms = terms.get_or_init(|| job.manner.terms(dialect));
        if let Some((output, begin)) = unbegun.take() {
            begun = Some(begin(stopped(Making::new(output, terms))?, dialect));
        }
        match &mut begun {
            Some(begun) => event(begun, &located.event),
            None => Ok(()),
        }
    };
    let walk = read(job.input, job.reading, Need::All, LOOK, job.label, visit)?;
    Ok(begun.map(|begun| (begun, walk)))
}

/// The same of events that go over as they are, section by section.
pub fn make_in_sections<'t>(
    job: &Job<'_>,
    terms: &'t OnceLock<Terms>,
) -> Result<Option<(Making<'t>, Walk)>, Failure> {
    let mut output = Some(job.manner.open(job.output, &[job.input])?);
    let mut making = None;
    let sections = parts::Made {
        begin: |dialect| (terms.get_or_init(|| job.manner.terms(dialect)), None),
        event: |(terms, flow): &mut (&'t Terms, Option<Flow<'t>>), located: &Located<'_>| {
            Flow::of(flow, terms)?.event(&located.event)
        },
    };
    let take = &mut |(terms, flow): (&'t Terms, Option<Flow<'t>>)| {
        let Some(flow) = flow else {
            return Ok(());
        };
        if let Some(output) = output.take() {
            making = Some(stopped(Making::new(output, terms))?);
        }
        making
            .as_mut()
            .map_or(Ok(()), |making: &mut Making<'t>| making.append(flow))
    };
    let (reading, label) = (job.reading, job.label);
    let walk = read_parts(job.input, reading, Need::All, LOOK, label, &sections, take)?;
    Ok(making.map(|making| (making, walk)))
}
