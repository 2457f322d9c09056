//! SCRIPT: the cache of programs.

use super::is_flush_mode;
use super::kill::kill;
use crate::base::args::Args;
use crate::base::error::{Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::help;
use crate::call::spec::{Command, Flags, Group};
use crate::scripts::cache::parse_sha;
use crate::scripts::running::Sort;

pub(super) const SCRIPT: Command = Command::container(
    "script",
    Group::Scripting,
    "2.6.0",
    "Look after the cache of Lua scripts",
    &[&HELP, &EXISTS, &DEBUG, &FLUSH, &LOAD, &KILL],
);

const EXISTS: Command = Command {
    name: "script|exists",
    group: Group::Scripting,
    since: "2.6.0",
    arity: -3,
    flags: Flags::NO_SCRIPT,
    tips: &[
        "request_policy:all_shards",
        "response_policy:agg_logical_and",
    ],
    complexity: "O(N) with N being the number of scripts to check (so checking a single script is an O(1) operation).",
    summary: "Tell which scripts are in the cache",
    run: exists,
    ..Command::BASE
};

fn exists(cx: &mut Ctx, args: &Args) -> Outcome {
    cx.reply.array(args.len() - 2);
    for digits in args.iter_from(2) {
        let sha = parse_sha(digits);
        let is_there = sha.is_some_and(|sha| cx.shared.scripts.flags_of(&sha).is_some());
        cx.reply.int(i64::from(is_there));
    }
    Ok(())
}

const DEBUG: Command = Command {
    name: "script|debug",
    since: "3.2.0",
    arity: 3,
    tips: &[],
    complexity: "O(1)",
    summary: "Step through scripts; not offered by this server",
    run: debug,
    ..EXISTS
};

fn debug(cx: &mut Ctx, args: &Args) -> Outcome {
    if args.is(2, "no") {
        cx.reply.ok();
        return Ok(());
    }
    Err(Error::new(match args.is(2, "yes") || args.is(2, "sync") {
        true => "ERR SCRIPT DEBUG is not supported by this server",
        false => "ERR Use SCRIPT DEBUG YES/SYNC/NO",
    }))
}

const FLUSH: Command = Command {
    name: "script|flush",
    arity: -2,
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    complexity: "O(N) with N being the number of scripts in cache",
    summary: "Forget all scripts",
    run: flush,
    ..EXISTS
};

fn flush(cx: &mut Ctx, args: &Args) -> Outcome {
    if args.len() > 3 || !is_flush_mode(args, 2) {
        return Err(Error::new(
            "ERR SCRIPT FLUSH only support SYNC|ASYNC option",
        ));
    }
    cx.shared.scripts.flush();
    cx.reply.ok();
    Ok(())
}

const LOAD: Command = Command {
    name: "script|load",
    arity: 3,
    flags: Flags::NO_SCRIPT.and(Flags::STALE),
    complexity: "O(N) with N being the length in bytes of the script body.",
    summary: "Put a script into the cache",
    run: load,
    ..FLUSH
};

fn load(cx: &mut Ctx, args: &Args) -> Outcome {
    let sha = cx.shared.scripts.load(args.at(2))?;
    cx.reply.bulk(&sha);
    Ok(())
}

const KILL: Command = Command {
    name: "script|kill",
    arity: 2,
    flags: Flags::NO_SCRIPT.and(Flags::ALLOW_BUSY),
    tips: &["request_policy:all_shards", "response_policy:one_succeeded"],
    complexity: "O(1)",
    summary: "End the script that runs",
    run: |cx, _| kill(cx, Sort::Script),
    ..EXISTS
};

const HELP: Command = Command {
    since: "5.0.0",
    ..help::subcommand("script|help", EXISTS, HELP_LINES)
};

const HELP_LINES: &[&str] = &[
    "DEBUG (YES|SYNC|NO)",
    "    Set the debug mode for subsequent scripts executed.",
    "EXISTS <sha1> [<sha1> ...]",
    "    Return information about the existence of the scripts in the script cache.",
    "FLUSH [ASYNC|SYNC]",
    "    Flush the Lua scripts cache. Very dangerous on replicas.",
    "    When called without the optional mode argument, the behavior is determined by the",
    "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
    "    * ASYNC: Asynchronously flush the scripts cache.",
    "    * SYNC: Synchronously flush the scripts cache.",
    "KILL",
    "    Kill the currently executing Lua script.",
    "LOAD <script>",
    "    Load a script into the scripts cache without executing it.",
];
