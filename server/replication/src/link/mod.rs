//! This server's connection to its primary, step by step.
//!
//! ```text
//!   Idle --due--> Greeting --PSYNC--> Size --$--> Receiving --all--> Loading --loaded--> Streaming
//!    ^                       \--+CONTINUE-------------------------------------------------^
//!    \------- failed, with a delay that grows where the same thing was tried in vain -------/
//! ```
//! | file | what |
//! |---|---|
//! | `greeting` | the handshake: what is said, and how the answers are read |
//! | `transfer` | a snapshot as it comes |
//! | `retry` | when it is tried again, and what the log says of it |
//!
//! Bytes go in as they come from the socket; each call of [`Link::input`] understands the next part and says what is to be
//! done. Once it streams, the bytes are commands and are not looked at here any more.

mod greeting;
mod retry;
mod transfer;

pub use greeting::{About, Resume};
pub use retry::{Failure, Patience};

use greeting::Handshake;
use retry::Retry;
use transfer::Transfer;

use crate::history::ReplId;

/// Where the connection is.
#[derive(Debug)]
enum State {
    /// There is none.
    Idle,
    /// It is made, and answers to what was said are awaited.
    Greeting(Handshake),
    /// A snapshot will come: its size is awaited.
    Size,
    /// It comes.
    Receiving(Transfer),
    /// It is there, and is being loaded.
    Loading,
    /// Commands come.
    Streaming,
}

/// A stream that has lasted for so long behind its snapshot goes well, milliseconds.
const SETTLED_MS: u64 = 10_000;

/// What the next bytes mean.
#[derive(Debug, PartialEq, Eq)]
pub enum Order {
    /// More of them are needed.
    Wait,
    /// This is to be sent.
    Send(Vec<u8>),
    /// A snapshot comes, of so many bytes if that is known: somewhere to write it is needed.
    Open(Option<u64>),
    /// It is all there: load it, and say [`Link::loaded`].
    Load,
    /// The stream goes on where it was, perhaps under a new name. What follows are commands.
    Continue(Option<ReplId>),
    /// Who was asked to take over this server's role does not.
    Reject,
    /// It cannot go on: hang up, and say [`Link::failed`].
    Fail(Failure),
}

/// The machine of one primary.
#[derive(Debug)]
pub struct Link {
    host: String,
    port: u16,
    state: State,
    retry: Retry,
    /// When something was heard, monotonic milliseconds.
    heard_at_ms: u64,
    /// Since when it does not stream.
    down_since_ms: Option<u64>,
    /// When something was last heard of the stream that ended then.
    streamed_until_ms: Option<u64>,
    /// Since when it streams, if it does.
    up_since_ms: u64,
    /// Name and offset that a full synchronisation gave.
    given: Option<(ReplId, u64)>,
    /// The stream that ended soon after its snapshot the last time.
    ended_early: Option<ReplId>,
    /// Lines for the log.
    lines: Vec<String>,
    /// Bytes of the last snapshot: all, come.
    progress: (Option<u64>, u64),
}

impl Link {
    /// To this primary, at once.
    pub fn new(host: &str, port: u16, now_ms: u64) -> Link {
        Link {
            host: host.to_owned(),
            port,
            state: State::Idle,
            retry: Retry::at(now_ms),
            heard_at_ms: now_ms,
            down_since_ms: None,
            streamed_until_ms: None,
            up_since_ms: now_ms,
            given: None,
            ended_early: None,
            lines: Vec::new(),
            progress: (None, 0),
        }
    }

    /// The primary's name or address, as it was given.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The word of ROLE for its state.
    pub fn state_word(&self) -> &'static str {
        match &self.state {
            State::Idle => "connect",
            State::Greeting(handshake) if handshake.is_first() => "connecting",
            State::Greeting(_) => "handshake",
            State::Size | State::Receiving(_) | State::Loading => "sync",
            State::Streaming => "connected",
        }
    }

    /// Whether commands come.
    pub fn is_up(&self) -> bool {
        matches!(self.state, State::Streaming)
    }

    /// Whether a snapshot comes or is being loaded.
    pub fn is_syncing(&self) -> bool {
        matches!(
            self.state,
            State::Size | State::Receiving(_) | State::Loading
        )
    }

    /// Whether a snapshot comes.
    pub fn is_receiving(&self) -> bool {
        matches!(self.state, State::Size | State::Receiving(_))
    }

    /// Whether a snapshot is being loaded.
    pub fn is_loading(&self) -> bool {
        matches!(self.state, State::Loading)
    }

    /// Bytes of the snapshot that comes: all, if it is known, and those that have come.
    pub fn progress(&self) -> (Option<u64>, u64) {
        self.progress
    }

    /// When something was last heard of the primary, monotonic milliseconds.
    pub fn heard_at_ms(&self) -> u64 {
        self.heard_at_ms
    }

    /// Since when commands do not come any more; none if they never did.
    pub fn down_since_ms(&self) -> Option<u64> {
        self.down_since_ms
    }

    /// How old the data is, as a moment: when something was last heard of the stream that ended. It may be long before the end was
    /// noticed, as when the loop stood still. None if there was none yet.
    pub fn streamed_until_ms(&self) -> Option<u64> {
        self.streamed_until_ms
    }

    /// What is to be logged, in order.
    pub fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    /// Name and offset that the snapshot of a full synchronisation stands for.
    pub fn given(&self) -> Option<(ReplId, u64)> {
        self.given
    }

    fn say(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    // ---- what happens ----

    /// Whether it is time to connect.
    pub fn is_due(&self, now_ms: u64) -> bool {
        matches!(self.state, State::Idle) && now_ms >= self.retry.at_ms()
    }

    /// A connection is made: what is to be sent first.
    pub fn connected(&mut self, now_ms: u64) -> Vec<u8> {
        debug_assert!(matches!(self.state, State::Idle), "one connection");
        self.heard_at_ms = now_ms;
        self.given = None;
        let (handshake, first) = Handshake::begin();
        self.state = State::Greeting(handshake);
        first
    }

    /// Understands the next of `bytes`; how many were, and what is to be done. A snapshot's bytes go into `file`. `about`: what
    /// this server says of itself.
    ///
    /// # Errors
    /// `file` reports.
    pub fn input(
        &mut self,
        bytes: &[u8],
        about: &About,
        now_ms: u64,
        file: &mut dyn std::io::Write,
    ) -> std::io::Result<(usize, Order)> {
        if !bytes.is_empty() {
            self.heard_at_ms = now_ms;
        }
        match &mut self.state {
            State::Idle | State::Loading | State::Streaming => Ok((0, Order::Wait)),
            State::Greeting(_) | State::Size => Ok(self.line(bytes, about)),
            State::Receiving(transfer) => {
                let (taken, complete) = transfer.take(bytes, file)?;
                self.progress.1 = transfer.got();
                if complete {
                    self.state = State::Loading;
                    return Ok((taken, Order::Load));
                }
                Ok((taken, Order::Wait))
            }
        }
    }

    /// The snapshot is the data of this server now: what follows are commands.
    pub fn loaded(&mut self, now_ms: u64) {
        debug_assert!(matches!(self.state, State::Loading));
        self.heard_at_ms = now_ms;
        self.goes_well();
        self.say("MASTER <-> REPLICA sync: Finished with success");
    }

    /// Commands came.
    pub fn heard(&mut self, now_ms: u64) {
        self.heard_at_ms = now_ms;
    }

    fn goes_well(&mut self) {
        self.state = State::Streaming;
        self.down_since_ms = None;
        self.up_since_ms = self.heard_at_ms;
        if self.given.is_none() {
            self.retry.goes_well();
        }
    }

    /// The stream ends. Behind a snapshot it was to last for a while: a primary that cuts it off each time, as it does not fit its
    /// limits, would be asked for snapshots without an end. Answers whether this stream has ended so before.
    fn ends(&mut self, now_ms: u64) -> bool {
        let is_early = now_ms.saturating_sub(self.up_since_ms) < SETTLED_MS;
        let early = self.given.map(|(id, _)| id).filter(|_| is_early);
        let before = std::mem::replace(&mut self.ended_early, early);
        if early.is_none() {
            self.retry.goes_well();
        }
        early.is_some() && early == before
    }

    /// The connection has ended by itself: why that is a failure. None while a snapshot is loaded, which needs none.
    pub fn lost(&self) -> Option<Failure> {
        Some(match self.state {
            State::Loading => return None,
            State::Streaming => Failure::at_once("Connection with master lost."),
            State::Size | State::Receiving(_) => {
                Failure::later("I/O error trying to sync with MASTER: connection lost")
            }
            State::Idle | State::Greeting(_) => {
                Failure::soon("Error condition on socket for SYNC: Connection refused or lost")
            }
        })
    }

    /// The connection is gone or is no good; it will be tried again. `jitter`: any number, so that many replicas of one primary
    /// do not come back together.
    pub fn failed(&mut self, mut failure: Failure, now_ms: u64, jitter: u64) {
        if self.is_up() {
            self.down_since_ms = Some(now_ms);
            self.streamed_until_ms = Some(self.heard_at_ms);
            if self.ends(now_ms) {
                failure.patience = Patience::Later;
            }
        }
        let place = format!("MASTER {}:{}, {}", self.host, self.port, self.step());
        self.state = State::Idle;
        self.progress = (None, 0);
        let lines = self.retry.failed(failure, &place, now_ms, jitter);
        self.lines.extend(lines);
    }

    /// What it is at, for the log.
    fn step(&self) -> String {
        match (&self.state, self.progress) {
            (State::Idle, _) => "connecting".to_owned(),
            (State::Greeting(handshake), _) => handshake.step(),
            (State::Size, _) => "waiting for its snapshot".to_owned(),
            (State::Receiving(_), (Some(all), come)) => {
                format!("{come} of {all} bytes of its snapshot received")
            }
            (State::Receiving(_), (None, come)) => {
                format!("{come} bytes of its snapshot received")
            }
            (State::Loading, _) => "loading its snapshot".to_owned(),
            (State::Streaming, _) => "following its stream".to_owned(),
        }
    }

    /// Looks at the time. The failure if nothing was heard for too long.
    pub fn tick(&mut self, now_ms: u64, timeout_ms: u64) -> Option<Failure> {
        if now_ms.saturating_sub(self.heard_at_ms) <= timeout_ms {
            return None;
        }
        let line = match self.state {
            State::Idle | State::Loading => return None,
            State::Greeting(_) => "Timeout connecting to the MASTER...",
            State::Size | State::Receiving(_) => {
                "Timeout receiving bulk data from MASTER... If the problem persists try to set the 'repl-timeout' parameter in redis.conf to a larger value."
            }
            State::Streaming => "MASTER timeout: no data nor PING received...",
        };
        Some(Failure::soon(line))
    }
}

#[cfg(test)]
mod tests;
