//! A key as one line of JSON.
//!
//! ```text
//! {"db":0,"key":"aA==","type":"hash","expire_ms":null,"encoding":"listpack","value":[["Zg==","dg=="]]}
//! ```
//!
//! Order is the same for every encoding: set members and hash fields by their bytes, sorted-set members by score and then bytes,
//! groups and consumers of streams by the base64 of their names.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cairn_format::error::Result;
use cairn_format::rdb::object::{
    ArrayItem, Consumer, Group, Hash, Module, ModuleValue, Pending, Producers, Stream, StreamId,
};
use cairn_format::rdb::{Dialect, Head, Object, Record, Text, WriteOptions, dump, library_name};
use cairn_format::text::number::I64Text;
use cairn_toolkit::json::{Bytes, append_text};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write;

/// The field with the exact bytes of values whose JSON does not tell all.
pub const PAYLOAD: &str = "payload";

/// Makes lines; keeps the buffer of the last one.
#[derive(Debug)]
pub struct Lines {
    form: Bytes,
    text: String,
}

impl Lines {
    /// Lines with bytes in this form.
    pub fn new(form: Bytes) -> Lines {
        Lines {
            form,
            text: String::new(),
        }
    }

    /// The line of a key, with its line end.
    pub fn record(&mut self, record: &Record<'_>) -> Result<&str> {
        self.text.clear();
        self.open(
            Some(record.db),
            record.head.key,
            record.value.type_name(),
            record.head.expire_ms,
            record.value.encoding_name(),
        );
        self.value(&record.value)?;
        self.attributes(&record.head);
        Ok(self.close())
    }

    /// The line of a function library, with its line end.
    pub fn function(&mut self, code: &[u8]) -> &str {
        // Servers look engines up without regard to case and tell them in lower case.
        let (engine, name) = library_name(code).unwrap_or_default();
        self.text.clear();
        self.open(
            None,
            name.as_bytes(),
            "function",
            None,
            &engine.to_ascii_lowercase(),
        );
        self.bytes(code);
        self.close()
    }

    fn open(
        &mut self,
        db: Option<u64>,
        key: &[u8],
        type_name: &str,
        expire_ms: Option<i64>,
        encoding: &str,
    ) {
        self.text.push_str("{\"db\":");
        self.number(db);
        self.text.push_str(",\"key\":");
        self.bytes(key);
        let _ = write!(self.text, ",\"type\":\"{type_name}\",\"expire_ms\":");
        self.number(expire_ms);
        self.text.push_str(",\"encoding\":");
        append_text(&mut self.text, encoding);
        self.text.push_str(",\"value\":");
    }

    fn close(&mut self) -> &str {
        self.text.push_str("}\n");
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
            self.text.push_str(",\"meta\":");
            Bytes::Base64.append(&mut self.text, meta);
        }
    }

    fn value(&mut self, value: &Object<'_>) -> Result<()> {
        match value {
            Object::String(text) => self.string(text),
            Object::List(list) => {
                return self.try_array(list.elements(), |line, element| line.string(&element));
            }
            Object::Set(set) => {
                let members: Result<Vec<Cow<'_, [u8]>>> = set
                    .members()
                    .map(|member| member.map(Text::into_cow))
                    .collect();
                let mut members = members?;
                members.sort_unstable();
                self.array(&members, |line, member| line.bytes(member));
            }
            Object::Zset(zset) => {
                let pairs: Result<Vec<(Cow<'_, [u8]>, f64)>> = zset
                    .pairs()
                    .map(|pair| pair.map(|(member, score)| (member.into_cow(), score)))
                    .collect();
                let mut pairs = pairs?;
                pairs.sort_unstable_by(|a, b| {
                    (a.1 + 0.0)
                        .total_cmp(&(b.1 + 0.0))
                        .then_with(|| a.0.cmp(&b.0))
                });
                self.array(&pairs, |line, (member, score)| {
                    line.text.push('[');
                    line.bytes(member);
                    let _ = write!(line.text, ",\"{}\"]", score_text(*score));
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
                        ArrayItem::Int(int) => line.number(Some(int)),
                        ArrayItem::Double(double) => line.double(double),
                    }
                    line.text.push(']');
                })?;
                self.payload(value);
            }
        }
        Ok(())
    }

    fn hash(&mut self, hash: &Hash<'_>) -> Result<()> {
        let mut fields = Vec::new();
        for field in hash.fields() {
            let field = field?;
            fields.push((
                field.name.into_cow(),
                field.value.into_cow(),
                field.expire_ms,
            ));
        }
        fields.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        self.array(&fields, |line, (name, value, _)| {
            line.text.push('[');
            line.bytes(name);
            line.text.push(',');
            line.bytes(value);
            line.text.push(']');
        });
        if fields.iter().any(|(_, _, expire_ms)| expire_ms.is_some()) {
            self.text.push_str(",\"field_expire_ms\":");
            self.array(&fields, |line, (_, _, expire_ms)| line.number(*expire_ms));
        }
        Ok(())
    }

    fn module(&mut self, module: &Module<'_>) -> Result<()> {
        self.try_array(module.decoded(), |line, value| match value {
            ModuleValue::Signed(int) => line.number(Some(int)),
            ModuleValue::Unsigned(int) => line.number(Some(int)),
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
        self.text.push_str("{\"entries\":");
        self.try_array(stream.entries(), |line, entry| {
            let _ = write!(line.text, "[\"{}\",", entry.id);
            line.array(&entry.fields, |line, (name, value)| {
                line.text.push('[');
                line.string(name);
                line.text.push(',');
                line.string(value);
                line.text.push(']');
            });
            line.text.push(']');
        })?;
        let _ = write!(
            self.text,
            ",\"length\":{},\"last_id\":\"{}\",\"max_deleted_id\":",
            stream.length, stream.last_id
        );
        match stream.max_deleted_id {
            Some(id) => self.id(id),
            None => self.text.push_str("null"),
        }
        self.text.push_str(",\"entries_added\":");
        self.number(stream.entries_added);
        self.text.push_str(",\"groups\":");
        let mut groups: Vec<&Group<'_>> = stream.groups.iter().collect();
        groups.sort_by_cached_key(|group| STANDARD.encode(group.name.to_vec()));
        self.array(&groups, |line, group| line.group(group, stream.form));
        self.text.push('}');
        if let Some(producers) = &stream.producers {
            self.producers(producers);
        }
        Ok(())
    }

    fn group(&mut self, group: &Group<'_>, form: u8) {
        self.text.push_str("{\"name\":");
        self.string(&group.name);
        let _ = write!(
            self.text,
            ",\"last_id\":\"{}\",\"entries_read\":",
            group.last_id
        );
        self.number(group.entries_read);
        let _ = write!(self.text, ",\"has_entries_read\":{},\"pel\":", form >= 2);
        let mut owners = HashMap::new();
        for consumer in &group.consumers {
            owners.extend(consumer.pending.iter().map(|id| (*id, &consumer.name)));
        }
        self.array(&group.pending, |line, pending| {
            let _ = write!(line.text, "[\"{}\",", pending.id);
            match owners.get(&pending.id) {
                Some(name) => line.string(name),
                None => line.text.push_str("null"),
            }
            let _ = write!(line.text, ",{},{}]", pending.delivery_ms, pending.count);
        });
        self.text.push_str(",\"consumers\":");
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
        self.text.push('}');
    }

    fn consumer(&mut self, consumer: &Consumer<'_>, deliveries: &HashMap<StreamId, &Pending>) {
        self.text.push_str("{\"name\":");
        self.string(&consumer.name);
        let _ = write!(
            self.text,
            ",\"seen_ms\":{},\"active_ms\":",
            consumer.seen_ms
        );
        self.number(consumer.active_ms);
        self.text.push_str(",\"pel\":");
        self.array(&consumer.pending, |line, id| {
            let _ = write!(line.text, "[\"{id}\",");
            line.number(deliveries.get(id).map(|pending| pending.delivery_ms));
            line.text.push(',');
            line.number(deliveries.get(id).map(|pending| pending.count));
            line.text.push(']');
        });
        self.text.push('}');
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
            line.text.push('[');
            line.string(&producer.name);
            line.text.push(',');
            line.array(&producer.tokens, |line, (token, id)| {
                line.text.push('[');
                line.string(token);
                let _ = write!(line.text, ",\"{id}\"]");
            });
            line.text.push(']');
        });
    }

    fn array<T>(&mut self, items: &[T], mut one: impl FnMut(&mut Self, &T)) {
        self.text.push('[');
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.text.push(',');
            }
            one(self, item);
        }
        self.text.push(']');
    }

    fn try_array<T>(
        &mut self,
        items: impl Iterator<Item = Result<T>>,
        mut one: impl FnMut(&mut Self, T),
    ) -> Result<()> {
        self.text.push('[');
        for (i, item) in items.enumerate() {
            if i > 0 {
                self.text.push(',');
            }
            one(self, item?);
        }
        self.text.push(']');
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.form.append(&mut self.text, bytes);
    }

    fn string(&mut self, text: &Text<'_>) {
        self.form
            .append(&mut self.text, text.bytes(&mut I64Text::new()));
    }

    fn id(&mut self, id: StreamId) {
        let _ = write!(self.text, "\"{id}\"");
    }

    fn number(&mut self, number: Option<impl std::fmt::Display>) {
        let _ = match number {
            Some(number) => write!(self.text, "{number}"),
            None => write!(self.text, "null"),
        };
    }

    /// JSON has no infinities and no NaN; they stand as strings.
    fn double(&mut self, double: f64) {
        let _ = match double.is_finite() {
            true => write!(self.text, "{}", score_text(double)),
            false => write!(self.text, "\"{}\"", score_text(double)),
        };
    }
}

/// The shortest decimal that reads back to the same double, with a point or an exponent: `1.0`, `-0.0`, `1e+308`, `inf`.
fn score_text(score: f64) -> String {
    if !score.is_finite() {
        return if score.is_nan() {
            "nan"
        } else if score > 0.0 {
            "inf"
        } else {
            "-inf"
        }
        .to_owned();
    }
    let scientific = format!("{score:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..16).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
        }
        _ => {
            let plain = format!("{score}");
            if plain.contains('.') {
                plain
            } else {
                plain + ".0"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_short_and_read_back() {
        for (score, text) in [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (1e308, "1e+308"),
            (5e-324, "5e-324"),
            (1.5e-5, "1.5e-05"),
            (123456789012345680.0, "1.2345678901234568e+17"),
            (1e15, "1000000000000000.0"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(score_text(score), text);
            assert_eq!(text.parse::<f64>().unwrap().to_bits(), score.to_bits());
        }
    }

    #[test]
    fn a_library_is_a_line_of_its_own() {
        let mut lines = Lines::new(Bytes::Text);
        assert_eq!(
            lines.function(b"#!lua name=l\nx\"y"),
            "{\"db\":null,\"key\":\"l\",\"type\":\"function\",\"expire_ms\":null,\"encoding\":\"lua\",\"value\":\"#!lua name=l\\nx\\\"y\"}\n"
        );
    }
}
