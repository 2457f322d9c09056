//! A value as 16 bytes that do not depend on its encoding or on the order of what has none.
//!
//! ```text
//!   string              absorb the bytes
//!   list, array         absorb the elements in order
//!   set, zset, hash     add up the hashes of the elements, each hashed alone: any order gives the same sum
//!   stream              absorb entries and last id; add up groups, each absorbed
//! ```
//!
//! The seeds are drawn once per process, so nobody can prepare two values that collide. With 128 bits, a billion
//! keys meet a wrong "equal" with probability below 10^-20.
//!
//! Left out because it is no data: idle time and frequency, seen and active times of consumers, the counters
//! `entries-read` (an estimate that not every version stores) and the encoding.

use cairn_format::error::Result;
use cairn_format::rdb::Object;
use cairn_format::rdb::Text;
use cairn_format::rdb::object::{ArrayItem, Group, Stream, StreamId};
use cairn_format::text::number::I64Text;
use std::hash::{BuildHasher, Hasher, RandomState};

/// What is compared of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canon {
    /// The content.
    pub value: u128,
    /// Counters of a stream that versions before 7.0 do not store; compared only where both sides have them.
    pub counters: Option<u64>,
    /// Elements, or bytes of a string.
    pub count: u64,
}

/// Hashes values of one process.
#[derive(Clone, Copy, Debug)]
pub struct Canonizer {
    seeds: [u64; 2],
}

/// A hash under way: two lanes that differ in their seeds.
#[derive(Clone, Copy, Debug)]
struct State {
    lanes: [u64; 2],
}

const K: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f];

fn mix(a: u64, b: u64, k: u64) -> u64 {
    let wide = u128::from(a ^ k) * u128::from(b ^ k.rotate_left(32));
    (wide as u64) ^ ((wide >> 64) as u64)
}

impl State {
    fn word(&mut self, word: u64) {
        self.lanes = [
            mix(self.lanes[0], word, K[0]),
            mix(self.lanes[1], word, K[1]),
        ];
    }

    /// The length goes first, so that no two sequences of strings are alike.
    fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let mut rest = bytes;
        while let Some((chunk, tail)) = rest.split_first_chunk::<8>() {
            self.word(u64::from_le_bytes(*chunk));
            rest = tail;
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_le_bytes(last));
        }
    }

    fn text(&mut self, text: &Text<'_>) {
        self.bytes(text.bytes(&mut I64Text::new()));
    }

    fn wide(&mut self, wide: u128) {
        self.word(wide as u64);
        self.word((wide >> 64) as u64);
    }

    fn id(&mut self, id: StreamId) {
        self.word(id.ms);
        self.word(id.seq);
    }

    /// −0 counts as 0: packed forms of Redis 7 cannot tell them apart.
    fn double(&mut self, double: f64) {
        self.word((double + 0.0).to_bits());
    }

    fn end(self) -> u128 {
        (u128::from(mix(self.lanes[0], self.lanes[1], K[0])) << 64)
            | u128::from(mix(self.lanes[1], self.lanes[0], K[1]))
    }
}

impl Canonizer {
    /// With seeds that nobody knows beforehand.
    pub fn new() -> Canonizer {
        let draw = || RandomState::new().build_hasher().finish();
        Canonizer {
            seeds: [draw(), draw()],
        }
    }

    fn start(&self, kind: &str) -> State {
        let mut state = State { lanes: self.seeds };
        state.bytes(kind.as_bytes());
        state
    }

    /// Database and key as 16 bytes; what belongs to no database has none.
    pub fn place(&self, db: Option<u64>, key: &[u8]) -> u128 {
        let mut state = self.start("place");
        state.word(db.map_or(0, |db| db.wrapping_add(1)));
        state.bytes(key);
        state.end()
    }

    /// The canon of plain bytes: the code of a function library.
    pub fn bytes(&self, bytes: &[u8]) -> Canon {
        let mut state = self.start("bytes");
        state.bytes(bytes);
        Canon {
            value: state.end(),
            counters: None,
            count: bytes.len() as u64,
        }
    }

    /// The canon of a value.
    pub fn value(&self, value: &Object<'_>) -> Result<Canon> {
        let mut state = self.start(value.type_name());
        let count = match value {
            Object::String(text) => {
                state.text(text);
                text.len() as u64
            }
            Object::List(list) => each(list.elements(), |element| state.text(&element))?,
            Object::Set(set) => {
                self.sum(&mut state, set.members(), |one, member| one.text(&member))?
            }
            Object::Zset(zset) => self.sum(&mut state, zset.pairs(), |one, (member, score)| {
                one.text(&member);
                one.double(score);
            })?,
            Object::Hash(hash) => self.sum(&mut state, hash.fields(), |one, field| {
                one.text(&field.name);
                one.text(&field.value);
                one.word(field.expire_ms.map_or(0, |ms| ms as u64));
            })?,
            Object::Stream(stream) => self.stream(&mut state, stream)?,
            Object::Module(module) => {
                state.word(module.id);
                state.bytes(module.values);
                1
            }
            Object::Array(array) => {
                state.word(array.insert_index.map_or(u64::MAX, |index| index));
                each(array.items(), |(index, item)| {
                    state.word(index);
                    match item {
                        ArrayItem::String(text) => state.text(&text),
                        ArrayItem::Int(int) => state.text(&Text::Int(int)),
                        ArrayItem::Double(double) => state.double(double),
                    }
                })?
            }
        };
        let counters = match value {
            Object::Stream(stream) => self.counters(stream),
            _ => None,
        };
        Ok(Canon {
            value: state.end(),
            counters,
            count,
        })
    }

    fn sum<T>(
        &self,
        state: &mut State,
        items: impl Iterator<Item = Result<T>>,
        one: impl Fn(&mut State, T),
    ) -> Result<u64> {
        let mut sum = 0_u128;
        let count = each(items, |item| {
            let mut alone = State { lanes: self.seeds };
            one(&mut alone, item);
            sum = sum.wrapping_add(alone.end());
        })?;
        state.word(count);
        state.wide(sum);
        Ok(count)
    }

    fn stream(&self, state: &mut State, stream: &Stream<'_>) -> Result<u64> {
        let count = each(stream.entries(), |entry| {
            state.id(entry.id);
            state.word(entry.fields.len() as u64);
            for (name, value) in &entry.fields {
                state.text(name);
                state.text(value);
            }
        })?;
        state.id(stream.last_id);
        let groups: u128 = stream
            .groups
            .iter()
            .map(|group| self.group(group))
            .fold(0, u128::wrapping_add);
        state.wide(groups);
        if let Some(producers) = &stream.producers
            && !producers.producers.is_empty()
        {
            state.word(producers.duration_s);
            state.word(producers.entries_max);
            let sum = producers.producers.iter().map(|producer| {
                let mut alone = self.start("producer");
                alone.text(&producer.name);
                for (token, id) in &producer.tokens {
                    alone.text(token);
                    alone.id(*id);
                }
                alone.end()
            });
            state.wide(sum.fold(0, u128::wrapping_add));
        }
        Ok(count)
    }

    fn group(&self, group: &Group<'_>) -> u128 {
        let mut state = self.start("group");
        state.text(&group.name);
        state.id(group.last_id);
        let pending = group.pending.iter().map(|pending| {
            let mut alone = self.start("pending");
            alone.id(pending.id);
            alone.word(pending.delivery_ms as u64);
            alone.word(pending.count);
            alone.end()
        });
        state.wide(pending.fold(0, u128::wrapping_add));
        let consumers = group.consumers.iter().map(|consumer| {
            let mut alone = self.start("consumer");
            alone.text(&consumer.name);
            let mut owned = 0_u128;
            for id in &consumer.pending {
                let mut one = self.start("owned");
                one.id(*id);
                owned = owned.wrapping_add(one.end());
            }
            alone.wide(owned);
            alone.end()
        });
        state.wide(consumers.fold(0, u128::wrapping_add));
        state.end()
    }

    fn counters(&self, stream: &Stream<'_>) -> Option<u64> {
        let (added, deleted) = (stream.entries_added?, stream.max_deleted_id?);
        let mut state = self.start("counters");
        state.word(added);
        state.id(deleted);
        Some(state.end() as u64)
    }
}

fn each<T>(items: impl Iterator<Item = Result<T>>, mut visit: impl FnMut(T)) -> Result<u64> {
    let mut count = 0;
    for item in items {
        visit(item?);
        count += 1;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_a_text_does_not_count_and_its_bytes_do() {
        let canonizer = Canonizer::new();
        let canon = |text| canonizer.value(&Object::String(text)).unwrap();
        assert_eq!(canon(Text::Int(-12)), canon(Text::Bytes(b"-12")));
        assert_ne!(
            canon(Text::Bytes(b"")).value,
            canon(Text::Bytes(b"\0")).value
        );
        assert_ne!(
            canon(Text::Bytes(b"12345678")).value,
            canon(Text::Bytes(b"12345678\0")).value
        );
    }
}
