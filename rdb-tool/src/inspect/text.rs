//! The report as tables.

use super::growth::Growth;
use super::{InspectArguments, Surveyed};
use crate::snapshot::checksum_text;
use crate::survey::Survey;
use crate::survey::histogram::{Bin, Sizes};
use crate::survey::slots::Slots;
use crate::survey::top::Top;
use cairn_toolkit::prefix::{Count, Tree};
use cairn_toolkit::table::Side;
use cairn_toolkit::{Table, human, quoted};
use std::io::{self, Write};

const COUNTS: [(&str, Side); 4] = [
    ("keys", Side::Right),
    ("expiring", Side::Right),
    ("elements", Side::Right),
    ("bytes", Side::Right),
];
const BINS: [(&str, Side); 3] = [
    ("keys", Side::Right),
    ("bytes", Side::Right),
    ("of all bytes", Side::Right),
];

/// Writes all tables that have a row.
pub fn write(
    out: &mut dyn Write,
    arguments: &InspectArguments,
    found: &Surveyed,
    growth: Option<&Growth>,
) -> io::Result<()> {
    let survey = &found.survey;
    title(out, arguments, found)?;
    facts(out, survey)?;
    if survey.keys() > 0 {
        counts(out, survey)?;
        histograms(out, survey)?;
    }
    if let Some(tree) = &survey.prefixes {
        prefixes(out, tree, arguments.top as usize)?;
    }
    if let Some(slots) = &survey.slots {
        balance(out, slots, arguments)?;
    }
    largest(out, "largest keys", None, &survey.by_bytes)?;
    largest(out, "most elements", None, &survey.by_elements)?;
    let element = Some("largest element");
    largest(
        out,
        "keys with the largest element",
        element,
        &survey.by_element,
    )?;
    growth.map_or(Ok(()), |growth| changes(out, growth))
}

fn title(out: &mut dyn Write, arguments: &InspectArguments, found: &Surveyed) -> io::Result<()> {
    let (walk, survey) = (&found.walk, &found.survey);
    let all = human::plural(walk.keys, "key", "keys");
    let keys = match arguments.reading.is_all() {
        true => all,
        false => format!("{} of {all}", human::count(survey.keys())),
    };
    writeln!(
        out,
        "{}: {}, {keys}, {}, {}",
        found.name,
        walk.dialect,
        human::bytes(walk.bytes),
        checksum_text(walk.checksum)
    )
}

fn facts(out: &mut dyn Write, survey: &Survey) -> io::Result<()> {
    let mut table = Table::new(&[("aux", Side::Left), ("value", Side::Left)]);
    for (name, value) in &survey.aux {
        table.row(vec![bare(name), bare(value)]);
    }
    section(out, &table)?;
    let mut table = Table::new(&[("function library", Side::Left), ("engine", Side::Left)]);
    for (engine, name) in &survey.libraries {
        table.row(vec![bare(name.as_bytes()), bare(engine.as_bytes())]);
    }
    section(out, &table)?;
    let mut table = Table::new(&[
        ("module needed", Side::Left),
        ("version", Side::Right),
        ("keys", Side::Right),
        ("outside the keys", Side::Right),
    ]);
    for (name, uses) in &survey.modules {
        let numbers = [uses.version, uses.keys, uses.outside].map(human::count);
        table.row([vec![bare(name.as_bytes())], numbers.to_vec()].concat());
    }
    section(out, &table)?;
    if survey.hinted_slots > 0 {
        let slots = human::count(survey.hinted_slots);
        writeln!(out, "\ncluster slots with hints: {slots}")?;
    }
    if survey.commands > 0 {
        let commands = human::count(survey.commands);
        writeln!(out, "\ncommands between the keys, not run: {commands}")?;
    }
    Ok(())
}

fn counts(out: &mut dyn Write, survey: &Survey) -> io::Result<()> {
    let mut table = headed(&[("db", Side::Right)], &COUNTS);
    for (db, count) in &survey.databases {
        table.row([vec![db.to_string()], cells(count)].concat());
    }
    section(out, &table)?;
    let mut table = headed(&[("type", Side::Left)], &COUNTS);
    for (type_name, count) in survey.types() {
        table.row([vec![type_name.to_owned()], cells(&count)].concat());
    }
    section(out, &table)?;
    let mut table = headed(&[("type", Side::Left), ("encoding", Side::Left)], &COUNTS);
    for ((type_name, encoding), count) in &survey.encodings {
        let names = vec![(*type_name).to_owned(), (*encoding).to_owned()];
        table.row([names, cells(count)].concat());
    }
    section(out, &table)
}

fn histograms(out: &mut dyn Write, survey: &Survey) -> io::Result<()> {
    let all = survey.total().bytes;
    let mut table = headed(&[("expire in", Side::Left)], &BINS);
    for (name, bin) in survey.expiry.ranges().filter(|(_, bin)| bin.keys > 0) {
        table.row([vec![name.to_owned()], bin_cells(bin, all)].concat());
    }
    section(out, &table)?;
    for (heading, sizes) in [
        ("bytes in the file", &survey.sizes),
        ("elements", &survey.lengths),
    ] {
        section(out, &ranges(heading, sizes, all))?;
    }
    Ok(())
}

fn ranges(heading: &str, sizes: &Sizes, all: u64) -> Table {
    let mut table = headed(&[(heading, Side::Right)], &BINS);
    for (from, to, bin) in sizes.ranges() {
        let range = match from == to {
            true => human::count(from),
            false => format!("{} to {}", human::count(from), human::count(to)),
        };
        table.row([vec![range], bin_cells(bin, all)].concat());
    }
    table
}

fn prefixes(out: &mut dyn Write, tree: &Tree, top: usize) -> io::Result<()> {
    let mut table = headed(&[("prefix", Side::Left)], &COUNTS);
    for listed in tree.listed(top) {
        let indent = "  ".repeat(listed.depth - 1);
        let name = format!("{indent}{}", bare(&listed.prefix));
        table.row([vec![name], cells(&listed.count)].concat());
    }
    section(out, &table)?;
    if tree.missed() > 0 {
        writeln!(
            out,
            "more prefixes than are kept: each may have {} bytes more, and others with no more than that may be missing",
            human::count(tree.missed())
        )?;
    }
    Ok(())
}

fn balance(out: &mut dyn Write, slots: &Slots, arguments: &InspectArguments) -> io::Result<()> {
    let shards = slots.shards(usize::from(arguments.shards));
    let all = shards.iter().map(|shard| shard.bin.bytes).sum();
    writeln!(
        out,
        "\ncluster slots with keys: {}",
        human::count(slots.used() as u64)
    )?;
    let mut table = headed(&[("slot", Side::Right)], &BINS);
    for (slot, bin) in slots.largest(arguments.top as usize) {
        table.row([vec![slot.to_string()], bin_cells(bin, all)].concat());
    }
    section(out, &table)?;
    let name = format!("of {} nodes", shards.len());
    let mut table = headed(&[(&name, Side::Left)], &BINS);
    for shard in shards {
        let range = format!("{} to {}", shard.first, shard.last);
        table.row([vec![range], bin_cells(shard.bin, all)].concat());
    }
    section(out, &table)
}

fn largest(out: &mut dyn Write, title: &str, measure: Option<&str>, top: &Top) -> io::Result<()> {
    let mut columns = vec![
        (title, Side::Left),
        ("db", Side::Right),
        ("type", Side::Left),
        ("encoding", Side::Left),
        ("elements", Side::Right),
        ("bytes", Side::Right),
    ];
    columns.extend(measure.map(|name| (name, Side::Right)));
    let mut table = Table::new(&columns);
    for large in top.largest() {
        let mut row = vec![
            quoted(&large.key),
            large.db.to_string(),
            large.type_name.to_owned(),
            large.encoding.to_owned(),
            human::count(large.elements),
            human::count(large.bytes),
        ];
        row.extend(measure.map(|_| human::count(large.measure)));
        table.row(row);
    }
    section(out, &table)
}

fn changes(out: &mut dyn Write, growth: &Growth) -> io::Result<()> {
    let time = growth.between.map_or(String::new(), |time| {
        format!(", {} earlier", human::span(time))
    });
    writeln!(out, "\ngrowth since {}{time}", growth.older)?;
    let mut columns = vec![
        ("of", Side::Left),
        ("", Side::Left),
        ("keys", Side::Right),
        ("more keys", Side::Right),
        ("bytes", Side::Right),
        ("more bytes", Side::Right),
    ];
    if growth.between.is_some() {
        columns.push(("bytes a day", Side::Right));
    }
    let mut table = Table::new(&columns);
    for change in &growth.changes {
        let what = match change.what.is_empty() {
            true => String::new(),
            false => bare(&change.what),
        };
        let mut row = vec![
            change.kind.to_owned(),
            what,
            human::count(change.now.keys),
            human::signed(change.keys()),
            human::count(change.now.bytes),
            human::signed(change.bytes()),
        ];
        row.extend(
            growth
                .a_day(change.bytes())
                .map(|rate| human::signed(rate as i64)),
        );
        table.row(row);
    }
    table.write_to(out, 0)
}

fn headed(first: &[(&str, Side)], rest: &[(&str, Side)]) -> Table {
    Table::new(&[first, rest].concat())
}

/// A table behind an empty line, if it has rows.
fn section(out: &mut dyn Write, table: &Table) -> io::Result<()> {
    if table.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    table.write_to(out, 0)
}

fn cells(count: &Count) -> Vec<String> {
    [count.keys, count.expires, count.elements, count.bytes]
        .map(human::count)
        .to_vec()
}

fn bin_cells(bin: Bin, all: u64) -> Vec<String> {
    let share = human::share(bin.bytes, all);
    vec![human::count(bin.keys), human::count(bin.bytes), share]
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
