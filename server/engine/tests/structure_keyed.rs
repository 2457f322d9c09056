//! The keys of a database against a plain map, with objects that count how often they are dropped.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use cairn_engine::base::random::Random;
use cairn_engine::structure::keyed::Keyed;
use cairn_engine::structure::record::{Payload, PayloadRef, Tag};
use cairn_engine::structure::sizes::Measure;
use cairn_engine::structure::table::Hasher;

const HASHER: Hasher = Hasher::new([9, 8, 7, 6]);

struct Counted {
    value: u64,
    live: Arc<AtomicI64>,
}

impl Measure for Counted {
    fn size(_: Tag, payload: PayloadRef<'_, Counted>) -> usize {
        match payload {
            PayloadRef::Int(_) => 0,
            PayloadRef::Bytes(bytes) => bytes.len(),
            PayloadRef::Heap(counted) => (counted.value >> 1) as usize,
        }
    }
}

impl Counted {
    fn boxed(value: u64, live: &Arc<AtomicI64>) -> Box<Counted> {
        live.fetch_add(1, Ordering::Relaxed);
        Box::new(Counted {
            value,
            live: live.clone(),
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.live.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Plain {
    Int(i64),
    Bytes(Vec<u8>),
    Heap(u64),
}

impl Plain {
    fn random(random: &mut Random) -> Plain {
        match random.below(3) {
            0 => Plain::Int(random.next_u64() as i64 >> random.below(64)),
            1 => Plain::Bytes(vec![b'v'; random.index(80)]),
            _ => Plain::Heap(random.next_u64()),
        }
    }

    fn payload(&self, live: &Arc<AtomicI64>) -> Payload<'_, Counted> {
        match self {
            Plain::Int(i) => Payload::Int(*i),
            Plain::Bytes(b) => Payload::Bytes(b),
            Plain::Heap(v) => Payload::Heap(Counted::boxed(*v, live)),
        }
    }

    fn of(payload: PayloadRef<'_, Counted>) -> Plain {
        match payload {
            PayloadRef::Int(i) => Plain::Int(i),
            PayloadRef::Bytes(b) => Plain::Bytes(b.to_vec()),
            PayloadRef::Heap(o) => Plain::Heap(o.value),
        }
    }
}

type Model = BTreeMap<Vec<u8>, (Plain, Option<i64>)>;

/// A key of one of the awkward lengths; short ones are the most.
fn random_key(random: &mut Random) -> Vec<u8> {
    let n = random.below(3_000);
    let mut key = format!("key:{n}").into_bytes();
    match n {
        0 => key.clear(),
        1..=9 => key.resize([254, 255, 256, 300][n as usize % 4], b'-'),
        10 => key.resize(if cfg!(miri) { 700 } else { 70_000 }, b'-'),
        _ => {}
    }
    key
}

fn check(keyed: &Keyed<Counted>, model: &Model, live: &AtomicI64, at: &str) {
    let found: Model = keyed
        .iter()
        .map(|r| (r.key().to_vec(), (Plain::of(r.payload()), r.expire())))
        .collect();
    assert!(found == *model, "{at}: keys and model differ");
    assert_eq!(keyed.check(), Ok(()), "{at}");
    assert_eq!(keyed.len(), model.len(), "{at}");
    let expiring = model.values().filter(|(_, e)| e.is_some()).count();
    assert_eq!(keyed.expiring_len(), expiring, "{at}");
    let heaps = model
        .values()
        .filter(|(p, _)| matches!(p, Plain::Heap(_)))
        .count();
    assert_eq!(
        live.load(Ordering::Relaxed),
        heaps as i64,
        "{at}: living objects"
    );
    let mut seen = HashSet::new();
    keyed.sample_expiring(usize::MAX, &mut Random::new(0), &mut |r| {
        seen.insert(r.key().to_vec());
    });
    assert_eq!(seen.len(), expiring, "{at}: expiring keys that are reached");
}

#[test]
fn keys_are_those_of_a_map_through_every_reallocation() {
    for seed in 0..if cfg!(miri) { 1 } else { 6 } {
        let mut random = Random::new(seed);
        let live = Arc::new(AtomicI64::new(0));
        let mut keyed: Keyed<Counted> = Keyed::new(HASHER);
        let mut model = Model::new();
        let tag = Tag::new(2, 5);
        for step in 0..if cfg!(miri) { 150 } else { 40_000 } {
            let key = random_key(&mut random);
            let hash = HASHER.hash(&key);
            let expire = (random.below(2) == 0).then(|| random.below(1 << 40) as i64);
            let plain = Plain::random(&mut random);
            let at = format!("seed {seed}, step {step}");
            let Some(slot) = keyed.find(hash, &key) else {
                assert!(!model.contains_key(&key), "{at}: a key is lost");
                let slot = keyed.insert(hash, &key, tag, plain.payload(&live), expire);
                assert_eq!(keyed.get(slot).key(), key, "{at}");
                model.insert(key, (plain, expire));
                continue;
            };
            let entry = model.get_mut(&key).expect("no key that was not added");
            assert_eq!(
                (
                    &Plain::of(keyed.get(slot).payload()),
                    keyed.get(slot).expire()
                ),
                (&entry.0, entry.1),
                "{at}"
            );
            match random.below(6) {
                0 => {
                    let (after, old) = keyed.set_payload(slot, tag, plain.payload(&live));
                    let old = old.map(|o| Plain::Heap(o.value));
                    assert_eq!(
                        old,
                        matches!(entry.0, Plain::Heap(_)).then(|| entry.0.clone()),
                        "{at}"
                    );
                    assert_eq!(keyed.get(after).key(), key, "{at}");
                    entry.0 = plain;
                }
                1 => {
                    let after = keyed.set_expire(slot, expire);
                    assert_eq!(keyed.get(after).expire(), expire, "{at}");
                    entry.1 = expire;
                }
                2 => {
                    keyed.store(slot, tag, plain.payload(&live), expire);
                    *entry = (plain, expire);
                }
                3 => {
                    // Far enough that it counts elsewhere.
                    match (keyed.object_mut(slot), &mut entry.0) {
                        (Some(o), Plain::Heap(v)) => {
                            o.value >>= 1;
                            *v >>= 1;
                        }
                        (None, Plain::Int(v)) => {
                            let i = *v >> random.below(64);
                            assert!(keyed.set_int(slot, i), "{at}: it needs no more bytes");
                            *v = i;
                        }
                        (object, plain) => assert_eq!(
                            (object.is_none(), keyed.set_int(slot, 0)),
                            (matches!(plain, Plain::Bytes(_)), false),
                            "{at}"
                        ),
                    }
                }
                4 => {
                    // As RENAME does: the record keeps all but its name.
                    let moved = model.remove(&key).expect("just seen");
                    let mut record = keyed.remove(slot);
                    let name = random_key(&mut random);
                    let target = HASHER.hash(&name);
                    if let Some(other) = keyed.find(target, &name) {
                        drop(keyed.remove(other));
                    }
                    record.set_key(&name);
                    keyed.insert_record(target, record);
                    model.insert(name, moved);
                }
                _ => {
                    let removed = keyed.remove(slot);
                    let (plain, expire) = model.remove(&key).expect("just seen");
                    assert_eq!(
                        (removed.key(), removed.expire()),
                        (&key[..], expire),
                        "{at}"
                    );
                    let object = removed.into_heap().map(|o| Plain::Heap(o.value));
                    assert_eq!(
                        object,
                        matches!(plain, Plain::Heap(_)).then_some(plain),
                        "{at}"
                    );
                }
            }
            if step % 2_000 == 0 {
                check(&keyed, &model, &live, &at);
            }
        }
        check(&keyed, &model, &live, "at the end");
        let garbage = keyed.clear();
        assert_eq!(
            (keyed.len(), keyed.expiring_len(), garbage.len()),
            (0, 0, model.len())
        );
        std::thread::spawn(move || drop(garbage))
            .join()
            .expect("dropping elsewhere works");
        assert_eq!(
            live.load(Ordering::Relaxed),
            0,
            "seed {seed}: objects left behind"
        );
    }
}

#[test]
fn clock_and_flags_survive_moves() {
    let mut keyed: Keyed<()> = Keyed::new(HASHER);
    let hash = HASHER.hash(b"k");
    let mut slot = keyed.insert(hash, b"k", Tag::new(0, 1), Payload::Int(1), None);
    keyed.get(slot).set_access(0xab_cdef);
    keyed.get(slot).set_flags(21);
    slot = keyed.set_expire(slot, Some(5));
    slot = keyed
        .set_payload(slot, Tag::new(0, 2), Payload::Bytes(&[1; 300]))
        .0;
    slot = keyed.set_expire(slot, None);
    keyed.set_tag(slot, Tag::new(1, 3));
    let record = keyed.get(slot);
    assert_eq!(
        (record.access(), record.flags(), record.tag()),
        (0xab_cdef, 21, Tag::new(1, 3))
    );
    assert!(matches!(record.payload(), PayloadRef::Bytes(b) if b == [1; 300]));
}
