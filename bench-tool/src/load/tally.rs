//! Times and errors, counted by each thread for itself and added up at the end.

use hdrhistogram::Histogram;
use std::collections::BTreeMap;

/// Longest latency that is told apart, in nanoseconds: an hour. Longer ones count as an hour.
const LATENCY_MAX_NS: u64 = 3_600_000_000_000;
/// Kinds of errors that are told apart; a server that answers nonsense must not fill the memory.
const KINDS_MAX: usize = 100;
/// Bytes of an error line that are kept as its example.
const EXAMPLE_MAX: usize = 200;

/// Times in nanoseconds, with three significant digits.
pub type Times = Histogram<u64>;

/// No times yet.
pub fn no_times() -> Times {
    Histogram::new_with_bounds(1, LATENCY_MAX_NS, 3).expect("the bounds are constants and valid")
}

/// One operation's replies.
#[derive(Clone, Debug)]
pub struct Series {
    /// From the moment a request was due (open loop) or sent (closed loop) to its reply.
    pub response: Times,
    /// From the moment it was sent; only an open loop tells it apart.
    pub service: Option<Times>,
    /// Replies that were errors; their times are counted too.
    pub errors: u64,
    /// Replies that found something, and that did not.
    pub hits: u64,
    /// Replies that found nothing.
    pub misses: u64,
}

/// What happened several times for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// How often.
    pub count: u64,
    /// The first time.
    pub example: String,
}

/// What happened, by reason; not more of them than can be looked through.
pub type Kinds = BTreeMap<String, Kind>;

/// What a thread, or all together, counted after the warm-up.
#[derive(Clone, Debug)]
pub struct Tally {
    /// One for each operation, in the order given.
    pub series: Vec<Series>,
    /// Error replies by their first word, which is what clients act on.
    pub errors: Kinds,
    /// Values that are not what was written, by what is wrong.
    pub wrong: Kinds,
    /// Why connections ended, and how many.
    pub lost: BTreeMap<String, u64>,
    /// Connections that were made again.
    pub reconnected: u64,
    /// Replies that sent a request to another node for good, and for this once.
    pub moved: u64,
    /// Redirects for one request.
    pub asked: u64,
    /// Requests that were sent and never answered.
    pub unanswered: u64,
    /// When the last request of a schedule was sent, in nanoseconds from the start of the run.
    pub last_sent: u64,
    /// Requests that had to wait until a client had room.
    pub held_back: u64,
    /// How late requests were sent for which a client had room: this program's own lateness.
    pub lateness: Times,
    /// When the last reply came, in nanoseconds from the start of the run.
    pub last_reply: u64,
}

impl Tally {
    /// An empty tally for so many operations.
    pub fn new(operations: usize, is_open: bool) -> Tally {
        let series = Series {
            response: no_times(),
            service: is_open.then(no_times),
            errors: 0,
            hits: 0,
            misses: 0,
        };
        Tally {
            series: vec![series; operations],
            errors: Kinds::new(),
            wrong: Kinds::new(),
            lost: BTreeMap::new(),
            reconnected: 0,
            moved: 0,
            asked: 0,
            unanswered: 0,
            last_sent: 0,
            held_back: 0,
            lateness: no_times(),
            last_reply: 0,
        }
    }

    /// Counts `count` replies with the same times.
    pub fn replies_of(&mut self, operation: usize, response_ns: u64, service_ns: u64, count: u64) {
        let series = &mut self.series[operation];
        series
            .response
            .saturating_record_n(response_ns.max(1), count);
        if let Some(service) = &mut series.service {
            service.saturating_record_n(service_ns.max(1), count);
        }
    }

    /// Counts that a reply was an error; `line` is without `-`.
    pub fn error(&mut self, operation: usize, line: &[u8]) {
        self.series[operation].errors += 1;
        let word = line
            .split(|&byte| byte == b' ' || byte == b'\r')
            .next()
            .unwrap_or(b"");
        let word = String::from_utf8_lossy(&word[..word.len().min(32)]).into_owned();
        let line = String::from_utf8_lossy(&line[..line.len().min(EXAMPLE_MAX)]);
        count(&mut self.errors, word, 1, line.trim_end());
    }

    /// Counts a value that is not what was written.
    pub fn wrong(&mut self, what: &str, example: &str) {
        count(&mut self.wrong, what.to_owned(), 1, example);
    }

    /// Counts a connection that ended with requests on their way.
    pub fn lost(&mut self, why: &str, unanswered: u64) {
        *self.lost.entry(why.to_owned()).or_insert(0) += 1;
        self.unanswered += unanswered;
    }

    /// Adds what another thread counted.
    pub fn add(&mut self, other: &Tally) {
        for (mine, theirs) in self.series.iter_mut().zip(&other.series) {
            join(&mut mine.response, &theirs.response);
            if let (Some(mine), Some(theirs)) = (&mut mine.service, &theirs.service) {
                join(mine, theirs);
            }
            mine.errors += theirs.errors;
            mine.hits += theirs.hits;
            mine.misses += theirs.misses;
        }
        for (mine, theirs) in [
            (&mut self.errors, &other.errors),
            (&mut self.wrong, &other.wrong),
        ] {
            for (word, kind) in theirs {
                count(mine, word.clone(), kind.count, &kind.example);
            }
        }
        for (why, count) in &other.lost {
            *self.lost.entry(why.clone()).or_insert(0) += count;
        }
        join(&mut self.lateness, &other.lateness);
        self.reconnected += other.reconnected;
        self.moved += other.moved;
        self.asked += other.asked;
        self.unanswered += other.unanswered;
        self.last_sent = self.last_sent.max(other.last_sent);
        self.held_back += other.held_back;
        self.last_reply = self.last_reply.max(other.last_reply);
    }

    /// Replies of all operations.
    pub fn replies(&self) -> u64 {
        self.series.iter().map(|series| series.response.len()).sum()
    }

    /// Error replies of all operations.
    pub fn error_count(&self) -> u64 {
        self.series.iter().map(|series| series.errors).sum()
    }

    /// Values that are not what was written.
    pub fn wrong_count(&self) -> u64 {
        self.wrong.values().map(|kind| kind.count).sum()
    }

    /// Replies that found something, and that did not; `None` if no operation looks for anything.
    pub fn hits(&self) -> Option<(u64, u64)> {
        let (hits, misses) = self.series.iter().fold((0, 0), |(hits, misses), series| {
            (hits + series.hits, misses + series.misses)
        });
        (hits + misses > 0).then_some((hits, misses))
    }

    /// Connections that ended before their work did.
    pub fn lost_count(&self) -> u64 {
        self.lost.values().sum()
    }

    /// The response times of all operations together.
    pub fn response(&self) -> Times {
        joined(self.series.iter().map(|series| &series.response))
    }

    /// The service times of all operations together; `None` in a closed loop.
    pub fn service(&self) -> Option<Times> {
        let each = self
            .series
            .iter()
            .filter_map(|series| series.service.as_ref());
        self.series
            .iter()
            .any(|series| series.service.is_some())
            .then(|| joined(each))
    }
}

/// Adds times to others.
pub fn join(mine: &mut Times, theirs: &Times) {
    mine.add(theirs)
        .expect("all histograms have the same bounds");
}

fn joined<'a>(all: impl Iterator<Item = &'a Times>) -> Times {
    let mut sum = no_times();
    all.for_each(|times| join(&mut sum, times));
    sum
}

fn count(kinds: &mut Kinds, word: String, count: u64, example: &str) {
    let word = match kinds.contains_key(&word) || kinds.len() < KINDS_MAX {
        true => word,
        false => "(others)".to_owned(),
    };
    let kind = kinds.entry(word).or_insert_with(|| Kind {
        count: 0,
        example: example.to_owned(),
    });
    kind.count += count;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_add_up() {
        let (mut a, mut b) = (Tally::new(2, true), Tally::new(2, true));
        a.replies_of(0, 1_000, 900, 1);
        a.error(0, b"WRONGTYPE Operation against\r\n");
        b.replies_of(1, 3_000, 2_000, 1);
        b.replies_of(1, u64::MAX, 1, 1);
        b.error(1, b"WRONGTYPE x");
        b.lost("closed by the server", 5);
        b.series[1].misses = 2;
        a.add(&b);
        assert_eq!(
            (a.replies(), a.error_count(), a.lost_count(), a.unanswered),
            (3, 2, 1, 5)
        );
        let kind = Kind {
            count: 2,
            example: "WRONGTYPE Operation against".to_owned(),
        };
        assert_eq!(a.errors["WRONGTYPE"], kind);
        assert_eq!(
            (a.response().len(), a.service().map(|times| times.len())),
            (3, Some(3))
        );
        assert_eq!(a.hits(), Some((0, 2)));
        assert!(Tally::new(1, false).service().is_none());
    }

    #[test]
    fn kinds_of_errors_are_bounded() {
        let mut tally = Tally::new(1, false);
        (0..1000).for_each(|i| tally.error(0, format!("E{i} x").as_bytes()));
        assert_eq!(tally.errors.len(), KINDS_MAX + 1);
        assert_eq!(tally.error_count(), 1000);
    }
}
