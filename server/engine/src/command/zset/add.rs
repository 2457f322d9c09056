//! ZADD and ZINCRBY.

use super::store;
use crate::base::effect::EventClass;
use crate::command::Args;
use crate::command::ctx::Ctx;
use crate::command::error::{self, Error, Outcome};
use crate::command::spec::{Command, Flags, Group, KeySpec};
use crate::structure::table::Slot;
use crate::value::{Kind, zset};

pub(super) const ZADD: Command = Command {
    name: "zadd",
    group: Group::SortedSet,
    since: "1.2.0",
    arity: -4,
    flags: Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
    keys: &[KeySpec::one(&["RW", "update"])],
    complexity: "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
    summary: "Add members with scores, or change scores",
    run: |cx, args| {
        let options = Options::parse(args)?;
        add(cx, args, options)
    },
    ..Command::BASE
};

pub(super) const ZINCRBY: Command = Command {
    name: "zincrby",
    arity: 4,
    keys: &[KeySpec::one(&["RW", "access", "update"])],
    complexity: "O(log(N)) where N is the number of elements in the sorted set.",
    summary: "Add to the score of a member",
    run: |cx, args| {
        add(
            cx,
            args,
            Options {
                incr: true,
                first: 2,
                ..Options::default()
            },
        )
    },
    ..ZADD
};

#[derive(Clone, Copy, Default)]
struct Options {
    if_absent: bool,
    if_present: bool,
    if_greater: bool,
    if_less: bool,
    changed: bool,
    incr: bool,
    /// Argument of the first score.
    first: usize,
}

impl Options {
    fn parse(args: &Args) -> Result<Options, Error> {
        let mut o = Options {
            first: 2,
            ..Options::default()
        };
        while o.first < args.len() {
            let i = o.first;
            match () {
                () if args.is(i, "nx") => o.if_absent = true,
                () if args.is(i, "xx") => o.if_present = true,
                () if args.is(i, "gt") => o.if_greater = true,
                () if args.is(i, "lt") => o.if_less = true,
                () if args.is(i, "ch") => o.changed = true,
                () if args.is(i, "incr") => o.incr = true,
                () => break,
            }
            o.first += 1;
        }
        let words = args.len() - o.first;
        if words == 0 || !words.is_multiple_of(2) {
            return Err(error::SYNTAX);
        }
        if o.if_absent && o.if_present {
            return Err(Error::new(
                "ERR XX and NX options at the same time are not compatible",
            ));
        }
        if (o.if_greater && (o.if_absent || o.if_less)) || (o.if_less && o.if_absent) {
            return Err(Error::new(
                "ERR GT, LT, and/or NX options at the same time are not compatible",
            ));
        }
        if o.incr && words > 2 {
            return Err(Error::new(
                "ERR INCR option supports a single increment-element pair",
            ));
        }
        Ok(o)
    }

    /// Whether a member of score `old` takes `new`.
    fn allow(&self, old: Option<f64>, new: f64) -> bool {
        match old {
            None => !self.if_present,
            Some(old) => {
                !(self.if_absent || self.if_greater && new <= old || self.if_less && new >= old)
            }
        }
    }
}

/// What became of one pair.
enum Done {
    Added(f64),
    Updated(f64),
    Same(f64),
    Refused,
}

fn add(cx: &mut Ctx, args: &Args, options: Options) -> Outcome {
    let key = args.at(1);
    // All scores are read before anything changes.
    for i in (options.first..args.len()).step_by(2) {
        args.float(i)?;
    }
    let slot = cx.ks.write_kind(key, Kind::Zset)?;
    if slot.is_none() && options.if_present {
        if options.incr {
            cx.reply.null()
        } else {
            cx.reply.int(0)
        }
        return Ok(());
    }
    let mut slot = match slot {
        Some(slot) => slot,
        None => store::open(cx.ks, key, args.at(options.first + 1))?,
    };
    let (mut added, mut updated, mut last) = (0, 0, Done::Refused);
    for i in (options.first..args.len()).step_by(2) {
        (slot, last) = match put(cx, slot, options, args.float(i)?, args.at(i + 1)) {
            Ok(done) => done,
            Err(failure) => {
                finish(cx, slot, key, added + updated, options.incr);
                return Err(failure);
            }
        };
        match last {
            Done::Added(_) => added += 1,
            Done::Updated(_) => updated += 1,
            Done::Same(_) | Done::Refused => {}
        }
    }
    finish(cx, slot, key, added + updated, options.incr);
    match last {
        Done::Refused if options.incr => cx.reply.null(),
        Done::Added(score) | Done::Updated(score) | Done::Same(score) if options.incr => {
            cx.reply.double(score)
        }
        _ => cx.reply.int(
            (if options.changed {
                added + updated
            } else {
                added
            }) as i64,
        ),
    }
    Ok(())
}

fn put(
    cx: &mut Ctx,
    slot: Slot,
    options: Options,
    given: f64,
    member: &[u8],
) -> Result<(Slot, Done), Error> {
    let old = zset::score(cx.ks.view(slot), member);
    let new = if options.incr {
        old.unwrap_or(0.0) + given
    } else {
        given
    };
    if new.is_nan() {
        return Err(Error::new("ERR resulting score is not a number (NaN)"));
    }
    if !options.allow(old, new) {
        return Ok((slot, Done::Refused));
    }
    if old == Some(new) {
        return Ok((slot, Done::Same(new)));
    }
    let slot = store::put(cx.ks, slot, member, new, old.is_some());
    Ok((
        slot,
        if old.is_some() {
            Done::Updated(new)
        } else {
            Done::Added(new)
        },
    ))
}

/// Notes the changes; a set that stayed empty goes again.
fn finish(cx: &mut Ctx, slot: Slot, key: &[u8], changes: u64, incr: bool) {
    if cx.ks.view(slot).count() == 0 {
        cx.ks.remove(slot);
    }
    if changes > 0 {
        cx.ks.modified(
            EventClass::ZSET,
            if incr { "zincr" } else { "zadd" },
            key,
            changes,
        );
    }
}
