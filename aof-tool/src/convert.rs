//! `aof-tool convert`: a log in one file as a folder in parts, and back. Commands stay byte by byte as they stood; nothing is run.
//!
//! ```text
//!   appendonly.aof             appendonlydir/
//!   snapshot                   appendonly.aof.1.base.rdb
//!   commands            <->    appendonly.aof.1.incr.aof       without a snapshot: appendonly.aof.1.base.aof
//!                              appendonly.aof.manifest
//! ```

use crate::check::check_file;
use crate::fix::copy;
use crate::log::{File, Log};
use crate::report::Report;
use crate::rules::RulesArguments;
use cairn_format::aof::extent::Rules;
use cairn_format::aof::manifest::{Manifest, Part, PartType, base_name, incr_name};
use cairn_format::aof::reader::SliceReader;
use cairn_format::aof::release::Release;
use cairn_format::aof::writer::LogState;
use cairn_format::text::number::parse_i64;
use cairn_toolkit::folder::{Folder, PREFIX};
use cairn_toolkit::human::plural;
use cairn_toolkit::outcome::damage_line;
use cairn_toolkit::{Failure, Input, Outcome, Output, Verdict, note};
use clap::Args;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The options of `aof-tool convert`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  aof-tool convert appendonly.aof -o appendonlydir
  aof-tool convert appendonlydir -o appendonly.aof
  aof-tool convert --to redis-6.2 appendonlydir -o appendonly.aof

A log in one file becomes a folder, a folder one file: its snapshot, then all commands. Servers before 7.0 know no annotations, so --to leaves them out
for such. For another version of the snapshot, and for a shorter log, there is `aof-tool rewrite`.

Exit status: 0 written, 2 not written.")]
pub struct ConvertArguments {
    /// Log file, folder, manifest, or - for standard input
    path: PathBuf,
    /// The new log: a folder that is new or empty, or a file; - is standard output
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
    /// What the files of a new folder are called (appendfilename)
    #[arg(long, default_value = PREFIX, value_name = "NAME", value_parser = file_name)]
    name: String,
    /// Server that is to read a log in one file, as in redis-6.2
    #[arg(long, value_name = "SERVER", value_parser = release)]
    to: Option<Release>,
    #[command(flatten)]
    rules: RulesArguments,
}

fn release(name: &str) -> Result<Release, String> {
    Release::parse(name).ok_or_else(|| "expected a server as in redis-6.2 or valkey-9.0".into())
}

/// A name of a file without folder.
pub fn file_name(name: &str) -> Result<String, String> {
    match name.is_empty() || name.contains(['/', '\\']) {
        true => Err("expected a name without folder".to_owned()),
        false => Ok(name.to_owned()),
    }
}

/// A file of the log that was found sound.
struct Sound {
    input: Input,
    /// Behind its snapshot.
    begin: usize,
    end: usize,
}

/// Convert the log that was named.
pub fn run(arguments: &ConvertArguments) -> Outcome {
    let log = Log::find_sound(&arguments.path)?;
    log.refuse_as_output(&arguments.output)?;
    if log.manifest.is_some() {
        Output::refuse_existing(&arguments.output, arguments.force)?;
    }
    let rules = arguments.rules.rules();
    let files = log.files.iter().map(|file| sound(file, rules));
    let files = files.collect::<Result<Vec<_>, Failure>>()?;
    match log.manifest.is_some() {
        true => into_file(&files, arguments)?,
        false => into_folder(&files, arguments)?,
    }
    let name = arguments.path.display();
    let parts = plural(files.len() as u64, "file", "files");
    note(&format!(
        "{name}: {parts} became {}",
        arguments.output.display()
    ));
    Ok(Verdict::Fine)
}

fn sound(file: &File, rules: Rules) -> Result<Sound, Failure> {
    let input = Input::open(&file.path)?.into_mapped()?;
    let report = check_file(file, &input, rules)?;
    refuse_damaged(&report)?;
    let begin = report.preamble.map_or(0, |preamble| preamble.end);
    let end = input.bytes().unwrap_or_default().len();
    Ok(Sound {
        begin: usize::try_from(begin).unwrap_or(end),
        end,
        input,
    })
}

/// What to do about a damaged log of which nothing was made.
pub const DAMAGED: &str = "nothing was written; `aof-tool fix` drops what is damaged";

/// A damaged log is not carried on as if it were none.
pub fn refuse_damaged(report: &Report) -> Result<(), Failure> {
    match report.damage() {
        None => Ok(()),
        Some(damage) => Err(Failure::new(damage_line(&report.name, damage)).hint(DAMAGED)),
    }
}

fn into_folder(files: &[Sound], arguments: &ConvertArguments) -> Result<(), Failure> {
    if arguments.output == Path::new("-") {
        return Err(Failure::new("a folder cannot go to standard output"));
    }
    let folder = Folder::create(&arguments.output, &arguments.name)?;
    let done = files
        .iter()
        .try_for_each(|file| split(file, &folder, &arguments.name));
    if done.is_err() {
        folder.abandon();
    }
    done
}

/// The snapshot becomes the base and what follows the increment; commands alone are a base as they are.
fn split(file: &Sound, folder: &Folder, name: &str) -> Result<(), Failure> {
    let is_snapshot = file.begin > 0;
    let base = Part::new(base_name(name, 1, is_snapshot), 1, PartType::Base);
    let incr = Part::new(incr_name(name, 1), 1, PartType::Incr);
    let cut = if is_snapshot { file.begin } else { file.end };
    let mut outputs = Vec::new();
    for (part, range) in [(&base, 0..cut), (&incr, cut..file.end)] {
        let mut output = Output::create(&folder.part(part), &[&file.input])?;
        copy(&file.input, range, &mut output)?;
        outputs.push(output);
    }
    outputs.into_iter().try_for_each(Output::finish)?;
    folder.list(&Manifest {
        base: Some(base),
        incr: vec![incr],
        history: Vec::new(),
    })
}

fn into_file(files: &[Sound], arguments: &ConvertArguments) -> Result<(), Failure> {
    let inputs: Vec<&Input> = files.iter().map(|file| &file.input).collect();
    let mut output = Output::create_whole(&arguments.output, &inputs)?;
    let keeps_annotations = arguments.to.is_none_or(Release::has_annotations);
    let mut db = 0;
    for (number, file) in files.iter().enumerate() {
        if number > 0 && file.begin > 0 {
            let name = file.input.name();
            return Err(Failure::new(format!(
                "{name}: a snapshot behind other parts has no place in one file"
            ))
            .hint("nothing was written; `aof-tool rewrite` runs the log"));
        }
        copy(&file.input, 0..file.begin, &mut output)?;
        // Each file begins in database 0, in one file the commands before it have a say.
        if db != 0 {
            let mut select = Vec::new();
            LogState::new().before_command(&mut select, 0, None);
            output.write_all(&select)?;
        }
        db = commands(file, &mut output, keeps_annotations)?;
    }
    output.finish()
}

/// Writes the commands of a file; gives the database that is selected at its end.
fn commands(file: &Sound, out: &mut Output, keeps_annotations: bool) -> Result<u64, Failure> {
    let bytes = file.input.bytes().unwrap_or_default();
    let base = file.begin as u64;
    let mut reader = SliceReader::new(bytes.get(file.begin..).unwrap_or_default(), base);
    let mut db = 0;
    while let Some(item) = reader
        .next_item()
        .map_err(|error| Failure::damage(file.input.name(), &error))?
    {
        file.input.passed(item.offset);
        if item.annotation().is_some() && !keeps_annotations {
            continue;
        }
        if item
            .arg(0)
            .is_some_and(|name| name.eq_ignore_ascii_case(b"select"))
        {
            let found = item.arg(1).and_then(parse_i64);
            db = found.and_then(|db| u64::try_from(db).ok()).unwrap_or(db);
        }
        out.write_all(item.raw)?;
    }
    Ok(db)
}
