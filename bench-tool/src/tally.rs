//! Times and errors, counted by each thread for itself and added up at the end.

use hdrhistogram::Histogram;
use std::collections::BTreeMap;

/// Longest latency that is told apart, in nanoseconds: an hour. Longer ones count as an hour.
const LATENCY_MAX_NS: u64 = 3_600_000_000_000;
/// Kinds of errors that are told apart; a server that answers nonsense must not fill the memory.
const ERROR_KINDS_MAX: usize = 100;
/// Bytes of an error line that are kept as its example.
const EXAMPLE_MAX: usize = 200;

/// One command's replies.
#[derive(Clone, Debug)]
pub struct Series {
    /// Nanoseconds, three significant digits.
    pub latencies: Histogram<u64>,
    /// Replies that were errors; their times are counted too.
    pub errors: u64,
}

/// Error replies that begin with the same word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorKind {
    /// How many.
    pub count: u64,
    /// The first one.
    pub example: String,
}

/// What a thread, or all together, counted after the warm-up.
#[derive(Clone, Debug)]
pub struct Tally {
    /// One for each command, in the order given.
    pub series: Vec<Series>,
    /// By first word of the reply, which is what clients act on.
    pub errors: BTreeMap<String, ErrorKind>,
    /// Why connections ended, and how many.
    pub lost: BTreeMap<String, u64>,
    /// Requests that were sent and never answered.
    pub unanswered: u64,
    /// When the last reply came, in nanoseconds from the start of the run.
    pub last_reply: u64,
}

impl Tally {
    /// An empty tally for so many commands.
    pub fn new(commands: usize) -> Tally {
        let latencies = Histogram::new_with_bounds(1, LATENCY_MAX_NS, 3)
            .expect("the bounds are constants and valid");
        Tally {
            series: vec![
                Series {
                    latencies,
                    errors: 0
                };
                commands
            ],
            errors: BTreeMap::new(),
            lost: BTreeMap::new(),
            unanswered: 0,
            last_reply: 0,
        }
    }

    /// Counts a reply.
    pub fn reply(&mut self, command: usize, latency_ns: u64) {
        self.series[command]
            .latencies
            .saturating_record(latency_ns.max(1));
    }

    /// Counts that a reply was an error; `line` is without `-`.
    pub fn error(&mut self, command: usize, line: &[u8]) {
        self.series[command].errors += 1;
        let word = line
            .split(|&byte| byte == b' ' || byte == b'\r')
            .next()
            .unwrap_or(b"");
        let word = String::from_utf8_lossy(&word[..word.len().min(32)]).into_owned();
        let word = match self.errors.contains_key(&word) || self.errors.len() < ERROR_KINDS_MAX {
            true => word,
            false => "(others)".to_owned(),
        };
        let kind = self.errors.entry(word).or_insert_with(|| ErrorKind {
            count: 0,
            example: String::from_utf8_lossy(&line[..line.len().min(EXAMPLE_MAX)])
                .trim_end()
                .to_owned(),
        });
        kind.count += 1;
    }

    /// Counts a connection that ended with requests on their way.
    pub fn lost(&mut self, why: &str, unanswered: u64) {
        *self.lost.entry(why.to_owned()).or_insert(0) += 1;
        self.unanswered += unanswered;
    }

    /// Adds what another thread counted.
    pub fn add(&mut self, other: &Tally) {
        for (mine, theirs) in self.series.iter_mut().zip(&other.series) {
            mine.latencies
                .add(&theirs.latencies)
                .expect("all histograms have the same bounds");
            mine.errors += theirs.errors;
        }
        for (word, theirs) in &other.errors {
            let mine = self.errors.entry(word.clone()).or_insert(ErrorKind {
                count: 0,
                example: theirs.example.clone(),
            });
            mine.count += theirs.count;
        }
        for (why, count) in &other.lost {
            *self.lost.entry(why.clone()).or_insert(0) += count;
        }
        self.unanswered += other.unanswered;
        self.last_reply = self.last_reply.max(other.last_reply);
    }

    /// Replies of all commands.
    pub fn replies(&self) -> u64 {
        self.series
            .iter()
            .map(|series| series.latencies.len())
            .sum()
    }

    /// Error replies of all commands.
    pub fn error_count(&self) -> u64 {
        self.series.iter().map(|series| series.errors).sum()
    }

    /// Connections that ended before their work did.
    pub fn lost_count(&self) -> u64 {
        self.lost.values().sum()
    }

    /// The times of all commands together.
    pub fn all(&self) -> Histogram<u64> {
        let mut all = self.series[0].latencies.clone();
        for series in &self.series[1..] {
            all.add(&series.latencies)
                .expect("all histograms have the same bounds");
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_add_up() {
        let (mut a, mut b) = (Tally::new(2), Tally::new(2));
        a.reply(0, 1_000);
        a.error(0, b"WRONGTYPE Operation against\r\n");
        b.reply(1, 3_000);
        b.reply(1, u64::MAX);
        b.error(1, b"WRONGTYPE x");
        b.lost("closed by the server", 5);
        a.add(&b);
        assert_eq!(
            (a.replies(), a.error_count(), a.lost_count(), a.unanswered),
            (3, 2, 1, 5)
        );
        assert_eq!(
            a.errors["WRONGTYPE"],
            ErrorKind {
                count: 2,
                example: "WRONGTYPE Operation against".to_owned()
            }
        );
        assert_eq!(a.all().len(), 3);
    }

    #[test]
    fn kinds_of_errors_are_bounded() {
        let mut tally = Tally::new(1);
        (0..1000).for_each(|i| tally.error(0, format!("E{i} x").as_bytes()));
        assert_eq!(tally.errors.len(), ERROR_KINDS_MAX + 1);
        assert_eq!(tally.error_count(), 1000);
    }
}
