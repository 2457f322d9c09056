//! Whether this program itself was the limit.
//!
//! A thread of load is either waiting for replies, or running, or ready to run while another has its processor. The kernel counts the last two
//! for each thread (`/proc/thread-self/schedstat`: nanoseconds running, nanoseconds ready). Their share of the measured time is the thread's **busy
//! share**. A closed loop whose thread is busy all the time could not have asked for more: what was measured is this program, or the machine, and not the server.
//!
//! An open loop may look at the clock for want of anything else to do, so there the question is another: how late were requests sent for which a
//! client had room ([`super::tally::Tally::lateness`])?

use super::tally::Tally;
use std::fs;

/// A thread that is busy for so much of the time is the limit.
const BUSY: f64 = 0.90;
/// Lateness of its own that an open loop may have, nanoseconds, or as a share of the response times that it reports.
const LATE_NS: u64 = 200_000;
/// Share of the reported 99th percentile that may be this program's own.
const LATE_SHARE: f64 = 0.25;

/// What the kernel has counted for the calling thread: nanoseconds that it ran, and that it was ready to.
pub fn of_this_thread() -> Option<(u64, u64)> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let mut words = text.split_ascii_whitespace();
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// One thread over the measured time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Strain {
    /// Share of the time that it ran, and that it was ready to run and did not.
    pub ran: f64,
    /// Share of the time that it was ready to run and another had its processor.
    pub was_ready: f64,
}

impl Strain {
    /// Between two readings that lie so many nanoseconds apart.
    pub fn between(
        before: Option<(u64, u64)>,
        after: Option<(u64, u64)>,
        wall_ns: u64,
    ) -> Option<Strain> {
        let ((ran, ready), (ran_after, ready_after)) = (before?, after?);
        let share = |from: u64, to: u64| to.saturating_sub(from) as f64 / wall_ns.max(1) as f64;
        Some(Strain {
            ran: share(ran, ran_after),
            was_ready: share(ready, ready_after),
        })
    }

    /// Share of the time in which it did not wait.
    pub fn busy(&self) -> f64 {
        self.ran + self.was_ready
    }
}

/// Who was the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Not this program.
    Elsewhere,
    /// This program, or the machine under it; why.
    Here(String),
    /// The kernel does not count what is asked for.
    Unknown,
}

impl Limit {
    /// Judges a run.
    pub fn judge(strains: &[Option<Strain>], tally: &Tally) -> Limit {
        match tally.service() {
            Some(_) => of_open_loop(tally),
            None => of_closed_loop(strains),
        }
    }
}

fn of_closed_loop(strains: &[Option<Strain>]) -> Limit {
    let Some(known) = strains.iter().copied().collect::<Option<Vec<Strain>>>() else {
        return Limit::Unknown;
    };
    let busiest = known.iter().max_by(|a, b| a.busy().total_cmp(&b.busy()));
    match busiest {
        Some(strain) if strain.busy() >= BUSY => Limit::Here(format!(
            "a thread ran for {:.0} % of the time and waited for a processor for {:.0} %",
            strain.ran * 100.0,
            strain.was_ready * 100.0
        )),
        Some(_) => Limit::Elsewhere,
        None => Limit::Unknown,
    }
}

fn of_open_loop(tally: &Tally) -> Limit {
    let late = tally.lateness.value_at_quantile(0.99);
    let response = tally.response().value_at_quantile(0.99);
    match late > LATE_NS && late as f64 > response as f64 * LATE_SHARE {
        true => Limit::Here(format!(
            "one of a hundred requests was sent {} us late or more though a client had room",
            late / 1000
        )),
        false => Limit::Elsewhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_thread_is_the_limit_and_an_idle_one_is_not() {
        let before = of_this_thread();
        let since = std::time::Instant::now();
        while since.elapsed().as_millis() < 80 {}
        let wall = since.elapsed().as_nanos() as u64;
        let busy = Strain::between(before, of_this_thread(), wall);
        let tally = Tally::new(1, false);
        assert!(
            matches!(Limit::judge(&[busy], &tally), Limit::Here(_)),
            "{busy:?}"
        );
        let before = of_this_thread();
        let since = std::time::Instant::now();
        std::thread::sleep(std::time::Duration::from_millis(80));
        let idle = Strain::between(before, of_this_thread(), since.elapsed().as_nanos() as u64);
        assert_eq!(Limit::judge(&[idle], &tally), Limit::Elsewhere, "{idle:?}");
        assert_eq!(Limit::judge(&[idle, None], &tally), Limit::Unknown);
    }

    #[test]
    fn an_open_loop_that_is_late_itself_is_the_limit() {
        let mut tally = Tally::new(1, true);
        tally.replies_of(0, 1_000_000, 100_000, 1000);
        assert_eq!(Limit::judge(&[], &tally), Limit::Elsewhere);
        tally.lateness.record_n(900_000, 1000).unwrap();
        assert!(matches!(Limit::judge(&[], &tally), Limit::Here(_)));
    }
}
