//! The records of a whole log one after the other, each with what a reader has to know of it: its file, its database, its time.

use crate::log::{File, Log};
use crate::part::{self, Look, Preamble, Problem};
use cairn_format::aof::reader::{Item, Records};
use cairn_format::aof::record::timestamp;
use cairn_format::error::{Damage, FormatError};
use cairn_format::text::number::parse_i64;
use cairn_toolkit::outcome::damage_line;
use cairn_toolkit::{Failure, Input, Progress, note};

/// A record and what the log has said before it.
#[derive(Clone, Copy)]
pub struct Step<'a> {
    pub item: &'a Item<'a>,
    /// The database of a command; that of SELECT is the one it selects.
    pub db: u64,
    /// The last timestamp, Unix seconds.
    pub second: Option<i64>,
    /// The how many-th command of the whole log it is, from 1; of an annotation that of the command before.
    pub number: u64,
}

/// Who looks at a log.
pub trait Visitor {
    /// A file begins; `name` is told if the log may have others.
    fn file(&mut self, _name: Option<&str>) {}

    /// Its snapshot, whose end and keys were found.
    ///
    /// # Errors
    /// What ends the walk.
    fn preamble(&mut self, _input: &Input, _preamble: Preamble) -> Result<(), Failure> {
        Ok(())
    }

    /// What ended a file early.
    fn damage(&mut self, input: &Input, error: &FormatError) {
        note(&damage_line(input.name(), error));
    }

    /// A record.
    ///
    /// # Errors
    /// What ends the walk.
    fn step(&mut self, step: &Step<'_>) -> Result<(), Failure>;
}

/// Walks over the log, telling damage on the way; gives whether there was any. What is behind damage in its file is not seen.
pub fn walk(log: &Log, label: &str, visitor: &mut impl Visitor) -> Result<bool, Failure> {
    let mut found = tell_manifest(log);
    let mut place = Place::default();
    for file in &log.files {
        let input = Input::open(&file.path)?;
        visitor.file(log.manifest.as_ref().map(|_| name_of(file)).as_deref());
        found |= walk_file(&input, label, &mut place, visitor)?;
    }
    Ok(found)
}

/// Tells what is wrong with the manifest, if anything is.
fn tell_manifest(log: &Log) -> bool {
    let manifest = log.manifest.as_ref();
    let damage = manifest.and_then(|manifest| Some((manifest, manifest.damage.as_ref()?)));
    if let Some((manifest, damage)) = damage {
        note(&damage_line(&manifest.path.display().to_string(), damage));
    }
    damage.is_some()
}

/// The name of a file without its folder.
pub fn name_of(file: &File) -> String {
    let name = file.path.file_name().unwrap_or(file.path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// What the log has said so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    pub db: u64,
    pub second: Option<i64>,
    pub number: u64,
}

impl Place {
    /// Takes the next record.
    #[inline]
    pub fn take(&mut self, item: &Item<'_>) {
        match item.annotation() {
            Some(text) => self.second = timestamp(text).or(self.second),
            None => {
                self.number += 1;
                if item.argc() == 2
                    && let Some(name) = item.arg(0)
                    && name.eq_ignore_ascii_case(b"select")
                {
                    let db = item.arg(1).and_then(parse_i64);
                    self.db = db.and_then(|db| u64::try_from(db).ok()).unwrap_or(self.db);
                }
            }
        }
    }

    /// A record that was taken, with what is known there.
    #[inline]
    pub fn step<'a>(&self, item: &'a Item<'a>) -> Step<'a> {
        Step {
            item,
            db: self.db,
            second: self.second,
            number: self.number,
        }
    }
}

/// One file of a log, which is at `place`; tells damage, and gives whether there was any.
pub fn walk_file(
    input: &Input,
    label: &str,
    place: &mut Place,
    visitor: &mut impl Visitor,
) -> Result<bool, Failure> {
    let mut progress = Progress::bytes(label, input.len());
    let (preamble, mut commands) = match part::open(input, &mut Look::Structure, &mut progress) {
        Ok(opened) => opened,
        Err(Problem::Damaged(error)) => {
            visitor.damage(input, &error);
            return Ok(true);
        }
        Err(Problem::Failed(failure)) => return Err(failure),
    };
    if let Some(preamble) = preamble {
        visitor.preamble(input, preamble)?;
    }
    // Servers begin each file with database 0.
    place.db = 0;
    loop {
        match commands.next_item() {
            Ok(Some(item)) => {
                progress.at(item.offset);
                input.passed(item.offset);
                place.take(&item);
                visitor.step(&place.step(&item))?;
            }
            Ok(None) => return Ok(false),
            Err(error) if error.kind == Damage::Io => {
                return Err(Failure::damage(input.name(), &error));
            }
            Err(error) => {
                visitor.damage(input, &error);
                return Ok(true);
            }
        }
    }
}
