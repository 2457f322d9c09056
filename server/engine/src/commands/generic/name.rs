//! Names and places of keys: TYPE, RENAME, MOVE, RANDOMKEY.

use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::{self, Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};

pub(super) const TYPE: Command = Command {
    name: "type",
    group: Group::Generic,
    arity: 2,
    flags: Flags::READ.and(Flags::FAST),
    keys: &[KeySpec::one(&["RO"])],
    summary: "Name the type of the value at a key",
    run: type_of,
    ..Command::BASE
};

fn type_of(cx: &mut Ctx, args: &Args) -> Outcome {
    let name = cx
        .ks
        .peek(args.at(1))
        .map_or("none", |slot| cx.ks.kind(slot).name());
    cx.reply.simple(name);
    Ok(())
}

pub(super) const RENAME: Command = Command {
    name: "rename",
    group: Group::Generic,
    arity: 3,
    flags: Flags::WRITE,
    keys: &[
        KeySpec::one(&["RW", "access", "delete"]),
        KeySpec::at(2, &["OW", "update"]),
    ],
    summary: "Give a key another name, replacing what had it",
    run: |cx, args| rename(cx, args, true),
    ..Command::BASE
};

pub(super) const RENAMENX: Command = Command {
    name: "renamenx",
    flags: Flags::WRITE.and(Flags::FAST),
    keys: &[
        KeySpec::one(&["RW", "access", "delete"]),
        KeySpec::at(2, &["OW", "insert"]),
    ],
    summary: "Give a key another name if nothing has it",
    run: |cx, args| rename(cx, args, false),
    ..RENAME
};

fn rename(cx: &mut Ctx, args: &Args, replace: bool) -> Outcome {
    let (from, to) = (args.at(1), args.at(2));
    cx.ks.write(from).ok_or(error::NO_SUCH_KEY)?;
    if from == to {
        if replace {
            cx.reply.ok()
        } else {
            cx.reply.int(0)
        }
        return Ok(());
    }
    let target = cx.ks.write(to);
    if target.is_some() && !replace {
        cx.reply.int(0);
        return Ok(());
    }
    if let Some(slot) = target {
        // Redis publishes no `del` for what is overwritten here.
        cx.ks.remove(slot);
    }
    cx.ks.rename(from, to);
    debug_assert!(cx.ks.is_free(from) && !cx.ks.is_free(to), "another name");
    cx.ks.notify(EventClass::NEW, "new", to);
    cx.ks.changed(from, 1);
    cx.ks.changed(to, 0);
    cx.ks.notify(EventClass::GENERIC, "rename_from", from);
    cx.ks.notify(EventClass::GENERIC, "rename_to", to);
    if replace {
        cx.reply.ok()
    } else {
        cx.reply.int(1)
    }
    Ok(())
}

pub(super) const MOVE: Command = Command {
    name: "move",
    group: Group::Generic,
    arity: 3,
    flags: Flags::WRITE.and(Flags::FAST),
    keys: &[KeySpec::one(&["RW", "access", "update"])],
    summary: "Move a key to another database",
    run: move_key,
    ..Command::BASE
};

fn move_key(cx: &mut Ctx, args: &Args) -> Outcome {
    if cx.ks.has_slots() {
        return Err(Error::new("ERR MOVE is not allowed in cluster mode"));
    }
    let key = args.at(1);
    let from = cx.ks.selected();
    let index = args
        .get(2)
        .and_then(cairn_format::text::number::parse_i64)
        .ok_or(error::NOT_INTEGER)?;
    let to = usize::try_from(index)
        .ok()
        .filter(|i| *i < cx.ks.databases())
        .ok_or(error::DB_INDEX)?;
    if from == to {
        return Err(Error::new(
            "ERR source and destination objects are the same",
        ));
    }
    let moved = cx.ks.write(key).is_some() && cx.ks.move_to(key, to);
    debug_assert!(!moved || cx.ks.is_free(key), "it is elsewhere now");
    if moved {
        cx.ks.changed(key, 1);
        cx.ks.touch_watchers(to, key);
        cx.ks.notify_in(to, EventClass::NEW, "new", key);
        cx.ks.notify(EventClass::GENERIC, "move_from", key);
        cx.ks.notify_in(to, EventClass::GENERIC, "move_to", key);
    }
    cx.reply.int(i64::from(moved));
    Ok(())
}

pub(super) const RANDOMKEY: Command = Command {
    name: "randomkey",
    group: Group::Generic,
    arity: 1,
    flags: Flags::READ,
    tips: &[
        "request_policy:all_shards",
        "response_policy:special",
        "nondeterministic_output",
    ],
    summary: "Pick any key",
    run: random_key,
    ..Command::BASE
};

fn random_key(cx: &mut Ctx, _: &Args) -> Outcome {
    let key = cx.ks.random_key();
    cx.ends_independently();
    match key {
        Some(key) => cx.reply.bulk(&key),
        None => cx.reply.null(),
    }
    Ok(())
}
