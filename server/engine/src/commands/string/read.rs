//! GET, MGET, GETDEL, GETEX.

use super::{delete_key, reply_string, set::ExpireOption};
use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::{self, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::keyspace::AHEAD;
use crate::value::Kind;

const READ_FAST: Flags = Flags::READ.and(Flags::FAST);

pub(super) const GET: Command = Command {
    name: "get",
    group: Group::String,
    arity: 2,
    flags: READ_FAST,
    keys: &[KeySpec::one(&["RO", "access"])],
    summary: "Read the string stored at a key",
    run: get,
    ..Command::BASE
};

fn get(cx: &mut Ctx, args: &Args) -> Outcome {
    match cx.ks.read(args.at(1)) {
        Some(slot) => reply_string(cx.reply, cx.ks.view(slot)),
        None => {
            cx.reply.null();
            Ok(())
        }
    }
}

pub(super) const MGET: Command = Command {
    name: "mget",
    group: Group::String,
    arity: -2,
    flags: READ_FAST,
    keys: &[KeySpec::range(1, -1, 1, &["RO", "access"])],
    tips: &["request_policy:multi_shard"],
    complexity: "O(N) where N is the number of keys to retrieve.",
    summary: "Read the strings stored at several keys",
    run: mget,
    ..Command::BASE
};

fn mget(cx: &mut Ctx, args: &Args) -> Outcome {
    cx.reply.array(args.len() - 1);
    for from in (1..args.len()).step_by(AHEAD) {
        let batch = from..args.len().min(from + AHEAD);
        cx.ks.fetch_ahead(batch.clone().map(|i| args.at(i)));
        for i in batch {
            match cx.ks.read(args.at(i)) {
                Some(slot) if cx.ks.kind(slot) == Kind::String => {
                    reply_string(cx.reply, cx.ks.view(slot))?
                }
                _ => cx.reply.null(),
            }
        }
    }
    Ok(())
}

pub(super) const GETDEL: Command = Command {
    name: "getdel",
    group: Group::String,
    since: "6.2.0",
    arity: 2,
    flags: Flags::WRITE.and(Flags::FAST),
    keys: &[KeySpec::one(&["RW", "access", "delete"])],
    summary: "Read a string and delete its key",
    run: getdel,
    ..Command::BASE
};

fn getdel(cx: &mut Ctx, args: &Args) -> Outcome {
    let key = args.at(1);
    let Some(slot) = cx.ks.read_kind(key, Kind::String)? else {
        cx.reply.null();
        return Ok(());
    };
    reply_string(cx.reply, cx.ks.view(slot))?;
    delete_key(cx.ks, slot, key);
    cx.propagate(&[b"DEL", key]);
    Ok(())
}

pub(super) const GETEX: Command = Command {
    name: "getex",
    group: Group::String,
    since: "6.2.0",
    arity: -2,
    flags: Flags::WRITE.and(Flags::FAST),
    keys: &[
        KeySpec::one(&["RW", "access", "update"]).note("RW and UPDATE because it changes the TTL")
    ],
    summary: "Read a string and change its expiry",
    run: getex,
    ..Command::BASE
};

enum Expiry {
    Keep,
    Persist,
    At(ExpireOption),
}

fn getex(cx: &mut Ctx, args: &Args) -> Outcome {
    let key = args.at(1);
    let expiry = match args.len() {
        2 => Expiry::Keep,
        3 if args.is(2, "persist") => Expiry::Persist,
        4 => Expiry::At(ExpireOption::named(args, 2).ok_or(error::SYNTAX)?),
        _ => return Err(error::SYNTAX),
    };
    let Some(slot) = cx.ks.read_kind(key, Kind::String)? else {
        cx.reply.null();
        return Ok(());
    };
    let when = match &expiry {
        Expiry::At(option) => Some(option.when(args, cx.ks.now_ms, "getex")?),
        _ => None,
    };
    reply_string(cx.reply, cx.ks.view(slot))?;
    match (expiry, when) {
        (Expiry::At(_), Some(when)) if when <= cx.ks.now_ms => {
            delete_key(cx.ks, slot, key);
            cx.propagate(&[b"DEL", key]);
        }
        (_, Some(when)) => {
            cx.ks.set_expire(slot, Some(when));
            cx.ks.modified(EventClass::GENERIC, "expire", key, 1);
            cx.propagate(&[b"PEXPIREAT", key, when.to_string().as_bytes()]);
        }
        (Expiry::Persist, None) if cx.ks.expire_at(slot).is_some() => {
            cx.ks.set_expire(slot, None);
            cx.ks.modified(EventClass::GENERIC, "persist", key, 1);
            cx.propagate(&[b"PERSIST", key]);
        }
        _ => {}
    }
    Ok(())
}
