//! `rdb-tool inspect`: what is in a snapshot, and what takes the room.

use crate::snapshot::{Need, Reading, Stop, Walk, checksum_text, checksum_word, read};
use crate::survey::{Count, Survey};
use cairn_format::rdb::reader::Options;
use cairn_format::rdb::{Event, Family, Located};
use cairn_toolkit::table::Side;
use cairn_toolkit::{Outcome, Output, Table, human, json, quoted};
use clap::Args;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::PathBuf;

/// Shown below the help of `inspect`.
const EXAMPLES: &str = "\
Examples:
  rdb-tool inspect dump.rdb
  rdb-tool inspect --top 100 dump.rdb
  rdb-tool inspect --json dump.rdb | jq .types.hash.keys

Bytes are those in the file, after compression, with the key.";

/// The options of `rdb-tool inspect`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct InspectArguments {
    /// One JSON document instead of tables
    #[arg(long)]
    json: bool,
    /// How many of the largest keys are listed
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    top: u32,
    #[command(flatten)]
    reading: Reading,
    /// Snapshot to read: a file, also compressed with gzip, zstd or lz4; - is stdin; redis://host:port asks a server
    file: PathBuf,
}

/// Counts and reports.
pub fn inspect(arguments: &InspectArguments) -> Outcome {
    let input = arguments.reading.open(&arguments.file)?;
    let mut survey = Survey::new(arguments.top as usize);
    let visit = &mut |_, located: &Located<'_>| {
        survey.event(located).map_err(|error| {
            Stop::inside(match &located.event {
                Event::Record(record) => error.at_key(record.head.key).in_db(record.db),
                _ => error,
            })
        })
    };
    let options = Options::shallow();
    let reading = &arguments.reading;
    let walk = read(&input, reading, Need::AsFar, options, "inspecting", visit)?;
    let mut out = Output::stdout();
    let of = (!reading.is_all()).then_some(walk.keys);
    match arguments.json {
        true => json::write_pretty(&mut out, &as_json(input.name(), &walk, &survey))?,
        false => as_text(&mut out, input.name(), &walk, &survey, of)?,
    }
    out.finish()?;
    Ok(walk.verdict())
}

const COUNTS: [(&str, Side); 4] = [
    ("keys", Side::Right),
    ("expiring", Side::Right),
    ("elements", Side::Right),
    ("bytes", Side::Right),
];

/// `of`: how many keys there are, if not all were asked for.
fn as_text(
    out: &mut dyn Write,
    name: &str,
    walk: &Walk,
    survey: &Survey,
    of: Option<u64>,
) -> io::Result<()> {
    let keys = match of {
        None => human::plural(walk.keys, "key", "keys"),
        Some(all) => format!(
            "{} of {}",
            human::count(survey.keys()),
            human::plural(all, "key", "keys")
        ),
    };
    writeln!(
        out,
        "{name}: {}, {keys}, {}, {}",
        walk.dialect,
        human::bytes(walk.bytes),
        checksum_text(walk.checksum)
    )?;
    facts(out, survey)?;
    if survey.keys() == 0 {
        return Ok(());
    }
    let mut table = Table::new(&[&[("db", Side::Right)][..], &COUNTS].concat());
    for (db, count) in &survey.databases {
        table.row([vec![db.to_string()], cells(count)].concat());
    }
    section(out, &table)?;
    let mut table = Table::new(&[&[("type", Side::Left)][..], &COUNTS].concat());
    for (type_name, count) in survey.types() {
        table.row([vec![type_name.to_owned()], cells(&count)].concat());
    }
    section(out, &table)?;
    let mut table = Table::new(
        &[
            &[("type", Side::Left), ("encoding", Side::Left)][..],
            &COUNTS,
        ]
        .concat(),
    );
    for ((type_name, encoding), count) in &survey.encodings {
        table.row(
            [
                vec![(*type_name).to_owned(), (*encoding).to_owned()],
                cells(count),
            ]
            .concat(),
        );
    }
    section(out, &table)?;
    largest(out, survey)
}

fn facts(out: &mut dyn Write, survey: &Survey) -> io::Result<()> {
    if !survey.aux.is_empty() {
        let mut table = Table::new(&[("aux", Side::Left), ("value", Side::Left)]);
        for (name, value) in &survey.aux {
            table.row(vec![bare(name), bare(value)]);
        }
        section(out, &table)?;
    }
    if !survey.libraries.is_empty() {
        let mut table = Table::new(&[("function library", Side::Left), ("engine", Side::Left)]);
        for (engine, name) in &survey.libraries {
            table.row(vec![bare(name.as_bytes()), bare(engine.as_bytes())]);
        }
        section(out, &table)?;
    }
    if !survey.module_aux.is_empty() {
        writeln!(
            out,
            "\nmodule data outside the keys: {}",
            survey.module_aux.join(", ")
        )?;
    }
    if survey.slots > 0 {
        writeln!(
            out,
            "\ncluster slots with hints: {}",
            human::count(survey.slots)
        )?;
    }
    Ok(())
}

fn largest(out: &mut dyn Write, survey: &Survey) -> io::Result<()> {
    let columns = [
        ("largest keys", Side::Left),
        ("db", Side::Right),
        ("type", Side::Left),
        ("encoding", Side::Left),
        ("elements", Side::Right),
        ("bytes", Side::Right),
    ];
    let mut table = Table::new(&columns);
    for large in survey.largest() {
        table.row(vec![
            quoted(&large.key),
            large.db.to_string(),
            large.type_name.to_owned(),
            large.encoding.to_owned(),
            human::count(large.elements),
            human::count(large.bytes),
        ]);
    }
    if table.is_empty() {
        Ok(())
    } else {
        section(out, &table)
    }
}

fn section(out: &mut dyn Write, table: &Table) -> io::Result<()> {
    writeln!(out)?;
    table.write_to(out, 0)
}

fn cells(count: &Count) -> Vec<String> {
    [count.keys, count.expires, count.elements, count.bytes]
        .map(human::count)
        .to_vec()
}

/// As it is if it is plain, quoted if it is not.
fn bare(bytes: &[u8]) -> String {
    let plain =
        !bytes.is_empty() && bytes.len() <= 100 && bytes.iter().all(|byte| byte.is_ascii_graphic());
    if plain {
        String::from_utf8_lossy(bytes).into_owned()
    } else {
        quoted(bytes)
    }
}

fn as_json(name: &str, walk: &Walk, survey: &Survey) -> Value {
    let text = json::Bytes::Text;
    let aux: Vec<Value> = survey
        .aux
        .iter()
        .map(|(name, value)| json!([text.value(name), text.value(value)]))
        .collect();
    let libraries: Vec<Value> = survey
        .libraries
        .iter()
        .map(|(engine, name)| json!({ "name": name, "engine": engine }))
        .collect();
    let databases = survey
        .databases
        .iter()
        .map(|(db, count)| (db.to_string(), count_json(count)));
    let types = survey
        .types()
        .into_iter()
        .map(|(name, count)| (name.to_owned(), count_json(&count)));
    let encodings: Vec<Value> = survey
        .encodings
        .iter()
        .map(|((type_name, encoding), count)| {
            let mut value = json!({ "type": type_name, "encoding": encoding });
            merge(&mut value, count_json(count));
            value
        })
        .collect();
    let largest: Vec<Value> = survey
        .largest()
        .into_iter()
        .map(|large| {
            json!({
                "db": large.db,
                "key": text.value(&large.key),
                "type": large.type_name,
                "encoding": large.encoding,
                "elements": large.elements,
                "bytes": large.bytes,
                "offset": large.offset.0,
            })
        })
        .collect();
    json!({
        "file": name,
        "family": if walk.dialect.family() == Family::Redis { "redis" } else { "valkey" },
        "version": walk.dialect.version(),
        "bytes": walk.bytes,
        "keys": walk.keys,
        "keys_selected": survey.keys(),
        "checksum": checksum_word(walk.checksum),
        "complete": !walk.is_cut,
        "aux": aux,
        "functions": libraries,
        "module_aux": survey.module_aux,
        "slots": survey.slots,
        "databases": databases.collect::<serde_json::Map<_, _>>(),
        "types": types.collect::<serde_json::Map<_, _>>(),
        "encodings": encodings,
        "largest": largest,
    })
}

fn count_json(count: &Count) -> Value {
    json!({ "keys": count.keys, "expires": count.expires, "elements": count.elements, "bytes": count.bytes })
}

fn merge(value: &mut Value, more: Value) {
    if let (Value::Object(value), Value::Object(more)) = (value, more) {
        value.extend(more);
    }
}
