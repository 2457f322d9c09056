//! `rdb-tool verify`: is this file sound, and if not, all that is wrong with it.
//!
//! Most files are sound, and that is seen in one fast pass. Only if that finds something are all findings gathered, in a second
//! and slower one ([`crate::examine`]).

use crate::cross::{self, Agreement};
use crate::fit::{self, Fit, Server};
use crate::snapshot::{
    Opening, Stop, Walk, checksum_text, checksum_word, tell_unknown, unopened, unread,
};
use cairn_format::error::{self, Damage, FormatError, Severity};
use cairn_format::rdb::{Checksum, Options};
use cairn_toolkit::outcome::damage_line;
use cairn_toolkit::snapshot::again::sound;
use cairn_toolkit::snapshot::behind::Behind;
use cairn_toolkit::snapshot::examine::{Examination, Piece, What, Witness, examine};
use cairn_toolkit::snapshot::salvage::fault_text;
use cairn_toolkit::{
    Failure, Input, Outcome, Output, Progress, Verdict, escape, hint, human, json, note, select,
};
use clap::Args;
use serde_json::{Value, json};
use std::hash::RandomState;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Findings of a file that are told one by one; in JSON there are more.
const TOLD_MAX: usize = 100;
/// Findings of a file that stand in JSON.
const KEPT_MAX: usize = 10_000;

/// Shown below the help of `verify`.
const EXAMPLES: &str = "\
Examples:
  rdb-tool verify dump.rdb
  rdb-tool verify --json backups/*.rdb
  rdb-tool verify --for redis-7.2,redis-6.2,valkey-9.0 dump.rdb
  rdb-tool verify --for redis-7.0,valkey-9.1 --fits 2gb dump.rdb
  rdb-tool verify --cross-check dump.rdb
  rdb-tool verify dump.rdb.gz redis://user:password@host:6379

Checks the structure, every packed value entry by entry, and the checksum, and tells all that is wrong: behind a damaged record
it finds the next one. What no server writes and all load is odd; the rest is damage. Exit status: 0 sound,
1 something was found (lines on stderr tell offset, key and reason), 2 could not be read. Of several files all are
checked, and the worst decides. A pipe and a compressed file are written to a temporary file first.";

/// The options of `rdb-tool verify`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct VerifyArguments {
    /// One JSON object a line for each file, on stdout
    #[arg(long)]
    json: bool,
    /// Also find what these servers cannot load with their default configuration and without modules:
    /// a newer version, a newer type, a database above 15, values of modules
    #[arg(long = "for", value_name = "SERVER,...", value_delimiter = ',', value_parser = Server::parse)]
    servers: Vec<Server>,
    /// With --for: find servers in which the data takes more than this, as in 2gb (docs/tools.md says how close that is)
    #[arg(long, value_name = "MAXMEMORY", requires = "servers", value_parser = room)]
    fits: Option<u64>,
    /// Check a version that is not known as the newest known one, as far as that goes
    #[arg(long = "try")]
    try_version: bool,
    /// Do not compare the checksum
    #[arg(long)]
    ignore_checksum: bool,
    /// Ask two other implementations, too: the crate lzf for each compressed string, crc64 for the checksum. Reads the
    /// file once more
    #[arg(long)]
    cross_check: bool,
    #[command(flatten)]
    opening: Opening,
    /// Snapshots to check: files, also compressed with gzip, zstd or lz4; - is stdin; redis://host:port asks a server
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

fn room(text: &str) -> Result<u64, String> {
    select::bytes(text).ok_or_else(|| "expected bytes as in 2gb, 100mb or 5000".to_owned())
}

impl VerifyArguments {
    fn options(&self) -> Options {
        Options {
            any_version: self.try_version,
            checksum: !self.ignore_checksum,
            trailing: false,
            ..Options::deep()
        }
    }
}

/// Checks each file; found if anything is wrong with one. One that cannot be read does not keep the others from being checked, and
/// decides the exit status.
pub fn verify(arguments: &VerifyArguments) -> Outcome {
    let mut out = Output::stdout();
    let mut found = false;
    let mut unread = None;
    for path in &arguments.files {
        match verify_one(path, arguments, &mut out) {
            Ok(this) => found |= this,
            Err(failure) if failure.is_quiet() => return Err(failure),
            Err(failure) => {
                out.flush()?;
                unread = Some(failure.told());
            }
        }
    }
    out.finish()?;
    unread.map_or(Ok(Verdict::found_if(found)), Err)
}

/// Whether something was found.
fn verify_one(path: &Path, arguments: &VerifyArguments, out: &mut Output) -> Result<bool, Failure> {
    let input = arguments.opening.open(path)?.into_mapped()?;
    let bytes = input.bytes().unwrap_or_default();
    let mut report = check(&input, bytes, arguments)?;
    report.fits = fit::judge(&input, &arguments.servers, arguments.try_version);
    if let Some(limit) = arguments.fits {
        for fit in &mut report.fits {
            fit.weigh(&input, limit, arguments.try_version)
                .map_err(|what| Failure::new(format!("--fits: {what}")))?;
        }
    }
    for fit in &report.fits {
        fit.findings()
            .into_iter()
            .for_each(|error| report.findings.add(error));
    }
    if let Some(walk) = report.walk.filter(|_| arguments.cross_check)
        && report
            .findings
            .worst()
            .is_none_or(|worst| worst < Severity::Damage)
    {
        report.agreement = Some(cross::check(&input, &walk)?);
    }
    report.tell(input.name(), arguments.json, out)?;
    let disagrees = report.agreement.as_ref().is_some_and(Agreement::is_broken);
    Ok(report.findings.total > 0 || disagrees)
}

/// What was found in a file.
#[derive(Debug, Default)]
struct Report {
    /// What is known if its head could be read.
    walk: Option<Walk>,
    examination: Option<Examination>,
    findings: Findings,
    fits: Vec<Fit>,
    agreement: Option<Agreement>,
    advice: Vec<String>,
}

/// Findings, as many as are kept.
#[derive(Debug, Default)]
struct Findings {
    kept: error::Findings,
    total: u64,
    odd: u64,
}

impl Findings {
    fn add(&mut self, error: Box<FormatError>) {
        self.total += 1;
        self.odd += u64::from(error.severity == Severity::Odd);
        if self.kept.len() < KEPT_MAX {
            self.kept.push(error);
        }
    }

    fn worst(&self) -> Option<Severity> {
        self.kept.iter().map(|error| error.severity).max()
    }

    /// The first of the worst: the one that stands for all.
    fn first(&self) -> Option<&FormatError> {
        let worst = self.worst()?;
        self.kept
            .iter()
            .find(|error| error.severity == worst)
            .map(|error| &**error)
    }
}

impl Witness for Findings {
    fn asks_for_fault(&self) -> bool {
        true
    }

    fn finding(&mut self, error: Box<FormatError>) {
        self.add(error);
    }

    fn piece(&mut self, piece: &Piece) {
        debug_assert!(
            piece.from < piece.to || matches!(piece.what, What::Gap(_)),
            "only a gap at the end can be empty"
        );
    }
}

/// One fast pass, and if that finds something, one that finds all.
fn check(input: &Input, bytes: &[u8], arguments: &VerifyArguments) -> Result<Report, Failure> {
    let options = arguments.options();
    let mut report = Report::default();
    if let Some(walk) = check_fast(input, bytes, options) {
        report.walk = Some(walk);
    } else {
        match examine(
            input,
            options,
            "verifying",
            &RandomState::new(),
            &mut report.findings,
        ) {
            Ok(examination) => report.examined(input.name(), bytes, examination)?,
            Err(error) => match unopened(input, bytes, error) {
                Stop::Failed(failure) => return Err(failure),
                Stop::Damage { error, advice, .. } => {
                    report.advice.extend(advice);
                    report.findings.add(error);
                }
            },
        }
    }
    report.see_behind(input.name());
    Ok(report)
}

fn check_fast(input: &Input, bytes: &[u8], options: Options) -> Option<Walk> {
    let name = input.name();
    let progress = Progress::line();
    progress.say(format!(
        "verifying {name}, {}",
        human::bytes(bytes.len() as u64)
    ));
    let sound = sound(input, options).ok()?;
    let rest = bytes.get(usize::try_from(sound.end).ok()?..)?;
    tell_unknown(name, sound.dialect);
    Some(Walk {
        dialect: sound.dialect,
        checksum: sound.checksum,
        keys: sound.records,
        bytes: sound.end,
        behind: Behind::look(rest, sound.end).ok()?,
        is_cut: false,
    })
}

impl Report {
    /// Takes over what an examination found, and what can be done about it.
    fn examined(&mut self, name: &str, bytes: &[u8], found: Examination) -> Result<(), Failure> {
        let rest = usize::try_from(found.end)
            .ok()
            .and_then(|end| bytes.get(end..))
            .unwrap_or_default();
        let (sound_until, keys_before) = found.first.unwrap_or((found.end, found.keys));
        let walk = Walk {
            dialect: found.dialect,
            checksum: found.checksum.unwrap_or(Checksum::None),
            bytes: found.end,
            keys: found.keys,
            behind: Behind::look(rest, found.end).map_err(|error| Failure::io(name, &error))?,
            is_cut: !found.dialect.is_known() && found.lost > 0,
        };
        tell_unknown(name, walk.dialect);
        let before = Walk {
            bytes: sound_until,
            keys: keys_before,
            ..walk
        };
        let all = human::plural(found.keys, "key", "keys");
        let damage = self
            .findings
            .first()
            .filter(|error| error.severity == Severity::Damage);
        match damage.map(|error| error.kind) {
            None => {}
            Some(_) if walk.is_cut => self.advice.push(unread(&before)),
            Some(Damage::Checksum) if found.fault.is_some() => {
                self.advice
                    .push(format!("the structure of all {all} is sound"));
            }
            Some(Damage::Checksum) => self.advice.push(format!(
                "the structure of all {all} is sound; which bytes changed cannot be told"
            )),
            Some(_) => self.advice.push(format!(
                "everything before offset {sound_until} decodes: {}",
                human::plural(keys_before, "key", "keys")
            )),
        }
        if let Some(fault) = found.fault {
            self.advice.push(format!(
                "{}; `rdb-tool salvage -o OUT {name}` puts it right",
                fault_text(bytes, fault)
            ));
        } else if found.lost > 0 && !walk.is_cut {
            self.advice.push(format!(
                "{all} can be read in all; `rdb-tool salvage -o OUT {name}` makes a sound file of them"
            ));
        }
        self.walk = Some(walk);
        self.examination = Some(found);
        Ok(())
    }

    /// Bytes behind the end are a finding: whoever trusts the file should know that servers ignore them.
    fn see_behind(&mut self, name: &str) {
        let Some((walk, behind)) = self.walk.and_then(|walk| Some((walk, walk.behind?))) else {
            return;
        };
        if self.findings.total == 0 {
            self.advice.push(match behind.advice(name) {
                Some(advice) => format!("the snapshot is sound; {advice}"),
                None => "the snapshot is sound, and servers ignore what follows it".to_owned(),
            });
        }
        self.findings.add(behind.damage(walk.keys).odd("trailing"));
    }

    fn tell(&self, name: &str, as_json: bool, out: &mut Output) -> Result<(), Failure> {
        if as_json {
            json::write_line(out, &self.json(name))?;
        } else if let Some(walk) = self.walk
            && let Some(word) = self.word()
        {
            writeln!(
                out,
                "{name}: {word}, {}, {}, {}, {}{}",
                walk.dialect,
                human::plural(walk.keys, "key", "keys"),
                human::bytes(walk.bytes),
                checksum_text(walk.checksum),
                self.agreement
                    .as_ref()
                    .map_or(String::new(), Agreement::text)
            )?;
        }
        if !self.fits.is_empty() && !as_json {
            fit::write_table(out, &self.fits)?;
        }
        // What was said so far comes before what is said now, also when both go to one terminal.
        out.flush()?;
        if let Some(agreement) = self
            .agreement
            .as_ref()
            .filter(|agreement| agreement.is_broken())
        {
            agreement.tell(name);
        }
        for error in self.findings.kept.iter().take(TOLD_MAX) {
            let odd = match error.severity {
                Severity::Odd => " (odd: servers load it)",
                _ => "",
            };
            note(&format!("{}{odd}", damage_line(name, error)));
        }
        if self.findings.total > TOLD_MAX as u64 {
            let more = self.findings.total - TOLD_MAX as u64;
            note(&format!(
                "{name}: and {} more; --json tells up to {}",
                human::plural(more, "finding", "findings"),
                human::count(KEPT_MAX as u64)
            ));
        }
        self.advice.iter().for_each(|advice| hint(advice));
        Ok(())
    }

    /// What the file is in one word, if servers load it.
    fn word(&self) -> Option<&'static str> {
        match self.findings.worst() {
            None | Some(Severity::Refused) => Some("sound"),
            Some(Severity::Odd)
                if self
                    .findings
                    .kept
                    .iter()
                    .all(|error| error.problem == "trailing") =>
            {
                None
            }
            Some(Severity::Odd) => Some("loads, but odd"),
            Some(Severity::Damage) => None,
        }
    }

    fn json(&self, name: &str) -> Value {
        let mut value = json!({ "file": name, "sound": self.findings.total == 0 });
        let Some(object) = value.as_object_mut() else {
            return value;
        };
        let mut put = |name: &str, value: Value| {
            object.insert(name.to_owned(), value);
        };
        if let Some(first) = self.findings.first() {
            let found = self.examination.as_ref();
            let before = found.and_then(|found| found.first);
            let walk = self.walk.as_ref();
            put("severity", first.severity.name().into());
            put("kind", first.kind.name().into());
            put("problem", first.problem.into());
            put("offset", first.offset.into());
            put("db", json!(first.db));
            put("key", json!(first.key.as_deref().map(escape::quoted_whole)));
            put("reason", first.what.as_str().into());
            let until = before.map(|(offset, _)| offset);
            put("sound_until", json!(until.or(walk.map(|walk| walk.bytes))));
            let keys = before.map(|(_, keys)| keys);
            put(
                "keys_before",
                keys.or(walk.map(|walk| walk.keys)).unwrap_or(0).into(),
            );
            put("problems_total", self.findings.total.into());
            let problems: Vec<Value> = self
                .findings
                .kept
                .iter()
                .map(|error| problem_json(error))
                .collect();
            put("problems", problems.into());
            if let Some(fault) = found.and_then(|found| found.fault) {
                put("fault", json!({ "offset": fault.at, "mask": fault.mask }));
            }
        }
        if let Some(walk) = self.walk {
            put("version", walk.dialect.version().into());
            put("keys", walk.keys.into());
            put("bytes", walk.bytes.into());
            put("checksum", checksum_word(walk.checksum).into());
            if let Some(behind) = walk.behind {
                put("bytes_behind", behind.bytes.into());
                put("behind", behind.looks.word().into());
            }
        }
        if let Some(agreement) = &self.agreement {
            put("cross_check", agreement.json());
        }
        if !self.fits.is_empty() {
            put(
                "for",
                self.fits.iter().map(Fit::json).collect::<Vec<_>>().into(),
            );
        }
        value
    }
}

fn problem_json(error: &FormatError) -> Value {
    json!({
        "severity": error.severity.name(),
        "kind": error.kind.name(),
        "problem": error.problem,
        "offset": error.offset,
        "db": error.db,
        "key": error.key.as_deref().map(escape::quoted_whole),
        "reason": error.what,
    })
}
