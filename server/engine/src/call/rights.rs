//! Whether the user of a session may run a command: what the rules of users must know of commands, and the words of a refusal.

use std::ops::Range;
use std::sync::Arc;

use super::categories;
use super::ctx::{Ctx, Shared};
use super::keys::{KeyUse, has_keys, keys_of, only_key, place_of_only_key};
use super::spec::{Command, Flags, Group};
use super::table::{CommandTable, Entry};
use crate::base::args::Args;
use crate::base::error::{self, Error};
use crate::base::id::{CommandId, UserId};
use crate::session::Session;
use crate::users::catalog::KnownKeys;
use crate::users::check::{Denied, Request, Touched, TouchedKeys, UsedChannels};
use crate::users::granted::Granted;
use crate::users::log::{Context, Reason, Refusal};
use crate::users::passes::Passes;
use crate::users::patterns::Access;
use crate::users::{Catalog, User, Users};

impl Catalog for CommandTable {
    fn count(&self) -> usize {
        self.entries().len()
    }

    fn find(&self, name: &[u8], sub: Option<&[u8]>) -> Option<CommandId> {
        let found = match name.iter().position(|byte| *byte == 0) {
            None => self.find_original(name)?,
            Some(_) => return None,
        };
        match sub {
            None => Some(found.id),
            Some(sub) => self.find_sub(found, sub).map(|found| found.id),
        }
    }

    fn name(&self, command: CommandId) -> &'static str {
        self.entry(command).spec.name
    }

    fn subcommands(&self, container: CommandId) -> Range<u16> {
        let count = self.entry(container).spec.subcommands.len() as u16;
        let first = container.0 + 1;
        first..first + count
    }

    fn category(&self, name: &[u8]) -> Option<&'static str> {
        let is = |word: &&&str| name.eq_ignore_ascii_case(&word.as_bytes()[1..]);
        categories::ALL.iter().find(is).copied()
    }

    fn known_keys(&self, command: CommandId) -> KnownKeys {
        CommandTable::known_keys(self, command)
    }

    fn uses_channels(&self, command: CommandId) -> bool {
        self.entry(command).spec.channels != UsedChannels::None
    }

    fn belongs(&self, command: CommandId, category: &'static str) -> bool {
        categories::belongs(self.entry(command).spec, category)
    }
}

impl Shared {
    /// Users have changed: what sessions know of their own is found again.
    pub fn refresh_rights(&mut self, running: &mut Session) {
        for session in self.sessions.iter_mut().chain([running]) {
            take_rights(&self.users, session);
        }
    }
}

/// What a session knows of its user.
pub fn take_rights(users: &Users, session: &mut Session) {
    session.unrestricted = users.get(session.user).is_some_and(User::may_do_all);
    session.passes = users.passes(session.user).cloned();
    forget_granted(session);
}

/// Lets a session of the server's own do everything, whatever its user may.
pub fn allow_all(session: &mut Session) {
    session.unrestricted = true;
    forget_granted(session);
}

/// What was granted is forgotten.
fn forget_granted(session: &mut Session) {
    session.granted = match session.unrestricted {
        true => Granted::EVERY,
        false => Granted::NONE,
    };
}

/// The command in question is this one: what was granted for another one holds as far as the same is known of both.
#[inline]
pub fn turn_to(session: &mut Session, command: CommandId) {
    if !session.unrestricted
        && let Some(passes) = &session.passes
    {
        passes.turn_to(command, &mut session.granted);
    }
}

/// Makes a session one of a user.
pub fn become_user(shared: &Shared, session: &mut Session, user: UserId, authenticated: bool) {
    session.user = user;
    session.authenticated = authenticated;
    take_rights(&shared.users, session);
}

/// Whether a client has to log in before anything else.
pub fn must_log_in(shared: &Shared, session: &Session) -> bool {
    !session.authenticated && shared.users.asks_to_log_in()
}

/// What a call of a command asks permission for.
pub fn request_of<'a>(command: Entry, args: &Args<'a>) -> Request<'a> {
    Request {
        command: command.id,
        is_open: command.spec.flags.has(Flags::NO_AUTH),
        args: *args,
        keys: touched_keys(command.spec, args),
        channels: command.spec.channels,
    }
}

fn touched_keys(spec: &Command, args: &Args) -> TouchedKeys {
    if let Some(key) = only_key(spec)
        && key.at < args.len()
    {
        return TouchedKeys::One(touched(&key));
    }
    match keys_of(spec, args) {
        Some(keys) => TouchedKeys::These(keys.iter().map(touched).collect()),
        // A script with a wrong count of keys does not run, and says so itself.
        None if spec.group == Group::Scripting => TouchedKeys::None,
        // It is only asked whether it might run, with fewer arguments than that takes.
        None if !spec.accepts(args.len()) => TouchedKeys::None,
        None => TouchedKeys::Unclear,
    }
}

/// The keys of a command, as far as they are known without its arguments.
pub fn known_keys(spec: &Command) -> KnownKeys {
    match place_of_only_key(spec) {
        // Where arguments decide what is done to it, it is no more than this.
        Some(key) => KnownKeys::One(touched(&key)),
        None if !has_keys(spec) => KnownKeys::None,
        None => KnownKeys::Unclear,
    }
}

fn touched(key: &KeyUse) -> Touched {
    Touched {
        at: key.at,
        access: access_of(key.flags),
    }
}

/// What the words of a key specification ask for. Who only asks for the type or the length asks for neither.
fn access_of(flags: &[&str]) -> Access {
    Access {
        read: flags.contains(&"access"),
        write: flags
            .iter()
            .any(|word| matches!(*word, "insert" | "update" | "delete")),
    }
}

/// Whether the session's user may run a command. Nothing is noted.
///
/// # Errors
/// What is not allowed.
pub fn verdict(cx: &Ctx, command: Entry, args: &Args) -> Result<(), Denied> {
    if cx.session.unrestricted || cx.session.applies() {
        return Ok(());
    }
    let user = cx.shared.users.get(cx.session.user);
    let user = user.ok_or(Denied::Command)?;
    user.check(&request_of(command, args))
}

/// Whether the session's user may run the command at hand, and read any key besides: what it reads is named by what it finds.
pub fn may_read_all(cx: &Ctx, args: &Args) -> bool {
    if cx.session.unrestricted || cx.session.applies() {
        return true;
    }
    let user = cx.shared.users.get(cx.session.user);
    user.is_some_and(|user| user.may_read_all(&request_of(cx.command, args)))
}

/// Whether the session's user may run the command at hand.
///
/// # Errors
/// Why not, without the code of the error. It is noted.
#[inline]
pub fn check(cx: &mut Ctx, args: &Args) -> Result<(), (Denied, String)> {
    let session = &*cx.session;
    let passes = session.passes.as_ref();
    let allows = |passes: &Arc<Passes>| passes.allows(cx.command.id, args);
    if session.unrestricted || passes.is_some_and(allows) {
        return Ok(());
    }
    check_rules(cx, args)
}

/// Whether a call of the command that the session runs last is permitted, as far as that is easily told: false says nothing.
#[inline]
pub fn may_pass(session: &mut Session, args: &Args) -> bool {
    session.granted.covers_plainly(args) || may_pass_narrowly(session, args)
}

// Each of these is a function of its own, as the next one needs more registers.

#[inline(never)]
fn may_pass_narrowly(session: &mut Session, args: &Args) -> bool {
    session.granted.covers_further(args) || may_pass_rarely(session, args)
}

#[inline(never)]
fn may_pass_rarely(session: &mut Session, args: &Args) -> bool {
    session.granted.covers_rarely(args) || may_pass_anew(session, args)
}

#[inline(never)]
fn may_pass_anew(session: &mut Session, args: &Args) -> bool {
    let (Some(command), Some(passes)) = (session.last, &session.passes) else {
        return false;
    };
    passes.grant(command, args, &mut session.granted)
}

#[cold]
fn check_rules(cx: &mut Ctx, args: &Args) -> Result<(), (Denied, String)> {
    verdict(cx, cx.command, args).map_err(|denied| {
        note(cx, denied, args);
        (denied, text_of(cx, denied))
    })
}

/// The error of a command that a client sent.
pub fn refused(text: &str) -> Error {
    Error::text(format!("NOPERM {text}"))
}

fn text_of(cx: &Ctx, denied: Denied) -> String {
    match denied {
        Denied::Command => {
            let user = cx.shared.users.name_of(cx.session.user);
            format!(
                "User {} has no permissions to run the '{}' command",
                error::lossless(user.unwrap_or_default()),
                cx.command.spec.name
            )
        }
        Denied::Key(_) => "No permissions to access a key".to_owned(),
        Denied::Channel(_) => "No permissions to access a channel".to_owned(),
    }
}

/// The error of a command that was queued while it was allowed.
pub fn refused_in_exec(denied: Denied) -> Error {
    let reason = match denied {
        Denied::Command => "no permission to execute the command or subcommand",
        Denied::Key(_) => "no permission to touch the specified keys",
        Denied::Channel(_) => "no permission to access one of the channels used as arguments",
    };
    Error::text(format!(
        "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no longer allowed for the following reason: {reason}"
    ))
}

fn note(cx: &mut Ctx, denied: Denied, args: &Args) {
    let (reason, object) = match denied {
        Denied::Command => (Reason::Command, cx.command.spec.name.as_bytes()),
        Denied::Key(at) => (Reason::Key, args.get(at).unwrap_or_default()),
        Denied::Channel(at) => (Reason::Channel, args.get(at).unwrap_or_default()),
    };
    let user = cx.shared.users.name_of(cx.session.user);
    let user = user.unwrap_or_default().into();
    note_refusal(cx, reason, object, user);
}

/// Notes in the log of refusals what was refused to somebody.
pub fn note_refusal(cx: &mut Ctx, reason: Reason, object: &[u8], user: Box<[u8]>) {
    let session = &*cx.session;
    let context = match () {
        () if cx.shared.in_script(session) => Context::Lua,
        () if session.multi.is_some() || session.deny_blocking => Context::Multi,
        () => Context::TopLevel,
    };
    let now_ms = cx.ks.now_ms;
    let client = cx.inst.describe(session, cx.shared, now_ms);
    let refusal = Refusal {
        reason,
        context,
        object: object.into(),
        user,
        client: client.into(),
    };
    cx.shared.users.log.note(refusal, now_ms);
}
