//! WAIT and WAITAOF: who has what this connection wrote. There are no replicas yet, so WAIT need not wait for anybody.

use crate::base::args::Args;
use crate::base::error::{self, Outcome};
use crate::call::blocking::{LOG_IS_OFF, deadline_ms, reply_log};
use crate::call::ctx::{Ctx, Durable};
use crate::call::spec::{Command, Flags, Group};
use crate::session::blocked::LogWait;

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
    args.int(1)?;
    deadline_ms(args.at(2), cx.ks.now_ms)?;
    cx.reply.int(0);
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
    let local = args.int_within(1, 0, 1)? == 1;
    let replicas = u64::try_from(args.int(2)?).map_err(|_| error::MUST_BE_POSITIVE)?;
    let deadline = deadline_ms(args.at(3), cx.ks.now_ms)?;
    let durable = cx.inst.log_durable();
    if local && durable == Durable::NoLog {
        return Err(LOG_IS_OFF);
    }
    let mark = cx.session.log_mark;
    let reached = replicas == 0 && (!local || durable.covers(mark));
    if reached || !cx.may_block() {
        reply_log(cx.reply, durable, mark);
    } else {
        let wait = LogWait {
            mark,
            local,
            replicas,
        };
        cx.wait_for_log(args, wait, deadline);
    }
    Ok(())
}
