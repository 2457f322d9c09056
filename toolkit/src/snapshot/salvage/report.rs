//! What a salvage kept, and what may be missing.

use crate::{Failure, Output, human, json, note};
use cairn_format::crc64::Fault;
use cairn_format::rdb::Dialect;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;

/// Areas that are told one by one.
const TOLD_MAX: usize = 20;
/// Areas that stand in JSON.
const KEPT_MAX: usize = 10_000;

/// Counts, and where the gaps are.
#[derive(Debug, Default)]
pub struct Report {
    /// Keys that were kept.
    pub keys: u64,
    /// Function libraries and data of modules that were kept.
    pub others: u64,
    /// Findings that are damage.
    pub findings: u64,
    /// Findings that are odd.
    pub odd: u64,
    /// Keys whose value is damaged.
    pub damaged: u64,
    /// Keys whose end is in doubt.
    pub doubtful: u64,
    /// Second values of keys.
    pub repeated: u64,
    /// The checksum is that of another file.
    pub checksum_wrong: bool,
    /// Keys that the file promised in its hints; 0 if it has none.
    pub promised: u64,
    /// Bytes of commands that follow.
    pub commands: u64,
    /// The head could not be read, and this is what the file was taken for.
    pub head_lost: Option<Dialect>,
    gaps: Vec<(u64, u64)>,
    gaps_total: u64,
    gap_bytes: u64,
    gap_at: Option<u64>,
    fault: Option<(Fault, String)>,
}

impl Report {
    /// All was kept, with one change.
    pub fn repaired(keys: u64, text: String, fault: Fault) -> Report {
        Report {
            keys,
            findings: 1,
            fault: Some((fault, text)),
            ..Report::default()
        }
    }

    /// Notes an area that cannot be read.
    pub fn gap(&mut self, from: u64, to: u64) {
        self.gaps_total += 1;
        self.gap_bytes += to - from;
        self.gap_at = Some(from);
        if self.gaps.len() < KEPT_MAX {
            self.gaps.push((from, to));
        }
    }

    /// Where the last area begins that cannot be read, if there is one.
    pub fn last_gap(&self) -> Option<u64> {
        self.gap_at
    }

    /// Whether nothing was wrong.
    pub fn is_fine(&self) -> bool {
        self.findings == 0
    }

    /// Whether something changed, and all that was kept looks sound: a changed value, or bytes gone from within one key to within another.
    fn is_unplaced(&self) -> bool {
        let left_out = self.gaps_total + self.damaged + self.doubtful + self.repeated;
        self.checksum_wrong && left_out == 0
    }

    /// Keys that the hints promise and that are not there.
    fn missing(&self) -> Option<u64> {
        (self.promised > 0).then(|| self.promised.saturating_sub(self.keys))
    }

    /// To stdout, or to stderr where the file itself goes to stdout.
    pub fn tell(&self, name: &str, as_json: bool, output: &Path) -> Result<(), Failure> {
        let is_stdout = output == Path::new("-");
        if as_json && !is_stdout {
            let mut out = Output::stdout();
            json::write_pretty(&mut out, &self.json(name))?;
            return out.finish();
        }
        if is_stdout {
            self.lines()
                .iter()
                .for_each(|line| note(&format!("{name}: {line}")));
            return Ok(());
        }
        let mut out = Output::stdout();
        for line in self.lines() {
            writeln!(out, "{name}: {line}")?;
        }
        out.finish()
    }

    /// For a person.
    pub fn lines(&self) -> Vec<String> {
        let kept = human::plural(self.keys, "key", "keys");
        if let Some((_, text)) = &self.fault {
            return vec![
                text.clone(),
                format!("put right: all {kept} kept, and the checksum agrees"),
            ];
        }
        let mut lines = vec![format!("{kept} kept")];
        if let Some(dialect) = self.head_lost {
            lines.push(format!("the head cannot be read; taken for {dialect}"));
        }
        for (from, to) in self.gaps.iter().take(TOLD_MAX) {
            let bytes = human::plural(to - from, "byte", "bytes");
            lines.push(format!("offset {from} to {to}: {bytes} cannot be read"));
        }
        if self.gaps_total > TOLD_MAX as u64 {
            let more = self.gaps_total - TOLD_MAX as u64;
            lines.push(format!(
                "and {} more",
                human::plural(more, "such area", "such areas")
            ));
        }
        for (count, what) in [
            (self.damaged, "left out, the value is damaged"),
            (
                self.doubtful,
                "left out, what stands behind cannot be read and may belong to the value",
            ),
            (self.repeated, "left out, the key came before"),
        ] {
            if count > 0 {
                lines.push(format!("{} {what}", human::plural(count, "key", "keys")));
            }
        }
        match self.missing() {
            Some(0) if !self.is_fine() => {
                lines.push("as many keys as the file promises are there".to_owned());
            }
            Some(missing) if missing > 0 => lines.push(format!(
                "the file promises {}: {} missing",
                human::plural(self.promised, "key", "keys"),
                human::count(missing)
            )),
            None if self.gaps_total > 0 => {
                lines.push("how many keys are missing cannot be told".to_owned());
            }
            _ => {}
        }
        if self.is_unplaced() {
            lines.push(
                "the checksum does not agree, and nothing tells where: a key that was kept has another name or value, or the checksum itself changed"
                    .to_owned(),
            );
        }
        if self.commands > 0 {
            let bytes = human::plural(self.commands, "byte", "bytes");
            lines.push(format!("{bytes} of commands follow as they were"));
        }
        lines
    }

    /// For programs.
    pub fn json(&self, name: &str) -> Value {
        let gap = |(from, to): &(u64, u64)| json!({ "from": from, "to": to });
        json!({
            "file": name,
            "keys": self.keys,
            "keys_promised": (self.promised > 0).then_some(self.promised),
            "keys_missing": self.missing(),
            "keys_damaged": self.damaged,
            "keys_doubtful": self.doubtful,
            "keys_repeated": self.repeated,
            "findings": self.findings,
            "odd": self.odd,
            "unplaced": self.is_unplaced(),
            "gaps": self.gaps.iter().map(gap).collect::<Vec<_>>(),
            "gaps_total": self.gaps_total,
            "gap_bytes": self.gap_bytes,
            "command_bytes": self.commands,
            "head_lost": self.head_lost.is_some(),
            "repaired": self.fault.as_ref().map(|(fault, _)| json!({ "offset": fault.at, "mask": fault.mask })),
        })
    }
}
