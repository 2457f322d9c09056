//! ZADD and ZINCRBY.

use super::store;
use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::{self, Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::keyspace::Named;
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

    /// What becomes of a member of score `old` for which `given` came.
    #[inline]
    fn decide(&self, old: Option<f64>, given: f64) -> Done {
        let new = if self.incr {
            old.unwrap_or(0.0) + given
        } else {
            given
        };
        if new.is_nan() {
            return Done::NotANumber;
        }
        match old {
            None if self.if_present => Done::Refused,
            None => Done::Added(new),
            Some(old)
                if self.if_absent
                    || self.if_greater && new <= old
                    || self.if_less && new >= old =>
            {
                Done::Refused
            }
            Some(old) if old == new => Done::Same(new),
            Some(_) => Done::Updated(new),
        }
    }
}

/// What became of one pair.
#[derive(Clone, Copy)]
enum Done {
    Added(f64),
    Updated(f64),
    Same(f64),
    Refused,
    NotANumber,
}

impl Done {
    /// The score to write, if one is.
    #[inline]
    fn score(self) -> Option<f64> {
        match self {
            Done::Added(score) | Done::Updated(score) => Some(score),
            Done::Same(_) | Done::Refused | Done::NotANumber => None,
        }
    }
}

fn add(cx: &mut Ctx, args: &Args, options: Options) -> Outcome {
    let key = args.at(1);
    // All scores are read before anything changes; the first is often the only one.
    let first = args.float(options.first)?;
    for i in (options.first + 2..args.len()).step_by(2) {
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
    // Without XX the first pair always enters a new set, so none is made for nothing.
    let mut slot = match slot {
        Some(slot) => slot,
        None => store::open(cx.ks, key, args.at(options.first + 1))?,
    };
    let (mut added, mut updated, mut last) = (0, 0, Done::Refused);
    let mut members = Named::new(args, options.first + 1, 2);
    while let Some(i) = members.next(cx.ks, slot) {
        let given = if i == options.first + 1 {
            first
        } else {
            args.float(i - 1)?
        };
        (slot, last) = put(cx, slot, options, given, args.at(i));
        match last {
            Done::Added(_) => added += 1,
            Done::Updated(_) => updated += 1,
            Done::Same(_) | Done::Refused => {}
            Done::NotANumber => break,
        }
    }
    let changes = added + updated;
    if changes > 0 {
        let event = if options.incr { "zincr" } else { "zadd" };
        cx.ks.modified(EventClass::ZSET, event, key, changes);
    }
    match last {
        Done::NotANumber => {
            return Err(Error::new("ERR resulting score is not a number (NaN)"));
        }
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

fn put(cx: &mut Ctx, slot: Slot, options: Options, given: f64, member: &[u8]) -> (Slot, Done) {
    if let Some(ranked) = store::ranked(cx.ks, slot) {
        let mut done = Done::Refused;
        ranked.put_with(member, |old| {
            done = options.decide(old, given);
            done.score()
        });
        return (slot, done);
    }
    let old = zset::score(cx.ks.view(slot), member);
    let done = options.decide(old, given);
    let slot = match done.score() {
        Some(score) => store::put(cx.ks, slot, member, score, old.is_some()),
        None => slot,
    };
    (slot, done)
}
