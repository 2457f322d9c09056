//! HGETEX and HGETDEL: fields are read, and their expiry or they themselves change. Both are of Redis 8.

use super::store::{remove_field, set_expire};
use super::ttl::{FieldChange, with_names};
use super::ttl_args::{Fields, Unit, unknown};
use super::ttl_read::finish_persist;
use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::{Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::structure::table::Slot;
use crate::value::{Kind, hash, hash_ttl};

pub(super) const HGETEX: Command = Command {
    name: "hgetex",
    group: Group::Hash,
    since: "8.0.0",
    arity: -5,
    flags: Flags::WRITE.and(Flags::FAST),
    keys: &[
        KeySpec::one(&["RW", "access", "update"]).note("RW and UPDATE because it changes the TTL")
    ],
    complexity: "O(N) where N is the number of specified fields",
    summary: "Read fields and change their expiry",
    run: getex,
    ..Command::BASE
};

enum Expiry {
    Keep,
    Persist,
    At(i64),
}

fn parse(cx: &Ctx, args: &Args) -> Result<(Expiry, Fields), Error> {
    let (mut expiry, mut fields) = (None, None);
    let mut i = 2;
    while i < args.len() {
        if args.is(i, "fields") && fields.is_none() {
            let found = Fields::among_options(args, i, 1, "ERR invalid number of fields")?;
            i = found.end();
            fields = Some(found);
            continue;
        }
        let unit = Unit::named(args, i);
        if unit.is_none() && !args.is(i, "persist") {
            return Err(if args.is(i, "keepttl") {
                Error::new("ERR unknown argument")
            } else {
                unknown(args.at(i))
            });
        }
        if expiry.is_some() {
            return Err(Error::new(
                "ERR Only one of EX, PX, EXAT, PXAT or PERSIST arguments can be specified",
            ));
        }
        expiry = Some(match unit {
            Some(unit) => Expiry::At(unit.when(cx, args, i + 1, "hgetex")?),
            None => Expiry::Persist,
        });
        i += 1 + usize::from(unit.is_some());
    }
    let missing = Error::new("ERR missing FIELDS argument");
    Ok((expiry.unwrap_or(Expiry::Keep), fields.ok_or(missing)?))
}

fn getex(cx: &mut Ctx, args: &Args) -> Outcome {
    let (expiry, fields) = parse(cx, args)?;
    let key = args.at(1);
    let slot = cx.ks.read_kind(key, Kind::Hash)?;
    cx.reply.array(fields.count);
    let Some(slot) = slot else {
        (0..fields.count).for_each(|_| cx.reply.null());
        return Ok(());
    };
    match expiry {
        Expiry::Keep => fields
            .names(args)
            .for_each(|name| _ = reply_field(cx, Some(slot), name)),
        Expiry::Persist => persist(cx, args, fields, slot),
        Expiry::At(when) => expire(cx, args, fields, slot, when),
    }
    Ok(())
}

/// Answers the field; whether it is there.
fn reply_field(cx: &mut Ctx, slot: Option<Slot>, name: &[u8]) -> bool {
    let found = slot.and_then(|slot| hash::get(cx.ks.view(slot), name));
    match found {
        Some(value) => cx.reply.entry(value),
        None => cx.reply.null(),
    }
    found.is_some()
}

fn persist(cx: &mut Ctx, args: &Args, fields: Fields, slot: Slot) {
    let (mut slot, mut changed) = (slot, Vec::new());
    for name in fields.names(args) {
        reply_field(cx, Some(slot), name);
        if let Some((_, Some(_))) = hash_ttl::look_up(cx.ks.view(slot), name) {
            slot = set_expire(cx.ks, slot, name, None);
            changed.push(name);
        }
    }
    finish_persist(cx, args.at(1), &changed);
}

fn expire(cx: &mut Ctx, args: &Args, fields: Fields, slot: Slot, when: i64) {
    let mut change = FieldChange::new(cx, when);
    let mut slot = Some(slot);
    for name in fields.names(args) {
        if reply_field(cx, slot, name)
            && let Some(at) = slot
        {
            slot = change.apply(cx, at, name);
        }
    }
    change.finish(cx, args.at(1), slot.is_none());
}

pub(super) const HGETDEL: Command = Command {
    name: "hgetdel",
    keys: &[KeySpec::one(&["RW", "access", "delete"])],
    summary: "Read fields and remove them",
    run: getdel,
    ..HGETEX
};

fn getdel(cx: &mut Ctx, args: &Args) -> Outcome {
    let fields = Fields::to_the_end(args)?;
    let key = args.at(1);
    let mut slot = cx.ks.write_kind(key, Kind::Hash)?;
    cx.reply.array(fields.count);
    let mut removed: Vec<&[u8]> = Vec::new();
    for name in fields.names(args) {
        if reply_field(cx, slot, name)
            && let Some(at) = slot
        {
            let (at, _) = remove_field(cx.ks, at, name);
            slot = Some(at).filter(|at| !cx.ks.view(*at).is_empty());
            if slot.is_none() {
                cx.ks.remove(at);
            }
            removed.push(name);
        }
    }
    if !removed.is_empty() {
        cx.ks
            .modified(EventClass::HASH, "hdel", key, removed.len() as u64);
        if slot.is_none() {
            cx.ks.notify(EventClass::GENERIC, "del", key);
        }
        cx.propagate(&with_names(&[b"HDEL", key], &removed));
    }
    Ok(())
}
