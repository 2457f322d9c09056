//! Whether a run did all that was asked for, or ended before that, and how long it took.

use super::Plan;
use super::arrivals::Arrivals;
use super::budget::Marks;
use super::tally::Tally;

/// A schedule that is sent a hundredth slower than it was asked for was not held.
const HELD: f64 = 0.99;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ending {
    /// Seconds from the end of the warm-up to the end of the run.
    pub after_s: f64,
    /// Seconds that the throughput counts over: to the last reply, or the whole of the schedule.
    pub period_s: f64,
    /// Requests that were to be sent and never were. `None` if nobody can say: a closed loop that time ends sends as many
    /// as the server lets it.
    pub unsent: Option<u64>,
    /// It ended before all was done: nobody was left to ask, or somebody stopped it.
    pub early: bool,
    /// The rate of the schedule, and the one at which it was sent; of an open loop.
    pub rates: Option<Rates>,
}

/// The rate of a schedule and what became of it, requests a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Asked for, over the whole run.
    pub asked: f64,
    /// Sent.
    pub sent: f64,
}

impl Rates {
    /// Whether the schedule was held to 1 %.
    pub fn are_held(&self) -> bool {
        self.sent >= self.asked * HELD
    }
}

impl Ending {
    /// The ending of a run that has just ended; `stopped` if it was given up or interrupted.
    pub fn new(
        plan: &Plan,
        arrivals: Option<&Arrivals>,
        tally: &Tally,
        marks: &Marks,
        stopped: bool,
    ) -> Ending {
        let now = marks.now();
        let from = marks.measure_from().min(now);
        let sent = tally.replies() + tally.unanswered;
        let limit = (plan.requests != u64::MAX).then_some(plan.requests);
        let expected = match (arrivals, plan.duration) {
            (_, None) => limit,
            (None, Some(_)) => None,
            // Chance arrivals have no number that was asked for.
            (Some(arrivals), Some(_)) if arrivals.is_poisson() => None,
            (Some(arrivals), Some(_)) => {
                let due = arrivals.due_before(marks.end()) - arrivals.due_before(from);
                Some(limit.map_or(due, |limit| limit.min(due)))
            }
        };
        let unsent = expected.map(|expected| expected.saturating_sub(sent));
        let nobody_left = stopped || (!plan.reconnect && tally.lost_count() >= plan.clients as u64);
        let before_time = plan.duration.is_some() && now < marks.end();
        let early = nobody_left && unsent.map_or(before_time, |unsent| unsent > 0);
        let seconds = |moment: u64| moment.saturating_sub(from) as f64 / 1e9;
        let to_last = seconds(tally.last_reply.max(tally.last_sent));
        let scheduled = arrivals.filter(|_| !early).map(|arrivals| match expected {
            Some(expected) if limit == Some(expected) && !arrivals.is_poisson() => {
                // A fence of n posts has n gaps here: the period ends where the next request would fall due.
                seconds(arrivals.due(arrivals.due_before(from) as f64 + expected as f64))
            }
            _ if plan.duration.is_some() => seconds(marks.end()),
            _ => 0.0,
        });
        let period_s = match early {
            true => seconds(now),
            false => to_last.max(scheduled.unwrap_or(0.0)),
        };
        Ending {
            after_s: seconds(now),
            period_s,
            unsent,
            early,
            rates: scheduled
                .filter(|period| *period > 0.0)
                .map(|period| Rates {
                    asked: expected.unwrap_or(sent) as f64 / period,
                    sent: sent as f64 / period.max(seconds(tally.last_sent)),
                }),
        }
    }
}
