//! `rdb-tool verify`: is this file sound, and if not, where and why.

use crate::behind::Behind;
use crate::cross::{self, Agreement};
use crate::snapshot::{
    Opening, Stop, Walk, checksum_text, checksum_word, sound_part, tell_unknown, unread, walk,
};
use cairn_format::error::{Damage, FormatError};
use cairn_format::rdb::{Dialect, Options, SliceReader};
use cairn_toolkit::outcome::damage_line;
use cairn_toolkit::{
    Failure, Input, Outcome, Output, Progress, Verdict, escape, hint, human, json, note,
};
use clap::Args;
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Shown below the help of `verify`.
const EXAMPLES: &str = "\
Examples:
  rdb-tool verify dump.rdb
  rdb-tool verify --json backups/*.rdb
  rdb-tool verify --for redis-7.2 dump.rdb
  rdb-tool verify --cross-check dump.rdb
  rdb-tool verify dump.rdb.gz redis://user:password@host:6379

Checks the structure, every packed value entry by entry, and the checksum. Exit status: 0 sound,
1 damaged (a line on stderr tells offset, key and reason), 2 could not be read. Of several files all are
checked, and the worst decides.";

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
    /// Check a version that is not known as the newest known one, as far as that goes
    #[arg(long = "try")]
    try_version: bool,
    /// Ask two other implementations, too: the crate lzf for each compressed string, crc64 for the checksum. Reads the
    /// file once more, so it must be a file and no pipe
    #[arg(long)]
    cross_check: bool,
    #[command(flatten)]
    opening: Opening,
    /// Snapshots to check: files, also compressed with gzip, zstd or lz4; - is stdin; redis://host:port asks a server
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

fn server(name: &str) -> Result<Dialect, String> {
    Dialect::parse(name).ok_or_else(|| {
        "expected a server as in redis-7.2 or valkey-9.0, or a version number".to_owned()
    })
}

/// Checks each file; found if any is damaged. One that cannot be read does not keep the others from being checked, and decides the
/// exit status.
pub fn verify(arguments: &VerifyArguments) -> Outcome {
    let mut out = Output::stdout();
    let options = Options {
        any_version: arguments.try_version,
        ..arguments
            .server
            .map_or(Options::deep(), Options::for_server)
    };
    let mut damaged = false;
    let mut unread = None;
    for path in &arguments.files {
        match verify_one(path, options, arguments, &mut out) {
            Ok(found) => damaged |= found,
            Err(failure) if failure.is_quiet() => return Err(failure),
            Err(failure) => {
                out.flush()?;
                unread = Some(failure.told());
            }
        }
    }
    out.finish()?;
    unread.map_or(Ok(Verdict::found_if(damaged)), Err)
}

/// Whether a file is damaged.
fn verify_one(
    path: &Path,
    options: Options,
    arguments: &VerifyArguments,
    out: &mut Output,
) -> Result<bool, Failure> {
    let input = arguments.opening.open(path)?;
    let result = check(&input, options).and_then(|walk| refuse_more(walk, input.name()));
    let agreement = match &result {
        Ok(walk) if arguments.cross_check => Some(cross::check(&input, walk)?),
        _ => None,
    };
    let damaged = result.is_err() || agreement.as_ref().is_some_and(Agreement::is_broken);
    report(&input, result, agreement, arguments.json, out)?;
    Ok(damaged)
}

/// A file in memory is checked without building events, several times as fast as a walk; if that finds damage, a walk
/// finds the same again and counts the keys before it. A pipe can be read only once, so it is walked.
fn check(input: &Input, options: Options) -> Result<Walk, Stop> {
    if let Some(bytes) = input.bytes()
        && let Some(walk) = check_fast(input.name(), bytes, options)
    {
        return Ok(walk);
    }
    walk(input, options, "verifying", &mut |_, _| Ok(()))
}

fn check_fast(name: &str, bytes: &[u8], options: Options) -> Option<Walk> {
    let progress = Progress::line();
    progress.say(format!(
        "verifying {name}, {}",
        human::bytes(bytes.len() as u64)
    ));
    let options = Options {
        trailing: false,
        ..options
    };
    let mut reader = SliceReader::from_slice(bytes, options).ok()?;
    let checksum = cairn_format::rdb::verify(&mut reader).ok()?;
    let end = reader.offset();
    let rest = bytes.get(usize::try_from(end).ok()?..)?;
    tell_unknown(name, reader.dialect());
    Some(Walk {
        dialect: reader.dialect(),
        checksum,
        keys: reader.records(),
        bytes: end,
        behind: Behind::look(rest, end).ok()?,
        is_cut: false,
    })
}

/// Bytes behind the end are a finding: whoever trusts the file should know that servers ignore them.
fn refuse_more(walk: Walk, name: &str) -> Result<Walk, Stop> {
    let Some(behind) = walk.behind else {
        return Ok(walk);
    };
    let advice = match behind.advice(name) {
        Some(advice) => format!("the snapshot is sound; {advice}"),
        None => "the snapshot is sound, and servers ignore what follows it".to_owned(),
    };
    Err(Stop::Damage {
        error: behind.damage(walk.keys),
        walked: Some(walk),
        advice: Some(advice),
    })
}

fn report(
    input: &Input,
    result: Result<Walk, Stop>,
    agreement: Option<Agreement>,
    as_json: bool,
    out: &mut Output,
) -> Result<(), Failure> {
    let name = input.name();
    match result {
        Ok(sound) => {
            match as_json {
                true => json::write_line(out, &sound_json(name, &sound, agreement.as_ref()))?,
                false => writeln!(
                    out,
                    "{name}: sound, {}, {}, {}, {}{}",
                    sound.dialect,
                    human::plural(sound.keys, "key", "keys"),
                    human::bytes(sound.bytes),
                    checksum_text(sound.checksum),
                    agreement.as_ref().map_or(String::new(), Agreement::text)
                )?,
            }
            if let Some(agreement) = agreement.filter(Agreement::is_broken) {
                out.flush()?;
                agreement.tell(name);
            }
        }
        Err(Stop::Failed(failure)) => return Err(failure),
        // The system could not read: that says nothing about the file.
        Err(Stop::Damage { error, .. }) if error.kind == Damage::Io => {
            return Err(Failure::damage(name, &error));
        }
        Err(Stop::Damage {
            error,
            walked,
            advice,
        }) => {
            if as_json {
                json::write_line(out, &damage_json(name, &error, walked.as_ref()))?;
            }
            // What was said so far comes before what is said now, also when both go to one terminal.
            out.flush()?;
            note(&damage_line(name, &error));
            let unknown = walked.filter(|walk| !walk.dialect.is_known());
            let text = advice
                .or_else(|| unknown.map(|walk| unread(&walk)))
                .or_else(|| sound_part(&error, walked.as_ref()));
            if let Some(text) = text {
                hint(&text);
            }
        }
    }
    Ok(())
}

fn sound_json(name: &str, sound: &Walk, agreement: Option<&Agreement>) -> Value {
    let mut value = json!({
        "file": name,
        "sound": true,
        "version": sound.dialect.version(),
        "keys": sound.keys,
        "bytes": sound.bytes,
        "checksum": checksum_word(sound.checksum),
    });
    if let (Some(agreement), Some(value)) = (agreement, value.as_object_mut()) {
        value.insert("cross_check".to_owned(), agreement.json());
    }
    value
}

fn damage_json(name: &str, error: &FormatError, walked: Option<&Walk>) -> Value {
    let mut value = json!({
        "file": name,
        "sound": false,
        "kind": error.kind.name(),
        "offset": error.offset,
        "db": error.db,
        "key": error.key.as_deref().map(escape::quoted_whole),
        "reason": error.what,
        "sound_until": walked.map(|walk| walk.bytes),
        "keys_before": walked.map_or(0, |walk| walk.keys),
    });
    if let (Some(behind), Some(value)) =
        (walked.and_then(|walk| walk.behind), value.as_object_mut())
    {
        value.insert("bytes_behind".to_owned(), behind.bytes.into());
        value.insert("behind".to_owned(), behind.looks.word().into());
    }
    value
}
