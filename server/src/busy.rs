//! While a script runs for long: clients are still let in, read and answered, though most of what they ask for is refused.
//!
//! ```text
//!   script --tick--> Instance::let_in --> Lobby::serve: poll, accept, read and run (the gate says BUSY), log, write
//! ```
//! The script holds the data in the middle of a unit. What is lent to [`Serving`] here is the same data with the unit set aside
//! ([`Engine::lend`]); the client whose script runs is left alone, and so is everything that is not a client: signs of
//! children and the primary are kept for the next turn. Replicas are served: a script may wait for one, or for its end.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use cairn_engine::Engine;
use cairn_engine::call::Shared;
use cairn_engine::keyspace::Keyspace;
use mio::Token;

use crate::clients::NOBODY;
use crate::front::{Ending, Front, Lobby};
use crate::host::{Poller, Readiness};
use crate::keeper::LogState;
use crate::net::{FIRST_LISTENER, FIRST_VISITOR};
use crate::serve::Serving;

/// The poller of the loop, which is asked in between, too.
pub type SharedPoller = Rc<RefCell<Box<dyn Poller>>>;

/// Serves clients in between.
pub struct InBetween {
    poller: SharedPoller,
    serving: Serving,
    ready: Vec<Readiness>,
    visits: Vec<usize>,
}

impl InBetween {
    /// Asks this poller.
    pub fn new(poller: SharedPoller) -> InBetween {
        InBetween {
            poller,
            serving: Serving::default(),
            ready: Vec::new(),
            visits: Vec::new(),
        }
    }

    fn turn(&mut self, engine: &mut Engine, front: &mut Front) {
        let polled = self
            .poller
            .borrow_mut()
            .poll(&mut self.ready, Some(Duration::ZERO));
        if polled.is_err() {
            return;
        }
        for _ in 0..front.to_visit.len() {
            match front.to_visit.pop_front() {
                Some(slot) if self.is_no_client(front, slot) => front.to_visit.push_back(slot),
                Some(slot) => self.serving.read(engine, front, slot, false),
                None => break,
            }
        }
        if !front.clients.pool.is_empty() {
            front.clients.pool.set_between(true);
            self.serving.hear_interrupted(engine, front);
            self.serving.hear_threads(engine, front);
        }
        front.found.extend(self.ready.drain(..));
        let mut kept = VecDeque::new();
        while let Some(event) = front.found.pop_front() {
            kept.extend(self.serve_event(engine, front, event));
        }
        front.found = kept;
        if front.ending.is_none() {
            self.serving.accept(engine, front);
        }
        // Who has just been let in may have said something behind its handshake.
        front.clients.connections.take_ready(&mut self.visits);
        for slot in std::mem::take(&mut self.visits) {
            match self.is_no_client(front, slot) {
                true => front.clients.connections.mark_ready(slot),
                false => self.serving.read(engine, front, slot, false),
            }
        }
        match front.saving().flush_log() {
            LogState::Fine => self.serving.flush_outputs(engine, front),
            // What was refused is told in the next turn.
            LogState::Failed => {}
            LogState::Fatal => front.ending = Some(Ending::Lost(1)),
        }
    }

    /// Serves a client or listener; gives back what is of somebody else.
    fn serve_event(
        &mut self,
        engine: &mut Engine,
        front: &mut Front,
        event: Readiness,
    ) -> Option<Readiness> {
        let slot = front.clients.connections.slot_of(Token(event.token));
        match slot {
            Some(slot) if self.is_no_client(front, slot) => return Some(event),
            Some(slot) => self.serving.serve(engine, front, slot, event),
            None if (FIRST_LISTENER..FIRST_VISITOR).contains(&event.token) => {
                self.serving.accept_again.push(event.token - FIRST_LISTENER);
            }
            None if front.clients.doorway.take(event) => self.serving.note_doorway(),
            None => return Some(event),
        }
        None
    }

    fn is_no_client(&self, front: &Front, slot: usize) -> bool {
        self.serving.aside == Some(slot) || front.replication.is_upstream(slot)
    }
}

impl Lobby for InBetween {
    fn serve(&mut self, front: &mut Front, ks: &mut Keyspace, shared: &mut Shared) {
        let running = std::mem::replace(&mut front.clients.running, NOBODY);
        let input = front.clients.running_input;
        let inbox = std::mem::take(&mut front.clients.inbox);
        self.serving.aside = front.clients.connection_slot(running);
        let now = front.now();
        Engine::lend(ks, shared, now, |engine| self.turn(engine, front));
        front.clients.pool.set_between(false);
        front.clients.running = running;
        front.clients.running_input = input;
        front.clients.inbox = inbox;
        // Nobody tells a second time that somebody is at the door.
        self.serving.try_again();
        for place in self.serving.accept_again.drain(..) {
            front.found.push_back(Readiness {
                token: FIRST_LISTENER + place,
                readable: true,
                writable: false,
                hangup: false,
            });
        }
    }
}
