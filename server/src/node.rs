//! One running instance: poll, read, call, effects, write, tick.
//!
//! A turn of the loop, in order:
//! 1. poll (without waiting while somebody was cut short or work is left over);
//! 2. accept, read and run what has arrived;
//! 3. timed work when it is due;
//! 4. the append log is written, and synced if `appendfsync always` asks for it;
//! 5. only then replies leave, each touched connection with one write.
//!
//! When something ends the process (`Front::ending`), the turn goes straight to its last two steps: no further command
//! runs, and what was replied before has been saved with everything else.

use std::io;
use std::time::Duration;

use cairn_engine::Engine;
use cairn_engine::base::args::ArgsBuf;
use cairn_engine::call::blocking;
use cairn_engine::call::reply::Reply;
use cairn_engine::session::Session;
use mio::Token;

use crate::clients::Clients;
use crate::config::table;
use crate::cron::Cron;
use crate::front::{Ending, Front};
use crate::host::{Poller, Readiness, Stream, Worker};
use crate::keeper::LogState;
use crate::net::{
    Accepting, CHILD_NEWS, CHILD_PIPE, Cause, Closing, FIRST_LISTENER, Flush, Received,
};
use crate::os::crash;
use crate::request::{self, Batch};
use crate::scrape;
use crate::shutdown::waiting;
use crate::sync;

/// The data with its front and the loop that joins them.
pub struct Node {
    /// The data.
    pub engine: Engine,
    /// The rest.
    pub front: Front,
    poller: Box<dyn Poller>,
    /// What it found last.
    ready: Vec<Readiness>,
    cron: Cron,
    batch: Batch,
    /// Frees large values.
    dropper: Box<dyn Worker>,
    /// Listeners that have more to accept, or wait for a descriptor.
    accept_again: Vec<usize>,
    visits: Vec<usize>,
    /// End of the last turn, monotonic microseconds.
    turned_us: u64,
}

impl Node {
    /// Puts the parts together. Listeners are registered with the poller already.
    pub fn new(engine: Engine, front: Front, poller: Box<dyn Poller>) -> Node {
        let turned_us = front.host.clock().monotonic_us();
        let dropper = front.host.worker("cairn-drop");
        Node {
            engine,
            front,
            poller,
            ready: Vec::new(),
            cron: Cron::new(turned_us),
            turned_us,
            batch: Batch::default(),
            dropper,
            accept_again: Vec::new(),
            visits: Vec::new(),
        }
    }

    /// Runs until something ends it; answers the exit status.
    pub fn run(&mut self) -> i32 {
        loop {
            if let Some(status) = self.step() {
                return status;
            }
        }
    }

    /// Waits until there is something to do, and does it. Answers the exit status if that ends the process.
    pub fn step(&mut self) -> Option<i32> {
        debug_assert!(self.front.ending.is_none(), "a turn after the last one");
        let wait = self.wait();
        if let Err(error) = self.poller.poll(&mut self.ready, wait) {
            self.front.log.warning(format_args!("poll failed: {error}"));
            return Some(1);
        }
        self.turn();
        self.front.ending.map(Ending::status)
    }

    /// What must hold between turns, for tests.
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self) -> Result<(), String> {
        let clients = &self.front.clients;
        clients.check()?;
        self.front.keeper.check()?;
        self.front.replication.primary.check()?;
        self.front.settings.check()?;
        self.front.visitors.check()?;
        if self.engine.ks.fx.feed_on != self.front.journal.is_read() {
            return Err(
                "changes are kept though nobody reads, or not though somebody does".to_owned(),
            );
        }
        self.engine.check()?;
        if self.engine.ks.fx.pending() {
            return Err(format!("nobody saw {:?}", self.engine.ks.fx));
        }
        let sessions = self.engine.shared.sessions.iter().count();
        match sessions == clients.connections.len() {
            true => Ok(()),
            false => Err(format!(
                "{sessions} sessions, {} connections",
                clients.connections.len()
            )),
        }
    }

    /// What the server says of itself at the end of a crash report: INFO and who is connected. What cannot be told any more
    /// is left out.
    pub fn last_words(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        for (title, words) in [
            ("INFO OUTPUT", ["info", "everything"]),
            ("CLIENT LIST OUTPUT", ["client", "list"]),
        ] {
            text.extend_from_slice(format!("\n------ {title} ------\n").as_bytes());
            text.extend(crash::survive(|| self.ask(&words)).unwrap_or_default());
        }
        text
    }

    /// Runs a command on a session of its own.
    fn ask(&mut self, words: &[&str]) -> Vec<u8> {
        let session = self.engine.open_session(self.front.now());
        if let Some(state) = self.engine.shared.sessions.get_mut(session) {
            state.authenticated = true;
        }
        let words: Vec<Box<[u8]>> = words.iter().map(|word| word.as_bytes().into()).collect();
        let mut reply = Reply::default();
        let args = ArgsBuf::from_slices(&words);
        request::call(
            &mut self.engine,
            &mut self.front,
            session,
            &args.args(),
            &mut reply,
        );
        self.engine.close_session(session);
        reply.buf
    }

    /// One turn without waiting, between two slices of a load.
    pub fn serve_while_loading(&mut self) {
        if self
            .poller
            .poll(&mut self.ready, Some(Duration::ZERO))
            .is_ok()
        {
            self.turn();
        }
    }

    /// How long it may wait for others, as things stand between two turns.
    pub fn wait(&self) -> Option<Duration> {
        if self.front.clients.connections.has_ready()
            || !self.accept_again.is_empty()
            || self.cron.work_left
            || self.front.visitors.work_left
            || sync::is_under_way(&self.front)
        {
            return Some(Duration::ZERO);
        }
        let cron_us = self.cron.due_us().saturating_sub(self.turned_us);
        let waits_us = self.engine.next_deadline_ms().map_or(u64::MAX, |at| {
            let wall_us = self.engine.wall_us(self.turned_us);
            at.saturating_mul(1000).saturating_sub(wall_us).max(0) as u64
        });
        Some(Duration::from_micros(cron_us.min(waits_us)))
    }

    fn turn(&mut self) {
        let now = self.front.now();
        let cpu_us = self.watched_cpu_us();
        self.engine.set_now(now);
        self.visit_ready();
        let mut ready = std::mem::take(&mut self.ready);
        for event in ready.drain(..) {
            self.serve_event(event);
        }
        self.ready = ready;
        if self.front.ending.is_none() {
            self.work();
        }
        if self.settle() {
            self.flush_outputs();
        }
        self.keep_client_budget();
        let garbage = self.engine.ks.take_garbage();
        if !garbage.is_empty() {
            self.dropper.send(Box::new(move || drop(garbage)));
        }
        self.count_turn(now.mono_us, cpu_us);
    }

    fn serve_event(&mut self, event: Readiness) {
        match self.front.clients.connections.slot_of(Token(event.token)) {
            Some(slot) => {
                if event.writable {
                    self.front.clients.connections.mark_touched(slot);
                }
                if event.readable || event.hangup {
                    self.read(slot, event.hangup);
                }
            }
            None if event.token < FIRST_LISTENER => self.hear_child(event.token),
            None if self.front.visitors.take(event) => {}
            None => {
                debug_assert!(event.token >= FIRST_LISTENER, "the poller's own token");
                self.accept_again.push(event.token - FIRST_LISTENER);
            }
        }
    }

    /// A child has news, or there is something in its pipe.
    #[cold]
    #[inline(never)]
    fn hear_child(&mut self, token: usize) {
        match token {
            CHILD_PIPE => sync::pipe_is_ready(&mut self.front),
            CHILD_NEWS => self.front.saving().reap_child(&mut self.engine.ks),
            _ => debug_assert!(false, "the poller's own token"),
        }
    }

    /// What a turn does beside reading: new clients, and what time asks for.
    fn work(&mut self) {
        self.accept();
        if let Some(session) = self.front.load_log_for.take() {
            crate::again::load_again(&mut self.engine, &mut self.front, session);
            self.engine.set_now(self.front.now());
        }
        self.engine.time_out(&mut self.front);
        if self.cron.run(&mut self.engine, &mut self.front) {
            self.batch.trim();
            let now_ms = self.engine.mono_us() / 1000;
            let Front {
                visitors, clients, ..
            } = &mut self.front;
            visitors.tick(&clients.registry, now_ms);
        }
        if sync::is_under_way(&self.front) {
            sync::go_on(&mut self.engine, &mut self.front);
        }
        if std::mem::take(&mut self.front.stays) {
            waiting::give_up(&mut self.engine, &mut self.front);
        }
        let aborted = |failover: &crate::replication::Failover| failover.aborted;
        if self
            .front
            .replication
            .failover
            .as_ref()
            .is_some_and(aborted)
        {
            let reason = "Failover manually aborted";
            sync::failover::abort(&mut self.engine, &mut self.front, reason);
        }
        if std::mem::take(&mut self.front.role_changed) {
            self.engine.unblock_all(&mut self.front);
        }
        if self.front.visitors.work_left {
            scrape::serve(&mut self.engine, &mut self.front);
        }
        if std::mem::take(&mut self.cron.retry_accept) {
            self.accept_again.append(&mut self.cron.accept_later);
        }
    }

    /// Writes the log. Answers whether replies may leave: nothing is acknowledged that is lost for good.
    fn settle(&mut self) -> bool {
        debug_assert!(!self.engine.ks.fx.pending(), "a change that nobody saw");
        match (self.front.saving().flush_log(), self.front.ending) {
            (LogState::Fine, _) => {}
            (LogState::Failed, None) => {
                self.engine.shared.gate.refuse_writes = self.front.saving().write_refusal();
            }
            (LogState::Failed, Some(ending)) => {
                self.front.ending = Some(Ending::Lost(ending.status()));
            }
            // Under `appendfsync always`.
            (LogState::Fatal, _) => self.front.ending = Some(Ending::Lost(1)),
        }
        sync::settle(&mut self.engine, &mut self.front);
        self.engine.serve_held_waiters(&mut self.front);
        for (event, took_us) in std::mem::take(&mut self.front.keeper.spans) {
            self.engine.note_latency(event, took_us, &mut self.front);
        }
        !matches!(self.front.ending, Some(Ending::Lost(_)))
    }

    /// The thread's processor time, while somebody wants to know the longest turn (DEBUG LOOP-TURN).
    fn watched_cpu_us(&self) -> Option<u64> {
        self.front.figures.counters.turn_cpu_us_max?;
        Some(self.front.host.clock().thread_cpu_us())
    }

    fn count_turn(&mut self, started_us: u64, started_cpu_us: Option<u64>) {
        self.turned_us = self.front.host.clock().monotonic_us();
        debug_assert!(self.turned_us >= started_us, "the clock goes back");
        let took = self.turned_us - started_us;
        let cpu_us = self.watched_cpu_us();
        let counters = &mut self.front.figures.counters;
        counters.turns += 1;
        counters.turn_us += took;
        counters.turn_us_max = counters.turn_us_max.max(took);
        let commands = self.engine.shared.stats.processed;
        let before = std::mem::replace(&mut counters.commands_then, commands);
        counters.turn_commands_max = counters
            .turn_commands_max
            .max(commands.saturating_sub(before));
        if let (Some(before), Some(after)) = (started_cpu_us, cpu_us) {
            counters.turn_cpu_us_max = counters.turn_cpu_us_max.max(Some(after - before));
        }
    }

    // ---- reading ----

    fn visit_ready(&mut self) {
        let mut visits = std::mem::take(&mut self.visits);
        self.front.clients.connections.take_ready(&mut visits);
        for &slot in &visits {
            self.read(slot, false);
        }
        self.visits = visits;
    }

    /// Reads and runs until the socket is empty, the client had its share of this turn, or the process is to end.
    fn read(&mut self, slot: usize, hangup: bool) {
        if let Some(connection) = self.front.clients.connections.get_mut(slot) {
            connection.begin_turn(hangup);
        }
        let is_upstream = self.front.replication.is_upstream(slot);
        while self.front.ending.is_none() {
            if is_upstream && self.front.replication.holds_upstream() {
                // What follows the snapshot waits in the socket.
                return;
            }
            let Some(connection) = self.front.clients.connections.get_mut(slot) else {
                return;
            };
            let received = match connection.closing().reads() {
                true => connection.receive(),
                false => Ok(Received::End),
            };
            let (count, drained) = match received {
                Ok(Received::End) => {
                    // This has a write tried, too, which finds out whether the client is still there.
                    self.front.clients.connections.end(slot, Cause::InputEnds);
                    (0, true)
                }
                Err(_) => return self.front.clients.connections.end(slot, Cause::Cut),
                Ok(Received::More(count)) => (count, false),
                Ok(Received::Drained(count)) => (count, true),
            };
            self.front.figures.counters.bytes_in += count as u64;
            self.front.figures.counters.reads += 1;
            if self.front.clients.budget.is_on() {
                self.front.weigh(slot, &self.engine.shared.sessions);
                if self.front.evict_clients(Some(slot)) {
                    return;
                }
            }
            match is_upstream {
                false => {
                    request::run_input(&mut self.engine, &mut self.front, &mut self.batch, slot)
                }
                true => self.hear_primary(slot),
            }
            let Some(connection) = self.front.clients.connections.get_mut(slot) else {
                return;
            };
            if connection.input.len() > self.front.settings.hot.query_max && !is_upstream {
                self.front.log.warning(format_args!(
                    "Closing client that reached max query buffer length: {}",
                    connection.stream().peer()
                ));
                return self.front.clients.connections.end(slot, Cause::Cut);
            }
            if drained {
                if connection.closing().reads() || !self.end_wait(slot) {
                    return;
                }
            } else if connection.turn_is_over() {
                self.front.clients.connections.mark_ready(slot);
                return;
            }
        }
    }

    /// What the primary sent: what comes before its stream, then commands.
    #[cold]
    #[inline(never)]
    fn hear_primary(&mut self, slot: usize) {
        sync::read(&mut self.engine, &mut self.front, slot);
        if self.front.replication.streams_in(slot) {
            request::run_stream(&mut self.engine, &mut self.front, &mut self.batch, slot);
        }
    }

    /// Answers a command that waits as if its time had run out, since its client's input is over: an element must not go to
    /// somebody who is perhaps gone. (Redis ends such a client without an answer.) False if none waits.
    fn end_wait(&mut self, slot: usize) -> bool {
        debug_assert!(
            self.front
                .clients
                .connections
                .get(slot)
                .is_some_and(|c| !c.closing().reads()),
            "it may still send"
        );
        let Some(session) = self.front.clients.session_on(slot) else {
            return false;
        };
        let Engine { ks, shared, .. } = &mut self.engine;
        blocking::unblock(ks, shared, session, false, &mut self.front)
    }

    // ---- accepting ----

    fn accept(&mut self) {
        if self.accept_again.is_empty() {
            return;
        }
        let Some(mut listeners) = self.front.clients.listeners.take() else {
            return;
        };
        let places = std::mem::take(&mut self.accept_again);
        let mut streams = Vec::new();
        for place in places {
            match listeners.accept(place, &mut |stream| streams.push(stream)) {
                Accepting::Drained => {}
                Accepting::More => self.accept_again.push(place),
                Accepting::Exhausted(error) => {
                    self.front
                        .log
                        .warning(format_args!("Accepting client connection: {error}"));
                    self.cron.accept_later.push(place);
                }
            }
        }
        self.front.clients.listeners = Some(listeners);
        for stream in streams {
            self.welcome(stream);
        }
    }

    fn welcome(&mut self, stream: Stream) {
        debug_assert!(self.front.ending.is_none(), "let in after the end");
        self.front.figures.counters.connections += 1;
        let limit = self.front.settings.config.get(table::MAXCLIENTS).max(1) as usize;
        if self.front.clients.connections.len() >= limit {
            self.front.figures.counters.rejected += 1;
            return turn_away(stream, b"-ERR max number of clients reached\r\n");
        }
        if self.front.settings.config.get(table::PROTECTED_MODE)
            && self.engine.shared.gate.password.is_none()
            && !stream.peer().is_local()
        {
            self.front.figures.counters.rejected += 1;
            return turn_away(stream, PROTECTED);
        }
        let _ = stream.set_nodelay(true);
        let keepalive = self.front.settings.config.get(table::TCP_KEEPALIVE);
        if keepalive > 0 {
            let _ = stream.set_keepalive(keepalive as u64);
        }
        let now = self.front.now();
        let Clients {
            connections,
            registry,
            ..
        } = &mut self.front.clients;
        match connections.add(registry, stream, now.mono_us / 1000) {
            Ok(slot) => {
                let session = self.engine.open_session(now);
                self.front.clients.bind(slot, session);
            }
            Err(error) => self
                .front
                .log
                .warning(format_args!("Error registering a client's socket: {error}")),
        }
    }

    // ---- writing ----

    /// Sends what waits, once per connection, and closes those that are done.
    fn flush_outputs(&mut self) {
        debug_assert!(
            self.front.clients.running_slot().is_none(),
            "replies leave when all have run"
        );
        debug_assert!(
            self.front.clients.inbox.is_empty(),
            "a message that nobody gets"
        );
        let mut visits = std::mem::take(&mut self.visits);
        self.front.clients.connections.take_touched(&mut visits);
        for &slot in &visits {
            if self.flush(slot) {
                self.close(slot);
            } else if self.front.clients.budget.is_on() {
                self.front.weigh(slot, &self.engine.shared.sessions);
            }
        }
        self.visits = visits;
    }

    /// Closes clients that take too much memory, once what was replied has been sent: who is cut off for the limit of
    /// its own output counts no more then.
    fn keep_client_budget(&mut self) {
        self.front.refresh_budget(&self.engine.shared.sessions);
        if self.front.clients.budget.is_exceeded() {
            self.front.evict_clients(None);
            self.flush_outputs();
        }
    }

    /// Answers whether the connection ends now.
    fn flush(&mut self, slot: usize) -> bool {
        let now_ms = self.engine.mono_us() / 1000;
        let Some(connection) = self.front.clients.connections.get(slot) else {
            return false;
        };
        debug_assert!(
            self.front.clients.session_on(slot).is_some(),
            "a connection without a session"
        );
        if !connection.closing().sends() {
            return true;
        }
        if connection.feeds {
            return sync::flush(&mut self.front, slot, now_ms);
        }
        if connection.output.limited_bytes() > 0 {
            let subscribed = self.session(slot).is_some_and(Session::listens);
            if self.front.cut_if_beyond_limit(slot, subscribed, now_ms) {
                return true;
            }
        }
        let Front {
            clients, figures, ..
        } = &mut self.front;
        let Clients {
            connections,
            registry,
            ..
        } = clients;
        let counters = &mut figures.counters;
        let Some(connection) = connections.get_mut(slot) else {
            return false;
        };
        let Ok((written, flush)) = connection.flush(registry) else {
            return true;
        };
        counters.bytes_out += written as u64;
        counters.writes += 1;
        connection.last_io_ms = now_ms;
        if flush == Flush::Done {
            connection.limit_watch.reset();
        }
        let (closing, ready) = (connection.closing(), connection.is_ready());
        closing != Closing::Open
            && closing.is_over(flush == Flush::Done, !ready && !self.is_blocked(slot))
    }

    fn session(&self, slot: usize) -> Option<&Session> {
        let session = self.front.clients.session_on(slot)?;
        self.engine.shared.sessions.get(session)
    }

    fn is_blocked(&self, slot: usize) -> bool {
        self.session(slot).is_some_and(|s| s.blocked)
    }

    fn close(&mut self, slot: usize) {
        debug_assert!(
            self.front.clients.running_slot() != Some(slot),
            "its commands run"
        );
        if self.front.replication.is_any() {
            sync::closed(&mut self.engine, &mut self.front, slot);
        }
        if let Some(session) = self.front.clients.unbind(slot) {
            self.engine.close_session(session);
        }
        self.front.clients.remove(slot);
    }
}

/// What a client from elsewhere reads while protected mode is on and no password is set.
const PROTECTED: &[u8] = b"-DENIED Cairn is running in protected mode because protected mode is enabled and no password is set for the default user. In this mode connections are only accepted from the loopback interface. To accept others, set a password with requirepass, or turn protected mode off with 'CONFIG SET protected-mode no' from a local connection or '--protected-mode no' at start; do the latter only where nobody else can reach the port.\r\n";

/// Says why and hangs up. A full socket of a new connection is not worth waiting for.
fn turn_away(mut stream: Stream, reason: &[u8]) {
    let _ = io::Write::write(&mut stream, reason);
    stream.shutdown();
}
