//! Each key is asked for again, and compared with the input.
//!
//! ```text
//!   DEBUG DIGEST-VALUE    40 bytes for each key, if the server has it and lets us; equal digests are equal values
//!   DUMP, PTTL            the value itself: where it has not, of values that a digest does not see whole, and where digests differ
//! ```
//!
//! A digest knows nothing of groups and counters of streams and of when fields expire, and 7.0 sums fractional scores otherwise: so another
//! digest is no finding yet.

use crate::canon::{Canon, Canonizer};
use crate::snapshot::{Need, Reading, Visit, inside, read};
use aof_tool::Digester;
use cairn_format::rdb::dump::Payload;
use cairn_format::rdb::object::Hash;
use cairn_format::rdb::reader::Options;
use cairn_format::rdb::{Check, Dialect, Event, Located, Object, Record};
use cairn_format::resp::value::{Value, write_command};
use cairn_toolkit::remote::{Fleet, Item};
use cairn_toolkit::select::now_ms;
use cairn_toolkit::{Failure, Input, Verdict, human, note, quoted};

/// Keys asked for at once.
const BATCH: usize = 256;
/// Keys with other data that are named.
const NAMED: u64 = 10;

struct Expected {
    canon: Canon,
    expire_ms: Option<i64>,
    /// Of a value that it sees whole.
    digest: Option<String>,
}

struct Work<'f> {
    fleet: &'f mut Fleet,
    dialect: Dialect,
    canonizer: Canonizer,
    /// While the server answers with digests.
    digester: Option<Digester>,
    db: u64,
    items: Vec<Item>,
    expected: Vec<Expected>,
    same: u64,
    by_digest: u64,
    other: u64,
}

/// A key, and what it should be.
type Pair = (Item, Expected);

/// Whether equal digests are equal values.
fn sees_whole(value: &Object<'_>) -> bool {
    match value {
        Object::Hash(hash) => !matches!(hash, Hash::Expiring(_) | Hash::ExpiringListpack(_)),
        Object::Stream(_) | Object::Module(_) | Object::Array(_) => false,
        Object::String(_) | Object::List(_) | Object::Set(_) | Object::Zset(_) => true,
    }
}

/// Asks for all keys of the input.
pub fn verify(
    input: &Input,
    reading: &Reading,
    fleet: &mut Fleet,
    dialect: Dialect,
) -> Result<Verdict, Failure> {
    let mut work = Work {
        fleet,
        dialect,
        canonizer: Canonizer::new(),
        digester: Some(Digester::default()),
        db: 0,
        items: Vec::new(),
        expected: Vec::new(),
        same: 0,
        by_digest: 0,
        other: 0,
    };
    work.fleet.first().ask(&["SELECT", "0"])?;
    let visit = &mut |_, located: &Located<'_>| match &located.event {
        Event::Record(record) => work.record(record),
        _ => Ok(()),
    };
    let options = Options::shallow();
    read(input, reading, Need::All, options, "verifying", visit)?;
    work.flush()?;
    let same = human::plural(work.same, "key is", "keys are");
    let how = work.how();
    match work.other {
        0 => note(&format!("{same} as in {} ({how})", input.name())),
        other => note(&format!(
            "{} not as in {}, {same} ({how})",
            human::plural(other, "key is", "keys are"),
            input.name()
        )),
    }
    Ok(Verdict::found_if(work.other > 0))
}

impl Work<'_> {
    fn record(&mut self, record: &Record<'_>) -> Visit {
        let (db, key) = (record.db, record.head.key);
        if db != self.db {
            self.flush()?;
            self.fleet.first().ask(&["SELECT", &db.to_string()])?;
            self.db = db;
        }
        let canon = inside(self.canonizer.value(&record.value), db, key)?;
        let expires = record.head.expire_ms.is_some();
        let digester = self.digester.as_mut();
        let digester = digester.filter(|_| sees_whole(&record.value));
        self.expected.push(Expected {
            canon,
            expire_ms: record.head.expire_ms,
            digest: digester.and_then(|digester| digester.of(&record.value, expires)),
        });
        let (key, command) = (key.to_vec(), Vec::new());
        self.items.push(Item { key, command });
        match self.items.len() < BATCH {
            true => Ok(()),
            false => Ok(self.flush()?),
        }
    }

    /// What the comparison was made by.
    fn how(&self) -> String {
        let by_dump = self.same + self.other - self.by_digest;
        match (self.by_digest, by_dump) {
            (0, _) => "by DUMP".to_owned(),
            (_, 0) => "by DEBUG DIGEST-VALUE".to_owned(),
            (digest, dump) => format!(
                "{} by DEBUG DIGEST-VALUE, {} by DUMP",
                human::count(digest),
                human::count(dump)
            ),
        }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let items = std::mem::take(&mut self.items);
        let expected = std::mem::take(&mut self.expected);
        let pairs = items.into_iter().zip(expected).collect();
        let left = self.by_digests(pairs)?;
        self.by_dumps(left)
    }

    /// Asks for digests; gives the keys that are not settled by them.
    fn by_digests(&mut self, pairs: Vec<Pair>) -> Result<Vec<Pair>, Failure> {
        let (pairs, mut left): (Vec<Pair>, Vec<Pair>) = pairs
            .into_iter()
            .partition(|(_, expected)| expected.digest.is_some() && self.digester.is_some());
        let replies = self.ask(&pairs, &[b"DEBUG", b"DIGEST-VALUE"])?;
        for (pair, reply) in pairs.into_iter().zip(replies) {
            let told = match &reply {
                Value::Array(values) => values.first(),
                _ => None,
            };
            match told {
                Some(Value::Bulk(digest) | Value::Simple(digest))
                    if pair.1.digest.as_deref().map(str::as_bytes) == Some(&digest[..]) =>
                {
                    self.same += 1;
                    self.by_digest += 1;
                    continue;
                }
                Some(_) => {}
                // It has none, or DEBUG is not for us.
                None => self.digester = None,
            }
            left.push(pair);
        }
        Ok(left)
    }

    fn ask(&mut self, pairs: &[Pair], command: &[&[u8]]) -> Result<Vec<Value>, Failure> {
        let item = |(item, _): &Pair| {
            let words = [command, &[&item.key[..]]].concat();
            let (key, mut command) = (item.key.clone(), Vec::new());
            write_command(&mut command, &words);
            Item { key, command }
        };
        let items: Vec<Item> = pairs.iter().map(item).collect();
        self.fleet.send(&items)
    }

    fn by_dumps(&mut self, pairs: Vec<Pair>) -> Result<(), Failure> {
        let payloads = self.ask(&pairs, &[b"DUMP"])?;
        let times = self.ask(&pairs, &[b"PTTL"])?;
        let told = payloads.into_iter().zip(times);
        for ((item, expected), (payload, time)) in pairs.iter().zip(told) {
            match self.difference(expected, &payload, &time) {
                None => self.same += 1,
                Some(what) => {
                    self.other += 1;
                    if self.other <= NAMED {
                        let key = quoted(&item.key);
                        note(&format!("db {}, key {key}: {what}", self.db));
                    }
                }
            }
        }
        Ok(())
    }

    fn difference(&self, expected: &Expected, payload: &Value, time: &Value) -> Option<String> {
        let bytes = match payload {
            Value::Bulk(bytes) => bytes,
            Value::Error(line) => return Some(String::from_utf8_lossy(line).into_owned()),
            // It has expired, or does so about now.
            _ if expected.expire_ms.is_some_and(|at_ms| at_ms <= now_ms()) => return None,
            _ => return Some("is not there".to_owned()),
        };
        let mut scratch = Vec::new();
        let canon = Payload::open(bytes, self.dialect)
            .and_then(|payload| payload.value(&mut scratch, Check::Structure))
            .and_then(|value| self.canonizer.value(&value));
        match canon {
            Err(error) => return Some(error.to_string()),
            Ok(canon) if canon.value != expected.canon.value => {
                return Some("the value is another".to_owned());
            }
            Ok(_) => {}
        }
        let has_expiry = matches!(time, Value::Int(left) if *left >= 0);
        (has_expiry != expected.expire_ms.is_some()).then(|| "expires otherwise".to_owned())
    }
}
