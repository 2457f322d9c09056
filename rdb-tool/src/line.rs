//! A key as one line of JSON.
//!
//! ```text
//! {"db":0,"key":"aA==","type":"hash","expire_ms":null,"encoding":"listpack","value":[["Zg==","dg=="]]}
//! ```
//!
//! Order is the same for every encoding: set members and hash fields by their bytes, sorted-set members by score and then bytes,
//! groups and consumers of streams by the base64 of their names.

use crate::front::{Fronts, before_key, behind_key};
use crate::numbers::{append_number, append_score};
use crate::ordered::{Order, Ordered};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cairn_format::error::Result;
use cairn_format::rdb::object::{
    ArrayItem, Consumer, Group, Hash, Module, ModuleValue, Pending, Producers, Stream, StreamId,
};
use cairn_format::rdb::{Dialect, Head, Object, Record, Text, WriteOptions, dump, library_name};
use cairn_format::text::number::I64Text;
use cairn_toolkit::json::{Behind, Bytes, Text as _, put_quoted_start};
use std::collections::HashMap;
use std::io::{self, Write};

/// Bytes of a large string that become base64 at once: a multiple of three, so that nothing is padded before the end.
const PIECE: usize = 3 << 14;
/// Bytes of elements that there is room for before it grows: blocks up to there the C library keeps at hand for each thread.
const ROOM: usize = 1024;
/// Behind an element of a list or set, or the first of two: there may be more, so that the last comma is taken back.
static COMMA: Behind = Behind::new(",");
/// Behind a field of a hash, and before the next.
static NEXT_PAIR: Behind = Behind::new(BETWEEN_PAIRS);
/// Behind a member of a sorted set, whose score follows in quotes.
static SCORE: Behind = Behind::new(",\"");
const BETWEEN_PAIRS: &str = "],[";
const BEHIND_SCORE: &str = "\"],[";
/// The field with the exact bytes of values whose JSON does not tell all.
pub const PAYLOAD: &str = "payload";

/// Makes lines; keeps the buffer of the last one.
#[derive(Debug)]
pub struct Lines {
    form: Bytes,
    text: Vec<u8>,
    fronts: Fronts,
    /// Of the elements of the last collection.
    order: Order,
}

impl Lines {
    /// Lines with bytes in this form.
    pub fn new(form: Bytes) -> Lines {
        Lines {
            form,
            text: Vec::new(),
            fronts: Fronts::default(),
            order: Order::default(),
        }
    }

    /// The line of a key, with its line end.
    pub fn record(&mut self, record: &Record<'_>) -> Result<&[u8]> {
        self.text.clear();
        self.line(record)?;
        Ok(&self.text)
    }

    /// Appends the line of a key to others; nothing of a value that cannot be read.
    pub fn append(&mut self, record: &Record<'_>, out: &mut Vec<u8>) -> Result<()> {
        let begin = out.len();
        std::mem::swap(&mut self.text, out);
        let made = self.line(record);
        std::mem::swap(&mut self.text, out);
        if made.is_err() {
            out.truncate(begin);
        }
        made
    }

    fn line(&mut self, record: &Record<'_>) -> Result<()> {
        self.begin(record);
        self.value(&record.value)?;
        self.attributes(&record.head);
        self.close();
        Ok(())
    }

    /// Writes the line of a string whose bytes these are, in base64, piece by piece: it is never in memory as a whole.
    pub fn write_string(
        &mut self,
        record: &Record<'_>,
        bytes: &[u8],
        out: &mut dyn Write,
    ) -> io::Result<()> {
        self.text.clear();
        self.begin(record);
        self.text.push(b'"');
        for piece in bytes.chunks(PIECE) {
            self.text.put_base64(piece);
            out.write_all(&self.text)?;
            self.text.clear();
        }
        self.text.push(b'"');
        self.attributes(&record.head);
        out.write_all(self.close())
    }

    fn begin(&mut self, record: &Record<'_>) {
        self.fronts.append_before_key(&mut self.text, record.db);
        self.bytes(record.head.key);
        let (type_name, encoding) = (record.value.type_name(), record.value.encoding_name());
        let expire_ms = record.head.expire_ms;
        (self.fronts).append_behind_key(&mut self.text, type_name, expire_ms, encoding);
    }

    /// The line of a function library, with its line end.
    pub fn function(&mut self, code: &[u8]) -> &[u8] {
        // Servers look engines up without regard to case and tell them in lower case.
        let (engine, name) = library_name(code).unwrap_or_default();
        self.text.clear();
        before_key(&mut self.text, None);
        self.bytes(name.as_bytes());
        behind_key(
            &mut self.text,
            "function",
            None,
            &engine.to_ascii_lowercase(),
        );
        self.bytes(code);
        self.close()
    }

    fn close(&mut self) -> &[u8] {
        self.text.put("}\n");
        &self.text
    }

    fn attributes(&mut self, head: &Head<'_>) {
        if let Some(idle) = head.idle_s {
            let _ = write!(self.text, ",\"idle_s\":{idle}");
        }
        if let Some(freq) = head.freq {
            let _ = write!(self.text, ",\"freq\":{freq}");
        }
        if let Some(meta) = head.meta {
            self.text.put(",\"meta\":");
            Bytes::Base64.append(&mut self.text, meta);
        }
    }

    fn value(&mut self, value: &Object<'_>) -> Result<()> {
        match value {
            Object::String(text) => self.string(text),
            Object::List(list) => {
                self.text.push(b'[');
                list.each_element(|element| self.string_with(element, &COMMA))?;
                self.end_array();
            }
            Object::Set(set) => {
                let mut members = room();
                match set.ints()? {
                    Some(ints) => members.extend(ints.iter().map(Ordered::from)),
                    None => set.each_member(|member| members.push(Ordered::from(member)))?,
                }
                self.order.sort(&members, Ordered::number, Ordered::cmp);
                self.text.push(b'[');
                self.in_order(&members, |line, member| line.member(member, &COMMA));
                self.end_array();
            }
            Object::Zset(zset) => {
                let mut pairs = room();
                zset.each_pair(|member, score| pairs.push((Ordered::from(member), score)))?;
                let number = |pair: &(_, f64)| number_of(pair.1);
                let by_member = |a: &(Ordered<'_>, _), b: &(Ordered<'_>, _)| a.0.cmp(&b.0);
                self.order.sort(&pairs, number, by_member);
                self.pairs(&pairs, |line, (member, score)| {
                    line.member(member, &SCORE);
                    append_score(&mut line.text, *score);
                    line.text.put(BEHIND_SCORE);
                });
            }
            Object::Hash(hash) => return self.hash(hash),
            Object::Stream(stream) => return self.stream(stream),
            Object::Module(module) => {
                self.module(module)?;
                self.payload(value);
            }
            Object::Array(array) => {
                self.try_array(array.items(), |line, (index, item)| {
                    let _ = write!(line.text, "[{index},");
                    match item {
                        ArrayItem::String(text) => line.string(&text),
                        ArrayItem::Int(int) => append_number(&mut line.text, Some(int)),
                        ArrayItem::Double(double) => line.double(double),
                    }
                    line.text.push(b']');
                })?;
                self.payload(value);
            }
        }
        Ok(())
    }

    fn hash(&mut self, hash: &Hash<'_>) -> Result<()> {
        let mut fields = room();
        hash.each_field(|field| {
            fields.push((Ordered::from(field.name), field.value, field.expire_ms));
        })?;
        self.order
            .sort(&fields, |field| field.0.number(), |a, b| a.0.cmp(&b.0));
        self.pairs(&fields, |line, (name, value, _)| {
            line.member(name, &COMMA);
            line.string_with(value, &NEXT_PAIR);
        });
        if fields.iter().any(|(_, _, expire_ms)| expire_ms.is_some()) {
            self.text.put(",\"field_expire_ms\":");
            self.text.push(b'[');
            self.in_order(&fields, |line, (_, _, expire_ms)| {
                append_number(&mut line.text, *expire_ms);
                line.text.push(b',');
            });
            self.end_array();
        }
        Ok(())
    }

    fn module(&mut self, module: &Module<'_>) -> Result<()> {
        self.try_array(module.decoded(), |line, value| match value {
            ModuleValue::Signed(int) => append_number(&mut line.text, Some(int)),
            ModuleValue::Unsigned(int) => append_number(&mut line.text, Some(int)),
            ModuleValue::Float(float) => line.double(f64::from(float)),
            ModuleValue::Double(double) => line.double(double),
            ModuleValue::String(text) => line.string(&text),
        })?;
        let _ = write!(self.text, ",\"module_type\":\"{}\"", module.name());
        Ok(())
    }

    /// The exact bytes of a value whose JSON does not tell all: of which kind a number is, and what an array keeps beside its elements.
    fn payload(&mut self, value: &Object<'_>) {
        // It is of the newest version, which has a place for everything.
        if let Ok(payload) = dump::encode(WriteOptions::new(Dialect::NEWEST_REDIS), value) {
            let _ = write!(self.text, ",\"{PAYLOAD}\":");
            Bytes::Base64.append(&mut self.text, &payload);
        }
    }

    fn stream(&mut self, stream: &Stream<'_>) -> Result<()> {
        self.text.put("{\"entries\":");
        self.try_array(stream.entries(), |line, entry| {
            let _ = write!(line.text, "[\"{}\",", entry.id);
            line.array(&entry.fields, |line, (name, value)| {
                line.text.push(b'[');
                line.string(name);
                line.text.push(b',');
                line.string(value);
                line.text.push(b']');
            });
            line.text.push(b']');
        })?;
        let _ = write!(
            self.text,
            ",\"length\":{},\"last_id\":\"{}\",\"max_deleted_id\":",
            stream.length, stream.last_id
        );
        match stream.max_deleted_id {
            Some(id) => self.id(id),
            None => self.text.put("null"),
        }
        self.text.put(",\"entries_added\":");
        append_number(&mut self.text, stream.entries_added);
        self.text.put(",\"groups\":");
        let mut groups: Vec<&Group<'_>> = stream.groups.iter().collect();
        groups.sort_by_cached_key(|group| STANDARD.encode(group.name.to_vec()));
        self.array(&groups, |line, group| line.group(group, stream.form));
        self.text.push(b'}');
        if let Some(producers) = &stream.producers {
            self.producers(producers);
        }
        Ok(())
    }

    fn group(&mut self, group: &Group<'_>, form: u8) {
        self.text.put("{\"name\":");
        self.string(&group.name);
        let _ = write!(
            self.text,
            ",\"last_id\":\"{}\",\"entries_read\":",
            group.last_id
        );
        append_number(&mut self.text, group.entries_read);
        let _ = write!(self.text, ",\"has_entries_read\":{},\"pel\":", form >= 2);
        let mut owners = HashMap::new();
        for consumer in &group.consumers {
            owners.extend(consumer.pending.iter().map(|id| (*id, &consumer.name)));
        }
        self.array(&group.pending, |line, pending| {
            let _ = write!(line.text, "[\"{}\",", pending.id);
            match owners.get(&pending.id) {
                Some(name) => line.string(name),
                None => line.text.put("null"),
            }
            let _ = write!(line.text, ",{},{}]", pending.delivery_ms, pending.count);
        });
        self.text.put(",\"consumers\":");
        let deliveries: HashMap<StreamId, &Pending> = group
            .pending
            .iter()
            .map(|pending| (pending.id, pending))
            .collect();
        let mut consumers: Vec<&Consumer<'_>> = group.consumers.iter().collect();
        consumers.sort_by_cached_key(|consumer| STANDARD.encode(consumer.name.to_vec()));
        self.array(&consumers, |line, consumer| {
            line.consumer(consumer, &deliveries)
        });
        self.text.push(b'}');
    }

    fn consumer(&mut self, consumer: &Consumer<'_>, deliveries: &HashMap<StreamId, &Pending>) {
        self.text.put("{\"name\":");
        self.string(&consumer.name);
        let _ = write!(
            self.text,
            ",\"seen_ms\":{},\"active_ms\":",
            consumer.seen_ms
        );
        append_number(&mut self.text, consumer.active_ms);
        self.text.put(",\"pel\":");
        self.array(&consumer.pending, |line, id| {
            let _ = write!(line.text, "[\"{id}\",");
            append_number(
                &mut line.text,
                deliveries.get(id).map(|pending| pending.delivery_ms),
            );
            line.text.push(b',');
            append_number(
                &mut line.text,
                deliveries.get(id).map(|pending| pending.count),
            );
            line.text.push(b']');
        });
        self.text.push(b'}');
    }

    /// Tracked producers in the words of XINFO STREAM of Redis 8.6, and the tokens themselves.
    fn producers(&mut self, producers: &Producers<'_>) {
        let tokens: usize = producers
            .producers
            .iter()
            .map(|producer| producer.tokens.len())
            .sum();
        let _ = write!(
            self.text,
            ",\"xinfo\":{{\"idmp-duration\":{},\"idmp-maxsize\":{},\"pids-tracked\":{},\"iids-tracked\":{tokens},\"iids-added\":{},\"iids-duplicates\":{}}},\"producers\":",
            producers.duration_s,
            producers.entries_max,
            producers.producers.len(),
            producers.added,
            producers.duplicates
        );
        self.array(&producers.producers, |line, producer| {
            line.text.push(b'[');
            line.string(&producer.name);
            line.text.push(b',');
            line.array(&producer.tokens, |line, (token, id)| {
                line.text.push(b'[');
                line.string(token);
                let _ = write!(line.text, ",\"{id}\"]");
            });
            line.text.push(b']');
        });
    }

    /// The end of an array whose elements each have a comma behind them.
    fn end_array(&mut self) {
        if self.text.last() == Some(&b',') {
            self.text.pop();
        }
        self.text.push(b']');
    }

    fn array<T>(&mut self, items: &[T], one: impl FnMut(&mut Self, &T)) {
        self.each(items.iter(), one);
    }

    fn each<'t, T: 't>(
        &mut self,
        items: impl Iterator<Item = &'t T>,
        mut one: impl FnMut(&mut Self, &T),
    ) {
        self.text.push(b'[');
        for item in items {
            one(self, item);
            self.text.push(b',');
        }
        self.end_array();
    }

    /// Items in the order that was found last.
    fn in_order<T>(&mut self, items: &[T], mut one: impl FnMut(&mut Self, &T)) {
        let order = std::mem::take(&mut self.order);
        order.of(items).for_each(|item| one(self, item));
        self.order = order;
    }

    /// The same as an array of pairs. Each comes with [`BETWEEN_PAIRS`] behind it.
    fn pairs<T>(&mut self, items: &[T], one: impl FnMut(&mut Self, &T)) {
        if items.is_empty() {
            return self.text.put("[]");
        }
        self.text.put("[[");
        self.in_order(items, one);
        // Of what stands behind the last one the first bracket is right, and the second turns round.
        self.text
            .truncate(self.text.len() - (BETWEEN_PAIRS.len() - 1));
        self.text.push(b']');
    }

    fn try_array<T>(
        &mut self,
        items: impl Iterator<Item = Result<T>>,
        mut one: impl FnMut(&mut Self, T),
    ) -> Result<()> {
        self.text.push(b'[');
        for item in items {
            one(self, item?);
            self.text.push(b',');
        }
        self.end_array();
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.form.append(&mut self.text, bytes);
    }

    fn string(&mut self, text: &Text<'_>) {
        self.bytes(text.bytes(&mut I64Text::new()));
    }

    #[inline(always)]
    fn string_with(&mut self, text: &Text<'_>, behind: &Behind) {
        let (form, mut room) = (self.form, I64Text::new());
        form.append_with(&mut self.text, text.bytes(&mut room), behind);
    }

    /// A text that was sorted: of a short one the bytes are at hand.
    #[inline(always)]
    fn member(&mut self, member: &Ordered<'_>, behind: &Behind) {
        match self.form == Bytes::Base64 && member.start().is_whole() {
            true => put_quoted_start(&mut self.text, member.start(), behind),
            false => self.string_with(member.text(), behind),
        }
    }

    fn id(&mut self, id: StreamId) {
        let _ = write!(self.text, "\"{id}\"");
    }

    /// JSON has no infinities and no NaN; they stand as strings.
    fn double(&mut self, double: f64) {
        if double.is_finite() {
            return append_score(&mut self.text, double);
        }
        self.text.push(b'"');
        append_score(&mut self.text, double);
        self.text.push(b'"');
    }
}

/// A number in the order of scores.
fn number_of(score: f64) -> u64 {
    // Negative zero is zero. The bits of positive numbers are in their order already, those of negative ones in the reverse.
    let bits = (score + 0.0).to_bits();
    match bits >> 63 {
        0 => bits | 1 << 63,
        _ => !bits,
    }
}

/// Room for the elements of a small collection.
fn room<T>() -> Vec<T> {
    Vec::with_capacity(ROOM / size_of::<T>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_a_line_of_its_own() {
        let mut lines = Lines::new(Bytes::Text);
        assert_eq!(
            lines.function(b"#!lua name=l\nx\"y"),
            b"{\"db\":null,\"key\":\"l\",\"type\":\"function\",\"expire_ms\":null,\"encoding\":\"lua\",\"value\":\"#!lua name=l\\nx\\\"y\"}\n"
        );
    }
}
