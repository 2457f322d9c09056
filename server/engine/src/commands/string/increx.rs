//! INCREX: a number grows within bounds, and its key gets an expiry, at once. No server at hand has it: the words are those that redis-py
//! sends and the pages of Redis 8.8 tell, and so are the answers; of the errors those that other commands have for the same mistake.

use cairn_format::text::double::parse_f64;
use cairn_format::text::long_double::LongDouble;
use cairn_format::text::number::{I64Text, parse_i64};

use super::set::ExpireOption;
use super::{bytes_of, sum_text};
use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::{self, Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::structure::table::Slot;
use crate::value::{Kind, NewValue};

pub(super) const INCREX: Command = Command {
    name: "increx",
    group: Group::String,
    since: "8.8.0",
    arity: -2,
    flags: Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
    keys: &[KeySpec::one(&["RW", "access", "update"])],
    summary: "Add to the number at a key within bounds, and set its expiry",
    run: increx,
    ..Command::BASE
};

/// What becomes of the expiry.
#[derive(Clone, Copy)]
enum Expiry {
    Keep,
    Persist,
    At(ExpireOption),
}

/// All words, with the arguments of numbers.
struct Options {
    /// The increment is a number with a fraction.
    by_float: bool,
    by: Option<usize>,
    lower: Option<usize>,
    upper: Option<usize>,
    saturate: bool,
    expiry: Expiry,
    /// Only a key without an expiry gets one.
    enx: bool,
}

/// What is to be stored, and what was added; nothing is stored where the bounds do not allow it.
struct Sum {
    value: Vec<u8>,
    added: Vec<u8>,
    stands: bool,
}

fn increx(cx: &mut Ctx, args: &Args) -> Outcome {
    let options = Options::parse(args)?;
    let now_ms = cx.ks.now_ms;
    let expire = match options.expiry {
        Expiry::At(option) => Some(option.when(args, now_ms, "increx")?),
        _ => None,
    };
    let slot = cx.ks.write_kind(args.at(1), Kind::String)?;
    let mut text = I64Text::new();
    let old = match slot {
        Some(slot) => bytes_of(cx.ks.view(slot), &mut text)?,
        None => b"0",
    };
    let sum = match options.by_float {
        false => options.sum_of_integers(args, old)?,
        true => options.sum_of_floats(args, old)?,
    };
    if sum.stands {
        store(cx, args, slot, &options, &sum.value, expire);
    }
    cx.reply.array(2);
    for number in [&sum.value, &sum.added] {
        match (options.by_float, parse_i64(number)) {
            (false, Some(number)) => cx.reply.int(number),
            _ => cx.reply.double_text(number),
        }
    }
    Ok(())
}

fn store(
    cx: &mut Ctx,
    args: &Args,
    slot: Option<Slot>,
    options: &Options,
    value: &[u8],
    expire: Option<i64>,
) {
    let key = args.at(1);
    let had = slot.and_then(|slot| cx.ks.expire_at(slot));
    let at = match options.expiry {
        Expiry::Persist => None,
        Expiry::At(_) if !options.enx || had.is_none() => expire,
        _ => had,
    };
    let (new, event) = match options.by_float {
        false => (NewValue::string(value), "incrby"),
        true => (NewValue::text_of_number(value), "incrbyfloat"),
    };
    cx.ks.set(key, new, at);
    cx.ks.modified(EventClass::STRING, event, key, 1);
    match (at, had) {
        (Some(at), had) if had != Some(at) => {
            cx.ks.notify(EventClass::GENERIC, "expire", key);
        }
        (None, Some(_)) => cx.ks.notify(EventClass::GENERIC, "persist", key),
        _ => {}
    }
    // Older servers do not have it, and another machine might round otherwise.
    match at {
        Some(at) => cx.propagate(&[b"SET", key, value, b"PXAT", at.to_string().as_bytes()]),
        None => cx.propagate(&[b"SET", key, value]),
    }
}

impl Options {
    fn parse(args: &Args) -> Result<Options, Error> {
        let mut options = Options {
            by_float: false,
            by: None,
            lower: None,
            upper: None,
            saturate: false,
            expiry: Expiry::Keep,
            enx: false,
        };
        let mut i = 2;
        while i < args.len() {
            i += options.word(args, i).ok_or(error::SYNTAX)?;
        }
        if options.enx && !matches!(options.expiry, Expiry::At(_)) {
            return Err(Error::new("ERR ENX flag requires an expiration"));
        }
        Ok(options)
    }

    /// Takes the word at `i`; how many arguments that was.
    fn word(&mut self, args: &Args, i: usize) -> Option<usize> {
        let has_value = i + 1 < args.len();
        let is_timeless = matches!(self.expiry, Expiry::Keep);
        match () {
            () if args.is(i, "saturate") => self.saturate = true,
            () if args.is(i, "enx") => self.enx = true,
            () if args.is(i, "persist") && is_timeless => self.expiry = Expiry::Persist,
            () if !has_value => return None,
            () if args.is(i, "byint") && self.by.is_none() => self.by = Some(i + 1),
            () if args.is(i, "byfloat") && self.by.is_none() => {
                (self.by, self.by_float) = (Some(i + 1), true);
            }
            () if args.is(i, "lbound") && self.lower.is_none() => self.lower = Some(i + 1),
            () if args.is(i, "ubound") && self.upper.is_none() => self.upper = Some(i + 1),
            () => match ExpireOption::named(args, i) {
                Some(option) if is_timeless => self.expiry = Expiry::At(option),
                _ => return None,
            },
        }
        let is_single = ["saturate", "enx", "persist"].iter().any(|w| args.is(i, w));
        Some(if is_single { 1 } else { 2 })
    }

    fn sum_of_integers(&self, args: &Args, old: &[u8]) -> Result<Sum, Error> {
        let number = |at: Option<usize>, default: i64| at.map_or(Ok(default), |at| args.int(at));
        let old = parse_i64(old).ok_or(error::NOT_INTEGER)?;
        let by = number(self.by, 1)?;
        let (lower, upper) = (number(self.lower, i64::MIN)?, number(self.upper, i64::MAX)?);
        check_bounds(lower <= upper)?;
        let sum = i128::from(old) + i128::from(by);
        let kept = sum.clamp(i128::from(lower), i128::from(upper));
        let stands = self.saturate || kept == sum;
        let new = if stands { kept } else { i128::from(old) };
        // As far as a bound lies from the old number, what was added may be no integer of 64 bits.
        let added = (new - i128::from(old)).clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        Ok(Sum {
            value: new.to_string().into_bytes(),
            added: added.to_string().into_bytes(),
            stands,
        })
    }

    /// Sums are those of INCRBYFLOAT; bounds are compared as doubles.
    fn sum_of_floats(&self, args: &Args, old: &[u8]) -> Result<Sum, Error> {
        let long = |text: &[u8]| LongDouble::parse(text).ok_or(error::NOT_FLOAT);
        let double = |text: &[u8]| parse_f64(text).ok_or(error::NOT_FLOAT);
        let by = self.by.map_or(b"1".as_slice(), |at| args.at(at));
        let bound = |at: Option<usize>| at.map(|at| args.at(at));
        let (lower, upper) = (bound(self.lower), bound(self.upper));
        for text in [lower, upper].into_iter().flatten() {
            long(text)?;
        }
        if let (Some(lower), Some(upper)) = (lower, upper) {
            check_bounds(double(lower)? <= double(upper)?)?;
        }
        let sum = sum_text(long(old)?, long(by)?)?;
        let at = double(&sum)?;
        let beyond = match (lower, upper) {
            (Some(lower), _) if at < double(lower)? => Some(lower),
            (_, Some(upper)) if at > double(upper)? => Some(upper),
            _ => None,
        };
        let printed = |text: &[u8]| sum_text(long(text)?, LongDouble::ZERO);
        Ok(match beyond {
            None => Sum {
                value: sum,
                added: printed(by)?,
                stands: true,
            },
            Some(bound) if self.saturate => Sum {
                value: printed(bound)?,
                added: sum_text(long(bound)?, long(&negated(old))?)?,
                stands: true,
            },
            Some(_) => Sum {
                value: printed(old)?,
                added: b"0".to_vec(),
                stands: false,
            },
        })
    }
}

fn check_bounds(are_in_order: bool) -> Outcome {
    match are_in_order {
        true => Ok(()),
        false => Err(Error::new("ERR LBOUND can't be greater than UBOUND")),
    }
}

/// A number with the other sign.
fn negated(text: &[u8]) -> Vec<u8> {
    match text {
        [b'-', rest @ ..] => rest.to_vec(),
        [b'+', rest @ ..] | rest => [b"-", rest].concat(),
    }
}
