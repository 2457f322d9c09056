//! The commands that turn the data of the first file into those of the second.
//!
//! | what differs | commands |
//! |---|---|
//! | only in the first | DEL, FUNCTION DELETE |
//! | only in the second | those of a log |
//! | expiry | PEXPIREAT, PERSIST |
//! | members, fields of what does not expire | SREM and SADD, ZREM and ZADD, HDEL and HSET |
//! | anything else | DEL, and those of a log |
//!
//! A key that expires is written whole: the server may have removed it by the time it is asked.

use super::elements::double;
use super::entry::Place;
use cairn_format::aof::release::Release;
use cairn_format::aof::rewrite::{Lost, Rewriter};
use cairn_format::error::Result;
use cairn_format::rdb::object::Hash;
use cairn_format::rdb::{Event, Object, Record};
use cairn_format::resp::value::write_command;
use cairn_toolkit::{Failure, Output};
use std::collections::HashMap;
use std::io::Write;

/// Arguments of one command beside its name and key.
const PORTION: usize = 64;

/// Commands under way.
pub struct Patch {
    output: Output,
    commands: Rewriter,
    bytes: Vec<u8>,
    count: u64,
    lost: u64,
}

impl Patch {
    /// Into this output.
    pub fn new(output: Output) -> Patch {
        Patch {
            output,
            commands: Rewriter::new(Release::NEWEST),
            bytes: Vec::new(),
            count: 0,
            lost: 0,
        }
    }

    fn send<A: AsRef<[u8]>>(&mut self, words: &[A]) {
        write_command(&mut self.bytes, words);
        self.count += 1;
    }

    fn select(&mut self, db: u64) {
        self.commands.select(db);
        self.bytes.extend_from_slice(self.commands.bytes());
        self.commands.clear();
    }

    /// What only the first file has.
    pub fn remove(&mut self, place: Place<'_>) {
        match place.db {
            Some(db) => {
                self.select(db);
                self.send(&[b"DEL", place.key]);
            }
            None => self.send(&[&b"FUNCTION"[..], b"DELETE", place.key]),
        }
    }

    /// What is written as a whole.
    pub fn whole(&mut self, event: &Event<'_>) -> Result<()> {
        let lost: Lost = self.commands.event(event)?;
        self.lost += u64::from(lost.is_some());
        self.count += u64::from(!self.commands.bytes().is_empty());
        self.bytes.extend_from_slice(self.commands.bytes());
        self.commands.clear();
        Ok(())
    }

    /// What no command can say.
    pub fn lost(&mut self) {
        self.lost += 1;
    }

    /// An expiry that is another.
    pub fn expiry(&mut self, record: &Record<'_>) {
        self.select(record.db);
        let key = record.head.key;
        match record.head.expire_ms {
            Some(at_ms) => self.send(&[b"PEXPIREAT", key, at_ms.to_string().as_bytes()]),
            None => self.send(&[b"PERSIST", key]),
        }
    }

    /// A value that is another: element by element where that is safe. `old` did not expire, nor did fields of it.
    pub fn value(
        &mut self,
        old: Option<&Object<'_>>,
        new: &Record<'_>,
        event: &Event<'_>,
    ) -> Result<()> {
        self.select(new.db);
        let key = new.head.key;
        let is_lasting = new.head.expire_ms.is_none();
        match (old.filter(|_| is_lasting), &new.value) {
            (Some(Object::Set(a)), Object::Set(b)) => {
                let a: Result<Vec<_>> = a
                    .members()
                    .map(|one| one.map(|text| (text.to_vec(), ())))
                    .collect();
                let b: Result<Vec<_>> = b
                    .members()
                    .map(|one| one.map(|text| (text.to_vec(), ())))
                    .collect();
                let (gone, come) = changed(a?, b?);
                self.portions(&[b"SREM", key], &gone);
                let come: Vec<Vec<u8>> = come.into_iter().map(|(name, ())| name).collect();
                self.portions(&[b"SADD", key], &come);
            }
            (Some(Object::Zset(a)), Object::Zset(b)) => {
                let a: Result<Vec<_>> = a
                    .pairs()
                    .map(|one| one.map(|(text, score)| (text.to_vec(), double(score))))
                    .collect();
                let b: Result<Vec<_>> = b
                    .pairs()
                    .map(|one| one.map(|(text, score)| (text.to_vec(), double(score))))
                    .collect();
                let (gone, come) = changed(a?, b?);
                self.portions(&[b"ZREM", key], &gone);
                let come: Vec<Vec<u8>> = come
                    .into_iter()
                    .flat_map(|(name, score)| [score, name])
                    .collect();
                self.portions(&[b"ZADD", key], &come);
            }
            (Some(Object::Hash(a)), Object::Hash(b)) if !a.may_expire() && !b.may_expire() => {
                let (gone, come) = changed(fields(a)?, fields(b)?);
                self.portions(&[b"HDEL", key], &gone);
                let come: Vec<Vec<u8>> = come
                    .into_iter()
                    .flat_map(|(name, value)| [name, value])
                    .collect();
                self.portions(&[b"HSET", key], &come);
            }
            _ => {
                self.send(&[b"DEL", key]);
                self.whole(event)?;
            }
        }
        Ok(())
    }

    fn portions(&mut self, begin: &[&[u8]], rest: &[Vec<u8>]) {
        for portion in rest.chunks(PORTION) {
            let words: Vec<&[u8]> = begin
                .iter()
                .copied()
                .chain(portion.iter().map(|word| &word[..]))
                .collect();
            self.send(&words);
        }
    }

    /// Hands the bytes on.
    pub fn flush(&mut self) -> std::result::Result<(), Failure> {
        self.output.write_all(&self.bytes)?;
        self.bytes.clear();
        Ok(())
    }

    /// Makes it lasting; gives the number of commands, and of what they cannot say.
    pub fn finish(mut self) -> std::result::Result<(u64, u64), Failure> {
        self.flush()?;
        self.output.finish()?;
        Ok((self.count, self.lost))
    }
}

fn fields(hash: &Hash<'_>) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    hash.fields()
        .map(|field| field.map(|field| (field.name.to_vec(), field.value.to_vec())))
        .collect()
}

/// Names that go, and what comes or is another.
#[allow(clippy::type_complexity, reason = "two lists, used at once")]
fn changed<V: PartialEq>(
    a: Vec<(Vec<u8>, V)>,
    b: Vec<(Vec<u8>, V)>,
) -> (Vec<Vec<u8>>, Vec<(Vec<u8>, V)>) {
    let mut old: HashMap<Vec<u8>, V> = a.into_iter().collect();
    let come = b
        .into_iter()
        .filter(|(name, value)| old.remove(name).is_none_or(|was| was != *value))
        .collect();
    let mut gone: Vec<Vec<u8>> = old.into_keys().collect();
    gone.sort_unstable();
    (gone, come)
}
