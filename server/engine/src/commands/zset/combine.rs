//! Several sorted sets at once: ZUNION, ZINTER, ZDIFF, their STORE forms, ZINTERCARD. Plain sets may take part; their
//! members score 1.

use std::collections::HashMap;

use super::store;
use crate::base::args::Args;
use crate::base::error::{self, Error, Outcome, WRONG_TYPE};
use crate::call::ctx::Ctx;
use crate::call::reply::Protocol;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::keyspace::Keyspace;
use crate::structure::table::Slot;
use crate::value::{Kind, ValueRef, set, zset};

pub(super) const ZUNION: Command = Command {
    name: "zunion",
    group: Group::SortedSet,
    since: "6.2.0",
    arity: -3,
    flags: Flags::READ.and(Flags::MOVABLE_KEYS),
    keys: &[KeySpec::count(1, &["RO", "access"])],
    complexity: "O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set.",
    summary: "List the members that any of these sorted sets has",
    run: |cx, args| combine(cx, args, Operation::Union, Target::Answer),
    ..Command::BASE
};

pub(super) const ZINTER: Command = Command {
    name: "zinter",
    complexity: "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input sorted sets and M being the number of elements in the resulting sorted set.",
    summary: "List the members that all of these sorted sets have",
    run: |cx, args| combine(cx, args, Operation::Inter, Target::Answer),
    ..ZUNION
};

pub(super) const ZDIFF: Command = Command {
    name: "zdiff",
    complexity: "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size of the first set, and K is the size of the result set.",
    summary: "List the members of the first sorted set that no other has",
    run: |cx, args| combine(cx, args, Operation::Diff, Target::Answer),
    ..ZUNION
};

const STORE_KEYS: &[KeySpec] = &[
    KeySpec::one(&["OW", "update"]),
    KeySpec::count(2, &["RO", "access"]),
];

pub(super) const ZUNIONSTORE: Command = Command {
    name: "zunionstore",
    since: "2.0.0",
    arity: -4,
    flags: Flags::WRITE.and(Flags::DENY_OOM).and(Flags::MOVABLE_KEYS),
    keys: STORE_KEYS,
    summary: "Store the members that any of these sorted sets has",
    run: |cx, args| combine(cx, args, Operation::Union, Target::Store),
    ..ZUNION
};

pub(super) const ZINTERSTORE: Command = Command {
    name: "zinterstore",
    complexity: ZINTER.complexity,
    summary: "Store the members that all of these sorted sets have",
    run: |cx, args| combine(cx, args, Operation::Inter, Target::Store),
    ..ZUNIONSTORE
};

pub(super) const ZDIFFSTORE: Command = Command {
    name: "zdiffstore",
    since: "6.2.0",
    complexity: ZDIFF.complexity,
    summary: "Store the members of the first sorted set that no other has",
    run: |cx, args| combine(cx, args, Operation::Diff, Target::Store),
    ..ZUNIONSTORE
};

pub(super) const ZINTERCARD: Command = Command {
    name: "zintercard",
    since: "7.0.0",
    complexity: "O(N*K) worst case with N being the smallest input sorted set, K being the number of input sorted sets.",
    summary: "Count the members that all of these sorted sets have",
    run: |cx, args| combine(cx, args, Operation::Inter, Target::Count),
    ..ZUNION
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Union,
    Inter,
    Diff,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Answer,
    Store,
    Count,
}

#[derive(Clone, Copy)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    /// Infinities of opposite sign add up to 0, as in Redis.
    fn join(self, a: f64, b: f64) -> f64 {
        match self {
            Aggregate::Sum => not_nan(a + b),
            Aggregate::Min => a.min(b),
            Aggregate::Max => a.max(b),
        }
    }
}

fn not_nan(number: f64) -> f64 {
    if number.is_nan() { 0.0 } else { number }
}

/// A set that takes part.
#[derive(Clone, Copy)]
struct Source<'v> {
    value: Option<ValueRef<'v>>,
    weight: f64,
}

impl Source<'_> {
    fn len(&self) -> usize {
        self.value.map_or(0, |value| value.count())
    }

    /// All members with their weighed scores, in the order of the encoding.
    fn members(&self) -> Vec<(Vec<u8>, f64)> {
        let mut all = Vec::with_capacity(self.len());
        match self.value {
            Some(value) if value.kind() == Kind::Zset => value.each_scored(&mut |member, score| {
                all.push((member.to_bytes().into_owned(), not_nan(score * self.weight)));
            }),
            Some(value) => value.each(&mut |member| {
                all.push((member.to_bytes().into_owned(), self.weight));
            }),
            None => {}
        }
        all
    }

    /// The weighed score of a member.
    fn score(&self, member: &[u8]) -> Option<f64> {
        let value = self.value?;
        if value.kind() == Kind::Zset {
            return zset::score(value, member).map(|score| not_nan(score * self.weight));
        }
        set::contains(value, member).then_some(self.weight)
    }
}

struct Options {
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
    limit: usize,
}

impl Options {
    fn parse(
        args: &Args,
        from: usize,
        keys: usize,
        operation: Operation,
        target: Target,
    ) -> Result<Options, Error> {
        let mut o = Options {
            weights: vec![1.0; keys],
            aggregate: Aggregate::Sum,
            with_scores: false,
            limit: usize::MAX,
        };
        let weighs = operation != Operation::Diff && target != Target::Count;
        let mut i = from;
        while i < args.len() {
            let left = args.len() - i;
            if weighs && left > keys && args.is(i, "weights") {
                for (k, weight) in o.weights.iter_mut().enumerate() {
                    *weight = args
                        .float(i + 1 + k)
                        .map_err(|_| Error::new("ERR weight value is not a float"))?;
                }
                i += keys;
            } else if weighs && left >= 2 && args.is(i, "aggregate") {
                o.aggregate = match () {
                    () if args.is(i + 1, "sum") => Aggregate::Sum,
                    () if args.is(i + 1, "min") => Aggregate::Min,
                    () if args.is(i + 1, "max") => Aggregate::Max,
                    () => return Err(error::SYNTAX),
                };
                i += 1;
            } else if target == Target::Answer && args.is(i, "withscores") {
                o.with_scores = true;
            } else if target == Target::Count && left >= 2 && args.is(i, "limit") {
                let limit = args.int(i + 1).ok().and_then(|n| usize::try_from(n).ok());
                let limit = limit.ok_or(Error::new("ERR LIMIT can't be negative"))?;
                o.limit = if limit == 0 { usize::MAX } else { limit };
                i += 1;
            } else {
                return Err(error::SYNTAX);
            }
            i += 1;
        }
        Ok(o)
    }
}

fn combine(cx: &mut Ctx, args: &Args, operation: Operation, target: Target) -> Outcome {
    let at = if target == Target::Store { 2 } else { 1 };
    let keys = args.int(at)?;
    if keys < 1 {
        return Err(Error::text(format!(
            "ERR at least 1 input key is needed for '{}' command",
            cx.command.spec.name
        )));
    }
    let keys = usize::try_from(keys)
        .ok()
        .filter(|keys| *keys < args.len() - at)
        .ok_or(error::SYNTAX)?;
    let slots = open(cx.ks, args.iter_from(at + 1).take(keys))?;
    let options = Options::parse(args, at + 1 + keys, keys, operation, target)?;
    let sources: Vec<Source> = slots
        .iter()
        .zip(&options.weights)
        .map(|(slot, weight)| Source {
            value: slot.map(|slot| cx.ks.view(slot)),
            weight: *weight,
        })
        .collect();
    let mut found = match operation {
        Operation::Union => union(sources, options.aggregate),
        Operation::Inter => inter(sources, options.aggregate, options.limit),
        Operation::Diff => diff(&sources),
    };
    match target {
        Target::Count => cx.reply.int(found.len() as i64),
        Target::Answer => {
            sort(&mut found);
            answer(cx, &found, options.with_scores);
        }
        Target::Store => {
            sort(&mut found);
            let event = match operation {
                Operation::Union => "zunionstore",
                Operation::Inter => "zinterstore",
                Operation::Diff => "zdiffstore",
            };
            store_sorted(cx, args.at(1), &found, event);
        }
    }
    Ok(())
}

/// The sets and sorted sets at the keys.
fn open<'a>(
    ks: &mut Keyspace,
    keys: impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<Option<Slot>>, Error> {
    let keys: Vec<&[u8]> = keys.collect();
    for key in &keys {
        if let Some(slot) = ks.read(key)
            && !matches!(ks.kind(slot), Kind::Zset | Kind::Set)
        {
            return Err(WRONG_TYPE);
        }
    }
    // An expired key among them may have moved the others.
    Ok(keys.iter().map(|key| ks.find(key)).collect())
}

fn union(mut sources: Vec<Source>, aggregate: Aggregate) -> Vec<(Vec<u8>, f64)> {
    sources.sort_by_key(Source::len);
    let mut scores: HashMap<Vec<u8>, f64> = HashMap::new();
    for source in &sources {
        for (member, score) in source.members() {
            scores
                .entry(member)
                .and_modify(|sum| *sum = aggregate.join(*sum, score))
                .or_insert(score);
        }
    }
    scores.into_iter().collect()
}

fn inter(mut sources: Vec<Source>, aggregate: Aggregate, limit: usize) -> Vec<(Vec<u8>, f64)> {
    sources.sort_by_key(Source::len);
    let Some((smallest, others)) = sources.split_first() else {
        return Vec::new();
    };
    let in_all = |(member, score): (Vec<u8>, f64)| {
        let mut sum = score;
        for other in others {
            sum = aggregate.join(sum, other.score(&member)?);
        }
        Some((member, sum))
    };
    smallest
        .members()
        .into_iter()
        .filter_map(in_all)
        .take(limit)
        .collect()
}

fn diff(sources: &[Source]) -> Vec<(Vec<u8>, f64)> {
    let Some((first, others)) = sources.split_first() else {
        return Vec::new();
    };
    let mut left = first.members();
    left.retain(|(member, _)| others.iter().all(|other| other.score(member).is_none()));
    left
}

/// The order of a sorted set.
fn sort(members: &mut [(Vec<u8>, f64)]) {
    members.sort_by(|(a, x), (b, y)| {
        x.partial_cmp(y)
            .unwrap_or(std::cmp::Ordering::Equal)
            .then_with(|| a.cmp(b))
    });
}

/// Members, with scores as pairs in RESP3 and flat in RESP2.
fn answer(cx: &mut Ctx, members: &[(Vec<u8>, f64)], with_scores: bool) {
    let paired = with_scores && cx.reply.protocol == Protocol::Resp3;
    let words = if with_scores && !paired { 2 } else { 1 };
    cx.reply.array(words * members.len());
    for (member, score) in members {
        if paired {
            cx.reply.array(2);
        }
        cx.reply.bulk(member);
        if with_scores {
            cx.reply.double(*score);
        }
    }
}

/// Replaces what is at a key by a sorted set of these members, which are in order, and answers their number.
pub(super) fn store_sorted(
    cx: &mut Ctx,
    target: &[u8],
    members: &[(Vec<u8>, f64)],
    event: &'static str,
) {
    store::replace(cx.ks, target, members, event, 1);
    cx.reply.int(members.len() as i64);
}
