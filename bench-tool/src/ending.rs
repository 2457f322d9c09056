//! Whether a run did all that was asked for, or ended before that because nobody was left to ask.

use crate::budget::Marks;
use crate::options::Plan;
use crate::tally::Tally;

const SECOND_NS: u128 = 1_000_000_000;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ending {
    /// Seconds from the end of the warm-up to the end of the run.
    pub after_s: f64,
    /// Requests that were to be sent and never were. `None` if nobody can say: a closed loop that time ends sends as many
    /// as the server lets it.
    pub unsent: Option<u64>,
    /// All connections were lost, or the run was given up, before all was done.
    pub early: bool,
}

impl Ending {
    /// The ending of a run that has just ended; `stopped` if it was given up.
    pub fn new(plan: &Plan, tally: &Tally, marks: &Marks, stopped: bool) -> Ending {
        let now = marks.now();
        let sent = tally.replies() + tally.unanswered;
        let unsent = expected(plan, marks).map(|expected| expected.saturating_sub(sent));
        let nobody_left = stopped || tally.lost_count() >= plan.clients as u64;
        let before_time = plan.duration.is_some() && now < marks.end;
        Ending {
            after_s: now.saturating_sub(marks.measure_from) as f64 / 1e9,
            unsent,
            early: nobody_left && unsent.map_or(before_time, |unsent| unsent > 0),
        }
    }
}

/// How many measured requests the plan means, if it says so.
fn expected(plan: &Plan, marks: &Marks) -> Option<u64> {
    let limit = (plan.requests != u64::MAX).then_some(plan.requests);
    match (plan.rate, plan.duration) {
        (_, None) => limit,
        (None, Some(_)) => None,
        (Some(rate), Some(_)) => {
            // Request i of a schedule is due at i / rate; the first due at or after a moment is the ceiling of moment * rate.
            let first = |moment: u64| (u128::from(moment) * u128::from(rate)).div_ceil(SECOND_NS);
            let due = first(marks.end) - first(marks.measure_from);
            let due = u64::try_from(due).unwrap_or(u64::MAX);
            Some(limit.map_or(due, |limit| limit.min(due)))
        }
    }
}
