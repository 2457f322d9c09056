//! The poll of the system.

use std::io;
use std::time::Duration;

use mio::{Events, Interest, Poll, Registry, Token};

use super::signals::Signals;
use crate::host::{Poller, Readiness};

/// Events taken from the system at once.
const EVENTS: usize = 1024;
/// Token of the signals; no socket is registered with it.
const SIGNALS: Token = Token(0);

/// Watches sockets and signals.
pub struct SystemPoller {
    poll: Poll,
    events: Events,
    signals: Signals,
}

impl SystemPoller {
    /// Watches `signals` from the start.
    ///
    /// # Errors
    /// The system's: no descriptor is left.
    pub fn new(mut signals: Signals) -> io::Result<SystemPoller> {
        let poll = Poll::new()?;
        poll.registry()
            .register(&mut signals, SIGNALS, Interest::READABLE)?;
        Ok(SystemPoller {
            poll,
            events: Events::with_capacity(EVENTS),
            signals,
        })
    }
}

impl Poller for SystemPoller {
    fn poll(&mut self, ready: &mut Vec<Readiness>, wait: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, wait) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in &self.events {
            if event.token() == SIGNALS {
                self.signals.drain();
                continue;
            }
            ready.push(Readiness {
                token: event.token().0,
                readable: event.is_readable(),
                writable: event.is_writable(),
                hangup: event.is_read_closed() || event.is_error(),
            });
        }
        Ok(())
    }

    fn registry(&self) -> &Registry {
        self.poll.registry()
    }
}
