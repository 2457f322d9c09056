//! What a check found in one file of a log.

use crate::log::{File, Role};
use crate::part;
use cairn_format::aof::extent::Extent;
use cairn_format::aof::fault::Fault;
use cairn_format::aof::survey::Survey;
use cairn_format::error::FormatError;
use cairn_toolkit::human::plural;
use cairn_toolkit::note;
use serde_json::{Value, json};

/// What was found in one file.
pub struct Report {
    pub name: String,
    /// Bytes of the file, if it was mapped.
    pub size: Option<u64>,
    /// It has more bytes by now: somebody writes it.
    pub grew: bool,
    pub role: Role,
    pub is_last: bool,
    pub preamble: Option<part::Preamble>,
    pub extent: Extent,
    /// All that is wrong with its commands, where something is.
    pub survey: Option<Survey>,
    /// What was found when it was run, and how much there is of it.
    pub run: (Vec<Fault>, u64),
}

impl Report {
    /// Nothing was found yet.
    pub fn of(file: &File, name: String) -> Report {
        Report {
            name,
            size: None,
            grew: false,
            role: file.role,
            is_last: file.is_last,
            preamble: None,
            extent: Extent::default(),
            survey: None,
            run: (Vec::new(), 0),
        }
    }

    /// What is wrong, if anything is.
    pub fn damage(&self) -> Option<&FormatError> {
        self.extent.damage.as_deref()
    }
}

/// Faults that are told one by one; JSON has more.
const FAULTS_TOLD: usize = 100;

/// Tells of the first faults, and how many there are beyond.
pub fn tell_faults(faults: &[Fault], total: u64, tell: impl FnMut(&Fault)) {
    faults.iter().take(FAULTS_TOLD).for_each(tell);
    let more = total.saturating_sub(FAULTS_TOLD as u64);
    if more > 0 {
        note(&format!(
            "and {}",
            plural(more, "problem more", "problems more")
        ));
    }
}

/// `log.aof: offset 135 (0x87), command 4, at 1700000000: unknown command "SEU"`.
pub fn fault_line(name: &str, fault: &Fault) -> String {
    let time = fault
        .second
        .map_or(String::new(), |second| format!(", at {second}"));
    format!(
        "{name}: offset {0} ({0:#x}), command {1}{time}: {2}",
        fault.offset, fault.command, fault.what
    )
}

/// A fault for programs that read us.
pub fn fault_json(fault: &Fault) -> Value {
    json!({
        "problem": fault.problem.name(),
        "severity": if fault.problem.loads() { "ignored" } else { "damage" },
        "offset": fault.offset,
        "begin": fault.begin,
        "end": fault.end,
        "command": fault.command,
        "time": fault.second,
        "what": fault.what,
    })
}
