//! Sums, scores and patterns as a real server answered them (`testdata/text`, made by `make.py` there).

use std::path::PathBuf;

use cairn_format::text::{double, glob::glob_match, long_double::LongDouble};
use serde_json::Value;

fn rows(name: &str) -> Vec<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../testdata/text")
        .join(name);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    // The first line tells where the rest comes from.
    let rows: Vec<Value> = text
        .lines()
        .skip(1)
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(rows.len() >= 290, "{name} has {} rows", rows.len());
    rows
}

fn text(row: &Value, index: usize) -> &str {
    row[index].as_str().unwrap()
}

/// What INCRBYFLOAT answers, its errors included.
fn sum(value: &str, increment: &str) -> String {
    let (Some(value), Some(increment)) = (
        LongDouble::parse(value.as_bytes()),
        LongDouble::parse(increment.as_bytes()),
    ) else {
        return "-ERR value is not a valid float".into();
    };
    match value.checked_add(increment).filter(LongDouble::is_finite) {
        None => "-ERR increment would produce NaN or Infinity".into(),
        Some(sum) => {
            let mut out = Vec::new();
            sum.write_human(&mut out);
            String::from_utf8(out).unwrap()
        }
    }
}

#[test]
fn sums_agree_with_a_real_server() {
    for row in rows("sums.jsonl") {
        assert_eq!(sum(text(&row, 0), text(&row, 1)), text(&row, 2), "{row}");
    }
}

#[test]
fn patterns_agree_with_a_real_server() {
    for row in rows("patterns.jsonl") {
        let hit = glob_match(text(&row, 0).as_bytes(), text(&row, 1).as_bytes(), false);
        assert_eq!(Some(hit), row[2].as_bool(), "{row}");
    }
}

#[test]
fn scores_agree_with_a_real_7_0() {
    for row in rows("scores-7.0.jsonl") {
        let value = double::parse_f64(text(&row, 0).as_bytes()).unwrap();
        let mut out = Vec::new();
        double::write_f64_17(&mut out, value);
        assert_eq!(String::from_utf8(out).unwrap(), text(&row, 1), "{row}");
    }
}
