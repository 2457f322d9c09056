//! What I/O threads have read, and what became of their connections.

use std::sync::Arc;

use cairn_engine::Engine;
use cairn_engine::session::Role;

use super::Serving;
use crate::clients::Clients;
use crate::front::Front;
use crate::member;
use crate::net::{Cause, Closing};
use crate::request::{self, Opened};
use crate::threads::{News, Parcel, Requests};

/// So many bytes of a client change little in what it takes.
const LIGHT: usize = 16 * 1024;

impl Serving {
    /// Runs what I/O threads have read by now.
    pub fn hear_threads(&mut self, engine: &mut Engine, front: &mut Front) {
        front.clients.pool.receive();
        while front.ending.is_none()
            && let Some((thread, parcel)) = front.clients.pool.take()
        {
            self.run_parcel(engine, front, thread, parcel);
        }
    }

    /// Goes on with a parcel in the middle of which a script runs for long.
    pub fn hear_interrupted(&mut self, engine: &mut Engine, front: &mut Front) {
        let Some((thread, requests)) = front.clients.pool.interrupted() else {
            return;
        };
        while front.ending.is_none()
            && let Some(at) = front.clients.pool.next_letter()
        {
            self.run_letter(engine, front, thread, &requests, at, None);
        }
    }

    fn run_parcel(
        &mut self,
        engine: &mut Engine,
        front: &mut Front,
        thread: usize,
        mut parcel: Parcel,
    ) {
        let requests = Arc::clone(&parcel.requests);
        front.clients.pool.begin(thread, &requests);
        self.ahead.reset();
        while front.ending.is_none()
            && let Some(at) = front.clients.pool.next_letter()
        {
            self.run_letter(engine, front, thread, &requests, at, Some(&mut parcel));
        }
        drop(requests);
        for news in std::mem::take(&mut parcel.news) {
            self.hear_news(engine, front, thread, news);
        }
        if front.clients.pool.finish(thread, parcel) {
            for slot in 0..front.clients.connections.slot_count() {
                front.clients.connections.mark_touched(slot);
            }
        }
    }

    fn run_letter(
        &mut self,
        engine: &mut Engine,
        front: &mut Front,
        thread: usize,
        requests: &Requests,
        at: usize,
        parcel: Option<&mut Parcel>,
    ) {
        let letter = &requests.letters[at];
        let Some(slot) = front.clients.pool.slot_of(thread, letter.wire) else {
            return;
        };
        // Who sends much is weighed before any of it runs.
        let is_light = !front.clients.budget.is_on() || letter.bytes.len() <= LIGHT;
        let is_straight = is_light
            && !letter.commands.is_empty()
            && !self.leaves_alone(front, thread, letter.wire, slot)
            && front.clients.pool.is_straight(thread, letter.wire);
        if let (true, Some(parcel)) = (is_straight, parcel) {
            let clients = &front.clients;
            self.ahead.look(engine, requests, at, |letter| {
                let slot = clients.pool.slot_of(thread, letter.wire)?;
                let state = engine.shared.sessions.get(clients.session_on(slot)?)?;
                Some(state.db)
            });
            let replies = &mut parcel.replies;
            let opened = Opened {
                requests,
                letter,
                ahead: &self.ahead,
            };
            if let Some(range) = request::run_letter(engine, front, slot, &opened, replies) {
                note(engine, front, slot, letter.bytes.len(), range.len());
                if !range.is_empty() {
                    front.clients.pool.note_answer(thread, letter.wire);
                    parcel.answered.push((letter.wire, range));
                }
                return;
            }
        }
        let bytes = letter.bytes.start as usize..letter.bytes.end as usize;
        let bytes = &requests.bytes[bytes];
        front.clients.pool.put(thread, letter.wire, bytes);
        self.hear(engine, front, (thread, letter.wire), slot, false);
    }

    /// Reads from what stands for a connection, later if it is to be left alone.
    fn hear(
        &mut self,
        engine: &mut Engine,
        front: &mut Front,
        (thread, wire): (usize, u32),
        slot: usize,
        hangup: bool,
    ) {
        match self.leaves_alone(front, thread, wire, slot) {
            true => front.clients.connections.mark_ready(slot),
            false => self.read(engine, front, slot, hangup),
        }
    }

    /// Whether a client is to be left alone while others are served in between: its script runs, or it waits for the reply to what it
    /// sent before that.
    fn leaves_alone(&self, front: &Front, thread: usize, wire: u32, slot: usize) -> bool {
        let pool = &front.clients.pool;
        self.aside.is_some() && (self.aside == Some(slot) || pool.awaits(thread, wire))
    }

    fn hear_news(&mut self, engine: &mut Engine, front: &mut Front, thread: usize, news: News) {
        let pool = &mut front.clients.pool;
        match news {
            News::Ended(wire, error) => {
                pool.note_end(thread, wire, error);
                if let Some(slot) = pool.slot_of(thread, wire) {
                    // Who reads no more finds out by a write that it failed.
                    front.clients.connections.mark_touched(slot);
                    self.hear(engine, front, (thread, wire), slot, true);
                }
            }
            News::Room(wire) => {
                if let Some(slot) = pool.slot_of(thread, wire) {
                    front.clients.connections.mark_touched(slot);
                }
            }
            News::Gone(wire) => {
                let slot = pool.slot_of(thread, wire);
                pool.forget(thread, wire);
                if let Some(slot) = slot {
                    front.clients.connections.end(slot, Cause::Cut);
                }
            }
            News::Returned(wire, stream, rest) => {
                let slot = pool.slot_of(thread, wire);
                let arrived = pool.take_arrived(thread, wire);
                pool.forget(thread, wire);
                take_back(front, slot, stream.into(), &arrived, &rest);
            }
        }
    }

    /// Timed work: threads are started and stopped as configured, and connections go to them while there is enough to do.
    pub fn keep_threads(&mut self, engine: &Engine, front: &mut Front) {
        let settings = front.settings.io_threads();
        front
            .host
            .process()
            .set_patient(front.clients.pool.is_active);
        let now_us = front.host.clock().monotonic_us();
        let busy_us = front.figures.counters.turn_us;
        let clients = &mut front.clients;
        let pool = &mut clients.pool;
        if settings.threads == 1 && pool.is_empty() {
            return;
        }
        pool.set_bounds(&settings);
        if !pool.is_manned(settings.threads - 1) {
            if pool.owned() > 0 {
                pool.is_active = false;
                return pool.recall(|_| true);
            }
            pool.stop(true);
            let (count, entry) = (settings.threads - 1, front.host.entry());
            let started = clients.waker();
            let started = started.and_then(|waker| clients.pool.start(count, &entry, waker));
            if let Err(error) = started {
                // What there is, is used, until the number is configured anew.
                front
                    .log
                    .warning(format_args!("I/O threads cannot be started: {error}"));
            }
        }
        let was_active = front.clients.pool.is_active;
        let is_active = front.clients.pool.judge(settings.min_load, now_us, busy_us);
        if is_active {
            for slot in 0..front.clients.connections.slot_count() {
                self.lend(engine, front, slot);
            }
            // What a replica is sent is not copied, which only this thread can do.
            let Clients {
                connections, pool, ..
            } = &mut front.clients;
            pool.recall(|slot| connections.get(slot).is_some_and(|c| c.feeds));
        } else if was_active {
            front.clients.pool.recall(|_| true);
        }
    }

    /// Gives a connection to an I/O thread, if nothing of it is under way here.
    pub fn lend(&mut self, engine: &Engine, front: &mut Front, slot: usize) {
        let special = front.replication.is_upstream(slot) || member::is_target(front, slot);
        let clients = &mut front.clients;
        let session = clients.session_on(slot);
        let state = session.and_then(|session| engine.shared.sessions.get(session));
        let is_plain = state.is_some_and(|s| s.authenticated && s.role == Role::Client);
        let Some(connection) = clients.connections.get_mut(slot) else {
            return;
        };
        let is_idle = connection.closing() == Closing::Open
            && connection.input.is_empty()
            && connection.output.is_empty()
            && !connection.feeds
            && !connection.is_ready();
        if special || !is_plain || !is_idle || self.aside == Some(slot) {
            return;
        }
        let Some((far, ticket)) = clients.pool.reserve(slot, connection.stream()) else {
            return;
        };
        match connection.exchange(&clients.registry, far) {
            Ok(stream) => clients.pool.hand_over(ticket, stream),
            Err(error) => {
                clients.pool.cancel(ticket);
                front.log.warning(format_args!(
                    "A connection cannot go to an I/O thread: {error}"
                ));
                front.clients.connections.end(slot, Cause::Cut);
            }
        }
    }
}

/// What a read and a write of this connection would have noted.
fn note(engine: &Engine, front: &mut Front, slot: usize, came: usize, goes: usize) {
    let counters = &mut front.figures.counters;
    counters.reads += 1;
    counters.bytes_in += came as u64;
    counters.writes += u64::from(goes > 0);
    counters.bytes_out += goes as u64;
    if let Some(connection) = front.clients.connections.get_mut(slot) {
        connection.heard_ms = engine.mono_us() / 1000;
    }
    if front.clients.budget.is_on() {
        front.weigh(slot, &engine.shared.sessions);
        front.evict_clients(Some(slot));
    }
}

/// A connection is back from its thread.
fn take_back(
    front: &mut Front,
    slot: Option<usize>,
    mut stream: crate::host::Stream,
    arrived: &[u8],
    rest: &[u8],
) {
    let clients = &mut front.clients;
    let Some(slot) = slot else {
        return stream.shutdown();
    };
    let Some(connection) = clients.connections.get_mut(slot) else {
        return stream.shutdown();
    };
    connection.input.push(arrived);
    connection.input.push(rest);
    if let Err(error) = connection.exchange(&clients.registry, stream) {
        front.log.warning(format_args!(
            "A connection cannot come back from an I/O thread: {error}"
        ));
        return front.clients.connections.end(slot, Cause::Cut);
    }
    // Whatever came or waits meanwhile.
    clients.connections.mark_ready(slot);
    clients.connections.mark_touched(slot);
}
