//! `rdb-tool inspect`: what is in a snapshot, and what takes the room.

mod growth;
mod json;
mod text;

use crate::parts::{Parts, read_parts};
use crate::snapshot::{Need, Reading, Stop, Visit, Walk};
use crate::survey::{Survey, Wanted};
use cairn_format::rdb::reader::Options;
use cairn_format::rdb::{Dialect, Event, Located};
use cairn_toolkit::select::now_ms;
use cairn_toolkit::{Failure, Input, Outcome, Output, json as toolkit_json};
use clap::Args;
use growth::Growth;
use std::path::{Path, PathBuf};

/// Shown below the help of `inspect`.
const EXAMPLES: &str = "\
Examples:
  rdb-tool inspect dump.rdb
  rdb-tool inspect --top 100 dump.rdb
  rdb-tool inspect --prefix : dump.rdb
  rdb-tool inspect --slots --shards 6 dump.rdb
  rdb-tool inspect --prefix : --live yesterday.rdb redis://localhost
  rdb-tool inspect --json dump.rdb | jq .types.hash.keys

Bytes are those in the file, after compression, with the key. Elements of a string are 1. An element's bytes are its own,
decompressed. Of prefixes 65,536 are kept; when there are more, the report says how many bytes one may have uncounted.";

/// The options of `rdb-tool inspect`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct InspectArguments {
    /// One JSON document instead of tables
    #[arg(long)]
    json: bool,
    /// How many of the largest keys, prefixes below one, and slots are listed
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    top: u32,
    /// Count by prefix, as a tree: keys come apart behind each of these separators
    #[arg(long, value_name = "SEPARATOR", value_parser = separator)]
    prefix: Option<String>,
    /// Count by cluster slot
    #[arg(long)]
    slots: bool,
    /// With --slots: how evenly this many nodes would share the keys
    #[arg(long, default_value_t = 3, requires = "slots", value_parser = clap::value_parser!(u16).range(1..=16_384))]
    shards: u16,
    /// What grew since this older snapshot, and how fast
    #[arg(long, value_name = "OLDER")]
    live: Option<PathBuf>,
    #[command(flatten)]
    reading: Reading,
    /// Snapshot to read: a file, also compressed with gzip, zstd or lz4; - is stdin; redis://host:port asks a server
    file: PathBuf,
}

fn separator(text: &str) -> Result<String, String> {
    match text {
        "" => Err("the empty separator stands everywhere".to_owned()),
        text => Ok(text.to_owned()),
    }
}

/// A file that was counted.
struct Surveyed {
    name: String,
    walk: Walk,
    survey: Survey,
}

/// Counts and reports.
pub fn inspect(arguments: &InspectArguments) -> Outcome {
    let older = match &arguments.live {
        Some(path) if path == &arguments.file && path == Path::new("-") => {
            return Err(Failure::new("both snapshots cannot come from stdin"));
        }
        Some(path) => Some(arguments.survey(&arguments.reading.open(path)?)?),
        None => None,
    };
    let input = arguments.reading.open(&arguments.file)?;
    let found = arguments.survey(&input)?;
    let growth = older.map(|older| Growth::between(older, &found, arguments.top as usize));
    let mut out = Output::stdout();
    match arguments.json {
        true => {
            let document = json::document(arguments, &found, growth.as_ref());
            toolkit_json::write_pretty(&mut out, &document)?;
        }
        false => text::write(&mut out, arguments, &found, growth.as_ref())?,
    }
    out.finish()?;
    Ok(found.walk.verdict())
}

impl InspectArguments {
    fn survey(&self, input: &Input) -> Result<Surveyed, Failure> {
        let wanted = Wanted {
            top: self.top as usize,
            separator: self.prefix.as_ref().map(|text| text.as_bytes().to_vec()),
            slots: self.slots,
            now_ms: now_ms(),
        };
        let mut survey = Survey::new(&wanted);
        let walk = read_parts(
            input,
            &self.reading,
            Need::AsFar,
            Options::shallow(),
            "inspecting",
            &Counting(wanted),
            &mut |part| {
                survey.absorb(part);
                Ok(())
            },
        )?;
        Ok(Surveyed {
            name: input.name().to_owned(),
            walk,
            survey,
        })
    }
}

/// Counts section by section.
struct Counting(Wanted);

impl Parts for Counting {
    type Part = Survey;

    fn begin(&self, _: Dialect) -> Survey {
        Survey::of_section(&self.0)
    }

    fn event(&self, survey: &mut Survey, located: &Located<'_>) -> Visit {
        survey.event(located).map_err(|error| {
            Stop::inside(match &located.event {
                Event::Record(record) => error.at_key(record.head.key).in_db(record.db),
                _ => error,
            })
        })
    }
}
