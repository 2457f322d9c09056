//! `aof-tool copy`: the log of a living server, safely: what the copy has was the log at one moment.
//!
//! ```text
//!   1. the manifest, then its files opened, so that they stay even where a rewrite removes their names
//!   2. each copied to the end that it had; the last, to which the server appends, up to its last whole record or transaction
//!   3. the manifest again: another one says that a rewrite began or ended meanwhile, and all is done once more
//! ```

use crate::check::check_file;
use crate::convert::{file_name, refuse_damaged};
use crate::fix::copy;
use crate::log::{File, Log};
use crate::report::Report;
use crate::rules::RulesArguments;
use cairn_format::aof::extent::Cure;
use cairn_format::aof::manifest::{Manifest, Part, manifest_name};
use cairn_toolkit::folder::Folder;
use cairn_toolkit::human::{self, plural};
use cairn_toolkit::{Failure, Input, Outcome, Output, Verdict, note};
use clap::Args;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The options of `aof-tool copy`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  aof-tool copy /var/lib/redis/appendonlydir -o backup/appendonlydir
  aof-tool copy appendonly.aof -o backup.aof

The server may go on writing and rewriting: a rewrite under way is seen, and the copy begins again. It ends at the last command or transaction that was
whole, and passes `aof-tool check`.

Exit status: 0 copied, 2 not copied.")]
pub struct CopyArguments {
    /// Log file, folder or manifest
    path: PathBuf,
    /// The copy: a folder that is new or empty, or a file for a log in one file
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
    /// How often it begins again if a rewrite comes between
    #[arg(long, default_value_t = 20, value_name = "N")]
    tries: u32,
    #[command(flatten)]
    rules: RulesArguments,
}

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// What became of one try.
enum Try {
    Copied(u64),
    /// A rewrite came between.
    Changed,
}

/// Copy the log that was named.
pub fn run(arguments: &CopyArguments) -> Outcome {
    if arguments.path == Path::new("-") || arguments.output == Path::new("-") {
        return Err(Failure::new(
            "a living log is a file or a folder, and so is its copy",
        ));
    }
    for number in 1..=arguments.tries.max(1) {
        if number > 1 {
            std::thread::sleep(PAUSE);
        }
        if let Try::Copied(bytes) = copy_once(arguments)? {
            let name = arguments.path.display();
            let again = match number {
                1 => String::new(),
                n => format!(", at try {n}"),
            };
            note(&format!("{name}: {} copied{again}", human::bytes(bytes)));
            return Ok(Verdict::Fine);
        }
    }
    let tries = plural(u64::from(arguments.tries), "try", "tries");
    Err(Failure::new(format!(
        "{}: not copied: a rewrite came between at each of {tries}",
        arguments.path.display()
    ))
    .hint("--tries N allows for more"))
}

fn copy_once(arguments: &CopyArguments) -> Result<Try, Failure> {
    let log = Log::find_sound(&arguments.path)?;
    log.refuse_as_output(&arguments.output)?;
    let Some(manifest) = &log.manifest else {
        return copy_file(arguments, &log.files);
    };
    let text = fs::read(&manifest.path)
        .map_err(|error| Failure::io(&manifest.path.display().to_string(), &error))?;
    let name = manifest.path.display().to_string();
    let listed = Manifest::parse(&text).map_err(|error| Failure::damage(&name, &error))?;
    // Found before the text was read: they may be of different moments.
    let mut inputs = Vec::new();
    for file in &log.files {
        match is_gone(&file.path) {
            true => return still_the_same(&manifest.path, &text, &file.path),
            false => inputs.push(Input::open(&file.path)?.into_mapped()?),
        }
    }
    let listed_now = listed.to_load().map(|part| part.name.as_slice());
    let found = log.files.iter().filter_map(|file| file.path.file_name());
    if !listed_now.eq(found.map(OsStrExt::as_bytes)) {
        return Ok(Try::Changed);
    }
    let prefix = manifest.path.file_name().and_then(|name| name.to_str());
    let prefix = prefix.and_then(|name| name.strip_suffix(".manifest"));
    let prefix = prefix.map_or_else(|| Err("no name".to_owned()), file_name);
    let prefix = prefix.map_err(|_| {
        Failure::new(format!(
            "{name}: not copied: its name is not that of a manifest"
        ))
        .hint(format!("servers call it NAME{}", manifest_name("")))
    })?;
    let mut outputs = Vec::new();
    let folder = Folder::create(&arguments.output, &prefix)?;
    let done = copy_parts(
        arguments,
        &log.files,
        &inputs,
        &listed,
        &folder,
        &mut outputs,
    );
    let same = fs::read(&manifest.path).is_ok_and(|now| now == text);
    match done {
        Ok(bytes) if same => {
            outputs.into_iter().try_for_each(Output::finish)?;
            let kept = Manifest {
                history: Vec::new(),
                ..listed
            };
            folder.list(&kept)?;
            Ok(Try::Copied(bytes))
        }
        failed => {
            drop(outputs);
            folder.abandon();
            match failed {
                Err(failure) if same => Err(failure),
                _ => Ok(Try::Changed),
            }
        }
    }
}

fn is_gone(path: &Path) -> bool {
    matches!(path.try_exists(), Ok(false))
}

/// A file is missing: because a rewrite removed it, or because it is lost.
fn still_the_same(manifest: &Path, text: &[u8], missing: &Path) -> Result<Try, Failure> {
    match fs::read(manifest).is_ok_and(|now| now == text) {
        true => Err(Failure::new(format!(
            "{}: the manifest lists this file, and it is missing",
            missing.display()
        ))),
        false => Ok(Try::Changed),
    }
}

fn copy_parts(
    arguments: &CopyArguments,
    files: &[File],
    inputs: &[Input],
    listed: &Manifest,
    folder: &Folder,
    outputs: &mut Vec<Output>,
) -> Result<u64, Failure> {
    let mut bytes = 0;
    for ((part, file), input) in listed.to_load().zip(files).zip(inputs) {
        let part: &Part = part;
        let end = whole_end(file, input, arguments)?;
        let mut output = Output::create(&folder.part(part), &[input])?;
        copy(input, 0..end, &mut output)?;
        outputs.push(output);
        bytes += end as u64;
    }
    Ok(bytes)
}

/// Up to where a file is copied: all of it, the last one up to what was whole when it was looked at.
fn whole_end(file: &File, input: &Input, arguments: &CopyArguments) -> Result<usize, Failure> {
    let rules = arguments.rules.rules();
    let size = input.bytes().unwrap_or_default().len();
    let report: Report = check_file(file, input, rules)?;
    let is_torn = file.is_last && report.extent.cure == Some(Cure::Cut);
    if is_torn && (report.extent.valid_end > 0 || report.preamble.is_none()) {
        return Ok(usize::try_from(report.extent.valid_end).unwrap_or(size));
    }
    refuse_damaged(&report)?;
    Ok(size)
}

/// A log in one file: servers before 7.0 replace it when they rewrite it.
fn copy_file(arguments: &CopyArguments, files: &[File]) -> Result<Try, Failure> {
    let [file] = files else {
        return Ok(Try::Changed);
    };
    let input = Input::open(&file.path)?.into_mapped()?;
    let end = whole_end(file, &input, arguments)?;
    if arguments.output.is_dir() {
        return Err(Failure::new(format!(
            "{}: is a folder, and the log is one file",
            arguments.output.display()
        )));
    }
    Output::refuse_existing(&arguments.output, arguments.force)?;
    let mut output = Output::create(&arguments.output, &[&input])?;
    copy(&input, 0..end, &mut output)?;
    output.finish()?;
    Ok(Try::Copied(end as u64))
}
