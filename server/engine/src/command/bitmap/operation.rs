//! BITOP.

use bytes::Bytes;

use super::with_bytes;
use crate::base::effect::EventClass;
use crate::command::Args;
use crate::command::ctx::Ctx;
use crate::command::error::{self, Error, Outcome};
use crate::command::spec::{Command, Flags, Group, KeySpec};
use crate::command::string::delete_key;
use crate::structure::record::INLINE_MAX;
use crate::value::{NewValue, Object};

pub(super) const BITOP: Command = Command {
    name: "bitop",
    group: Group::Bitmap,
    since: "2.6.0",
    arity: -4,
    flags: Flags::WRITE.and(Flags::DENY_OOM),
    keys: &[
        KeySpec::at(2, &["OW", "update"]),
        KeySpec::range(3, -1, 1, &["RO", "access"]),
    ],
    complexity: "O(N)",
    summary: "Combine strings bit by bit and store the result",
    run: bitop,
    ..Command::BASE
};

/// How two bytes become one. The shorter string goes on with zeros.
fn operation(args: &Args) -> Option<fn(u8, u8) -> u8> {
    Some(match () {
        () if args.is(1, "and") => |a, b| a & b,
        () if args.is(1, "or") => |a, b| a | b,
        () if args.is(1, "xor") => |a, b| a ^ b,
        // Of one string only: every bit against a 1.
        () if args.is(1, "not") => |a, _| !a,
        () => return None,
    })
}

fn bitop(cx: &mut Ctx, args: &Args) -> Outcome {
    let join = operation(args).ok_or(error::SYNTAX)?;
    let not = args.is(1, "not");
    if not && args.len() != 4 {
        return Err(Error::new(
            "ERR BITOP NOT must be called with a single source key.",
        ));
    }
    let target = args.at(2);
    let mut sources: Vec<Vec<u8>> = Vec::with_capacity(args.len() - 3);
    for key in args.iter_from(3) {
        sources.push(with_bytes(cx.ks, key, <[u8]>::to_vec)?.unwrap_or_default());
    }
    let len = sources.iter().map(Vec::len).max().unwrap_or(0);
    let mut result = std::mem::take(&mut sources[0]);
    result.resize(len, 0);
    if not {
        result.iter_mut().for_each(|byte| *byte = join(*byte, 0));
    }
    for source in &sources[1..] {
        let bytes = source.iter().copied().chain(std::iter::repeat(0));
        result
            .iter_mut()
            .zip(bytes)
            .for_each(|(a, b)| *a = join(*a, b));
    }
    store(cx, target, result);
    cx.reply.int(len as i64);
    Ok(())
}

fn store(cx: &mut Ctx, target: &[u8], result: Vec<u8>) {
    if result.is_empty() {
        if let Some(slot) = cx.ks.write(target) {
            delete_key(cx.ks, slot, target);
        }
        return;
    }
    if result.len() <= INLINE_MAX {
        cx.ks.set(target, NewValue::raw(&result), None);
    } else {
        let value = NewValue::object(Object::Str(Bytes::from(result)));
        cx.ks.set(target, value, None);
    }
    cx.ks.modified(EventClass::STRING, "set", target, 1);
}
