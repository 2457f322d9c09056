//! Taking from the first of several keys that holds something: LMPOP, ZMPOP, and BLPOP, BZPOPMIN and their relatives, which
//! wait for it.

use crate::base::args::Args;
use crate::base::error::{self, Error, Outcome};
use crate::call::blocking::Wait;
use crate::call::ctx::Ctx;
use crate::structure::table::Slot;
use crate::value::Kind;

/// The words `numkeys key ... WHERE [COUNT count]`, WHERE being an end of a list or of an order.
#[derive(Clone, Copy, Debug)]
pub struct Several<E> {
    /// Argument of the first key.
    first: usize,
    keys: usize,
    /// Where to take.
    pub end: E,
    /// How many elements, at most.
    pub count: usize,
}

impl<E> Several<E> {
    /// Parses them; `number` is the argument that holds the number of keys, and `end` reads the word at an argument.
    ///
    /// # Errors
    /// A number that is not above zero, or words that mean nothing.
    pub fn parse(
        args: &Args,
        number: usize,
        end: impl FnOnce(&Args, usize) -> Result<E, Error>,
    ) -> Result<Several<E>, Error> {
        let above_zero = |i: usize, text: &'static str| {
            let number = args.int(i).ok().and_then(|n| usize::try_from(n).ok());
            number.filter(|n| *n > 0).ok_or(Error::new(text))
        };
        let keys = above_zero(number, "ERR numkeys should be greater than 0")?;
        let at = keys
            .checked_add(number + 1)
            .filter(|at| *at < args.len())
            .ok_or(error::SYNTAX)?;
        let end = end(args, at)?;
        let count = match args.len() - at {
            1 => 1,
            3 if args.is(at + 1, "count") => {
                above_zero(at + 2, "ERR count should be greater than 0")?
            }
            _ => return Err(error::SYNTAX),
        };
        Ok(Several {
            first: number + 1,
            keys,
            end,
            count,
        })
    }

    /// The keys.
    pub fn keys<'a>(&self, args: &Args<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a, E> {
        args.iter_from(self.first).take(self.keys)
    }
}

/// Hands the first of the keys that exists to `take`; false if none does.
///
/// # Errors
/// A key before it holds another type.
pub fn take<'a>(
    cx: &mut Ctx,
    kind: Kind,
    keys: impl Iterator<Item = &'a [u8]>,
    take: impl FnOnce(&mut Ctx, Slot, &'a [u8]),
) -> Result<bool, Error> {
    for key in keys {
        if let Some(slot) = cx.ks.write_kind(key, kind)? {
            let dirty = cx.ks.dirty;
            take(cx, slot, key);
            debug_assert!(
                cx.ks.dirty > dirty,
                "a key that exists has something to give"
            );
            return Ok(true);
        }
    }
    Ok(false)
}

/// Waits for one of the keys, or answers that there is nothing where waiting is not allowed.
///
/// # Errors
/// None; this is what a handler ends with.
pub fn wait<'a>(
    cx: &mut Ctx,
    args: &Args,
    kind: Kind,
    keys: impl Iterator<Item = &'a [u8]>,
    deadline_ms: Option<i64>,
) -> Outcome {
    if !cx.may_block() {
        cx.reply.null_array();
        return Ok(());
    }
    let wait = Wait {
        deadline_ms,
        kind,
        on_missing: false,
        again_ms: None,
    };
    cx.block(args, keys, wait)
}
