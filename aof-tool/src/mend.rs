//! `aof-tool fix`: a damaged log without its damage. What is damaged is dropped, with the transaction that it belongs to, and the rest
//! stays byte by byte; where nothing good follows, that is a cut.
//!
//! All files of the log are looked at before one is changed. The file as it was gets the name `<name>.bak`, too, then the new one is
//! written beside it, synced, and takes its first name.

use crate::fix::{copy, set_aside};
use crate::log::{File, Log, Role};
use crate::part::{self, Look, Problem};
use crate::report::{fault_json, fault_line};
use crate::rescue::{self, Rescued};
use crate::rules::RulesArguments;
use cairn_format::aof::extent::Rules;
use cairn_format::aof::survey::{Survey, survey};
use cairn_toolkit::human::{count, plural};
use cairn_toolkit::outcome::damage_line;
use cairn_toolkit::{Failure, Input, Outcome, Output, Progress, Verdict, json, note};
use clap::Args;
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The options of `aof-tool fix`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  aof-tool fix --dry-run appendonlydir
  aof-tool fix appendonly.aof
  aof-tool fix --json appendonlydir | jq '.kept, .lost'

Drops what is damaged, with the transaction it belongs to, in any file of the log, and keeps the rest; `aof-tool check --fix` cuts instead. The file as it
was is kept as NAME.bak. Of a damaged snapshot, as base or in front of the commands, every key is kept that can be read, on both sides of the damage, as
`rdb-tool salvage` does it; meanwhile it takes as much room again in the temporary folder (TMPDIR).

Exit status: 0 nothing was wrong, 1 something was and is mended (or would be), 2 it could not be read or not be mended.")]
pub struct FixArguments {
    /// Log file, folder or manifest
    path: PathBuf,
    /// Tell what would go, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// One JSON object a file on standard output
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    rules: RulesArguments,
}

/// A file and what is to become of it.
struct Plan<'a> {
    file: &'a File,
    name: String,
    size: u64,
    /// Of a file whose snapshot is damaged: what is left, and what was wrong.
    rescued: Option<Rescued>,
    /// What is wrong with the commands, by their places in what is left.
    found: Survey,
}

impl Plan<'_> {
    fn is_wrong(&self) -> bool {
        self.found.total > 0 || self.rescued.is_some()
    }
}

/// Mend the log that was named.
pub fn run(arguments: &FixArguments) -> Outcome {
    let log = Log::find(&arguments.path)?;
    if let Some(manifest) = &log.manifest
        && let Some(damage) = &manifest.damage
    {
        let line = damage_line(&manifest.path.display().to_string(), damage);
        return Err(Failure::new(line).hint(
            "nothing was changed; put the manifest right first, `aof-tool check` proposes one",
        ));
    }
    let rules = arguments.rules.rules();
    let plans = log.files.iter().map(|file| plan(file, rules));
    let plans = plans.collect::<Result<Vec<_>, Failure>>()?;
    let mut out = Output::stdout();
    let mut found = false;
    for plan in &plans {
        found |= plan.is_wrong();
        tell(&mut out, plan, arguments)?;
        if plan.is_wrong() && !arguments.dry_run {
            mend(plan)?;
        }
    }
    out.finish()?;
    Ok(Verdict::found_if(found))
}

fn plan(file: &File, rules: Rules) -> Result<Plan<'_>, Failure> {
    let input = Input::open(&file.path)?;
    let name = input.name().to_owned();
    let mut progress = Progress::bytes("looking", input.len());
    let bytes = match input.bytes() {
        // Nothing cannot be mapped, and nothing is wrong with it.
        None if is_empty_file(&file.path) => &[],
        Some(bytes) if !input.is_packed() => bytes,
        _ => {
            return Err(refused(
                &name,
                "it is no regular file that could be changed",
            ));
        }
    };
    let size = bytes.len() as u64;
    let rescued = rescue::of(&input, file, rules.databases, &mut progress)?;
    let left = rescued.as_ref().map_or(&input, |rescued| &rescued.left);
    let begin = commands_of(left, rules.databases, &mut progress)?;
    let bytes = left.bytes().unwrap_or_default();
    let commands = usize::try_from(begin).ok().and_then(|at| bytes.get(at..));
    let found = survey(commands.unwrap_or_default(), begin, rules, |at| {
        progress.at(at);
        left.passed(at);
    });
    // An increment may well be empty, and so may what follows a snapshot.
    if found.total > 0 && found.kept == 0 && begin == 0 && file.role != Role::Incr {
        return Err(refused(&name, "no command would be left"));
    }
    Ok(Plan {
        file,
        name,
        size,
        rescued,
        found,
    })
}

/// Where the commands begin in a file whose snapshot is sound.
fn commands_of(input: &Input, databases: u64, progress: &mut Progress) -> Result<u64, Failure> {
    match part::open(input, &mut Look::Sound(databases), progress) {
        Ok((preamble, _)) => Ok(preamble.map_or(0, |preamble| preamble.end)),
        Err(Problem::Failed(failure)) => Err(failure),
        // Readable and yet nothing that a server takes, such as a database that it does not have.
        Err(Problem::Damaged(error)) => {
            let failure = Failure::damage(input.name(), &error.inside("snapshot"));
            Err(failure.hint(
                "nothing was changed; `rdb-tool convert` can leave out what a server does not take",
            ))
        }
    }
}

fn is_empty_file(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0)
}

fn refused(name: &str, reason: &str) -> Failure {
    Failure::new(format!("{name}: not changed: {reason}"))
        .hint("nothing was changed in any file of the log")
}

fn tell(out: &mut Output, plan: &Plan<'_>, arguments: &FixArguments) -> Result<(), Failure> {
    let found = &plan.found;
    if arguments.json {
        let ranges = found.dropped.iter().take(found.faults.len().max(1));
        let line = json!({
            "file": plan.name,
            "size": plan.size,
            "dry_run": arguments.dry_run,
            "kept": found.kept,
            "lost": found.lost,
            "lost_bytes": found.lost_bytes,
            "dropped": ranges.map(|range| [range.start, range.end]).collect::<Vec<_>>(),
            "problems": found.faults.iter().map(fault_json).collect::<Vec<_>>(),
            "problems_total": found.total,
            "snapshot": plan.rescued.as_ref().map(|rescued| rescued.report.json(&plan.name)),
        });
        json::write_line(out, &line)?;
        return Ok(out.flush()?);
    }
    if let Some(rescued) = &plan.rescued {
        writeln!(out, "{}: snapshot: {}", plan.name, rescued.damage)?;
        for line in rescued.report.lines() {
            writeln!(out, "{}: snapshot: {line}", plan.name)?;
        }
    }
    if found.total == 0 {
        let commands = plural(found.kept, "command", "commands");
        match plan.rescued {
            None => writeln!(out, "{}: nothing is wrong, {commands}", plan.name)?,
            Some(_) => writeln!(
                out,
                "{}: {commands} kept{}",
                plan.name,
                unchanged(arguments)
            )?,
        }
    } else {
        writeln!(
            out,
            "{}: {} kept, {} that can be read and {} in {} dropped{}",
            plan.name,
            plural(found.kept, "command", "commands"),
            plural(found.lost, "command", "commands"),
            plural(found.lost_bytes, "byte", "bytes"),
            plural(found.dropped.len() as u64, "place", "places"),
            unchanged(arguments),
        )?;
    }
    out.flush()?;
    crate::report::tell_faults(&found.faults, found.total, |fault| {
        note(&fault_line(&plan.name, fault));
    });
    Ok(())
}

fn unchanged(arguments: &FixArguments) -> &'static str {
    match arguments.dry_run {
        true => " (nothing was changed)",
        false => "",
    }
}

fn mend(plan: &Plan<'_>) -> Result<(), Failure> {
    let backup = set_aside(&plan.file.path, &plan.name, plan.size)?;
    let mut output = Output::create(&plan.file.path, &[])?;
    let opened = match plan.rescued {
        Some(_) => None,
        None => Some(Input::open(&backup)?),
    };
    let rescued = plan.rescued.as_ref().map(|rescued| &rescued.left);
    let Some(source) = rescued.or(opened.as_ref()) else {
        return Ok(());
    };
    let end = source.len().unwrap_or_default();
    let mut at = 0;
    for range in &plan.found.dropped {
        copy(source, offset(at)..offset(range.start), &mut output)?;
        at = range.end;
    }
    copy(source, offset(at)..offset(end), &mut output)?;
    output.finish()?;
    note(&format!(
        "{}: {} of {} bytes are left; the file as it was is {}",
        plan.name,
        count(end - plan.found.lost_bytes),
        count(plan.size),
        backup.display()
    ));
    Ok(())
}

/// An offset in a file that is mapped.
fn offset(at: u64) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}
