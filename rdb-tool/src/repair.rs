//! What servers load though none writes it, written as a server would.
//!
//! | odd | written |
//! |---|---|
//! | an empty list, set, hash or sorted set | not at all: servers leave it out, too |
//! | a packed sorted set out of order | in order |
//! | a list with an empty node | without the node |
//! | a stream whose length or last id is not that of its entries | with the right ones |
//!
//! Long lengths, attributes apart from their key and types newer than the version go with any writing.

use cairn_format::error::Result;
use cairn_format::rdb::object::{Elements, List, Zset};
use cairn_format::rdb::writer::WriteResult;
use cairn_format::rdb::{Event, Object, Record, Text, Writer};
use cairn_format::text::number::I64Text;
use std::io::Write;

/// What is done about an odd value.
pub enum Repair<'a> {
    /// It is left out.
    LeftOut,
    /// Members by score.
    Ordered(Vec<(Text<'a>, f64)>),
    /// The elements of a list.
    Elements(Vec<Text<'a>>),
    /// Another value in its place.
    Value(Object<'a>),
}

/// What is to be done about a value; nothing if it is as a server writes it.
pub fn needed<'a>(value: &Object<'a>) -> Result<Option<Repair<'a>>> {
    let is_empty = match value {
        Object::List(list) => list.count()? == 0,
        Object::Set(set) => set.count()? == 0,
        Object::Zset(zset) => zset.count()? == 0,
        Object::Hash(hash) => hash.count()? == 0,
        _ => false,
    };
    if is_empty {
        return Ok(Some(Repair::LeftOut));
    }
    match value {
        Object::Zset(zset) => in_order(zset),
        Object::List(list) => without_empty_nodes(list),
        Object::Stream(stream) => {
            let (mut length, mut last) = (0, stream.last_id);
            for entry in stream.entries() {
                length += 1;
                last = last.max(entry?.id);
            }
            if length == stream.length && last == stream.last_id {
                return Ok(None);
            }
            let mut stream = stream.clone();
            (stream.length, stream.last_id) = (length, last);
            Ok(Some(Repair::Value(Object::Stream(stream))))
        }
        _ => Ok(None),
    }
}

fn in_order<'a>(zset: &Zset<'a>) -> Result<Option<Repair<'a>>> {
    if matches!(zset, Zset::Plain(_)) {
        return Ok(None);
    }
    let mut last = f64::NEG_INFINITY;
    for pair in zset.pairs() {
        let (_, score) = pair?;
        if score < last {
            let mut pairs: Vec<_> = zset.pairs().collect::<Result<_>>()?;
            pairs.sort_by(|a, b| a.1.total_cmp(&b.1));
            return Ok(Some(Repair::Ordered(pairs)));
        }
        last = score;
    }
    Ok(None)
}

fn without_empty_nodes<'a>(list: &List<'a>) -> Result<Option<Repair<'a>>> {
    let List::Quicklist(nodes) = list else {
        return Ok(None);
    };
    for node in nodes.clone() {
        if Elements::of_node(node?).next().is_none() {
            let elements = list.elements().collect::<Result<_>>()?;
            return Ok(Some(Repair::Elements(elements)));
        }
    }
    Ok(None)
}

/// Writes a record with its repair.
pub fn write<W: Write>(
    writer: &mut Writer<W>,
    record: &Record<'_>,
    repair: Repair<'_>,
) -> WriteResult<()> {
    let mut scratch = I64Text::new();
    match repair {
        Repair::LeftOut => Ok(()),
        Repair::Ordered(pairs) => {
            writer.begin_zset(&record.head, pairs.len() as u64)?;
            for (member, score) in pairs {
                writer.member(member.bytes(&mut scratch), score)?;
            }
            Ok(())
        }
        Repair::Elements(elements) => {
            writer.begin_list(&record.head, elements.len() as u64)?;
            for element in elements {
                writer.element(element.bytes(&mut scratch))?;
            }
            Ok(())
        }
        Repair::Value(value) => {
            let mended = Record {
                value,
                ..record.clone()
            };
            writer.event(&Event::Record(mended)).map(|_| ())
        }
    }
}
