//! `rdb-tool whatif`: what other limits, shorter names or expiries would save in a server's memory.
//!
//! Every change is weighed alone, and all of them together, in one walk.

use crate::memory::{Allocator, Limits, Model, Tally};
use crate::parts::{Made, read_parts};
use crate::snapshot::{Need, Reading, Stop, inside};
use cairn_format::rdb::reader::Options;
use cairn_format::rdb::{Event, Located, Record};
use cairn_toolkit::select::{milliseconds, now_ms};
use cairn_toolkit::table::Side;
use cairn_toolkit::{Failure, Outcome, Output, Table, human, json as toolkit_json};
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Shown below the help of `whatif`.
const EXAMPLES: &str = "\
Examples:
  rdb-tool whatif --for redis-7.2 --hash-max-listpack-value 512 dump.rdb
  rdb-tool whatif --for redis-7.0 --zset-max-listpack-entries 512 --field-names 2 dump.rdb
  rdb-tool whatif --for valkey-9.1 --expire-after 30d --key 'session:*' dump.rdb

--expire-after takes keys away whose last access is longer ago, as an expiry would that every access renews; it needs the idle times
that servers with an LRU policy write. --field-names counts longer names of hash fields as this long.";

/// The options of `rdb-tool whatif`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct WhatifArguments {
    /// The server, as in redis-7.2 or valkey-9.1
    #[arg(long = "for", value_name = "SERVER", value_parser = Model::parse)]
    server: Model,
    /// What gives it memory
    #[arg(long, value_enum, default_value = "jemalloc")]
    allocator: Allocator,
    /// Fields up to which a hash is packed
    #[arg(long, value_name = "N")]
    hash_max_listpack_entries: Option<u64>,
    /// Bytes of a field or value up to which a hash is packed
    #[arg(long, value_name = "N")]
    hash_max_listpack_value: Option<u64>,
    /// Numbers up to which a set is packed
    #[arg(long, value_name = "N")]
    set_max_intset_entries: Option<u64>,
    /// Members up to which a set is packed, from 7.2 on
    #[arg(long, value_name = "N")]
    set_max_listpack_entries: Option<u64>,
    /// Bytes of a member up to which a set is packed
    #[arg(long, value_name = "N")]
    set_max_listpack_value: Option<u64>,
    /// Members up to which a sorted set is packed
    #[arg(long, value_name = "N")]
    zset_max_listpack_entries: Option<u64>,
    /// Bytes of a member up to which a sorted set is packed
    #[arg(long, value_name = "N")]
    zset_max_listpack_value: Option<u64>,
    /// Names of hash fields no longer than this
    #[arg(long, value_name = "BYTES")]
    field_names: Option<u64>,
    /// An expiry that every access renews: 30d
    #[arg(long, value_name = "TIME", value_parser = time)]
    expire_after: Option<u64>,
    /// One JSON document instead of a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reading: Reading,
    /// Snapshot to read: a file, also compressed with gzip, zstd or lz4; - is stdin; redis://host:port asks a server
    file: PathBuf,
}

fn time(text: &str) -> Result<u64, String> {
    milliseconds(text).ok_or_else(|| "expected a time as in 7d, 1h30m or 90".to_owned())
}

/// What one change makes of the data.
struct Case {
    what: String,
    tally: Tally,
    field_max: u64,
    ttl_ms: Option<u64>,
    gone: u64,
}

impl Case {
    /// The same for a part of the file: nothing yet.
    fn of_part(&self) -> Case {
        Case {
            what: self.what.clone(),
            tally: self.tally.of_part(),
            gone: 0,
            ..*self
        }
    }

    fn event(&mut self, event: &Event<'_>) -> Result<(), Stop> {
        let Event::Record(record) = event else {
            return self.tally.event(event).map(|_| ()).map_err(Stop::inside);
        };
        if self.tally.is_expired(record) {
            return Ok(());
        }
        if self.is_gone(record) {
            self.gone += 1;
            return Ok(());
        }
        let weight = self.tally.model.weigh(record, self.field_max);
        let mut weight = inside(weight, record.db, record.head.key)?;
        // The key would have an expiry of its own.
        if self.ttl_ms.is_some() && record.head.expire_ms.is_none() {
            let with = Record {
                head: cairn_format::rdb::Head {
                    expire_ms: Some(i64::MAX),
                    ..record.head
                },
                ..record.clone()
            };
            weight = inside(
                self.tally.model.weigh(&with, self.field_max),
                record.db,
                record.head.key,
            )?;
            self.tally.add(&with, weight);
            return Ok(());
        }
        self.tally.add(record, weight);
        Ok(())
    }

    fn is_gone(&self, record: &Record<'_>) -> bool {
        let idle_ms = record.head.idle_s.map(|idle| idle.saturating_mul(1000));
        self.ttl_ms
            .zip(idle_ms)
            .is_some_and(|(ttl, idle)| idle > ttl)
    }
}

impl WhatifArguments {
    fn cases(&self) -> Result<Vec<Case>, Failure> {
        let now_ms = now_ms();
        let case = |what: String, limits: Limits, field_names: Option<u64>, ttl: Option<u64>| {
            let model = Model {
                allocator: self.allocator,
                limits,
                ..self.server.clone()
            };
            Case {
                what,
                tally: Tally::new(model, now_ms),
                field_max: field_names.unwrap_or(u64::MAX),
                ttl_ms: ttl,
                gone: 0,
            }
        };
        let usual = self.server.limits;
        let mut cases = vec![case("as it is".to_owned(), usual, None, None)];
        let mut all = usual;
        type Place = fn(&mut Limits) -> &mut u64;
        let limits: [(&str, Option<u64>, Place); 7] = [
            (
                "hash-max-listpack-entries",
                self.hash_max_listpack_entries,
                |limits| &mut limits.hash_entries,
            ),
            (
                "hash-max-listpack-value",
                self.hash_max_listpack_value,
                |limits| &mut limits.hash_value,
            ),
            (
                "set-max-intset-entries",
                self.set_max_intset_entries,
                |limits| &mut limits.intset_entries,
            ),
            (
                "set-max-listpack-entries",
                self.set_max_listpack_entries,
                |limits| &mut limits.set_entries,
            ),
            (
                "set-max-listpack-value",
                self.set_max_listpack_value,
                |limits| &mut limits.set_value,
            ),
            (
                "zset-max-listpack-entries",
                self.zset_max_listpack_entries,
                |limits| &mut limits.zset_entries,
            ),
            (
                "zset-max-listpack-value",
                self.zset_max_listpack_value,
                |limits| &mut limits.zset_value,
            ),
        ];
        for (name, value, place) in limits {
            if let Some(value) = value {
                let mut alone = usual;
                *place(&mut alone) = value;
                *place(&mut all) = value;
                cases.push(case(format!("{name} {value}"), alone, None, None));
            }
        }
        if let Some(most) = self.field_names {
            let what = format!("names of fields of {most} bytes");
            cases.push(case(what, usual, Some(most), None));
        }
        if let Some(ttl) = self.expire_after {
            let what = format!(
                "expiry after {}",
                human::span(std::time::Duration::from_millis(ttl))
            );
            cases.push(case(what, usual, None, Some(ttl)));
        }
        match cases.len() {
            1 => {
                return Err(Failure::new("nothing to be changed was named")
                    .hint("for instance --hash-max-listpack-value 512; --help has all"));
            }
            2 => {}
            _ => cases.push(case(
                "all together".to_owned(),
                all,
                self.field_names,
                self.expire_after,
            )),
        }
        Ok(cases)
    }
}

/// Weighs and reports.
pub fn whatif(arguments: &WhatifArguments) -> Outcome {
    let mut cases = arguments.cases()?;
    let input = arguments.reading.open(&arguments.file)?;
    let none: Vec<Case> = cases.iter().map(Case::of_part).collect();
    let sections = Made {
        begin: |_| none.iter().map(Case::of_part).collect(),
        event: |cases: &mut Vec<Case>, located: &Located<'_>| {
            cases
                .iter_mut()
                .try_for_each(|case| case.event(&located.event))
        },
    };
    let walk = read_parts(
        &input,
        &arguments.reading,
        Need::AsFar,
        Options::shallow(),
        "weighing",
        &sections,
        &mut |parts: Vec<Case>| {
            for (case, part) in cases.iter_mut().zip(parts) {
                case.tally.absorb(part.tally);
                case.gone += part.gone;
            }
            Ok(())
        },
    )?;
    let mut out = Output::stdout();
    let before = cases[0].tally.data();
    if arguments.json {
        let one = |case: &Case| json!({ "change": case.what, "keys": case.tally.keys(), "keys_gone": case.gone, "bytes": case.tally.data(), "saved": before as i64 - case.tally.data() as i64 });
        let cases: Vec<Value> = cases.iter().map(one).collect();
        let server = &arguments.server.name;
        toolkit_json::write_pretty(
            &mut out,
            &json!({ "file": input.name(), "server": server, "cases": cases }),
        )?;
    } else {
        let columns = [
            ("change", Side::Left),
            ("keys", Side::Right),
            ("bytes", Side::Right),
            ("saved", Side::Right),
            ("of all", Side::Right),
        ];
        let mut table = Table::new(&columns);
        for case in &cases {
            let now = case.tally.data();
            let saved = before as i64 - now as i64;
            let percent = saved as f64 * 100.0 / before.max(1) as f64;
            table.row(vec![
                case.what.clone(),
                human::count(case.tally.keys()),
                human::count(now),
                human::signed(saved),
                format!("{percent:.1} %"),
            ]);
        }
        table.write_to(&mut out, 0)?;
    }
    out.finish()?;
    Ok(walk.verdict())
}
