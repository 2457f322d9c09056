//! What is left of a file whose snapshot is damaged: base of a log, or what stands in front of its commands.
//!
//! ```text
//!   REDIS0011 | sound | DAMAGED | sound | EOF | commands      the file
//!   REDIS0011 | sound |           sound | EOF | commands      what is left, in a temporary file; the commands are looked at there
//! ```

use crate::log::{File, Role};
use crate::part::{self, Look, Problem};
use cairn_format::aof::{Form, form};
use cairn_format::rdb::Dialect;
use cairn_toolkit::kind::KIND_BYTES;
use cairn_toolkit::snapshot::salvage::report::Report;
use cairn_toolkit::snapshot::salvage::{Order, salvage};
use cairn_toolkit::{Failure, Input, Output, Progress};

/// The end of the name of a base that is a snapshot.
const SNAPSHOT_BASE: &[u8] = b".rdb";

/// Facts with which servers begin a snapshot, and the family of those that do.
const FACTS: [(&[u8], &str); 2] = [
    (b"\xfa\x09redis-ver", "redis"),
    (b"\xfa\x0avalkey-ver", "valkey"),
];

/// The first version in which a log has a base: what later ones wrote they read in it, too.
const FIRST_WITH_BASES: Dialect = Dialect::redis(10);

/// What is left of a file.
pub struct Rescued {
    /// The first damage, for a person.
    pub damage: String,
    /// What was kept of the snapshot.
    pub report: Report,
    /// A sound snapshot, and the commands behind it as they stood.
    pub left: Input,
}

/// Saves what can be saved, if the file has a snapshot that a server with so many databases would refuse.
pub fn of(
    input: &Input,
    file: &File,
    databases: u64,
    progress: &mut Progress,
) -> Result<Option<Rescued>, Failure> {
    let damage = match has_lost_head(input, file) {
        true => "the head of the snapshot cannot be read".to_owned(),
        false => match part::open(input, &mut Look::Sound(databases), progress) {
            Ok(_) => return Ok(None),
            Err(Problem::Failed(failure)) => return Err(failure),
            Err(Problem::Damaged(error)) => error.to_string(),
        },
    };
    let order = Order {
        create: &Output::temporary,
        quarantine: None,
        dialect: told_dialect(input.bytes().unwrap_or_default()),
    };
    let hint = "nothing was changed in any file of the log";
    let saved = salvage(input, &order).map_err(|failure| failure.hint(hint))?;
    let (report, mut output) = (saved.report, saved.output);
    let left = output.read_back()?;
    let left = left.ok_or_else(|| Failure::new("temporary file: cannot be read again"))?;
    Ok(Some(Rescued {
        damage,
        report,
        left,
    }))
}

/// Whether the first bytes are not those of a snapshot, and what stands behind them, or the name of a base, says that they were.
fn has_lost_head(input: &Input, file: &File) -> bool {
    let bytes = input.bytes().unwrap_or_default();
    let name = file.path.as_os_str().as_encoded_bytes();
    let is_named_so = file.role == Role::Base && name.ends_with(SNAPSHOT_BASE);
    form(bytes) != Form::Preamble && (is_named_so || told_version(bytes).is_some())
}

/// The family and version of the server that wrote a snapshot, as it says right behind its head.
fn told_version(bytes: &[u8]) -> Option<(&'static str, &str)> {
    let first = &bytes[..bytes.len().min(KIND_BYTES)];
    FACTS.iter().find_map(|(fact, family)| {
        let places = first.windows(fact.len());
        let at = places.enumerate().find(|(_, window)| window == fact)?.0 + fact.len();
        let len = usize::from(*first.get(at)?);
        let version = first.get(at + 1..at + 1 + len)?;
        Some((*family, std::str::from_utf8(version).ok()?))
    })
}

/// What a snapshot whose head is lost is taken for: what its server writes, as that one has to load it again.
fn told_dialect(bytes: &[u8]) -> Dialect {
    let told = told_version(bytes).and_then(|(family, version)| {
        let (major, rest) = version.split_once('.')?;
        let minor = rest.split('.').next()?;
        Dialect::parse(&format!("{family}-{major}.{minor}"))
    });
    told.unwrap_or(FIRST_WITH_BASES)
}
