//! The clients: connections, and which session is on which.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use cairn_engine::base::id::SessionId;
use cairn_engine::session::Session;
use cairn_engine::tracking::options::Options;
use cairn_format::resp::request::RequestParser;
use mio::{Registry, Token, Waker};

use crate::net::{Budget, Cause, Connection, Connections, Doorway, IO_NEWS, Listeners};
use crate::threads::Pool;

/// What the front keeps of a client beside its connection.
#[derive(Debug)]
pub struct Client {
    /// Its session in the engine.
    pub session: SessionId,
    /// Where in a request the bytes so far end.
    pub parser: RequestParser,
}

/// What the buffers of all clients take, in bytes.
#[derive(Debug, Default)]
pub struct Buffers {
    /// All of it, with what the server keeps of each client.
    pub bytes: usize,
    /// The largest input buffer.
    pub largest_input: usize,
    /// The largest output.
    pub largest_output: usize,
}

/// Bytes of a watched key beside its name, in the session and at the key.
const WATCHED: usize = 80;
/// Bytes of a subscription beside its name, in the session and at the channel.
const SUBSCRIBED: usize = 80;

/// Bytes of memory that a client costs: `tot-mem` of CLIENT LIST.
pub fn weight(session: &Session, connection: &Connection) -> usize {
    let fixed = size_of::<Session>() + size_of::<Connection>() + size_of::<Client>();
    let names = session.name.len() + session.lib_name.len() + session.lib_ver.len();
    let buffers = connection.buffers();
    let queued = session.multi.iter().flat_map(|multi| &multi.queue);
    let queued: usize = queued.map(|queued| queued.mem_bytes()).sum();
    let watched: usize = session
        .watched
        .iter()
        .map(|(_, key)| key.len() + WATCHED)
        .sum();
    let subscriptions = session.subscriptions.as_deref();
    let subscribed: usize = subscriptions.map_or(0, |s| {
        let names = s
            .channels
            .iter()
            .chain(&s.patterns)
            .chain(&s.shard_channels);
        names.map(|name| name.len() + SUBSCRIBED).sum()
    });
    let waiting = session
        .waiting
        .as_deref()
        .map_or(0, |w| w.command.mem_bytes());
    let tracking = session.tracking.as_deref().map_or(0, Options::mem_bytes);
    fixed + names + buffers + queued + watched + subscribed + waiting + tracking
}

/// No session has this number: there are fewer connections.
pub const NOBODY: SessionId = SessionId(u32::MAX);

/// All clients and what they connect to.
pub struct Clients {
    /// Their sockets.
    pub connections: Connections,
    /// By slot of the connection.
    by_slot: Vec<Option<Client>>,
    /// Slot of the connection by number of the session.
    connection_of: Vec<usize>,
    /// What is listened on.
    pub listeners: Option<Listeners>,
    /// Who still shakes hands.
    pub doorway: Doorway,
    /// To watch sockets with.
    pub registry: Registry,
    /// The session whose commands run right now.
    pub running: SessionId,
    /// Bytes of its input that have come, and room for more, while the input is with the loop.
    pub running_input: (usize, usize),
    /// Messages to the running session.
    pub inbox: Vec<u8>,
    /// What all clients together may take.
    pub budget: Budget,
    /// Threads that own connections.
    pub pool: Pool,
    waker: Option<Arc<Waker>>,
}

impl Clients {
    /// Nobody yet, and nothing listened on.
    pub fn new(connections: Connections, registry: Registry) -> Clients {
        Clients {
            connections,
            by_slot: Vec::new(),
            connection_of: Vec::new(),
            listeners: None,
            doorway: Doorway::default(),
            registry,
            running: NOBODY,
            running_input: (0, 0),
            inbox: Vec::new(),
            budget: Budget::default(),
            pool: Pool::default(),
            waker: None,
        }
    }

    /// What other threads ring this one with. A poll has one only.
    ///
    /// # Errors
    /// The system's: no descriptor is left.
    pub fn waker(&mut self) -> io::Result<Arc<Waker>> {
        let waker = match self.waker.take() {
            Some(waker) => waker,
            None => Arc::new(Waker::new(&self.registry, Token(IO_NEWS))?),
        };
        self.waker = Some(Arc::clone(&waker));
        Ok(waker)
    }

    /// Joins a connection with its session.
    pub fn bind(&mut self, slot: usize, session: SessionId) {
        assert_ne!(session, NOBODY, "a number that stands for nobody");
        debug_assert!(
            self.session_on(slot).is_none() && self.connections.get(slot).is_some(),
            "one client on a connection"
        );
        if self.by_slot.len() <= slot {
            self.by_slot.resize_with(slot + 1, || None);
        }
        self.by_slot[slot] = Some(Client {
            session,
            parser: Default::default(),
        });
        let at = session.0 as usize;
        if self.connection_of.len() <= at {
            self.connection_of.resize(at + 1, usize::MAX);
        }
        self.connection_of[at] = slot;
        debug_assert_eq!(self.connection_slot(session), Some(slot));
    }

    /// The client on a connection.
    pub fn client(&mut self, slot: usize) -> Option<&mut Client> {
        self.by_slot.get_mut(slot)?.as_mut()
    }

    /// The session on a connection.
    pub fn session_on(&self, slot: usize) -> Option<SessionId> {
        Some(self.by_slot.get(slot)?.as_ref()?.session)
    }

    /// The connection of a session.
    pub fn connection_slot(&self, session: SessionId) -> Option<usize> {
        let slot = *self.connection_of.get(session.0 as usize)?;
        let client = self.by_slot.get(slot)?.as_ref()?;
        (client.session == session).then_some(slot)
    }

    /// The connection whose commands run right now.
    pub fn running_slot(&self) -> Option<usize> {
        self.connection_slot(self.running)
    }

    /// The connection of a session.
    pub fn connection_of(&self, session: SessionId) -> Option<&Connection> {
        self.connections.get(self.connection_slot(session)?)
    }

    /// The client on a connection is gone; answers its session.
    pub fn unbind(&mut self, slot: usize) -> Option<SessionId> {
        let client = self.by_slot.get_mut(slot).and_then(Option::take)?;
        debug_assert_ne!(client.session, self.running, "its commands run");
        Some(client.session)
    }

    /// Closes what a connection is, when its client is unbound.
    pub fn remove(&mut self, slot: usize) {
        debug_assert!(
            self.session_on(slot).is_none(),
            "a session without a way out"
        );
        self.connections.remove(&self.registry, slot);
        self.budget.forget(slot);
    }

    /// What must hold between turns.
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self) -> Result<(), String> {
        self.connections.check()?;
        self.doorway.check()?;
        self.budget.check()?;
        if self.running != NOBODY || !self.inbox.is_empty() {
            return Err(format!("{:?} still runs", self.running));
        }
        for (slot, _) in self.connections.iter() {
            let session = self.session_on(slot);
            if session.and_then(|session| self.connection_slot(session)) != Some(slot) {
                return Err(format!("slot {slot} has {session:?}, which is elsewhere"));
            }
        }
        let bound = self.by_slot.iter().flatten().count();
        match bound == self.connections.len() {
            true => Ok(()),
            false => Err(format!(
                "{bound} clients on {} connections",
                self.connections.len()
            )),
        }
    }

    /// Stops listening.
    pub fn close_listeners(&mut self) {
        if let Some(mut listeners) = self.listeners.take() {
            listeners.close(&self.registry);
        }
    }

    /// Memory of all buffers: the running one counts with what is left in its connection.
    pub fn weigh_all(&self) -> Buffers {
        let fixed = size_of::<Session>() + size_of::<Connection>() + size_of::<Client>();
        let mut all = Buffers {
            bytes: self.doorway.memory(),
            ..Buffers::default()
        };
        for (_, connection) in self.connections.iter() {
            let input = connection.input.capacity();
            let output = connection.output.memory();
            all.bytes += fixed + connection.buffers();
            all.largest_input = all.largest_input.max(input);
            all.largest_output = all.largest_output.max(output);
        }
        all
    }

    /// Appends bytes to the output of a session.
    pub fn deliver(&mut self, to: SessionId, bytes: &[u8]) {
        debug_assert_ne!(to, NOBODY, "a letter to nobody");
        if to == self.running {
            // Its output is with the batch right now; the message goes behind the reply of the running command.
            self.inbox.extend_from_slice(bytes);
            return;
        }
        if let Some(slot) = self.connection_slot(to) {
            self.send(slot, bytes);
        }
    }

    /// As [`Clients::deliver`], without copying unless the session runs.
    pub fn deliver_shared(&mut self, to: SessionId, bytes: &Bytes) {
        if to == self.running {
            return self.deliver(to, bytes);
        }
        if let Some(slot) = self.connection_slot(to)
            && let Some(connection) = self.connections.get_mut(slot)
            && connection.closing().runs()
        {
            connection.output.push_shared(bytes.clone());
            self.connections.mark_touched(slot);
        }
    }

    /// Appends bytes to the output of a connection whose commands do not run right now.
    pub fn send(&mut self, slot: usize, bytes: &[u8]) {
        if let Some(connection) = self.connections.get_mut(slot)
            && connection.closing().runs()
        {
            connection.output.tail().extend_from_slice(bytes);
            self.connections.mark_touched(slot);
        }
    }

    /// Ends the connection of a session. The other end sees it at once, however long the running command goes on.
    pub fn close(&mut self, session: SessionId) {
        if let Some(slot) = self.connection_slot(session) {
            self.connections.end(slot, Cause::Cut);
            if let Some(connection) = self.connections.get_mut(slot) {
                connection.hang_up();
            }
        }
    }

    /// A session waits no longer: its connection is visited.
    pub fn resume(&mut self, session: SessionId) {
        debug_assert_ne!(session, NOBODY, "nobody waits");
        if let Some(slot) = self.connection_slot(session) {
            self.connections.mark_ready(slot);
            self.connections.mark_touched(slot);
        }
    }
}
