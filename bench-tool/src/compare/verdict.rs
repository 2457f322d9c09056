//! What pairs of blocks say of one figure.
//!
//! The interval that is shown holds the true ratio 95 times of 100. A difference is told only when the interval of 99.99 % lies beyond the margin: several figures are
//! judged, and again after each pair, so that 95 % would find a difference between a server and itself now and then.

use super::{Block, PAIRS_MIN, SHOWN};
use crate::statistics::{Ratio, median, ratio};
use serde_json::{Value, json};

/// Confidence of the interval that decides.
const DECIDES: f64 = 0.9999;
/// Share of blocks in which this program may have been the limit.
const LIMITED: f64 = 0.25;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Requests answered a second.
    Throughput,
    /// Median response time.
    P50,
    /// 99th percentile of response times.
    P99,
    /// Processor time of the server for each request.
    Cpu,
}

impl Figure {
    /// All, in the order of tables.
    pub const ALL: [Figure; 4] = [Figure::Throughput, Figure::P50, Figure::P99, Figure::Cpu];

    /// Its name in tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Figure::Throughput => "requests/s",
            Figure::P50 => "p50",
            Figure::P99 => "p99",
            Figure::Cpu => "server CPU per request",
        }
    }

    /// Its value in a block.
    pub(super) fn of(self, block: &Block) -> f64 {
        match self {
            Figure::Throughput => block.throughput,
            Figure::P50 => block.p50,
            Figure::P99 => block.p99,
            Figure::Cpu => block.cpu,
        }
    }

    /// Whether less is better.
    fn is_cost(self) -> bool {
        self != Figure::Throughput
    }

    fn shown(self, value: f64) -> String {
        match self {
            Figure::Throughput => cairn_toolkit::human::count(value.round() as u64),
            Figure::P50 | Figure::P99 | Figure::Cpu => format!("{value:.2} us"),
        }
    }
}

/// What can be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// The first server is better.
    A,
    /// The second one is.
    B,
    /// They surely do not differ by more than the margin.
    Same,
    /// No difference was found; there may be one within the interval.
    Unclear,
    /// This program was the limit, in so many blocks of one server.
    Strained(usize),
}

/// One figure of both servers.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Which.
    pub figure: Figure,
    /// What is said of it.
    pub said: Said,
    medians: (f64, f64),
    ratio: Option<Ratio>,
}

impl Finding {
    /// Judges pairs; `limited`: in so many blocks of one server this program was the limit.
    pub fn new(figure: Figure, pairs: &[(f64, f64)], limited: usize, margin: f64) -> Finding {
        let (a, b): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        // What the server's processors spend does not depend on who asks.
        let is_strained = figure != Figure::Cpu && limited as f64 > pairs.len() as f64 * LIMITED;
        let decides = ratio(pairs, DECIDES).filter(|_| pairs.len() >= PAIRS_MIN);
        let (low, high) = (1.0 / (1.0 + margin), 1.0 + margin);
        let said = match decides {
            _ if is_strained => Said::Strained(limited),
            Some(ratio) if ratio.low > high => figure.better(true),
            Some(ratio) if ratio.high < low => figure.better(false),
            Some(ratio) if ratio.low >= low && ratio.high <= high => Said::Same,
            _ => Said::Unclear,
        };
        Finding {
            figure,
            said,
            medians: (median(&a), median(&b)),
            ratio: ratio(pairs, SHOWN),
        }
    }

    /// Whether the servers differ.
    pub fn differs(&self) -> bool {
        matches!(self.said, Said::A | Said::B)
    }

    /// Whether more pairs would tell nothing new: the interval reaches no further than this share, and either holds 1 or a difference is told. A server
    /// that does not tell the figure never has one.
    pub fn is_settled(&self, share: f64) -> bool {
        match &self.ratio {
            Some(ratio) => {
                let is_tight = ratio.high / ratio.mean - 1.0 <= share;
                let holds_one = ratio.low <= 1.0 && ratio.high >= 1.0;
                is_tight && (holds_one || self.differs() || self.said == Said::Same)
            }
            None => self.medians == (0.0, 0.0),
        }
    }

    /// Cells of a table.
    pub fn row(&self) -> Vec<String> {
        let (mean, interval) = match &self.ratio {
            Some(ratio) => (
                format!("{:.3}", ratio.mean),
                format!("{:.3} to {:.3}", ratio.low, ratio.high),
            ),
            None => (String::new(), String::new()),
        };
        let said = match &self.said {
            Said::A => "A is better".to_owned(),
            Said::B => "B is better".to_owned(),
            Said::Same => "the same within the margin".to_owned(),
            Said::Unclear => "no difference found".to_owned(),
            Said::Strained(blocks) => {
                format!("no verdict: limited by this program in {blocks} blocks")
            }
        };
        let (a, b) = self.medians;
        vec![
            self.figure.name().to_owned(),
            self.figure.shown(a),
            self.figure.shown(b),
            mean,
            interval,
            said,
        ]
    }

    /// The same for programs.
    pub fn json(&self) -> Value {
        let said = match self.said {
            Said::A => "a",
            Said::B => "b",
            Said::Same => "same",
            Said::Unclear => "unclear",
            Said::Strained(_) => "generator was the limit",
        };
        json!({
            "a": self.medians.0,
            "b": self.medians.1,
            "ratio": self.ratio.map(|ratio| ratio.mean),
            "low": self.ratio.map(|ratio| ratio.low),
            "high": self.ratio.map(|ratio| ratio.high),
            "verdict": said,
        })
    }
}

impl Figure {
    /// Who is better if the second server has more of it.
    fn better(self, b_has_more: bool) -> Said {
        match self.is_cost() == b_has_more {
            true => Said::A,
            false => Said::B,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn pairs(ratio: f64, noise: f64, count: usize, seed: u64) -> Vec<(f64, f64)> {
        let mut random = Random::new(seed);
        let mut noisy = |value: f64| value * (noise * random.normal()).exp();
        (0..count)
            .map(|_| (noisy(100.0), noisy(100.0 * ratio)))
            .collect()
    }

    /// As a run judges: after each pair, until it is settled or there are sixty.
    fn end(ratio: f64, noise: f64, seed: u64) -> Said {
        let all = pairs(ratio, noise, 60, seed);
        let judged = (PAIRS_MIN..=60).map(|n| Finding::new(Figure::P50, &all[..n], 0, 0.01));
        let mut last = None;
        for finding in judged {
            let is_settled = finding.is_settled(0.02);
            last = Some(finding.said);
            if is_settled {
                break;
            }
        }
        last.unwrap_or(Said::Unclear)
    }

    #[test]
    fn the_same_is_never_a_winner_and_five_percent_always_are() {
        for seed in 0..200 {
            let said = end(1.0, 0.03, seed);
            assert!(
                matches!(said, Said::Same | Said::Unclear),
                "{seed}: {said:?}"
            );
        }
        let found = (0..40)
            .filter(|&seed| end(1.05, 0.03, seed) == Said::A)
            .count();
        assert!(found >= 38, "{found} of 40");
    }

    #[test]
    fn what_this_program_limits_has_no_winner_but_what_the_server_spends_has() {
        let pairs = pairs(1.5, 0.01, 10, 1);
        assert_eq!(
            Finding::new(Figure::Throughput, &pairs, 0, 0.01).said,
            Said::B
        );
        assert_eq!(
            Finding::new(Figure::Throughput, &pairs, 5, 0.01).said,
            Said::Strained(5)
        );
        assert_eq!(Finding::new(Figure::Cpu, &pairs, 10, 0.01).said, Said::A);
        assert_eq!(
            Finding::new(Figure::Cpu, &pairs[..3], 0, 0.01).said,
            Said::Unclear
        );
    }
}
