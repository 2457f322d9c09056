//! Clients: let in, read, and answered.
//!
//! A turn of the loop does this with all who are ready; while a script runs for long it is done in between, too, see [`super::busy`].

mod letters;

use std::io;

use cairn_engine::Engine;
use cairn_engine::session::Session;

use crate::clients::Clients;
use crate::config::table;
use crate::front::Front;
use crate::host::{Readiness, Stream};
use crate::member;
use crate::net::{
    Accepting, Cause, Closing, Connection, Departures, FIRST_CONNECTION, FIRST_LISTENER, Flush,
    Porter, Received,
};
use crate::os::error_text;
use crate::request::{self, Ahead, Batch};
use crate::sync;

/// What serving clients takes beside them, kept from turn to turn.
#[derive(Debug, Default)]
pub struct Serving {
    /// The commands of one client at a time.
    pub batch: Batch,
    /// Keys of letters that are looked up together.
    ahead: Ahead,
    /// Listeners that have more to accept.
    pub accept_again: Vec<usize>,
    /// Listeners that wait for a descriptor.
    pub accept_later: Vec<usize>,
    visits: Vec<usize>,
    /// The connection whose command runs meanwhile: it is left alone.
    pub aside: Option<usize>,
}

impl Serving {
    // ---- reading ----

    /// Serves a connection that the poller found ready.
    pub fn serve(&mut self, engine: &mut Engine, front: &mut Front, slot: usize, event: Readiness) {
        if event.writable {
            front.clients.connections.mark_touched(slot);
        }
        if event.readable || event.hangup {
            self.read(engine, front, slot, event.hangup);
        }
    }

    /// Reads those who had more to say when their turn was over.
    pub fn visit_ready(&mut self, engine: &mut Engine, front: &mut Front) {
        front.clients.connections.take_ready(&mut self.visits);
        front.to_visit.extend(self.visits.drain(..));
        while let Some(slot) = front.to_visit.pop_front() {
            self.read(engine, front, slot, false);
        }
    }

    /// Reads and runs until the socket is empty, the client had its share of this turn, or the process is to end.
    pub fn read(&mut self, engine: &mut Engine, front: &mut Front, slot: usize, hangup: bool) {
        if let Some(connection) = front.clients.connections.get_mut(slot) {
            connection.begin_turn(hangup);
        }
        let is_upstream = front.replication.is_upstream(slot);
        let now_ms = engine.mono_us() / 1000;
        while front.ending.is_none() {
            if is_upstream && front.replication.holds_upstream() {
                // What follows the snapshot waits in the socket.
                return;
            }
            let Some(connection) = front.clients.connections.get_mut(slot) else {
                return;
            };
            let received = match connection.closing().reads() {
                true => connection.receive(now_ms),
                false => Ok(Received::End),
            };
            let (count, drained) = match received {
                Ok(Received::End) => {
                    // This has a write tried, too, which finds out whether the client is still there.
                    front.clients.connections.end(slot, Cause::InputEnds);
                    (0, true)
                }
                Err(error) => return cut(front, slot, &error),
                Ok(Received::More(count)) => (count, false),
                Ok(Received::Drained(count)) => (count, true),
            };
            front.figures.counters.bytes_in += count as u64;
            front.figures.counters.reads += 1;
            if front.clients.budget.is_on() {
                front.weigh(slot, &engine.shared.sessions);
                if front.evict_clients(Some(slot)) {
                    return;
                }
            }
            match is_upstream {
                true => self.hear_primary(engine, front, slot),
                false if member::is_target(front, slot) => member::hear_target(engine, front, slot),
                false => request::run_input(engine, front, &mut self.batch, slot),
            }
            let Some(connection) = front.clients.connections.get_mut(slot) else {
                return;
            };
            if connection.input.len() > front.settings.hot.query_max && !is_upstream {
                front.log.warning(format_args!(
                    "Closing client that reached max query buffer length: {}",
                    connection.stream().peer()
                ));
                return front.clients.connections.end(slot, Cause::Cut);
            }
            if drained {
                if is_upstream && !connection.closing().reads() && connection.input.is_empty() {
                    // Who asks in this very turn hears that the link is down.
                    return self.close(engine, front, slot);
                }
                if !connection.closing().reads() {
                    end_wait(engine, front, slot);
                }
                return;
            } else if connection.turn_is_over() {
                front.clients.connections.mark_ready(slot);
                return;
            }
        }
    }

    /// What the primary sent: what comes before its stream, then commands.
    #[cold]
    #[inline(never)]
    fn hear_primary(&mut self, engine: &mut Engine, front: &mut Front, slot: usize) {
        let connections = &mut front.clients.connections;
        let waits = |c: &Connection| c.stream().is_encrypted() && !c.output.is_empty();
        if connections.get(slot).is_some_and(waits) {
            // For a handshake, which may be over now.
            connections.mark_touched(slot);
        }
        sync::read(engine, front, slot);
        if front.replication.streams_in(slot) {
            request::run_stream(engine, front, &mut self.batch, slot);
        }
    }

    // ---- accepting ----

    /// It is time to ask listeners again that had no descriptor left.
    pub fn try_again(&mut self) {
        self.accept_again.append(&mut self.accept_later);
    }

    /// Somebody at the doorway can go on.
    pub fn note_doorway(&mut self) {
        if self.accept_again.last() != Some(&DOORWAY) {
            self.accept_again.push(DOORWAY);
        }
    }

    /// Looks whose handshake takes too long.
    pub fn tick_doorway(&mut self, front: &mut Front, now_ms: u64) {
        let limit_ms = front.settings.config.milliseconds(table::TIMEOUT);
        front.clients.doorway.tick(now_ms, limit_ms);
        if front.clients.doorway.has_work() {
            self.note_doorway();
        }
    }

    /// Lets in who is at the door.
    pub fn accept(&mut self, engine: &mut Engine, front: &mut Front) {
        if self.accept_again.is_empty() {
            return;
        }
        let Some(mut listeners) = front.clients.listeners.take() else {
            return;
        };
        let places = std::mem::take(&mut self.accept_again);
        let mut streams = Vec::new();
        for place in places.into_iter().filter(|place| *place != DOORWAY) {
            if listeners.is_encrypted(place) && front.clients.doorway.is_full() {
                self.accept_later.push(place);
                continue;
            }
            match listeners.accept(place, &mut |stream| streams.push(stream)) {
                Accepting::Drained => {}
                Accepting::More => self.accept_again.push(place),
                Accepting::Exhausted(error) => {
                    front
                        .log
                        .warning(format_args!("Accepting client connection: {error}"));
                    self.accept_later.push(place);
                }
            }
        }
        front.clients.listeners = Some(listeners);
        for stream in streams {
            match stream.is_encrypted() {
                true => show_in(front, stream),
                false => self.welcome(engine, front, stream),
            }
        }
        if front.clients.doorway.has_work() {
            self.shake_hands(engine, front);
        }
    }

    /// Goes on with handshakes.
    #[inline(never)]
    fn shake_hands(&mut self, engine: &mut Engine, front: &mut Front) {
        let clients = &mut front.clients;
        let departures = clients.doorway.turn(&clients.registry);
        tell_sent_away(front, &departures);
        for stream in departures.let_in {
            self.welcome(engine, front, stream);
        }
        if front.clients.doorway.has_work() {
            self.note_doorway();
        }
    }

    fn welcome(&mut self, engine: &mut Engine, front: &mut Front, stream: Stream) {
        debug_assert!(front.ending.is_none(), "let in after the end");
        front.figures.counters.connections += 1;
        let limit = front.settings.config.get(table::MAXCLIENTS).max(1) as usize;
        if front.clients.connections.len() >= limit {
            front.figures.counters.rejected += 1;
            return turn_away(stream, b"-ERR max number of clients reached\r\n");
        }
        if front.settings.config.get(table::PROTECTED_MODE)
            && engine.shared.users.default_user().needs_no_password
            && !stream.peer().is_local()
        {
            front.figures.counters.rejected += 1;
            return turn_away(stream, PROTECTED);
        }
        let _ = stream.set_nodelay(true);
        let keepalive = front.settings.config.get(table::TCP_KEEPALIVE);
        if keepalive > 0 {
            let _ = stream.set_keepalive(keepalive as u64);
        }
        let now = front.now();
        let is_encrypted = stream.is_encrypted();
        let Clients {
            connections,
            registry,
            ..
        } = &mut front.clients;
        match connections.add(registry, stream, now.mono_us / 1000) {
            Ok(slot) => {
                let session = engine.open_session(now);
                front.clients.bind(slot, session);
                if is_encrypted {
                    // What it sent behind its handshake is with the stream already, and nobody tells of it.
                    front.clients.connections.mark_ready(slot);
                } else if front.clients.pool.is_active {
                    self.lend(engine, front, slot);
                }
            }
            Err(error) => front
                .log
                .warning(format_args!("Error registering a client's socket: {error}")),
        }
    }

    // ---- writing ----

    /// Sends what waits, once per connection, and closes those that are done.
    pub fn flush_outputs(&mut self, engine: &mut Engine, front: &mut Front) {
        debug_assert!(
            front.clients.running_slot().is_none(),
            "replies leave when all have run"
        );
        debug_assert!(front.clients.inbox.is_empty(), "a message that nobody gets");
        let mut visits = std::mem::take(&mut self.visits);
        front.clients.connections.take_touched(&mut visits);
        for &slot in &visits {
            if self.aside == Some(slot) {
                front.clients.connections.mark_touched(slot);
            } else if self.flush(engine, front, slot) {
                self.close(engine, front, slot);
            } else if front.clients.budget.is_on() {
                front.weigh(slot, &engine.shared.sessions);
            }
        }
        self.visits = visits;
        if !front.clients.pool.is_empty() {
            front.clients.pool.dispatch();
        }
    }

    /// Closes clients that take too much memory, once what was replied has been sent: who is cut off for the limit of
    /// its own output counts no more then.
    pub fn keep_client_budget(&mut self, engine: &mut Engine, front: &mut Front) {
        front.refresh_budget(&engine.shared.sessions);
        if front.clients.budget.is_exceeded() {
            front.evict_clients(None);
            self.flush_outputs(engine, front);
        }
    }

    /// Answers whether the connection ends now.
    fn flush(&mut self, engine: &Engine, front: &mut Front, slot: usize) -> bool {
        let now_ms = engine.mono_us() / 1000;
        let Some(connection) = front.clients.connections.get(slot) else {
            return false;
        };
        debug_assert!(
            front.clients.session_on(slot).is_some(),
            "a connection without a session"
        );
        if !connection.closing().sends() {
            return true;
        }
        if connection.feeds {
            return sync::flush(front, slot, now_ms);
        }
        if connection.output.limited_bytes() > 0 {
            let subscribed = self
                .session(engine, front, slot)
                .is_some_and(Session::listens);
            if front.cut_if_beyond_limit(slot, subscribed, now_ms) {
                return true;
            }
        }
        let Front {
            clients, figures, ..
        } = front;
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
        if written > 0 {
            connection.sent_ms = now_ms;
        }
        if flush == Flush::Done {
            connection.limit_watch.reset();
        }
        let (closing, ready) = (connection.closing(), connection.is_ready());
        closing != Closing::Open
            && closing.is_over(
                flush == Flush::Done,
                !ready && !self.is_blocked(engine, front, slot),
            )
    }

    fn session<'e>(&self, engine: &'e Engine, front: &Front, slot: usize) -> Option<&'e Session> {
        let session = front.clients.session_on(slot)?;
        engine.shared.sessions.get(session)
    }

    fn is_blocked(&self, engine: &Engine, front: &Front, slot: usize) -> bool {
        self.session(engine, front, slot).is_some_and(|s| s.blocked)
    }

    fn close(&mut self, engine: &mut Engine, front: &mut Front, slot: usize) {
        debug_assert!(
            front.clients.running_slot() != Some(slot),
            "its commands run"
        );
        if front.replication.is_any() {
            sync::closed(engine, front, slot);
        }
        let session = front.clients.unbind(slot);
        if front.cluster.is_some() {
            member::closed(engine, front, slot, session);
        }
        if let Some(session) = session {
            engine.close_session(session);
        }
        front.clients.remove(slot);
    }
}

/// The place of the doorway among those of listeners: an event of its tokens leads there.
const DOORWAY: usize = FIRST_CONNECTION - 1 - FIRST_LISTENER;

/// Somebody has connected and is to shake hands. Where there are too many already, nothing can be said that would be understood.
fn show_in(front: &mut Front, mut stream: Stream) {
    let limit = front.settings.config.get(table::MAXCLIENTS).max(1) as usize;
    let clients = &mut front.clients;
    if clients.connections.len() + clients.doorway.len() >= limit || clients.doorway.is_full() {
        front.figures.counters.rejected += 1;
        return stream.shutdown();
    }
    let now_ms = front.host.clock().monotonic_us() / 1000;
    let mut added = Ok(());
    if !clients.doorway.has_porter() {
        let worker = front.host.worker("cairn-shake");
        let porter = clients.waker().map(|waker| Porter::new(worker, waker));
        added = porter.map(|porter| clients.doorway.employ(porter));
    }
    let added = added.and_then(|()| clients.doorway.add(&clients.registry, stream, now_ms));
    if let Err(error) = added {
        front
            .log
            .warning(format_args!("Error registering a client's socket: {error}"));
    }
}

fn tell_sent_away(front: &Front, departures: &Departures) {
    for (theirs, ours, error) in &departures.sent_away {
        front.log.warning(format_args!(
            "Error accepting a client connection: {} (addr={theirs} laddr={ours})",
            error_text(error)
        ));
    }
}

/// A client whose input is over and who waits for something gets the replies that are there, and goes.
fn end_wait(engine: &mut Engine, front: &mut Front, slot: usize) {
    let session = front.clients.session_on(slot);
    if session.is_some_and(|session| engine.stop_waiting(session)) {
        front.clients.connections.end(slot, Cause::LastReply);
    }
}

/// The connection has failed. Of a primary's, the reason is worth a line.
#[cold]
#[inline(never)]
fn cut(front: &mut Front, slot: usize, error: &io::Error) {
    if front.replication.is_upstream(slot) {
        front.log.warning(format_args!(
            "Error condition on socket for SYNC: {}",
            error_text(error)
        ));
    }
    front.clients.connections.end(slot, Cause::Cut);
}

/// What a client from elsewhere reads while protected mode is on and no password is set.
const PROTECTED: &[u8] = b"-DENIED Cairn is running in protected mode because protected mode is enabled and no password is set for the default user. In this mode connections are only accepted from the loopback interface. To accept others, set a password with requirepass, or turn protected mode off with 'CONFIG SET protected-mode no' from a local connection or '--protected-mode no' at start; do the latter only where nobody else can reach the port.\r\n";

/// Says why and hangs up. A full socket of a new connection is not worth waiting for.
fn turn_away(mut stream: Stream, reason: &[u8]) {
    let _ = io::Write::write(&mut stream, reason);
    stream.shutdown();
}
