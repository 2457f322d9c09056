//! Streams of lines: entries, groups, producers.

use super::value::{bytes, pair};
use super::{Back, Line, Taken};
use cairn_format::encoding::stream_node;
use cairn_format::rdb::object::{Consumer, Group, Pending, Producer, Producers, Stream, StreamId};
use cairn_format::rdb::{Head, Text};
use cairn_toolkit::json::Bytes;
use cairn_toolkit::json_line::{JsonLine, Read};
use std::collections::{HashMap, HashSet};
use std::io::Write;

/// Bytes and entries of a node, as servers have them by default.
const NODE_BYTES: usize = 4096;
const NODE_ENTRIES: usize = 100;

/// What a line says of a stream.
struct Whole<'a> {
    stream: Stream<'a>,
    nodes: Nodes,
}

/// Entries packed into nodes.
#[derive(Default)]
struct Nodes {
    all: Vec<(StreamId, Vec<u8>)>,
    in_last: usize,
    last: Option<StreamId>,
    count: u64,
}

impl Nodes {
    fn push(&mut self, id: StreamId, fields: &[(Vec<u8>, Vec<u8>)]) {
        let fields = fields.iter().map(|(name, value)| (&name[..], &value[..]));
        self.count += 1;
        self.last = Some(id);
        match self.all.last_mut() {
            Some((base, node)) if node.len() < NODE_BYTES && self.in_last < NODE_ENTRIES => {
                stream_node::append(*base, node, id, fields);
                self.in_last += 1;
            }
            _ => {
                self.all.push((id, stream_node::create(fields)));
                self.in_last = 1;
            }
        }
    }
}

/// `1700000000000-5`.
fn id(at: &mut JsonLine<'_>) -> Read<StreamId> {
    let start = at.place();
    let text = at.string()?;
    let parsed = text
        .split_once('-')
        .and_then(|(ms, seq)| Some(StreamId::new(ms.parse().ok()?, seq.parse().ok()?)));
    parsed.ok_or_else(|| JsonLine::wrong(start, format!("{text:?} is no id of a stream")))
}

fn optional<'a, T>(
    at: &mut JsonLine<'a>,
    read: impl FnOnce(&mut JsonLine<'a>) -> Read<T>,
) -> Read<Option<T>> {
    match at.is_null() {
        true => Ok(None),
        false => read(at).map(Some),
    }
}

fn text(at: &mut JsonLine<'_>, form: Bytes) -> Read<Text<'static>> {
    bytes(at, form).map(Text::Owned)
}

fn entries(at: &mut JsonLine<'_>, form: Bytes, nodes: &mut Nodes) -> Read<()> {
    at.array(|at| {
        at.open()?;
        let start = at.place();
        let id = id(at)?;
        if nodes.last.is_some_and(|last| id <= last) || id == StreamId::default() {
            let what = format!("entry {id} does not come after the one before it");
            return Err(JsonLine::wrong(start, what));
        }
        at.comma()?;
        let mut fields = Vec::new();
        at.array(|at| {
            fields.push(pair(at, form)?);
            Ok(())
        })?;
        nodes.push(id, &fields);
        at.close()
    })
}

/// A group under way: entries with the names of their owners.
fn group(at: &mut JsonLine<'_>, form: Bytes) -> Read<(Group<'static>, bool)> {
    let start = at.place();
    let mut name = None;
    let mut has_counter = true;
    let mut owners: HashMap<StreamId, Vec<u8>> = HashMap::new();
    let mut group = Group {
        name: Text::Bytes(b""),
        last_id: StreamId::default(),
        entries_read: None,
        pending: Vec::new(),
        consumers: Vec::new(),
        nacked: Vec::new(),
    };
    at.object(|at, field| {
        match field {
            "name" => name = Some(text(at, form)?),
            "last_id" => group.last_id = id(at)?,
            "entries_read" => group.entries_read = optional(at, |at| at.number())?,
            "has_entries_read" => has_counter = at.boolean()?,
            "pel" => at.array(|at| {
                let (pending, owner) = pending(at, form)?;
                match owner {
                    Some(owner) => {
                        owners.insert(pending.id, owner);
                    }
                    None => group.nacked.push(pending.id),
                }
                group.pending.push(pending);
                Ok(())
            })?,
            "consumers" => at.array(|at| {
                group.consumers.push(consumer(at, form)?);
                Ok(())
            })?,
            _ => {
                at.skip()?;
            }
        }
        Ok(())
    })?;
    group.name = name.ok_or_else(|| JsonLine::wrong(start, "a group without name"))?;
    for consumer in &group.consumers {
        let name = consumer.name.to_vec();
        for id in &consumer.pending {
            if owners.get(id) == Some(&name) {
                owners.remove(id);
            }
        }
    }
    if let Some(id) = owners.keys().min() {
        let what = format!("entry {id} is pending, and its owner does not have it");
        return Err(JsonLine::wrong(start, what));
    }
    Ok((group, has_counter))
}

fn pending(at: &mut JsonLine<'_>, form: Bytes) -> Read<(Pending, Option<Vec<u8>>)> {
    at.open()?;
    let id = id(at)?;
    at.comma()?;
    let owner = optional(at, |at| bytes(at, form))?;
    at.comma()?;
    let delivery_ms = at.number()?;
    at.comma()?;
    let count = at.number()?;
    at.close()?;
    let pending = Pending {
        id,
        delivery_ms,
        count,
    };
    Ok((pending, owner))
}

fn consumer(at: &mut JsonLine<'_>, form: Bytes) -> Read<Consumer<'static>> {
    let start = at.place();
    let mut name = None;
    let mut consumer = Consumer {
        name: Text::Bytes(b""),
        seen_ms: 0,
        active_ms: None,
        pending: Vec::new(),
    };
    at.object(|at, field| {
        match field {
            "name" => name = Some(text(at, form)?),
            "seen_ms" => consumer.seen_ms = at.number()?,
            "active_ms" => consumer.active_ms = optional(at, |at| at.number())?,
            "pel" => at.array(|at| {
                let span = at.skip()?;
                let mut entry = at.from(&span);
                entry.open()?;
                consumer.pending.push(id(&mut entry)?);
                Ok(())
            })?,
            _ => {
                at.skip()?;
            }
        }
        Ok(())
    })?;
    consumer.name = name.ok_or_else(|| JsonLine::wrong(start, "a consumer without name"))?;
    Ok(consumer)
}

/// Producers, and the numbers of XINFO STREAM about them.
fn producers(line: &Line<'_>) -> Taken<Option<Producers<'static>>> {
    let Some(mut at) = line.optional("producers") else {
        return Ok(None);
    };
    let mut all = Producers {
        duration_s: 0,
        entries_max: 0,
        producers: Vec::new(),
        added: 0,
        duplicates: 0,
    };
    at.array(|at| {
        at.open()?;
        let name = text(at, line.form)?;
        at.comma()?;
        let mut tokens = Vec::new();
        at.array(|at| {
            at.open()?;
            let token = text(at, line.form)?;
            at.comma()?;
            tokens.push((token, id(at)?));
            at.close()
        })?;
        all.producers.push(Producer { name, tokens });
        at.close()
    })?;
    line.field("xinfo")?.object(|at, field| {
        match field {
            "idmp-duration" => all.duration_s = at.number()?,
            "idmp-maxsize" => all.entries_max = at.number()?,
            "iids-added" => all.added = at.number()?,
            "iids-duplicates" => all.duplicates = at.number()?,
            _ => {
                at.skip()?;
            }
        }
        Ok(())
    })?;
    Ok(Some(all))
}

/// The oldest form that holds what the line says.
fn form_of(stream: &Stream<'_>, has_counters: bool) -> u8 {
    let mut consumers = stream.groups.iter().flat_map(|group| &group.consumers);
    let has_times = consumers.any(|consumer| consumer.active_ms.is_some());
    match () {
        () if stream.groups.iter().any(|group| !group.nacked.is_empty()) => 5,
        () if stream.producers.is_some() => 4,
        () if has_times => 3,
        () if has_counters || stream.entries_added.is_some() => 2,
        () => 1,
    }
}

fn read<'a>(line: &Line<'a>) -> Taken<Whole<'a>> {
    let mut stream = Stream::without_nodes(0);
    let mut nodes = Nodes::default();
    let mut has_counters = false;
    let mut groups = HashSet::new();
    line.field("value")?.object(|at, field| {
        match field {
            "entries" => entries(at, line.form, &mut nodes)?,
            "last_id" => stream.last_id = id(at)?,
            "max_deleted_id" => stream.max_deleted_id = optional(at, id)?,
            "entries_added" => stream.entries_added = optional(at, |at| at.number())?,
            "groups" => at.array(|at| {
                let start = at.place();
                let (group, has_counter) = group(at, line.form)?;
                has_counters |= has_counter;
                if !groups.insert(group.name.to_vec()) {
                    return Err(JsonLine::wrong(start, "a group comes twice"));
                }
                stream.groups.push(group);
                Ok(())
            })?,
            // It is the number of the entries.
            _ => {
                at.skip()?;
            }
        }
        Ok(())
    })?;
    stream.producers = producers(line)?;
    stream.length = nodes.count;
    stream.last_id = stream.last_id.max(nodes.last.unwrap_or_default());
    stream.first_id = nodes.all.first().map(|(id, _)| *id);
    stream.form = form_of(&stream, has_counters);
    Ok(Whole { stream, nodes })
}

impl<W: Write> Back<W> {
    pub(super) fn stream(&mut self, line: &Line<'_>, head: &Head<'_>) -> Taken<()> {
        let Whole { stream, nodes } = read(line)?;
        let writer = &mut self.writer;
        writer.begin_stream(head, stream.form, nodes.all.len() as u64)?;
        for (id, node) in &nodes.all {
            writer.stream_node(*id, node)?;
        }
        writer.end_stream(&stream)?;
        Ok(())
    }
}
