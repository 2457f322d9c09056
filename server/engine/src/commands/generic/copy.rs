//! COPY: a second key with the same value.

use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::{self, Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::keyspace::copied::Copied;

pub(super) const COPY: Command = Command {
    name: "copy",
    group: Group::Generic,
    since: "6.2.0",
    arity: -3,
    flags: Flags::WRITE.and(Flags::DENY_OOM),
    keys: &[
        KeySpec::one(&["RO", "access"]),
        KeySpec::at(2, &["OW", "update"]),
    ],
    complexity: "O(N) worst case for collections, where N is the number of nested items. O(1) for string values.",
    summary: "Copy a value to another key",
    run: copy,
    ..Command::BASE
};

fn copy(cx: &mut Ctx, args: &Args) -> Outcome {
    let (from, to) = (args.at(1), args.at(2));
    let here = cx.ks.selected();
    let (target, replace) = parse(cx, args)?;
    if here == target && from == to {
        return Err(Error::new(
            "ERR source and destination objects are the same",
        ));
    }
    let Some(slot) = cx.ks.read(from) else {
        cx.reply.int(0);
        return Ok(());
    };
    let (copied, expire) = (Copied::of(cx.ks, slot), cx.ks.expire_at(slot));
    cx.ks.select(target);
    let old = cx.ks.write(to);
    let done = old.is_none() || replace;
    if done {
        if let Some(slot) = old {
            cx.ks.remove(slot);
        }
        copied.add_to(cx.ks, to, expire);
        cx.ks.modified(EventClass::GENERIC, "copy_to", to, 1);
    }
    cx.ks.select(here);
    cx.reply.int(i64::from(done));
    Ok(())
}

/// The database of the copy, and whether it may replace.
fn parse(cx: &Ctx, args: &Args) -> Result<(usize, bool), Error> {
    let (mut target, mut replace) = (cx.ks.selected(), false);
    let mut i = 3;
    while i < args.len() {
        if args.is(i, "replace") {
            replace = true;
        } else if args.is(i, "db") && i + 1 < args.len() {
            let index = args.int_within(i + 1, i64::from(i32::MIN), i64::from(i32::MAX))?;
            let db = usize::try_from(index)
                .ok()
                .filter(|db| *db < cx.ks.databases())
                .ok_or(error::DB_INDEX)?;
            if !cx.ks.has_slots() {
                target = db;
            }
            i += 1;
        } else {
            return Err(error::SYNTAX);
        }
        i += 1;
    }
    Ok((target, replace))
}
