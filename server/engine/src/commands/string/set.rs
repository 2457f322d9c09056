//! SET and the expiry options that it shares with GETEX.

use super::condition::Condition;
use super::reply_string;
use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::{self, Error, Outcome, WRONG_TYPE};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::keyspace::AHEAD;
use crate::value::{Kind, NewValue};

/// One of EX, PX, EXAT, PXAT, with its number still as text.
#[derive(Clone, Copy, Debug)]
pub struct ExpireOption {
    /// The number counts seconds, not milliseconds.
    pub seconds: bool,
    /// The number is a Unix time, not a duration.
    pub absolute: bool,
    /// Index of the number among the arguments.
    pub at: usize,
}

impl ExpireOption {
    /// The option that argument `i` names, if it does.
    pub fn named(args: &Args, i: usize) -> Option<ExpireOption> {
        let (seconds, absolute) = match args.get(i)? {
            w if w.eq_ignore_ascii_case(b"ex") => (true, false),
            w if w.eq_ignore_ascii_case(b"px") => (false, false),
            w if w.eq_ignore_ascii_case(b"exat") => (true, true),
            w if w.eq_ignore_ascii_case(b"pxat") => (false, true),
            _ => return None,
        };
        Some(ExpireOption {
            seconds,
            absolute,
            at: i + 1,
        })
    }

    fn unit(&self) -> (bool, bool) {
        (self.seconds, self.absolute)
    }

    /// The moment of expiry in wall milliseconds; `ERR invalid expire time` if it is not positive or overflows.
    pub fn when(&self, args: &Args, now_ms: i64, command: &str) -> Result<i64, Error> {
        let number = args.int(self.at)?;
        let invalid = || error::invalid_expire(command);
        if number <= 0 {
            return Err(invalid());
        }
        let ms = if self.seconds {
            number.checked_mul(1000).ok_or_else(invalid)?
        } else {
            number
        };
        if self.absolute {
            Ok(ms)
        } else {
            ms.checked_add(now_ms).ok_or_else(invalid)
        }
    }
}

pub(super) const SET: Command = Command {
    name: "set",
    group: Group::String,
    arity: -3,
    flags: Flags::WRITE.and(Flags::DENY_OOM),
    keys: &[KeySpec::one(&["RW", "access", "update", "variable_flags"])
        .note("RW and ACCESS due to the optional `GET` argument")],
    summary: "Store a string at a key, whatever it held",
    run: set,
    ..Command::BASE
};

#[derive(Clone, Copy, Default)]
struct Options {
    if_absent: bool,
    if_present: bool,
    get: bool,
    keep_ttl: bool,
    expire: Option<ExpireOption>,
    condition: Option<Condition>,
}

fn set(cx: &mut Ctx, args: &Args) -> Outcome {
    if args.len() > 3 {
        return set_with_options(cx, args, parse(args)?);
    }
    let (key, value) = (args.at(1), args.at(2));
    cx.ks.set(key, NewValue::string(value), None);
    cx.ks.modified(EventClass::STRING, "set", key, 1);
    cx.reply.ok();
    Ok(())
}

fn parse(args: &Args) -> Result<Options, Error> {
    let mut options = Options::default();
    let mut i = 3;
    while i < args.len() {
        if args.is(i, "nx") && !options.if_present {
            options.if_absent = true;
        } else if args.is(i, "xx") && !options.if_absent {
            options.if_present = true;
        } else if args.is(i, "get") {
            options.get = true;
        } else if args.is(i, "keepttl") && options.expire.is_none() {
            options.keep_ttl = true;
        } else if let Some(expire) = ExpireOption::named(args, i)
            && !options.keep_ttl
            && options
                .expire
                .is_none_or(|first| first.unit() == expire.unit())
            && expire.at < args.len()
        {
            // As in Redis the same word may come again, and the last number counts.
            options.expire = Some(expire);
            i += 1;
        } else if let Some(condition) = Condition::named(args, i)
            && options.condition.is_none()
            && condition.at < args.len()
        {
            options.condition = Some(condition);
            i += 1;
        } else {
            return Err(error::SYNTAX);
        }
        i += 1;
    }
    Ok(options)
}

fn set_with_options(cx: &mut Ctx, args: &Args, options: Options) -> Outcome {
    let (key, value) = (args.at(1), args.at(2));
    let expire = options
        .expire
        .map(|e| e.when(args, cx.ks.now_ms, "set"))
        .transpose()?;
    let slot = if options.get {
        cx.ks.read(key)
    } else {
        cx.ks.write(key)
    };
    if options.get {
        match slot {
            Some(slot) if cx.ks.kind(slot) != Kind::String => return Err(WRONG_TYPE),
            Some(slot) => reply_string(cx.reply, cx.ks.view(slot))?,
            None => cx.reply.null(),
        }
    }
    let stands = match (options.condition, slot) {
        (None, _) => true,
        (Some(condition), None) => condition.holds_of_nothing(),
        (Some(condition), Some(slot)) => condition.holds(args, cx.ks.view(slot))?,
    };
    let is_fit = !(options.if_absent && slot.is_some() || options.if_present && slot.is_none());
    if !(stands && is_fit) {
        if !options.get {
            cx.reply.null();
        }
        return Ok(());
    }
    store(cx, key, value, expire, options.keep_ttl);
    if let (Some(when), Some(expire)) = (expire, options.expire) {
        cx.ks.notify(EventClass::GENERIC, "expire", key);
        propagate_absolute(cx, args, options, expire, when);
    } else if options.condition.is_some() {
        // It held, and older servers do not know it.
        match options.keep_ttl {
            true => cx.propagate(&[b"SET", key, value, b"KEEPTTL"]),
            false => cx.propagate(&[b"SET", key, value]),
        }
    } else if options.get {
        // An answer is of no use to a log or replica.
        let options = args
            .iter_from(3)
            .filter(|word| !word.eq_ignore_ascii_case(b"get"));
        let command: Vec<&[u8]> = [b"SET", key, value].into_iter().chain(options).collect();
        cx.propagate(&command);
    }
    if !options.get {
        cx.reply.ok();
    }
    Ok(())
}

/// Stores a string with its event.
pub(super) fn store(cx: &mut Ctx, key: &[u8], value: &[u8], expire: Option<i64>, keep_ttl: bool) {
    let kept = if keep_ttl {
        cx.ks.find(key).and_then(|slot| cx.ks.expire_at(slot))
    } else {
        None
    };
    cx.ks.set(key, NewValue::string(value), expire.or(kept));
    cx.ks.modified(EventClass::STRING, "set", key, 1);
}

/// A relative time would begin again at each replay: log and replicas get `SET key value PXAT when`.
fn propagate_absolute(
    cx: &mut Ctx,
    args: &Args,
    options: Options,
    expire: ExpireOption,
    when: i64,
) {
    if expire.absolute && !expire.seconds && !options.get && options.condition.is_none() {
        return; // as it was sent
    }
    let when = when.to_string();
    cx.propagate(&[b"SET", args.at(1), args.at(2), b"PXAT", when.as_bytes()]);
}

const SET_EX: Command = Command {
    name: "setex",
    group: Group::String,
    since: "2.0.0",
    arity: 4,
    flags: Flags::WRITE.and(Flags::DENY_OOM),
    keys: &[KeySpec::one(&["OW", "update"])],
    summary: "Store a string with an expiry in seconds",
    run: |cx, args| set_ex(cx, args, true, "setex"),
    ..Command::BASE
};
pub(super) const SETEX: Command = SET_EX;

pub(super) const PSETEX: Command = Command {
    name: "psetex",
    since: "2.6.0",
    summary: "Store a string with an expiry in milliseconds",
    run: |cx, args| set_ex(cx, args, false, "psetex"),
    ..SET_EX
};

fn set_ex(cx: &mut Ctx, args: &Args, seconds: bool, name: &str) -> Outcome {
    let (key, value) = (args.at(1), args.at(3));
    let when = ExpireOption {
        seconds,
        absolute: false,
        at: 2,
    }
    .when(args, cx.ks.now_ms, name)?;
    store(cx, key, value, Some(when), false);
    cx.ks.notify(EventClass::GENERIC, "expire", key);
    cx.propagate(&[b"SET", key, value, b"PXAT", when.to_string().as_bytes()]);
    cx.reply.ok();
    Ok(())
}

pub(super) const SETNX: Command = Command {
    name: "setnx",
    group: Group::String,
    arity: 3,
    flags: Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
    keys: &[KeySpec::one(&["OW", "insert"])],
    summary: "Store a string if the key does not exist",
    run: setnx,
    ..Command::BASE
};

fn setnx(cx: &mut Ctx, args: &Args) -> Outcome {
    let key = args.at(1);
    let absent = cx.ks.write(key).is_none();
    if absent {
        store(cx, key, args.at(2), None, false);
    }
    cx.reply.int(i64::from(absent));
    Ok(())
}

pub(super) const GETSET: Command = Command {
    name: "getset",
    group: Group::String,
    arity: 3,
    flags: Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
    keys: &[KeySpec::one(&["RW", "access", "update"])],
    summary: "Store a string and answer what was there",
    run: getset,
    ..Command::BASE
};

fn getset(cx: &mut Ctx, args: &Args) -> Outcome {
    let (key, value) = (args.at(1), args.at(2));
    match cx.ks.read_kind(key, Kind::String)? {
        Some(slot) => reply_string(cx.reply, cx.ks.view(slot))?,
        None => cx.reply.null(),
    }
    store(cx, key, value, None, false);
    cx.propagate(&[b"SET", key, value]);
    Ok(())
}

pub(super) const MSET: Command = Command {
    name: "mset",
    group: Group::String,
    since: "1.0.1",
    arity: -3,
    flags: Flags::WRITE.and(Flags::DENY_OOM),
    keys: &[KeySpec::range(1, -1, 2, &["OW", "update"])],
    tips: &[
        "request_policy:multi_shard",
        "response_policy:all_succeeded",
    ],
    complexity: "O(N) where N is the number of keys to set.",
    summary: "Store strings at several keys",
    run: mset,
    ..Command::BASE
};

fn mset(cx: &mut Ctx, args: &Args) -> Outcome {
    store_pairs(cx, args)?;
    cx.reply.ok();
    Ok(())
}

fn store_pairs(cx: &mut Ctx, args: &Args) -> Outcome {
    pairs_complete(args)?;
    for from in (1..args.len()).step_by(2 * AHEAD) {
        let batch = (from..args.len().min(from + 2 * AHEAD)).step_by(2);
        cx.ks.fetch_ahead(batch.clone().map(|i| args.at(i)));
        for i in batch {
            store(cx, args.at(i), args.at(i + 1), None, false);
        }
    }
    Ok(())
}

fn pairs_complete(args: &Args) -> Outcome {
    if args.len().is_multiple_of(2) {
        return Err(error::wrong_arity(
            &String::from_utf8_lossy(args.at(0)).to_ascii_lowercase(),
        ));
    }
    Ok(())
}

pub(super) const MSETNX: Command = Command {
    name: "msetnx",
    keys: &[KeySpec::range(1, -1, 2, &["OW", "insert"])],
    tips: &[],
    summary: "Store strings at several keys if none of them exists",
    run: msetnx,
    ..MSET
};

fn msetnx(cx: &mut Ctx, args: &Args) -> Outcome {
    pairs_complete(args)?;
    let all_absent = (1..args.len())
        .step_by(2)
        .all(|i| cx.ks.write(args.at(i)).is_none());
    if all_absent {
        store_pairs(cx, args)?;
    }
    cx.reply.int(i64::from(all_absent));
    Ok(())
}
