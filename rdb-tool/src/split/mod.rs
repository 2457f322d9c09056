//! `rdb-tool split`: a snapshot as several, by slot, database, prefix or evenly.
//!
//! Functions, data of modules outside the keys and facts about the file go to every part. No part gets its name before all of
//! them are written and read again.

mod nodes;
mod plan;
mod section;

use crate::carry::Terms;
use crate::convert::LOOK;
use crate::making::{self, Making, Manner, stopped};
use crate::parts::{Made, read_parts};
use crate::snapshot::{Need, Reading, Stop, Visit};
use cairn_format::rdb::Located;
use cairn_toolkit::table::Side;
use cairn_toolkit::{Failure, Input, Outcome, Output, Table, Verdict, human, json as toolkit_json};
use clap::{Args, ValueEnum};
use nodes::Nodes;
use plan::{Part, Plan};
use section::{Common, Section};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Shown below the help of `split`.
const EXAMPLES: &str = "\
Examples:
  rdb-tool split --by slot --nodes nodes.conf -o shards dump.rdb
  rdb-tool split --by slot --parts 3 -o shards dump.rdb
  rdb-tool split --by db -o databases dump.rdb
  rdb-tool split --by prefix -o prefixes dump.rdb
  rdb-tool split --by parts --parts 8 -o parts dump.rdb

Parts are files in the folder, called node-ID, slots-0-5460, db-0, prefix-NAME and no-prefix, or part-0, each with .rdb behind. nodes.conf
is that of any node of a cluster, or what CLUSTER NODES answers. Function libraries go to every part. Memory: 200 kB for each part.";

/// Parts that may be open at once.
const PARTS_MAX: usize = 1000;

/// The options of `rdb-tool split`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct SplitArguments {
    /// What tells the parts apart
    #[arg(long, value_enum)]
    by: By,
    /// How many parts there are, for --by parts and for --by slot without --nodes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=PARTS_MAX as i64))]
    parts: Option<u16>,
    /// Which node of a cluster has which slots: nodes.conf
    #[arg(long, value_name = "FILE", conflicts_with = "parts")]
    nodes: Option<PathBuf>,
    /// What ends a prefix
    #[arg(long, default_value = ":")]
    separator: String,
    /// The folder for the parts; it is made if it is not there
    #[arg(short, long, value_name = "FOLDER")]
    output: PathBuf,
    /// The report as one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    manner: Manner,
    #[command(flatten)]
    reading: Reading,
    /// Snapshot to read: a file, also compressed with gzip, zstd or lz4; - is stdin; redis://host:port asks a server
    file: PathBuf,
}

/// What tells parts apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    /// The cluster slot
    Slot,
    /// The database
    Db,
    /// What stands before the first separator
    Prefix,
    /// Nothing: about as many keys in each
    Parts,
}

/// Splits.
pub fn split(arguments: &SplitArguments) -> Outcome {
    let plan = arguments.plan()?;
    let input = arguments.reading.open(&arguments.file)?;
    let folder = &arguments.output;
    let is_new = !folder.exists();
    fs::create_dir_all(folder)
        .map_err(|error| Failure::of_output(&folder.display().to_string(), &error))?;
    let done = split_into(arguments, &plan, &input);
    if done.is_err() && is_new {
        // It is empty, or somebody else has put something there.
        let _ = fs::remove_dir(folder);
    }
    done
}

fn split_into(arguments: &SplitArguments, plan: &Plan, input: &Input) -> Outcome {
    let (manner, reading) = (&arguments.manner, &arguments.reading);
    let (terms, name) = (OnceLock::new(), input.name());
    let mut work = Work {
        arguments,
        input,
        plan,
        makings: Vec::new(),
        by_part: HashMap::new(),
        common: Vec::new(),
    };
    let sections = Made {
        begin: |dialect| Section::new(terms.get_or_init(|| manner.terms(dialect))),
        event: |section: &mut Section<'_>, located: &Located<'_>| {
            section.event(plan, name, &located.event)
        },
    };
    let label = "splitting";
    read_parts(
        input,
        reading,
        Need::All,
        LOOK,
        label,
        &sections,
        &mut |section| work.take(section),
    )?;
    let makings = work.makings;
    let made = makings
        .into_iter()
        .map(|(path, making)| Ok((path, making.finish(input.name())?)))
        .collect::<Result<Vec<(PathBuf, making::Made)>, Failure>>()?;
    report(arguments, input.name(), &made)?;
    for (_, made) in made {
        made.keep()?;
    }
    Ok(Verdict::Fine)
}

impl SplitArguments {
    fn plan(&self) -> Result<Plan, Failure> {
        let parts = self.parts.map(usize::from);
        match (self.by, &self.nodes, parts) {
            (By::Slot, Some(path), _) => read_nodes(path).map(Plan::Nodes),
            (By::Slot, None, Some(parts)) => Ok(Plan::Ranges(parts)),
            (By::Slot, None, None) => Err(Failure::new("--by slot needs --nodes or --parts")),
            (_, Some(_), _) => Err(Failure::new("--nodes belongs to --by slot")),
            (By::Parts, _, Some(parts)) => Ok(Plan::Parts(parts)),
            (By::Parts, _, None) => Err(Failure::new("--by parts needs --parts")),
            (_, _, Some(_)) => Err(Failure::new("--parts belongs to --by slot and --by parts")),
            (By::Db, ..) => Ok(Plan::Databases),
            (By::Prefix, ..) if self.separator.is_empty() => {
                Err(Failure::new("the empty separator stands everywhere"))
            }
            (By::Prefix, ..) => Ok(Plan::Prefixes(self.separator.clone().into_bytes())),
        }
    }
}

fn read_nodes(path: &Path) -> Result<Nodes, Failure> {
    let name = path.display().to_string();
    let bytes = fs::read(path).map_err(|error| Failure::io(&name, &error))?;
    Nodes::parse(&bytes).map_err(|what| {
        Failure::new(format!("{name}: {what}")).hint("CLUSTER NODES answers such lines, too")
    })
}

/// What all parts are made with.
struct Work<'a, 't> {
    arguments: &'a SplitArguments,
    input: &'a Input,
    plan: &'a Plan,
    makings: Vec<(PathBuf, Making<'t>)>,
    /// Which of them are parts that are not there anyway.
    by_part: HashMap<Part<'static>, usize>,
    /// What every part gets, for those that begin later.
    common: Vec<Common>,
}

impl<'t> Work<'_, 't> {
    fn open(&mut self, name: &str, terms: &'t Terms) -> Visit {
        if self.makings.len() == PARTS_MAX {
            let line = format!("more than {PARTS_MAX} parts");
            return Err(Stop::Failed(Failure::new(line).hint(
                "nothing was written; another --separator, or a part of the keys at a time",
            )));
        }
        let path = self.arguments.output.join(format!("{name}.rdb"));
        let output: Output = stopped(self.arguments.manner.open(&path, &[self.input]))?;
        let mut making = stopped(Making::new(output, terms))?;
        for common in &self.common {
            making.event(&common.event())?;
        }
        self.makings.push((path, making));
        Ok(())
    }

    /// Takes over what a section has for each part.
    fn take(&mut self, section: Section<'t>) -> Visit {
        if self.makings.is_empty() {
            for name in self.plan.fixed() {
                self.open(&name, section.terms)?;
            }
        }
        let terms = section.terms;
        for step in section.into_steps() {
            for (part, flow) in step.flows {
                self.making_of(part, terms)?.append(flow)?;
            }
            if let Some(common) = step.then {
                let event = common.event();
                let mut makings = self.makings.iter_mut();
                makings.try_for_each(|(_, making)| making.event(&event))?;
                self.common.push(common);
            }
        }
        Ok(())
    }

    fn making_of(
        &mut self,
        part: Part<'static>,
        terms: &'t Terms,
    ) -> Result<&mut Making<'t>, Stop> {
        let number = match (&part, self.by_part.get(&part)) {
            (Part::Fixed(number), _) | (_, Some(number)) => *number,
            (_, None) => {
                self.open(&self.plan.name(&part), terms)?;
                let number = self.makings.len() - 1;
                self.by_part.insert(part, number);
                number
            }
        };
        Ok(&mut self.makings[number].1)
    }
}

fn report(
    arguments: &SplitArguments,
    name: &str,
    made: &[(PathBuf, making::Made)],
) -> Result<(), Failure> {
    let mut out = Output::stdout();
    if arguments.json {
        let part = |(path, made): &(PathBuf, making::Made)| json!({ "file": path.display().to_string(), "keys": made.keys, "bytes": made.bytes });
        let parts: Vec<Value> = made.iter().map(part).collect();
        toolkit_json::write_pretty(&mut out, &json!({ "file": name, "parts": parts }))?;
        return out.finish();
    }
    let columns = [
        ("part", Side::Left),
        ("keys", Side::Right),
        ("bytes", Side::Right),
    ];
    let mut table = Table::new(&columns);
    for (path, made) in made {
        let bytes = made.bytes.map_or(String::new(), human::count);
        table.row(vec![
            path.display().to_string(),
            human::count(made.keys),
            bytes,
        ]);
    }
    table.write_to(&mut out, 0)?;
    out.finish()
}
