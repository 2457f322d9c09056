//! Strings that are numbers with a fraction: INCRBYFLOAT.

use cairn_format::text::long_double::LongDouble;
use cairn_format::text::number::I64Text;

use super::bytes_of;
use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::{self, Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::value::{Kind, NewValue};

pub(super) const INCRBYFLOAT: Command = Command {
    name: "incrbyfloat",
    group: Group::String,
    since: "2.6.0",
    arity: 3,
    flags: Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
    keys: &[KeySpec::one(&["RW", "access", "update"])],
    summary: "Add to the floating point number at a key",
    run: incr_by_float,
    ..Command::BASE
};

fn incr_by_float(cx: &mut Ctx, args: &Args) -> Outcome {
    let key = args.at(1);
    let slot = cx.ks.write_kind(key, Kind::String)?;
    let old = match slot {
        Some(slot) => {
            let mut text = I64Text::new();
            let bytes = bytes_of(cx.ks.view(slot), &mut text)?;
            LongDouble::parse(bytes).ok_or(error::NOT_FLOAT)?
        }
        None => LongDouble::ZERO,
    };
    let by = LongDouble::parse(args.at(2)).ok_or(error::NOT_FLOAT)?;
    let text = sum_text(old, by)?;
    // The result is text as it is printed, even where that is an integer.
    let value = NewValue::text_of_number(&text);
    match slot {
        Some(slot) => cx.ks.change(slot).replace(value),
        None => cx.ks.add(key, value, None),
    };
    cx.ks.modified(EventClass::STRING, "incrbyfloat", key, 1);
    // Another machine might round otherwise.
    cx.propagate(&[b"SET", key, &text, b"KEEPTTL"]);
    cx.reply.bulk(&text);
    Ok(())
}

/// The sum of two numbers as INCRBYFLOAT and HINCRBYFLOAT print it.
pub(crate) fn sum_text(a: LongDouble, b: LongDouble) -> Result<Vec<u8>, Error> {
    let sum = a.checked_add(b).filter(LongDouble::is_finite);
    let sum = sum.ok_or(Error::new("ERR increment would produce NaN or Infinity"))?;
    let mut text = Vec::with_capacity(32);
    sum.write_human(&mut text);
    Ok(text)
}
