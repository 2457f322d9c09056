//! The structures with `unsafe` while blocks of theirs move, against plain models. Small enough for Miri (docs/testing.md).

use std::collections::{BTreeMap, BTreeSet};

use cairn_engine::base::random::Random;
use cairn_engine::structure::keyed::Keyed;
use cairn_engine::structure::mover::Mover;
use cairn_engine::structure::ranked::Ranked;
use cairn_engine::structure::record::{Field, Member, Payload, PayloadRef, Tag};
use cairn_engine::structure::table::{Hasher, Table};

const HASHER: Hasher = Hasher::new([1, 2, 3, 4]);
const STEPS: usize = if cfg!(miri) { 150 } else { 20_000 };
const TAG: Tag = Tag::new(0, 1);

/// Lets a closure move blocks, of which some leave.
fn moving(random: &mut Random, work: impl FnOnce(&mut Mover)) {
    let (chance, mut random) = (1 + random.index(3), Random::new(random.next_u64()));
    let mut leaves = |_: *const u8| random.index(chance) == 0;
    work(&mut Mover::new(&mut leaves));
}

/// A number as a text of some length.
fn text(random: &mut Random) -> Vec<u8> {
    let number = random.index(90);
    format!("{number:0>width$}", width = 1 + number % 40).into_bytes()
}

#[test]
fn members() {
    let mut random = Random::new(1);
    let (mut table, mut model) = (Table::new(HASHER), BTreeSet::new());
    let mut cursor = 0;
    for step in 0..STEPS {
        let name = text(&mut random);
        let hash = HASHER.hash(&name);
        match (random.index(3), table.find(hash, &name)) {
            (0 | 1, None) => {
                table.insert(hash, Member::new(&name));
                model.insert(name);
            }
            (2, Some(slot)) => {
                drop(table.remove(slot));
                model.remove(&name);
            }
            _ => moving(&mut random, |mover| {
                cursor =
                    table.move_step(cursor, mover, &mut |member, mover| member.move_away(mover));
            }),
        }
        if step % 16 == 0 {
            assert_eq!(table.check(), Ok(()), "{step}");
            let names: BTreeSet<Vec<u8>> = table.iter().map(|m| m.key().to_vec()).collect();
            assert_eq!(names, model, "{step}");
        }
    }
}

#[test]
fn fields() {
    let mut random = Random::new(2);
    let (mut table, mut model) = (Table::new(HASHER), BTreeMap::new());
    let mut cursor = 0;
    for step in 0..STEPS {
        let (name, value) = (text(&mut random), text(&mut random));
        let expire = (random.index(2) == 0).then_some(random.index(9) as i64);
        let hash = HASHER.hash(&name);
        match (random.index(4), table.find(hash, &name)) {
            (0 | 1, None) => {
                table.insert(hash, Field::new(&name, &value, expire));
                model.insert(name, (value, expire));
            }
            (2, Some(slot)) => {
                table.update(slot, |field| {
                    field.set_value(&value);
                    field.set_expire(expire);
                });
                model.insert(name, (value, expire));
            }
            (3, Some(slot)) => {
                drop(table.remove(slot));
                model.remove(&name);
            }
            _ => moving(&mut random, |mover| {
                cursor = table.move_step(cursor, mover, &mut |field, mover| field.move_away(mover));
            }),
        }
        if step % 16 == 0 {
            assert_eq!(table.check(), Ok(()), "{step}");
            let pairs = table
                .iter()
                .map(|f| (f.key().to_vec(), (f.value().to_vec(), f.expire())));
            assert_eq!(pairs.collect::<BTreeMap<_, _>>(), model, "{step}");
        }
    }
}

#[test]
fn records() {
    let mut random = Random::new(3);
    let mut keys: Keyed<Vec<u8>> = Keyed::new(HASHER);
    let mut model = BTreeMap::new();
    let mut cursor = 0;
    for step in 0..STEPS {
        let (name, value) = (text(&mut random), text(&mut random));
        let expire = (random.index(2) == 0).then_some(random.index(9) as i64);
        let hash = HASHER.hash(&name);
        let payload = match random.index(2) {
            0 => Payload::Bytes(&value),
            _ => Payload::Heap(Box::new(value.clone())),
        };
        match (random.index(5), keys.find(hash, &name)) {
            (0 | 1, None) => {
                keys.insert(hash, &name, TAG, payload, expire);
                model.insert(name, (value, expire));
            }
            (2, Some(slot)) => {
                keys.store(slot, TAG, payload, expire);
                model.insert(name, (value, expire));
            }
            (3, Some(slot)) => {
                drop(keys.remove(slot));
                model.remove(&name);
            }
            (4, Some(slot)) => {
                if let Some(object) = keys.object_mut(slot) {
                    object.push(b'!');
                    model.entry(name).and_modify(|(value, _)| value.push(b'!'));
                }
            }
            _ => moving(&mut random, |mover| {
                cursor = keys.move_step(cursor, mover, &mut |record, mover| {
                    record.move_away(mover);
                    record.move_object(mover);
                    record
                        .object_mut()
                        .into_iter()
                        .for_each(|value| mover.list(value));
                });
            }),
        }
        if step % 16 == 0 {
            assert_eq!(keys.check(), Ok(()), "{step}");
            let found = keys.iter().map(|record| {
                let value = match record.payload() {
                    PayloadRef::Bytes(bytes) => bytes.to_vec(),
                    PayloadRef::Heap(bytes) => bytes.clone(),
                    PayloadRef::Int(_) => unreachable!("no integer was put in"),
                };
                (record.key().to_vec(), (value, record.expire()))
            });
            assert_eq!(found.collect::<BTreeMap<_, _>>(), model, "{step}");
        }
    }
}

#[test]
fn sorted_members() {
    let mut random = Random::new(4);
    let (mut set, mut model) = (Ranked::new(HASHER), BTreeMap::new());
    let (mut cursor, mut rank, mut seen) = (0, 0, 0);
    for step in 0..STEPS {
        let (name, score) = (text(&mut random), random.index(5) as f64);
        match random.index(5) {
            0 | 1 => {
                set.insert(&name, score);
                model.insert(name, score);
            }
            2 => assert_eq!(set.remove(&name), model.remove(&name)),
            3 => moving(&mut random, |mover| {
                cursor = set.move_members(cursor, &mut seen, mover)
            }),
            _ => moving(&mut random, |mover| {
                rank = set
                    .move_order(rank, mover)
                    .map_or(0, |further| rank + further);
            }),
        }
        if step % 16 == 0 {
            assert_eq!(set.check(), Ok(()), "{step}");
            let found = set.iter().map(|(name, score)| (name.to_vec(), score));
            assert_eq!(found.collect::<BTreeMap<_, _>>(), model, "{step}");
        }
    }
    assert!(seen > STEPS / 20, "{seen} members were visited");
}
