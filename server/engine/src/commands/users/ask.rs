//! CAT, DRYRUN, GENPASS.

use super::{ASKS, RULES};
use crate::base::args::{Args, ArgsBuf};
use crate::base::error::{self, Error, Outcome};
use crate::call::categories;
use crate::call::ctx::Ctx;
use crate::call::rights;
use crate::call::spec::Command;
use crate::call::table::Entry;
use crate::users::Catalog;
use crate::users::check::Denied;

pub(super) const CAT: Command = Command {
    name: "acl|cat",
    arity: -2,
    complexity: "O(1) since the categories and commands are a fixed set.",
    summary: "List the categories of commands, or the commands of one",
    run: cat,
    ..ASKS
};

fn cat(cx: &mut Ctx, args: &Args) -> Outcome {
    if args.len() > 3 {
        return Err(error::bad_subcommand("ACL", args.at(1)));
    }
    let Some(word) = args.get(2) else {
        cx.reply.array(categories::ALL.len());
        for word in categories::ALL {
            cx.reply.bulk(&word.as_bytes()[1..]);
        }
        return Ok(());
    };
    let Some(category) = cx.shared.table.category(word) else {
        let word = error::lossless(word);
        return Err(Error::text(format!("ERR Unknown category '{word}'")));
    };
    let commands = cx.shared.table.entries().iter();
    let names: Vec<&str> = commands
        .filter(|command| categories::belongs(command, category))
        .map(|command| command.name)
        .collect();
    cx.reply.array(names.len());
    for name in names {
        cx.reply.bulk(name.as_bytes());
    }
    Ok(())
}

pub(super) const DRYRUN: Command = Command {
    name: "acl|dryrun",
    since: "7.0.0",
    arity: -4,
    complexity: "O(1).",
    summary: "Tell whether a user may run a command, without running it",
    run: dryrun,
    ..RULES
};

fn dryrun(cx: &mut Ctx, args: &Args) -> Outcome {
    let name = args.at(2);
    let users = &cx.shared.users;
    let Some(user) = users.find(name).and_then(|id| users.get(id)) else {
        let name = error::lossless(name);
        return Err(Error::text(format!("ERR User '{name}' not found")));
    };
    let words: Vec<&[u8]> = args.iter_from(3).collect();
    let call = ArgsBuf::from_slices(&words);
    let call = call.args();
    let Some(command) = cx.shared.table.find_call(&call) else {
        let word = error::lossless(call.at(0));
        return Err(Error::text(format!("ERR Command '{word}' not found")));
    };
    if !command.spec.accepts(call.len()) {
        return Err(error::wrong_arity(command.spec.name));
    }
    match user.check(&rights::request_of(command, &call)) {
        Ok(()) => cx.reply.ok(),
        Err(denied) => {
            let line = told(name, command, &call, denied);
            cx.reply.bulk(&line);
        }
    }
    Ok(())
}

fn told(user: &[u8], command: Entry, call: &Args, denied: Denied) -> Vec<u8> {
    let argument = |at| call.get(at).unwrap_or_default();
    let (does, what, kind): (&[u8], &[u8], &[u8]) = match denied {
        Denied::Command => (b"run", command.spec.name.as_bytes(), b"command"),
        Denied::Key(at) => (b"access", argument(at), b"key"),
        Denied::Channel(at) => (b"access", argument(at), b"channel"),
    };
    let parts: [&[u8]; 8] = [
        b"User ",
        user,
        b" has no permissions to ",
        does,
        b" the '",
        what,
        b"' ",
        kind,
    ];
    parts.concat()
}

pub(super) const GENPASS: Command = Command {
    name: "acl|genpass",
    arity: -2,
    summary: "Make a password that nobody can guess",
    run: genpass,
    ..ASKS
};

/// Bits of a password if nothing else is asked for.
const GENPASS_BITS: i64 = 256;
/// At most so many.
const GENPASS_BITS_MAX: i64 = 4096;

fn genpass(cx: &mut Ctx, args: &Args) -> Outcome {
    if args.len() > 3 {
        return Err(error::bad_subcommand("ACL", args.at(1)));
    }
    let bits = match args.get(2) {
        Some(_) => args.int(2)?,
        None => GENPASS_BITS,
    };
    if !(1..=GENPASS_BITS_MAX).contains(&bits) {
        return Err(Error::new(
            "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096",
        ));
    }
    let digits = (bits as usize).div_ceil(4);
    let mut bytes = vec![0; digits.div_ceil(2)];
    if !cx.inst.fill_secret(&mut bytes) {
        return Err(Error::new("ERR there is no source of random bytes"));
    }
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    cx.reply.bulk(&hex.as_bytes()[..digits]);
    Ok(())
}
