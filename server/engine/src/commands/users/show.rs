//! WHOAMI, USERS, LIST, GETUSER.

use super::{ASKS, RULES};
use crate::base::args::Args;
use crate::base::error::Outcome;
use crate::call::ctx::Ctx;
use crate::call::reply::Reply;
use crate::call::spec::{Command, Secrets};
use crate::users::User;
use crate::users::selector::Selector;

pub(super) const WHOAMI: Command = Command {
    name: "acl|whoami",
    arity: 2,
    summary: "Tell who this connection is",
    run: whoami,
    ..ASKS
};

fn whoami(cx: &mut Ctx, _: &Args) -> Outcome {
    match cx.shared.users.name_of(cx.session.user) {
        Some(name) => cx.reply.bulk(name),
        None => cx.reply.null(),
    }
    Ok(())
}

pub(super) const USERS: Command = Command {
    name: "acl|users",
    arity: 2,
    complexity: "O(N). Where N is the number of configured users.",
    summary: "List the names of all users",
    run: users,
    ..RULES
};

fn users(cx: &mut Ctx, _: &Args) -> Outcome {
    let users = cx.shared.users.iter();
    cx.reply.array(users.len());
    users.for_each(|(name, _)| cx.reply.bulk(name));
    Ok(())
}

pub(super) const LIST: Command = Command {
    name: "acl|list",
    summary: "List all users as the words that make them",
    run: list,
    ..USERS
};

fn list(cx: &mut Ctx, _: &Args) -> Outcome {
    let users = cx.shared.users.iter();
    cx.reply.array(users.len());
    for (name, user) in users {
        let line = [b"user ", name, b" ", &user.print()].concat();
        cx.reply.bulk(&line);
    }
    Ok(())
}

pub(super) const GETUSER: Command = Command {
    name: "acl|getuser",
    arity: 3,
    complexity: "O(N). Where N is the number of password, command and pattern rules that the user has.",
    summary: "Tell the rules of a user",
    secrets: Secrets::From(2),
    run: getuser,
    ..RULES
};

fn getuser(cx: &mut Ctx, args: &Args) -> Outcome {
    let users = &cx.shared.users;
    match users.find(args.at(2)).and_then(|id| users.get(id)) {
        Some(user) => write_user(cx.reply, user),
        None => cx.reply.null(),
    }
    Ok(())
}

fn write_user(reply: &mut Reply, user: &User) {
    reply.map(6);
    reply.bulk(b"flags");
    let flags = user.flags();
    reply.set(flags.len());
    for flag in flags {
        reply.bulk(flag.as_bytes());
    }
    reply.bulk(b"passwords");
    let digests = user.digests();
    reply.array(digests.len());
    digests.for_each(|digest| reply.bulk(digest.as_bytes()));
    let (root, others) = user.parts();
    write_selector(reply, root);
    reply.bulk(b"selectors");
    reply.array(others.len());
    for selector in others {
        reply.map(3);
        write_selector(reply, selector);
    }
}

fn write_selector(reply: &mut Reply, selector: &Selector) {
    let mut text = |name: &[u8], print: &dyn Fn(&mut Vec<u8>)| {
        let mut words = Vec::new();
        print(&mut words);
        reply.bulk(name);
        reply.bulk(words.trim_ascii_end());
    };
    text(b"commands", &|out| selector.commands.print(out));
    text(b"keys", &|out| selector.keys.print(out));
    text(b"channels", &|out| selector.channels.print(out));
}
