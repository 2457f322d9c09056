//! HSETEX (Redis 8): fields are set together with an expiry, perhaps under a condition.

use super::store::{open, remove_field, set_field};
use super::ttl::with_names;
use super::ttl_args::{Fields, Unit, unknown};
use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::{Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::value::hash_ttl::Ttl;
use crate::value::{Kind, hash};

pub(super) const HSETEX: Command = Command {
    name: "hsetex",
    group: Group::Hash,
    since: "8.0.0",
    arity: -6,
    flags: Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
    keys: &[KeySpec::one(&["RW", "update"])],
    complexity: "O(N) where N is the number of fields being set.",
    summary: "Set fields and their expiry",
    run: setex,
    ..Command::BASE
};

struct Options {
    ttl: Ttl,
    /// All fields must be there (FXX), or none (FNX).
    must_exist: Option<bool>,
    fields: Fields,
}

impl Options {
    fn parse(cx: &Ctx, args: &Args) -> Result<Options, Error> {
        let (mut ttl, mut must_exist, mut fields) = (None, None, None);
        let mut i = 2;
        while i < args.len() {
            if args.is(i, "fields") && fields.is_none() {
                let found = Fields::among_options(args, i, 2, "ERR invalid number of fields")?;
                i = found.end();
                fields = Some(found);
            } else if args.is(i, "fnx") || args.is(i, "fxx") {
                if must_exist.is_some() {
                    return Err(Error::new(
                        "ERR Only one of FXX or FNX arguments can be specified",
                    ));
                }
                must_exist = Some(args.is(i, "fxx"));
                i += 1;
            } else {
                i += expiry(cx, args, i, &mut ttl)?;
            }
        }
        let missing = Error::new("ERR missing FIELDS argument");
        Ok(Options {
            ttl: ttl.unwrap_or(Ttl::Set(None)),
            must_exist,
            fields: fields.ok_or(missing)?,
        })
    }
}

/// Reads EX, PX, EXAT, PXAT with a number, or KEEPTTL. Answers how many words that were.
fn expiry(cx: &Ctx, args: &Args, i: usize, ttl: &mut Option<Ttl>) -> Result<usize, Error> {
    let unit = Unit::named(args, i);
    if unit.is_none() && !args.is(i, "keepttl") {
        return Err(if args.is(i, "persist") {
            Error::new("ERR unknown argument")
        } else {
            unknown(args.at(i))
        });
    }
    if ttl.is_some() {
        return Err(Error::new(
            "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
        ));
    }
    *ttl = Some(match unit {
        Some(unit) => Ttl::Set(Some(unit.when(cx, args, i + 1, "hsetex")?)),
        None => Ttl::Keep,
    });
    Ok(1 + usize::from(unit.is_some()))
}

fn setex(cx: &mut Ctx, args: &Args) -> Outcome {
    let options = Options::parse(cx, args)?;
    let (key, fields) = (args.at(1), options.fields);
    let slot = cx.ks.write_kind(key, Kind::Hash)?;
    let has = |name| slot.is_some_and(|slot| hash::get(cx.ks.view(slot), name).is_some());
    if let Some(wanted) = options.must_exist
        && !fields.names(args).all(|name| has(name) == wanted)
    {
        cx.reply.int(0);
        return Ok(());
    }
    match options.ttl {
        Ttl::Set(Some(when)) if when <= cx.ks.now_ms && !cx.session.applies() => {
            set_dead(cx, args, fields);
        }
        ttl => set(cx, args, fields, ttl)?,
    }
    cx.reply.int(1);
    Ok(())
}

fn set(cx: &mut Ctx, args: &Args, fields: Fields, ttl: Ttl) -> Outcome {
    let key = args.at(1);
    let mut slot = open(cx.ks, key)?;
    for (i, name) in fields.names(args).enumerate() {
        let value = args.at(fields.from + 2 * i + 1);
        (slot, _) = set_field(cx.ks, slot, name, value, ttl);
    }
    cx.ks
        .modified(EventClass::HASH, "hset", key, fields.count as u64);
    if let Ttl::Set(Some(when)) = ttl {
        cx.ks.notify(EventClass::HASH, "hexpire", key);
        let (when, count) = (when.to_string(), fields.count.to_string());
        let head: [&[u8]; 6] = [
            b"HSETEX",
            key,
            b"PXAT",
            when.as_bytes(),
            b"FIELDS",
            count.as_bytes(),
        ];
        let pairs: Vec<&[u8]> = args.iter_from(fields.from).take(2 * fields.count).collect();
        cx.propagate(&with_names(&head, &pairs));
    }
    Ok(())
}

/// The time is past: what would be set is dead at once, and what was there goes.
fn set_dead(cx: &mut Ctx, args: &Args, fields: Fields) {
    let key = args.at(1);
    let mut slot = cx.ks.find(key);
    let mut removed: Vec<&[u8]> = Vec::new();
    for name in fields.names(args) {
        let Some(at) = slot else { break };
        let (at, was_there) = remove_field(cx.ks, at, name);
        if was_there {
            removed.push(name);
        }
        slot = Some(at).filter(|at| !cx.ks.view(*at).is_empty());
        if slot.is_none() {
            cx.ks.remove(at);
        }
    }
    cx.propagate_nothing();
    if removed.is_empty() {
        return;
    }
    cx.ks
        .modified(EventClass::HASH, "hset", key, removed.len() as u64);
    cx.ks.notify(EventClass::HASH, "hdel", key);
    if slot.is_none() {
        cx.ks.notify(EventClass::GENERIC, "del", key);
    }
    cx.propagate(&with_names(&[b"HDEL", key], &removed));
}
