//! WAIT and WAITAOF: who has what this connection wrote.

use crate::base::args::Args;
use crate::base::error::{self, Error, Outcome};
use crate::call::blocking::{Held, LOG_IS_OFF, deadline_ms};
use crate::call::ctx::{Ctx, Durable};
use crate::call::spec::{Command, Flags, Group};
use crate::session::blocked::{HeldWait, Place};

pub(super) const WAIT: Command = Command {
    name: "wait",
    group: Group::Generic,
    since: "3.0.0",
    arity: 3,
    categories: Some(&["@connection"]),
    tips: &["request_policy:all_shards", "response_policy:agg_min"],
    summary: "Wait until so many replicas have what was written before",
    run: wait,
    ..Command::BASE
};

fn wait(cx: &mut Ctx, args: &Args) -> Outcome {
    if cx.shared.gate.replica.is_some() {
        return Err(Error::new(
            "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is configured to be writable (which is not the default) writes to replicas are just local and are not propagated.",
        ));
    }
    // Less than one is no wait at all.
    let replicas = u64::try_from(args.int(1)?).unwrap_or(0);
    let deadline = deadline_ms(args.at(2), cx.ks.now_ms)?;
    let place = Place::Memory;
    held(cx, args, replicas, place, deadline)
}

/// Answers at once if that suffices, or nothing else is possible.
fn held(cx: &mut Ctx, args: &Args, replicas: u64, place: Place, deadline: Option<i64>) -> Outcome {
    let mark = cx.session.log_mark;
    let wait = HeldWait {
        mark,
        replicas,
        place,
    };
    let held = Held::of(mark, cx.inst);
    if held.suffices(&wait) || !cx.may_block() {
        held.reply(cx.reply, &wait);
    } else {
        cx.wait_held(args, wait, deadline);
    }
    Ok(())
}

pub(super) const WAITAOF: Command = Command {
    name: "waitaof",
    since: "7.2.0",
    arity: 4,
    flags: Flags::NO_SCRIPT,
    summary: "Wait until what was written before is on the disk, here and at so many replicas",
    run: wait_for_log,
    ..WAIT
};

fn wait_for_log(cx: &mut Ctx, args: &Args) -> Outcome {
    if cx.shared.gate.replica.is_some() {
        return Err(Error::new(
            "ERR WAITAOF cannot be used with replica instances. Please also note that writes to replicas are just local and are not propagated.",
        ));
    }
    let local = args.int_within(1, 0, 1)? == 1;
    let replicas = u64::try_from(args.int(2)?).map_err(|_| error::MUST_BE_POSITIVE)?;
    let deadline = deadline_ms(args.at(3), cx.ks.now_ms)?;
    if local && cx.inst.log_durable() == Durable::NoLog {
        return Err(LOG_IS_OFF);
    }
    held(cx, args, replicas, Place::Disk { local }, deadline)
}
