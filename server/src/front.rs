//! Everything of a running instance but the data: sockets, configuration, log, the feed, children.
//!
//! It is the [`Instance`] that commands see. A handler of an instance command gets it back as itself
//! (`crate::admin::front`).

use std::any::Any;

use cairn_engine::base::effect::Feed;
use cairn_engine::base::id::SessionId;
use cairn_engine::base::time::Now;
use cairn_engine::call::alone::Alone;
use cairn_engine::call::ctx::Durable;
use cairn_engine::call::peer::{PeerAnswer, PeerCall};
use cairn_engine::call::{Instance, Pause};
use cairn_engine::keyspace::Keyspace;
use cairn_engine::session::Session;
use cairn_format::resp::request::RequestParser;
use mio::Registry;

use crate::config::Config;
use crate::host::Host;
use crate::keeper::{Keeper, Saving};
use crate::log::Log;
use crate::net::{BufferLimit, Cause, ClientClass, Connection, Connections, Listeners};
use crate::peer::Peers;

/// What the front keeps of a client beside its connection.
#[derive(Debug)]
pub struct Client {
    /// Its session in the engine.
    pub session: SessionId,
    /// Where in a request the bytes so far end.
    pub parser: RequestParser,
}

/// No session has this number: there are fewer connections.
pub const NOBODY: SessionId = SessionId(u32::MAX);

/// Counters of the front, for INFO.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections accepted.
    pub connections: u64,
    /// Connections turned away because of `maxclients`.
    pub rejected: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Times that a connection was read from.
    pub reads: u64,
    /// Times that a connection was written to.
    pub writes: u64,
    /// Clients closed because their output grew beyond its limit.
    pub output_limit_closed: u64,
    /// Turns of the loop.
    pub turns: u64,
    /// Microseconds spent in turns.
    pub turn_us: u64,
    /// Longest turn, microseconds.
    pub turn_us_max: u64,
    /// Microseconds spent in timed work.
    pub cron_us: u64,
    /// Most commands of one turn.
    pub turn_commands_max: u64,
    /// Commands that had run at the end of the last turn.
    pub commands_then: u64,
    /// Most memory in use that was noted, bytes.
    pub memory_peak: u64,
    /// Memory in use before there was data, bytes.
    pub memory_at_start: u64,
    /// Most processor time of a turn, microseconds. Without it nobody looks, because each look is a system call.
    pub turn_cpu_us_max: Option<u64>,
}

/// The process ends at the end of this turn: no command runs any more. The status to exit with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// What was replied so far is saved as asked: these replies still leave.
    Exit(i32),
    /// It is not on the disk as it should be: no reply of this turn leaves, it would acknowledge what is lost.
    Lost(i32),
}

impl Ending {
    /// The status to exit with.
    pub fn status(self) -> i32 {
        match self {
            Ending::Exit(status) | Ending::Lost(status) => status,
        }
    }
}

/// The instance without its data.
pub struct Front {
    /// Clock, disk, fork.
    pub host: Box<dyn Host>,
    /// The values of `redis.conf`.
    pub config: Config,
    /// Where lines go.
    pub log: Log,
    /// Sockets of clients.
    pub connections: Connections,
    /// By slot of the connection.
    pub clients: Vec<Option<Client>>,
    /// Slot of the connection by number of the session.
    pub connection_of: Vec<usize>,
    /// What is listened on.
    pub listeners: Option<Listeners>,
    /// To watch sockets with.
    pub registry: Registry,
    /// Snapshots, the log, the child that writes them.
    pub keeper: Keeper,
    /// Figures.
    pub counters: Counters,
    /// 40 hex digits that name this run.
    pub run_id: String,
    /// Start of the process.
    pub started: Now,
    /// Set when the loop is to end: from then on no command runs.
    pub ending: Option<Ending>,
    /// Values that CONFIG SET can change and every request needs.
    pub hot: Hot,
    /// Operations and bytes per second.
    pub rates: Rates,
    /// The session whose commands run right now.
    pub running: SessionId,
    /// Bytes of its input that have come, and room for more, while the input is with the loop.
    pub running_input: (usize, usize),
    /// Messages to the running session.
    pub inbox: Vec<u8>,
    /// DEBUG PAUSE-CRON.
    pub cron_paused: bool,
    /// DEBUG REPLYBUFFER.
    pub reply_trim: ReplyTrim,
    /// DEBUG LOADAOF asks for it: the session that waits for the log to be loaded again.
    pub load_log_for: Option<SessionId>,
    /// Connections to other servers, which MIGRATE speaks over.
    pub peers: Peers,
}

/// A client idle for so long gives its buffers back, milliseconds.
pub(crate) const TRIM_AFTER_MS: u64 = 2000;

/// When the reply buffer of an idle client is given back.
#[derive(Clone, Copy, Debug)]
pub struct ReplyTrim {
    /// Whether it ever is.
    pub on: bool,
    /// After so many milliseconds; none: never.
    pub after_ms: Option<u64>,
}

impl Default for ReplyTrim {
    fn default() -> Self {
        ReplyTrim {
            on: true,
            after_ms: Some(TRIM_AFTER_MS),
        }
    }
}

/// Configured values that the request path reads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hot {
    /// `proto-max-bulk-len`, bytes.
    pub bulk_max: usize,
    /// `client-query-buffer-limit`, bytes.
    pub query_max: usize,
    /// Hard limits of `client-output-buffer-limit`: of normal clients and of those that listen to channels, bytes.
    pub output_max: [usize; 2],
}

/// What rates are computed of: commands, bytes received, bytes sent, turns, microseconds of turns.
pub type Rated = [u64; 5];

/// Rates over the last 16 samples of timed work, as Redis computes its instantaneous figures.
#[derive(Debug, Default)]
pub struct Rates {
    last: Option<(u64, Rated)>,
    samples: [Rated; 16],
    next: usize,
}

impl Rates {
    /// Takes the counters at a moment, monotonic microseconds.
    pub fn sample(&mut self, now_us: u64, counters: Rated) {
        if let Some((then, before)) = self.last.replace((now_us, counters)) {
            let took = now_us.saturating_sub(then).max(1);
            let rate = |i: usize| counters[i].saturating_sub(before[i]) * 1_000_000 / took;
            self.samples[self.next] = std::array::from_fn(rate);
            self.next = (self.next + 1) % self.samples.len();
        }
    }

    fn mean(&self, of: usize) -> u64 {
        self.samples.iter().map(|s| s[of]).sum::<u64>() / self.samples.len() as u64
    }

    /// Commands per second.
    pub fn commands(&self) -> u64 {
        self.mean(0)
    }

    /// Bytes received per second.
    pub fn bytes_in(&self) -> u64 {
        self.mean(1)
    }

    /// Bytes sent per second.
    pub fn bytes_out(&self) -> u64 {
        self.mean(2)
    }

    /// Turns per second.
    pub fn turns(&self) -> u64 {
        self.mean(3)
    }

    /// Mean microseconds of a turn.
    pub fn turn_us(&self) -> u64 {
        self.mean(4) / self.turns().max(1)
    }
}

impl Front {
    /// A front without listeners, clients or log.
    pub fn new(
        host: Box<dyn Host>,
        config: Config,
        log: Log,
        connections: Connections,
        registry: Registry,
    ) -> Front {
        let started = host.clock().now();
        let mut id = [0; 20];
        host.random(&mut id);
        let mut front = Front {
            host,
            config,
            log,
            connections,
            clients: Vec::new(),
            connection_of: Vec::new(),
            listeners: None,
            registry,
            keeper: Keeper::new(started),
            counters: Counters::default(),
            run_id: id.iter().map(|byte| format!("{byte:02x}")).collect(),
            started,
            ending: None,
            hot: Hot::default(),
            rates: Rates::default(),
            running: NOBODY,
            running_input: (0, 0),
            inbox: Vec::new(),
            cron_paused: false,
            reply_trim: ReplyTrim::default(),
            load_log_for: None,
            peers: Peers::default(),
        };
        front.refresh_hot();
        front
    }

    /// The path of the pid file, if one was to be written.
    pub fn pidfile(&self) -> Option<std::path::PathBuf> {
        let path = self.config.path(crate::config::table::PIDFILE);
        match path.as_os_str().is_empty() {
            false => Some(path),
            true if self.config.get(crate::config::table::DAEMONIZE) => {
                Some("/var/run/redis.pid".into())
            }
            true => None,
        }
    }

    /// Removes the pid file at the end.
    pub fn remove_pidfile(&self) {
        if let Some(path) = self.pidfile() {
            self.log.notice(format_args!("Removing the pid file."));
            // It may never have been written.
            let _ = self.host.disk().remove(&path);
        }
    }

    /// The client on a connection.
    pub fn client(&mut self, slot: usize) -> Option<&mut Client> {
        self.clients.get_mut(slot)?.as_mut()
    }

    /// The connection of a session.
    pub fn connection_slot(&self, session: SessionId) -> Option<usize> {
        let slot = *self.connection_of.get(session.0 as usize)?;
        let client = self.clients.get(slot)?.as_ref()?;
        (client.session == session).then_some(slot)
    }

    /// Notes the memory in use if it is more than ever: called by timed work, and before it is shown.
    pub fn note_memory(&mut self) {
        let peak = &mut self.counters.memory_peak;
        *peak = self.host.used_memory().max(*peak);
    }

    /// Both clocks.
    pub fn now(&self) -> Now {
        self.host.clock().now()
    }

    /// The keeper with what it needs of the instance.
    pub fn saving(&mut self) -> Saving<'_> {
        Saving {
            keeper: &mut self.keeper,
            config: &self.config,
            log: &self.log,
            host: &*self.host,
        }
    }

    /// Does what an engine that was alone for a while has left to do.
    pub fn pass_on(&mut self, world: &mut Alone) {
        for line in world.lines.drain(..) {
            self.warn(&line);
        }
        for (session, bytes) in world.letters.drain(..) {
            self.deliver(session, &bytes);
        }
        for session in world.resumed.drain(..) {
            self.resume(session);
        }
    }

    /// Memory of all clients' buffers: the running one counts with what is left in its connection.
    pub fn clients_memory(&self) -> usize {
        let fixed = size_of::<Session>() + size_of::<Connection>() + size_of::<Client>();
        let buffers = |c: &Connection| c.input.capacity() + c.output.memory();
        let connections = self.connections.iter();
        connections.map(|(_, c)| fixed + buffers(c)).sum()
    }

    /// Copies the values that the request path reads out of the configuration.
    pub fn refresh_hot(&mut self) {
        self.hot = Hot {
            bulk_max: self.config.get(crate::config::table::PROTO_MAX_BULK_LEN) as usize,
            query_max: self
                .config
                .get(crate::config::table::CLIENT_QUERY_BUFFER_LIMIT)
                as usize,
            output_max: [ClientClass::Normal, ClientClass::Pubsub].map(|class| {
                match self.buffer_limit(class).hard {
                    0 => usize::MAX,
                    hard => hard as usize,
                }
            }),
        };
    }

    /// How much may wait for clients of a class.
    fn buffer_limit(&self, class: ClientClass) -> BufferLimit {
        let limits = self
            .config
            .get(crate::config::table::CLIENT_OUTPUT_BUFFER_LIMIT);
        let limit = match class {
            ClientClass::Normal => &limits.normal,
            ClientClass::Replica => &limits.replica,
            ClientClass::Pubsub => &limits.pubsub,
        };
        BufferLimit {
            hard: limit.hard,
            soft: limit.soft,
            soft_seconds: limit.soft_seconds,
        }
    }

    /// Whether more waits for a client than may. It is then cut off: none of it is sent, a part of a reply would be none.
    pub fn cut_if_beyond_limit(&mut self, slot: usize, subscribed: bool, now_ms: u64) -> bool {
        let limit = self.buffer_limit(match subscribed {
            true => ClientClass::Pubsub,
            false => ClientClass::Normal,
        });
        let Some(connection) = self.connections.get_mut(slot) else {
            return false;
        };
        let waiting = connection.output.limited_bytes() as u64;
        let beyond = connection.limit_watch.exceeded(limit, waiting, now_ms);
        if beyond {
            self.cut_for_output(slot);
        }
        beyond
    }

    /// Cuts a client off whose output is beyond its limit.
    pub fn cut_for_output(&mut self, slot: usize) {
        let Some(connection) = self.connections.get_mut(slot) else {
            return;
        };
        self.counters.output_limit_closed += 1;
        self.log.warning(format_args!(
            "Client {} scheduled to be closed ASAP for overcoming of output buffer limits.",
            connection.stream().peer()
        ));
        connection.output.clear();
        self.connections.end(slot, Cause::Cut);
    }
}

impl Instance for Front {
    fn now(&mut self) -> Now {
        Front::now(self)
    }

    fn mono_us(&mut self) -> u64 {
        self.host.clock().monotonic_us()
    }

    fn warn(&mut self, line: &str) {
        self.log.warning(format_args!("{line}"));
    }

    fn deliver(&mut self, to: SessionId, bytes: &[u8]) {
        if to == self.running {
            // Its output is with the batch right now; the message goes behind the reply of the running command.
            self.inbox.extend_from_slice(bytes);
            return;
        }
        if let Some(slot) = self.connection_slot(to)
            && let Some(connection) = self.connections.get_mut(slot)
            && connection.closing().runs()
        {
            connection.output.tail().extend_from_slice(bytes);
            self.connections.mark_touched(slot);
        }
    }

    fn close(&mut self, session: SessionId) {
        if let Some(slot) = self.connection_slot(session) {
            self.connections.end(slot, Cause::Cut);
        }
    }

    fn resume(&mut self, session: SessionId) {
        if let Some(slot) = self.connection_slot(session) {
            self.connections.mark_ready(slot);
            self.connections.mark_touched(slot);
        }
    }

    fn feed(&mut self, changes: &Feed, transaction: bool) {
        self.saving().append(changes, transaction);
    }

    fn log_position(&mut self) -> u64 {
        self.keeper.log_position()
    }

    fn log_durable(&mut self) -> Durable {
        self.keeper.log_durable()
    }

    fn emptied(&mut self, ks: &mut Keyspace) {
        self.saving().save_emptied(ks);
    }

    fn ask_peer(&mut self, call: &PeerCall) -> PeerAnswer {
        self.peers.ask(call, &*self.host)
    }

    fn used_memory(&mut self) -> u64 {
        // What waits to be written to the log does not count: evicting would only add to it.
        let log = self
            .keeper
            .append
            .as_ref()
            .map_or(0, |open| open.log.buffer_memory());
        self.host.used_memory().saturating_sub(log as u64)
    }

    fn pause(&mut self) -> Pause {
        Pause::Continue
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
