//! HRANDFIELD.

use std::collections::HashSet;

use crate::base::args::Args;
use crate::base::error::{self, Outcome};
use crate::call::ctx::Ctx;
use crate::call::reply::Protocol;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::commands::sample::{Choice, choose, draws_one_by_one, parse_count, parse_pair_count};
use crate::structure::table::Slot;
use crate::value::{Kind, ValueRef};

pub(super) const HRANDFIELD: Command = Command {
    name: "hrandfield",
    group: Group::Hash,
    since: "6.2.0",
    arity: -2,
    flags: Flags::READ,
    keys: &[KeySpec::one(&["RO", "access"])],
    tips: &["nondeterministic_output"],
    complexity: "O(N) where N is the number of fields returned",
    summary: "Pick random fields",
    run: hrandfield,
    ..Command::BASE
};

fn hrandfield(cx: &mut Ctx, args: &Args) -> Outcome {
    if args.len() == 2 {
        return one(cx, args.at(1));
    }
    let with_values = args.len() == 4 && args.is(3, "withvalues");
    let count = if args.len() > 3 && !with_values {
        parse_count(args, 2)?;
        return Err(error::SYNTAX);
    } else if with_values {
        parse_pair_count(args, 2)?
    } else {
        parse_count(args, 2)?
    };
    let Some(slot) = cx.ks.read_kind(args.at(1), Kind::Hash)? else {
        cx.reply.array(0);
        return Ok(());
    };
    many(cx, slot, count, with_values);
    Ok(())
}

fn one(cx: &mut Ctx, key: &[u8]) -> Outcome {
    let Some(slot) = cx.ks.read_kind(key, Kind::Hash)? else {
        cx.reply.null();
        return Ok(());
    };
    let (name, _) = random_field(cx, slot);
    cx.reply.bulk(&name);
    Ok(())
}

/// Any field with its value, each as likely as any other.
fn random_field(cx: &mut Ctx, slot: Slot) -> (Vec<u8>, Vec<u8>) {
    let mut random = cx.ks.random.clone();
    let found = match cx.ks.view(slot) {
        ValueRef::Hash(table) => table.random(&mut random).map(|field| {
            let (name, value) = field.pair();
            (name.to_vec(), value.to_vec())
        }),
        packed => pairs(packed).nth(random.index(packed.count())),
    };
    cx.ks.random = random;
    found.unwrap_or_default()
}

fn pairs(value: ValueRef) -> std::vec::IntoIter<(Vec<u8>, Vec<u8>)> {
    let mut pairs = Vec::with_capacity(value.count());
    value.each_field(&mut |name, value, _| {
        pairs.push((name.to_bytes().into_owned(), value.to_bytes().into_owned()));
    });
    pairs.into_iter()
}

fn many(cx: &mut Ctx, slot: Slot, count: i64, with_values: bool) {
    let len = cx.ks.view(slot).count();
    let paired = with_values && cx.reply.protocol == Protocol::Resp3;
    let head = |cx: &mut Ctx, n: usize| {
        cx.reply
            .array(if with_values && !paired { 2 * n } else { n });
    };
    let write = |cx: &mut Ctx, name: &[u8], value: &[u8]| {
        if paired {
            cx.reply.array(2);
        }
        cx.reply.bulk(name);
        if with_values {
            cx.reply.bulk(value);
        }
    };
    if matches!(cx.ks.view(slot), ValueRef::Hash(_)) && draws_one_by_one(count, len) {
        let times = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        head(cx, times);
        let (mut left, mut seen) = (times, HashSet::new());
        while left > 0 && !cx.reply.is_full() {
            let (name, value) = random_field(cx, slot);
            if count < 0 || seen.insert(name.clone()) {
                write(cx, &name, &value);
                left -= 1;
            }
        }
        return;
    }
    let choice = choose(&mut cx.ks.random, count, len);
    let all: Vec<_> = pairs(cx.ks.view(slot)).collect();
    match choice {
        Choice::Repeated(times) => {
            head(cx, times);
            for _ in 0..times {
                if cx.reply.is_full() {
                    return;
                }
                let (name, value) = &all[cx.ks.random.index(len)];
                write(cx, name, value);
            }
        }
        Choice::All => {
            head(cx, all.len());
            all.iter().for_each(|(name, value)| write(cx, name, value));
        }
        Choice::Some(places) => {
            head(cx, places.len());
            for at in places {
                write(cx, &all[at].0, &all[at].1);
            }
        }
    }
}
