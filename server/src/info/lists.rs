//! Sections whose lines depend on what happened: commandstats, errorstats, keyspace.

use cairn_engine::call::ctx::CommandStats;
use cairn_engine::keyspace::Database;
use cairn_engine::value::Kind;

use super::{View, push};
use crate::config::{percentile_text, table};

/// Names and figures of the commands that were called or refused.
pub(super) fn used_commands<'a>(
    view: &View<'a>,
) -> impl Iterator<Item = (&'a str, &'a CommandStats)> {
    let table = view.shared.table.entries().iter();
    table
        .map(|command| command.name)
        .zip(&view.shared.stats.commands)
        .filter(|(_, stats)| stats.calls + stats.rejected + stats.failed > 0)
}

/// Numbers and contents of the databases that have keys.
pub(super) fn used_databases<'a>(view: &View<'a>) -> impl Iterator<Item = (usize, Database<'a>)> {
    let ks = view.ks;
    (0..ks.databases())
        .map(|index| (index, ks.database(index)))
        .filter(|(_, db)| !db.is_empty())
        .inspect(|(_, db)| debug_assert!(db.expiring() <= db.len(), "more expire than there are"))
}

/// `cmdstat_get:calls=1,...` of each command that was called or refused.
pub(super) fn commands(view: &View, text: &mut String) {
    for (name, stats) in used_commands(view) {
        let mean = stats.usec as f64 / stats.calls.max(1) as f64;
        text.push_str(&format!(
            "cmdstat_{name}:calls={},usec={},usec_per_call={mean:.2},rejected_calls={},failed_calls={}\r\n",
            stats.calls, stats.usec, stats.rejected, stats.failed
        ));
    }
}

/// `io_thread_1:clients=50,reads=9,writes=9,cpu_usec=90` of each I/O thread; that of the data is 0.
pub(super) fn threads(view: &View, text: &mut String) {
    let process = view.front.host.process();
    for (number, load) in view.front.clients.pool.loads().enumerate() {
        let cpu_us = process.thread_cpu_us(load.thread);
        text.push_str(&format!(
            "io_thread_{}:clients={},reads={},writes={},cpu_usec={cpu_us}\r\n",
            number + 1,
            load.clients,
            load.reads,
            load.writes,
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
        debug_assert!(
            histogram.total() <= stats.calls,
            "{}: timed, not called",
            command.name
        );
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
    for (index, db) in used_databases(view) {
        text.push_str(&format!(
            "db{index}:keys={},expires={},avg_ttl={}\r\n",
            db.len(),
            db.expiring(),
            db.avg_ttl_ms()
        ));
    }
}

/// Types that INFO keysizes counts, with the word of their lines.
const SIZED: [(Kind, &str); 5] = [
    (Kind::String, "strings_sizes"),
    (Kind::List, "lists_items"),
    (Kind::Set, "sets_items"),
    (Kind::Zset, "zsets_items"),
    (Kind::Hash, "hashes_items"),
];

/// `db0_distrib_strings_sizes:1=19,2=655,1K=3` of each type in each database: how many keys have at least so many bytes or
/// elements and less than the double. As Redis 8.
pub(super) fn sizes(view: &View, text: &mut String) {
    for (index, db) in used_databases(view) {
        let sizes = db.sizes();
        for (kind, word) in SIZED {
            let mut before = ":";
            for (least, count) in sizes.of_type(kind as u8) {
                if before == ":" {
                    push(text, &["db", &index.to_string(), "_distrib_", word]);
                }
                let (least, count) = (short(least), count.to_string());
                push(text, &[before, &least, "=", &count]);
                before = ",";
            }
            if before == "," {
                text.push_str("\r\n");
            }
        }
    }
}

/// A power of two: `512`, `1K`, `2M`.
fn short(number: u64) -> String {
    let unit = number.max(1).ilog2() / 10;
    match unit {
        0 => number.to_string(),
        _ => format!(
            "{}{}",
            number >> (10 * unit),
            ["", "K", "M", "G", "T", "P", "E"][unit as usize]
        ),
    }
}
