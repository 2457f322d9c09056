//! Streams and their groups against plain maps: random steps from printed seeds.

use cairn_engine::base::random::Random;
use cairn_engine::value::stream::{
    AppendError, Group, Keep, Marks, Pending, Stream, StreamId, StreamLimits, Trim,
};
use std::collections::BTreeMap;

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn pairs(random: &mut Random) -> Pairs {
    let names: &[&str] = match random.index(6) {
        0..3 => &["field", "other"],
        3 => &["field"],
        4 => &["other", "field"],
        _ => &["7", "field", "300"],
    };
    let value = |random: &mut Random| match random.index(12) {
        0..5 => format!("{}", random.index(1 << 20)).into_bytes(),
        5 => vec![b'x'; random.index(900)],
        6 => format!("-{}", random.next_u64() >> 1).into_bytes(),
        _ => format!("value {}", random.index(50)).into_bytes(),
    };
    names
        .iter()
        .map(|name| (name.as_bytes().to_vec(), value(random)))
        .collect()
}

fn append(
    stream: &mut Stream,
    id: StreamId,
    pairs: &Pairs,
    limits: &StreamLimits,
) -> Result<(), AppendError> {
    stream.append(
        id,
        pairs.iter().map(|(f, v)| (f.as_slice(), v.as_slice())),
        limits,
    )
}

fn collect<'a>(
    entries: impl Iterator<Item = cairn_engine::value::stream::StreamEntry<'a>>,
) -> Vec<(StreamId, Pairs)> {
    entries
        .map(|entry| {
            let pairs = entry
                .fields
                .map(|(f, v)| (f.to_bytes().into_owned(), v.to_bytes().into_owned()));
            (entry.id, pairs.collect())
        })
        .collect()
}

struct Pair {
    stream: Stream,
    model: BTreeMap<StreamId, Pairs>,
    marks: Marks,
    limits: StreamLimits,
}

impl Pair {
    fn some_id(&self, random: &mut Random) -> StreamId {
        let last = self.marks.last_id;
        match random.index(3) {
            0 => StreamId::new(random.below(last.ms + 3), random.below(4)),
            _ if self.model.is_empty() => last,
            _ => *self
                .model
                .keys()
                .nth(random.index(self.model.len()))
                .unwrap(),
        }
    }

    fn append(&mut self, random: &mut Random) {
        let last = self.marks.last_id;
        let id = match random.index(8) {
            0 => StreamId::new(last.ms, last.seq + 1 + random.below(1_000)),
            1 => StreamId::new(last.ms + 1 + random.below(100_000), random.below(1 << 40)),
            2..4 => self.stream.next_id(last.ms).unwrap(),
            _ => StreamId::new(last.ms + 1, 0),
        };
        let pairs = pairs(random);
        assert_eq!(
            append(&mut self.stream, last, &pairs, &self.limits),
            Err(AppendError::IdNotGreater)
        );
        append(&mut self.stream, id, &pairs, &self.limits).unwrap();
        self.model.insert(id, pairs);
        self.marks.last_id = id;
        self.marks.entries_added += 1;
    }

    fn delete(&mut self, random: &mut Random) {
        let id = self.some_id(random);
        let there = self.model.remove(&id).is_some();
        assert_eq!(self.stream.delete(id), there);
        if there {
            self.marks.max_deleted_id = self.marks.max_deleted_id.max(id);
        }
    }

    fn trim(&mut self, random: &mut Random) {
        let keep = match random.index(2) {
            0 => Keep::Newest((self.model.len().saturating_sub(random.index(300))) as u64),
            _ => Keep::From(self.some_id(random)),
        };
        let approximate = random.index(2) == 0;
        let limit = if approximate { random.below(3) * 60 } else { 0 };
        let doomed = match keep {
            Keep::Newest(count) => self.model.len().saturating_sub(count as usize),
            Keep::From(id) => self.model.range(..id).count(),
        };
        let removed = self.stream.trim(&Trim {
            keep,
            approximate,
            limit,
        }) as usize;
        if approximate {
            assert!(
                removed <= doomed && (limit == 0 || removed as u64 <= limit),
                "{removed} of {doomed}"
            );
            assert!(limit > 0 || doomed - removed <= self.limits.node_entries.max(1));
        } else {
            assert_eq!(removed, doomed);
        }
        for _ in 0..removed {
            self.model.pop_first();
        }
    }

    fn look(&mut self, random: &mut Random) {
        self.stream.check().unwrap();
        self.marks.first_id = self.model.keys().next().copied().unwrap_or(StreamId::MIN);
        assert_eq!(self.stream.marks(), self.marks);
        assert_eq!(self.stream.len(), self.model.len() as u64);
        assert_eq!(
            self.stream.edge_id(false),
            self.model.keys().next_back().copied()
        );
        let (start, end) = (self.some_id(random), self.some_id(random));
        let inside: Vec<(StreamId, Pairs)> = self
            .model
            .iter()
            .filter(|(id, _)| (start..=end).contains(id))
            .map(|(id, p)| (*id, p.clone()))
            .collect();
        assert_eq!(collect(self.stream.range(start, end)), inside);
        assert!(
            collect(self.stream.range_rev(start, end))
                .iter()
                .eq(inside.iter().rev())
        );
        assert_eq!(
            self.stream.get(start).is_some(),
            self.model.contains_key(&start)
        );
    }

    /// Every node adopted by another stream, as loading does.
    fn reload(&self) {
        let mut copy = Stream::new();
        for (id, blob) in self.stream.nodes() {
            copy.push_node(id, blob.to_vec()).unwrap();
        }
        copy.set_marks(self.stream.marks());
        copy.check().unwrap();
        assert_eq!(copy.marks(), self.stream.marks());
        assert_eq!(
            collect(copy.range(StreamId::MIN, StreamId::MAX)),
            collect(self.stream.range(StreamId::MIN, StreamId::MAX))
        );
    }
}

#[test]
fn random_steps_agree_with_a_map() {
    for seed in 1..=10 {
        eprintln!("seed {seed}");
        let mut random = Random::new(seed);
        let limits = match seed % 4 {
            0 => StreamLimits {
                node_bytes: 0,
                node_entries: 7,
            },
            1 => StreamLimits {
                node_bytes: 300,
                node_entries: 0,
            },
            _ => StreamLimits::default(),
        };
        let entries_bound = StreamLimits {
            node_entries: limits.node_entries.max(100),
            ..limits
        };
        let mut pair = Pair {
            stream: Stream::new(),
            model: BTreeMap::new(),
            marks: Marks::default(),
            limits: if limits.node_entries == 0 {
                entries_bound
            } else {
                limits
            },
        };
        for round in 0..30 {
            for _ in 0..40 + random.index(60) {
                match random.index(if round % 3 == 2 { 30 } else { 10 }) {
                    0..8 => pair.append(&mut random),
                    _ => pair.delete(&mut random),
                }
            }
            pair.look(&mut random);
            if random.index(3) == 0 {
                pair.trim(&mut random);
                pair.look(&mut random);
            }
        }
        pair.reload();
    }
}

#[test]
fn small_entries_take_little_more_than_their_listpacks() {
    let mut stream = Stream::new();
    let limits = StreamLimits::default();
    for n in 0..20_000_u64 {
        let value = format!("{n:016}").into_bytes();
        let pairs = vec![
            (b"field".to_vec(), value),
            (b"other".to_vec(), b"v".to_vec()),
        ];
        append(
            &mut stream,
            StreamId::new(1_700_000_000_000 + n / 3, n % 3),
            &pairs,
            &limits,
        )
        .unwrap();
    }
    let each = stream.mem_bytes() as f64 / 20_000.0;
    eprintln!("{each:.1} bytes per entry, {} nodes", stream.node_count());
    assert!(each < 31.0, "{each:.1} bytes per entry");
}

#[test]
fn ids_run_out_and_wrap_where_they_should() {
    assert_eq!(StreamId::MAX.next(), None);
    assert_eq!(StreamId::MIN.prev(), None);
    assert_eq!(StreamId::new(5, u64::MAX).next(), Some(StreamId::new(6, 0)));
    assert_eq!(StreamId::new(6, 0).prev(), Some(StreamId::new(5, u64::MAX)));
    assert_eq!(
        StreamId::from_bytes(StreamId::new(1, 2).to_bytes()),
        StreamId::new(1, 2)
    );
    assert_eq!(
        StreamId::new(1, 2).to_bytes(),
        [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    );
    assert_eq!(StreamId::new(1, 2).to_string(), "1-2");

    let mut stream = Stream::new();
    let limits = StreamLimits::default();
    let one = vec![(b"f".to_vec(), b"v".to_vec())];
    let ids = [
        StreamId::new(1, u64::MAX),
        StreamId::new(2, 0),
        StreamId::new(u64::MAX - 1, u64::MAX),
        StreamId::new(u64::MAX, u64::MAX - 1),
        StreamId::MAX,
    ];
    for id in ids {
        append(&mut stream, id, &one, &limits).unwrap();
    }
    stream.check().unwrap();
    assert!(
        stream
            .range(StreamId::MIN, StreamId::MAX)
            .map(|entry| entry.id)
            .eq(ids)
    );
    assert!(
        stream
            .range_rev(StreamId::MIN, StreamId::MAX)
            .map(|entry| entry.id)
            .eq(ids.into_iter().rev())
    );
    assert_eq!(stream.next_id(5), None);
    assert_eq!(stream.next_seq(u64::MAX), None);
    assert_eq!(stream.node_count(), 1);
}

/// A node of every kind of damage: refused, never a panic. The first is the example in the head of `node.rs`.
#[test]
fn damaged_nodes_are_refused() {
    let mut stream = Stream::new();
    let one = vec![(b"a".to_vec(), b"1".to_vec())];
    append(
        &mut stream,
        StreamId::new(5, 1),
        &one,
        &StreamLimits::default(),
    )
    .unwrap();
    let (id, blob) = stream
        .nodes()
        .next()
        .map(|(id, blob)| (id, blob.to_vec()))
        .unwrap();
    let example = b"\x1c\0\0\0\x0a\0\x01\x01\0\x01\x01\x01\x81a\x02\0\x01\x02\x01\0\x01\0\x01\x01\x01\x04\x01\xff";
    assert_eq!(blob, example);
    assert!(Stream::new().push_node(id, blob.clone()).is_ok());
    let mut refused = 0;
    for at in 0..blob.len() {
        for change in 1..=255_u8 {
            let mut bad = blob.clone();
            bad[at] ^= change;
            let mut loaded = Stream::new();
            if loaded.push_node(id, bad).is_err() {
                refused += 1;
                assert!(loaded.is_empty());
            } else {
                loaded.check().unwrap();
                assert_eq!(loaded.range(StreamId::MIN, StreamId::MAX).count(), 1);
            }
        }
        assert!(Stream::new().push_node(id, blob[..at].to_vec()).is_err());
    }
    assert!(
        refused > blob.len() * 200,
        "{refused} of {} changes were refused",
        blob.len() * 255
    );
}

#[test]
fn pending_entries_agree_with_a_map() {
    for seed in 1..=8 {
        eprintln!("seed {seed}");
        let mut random = Random::new(seed);
        let mut group = Group::new(StreamId::MIN, Some(0));
        let mut model: BTreeMap<StreamId, (String, i64, u64)> = BTreeMap::new();
        for now in 0..3_000 {
            let name = format!("consumer {}", random.index(6));
            let id = StreamId::new(random.below(40), random.below(3));
            let consumer = group
                .find_consumer(name.as_bytes())
                .or_else(|| group.create_consumer(name.as_bytes(), now));
            let consumer = consumer.unwrap();
            assert_eq!(group.create_consumer(name.as_bytes(), now), None);
            match random.index(12) {
                0..6 => {
                    group.deliver(id, consumer, now);
                    model.insert(id, (name, now, 1));
                }
                6..8 => {
                    let deliveries = random.below(9);
                    group.assign(
                        id,
                        Pending {
                            delivery_ms: now,
                            deliveries,
                            consumer,
                        },
                    );
                    model.insert(id, (name, now, deliveries));
                }
                8..11 => assert_eq!(group.acknowledge(id), model.remove(&id).is_some()),
                _ => {
                    let before = model.len();
                    model.retain(|_, (owner, ..)| *owner != name);
                    assert_eq!(
                        group.remove_consumer(name.as_bytes()),
                        Some(before - model.len())
                    );
                }
            }
            group.check().unwrap();
        }
        let (start, end) = (StreamId::new(5, 1), StreamId::new(30, 0));
        let seen: Vec<_> = group
            .pending_range(start, end)
            .map(|(id, p)| {
                let owner = String::from_utf8(group.consumer(p.consumer).name().to_vec()).unwrap();
                (id, (owner, p.delivery_ms, p.deliveries))
            })
            .collect();
        assert!(
            seen.iter()
                .cloned()
                .eq(model.range(start..=end).map(|(id, p)| (*id, p.clone())))
        );
        assert_eq!(group.pending_range(end, start).count(), 0);
        let mine: usize = group
            .consumers()
            .map(|(_, c)| c.pending(start, end).count())
            .sum();
        assert_eq!(mine, seen.len());
        assert!(
            group
                .consumers()
                .all(|(_, c)| c.pending(end, start).count() == 0)
        );
    }
}

#[test]
fn counters_of_a_group_follow_what_it_reads() {
    let mut stream = Stream::new();
    let limits = StreamLimits::default();
    let one = vec![(b"f".to_vec(), b"v".to_vec())];
    assert!(stream.add_group(b"g", Group::new(StreamId::MIN, Some(0))));
    assert!(!stream.add_group(b"g", Group::new(StreamId::MIN, None)));
    assert_eq!(stream.lag(stream.group(b"g").unwrap()), Some(0));
    for ms in 1..=5 {
        append(&mut stream, StreamId::new(ms, 0), &one, &limits).unwrap();
    }
    let lag = |stream: &Stream| stream.lag(stream.group(b"g").unwrap());
    assert_eq!(lag(&stream), Some(5));
    assert!(stream.advance_group(b"g", StreamId::new(1, 0)));
    assert!(!stream.advance_group(b"g", StreamId::new(1, 0)));
    assert_eq!(
        (lag(&stream), stream.group(b"g").unwrap().entries_read),
        (Some(4), Some(1))
    );
    // A deletion ahead of the group makes its lag unknown, until it has passed it.
    stream.delete(StreamId::new(3, 0));
    assert_eq!(lag(&stream), None);
    assert!(stream.advance_group(b"g", StreamId::new(2, 0)));
    assert_eq!(stream.group(b"g").unwrap().entries_read, None);
    assert!(stream.advance_group(b"g", StreamId::new(5, 0)));
    assert_eq!(
        (lag(&stream), stream.group(b"g").unwrap().entries_read),
        (Some(0), Some(5))
    );
    assert!(stream.remove_group(b"g").is_some());
    assert_eq!(stream.group_count(), 0);
}
