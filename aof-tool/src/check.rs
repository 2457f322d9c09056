//! `aof-tool check`: where the valid part of each file ends, and what is wrong there.

use crate::fix;
use crate::judge::Judge;
use crate::log::{File, Log, ManifestFile, Role, SINGLE, Start, folder_of};
use crate::part::{self, Look, Problem};
use crate::player::Player;
use crate::report::{Report, fault_json, fault_line, tell_faults};
use crate::rules::RulesArguments;
use cairn_format::aof::block;
use cairn_format::aof::extent::{Cure, Extent, Rules, check_records};
use cairn_format::aof::fault::{Fault, Problem as FaultKind};
use cairn_format::aof::survey::survey;
use cairn_format::error::{Damage, FormatError};
use cairn_toolkit::human::{count, plural};
use cairn_toolkit::outcome::damage_line;
use cairn_toolkit::{Failure, Input, Outcome, Output, Progress, Verdict, hint, json, note, quoted};
use clap::Args;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The options of `aof-tool check`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  aof-tool check appendonlydir
  aof-tool check --fix appendonlydir
  aof-tool check --json appendonly.aof | jq .valid_end

A cut is made only in the last file of a log, never into its base or snapshot preamble, and never to 0 bytes.

Exit status: 0 the log is valid (or was cut and is valid now), 1 it is damaged, 2 it could not be read or not be cut.")]
pub struct CheckArguments {
    /// Log file, folder, manifest, or - for standard input
    path: PathBuf,
    /// Cut the last file where its valid part ends, or put line ends right; the file as it was is kept as NAME.bak
    #[arg(long)]
    fix: bool,
    /// One JSON object a file on standard output
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    rules: RulesArguments,
    /// Run the log, too, and tell what is answered with an error: wrong types, scripts that it never brought
    #[arg(long)]
    semantic: bool,
}

/// Check the log that was named.
pub fn run(arguments: &CheckArguments) -> Outcome {
    let rules = arguments.rules.rules();
    let log = Log::find_or_propose(&arguments.path)?;
    let mut out = Output::stdout();
    let mut found = false;
    if let Some(manifest) = &log.manifest {
        found |= show_manifest(&mut out, manifest, &log, arguments.json)?;
    }
    tell_beside(&mut out, &log, arguments)?;
    let (mut reports, mut inputs, mut unread) = (Vec::new(), Vec::new(), None);
    for file in &log.files {
        match look_at(file, rules) {
            Ok((report, input)) => {
                reports.push((file, report));
                inputs.extend(input.filter(|_| arguments.semantic));
            }
            Err(failure) if failure.is_quiet() => return Err(failure),
            // The other parts can be looked at all the same.
            Err(failure) => {
                out.flush()?;
                unread = Some(failure.told());
            }
        }
    }
    if arguments.semantic && unread.is_none() {
        run_all(&mut reports, &inputs, arguments)?;
    }
    for (_, report) in &reports {
        show_report(&mut out, report, arguments)?;
        found |= report.run.1 > 0;
    }
    let (broken, sound): (Vec<_>, Vec<_>) = reports
        .into_iter()
        .partition(|(_, report)| report.damage().is_some());
    let loose: Vec<_> = sound
        .into_iter()
        .filter(|(_, report)| report.extent.loose_ends.is_some())
        .collect();
    out.finish()?;
    if let Some(unread) = unread {
        return Err(unread);
    }
    if arguments.fix && !found {
        return match broken.is_empty() {
            true => fix::put_ends_right(&loose),
            false => fix::run(&broken),
        };
    }
    Ok(Verdict::found_if(found || !broken.is_empty()))
}

/// Runs the log, and adds what is refused to the reports of its files.
fn run_all(
    reports: &mut [(&File, Report)],
    inputs: &[Input],
    arguments: &CheckArguments,
) -> Result<(), Failure> {
    if reports.iter().any(|(_, report)| report.damage().is_some()) {
        note("--semantic: a damaged log is not run");
        return Ok(());
    }
    let mut player = Player::new(usize::try_from(arguments.rules.databases).unwrap_or(usize::MAX));
    player.judge = Some(Judge::default());
    for ((_, report), input) in reports.iter_mut().zip(inputs) {
        player.input(input)?;
        if let Some(judge) = &mut player.judge {
            let (faults, total) = judge.next_file();
            report.run.0.extend(faults);
            report.run.1 += total;
        }
    }
    if let Some((name, count)) = player.judge.and_then(|judge| judge.unjudged) {
        let commands = plural(count, "command that is", "commands that are");
        note(&format!(
            "--semantic: {commands} not known here, first {name}, went unjudged"
        ));
    }
    Ok(())
}

/// Says what lies beside a log, and which of them a server loads.
fn tell_beside(out: &mut Output, log: &Log, arguments: &CheckArguments) -> Result<(), Failure> {
    let told: Vec<(PathBuf, &str)> = match (&log.manifest, &log.files[..]) {
        (Some(manifest), _) => {
            let folder = manifest.path.parent().unwrap_or(Path::new(""));
            let parent = match folder.file_name() {
                Some(_) => folder.parent().unwrap_or(Path::new("")).to_owned(),
                // Where we are, or named by dots alone.
                None => folder.join(".."),
            };
            vec![
                (parent.join(SNAPSHOT), snapshot_beside(manifest.start)),
                (
                    parent.join(SINGLE),
                    "a log of the time before 7.0: servers load the folder and leave it alone",
                ),
            ]
        }
        (None, [file]) if file.path.ends_with(SINGLE) => {
            vec![(
                folder_of(&file.path).join(SNAPSHOT),
                snapshot_beside(Start::Loads),
            )]
        }
        _ => Vec::new(),
    };
    for (beside, what) in told {
        let name = beside.display().to_string();
        let is_itself = log.files.iter().any(|file| file.path == beside);
        if is_itself || !beside.is_file() {
            continue;
        }
        match arguments.json {
            true => json::write_line(
                out,
                &json!({ "file": name, "role": "beside", "what": what }),
            )?,
            false => writeln!(out, "{name}: lies beside the log: {what}")?,
        }
    }
    Ok(())
}

/// Which of a log and a snapshot beside it a server loads.
fn snapshot_beside(start: Start) -> &'static str {
    match start {
        Start::Loads => {
            "a server with `appendonly yes` loads the log, one with `appendonly no` the snapshot"
        }
        Start::Empty => {
            "a server with `appendonly yes` loads neither and begins empty, one with `appendonly no` the snapshot"
        }
        Start::Refused => {
            "servers do not start over such a manifest, with `appendonly no` neither; without the folder that one loads the snapshot"
        }
    }
}

/// What servers call a snapshot by default.
const SNAPSHOT: &str = "dump.rdb";

/// Check one file; a file that a manifest names and that is not there is damage of the log.
fn look_at(file: &File, rules: Rules) -> Result<(Report, Option<Input>), Failure> {
    if file.role != Role::Single && matches!(file.path.try_exists(), Ok(false)) {
        let mut report = Report::of(file, file.path.display().to_string());
        let what = "the manifest lists this file, and it is missing";
        report.extent.damage = Some(FormatError::new(Damage::Manifest, 0, what));
        return Ok((report, None));
    }
    let input = Input::open(&file.path)?;
    let size = input.len();
    // What is damaged is looked at twice.
    let input = input.into_mapped()?;
    let report = check_file(file, &input, rules)?;
    let size_now = fs::metadata(&file.path).map_or(0, |metadata| metadata.len());
    let grew = size.is_some_and(|size| size_now > size);
    let report = Report {
        size,
        grew,
        ..report
    };
    Ok((report, Some(input)))
}

/// Check a file that is mapped.
pub fn check_file(file: &File, input: &Input, rules: Rules) -> Result<Report, Failure> {
    let mut report = Report::of(file, input.name().to_string());
    report.size = input.len();
    let mut progress = Progress::bytes("checking", input.len());
    report.extent = match part::open(input, &mut Look::Everything(rules.databases), &mut progress) {
        Ok((preamble, mut commands)) => {
            report.preamble = preamble;
            check_records(&mut commands, rules, |at| {
                progress.at(at);
                input.passed(at);
            })
            .map_err(|error| Failure::damage(input.name(), &error))?
        }
        Err(Problem::Failed(failure)) => return Err(failure),
        Err(Problem::Damaged(error)) => Extent {
            damage: Some(in_log(error, file.role)),
            ..Extent::default()
        },
    };
    if report.extent.damage.is_none() {
        report.run = check_blocks(input);
    }
    let begin = report
        .preamble
        .map_or(Some(0), |preamble| usize::try_from(preamble.end).ok());
    if report.extent.cure.is_some()
        && let Some(commands) = begin.and_then(|begin| input.bytes()?.get(begin..))
    {
        let begin = begin.unwrap_or_default() as u64;
        report.survey = Some(survey(commands, begin, rules, |at| input.passed(at)));
    }
    Ok(report)
}

/// The checksums of an archived file.
fn check_blocks(input: &Input) -> (Vec<Fault>, u64) {
    let bytes = input.bytes().unwrap_or_default();
    if !block::has_blocks(bytes) {
        return (Vec::new(), 0);
    }
    let found = block::verify(bytes, |at| input.passed(at));
    let fault = found.wrong.map(|offset| Fault {
        problem: FaultKind::Checksum,
        offset,
        begin: offset,
        end: bytes.len() as u64,
        command: 0,
        second: found
            .last
            .map(|block| i64::try_from(block.ms / 1000).unwrap_or(i64::MAX)),
        what: "the block that begins here has another checksum than its line says".to_owned(),
    });
    let total = u64::from(fault.is_some());
    (fault.into_iter().collect(), total)
}

/// A log that ends within its preamble is a cut log; a base of its own is a cut snapshot.
fn in_log(mut error: Box<FormatError>, role: Role) -> Box<FormatError> {
    if error.kind == Damage::Truncated && role != Role::Base {
        error.kind = Damage::AofTruncated;
    }
    error.inside("snapshot")
}

fn show_manifest(
    out: &mut Output,
    manifest: &ManifestFile,
    log: &Log,
    as_json: bool,
) -> Result<bool, Failure> {
    let name = manifest.path.display().to_string();
    if let Some(damage) = &manifest.damage {
        note(&damage_line(&name, damage));
    }
    if as_json {
        let line = json!({
            "file": name, "role": "manifest", "size": manifest.size,
            "damage": manifest.damage.as_deref().map(damage_json),
            "orphans": manifest.orphans,
            "twice": manifest.twice,
            "gaps": manifest.gaps,
            "proposal": manifest.proposal,
        });
        json::write_line(out, &line)?;
    } else if let Some(damage) = &manifest.damage {
        writeln!(
            out,
            "{name}: damaged: {} at {}",
            damage.kind,
            place(damage.offset)
        )?;
    } else {
        let bases = log
            .files
            .iter()
            .filter(|file| file.role == Role::Base)
            .count() as u64;
        let incr = log.files.len() as u64 - bases;
        let history = match manifest.history {
            0 => String::new(),
            n => format!(", {} in history", plural(n as u64, "file", "files")),
        };
        let parts = plural(incr, "increment", "increments");
        let bases = if bases == 0 { "no base" } else { "a base" };
        writeln!(out, "{name}: valid, {bases} and {parts}{history}")?;
    }
    if let Some(proposal) = &manifest.proposal {
        hint(proposal);
    }
    for part in &manifest.twice {
        note(&format!(
            "{name}: lists {} more than once, and servers load it as often",
            quoted(part.as_bytes())
        ));
    }
    if !as_json {
        for (first, last) in &manifest.gaps {
            let numbers = match first == last {
                true => format!("number {first}"),
                false => format!("numbers {first} to {last}"),
            };
            writeln!(
                out,
                "{name}: lists no increment with {numbers}; servers do not miss it, and if there was one its changes are lost"
            )?;
        }
        for orphan in &manifest.orphans {
            writeln!(
                out,
                "{name}: does not list {}, which servers neither load nor remove",
                quoted(orphan.as_bytes())
            )?;
        }
    }
    Ok(manifest.damage.is_some() || !manifest.twice.is_empty())
}

fn show_report(
    out: &mut Output,
    report: &Report,
    arguments: &CheckArguments,
) -> Result<(), Failure> {
    match arguments.json {
        true => json::write_line(out, &report_json(report))?,
        false => writeln!(out, "{}: {}", report.name, summary(report))?,
    }
    // The line of data comes first also where both are on one terminal.
    out.flush()?;
    tell_faults(&report.run.0, report.run.1, |fault| {
        note(&fault_line(&report.name, fault));
    });
    if let Some(damage) = report.damage() {
        match &report.survey {
            // Each with its number and time, the first among them.
            Some(found) if !found.faults.is_empty() => {
                tell_faults(&found.faults, found.total, |fault| {
                    note(&fault_line(&report.name, fault));
                });
            }
            _ => note(&damage_line(&report.name, damage)),
        }
        if !arguments.fix {
            hint(&advice(report));
            advise_to_mend(report);
        }
    } else if let Some((ends, first)) = report.extent.loose_ends
        && !arguments.fix
    {
        note(&format!(
            "{}: other bytes than CRLF stand behind {}, first at {}: servers do not look at them, redis-check-aof does",
            report.name,
            plural(ends, "argument", "arguments"),
            place(first)
        ));
        hint("`aof-tool check --fix` puts the line ends right and keeps a backup");
    }
    Ok(())
}

fn summary(report: &Report) -> String {
    let extent = &report.extent;
    let Some(damage) = report.damage() else {
        return format!(
            "valid, {} bytes with {}",
            count(extent.valid_end),
            contents(report)
        );
    };
    if damage.kind == Damage::Manifest {
        return "missing".to_string();
    }
    let damaged = format!("damaged: {} at {}", damage.kind, place(damage.offset));
    if extent.valid_end == 0 {
        return format!("{damaged}; nothing before it counts");
    }
    let size = report
        .size
        .map_or(String::new(), |size| format!(" of {}", count(size)));
    let valid = count(extent.valid_end);
    format!(
        "{damaged}; the first {valid}{size} bytes are valid, with {}",
        contents(report)
    )
}

fn contents(report: &Report) -> String {
    let extent = &report.extent;
    let mut holds = plural(extent.commands, "command", "commands");
    if extent.transactions > 0 {
        holds += &format!(
            ", {}",
            plural(extent.transactions, "transaction", "transactions")
        );
    }
    match report.preamble {
        None => holds,
        Some(preamble) => format!(
            "a snapshot of {} and {holds}",
            plural(preamble.keys, "key", "keys")
        ),
    }
}

fn place(offset: u64) -> String {
    format!("offset {offset} ({offset:#x})")
}

/// What someone can do who wants to go on with the file.
fn advice(report: &Report) -> String {
    let end = report.extent.valid_end;
    let lost = report.size.map_or(String::new(), |size| {
        format!(" ({} bytes)", count(size.saturating_sub(end)))
    });
    match report.extent.cure {
        _ if report.damage().is_some_and(|d| d.kind == Damage::Manifest) => {
            "bring the file back, or take its line out of the manifest if its changes may be lost".to_string()
        }
        _ if !report.is_last => {
            "other parts follow, so servers refuse to start and a cut would leave a gap; take this part from a backup".to_string()
        }
        Some(Cure::Cut) if report.grew => {
            "it grew while it was read, so a server writes it, and what ends it may be whole by now; `aof-tool copy` takes such a log".to_string()
        }
        Some(Cure::Cut) if fix::refusal(report).is_none() => {
            format!("`aof-tool check --fix` cuts off the torn end{lost} and keeps a backup")
        }
        Some(Cure::CutLoses) if fix::refusal(report).is_none() => {
            format!("`aof-tool check --fix` cuts off all from there on{lost}, good commands behind the damage too, and keeps a backup")
        }
        Some(Cure::Edit) => "the file is whole, but servers stop at this command; correct or remove it by hand".to_string(),
        _ => match fix::refusal(report) {
            Some(reason) => format!("{reason}; take the file from a backup"),
            None => "take the file from a backup".to_string(),
        },
    }
}

/// Where a cut would lose commands that can be kept.
fn advise_to_mend(report: &Report) {
    if let Some(found) = &report.survey
        && report.size.is_some()
        && found.kept > report.extent.commands
    {
        hint(&format!(
            "`aof-tool fix` drops only what is damaged, and keeps {}",
            plural(found.kept, "command", "commands")
        ));
    }
}

fn damage_json(damage: &FormatError) -> Value {
    json!({ "kind": damage.kind.name(), "offset": damage.offset, "what": damage.what })
}

fn report_json(report: &Report) -> Value {
    let extent = &report.extent;
    let role = match report.role {
        Role::Single => "log",
        Role::Base => "base",
        Role::Incr => "incr",
    };
    let cure = extent.cure.map(|cure| match cure {
        Cure::Cut => "cut",
        Cure::CutLoses => "cut-loses",
        Cure::Edit => "edit",
    });
    let faults = report.survey.iter().flat_map(|found| &found.faults);
    let faults = faults.chain(&report.run.0);
    json!({
        "file": report.name,
        "role": role,
        "size": report.size,
        "grew": report.grew,
        "valid_end": extent.valid_end,
        "preamble_end": report.preamble.map(|p| p.end),
        "preamble_keys": report.preamble.map(|p| p.keys),
        "commands": extent.commands,
        "transactions": extent.transactions,
        "annotations": extent.annotations,
        "loose_ends": extent.loose_ends.map_or(0, |(ends, _)| ends),
        "first_timestamp": extent.timestamps.map(|t| t.0),
        "last_timestamp": extent.timestamps.map(|t| t.1),
        "damage": report.damage().map(damage_json),
        "cure": cure,
        "problems": faults.map(fault_json).collect::<Vec<_>>(),
        "problems_total": report.survey.as_ref().map_or(0, |found| found.total) + report.run.1,
        "kept_by_fix": report.survey.as_ref().map(|found| found.kept),
    })
}
