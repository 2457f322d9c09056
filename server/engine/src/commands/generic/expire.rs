//! Expiry: EXPIRE and its relatives, TTL and its relatives, PERSIST.

use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::{self, Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};

pub(super) const EXPIRE: Command = Command {
    name: "expire",
    group: Group::Generic,
    arity: -3,
    flags: Flags::WRITE.and(Flags::FAST),
    keys: &[KeySpec::one(&["RW", "update"])],
    summary: "Let a key expire in so many seconds",
    run: |cx, args| {
        expire(
            cx,
            args,
            "expire",
            Unit {
                seconds: true,
                absolute: false,
            },
        )
    },
    ..Command::BASE
};

pub(super) const PEXPIRE: Command = Command {
    name: "pexpire",
    since: "2.6.0",
    summary: "Let a key expire in so many milliseconds",
    run: |cx, args| {
        expire(
            cx,
            args,
            "pexpire",
            Unit {
                seconds: false,
                absolute: false,
            },
        )
    },
    ..EXPIRE
};

pub(super) const EXPIREAT: Command = Command {
    name: "expireat",
    since: "1.2.0",
    summary: "Let a key expire at a Unix time in seconds",
    run: |cx, args| {
        expire(
            cx,
            args,
            "expireat",
            Unit {
                seconds: true,
                absolute: true,
            },
        )
    },
    ..EXPIRE
};

pub(super) const PEXPIREAT: Command = Command {
    name: "pexpireat",
    since: "2.6.0",
    summary: "Let a key expire at a Unix time in milliseconds",
    run: |cx, args| {
        expire(
            cx,
            args,
            "pexpireat",
            Unit {
                seconds: false,
                absolute: true,
            },
        )
    },
    ..EXPIRE
};

#[derive(Clone, Copy)]
struct Unit {
    seconds: bool,
    absolute: bool,
}

/// NX, XX, GT, LT.
#[derive(Default)]
struct Conditions {
    none: bool,
    some: bool,
    later: bool,
    earlier: bool,
}

impl Conditions {
    fn parse(args: &Args) -> Result<Conditions, Error> {
        let mut c = Conditions::default();
        for i in 3..args.len() {
            match () {
                () if args.is(i, "nx") => c.none = true,
                () if args.is(i, "xx") => c.some = true,
                () if args.is(i, "gt") => c.later = true,
                () if args.is(i, "lt") => c.earlier = true,
                () => {
                    let option = error::lossless(args.at(i));
                    return Err(Error::text(format!("ERR Unsupported option {option}")));
                }
            }
        }
        if c.none && (c.some || c.later || c.earlier) {
            return Err(Error::new(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if c.later && c.earlier {
            return Err(Error::new(
                "ERR GT and LT options at the same time are not compatible",
            ));
        }
        Ok(c)
    }

    /// No expiry counts as an infinitely late one.
    fn hold(&self, current: Option<i64>, when: i64) -> bool {
        !(self.none && current.is_some()
            || self.some && current.is_none()
            || self.later && current.is_none_or(|at| when <= at)
            || self.earlier && current.is_some_and(|at| when >= at))
    }
}

fn expire(cx: &mut Ctx, args: &Args, name: &str, unit: Unit) -> Outcome {
    let key = args.at(1);
    let conditions = Conditions::parse(args)?;
    let number = args.int(2)?;
    let when =
        absolute_ms(number, unit, cx.ks.now_ms).ok_or_else(|| error::invalid_expire(name))?;
    let slot = cx
        .ks
        .write(key)
        .filter(|slot| conditions.hold(cx.ks.expire_at(*slot), when));
    let Some(slot) = slot else {
        cx.reply.int(0);
        return Ok(());
    };
    if when <= cx.ks.now_ms && !cx.session.applies() {
        cx.ks.remove(slot);
        cx.ks.modified(EventClass::GENERIC, "del", key, 1);
        let del: &[u8] = if cx.ks.limits.lazy_expire {
            b"UNLINK"
        } else {
            b"DEL"
        };
        cx.propagate(&[del, key]);
    } else {
        debug_assert!(
            when > cx.ks.now_ms || cx.session.applies(),
            "there is time left"
        );
        cx.ks.set_expire(slot, Some(when));
        cx.ks.modified(EventClass::GENERIC, "expire", key, 1);
        if !unit.absolute || unit.seconds {
            propagate_absolute(cx, args, when);
        }
    }
    cx.reply.int(1);
    Ok(())
}

/// What counts from now on goes on as a moment, with the conditions that it came with.
fn propagate_absolute(cx: &mut Ctx, args: &Args, when: i64) {
    let when = when.to_string();
    let mut command: Vec<&[u8]> = vec![b"PEXPIREAT", args.at(1), when.as_bytes()];
    command.extend(args.iter_from(3));
    cx.propagate(&command);
}

fn absolute_ms(number: i64, unit: Unit, now_ms: i64) -> Option<i64> {
    let ms = if unit.seconds {
        number.checked_mul(1000)?
    } else {
        number
    };
    if unit.absolute {
        Some(ms)
    } else {
        ms.checked_add(now_ms)
    }
}

pub(super) const TTL: Command = Command {
    name: "ttl",
    group: Group::Generic,
    arity: 2,
    flags: Flags::READ.and(Flags::FAST),
    keys: &[KeySpec::one(&["RO", "access"])],
    tips: &["nondeterministic_output"],
    summary: "Tell how many seconds a key has left",
    run: |cx, args| ttl(cx, args, |at, now| ((at - now).max(0) + 500) / 1000),
    ..Command::BASE
};

pub(super) const PTTL: Command = Command {
    name: "pttl",
    since: "2.6.0",
    summary: "Tell how many milliseconds a key has left",
    run: |cx, args| ttl(cx, args, |at, now| (at - now).max(0)),
    ..TTL
};

pub(super) const EXPIRETIME: Command = Command {
    name: "expiretime",
    since: "7.0.0",
    tips: &[],
    summary: "Tell at which Unix time in seconds a key expires",
    run: |cx, args| ttl(cx, args, |at, _| (at + 500) / 1000),
    ..TTL
};

pub(super) const PEXPIRETIME: Command = Command {
    name: "pexpiretime",
    summary: "Tell at which Unix time in milliseconds a key expires",
    run: |cx, args| ttl(cx, args, |at, _| at),
    ..EXPIRETIME
};

/// -2 for no key, -1 for no expiry, as all of this family answer.
fn ttl(cx: &mut Ctx, args: &Args, show: fn(i64, i64) -> i64) -> Outcome {
    let answer = match cx.ks.peek(args.at(1)).map(|s| cx.ks.expire_at(s)) {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => show(at, cx.ks.now_ms),
    };
    cx.reply.int(answer);
    Ok(())
}

pub(super) const PERSIST: Command = Command {
    name: "persist",
    group: Group::Generic,
    since: "2.2.0",
    arity: 2,
    flags: Flags::WRITE.and(Flags::FAST),
    keys: &[KeySpec::one(&["RW", "update"])],
    summary: "Take the expiry of a key away",
    run: persist,
    ..Command::BASE
};

fn persist(cx: &mut Ctx, args: &Args) -> Outcome {
    let key = args.at(1);
    let slot = cx.ks.write(key).filter(|s| cx.ks.expire_at(*s).is_some());
    if let Some(slot) = slot {
        cx.ks.set_expire(slot, None);
        cx.ks.modified(EventClass::GENERIC, "persist", key, 1);
    }
    cx.reply.int(i64::from(slot.is_some()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_that_do_not_fit_into_milliseconds_are_refused() {
        let seconds = Unit {
            seconds: true,
            absolute: false,
        };
        assert_eq!(absolute_ms(i64::MAX / 1000 + 1, seconds, 0), None);
        assert_eq!(absolute_ms(i64::MAX / 1000, seconds, 808), None);
        assert_eq!(absolute_ms(2, seconds, 5), Some(2005));
    }

    #[test]
    fn greater_than_treats_no_expiry_as_never() {
        let gt = Conditions {
            later: true,
            ..Conditions::default()
        };
        let lt = Conditions {
            earlier: true,
            ..Conditions::default()
        };
        assert!(!gt.hold(None, 5) && gt.hold(Some(4), 5) && !gt.hold(Some(5), 5));
        assert!(lt.hold(None, 5) && lt.hold(Some(6), 5) && !lt.hold(Some(5), 5));
    }
}
