//! The table against a plain map: changes, scans while it grows and shrinks, fairness of random choice.

use std::collections::{BTreeMap, HashMap, HashSet};

use cairn_engine::base::random::Random;
use cairn_engine::structure::record::{Field, Member, ScoredMember};
use cairn_engine::structure::table::{Hasher, Ref, Table};

const HASHER: Hasher = Hasher::new([1, 2, 3, 4]);

/// Fewer rounds where each costs a thousand times more.
fn scaled(n: usize) -> usize {
    if cfg!(miri) { n / 100 + 20 } else { n }
}

fn member(n: usize) -> Vec<u8> {
    format!("member:{n}").into_bytes()
}

fn add(table: &mut Table<Member>, n: usize) {
    let key = member(n);
    table.insert(HASHER.hash(&key), Member::new(&key));
}

fn take(table: &mut Table<Member>, n: usize) {
    let key = member(n);
    let slot = table.find(HASHER.hash(&key), &key).expect("it was added");
    assert_eq!(table.remove(slot).key(), key);
}

fn number(key: &[u8]) -> usize {
    std::str::from_utf8(&key[7..]).unwrap().parse().unwrap()
}

#[test]
fn fields_in_a_table_are_those_of_a_map() {
    for seed in 0..4 {
        let mut random = Random::new(seed);
        let mut table: Table<Field> = Table::new(HASHER);
        let mut model: BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)> = BTreeMap::new();
        let mut names: Vec<Vec<u8>> = Vec::new();
        for step in 0..scaled(60_000) {
            // Phases of growth and decline, and times when resizing is not allowed.
            let growing = (step / scaled(7_000)).is_multiple_of(2);
            if step % scaled(5_000) == 0 {
                table.set_resize_allowed(random.below(2) == 0);
            }
            match random.below(10) {
                0..=4 if growing || names.is_empty() => {
                    let name = format!("f{}", random.below(1 << 40)).into_bytes();
                    let value = vec![b'v'; random.index(40)];
                    let expire = (random.below(3) == 0).then_some(step as i64);
                    let hash = HASHER.hash(&name);
                    if table.find(hash, &name).is_none() {
                        let slot = table.insert(hash, Field::new(&name, &value, expire));
                        assert_eq!(table.get(slot).key(), name, "seed {seed}, step {step}");
                        names.push(name.clone());
                        model.insert(name, (value, expire));
                    }
                }
                0..=4 => {
                    let name = names.swap_remove(random.index(names.len()));
                    let slot = table
                        .find(HASHER.hash(&name), &name)
                        .expect("it is in the model");
                    let field = table.remove(slot);
                    let (value, expire) = model.remove(&name).unwrap();
                    assert_eq!(
                        (field.value(), field.expire()),
                        (&value[..], expire),
                        "seed {seed}, step {step}"
                    );
                }
                5..=8 if !names.is_empty() => {
                    let name = &names[random.index(names.len())];
                    let slot = table
                        .find(HASHER.hash(name), name)
                        .expect("it is in the model");
                    let entry = model.get_mut(name).unwrap();
                    entry.0 = vec![b'w'; random.index(60)];
                    entry.1 = (random.below(2) == 0).then_some(-(step as i64));
                    table.update(slot, |field| {
                        field.set_value(&entry.0);
                        field.set_expire(entry.1);
                    });
                    assert_eq!(table.get(slot).value(), entry.0, "seed {seed}, step {step}");
                }
                9 if step % 2 == 0 => table.make_room(random.index(4 * model.len() + 100)),
                _ => {
                    assert!(table.find(HASHER.hash(b"absent"), b"absent").is_none());
                    table.rehash_step(random.index(20));
                }
            }
            assert_eq!(table.len(), model.len(), "seed {seed}, step {step}");
            if step % scaled(3_000) == 0 {
                compare(&table, &model, seed, step);
            }
        }
        compare(&table, &model, seed, usize::MAX);
    }
}

fn compare(
    table: &Table<Field>,
    model: &BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>,
    seed: u64,
    step: usize,
) {
    let sound = table.check();
    assert_eq!(sound, Ok(()), "seed {seed}, step {step}");
    let found: BTreeMap<_, _> = table
        .iter()
        .map(|f| (f.key().to_vec(), (f.value().to_vec(), f.expire())))
        .collect();
    assert_eq!(
        found.len(),
        table.iter().len(),
        "seed {seed}, step {step}: an entry came twice"
    );
    assert!(
        found == *model,
        "seed {seed}, step {step}: table and model differ"
    );
    let marked = model
        .values()
        .filter(|(_, expire)| expire.is_some())
        .count();
    assert_eq!(table.marked(), marked, "seed {seed}, step {step}");
    for (name, (value, _)) in model {
        let slot = table
            .find(HASHER.hash(name), name)
            .expect("every entry is found");
        assert_eq!(table.get(slot).value(), value);
    }
    let mut all = HashSet::new();
    table.sample_marked(usize::MAX, &mut Random::new(1), &mut |f| {
        all.insert(f.key().to_vec());
    });
    assert_eq!(
        all.len(),
        marked,
        "seed {seed}, step {step}: marked entries that are not reached"
    );
}

#[test]
fn a_scan_sees_all_that_stays() {
    let most = scaled(20_000);
    for seed in 0..12u64 {
        let mut random = Random::new(seed);
        let mut table = Table::new(HASHER);
        let start = random.index(most) + 1;
        (0..start).for_each(|n| add(&mut table, n));
        // Entries below `stays` are never removed; the others come and go during the scan.
        let stays = start / (1 + random.index(20)).min(start);
        let (mut others, mut fresh): (Vec<usize>, usize) = ((stays..start).collect(), start);
        let mut seen: HashMap<usize, usize> = HashMap::new();
        let (mut cursor, mut steps) = (0, 0usize);
        loop {
            cursor = table.scan(cursor, &mut |m| {
                *seen.entry(number(m.key())).or_default() += 1
            });
            steps += 1;
            if cursor == 0 {
                break;
            }
            let grow = match seed % 3 {
                0 => true,
                1 => false,
                _ => steps / 50 % 2 == 0,
            };
            table.set_resize_allowed(seed % 4 != 3 || steps % 100 > 60);
            for _ in 0..random.index(40) {
                if grow && fresh < 4 * most {
                    add(&mut table, fresh);
                    others.push(fresh);
                    fresh += 1;
                } else if !others.is_empty() {
                    let gone = others.swap_remove(random.index(others.len()));
                    take(&mut table, gone);
                }
            }
        }
        let missed = (0..stays).filter(|n| !seen.contains_key(n)).count();
        assert_eq!(
            missed, 0,
            "seed {seed}: entries that stayed from first to last step, of {stays}"
        );
    }
}

#[test]
fn a_scan_of_a_resting_table_sees_each_entry_once_at_every_size() {
    let mut table = Table::new(HASHER);
    for n in 0..scaled(1_500) {
        let mut seen = vec![0; n];
        let mut cursor = 0;
        loop {
            cursor = table.scan(cursor, &mut |m: &Member| seen[number(m.key())] += 1);
            if cursor == 0 {
                break;
            }
        }
        assert!(seen.iter().all(|&s| s == 1), "{n} entries");
        assert_eq!(table.check(), Ok(()), "{n} entries");
        add(&mut table, n);
    }
    // Whatever a client sends as a cursor leads to an end.
    for cursor in [u64::MAX, 1 << 63, 0xdead_beef_dead_beef] {
        let mut next = table.scan(cursor, &mut |_| {});
        let mut steps = 0;
        while next != 0 {
            next = table.scan(next, &mut |_| {});
            steps += 1;
            assert!(
                steps <= 2 * table.buckets(),
                "cursor {cursor:#x} goes around"
            );
        }
    }
}

/// Chi square of counts that should be equal; the bound lies six standard deviations above its mean.
fn assert_fair(counts: &[u64], what: &str) {
    let total: u64 = counts.iter().sum();
    let each = total as f64 / counts.len() as f64;
    let chi: f64 = counts
        .iter()
        .map(|&c| (c as f64 - each).powi(2) / each)
        .sum();
    let freedom = counts.len() as f64 - 1.0;
    assert!(
        chi < freedom + 6.0 * (2.0 * freedom).sqrt(),
        "{what}: chi square {chi} at {freedom} degrees of freedom"
    );
}

#[test]
#[cfg_attr(miri, ignore)]
fn random_choice_is_fair_at_any_fullness() {
    for (n, then) in [(5, 5), (100, 100), (700, 700), (1_000, 300), (3_000, 3_000)] {
        let mut table = Table::new(HASHER);
        (0..n).for_each(|i| add(&mut table, i));
        (then..n).for_each(|i| take(&mut table, i));
        let mut random = Random::new(n as u64);
        let mut counts = vec![0u64; then];
        for _ in 0..then * 400 {
            counts[number(table.get(table.random(&mut random).unwrap()).key())] += 1;
        }
        assert_fair(&counts, &format!("random of {then}"));
    }
}

#[test]
#[cfg_attr(miri, ignore)]
fn samples_are_fair_and_complete() {
    let mut table = Table::new(HASHER);
    (0..2_000).for_each(|i| add(&mut table, i));
    let mut random = Random::new(5);
    for n in [1, 5, 16] {
        let mut counts = vec![0u64; 2_000];
        // Only one of each sample is counted: neighbours come together, which chi square must not see.
        for _ in 0..600_000 {
            let mut nth = random.index(n);
            let mut taken = 0;
            let mut choice = Random::new(random.next_u64());
            table.sample(n, &mut choice, &mut |m| {
                taken += 1;
                if nth == 0 {
                    counts[number(m.key())] += 1;
                }
                nth = nth.wrapping_sub(1);
            });
            assert_eq!(taken, n);
        }
        assert_fair(&counts, &format!("samples of {n}"));
    }
    let mut all = HashSet::new();
    table.sample(2_000, &mut random, &mut |m| {
        all.insert(number(m.key()));
    });
    assert_eq!(all.len(), 2_000);
}

#[test]
#[cfg_attr(miri, ignore)]
fn choice_among_few_or_many_marked_is_fair() {
    for every in [1usize, 3, 10, 100, 1_000] {
        let mut table = Table::new(HASHER);
        for i in 0..20_000usize {
            let key = member(i);
            let expire = i.is_multiple_of(every).then_some(1);
            table.insert(HASHER.hash(&key), Field::new(&key, b"", expire));
        }
        let mut random = Random::new(every as u64);
        let mut counts = vec![0u64; table.marked()];
        for _ in 0..table.marked() * 50 {
            let slot = table.random_marked(&mut random).unwrap();
            counts[number(table.get(slot).key()) / every] += 1;
        }
        assert_fair(&counts, &format!("one of {every} marked"));
        let mut taken = 0;
        table.sample_marked(7, &mut random, &mut |f| {
            assert!(f.expire().is_some());
            taken += 1;
        });
        assert_eq!(taken, 7, "one of {every} marked");
    }
}

#[test]
fn nothing_is_chosen_from_nothing() {
    let table: Table<Member> = Table::new(HASHER);
    let mut random = Random::new(0);
    assert_eq!(table.random(&mut random), None);
    assert_eq!(table.random_marked(&mut random), None);
    table.sample(5, &mut random, &mut |_| panic!("a sample of nothing"));
    table.sample_marked(5, &mut random, &mut |_| panic!("a sample of nothing"));
    assert_eq!(table.scan(77, &mut |_| panic!("a scan of nothing")), 0);
    assert_eq!((table.mem_bytes(), table.iter().count()), (0, 0));
}

#[test]
fn room_is_made_for_what_is_told_and_no_more_than_eight_times_what_is_there() {
    let n = scaled(40_000);
    let fill = |expected: usize| {
        let mut table = Table::new(HASHER);
        let mut widest = 0;
        for i in 0..n {
            table.make_room(expected);
            widest = widest.max(table.buckets().div_ceil(i + 1));
            add(&mut table, i);
        }
        assert_eq!(table.check(), Ok(()));
        (table, widest)
    };
    let (unasked, _) = fill(0);
    let (told, _) = fill(n);
    assert_eq!(told.buckets(), unasked.buckets(), "as it would have grown");
    // A lie costs a bucket for an entry, and is forgotten.
    let (mut lied, widest) = fill(usize::MAX);
    assert!(widest <= 1, "{widest} buckets for an entry");
    while lied.rehash_step(10) {}
    assert!(lied.len() >= 4 * lied.buckets());
    assert_eq!(lied.check(), Ok(()));
}

#[test]
fn growth_waits_while_it_is_not_allowed_and_is_made_up_for() {
    let n = scaled(40_000);
    let mut table = Table::new(HASHER);
    (0..100).for_each(|i| add(&mut table, i));
    let buckets = table.buckets();
    table.set_resize_allowed(false);
    (100..buckets * 32).for_each(|i| add(&mut table, i));
    assert_eq!(
        table.buckets(),
        buckets,
        "up to four times the load nothing is split"
    );
    (buckets * 32..n.max(buckets * 32)).for_each(|i| add(&mut table, i));
    table.set_resize_allowed(true);
    while table.rehash_step(10) {}
    assert!(table.len() <= 8 * table.buckets());
    let n = table.len();
    (10..n).for_each(|i| take(&mut table, i));
    assert!(
        table.buckets() <= 3,
        "{} buckets for ten entries",
        table.buckets()
    );
    (0..10).for_each(|i| take(&mut table, i));
    assert_eq!((table.len(), table.buckets(), table.mem_bytes()), (0, 0, 0));
}

#[test]
#[cfg_attr(miri, ignore)]
fn a_table_takes_ten_to_twelve_bytes_per_entry_at_any_size() {
    let mut table = Table::new(HASHER);
    for n in 0..300_000 {
        add(&mut table, n);
        if n % 9_973 == 9_972 {
            let per_entry = table.mem_bytes() as f64 / table.len() as f64;
            assert!(
                (10.0..12.5).contains(&per_entry),
                "{per_entry} bytes per entry at {n}"
            );
        }
    }
}

#[test]
fn a_second_index_follows_members_while_the_table_grows() {
    let mut table: Table<ScoredMember> = Table::new(HASHER);
    let mut index = Vec::new();
    for n in 0..scaled(5_000) {
        let key = member(n);
        let slot = table.insert(HASHER.hash(&key), ScoredMember::new(&key, 0.0));
        index.push(Ref::of(table.get(slot)));
    }
    for (n, reference) in index.iter().enumerate() {
        let key = member(n);
        let slot = table.find(HASHER.hash(&key), &key).unwrap();
        table.get_mut(slot).set_score(n as f64);
        assert!(*reference == Ref::of(table.get(slot)));
        // SAFETY: no member was removed.
        unsafe {
            assert_eq!(reference.key(), key);
            assert_eq!(reference.score(), n as f64);
            assert_eq!(reference.entry().score(), n as f64);
        }
    }
}

#[test]
#[should_panic(expected = "a slot of another time")]
fn a_slot_that_is_out_of_date_is_noticed() {
    let mut table = Table::new(HASHER);
    add(&mut table, 1);
    let slot = table.find(HASHER.hash(&member(1)), &member(1)).unwrap();
    table.remove(slot);
    table.get(slot);
}
