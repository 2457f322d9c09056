//! Which elements of a value were added, removed or changed.

use cairn_format::error::Result;
use cairn_format::rdb::object::{ArrayItem, Group, Stream};
use cairn_format::rdb::{Object, Text};
use cairn_format::text::double::write_f64;
use cairn_toolkit::{escape::quoted, human, json};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{self, Write};

/// What became of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Only the first value has it.
    Removed,
    /// Only the second value has it.
    Added,
    /// Both have it, with other values, scores, expiries.
    Changed,
}

impl Fate {
    const ALL: [Fate; 3] = [Fate::Removed, Fate::Added, Fate::Changed];

    fn sign(self) -> char {
        match self {
            Fate::Removed => '-',
            Fate::Added => '+',
            Fate::Changed => '~',
        }
    }

    fn word(self) -> &'static str {
        match self {
            Fate::Removed => "removed",
            Fate::Added => "added",
            Fate::Changed => "changed",
        }
    }
}

/// How many elements differ, and the first of them.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    counts: [u64; 3],
    first: Vec<(Fate, Vec<u8>)>,
    wanted: usize,
}

impl Changes {
    /// Remembers the names of the first `wanted` elements.
    pub fn new(wanted: usize) -> Changes {
        Changes {
            wanted,
            ..Changes::default()
        }
    }

    fn add(&mut self, fate: Fate, name: &[u8]) {
        self.counts[fate as usize] += 1;
        if self.first.len() < self.wanted {
            self.first.push((fate, name.to_vec()));
        }
    }

    /// Lines below that of the key.
    pub fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        for (fate, name) in &self.first {
            writeln!(out, "    {} {}", fate.sign(), quoted(name))?;
        }
        let more = self.counts.iter().sum::<u64>() - self.first.len() as u64;
        if more > 0 {
            writeln!(out, "    and {} more", human::count(more))?;
        }
        Ok(())
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let mut all = serde_json::Map::new();
        for fate in Fate::ALL {
            all.insert(fate.word().to_owned(), self.counts[fate as usize].into());
        }
        let first = |(fate, name): &(Fate, Vec<u8>)| json!({ "change": fate.word(), "element": json::Bytes::Text.value(name) });
        all.insert("first".to_owned(), self.first.iter().map(first).collect());
        Value::Object(all)
    }
}

/// Names and what belongs to them: members and scores, fields and values, ids and entries.
type Parts = Vec<(Vec<u8>, Vec<u8>)>;

/// Compares two values of one type.
pub fn compare(a: &Object<'_>, b: &Object<'_>, wanted: usize) -> Result<Changes> {
    let mut changes = Changes::new(wanted);
    match (a, b) {
        (Object::List(a), Object::List(b)) => {
            let a: Vec<Text<'_>> = a.elements().collect::<Result<_>>()?;
            let b: Vec<Text<'_>> = b.elements().collect::<Result<_>>()?;
            lists(&mut changes, &a, &b);
        }
        (Object::String(a), Object::String(b)) => {
            let (a, b) = (a.to_vec(), b.to_vec());
            // Where only the expiry differs, there is nothing to tell.
            if a != b {
                let same = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
                changes.add(Fate::Changed, format!("from byte {same} on").as_bytes());
            }
        }
        _ => {
            named(&mut changes, parts(a)?, parts(b)?);
        }
    }
    Ok(changes)
}

/// Elements have no names: what both begin and end with is the same, the rest was put in its place.
fn lists(changes: &mut Changes, a: &[Text<'_>], b: &[Text<'_>]) {
    let equal = |(a, b): &(&Text<'_>, &Text<'_>)| a.to_vec() == b.to_vec();
    let head = a.iter().zip(b).take_while(equal).count();
    let (a, b) = (&a[head..], &b[head..]);
    let tail = a.iter().rev().zip(b.iter().rev()).take_while(equal).count();
    for (fate, side) in [
        (Fate::Removed, &a[..a.len() - tail]),
        (Fate::Added, &b[..b.len() - tail]),
    ] {
        for element in side {
            changes.add(fate, &element.to_vec());
        }
    }
}

fn named(changes: &mut Changes, a: Parts, b: Parts) {
    let of_b: HashMap<&[u8], &[u8]> = b
        .iter()
        .map(|(name, value)| (&name[..], &value[..]))
        .collect();
    for (name, value) in &a {
        match of_b.get(&name[..]) {
            None => changes.add(Fate::Removed, name),
            Some(other) if other != value => changes.add(Fate::Changed, name),
            Some(_) => {}
        }
    }
    let of_a: HashMap<&[u8], &[u8]> = a
        .iter()
        .map(|(name, value)| (&name[..], &value[..]))
        .collect();
    for (name, _) in &b {
        if !of_a.contains_key(&name[..]) {
            changes.add(Fate::Added, name);
        }
    }
}

fn parts(value: &Object<'_>) -> Result<Parts> {
    let mut parts = Vec::new();
    match value {
        Object::Set(set) => {
            for member in set.members() {
                parts.push((member?.to_vec(), Vec::new()));
            }
        }
        Object::Zset(zset) => {
            for pair in zset.pairs() {
                let (member, score) = pair?;
                parts.push((member.to_vec(), double(score)));
            }
        }
        Object::Hash(hash) => {
            for field in hash.fields() {
                let field = field?;
                let mut value = field.value.to_vec();
                value.extend_from_slice(&field.expire_ms.unwrap_or(0).to_le_bytes());
                parts.push((field.name.to_vec(), value));
            }
        }
        Object::Stream(stream) => of_stream(&mut parts, stream)?,
        Object::Array(array) => {
            for item in array.items() {
                let (index, item) = item?;
                let value = match item {
                    ArrayItem::String(text) => text.to_vec(),
                    ArrayItem::Int(int) => int.to_string().into_bytes(),
                    ArrayItem::Double(number) => double(number),
                };
                parts.push((index.to_string().into_bytes(), value));
            }
        }
        Object::Module(module) => parts.push((b"value".to_vec(), module.values.to_vec())),
        Object::String(_) | Object::List(_) => {}
    }
    Ok(parts)
}

/// A number as text; no negative zero, as packed forms have none.
pub fn double(number: f64) -> Vec<u8> {
    let mut text = Vec::new();
    write_f64(&mut text, number + 0.0);
    text
}

fn of_stream(parts: &mut Parts, stream: &Stream<'_>) -> Result<()> {
    for entry in stream.entries() {
        let entry = entry?;
        let mut fields = Vec::new();
        for text in entry.fields.iter().flat_map(|(name, value)| [name, value]) {
            fields.extend_from_slice(&(text.len() as u64).to_le_bytes());
            fields.extend_from_slice(&text.to_vec());
        }
        parts.push((entry.id.to_string().into_bytes(), fields));
    }
    parts.push((b"last id".to_vec(), stream.last_id.to_bytes().to_vec()));
    for group in &stream.groups {
        let name = [b"group ", &group.name.to_vec()[..]].concat();
        parts.push((name, of_group(group)));
    }
    Ok(())
}

/// What is compared of a group: not when consumers were seen.
fn of_group(group: &Group<'_>) -> Vec<u8> {
    let mut pending: Vec<_> = group
        .pending
        .iter()
        .map(|one| (one.id, one.delivery_ms, one.count))
        .collect();
    pending.sort_unstable();
    let mut owners: Vec<_> = group
        .consumers
        .iter()
        .map(|consumer| {
            let mut owned = consumer.pending.clone();
            owned.sort_unstable();
            (consumer.name.to_vec(), owned)
        })
        .collect();
    owners.sort_unstable();
    format!("{} {pending:?} {owners:?}", group.last_id).into_bytes()
}
