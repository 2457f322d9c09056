//! Everything that is known of runs, as one document.

use super::{QUANTILES, Report, Run, smallest};
use crate::load::strain::Limit;
use crate::load::tally::{Kinds, Times};
use serde_json::{Map, Value, json};

/// The document: that of the run, or of a set with its runs.
pub fn document(report: &Report<'_>) -> Value {
    match (report.suite, report.runs) {
        (None, [only]) => run(only),
        (suite, runs) => {
            json!({ "suite": suite, "runs": runs.iter().map(run).collect::<Vec<_>>() })
        }
    }
}

fn run(run: &Run) -> Value {
    let Run { plan, measured } = run;
    let (tally, ending) = (&measured.tally, &measured.ending);
    let operations = plan.workload.operations.iter().zip(&tally.series);
    let commands: Vec<Value> = operations
        .map(|(operation, series)| {
            json!({
                "command": operation.name,
                "weight": operation.weight,
                "replies": series.response.len(),
                "errors": series.errors,
                "hits": series.hits,
                "misses": series.misses,
                "latency_us": latencies(&series.response),
                "service_us": series.service.as_ref().map(latencies),
            })
        })
        .collect();
    let threads: Vec<Value> = measured
        .strains
        .iter()
        .map(|strain| {
            strain.map_or(
                Value::Null,
                |strain| json!({ "ran": strain.ran, "was_ready": strain.was_ready }),
            )
        })
        .collect();
    let (is_limit, why) = match &measured.limit {
        Limit::Here(why) => (Value::from(true), Value::from(why.as_str())),
        Limit::Elsewhere => (Value::from(false), Value::Null),
        Limit::Unknown => (Value::Null, Value::Null),
    };
    let (hits, misses) = tally
        .hits()
        .map_or((None, None), |(hits, misses)| (Some(hits), Some(misses)));
    let is_open = plan.rate.is_some();
    let fields = [
        ("target", json!(plan.target.place.to_string())),
        ("cluster", json!(plan.is_cluster)),
        ("clients", json!(plan.clients)),
        ("pipeline", json!(plan.pipeline)),
        ("threads", json!(plan.threads)),
        ("seed", json!(plan.seed)),
        ("warmup_s", json!(measured.warmup_s)),
        ("warmup_steady", json!(measured.is_steady)),
        ("loop", json!(if is_open { "open" } else { "closed" })),
        (
            "latency_from",
            json!(if is_open { "schedule" } else { "send" }),
        ),
        ("rate", json!(plan.rate.as_ref().map(ToString::to_string))),
        ("poisson", json!(plan.poisson)),
        (
            "rate_asked_rps",
            json!(ending.rates.map(|rates| rates.asked)),
        ),
        ("rate_sent_rps", json!(ending.rates.map(|rates| rates.sent))),
        (
            "schedule_held",
            json!(ending.rates.map(|rates| rates.are_held())),
        ),
        (
            "requests",
            json!((plan.requests != u64::MAX).then_some(plan.requests)),
        ),
        (
            "duration_s",
            json!(plan.duration.map(|duration| duration.as_secs_f64())),
        ),
        (
            "io",
            json!(match measured.is_ringed {
                true => "io_uring",
                false => "epoll",
            }),
        ),
        ("interrupted", json!(measured.interrupted)),
        ("ended_early", json!(ending.early)),
        ("ended_after_s", json!(ending.after_s)),
        ("replies", json!(tally.replies())),
        ("elapsed_s", json!(ending.period_s)),
        ("throughput_rps", json!(measured.throughput())),
        ("latency_us", latencies(&tally.response())),
        ("service_us", json!(tally.service().as_ref().map(latencies))),
        (
            "own_lateness_us",
            json!(is_open.then(|| latencies(&tally.lateness))),
        ),
        ("hits", json!(hits)),
        ("misses", json!(misses)),
        ("errors", json!(tally.error_count())),
        ("errors_by_word", kinds(&tally.errors)),
        (
            "wrong_values",
            json!(plan.verify.then(|| tally.wrong_count())),
        ),
        ("wrong_by_kind", kinds(&tally.wrong)),
        ("moved", json!(tally.moved)),
        ("asked", json!(tally.asked)),
        ("connections_lost", json!(tally.lost_count())),
        ("connections_made_again", json!(tally.reconnected)),
        ("requests_unanswered", json!(tally.unanswered)),
        ("requests_unsent", json!(ending.unsent)),
        ("generator_was_limit", is_limit),
        ("generator_limit", why),
        ("generator_threads", Value::Array(threads)),
        ("seconds", seconds(run)),
        ("commands", Value::Array(commands)),
    ];
    Value::Object(
        fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}

/// The run by the second.
fn seconds(run: &Run) -> Value {
    let mut all = Vec::new();
    run.measured.timeline.each(|number, slice| {
        let us = |q: f64| slice.times.value_at_quantile(q) as f64 / 1e3;
        all.push(json!({
            "second": number,
            "replies": slice.times.len(),
            "errors": slice.errors,
            "p50_us": us(0.5),
            "p99_us": us(0.99),
            "max_us": slice.times.max() as f64 / 1e3,
        }));
    });
    Value::Array(all)
}

fn kinds(kinds: &Kinds) -> Value {
    let each = kinds.iter().map(|(word, kind)| {
        (
            word.clone(),
            json!({ "count": kind.count, "example": kind.example }),
        )
    });
    Value::Object(each.collect())
}

/// Microseconds with their fraction.
pub fn latencies(times: &Times) -> Value {
    let us = |ns: u64| ns as f64 / 1e3;
    let mut map = Map::new();
    map.insert("min".to_owned(), json!(us(smallest(times))));
    map.insert("mean".to_owned(), json!(times.mean() / 1e3));
    for (name, quantile) in QUANTILES {
        map.insert(
            name.to_owned(),
            json!(us(times.value_at_quantile(quantile))),
        );
    }
    map.insert("max".to_owned(), json!(us(times.max())));
    Value::Object(map)
}
