//! A workload in a TOML file, written by a person or by `fit`.
//!
//! ```toml
//! keys = 100000                                  # where a place does not say how many
//!
//! [load]                                         # what the command line does not say
//! clients = 20
//! pipeline = 1
//! rate = "500,800"
//! poisson = true
//! duration = 60                                  # seconds
//!
//! [distribution.sizes]                           # {data:@sizes}
//! quantiles = [[0.0, 3], [0.5, 64], [1.0, 900]]
//! [distribution.popular]                         # {key:@popular}
//! ranks = [[1, 0.3], [10, 0.6], [5000, 1.0]]
//!
//! [[command]]
//! run = "GET {key:@popular}"
//! weight = 9
//!
//! [[prefill]]
//! run = "SET {key:seq} {data:@sizes}"
//! count = 5000
//! ```
//!
//! Every error has its line and column; a key that nobody knows is one.

use super::place::Vocabulary;
use super::shape::{Quantiles, Ranks, Shape};
use super::template::Template;
use super::{Fill, Operation, Workload};
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// What is wrong, and where: line and column from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
    /// What.
    pub what: String,
}

/// What a file says of the load, for what the command line does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Connections.
    pub clients: Option<u32>,
    /// Requests on their way.
    pub pipeline: Option<u32>,
    /// As `--rate`.
    pub rate: Option<String>,
    /// As `--poisson`.
    pub poisson: bool,
    /// Seconds.
    pub duration: Option<u64>,
}

/// A file that was read.
#[derive(Clone, Debug)]
pub struct Described {
    /// What is sent.
    pub workload: Workload,
    /// How.
    pub load: Load,
}

/// Reads the text of a file; `keys` is how many there are if it does not say.
///
/// # Errors
/// What is wrong, and where.
pub fn read(text: &str, keys: u64) -> Result<Described, Wrong> {
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        wrong(text, at, error.message().lines().next().unwrap_or_default())
    })?;
    let file = Table {
        text,
        table: table.get_ref(),
        span: table.span(),
    };
    file.only(&["keys", "load", "distribution", "command", "prefill"])?;
    let mut vocabulary = Vocabulary {
        keys: file.number("keys", 1, i64::MAX as u64)?.unwrap_or(keys),
        shapes: Default::default(),
    };
    if let Some(shapes) = file.table("distribution")? {
        for (name, value) in shapes.table {
            let shape = shapes.inner(value)?.shape()?;
            vocabulary.shapes.insert(name.get_ref().to_string(), shape);
        }
    }
    let load = match file.table("load")? {
        Some(load) => load.load()?,
        None => Load::default(),
    };
    let mut workload = Workload {
        operations: Vec::new(),
        fills: Vec::new(),
    };
    for command in file.tables("command")? {
        command.only(&["run", "weight", "name"])?;
        let template = command.template(&vocabulary)?;
        workload.operations.push(Operation {
            name: command
                .string("name")?
                .unwrap_or_else(|| template.text().to_owned()),
            weight: command.number("weight", 1, 1_000_000)?.unwrap_or(1) as u32,
            template,
        });
    }
    for fill in file.tables("prefill")? {
        fill.only(&["run", "count"])?;
        workload.fills.push(Fill {
            template: fill.template(&vocabulary)?,
            count: fill
                .number("count", 1, i64::MAX as u64)?
                .unwrap_or(vocabulary.keys),
        });
    }
    match workload.operations.is_empty() {
        true => Err(wrong(text, text.len(), "no [[command]] is there")),
        false => Ok(Described { workload, load }),
    }
}

fn wrong(text: &str, at: usize, what: impl Into<String>) -> Wrong {
    let before = text.get(..at).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    Wrong {
        line: before.matches('\n').count() + 1,
        column: line.chars().count() + 1,
        what: what.into(),
    }
}

/// A table, and the text that it stands in.
struct Table<'a> {
    text: &'a str,
    table: &'a DeTable<'a>,
    span: Range<usize>,
}

type Field<'a> = Spanned<DeValue<'a>>;

impl<'a> Table<'a> {
    fn wrong(&self, at: &Range<usize>, what: impl Into<String>) -> Wrong {
        wrong(self.text, at.start, what)
    }

    fn expected(&self, value: &Field<'_>, what: &str) -> Wrong {
        let found = value.get_ref().type_str();
        self.wrong(&value.span(), format!("expected {what}, found {found}"))
    }

    /// Nothing but these.
    fn only(&self, known: &[&str]) -> Result<(), Wrong> {
        match self
            .table
            .keys()
            .find(|key| !known.contains(&key.get_ref().as_ref()))
        {
            None => Ok(()),
            Some(key) => {
                let known = known.join(", ");
                Err(self.wrong(
                    &key.span(),
                    format!("unknown key {:?}; there are {known}", key.get_ref()),
                ))
            }
        }
    }

    fn get(&self, name: &str) -> Option<&'a Field<'a>> {
        let mut fields = self.table.iter();
        fields
            .find(|(key, _)| key.get_ref() == name)
            .map(|(_, value)| value)
    }

    fn inner(&self, value: &'a Field<'a>) -> Result<Table<'a>, Wrong> {
        match value.get_ref() {
            DeValue::Table(table) => Ok(Table {
                text: self.text,
                table,
                span: value.span(),
            }),
            _ => Err(self.expected(value, "a table")),
        }
    }

    fn table(&self, name: &str) -> Result<Option<Table<'a>>, Wrong> {
        self.get(name).map(|value| self.inner(value)).transpose()
    }

    fn tables(&self, name: &str) -> Result<Vec<Table<'a>>, Wrong> {
        let Some(value) = self.get(name) else {
            return Ok(Vec::new());
        };
        self.array(value)?
            .iter()
            .map(|value| self.inner(value))
            .collect()
    }

    fn array(&self, value: &'a Field<'a>) -> Result<&'a DeArray<'a>, Wrong> {
        match value.get_ref() {
            DeValue::Array(array) => Ok(array),
            _ => Err(self.expected(value, "an array")),
        }
    }

    fn string(&self, name: &str) -> Result<Option<String>, Wrong> {
        match self.get(name).map(|value| (value, value.get_ref())) {
            None => Ok(None),
            Some((_, DeValue::String(text))) => Ok(Some(text.to_string())),
            Some((value, _)) => Err(self.expected(value, "a string")),
        }
    }

    fn flag(&self, name: &str) -> Result<bool, Wrong> {
        match self.get(name).map(|value| (value, value.get_ref())) {
            None => Ok(false),
            Some((_, DeValue::Boolean(flag))) => Ok(*flag),
            Some((value, _)) => Err(self.expected(value, "true or false")),
        }
    }

    fn number(&self, name: &str, low: u64, high: u64) -> Result<Option<u64>, Wrong> {
        self.get(name)
            .map(|value| self.whole(value, low, high))
            .transpose()
    }

    fn whole(&self, value: &Field<'_>, low: u64, high: u64) -> Result<u64, Wrong> {
        let DeValue::Integer(number) = value.get_ref() else {
            return Err(self.expected(value, "a whole number"));
        };
        match u64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) if (low..=high).contains(&number) => Ok(number),
            _ => Err(self.wrong(
                &value.span(),
                format!("expected a number from {low} to {high}"),
            )),
        }
    }

    fn share(&self, value: &Field<'_>) -> Result<f64, Wrong> {
        let text = match value.get_ref() {
            DeValue::Float(number) => number.as_str(),
            DeValue::Integer(number) => number.as_str(),
            _ => return Err(self.expected(value, "a share")),
        };
        match text.parse() {
            Ok(share) if (0.0..=1.000_001).contains(&share) => Ok(share),
            _ => Err(self.wrong(&value.span(), "expected a share from 0 to 1")),
        }
    }

    fn template(&self, vocabulary: &Vocabulary) -> Result<Template, Wrong> {
        let Some(value) = self.get("run") else {
            return Err(self.wrong(&self.span, "run is missing: the words of the command"));
        };
        let text = self.string("run")?.unwrap_or_default();
        Template::parse(&text, vocabulary).map_err(|what| self.wrong(&value.span(), what))
    }

    fn load(&self) -> Result<Load, Wrong> {
        self.only(&["clients", "pipeline", "rate", "poisson", "duration"])?;
        let number = |name, high| Ok(self.number(name, 1, high)?.map(|number| number as u32));
        Ok(Load {
            clients: number("clients", 60_000)?,
            pipeline: number("pipeline", 100_000)?,
            rate: self.string("rate")?,
            poisson: self.flag("poisson")?,
            duration: self.number("duration", 1, 31_536_000)?,
        })
    }

    fn shape(&self) -> Result<Shape, Wrong> {
        self.only(&["ranks", "quantiles"])?;
        let told = |what: String| self.wrong(&self.span, what);
        match (self.get("ranks"), self.get("quantiles")) {
            (Some(pairs), None) => {
                let pairs = self.pairs(pairs)?;
                let each = pairs.iter().map(|(rank, share)| {
                    Ok((self.whole(rank, 1, i64::MAX as u64)?, self.share(share)?))
                });
                let ranks = Ranks::new(each.collect::<Result<_, Wrong>>()?).map_err(told)?;
                Ok(Shape::Ranks(Arc::new(ranks)))
            }
            (None, Some(pairs)) => {
                let pairs = self.pairs(pairs)?;
                let each = pairs.iter().map(|(share, number)| {
                    Ok((self.share(share)?, self.whole(number, 0, i64::MAX as u64)?))
                });
                let quantiles =
                    Quantiles::new(each.collect::<Result<_, Wrong>>()?).map_err(told)?;
                Ok(Shape::Quantiles(Arc::new(quantiles)))
            }
            _ => Err(self.wrong(&self.span, "a distribution has either ranks or quantiles")),
        }
    }

    fn pairs(&self, value: &'a Field<'a>) -> Result<Vec<(&'a Field<'a>, &'a Field<'a>)>, Wrong> {
        let pair = |value: &'a Field<'a>| match &self.array(value)?[..] {
            [first, second] => Ok((first, second)),
            _ => Err(self.wrong(&value.span(), "expected a pair")),
        };
        self.array(value)?.iter().map(pair).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
keys = 500
[load]
clients = 20
rate = "500,800"
poisson = true
[distribution.sizes]
quantiles = [[0, 3], [0.5, 64], [1.0, 900]]
[distribution.popular]
ranks = [[1, 0.3], [10, 0.6], [5000, 1]]
[[command]]
run = "GET {key:@popular}"
weight = 9
[[command]]
run = "SET {key} {data:@sizes}"
name = "write"
[[prefill]]
run = "SET {key:seq} {data:@sizes}"
"#;

    #[test]
    fn all_that_a_file_can_say_is_read() {
        let file = read(GOOD, 7).unwrap();
        assert_eq!(file.load.clients, Some(20));
        assert_eq!(
            (file.load.rate.as_deref(), file.load.poisson),
            (Some("500,800"), true)
        );
        let weights: Vec<u32> = file.workload.operations.iter().map(|o| o.weight).collect();
        assert_eq!(weights, [9, 1]);
        assert_eq!(file.workload.operations[1].name, "write");
        assert_eq!(file.workload.fills[0].count, 500);
        assert_eq!(
            file.workload.operations[1]
                .template
                .data()
                .next()
                .unwrap()
                .1,
            900
        );
    }

    #[test]
    fn mistakes_have_their_line_and_column() {
        for (from, to, line, column, what) in [
            (
                "weight = 9",
                "weigth = 9",
                13,
                1,
                "unknown key \"weigth\"; there are run, weight, name",
            ),
            (
                "weight = 9",
                "weight = \"9\"",
                13,
                10,
                "expected a whole number, found string",
            ),
            (
                "weight = 9",
                "weight = 0",
                13,
                10,
                "expected a number from 1 to 1000000",
            ),
            ("clients = 20", "clients = 20 x", 4, 11, ""),
            (
                "{key:@popular}",
                "{key:@popluar}",
                12,
                7,
                "command \"GET {key:@popluar}\": {key:@popluar}: the workload has no [distribution.popluar]",
            ),
            (
                "[1, 0.3], ",
                "[1, 3], ",
                10,
                14,
                "expected a share from 0 to 1",
            ),
            (
                "[5000, 1]",
                "[5000, 0.9]",
                9,
                1,
                "the last share has to be 1",
            ),
            (
                "[[prefill]]",
                "[[prefil]]",
                17,
                3,
                "unknown key \"prefil\"; there are keys, load, distribution, command, prefill",
            ),
        ] {
            let text = GOOD.replace(from, to);
            assert_ne!(text, GOOD);
            let wrong = read(&text, 7).unwrap_err();
            assert_eq!(
                (wrong.line, wrong.column),
                (line, column),
                "{to}: {wrong:?}"
            );
            assert!(what.is_empty() || wrong.what == what, "{wrong:?}");
        }
        assert_eq!(read("keys = 4\n", 7).unwrap_err().line, 2);
        assert_eq!(
            read("[load]\n", 7).unwrap_err().what,
            "no [[command]] is there"
        );
    }
}
