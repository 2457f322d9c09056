//! LOAD and SAVE: all users out of their file, and into it.

use super::RULES;
use super::change::end_sessions;
use crate::base::args::Args;
use crate::base::error::{Error, Outcome};
use crate::base::id::UserId;
use crate::call::ctx::Ctx;
use crate::call::spec::Command;

pub(super) const LOAD: Command = Command {
    name: "acl|load",
    arity: 2,
    complexity: "O(N). Where N is the number of configured users.",
    summary: "Read all users from their file",
    run: load,
    ..RULES
};

pub(super) const SAVE: Command = Command {
    name: "acl|save",
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    summary: "Write all users into their file",
    run: save,
    ..LOAD
};

const NO_FILE: Error = Error::new(
    "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users in the Redis configuration.",
);

/// Whoever has logged in as one of the users has to do so again; who did not have to stays, with the rules of now.
fn load(cx: &mut Ctx, _: &Args) -> Outcome {
    let (name, text) = cx.inst.read_users().ok_or(NO_FILE)?;
    let failed = |text: String| Error::text(format!("ERR {text}"));
    let text = text.map_err(failed)?;
    let shared = &mut *cx.shared;
    let roll = shared.users.read_file(&text, &name, &shared.table);
    let roll = roll.map_err(failed)?;
    shared.users.replace_all(roll, &shared.table);
    end_sessions(cx, &|session| {
        session.user != UserId::DEFAULT && !session.applies()
    });
    cx.shared.refresh_rights(cx.session);
    cx.reply.ok();
    Ok(())
}

fn save(cx: &mut Ctx, _: &Args) -> Outcome {
    if cx.inst.read_users().is_none() {
        return Err(NO_FILE);
    }
    let text = cx.shared.users.print_file();
    if !cx.inst.write_users(&text) {
        return Err(Error::new(
            "ERR There was an error trying to save the ACLs. Please check the server logs for more information",
        ));
    }
    cx.reply.ok();
    Ok(())
}
