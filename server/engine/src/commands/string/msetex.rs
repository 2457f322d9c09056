//! MSETEX: several strings with one condition and one expiry. Its words and errors are those of Redis 8.6 as recorded
//! (`testdata/transcripts/newer/string-cas.jsonl`); Valkey 9.1 has it with other words for some errors.

use super::set::{ExpireOption, store};
use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::{self, Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Begin, Command, Find, Flags, Group, KeySpec};

pub(super) const MSETEX: Command = Command {
    name: "msetex",
    group: Group::String,
    since: "8.4.0",
    arity: -4,
    flags: Flags::WRITE.and(Flags::DENY_OOM).and(Flags::MOVABLE_KEYS),
    keys: &[KeySpec {
        notes: "",
        flags: &["OW", "update"],
        begin: Begin::Index(1),
        find: Find::Count {
            at: 0,
            first: 1,
            step: 2,
        },
    }],
    tips: &[
        "request_policy:multi_shard",
        "response_policy:all_succeeded",
    ],
    complexity: "O(N) where N is the number of keys to set.",
    summary: "Store strings at several keys, with one expiry, if all or none of them exist",
    run: msetex,
    ..Command::BASE
};

/// What stands behind the pairs.
#[derive(Default)]
struct Options {
    if_absent: bool,
    if_present: bool,
    keep_ttl: bool,
    expire: Option<ExpireOption>,
}

fn msetex(cx: &mut Ctx, args: &Args) -> Outcome {
    let pairs = args.int(1).ok().and_then(|n| usize::try_from(n).ok());
    let pairs = pairs
        .filter(|n| (1..=i32::MAX as usize).contains(n))
        .ok_or(Error::new("ERR invalid numkeys value"))?;
    let end = 2 + 2 * pairs;
    if end > args.len() {
        return Err(Error::new("ERR wrong number of key-value pairs"));
    }
    let options = Options::parse(args, end)?;
    let expire = options
        .expire
        .map(|e| e.when(args, cx.ks.now_ms, "msetex"))
        .transpose()?;
    let exists = |i: usize, cx: &mut Ctx| cx.ks.write(args.at(i)).is_some();
    let keys = || (2..end).step_by(2);
    let stands = match (options.if_absent, options.if_present) {
        (true, _) => keys().all(|i| !exists(i, cx)),
        (_, true) => keys().all(|i| exists(i, cx)),
        _ => true,
    };
    if stands {
        for i in keys() {
            store(cx, args.at(i), args.at(i + 1), expire, options.keep_ttl);
            if expire.is_some() {
                cx.ks.notify(EventClass::GENERIC, "expire", args.at(i));
            }
        }
        tell_others(cx, args, keys(), &options, expire);
    }
    cx.reply.int(i64::from(stands));
    Ok(())
}

impl Options {
    fn parse(args: &Args, first: usize) -> Result<Options, Error> {
        let mut options = Options::default();
        let mut i = first;
        while i < args.len() {
            let has_time = options.keep_ttl || options.expire.is_some();
            if args.is(i, "nx") && !options.if_present {
                options.if_absent = true;
            } else if args.is(i, "xx") && !options.if_absent {
                options.if_present = true;
            } else if args.is(i, "keepttl") && !has_time {
                options.keep_ttl = true;
            } else if let Some(expire) = ExpireOption::named(args, i)
                && !has_time
                && expire.at < args.len()
            {
                options.expire = Some(expire);
                i += 1;
            } else {
                return Err(error::SYNTAX);
            }
            i += 1;
        }
        Ok(options)
    }
}

/// Older servers have no MSETEX: they are told of each key by itself, or of all with MSET where there is nothing else to say.
fn tell_others(
    cx: &mut Ctx,
    args: &Args,
    keys: impl Iterator<Item = usize>,
    options: &Options,
    expire: Option<i64>,
) {
    let when = expire.map(|at| at.to_string());
    let mut all: Vec<&[u8]> = vec![b"MSET"];
    for i in keys {
        let (key, value) = (args.at(i), args.at(i + 1));
        match &when {
            Some(at) => cx.propagate(&[b"SET", key, value, b"PXAT", at.as_bytes()]),
            None if options.keep_ttl => cx.propagate(&[b"SET", key, value, b"KEEPTTL"]),
            None => all.extend([key, value]),
        }
    }
    if all.len() > 1 {
        cx.propagate(&all);
    }
}
