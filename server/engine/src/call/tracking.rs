//! Client-side caching at work: what a command has read is remembered, and whoever keeps a copy of what has changed is told.
//!
//! ```text
//!   RESP3    > invalidate [key, ...]                            null in place of the keys: forget all
//!   RESP2    message __redis__:invalidate [key, ...]            only to the target of a REDIRECT that subscribes to something
//! ```
//! What is told to the session that runs waits with the instance behind its reply; all others have it at once.

use bytes::Bytes;

use super::ctx::{Ctx, Instance, Shared};
use super::keys::keys_of;
use super::reply::{Protocol, Reply};
use super::spec::{Flags, Group};
use crate::base::args::Args;
use crate::base::id::{Reader, SessionId};
use crate::base::stale::{Stale, StaleKeys};
use crate::keyspace::Keyspace;
use crate::session::{Session, Sessions};
use crate::tracking::options::Options;
use crate::tracking::prefixes::Written;

/// The channel that clients of RESP2 are told on.
const CHANNEL: &[u8] = b"__redis__:invalidate";
/// Messages of so many bytes are not copied for each who is told. What waits for clients takes memory, and long keys that are evicted for want
/// of it must not take more than they gave.
const SHARE_FROM: usize = 1024;
/// Keys that leave a table at a time because it is too large. With one reader each about half a millisecond.
const SLICE: usize = 1000;

// ---- what is read ----

/// A command of a client that tracks has run: the keys that it has read are remembered.
#[cold]
pub fn after_run(cx: &mut Ctx, args: &Args) {
    let spec = cx.command.spec;
    // The caller of a script reads what its commands read, and no more.
    let reads = spec.flags.has(Flags::READ) && spec.group != Group::Scripting;
    let options = cx.session.tracking.as_deref();
    if reads && options.is_some_and(Options::remembers) {
        remember_keys(cx, args);
    }
    if !cx.session.deny_blocking && !cx.session.blocked {
        spend_mark(cx);
    }
}

/// CLIENT CACHING is for one command, or for one transaction; CLIENT itself does not count.
#[cold]
pub fn spend_mark(cx: &mut Ctx) {
    let goes_on = cx.session.multi.is_some() || cx.command.spec.name.starts_with("client");
    if let Some(options) = cx.session.tracking.as_deref_mut().filter(|_| !goes_on) {
        options.marked = false;
    }
}

fn remember_keys(cx: &mut Ctx, args: &Args) {
    let mut is_over = false;
    let reader = cx.session.reader();
    let mut remember = |key: &[u8]| {
        is_over |= cx.ks.remember(key, reader, |other| {
            other == reader || tracks(&cx.shared.sessions, other)
        });
    };
    match cx.shared.table.only_key(cx.command.id, args) {
        Some(key) => remember(key),
        None => {
            let keys = keys_of(cx.command.spec, args).unwrap_or_default();
            keys.iter().for_each(|key| remember(args.at(key.at)));
        }
    }
    if is_over {
        let mut post = Post {
            sessions: &mut cx.shared.sessions,
            running: Some(cx.session),
            inst: cx.inst,
            missed: Vec::new(),
        };
        // As many as have come at most, and as much again, so that a lowered limit is met some time.
        shrink(cx.ks, &mut post, 2 * args.len());
    }
}

fn tracks(sessions: &Sessions, reader: Reader) -> bool {
    let session = sessions.of_reader(reader);
    session.is_some_and(|session| session.tracking.is_some())
}

/// A session ends: whoever was told in its place would not hear any more that what it has read has changed. A client that quits
/// knows.
pub fn orphan_target(ks: &mut Keyspace, session: &Session) {
    let options = session.tracking.as_deref();
    let redirect = options.and_then(|options| options.redirect);
    if let (Some(redirect), Some(tracking)) = (redirect, &mut ks.tracking)
        && !session.closing
        && redirect.target != session.reader()
    {
        tracking.orphans.push(redirect.target);
    }
}

// ---- who is told ----

/// Tells of what a unit has changed.
#[cold]
pub fn tell(
    ks: &mut Keyspace,
    shared: &mut Shared,
    running: Option<&mut Session>,
    inst: &mut dyn Instance,
) {
    let stale = std::mem::take(&mut ks.fx.stale);
    let mut post = Post {
        sessions: &mut shared.sessions,
        running,
        inst,
        missed: Vec::new(),
    };
    tell_all(ks, &mut post, &stale);
    ks.fx.stale = stale;
    ks.fx.stale.clear();
}

fn tell_all(ks: &mut Keyspace, post: &mut Post, stale: &StaleKeys) {
    let writer = post.running.as_deref().map(Session::reader);
    for one in stale.iter() {
        match one {
            Stale::All => post.send_to_all(),
            Stale::Key {
                key,
                readers,
                by_client,
            } => {
                let keys = [key];
                let mut letter = Letter::of(&keys);
                for reader in readers {
                    post.send_as_reader(*reader, writer, &mut letter);
                }
                if let Some(tracking) = &mut ks.tracking {
                    // As in Redis a key that a client found expired was written by nobody here, and is its own doing above.
                    let writer = writer.filter(|_| by_client);
                    tracking.prefixes.note(key, writer);
                }
            }
        }
    }
    let is_large = |ks: &Keyspace| {
        let tracking = ks.tracking.as_deref();
        tracking.is_some_and(|tracking| tracking.prefixes.is_large())
    };
    if is_large(ks) {
        broadcast(ks, post);
    }
    post.note_missed(ks);
}

/// At the end of a turn: tells those who listen to prefixes, and those who could not be told before, and keeps the table in its limits.
#[cold]
pub fn settle(ks: &mut Keyspace, shared: &mut Shared, inst: &mut dyn Instance) {
    let mut post = Post {
        sessions: &mut shared.sessions,
        running: None,
        inst,
        missed: Vec::new(),
    };
    broadcast(ks, &mut post);
    shrink(ks, &mut post, SLICE);
    if let Some(tracking) = &mut ks.tracking {
        for target in tracking.orphans.drain(..) {
            post.send_to_target(target);
        }
        let missed = std::mem::take(&mut tracking.missed);
        for reader in missed {
            post.send(reader, &mut Letter::all());
        }
        if tracking.clients() == 0 {
            ks.drop_tracking();
        }
    }
    post.note_missed(ks);
}

/// Takes up to `keys_max` keys out of a table that is too large, and tells their readers.
fn shrink(ks: &mut Keyspace, post: &mut Post, keys_max: usize) {
    let mut readers = Vec::new();
    for _ in 0..keys_max {
        let Some(key) = ks.forget_any(&mut readers) else {
            break;
        };
        let keys = [&*key];
        let mut letter = Letter::of(&keys);
        for reader in readers.drain(..) {
            post.send_as_reader(reader, None, &mut letter);
        }
    }
}

/// Tells those who listen to prefixes what was written.
fn broadcast(ks: &mut Keyspace, post: &mut Post) {
    let Some(tracking) = &mut ks.tracking else {
        return;
    };
    tracking.prefixes.hand_out(|written, readers| {
        let keys: Vec<&[u8]> = written.iter().map(|(key, _)| key).collect();
        let mut letter = Letter::of(&keys);
        for reader in readers {
            post.send_as_listener(*reader, written, &mut letter);
        }
    });
}

/// What is told, in the words of both protocols; each is made when it is first asked for.
struct Letter<'a> {
    /// None: all.
    keys: Option<&'a [&'a [u8]]>,
    encoded: [Option<Bytes>; 2],
}

impl<'a> Letter<'a> {
    fn of(keys: &'a [&'a [u8]]) -> Letter<'a> {
        Letter {
            keys: Some(keys),
            encoded: [None, None],
        }
    }

    fn all() -> Letter<'static> {
        Letter {
            keys: None,
            encoded: [None, None],
        }
    }

    fn encoded(&mut self, protocol: Protocol) -> &Bytes {
        let keys = self.keys;
        self.encoded[usize::from(protocol == Protocol::Resp3)].get_or_insert_with(|| {
            let mut reply = Reply::to(protocol);
            match protocol {
                Protocol::Resp3 => {
                    reply.push(2);
                    reply.bulk(b"invalidate");
                }
                Protocol::Resp2 => {
                    reply.array(3);
                    reply.bulk(b"message");
                    reply.bulk(CHANNEL);
                }
            }
            match keys {
                None => reply.null(),
                Some(keys) => {
                    reply.array(keys.len());
                    keys.iter().for_each(|key| reply.bulk(key));
                }
            }
            reply.buf.into()
        })
    }
}

/// All sessions, and the way to them.
struct Post<'p> {
    sessions: &'p mut Sessions,
    /// The one that is out of the slab.
    running: Option<&'p mut Session>,
    inst: &'p mut dyn Instance,
    /// Who could not be told, as too much waits for it.
    missed: Vec<Reader>,
}

impl Post<'_> {
    fn find(&mut self, reader: Reader) -> Option<&mut Session> {
        let session = match &mut self.running {
            Some(session) if session.slot == reader.slot => Some(&mut **session),
            _ => self.sessions.get_mut(reader.slot),
        };
        session.filter(|session| session.reader() == reader)
    }

    fn options(&mut self, reader: Reader) -> Option<&mut Options> {
        self.find(reader)?.tracking.as_deref_mut()
    }

    /// To one who has read a key. `writer` is who has changed it.
    fn send_as_reader(&mut self, reader: Reader, writer: Option<Reader>, letter: &mut Letter) {
        let is_own = writer == Some(reader);
        let options = self.options(reader);
        // Whoever has turned to prefixes since hears of these.
        if options.is_some_and(|options| !(options.bcast || options.noloop && is_own)) {
            self.send(reader, letter);
        }
    }

    /// To one who listens to the prefix of keys that were written.
    fn send_as_listener(&mut self, reader: Reader, written: &Written, letter: &mut Letter) {
        let Some(options) = self.options(reader) else {
            debug_assert!(false, "who listens tracks");
            return;
        };
        let is_own = |writer: Option<Reader>| writer == Some(reader);
        if !options.noloop || !written.iter().any(|(_, writer)| is_own(writer)) {
            return self.send(reader, letter);
        }
        let others = written.iter().filter(|(_, writer)| !is_own(*writer));
        let keys: Vec<&[u8]> = others.map(|(key, _)| key).collect();
        if !keys.is_empty() {
            self.send(reader, &mut Letter::of(&keys));
        }
    }

    /// To all who track: all is stale.
    fn send_to_all(&mut self) {
        let running = self.running.as_deref().into_iter();
        let all = running.chain(self.sessions.iter());
        let tracking = all.filter(|session| session.tracking.is_some());
        let readers: Vec<Reader> = tracking.map(Session::reader).collect();
        let mut letter = Letter::all();
        for reader in readers {
            self.send(reader, &mut letter);
        }
    }

    /// To a session that tracks, or to the one that it has named in its place.
    fn send(&mut self, reader: Reader, letter: &mut Letter) {
        let Some(session) = self.find(reader) else {
            return;
        };
        let protocol = session.protocol;
        let options = session.tracking.as_deref();
        let Some(redirect) = options.and_then(|options| options.redirect) else {
            // Without pushes there is no way to tell it.
            if protocol == Protocol::Resp3 {
                self.deliver(reader, reader.slot, letter.encoded(protocol));
            }
            return;
        };
        match self.way_to(redirect.target) {
            Way::Gone => self.tell_broken(reader, redirect.id),
            Way::Deaf => {}
            Way::To(protocol) => {
                self.deliver(reader, redirect.target.slot, letter.encoded(protocol));
            }
        }
    }

    /// To the target of somebody who is gone: all is stale.
    fn send_to_target(&mut self, target: Reader) {
        if let Way::To(protocol) = self.way_to(target) {
            self.inst
                .deliver(target.slot, Letter::all().encoded(protocol));
        }
    }

    /// How the target of a REDIRECT can be told.
    fn way_to(&mut self, target: Reader) -> Way {
        match self.find(target) {
            None => Way::Gone,
            Some(session) if session.protocol == Protocol::Resp3 => Way::To(Protocol::Resp3),
            Some(session) if session.subscriptions.is_some() => Way::To(Protocol::Resp2),
            Some(_) => Way::Deaf,
        }
    }

    /// The target of a REDIRECT is gone: its client learns of it if it can.
    fn tell_broken(&mut self, reader: Reader, target: u64) {
        let Some(session) = self.find(reader) else {
            return;
        };
        let protocol = session.protocol;
        if let Some(options) = session.tracking.as_deref_mut() {
            options.broken = true;
        }
        if protocol == Protocol::Resp3 {
            let mut reply = Reply::to(protocol);
            reply.push(2);
            reply.bulk(b"tracking-redir-broken");
            reply.int(target.cast_signed());
            self.deliver(reader, reader.slot, &reply.buf.into());
        }
    }

    /// Unless too much waits already: then it is told later that all is stale.
    fn deliver(&mut self, reader: Reader, to: SessionId, bytes: &Bytes) {
        match (self.inst.is_behind(to), bytes.len() >= SHARE_FROM) {
            (true, _) => self.missed.push(reader),
            (false, true) => self.inst.deliver_shared(to, bytes),
            (false, false) => self.inst.deliver(to, bytes),
        }
    }

    fn note_missed(&mut self, ks: &mut Keyspace) {
        if let Some(tracking) = ks
            .tracking
            .as_deref_mut()
            .filter(|_| !self.missed.is_empty())
        {
            tracking.missed.append(&mut self.missed);
            tracking.missed.sort();
            tracking.missed.dedup();
        }
    }
}

/// How a session can be told.
enum Way {
    /// In the words of this protocol.
    To(Protocol),
    /// Not at all: it subscribes to nothing.
    Deaf,
    /// It is not there any more.
    Gone,
}
