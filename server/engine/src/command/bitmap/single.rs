//! SETBIT and GETBIT.

use super::{bit_offset, get_bits, put_bits, with_bytes, writable};
use crate::base::effect::EventClass;
use crate::command::Args;
use crate::command::ctx::Ctx;
use crate::command::error::{Error, Outcome};
use crate::command::spec::{Command, Flags, Group, KeySpec};
use crate::command::string::bytes_of;
use cairn_format::text::number::I64Text;

pub(super) const GETBIT: Command = Command {
    name: "getbit",
    group: Group::Bitmap,
    since: "2.2.0",
    arity: 3,
    flags: Flags::READ.and(Flags::FAST),
    keys: &[KeySpec::one(&["RO", "access"])],
    summary: "Read a bit",
    run: getbit,
    ..Command::BASE
};

fn getbit(cx: &mut Ctx, args: &Args) -> Outcome {
    let at = bit_offset(cx.ks, args, 2, None)?;
    let bit = with_bytes(cx.ks, args.at(1), |bytes| get_bits(bytes, at, 1))?;
    cx.reply.int(bit.unwrap_or(0) as i64);
    Ok(())
}

pub(super) const SETBIT: Command = Command {
    name: "setbit",
    arity: 4,
    flags: Flags::WRITE.and(Flags::DENY_OOM),
    keys: &[KeySpec::one(&["RW", "access", "update"])],
    summary: "Write a bit",
    run: setbit,
    ..GETBIT
};

fn setbit(cx: &mut Ctx, args: &Args) -> Outcome {
    let key = args.at(1);
    let at = bit_offset(cx.ks, args, 2, None)?;
    let bit = args
        .int(3)
        .ok()
        .and_then(|bit| u64::try_from(bit).ok())
        .filter(|bit| *bit <= 1)
        .ok_or(Error::new("ERR bit is not an integer or out of range"))?;
    let (slot, grew) = writable(cx.ks, key, at)?;
    let old = get_bits(bytes_of(cx.ks.view(slot), &mut I64Text::new())?, at, 1);
    if old != bit {
        put_bits(cx.ks, slot, at, 1, bit);
    }
    if grew || old != bit {
        cx.ks.modified(EventClass::STRING, "setbit", key, 1);
    }
    cx.reply.int(old as i64);
    Ok(())
}
