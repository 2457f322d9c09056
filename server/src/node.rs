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

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use cairn_engine::Engine;
use cairn_engine::base::args::ArgsBuf;
use cairn_engine::call::reply::Reply;
use cairn_engine::call::rights;
use mio::Token;

use crate::busy::{InBetween, SharedPoller};
use crate::cron::Cron;
use crate::front::{Ending, Front};
use crate::host::{Poller, Readiness, Worker};
use crate::keeper::LogState;
use crate::member;
use crate::net::{CHILD_NEWS, CHILD_PIPE, FIRST_LISTENER, IO_NEWS};
use crate::os::{alloc, crash};
use crate::request;
use crate::scrape;
use crate::serve::Serving;
use crate::shutdown::waiting;
use crate::sync;

/// The data with its front and the loop that joins them.
pub struct Node {
    /// The data.
    pub engine: Engine,
    /// The rest.
    pub front: Front,
    poller: SharedPoller,
    /// What it found last.
    ready: Vec<Readiness>,
    cron: Cron,
    serving: Serving,
    /// Frees large values.
    dropper: Box<dyn Worker>,
    /// End of the last turn, monotonic microseconds.
    turned_us: u64,
}

impl Node {
    /// Puts the parts together. Listeners are registered with the poller already.
    pub fn new(engine: Engine, mut front: Front, poller: Box<dyn Poller>) -> Node {
        let poller = Rc::new(RefCell::new(poller));
        front.lobby = Some(Box::new(InBetween::new(Rc::clone(&poller))));
        let turned_us = front.host.clock().monotonic_us();
        let dropper = front.host.worker("cairn-drop");
        Node {
            engine,
            front,
            poller,
            ready: Vec::new(),
            cron: Cron::new(turned_us),
            turned_us,
            serving: Serving::default(),
            dropper,
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
        let wait = self.wait_for_threads(self.wait());
        if let Err(error) = self.poller.borrow_mut().poll(&mut self.ready, wait) {
            self.front.log.warning(format_args!("poll failed: {error}"));
            return Some(1);
        }
        self.turn();
        if let Some(ending) = self.front.ending {
            self.front
                .clients
                .pool
                .stop(matches!(ending, Ending::Exit(_)));
        }
        self.front.ending.map(Ending::status)
    }

    /// As `wait`, but not at all where I/O threads have something for this one. They ring while it waits.
    fn wait_for_threads(&mut self, wait: Option<Duration>) -> Option<Duration> {
        let pool = &mut self.front.clients.pool;
        match pool.is_empty() || wait == Some(Duration::ZERO) || pool.doze() {
            true => wait,
            false => Some(Duration::ZERO),
        }
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
            rights::allow_all(state);
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
            .borrow_mut()
            .poll(&mut self.ready, Some(Duration::ZERO))
            .is_ok()
        {
            self.turn();
        }
    }

    /// How long it may wait for others, as things stand between two turns.
    pub fn wait(&self) -> Option<Duration> {
        if self.front.clients.connections.has_ready()
            || !self.serving.accept_again.is_empty()
            || self.cron.work_left
            || self.engine.has_tracking_work()
            || !self.front.found.is_empty()
            || self.front.visitors.work_left
            || member::has_work(&self.front)
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
        self.serving.visit_ready(&mut self.engine, &mut self.front);
        self.front.found.extend(self.ready.drain(..));
        while let Some(event) = self.front.found.pop_front() {
            self.serve_event(event);
        }
        if !self.front.clients.pool.is_empty() {
            self.front.clients.pool.awake();
            // Behind the poll: whoever asks hears of a link that has ended.
            self.serving.hear_threads(&mut self.engine, &mut self.front);
        }
        if self.front.ending.is_none() {
            self.work();
        }
        if self.settle() {
            self.engine.settle_tracking(&mut self.front);
            self.serving
                .flush_outputs(&mut self.engine, &mut self.front);
        }
        self.serving
            .keep_client_budget(&mut self.engine, &mut self.front);
        let garbage = self.engine.ks.take_garbage();
        if !garbage.is_empty() {
            self.dropper.send(Box::new(move || {
                drop(garbage);
                alloc::forget_cache();
            }));
        }
        self.count_turn(now.mono_us, cpu_us);
    }

    fn serve_event(&mut self, event: Readiness) {
        match self.front.clients.connections.slot_of(Token(event.token)) {
            Some(slot) => {
                self.serving
                    .serve(&mut self.engine, &mut self.front, slot, event);
            }
            None if self.front.clients.doorway.take(event) => self.serving.note_doorway(),
            None if event.token < FIRST_LISTENER => self.hear_child(event.token),
            None if self.front.visitors.take(event) => {}
            None if self
                .front
                .cluster
                .as_mut()
                .is_some_and(|c| c.bus.take(event)) => {}
            None => {
                debug_assert!(event.token >= FIRST_LISTENER, "the poller's own token");
                self.serving.accept_again.push(event.token - FIRST_LISTENER);
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
            // The turn hears what they have.
            IO_NEWS => {}
            _ => debug_assert!(false, "the poller's own token"),
        }
    }

    /// What a turn does beside reading: new clients, and what time asks for.
    fn work(&mut self) {
        self.serving.accept(&mut self.engine, &mut self.front);
        if let Some(session) = self.front.load_log_for.take() {
            crate::again::load_again(&mut self.engine, &mut self.front, session);
            self.engine.set_now(self.front.now());
        }
        self.engine.time_out(&mut self.front);
        if self.cron.run(&mut self.engine, &mut self.front) {
            self.serving.batch.trim();
            self.serving.try_again();
            let now_ms = self.engine.mono_us() / 1000;
            let Front {
                visitors, clients, ..
            } = &mut self.front;
            visitors.tick(&clients.registry, now_ms);
            self.serving.tick_doorway(&mut self.front, now_ms);
            self.serving.keep_threads(&self.engine, &mut self.front);
        }
        member::turn(&mut self.engine, &mut self.front);
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
            sync::connect(&mut self.engine, &mut self.front);
        }
        if self.front.visitors.work_left {
            scrape::serve(&mut self.engine, &mut self.front);
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
}
