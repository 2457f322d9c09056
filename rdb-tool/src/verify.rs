//! `rdb-tool verify`: is this file sound, and if not, where and why.

use crate::snapshot::{Stop, checksum_text, checksum_word, sound_part, walk};
use cairn_format::error::{Damage, FormatError};
use cairn_format::rdb::{Checksum, Dialect, Options, SliceReader};
use cairn_toolkit::outcome::damage_line;
use cairn_toolkit::{
    Failure, Input, Outcome, Output, Progress, Verdict, escape, hint, human, json, note,
};
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
        let result = check(&input, options);
        damaged |= result.is_err();
        report(&input, result, arguments.json, &mut out)?;
    }
    out.finish()?;
    Ok(Verdict::found_if(damaged))
}

/// What is known of a sound file.
struct Sound {
    dialect: Dialect,
    checksum: Checksum,
    keys: u64,
    bytes: u64,
}

/// A file in memory is checked without building events, several times as fast as a walk; if that finds damage, a walk
/// finds the same again and counts the keys before it. A pipe can be read only once, so it is walked.
fn check(input: &Input, options: Options) -> Result<Sound, Stop> {
    if let Some(bytes) = input.bytes()
        && let Some(sound) = check_fast(input.name(), bytes, options)
    {
        return Ok(sound);
    }
    let walk = walk(input, options, "verifying", &mut |_, _| Ok(()))?;
    Ok(Sound {
        dialect: walk.dialect,
        checksum: walk.checksum,
        keys: walk.keys,
        bytes: walk.bytes,
    })
}

fn check_fast(name: &str, bytes: &[u8], options: Options) -> Option<Sound> {
    let progress = Progress::line();
    progress.say(format!(
        "verifying {name}, {}",
        human::bytes(bytes.len() as u64)
    ));
    let mut reader = SliceReader::from_slice(bytes, options).ok()?;
    let checksum = cairn_format::rdb::verify(&mut reader).ok()?;
    Some(Sound {
        dialect: reader.dialect(),
        checksum,
        keys: reader.records(),
        bytes: reader.offset(),
    })
}

fn report(
    input: &Input,
    result: Result<Sound, Stop>,
    as_json: bool,
    out: &mut Output,
) -> Result<(), Failure> {
    let name = input.name();
    match result {
        Ok(sound) if as_json => json::write_line(out, &sound_json(name, &sound))?,
        Ok(sound) => writeln!(
            out,
            "{name}: sound, {}, {}, {}, {}",
            sound.dialect,
            human::plural(sound.keys, "key", "keys"),
            human::bytes(sound.bytes),
            checksum_text(sound.checksum)
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

fn sound_json(name: &str, sound: &Sound) -> Value {
    json!({
        "file": name,
        "sound": true,
        "version": sound.dialect.version(),
        "keys": sound.keys,
        "bytes": sound.bytes,
        "checksum": checksum_word(sound.checksum),
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
