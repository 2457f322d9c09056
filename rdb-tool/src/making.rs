//! A snapshot that is made of others: opened, filled with events, ended, read again.
//!
//! Function libraries, data of modules outside the keys and facts about the file go over as they are. Hints at numbers of keys
//! do not: they would be those of another file. Databases are selected as their keys come.

use crate::carry::{Carrier, Terms};
use crate::convert::LOOK;
use crate::policy::Policies;
use crate::snapshot::{Need, Reading, Stop, Visit, Walk, read, walk};
use cairn_format::rdb::writer::WriteResult;
use cairn_format::rdb::{Dialect, Event, Located, Record, Writer, Written};
use cairn_toolkit::{Failure, Input, Output, hint};
use clap::Args;
use std::cell::OnceCell;
use std::path::Path;

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
    carrier: Carrier<'t, Output>,
    terms: &'t Terms,
    name: String,
    db: Option<u64>,
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

impl<'t> Making<'t> {
    /// Writes the header.
    pub fn new(output: Output, terms: &'t Terms) -> Result<Making<'t>, Failure> {
        Ok(Making {
            name: output.name().to_owned(),
            carrier: Carrier::new(output, terms)?,
            terms,
            db: None,
            keys: 0,
        })
    }

    /// Takes an event over.
    pub fn event(&mut self, event: &Event<'_>) -> Visit {
        match event {
            Event::SelectDb(_) | Event::Resize { .. } | Event::SlotInfo { .. } | Event::End(_) => {
                return Ok(());
            }
            Event::Record(record) => self.begin(record.db)?,
            _ => {}
        }
        self.carrier.event(event)
    }

    /// Takes over what `write` writes in place of a record, which is one key.
    pub fn instead(
        &mut self,
        record: &Record<'_>,
        write: impl FnOnce(&mut Writer<Output>) -> WriteResult<Written>,
    ) -> Visit {
        self.begin(record.db)?;
        self.carrier
            .write_with(&Event::Record(record.clone()), write)
    }

    fn begin(&mut self, db: u64) -> Visit {
        if self.db != Some(db) {
            self.carrier.event(&Event::SelectDb(db))?;
            self.db = Some(db);
        }
        self.keys += 1;
        Ok(())
    }

    /// Writes the end and reads what was written. `input` is what it was made of.
    pub fn finish(self, input: &str) -> Result<Made, Failure> {
        let carried = self.carrier.finish_into(input)?;
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
        let Some(again) = output.read_back()? else {
            return Ok(Made {
                output,
                keys: self.keys,
                bytes: None,
            });
        };
        let label = format!("reading {} again", self.name);
        let walked = walk(&again, LOOK, &label, &mut |_, _| Ok(())).map_err(|stop| {
            hint("nothing was written; this is a fault of ours or of the disk");
            stop.into_failure(&self.name)
        })?;
        // Empty collections are left out as servers do it.
        if walked.keys > self.keys || walked.keys + carried.mended < self.keys {
            let (found, given) = (walked.keys, self.keys);
            let line = format!(
                "{}: {found} keys can be read where {given} were written",
                self.name
            );
            return Err(Failure::new(line)
                .hint("nothing was written; this is a fault of ours or of the disk"));
        }
        Ok(Made {
            output,
            keys: walked.keys,
            bytes: Some(walked.bytes),
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
/// events. Nothing if there was no event, not even the end of the file.
pub fn make<'t, T>(
    job: &Job<'_>,
    terms: &'t OnceCell<Terms>,
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
