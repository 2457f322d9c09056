//! `docs/metrics.md` lists what the table of metrics says, and the dashboard asks for nothing else.

#[path = "support/listed.rs"]
mod listed;

use std::collections::BTreeSet;

use cairn_server::info::metrics::{Kind, METRICS};
use serde_json::Value as Json;

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");

fn expected() -> String {
    let mut text = String::from("| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for metric in METRICS {
        let labels: Vec<String> = metric
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        text.push_str(&format!(
            "| `{}` | {} | {} | {} |\n",
            metric.name,
            metric.kind.word(),
            labels.join(", "),
            metric.help
        ));
    }
    text
}

/// With CAIRN_WRITE_DOCS=1 the test writes the list into the document instead of comparing it.
#[test]
fn the_document_lists_every_metric_as_the_table_has_it() {
    listed::assert_listed("docs/metrics.md", Some("metrics"), &expected());
}

/// All texts of queries: of panels, and of the variables at the top.
fn queries(json: &Json, found: &mut Vec<String>) {
    match json {
        Json::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Json::String(text) if ["expr", "query"].contains(&name.as_str()) => {
                        found.push(text.clone())
                    }
                    _ => queries(value, found),
                }
            }
        }
        Json::Array(values) => values.iter().for_each(|value| queries(value, found)),
        _ => {}
    }
}

/// Words of a query that name a metric: all of ours have one of two beginnings.
fn names(query: &str) -> impl Iterator<Item = &str> {
    query
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("redis_") || word.starts_with("cairn_"))
}

#[test]
fn the_dashboard_asks_for_metrics_that_are_there() {
    let text = std::fs::read_to_string(format!("{DOCS}/grafana/cairn.json")).unwrap();
    let dashboard: Json = serde_json::from_str(&text).unwrap();
    let mut found = Vec::new();
    queries(&dashboard, &mut found);
    let labels: BTreeSet<&str> = METRICS
        .iter()
        .flat_map(|metric| metric.labels)
        .copied()
        .collect();
    let mut known: BTreeSet<String> = BTreeSet::new();
    for metric in METRICS {
        match metric.kind {
            Kind::Histogram => known
                .extend(["_bucket", "_sum", "_count"].map(|end| format!("{}{end}", metric.name))),
            _ => known.extend([metric.name.to_owned()]),
        }
    }
    let mut asked = BTreeSet::new();
    for query in &found {
        let unknown: Vec<&str> = names(query)
            .filter(|name| !known.contains(*name) && !labels.contains(name))
            .collect();
        assert!(unknown.is_empty(), "{query}: {unknown:?}");
        // Of the variables one names the kind of data source.
        let some = names(query).next().is_some() || query == "prometheus";
        assert!(some, "asks for no metric: {query}");
        asked.extend(names(query).map(str::to_owned));
    }
    assert!(asked.len() >= 40, "{asked:?}");
}

#[test]
fn panels_of_the_dashboard_do_not_lie_on_each_other() {
    let text = std::fs::read_to_string(format!("{DOCS}/grafana/cairn.json")).unwrap();
    let dashboard: Json = serde_json::from_str(&text).unwrap();
    let mut places = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let at = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{panel}");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(
                    places.insert((x, y)),
                    "{}: {x}, {y} is taken",
                    panel["title"]
                );
            }
        }
    }
}
