//! DEL, UNLINK, EXISTS, TOUCH.

use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::Outcome;
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};

pub(super) const DEL: Command = Command {
    name: "del",
    group: Group::Generic,
    arity: -2,
    flags: Flags::WRITE,
    keys: &[KeySpec::range(1, -1, 1, &["RM", "delete"])],
    tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
    complexity: "O(N) where N is the number of keys that will be removed. Large values are freed in the background.",
    summary: "Delete keys",
    run: del,
    ..Command::BASE
};

pub(super) const UNLINK: Command = Command {
    name: "unlink",
    since: "4.0.0",
    flags: Flags::WRITE.and(Flags::FAST),
    summary: "Delete keys, freeing large values in the background",
    ..DEL
};

fn del(cx: &mut Ctx, args: &Args) -> Outcome {
    let mut deleted = 0;
    for key in args.iter_from(1) {
        if cx.ks.delete(key) {
            cx.ks.modified(EventClass::GENERIC, "del", key, 1);
            deleted += 1;
        }
    }
    cx.reply.int(deleted);
    Ok(())
}

pub(super) const EXISTS: Command = Command {
    name: "exists",
    group: Group::Generic,
    arity: -2,
    flags: Flags::READ.and(Flags::FAST),
    keys: &[KeySpec::range(1, -1, 1, &["RO"])],
    tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
    complexity: "O(N) where N is the number of keys to check.",
    summary: "Count how many of these keys exist",
    run: exists,
    ..Command::BASE
};

fn exists(cx: &mut Ctx, args: &Args) -> Outcome {
    let found = args
        .iter_from(1)
        .filter(|key| cx.ks.peek(key).is_some())
        .count();
    cx.reply.int(found as i64);
    Ok(())
}

fn touch(cx: &mut Ctx, args: &Args) -> Outcome {
    let found = args
        .iter_from(1)
        .filter(|key| cx.ks.read(key).is_some())
        .count();
    cx.reply.int(found as i64);
    Ok(())
}

pub(super) const TOUCH: Command = Command {
    name: "touch",
    since: "3.2.1",
    complexity: "O(N) where N is the number of keys that will be touched.",
    summary: "Refresh the access time of keys",
    run: touch,
    ..EXISTS
};
