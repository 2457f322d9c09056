//! WAIT: how many replicas have what this connection wrote. There are none yet, so nobody needs to be waited for.

use crate::command::Args;
use crate::command::blocking::deadline_ms;
use crate::command::ctx::Ctx;
use crate::command::error::Outcome;
use crate::command::spec::{Command, Group};

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
