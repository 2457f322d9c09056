//! Random commands sent to our server and to the reference: after every batch replies, types, encodings, expiry times and
//! digests must be the same, but for the differences between 7.0 and 7.2 that `known` lists.
//!
//! By itself it takes about twenty seconds, from the same seed each time. `CAIRN_FUZZ_SECONDS` gives it longer,
//! `CAIRN_FUZZ_SEED` another first seed. A failing sequence is printed as short as it could be made, in the form of
//! `kept.txt`, whose sequences run first each time.

mod grammar;
mod known;
mod pair;
mod shrink;
#[path = "../support/mod.rs"]
mod support;
mod templates;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::{Duration, Instant};

use cairn_format::text::words::split_words;

use grammar::Unit;
use pair::{Difference, Pair};
use support::Dice;
use templates::FAMILIES;

/// Units of one sequence.
const LENGTH: usize = 150;
/// Different findings after which it is enough.
const ENOUGH: usize = 12;

#[test]
fn random_commands_are_answered_as_by_the_reference() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().expect("a number"))
    };
    let seconds = number("CAIRN_FUZZ_SECONDS").unwrap_or(20);
    let first = number("CAIRN_FUZZ_SEED").unwrap_or(1);
    let mut pair = Pair::start();
    let templates = available(&mut pair);
    let mut findings = run_kept(&mut pair);
    let mut kinds = BTreeSet::new();
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut seed = first;
    while Instant::now() < end && findings.len() < ENOUGH {
        let units = sequence(&templates, seed);
        if let Some(found) = pair.run(&units, seed) {
            let (units, found) = shrink::shrink(&mut pair, &units, seed, found);
            if kinds.insert(found.kind.clone()) {
                findings.push(report(&format!("seed {seed}"), &units, seed % 4, &found));
            }
        }
        seed += 1;
    }
    println!(
        "{} sequences from seed {first} on, {} replies compared",
        seed - first,
        pair.compared
    );
    for (why, times) in &pair.used {
        println!("{times:8} times: {why}");
    }
    assert!(
        pair.compared > 1000,
        "only {} replies were compared",
        pair.compared
    );
    assert!(
        findings.is_empty(),
        "{} findings:\n{}",
        findings.len(),
        findings.join("\n")
    );
}

/// Templates whose commands our server has, by family with its weight.
fn available(pair: &mut Pair) -> Vec<(u64, Vec<&'static str>)> {
    let mut missing = BTreeSet::new();
    let mut all = Vec::new();
    for family in FAMILIES {
        let mut there = family.templates.to_vec();
        there.retain(|template| {
            let lacks = lacking(pair, template);
            let whole = lacks.is_empty();
            missing.extend(lacks);
            whole
        });
        println!(
            "{:12} {} of {} templates",
            family.name,
            there.len(),
            family.templates.len()
        );
        if !there.is_empty() {
            all.push((family.weight, there));
        }
    }
    if !missing.is_empty() {
        println!("commands that our server does not have: {missing:?}");
    }
    all
}

/// Commands that may begin a template and that our server does not have.
fn lacking(pair: &mut Pair, template: &str) -> Vec<String> {
    let first = template.trim_start_matches('<');
    let names = first.split([' ', '>']).next().unwrap_or_default();
    let absent = names
        .split('|')
        .filter(|name| *name != "FOO" && !pair.has(name));
    absent.map(str::to_string).collect()
}

/// The sequence of a seed.
fn sequence(families: &[(u64, Vec<&'static str>)], seed: u64) -> Vec<Unit> {
    let mut dice = Dice::new(seed);
    let total: u64 = families.iter().map(|(weight, _)| weight).sum();
    let unit = |_| {
        let mut left = dice.below(total);
        let family = families.iter().find(|(weight, _)| {
            let chosen = left < *weight;
            left = left.saturating_sub(*weight);
            chosen
        });
        let (_, templates) = family.expect("the weights add up");
        grammar::expand(
            templates[dice.below(templates.len() as u64) as usize],
            &mut dice,
        )
    };
    (0..LENGTH).map(unit).collect()
}

fn run_kept(pair: &mut Pair) -> Vec<String> {
    let mut findings = Vec::new();
    for (variant, units) in kept() {
        if let Some(found) = pair.run(&units, variant) {
            findings.push(report("kept", &units, variant, &found));
        }
    }
    findings
}

/// The sequences of `kept.txt` with their variants.
fn kept() -> Vec<(u64, Vec<Unit>)> {
    let mut all: Vec<(u64, Vec<Unit>)> = Vec::new();
    let mut open = false;
    for line in include_str!("kept.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        if let Some(variant) = line.strip_prefix("variant ") {
            all.push((variant.parse().expect("a variant is a number"), Vec::new()));
            open = true;
        } else if line.is_empty() {
            open = false;
        } else {
            assert!(open, "`{line}` belongs to no sequence");
            let command = |part: &str| split_words(part.as_bytes()).expect("quotes are closed");
            let unit = line.split(" ; ").map(command).collect();
            all.last_mut().expect("a variant came before").1.push(unit);
        }
    }
    all
}

fn report(from: &str, units: &[Unit], variant: u64, found: &Difference) -> String {
    let mut text = format!(
        "-- {from}: {}\n   ours:   {}\n   theirs: {}\n",
        found.about, found.ours, found.theirs
    );
    let _ = writeln!(text, "variant {variant}");
    for unit in units {
        let lines: Vec<String> = unit.iter().map(pair::line).collect();
        let _ = writeln!(text, "{}", lines.join(" ; "));
    }
    text
}
