//! Values with every text in them replaced, in the same encoding.
//!
//! A packed value is packed anew from pseudonyms of the same sizes; sorted sets come in the order of their new members where scores are
//! equal, sets of integers in that of the new numbers. Scores, ids and times stay.

use super::cipher::Cipher;
use cairn_format::encoding::ziplist::Builder;
use cairn_format::encoding::{hll, listpack};
use cairn_format::error::Result;
use cairn_format::rdb::object::{Blob, Elements, Hash, List, NodeKind, Set, Stream, Zset};
use cairn_format::rdb::reader::{Options, SliceReader};
use cairn_format::rdb::writer::WriteResult;
use cairn_format::rdb::{Dialect, Event, Head, Object, Record, Text, Writer, Written, write_len};
use cairn_format::text::number::I64Text;
use std::io::Write;

/// The type byte of a list as a chain of ziplists.
const LIST_OF_ZIPLISTS: u8 = 14;

/// Writes values of pseudonyms.
pub struct Values<'c> {
    cipher: &'c Cipher,
    /// Of the snapshot that is read.
    dialect: Dialect,
}

/// A packed value that is built anew.
enum Pack {
    Listpack(Vec<u8>),
    Ziplist(Builder),
}

impl Pack {
    fn push(&mut self, text: &Text<'_>) {
        match (self, text) {
            (Pack::Listpack(pack), Text::Int(number)) => listpack::push_back_int(pack, *number),
            (Pack::Listpack(pack), text) => {
                listpack::push_back(pack, text.bytes(&mut I64Text::new()));
            }
            (Pack::Ziplist(pack), Text::Int(number)) => pack.push_int(*number),
            (Pack::Ziplist(pack), text) => pack.push_text(text.bytes(&mut I64Text::new())),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Pack::Listpack(pack) => pack,
            Pack::Ziplist(pack) => pack.finish(),
        }
    }
}

fn new_listpack() -> Pack {
    Pack::Listpack(listpack::empty())
}

fn new_ziplist() -> Pack {
    Pack::Ziplist(Builder::new())
}

impl<'c> Values<'c> {
    /// For a snapshot of this dialect.
    pub fn new(cipher: &'c Cipher, dialect: Dialect) -> Values<'c> {
        Values { cipher, dialect }
    }

    fn text(&self, text: &Text<'_>) -> Text<'static> {
        match text {
            Text::Int(number) => Text::Int(self.cipher.number(*number)),
            text => Text::Owned(self.cipher.text(text.bytes(&mut I64Text::new()))),
        }
    }

    fn bytes(&self, text: &Text<'_>) -> Vec<u8> {
        self.text(text).to_vec()
    }

    fn packed(&self, elements: Elements<'_>, mut pack: Pack) -> Result<Vec<u8>> {
        for element in elements {
            pack.push(&self.text(&element?));
        }
        Ok(pack.finish())
    }

    /// Writes the value of a record under another head.
    pub fn write<W: Write>(
        &self,
        writer: &mut Writer<W>,
        head: &Head<'_>,
        record: &Record<'_>,
    ) -> WriteResult<Written> {
        let with = |writer: &mut Writer<W>, value: Object<'_>| {
            writer.event(&Event::Record(Record {
                head: *head,
                value,
                ..record.clone()
            }))
        };
        match &record.value {
            Object::String(text) => self.string(writer, head, text)?,
            Object::List(list) => return self.list(writer, head, record, list),
            Object::Set(set) => match set {
                Set::Plain(texts) => {
                    writer.begin_set(head, texts.left())?;
                    for member in set.members() {
                        writer.element(&self.bytes(&member?))?;
                    }
                }
                Set::Intset(_) => {
                    let bytes = self.intset(set)?;
                    return with(writer, Object::Set(Set::Intset(Blob::new(&bytes))));
                }
                Set::Listpack(_) => {
                    let bytes = self.packed(set.members(), new_listpack())?;
                    return with(writer, Object::Set(Set::Listpack(Blob::new(&bytes))));
                }
            },
            Object::Zset(zset) => match zset {
                Zset::Plain(_) => {
                    writer.begin_zset(head, zset.count()?)?;
                    for pair in zset.pairs() {
                        let (member, score) = pair?;
                        writer.member(&self.bytes(&member), score)?;
                    }
                }
                Zset::Ziplist(blob) => {
                    let bytes = self.zset(zset, blob, new_ziplist())?;
                    return with(writer, Object::Zset(Zset::Ziplist(Blob::new(&bytes))));
                }
                Zset::Listpack(blob) => {
                    let bytes = self.zset(zset, blob, new_listpack())?;
                    return with(writer, Object::Zset(Zset::Listpack(Blob::new(&bytes))));
                }
            },
            Object::Hash(hash) => return self.hash(writer, head, hash, &with),
            Object::Stream(stream) => self.stream(writer, head, stream)?,
            // Whoever calls has refused these.
            Object::Module(_) | Object::Array(_) => return Ok(Written::Nothing),
        }
        Ok(Written::Whole)
    }

    /// Registers of a HyperLogLog are hashes, and others would be another number of elements: they stay.
    fn string<W: Write>(
        &self,
        writer: &mut Writer<W>,
        head: &Head<'_>,
        text: &Text<'_>,
    ) -> WriteResult<()> {
        let mut scratch = I64Text::new();
        match text {
            Text::Int(number) => writer.integer(head, self.cipher.number(*number)),
            text if is_hyperloglog(text.bytes(&mut scratch)) => {
                writer.string(head, text.bytes(&mut scratch))
            }
            text => writer.string(head, &self.bytes(text)),
        }
    }

    fn list<W: Write>(
        &self,
        writer: &mut Writer<W>,
        head: &Head<'_>,
        record: &Record<'_>,
        list: &List<'_>,
    ) -> WriteResult<Written> {
        match list {
            List::Plain(texts) => {
                writer.begin_list(head, texts.left())?;
                for element in list.elements() {
                    writer.element(&self.bytes(&element?))?;
                }
            }
            List::Ziplist(_) => {
                let bytes = self.packed(list.elements(), new_ziplist())?;
                return writer.event(&Event::Record(Record {
                    head: *head,
                    value: Object::List(List::Ziplist(Blob::new(&bytes))),
                    ..record.clone()
                }));
            }
            List::Quicklist(nodes) if nodes.has_containers() => {
                writer.begin_list_nodes(head, nodes.left(), list.count()?)?;
                for node in nodes.clone() {
                    let node = node?;
                    let bytes = match node.kind {
                        NodeKind::Plain => self.cipher.text(&node.bytes),
                        _ => self.packed(Elements::of_node(node.clone()), new_listpack())?,
                    };
                    writer.node(node.kind, &bytes)?;
                }
            }
            List::Quicklist(nodes) => {
                let mut value = Vec::new();
                write_len(&mut value, nodes.left());
                for node in nodes.clone() {
                    let bytes = self.packed(Elements::of_node(node?), new_ziplist())?;
                    write_len(&mut value, bytes.len() as u64);
                    value.extend_from_slice(&bytes);
                }
                return self.of_bytes(writer, head, record, &value);
            }
        }
        Ok(Written::Whole)
    }

    /// Writes a list of ziplists from its bytes, which only a reader can make a value of.
    fn of_bytes<W: Write>(
        &self,
        writer: &mut Writer<W>,
        head: &Head<'_>,
        record: &Record<'_>,
        value: &[u8],
    ) -> WriteResult<Written> {
        let mut file = self.dialect.magic().to_vec();
        file.extend_from_slice(&[LIST_OF_ZIPLISTS, 0]);
        file.extend_from_slice(value);
        let options = Options {
            checksum: false,
            any_version: true,
            ..Options::sound()
        };
        let mut reader = SliceReader::from_slice(&file, options)?;
        match reader.next()?.map(|located| located.event) {
            Some(Event::Record(made)) => writer.event(&Event::Record(Record {
                head: *head,
                db: record.db,
                ..made
            })),
            _ => Ok(Written::Nothing),
        }
    }

    fn intset(&self, set: &Set<'_>) -> Result<Vec<u8>> {
        let Set::Intset(blob) = set else {
            return Ok(Vec::new());
        };
        let mut numbers = Vec::new();
        for member in set.members() {
            numbers.extend(member?.as_int().map(|number| self.cipher.number(number)));
        }
        numbers.sort_unstable();
        // Width and count stay.
        let mut bytes = blob.bytes().to_vec();
        let width = (bytes.len() - 8) / numbers.len().max(1);
        for (place, number) in bytes[8..].chunks_mut(width.max(1)).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes()[..width]);
        }
        Ok(bytes)
    }

    /// Members with their scores as they stand, by score and then by member.
    fn zset(&self, zset: &Zset<'_>, blob: &Blob<'_>, mut pack: Pack) -> Result<Vec<u8>> {
        let mut flat = match zset {
            Zset::Ziplist(_) => of_ziplist(blob),
            _ => of_listpack(blob),
        };
        let mut pairs = Vec::new();
        for pair in zset.pairs() {
            let (member, score) = pair?;
            // The score as it stands: more than one text may give the same number.
            if let Some(text) = flat.nth(1) {
                pairs.push((score, self.text(&member), text?));
            }
        }
        pairs.sort_by(|a, b| {
            let by_score = (a.0 + 0.0).total_cmp(&(b.0 + 0.0));
            by_score.then_with(|| a.1.to_vec().cmp(&b.1.to_vec()))
        });
        for (_, member, text) in &pairs {
            pack.push(member);
            pack.push(text);
        }
        Ok(pack.finish())
    }

    fn hash<W: Write>(
        &self,
        writer: &mut Writer<W>,
        head: &Head<'_>,
        hash: &Hash<'_>,
        with: &dyn Fn(&mut Writer<W>, Object<'_>) -> WriteResult<Written>,
    ) -> WriteResult<Written> {
        match hash {
            Hash::Plain(texts) => {
                writer.begin_hash(head, texts.left() / 2)?;
                for pair in hash.pairs() {
                    let (name, value) = pair?;
                    writer.field(&self.bytes(&name), &self.bytes(&value))?;
                }
                Ok(Written::Whole)
            }
            Hash::Expiring(_) => self.expiring(writer, head, hash),
            Hash::ExpiringListpack(_) => {
                let mut pack = new_listpack();
                for field in hash.fields() {
                    let field = field?;
                    pack.push(&self.text(&field.name));
                    pack.push(&self.text(&field.value));
                    pack.push(&Text::Int(field.expire_ms.unwrap_or(0)));
                }
                let bytes = pack.finish();
                with(
                    writer,
                    Object::Hash(Hash::ExpiringListpack(Blob::new(&bytes))),
                )
            }
            Hash::Zipmap(blob) => {
                let bytes = self.zipmap(hash, blob)?;
                with(writer, Object::Hash(Hash::Zipmap(Blob::new(&bytes))))
            }
            Hash::Ziplist(blob) => {
                let bytes = self.packed(of_ziplist(blob), new_ziplist())?;
                with(writer, Object::Hash(Hash::Ziplist(Blob::new(&bytes))))
            }
            Hash::Listpack(blob) => {
                let bytes = self.packed(of_listpack(blob), new_listpack())?;
                with(writer, Object::Hash(Hash::Listpack(Blob::new(&bytes))))
            }
        }
    }

    fn expiring<W: Write>(
        &self,
        writer: &mut Writer<W>,
        head: &Head<'_>,
        hash: &Hash<'_>,
    ) -> WriteResult<Written> {
        let fields = hash.fields().collect::<Result<Vec<_>>>()?;
        let lowest = fields.iter().filter_map(|field| field.expire_ms).min();
        let count = fields.len() as u64;
        match lowest {
            None => writer.begin_hash(head, count)?,
            Some(lowest) => writer.begin_expiring_hash(head, count, lowest)?,
        }
        for field in &fields {
            let (name, value) = (self.bytes(&field.name), self.bytes(&field.value));
            match lowest {
                None => writer.field(&name, &value)?,
                Some(_) => writer.expiring_field(&name, &value, field.expire_ms)?,
            }
        }
        Ok(Written::Whole)
    }

    /// A zipmap with its texts changed where they stand.
    fn zipmap(&self, hash: &Hash<'_>, blob: &Blob<'_>) -> Result<Vec<u8>> {
        let mut bytes = blob.bytes().to_vec();
        let begin = blob.bytes().as_ptr() as usize;
        for pair in hash.pairs() {
            let (name, value) = pair?;
            for text in [name, value] {
                if let Text::Bytes(text) = text {
                    let at = text.as_ptr() as usize - begin;
                    bytes[at..at + text.len()].copy_from_slice(&self.cipher.text(text));
                }
            }
        }
        Ok(bytes)
    }

    fn stream<W: Write>(
        &self,
        writer: &mut Writer<W>,
        head: &Head<'_>,
        stream: &Stream<'_>,
    ) -> WriteResult<()> {
        writer.begin_stream(head, stream.form, stream.node_count())?;
        for node in stream.nodes() {
            let node = node?;
            writer.stream_node(node.id, &self.stream_node(&node.listpack)?)?;
        }
        let mut stream = stream.clone();
        for group in &mut stream.groups {
            group.name = self.text(&group.name);
            for consumer in &mut group.consumers {
                consumer.name = self.text(&consumer.name);
            }
        }
        for producer in stream
            .producers
            .iter_mut()
            .flat_map(|all| &mut all.producers)
        {
            producer.name = self.text(&producer.name);
            for (token, _) in &mut producer.tokens {
                *token = self.text(token);
            }
        }
        writer.end_stream(&stream)
    }

    /// A node: what counts and refers stays, names and values change (`format/src/encoding/stream_node.rs` has the layout).
    fn stream_node(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        const SAME_FIELDS: i64 = 2;
        let mut elements = of_listpack(&Blob::new(bytes));
        let mut pack = new_listpack();
        let mut next = |pack: &mut Pack, is_text: bool| -> Result<Option<i64>> {
            let Some(element) = elements.next() else {
                return Ok(None);
            };
            let element = element?;
            match is_text {
                true => pack.push(&self.text(&element)),
                false => pack.push(&element),
            }
            Ok(element.as_int().or(Some(0)))
        };
        let mut names = 0;
        for part in 0..3 {
            let number = next(&mut pack, false)?;
            names = if part == 2 {
                number.unwrap_or(0)
            } else {
                names
            };
        }
        for _ in 0..names {
            next(&mut pack, true)?;
        }
        next(&mut pack, false)?;
        while let Some(flags) = next(&mut pack, false)? {
            next(&mut pack, false)?;
            next(&mut pack, false)?;
            let texts = match flags & SAME_FIELDS {
                0 => 2 * next(&mut pack, false)?.unwrap_or(0),
                _ => names,
            };
            for _ in 0..texts {
                next(&mut pack, true)?;
            }
            next(&mut pack, false)?;
        }
        Ok(pack.finish())
    }
}

fn is_hyperloglog(bytes: &[u8]) -> bool {
    hll::encoding(bytes).is_some() && hll::count(bytes).is_ok()
}

/// The entries of a listpack, one after the other, whatever they are.
fn of_listpack<'a>(blob: &Blob<'a>) -> Elements<'a> {
    Set::Listpack(*blob).members()
}

/// The same of a ziplist.
fn of_ziplist<'a>(blob: &Blob<'a>) -> Elements<'a> {
    List::Ziplist(*blob).elements()
}
