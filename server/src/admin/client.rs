//! CLIENT: the connection about itself, and others.

use cairn_engine::base::args::Args;
use cairn_engine::base::error::{self, Error, Outcome};
use cairn_engine::call::ctx::{Extent, Paused};
use cairn_engine::call::pause;
use cairn_engine::call::{Command, Ctx, Flags, Group, blocking, help};
use cairn_engine::commands::connection::valid_name;
use cairn_engine::session::ReplyMode;
use cairn_format::text::number::parse_i64;

use super::client_common::{ADMIN, SUB};
use super::client_kill::KILL;
use super::client_tracking::{CACHING, GETREDIR, TRACKING, TRACKINGINFO};
use crate::front::client_line::{Line, kind_of_word};

/// This family.
pub const COMMANDS: &[&Command] = &[&CLIENT];

const CLIENT: Command = Command::container(
    "client",
    Group::Connection,
    "2.4.0",
    "Look at and change connections",
    &[
        &ID,
        &INFO,
        &LIST,
        &KILL,
        &SETNAME,
        &GETNAME,
        &SETINFO,
        &UNBLOCK,
        &PAUSE,
        &UNPAUSE,
        &REPLY,
        &NO_EVICT,
        &NO_TOUCH,
        &CAPA,
        &TRACKING,
        &CACHING,
        &GETREDIR,
        &TRACKINGINFO,
        &HELP,
    ],
);

const TO_ALL_NODES: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];

const UNBLOCK: Command = Command {
    name: "client|unblock",
    since: "5.0.0",
    arity: -3,
    flags: ADMIN,
    complexity: "O(log N) where N is the number of client connections",
    summary: "End the wait of another connection",
    run: unblock,
    ..SUB
};

fn unblock(cx: &mut Ctx, args: &Args) -> Outcome {
    let error = match args.get(3) {
        None => false,
        Some(_) if args.is(3, "timeout") => false,
        Some(_) if args.is(3, "error") => true,
        Some(_) => {
            return Err(Error::new(
                "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR",
            ));
        }
    };
    let id = args.int(2)?;
    let slot = cx
        .shared
        .sessions
        .iter()
        .find(|s| s.id as i64 == id)
        .map(|s| s.slot);
    let done = slot.is_some_and(|slot| blocking::unblock(cx.ks, cx.shared, slot, error, cx.inst));
    cx.reply.int(i64::from(done));
    Ok(())
}

const ID: Command = Command {
    name: "client|id",
    since: "5.0.0",
    summary: "Tell the number of this connection",
    run: |cx, _| {
        cx.reply.int(cx.session.id as i64);
        Ok(())
    },
    ..SUB
};

const INFO: Command = Command {
    name: "client|info",
    since: "6.2.0",
    tips: &["nondeterministic_output"],
    summary: "Describe this connection",
    run: |cx, args| {
        let mut text = Vec::new();
        Line::of_running(cx, args).write(&mut text);
        cx.reply.verbatim(b"txt", &text);
        Ok(())
    },
    ..SUB
};

const LIST: Command = Command {
    name: "client|list",
    arity: -2,
    flags: ADMIN,
    tips: &["nondeterministic_output"],
    complexity: "O(N) where N is the number of client connections",
    summary: "Describe all connections, or those of a type or of given numbers",
    run: list,
    ..SUB
};

fn list(cx: &mut Ctx, args: &Args) -> Outcome {
    let wanted: Box<dyn Fn(&Line) -> bool> = if args.len() == 2 {
        Box::new(|_| true)
    } else if args.len() == 4 && args.is(2, "type") {
        let kind = kind_of_word(args.at(3))?;
        Box::new(move |line| line.kind() == kind)
    } else if args.len() > 3 && args.is(2, "id") {
        let ids: Option<Vec<i64>> = args.iter_from(3).map(parse_i64).collect();
        let ids = ids.ok_or(Error::new("ERR Invalid client ID"))?;
        Box::new(move |line| ids.contains(&(line.id() as i64)))
    } else {
        return Err(error::SYNTAX);
    };
    let mut text = Vec::new();
    for line in Line::all(cx, args).iter().filter(|line| wanted(line)) {
        line.write(&mut text);
    }
    cx.reply.verbatim(b"txt", &text);
    Ok(())
}

const SETNAME: Command = Command {
    name: "client|setname",
    since: "2.6.9",
    arity: 3,
    tips: TO_ALL_NODES,
    summary: "Name this connection",
    run: |cx, args| {
        cx.session.name = valid_name(args.at(2))?.into();
        cx.reply.ok();
        Ok(())
    },
    ..SUB
};

const GETNAME: Command = Command {
    name: "client|getname",
    since: "2.6.9",
    summary: "Tell the name of this connection",
    run: |cx, _| {
        match &*cx.session.name {
            b"" => cx.reply.null(),
            name => cx.reply.bulk(name),
        }
        Ok(())
    },
    ..SUB
};

const SETINFO: Command = Command {
    name: "client|setinfo",
    since: "7.2.0",
    arity: 4,
    tips: TO_ALL_NODES,
    summary: "Tell which client library this is",
    run: set_info,
    ..SUB
};

fn set_info(cx: &mut Ctx, args: &Args) -> Outcome {
    let asked = String::from_utf8_lossy(args.at(2));
    let attribute = match args.at(2).to_ascii_lowercase().as_slice() {
        b"lib-name" => &mut cx.session.lib_name,
        b"lib-ver" => &mut cx.session.lib_ver,
        _ => return Err(Error::text(format!("ERR Unrecognized option '{asked}'"))),
    };
    let value = valid_name(args.at(3)).map_err(|_| {
        Error::text(format!(
            "ERR {asked} cannot contain spaces, newlines or special characters."
        ))
    })?;
    *attribute = value.into();
    cx.reply.ok();
    Ok(())
}

const PAUSE: Command = Command {
    name: "client|pause",
    since: "2.9.50",
    arity: -3,
    flags: ADMIN,
    summary: "Hold commands back for a while, all or those that change something",
    run: pause_clients,
    ..SUB
};

fn pause_clients(cx: &mut Ctx, args: &Args) -> Outcome {
    let extent = match args.len() {
        3 => Extent::All,
        4 if args.is(3, "all") => Extent::All,
        4 if args.is(3, "write") => Extent::Writes,
        4 => return Err(Error::new("ERR CLIENT PAUSE mode must be WRITE or ALL")),
        _ => return Err(error::bad_subcommand("CLIENT", args.at(1))),
    };
    let Some(ms) = parse_i64(args.at(2)) else {
        return Err(Error::new("ERR timeout is not an integer or out of range"));
    };
    if ms < 0 {
        return Err(Error::new("ERR timeout is negative"));
    }
    let Some(end_ms) = ms.checked_add(cx.ks.now_ms) else {
        return Err(Error::new("ERR timeout is out of range"));
    };
    pause::begin(cx.shared, Paused { extent, end_ms });
    cx.reply.ok();
    Ok(())
}

const UNPAUSE: Command = Command {
    name: "client|unpause",
    since: "6.2.0",
    flags: ADMIN,
    complexity: "O(N) Where N is the number of paused clients",
    summary: "End a pause",
    run: |cx, _| {
        pause::end(cx.ks, cx.shared, cx.inst);
        cx.reply.ok();
        Ok(())
    },
    ..SUB
};

const REPLY: Command = Command {
    name: "client|reply",
    since: "3.2.0",
    arity: 3,
    summary: "Choose which replies this connection gets",
    run: reply,
    ..SUB
};

fn reply(cx: &mut Ctx, args: &Args) -> Outcome {
    let mode = &mut cx.session.reply_mode;
    if args.is(2, "on") {
        *mode = ReplyMode::On;
        cx.reply.ok();
    } else if args.is(2, "off") {
        *mode = ReplyMode::Off;
    } else if args.is(2, "skip") {
        if *mode != ReplyMode::Off {
            *mode = ReplyMode::SkipNext;
        }
    } else {
        return Err(error::SYNTAX);
    }
    Ok(())
}

/// Of Valkey. What a client says that it can do is taken, and nothing is done about it: a client that can be sent elsewhere is served as any
/// other.
const CAPA: Command = Command {
    name: "client|capa",
    since: "8.0.0",
    arity: -3,
    flags: SUB.flags.and(Flags::ALLOW_BUSY),
    summary: "Tell what this client can do beyond the usual",
    run: |cx, _| {
        cx.reply.ok();
        Ok(())
    },
    ..SUB
};

const NO_EVICT: Command = Command {
    name: "client|no-evict",
    since: "7.0.0",
    arity: 3,
    flags: ADMIN,
    summary: "Keep this connection when memory for clients runs out",
    run: |cx, args| {
        cx.session.no_evict = on_or_off(args)?;
        cx.reply.ok();
        Ok(())
    },
    ..SUB
};

const NO_TOUCH: Command = Command {
    name: "client|no-touch",
    since: "7.2.0",
    arity: 3,
    summary: "Leave the access clock of keys alone that this connection uses",
    run: |cx, args| {
        cx.session.no_touch = on_or_off(args)?;
        cx.reply.ok();
        Ok(())
    },
    ..SUB
};

fn on_or_off(args: &Args) -> Result<bool, Error> {
    match args.at(2).to_ascii_lowercase().as_slice() {
        b"on" => Ok(true),
        b"off" => Ok(false),
        _ => Err(error::SYNTAX),
    }
}

const HELP: Command = Command {
    since: "5.0.0",
    ..help::subcommand("client|help", SUB, HELP_LINES)
};

const HELP_LINES: &[&str] = &[
    "CACHING (YES|NO)",
    "    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.",
    "GETREDIR",
    "    Return the client ID we are redirecting to when tracking is enabled.",
    "GETNAME",
    "    Return the name of the current connection.",
    "ID",
    "    Return the ID of the current connection.",
    "INFO",
    "    Return information about the current client connection.",
    "KILL <ip:port>",
    "    Kill connection made from <ip:port>.",
    "KILL <option> <value> [<option> <value> [...]]",
    "    Kill connections. Options are:",
    "    * ADDR (<ip:port>|<unixsocket>:0)",
    "      Kill connections made from the specified address",
    "    * LADDR (<ip:port>|<unixsocket>:0)",
    "      Kill connections made to specified local address",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "      Kill connections by type.",
    "    * USER <username>",
    "      Kill connections authenticated by <username>.",
    "    * SKIPME (YES|NO)",
    "      Skip killing current connection (default: yes).",
    "LIST [options ...]",
    "    Return information about client connections. Options:",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "      Return clients of specified type.",
    "UNPAUSE",
    "    Stop the current client pause, resuming traffic.",
    "PAUSE <timeout> [WRITE|ALL]",
    "    Suspend all, or just write, clients for <timeout> milliseconds.",
    "REPLY (ON|OFF|SKIP)",
    "    Control the replies sent to the current connection.",
    "SETNAME <name>",
    "    Assign the name <name> to the current connection.",
    "SETINFO <option> <value>",
    "    Set client meta attr. Options are:",
    "    * LIB-NAME: the client lib name.",
    "    * LIB-VER: the client lib version.",
    "UNBLOCK <clientid> [TIMEOUT|ERROR]",
    "    Unblock the specified blocked client.",
    "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
    "         [OPTIN] [OPTOUT] [NOLOOP]",
    "    Control server assisted client side caching.",
    "TRACKINGINFO",
    "    Report tracking status for the current connection.",
    "NO-EVICT (ON|OFF)",
    "    Protect current client connection from eviction.",
    "NO-TOUCH (ON|OFF)",
    "    Will not touch LRU/LFU stats when this mode is on.",
];
