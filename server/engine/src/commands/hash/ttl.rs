//! HEXPIRE and its relatives: fields get an expiry. Replies, texts and order of the checks as Redis 8.

use super::store::{remove_field, set_expire};
use super::ttl_args::{Fields, Unit, unknown};
use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::{Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::structure::table::Slot;
use crate::value::{Kind, hash_ttl};

pub(super) const HEXPIRE: Command = Command {
    name: "hexpire",
    group: Group::Hash,
    since: "7.4.0",
    arity: -6,
    flags: Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
    keys: &[KeySpec::one(&["RW", "update"])],
    complexity: "O(N) where N is the number of specified fields",
    summary: "Let fields expire in so many seconds",
    run: |cx, args| expire(cx, args, true, false),
    ..Command::BASE
};

pub(super) const HPEXPIRE: Command = Command {
    name: "hpexpire",
    summary: "Let fields expire in so many milliseconds",
    run: |cx, args| expire(cx, args, false, false),
    ..HEXPIRE
};

pub(super) const HEXPIREAT: Command = Command {
    name: "hexpireat",
    summary: "Let fields expire at a Unix time in seconds",
    run: |cx, args| expire(cx, args, true, true),
    ..HEXPIRE
};

pub(super) const HPEXPIREAT: Command = Command {
    name: "hpexpireat",
    summary: "Let fields expire at a Unix time in milliseconds",
    run: |cx, args| expire(cx, args, false, true),
    ..HEXPIRE
};

/// When a field's expiry may be set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Always,
    None,
    Some,
    Later,
    Earlier,
}

impl Condition {
    fn named(args: &Args, i: usize) -> Option<Condition> {
        match () {
            () if args.is(i, "nx") => Some(Condition::None),
            () if args.is(i, "xx") => Some(Condition::Some),
            () if args.is(i, "gt") => Some(Condition::Later),
            () if args.is(i, "lt") => Some(Condition::Earlier),
            () => None,
        }
    }

    /// No expiry counts as an infinitely late one.
    fn holds(self, current: Option<i64>, when: i64) -> bool {
        match self {
            Condition::Always => true,
            Condition::None => current.is_none(),
            Condition::Some => current.is_some(),
            Condition::Later => current.is_some_and(|at| when > at),
            Condition::Earlier => current.is_none_or(|at| when < at),
        }
    }
}

fn parse(args: &Args) -> Result<(Condition, Fields), Error> {
    let (mut condition, mut fields) = (Condition::Always, None);
    let mut i = 3;
    while i < args.len() {
        if let Some(named) = Condition::named(args, i) {
            if condition != Condition::Always {
                return Err(Error::new("ERR Multiple condition flags specified"));
            }
            condition = named;
            i += 1;
        } else if args.is(i, "fields") && fields.is_none() {
            let few = "ERR Parameter `numFields` should be greater than 0";
            let found = Fields::among_options(args, i, 1, few)?;
            i = found.end();
            fields = Some(found);
        } else {
            return Err(unknown(args.at(i)));
        }
    }
    let missing = Error::new("ERR missing FIELDS argument");
    Ok((condition, fields.ok_or(missing)?))
}

fn expire(cx: &mut Ctx, args: &Args, seconds: bool, absolute: bool) -> Outcome {
    let key = args.at(1);
    let slot = cx.ks.write_kind(key, Kind::Hash)?;
    let unit = Unit { seconds, absolute };
    let when = unit.when(cx, args, 2, cx.command.spec.name)?;
    let (condition, fields) = parse(args)?;
    cx.reply.array(fields.count);
    let mut change = FieldChange::new(cx, when);
    let mut slot = slot;
    for name in fields.names(args) {
        let current = slot.and_then(|slot| hash_ttl::look_up(cx.ks.view(slot), name));
        let result = match (slot, current) {
            (Some(at), Some((_, current))) if condition.holds(current, when) => {
                slot = change.apply(cx, at, name);
                if change.deletes { 2 } else { 1 }
            }
            (Some(_), Some(_)) => 0,
            _ => -2,
        };
        cx.reply.int(result);
    }
    change.finish(cx, key, slot.is_none());
    Ok(())
}

/// The same expiry for several fields, or their end if its time has come already.
pub(super) struct FieldChange<'a> {
    when: i64,
    /// The time is past: fields are removed instead.
    pub deletes: bool,
    names: Vec<&'a [u8]>,
}

impl<'a> FieldChange<'a> {
    /// A log that is replayed keeps what has expired since: its HDEL comes by itself.
    pub fn new(cx: &Ctx, when: i64) -> FieldChange<'a> {
        FieldChange {
            when,
            deletes: when <= cx.ks.now_ms && !cx.session.applies(),
            names: Vec::new(),
        }
    }

    /// Changes a field that is there. Answers the hash if anything is left of it.
    pub fn apply(&mut self, cx: &mut Ctx, slot: Slot, name: &'a [u8]) -> Option<Slot> {
        self.names.push(name);
        if !self.deletes {
            return Some(set_expire(cx.ks, slot, name, Some(self.when)));
        }
        let (slot, _) = remove_field(cx.ks, slot, name);
        if !cx.ks.view(slot).is_empty() {
            return Some(slot);
        }
        cx.ks.remove(slot);
        None
    }

    /// Tells the world.
    pub fn finish(self, cx: &mut Ctx, key: &[u8], emptied: bool) {
        let count = self.names.len();
        if count == 0 {
            return;
        }
        if self.deletes {
            cx.ks.stats.expired_fields += count as u64;
            cx.ks.modified(EventClass::HASH, "hdel", key, count as u64);
            if emptied {
                cx.ks.notify(EventClass::GENERIC, "del", key);
            }
            cx.propagate(&with_names(&[b"HDEL", key], &self.names));
            return;
        }
        cx.ks
            .modified(EventClass::HASH, "hexpire", key, count as u64);
        let (when, count) = (self.when.to_string(), count.to_string());
        let head: [&[u8]; 5] = [
            b"HPEXPIREAT",
            key,
            when.as_bytes(),
            b"FIELDS",
            count.as_bytes(),
        ];
        cx.propagate(&with_names(&head, &self.names));
    }
}

/// A command with names behind it.
pub(super) fn with_names<'a>(head: &[&'a [u8]], names: &[&'a [u8]]) -> Vec<&'a [u8]> {
    [head, names].concat()
}
