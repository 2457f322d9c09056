//! A snapshot made of what SCAN and DUMP answer.
//!
//! ```text
//!   REDIS0011                            the version of the payloads
//!   libraries of FUNCTION DUMP           as they stand there
//!   SELECTDB n
//!   [expiry] [metadata] type KEY value   the payload of DUMP with its key put in
//!   EOF, eight zero bytes                no checksum: each payload had its own, and that was compared
//! ```
//!
//! SCAN may name a key twice; 16 bytes are kept for each to write it once.

use super::client::Client;
use crate::escape::quoted;
use crate::outcome::Failure;
use crate::select::now_ms;
use cairn_format::rdb::dump::Payload;
use cairn_format::rdb::{Dialect, opcode, write_len};
use cairn_format::resp::value::{Value, write_command};
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read};

/// Keys asked for at once.
const COUNT: &str = "512";
/// Commands that tell when a key expires.
const AT: &str = "PEXPIRETIME";
const LEFT: &str = "PTTL";
/// Bytes of a payload behind its value: version and checksum.
const FOOTER: usize = 10;

/// The snapshot under way.
pub(super) struct Scan {
    client: Client,
    dialect: Dialect,
    /// The command that tells when a key expires: at what time (7.0 and up), or in how long.
    expiry: &'static str,
    /// Databases still to be read, the next one last.
    databases: Vec<u64>,
    /// Where SCAN goes on in the database that is being read.
    cursor: Option<Vec<u8>>,
    seen: HashSet<u128>,
    seeds: [RandomState; 2],
    out: Vec<u8>,
    at: usize,
    is_over: bool,
}

impl Scan {
    /// Looks what there is; `only` is the one database that is wanted.
    pub fn begin(mut client: Client, only: Option<u64>) -> Result<Scan, Failure> {
        // Servers before 7.0 have no libraries, and some users may not see them.
        let libraries = match client.try_ask(&["FUNCTION", "DUMP"])? {
            Value::Bulk(payload) => payload,
            _ => Vec::new(),
        };
        let dialect = match version(&libraries) {
            Some(version) => Dialect::from_number(version).ok_or_else(|| {
                let what = format!("DUMP payloads of version {version}, which is unknown here");
                client.refused("FUNCTION DUMP", what.as_bytes())
            })?,
            None => client.dialect()?,
        };
        let mut databases = match only {
            Some(db) => vec![db],
            None => databases(&client.ask(&["INFO", "keyspace"])?),
        };
        databases.reverse();
        let is_known = !client.try_ask(&[AT, ""])?.is_error();
        let mut out = dialect.magic().to_vec();
        let code = libraries.len().saturating_sub(FOOTER);
        out.extend_from_slice(&libraries[..code]);
        let mut scan = Scan {
            client,
            dialect,
            expiry: if is_known { AT } else { LEFT },
            databases,
            cursor: None,
            seen: HashSet::new(),
            seeds: [RandomState::new(), RandomState::new()],
            out,
            at: 0,
            is_over: false,
        };
        // What is refused is told before anything is made of the rest.
        scan.step()?;
        Ok(scan)
    }

    /// Makes more bytes, or none if only the place in the scan has changed.
    fn step(&mut self) -> Result<(), Failure> {
        let Some(cursor) = self.cursor.take() else {
            match self.databases.pop() {
                Some(db) => self.select(db)?,
                None => {
                    self.out.push(opcode::EOF);
                    self.out.extend_from_slice(&[0; 8]);
                    self.is_over = true;
                }
            }
            return Ok(());
        };
        let words = [b"SCAN", &cursor[..], b"COUNT", COUNT.as_bytes()];
        let reply = self.client.ask(&words)?;
        let (next, keys) = match reply.as_array() {
            Some([next, keys]) => (next.as_bytes(), keys.as_array()),
            _ => (None, None),
        };
        let (Some(next), Some(keys)) = (next, keys) else {
            return Err(self.client.refused("SCAN", b"the reply is no such reply"));
        };
        self.keys(keys)?;
        self.cursor = (next != b"0").then(|| next.to_vec());
        Ok(())
    }

    fn select(&mut self, db: u64) -> Result<(), Failure> {
        self.client.ask(&["SELECT", &db.to_string()])?;
        self.seen.clear();
        self.cursor = Some(b"0".to_vec());
        self.out.push(opcode::SELECTDB);
        write_len(&mut self.out, db);
        Ok(())
    }

    /// Asks for values and expiries of keys, and writes those that are still there.
    fn keys(&mut self, keys: &[Value]) -> Result<(), Failure> {
        let mut fresh = Vec::new();
        let mut commands = Vec::new();
        for key in keys.iter().filter_map(Value::as_bytes) {
            let [a, b] = &self.seeds;
            let id = u128::from(a.hash_one(key)) << 64 | u128::from(b.hash_one(key));
            if self.seen.insert(id) {
                fresh.push(key);
                write_command(&mut commands, &[b"DUMP", key]);
                write_command(&mut commands, &[self.expiry.as_bytes(), key]);
            }
        }
        self.client.send(&commands)?;
        for key in fresh {
            let (payload, expiry) = (self.client.reply()?, self.client.reply()?);
            match (&payload, expiry) {
                (Value::Error(line), _) => return Err(self.client.refused("DUMP", line)),
                (_, Value::Error(line)) => return Err(self.client.refused(self.expiry, &line)),
                (Value::Bulk(payload), Value::Int(ms)) => self.record(key, payload, ms)?,
                // It is gone since SCAN named it.
                _ => {}
            }
        }
        Ok(())
    }

    fn record(&mut self, key: &[u8], payload: &[u8], expiry_ms: i64) -> Result<(), Failure> {
        let opened = Payload::open(payload, self.dialect)
            .and_then(|payload| payload.split())
            .map_err(|error| {
                let what = format!("key {}: {error}", quoted(key));
                self.client.refused("DUMP", what.as_bytes())
            })?;
        let (head, value) = opened;
        if expiry_ms >= 0 {
            self.out.push(opcode::EXPIRETIME_MS);
            let since = if self.expiry == LEFT { now_ms() } else { 0 };
            let at = since.saturating_add(expiry_ms);
            self.out.extend_from_slice(&at.to_le_bytes());
        }
        self.out.extend_from_slice(head);
        write_len(&mut self.out, key.len() as u64);
        self.out.extend_from_slice(key);
        self.out.extend_from_slice(value);
        Ok(())
    }
}

impl Read for Scan {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.out.len() && !self.is_over && !out.is_empty() {
            self.out.clear();
            self.at = 0;
            self.step().map_err(|failure| {
                io::Error::other(failure.line().unwrap_or("the server is gone").to_owned())
            })?;
        }
        let count = out.len().min(self.out.len() - self.at);
        out[..count].copy_from_slice(&self.out[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// The version in the footer of a payload.
fn version(payload: &[u8]) -> Option<u16> {
    let footer = payload.last_chunk::<FOOTER>()?;
    Some(u16::from_le_bytes([footer[0], footer[1]]))
}

/// The databases that have keys: lines such as `db0:keys=1,expires=0`.
fn databases(info: &Value) -> Vec<u64> {
    let text = String::from_utf8_lossy(info.as_bytes().unwrap_or_default()).into_owned();
    text.lines()
        .filter_map(|line| line.strip_prefix("db")?.split(':').next()?.parse().ok())
        .collect()
}
