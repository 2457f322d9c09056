//! What a server holds, as a number, and the writes in it that have one.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hash, Hasher};
use std::mem::discriminant;

use ahash::{AHasher, RandomState};
use cairn_engine::keyspace::Keyspace;
use cairn_engine::structure::record::Record;
use cairn_engine::value::stream::{Stream, StreamId};
use cairn_engine::value::{Kind, Object, ValueRef};
use cairn_format::text::number::I64Text;

use super::archive::{Token, find_token};
use super::worker::LOG;

/// Numbers are compared within one run only; the same seed still gives the same ones.
const KEYS: RandomState = RandomState::with_seeds(1, 2, 3, 4);

/// A number of all databases with all that is in them, expiries included, whatever the order and the encoding. It is that of
/// DEBUG DIGEST but for those, and a hundred times as fast.
pub fn fingerprint(ks: &Keyspace) -> u64 {
    keys(ks)
        .map(|(_, _, number)| number)
        .fold(0, u64::wrapping_add)
}

/// Keys that are not the same in both, each with its database.
pub fn differences(one: &Keyspace, other: &Keyspace) -> Vec<String> {
    let [one, other] = [one, other].map(|ks| keys(ks).collect::<BTreeSet<_>>());
    let differing = one.symmetric_difference(&other);
    let names = differing.map(|(db, key, _)| format!("{db}:{}", key.escape_ascii()));
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Databases and names of all keys, and the numbers of all there is of them.
fn keys(ks: &Keyspace) -> impl Iterator<Item = (usize, &[u8], u64)> {
    let records =
        (0..ks.databases()).flat_map(|db| ks.database(db).iter().map(move |record| (db, record)));
    records.map(|(db, record)| {
        let mut hasher = KEYS.build_hasher();
        (db, record.key(), record.expire()).hash(&mut hasher);
        value(record, &mut hasher);
        (db, record.key(), hasher.finish())
    })
}

fn value(record: &Record<Object>, hasher: &mut AHasher) {
    let value = ValueRef::of(record.tag(), record.payload());
    let (mut a, mut b, mut sum) = (I64Text::new(), I64Text::new(), 0u64);
    let mut add = |parts: &mut dyn FnMut(&mut AHasher)| {
        let mut one = KEYS.build_hasher();
        parts(&mut one);
        sum = sum.wrapping_add(one.finish());
    };
    discriminant(&value.kind()).hash(hasher);
    match (value.kind(), &value) {
        (_, ValueRef::Int(number)) => a.format(*number).hash(hasher),
        (_, ValueRef::Str(bytes)) => bytes.hash(hasher),
        (_, ValueRef::Big(bytes)) => bytes[..].hash(hasher),
        (Kind::List, value) => value.each(&mut |entry| entry.text(&mut a).hash(hasher)),
        (Kind::Set, value) => value.each(&mut |entry| {
            add(&mut |one| entry.text(&mut a).hash(one));
        }),
        (Kind::Hash, value) => value.each_field(&mut |field, value, expire| {
            add(&mut |one| (field.text(&mut a), value.text(&mut b), expire).hash(one));
        }),
        (Kind::Zset, value) => value.each_scored(&mut |member, score| {
            add(&mut |one| (member.text(&mut a), score.to_bits()).hash(one));
        }),
        (_, ValueRef::Stream(value)) => stream(value, hasher),
        (Kind::String | Kind::Stream, _) => unreachable!("strings and streams are above"),
    }
    sum.hash(hasher);
}

/// What XRANGE shows.
fn stream(stream: &Stream, hasher: &mut AHasher) {
    let (mut a, mut b) = (I64Text::new(), I64Text::new());
    for entry in stream.range(StreamId::MIN, StreamId::MAX) {
        (entry.id.ms, entry.id.seq).hash(hasher);
        for (field, value) in entry.fields {
            (field.text(&mut a), value.text(&mut b)).hash(hasher);
        }
    }
}

/// The writes that a server holds.
pub fn tokens(ks: &Keyspace) -> BTreeSet<Token> {
    let mut tokens = BTreeSet::new();
    for db in 0..ks.databases() {
        let logs = ks.database(db).iter();
        for record in logs.filter(|record| record.key().starts_with(LOG)) {
            let mut text = I64Text::new();
            ValueRef::of(record.tag(), record.payload()).each(&mut |entry| {
                tokens.extend(find_token(entry.text(&mut text)).map(|(token, _)| token));
            });
        }
    }
    tokens
}
