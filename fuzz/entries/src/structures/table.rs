//! A table of fields against a map, grown, shrunk and scanned.

use std::collections::{HashMap, HashSet};

use cairn_engine::base::random::Random;
use cairn_engine::structure::record::Field;
use cairn_engine::structure::table::Table;

use super::{HASHER, more, name};
use crate::steps::Steps;

/// A scan under way: what it must show is what was there when it began and never went.
#[derive(Default)]
struct Scan {
    cursor: u64,
    owed: HashSet<Vec<u8>>,
}

/// A table of fields against a map, grown, shrunk and scanned.
pub fn run(bytes: &[u8]) {
    let mut steps = Steps::new(bytes);
    let mut table: Table<Field> = Table::new(HASHER);
    let mut model: HashMap<Vec<u8>, (Vec<u8>, Option<i64>)> = HashMap::new();
    let mut scan = Scan::default();
    let mut taken = 0;
    while more(&steps, &mut taken) {
        match steps.byte() % 10 {
            0 => {
                // Many at once, so that the table grows by whole rounds.
                let (first, count) = (steps.below(1000), steps.below(256));
                (first..first + count)
                    .for_each(|n| put_field(&mut table, &mut model, name(n), Vec::new(), None));
            }
            1 => {
                let (first, count) = (steps.below(1000), steps.below(256));
                (first..first + count)
                    .for_each(|n| drop_field(&mut table, &mut model, &mut scan, &name(n)));
            }
            2 | 3 => {
                let (name, value) = (name(steps.below(1000)), steps.text());
                let expire = steps.flip().then(|| steps.int());
                put_field(&mut table, &mut model, name, value, expire);
            }
            4 => drop_field(&mut table, &mut model, &mut scan, &name(steps.below(1000))),
            5 => table.set_resize_allowed(steps.flip()),
            6 => {
                table.rehash_step(steps.below(20));
            }
            7 => {
                let text = steps.text();
                let found = table.find(HASHER.hash(&text), &text);
                assert_eq!(found.is_some(), model.contains_key(&text));
            }
            _ => scan_step(&table, &model, &mut scan, 1 + steps.below(8)),
        }
        assert_eq!(
            (table.len(), table.is_empty()),
            (model.len(), model.is_empty())
        );
    }
    while scan.cursor != 0 {
        scan_step(&table, &model, &mut scan, 64);
    }
    compare_table(&table, &model);
}

type Fields = HashMap<Vec<u8>, (Vec<u8>, Option<i64>)>;

fn put_field(
    table: &mut Table<Field>,
    model: &mut Fields,
    name: Vec<u8>,
    value: Vec<u8>,
    expire: Option<i64>,
) {
    let hash = HASHER.hash(&name);
    match table.find(hash, &name) {
        Some(slot) => table.update(slot, |field| {
            field.set_value(&value);
            field.set_expire(expire);
        }),
        None => {
            table.insert(hash, Field::new(&name, &value, expire));
        }
    }
    model.insert(name, (value, expire));
}

fn drop_field(table: &mut Table<Field>, model: &mut Fields, scan: &mut Scan, name: &[u8]) {
    let gone = table
        .find(HASHER.hash(name), name)
        .map(|slot| table.remove(slot));
    let expected = model.remove(name);
    assert_eq!(gone.map(|f| (f.value().to_vec(), f.expire())), expected);
    scan.owed.remove(name);
}

fn scan_step(table: &Table<Field>, model: &Fields, scan: &mut Scan, calls: usize) {
    if scan.cursor == 0 {
        scan.owed = model.keys().cloned().collect();
    }
    for _ in 0..calls {
        scan.cursor = table.scan(scan.cursor, &mut |field| {
            scan.owed.remove(field.key());
        });
        if scan.cursor == 0 {
            let missed = scan
                .owed
                .iter()
                .next()
                .map(|n| n.escape_ascii().to_string());
            assert_eq!(
                missed, None,
                "stayed from the first to the last step of a scan"
            );
            return;
        }
    }
}

fn compare_table(table: &Table<Field>, model: &Fields) {
    let found: Fields = table
        .iter()
        .map(|f| (f.key().to_vec(), (f.value().to_vec(), f.expire())))
        .collect();
    assert!(found == *model, "table and model differ");
    table.check().expect("the invariants of a table");
    assert_eq!(table.iter().len(), model.len());
    let marked = model
        .values()
        .filter(|(_, expire)| expire.is_some())
        .count();
    assert_eq!(table.marked(), marked);
    let (mut random, mut seen) = (Random::new(1), HashSet::new());
    table.sample_marked(usize::MAX, &mut random, &mut |f| {
        seen.insert(f.key().to_vec());
    });
    assert_eq!(seen.len(), marked);
    assert_eq!(table.random(&mut random).is_some(), !model.is_empty());
    assert_eq!(table.random_marked(&mut random).is_some(), marked > 0);
}
