//! Each key is asked for again, and compared with the input.

use crate::canon::{Canon, Canonizer};
use crate::snapshot::{Need, Reading, Visit, inside, read};
use cairn_format::rdb::dump::Payload;
use cairn_format::rdb::reader::Options;
use cairn_format::rdb::{Check, Dialect, Event, Located, Record};
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
}

struct Work<'f> {
    fleet: &'f mut Fleet,
    dialect: Dialect,
    canonizer: Canonizer,
    db: u64,
    items: Vec<Item>,
    expected: Vec<Expected>,
    same: u64,
    other: u64,
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
        db: 0,
        items: Vec::new(),
        expected: Vec::new(),
        same: 0,
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
    match work.other {
        0 => note(&format!("{same} as in {}", input.name())),
        other => note(&format!(
            "{} not as in {}, {same}",
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
        self.expected.push(Expected {
            canon,
            expire_ms: record.head.expire_ms,
        });
        let mut command = Vec::new();
        write_command(&mut command, &[b"DUMP", key]);
        let key = key.to_vec();
        self.items.push(Item { key, command });
        match self.items.len() < BATCH {
            true => Ok(()),
            false => Ok(self.flush()?),
        }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let mut items = std::mem::take(&mut self.items);
        let payloads = self.fleet.send(&items)?;
        for item in &mut items {
            item.command.clear();
            write_command(&mut item.command, &[b"PTTL", &item.key[..]]);
        }
        let times = self.fleet.send(&items)?;
        let expected = std::mem::take(&mut self.expected);
        for (item, (expected, (payload, time))) in items
            .iter()
            .zip(expected.iter().zip(payloads.into_iter().zip(times)))
        {
            match self.difference(expected, &payload, &time) {
                None => self.same += 1,
                Some(what) => {
                    self.other += 1;
                    if self.other <= NAMED {
                        note(&format!(
                            "db {}, key {}: {what}",
                            self.db,
                            quoted(&item.key)
                        ));
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
