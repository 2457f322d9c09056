//! One session, step by step.

use std::collections::BTreeMap;

use super::absent::{Absent, Verdict};
use super::compare;
use super::script::{Action, Step};
use super::stage::Stage;

/// Steps that the engine alone cannot answer as recorded: CLIENT within a script is a command of the server; and what PUBLISH tells
/// replicas leaves before the unit that it is in, not within.
const APART: &[(&str, u64)] = &[("scripting/eval-05", 23), ("propagation/multi", 30)];

/// What became of the steps.
#[derive(Debug, Default)]
pub struct Tally {
    /// Sessions replayed.
    pub sessions: usize,
    /// Answered as recorded.
    pub passed: usize,
    /// Answered otherwise, in words.
    pub mismatches: Vec<String>,
    /// Steps by the command that the engine does not have.
    pub absent: BTreeMap<String, usize>,
    /// Steps that are answered as a later Redis does, on purpose.
    pub newer: usize,
    /// Steps that could not be judged because an absent command came before them.
    pub after: usize,
}

impl Tally {
    /// Steps that were judged.
    pub fn checked(&self) -> usize {
        self.passed + self.mismatches.len()
    }

    /// Puts the figures of another one in.
    pub fn add(&mut self, other: Tally) {
        self.sessions += other.sessions;
        self.passed += other.passed;
        self.mismatches.extend(other.mismatches);
        self.after += other.after;
        self.newer += other.newer;
        other
            .absent
            .into_iter()
            .for_each(|(name, n)| *self.absent.entry(name).or_default() += n);
    }

    /// One line of figures.
    pub fn line(&self) -> String {
        format!(
            "{:6} of {:6} steps as recorded in {:4} sessions; {:6} of absent commands, {:6} after them, {} newer",
            self.passed,
            self.checked(),
            self.sessions,
            self.absent.values().sum::<usize>(),
            self.after,
            self.newer
        )
    }
}

/// Replays one session on an empty engine.
pub fn replay(steps: &[Step], tally: &mut Tally) {
    tally.sessions += 1;
    let mut stage = Stage::new(steps[0].proto);
    let mut absent = Absent::default();
    for step in steps {
        if let Action::Sleep(ms) = step.action {
            stage.sleep(ms);
            continue;
        }
        match absent.judge(&stage, step) {
            Verdict::Run => {}
            Verdict::Lacking(name) => {
                *tally.absent.entry(name).or_default() += 1;
                continue;
            }
            Verdict::After => {
                tally.after += 1;
                if matches!(step.action, Action::Read) || step.until.is_some() {
                    stage.read_all(&step.conn);
                }
                continue;
            }
        }
        if compare::is_newer(step) {
            tally.newer += 1;
            continue;
        }
        if APART.contains(&(step.session.as_str(), step.number)) {
            tally.after += 1;
            perform(&mut stage, step);
            stage.take_fed();
            continue;
        }
        stage.world.lacking = false;
        let got = perform(&mut stage, step);
        if stage.world.lacking {
            let name = absent.note(&stage, step);
            *tally.absent.entry(name).or_default() += 1;
        } else {
            let fed = stage.take_fed();
            judge(&stage, step, &got, &fed, tally);
        }
    }
}

fn perform(stage: &mut Stage, step: &Step) -> Vec<u8> {
    match &step.action {
        Action::Command(words) => stage.send_command(&step.conn, words),
        Action::Raw(bytes) => stage.send(&step.conn, bytes),
        Action::Read | Action::Sleep(_) => {}
    }
    match (&step.until, compare::frames(&step.reply)) {
        (Some(word), _) => stage.read_until(&step.conn, word),
        // Nothing is to arrive: whatever did is the answer.
        (None, 0) if matches!(step.action, Action::Read) => stage.read_all(&step.conn),
        (None, count) => stage.read_frames(&step.conn, count),
    }
}

fn judge(stage: &Stage, step: &Step, got: &[u8], fed: &[Vec<Vec<u8>>], tally: &mut Tally) {
    let mut wrong = Vec::new();
    if !compare::fits(step.matching.as_deref(), &step.reply, got)
        && !compare::same_payload(step, got)
    {
        wrong.push(format!(
            "    recorded {}\n    answered {}",
            show(&step.reply),
            show(got)
        ));
    }
    if step.eof && !stage.is_closed(&step.conn) {
        wrong.push("    the connection stays open".to_string());
    }
    if let Some(want) = &step.propagated
        && !to_replicas_alone(step)
        && !compare::propagated(want, fed)
    {
        let got: Vec<String> = fed.iter().map(|c| show(&c.join(&b' '))).collect();
        wrong.push(format!(
            "    recorded to replicas {want:?}\n    propagated {got:?}"
        ));
    }
    if compare::is_better(step) {
        match wrong.is_empty() {
            true => wrong.push("    said to be better than recorded, and is the same".to_string()),
            false => wrong.clear(),
        }
    }
    if wrong.is_empty() {
        tally.passed += 1;
        return;
    }
    let words: Vec<String> = step.command().iter().map(|w| show(w)).collect();
    let head = format!(
        "{} step {} proto {} {:?} {}",
        step.session,
        step.number,
        step.proto,
        step.matching,
        if words.is_empty() {
            format!("{:?}", step.action)
        } else {
            words.join(" ")
        }
    );
    tally
        .mismatches
        .push(format!("{head}\n{}", wrong.join("\n")));
}

/// Messages are no changes: they reach replicas, but not the log, whose feed is looked at here.
fn to_replicas_alone(step: &Step) -> bool {
    let name = step
        .command()
        .first()
        .map(|word| word.to_ascii_lowercase())
        .unwrap_or_default();
    name == b"publish" || name == b"spublish"
}

fn show(bytes: &[u8]) -> String {
    let text: String = bytes
        .iter()
        .take(400)
        .map(|b| b.escape_ascii().to_string())
        .collect();
    if bytes.len() > 400 {
        format!("{text}...")
    } else {
        text
    }
}
