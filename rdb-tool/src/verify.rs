//! `rdb-tool verify`: is this file sound, and if not, where and why.

use crate::snapshot::{Stop, Walk, checksum_text, checksum_word, sound_part, walk};
use cairn_format::error::{Damage, FormatError};
use cairn_format::rdb::Dialect;
use cairn_format::rdb::reader::Options;
use cairn_toolkit::outcome::damage_line;
use cairn_toolkit::{Failure, Input, Outcome, Output, Verdict, escape, hint, human, json, note};
use clap::Args;
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;

/// Shown below the help of `verify`.
const EXAMPLES: &str = "\
Examples:
  rdb-tool verify dump.rdb
  rdb-tool verify --json backups/*.rdb
  rdb-tool verify --for redis-7.2 dump.rdb
  zcat dump.rdb.gz | rdb-tool verify -

Checks the structure, every packed value entry by entry, and the checksum. Exit status: 0 sound,
1 damaged (a line on stderr tells offset, key and reason), 2 could not be read.";

/// The options of `rdb-tool verify`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct VerifyArguments {
    /// One JSON object a line for each file, on stdout
    #[arg(long)]
    json: bool,
    /// Also find what this server cannot load with its default configuration and without modules:
    /// a newer version, a database above 15, values of modules
    #[arg(long = "for", value_name = "SERVER", value_parser = server)]
    server: Option<Dialect>,
    /// Snapshots to check; - is stdin
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

fn server(name: &str) -> Result<Dialect, String> {
    Dialect::parse(name).ok_or_else(|| {
        "expected a server as in redis-7.2 or valkey-9.0, or a version number".to_owned()
    })
}

/// Checks each file; found if any is damaged.
pub fn verify(arguments: &VerifyArguments) -> Outcome {
    let mut out = Output::stdout();
    let options = arguments
        .server
        .map_or(Options::deep(), Options::for_server);
    let mut damaged = false;
    for path in &arguments.files {
        let input = Input::open(path)?;
        let result = walk(&input, options, "verifying", &mut |_, _| Ok(()));
        damaged |= result.is_err();
        report(&input, result, arguments.json, &mut out)?;
    }
    out.finish()?;
    Ok(Verdict::found_if(damaged))
}

fn report(
    input: &Input,
    result: Result<Walk, Stop>,
    as_json: bool,
    out: &mut Output,
) -> Result<(), Failure> {
    let name = input.name();
    match result {
        Ok(walk) if as_json => json::write_line(out, &sound_json(name, &walk))?,
        Ok(walk) => writeln!(
            out,
            "{name}: sound, {}, {}, {}, {}",
            walk.dialect,
            human::plural(walk.keys, "key", "keys"),
            human::bytes(walk.bytes),
            checksum_text(walk.checksum)
        )?,
        Err(Stop::Failed(failure)) => return Err(failure),
        // The system could not read: that says nothing about the file.
        Err(Stop::Damage { error, .. }) if error.kind == Damage::Io => {
            return Err(Failure::damage(name, &error));
        }
        Err(Stop::Damage { error, sound, keys }) => {
            if as_json {
                json::write_line(out, &damage_json(name, &error, sound, keys))?;
            }
            // What was said so far comes before what is said now, also when both go to one terminal.
            out.flush()?;
            note(&damage_line(name, &error));
            if let Some(text) = sound_part(&error, sound, keys) {
                hint(&text);
            }
        }
    }
    Ok(())
}

fn sound_json(name: &str, walk: &Walk) -> Value {
    json!({
        "file": name,
        "sound": true,
        "version": walk.dialect.version(),
        "keys": walk.keys,
        "bytes": walk.bytes,
        "checksum": checksum_word(walk.checksum),
    })
}

fn damage_json(name: &str, error: &FormatError, sound: Option<u64>, keys: u64) -> Value {
    json!({
        "file": name,
        "sound": false,
        "kind": error.kind.name(),
        "offset": error.offset,
        "db": error.db,
        "key": error.key.as_deref().map(escape::quoted_whole),
        "reason": error.what,
        "sound_until": sound,
        "keys_before": keys,
    })
}
