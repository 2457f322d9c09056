//! One command of a script: what stands before its run. Reasons, their order and their words are those of Redis 7.2.4.

use cairn_lua::Stack;

use super::host::Script;
use crate::base::args::Args;
use crate::base::error::{Error, NO_REPLICAS, OUT_OF_MEMORY, READ_ONLY};
use crate::call::ctx::Ctx;
use crate::call::dispatch::settle_view;
use crate::call::rights;
use crate::call::route;
use crate::call::run::{self, count_error};
use crate::call::spec::{Command, Flags};
use crate::scripts::flags::ScriptFlags;

/// Runs a command of a script; its answer is in `cx.reply`.
///
/// # Errors
/// It may not run. That is counted as Redis counts it.
pub(super) fn run(cx: &mut Ctx, script: &mut Script, args: &Args) -> Result<(), Error> {
    let Some(found) = cx.shared.table.find_call(args) else {
        let error = Error::new("ERR Unknown Redis command called from script");
        count_error(&mut cx.shared.stats, &error);
        return Err(error);
    };
    cx.command = found;
    if let Some(error) = refusal(cx, script, found.spec, args) {
        cx.shared.stats.commands[found.id.index()].rejected += 1;
        count_error(&mut cx.shared.stats, &error);
        return Err(error);
    }
    if found.spec.flags.has(Flags::WRITE) {
        script.wrote = true;
        if let Some(running) = &mut cx.shared.running {
            running.wrote = true;
        }
    }
    // A script that says nothing of itself may touch whatever is here.
    let may_cross =
        script.flags.has(ScriptFlags::CROSS_SLOT) || script.flags.has(ScriptFlags::COMPATIBLE);
    let table =
        route::table_of_inner(cx, args, &mut script.slot, may_cross).inspect_err(|error| {
            cx.shared.stats.commands[found.id.index()].rejected += 1;
            count_error(&mut cx.shared.stats, error);
        })?;
    settle_view(cx, args);
    cx.ks.select(table);
    let fed = cx.ks.fx.feed.len();
    run::run_part(cx, args);
    if !script.propagates {
        cx.ks.fx.feed.truncate(fed);
    }
    Ok(())
}

fn refusal(cx: &mut Ctx, script: &Script, spec: &Command, args: &Args) -> Option<Error> {
    if !spec.accepts(args.len()) {
        return Some(Error::new(
            "ERR Wrong number of args calling Redis command from script",
        ));
    }
    let flags = spec.flags;
    if flags.has(Flags::NO_SCRIPT) && !cx.ks.limits.tests.scripts_call_all {
        return Some(Error::new(
            "ERR This Redis command is not allowed from script",
        ));
    }
    let gate = &cx.shared.gate;
    let applies = cx.session.applies();
    let is_stale = gate.replica.is_some_and(|following| following.stale);
    if is_stale && !applies && !flags.has(Flags::STALE) {
        return Some(Error::new(
            "ERR Can not execute the command on a stale replica",
        ));
    }
    if let Err((_, text)) = rights::check(cx, args) {
        return Some(Error::text(format!("ERR ACL failure in script: {text}")));
    }
    let changes = flags.has(Flags::WRITE) || flags.has(Flags::MAY_REPLICATE);
    if changes && script.reads_only {
        return Some(Error::new(
            "ERR Write commands are not allowed from read-only scripts.",
        ));
    }
    if flags.has(Flags::WRITE)
        && !script.wrote
        && !applies
        && let Some(error) = refusal_of_write(cx)
    {
        return Some(error);
    }
    let may_lack_memory = script.lacks_memory && !script.flags.has(ScriptFlags::ALLOW_OOM);
    (flags.has(Flags::DENY_OOM) && may_lack_memory && !script.wrote && !applies)
        .then_some(OUT_OF_MEMORY)
}

/// Why a first write is refused: the role before the disk, unlike for a command of a client.
fn refusal_of_write(cx: &Ctx) -> Option<Error> {
    let gate = &cx.shared.gate;
    if gate.replica.is_some_and(|following| following.read_only) {
        return Some(READ_ONLY);
    }
    if let Some(reason) = &gate.refuse_writes {
        return Some(reason.clone());
    }
    gate.few_replicas.then_some(NO_REPLICAS)
}

/// The arguments of `redis.call` as words of a command.
///
/// # Errors
/// There is none, or one that is no string and no number.
pub(super) fn words(
    stack: &mut Stack,
    into: &mut crate::base::args::ArgsBuf,
) -> Result<(), &'static [u8]> {
    into.clear();
    if stack.top() == 0 {
        return Err(b"ERR Please specify at least one argument for this redis lib call");
    }
    let mut digits = Vec::new();
    for index in 1..=stack.top() {
        if let Some(bytes) = stack.bytes(index) {
            into.push(bytes);
        } else if let Some(number) = stack.number(index) {
            digits.clear();
            write_number(&mut digits, number);
            into.push(&digits);
        } else {
            return Err(b"ERR Lua redis lib command arguments must be strings or integers");
        }
    }
    Ok(())
}

/// A number as a command gets it: the shortest digits that read back as the same number.
fn write_number(digits: &mut Vec<u8>, number: f64) {
    if number.is_nan() {
        let text: &[u8] = if number.is_sign_negative() {
            b"-nan"
        } else {
            b"nan"
        };
        return digits.extend_from_slice(text);
    }
    cairn_format::text::double::write_f64(digits, number);
}
