//! Changing hashes: HSET, HMSET, HSETNX, HDEL, HINCRBY, HINCRBYFLOAT.

use super::store::{open, remove_field, set_field};
use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::{self, Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::commands::members;
use crate::commands::string::sum_text;
use crate::keyspace::Named;
use crate::value::hash_ttl::{self, Ttl};
use crate::value::{Kind, hash};
use cairn_format::text::long_double::LongDouble;
use cairn_format::text::number::I64Text;

const WRITE_FAST: Flags = Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST);

pub(super) const HSET: Command = Command {
    name: "hset",
    group: Group::Hash,
    since: "2.0.0",
    arity: -4,
    flags: WRITE_FAST,
    keys: &[KeySpec::one(&["RW", "update"])],
    complexity: "O(1) for each field/value pair added, so O(N) to add N field/value pairs when the command is called with multiple field/value pairs.",
    summary: "Set fields",
    run: |cx, args| {
        let created = set_pairs(cx, args)?;
        cx.reply.int(created as i64);
        Ok(())
    },
    ..Command::BASE
};

pub(super) const HMSET: Command = Command {
    name: "hmset",
    complexity: "O(N) where N is the number of fields being set.",
    run: |cx, args| {
        set_pairs(cx, args)?;
        cx.reply.ok();
        Ok(())
    },
    ..HSET
};

fn set_pairs(cx: &mut Ctx, args: &Args) -> Result<usize, Error> {
    if !args.len().is_multiple_of(2) {
        return Err(error::wrong_arity(cx.command.spec.name));
    }
    let key = args.at(1);
    let mut slot = open(cx.ks, key)?;
    let mut created = 0;
    let mut fields = Named::new(args, 2, 2);
    while let Some(i) = fields.next(cx.ks, slot) {
        let new;
        (slot, new) = set_field(cx.ks, slot, args.at(i), args.at(i + 1), Ttl::Set(None));
        created += usize::from(new);
    }
    debug_assert!(
        cx.ks.view(slot).count() >= created.max(1),
        "what was set is there"
    );
    cx.ks
        .modified(EventClass::HASH, "hset", key, (args.len() as u64 - 2) / 2);
    Ok(created)
}

pub(super) const HSETNX: Command = Command {
    name: "hsetnx",
    arity: 4,
    keys: &[KeySpec::one(&["RW", "insert"])],
    complexity: "O(1)",
    summary: "Set a field if it does not exist",
    run: hsetnx,
    ..HSET
};

fn hsetnx(cx: &mut Ctx, args: &Args) -> Outcome {
    let (key, field) = (args.at(1), args.at(2));
    let slot = cx.ks.write_kind(key, Kind::Hash)?;
    let absent = slot.is_none_or(|slot| hash::get(cx.ks.view(slot), field).is_none());
    if absent {
        let slot = open(cx.ks, key)?;
        set_field(cx.ks, slot, field, args.at(3), Ttl::Keep);
        cx.ks.modified(EventClass::HASH, "hset", key, 1);
    }
    cx.reply.int(i64::from(absent));
    Ok(())
}

pub(super) const HDEL: Command = Command {
    name: "hdel",
    arity: -3,
    flags: Flags::WRITE.and(Flags::FAST),
    keys: &[KeySpec::one(&["RW", "delete"])],
    complexity: "O(N) where N is the number of fields to be removed.",
    summary: "Remove fields",
    run: |cx, args| {
        members::remove(
            cx,
            args,
            Kind::Hash,
            (EventClass::HASH, "hdel"),
            remove_field,
        )
    },
    ..HSET
};

pub(super) const HINCRBY: Command = Command {
    name: "hincrby",
    arity: 4,
    keys: &[KeySpec::one(&["RW", "access", "update"])],
    complexity: "O(1)",
    summary: "Add to the integer in a field",
    run: hincrby,
    ..HSET
};

fn hincrby(cx: &mut Ctx, args: &Args) -> Outcome {
    let (key, field, by) = (args.at(1), args.at(2), args.int(3)?);
    let slot = cx.ks.write_kind(key, Kind::Hash)?;
    let old = match slot.and_then(|slot| hash::get(cx.ks.view(slot), field)) {
        Some(value) => value
            .as_int()
            .ok_or(Error::new("ERR hash value is not an integer"))?,
        None => 0,
    };
    let new = old.checked_add(by).ok_or(error::OVERFLOW)?;
    let slot = open(cx.ks, key)?;
    set_field(cx.ks, slot, field, I64Text::new().format(new), Ttl::Keep);
    cx.ks.modified(EventClass::HASH, "hincrby", key, 1);
    cx.reply.int(new);
    Ok(())
}

pub(super) const HINCRBYFLOAT: Command = Command {
    name: "hincrbyfloat",
    since: "2.6.0",
    summary: "Add to the floating point number in a field",
    run: hincrbyfloat,
    ..HINCRBY
};

fn hincrbyfloat(cx: &mut Ctx, args: &Args) -> Outcome {
    let (key, field) = (args.at(1), args.at(2));
    let by = LongDouble::parse(args.at(3)).ok_or(error::NOT_FLOAT)?;
    if !by.is_finite() {
        return Err(Error::new("ERR value is NaN or Infinity"));
    }
    let slot = cx.ks.write_kind(key, Kind::Hash)?;
    let old = slot.and_then(|slot| hash_ttl::look_up(cx.ks.view(slot), field));
    let expires = old.is_some_and(|(_, expire)| expire.is_some());
    let old = match old {
        Some((value, _)) => LongDouble::parse(&value.to_bytes())
            .ok_or(Error::new("ERR hash value is not a float"))?,
        None => LongDouble::ZERO,
    };
    let text = sum_text(old, by)?;
    let slot = open(cx.ks, key)?;
    set_field(cx.ks, slot, field, &text, Ttl::Keep);
    cx.ks.modified(EventClass::HASH, "hincrbyfloat", key, 1);
    // Another machine might round otherwise. HSET would take the expiry away.
    if expires {
        cx.propagate(&[b"HSETEX", key, b"KEEPTTL", b"FIELDS", b"1", field, &text]);
    } else {
        cx.propagate(&[b"HSET", key, field, &text]);
    }
    cx.reply.bulk(&text);
    Ok(())
}
