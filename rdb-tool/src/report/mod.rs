//! `rdb-tool report`: what is in a snapshot and where the memory is, as one page.

mod layout;
mod page;
mod picture;

use crate::memory::{Allocator, Model, Tally};
use crate::parts::{Parts, read_parts};
use crate::snapshot::{Need, Reading, Stop, Visit, Walk, checksum_text, inside};
use crate::survey::histogram::Sizes;
use crate::survey::top::{Large, Top};
use crate::survey::{Keys, Survey, Wanted};
use cairn_format::rdb::reader::Options;
use cairn_format::rdb::{Dialect, Event, Located};
use cairn_toolkit::prefix::{Count, Prefix, Tree};
use cairn_toolkit::select::now_ms;
use cairn_toolkit::{Failure, Input, Outcome, Output, human, quoted};
use clap::Args;
use page::Page;
use picture::Part;
use std::io::Write;
use std::path::PathBuf;
use std::sync::OnceLock;

/// Shown below the help of `report`.
const EXAMPLES: &str = "\
Examples:
  rdb-tool report -o report.html dump.rdb
  rdb-tool report --for valkey-9.1 --separator / -o report.html dump.rdb

One page without scripts, which needs nothing from elsewhere: treemaps and a flame graph of memory by prefix, type and encoding, histograms of expiry,
size and elements, the largest keys. Memory is predicted as by `rdb-tool memory`, for the server that wrote the file unless --for says another.";

/// A server for files that do not say which one wrote them.
const USUAL: &str = "redis-7.2";

/// The options of `rdb-tool report`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ReportArguments {
    /// Where the page goes; - is stdout
    #[arg(short, long)]
    output: PathBuf,
    /// The server whose memory is predicted [default: the one that wrote the file]
    #[arg(long = "for", value_name = "SERVER", value_parser = Model::parse)]
    server: Option<Model>,
    /// What gives it memory
    #[arg(long, value_enum, default_value = "jemalloc")]
    allocator: Allocator,
    /// Keys come apart behind each of these
    #[arg(long, default_value = ":", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    separator: String,
    /// How many of the largest keys, and prefixes below one, are shown
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    top: u32,
    /// Replace what is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    reading: Reading,
    /// Snapshot to read: a file, also compressed with gzip, zstd or lz4; - is stdin; redis://host:port asks a server
    file: PathBuf,
}

/// What one walk gathers.
struct Found {
    walk: Walk,
    survey: Survey,
    tally: Tally,
    tree: Tree,
    by_memory: Top,
}

/// Gathers and writes the page.
pub fn report(arguments: &ReportArguments) -> Outcome {
    let input = arguments.reading.open(&arguments.file)?;
    Output::refuse_existing(&arguments.output, arguments.force)?;
    let mut output = Output::create_whole(&arguments.output, &[&input])?;
    let found = gather(arguments, &input)?;
    output.write_all(found.page(input.name(), arguments).as_bytes())?;
    output.finish()?;
    Ok(found.walk.verdict())
}

/// What is gathered of a section.
struct Section {
    survey: Survey,
    /// Once something else than facts about the file came.
    tally: Option<Tally>,
    keys: Keys,
    by_memory: Top,
}

/// Gathers section by section.
struct Gathering<'a> {
    arguments: &'a ReportArguments,
    wanted: Wanted,
    /// For the server that wrote the file, which is known once its facts were read: in the first section.
    tally: OnceLock<Tally>,
}

impl Gathering<'_> {
    fn tally(&self, survey: &Survey) -> &Tally {
        self.tally
            .get_or_init(|| Tally::new(self.arguments.model(survey), self.wanted.now_ms))
    }
}

impl Parts for Gathering<'_> {
    type Part = Section;

    fn begin(&self, _: Dialect) -> Section {
        Section {
            survey: Survey::of_section(&self.wanted),
            tally: None,
            keys: Keys::default(),
            by_memory: Top::new(self.wanted.top),
        }
    }

    fn event(&self, section: &mut Section, located: &Located<'_>) -> Visit {
        let event = &located.event;
        let place = match event {
            Event::Record(record) => Some(record),
            _ => None,
        };
        let (db, key) = place.map_or((0, &b""[..]), |record| (record.db, record.head.key));
        match place {
            Some(_) => inside(section.survey.event(located), db, key)?,
            None => section.survey.event(located).map_err(Stop::inside)?,
        }
        if matches!(event, Event::Aux { .. }) {
            return Ok(());
        }
        let survey = &section.survey;
        let tally = section
            .tally
            .get_or_insert_with(|| self.tally(survey).of_part());
        let Some(record) = place else {
            return tally.event(event).map(|_| ()).map_err(Stop::inside);
        };
        if let Some(weight) = inside(tally.event(event), db, key)? {
            let count = Count {
                keys: 1,
                expires: 0,
                elements: 0,
                bytes: weight.bytes,
            };
            section.keys.push(key, count);
            let bytes = located.end - located.offset;
            section.by_memory.offer(weight.bytes, |measure| {
                Large::of(record, located.offset, measure, weight.encoding, 0, bytes)
            });
        }
        Ok(())
    }
}

fn gather(arguments: &ReportArguments, input: &Input) -> Result<Found, Failure> {
    let wanted = Wanted {
        top: arguments.top as usize,
        separator: None,
        slots: false,
        now_ms: now_ms(),
    };
    let mut survey = Survey::new(&wanted);
    let mut tree = Tree::new(arguments.separator.as_bytes());
    let mut by_memory = Top::new(wanted.top);
    let mut sum: Option<Tally> = None;
    let gathering = Gathering {
        arguments,
        wanted,
        tally: OnceLock::new(),
    };
    let walk = read_parts(
        input,
        &arguments.reading,
        Need::AsFar,
        Options::shallow(),
        "looking",
        &gathering,
        &mut |section| {
            survey.absorb(section.survey);
            section.keys.add_to(&mut tree);
            by_memory.absorb(section.by_memory);
            match (&mut sum, section.tally) {
                (Some(sum), Some(tally)) => sum.absorb(tally),
                (None, tally) => sum = tally,
                (Some(_), None) => {}
            }
            Ok(())
        },
    )?;
    let tally = sum.unwrap_or_else(|| gathering.tally(&survey).of_part());
    Ok(Found {
        walk,
        survey,
        tally,
        tree,
        by_memory,
    })
}

impl ReportArguments {
    fn model(&self, survey: &Survey) -> Model {
        let named = |family: &str, aux: &[u8]| {
            let (_, version) = survey.aux.iter().find(|(name, _)| name == aux)?;
            Model::parse(&format!("{family}-{}", String::from_utf8_lossy(version))).ok()
        };
        let writer = || named("valkey", b"valkey-ver").or_else(|| named("redis", b"redis-ver"));
        let chosen = self.server.clone().or_else(writer);
        let chosen = chosen.map_or_else(|| Model::parse(USUAL), Ok);
        Model {
            allocator: self.allocator,
            ..chosen.expect("the usual server is known")
        }
    }
}

impl Found {
    fn page(&self, name: &str, arguments: &ReportArguments) -> String {
        let (tally, survey) = (&self.tally, &self.survey);
        let server = &tally.model.name;
        let mut page = Page::new(&format!("What is in {name}"));
        page.facts(&[
            ("keys", "keys", survey.keys(), human::count(survey.keys())),
            (
                "bytes",
                "in the file",
                self.walk.bytes,
                human::bytes(self.walk.bytes),
            ),
            (
                "memory",
                &format!("in the memory of {server}"),
                tally.data(),
                human::bytes(tally.data()),
            ),
            (
                "used-memory",
                "used_memory there",
                tally.used_memory(),
                human::bytes(tally.used_memory()),
            ),
            (
                "expired",
                "expired keys, not loaded",
                tally.expired,
                human::count(tally.expired),
            ),
        ]);
        let note = match tally.model.is_confirmed {
            true => {
                "Predicted with a model that was compared with a living server of this version."
            }
            false => "Predicted: this version was not compared with a living server.",
        };
        let head = format!(
            "{}, {}. {note}",
            self.walk.dialect,
            checksum_text(self.walk.checksum)
        );
        page.section("Memory by prefix", &head);
        let prefixes = self.prefixes(arguments.top as usize);
        page.picture(&picture::map(
            "prefix-map",
            "treemap of memory by prefix",
            &prefixes,
        ));
        let missed = match self.tree.missed() {
            0 => String::new(),
            missed => format!(
                "There were more prefixes than are kept: each may have {} bytes more.",
                human::count(missed)
            ),
        };
        page.section("Memory by prefix, level by level", &missed);
        page.picture(&picture::flame(
            "prefix-flame",
            "flame graph of memory by prefix",
            &prefixes,
        ));
        page.section("Memory by type and encoding", "");
        page.picture(&picture::map(
            "type-map",
            "treemap of memory by type and encoding",
            &self.types(),
        ));
        self.tables(&mut page);
        page.finish()
    }

    fn all(&self, parts: Vec<Part>) -> Part {
        let bytes = self.tally.encodings.values().map(|count| count.bytes).sum();
        Part {
            what: "all keys".to_owned(),
            name: "all keys".to_owned(),
            keys: self.tally.keys(),
            bytes,
            parts,
        }
    }

    fn prefixes(&self, top: usize) -> Part {
        let listed = self.tree.listed(top);
        let mut at = 0;
        self.all(below(&listed, &mut at, 1))
    }

    fn types(&self) -> Part {
        let mut types: Vec<Part> = Vec::new();
        for ((name, encoding), count) in &self.tally.encodings {
            let part = |what: String, name: &str| Part {
                what,
                name: name.to_owned(),
                keys: count.keys,
                bytes: count.bytes,
                parts: Vec::new(),
            };
            let inner = part(format!("{name} as {encoding}"), encoding);
            match types.last_mut().filter(|part| part.name == *name) {
                Some(last) => {
                    last.keys += count.keys;
                    last.bytes += count.bytes;
                    last.parts.push(inner);
                }
                None => types.push(Part {
                    parts: vec![inner],
                    ..part((*name).to_owned(), name)
                }),
            }
        }
        self.all(types)
    }

    fn tables(&self, page: &mut Page) {
        let (tally, survey) = (&self.tally, &self.survey);
        let encoding = |((name, encoding), count): (&(&str, &str), &Count)| {
            (format!("{name} as {encoding}"), count.keys, count.bytes)
        };
        let mut encodings: Vec<_> = tally.encodings.iter().map(encoding).collect();
        encodings.push(("tables of keys".to_owned(), 0, tally.tables()));
        if tally.libraries() > 0 {
            encodings.push((
                "function libraries".to_owned(),
                survey.libraries.len() as u64,
                tally.libraries(),
            ));
        }
        page.histogram(
            "encodings",
            "encoding in the server, bytes of memory",
            &encodings,
        );
        page.section("When keys expire", "Bytes are those in the file.");
        let expiry = survey.expiry.ranges().filter(|(_, bin)| bin.keys > 0);
        let expiry: Vec<_> = expiry
            .map(|(name, bin)| (name.to_owned(), bin.keys, bin.bytes))
            .collect();
        page.histogram("expiry", "expire in", &expiry);
        for (id, title, sizes) in [
            ("sizes", "Bytes in the file", &survey.sizes),
            ("lengths", "Elements", &survey.lengths),
        ] {
            page.section(title, "");
            page.histogram(id, title, &ranges(sizes));
        }
        page.section("Largest keys", "");
        largest(page, "largest-memory", "memory", &self.by_memory);
        page.section("Keys with most elements", "");
        largest(page, "most-elements", "elements", &survey.by_elements);
        page.section("Keys with the largest element", "");
        largest(
            page,
            "largest-element",
            "bytes of the element",
            &survey.by_element,
        );
    }
}

/// The prefixes of one level from `at` on, each with those below it.
fn below(listed: &[Prefix], at: &mut usize, depth: usize) -> Vec<Part> {
    let mut parts = Vec::new();
    while let Some(prefix) = listed.get(*at).filter(|prefix| prefix.depth == depth) {
        *at += 1;
        let shown = quoted(&prefix.prefix);
        parts.push(Part {
            name: shown.trim_matches('"').to_owned(),
            what: shown,
            keys: prefix.count.keys,
            bytes: prefix.count.bytes,
            parts: below(listed, at, depth + 1),
        });
    }
    parts
}

fn ranges(sizes: &Sizes) -> Vec<(String, u64, u64)> {
    let name = |from: u64, to: u64| match from == to {
        true => human::count(from),
        false => format!("{} to {}", human::count(from), human::count(to)),
    };
    let one = sizes
        .ranges()
        .map(|(from, to, bin)| (name(from, to), bin.keys, bin.bytes));
    one.collect()
}

fn largest(page: &mut Page, id: &str, measure: &str, top: &Top) {
    let row = |large: &&Large| {
        let cells = vec![
            quoted(&large.key),
            large.db.to_string(),
            large.type_name.to_owned(),
            large.encoding.to_owned(),
            human::count(large.bytes),
            human::count(large.measure),
        ];
        (cells, large.measure)
    };
    let rows: Vec<_> = top.largest().iter().map(row).collect();
    page.table(
        id,
        &[
            "key",
            "db",
            "type",
            "encoding",
            "bytes in the file",
            measure,
        ],
        &rows,
    );
}
