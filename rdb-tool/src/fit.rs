//! Would a server load this file, with its default configuration and without modules: and if not, what stands against it.

use crate::memory::{Model, Tally};
use crate::series::{KNOWN, newest_of};
use cairn_format::error::{Damage, Findings, FormatError};
use cairn_format::rdb::object::module_name;
use cairn_format::rdb::reader::{Options, SliceReader};
use cairn_format::rdb::{Dialect, Event, Object};
use cairn_toolkit::select::now_ms;
use cairn_toolkit::table::Side;
use cairn_toolkit::{Input, Table, escape, human, quoted};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Databases of a server by default.
const DATABASES: u64 = 16;
/// The module type of vector sets, which Redis 8 has from the start.
pub const VECTOR_SET: &str = "vectorset";

/// A server that is asked about.
#[derive(Clone, Debug)]
pub struct Server {
    /// As it was named.
    pub name: String,
    /// The newest files that it reads.
    pub dialect: Dialect,
}

impl Server {
    /// Reads a server as in `redis-7.2.4` or `valkey-9.0`, a series (`redis-8`), or a version number.
    pub fn parse(name: &str) -> Result<Server, String> {
        let name = newest_of(name);
        match Dialect::parse(name) {
            Some(dialect) => Ok(Server {
                name: name.to_owned(),
                dialect,
            }),
            None => Err(format!(
                "expected servers as in redis-7.2 or valkey-9.0, or a version number; {KNOWN}"
            )),
        }
    }

    fn has_vector_sets(&self) -> bool {
        self.name.starts_with("redis-8") || self.dialect.has_key_meta()
    }
}

/// One reason why a server does not load a file.
#[derive(Clone, Debug)]
struct Reason {
    /// How often.
    count: u64,
    /// Where first.
    first: Box<FormatError>,
}

/// What a server makes of a file.
#[derive(Clone, Debug)]
pub struct Fit {
    server: Server,
    /// By what it is.
    reasons: BTreeMap<String, Reason>,
    room: Option<Room>,
}

/// What the data takes, and what there is.
#[derive(Clone, Copy, Debug)]
struct Room {
    used_memory: u64,
    limit: u64,
}

impl Fit {
    /// Whether the server loads it, if nothing is damaged.
    fn loads(&self) -> bool {
        self.reasons.is_empty()
    }

    /// Predicts `used_memory`; above `limit` is a reason. As far as the file can be read.
    ///
    /// # Errors
    /// The server was not named, so that nothing is known of its memory.
    pub fn weigh(&mut self, input: &Input, limit: u64, any_version: bool) -> Result<(), String> {
        let name = self.server.name.clone();
        let model = Model::parse(&name)?;
        let options = Options {
            checksum: false,
            any_version,
            ..Options::shallow()
        };
        let mut tally = Tally::new(model, now_ms());
        let bytes = input.bytes().unwrap_or_default();
        if let Ok(mut reader) = SliceReader::from_slice(bytes, options) {
            while let Ok(Some(located)) = reader.next()
                && tally.event(&located.event).is_ok()
            {
                input.passed(located.end);
            }
        }
        let used_memory = tally.used_memory();
        self.room = Some(Room { used_memory, limit });
        if used_memory > limit {
            let what = format!(
                "used_memory of about {} where {} fit",
                human::bytes(used_memory),
                human::bytes(limit)
            );
            self.add(what, Damage::Length, 0, None);
        }
        Ok(())
    }

    /// The first case of each reason, in the order of the file.
    pub fn findings(&self) -> Findings {
        let mut findings: Findings = self
            .reasons
            .values()
            .map(|reason| reason.first.clone())
            .collect();
        findings.sort_by_key(|error| error.offset);
        findings
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let reason = |(what, reason): (&String, &Reason)| {
            let first = &reason.first;
            json!({
                "what": what,
                "kind": first.kind.name(),
                "count": reason.count,
                "offset": first.offset,
                "db": first.db,
                "key": first.key.as_deref().map(escape::quoted_whole),
            })
        };
        json!({
            "server": self.server.name,
            "loads": self.loads(),
            "reasons": self.reasons.iter().map(reason).collect::<Vec<_>>(),
            "used_memory": self.room.map(|room| room.used_memory),
            "maxmemory": self.room.map(|room| room.limit),
        })
    }

    fn add(&mut self, what: String, kind: Damage, offset: u64, place: Option<(u64, &[u8])>) {
        let server = &self.server.name;
        let reason = self.reasons.entry(what).or_insert_with_key(|what| {
            let mut first =
                FormatError::new(kind, offset, format!("{what}: {server} refuses it")).refused();
            if let Some((db, key)) = place {
                first = first.at_key(key).in_db(db);
            }
            Reason { count: 0, first }
        });
        reason.count += 1;
    }

    /// What stands against an event.
    fn event(&mut self, event: &Event<'_>, offset: u64) {
        match event {
            Event::Record(record) => {
                let place = Some((record.db, record.head.key));
                if !self.server.dialect.knows_type(record.type_byte) {
                    let (byte, name) = (record.type_byte, record.value.type_name());
                    let what = format!("type {byte}, a {name} in a form that came later");
                    self.add(what, Damage::Type, offset, place);
                } else if let Object::Module(module) = &record.value {
                    let name = module.name();
                    if name != VECTOR_SET || !self.server.has_vector_sets() {
                        let what = format!("a value of the module type {name}");
                        self.add(what, Damage::Type, offset, place);
                    }
                }
            }
            Event::SelectDb(db) if *db >= DATABASES => {
                let what = format!("database {db} of {DATABASES}");
                self.add(what, Damage::Opcode, offset, None);
            }
            Event::ModuleAux(aux) => {
                let what = format!("data of the module type {}", module_name(aux.module.id));
                self.add(what, Damage::Encoding, offset, None);
            }
            Event::Function(_) if !self.server.dialect.has_listpacks() => {
                let what = "a function library".to_owned();
                self.add(what, Damage::Opcode, offset, None);
            }
            _ => {}
        }
    }
}

/// Asks about each server, as far as the file can be read.
pub fn judge(input: &Input, servers: &[Server], any_version: bool) -> Vec<Fit> {
    let bytes = input.bytes().unwrap_or_default();
    let options = Options {
        checksum: false,
        any_version,
        ..Options::shallow()
    };
    let fresh = |server: &Server| Fit {
        server: server.clone(),
        reasons: BTreeMap::new(),
        room: None,
    };
    let mut fits: Vec<Fit> = servers.iter().map(fresh).collect();
    let Ok(mut reader) = SliceReader::from_slice(bytes, options) else {
        return fits;
    };
    let dialect = reader.dialect();
    for fit in &mut fits {
        if let Some(error) = fit.server.dialect.refusal(dialect) {
            fit.add(error.what.clone(), error.kind, error.offset, None);
        }
    }
    // Who refuses the version looks no further.
    let (refused, mut asked): (Vec<Fit>, Vec<Fit>) = fits.into_iter().partition(|fit| !fit.loads());
    while !asked.is_empty()
        && let Ok(Some(located)) = reader.next()
    {
        for fit in &mut asked {
            fit.event(&located.event, located.offset);
        }
        input.passed(located.end);
    }
    asked.extend(refused);
    asked.sort_by_key(|fit| {
        servers
            .iter()
            .position(|server| server.name == fit.server.name)
    });
    asked
}

/// The table: a row for each server and reason.
pub fn write_table(out: &mut dyn Write, fits: &[Fit]) -> io::Result<()> {
    let mut table = Table::new(&[
        ("server", Side::Left),
        ("loads it", Side::Left),
        ("because of", Side::Left),
        ("times", Side::Right),
        ("first", Side::Left),
    ]);
    for fit in fits {
        let name = fit.server.name.clone();
        if fit.loads() {
            table.row(vec![
                name,
                "yes".into(),
                String::new(),
                String::new(),
                String::new(),
            ]);
            continue;
        }
        for (what, reason) in &fit.reasons {
            let first = match &reason.first.key {
                Some(key) => format!("db {}, key {}", reason.first.db.unwrap_or(0), quoted(key)),
                None => format!("offset {}", reason.first.offset),
            };
            let count = human::count(reason.count);
            table.row(vec![name.clone(), "no".into(), what.clone(), count, first]);
        }
    }
    table.write_to(out, 2)?;
    for fit in fits {
        if let Some(room) = fit.room {
            writeln!(
                out,
                "  {}: used_memory of about {} of {}",
                fit.server.name,
                human::bytes(room.used_memory),
                human::bytes(room.limit)
            )?;
        }
    }
    Ok(())
}
