//! What a Redis 7.2.4 said of its commands (`testdata/commands-7.2.json`), compared with what ours say.

use cairn_format::resp::value::Value;
use serde_json::{Value as Json, json};

use super::Bench;

/// The description of one command as the golden file has it, made of a RESP2 reply to COMMAND INFO.
fn described(info: &Value) -> Json {
    let parts = info.as_array().expect("ten parts");
    assert_eq!(parts.len(), 10);
    let mut json = json!({
        "name": text(&parts[0]), "arity": parts[1].as_int(), "flags": tree(&parts[2]),
        "first_key": parts[3].as_int(), "last_key": parts[4].as_int(), "step": parts[5].as_int(),
        "acl": tree(&parts[6]), "tips": tree(&parts[7]), "key_specs": tree(&parts[8]),
    });
    let subcommands = parts[9].as_array().expect("subcommands");
    if !subcommands.is_empty() {
        json["subcommands"] = subcommands.iter().map(described).collect();
    }
    json
}

fn text(value: &Value) -> String {
    String::from_utf8_lossy(value.as_bytes().expect("text")).into_owned()
}

fn tree(value: &Value) -> Json {
    match value {
        Value::Int(number) => json!(number.to_string()),
        Value::Array(items) => items.iter().map(tree).collect(),
        other => json!(text(other)),
    }
}

fn golden() -> Vec<Json> {
    let text = include_str!("../../../../testdata/commands-7.2.json");
    serde_json::from_str(text).expect("the golden file is JSON")
}

fn by_name<'a>(list: &'a [Json], name: &Json) -> Option<&'a Json> {
    list.iter().find(|c| c["name"] == *name)
}

/// The fields in which two descriptions differ. Subcommands that we do not have yet are passed over.
fn differences(ours: &Json, theirs: &Json, found: &mut Vec<String>) {
    for (field, want) in theirs.as_object().expect("an object") {
        if field == "subcommands" {
            continue;
        }
        if ours[field] != *want {
            found.push(format!(
                "{} {field}: {} instead of {want}",
                ours["name"], ours[field]
            ));
        }
    }
    let none = Vec::new();
    let theirs = theirs["subcommands"].as_array().unwrap_or(&none);
    for sub in ours["subcommands"].as_array().unwrap_or(&none) {
        match by_name(theirs, &sub["name"]) {
            Some(want) => differences(sub, want, found),
            None if is_newer(&sub["name"]) => {}
            None => found.push(format!("{} is no subcommand of Redis 7.2", sub["name"])),
        }
    }
}

/// Commands of later versions, which Redis 7.2 says nothing of.
const NEWER: &[&str] = &[
    "client|capa",
    "cluster|cancelslotmigrations",
    "cluster|getslotmigrations",
    "cluster|migrateslots",
    "cluster|slot-stats",
    "cluster|syncslots",
    "commandlog",
    "delex",
    "delifeq",
    "digest",
    "hexpire",
    "hexpireat",
    "hexpiretime",
    "hgetdel",
    "hgetex",
    "hpersist",
    "hpexpire",
    "hpexpireat",
    "hpexpiretime",
    "hpttl",
    "hsetex",
    "httl",
    "increx",
    "msetex",
    "sdiffcard",
    "sunioncard",
    "xackdel",
    "xdelex",
];

fn is_newer(name: &Json) -> bool {
    NEWER.iter().any(|newer| *name == *newer)
}

/// Every field in which a command of the bench's engine differs from Redis's command of that name.
pub fn differences_from_redis(bench: &mut Bench) -> Vec<String> {
    let golden = golden();
    let reply = bench.value("COMMAND");
    let mut found = Vec::new();
    for command in reply.as_array().expect("a list") {
        let ours = described(command);
        match by_name(&golden, &ours["name"]) {
            Some(theirs) => differences(&ours, theirs, &mut found),
            None if is_newer(&ours["name"]) => {}
            None => found.push(format!("{} is no command of Redis 7.2", ours["name"])),
        }
    }
    found
}
