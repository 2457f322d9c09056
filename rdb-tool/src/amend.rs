//! Changes on the way: other expiries, other databases, other names.

use crate::snapshot::Stop;
use cairn_format::rdb::dump::{Payload, build};
use cairn_format::rdb::object::Hash;
use cairn_format::rdb::writer::WriteError;
use cairn_format::rdb::{Check, Dialect, Event, Head, Object, Record, WriteOptions};
use cairn_format::text::number::I64Text;
use cairn_toolkit::Failure;
use cairn_toolkit::select::{milliseconds, now_ms};
use clap::Args;
use std::sync::OnceLock;

/// Hashes with other expiries are made in the form of this version.
const FIELD_FORM: Dialect = Dialect::redis(12);
/// The fact of a file that says when it was made, Unix seconds.
const MADE_AT: &[u8] = b"ctime";

/// The options that change data on its way; `#[command(flatten)]` puts them into a command.
#[derive(Args, Clone, Debug)]
pub struct Amendments {
    /// Expiry of keys: drop; shift (by the age of the file, so that what was left is left again), shift:+1h, shift:-7d (of those that
    /// expire, and of hash fields); absolute:+1h (all keys, from now), absolute:1767225600000 (all keys, Unix milliseconds)
    #[arg(long, value_name = "CHANGE", value_parser = ttl_change, allow_hyphen_values = true)]
    set_ttl: Option<TtlChange>,
    /// Keys of database A go to B; may be repeated
    #[arg(long, value_name = "A=B", value_parser = database_pair)]
    map_db: Vec<(u64, u64)>,
    /// Keys that begin with A begin with B instead; may be repeated, the first that fits is taken
    #[arg(long, value_name = "A:=B:", value_parser = prefix_pair)]
    rename_prefix: Vec<(String, String)>,
}

/// What becomes of expiries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TtlChange {
    Drop,
    /// By the age of the file.
    ShiftByAge,
    /// Milliseconds.
    Shift(i64),
    /// Unix milliseconds.
    At(i64),
}

fn signed(text: &str) -> Option<i64> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+')?),
    };
    Some(sign * i64::try_from(milliseconds(rest)?).ok()?)
}

fn ttl_change(text: &str) -> Result<TtlChange, String> {
    let change = match text.split_once(':') {
        None if text == "drop" => Some(TtlChange::Drop),
        None if text == "shift" => Some(TtlChange::ShiftByAge),
        Some(("shift", by)) => signed(by).map(TtlChange::Shift),
        Some(("absolute", at)) => match signed(at) {
            Some(ahead) => Some(TtlChange::At(now_ms().saturating_add(ahead))),
            None => at.parse().ok().map(TtlChange::At),
        },
        _ => None,
    };
    change.ok_or_else(|| {
        "expected drop, shift, shift:+1h, absolute:+1h or absolute:UNIX_MILLISECONDS".to_owned()
    })
}

fn database_pair(text: &str) -> Result<(u64, u64), String> {
    let pair = text.split_once('=');
    pair.and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)))
        .ok_or_else(|| "expected two databases, as in 3=0".to_owned())
}

fn prefix_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((a, b)) if !a.is_empty() => Ok((a.to_owned(), b.to_owned())),
        _ => Err("expected two prefixes, as in user:=customer:".to_owned()),
    }
}

/// What the parts of a file share.
#[derive(Debug)]
pub struct FileTimes {
    now_ms: i64,
    /// When the file was made, which its first part tells.
    made_at_ms: OnceLock<i64>,
}

impl FileTimes {
    /// Of a file that is read now.
    pub fn now() -> FileTimes {
        FileTimes {
            now_ms: now_ms(),
            made_at_ms: OnceLock::new(),
        }
    }
}

/// The changes at work on a part of a file.
#[derive(Debug)]
pub struct Amender<'o> {
    options: &'o Amendments,
    file: &'o FileTimes,
    key: Vec<u8>,
    payload: Vec<u8>,
    scratch: Vec<u8>,
}

impl Amendments {
    /// Whether all stays as it is.
    pub fn are_none(&self) -> bool {
        self.set_ttl.is_none() && self.map_db.is_empty() && self.rename_prefix.is_empty()
    }

    /// Whether two keys may become one.
    pub fn may_collide(&self) -> bool {
        !(self.map_db.is_empty() && self.rename_prefix.is_empty())
    }

    /// For a part of a file.
    pub fn begin<'o>(&'o self, file: &'o FileTimes) -> Amender<'o> {
        Amender {
            options: self,
            file,
            key: Vec::new(),
            payload: Vec::new(),
            scratch: Vec::new(),
        }
    }

    fn db(&self, db: u64) -> u64 {
        let pair = self.map_db.iter().find(|(from, _)| *from == db);
        pair.map_or(db, |(_, to)| *to)
    }
}

impl Amender<'_> {
    /// The event as it is to be written; `None` for hints at numbers of keys, which may not be true any more.
    pub fn event<'a>(&'a mut self, event: &'a Event<'a>) -> Result<Option<Event<'a>>, Stop> {
        if self.options.are_none() {
            return Ok(Some(event.clone()));
        }
        Ok(match event {
            Event::Resize { .. } | Event::SlotInfo { .. } => None,
            Event::SelectDb(db) => Some(Event::SelectDb(self.options.db(*db))),
            Event::Aux { name, value } => {
                if name.bytes(&mut I64Text::new()) == MADE_AT {
                    let seconds = value.as_int();
                    // Of several the first counts.
                    seconds.map(|seconds| {
                        let at_ms = seconds.saturating_mul(1000);
                        self.file.made_at_ms.get_or_init(|| at_ms)
                    });
                }
                Some(event.clone())
            }
            Event::Record(record) => Some(Event::Record(self.record(record)?)),
            _ => Some(event.clone()),
        })
    }

    fn record<'a>(&'a mut self, record: &'a Record<'a>) -> Result<Record<'a>, Stop> {
        let expire_ms = match (self.options.set_ttl, record.head.expire_ms) {
            (None, expiry) => expiry,
            (Some(TtlChange::Drop), _) => None,
            (Some(TtlChange::At(at_ms)), _) => Some(at_ms),
            (Some(_), None) => None,
            (Some(_), Some(at_ms)) => Some(shifted(at_ms, self.shift()?)),
        };
        let mut value = record.value.clone();
        if let (Object::Hash(hash), Some(change)) = (&record.value, self.options.set_ttl)
            && hash.may_expire()
            && !matches!(change, TtlChange::At(_))
        {
            let by = match change {
                TtlChange::Drop => None,
                _ => Some(self.shift()?),
            };
            self.payload = retimed(hash, by).map_err(|error| unwritten(error, record))?;
            value = Payload::open(&self.payload, FIELD_FORM)
                .and_then(|payload| payload.value(&mut self.scratch, Check::Structure))
                .map_err(|error| Stop::inside(error.at_key(record.head.key).in_db(record.db)))?;
        }
        let mut key = record.head.key;
        let pairs = &self.options.rename_prefix;
        if let Some((rest, to)) = pairs
            .iter()
            .find_map(|(from, to)| Some((key.strip_prefix(from.as_bytes())?, to)))
        {
            self.key.clear();
            self.key.extend_from_slice(to.as_bytes());
            self.key.extend_from_slice(rest);
            key = &self.key;
        }
        Ok(Record {
            db: self.options.db(record.db),
            head: Head {
                key,
                expire_ms,
                ..record.head
            },
            value,
            ..*record
        })
    }

    fn shift(&self) -> Result<i64, Stop> {
        match (self.options.set_ttl, self.file.made_at_ms.get()) {
            (Some(TtlChange::Shift(by)), _) => Ok(by),
            (_, Some(made_at_ms)) => Ok(self.file.now_ms.saturating_sub(*made_at_ms)),
            _ => Err(Stop::Failed(
                Failure::new("--set-ttl shift: the snapshot does not say when it was made")
                    .hint("--set-ttl shift:+1h moves every expiry by that much"),
            )),
        }
    }
}

/// No time before the first one, which a file could not hold.
fn shifted(at_ms: i64, by: i64) -> i64 {
    at_ms.saturating_add(by).max(1)
}

/// The payload of a hash whose fields expire later, or not at all.
fn retimed(hash: &Hash<'_>, by: Option<i64>) -> Result<Vec<u8>, WriteError> {
    let mut fields = Vec::new();
    for field in hash.fields() {
        let field = field?;
        let expire_ms = field
            .expire_ms
            .zip(by)
            .map(|(at_ms, by)| shifted(at_ms, by));
        fields.push((field.name.into_cow(), field.value.into_cow(), expire_ms));
    }
    let lowest = fields.iter().filter_map(|(_, _, expiry)| *expiry).min();
    let count = fields.len() as u64;
    build(WriteOptions::new(FIELD_FORM), |writer| {
        let head = Head::default();
        match lowest {
            None => {
                writer.begin_hash(&head, count)?;
                for (name, value, _) in &fields {
                    writer.field(name, value)?;
                }
            }
            Some(lowest) => {
                writer.begin_expiring_hash(&head, count, lowest)?;
                for (name, value, expiry) in &fields {
                    writer.expiring_field(name, value, *expiry)?;
                }
            }
        }
        Ok(())
    })
}

fn unwritten(error: WriteError, record: &Record<'_>) -> Stop {
    match error {
        WriteError::Source(error) => Stop::inside(error.at_key(record.head.key).in_db(record.db)),
        other => Stop::Failed(Failure::new(other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_expiry_as_people_write_them() {
        assert_eq!(ttl_change("drop"), Ok(TtlChange::Drop));
        assert_eq!(ttl_change("shift"), Ok(TtlChange::ShiftByAge));
        assert_eq!(ttl_change("shift:-1h"), Ok(TtlChange::Shift(-3_600_000)));
        assert_eq!(ttl_change("shift:+1d"), Ok(TtlChange::Shift(86_400_000)));
        assert_eq!(ttl_change("absolute:17"), Ok(TtlChange::At(17)));
        assert!(matches!(ttl_change("absolute:+1h"), Ok(TtlChange::At(at)) if at > now_ms()));
        for wrong in ["", "1h", "shift:1h", "shift:", "absolute:", "absolute:+x"] {
            assert!(ttl_change(wrong).is_err(), "{wrong}");
        }
    }
}
