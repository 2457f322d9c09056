//! EVAL, FCALL, SCRIPT, FUNCTION.
//!
//! ```text
//! eval       programs sent with the call              script     the cache of such programs
//! fcall      functions of libraries                   function   the libraries
//! kill       ends the script that runs
//! ```

mod eval;
mod fcall;
mod function;
mod kill;
mod script;

use crate::base::args::Args;
use crate::base::error::{Error, NOT_INTEGER};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags};
use crate::call::watch::monitor;
use crate::scripts::flags::ScriptFlags;

/// This family.
pub const COMMANDS: &[&Command] = &[
    &eval::EVAL,
    &eval::EVAL_RO,
    &eval::EVALSHA,
    &eval::EVALSHA_RO,
    &fcall::FCALL,
    &fcall::FCALL_RO,
    &function::FUNCTION,
    &script::SCRIPT,
];

/// What calls a program: which gates it must pass depends on the program.
const CALLS: Flags = Flags::NO_SCRIPT
    .and(Flags::STALE)
    .and(Flags::SKIP_MONITOR)
    .and(Flags::MAY_REPLICATE)
    .and(Flags::NO_MANDATORY_KEYS)
    .and(Flags::MOVABLE_KEYS);

/// The same where the program must not change anything.
const CALLS_RO: Flags = CALLS.without(Flags::MAY_REPLICATE).and(Flags::READ);

/// Flags of a call of a program that asks for `asked`.
fn flags_of_program(own: Flags, asked: Option<ScriptFlags>) -> Flags {
    let Some(asked) = asked else { return own };
    if asked.has(ScriptFlags::COMPATIBLE) {
        return own;
    }
    let mut flags = own.without(Flags::STALE);
    if asked.has(ScriptFlags::NO_WRITES) {
        flags = flags.without(Flags::MAY_REPLICATE);
    } else {
        flags = flags.and(Flags::WRITE);
        if !asked.has(ScriptFlags::ALLOW_OOM) {
            flags = flags.and(Flags::DENY_OOM);
        }
    }
    match asked.has(ScriptFlags::ALLOW_STALE) {
        true => flags.and(Flags::STALE),
        false => flags,
    }
}

/// Shows a call to those who look on, whatever becomes of it: it comes before what it runs, and a script that is not known is a call as well.
fn show(cx: &mut Ctx, args: &Args) {
    if !cx.shared.watch.monitors.is_empty() {
        monitor::show_caller(cx, args);
    }
}

/// How many of the arguments behind argument 2 are keys.
fn count_keys(args: &Args, not_a_number: Error) -> Result<usize, Error> {
    let count = args.int(2).map_err(|error| match error == NOT_INTEGER {
        true => not_a_number,
        false => error,
    })?;
    match usize::try_from(count) {
        Err(_) => Err(Error::new("ERR Number of keys can't be negative")),
        Ok(count) if count > args.len() - 3 => Err(Error::new(
            "ERR Number of keys can't be greater than number of args",
        )),
        Ok(count) => Ok(count),
    }
}

/// Whether a call that must not change anything may call a program.
fn check_read_only(reads_only: bool, asked: ScriptFlags) -> Result<(), Error> {
    let says_nothing = asked.has(ScriptFlags::COMPATIBLE);
    if reads_only && !says_nothing && !asked.has(ScriptFlags::NO_WRITES) {
        return Err(Error::new(
            "ERR Can not execute a script with write flag using *_ro command.",
        ));
    }
    Ok(())
}

/// Whether the mode of a FLUSH is one.
fn is_flush_mode(args: &Args, at: usize) -> bool {
    args.get(at).is_none() || args.is(at, "sync") || args.is(at, "async")
}
