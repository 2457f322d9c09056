//! Sections whose lines depend on what happened: commandstats, errorstats, keyspace.

use super::View;
use crate::config::{percentile_text, table};

/// `cmdstat_get:calls=1,...` of each command that was called or refused.
pub(super) fn commands(view: &View, text: &mut String) {
    let table = view.shared.table.entries();
    for (command, stats) in table.iter().zip(&view.shared.stats.commands) {
        if stats.calls + stats.rejected + stats.failed == 0 {
            continue;
        }
        let mean = stats.usec as f64 / stats.calls.max(1) as f64;
        text.push_str(&format!(
            "cmdstat_{}:calls={},usec={},usec_per_call={mean:.2},rejected_calls={},failed_calls={}\r\n",
            command.name, stats.calls, stats.usec, stats.rejected, stats.failed
        ));
    }
}

/// `latency_percentiles_usec_get:p50=1.003,...` of each command that was called, unless no histograms are kept.
pub(super) fn latencies(view: &View, text: &mut String) {
    let config = &view.front.settings.config;
    if !config.get(table::LATENCY_TRACKING) {
        return;
    }
    let percents = config.get(table::LATENCY_TRACKING_INFO_PERCENTILES);
    let table = view.shared.table.entries();
    for (command, stats) in table.iter().zip(&view.shared.stats.commands) {
        let Some(histogram) = &stats.histogram else {
            continue;
        };
        let figures: Vec<String> = percents
            .iter()
            .map(|percent| {
                let micros = histogram.percentile(*percent) as f64 / 1000.0;
                format!("p{}={micros:.3}", percentile_text(*percent))
            })
            .collect();
        text.push_str(&format!(
            "latency_percentiles_usec_{}:{}\r\n",
            command.name,
            figures.join(",")
        ));
    }
}

/// `errorstat_ERR:count=2` of each first word of an error.
pub(super) fn errors(view: &View, text: &mut String) {
    for (prefix, count) in &view.shared.stats.errors {
        text.push_str(&format!("errorstat_{prefix}:count={count}\r\n"));
    }
}

/// `db0:keys=1,expires=0,avg_ttl=0` of each database with keys.
pub(super) fn databases(view: &View, text: &mut String) {
    for index in 0..view.ks.databases() {
        let db = view.ks.db(index);
        if !db.is_empty() {
            text.push_str(&format!(
                "db{index}:keys={},expires={},avg_ttl={}\r\n",
                db.len(),
                db.expiring(),
                db.avg_ttl_ms()
            ));
        }
    }
}
