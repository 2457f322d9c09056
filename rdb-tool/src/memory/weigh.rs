//! What a key takes in the memory of a server that has loaded it.
//!
//! A server that loads a snapshot packs what its limits allow and unpacks what they do not, whatever the form in the file. So
//! values are measured once (elements, their sizes packed and as strings), and the limits decide.

use super::server::{Generation, Model, string_len};
use cairn_format::error::Result;
use cairn_format::rdb::object::{Group, Hash, List, NodeKind, Set, Stream, Zset};
use cairn_format::rdb::{Object, Record, Text};
use cairn_format::text::double::write_f64;
use cairn_format::text::number::{I64Text, parse_i64};

/// A string up to this length lies in its object, if that leaves room.
const EMBEDDED_MAX: u64 = 44;
/// Bytes of an object with all that lies in it: Redis 8.2, and Valkey 9.
const TOGETHER_MAX: u64 = 64;
const BUCKETS_MAX: u64 = 128;
/// Numbers that servers have ready.
const SHARED: std::ops::Range<i64> = 0..10_000;
/// Head and end of a listpack.
const PACK_FRAME: u64 = 7;
/// The structure of a table, and that of Valkey.
const TABLE: u64 = 56;
/// One of four nodes of a skiplist has another level.
const LEVELS: u32 = 12;
/// The head of a skiplist has this many.
const HEAD_LEVELS: u64 = 32;
/// Bytes of an id, and of a name as it is most often.
const ID: u64 = 16;
const NAME: u64 = 4;
/// What an expiry of a hash field takes beside it.
const FIELD_EXPIRY: u64 = 24;

/// What the model knows of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Bytes, without its part of the table of all keys.
    pub bytes: u64,
    /// Its encoding in the server.
    pub encoding: &'static str,
}

/// Elements of a collection, as far as they matter.
#[derive(Clone, Copy, Debug, Default)]
struct Shape {
    elements: u64,
    /// Bytes of all of them in a listpack.
    packed: u64,
    /// Bytes of the largest.
    largest: u64,
    /// Bytes of all as strings or entries of their own, links not included.
    apart: u64,
}

impl Shape {
    fn add(&mut self, text: &Text<'_>, apart: u64) {
        self.packed += packed_len(text);
        self.largest = self.largest.max(text.len() as u64);
        self.apart += apart;
    }
}

/// Bytes of a text in a listpack.
fn packed_len(text: &Text<'_>) -> u64 {
    let number = match text {
        Text::Int(number) => Some(*number),
        text => parse_i64(text.bytes(&mut I64Text::new())),
    };
    let own = match number {
        Some(0..=127) => 1,
        Some(-4096..=4095) => 2,
        Some(-0x8000..=0x7fff) => 3,
        Some(-0x80_0000..=0x7f_ffff) => 4,
        Some(-0x8000_0000..=0x7fff_ffff) => 5,
        Some(_) => 9,
        None => match text.len() as u64 {
            len @ 0..64 => 1 + len,
            len @ 64..4096 => 2 + len,
            len => 5 + len,
        },
    };
    own + match own {
        0..128 => 1,
        128..16_384 => 2,
        16_384..2_097_152 => 3,
        2_097_152..268_435_456 => 4,
        _ => 5,
    }
}

impl Model {
    /// What a record takes. `field_max`: names of fields are counted as this long at most.
    ///
    /// # Errors
    /// Damage inside the value.
    pub fn weigh(&self, record: &Record<'_>, field_max: u64) -> Result<Weight> {
        let key = record.head.key.len() as u64;
        let expires = record.head.expire_ms.is_some();
        if let Object::String(text) = &record.value {
            return Ok(self.string_key(key, expires, text));
        }
        let (value, encoding) = self.value(&record.value, record.value_len, field_max)?;
        Ok(Weight {
            bytes: self.key(key, expires) + value,
            encoding,
        })
    }

    /// A key with its object, value not included.
    fn key(&self, key: u64, expires: bool) -> u64 {
        match self.generation {
            Generation::Entries | Generation::Packed => self.size(16) + self.string(key),
            Generation::Together | Generation::Chained | Generation::Buckets => {
                self.size(16 + 8 * u64::from(expires) + 1 + string_len(key))
            }
        }
    }

    fn string_key(&self, key: u64, expires: bool, text: &Text<'_>) -> Weight {
        let number = match text {
            Text::Int(number) => Some(*number),
            text => parse_i64(text.bytes(&mut I64Text::new())),
        };
        let weight = |bytes, encoding| Weight { bytes, encoding };
        if let Some(number) = number {
            let is_shared = self.generation <= Generation::Packed && SHARED.contains(&number);
            let object = self.size(16) * u64::from(is_shared);
            return weight(self.key(key, expires) - object, "int");
        }
        let len = text.len() as u64;
        let embedded = len + 4;
        let apart = self.size(head_len(len));
        let front = 8 * u64::from(expires) + 1 + string_len(key);
        match self.generation {
            Generation::Entries | Generation::Packed if len <= EMBEDDED_MAX => {
                weight(self.size(16 + embedded) + self.string(key), "embstr")
            }
            Generation::Together | Generation::Chained if 16 + front + embedded <= TOGETHER_MAX => {
                weight(self.size(16 + front + embedded), "embstr")
            }
            Generation::Buckets if 8 + front + embedded <= BUCKETS_MAX => {
                weight(self.size(8 + front + embedded), "embstr")
            }
            _ => weight(self.key(key, expires) + apart, "raw"),
        }
    }

    fn value(
        &self,
        value: &Object<'_>,
        in_file: u64,
        field_max: u64,
    ) -> Result<(u64, &'static str)> {
        Ok(match value {
            Object::List(list) => self.list(list)?,
            Object::Set(set) => self.set(set)?,
            Object::Zset(zset) => self.zset(zset)?,
            Object::Hash(hash) => self.hash(hash, field_max)?,
            Object::Stream(stream) => (self.stream(stream)?, "stream"),
            // Strings stand in their keys; what a module or an array makes of its bytes is its own.
            Object::String(_) | Object::Module(_) => (self.size(in_file), "module"),
            Object::Array(_) => (self.size(in_file), "array"),
        })
    }

    fn packed(&self, shape: &Shape) -> u64 {
        self.size(PACK_FRAME + shape.packed)
    }

    fn list(&self, list: &List<'_>) -> Result<(u64, &'static str)> {
        let mut nodes: Vec<u64> = Vec::new();
        let mut open = 0;
        match list {
            List::Quicklist(chain) if chain.has_containers() => {
                for node in chain.clone() {
                    let node = node?;
                    nodes.push(node.bytes.len() as u64);
                    open += u64::from(node.kind == NodeKind::Plain);
                }
            }
            _ => {
                for element in list.elements() {
                    let len = packed_len(&element?);
                    match nodes.last_mut() {
                        Some(node) if *node + len <= self.limits.list_node => *node += len,
                        _ => nodes.push(PACK_FRAME + len),
                    }
                }
            }
        }
        let all: u64 = nodes.iter().map(|node| self.size(*node)).sum();
        // One that was a ziplist alone is not packed again.
        let is_alone = matches!(list, List::Ziplist(_));
        let is_short =
            nodes.len() == 1 && open == 0 && !is_alone && nodes[0] <= self.limits.list_node;
        Ok(match is_short && self.generation > Generation::Entries {
            true => (all, "listpack"),
            false => (self.size(40) * (1 + nodes.len() as u64) + all, "quicklist"),
        })
    }

    fn set(&self, set: &Set<'_>) -> Result<(u64, &'static str)> {
        let (mut shape, mut width) = (Shape::default(), Some(2));
        for member in set.members() {
            let member = member?;
            shape.elements += 1;
            shape.add(&member, self.string(member.len() as u64));
            width = width
                .zip(member.as_int())
                .map(|(width, number)| match number {
                    -0x8000..=0x7fff => width,
                    -0x8000_0000..=0x7fff_ffff => width.max(4),
                    _ => 8,
                });
        }
        let limits = &self.limits;
        Ok(match width {
            Some(width) if shape.elements <= limits.intset_entries => {
                (self.size(8 + width * shape.elements), "intset")
            }
            _ if self.generation > Generation::Entries
                && shape.elements <= limits.set_entries
                && shape.largest <= limits.set_value =>
            {
                (self.packed(&shape), "listpack")
            }
            _ => {
                let table = self.table(self.links_of_members(), shape.elements);
                (self.size(TABLE) + table + shape.apart, "hashtable")
            }
        })
    }

    fn hash(&self, hash: &Hash<'_>, field_max: u64) -> Result<(u64, &'static str)> {
        let (mut shape, mut expiring) = (Shape::default(), 0);
        for field in hash.fields() {
            let field = field?;
            let name = shortened(field.name, field_max);
            let mut lens = [&name, &field.value].map(|text| string_len(text.len() as u64));
            if self.generation.has_buckets() {
                lens[1] = head_len(field.value.len() as u64);
            }
            shape.elements += 1;
            shape.add(&name, 0);
            let apart = match self.generation {
                generation if generation.has_buckets() && lens[0] + lens[1] <= BUCKETS_MAX => {
                    self.size(lens[0] + lens[1])
                }
                generation if generation.has_buckets() => {
                    self.size(8 + lens[0]) + self.size(lens[1])
                }
                _ => self.size(lens[0]) + self.size(lens[1]),
            };
            shape.add(&field.value, apart);
            if let Some(at) = field.expire_ms {
                expiring += 1;
                shape.packed += packed_len(&Text::Int(at));
            } else if hash.may_expire() {
                shape.packed += packed_len(&Text::Int(0));
            }
        }
        let limits = &self.limits;
        if shape.elements <= limits.hash_entries && shape.largest <= limits.hash_value {
            let expiries = self.size(FIELD_EXPIRY) * u64::from(expiring > 0);
            return Ok((self.packed(&shape) + expiries, "listpack"));
        }
        let table = self.table(self.links_of_fields(), shape.elements);
        let expiries = expiring * FIELD_EXPIRY;
        Ok((
            self.size(TABLE) + table + shape.apart + expiries,
            "hashtable",
        ))
    }

    fn zset(&self, zset: &Zset<'_>) -> Result<(u64, &'static str)> {
        let mut shape = Shape::default();
        for pair in zset.pairs() {
            let (member, score) = pair?;
            let len = member.len() as u64;
            shape.elements += 1;
            shape.add(&member, self.node(len));
            shape.packed += packed_len(&score_text(score));
        }
        let limits = &self.limits;
        if shape.elements <= limits.zset_entries && shape.largest <= limits.zset_value {
            return Ok((self.packed(&shape), "listpack"));
        }
        let head = self.size(24 + 16 * HEAD_LEVELS) + self.size(32) + self.size(16);
        let table = self.size(TABLE) + self.table(self.links_of_fields(), shape.elements);
        Ok((head + table + shape.apart, "skiplist"))
    }

    /// A node of a skiplist with its member, on average over the levels that it may have.
    fn node(&self, len: u64) -> u64 {
        let (beside, inside) = match self.generation {
            Generation::Buckets => (0, 16 + 1 + string_len(len)),
            _ => (self.string(len), 24),
        };
        let mut sum = 0.0;
        for level in 1..=LEVELS {
            let likely = 0.75 * 0.25_f64.powi(level as i32 - 1);
            sum += likely * self.size(inside + 16 * u64::from(level)) as f64;
        }
        beside + sum.round() as u64
    }

    fn stream(&self, stream: &Stream<'_>) -> Result<u64> {
        let own = match self.generation {
            // And which groups refer to an entry.
            Generation::Together => 112,
            _ => 80,
        };
        let mut bytes = self.size(own) + self.tree(stream.node_count(), ID);
        for node in stream.nodes() {
            bytes += self.size(node?.listpack.len() as u64);
        }
        let groups: u64 = stream.groups.iter().map(|group| self.group(group)).sum();
        let names = match stream.groups.is_empty() {
            true => 0,
            false => self.tree(stream.groups.len() as u64, NAME),
        };
        Ok(bytes + groups + names)
    }

    fn group(&self, group: &Group<'_>) -> u64 {
        let pending = group.pending.len() as u64;
        let mut bytes = self.size(40) + self.tree(pending, ID) + pending * self.size(24);
        bytes += self.tree(group.consumers.len() as u64, NAME);
        for consumer in &group.consumers {
            bytes += self.size(32) + self.string(consumer.name.len() as u64);
            bytes += self.tree(consumer.pending.len() as u64, ID);
        }
        match self.generation {
            // A list of the groups that an entry is pending in, found by the entry.
            Generation::Together => {
                bytes + self.tree(pending, ID) + pending * (self.size(48) + self.size(24))
            }
            _ => bytes,
        }
    }

    /// A radix tree with so many keys of `len` bytes that share most of them.
    fn tree(&self, keys: u64, len: u64) -> u64 {
        let head = match self.generation {
            generation if generation.has_buckets() => self.size(32),
            _ => self.size(24),
        };
        let shared = self.size((4 + len).next_multiple_of(8) + 8);
        match keys {
            0 => head + self.size(4),
            1 => head + shared + self.size(16),
            // Shared bytes, then a fork for each 256, and for each key the bytes that are left and a leaf.
            keys => {
                let each = self.size(16) + self.size(20);
                head + self.size(32)
                    + keys * each
                    + keys.div_ceil(256) * self.size(8 + 9 * keys.min(256))
            }
        }
    }
}

/// Bytes of a string whose head is not the shortest, as those of values are.
fn head_len(len: u64) -> u64 {
    string_len(len.max(32)) - len.max(32) + len
}

fn shortened(name: Text<'_>, most: u64) -> Text<'_> {
    match name {
        name if name.len() as u64 <= most => name,
        name => {
            let mut bytes = name.to_vec();
            bytes.truncate(most as usize);
            Text::Owned(bytes)
        }
    }
}

/// A score as packed sorted sets have it.
fn score_text(score: f64) -> Text<'static> {
    let whole = score as i64;
    match whole as f64 == score && whole.unsigned_abs() < 1 << 52 {
        true => Text::Int(whole),
        false => {
            let mut text = Vec::new();
            write_f64(&mut text, score);
            Text::Owned(text)
        }
    }
}
