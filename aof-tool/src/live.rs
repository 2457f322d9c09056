//! What is in a snapshot, into a living server or cluster: RESTORE of each key.

use cairn_format::rdb::{Event, Options, Record, SliceReader, WriteOptions, dump};
use cairn_format::resp::value::{Value, write_command};
use cairn_format::text::number::I64Text;
use cairn_toolkit::remote::{Address, Fleet, Item};
use cairn_toolkit::{Failure, Input, Progress, quoted};
use clap::ValueEnum;

/// What becomes of keys that the server has already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Existing {
    /// Nothing is sent if there is any
    Fail,
    /// They are replaced
    Replace,
}

/// Commands sent before their replies are read.
const BATCH: usize = 512;
/// And their bytes.
const BATCH_BYTES: usize = 1 << 20;

/// Sends all keys and libraries; gives the number of keys.
pub fn send(snapshot: &Input, address: &Address, existing: Existing) -> Result<u64, Failure> {
    let mut fleet = Fleet::connect(address)?;
    let mut sender = Sender {
        to: address.to_string(),
        options: WriteOptions::new(fleet.first().dialect()?),
        is_cluster: fleet.is_cluster(),
        fleet: &mut fleet,
        existing,
        db: 0,
        batch: Vec::new(),
        bytes: 0,
        asks: existing == Existing::Fail,
        sent: 0,
    };
    if sender.asks {
        sender.all(snapshot, "asking for keys")?;
        sender.select(0)?;
        (sender.asks, sender.sent) = (false, 0);
    }
    sender.all(snapshot, "sending")?;
    Ok(sender.sent)
}

struct Sender<'a> {
    to: String,
    options: WriteOptions,
    is_cluster: bool,
    fleet: &'a mut Fleet,
    existing: Existing,
    db: u64,
    batch: Vec<Item>,
    bytes: usize,
    /// Whether the server is only asked which keys it has.
    asks: bool,
    sent: u64,
}

impl Sender<'_> {
    fn all(&mut self, snapshot: &Input, label: &str) -> Result<(), Failure> {
        let bytes = snapshot.bytes().unwrap_or_default();
        let damaged = |error| Failure::damage(snapshot.name(), &error);
        let mut reader =
            SliceReader::from_slice(bytes, Options::shallow()).map_err(|error| damaged(*error))?;
        let mut progress = Progress::bytes(label, snapshot.len());
        while let Some(located) = reader.next().map_err(|error| damaged(*error))? {
            progress.at(located.end);
            match &located.event {
                Event::Record(record) => self.record(record)?,
                Event::Function(code) if !self.asks => {
                    let code = code.bytes(&mut I64Text::new()).to_vec();
                    self.library(&code)?;
                }
                _ => {}
            }
        }
        self.flush()
    }

    fn record(&mut self, record: &Record<'_>) -> Result<(), Failure> {
        if record.db != self.db {
            self.flush()?;
            self.select(record.db)?;
        }
        let (key, mut command) = (record.head.key, Vec::new());
        match self.asks {
            true => write_command(&mut command, &[&b"EXISTS"[..], key]),
            false => self.restore(record, &mut command)?,
        }
        self.bytes += command.len();
        let key = key.to_vec();
        self.batch.push(Item { key, command });
        match self.batch.len() >= BATCH || self.bytes >= BATCH_BYTES {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn restore(&self, record: &Record<'_>, command: &mut Vec<u8>) -> Result<(), Failure> {
        let payload = dump::encode(self.options, &record.value).map_err(|error| {
            let (db, key) = (record.db, quoted(record.head.key));
            Failure::new(format!("{}: db {db}, key {key}: {error}", self.to))
        })?;
        let expires = record.head.expire_ms.map_or(0, |at| at.max(1)).to_string();
        let mut words = vec![
            &b"RESTORE"[..],
            record.head.key,
            expires.as_bytes(),
            &payload,
        ];
        words.extend((self.existing == Existing::Replace).then_some(&b"REPLACE"[..]));
        words.extend(record.head.expire_ms.map(|_| &b"ABSTTL"[..]));
        write_command(command, &words);
        Ok(())
    }

    fn select(&mut self, db: u64) -> Result<(), Failure> {
        if self.is_cluster && db != 0 {
            let to = &self.to;
            let line = format!("{to}: db {db}: a cluster has database 0 alone");
            return Err(Failure::new(line).hint("--db 0 takes only those keys"));
        }
        if self.db != db {
            self.fleet.first().ask(&["SELECT", &db.to_string()])?;
            self.db = db;
        }
        Ok(())
    }

    /// A library goes to every node that has slots.
    fn library(&mut self, code: &[u8]) -> Result<(), Failure> {
        let replace = (self.existing == Existing::Replace).then_some(&b"REPLACE"[..]);
        for client in self.fleet.masters()? {
            let mut words = vec![&b"FUNCTION"[..], b"LOAD"];
            words.extend(replace);
            words.push(code);
            client.ask(&words)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let items = std::mem::take(&mut self.batch);
        self.bytes = 0;
        let replies = self.fleet.send(&items)?;
        for (item, reply) in items.iter().zip(replies) {
            let place = format!("{}: db {}, key {}", self.to, self.db, quoted(&item.key));
            match reply {
                Value::Error(line) => {
                    let line = String::from_utf8_lossy(&line);
                    return Err(Failure::new(format!("{place}: was refused: {line}"))
                        .hint(format!("{} keys were sent before", self.sent)));
                }
                Value::Int(1) if self.asks => {
                    return Err(Failure::new(format!("{place}: is there already"))
                        .hint("nothing was sent; --existing replace replaces such keys"));
                }
                _ => self.sent += 1,
            }
        }
        Ok(())
    }
}
