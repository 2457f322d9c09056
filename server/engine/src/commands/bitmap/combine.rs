//! BITOP.

use super::store;
use crate::base::args::Args;
use crate::base::error::{self, Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::commands::string::bytes_of;
use crate::value::Kind;
use crate::value::bits::{self, Combine};
use cairn_format::text::number::I64Text;

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

fn bitop(cx: &mut Ctx, args: &Args) -> Outcome {
    let how = match () {
        () if args.is(1, "and") => Some(Combine::And),
        () if args.is(1, "or") => Some(Combine::Or),
        () if args.is(1, "xor") => Some(Combine::Xor),
        () if args.is(1, "not") => None,
        () => return Err(error::SYNTAX),
    };
    if how.is_none() && args.len() != 4 {
        return Err(Error::new(
            "ERR BITOP NOT must be called with a single source key.",
        ));
    }
    // All sources are looked up first: the longest decides the length, and one of another type ends it.
    let mut len = 0;
    for key in args.iter_from(3) {
        if let Some(slot) = cx.ks.read_kind(key, Kind::String)? {
            len = len.max(bytes_of(cx.ks.view(slot), &mut I64Text::new())?.len());
        }
    }
    let mut result = Vec::new();
    for (i, key) in args.iter_from(3).enumerate() {
        let mut digits = I64Text::new();
        let source = match cx.ks.find(key) {
            Some(slot) => bytes_of(cx.ks.view(slot), &mut digits)?,
            None => &[],
        };
        match how {
            Some(how) if i > 0 => bits::combine(&mut result, source, how),
            _ => {
                result.reserve_exact(len);
                result.extend_from_slice(source);
                result.resize(len, 0);
            }
        }
    }
    debug_assert_eq!(result.len(), len, "as long as the longest source");
    if how.is_none() {
        result.iter_mut().for_each(|byte| *byte = !*byte);
    }
    store(cx, args.at(2), result)
}
