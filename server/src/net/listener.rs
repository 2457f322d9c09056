//! What the server listens on.

use std::io;
use std::net::SocketAddr;

use mio::{Interest, Registry, Token};

use super::{FIRST_BUS, FIRST_METRICS_LISTENER, FIRST_VISITOR};
use crate::host::{Acceptor, Stream};

/// Connections accepted from one listener in one turn; the others wait for the next.
const ACCEPTS_PER_TURN: usize = 1000;
/// The same where hands are shaken, which limits how many of them can be let in anyway.
const ENCRYPTED_PER_TURN: usize = 8;

/// How a round of accepting ended.
#[derive(Debug)]
pub enum Accepting {
    /// Nobody waits any more.
    Drained,
    /// The turn is over and more may wait: come again without an event.
    More,
    /// No descriptor or memory is left for another one: come again when some time has passed.
    Exhausted(io::Error),
}

/// The open listeners; the poll token of each is `first_token` plus its place.
#[derive(Debug)]
pub struct Listeners {
    listeners: Vec<Box<dyn Acceptor>>,
    first_token: usize,
}

impl Listeners {
    /// Those that the host opened.
    pub fn new(listeners: Vec<Box<dyn Acceptor>>, first_token: usize) -> Listeners {
        let next = [FIRST_METRICS_LISTENER, FIRST_VISITOR, FIRST_BUS]
            .into_iter()
            .find(|first| *first > first_token);
        assert!(
            next.is_none_or(|next| first_token + listeners.len() <= next),
            "more listeners than tokens before those of others"
        );
        Listeners {
            listeners,
            first_token,
        }
    }

    /// Puts all listeners under the poll's eyes.
    pub fn register(&mut self, registry: &Registry) -> io::Result<()> {
        for (place, listener) in self.listeners.iter_mut().enumerate() {
            registry.register(
                listener,
                Token(self.first_token + place),
                Interest::READABLE,
            )?;
        }
        Ok(())
    }

    /// Number of listeners.
    pub fn len(&self) -> usize {
        self.listeners.len()
    }

    /// Whether nothing is listened on.
    pub fn is_empty(&self) -> bool {
        self.listeners.is_empty()
    }

    /// The place of the listener that a poll token names.
    pub fn place_of(&self, token: Token) -> Option<usize> {
        token
            .0
            .checked_sub(self.first_token)
            .filter(|place| *place < self.listeners.len())
    }

    /// The addresses and paths listened on, for the log and INFO.
    pub fn names(&self) -> Vec<String> {
        self.listeners.iter().map(|l| l.name()).collect()
    }

    /// The TCP addresses, with the port the system chose where 0 was asked for.
    pub fn tcp_addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|l| l.address()).collect()
    }

    /// Whether those who come to the listener in `place` shake hands first.
    pub fn is_encrypted(&self, place: usize) -> bool {
        self.listeners
            .get(place)
            .is_some_and(|listener| listener.is_encrypted())
    }

    /// Hands everyone who waits at the listener in `place` to `welcome`.
    pub fn accept(&mut self, place: usize, welcome: &mut dyn FnMut(Stream)) -> Accepting {
        let encrypted = self.is_encrypted(place);
        let most = if encrypted {
            ENCRYPTED_PER_TURN
        } else {
            ACCEPTS_PER_TURN
        };
        for _ in 0..most {
            match self.accept_one(place) {
                Ok(stream) => welcome(stream),
                Err(end) => return end,
            }
        }
        Accepting::More
    }

    /// The next who waits at the listener in `place`.
    ///
    /// # Errors
    /// Why there is none.
    pub fn accept_one(&mut self, place: usize) -> Result<Stream, Accepting> {
        // The place may be that of a listener which CONFIG SET bind has taken away meanwhile.
        let Some(listener) = self.listeners.get_mut(place) else {
            return Err(Accepting::Drained);
        };
        loop {
            match listener.accept() {
                Ok(stream) => return Ok(stream),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Err(Accepting::Drained),
                    // Whoever gave up while waiting is no reason to stop.
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    _ => return Err(Accepting::Exhausted(error)),
                },
            }
        }
    }

    /// Stops listening.
    pub fn close(&mut self, registry: &Registry) {
        for mut listener in self.listeners.drain(..) {
            // On the way out: a failure leaves nothing that could still be done.
            let _ = registry.deregister(&mut listener);
            listener.close();
        }
    }
}
