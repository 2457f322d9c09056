//! SETUSER, DELUSER, and who is cut off by them.

use super::RULES;
use crate::base::args::Args;
use crate::base::error::{Error, Outcome};
use crate::base::id::{SessionId, UserId};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Secrets};
use crate::session::{Session, Subscriptions};
use crate::users::User;
use crate::users::patterns::Channels;
use crate::users::registry::DEFAULT_NAME;

pub(super) const SETUSER: Command = Command {
    name: "acl|setuser",
    arity: -3,
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    complexity: "O(N). Where N is the number of rules provided.",
    summary: "Make a user, or change its rules",
    secrets: Secrets::From(2),
    run: setuser,
    ..RULES
};

fn setuser(cx: &mut Ctx, args: &Args) -> Outcome {
    let name = args.at(2);
    let users = &mut cx.shared.users;
    let user = users.with_words(name, args.iter_from(3), &cx.shared.table)?;
    let before = users.find(name).and_then(|id| users.get(id)).cloned();
    let id = users.put(name, user.clone(), &cx.shared.table);
    if let Some(before) = before {
        let lost = |session: &Session| {
            session.user == id
                && session
                    .subscriptions
                    .as_ref()
                    .is_some_and(|heard| hears_what_it_may_not(heard, &before, &user))
        };
        end_sessions(cx, &lost);
    }
    cx.shared.refresh_rights(cx.session);
    cx.reply.ok();
    Ok(())
}

/// Whether a client of a user that has changed listens to what it may not any more.
fn hears_what_it_may_not(heard: &Subscriptions, before: &User, now: &User) -> bool {
    let channels = |user: &'_ User| -> Vec<Channels> {
        let selectors = user.selectors().iter();
        selectors
            .map(|selector| selector.channels.clone())
            .collect()
    };
    let (before, now) = (channels(before), channels(now));
    if now.iter().any(Channels::has_all) {
        return false;
    }
    let is_there = |text: &[u8]| now.iter().any(|channels| channels.has_pattern(text));
    let keeps_all = !before.iter().any(Channels::has_all)
        && before.iter().flat_map(Channels::patterns).all(is_there);
    if keeps_all {
        return false;
    }
    let may_hear = |name: &[u8]| now.iter().any(|channels| channels.allows(name));
    let mut names = heard.channels.iter().chain(&heard.shard_channels);
    !heard.patterns.iter().all(|pattern| is_there(pattern)) || !names.all(|name| may_hear(name))
}

/// Ends the connections that this names; the own one when the reply has been sent.
pub(super) fn end_sessions(cx: &mut Ctx, ends: &dyn Fn(&Session) -> bool) {
    let others = cx.shared.sessions.iter().filter(|session| ends(session));
    let slots: Vec<SessionId> = others.map(|session| session.slot).collect();
    for slot in slots {
        cx.inst.close(slot);
    }
    if ends(cx.session) {
        cx.session.closing = true;
    }
}

pub(super) const DELUSER: Command = Command {
    name: "acl|deluser",
    arity: -3,
    complexity: "O(1) amortized time considering the typical user.",
    summary: "Remove users, and end their connections",
    run: deluser,
    ..SETUSER
};

fn deluser(cx: &mut Ctx, args: &Args) -> Outcome {
    if args.iter_from(2).any(|name| name == DEFAULT_NAME) {
        return Err(Error::new("ERR The 'default' user cannot be removed"));
    }
    let users = &mut cx.shared.users;
    let gone: Vec<UserId> = args
        .iter_from(2)
        .filter_map(|name| users.remove(name))
        .collect();
    end_sessions(cx, &|session| gone.contains(&session.user));
    cx.shared.refresh_rights(cx.session);
    cx.reply.int(gone.len() as i64);
    Ok(())
}
