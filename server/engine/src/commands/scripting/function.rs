//! FUNCTION: the libraries.

use cairn_format::text::glob::glob_match;

use super::is_flush_mode;
use super::kill::kill;
use crate::base::args::Args;
use crate::base::error::{Error, Outcome, bad_subcommand, lossless};
use crate::call::ctx::Ctx;
use crate::call::help;
use crate::call::spec::{Command, Flags, Group};
use crate::scripts::libraries::{Function, Library, Lines, Restore};
use crate::scripts::running::Sort;

pub(super) const FUNCTION: Command = Command::container(
    "function",
    Group::Scripting,
    "7.0.0",
    "Look after the libraries of functions",
    &[
        &DUMP, &DELETE, &FLUSH, &HELP, &RESTORE, &LOAD, &LIST, &KILL, &STATS,
    ],
);

/// How long a client may have a library loaded, microseconds.
const LOAD_MAX_US: u64 = 500_000;

const DUMP: Command = Command {
    name: "function|dump",
    group: Group::Scripting,
    since: "7.0.0",
    arity: 2,
    flags: Flags::NO_SCRIPT,
    complexity: "O(N) where N is the number of functions",
    summary: "Serialize all libraries",
    run: |cx, _| {
        let payload = cx.ks.libraries.dump()?;
        cx.reply.bulk(&payload);
        Ok(())
    },
    ..Command::BASE
};

const DELETE: Command = Command {
    name: "function|delete",
    arity: 3,
    flags: Flags::NO_SCRIPT.and(Flags::WRITE),
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    complexity: "O(1)",
    summary: "Remove a library",
    run: delete,
    ..DUMP
};

fn delete(cx: &mut Ctx, args: &Args) -> Outcome {
    if !cx.ks.libraries.delete(args.at(2)) {
        return Err(Error::new("ERR Library not found"));
    }
    cx.ks.dirty += 1;
    cx.reply.ok();
    Ok(())
}

const FLUSH: Command = Command {
    name: "function|flush",
    arity: -2,
    complexity: "O(N) where N is the number of functions deleted",
    summary: "Remove all libraries",
    run: flush,
    ..DELETE
};

fn flush(cx: &mut Ctx, args: &Args) -> Outcome {
    if args.len() > 3 {
        return Err(bad_subcommand("FUNCTION", args.at(1)));
    }
    if !is_flush_mode(args, 2) {
        return Err(Error::new(
            "ERR FUNCTION FLUSH only supports SYNC|ASYNC option",
        ));
    }
    cx.ks.libraries.flush();
    cx.ks.dirty += 1;
    cx.reply.ok();
    Ok(())
}

const RESTORE: Command = Command {
    name: "function|restore",
    arity: -3,
    flags: Flags::NO_SCRIPT.and(Flags::WRITE).and(Flags::DENY_OOM),
    complexity: "O(N) where N is the number of functions on the payload",
    summary: "Take the libraries of a payload in",
    run: restore,
    ..DELETE
};

fn restore(cx: &mut Ctx, args: &Args) -> Outcome {
    if args.len() > 4 {
        return Err(bad_subcommand("FUNCTION", args.at(1)));
    }
    let how = match args.get(3) {
        None => Restore::Append,
        Some(_) if args.is(3, "append") => Restore::Append,
        Some(_) if args.is(3, "replace") => Restore::Replace,
        Some(_) if args.is(3, "flush") => Restore::Flush,
        Some(_) => {
            return Err(Error::new(
                "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.",
            ));
        }
    };
    let mut lines = Lines::new();
    let restored = cx.ks.libraries.restore(args.at(2), how, &mut lines);
    say(cx, lines);
    restored?;
    cx.ks.dirty += 1;
    cx.reply.ok();
    Ok(())
}

const LOAD: Command = Command {
    name: "function|load",
    complexity: "O(1) (considering compilation time is redundant)",
    summary: "Load a library",
    run: load,
    ..RESTORE
};

fn load(cx: &mut Ctx, args: &Args) -> Outcome {
    let mut replace = false;
    for at in 2..args.len() - 1 {
        if !args.is(at, "replace") {
            return Err(Error::text(format!(
                "ERR Unknown option given: {}",
                lossless(args.at(at))
            )));
        }
        replace = true;
    }
    let end_us = match cx.session.applies() {
        true => u64::MAX,
        false => cx.inst.mono_us().saturating_add(LOAD_MAX_US),
    };
    let mut lines = Lines::new();
    let inst = &mut *cx.inst;
    let is_over = &mut || inst.mono_us() > end_us;
    let code = args.at(args.len() - 1);
    let loaded = cx.ks.libraries.load(code, replace, &mut lines, is_over);
    say(cx, lines);
    let name = loaded?;
    cx.ks.dirty += 1;
    cx.reply.bulk(&name);
    Ok(())
}

/// Writes what libraries said while they were loaded to the log.
fn say(cx: &mut Ctx, lines: Lines) {
    for (loudness, line) in lines {
        cx.inst.script_says(loudness, &line);
    }
}

const LIST: Command = Command {
    name: "function|list",
    arity: -2,
    tips: &["nondeterministic_output_order"],
    complexity: "O(N) where N is the number of functions",
    summary: "List the libraries",
    run: list,
    ..DUMP
};

fn list(cx: &mut Ctx, args: &Args) -> Outcome {
    let (mut pattern, mut with_code) = (None, false);
    let mut at = 2;
    while at < args.len() {
        if !with_code && args.is(at, "withcode") {
            with_code = true;
        } else if pattern.is_none() && args.is(at, "libraryname") {
            at += 1;
            let given = args.get(at);
            pattern = Some(given.ok_or(Error::new("ERR library name argument was not given"))?);
        } else {
            return Err(Error::text(format!(
                "ERR Unknown argument {}",
                lossless(args.at(at))
            )));
        }
        at += 1;
    }
    let libraries = &cx.ks.libraries;
    let matches = |name: &[u8]| pattern.is_none_or(|pattern| glob_match(pattern, name, true));
    let shown = libraries.iter().filter(|(name, _)| matches(name));
    cx.reply.array(shown.clone().count());
    for (name, library) in shown {
        let functions = libraries.functions_of(library);
        show(cx.reply, name, library, functions, with_code);
    }
    Ok(())
}

fn show<'f>(
    reply: &mut crate::call::Reply,
    name: &[u8],
    library: &Library,
    functions: impl ExactSizeIterator<Item = &'f Function>,
    with_code: bool,
) {
    reply.map(3 + usize::from(with_code));
    reply.bulk(b"library_name");
    reply.bulk(name);
    reply.bulk(b"engine");
    reply.bulk(b"LUA");
    reply.bulk(b"functions");
    reply.array(functions.len());
    for function in functions {
        reply.map(3);
        reply.bulk(b"name");
        reply.bulk(&function.name);
        reply.bulk(b"description");
        match &function.description {
            Some(text) => reply.bulk(text),
            None => reply.null(),
        }
        reply.bulk(b"flags");
        reply.set(function.flags.names().count());
        function.flags.names().for_each(|flag| reply.simple(flag));
    }
    if with_code {
        reply.bulk(b"library_code");
        reply.bulk(&library.code);
    }
}

const KILL: Command = Command {
    name: "function|kill",
    flags: Flags::NO_SCRIPT.and(Flags::ALLOW_BUSY),
    tips: &["request_policy:all_shards", "response_policy:one_succeeded"],
    complexity: "O(1)",
    summary: "End the function that runs",
    run: |cx, _| kill(cx, Sort::Function),
    ..DUMP
};

const STATS: Command = Command {
    name: "function|stats",
    tips: &[
        "nondeterministic_output",
        "request_policy:all_shards",
        "response_policy:special",
    ],
    summary: "Tell which function runs, and how many there are",
    run: stats,
    ..KILL
};

fn stats(cx: &mut Ctx, _: &Args) -> Outcome {
    let running = cx.shared.running.as_ref();
    if running.is_some_and(|running| running.sort == Sort::Script)
        && let Some(busy) = cx.shared.gate.busy.clone()
    {
        return Err(busy);
    }
    let now_us = cx.inst.mono_us();
    cx.reply.map(2);
    cx.reply.bulk(b"running_script");
    let slow = running.and_then(|running| Some((running, running.slow.as_ref()?)));
    match slow {
        None => cx.reply.null(),
        Some((running, slow)) => {
            cx.reply.map(3);
            cx.reply.bulk(b"name");
            cx.reply.bulk(&slow.name);
            cx.reply.bulk(b"command");
            cx.reply.array(slow.command.len());
            slow.command.iter().for_each(|word| cx.reply.bulk(word));
            cx.reply.bulk(b"duration_ms");
            let took_us = now_us.saturating_sub(running.started.mono_us);
            cx.reply.int((took_us / 1000) as i64);
        }
    }
    cx.reply.bulk(b"engines");
    cx.reply.map(1);
    cx.reply.bulk(b"LUA");
    cx.reply.map(2);
    cx.reply.bulk(b"libraries_count");
    cx.reply.int(cx.ks.libraries.len() as i64);
    cx.reply.bulk(b"functions_count");
    cx.reply.int(cx.ks.libraries.functions() as i64);
    Ok(())
}

const HELP: Command = help::subcommand("function|help", DUMP, HELP_LINES);

const HELP_LINES: &[&str] = &[
    "LOAD [REPLACE] <FUNCTION CODE>",
    "    Create a new library with the given library name and code.",
    "DELETE <LIBRARY NAME>",
    "    Delete the given library.",
    "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
    "    Return general information on all the libraries:",
    "    * Library name",
    "    * The engine used to run the Library",
    "    * Library description",
    "    * Functions list",
    "    * Library code (if WITHCODE is given)",
    "    It also possible to get only function that matches a pattern using LIBRARYNAME argument.",
    "STATS",
    "    Return information about the current function running:",
    "    * Function name",
    "    * Command used to run the function",
    "    * Duration in MS that the function is running",
    "    If no function is running, return nil",
    "    In addition, returns a list of available engines.",
    "KILL",
    "    Kill the current running function.",
    "FLUSH [ASYNC|SYNC]",
    "    Delete all the libraries.",
    "    When called without the optional mode argument, the behavior is determined by the",
    "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
    "    * ASYNC: Asynchronously flush the libraries.",
    "    * SYNC: Synchronously flush the libraries.",
    "DUMP",
    "    Return a serialized payload representing the current libraries, can be restored using FUNCTION RESTORE command",
    "RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
    "    Restore the libraries represented by the given payload, it is possible to give a restore policy to",
    "    control how to handle existing libraries (default APPEND):",
    "    * FLUSH: delete all existing libraries.",
    "    * APPEND: appends the restored libraries to the existing libraries. On collision, abort.",
    "    * REPLACE: appends the restored libraries to the existing libraries, On collision, replace the old",
    "      libraries with the new libraries (notice that even on this option there is a chance of failure",
    "      in case of functions name collision with another library).",
];
