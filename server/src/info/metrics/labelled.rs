//! Sources of metrics with labels, and of those that INFO shows in another form.

use std::fmt;

use super::super::{View, lists, persistence};
use super::Samples;
use crate::config::table;
use cairn_engine::call::ctx::CommandStats;
use cairn_engine::commands::connection::REDIS_VERSION;

/// 1: this very server answers.
pub(super) fn up(_: &View, samples: &mut Samples) {
    samples.add(&[], 1);
}

/// Who this is.
pub(super) fn instance(view: &View, samples: &mut Samples) {
    let config = &view.front.settings.config;
    let values = [
        match view.front.replication.follows() {
            true => "slave",
            false => "master",
        },
        REDIS_VERSION,
        env!("CARGO_PKG_VERSION"),
        config.mode(),
        config.get(table::MAXMEMORY_POLICY).word(),
        &config.get(table::PORT).to_string(),
        &view.front.figures.run_id,
    ];
    samples.add(&values, 1);
}

/// When the process began.
pub(super) fn started(view: &View, samples: &mut Samples) {
    samples.add(&[], view.front.figures.started.wall_us as f64 / 1e6);
}

/// Microseconds as seconds: quicker to write than a floating-point number, and most samples are such.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

fn per_command<T: fmt::Display>(view: &View, samples: &mut Samples, value: fn(&CommandStats) -> T) {
    for (name, stats) in lists::used_commands(view) {
        samples.add(&[name], value(stats));
    }
}

/// Times that each command ran.
pub(super) fn calls(view: &View, samples: &mut Samples) {
    per_command(view, samples, |stats| stats.calls);
}

/// Time that each command took.
pub(super) fn seconds(view: &View, samples: &mut Samples) {
    per_command(view, samples, |stats| Seconds(stats.usec));
}

/// Times that each command was refused.
pub(super) fn rejected(view: &View, samples: &mut Samples) {
    per_command(view, samples, |stats| stats.rejected);
}

/// Times that each command answered with an error.
pub(super) fn failed(view: &View, samples: &mut Samples) {
    per_command(view, samples, |stats| stats.failed);
}

/// How long each command took, while histograms are kept.
pub(super) fn latencies(view: &View, samples: &mut Samples) {
    if !view.front.settings.config.get(table::LATENCY_TRACKING) {
        return;
    }
    for (name, stats) in lists::used_commands(view) {
        if let Some(histogram) = &stats.histogram {
            let steps = histogram.cumulative();
            samples.histogram(&[name], &steps, histogram.total(), stats.usec);
        }
    }
}

/// Errors by their first word.
pub(super) fn errors(view: &View, samples: &mut Samples) {
    for (prefix, count) in &view.shared.stats.errors {
        samples.add(&[prefix], count);
    }
}

/// Keys of each database.
pub(super) fn keys(view: &View, samples: &mut Samples) {
    for (index, db) in lists::used_databases(view) {
        samples.add(&[&format!("db{index}")], db.len());
    }
}

/// Keys of each database that expire.
pub(super) fn expiring(view: &View, samples: &mut Samples) {
    for (index, db) in lists::used_databases(view) {
        samples.add(&[&format!("db{index}")], db.expiring());
    }
}

/// Mean time to live in each database.
pub(super) fn ttl(view: &View, samples: &mut Samples) {
    for (index, db) in lists::used_databases(view) {
        samples.add(&[&format!("db{index}")], db.avg_ttl_ms() as f64 / 1e3);
    }
}

fn of_log(view: &View, samples: &mut Samples, name: &str) {
    let figures = persistence::log(view);
    let found = figures.iter().find(|(field, _)| *field == name);
    debug_assert!(
        found.is_some() || figures.is_empty(),
        "the log has no figure {name}"
    );
    if let Some((_, value)) = found {
        samples.add(&[], value);
    }
}

/// Size of the log.
pub(super) fn log_size(view: &View, samples: &mut Samples) {
    of_log(view, samples, "aof_current_size");
}

/// Its size after the last rewrite.
pub(super) fn log_base_size(view: &View, samples: &mut Samples) {
    of_log(view, samples, "aof_base_size");
}

/// What of it waits to be written.
pub(super) fn log_buffer(view: &View, samples: &mut Samples) {
    of_log(view, samples, "aof_buffer_length");
}

/// Syncs of it under way.
pub(super) fn log_syncs(view: &View, samples: &mut Samples) {
    of_log(view, samples, "aof_pending_bio_fsync");
}

/// Writes that waited for a sync.
pub(super) fn log_delays(view: &View, samples: &mut Samples) {
    of_log(view, samples, "aof_delayed_fsync");
}

/// Answers with metrics.
pub(super) fn scrapes(view: &View, samples: &mut Samples) {
    samples.add(&[], view.front.figures.scrapes.count);
}

/// Time that they took the loop.
pub(super) fn scrape_seconds(view: &View, samples: &mut Samples) {
    samples.add(&[], Seconds(view.front.figures.scrapes.us));
}

/// Time of the last.
pub(super) fn last_scrape_seconds(view: &View, samples: &mut Samples) {
    samples.add(&[], Seconds(view.front.figures.scrapes.last_us));
}

/// Who is connected to the metrics port.
pub(super) fn visitors(view: &View, samples: &mut Samples) {
    samples.add(&[], view.front.visitors.len());
}
