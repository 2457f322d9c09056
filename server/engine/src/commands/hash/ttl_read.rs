//! HTTL and its relatives: when fields expire. HPERSIST: they do not any more.

use super::store::set_expire;
use super::ttl::with_names;
use super::ttl_args::Fields;
use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::Outcome;
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::value::{Kind, hash_ttl};

/// The field, or its key, does not exist.
const NO_FIELD: i64 = -2;
/// The field has no expiry.
const NO_EXPIRY: i64 = -1;

pub(super) const HTTL: Command = Command {
    name: "httl",
    group: Group::Hash,
    since: "7.4.0",
    arity: -5,
    flags: Flags::READ.and(Flags::FAST),
    keys: &[KeySpec::one(&["RO", "access"])],
    tips: &["nondeterministic_output"],
    complexity: "O(N) where N is the number of specified fields",
    summary: "Tell in how many seconds fields expire",
    run: |cx, args| tell(cx, args, |at, now| seconds(at - now)),
    ..Command::BASE
};

pub(super) const HPTTL: Command = Command {
    name: "hpttl",
    summary: "Tell in how many milliseconds fields expire",
    run: |cx, args| tell(cx, args, |at, now| at - now),
    ..HTTL
};

pub(super) const HEXPIRETIME: Command = Command {
    name: "hexpiretime",
    tips: &[],
    summary: "Tell the Unix time in seconds at which fields expire",
    run: |cx, args| tell(cx, args, |at, _| seconds(at)),
    ..HTTL
};

pub(super) const HPEXPIRETIME: Command = Command {
    name: "hpexpiretime",
    tips: &[],
    summary: "Tell the Unix time in milliseconds at which fields expire",
    run: |cx, args| tell(cx, args, |at, _| at),
    ..HTTL
};

/// Rounded up, as Redis does for fields (for keys it rounds to the nearest).
fn seconds(ms: i64) -> i64 {
    (ms + 999) / 1000
}

fn tell(cx: &mut Ctx, args: &Args, shown: fn(i64, i64) -> i64) -> Outcome {
    let slot = cx.ks.read_kind(args.at(1), Kind::Hash)?;
    let fields = Fields::to_the_end(args)?;
    cx.reply.array(fields.count);
    for name in fields.names(args) {
        let found = slot.and_then(|slot| hash_ttl::look_up(cx.ks.view(slot), name));
        cx.reply.int(match found {
            None => NO_FIELD,
            Some((_, None)) => NO_EXPIRY,
            Some((_, Some(at))) => shown(at, cx.ks.now_ms),
        });
    }
    Ok(())
}

pub(super) const HPERSIST: Command = Command {
    name: "hpersist",
    flags: Flags::WRITE.and(Flags::FAST),
    keys: &[KeySpec::one(&["RW", "update"])],
    tips: &[],
    summary: "Take the expiry of fields away",
    run: persist,
    ..HTTL
};

fn persist(cx: &mut Ctx, args: &Args) -> Outcome {
    let key = args.at(1);
    let mut slot = cx.ks.write_kind(key, Kind::Hash)?;
    let fields = Fields::to_the_end(args)?;
    cx.reply.array(fields.count);
    let mut changed = Vec::new();
    for name in fields.names(args) {
        let found = slot.and_then(|slot| hash_ttl::look_up(cx.ks.view(slot), name));
        cx.reply.int(match (slot, found) {
            (Some(at), Some((_, Some(_)))) => {
                slot = Some(set_expire(cx.ks, at, name, None));
                changed.push(name);
                1
            }
            (_, Some(_)) => NO_EXPIRY,
            (_, None) => NO_FIELD,
        });
    }
    finish_persist(cx, key, &changed);
    Ok(())
}

/// Tells the world of fields that lost their expiry.
pub(super) fn finish_persist(cx: &mut Ctx, key: &[u8], changed: &[&[u8]]) {
    if changed.is_empty() {
        return;
    }
    cx.ks
        .modified(EventClass::HASH, "hpersist", key, changed.len() as u64);
    let count = changed.len().to_string();
    let head: [&[u8]; 4] = [b"HPERSIST", key, b"FIELDS", count.as_bytes()];
    cx.propagate(&with_names(&head, changed));
}
