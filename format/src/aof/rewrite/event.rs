//! What is read from a snapshot, as commands.

use super::super::release::Release;
use super::{Collection, Rewriter};
use crate::error::Result;
use crate::rdb::object::{Hash, List, Set, Stream, StreamId, Zset};
use crate::rdb::writer::Lack;
use crate::rdb::{Dialect, Event, Object, Record, WriteOptions, dump};
use crate::text::number::I64Text;
use std::collections::BTreeSet;

/// The version of RESTORE payloads: the first that has module values, so that most servers read it.
const PAYLOAD: Dialect = Dialect::redis(8);

/// Something that commands cannot say or the target has none for, and what could hold it.
pub type Lost = Option<(Lack, &'static str)>;

/// What could hold what commands cannot say.
const SNAPSHOT: &str = "a snapshot";
/// Hash fields that expire, where HPEXPIREAT is missing.
pub const FIELD_EXPIRY: (Lack, &str) = (Lack::FieldExpiry, "Redis 7.4 or Valkey 9.0");
/// A stream, where its commands are missing.
pub const STREAM: (Lack, &str) = (Lack::Stream, "Redis 5.0");
const FUNCTION: (Lack, &str) = (Lack::Function, "Redis 7.0");
const MODULE: (Lack, &str) = (Lack::Module, "Redis 4.0");

impl Rewriter {
    /// Appends the commands of an event. If commands cannot say it, nothing is appended and the reason given;
    /// if they cannot say a part, the rest is appended.
    ///
    /// # Errors
    /// Damage of the value.
    pub fn event(&mut self, event: &Event<'_>) -> Result<Lost> {
        match event {
            Event::Record(record) => {
                let lost = self
                    .record(record)
                    .map_err(|error| error.at_key(record.head.key).in_db(record.db))?;
                let meta = record.head.meta;
                Ok(lost.or(meta.map(|_| (Lack::KeyMeta, "a snapshot of Redis 8.6"))))
            }
            Event::Function(code) => match self.library(&code.to_vec()) {
                true => Ok(None),
                false => Ok(Some(FUNCTION)),
            },
            Event::ModuleAux(_) => Ok(Some((Lack::ModuleAux, SNAPSHOT))),
            Event::SlotImport(_) => Ok(Some((Lack::SlotImport, SNAPSHOT))),
            // Which database it belongs to is not described.
            Event::Command(_) => Ok(Some((Lack::Command, SNAPSHOT))),
            Event::Aux { .. }
            | Event::Template
            | Event::SelectDb(_)
            | Event::Resize { .. }
            | Event::SlotInfo { .. }
            | Event::End(_) => Ok(None),
        }
    }

    /// Appends the command that loads a library of functions; false if the target has none.
    pub fn library(&mut self, code: &[u8]) -> bool {
        if !self.target.has_functions() {
            return false;
        }
        self.select(0);
        self.begin(b"FUNCTION").push(b"LOAD").push(code).send();
        true
    }

    fn record(&mut self, record: &Record<'_>) -> Result<Lost> {
        let key = record.head.key;
        if let Some(lost) = unsaid(self.target, &record.value) {
            return Ok(Some(lost));
        }
        self.select(record.db);
        let start = self.out.len();
        let lost = match &record.value {
            Object::String(text) => {
                self.string(key, text.bytes(&mut I64Text::new()));
                None
            }
            Object::List(list) => self.saved_list(key, list)?,
            Object::Set(set) => self.saved_set(key, set)?,
            Object::Zset(zset) => self.saved_zset(key, zset)?,
            Object::Hash(hash) => self.saved_hash(key, hash)?,
            Object::Stream(stream) => self.saved_stream(key, stream)?,
            // Its module knows better commands; without it the payload of RESTORE is the value itself.
            value => match dump::encode(WriteOptions::new(PAYLOAD), value) {
                Ok(payload) => {
                    self.begin(b"RESTORE").push(key).push(b"0");
                    self.push(&payload).send();
                    None
                }
                Err(_) => return Ok(Some((Lack::Module, SNAPSHOT))),
            },
        };
        // Of a hash nothing may be left.
        if let Some(at_ms) = record.head.expire_ms
            && self.out.len() > start
        {
            self.expiry(key, at_ms);
        }
        Ok(lost)
    }

    fn saved_list(&mut self, key: &[u8], list: &List<'_>) -> Result<Lost> {
        let mut text = I64Text::new();
        self.collection(Collection::List, key, |to| {
            for element in list.elements() {
                to.one(element?.bytes(&mut text));
            }
            Ok(None)
        })
    }

    fn saved_set(&mut self, key: &[u8], set: &Set<'_>) -> Result<Lost> {
        let mut text = I64Text::new();
        self.collection(Collection::Set, key, |to| {
            for member in set.members() {
                to.one(member?.bytes(&mut text));
            }
            Ok(None)
        })
    }

    fn saved_zset(&mut self, key: &[u8], zset: &Zset<'_>) -> Result<Lost> {
        let mut text = I64Text::new();
        self.collection(Collection::Zset, key, |to| {
            for pair in zset.pairs() {
                let (member, score) = pair?;
                to.scored(member.bytes(&mut text), score);
            }
            Ok(None)
        })
    }

    fn saved_hash(&mut self, key: &[u8], hash: &Hash<'_>) -> Result<Lost> {
        let (mut a, mut b) = (I64Text::new(), I64Text::new());
        let mut expires = false;
        for field in hash.fields().take_while(|_| hash.may_expire()) {
            expires |= field?.expire_ms.is_some();
        }
        let keeps = match (
            expires && !self.target.has_field_expiry(),
            self.expiring_fields,
        ) {
            (false, _) => None,
            (true, Some(choice)) => Some(choice),
            (true, None) => return Ok(Some(FIELD_EXPIRY)),
        };
        self.collection(Collection::Hash, key, |to| -> Result<()> {
            for field in hash.fields() {
                let field = field?;
                if keeps.is_none_or(|choice| choice.keeps(field.expire_ms)) {
                    to.field(field.name.bytes(&mut a), field.value.bytes(&mut b));
                }
            }
            Ok(())
        })?;
        if keeps.is_some() {
            return Ok(Some(FIELD_EXPIRY));
        }
        for field in hash.fields().take_while(|_| expires) {
            let field = field?;
            if let Some(at_ms) = field.expire_ms {
                self.field_expiry(key, field.name.bytes(&mut a), at_ms);
            }
        }
        Ok(None)
    }

    fn saved_stream(&mut self, key: &[u8], stream: &Stream<'_>) -> Result<Lost> {
        let gone = pending_but_gone(stream)?;
        let (mut a, mut b) = (I64Text::new(), I64Text::new());
        let mut to = self.stream(key, stream, gone);
        for entry in stream.entries() {
            let entry = entry?;
            to.entry(entry.id, |push| {
                for (name, value) in &entry.fields {
                    push(name.bytes(&mut a), value.bytes(&mut b));
                }
            });
        }
        to.end();
        let producers = stream.producers.as_ref();
        Ok(if producers.is_some_and(|all| !all.producers.is_empty()) {
            Some((Lack::Producers, SNAPSHOT))
        } else if stream.groups.iter().any(|group| !group.nacked.is_empty()) {
            Some((Lack::Unowned, SNAPSHOT))
        } else {
            None
        })
    }
}

/// What the target has no command for at all.
fn unsaid(target: Release, value: &Object<'_>) -> Lost {
    match value {
        Object::Array(_) => Some((Lack::Array, SNAPSHOT)),
        Object::Stream(_) if !target.has_streams() => Some(STREAM),
        Object::Module(_) if !target.has_modules() => Some(MODULE),
        _ => None,
    }
}

/// Entries that a consumer still has to acknowledge although the stream has them no more.
fn pending_but_gone(stream: &Stream<'_>) -> Result<BTreeSet<StreamId>> {
    let pending = stream.groups.iter().flat_map(|group| &group.pending);
    let mut ids: BTreeSet<StreamId> = pending.map(|pending| pending.id).collect();
    if !ids.is_empty() {
        for entry in stream.entries() {
            ids.remove(&entry?.id);
        }
    }
    Ok(ids)
}
