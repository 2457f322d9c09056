//! The report as one JSON document.

use super::growth::Growth;
use super::{InspectArguments, Surveyed};
use crate::snapshot::checksum_word;
use crate::survey::Survey;
use crate::survey::histogram::{Bin, Sizes};
use crate::survey::slots::Slots;
use crate::survey::top::Top;
use cairn_format::rdb::Family;
use cairn_toolkit::json::Bytes;
use cairn_toolkit::prefix::{Count, Tree};
use serde_json::{Map, Value, json};

const TEXT: Bytes = Bytes::Text;

/// All that is known; what was not asked for is null.
pub fn document(arguments: &InspectArguments, found: &Surveyed, growth: Option<&Growth>) -> Value {
    let (walk, survey) = (&found.walk, &found.survey);
    let top = arguments.top as usize;
    let expiry = survey
        .expiry
        .ranges()
        .map(|(name, bin)| joined(json!({ "expire_in": name }), bin_json(bin)));
    json!({
        "file": found.name,
        "family": if walk.dialect.family() == Family::Redis { "redis" } else { "valkey" },
        "version": walk.dialect.version(),
        "bytes": walk.bytes,
        "keys": walk.keys,
        "keys_selected": survey.keys(),
        "checksum": checksum_word(walk.checksum),
        "complete": !walk.is_cut,
        "aux": survey.aux.iter().map(|(name, value)| json!([TEXT.value(name), TEXT.value(value)])).collect::<Vec<_>>(),
        "functions": survey.libraries.iter().map(|(engine, name)| json!({ "name": name, "engine": engine })).collect::<Vec<_>>(),
        "module_aux": survey.module_aux,
        "modules": modules(survey),
        "slots": survey.hinted_slots,
        "commands": survey.commands,
        "databases": survey.databases.iter().map(|(db, count)| (db.to_string(), count_json(count))).collect::<Map<_, _>>(),
        "types": survey.types().iter().map(|(name, count)| ((*name).to_owned(), count_json(count))).collect::<Map<_, _>>(),
        "encodings": encodings(survey),
        "expiry": expiry.collect::<Vec<_>>(),
        "sizes": ranges(&survey.sizes),
        "lengths": ranges(&survey.lengths),
        "prefixes": survey.prefixes.as_ref().map(|tree| prefixes(tree, top)),
        "slot_balance": survey.slots.as_ref().map(|slots| balance(slots, top, usize::from(arguments.shards))),
        "largest": largest(&survey.by_bytes, None),
        "most_elements": largest(&survey.by_elements, None),
        "largest_element": largest(&survey.by_element, Some("element_bytes")),
        "growth": growth.map(growth_json),
    })
}

fn modules(survey: &Survey) -> Value {
    let one = |(name, uses): (&String, &crate::survey::ModuleUse)| json!({ "type": name, "version": uses.version, "keys": uses.keys, "outside": uses.outside });
    survey.modules.iter().map(one).collect()
}

fn encodings(survey: &Survey) -> Value {
    let one = |((type_name, encoding), count): (&(&str, &str), &Count)| {
        let names = json!({ "type": type_name, "encoding": encoding });
        joined(names, count_json(count))
    };
    survey.encodings.iter().map(one).collect()
}

fn ranges(sizes: &Sizes) -> Value {
    sizes
        .ranges()
        .map(|(from, to, bin)| joined(json!({ "from": from, "to": to }), bin_json(bin)))
        .collect()
}

fn prefixes(tree: &Tree, top: usize) -> Value {
    let listed = tree.listed(top).into_iter().map(|listed| {
        let name = json!({ "prefix": TEXT.value(&listed.prefix), "depth": listed.depth, "bytes_missed": listed.missed });
        joined(name, count_json(&listed.count))
    });
    json!({ "bytes_missed": tree.missed(), "listed": listed.collect::<Vec<_>>() })
}

fn balance(slots: &Slots, top: usize, shards: usize) -> Value {
    let largest = slots
        .largest(top)
        .into_iter()
        .map(|(slot, bin)| joined(json!({ "slot": slot }), bin_json(bin)));
    let shards = slots.shards(shards).into_iter().map(|shard| {
        let range = json!({ "first": shard.first, "last": shard.last });
        joined(range, bin_json(shard.bin))
    });
    json!({
        "used": slots.used(),
        "largest": largest.collect::<Vec<_>>(),
        "nodes": shards.collect::<Vec<_>>(),
    })
}

fn largest(top: &Top, measure: Option<&str>) -> Value {
    let one = |large: &crate::survey::top::Large| {
        let mut value = json!({
            "db": large.db,
            "key": TEXT.value(&large.key),
            "type": large.type_name,
            "encoding": large.encoding,
            "elements": large.elements,
            "bytes": large.bytes,
            "offset": large.offset.0,
        });
        if let Some(name) = measure {
            value[name] = large.measure.into();
        }
        value
    };
    top.largest().into_iter().map(one).collect()
}

fn growth_json(growth: &Growth) -> Value {
    let one = |change: &super::growth::Change| {
        json!({
            "kind": change.kind,
            "what": TEXT.value(&change.what),
            "before": count_json(&change.before),
            "now": count_json(&change.now),
            "keys": change.keys(),
            "bytes": change.bytes(),
            "bytes_a_day": growth.a_day(change.bytes()).map(|rate| rate as i64),
        })
    };
    json!({
        "older": growth.older,
        "seconds": growth.between.map(|between| between.as_secs()),
        "changes": growth.changes.iter().map(one).collect::<Vec<_>>(),
    })
}

fn count_json(count: &Count) -> Value {
    json!({ "keys": count.keys, "expires": count.expires, "elements": count.elements, "bytes": count.bytes })
}

fn bin_json(bin: Bin) -> Value {
    json!({ "keys": bin.keys, "bytes": bin.bytes })
}

fn joined(mut value: Value, more: Value) -> Value {
    if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
        value.extend(more);
    }
    value
}
