//! What a handler works with: the keyspace, its session, its reply, the rest of the engine, and the world.

use std::any::Any;

use bytes::Bytes;

use super::peer::{PeerAnswer, PeerCall, PeerFailure};
use super::reply::{Piece, Reply};
use super::route::{Ask, Routes};
use super::spec::Flags;
use super::table::{CommandTable, Entry};
use super::watch::Watch;
use super::watch::histogram::Histogram;
use crate::base::args::Args;
use crate::base::effect::{Feed, Propagate};
use crate::base::error::{self, Error};
use crate::base::id::SessionId;
use crate::base::limits::REPLAY_FACTOR;
use crate::base::time::Now;
use crate::keyspace::Keyspace;
use crate::pubsub::PubSub;
use crate::scripts::api::Loudness;
use crate::scripts::cache::Cache;
use crate::scripts::running::Running;
use crate::session::transaction::Queued;
use crate::session::{Session, Sessions};
use crate::users::Users;

/// How far the log is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durable {
    /// There is no log.
    NoLog,
    /// There is one, but it does not hold the whole data set yet.
    Nothing,
    /// It is, up to this position.
    UpTo(u64),
}

impl Durable {
    /// Whether a change whose log ends at `mark` is on the disk.
    pub fn covers(self, mark: u64) -> bool {
        matches!(self, Durable::UpTo(position) if position >= mark)
    }
}

/// The running server as commands see it. The engine's tests supply a small one; `cairn-server` the real one.
pub trait Instance {
    /// Both clocks, read now.
    fn now(&mut self) -> Now;
    /// The monotonic clock alone, microseconds: after each command.
    fn mono_us(&mut self) -> u64 {
        self.now().mono_us
    }
    /// Appends bytes to the output of another session.
    fn deliver(&mut self, to: SessionId, bytes: &[u8]);
    /// As [`Instance::deliver`] for what several sessions are sent: they share it.
    fn deliver_shared(&mut self, to: SessionId, bytes: &Bytes) {
        self.deliver(to, bytes);
    }
    /// Whether so much waits for a session already that what it is not waiting for is better left out.
    fn is_behind(&mut self, _session: SessionId) -> bool {
        false
    }
    /// What was delivered to the running session and waits for the end of its command goes here, in front of its reply.
    fn take_letters(&mut self, _into: &mut Vec<u8>) {}
    /// Closes the connection of a session as soon as the current command is over.
    fn close(&mut self, session: SessionId);
    /// Closes it when what was replied has been sent.
    fn dismiss(&mut self, session: SessionId) {
        self.close(session);
    }
    /// The address of a session's client, as CLIENT LIST shows it. Whoever has no sockets knows none.
    fn address_of(&mut self, _session: SessionId) -> String {
        String::new()
    }
    /// Sends a whole reply to another session, shared values included.
    fn deliver_reply(&mut self, to: SessionId, reply: Reply) {
        reply.each_piece(|piece| match piece {
            Piece::Bytes(part) => self.deliver(to, part),
            Piece::Shared(value) => self.deliver(to, &value),
        });
    }
    /// A session waits no longer: what else it sent may run.
    fn resume(&mut self, _session: SessionId) {}
    /// Takes the changes of one unit, in order; `transaction` asks for MULTI and EXEC around them. Answers the position
    /// behind them, which grows with every unit; 0 where nobody counts.
    fn feed(&mut self, changes: &Feed, transaction: bool) -> u64;
    /// How far the log is on the disk, as a position that [`Instance::feed`] gave.
    fn log_durable(&mut self) -> Durable {
        Durable::NoLog
    }
    /// A message that is no change goes to replicas as it was sent.
    fn relay(&mut self, _db: usize, _args: &Args) {}
    /// How many replicas have what was changed up to a position that [`Instance::feed`] gave, and how many have it on their
    /// disk.
    fn acknowledged(&mut self, _position: u64) -> (u64, u64) {
        (0, 0)
    }
    /// Somebody waits for replicas: they are asked how far they are.
    fn ask_replicas(&mut self) {}
    /// All databases were emptied by a client: a snapshot of what is gone is not wanted any more.
    fn emptied(&mut self, _ks: &mut Keyspace) {}
    /// Sends commands to another server and waits for its answers. Whoever has no sockets reaches nobody.
    fn ask_peer(&mut self, _call: &PeerCall) -> PeerAnswer {
        PeerAnswer::failed(PeerFailure::Connect)
    }
    /// Memory that counts against `maxmemory`, bytes. Whoever does not know it never reaches a limit.
    fn used_memory(&mut self) -> u64 {
        0
    }
    /// A session's client as CLIENT INFO shows it. Whoever has no sockets knows none.
    fn describe(&mut self, _session: &Session, _shared: &Shared, _now_ms: i64) -> Vec<u8> {
        Vec::new()
    }
    /// What users are kept in, if they have a file of their own: its name as configured, and the text or why it cannot be read.
    fn read_users(&mut self) -> Option<(String, Result<Vec<u8>, String>)> {
        None
    }
    /// Replaces the file that users are kept in; false: it is as it was, and why is in the log.
    fn write_users(&mut self, _text: &[u8]) -> bool {
        false
    }
    /// Fills bytes that nobody can guess. Whoever has no source of them answers false.
    fn fill_secret(&mut self, _bytes: &mut [u8]) -> bool {
        false
    }
    /// Whether a call for a slot that is not plainly served here may run here; `missing` tells how many of its keys are not there, and
    /// how many it has.
    ///
    /// # Errors
    /// Where it may run, or why nowhere.
    fn route(
        &mut self,
        _ask: &Ask,
        _missing: &mut dyn FnMut() -> (usize, usize),
    ) -> Result<(), Error> {
        Ok(())
    }
    /// Writes a line that needs attention into the log of the server. Whoever has none loses it.
    fn warn(&mut self, _line: &str) {}
    /// Writes a line of a script into the log of the server.
    fn script_says(&mut self, _loudness: Loudness, _line: &[u8]) {}
    /// Lets the world in while a script runs for long: who asks for anything is told that the server is busy, see [`Gate::busy`]. Answers
    /// false if the process is to end. Whoever has nobody to let in goes on.
    fn let_in(&mut self, _ks: &mut Keyspace, _shared: &mut Shared) -> bool {
        true
    }
    /// The concrete server, for the handlers of instance commands.
    fn as_any(&mut self) -> &mut dyn Any;
}

/// Figures of one command.
#[derive(Debug, Default)]
pub struct CommandStats {
    /// Times it ran.
    pub calls: u64,
    /// Time it took, microseconds.
    pub usec: u64,
    /// Times it was refused before it ran.
    pub rejected: u64,
    /// Times it ran and answered with an error.
    pub failed: u64,
    /// How long it took each time, made at the first.
    pub histogram: Option<Box<Histogram>>,
}

/// Counters of INFO stats, errorstats and commandstats.
#[derive(Debug, Default)]
pub struct Stats {
    /// Per command number.
    pub commands: Vec<CommandStats>,
    /// Per first word of the error.
    pub errors: std::collections::BTreeMap<String, u64>,
    /// Commands run.
    pub processed: u64,
    /// Error replies.
    pub error_replies: u64,
}

impl Shared {
    /// What sessions share before there are any.
    pub fn new(table: CommandTable) -> Shared {
        let stats = Stats::of(table.entries().len());
        Shared {
            users: Users::new(&table),
            sessions: Sessions::default(),
            pubsub: PubSub::default(),
            table,
            stats,
            watch: Watch::default(),
            gate: Gate::default(),
            routes: None,
            deadlines: Default::default(),
            postponed: Vec::new(),
            scripts: Cache::default(),
            running: None,
            held_waiters: Default::default(),
            own_keys: Default::default(),
        }
    }

    /// The flags of a command that waits in a transaction.
    pub fn flags_of_queued(&self, ks: &Keyspace, queued: &Queued) -> Flags {
        let spec = self.table.entry(queued.command).spec;
        spec.flags_of_call(self, ks, &queued.args())
    }

    /// Whether what `session` runs is a command of a script.
    pub fn in_script(&self, session: &Session) -> bool {
        // While a script lets others in, it is not theirs.
        self.running.is_some() && session.deny_blocking
    }
}

impl Stats {
    /// No figures yet, of so many commands.
    pub fn of(commands: usize) -> Stats {
        Stats {
            commands: (0..commands).map(|_| CommandStats::default()).collect(),
            ..Stats::default()
        }
    }

    /// Forgets all figures (CONFIG RESETSTAT).
    pub fn reset(&mut self) {
        let commands = self.commands.len();
        debug_assert!(
            self.commands.iter().all(|one| one.failed <= one.calls),
            "more failed than were called"
        );
        *self = Stats::of(commands);
    }
}

/// What all sessions share beside the keyspace.
#[derive(Debug)]
pub struct Shared {
    /// All sessions but the running one.
    pub sessions: Sessions,
    /// Who listens to which channel.
    pub pubsub: PubSub,
    /// Who may log in, and what each may do.
    pub users: Users,
    /// Names to commands.
    pub table: CommandTable,
    /// Counters.
    pub stats: Stats,
    /// What is noted of commands for those who watch.
    pub watch: Watch,
    /// Reasons to refuse commands right now.
    pub gate: Gate,
    /// Which slots are served here, if keys are kept by slot.
    pub routes: Option<Box<Routes>>,
    /// When waiting sessions give up: (wall milliseconds, session).
    pub deadlines: std::collections::BTreeSet<(i64, SessionId)>,
    /// Keys that clients of a writable replica wrote, by database: nobody else says when those that expire go.
    pub own_keys: std::collections::HashSet<(usize, Box<[u8]>)>,
    /// Sessions that wait for the end of a pause, in the order in which they came.
    pub postponed: Vec<SessionId>,
    /// Scripts of EVAL.
    pub scripts: Cache,
    /// The script that runs right now.
    pub running: Option<Running>,
    /// Sessions that wait for the log or for replicas.
    pub held_waiters: std::collections::BTreeSet<SessionId>,
}

/// What a pause holds back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extent {
    /// Commands that change something, or tell others.
    Writes,
    /// All commands.
    All,
}

/// A pause that is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paused {
    /// What it holds back.
    pub extent: Extent,
    /// When it ends, wall milliseconds.
    pub end_ms: i64,
}

impl Paused {
    /// Both together: neither ends sooner nor holds less back than it would alone.
    pub fn and(self, other: Paused) -> Paused {
        Paused {
            extent: self.extent.max(other.extent),
            end_ms: self.end_ms.max(other.end_ms),
        }
    }
}

/// What following another server means for clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Following {
    /// They may not write (`replica-read-only`).
    pub read_only: bool,
    /// Nothing is evicted here: the primary says what goes (`replica-ignore-maxmemory`).
    pub ignores_memory: bool,
    /// They may not read either, as the data may be old (`replica-serve-stale-data no` while the link is down).
    pub stale: bool,
}

/// Reasons to refuse commands, set by the server when they arise.
#[derive(Debug, Default)]
pub struct Gate {
    /// The data set is being loaded.
    pub loading: bool,
    /// What takes its place is being loaded beside it, of the same history; this server follows another one then.
    pub async_loading: bool,
    /// A script runs for long: commands that are not allowed then are refused with this error.
    pub busy: Option<Error>,
    /// Writes are refused with this error (MISCONF of a failed save or log).
    pub refuse_writes: Option<Error>,
    /// Fewer replicas are in time than `min-replicas-to-write` asks for.
    pub few_replicas: bool,
    /// This server follows another one.
    pub replica: Option<Following>,
    /// Clients are paused.
    pub pause: Option<Paused>,
    /// Writes are held back until the server says otherwise.
    pub holds: Holds,
}

/// Why writes are held back. Each reason ends by itself, and writes go on after the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holds(u8);

impl Holds {
    /// Slots leave: their last changes are on the way.
    pub const SLOTS: Holds = Holds(1);
    /// A replica of this node of a cluster is to take over (CLUSTER FAILOVER).
    pub const MANUAL: Holds = Holds(2);
    /// A replica is to take over (FAILOVER).
    pub const HANDOVER: Holds = Holds(4);
    /// The process is to end, once its replicas have everything.
    pub const FAREWELL: Holds = Holds(8);

    /// Whether there is a reason.
    #[inline]
    pub fn any(self) -> bool {
        self.0 != 0
    }

    /// Whether nothing at all may change: a replica is waited for that has everything until now.
    pub fn hold_all(self) -> bool {
        self.0 & !Holds::SLOTS.0 != 0
    }

    /// One more.
    pub fn hold(&mut self, reason: Holds) {
        self.0 |= reason.0;
    }

    /// One less; whether writes go on by that.
    #[must_use]
    pub fn release(&mut self, reason: Holds) -> bool {
        let before = *self;
        self.0 &= !reason.0;
        before.any() && !self.any()
    }
}

impl Gate {
    /// Whether no command is refused or held back.
    #[inline]
    pub fn is_open(&self) -> bool {
        !self.loading
            && self.busy.is_none()
            && self.refuse_writes.is_none()
            && self.pause.is_none()
            && !self.few_replicas
            && self.replica.is_none()
            && !self.holds.any()
    }

    /// What is held back, by clients or by the server.
    pub fn paused(&self) -> Option<Paused> {
        let held = self.holds.any().then_some(Paused {
            extent: Extent::Writes,
            end_ms: i64::MAX,
        });
        match (self.pause, held) {
            (Some(pause), Some(held)) => Some(pause.and(held)),
            (pause, held) => pause.or(held),
        }
    }

    /// Why commands of clients that write are refused, in the order of Redis: the disk, replicas, the role.
    pub fn write_refusal(&self) -> Option<Error> {
        if let Some(reason) = &self.refuse_writes {
            return Some(reason.clone());
        }
        if self.few_replicas {
            return Some(error::NO_REPLICAS);
        }
        let read_only = self.replica.is_some_and(|following| following.read_only);
        read_only.then_some(error::READ_ONLY)
    }
}

/// One call: everything that it works with, made where a request enters and handed down to the handler.
pub struct Ctx<'e> {
    /// Databases, clock, limits, effects.
    pub ks: &'e mut Keyspace,
    /// The client that runs the command.
    pub session: &'e mut Session,
    /// Where the answer goes.
    pub reply: &'e mut Reply,
    /// Sessions, channels, table, counters.
    pub shared: &'e mut Shared,
    /// The server around the engine.
    pub inst: &'e mut dyn Instance,
    /// The command that runs; [`Entry::NONE`] until it is looked up.
    pub command: Entry,
}

impl<'e> Ctx<'e> {
    /// The same call with its answers going elsewhere: to run another command inside this one.
    pub fn with_reply<'a>(&'a mut self, reply: &'a mut Reply) -> Ctx<'a>
    where
        'e: 'a,
    {
        Ctx {
            ks: self.ks,
            session: self.session,
            reply,
            shared: self.shared,
            inst: self.inst,
            command: self.command,
        }
    }

    /// Propagates this form instead of what the client sent. May be called several times.
    pub fn propagate(&mut self, args: &[&[u8]]) {
        debug_assert!(
            !args.is_empty(),
            "a log cannot hold a command without a name"
        );
        self.ks.fx.own = Propagate::Rewritten;
        self.ks.propagate(args);
    }

    /// What the command found expired goes key by key, without a transaction around it, unless the command is in one itself.
    pub fn ends_independently(&mut self) {
        self.ks.fx.independent = !self.ks.fx.feed.is_empty() && !self.session.deny_blocking;
    }

    /// Propagates nothing for this command itself.
    pub fn propagate_nothing(&mut self) {
        self.ks.fx.own = Propagate::Nothing;
    }

    /// Longest string that the session may make, bytes.
    pub fn string_bytes_max(&self) -> usize {
        let max = self.ks.limits.string_bytes_max;
        match self.session.applies() {
            true => max.saturating_mul(REPLAY_FACTOR),
            false => max,
        }
    }

    /// Sends bytes to a session; the running one gets them behind its own reply so far.
    pub fn deliver(&mut self, to: SessionId, bytes: &[u8]) {
        self.inst.deliver(to, bytes);
    }
}
