//! A snapshot as the commands that build it, in the words and portions in which Redis 7.2 rewrites its log.
//!
//! ```text
//!   string  SET           list    RPUSH      set  SADD      zset  ZADD      hash  HMSET      up to 64 elements each
//!   stream  XADD ..., XSETID, XGROUP CREATE, XGROUP CREATECONSUMER, XCLAIM
//!   expiry  PEXPIREAT, HPEXPIREAT          library  FUNCTION LOAD          module  RESTORE
//! ```

use cairn_format::aof::writer::{LogState, write_pexpireat};
use cairn_format::error::Result;
use cairn_format::rdb::object::{Group, Hash, Stream, StreamId};
use cairn_format::rdb::{Dialect, Event, Object, Record, Text, WriteOptions, dump};
use cairn_format::resp::value::{write_argument, write_command_header};
use cairn_format::text::number::{I64Text, write_f64};
use std::collections::{BTreeSet, HashMap};

/// Elements in one command, as `AOF_REWRITE_ITEMS_PER_CMD` of Redis: a reader of the log holds one command in memory.
const ELEMENTS_MAX: usize = 64;

/// The version of RESTORE payloads: the first that has module values, so that most servers read it.
const PAYLOAD: Dialect = Dialect::redis(8);

/// Something that commands cannot say, and what could hold it.
pub type Lost = Option<(&'static str, &'static str)>;

/// Commands under way; the caller takes the bytes and clears them as it likes.
#[derive(Debug, Default)]
pub struct Commands {
    out: Vec<u8>,
    log: LogState,
    /// Arguments of the next command, one behind the other, and where each ends.
    arguments: Vec<u8>,
    ends: Vec<usize>,
}

impl Commands {
    /// No commands yet.
    pub fn new() -> Commands {
        Commands::default()
    }

    /// What was written since the last [`Commands::clear`].
    pub fn bytes(&self) -> &[u8] {
        &self.out
    }

    /// Forgets the bytes; the database stays selected.
    pub fn clear(&mut self) {
        self.out.clear();
    }

    /// Appends the commands of an event. If commands cannot say it, nothing is appended and the reason given;
    /// if they cannot say a part, the rest is appended.
    pub fn event(&mut self, event: &Event<'_>) -> Result<Lost> {
        match event {
            Event::Record(record) => {
                let lost = self
                    .record(record)
                    .map_err(|error| error.at_key(record.head.key).in_db(record.db))?;
                Ok(lost.or(record
                    .head
                    .meta
                    .map(|_| ("key metadata", "a snapshot of Redis 8.6"))))
            }
            Event::Function(code) => {
                self.log.before_command(&mut self.out, 0, None);
                self.begin("FUNCTION");
                self.push(b"LOAD").push_text(code).send();
                Ok(None)
            }
            Event::ModuleAux(_) => Ok(Some(("module data outside the keys", "a snapshot"))),
            Event::SlotImport(_) => Ok(Some(("a slot import under way", "a snapshot"))),
            Event::Aux { .. }
            | Event::SelectDb(_)
            | Event::Resize { .. }
            | Event::SlotInfo { .. }
            | Event::End(_) => Ok(None),
        }
    }

    fn record(&mut self, record: &Record<'_>) -> Result<Lost> {
        let key = record.head.key;
        let lost = match &record.value {
            Object::Array(_) => return Ok(Some(("an array", "a snapshot"))),
            Object::Stream(stream)
                if stream
                    .producers
                    .as_ref()
                    .is_some_and(|producers| !producers.producers.is_empty()) =>
            {
                Some(("idempotent producers of a stream", "a snapshot"))
            }
            _ => None,
        };
        self.log.before_command(&mut self.out, record.db, None);
        match &record.value {
            Object::String(text) => {
                self.begin("SET").push(key).push_text(text).send();
            }
            Object::List(list) => self.portions("RPUSH", key, list.elements(), |to, element| {
                to.push_text(&element);
            })?,
            Object::Set(set) => self.portions("SADD", key, set.members(), |to, member| {
                to.push_text(&member);
            })?,
            Object::Zset(zset) => {
                self.portions("ZADD", key, zset.pairs(), |to, (member, score)| {
                    let mut text = Vec::new();
                    write_f64(&mut text, score);
                    to.push(&text).push_text(&member);
                })?
            }
            Object::Hash(hash) => self.hash(key, hash)?,
            Object::Stream(stream) => self.stream(key, stream)?,
            // Its module knows better commands; without it the payload of RESTORE is the value itself.
            Object::Module(_) => match dump::encode(WriteOptions::new(PAYLOAD), &record.value) {
                Ok(payload) => {
                    self.begin("RESTORE")
                        .push(key)
                        .push(b"0")
                        .push(&payload)
                        .send();
                }
                Err(_) => return Ok(Some(("a module value", "a snapshot"))),
            },
            Object::Array(_) => {}
        }
        if let Some(expire_ms) = record.head.expire_ms {
            write_pexpireat(&mut self.out, key, expire_ms);
        }
        Ok(lost)
    }

    fn portions<T>(
        &mut self,
        command: &str,
        key: &[u8],
        items: impl Iterator<Item = Result<T>>,
        push: impl Fn(&mut Commands, T),
    ) -> Result<()> {
        let mut count = 0;
        for item in items {
            if count == 0 {
                self.begin(command).push(key);
            }
            push(self, item?);
            count += 1;
            if count == ELEMENTS_MAX {
                self.send();
                count = 0;
            }
        }
        if count > 0 {
            self.send();
        }
        Ok(())
    }

    fn hash(&mut self, key: &[u8], hash: &Hash<'_>) -> Result<()> {
        self.portions("HMSET", key, hash.fields(), |to, field| {
            to.push_text(&field.name).push_text(&field.value);
        })?;
        if hash.may_expire() {
            for field in hash.fields() {
                let field = field?;
                if let Some(expire_ms) = field.expire_ms {
                    self.begin("HPEXPIREAT")
                        .push(key)
                        .push_int(expire_ms)
                        .push(b"FIELDS")
                        .push(b"1")
                        .push_text(&field.name);
                    self.send();
                }
            }
        }
        Ok(())
    }

    /// Entries in order; among them, for a moment, those that were deleted and are still pending: XCLAIM knows only entries
    /// that exist. They go once the groups have claimed them, and XSETID comes last because XADD and XDEL move its counters.
    fn stream(&mut self, key: &[u8], stream: &Stream<'_>) -> Result<()> {
        let ghosts = pending_but_deleted(stream)?;
        let mut ahead = ghosts.iter().copied().peekable();
        let mut entries = 0_u64;
        for entry in stream.entries() {
            let entry = entry?;
            entries += 1;
            while let Some(ghost) = ahead.next_if(|ghost| *ghost < entry.id) {
                self.placeholder(key, ghost);
            }
            self.begin("XADD").push(key).push_id(entry.id);
            for (name, value) in &entry.fields {
                self.push_text(name).push_text(value);
            }
            self.send();
        }
        ahead.for_each(|ghost| self.placeholder(key, ghost));
        if entries == 0 && ghosts.is_empty() {
            // An entry that goes at once makes the key; 0-0 is no id that can be added.
            let id = stream.last_id.max(StreamId::new(0, 1));
            self.begin("XADD")
                .push(key)
                .push(b"MAXLEN")
                .push(b"0")
                .push_id(id)
                .push(b"x")
                .push(b"y");
            self.send();
        }
        stream
            .groups
            .iter()
            .for_each(|group| self.group(key, group, stream.form));
        for ghost in ghosts {
            self.begin("XDEL").push(key).push_id(ghost).send();
        }
        self.begin("XSETID").push(key).push_id(stream.last_id);
        if let (Some(added), Some(deleted)) = (stream.entries_added, stream.max_deleted_id) {
            self.push(b"ENTRIESADDED")
                .push_text(&unsigned(added))
                .push(b"MAXDELETEDID")
                .push_id(deleted);
        }
        self.send();
        Ok(())
    }

    fn placeholder(&mut self, key: &[u8], id: StreamId) {
        self.begin("XADD")
            .push(key)
            .push_id(id)
            .push(b"x")
            .push(b"y")
            .send();
    }

    fn group(&mut self, key: &[u8], group: &Group<'_>, form: u8) {
        self.begin("XGROUP")
            .push(b"CREATE")
            .push(key)
            .push_text(&group.name)
            .push_id(group.last_id);
        if form >= 2 {
            let read = group.entries_read.map_or(Text::Int(-1), unsigned);
            self.push(b"ENTRIESREAD").push_text(&read);
        }
        self.send();
        let pending: HashMap<StreamId, _> = group
            .pending
            .iter()
            .map(|pending| (pending.id, pending))
            .collect();
        for consumer in &group.consumers {
            self.begin("XGROUP")
                .push(b"CREATECONSUMER")
                .push(key)
                .push_text(&group.name)
                .push_text(&consumer.name);
            self.send();
            for delivery in consumer.pending.iter().filter_map(|id| pending.get(id)) {
                self.begin("XCLAIM")
                    .push(key)
                    .push_text(&group.name)
                    .push_text(&consumer.name)
                    .push(b"0");
                self.push_id(delivery.id)
                    .push(b"TIME")
                    .push_int(delivery.delivery_ms);
                self.push(b"RETRYCOUNT")
                    .push_text(&unsigned(delivery.count))
                    .push(b"JUSTID")
                    .push(b"FORCE");
                self.send();
            }
        }
    }

    fn begin(&mut self, name: &str) -> &mut Self {
        self.arguments.clear();
        self.ends.clear();
        self.push(name.as_bytes())
    }

    fn push(&mut self, argument: &[u8]) -> &mut Self {
        self.arguments.extend_from_slice(argument);
        self.ends.push(self.arguments.len());
        self
    }

    fn push_text(&mut self, text: &Text<'_>) -> &mut Self {
        text.append_to(&mut self.arguments);
        self.ends.push(self.arguments.len());
        self
    }

    fn push_int(&mut self, int: i64) -> &mut Self {
        self.push(I64Text::new().format(int))
    }

    fn push_id(&mut self, id: StreamId) -> &mut Self {
        self.push(id.to_string().as_bytes())
    }

    fn send(&mut self) {
        write_command_header(&mut self.out, self.ends.len());
        let mut start = 0;
        for &end in &self.ends {
            write_argument(&mut self.out, &self.arguments[start..end]);
            start = end;
        }
        self.ends.clear();
    }
}

/// Entries that a consumer still has to acknowledge although they were deleted, in order.
fn pending_but_deleted(stream: &Stream<'_>) -> Result<BTreeSet<StreamId>> {
    let pending = stream.groups.iter().flat_map(|group| &group.pending);
    // 0-0 is no id of an entry, so nothing can be pending under it.
    let mut ids: BTreeSet<StreamId> = pending
        .map(|pending| pending.id)
        .filter(|id| *id != StreamId::default() && *id <= stream.last_id)
        .collect();
    if !ids.is_empty() {
        for entry in stream.entries() {
            ids.remove(&entry?.id);
        }
    }
    Ok(ids)
}

/// A counter as text; those of streams are 64 bits wide.
fn unsigned(number: u64) -> Text<'static> {
    Text::Owned(number.to_string().into_bytes())
}
