//! What is told of a log that is run and not only read: commands that are answered with an error, scripts and functions that it never brought.

use cairn_engine::replay::{Refused, Why};
use cairn_engine::scripts::libraries::Libraries;
use cairn_format::aof::fault::{Fault, Problem};
use cairn_format::aof::reader::Item;
use cairn_format::aof::record::timestamp;
use cairn_toolkit::quoted;
use sha1_smol::Sha1;
use std::collections::HashSet;

/// Faults that are kept; those beyond are counted.
const FAULTS_MAX: usize = 10_000;

/// Gathers what is refused in a file.
#[derive(Default)]
pub struct Judge {
    /// What was found in this file.
    pub faults: Vec<Fault>,
    /// How much there is of it.
    pub total: u64,
    /// Commands that the engine does not have, so that nobody can say what they would do: a name, and how many.
    pub unjudged: Option<(String, u64)>,
    second: Option<i64>,
    number: u64,
    scripts: HashSet<String>,
}

impl Judge {
    /// A new file of the same log; gives what was found in the one before.
    pub fn next_file(&mut self) -> (Vec<Fault>, u64) {
        (self.number, self.second) = (0, None);
        (
            std::mem::take(&mut self.faults),
            std::mem::take(&mut self.total),
        )
    }

    /// A record before it is run.
    pub fn look_at(&mut self, item: &Item<'_>, libraries: &Libraries) {
        if let Some(text) = item.annotation() {
            self.second = timestamp(text).or(self.second);
            return;
        }
        self.number += 1;
        let is = |at: usize, word: &str| {
            let arg = item.arg(at).unwrap_or_default();
            arg.eq_ignore_ascii_case(word.as_bytes())
        };
        let code = item.arg(1).unwrap_or_default();
        let missing = match () {
            () if is(0, "eval") || is(0, "eval_ro") => {
                self.bring(code);
                None
            }
            () if is(0, "script") && is(1, "load") => {
                self.bring(item.arg(2).unwrap_or_default());
                None
            }
            () if is(0, "evalsha") || is(0, "evalsha_ro") => {
                let sha = code.to_ascii_lowercase();
                let known = self.scripts.contains(&*String::from_utf8_lossy(&sha));
                (!known).then_some("script")
            }
            () if is(0, "fcall") || is(0, "fcall_ro") => {
                libraries.function(code).is_none().then_some("function")
            }
            () => None,
        };
        if let Some(missing) = missing {
            let what = format!("the log has not brought the {missing} {}", quoted(code));
            let (offset, number) = (item.offset, self.number);
            self.fault(Problem::UnknownScript, offset, item.end(), number, what);
        }
    }

    fn bring(&mut self, script: &[u8]) {
        self.scripts.insert(Sha1::from(script).digest().to_string());
    }

    /// A command that the engine refused; the record that it was run with ends at `end`.
    pub fn refused(&mut self, refused: Refused, end: u64) {
        if refused.why == Why::Unknown {
            let (_, count) = self.unjudged.get_or_insert((refused.command, 0));
            *count += 1;
            return;
        }
        let (offset, number) = (refused.offset, refused.number);
        let is_told =
            |fault: &Fault| fault.problem == Problem::UnknownScript && fault.offset == offset;
        if self.faults.last().is_some_and(is_told) {
            return;
        }
        let what = match &refused.why {
            Why::Answer(error) => format!("{} is answered with: {error}", refused.command),
            _ => refused.to_string(),
        };
        self.fault(Problem::Refused, offset, end, number, what);
    }

    fn fault(&mut self, problem: Problem, offset: u64, end: u64, command: u64, what: String) {
        self.total += 1;
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(Fault {
                problem,
                offset,
                begin: offset,
                end,
                command,
                second: self.second,
                what,
            });
        }
    }
}
