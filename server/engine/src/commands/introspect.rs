//! COMMAND: the table as clients see it. Shapes are those of Redis 7.2: maps and sets in RESP3, arrays in RESP2.

use cairn_format::text::glob::glob_match;

use crate::base::args::{Args, ArgsBuf};
use crate::base::error::{self, Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::keys::{self, KeyUse};
use crate::call::reply::Reply;
use crate::call::spec::{Begin, Command, Find, Flags, Group, KeySpec};
use crate::call::table::CommandTable;
use crate::call::{categories, help};

/// This family.
pub const COMMANDS: &[&Command] = &[&COMMAND];

const COMMAND: Command = Command {
    arity: -1,
    flags: Flags::LOADING.and(Flags::STALE),
    categories: Some(&["@connection"]),
    tips: &["nondeterministic_output_order"],
    complexity: "O(N) where N is the total number of commands",
    run: all,
    ..Command::container(
        "command",
        Group::Server,
        "2.8.13",
        "Describe all commands",
        &[
            &INFO,
            &COUNT,
            &LIST,
            &DOCS,
            &GETKEYS,
            &GETKEYSANDFLAGS,
            &HELP,
        ],
    )
};

const SUB: Command = Command {
    group: Group::Server,
    since: "2.8.13",
    flags: Flags::LOADING.and(Flags::STALE),
    categories: Some(&["@connection"]),
    ..Command::BASE
};

fn all(cx: &mut Ctx, _: &Args) -> Outcome {
    let commands: Vec<&Command> = cx.shared.table.top_level().collect();
    cx.reply.array(commands.len());
    for command in commands {
        write_info(cx.reply, command);
    }
    Ok(())
}

const COUNT: Command = Command {
    name: "command|count",
    arity: 2,
    summary: "Count the commands",
    run: |cx, _| {
        cx.reply.int(cx.shared.table.top_level().count() as i64);
        Ok(())
    },
    ..SUB
};

const INFO: Command = Command {
    name: "command|info",
    arity: -2,
    tips: &["nondeterministic_output_order"],
    complexity: "O(N) where N is the number of commands to look up",
    summary: "Describe some commands, or all",
    run: info,
    ..SUB
};

fn info(cx: &mut Ctx, args: &Args) -> Outcome {
    if args.len() == 2 {
        return all(cx, args);
    }
    cx.reply.array(args.len() - 2);
    for name in args.iter_from(2) {
        match look_up(&cx.shared.table, name) {
            Some(command) => write_info(cx.reply, command),
            None => cx.reply.null(),
        }
    }
    Ok(())
}

/// A command or, as `container|sub`, a subcommand.
fn look_up(table: &CommandTable, name: &[u8]) -> Option<&'static Command> {
    let mut words = name.splitn(2, |byte| *byte == b'|');
    let found = table.find(words.next()?)?;
    match words.next() {
        None => Some(found.spec),
        Some(sub) => table.find_sub(found, sub).map(|entry| entry.spec),
    }
}

fn write_info(reply: &mut Reply, command: &Command) {
    reply.array(10);
    reply.bulk(command.name.as_bytes());
    reply.int(i64::from(command.arity));
    write_words(reply, &command.flags.words().collect::<Vec<_>>());
    let (first, last, step) = keys::legacy_range(command);
    for number in [first, last, step] {
        reply.int(number);
    }
    write_words(reply, &categories::of(command).collect::<Vec<_>>());
    reply.set(command.tips.len());
    for tip in command.tips {
        reply.bulk(tip.as_bytes());
    }
    reply.set(command.keys.len());
    for spec in command.keys {
        write_key_spec(reply, spec);
    }
    if command.subcommands.is_empty() {
        reply.set(0);
    } else {
        reply.array(command.subcommands.len());
    }
    for sub in command.subcommands {
        write_info(reply, sub);
    }
}

/// A set of status words.
fn write_words(reply: &mut Reply, words: &[&str]) {
    reply.set(words.len());
    for word in words {
        reply.simple(word);
    }
}

fn write_key_spec(reply: &mut Reply, spec: &KeySpec) {
    reply.map(if spec.notes.is_empty() { 3 } else { 4 });
    if !spec.notes.is_empty() {
        reply.bulk(b"notes");
        reply.bulk(spec.notes.as_bytes());
    }
    reply.bulk(b"flags");
    write_words(reply, spec.flags);
    reply.bulk(b"begin_search");
    match spec.begin {
        Begin::Index(index) => write_search(reply, "index", &[("index", index)]),
        Begin::Keyword(word, from) => {
            write_type(reply, "keyword", 2);
            reply.bulk(b"keyword");
            reply.bulk(word.as_bytes());
            reply.bulk(b"startfrom");
            reply.int(i64::from(from));
        }
        Begin::Unknown => write_search(reply, "unknown", &[]),
    }
    reply.bulk(b"find_keys");
    match spec.find {
        Find::Range { last, step, limit } => write_search(
            reply,
            "range",
            &[("lastkey", last), ("keystep", step), ("limit", limit)],
        ),
        Find::Count { at, first, step } => write_search(
            reply,
            "keynum",
            &[("keynumidx", at), ("firstkey", first), ("keystep", step)],
        ),
        Find::Unknown => write_search(reply, "unknown", &[]),
    }
}

fn write_search(reply: &mut Reply, kind: &str, numbers: &[(&str, i16)]) {
    write_type(reply, kind, numbers.len());
    for (name, number) in numbers {
        reply.bulk(name.as_bytes());
        reply.int(i64::from(*number));
    }
}

/// The frame of a search: its type and the header of its details.
fn write_type(reply: &mut Reply, kind: &str, details: usize) {
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(kind.as_bytes());
    reply.bulk(b"spec");
    reply.map(details);
}

const LIST: Command = Command {
    name: "command|list",
    since: "7.0.0",
    arity: -2,
    tips: &["nondeterministic_output_order"],
    complexity: "O(N) where N is the total number of commands",
    summary: "Name the commands, all or those of a category or pattern",
    run: list,
    ..SUB
};

fn list(cx: &mut Ctx, args: &Args) -> Outcome {
    let filter: Box<dyn Fn(&Command) -> bool> = match args.len() {
        2 => Box::new(|_| true),
        5 if args.is(2, "filterby") => {
            let value = args.at(4);
            match args.at(3).to_ascii_lowercase().as_slice() {
                // There are no modules.
                b"module" => Box::new(|_| false),
                b"aclcat" => {
                    let category = format!("@{}", String::from_utf8_lossy(value).to_lowercase());
                    Box::new(move |c| categories::belongs(c, &category))
                }
                b"pattern" => Box::new(move |c| glob_match(value, c.name.as_bytes(), true)),
                _ => return Err(error::SYNTAX),
            }
        }
        _ => return Err(error::SYNTAX),
    };
    let names: Vec<&str> = cx
        .shared
        .table
        .entries()
        .iter()
        .filter(|c| filter(c))
        .map(|c| c.name)
        .collect();
    cx.reply.array(names.len());
    for name in names {
        cx.reply.bulk(name.as_bytes());
    }
    Ok(())
}

const DOCS: Command = Command {
    name: "command|docs",
    since: "7.0.0",
    arity: -2,
    tips: &["nondeterministic_output_order"],
    complexity: "O(N) where N is the number of commands to look up",
    summary: "Document some commands, or all",
    run: docs,
    ..SUB
};

fn docs(cx: &mut Ctx, args: &Args) -> Outcome {
    let table = &cx.shared.table;
    let commands: Vec<&Command> = match args.len() {
        2 => table.top_level().collect(),
        _ => args
            .iter_from(2)
            .filter_map(|name| look_up(table, name))
            .collect(),
    };
    cx.reply.map(commands.len());
    for command in commands {
        write_docs(cx.reply, command);
    }
    Ok(())
}

fn write_docs(reply: &mut Reply, command: &Command) {
    reply.bulk(command.name.as_bytes());
    reply.map(if command.subcommands.is_empty() { 4 } else { 5 });
    for (name, text) in [
        ("summary", command.summary),
        ("since", command.since),
        ("group", command.group.name()),
        ("complexity", command.complexity),
    ] {
        reply.bulk(name.as_bytes());
        reply.bulk(text.as_bytes());
    }
    if !command.subcommands.is_empty() {
        reply.bulk(b"subcommands");
        reply.map(command.subcommands.len());
        for sub in command.subcommands {
            write_docs(reply, sub);
        }
    }
}

const GETKEYS: Command = Command {
    name: "command|getkeys",
    arity: -3,
    complexity: "O(N) where N is the number of arguments to the command",
    summary: "Name the keys of a command line",
    run: |cx, args| {
        let (command, keys) = keys_of_line(cx, args)?;
        cx.reply.array(keys.len());
        for key in keys {
            cx.reply.bulk(command.args().at(key.at));
        }
        Ok(())
    },
    ..SUB
};

const GETKEYSANDFLAGS: Command = Command {
    name: "command|getkeysandflags",
    since: "7.0.0",
    arity: -3,
    complexity: "O(N) where N is the number of arguments to the command",
    summary: "Name the keys of a command line and what happens to them",
    run: |cx, args| {
        let (command, keys) = keys_of_line(cx, args)?;
        cx.reply.array(keys.len());
        for key in keys {
            cx.reply.array(2);
            cx.reply.bulk(command.args().at(key.at));
            write_words(cx.reply, key.flags);
        }
        Ok(())
    },
    ..SUB
};

/// The command line after `COMMAND GETKEYS`, and its keys.
fn keys_of_line(cx: &Ctx, args: &Args) -> Result<(ArgsBuf, Vec<KeyUse>), Error> {
    let words: Vec<&[u8]> = args.iter_from(2).collect();
    let line = ArgsBuf::from_slices(&words);
    let invalid = Error::new("ERR Invalid command specified");
    let table = &cx.shared.table;
    let found = table.find(words[0]).ok_or(invalid.clone())?;
    let command = match words.get(1) {
        Some(sub) if !found.spec.subcommands.is_empty() => {
            table.find_sub(found, sub).ok_or(invalid)?.spec
        }
        _ => found.spec,
    };
    if !keys::has_keys(command) {
        return Err(Error::new("ERR The command has no key arguments"));
    }
    if !command.accepts(words.len()) {
        return Err(Error::new(
            "ERR Invalid number of arguments specified for command",
        ));
    }
    let keys = keys::keys_of(command, &line.args()).unwrap_or_default();
    if keys.is_empty() && !command.flags.has(Flags::NO_MANDATORY_KEYS) {
        return Err(Error::new("ERR Invalid arguments specified for command"));
    }
    Ok((line, keys))
}

const HELP: Command = Command {
    since: "5.0.0",
    ..help::subcommand("command|help", SUB, HELP_LINES)
};

const HELP_LINES: &[&str] = &[
    "(no subcommand)",
    "    Return details about all Redis commands.",
    "COUNT",
    "    Return the total number of commands in this Redis server.",
    "LIST",
    "    Return a list of all commands in this Redis server.",
    "INFO [<command-name> ...]",
    "    Return details about multiple Redis commands.",
    "    If no command names are given, documentation details for all",
    "    commands are returned.",
    "DOCS [<command-name> ...]",
    "    Return documentation details about multiple Redis commands.",
    "    If no command names are given, documentation details for all",
    "    commands are returned.",
    "GETKEYS <full-command>",
    "    Return the keys from a full Redis command.",
    "GETKEYSANDFLAGS <full-command>",
    "    Return the keys and the access flags from a full Redis command.",
];
