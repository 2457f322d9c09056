//! SLOWLOG, and COMMANDLOG, which is Valkey's: the same for large requests and large replies.

use crate::base::args::Args;
use crate::base::error::{self, Error};
use crate::call::help;
use crate::call::reply::Reply;
use crate::call::spec::{Command, Flags, Group};
use crate::call::watch::command_log::{CommandLog, LogEntry, Remark};

/// Entries that SLOWLOG GET answers unless it is told how many.
const SHOWN: usize = 10;

const ADMIN: Flags = Flags::ADMIN.and(Flags::LOADING).and(Flags::STALE);
const TO_ALL: &str = "request_policy:all_nodes";
const CHANGES: &str = "nondeterministic_output";

pub(super) const SLOWLOG: Command = Command::container(
    "slowlog",
    Group::Server,
    "2.2.12",
    "Look at commands that were slow",
    &[&SLOW_GET, &SLOW_LEN, &SLOW_RESET, &SLOW_HELP],
);

const SLOW: Command = Command {
    group: Group::Server,
    since: "2.2.12",
    arity: 2,
    flags: ADMIN,
    ..Command::BASE
};

const SLOW_GET: Command = Command {
    name: "slowlog|get",
    arity: -2,
    tips: &[TO_ALL, CHANGES],
    complexity: "O(N) where N is the number of entries returned",
    summary: "Show the last slow commands, newest first",
    run: |cx, args| {
        let count = match args.get(2) {
            None => SHOWN,
            Some(_) if args.len() > 3 => {
                return Err(error::bad_subcommand("SLOWLOG", args.at(1)));
            }
            Some(_) => asked(args, 2)?,
        };
        write(cx.reply, cx.shared.watch.log(Remark::Slow), count);
        Ok(())
    },
    ..SLOW
};

const SLOW_LEN: Command = Command {
    name: "slowlog|len",
    tips: &[TO_ALL, "response_policy:agg_sum", CHANGES],
    summary: "Count the slow commands that are kept",
    run: |cx, _| {
        let len = cx.shared.watch.log(Remark::Slow).entries().len();
        cx.reply.int(len as i64);
        Ok(())
    },
    ..SLOW
};

const SLOW_RESET: Command = Command {
    name: "slowlog|reset",
    tips: &[TO_ALL, "response_policy:all_succeeded"],
    complexity: "O(N) where N is the number of entries in the slowlog",
    summary: "Forget the slow commands",
    run: |cx, _| {
        cx.shared.watch.log_mut(Remark::Slow).reset();
        cx.reply.ok();
        Ok(())
    },
    ..SLOW
};

const SLOW_HELP: Command = Command {
    since: "6.2.0",
    ..help::subcommand("slowlog|help", SLOW, SLOW_LINES)
};

const SLOW_LINES: &[&str] = &[
    "GET [<count>]",
    "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
    "    Entries are made of:",
    "    id, timestamp, time in microseconds, arguments array, client IP and port,",
    "    client name",
    "LEN",
    "    Return the length of the slowlog.",
    "RESET",
    "    Reset the slowlog.",
];

pub(super) const COMMANDLOG: Command = Command::container(
    "commandlog",
    Group::Server,
    "8.1.0",
    "Look at commands that were slow, or of a large request or reply",
    &[&LOG_GET, &LOG_LEN, &LOG_RESET, &LOG_HELP],
);

const LOG: Command = Command {
    since: "8.1.0",
    arity: 3,
    ..SLOW
};

const LOG_GET: Command = Command {
    name: "commandlog|get",
    arity: 4,
    tips: &[TO_ALL, CHANGES],
    complexity: "O(N) where N is the number of entries returned",
    summary: "Show the last commands of a kind, newest first",
    run: |cx, args| {
        let remark = kind(args, 3)?;
        let count = asked(args, 2)?;
        write(cx.reply, cx.shared.watch.log(remark), count);
        Ok(())
    },
    ..LOG
};

const LOG_LEN: Command = Command {
    name: "commandlog|len",
    tips: &[TO_ALL, "response_policy:agg_sum", CHANGES],
    summary: "Count the commands of a kind that are kept",
    run: |cx, args| {
        let len = cx.shared.watch.log(kind(args, 2)?).entries().len();
        cx.reply.int(len as i64);
        Ok(())
    },
    ..LOG
};

const LOG_RESET: Command = Command {
    name: "commandlog|reset",
    tips: &[TO_ALL, "response_policy:all_succeeded"],
    complexity: "O(N) where N is the number of entries in the commandlog",
    summary: "Forget the commands of a kind",
    run: |cx, args| {
        cx.shared.watch.log_mut(kind(args, 2)?).reset();
        cx.reply.ok();
        Ok(())
    },
    ..LOG
};

const LOG_HELP: Command = help::subcommand("commandlog|help", LOG, LOG_LINES);

const LOG_LINES: &[&str] = &[
    "GET <count> <type>",
    "    Return top <count> entries of the specified <type> from the commandlog (-1 mean all).",
    "    Entries are made of:",
    "    id, timestamp,",
    "        time in microseconds for type of slow,",
    "        or size in bytes for type of large-request,",
    "        or size in bytes for type of large-reply",
    "    arguments array, client IP and port,",
    "    client name",
    "LEN <type>",
    "    Return the length of the specified type of commandlog.",
    "RESET <type>",
    "    Reset the specified type of commandlog.",
];

fn kind(args: &Args, at: usize) -> Result<Remark, Error> {
    let known = Remark::ALL.iter().find(|(_, word)| args.is(at, word));
    known.map(|(remark, _)| *remark).ok_or(Error::new(
        "ERR type should be one of the following: slow, large-request, large-reply",
    ))
}

/// How many entries: -1 is all.
fn asked(args: &Args, at: usize) -> Result<usize, Error> {
    match args.int(at) {
        Ok(-1) => Ok(usize::MAX),
        Ok(count) if count >= 0 => Ok(count as usize),
        _ => Err(Error::new(
            "ERR count should be greater than or equal to -1",
        )),
    }
}

fn write(reply: &mut Reply, log: &CommandLog, count: usize) {
    let entries = log.entries();
    let shown = entries.len().min(count);
    reply.array(shown);
    entries
        .take(shown)
        .for_each(|entry| write_entry(reply, entry));
}

fn write_entry(reply: &mut Reply, entry: &LogEntry) {
    reply.array(6);
    reply.int(entry.id as i64);
    reply.int(entry.at_s);
    reply.int(entry.value.min(i64::MAX as u64) as i64);
    reply.array(entry.args.len());
    entry.args.iter().for_each(|arg| reply.bulk(arg));
    reply.bulk(entry.address.as_bytes());
    reply.bulk(&entry.name);
}
