//! SETBIT and GETBIT.

use super::{edit, offset, open, read};
use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::{Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};

pub(super) const SETBIT: Command = Command {
    name: "setbit",
    group: Group::Bitmap,
    since: "2.2.0",
    arity: 4,
    flags: Flags::WRITE.and(Flags::DENY_OOM),
    keys: &[KeySpec::one(&["RW", "access", "update"])],
    summary: "Set or clear one bit of a string",
    run: setbit,
    ..Command::BASE
};

fn setbit(cx: &mut Ctx, args: &Args) -> Outcome {
    let key = args.at(1);
    let at = offset(cx, args.at(2), None)?;
    let on = match args.int(3) {
        Ok(bit @ (0 | 1)) => bit == 1,
        _ => return Err(Error::new("ERR bit is not an integer or out of range")),
    };
    let (byte, mask) = ((at / 8) as usize, 0x80 >> (at % 8));
    let row = open(cx, key, byte + 1)?;
    let old = edit(cx.ks, row.slot, row.len, |bytes| {
        let old = bytes[byte] & mask != 0;
        if on {
            bytes[byte] |= mask;
        } else {
            bytes[byte] &= !mask;
        }
        old
    });
    // Since Redis 7.2 a bit that is what it was is no change, unless the string grew for it.
    if row.grown || old != on {
        cx.ks.modified(EventClass::STRING, "setbit", key, 1);
    }
    cx.reply.int(i64::from(old));
    Ok(())
}

pub(super) const GETBIT: Command = Command {
    name: "getbit",
    arity: 3,
    flags: Flags::READ.and(Flags::FAST),
    keys: &[KeySpec::one(&["RO", "access"])],
    summary: "Read one bit of a string",
    run: getbit,
    ..SETBIT
};

fn getbit(cx: &mut Ctx, args: &Args) -> Outcome {
    let at = offset(cx, args.at(2), None)?;
    let bit = read(cx, args.at(1), |bytes| {
        let byte = bytes.get((at / 8) as usize).copied().unwrap_or(0);
        byte >> (7 - at % 8) & 1
    })?;
    cx.reply.int(i64::from(bit.unwrap_or(0)));
    Ok(())
}
