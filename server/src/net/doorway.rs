//! Who has connected and still shakes hands: not clients yet, with little memory each, for a short time, and a few steps a turn.
//!
//! ```text
//!   accepted --> guest --poll--> queue --one step a turn, or as many as its time allows--> let in, or sent away
//! ```
//! A step may cost a signature, which takes longer than many commands. So the queue is served in its order, and those who are served
//! already wait for no more than `TURN_US` and one costly step.
//!
//! Invariants: a guest stands in the queue at most once; places of `free` have no guest.

use std::collections::VecDeque;
use std::io;

use mio::{Interest, Registry, Token};

use super::{FIRST_CONNECTION, FIRST_GUEST};
use crate::host::{Address, Clock, Readiness, Shake, Stream};

/// Guests at the same time; who comes beyond waits in the system's queue.
const GUESTS_MAX: usize = 4096;
const _: () = assert!(GUESTS_MAX <= FIRST_CONNECTION - FIRST_GUEST);
/// After so long no step is begun in this turn, microseconds.
const TURN_US: u64 = 100;
/// A step that took so long had a signature to make or to check: it is the last of its turn, microseconds.
const COSTLY_US: u64 = 40;
/// A handshake must be over after so long, milliseconds.
const SHAKE_MS: u64 = 10_000;

#[derive(Debug)]
struct Guest {
    stream: Stream,
    since_ms: u64,
    is_queued: bool,
    /// It has taken too long.
    is_late: bool,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Doorway {
    guests: Vec<Option<Guest>>,
    free: Vec<usize>,
    queue: VecDeque<usize>,
}

/// What became of guests in a turn.
#[derive(Debug, Default)]
pub struct Departures {
    /// They can be served.
    pub let_in: Vec<Stream>,
    /// They are gone, and why: their name and ours.
    pub sent_away: Vec<(Address, Address, io::Error)>,
}

impl Doorway {
    /// Number of guests.
    pub fn len(&self) -> usize {
        self.guests.len() - self.free.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether nobody more may come.
    pub fn is_full(&self) -> bool {
        self.len() >= GUESTS_MAX
    }

    /// Whether somebody can go on.
    pub fn has_work(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Bytes of memory that all of them take.
    pub fn memory(&self) -> usize {
        let guests = self.guests.iter().flatten();
        guests
            .map(|guest| size_of::<Guest>() + guest.stream.memory())
            .sum()
    }

    /// Takes an event of the poll, if it is of a guest.
    pub fn take(&mut self, event: Readiness) -> bool {
        if !(FIRST_GUEST..FIRST_CONNECTION).contains(&event.token) {
            return false;
        }
        self.line_up(event.token - FIRST_GUEST);
        true
    }

    fn line_up(&mut self, place: usize) {
        if let Some(Some(guest)) = self.guests.get_mut(place)
            && !std::mem::replace(&mut guest.is_queued, true)
        {
            self.queue.push_back(place);
        }
    }

    /// Somebody comes.
    ///
    /// # Errors
    /// The socket cannot be watched.
    ///
    /// # Panics
    /// If it is full.
    pub fn add(&mut self, registry: &Registry, mut stream: Stream, now_ms: u64) -> io::Result<()> {
        assert!(!self.is_full(), "one guest too many");
        let place = self.free.last().copied().unwrap_or(self.guests.len());
        // That it can be written to is told at once, and so the first step is made.
        let interest = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut stream, Token(FIRST_GUEST + place), interest)?;
        let guest = Some(Guest {
            stream,
            since_ms: now_ms,
            is_queued: false,
            is_late: false,
        });
        match self.free.pop() {
            Some(place) => self.guests[place] = guest,
            None => self.guests.push(guest),
        }
        Ok(())
    }

    /// Makes a few steps.
    pub fn turn(&mut self, registry: &Registry, clock: &dyn Clock) -> Departures {
        let mut departures = Departures::default();
        let mut began_us = clock.monotonic_us();
        let end_us = began_us + TURN_US;
        while let Some(place) = self.queue.pop_front() {
            self.step(place, registry, &mut departures);
            let now_us = clock.monotonic_us();
            if now_us >= end_us || now_us >= began_us + COSTLY_US {
                break;
            }
            began_us = now_us;
        }
        debug_assert_eq!(self.check(), Ok(()));
        departures
    }

    fn step(&mut self, place: usize, registry: &Registry, departures: &mut Departures) {
        let Some(Some(guest)) = self.guests.get_mut(place) else {
            return;
        };
        guest.is_queued = false;
        let shake = match guest.is_late {
            true => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the handshake took too long",
            )),
            false => guest.stream.shake(),
        };
        match shake {
            Ok(Shake::Waits) => {}
            Ok(Shake::Goes) => self.line_up(place),
            Ok(Shake::Done) => departures.let_in.extend(self.remove(place, registry)),
            Err(error) => self.send_away(place, registry, error, departures),
        }
    }

    fn remove(&mut self, place: usize, registry: &Registry) -> Option<Stream> {
        let mut guest = self.guests[place].take()?;
        self.free.push(place);
        // A socket that failed may be unknown to the poll already.
        let _ = registry.deregister(&mut guest.stream);
        Some(guest.stream)
    }

    fn send_away(
        &mut self,
        place: usize,
        registry: &Registry,
        error: io::Error,
        departures: &mut Departures,
    ) {
        if let Some(mut stream) = self.remove(place, registry) {
            let names = (stream.peer(), stream.local());
            stream.shutdown();
            departures.sent_away.push((names.0, names.1, error));
        }
    }

    /// Those who take too long are to go when their turn comes: `limit_ms`, if it is less than what is usual (0: it is not). Call it a few
    /// times a second.
    pub fn tick(&mut self, now_ms: u64, limit_ms: u64) {
        let limit_ms = match limit_ms {
            0 => SHAKE_MS,
            limit_ms => limit_ms.min(SHAKE_MS),
        };
        for place in 0..self.guests.len() {
            if let Some(guest) = &mut self.guests[place]
                && now_ms.saturating_sub(guest.since_ms) > limit_ms
            {
                guest.is_late = true;
                self.line_up(place);
            }
        }
        debug_assert_eq!(self.check(), Ok(()));
    }

    /// What must hold between turns.
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self) -> Result<(), String> {
        let empty = self.guests.iter().filter(|guest| guest.is_none()).count();
        let queued = |guest: &&Guest| guest.is_queued;
        let waiting = self.guests.iter().flatten().filter(queued).count();
        match empty == self.free.len() && waiting == self.queue.len() {
            true => Ok(()),
            false => Err(format!(
                "{empty} empty places, {} are free; {waiting} wait, {} in the queue",
                self.free.len(),
                self.queue.len()
            )),
        }
    }
}
