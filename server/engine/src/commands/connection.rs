//! The connection itself: PING, ECHO, HELLO, AUTH, SELECT, QUIT, RESET.

use crate::base::args::Args;
use crate::base::error::{self, Error, Outcome};
use crate::base::id::UserId;
use crate::call::ctx::Ctx;
use crate::call::interests::forget_interests;
use crate::call::reply::Protocol;
use crate::call::rights;
use crate::call::spec::{Command, Flags, Group, Secrets};
use crate::session::{ReplyMode, Role};
use crate::users::log::Reason;
use crate::users::registry::DEFAULT_NAME;

/// This family.
pub const COMMANDS: &[&Command] = &[&PING, &ECHO, &HELLO, &AUTH, &SELECT, &QUIT, &RESET];

/// The Redis version whose behaviour is kept; HELLO and INFO answer it.
pub const REDIS_VERSION: &str = "7.2.4";

const PING: Command = Command {
    name: "ping",
    group: Group::Connection,
    since: "1.0.0",
    arity: -1,
    flags: Flags::FAST.and(Flags::IN_SUBSCRIBE),
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    summary: "Answer PONG, or the given word",
    run: ping,
    ..Command::BASE
};

fn ping(cx: &mut Ctx, args: &Args) -> Outcome {
    if args.len() > 2 {
        return Err(error::wrong_arity("ping"));
    }
    if cx.session.in_subscribe_mode() {
        cx.reply.array(2);
        cx.reply.bulk(b"pong");
        cx.reply.bulk(args.get(1).unwrap_or(b""));
    } else {
        match args.get(1) {
            Some(word) => cx.reply.bulk(word),
            None => cx.reply.simple("PONG"),
        }
    }
    Ok(())
}

const ECHO: Command = Command {
    name: "echo",
    group: Group::Connection,
    since: "1.0.0",
    arity: 2,
    flags: Flags::LOADING.and(Flags::STALE).and(Flags::FAST),
    summary: "Answer the given word",
    run: echo,
    ..Command::BASE
};

fn echo(cx: &mut Ctx, args: &Args) -> Outcome {
    cx.reply.bulk(args.at(1));
    Ok(())
}

const OPEN: Flags = Flags::NO_SCRIPT
    .and(Flags::LOADING)
    .and(Flags::STALE)
    .and(Flags::FAST)
    .and(Flags::NO_AUTH)
    .and(Flags::ALLOW_BUSY);

const AUTH: Command = Command {
    name: "auth",
    group: Group::Connection,
    since: "1.0.0",
    arity: -2,
    flags: OPEN,
    complexity: "O(N) where N is the number of passwords defined for the user",
    summary: "Authenticate the connection",
    secrets: Secrets::From(1),
    run: auth,
    ..Command::BASE
};

fn auth(cx: &mut Ctx, args: &Args) -> Outcome {
    if args.len() > 3 {
        return Err(error::SYNTAX);
    }
    let (user, password) = match args.get(2) {
        Some(password) => (args.at(1), password),
        None if cx.shared.users.default_user().needs_no_password => {
            return Err(Error::new(
                "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
            ));
        }
        None => (DEFAULT_NAME, args.at(1)),
    };
    authenticate(cx, args, user, password)?;
    cx.reply.ok();
    Ok(())
}

fn authenticate(cx: &mut Ctx, args: &Args, user: &[u8], password: &[u8]) -> Outcome {
    if let Some(id) = cx.shared.users.log_in(user, password) {
        rights::become_user(cx.shared, cx.session, id, true);
        return Ok(());
    }
    rights::note_refusal(cx, Reason::Auth, args.at(0), user.into());
    Err(Error::new(
        "WRONGPASS invalid username-password pair or user is disabled.",
    ))
}

const HELLO: Command = Command {
    name: "hello",
    group: Group::Connection,
    since: "6.0.0",
    arity: -1,
    flags: OPEN,
    summary: "Agree on the protocol, authenticate, name the connection",
    secrets: Secrets::After(&[("auth", 2)]),
    run: hello,
    ..Command::BASE
};

fn hello(cx: &mut Ctx, args: &Args) -> Outcome {
    let mut protocol = cx.session.protocol;
    if let Some(version) = args.get(1) {
        protocol = match cairn_format::text::number::parse_i64(version) {
            Some(2) => Protocol::Resp2,
            Some(3) => Protocol::Resp3,
            Some(_) => return Err(Error::new("NOPROTO unsupported protocol version")),
            None => {
                return Err(Error::new(
                    "ERR Protocol version is not an integer or out of range",
                ));
            }
        };
    }
    let (mut name, mut credentials) = (None, None);
    let mut i = 2;
    while i < args.len() {
        if args.is(i, "auth") && i + 2 < args.len() {
            credentials = Some((args.at(i + 1), args.at(i + 2)));
            i += 3;
        } else if args.is(i, "setname") && i + 1 < args.len() {
            name = Some(valid_name(args.at(i + 1))?);
            i += 2;
        } else {
            let option = error::lossless(args.at(i));
            return Err(Error::text(format!(
                "ERR Syntax error in HELLO option '{option}'"
            )));
        }
    }
    if let Some((user, password)) = credentials {
        authenticate(cx, args, user, password)?;
    }
    if rights::must_log_in(cx.shared, cx.session) {
        return Err(Error::new(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
        ));
    }
    if let Some(name) = name {
        cx.session.name = name.into();
    }
    cx.session.protocol = protocol;
    cx.reply.protocol = protocol;
    describe_server(cx);
    Ok(())
}

fn describe_server(cx: &mut Ctx) {
    let protocol = if cx.session.protocol == Protocol::Resp3 {
        3
    } else {
        2
    };
    cx.reply.map(7);
    for (name, value) in [("server", "redis"), ("version", REDIS_VERSION)] {
        cx.reply.bulk(name.as_bytes());
        cx.reply.bulk(value.as_bytes());
    }
    for (name, value) in [("proto", protocol), ("id", cx.session.id as i64)] {
        cx.reply.bulk(name.as_bytes());
        cx.reply.int(value);
    }
    let mode = match cx.ks.has_slots() {
        true => "cluster",
        false => "standalone",
    };
    let role = match cx.shared.gate.replica {
        Some(_) => "replica",
        None => "master",
    };
    for (name, value) in [("mode", mode), ("role", role)] {
        cx.reply.bulk(name.as_bytes());
        cx.reply.bulk(value.as_bytes());
    }
    cx.reply.bulk(b"modules");
    cx.reply.array(0);
}

/// A client's name must be printable and without blanks.
pub fn valid_name(name: &[u8]) -> Result<&[u8], Error> {
    if name.iter().all(|b| (b'!'..=b'~').contains(b)) {
        return Ok(name);
    }
    Err(Error::new(
        "ERR Client names cannot contain spaces, newlines or special characters.",
    ))
}

const SELECT: Command = Command {
    name: "select",
    group: Group::Connection,
    since: "1.0.0",
    arity: 2,
    flags: Flags::LOADING.and(Flags::STALE).and(Flags::FAST),
    summary: "Choose the database of this connection",
    run: select,
    ..Command::BASE
};

fn select(cx: &mut Ctx, args: &Args) -> Outcome {
    let index = args.int(1)?;
    if i32::try_from(index).is_err() {
        return Err(error::NOT_INTEGER);
    }
    if cx.ks.has_slots() && index != 0 {
        return Err(Error::new("ERR SELECT is not allowed in cluster mode"));
    }
    let index = usize::try_from(index)
        .ok()
        .filter(|i| *i < cx.ks.databases())
        .ok_or(error::DB_INDEX)?;
    cx.session.db = index;
    cx.ks.select(index);
    cx.reply.ok();
    Ok(())
}

const QUIT: Command = Command {
    name: "quit",
    group: Group::Connection,
    since: "1.0.0",
    arity: -1,
    flags: OPEN.and(Flags::IN_SUBSCRIBE),
    summary: "Close the connection",
    run: quit,
    ..Command::BASE
};

fn quit(cx: &mut Ctx, _: &Args) -> Outcome {
    cx.session.closing = true;
    cx.reply.ok();
    Ok(())
}

const RESET: Command = Command {
    name: "reset",
    group: Group::Connection,
    since: "6.2.0",
    arity: 1,
    flags: OPEN.and(Flags::IN_SUBSCRIBE),
    summary: "Put the connection back into its first state",
    run: reset,
    ..Command::BASE
};

fn reset(cx: &mut Ctx, _: &Args) -> Outcome {
    if !matches!(cx.session.role, Role::Client | Role::Monitor) {
        return Err(Error::new("ERR can only reset normal client connections"));
    }
    forget_interests(cx.ks, &mut cx.shared.pubsub, cx.session);
    let session = &mut *cx.session;
    if std::mem::take(&mut session.role) == Role::Monitor {
        cx.shared.watch.dismiss(session.slot);
    }
    session.db = 0;
    session.protocol = Protocol::Resp2;
    session.name = Box::default();
    session.reply_mode = ReplyMode::On;
    session.no_evict = false;
    session.no_touch = false;
    (session.readonly, session.asking) = (false, false);
    let free = !cx.shared.users.asks_to_log_in();
    rights::become_user(cx.shared, cx.session, UserId::DEFAULT, free);
    cx.reply.protocol = Protocol::Resp2;
    cx.reply.simple("RESET");
    Ok(())
}
