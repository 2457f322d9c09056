//! What the engine knows of one client: its database, protocol, transaction, watched keys, subscriptions.
//!
//! Sessions live in a slab and are addressed by [`SessionId`]; the socket, buffers and addresses belong to the server.
//! The session of the running command is taken out of the slab for that time, so that a handler can hold it
//! mutably beside everything else.

pub mod blocked;
pub mod transaction;

use std::collections::HashSet;
use std::sync::Arc;

use cairn_format::resp::reply::Protocol;

use crate::base::id::{CommandId, Reader, SessionId, UserId};
use crate::tracking::options::Options;
use crate::users::granted::Granted;
use crate::users::passes::Passes;
pub use transaction::Multi;

/// Which replies a client wants (CLIENT REPLY).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplyMode {
    /// All of them.
    #[default]
    On,
    /// None.
    Off,
    /// Not the next one.
    SkipNext,
    /// Not the one of the running command.
    Skip,
    /// Errors only: it sends what is to be done, and is told what was not.
    Errors,
}

/// What a session is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// A client like others.
    #[default]
    Client,
    /// It looks on (MONITOR), and may not use keys.
    Monitor,
    /// It follows the stream of changes, and may not use keys.
    Replica,
    /// This server sends slots to another node through it, which only answers.
    Export,
    /// The stream of the primary comes from it: expired keys live for it, and nothing it says is refused.
    Primary,
    /// Slots come through it, with all that was decided about their keys where they were.
    Import,
    /// It runs a log again.
    Replay,
}

/// Channel and pattern subscriptions of a session.
#[derive(Debug, Default)]
pub struct Subscriptions {
    /// SUBSCRIBE.
    pub channels: HashSet<Box<[u8]>>,
    /// PSUBSCRIBE.
    pub patterns: HashSet<Box<[u8]>>,
    /// SSUBSCRIBE.
    pub shard_channels: HashSet<Box<[u8]>>,
}

impl Subscriptions {
    /// Channels and patterns together, the number that (un)subscribe replies carry.
    pub fn count(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }

    /// Nothing at all is subscribed.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty() && self.shard_channels.is_empty()
    }
}

/// One client.
#[derive(Debug)]
pub struct Session {
    /// Address in the slab.
    pub slot: SessionId,
    /// The number that CLIENT ID answers; never reused.
    pub id: u64,
    /// Selected database.
    pub db: usize,
    /// READONLY: reads of what this node's primary owns are answered.
    pub readonly: bool,
    /// ASKING: the next command may use a slot that is on its way here.
    pub asking: bool,
    /// That command is at hand. Set where it has to be asked whether a slot is served.
    pub asked: bool,
    /// RESP2 or RESP3.
    pub protocol: Protocol,
    /// Whether the client may run commands: it has logged in, or did not have to.
    pub authenticated: bool,
    /// Who it is.
    pub user: UserId,
    /// Its user may do everything, so that no call has to be looked at. False where nobody has asked yet.
    pub unrestricted: bool,
    /// What its user may do as far as that is easily told. None where nobody has asked yet.
    pub passes: Option<Arc<Passes>>,
    /// What its user may do with the command last run.
    pub granted: Granted,
    /// CLIENT SETNAME.
    pub name: Box<[u8]>,
    /// CLIENT SETINFO lib-name.
    pub lib_name: Box<[u8]>,
    /// CLIENT SETINFO lib-ver.
    pub lib_ver: Box<[u8]>,
    /// The queue between MULTI and EXEC.
    pub multi: Option<Box<Multi>>,
    /// Watched keys with their databases.
    pub watched: Vec<(usize, Box<[u8]>)>,
    /// A watched key changed: EXEC answers nil.
    pub watch_touched: bool,
    /// Subscriptions, made at the first one.
    pub subscriptions: Option<Box<Subscriptions>>,
    /// CLIENT TRACKING, if it is on.
    pub tracking: Option<Box<Options>>,
    /// CLIENT REPLY.
    pub reply_mode: ReplyMode,
    /// CLIENT NO-EVICT.
    pub no_evict: bool,
    /// CLIENT NO-TOUCH.
    pub no_touch: bool,
    /// The command last run.
    pub last: Option<CommandId>,
    /// How the client spelled it, if it has no subcommands: clients repeat themselves, and equal bytes need no look-up.
    pub last_name: Vec<u8>,
    /// Connection time, wall milliseconds.
    pub created_ms: i64,
    /// Last command, wall milliseconds.
    pub active_ms: i64,
    /// The connection is to be closed once what was replied has been sent.
    pub closing: bool,
    /// The pipeline must stop before its next command, because the session waits for something.
    pub blocked: bool,
    /// What was run again and goes on waiting is to be run again then, wall milliseconds.
    pub again_ms: Option<i64>,
    /// It is blocked because clients are paused (CLIENT PAUSE): its command has not begun.
    pub postponed: bool,
    /// What it is beside a client.
    pub role: Role,
    /// Position behind its last change, as the feed was told it: WAITAOF waits for it.
    pub log_mark: u64,
    /// What it waits for.
    pub waiting: Option<Box<blocked::Blocked>>,
    /// The waiting command is being run again right now.
    pub running_again: bool,
    /// Commands must not wait (inside EXEC or a script).
    pub deny_blocking: bool,
}

impl Session {
    /// A new client of database 0.
    pub fn new(slot: SessionId, id: u64, wall_ms: i64, authenticated: bool) -> Session {
        Session {
            slot,
            id,
            db: 0,
            readonly: false,
            asking: false,
            asked: false,
            protocol: Protocol::Resp2,
            authenticated,
            user: UserId::DEFAULT,
            unrestricted: false,
            passes: None,
            granted: Granted::NONE,
            name: Box::default(),
            lib_name: Box::default(),
            lib_ver: Box::default(),
            multi: None,
            watched: Vec::new(),
            watch_touched: false,
            subscriptions: None,
            tracking: None,
            reply_mode: ReplyMode::On,
            no_evict: false,
            no_touch: false,
            last: None,
            last_name: Vec::new(),
            created_ms: wall_ms,
            active_ms: wall_ms,
            closing: false,
            blocked: false,
            again_ms: None,
            postponed: false,
            role: Role::Client,
            log_mark: 0,
            waiting: None,
            running_again: false,
            deny_blocking: false,
        }
    }

    /// How it is known to those who tell it something later.
    pub fn reader(&self) -> Reader {
        Reader {
            slot: self.slot,
            id: self.id as u32,
        }
    }

    /// Whether it is sent what it did not ask for: messages, or what others do.
    #[inline]
    pub fn listens(&self) -> bool {
        self.subscriptions.is_some() || self.role == Role::Monitor
    }

    /// Whether it runs its commands again out of a log: nothing is propagated, replies are dropped.
    #[inline]
    pub fn replays(&self) -> bool {
        self.role == Role::Replay
    }

    /// Whether what it says was decided by another server, or by this one earlier: it is done, not judged.
    #[inline]
    pub fn applies(&self) -> bool {
        self.role >= Role::Primary
    }

    /// In RESP2 a subscribed client may only run the commands of publish and subscribe.
    pub fn in_subscribe_mode(&self) -> bool {
        self.protocol == Protocol::Resp2
            && self.subscriptions.as_ref().is_some_and(|s| !s.is_empty())
    }
}

/// All sessions.
#[derive(Debug, Default)]
pub struct Sessions {
    slots: Vec<Option<Box<Session>>>,
    free: Vec<u32>,
    next_id: u64,
}

impl Sessions {
    /// Makes a session; its id is the next number.
    pub fn open(&mut self, wall_ms: i64, authenticated: bool) -> SessionId {
        self.next_id += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() as u32 - 1
        });
        let session = Session::new(SessionId(slot), self.next_id, wall_ms, authenticated);
        let before = self.slots[slot as usize].replace(Box::new(session));
        debug_assert!(before.is_none(), "a free place has no session");
        SessionId(slot)
    }

    /// Removes a session and frees its address.
    pub fn remove(&mut self, slot: SessionId) -> Option<Box<Session>> {
        let session = self.slots.get_mut(slot.0 as usize)?.take();
        if session.is_some() {
            debug_assert!(!self.free.contains(&slot.0), "a place is freed once");
            self.free.push(slot.0);
        }
        session
    }

    /// The session at an address, unless it is the one that runs right now.
    pub fn get(&self, slot: SessionId) -> Option<&Session> {
        self.slots.get(slot.0 as usize)?.as_deref()
    }

    /// The session that a reader is, unless it is gone or runs right now.
    pub fn of_reader(&self, reader: Reader) -> Option<&Session> {
        let session = self.get(reader.slot);
        session.filter(|session| session.reader() == reader)
    }

    /// As [`Self::get`].
    pub fn get_mut(&mut self, slot: SessionId) -> Option<&mut Session> {
        self.slots.get_mut(slot.0 as usize)?.as_deref_mut()
    }

    /// Takes the session out for the time of its command.
    pub fn take(&mut self, slot: SessionId) -> Option<Box<Session>> {
        self.slots.get_mut(slot.0 as usize)?.take()
    }

    /// Puts it back.
    pub fn put_back(&mut self, session: Box<Session>) {
        let slot = session.slot.0 as usize;
        debug_assert!(
            self.slots[slot].is_none() && !self.free.contains(&session.slot.0),
            "its place was kept while it ran"
        );
        self.slots[slot] = Some(session);
    }

    /// Tests, while no command runs, that each session is where its address says, and each other place is free once.
    ///
    /// # Errors
    /// Names the first place where that does not hold.
    pub fn check(&self) -> Result<(), String> {
        let mut empty: HashSet<u32> = self.free.iter().copied().collect();
        if empty.len() != self.free.len() {
            return Err(format!("free places {:?}", self.free));
        }
        for (place, session) in self.slots.iter().enumerate() {
            let sound = match session {
                Some(session) => session.slot.0 as usize == place && session.id <= self.next_id,
                None => empty.remove(&(place as u32)),
            };
            if !sound {
                return Err(format!("place {place} of the sessions has {session:?}"));
            }
        }
        match empty.is_empty() {
            true => Ok(()),
            false => Err(format!("free places with a session: {empty:?}")),
        }
    }

    /// All sessions but the running one.
    pub fn iter(&self) -> impl Iterator<Item = &Session> {
        self.slots.iter().flatten().map(|s| &**s)
    }

    /// As [`Self::iter`], to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Session> {
        self.slots.iter_mut().flatten().map(|s| &mut **s)
    }
}
