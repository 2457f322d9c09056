//! EVAL, EVALSHA and the forms that only read.

use super::{CALLS, CALLS_RO, check_read_only, count_keys, flags_of_program, show};
use crate::base::args::Args;
use crate::base::error::{Error, NOT_INTEGER, Outcome};
use crate::call::ctx::{Ctx, Shared};
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::scripting::{self, Program};
use crate::scripts::cache::{Sha, parse_sha};
use crate::scripts::flags::ScriptFlags;
use crate::scripts::running::Sort;
use crate::scripts::shebang;

const WORST: &str =
    "We cannot tell how the keys will be used so we assume the worst, RW and UPDATE";
pub(super) const WORST_READ: &str =
    "We cannot tell how the keys will be used so we assume the worst, RO and ACCESS";

pub(super) const KEYS: &[KeySpec] = &[KeySpec::count(2, &["RW", "access", "update"]).note(WORST)];
pub(super) const KEYS_RO: &[KeySpec] = &[KeySpec::count(2, &["RO", "access"]).note(WORST_READ)];

pub(super) const EVAL: Command = Command {
    name: "eval",
    group: Group::Scripting,
    since: "2.6.0",
    arity: -3,
    flags: CALLS,
    keys: KEYS,
    complexity: "Depends on the script that is executed.",
    summary: "Run a Lua script",
    flags_of: Some(|_, _, args| flags_of_text(CALLS, args)),
    run: |cx, args| by_text(cx, args, false),
    ..Command::BASE
};

pub(super) const EVAL_RO: Command = Command {
    name: "eval_ro",
    since: "7.0.0",
    flags: CALLS_RO,
    keys: KEYS_RO,
    summary: "Run a Lua script that only reads",
    flags_of: Some(|_, _, args| flags_of_text(CALLS_RO, args)),
    run: |cx, args| by_text(cx, args, true),
    ..EVAL
};

pub(super) const EVALSHA: Command = Command {
    name: "evalsha",
    keys: &[KeySpec::count(2, &["RW", "access", "update"])],
    summary: "Run a Lua script by the SHA-1 of its text",
    flags_of: Some(|shared, _, args| flags_of_sha(CALLS, shared, args)),
    run: |cx, args| by_sha(cx, args, false),
    ..EVAL
};

pub(super) const EVALSHA_RO: Command = Command {
    name: "evalsha_ro",
    since: "7.0.0",
    flags: CALLS_RO,
    keys: &[KeySpec::count(2, &["RO", "access"])],
    summary: "Run a Lua script that only reads, by the SHA-1 of its text",
    flags_of: Some(|shared, _, args| flags_of_sha(CALLS_RO, shared, args)),
    run: |cx, args| by_sha(cx, args, true),
    ..EVAL
};

fn flags_of_text(own: Flags, args: &Args) -> Flags {
    let asked = shebang::of_script(args.at(1)).ok();
    flags_of_program(own, asked.map(|(flags, _)| flags))
}

fn flags_of_sha(own: Flags, shared: &Shared, args: &Args) -> Flags {
    let sha = parse_sha(args.at(1));
    flags_of_program(own, sha.and_then(|sha| shared.scripts.flags_of(&sha)))
}

fn by_text(cx: &mut Ctx, args: &Args, reads_only: bool) -> Outcome {
    show(cx, args);
    let keys = count_keys(args, NOT_INTEGER)?;
    let limit = cx.ks.limits.eval_scripts;
    let sha = cx.shared.scripts.of_text(args.at(1), limit)?;
    let flags = cx.shared.scripts.flags_of(&sha).ok_or(NO_SCRIPT)?;
    call(cx, args, (&sha, flags), keys, reads_only)
}

fn by_sha(cx: &mut Ctx, args: &Args, reads_only: bool) -> Outcome {
    show(cx, args);
    let sha = parse_sha(args.at(1)).ok_or(NO_SCRIPT)?;
    let keys = count_keys(args, NOT_INTEGER)?;
    let flags = cx.shared.scripts.find(&sha).ok_or(NO_SCRIPT)?;
    call(cx, args, (&sha, flags), keys, reads_only)
}

const NO_SCRIPT: Error = Error::new("NOSCRIPT No matching script. Please use EVAL.");

fn call(
    cx: &mut Ctx,
    args: &Args,
    (sha, flags): (&Sha, ScriptFlags),
    keys: usize,
    reads_only: bool,
) -> Outcome {
    check_read_only(reads_only, flags)?;
    let mut machine = cx.shared.scripts.take(sha).ok_or(NO_SCRIPT)?;
    let program = Program {
        sort: Sort::Script,
        name: sha,
        flags,
        reads_only,
        first_key: 3,
        keys,
    };
    scripting::run(cx, &mut machine, &program, args);
    cx.shared.scripts.give_back(machine);
    Ok(())
}
