//! `rdb-tool salvage`: a sound file of what is left of a damaged one ([`cairn_toolkit::snapshot::salvage`] does the work).

use crate::series::{KNOWN, newest_of};
use crate::snapshot::Opening;
use cairn_format::rdb::Dialect;
use cairn_toolkit::snapshot::salvage::report::Report;
use cairn_toolkit::snapshot::salvage::{Order, salvage as save};
use cairn_toolkit::{Failure, Input, Outcome, Output, Verdict};
use clap::Args;
use std::path::{Path, PathBuf};

/// Shown below the help of `salvage`.
const EXAMPLES: &str = "\
Examples:
  rdb-tool salvage -o saved.rdb dump.rdb
  rdb-tool salvage --quarantine lost.jsonl -o saved.rdb dump.rdb
  rdb-tool salvage --as redis-6.2 -o saved.rdb headless.rdb

One or two changed bytes are put right if the checksum tells which; else every record that can be read is kept as it stands, on
both sides of the damage. --quarantine has what was not kept: offsets, reason and the bytes (base64). Of a log that begins with a
snapshot the commands follow as they are. Exit status: 0 nothing was wrong, 1 something was, 2 nothing was written.
Memory: 20 MB for keys that occur twice, whatever the size of the file; beyond that their hashes go to a temporary file.";

/// The options of `rdb-tool salvage`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct SalvageArguments {
    /// Where the sound file goes; - is stdout
    #[arg(short, long)]
    output: PathBuf,
    /// What was not kept, one JSON object a line
    #[arg(long, value_name = "FILE")]
    quarantine: Option<PathBuf>,
    /// Replace what is there
    #[arg(long)]
    force: bool,
    /// What the file is taken for if its head cannot be read
    #[arg(long = "as", value_name = "VERSION", default_value = "redis-7.2", value_parser = dialect)]
    dialect: Dialect,
    /// The report as one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    opening: Opening,
    /// Damaged snapshot: a file, also compressed; - is stdin
    file: PathBuf,
}

fn dialect(name: &str) -> Result<Dialect, String> {
    Dialect::parse(newest_of(name))
        .ok_or_else(|| format!("expected a server as in redis-7.2, or a number; {KNOWN}"))
}

/// Saves what can be saved.
pub fn salvage(arguments: &SalvageArguments) -> Outcome {
    for path in std::iter::once(&arguments.output).chain(&arguments.quarantine) {
        Output::refuse_existing(path, arguments.force)?;
    }
    let input = arguments.opening.open(&arguments.file)?.into_mapped()?;
    let quarantine = arguments.quarantine.as_deref();
    let report = saved(&input, &arguments.output, quarantine, arguments.dialect)?;
    report.tell(input.name(), arguments.json, &arguments.output)?;
    Ok(Verdict::found_if(!report.is_fine()))
}

fn saved(
    input: &Input,
    output: &Path,
    quarantine: Option<&Path>,
    dialect: Dialect,
) -> Result<Report, Failure> {
    let order = Order {
        create: &|| Output::create_whole(output, &[input]),
        quarantine,
        dialect,
    };
    save(input, &order)?.finish()
}

/// Saves what can be saved of a file, and says nothing: how many keys the output has.
///
/// # Errors
/// Nothing can be read as a record, or files fail.
pub fn salvage_file(file: &Path, output: &Path) -> Result<u64, Failure> {
    let input = Opening::default().open(file)?.into_mapped()?;
    saved(&input, output, None, Dialect::REDIS_7_2).map(|report| report.keys)
}
