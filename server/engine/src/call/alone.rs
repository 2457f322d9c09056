//! A world for an engine that nobody is connected to, or nobody should hear of meanwhile: a log that is run again.

use std::any::Any;

use super::ctx::Instance;
use crate::base::effect::Feed;
use crate::base::id::SessionId;
use crate::base::time::Now;

/// Time stands still until it is set; what is said to sessions is kept for whoever wants to pass it on.
#[derive(Debug, Default)]
pub struct Alone {
    /// Both clocks.
    pub now: Now,
    /// What sessions were sent, in order.
    pub letters: Vec<(SessionId, Vec<u8>)>,
    /// Sessions that wait no longer.
    pub resumed: Vec<SessionId>,
    /// Lines that need attention.
    pub lines: Vec<String>,
}

impl Alone {
    /// Alone at a moment.
    pub fn at(now: Now) -> Alone {
        Alone {
            now,
            ..Alone::default()
        }
    }
}

impl Instance for Alone {
    fn now(&mut self) -> Now {
        self.now
    }

    fn deliver(&mut self, to: SessionId, bytes: &[u8]) {
        self.letters.push((to, bytes.to_vec()));
    }

    fn close(&mut self, _session: SessionId) {}

    fn resume(&mut self, session: SessionId) {
        self.resumed.push(session);
    }

    fn feed(&mut self, _changes: &Feed, _transaction: bool) -> u64 {
        0
    }

    fn warn(&mut self, line: &str) {
        self.lines.push(line.to_owned());
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
