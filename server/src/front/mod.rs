//! Everything of a running instance but the data, in parts: clients, settings, figures, the keeper of files, the host.
//!
//! It is the [`Instance`] that commands see. A handler of an instance command asks for the part that it needs
//! ([`access`]).

pub mod access;
pub mod client_line;
mod crowd;
mod farewell;
pub mod user_file;

pub use farewell::Farewell;

use std::any::Any;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairn_engine::base::args::Args;
use cairn_engine::base::effect::Feed;
use cairn_engine::base::error::Error;
use cairn_engine::base::id::SessionId;
use cairn_engine::base::time::Now;
use cairn_engine::call::alone::Alone;
use cairn_engine::call::ctx::Durable;
use cairn_engine::call::peer::{PeerAnswer, PeerCall};
use cairn_engine::call::route::Ask;
use cairn_engine::call::{Instance, Shared};
use cairn_engine::keyspace::Keyspace;
use cairn_engine::scripts::api::Loudness;
use cairn_engine::session::Session;
use cairn_format::resp::value::write_command;
use mio::Registry;

use client_line::Line;

use crate::clients::Clients;
use crate::cluster::{Cluster, at_moment};
use crate::config::guise::OomClass;
use crate::config::{Config, table};
use crate::figures::{Counters, DefragFigures, Figures, MemoryMarks, MemorySample, Rates, Scrapes};
use crate::host::{Clock, Dialing, Host, Milestone, Readiness, Stream};
use crate::journal::Journal;
use crate::keeper::{Keeper, Saving};
use crate::log::Log;
use crate::net::{Cause, ClientClass, Connections, FIRST_VISITOR, Visitors};
use crate::os::error_text;
use crate::peer::{Peers, Way};
use crate::replication::{Replication, fresh_id};
use crate::settings::Settings;

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

/// Whoever serves clients while a script runs for long.
pub trait Lobby {
    /// Lets in, reads and answers those who are ready. The data is in the middle of a unit that is the script's.
    fn serve(&mut self, front: &mut Front, ks: &mut Keyspace, shared: &mut Shared);
}

/// The instance without its data.
pub struct Front {
    /// The world.
    pub host: Box<dyn Host>,
    /// Its clocks, which are read after each command.
    clock: Arc<dyn Clock>,
    /// Where lines go.
    pub log: Log,
    /// What is configured.
    pub settings: Settings,
    /// Who is connected, and to what.
    pub clients: Clients,
    /// Who asks at the metrics port.
    pub visitors: Visitors,
    /// Where units of effects get their positions.
    pub journal: Journal,
    /// Who follows this server, and whom it follows.
    pub replication: Replication,
    /// Snapshots, the log, the child that writes them.
    pub keeper: Keeper,
    /// What is counted.
    pub figures: Figures,
    /// This server as a node of a cluster, if it is one.
    pub cluster: Option<Box<Cluster>>,
    /// Connections to other servers, which MIGRATE speaks over.
    pub peers: Peers,
    /// Set when the loop is to end: from then on no command runs.
    pub ending: Option<Ending>,
    /// The end has been asked for, and waits for replicas.
    pub farewell: Option<Farewell>,
    /// SHUTDOWN ABORT was asked for.
    pub stays: bool,
    /// Serves clients while a script runs for long.
    pub lobby: Option<Box<dyn Lobby>>,
    /// What the poller found and is still to be served: it tells nothing twice, so whoever lets others in must find it here.
    pub found: VecDeque<Readiness>,
    /// Connections that had more to say when their turn was over, and whose turn it is now.
    pub to_visit: VecDeque<usize>,
    /// The role of this server has changed: who waits is to hear of it.
    pub role_changed: bool,
    /// DEBUG LOADAOF asks for it: the session that waits for the log to be loaded again.
    pub load_log_for: Option<SessionId>,
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
        let figures = Figures {
            counters: Counters::default(),
            rates: Rates::default(),
            memory: MemoryMarks::default(),
            scrapes: Scrapes::default(),
            defrag: DefragFigures::default(),
            run_id: fresh_id(&*host).to_string(),
            started,
        };
        let backlog_size = config.get(table::REPL_BACKLOG_SIZE) as u64;
        Front {
            clock: Arc::clone(host.clock()),
            replication: Replication::new(&*host, backlog_size),
            host,
            log,
            settings: Settings::new(config),
            clients: Clients::new(connections, registry),
            visitors: Visitors::new(FIRST_VISITOR),
            journal: Journal::default(),
            keeper: Keeper::new(started),
            figures,
            cluster: None,
            peers: Peers::default(),
            ending: None,
            farewell: None,
            stays: false,
            lobby: None,
            found: VecDeque::new(),
            to_visit: VecDeque::new(),
            role_changed: false,
            load_log_for: None,
        }
    }

    /// Removes the pid file at the end.
    pub fn remove_pidfile(&self) {
        if let Some(path) = self.settings.pidfile() {
            self.log.notice(format_args!("Removing the pid file."));
            // It may never have been written.
            let _ = self.host.disk().remove(&path);
        }
    }

    /// Tells whoever started the process.
    pub fn reached(&self, milestone: Milestone) {
        if let Err(reason) = self.host.process().reached(milestone) {
            self.log.warning(format_args!(
                "Whoever started this process cannot be told '{milestone}': {reason}"
            ));
        }
    }

    /// Shows the title that the configuration asks for.
    pub fn refresh_title(&self) {
        let process = self.host.process();
        if let Some(title) = self.settings.config.proc_title(process.program()) {
            process.set_title(&title);
        }
    }

    /// Sets the out-of-memory score that the configuration asks for. Where the system does not allow it, answers false; why is in
    /// the log.
    pub fn refresh_oom_score(&self) -> bool {
        let class = match self.replication.follows() {
            true => OomClass::Replica,
            false => OomClass::Primary,
        };
        let score = self.settings.config.oom_score(class);
        let set = self.host.process().set_oom_score(score);
        set.map_err(|reason| self.log.warning(format_args!("{reason}")))
            .is_ok()
    }

    /// Says so if the scores can only be set by who has rights that most servers do not have.
    pub fn warn_of_oom_scores(&self) {
        if !self.settings.config.oom_scores_rise() {
            self.log.warning(format_args!(
                "The oom-score-adj-values configuration may not work for non-privileged processes! Please consult the documentation."
            ));
        }
    }

    /// Winds up the watch on the loop, if there is one.
    pub fn wind_watch(&self) {
        let period_ms = self.settings.config.get(table::WATCHDOG_PERIOD);
        if period_ms > 0 {
            // `hz` may be another one since it was set.
            let min = self
                .settings
                .watchdog_min_ms(self.clients.connections.len());
            self.host.process().watch(period_ms.max(min) as u64);
        }
    }

    /// Both clocks.
    pub fn now(&self) -> Now {
        self.clock.now()
    }

    /// Notes the memory in use if it is more than ever.
    pub fn note_memory(&mut self) {
        self.figures.memory.note(self.host.used_memory());
    }

    /// What the system and the allocator said of the memory no more than so many microseconds ago.
    pub fn sample_memory(&mut self, oldest_us: u64) -> MemorySample {
        let now_us = self.clock.monotonic_us();
        let host = &self.host;
        let ask = || (host.resident_memory(), host.process().allocator_stats());
        self.figures.memory.sample(now_us, oldest_us, ask)
    }

    /// Whether the client whose command runs is told the other port of nodes, not the main one: the one for TLS belongs to those who
    /// speak it.
    pub fn tells_other_port(&self) -> bool {
        let connection = self.clients.connection_of(self.clients.running);
        let by_tls = connection.is_some_and(|connection| connection.stream().is_encrypted());
        connection.is_some() && by_tls != self.settings.config.get(table::TLS_CLUSTER)
    }

    /// Begins a connection to another server, from the address that is configured for that. It is not there yet.
    ///
    /// # Errors
    /// It cannot be begun.
    pub fn connect(&self, host: &str, port: u16, is_encrypted: bool) -> io::Result<Stream> {
        let stream = self.host.connect(&Dialing {
            host,
            port,
            from: &self.settings.config.text(table::BIND_SOURCE_ADDR),
            timeout: Duration::ZERO,
        })?;
        match is_encrypted {
            true => self.settings.encryption.connect(stream),
            false => Ok(stream),
        }
    }

    /// The keeper with what it needs of the instance.
    pub fn saving(&mut self) -> Saving<'_> {
        Saving {
            keeper: &mut self.keeper,
            journal: &self.journal,
            replication: &mut self.replication,
            config: &self.settings.config,
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

    /// Whether more waits for a client than may. It is then cut off: none of it is sent, a part of a reply would be none.
    pub fn cut_if_beyond_limit(&mut self, slot: usize, subscribed: bool, now_ms: u64) -> bool {
        let limit = self.settings.buffer_limit(match subscribed {
            true => ClientClass::Pubsub,
            false => ClientClass::Normal,
        });
        let Some(connection) = self.clients.connections.get_mut(slot) else {
            return false;
        };
        let waiting = connection.output.limited_bytes() as u64;
        let beyond = connection.limit_watch.exceeded(limit, waiting, now_ms);
        if beyond {
            self.cut_for_output(slot);
        }
        beyond
    }

    /// A replica has sent something that got an answer. What a replica says has none: it is taken for a client that lost its way.
    /// `command`: the last that it sent.
    #[cold]
    pub fn cut_replica_off(&mut self, slot: usize, command: &str, reply: &[u8]) {
        if let Some(text) = reply.strip_prefix(b"-") {
            let text = text.split(|byte| *byte == b'\r').next().unwrap_or_default();
            self.log.warning(format_args!(
                "== CRITICAL == This master is sending an error to its replica: '{}' after processing the command '{command}'",
                String::from_utf8_lossy(text)
            ));
        }
        if let Some(connection) = self.clients.connections.get(slot) {
            self.log.warning(format_args!(
                "Replica generated a reply to command '{command}', disconnecting it: {}",
                connection.stream().peer()
            ));
        }
        self.clients.connections.end(slot, Cause::Cut);
    }

    /// Cuts a client off whose output is beyond its limit.
    pub fn cut_for_output(&mut self, slot: usize) {
        let Some(connection) = self.clients.connections.get_mut(slot) else {
            return;
        };
        self.figures.counters.output_limit_closed += 1;
        self.log.warning(format_args!(
            "Client {} scheduled to be closed ASAP for overcoming of output buffer limits.",
            connection.stream().peer()
        ));
        connection.output.clear();
        self.clients.connections.end(slot, Cause::Cut);
        debug_assert!(
            self.clients
                .connections
                .get(slot)
                .is_some_and(|c| !c.closing().sends()),
            "a part of a reply would leave"
        );
    }

    /// A command that is no change enters the stream of replication, and with it what of the log is that stream: for the database,
    /// if it says so.
    pub fn enter_stream(&mut self, db: Option<usize>, command: &[u8]) {
        if self.replication.streams_out() {
            self.replication.insert(db, command);
            self.saving().note_inserted(db, command);
        }
    }

    /// As [`Front::enter_stream`], in words.
    pub fn enter_stream_in_words(&mut self, db: usize, words: &[&[u8]]) {
        if self.replication.streams_out() {
            let mut command = Vec::new();
            write_command(&mut command, words);
            self.enter_stream(Some(db), &command);
        }
    }

    /// The stream is the journal's reader if it goes on from there; the log is told if that has changed.
    pub fn attach_stream(&mut self) {
        if self.replication.attach(&self.journal) {
            self.saving().note_place(false);
        }
    }
}

impl Instance for Front {
    fn now(&mut self) -> Now {
        Front::now(self)
    }

    fn mono_us(&mut self) -> u64 {
        self.clock.monotonic_us()
    }

    fn warn(&mut self, line: &str) {
        self.log.warning(format_args!("{line}"));
    }

    fn describe(&mut self, session: &Session, shared: &Shared, now_ms: i64) -> Vec<u8> {
        let slot = self.clients.connection_slot(session.slot);
        let line = match slot.and_then(|slot| self.clients.connections.get(slot)) {
            Some(connection) => Line::of(session, shared, connection, now_ms),
            None => Line::of_session(session, shared, now_ms),
        };
        line.text().into_bytes()
    }

    fn route(
        &mut self,
        ask: &Ask,
        missing: &mut dyn FnMut() -> (usize, usize),
    ) -> Result<(), Error> {
        let preferred = self
            .settings
            .config
            .get(table::CLUSTER_PREFERRED_ENDPOINT_TYPE);
        match &self.cluster {
            Some(cluster) => {
                let tells_other = self.tells_other_port();
                cluster.judge(ask, preferred, tells_other, missing)
            }
            None => Ok(()),
        }
    }

    fn read_users(&mut self) -> Option<(String, Result<Vec<u8>, String>)> {
        user_file::read(&self.settings.config)
    }

    fn write_users(&mut self, text: &[u8]) -> bool {
        let written = user_file::write(&self.settings.config, text);
        written
            .inspect_err(|error| {
                let why = error_text(error);
                self.log
                    .warning(format_args!("Saving the ACL file failed: {why}"));
            })
            .is_ok()
    }

    fn fill_secret(&mut self, bytes: &mut [u8]) -> bool {
        self.host.random(bytes);
        true
    }

    fn deliver(&mut self, to: SessionId, bytes: &[u8]) {
        self.clients.deliver(to, bytes);
    }

    fn deliver_shared(&mut self, to: SessionId, bytes: &Bytes) {
        self.clients.deliver_shared(to, bytes);
    }

    fn is_behind(&mut self, session: SessionId) -> bool {
        // What is pushed unasked is limited as what is published, whatever else the client does.
        let [_, limit] = self.settings.hot.output_max;
        let connection = self.clients.connection_of(session);
        connection.is_some_and(|c| c.output.limited_bytes() >= limit)
    }

    fn take_letters(&mut self, into: &mut Vec<u8>) {
        into.append(&mut self.clients.inbox);
    }

    fn close(&mut self, session: SessionId) {
        self.clients.close(session);
    }

    fn address_of(&mut self, session: SessionId) -> String {
        let connection = self.clients.connection_of(session);
        connection.map_or_else(String::new, |c| c.stream().peer().to_string())
    }

    fn resume(&mut self, session: SessionId) {
        self.clients.resume(session);
    }

    fn feed(&mut self, changes: &Feed, transaction: bool) -> u64 {
        if !self.journal.is_read() {
            // The last reader has gone within the unit, which made this server a replica.
            return 0;
        }
        let unit = self.journal.enter(changes, transaction);
        self.saving().append(&unit);
        self.replication.take(&unit);
        if let Some(cluster) = &mut self.cluster {
            cluster.moves.take(&unit);
        }
        debug_assert!(
            self.keeper
                .append
                .as_ref()
                .is_none_or(|open| open.log.position() == unit.end()),
            "the log has not taken it"
        );
        unit.end()
    }

    fn log_durable(&mut self) -> Durable {
        self.keeper.log_durable()
    }

    fn relay(&mut self, db: usize, args: &Args) {
        if let Some(cluster) = &mut self.cluster {
            // Other nodes hear it on the bus, replicas among them.
            let is_sharded = args.is(0, "spublish");
            cluster.is_asked = true;
            return cluster.machine.publish(is_sharded, args.at(1), args.at(2));
        }
        match args.encoded() {
            Some(encoded) => self.enter_stream(Some(db), encoded),
            None => {
                let words: Vec<&[u8]> = args.iter_from(0).collect();
                self.enter_stream_in_words(db, &words);
            }
        }
    }

    fn acknowledged(&mut self, position: u64) -> (u64, u64) {
        self.replication.acknowledged(position)
    }

    fn ask_replicas(&mut self) {
        self.replication.wants_acks = true;
    }

    fn dismiss(&mut self, session: SessionId) {
        if let Some(slot) = self.clients.connection_slot(session) {
            self.clients.connections.end(slot, Cause::LastReply);
        }
    }

    fn emptied(&mut self, ks: &mut Keyspace) {
        if let Some(cluster) = &mut self.cluster {
            at_moment(&*self.host, |moment| {
                cluster.moves.fail_imports("All data was removed", moment);
            });
            cluster.is_asked = true;
        }
        self.saving().save_emptied(ks);
    }

    fn ask_peer(&mut self, call: &PeerCall) -> PeerAnswer {
        let from = self.settings.config.text(table::BIND_SOURCE_ADDR);
        // As Redis decides it, cluster or not.
        let is_encrypted = self.settings.config.get(table::TLS_CLUSTER);
        let way = Way {
            from: &from,
            encryption: is_encrypted.then_some(&self.settings.encryption),
        };
        self.peers.ask(call, &way, &*self.host)
    }

    fn used_memory(&mut self) -> u64 {
        // What waits to be written to the log does not count: evicting would only add to it.
        let log = self
            .keeper
            .append
            .as_ref()
            .map_or(0, |open| open.log.buffer_memory());
        let (stream, kept) = self.replication.memory();
        let not_counted = log as u64 + (stream - kept);
        self.host.used_memory().saturating_sub(not_counted)
    }

    fn let_in(&mut self, ks: &mut Keyspace, shared: &mut Shared) -> bool {
        if let Some(mut lobby) = self.lobby.take() {
            lobby.serve(self, ks, shared);
            self.lobby = Some(lobby);
        }
        self.ending.is_none()
    }

    fn script_says(&mut self, loudness: Loudness, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        match loudness {
            Loudness::Debug => self.log.debug(format_args!("{line}")),
            Loudness::Verbose => self.log.verbose(format_args!("{line}")),
            Loudness::Notice => self.log.notice(format_args!("{line}")),
            Loudness::Warning => self.log.warning(format_args!("{line}")),
        }
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
