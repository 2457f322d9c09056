//! The keys of a database against a map, through every way in which a record may be made anew.

use std::collections::BTreeMap;

use cairn_engine::structure::keyed::Keyed;
use cairn_engine::structure::record::{Payload, PayloadRef, Tag};

use super::{HASHER, more};
use crate::steps::Steps;

/// A value of a record in the model.
#[derive(Clone, Debug, PartialEq)]
enum Plain {
    Int(i64),
    Bytes(Vec<u8>),
    Heap(Vec<u8>),
}

impl Plain {
    fn drawn(steps: &mut Steps<'_>) -> Plain {
        match steps.byte() % 3 {
            0 => Plain::Int(steps.int()),
            1 => {
                let mut text = steps.text();
                text.truncate(512);
                Plain::Bytes(text)
            }
            _ => Plain::Heap(steps.text()),
        }
    }

    fn payload(&self) -> Payload<'_, Vec<u8>> {
        match self {
            Plain::Int(i) => Payload::Int(*i),
            Plain::Bytes(b) => Payload::Bytes(b),
            Plain::Heap(b) => Payload::Heap(Box::new(b.clone())),
        }
    }

    fn of(payload: PayloadRef<'_, Vec<u8>>) -> Plain {
        match payload {
            PayloadRef::Int(i) => Plain::Int(i),
            PayloadRef::Bytes(b) => Plain::Bytes(b.to_vec()),
            PayloadRef::Heap(b) => Plain::Heap(b.clone()),
        }
    }
}

/// Everything about a key: value, expiry, tag, clock, flags.
type Whole = (Plain, Option<i64>, Tag, u32, u8);

/// The keys of a database through every way in which a record may be made anew.
pub fn run(bytes: &[u8]) {
    let mut steps = Steps::new(bytes);
    let mut keyed: Keyed<Vec<u8>> = Keyed::new(HASHER);
    let mut model: BTreeMap<Vec<u8>, Whole> = BTreeMap::new();
    let mut taken = 0;
    while more(&steps, &mut taken) {
        let key = key(&mut steps);
        let hash = HASHER.hash(&key);
        let Some(slot) = keyed.find(hash, &key) else {
            assert!(!model.contains_key(&key), "a key is lost");
            let (plain, expire) = (Plain::drawn(&mut steps), steps.flip().then(|| steps.int()));
            let tag = Tag::new(steps.byte() % 16, steps.byte() % 16);
            let slot = keyed.insert(hash, &key, tag, plain.payload(), expire);
            keyed.get(slot).set_access(7);
            keyed.get(slot).set_flags(3);
            model.insert(key, (plain, expire, tag, 7, 3));
            continue;
        };
        let whole = model.get_mut(&key).expect("no key that was not added");
        let record = keyed.get(slot);
        let found = (
            Plain::of(record.payload()),
            record.expire(),
            record.tag(),
            record.access(),
            record.flags(),
        );
        assert_eq!((record.key(), &found), (&key[..], &*whole));
        match steps.byte() % 8 {
            0 => {
                let plain = Plain::drawn(&mut steps);
                let (after, _) = keyed.set_payload(slot, whole.2, plain.payload());
                assert_eq!(keyed.get(after).key(), key);
                whole.0 = plain;
            }
            1 => {
                whole.1 = steps.flip().then(|| steps.int());
                let after = keyed.set_expire(slot, whole.1);
                assert_eq!(keyed.get(after).expire(), whole.1);
            }
            2 => {
                whole.0 = Plain::drawn(&mut steps);
                whole.1 = steps.flip().then(|| steps.int());
                keyed.store(slot, whole.2, whole.0.payload(), whole.1);
            }
            3 => {
                (whole.3, whole.4) = (steps.long() as u32 & 0xff_ffff, steps.byte() % 32);
                keyed.get(slot).set_access(whole.3);
                keyed.get(slot).set_flags(whole.4);
            }
            4 => match (keyed.object_mut(slot), &mut whole.0) {
                (Some(a), Plain::Heap(b)) => {
                    a.push(1);
                    b.push(1);
                }
                (None, Plain::Int(i)) => {
                    assert!(keyed.set_int(slot, *i / 2), "it needs no more bytes");
                    *i /= 2;
                }
                (object, plain) => assert_eq!(object.is_none(), matches!(plain, Plain::Bytes(_))),
            },
            5 => {
                // As RENAME does: the record keeps all but its name.
                let whole = model.remove(&key).expect("just seen");
                let mut record = keyed.remove(slot);
                let name = self::key(&mut steps);
                let target = HASHER.hash(&name);
                if let Some(other) = keyed.find(target, &name) {
                    drop(keyed.remove(other));
                }
                record.set_key(&name);
                keyed.insert_record(target, record);
                model.insert(name, whole);
            }
            6 => {
                whole.2 = Tag::new(steps.byte() % 16, steps.byte() % 16);
                keyed.set_tag(slot, whole.2);
            }
            _ => {
                let removed = keyed.remove(slot);
                let whole = model.remove(&key).expect("just seen");
                assert_eq!(
                    (removed.key(), Plain::of(removed.payload())),
                    (&key[..], whole.0)
                );
            }
        }
    }
    compare_keyed(&mut keyed, &model);
}

/// One of some hundred keys, a few of them of awkward lengths.
fn key(steps: &mut Steps<'_>) -> Vec<u8> {
    let n = steps.byte();
    let mut key = format!("key:{n}").into_bytes();
    match n {
        0 => key.clear(),
        1..=7 => key.resize(
            [253, 254, 255, 256, 300, 513, 70_000][usize::from(n) - 1],
            b'-',
        ),
        8..=40 => key.resize(usize::from(n), b'.'),
        _ => {}
    }
    key
}

fn compare_keyed(keyed: &mut Keyed<Vec<u8>>, model: &BTreeMap<Vec<u8>, Whole>) {
    let found: BTreeMap<Vec<u8>, Whole> = keyed
        .iter()
        .map(|r| {
            (
                r.key().to_vec(),
                (
                    Plain::of(r.payload()),
                    r.expire(),
                    r.tag(),
                    r.access(),
                    r.flags(),
                ),
            )
        })
        .collect();
    assert!(found == *model, "keys and model differ");
    keyed.check().expect("the invariants of a database");
    let expiring = model.values().filter(|whole| whole.1.is_some()).count();
    assert_eq!((keyed.len(), keyed.expiring_len()), (model.len(), expiring));
    assert_eq!((keyed.clear().len(), keyed.len()), (model.len(), 0));
}
