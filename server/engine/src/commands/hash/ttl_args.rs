//! The words that commands of field expiry share: `FIELDS n field ...`, conditions, and times.

use crate::base::args::Args;
use crate::base::error::{self, Error};
use crate::call::Ctx;
use crate::value::hash_ttl::EXPIRE_MAX_MS;

/// How a number states a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unit {
    /// Seconds, not milliseconds.
    pub seconds: bool,
    /// Since 1970, not from now.
    pub absolute: bool,
}

impl Unit {
    /// EX, PX, EXAT, PXAT.
    pub fn named(args: &Args, i: usize) -> Option<Unit> {
        let unit = |seconds, absolute| Some(Unit { seconds, absolute });
        match () {
            () if args.is(i, "ex") => unit(true, false),
            () if args.is(i, "px") => unit(false, false),
            () if args.is(i, "exat") => unit(true, true),
            () if args.is(i, "pxat") => unit(false, true),
            () => None,
        }
    }

    /// Argument `i` as a Unix time in milliseconds. A log may name later times than clients may: those that a snapshot brought.
    pub fn when(self, cx: &Ctx, args: &Args, i: usize, command: &str) -> Result<i64, Error> {
        let number = args.int(i)?;
        if number < 0 {
            return Err(Error::new("ERR invalid expire time, must be >= 0"));
        }
        let ms = if self.seconds {
            number.checked_mul(1000)
        } else {
            Some(number)
        };
        let from = if self.absolute { 0 } else { cx.ks.now_ms };
        ms.and_then(|ms| ms.checked_add(from))
            .filter(|at| *at <= EXPIRE_MAX_MS || cx.session.applies())
            .ok_or_else(|| error::invalid_expire(command))
    }
}

/// Fields named by a command: arguments `from`, `from + step`, ..., `count` of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    pub from: usize,
    pub count: usize,
    pub step: usize,
}

impl Fields {
    /// The names.
    pub fn names<'a>(self, args: &Args<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        args.iter_from(self.from)
            .step_by(self.step)
            .take(self.count)
    }

    /// Parses `FIELDS n field [value] ...` at argument `i`, which stands among other options. `few` is the error for a count
    /// that is none.
    pub fn among_options(
        args: &Args,
        i: usize,
        step: usize,
        few: &'static str,
    ) -> Result<Fields, Error> {
        let count = args.int(i + 1).ok();
        let count = count.filter(|n| (1..=i64::from(i32::MAX)).contains(n));
        let count = count.ok_or(Error::new(few))? as usize;
        let (from, left) = (i + 2, args.len().saturating_sub(i + 2));
        if left < count * step {
            return Err(Error::new("ERR wrong number of arguments"));
        }
        Ok(Fields { from, count, step })
    }

    /// Where the arguments behind them begin.
    pub fn end(self) -> usize {
        self.from + self.count * self.step
    }

    /// Parses `FIELDS n field ...` at argument 2, behind which nothing follows.
    pub fn to_the_end(args: &Args) -> Result<Fields, Error> {
        if !args.is(2, "fields") {
            return Err(Error::new(
                "ERR Mandatory argument FIELDS is missing or not at the right position",
            ));
        }
        let few = Error::new("ERR Number of fields must be a positive integer");
        let count = args.int(3).ok().filter(|n| *n > 0).ok_or(few)?;
        if usize::try_from(count).ok() != Some(args.len() - 4) {
            return Err(Error::new(
                "ERR The `numfields` parameter must match the number of arguments",
            ));
        }
        Ok(Fields {
            from: 4,
            count: args.len() - 4,
            step: 1,
        })
    }
}

/// The error for a word that means nothing here.
pub(super) fn unknown(word: &[u8]) -> Error {
    Error::text(format!("ERR unknown argument: {}", error::lossless(word)))
}
