//! One walk over a snapshot on all processors, for commands that can make something of each section by itself.
//!
//! ```text
//!   sections     1     2     3     4            read on any thread, in any order
//!   Parts        part  part  part  part         what is made of their events there
//!   take         1, 2, 3, 4                     on the calling thread, in the order of the file
//! ```
//!
//! What comes out is what one walk from front to back gives ([`cairn_format::rdb::reader::read_in_sections`] sees to that). A pipe is
//! read on the calling thread, its sections one after the other.

use crate::snapshot::{Need, Reading, Stop, Visit, Walk, read_as, tell_unknown, unopened, walk};
use cairn_format::rdb::reader::{Halt, Options, SliceReader, Work, read_in_sections};
use cairn_format::rdb::{Dialect, Event, Located};
use cairn_toolkit::snapshot::again::plan;
use cairn_toolkit::snapshot::behind::Behind;
use cairn_toolkit::{Failure, Input, Progress};

/// What a command makes of sections.
pub trait Parts: Sync {
    /// What is made of one.
    type Part: Send;

    /// Begins one of a file of this dialect. The first section is read before any other begins.
    fn begin(&self, dialect: Dialect) -> Self::Part;

    /// Takes in an event of it.
    fn event(&self, part: &mut Self::Part, located: &Located<'_>) -> Visit;
}

/// Parts as two functions: what begins one, and what takes in an event.
pub struct Made<B, E> {
    /// Begins one.
    pub begin: B,
    /// Takes in an event.
    pub event: E,
}

impl<P, B, E> Parts for Made<B, E>
where
    P: Send,
    B: Fn(Dialect) -> P + Sync,
    E: Fn(&mut P, &Located<'_>) -> Visit + Sync,
{
    type Part = P;

    fn begin(&self, dialect: Dialect) -> P {
        (self.begin)(dialect)
    }

    fn event(&self, part: &mut P, located: &Located<'_>) -> Visit {
        (self.event)(part, located)
    }
}

/// As [`crate::snapshot::read`], in sections.
pub fn read_parts<P: Parts>(
    input: &Input,
    reading: &Reading,
    need: Need,
    options: Options,
    label: &str,
    parts: &P,
    take: &mut dyn FnMut(P::Part) -> Visit,
) -> Result<Walk, Failure> {
    let parts = Chosen {
        parts,
        reading: (!reading.is_all()).then_some(reading),
    };
    read_as(input, reading, need, options, |options| {
        match input.bytes() {
            Some(bytes) => of_file(input, bytes, options, label, &parts, take),
            None => of_stream(input, options, label, &parts, take),
        }
    })
}

/// Parts that see what was asked for.
struct Chosen<'r, P> {
    parts: &'r P,
    /// What says so, unless it is everything.
    reading: Option<&'r Reading>,
}

impl<P: Parts> Work for Chosen<'_, P> {
    type Part = P::Part;
    type Stop = Stop;

    fn begin(&self, dialect: Dialect) -> P::Part {
        self.parts.begin(dialect)
    }

    fn event(&self, part: &mut P::Part, located: &Located<'_>) -> Visit {
        match self.reading.is_none_or(|reading| reading.takes(located)) {
            true => self.parts.event(part, located),
            false => Ok(()),
        }
    }
}

fn of_file<P: Parts>(
    input: &Input,
    bytes: &[u8],
    options: Options,
    label: &str,
    parts: &Chosen<'_, P>,
    take: &mut dyn FnMut(P::Part) -> Visit,
) -> Result<Walk, Stop> {
    let mut progress = Progress::bytes(label, input.len());
    let opened = SliceReader::from_slice(bytes, options).map(|reader| reader.dialect());
    if let Ok(dialect) = opened {
        tell_unknown(input.name(), dialect);
    }
    let reached = read_in_sections(bytes, options, plan(), parts, &mut |part, end| {
        take(part)?;
        progress.at(end);
        input.passed(end);
        Ok(())
    })
    .map_err(|error| unopened(input, bytes, error))?;
    let mut walk = Walk {
        dialect: reached.dialect,
        checksum: reached.checksum,
        bytes: reached.end,
        keys: reached.records,
        behind: None,
        is_cut: false,
    };
    match reached.halt {
        // Who looked into a value and found damage there cannot know what came before.
        Some(Halt::Damage(error) | Halt::Stopped(Stop::Damage { error, .. })) => {
            Err(Stop::Damage {
                error,
                walked: Some(walk),
                advice: None,
            })
        }
        Some(Halt::Stopped(stop)) => Err(stop),
        None => {
            let rest = usize::try_from(walk.bytes)
                .ok()
                .and_then(|end| bytes.get(end..));
            walk.behind = Behind::look(rest.unwrap_or_default(), walk.bytes)
                .map_err(|error| Stop::Failed(Failure::io(input.name(), &error)))?;
            Ok(walk)
        }
    }
}

fn of_stream<P: Parts>(
    input: &Input,
    options: Options,
    label: &str,
    parts: &Chosen<'_, P>,
    take: &mut dyn FnMut(P::Part) -> Visit,
) -> Result<Walk, Stop> {
    let section = plan().section as u64;
    let mut part = None;
    let mut until = section;
    let walked = walk(input, options, label, &mut |dialect, located| {
        let this = part.get_or_insert_with(|| parts.begin(dialect));
        parts.event(this, located)?;
        let is_record = matches!(located.event, Event::Record(_));
        if is_record && located.end >= until {
            until = located.end + section;
            part.take().map_or(Ok(()), &mut *take)?;
        }
        Ok(())
    });
    part.map_or(Ok(()), take)?;
    walked
}
