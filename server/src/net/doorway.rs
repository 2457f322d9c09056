//! Who has connected and still shakes hands: not clients yet, with little memory each, and for a short time.
//!
//! ```text
//!   accepted --> guest --poll--> queue --> a step, made aside ([`super::porter`]) --> let in, sent away, or a guest as before
//! ```
//! A step may cost a signature, which takes longer than many commands. So steps are made by a thread of their own, and who is served
//! already does not wait for them.
//!
//! Invariants: a guest stands in the queue at most once, and not while a step of it is made; what the poll tells of it meanwhile
//! brings it back there; places of `free` have no guest.

use std::collections::VecDeque;
use std::io;

use mio::{Interest, Registry, Token};

use super::porter::{Porter, Step};
use super::{FIRST_CONNECTION, FIRST_GUEST, IO_NEWS};
use crate::host::{Address, Movable, Readiness, Shake, Stream};

/// Guests at the same time; who comes beyond waits in the system's queue.
const GUESTS_MAX: usize = 4096;
const _: () = assert!(GUESTS_MAX <= FIRST_CONNECTION - FIRST_GUEST);
/// Guests who go for a step in one turn, and who come back from one; the others wait for the next.
const GUESTS_PER_TURN: usize = 8;
/// A handshake must be over after so long, milliseconds.
const SHAKE_MS: u64 = 10_000;

#[derive(Debug)]
struct Guest {
    /// None while a step is made aside.
    stream: Option<Stream>,
    /// Bytes of memory that the stream held when it was here last.
    memory: usize,
    since_ms: u64,
    /// It is to make a step: as soon as it is back, if it is not here.
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
    /// Who makes the steps, once there was anybody to make one.
    porter: Option<Porter>,
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
        !self.queue.is_empty() || self.has_news()
    }

    fn has_news(&self) -> bool {
        self.porter.as_ref().is_some_and(Porter::has_news)
    }

    /// Whether there is somebody to make steps.
    pub fn has_porter(&self) -> bool {
        self.porter.is_some()
    }

    /// Has this one make the steps.
    pub fn employ(&mut self, porter: Porter) {
        debug_assert!(self.is_empty(), "another one has guests");
        self.porter = Some(porter);
    }

    /// Bytes of memory that all of them take.
    pub fn memory(&self) -> usize {
        let guests = self.guests.iter().flatten();
        guests
            .map(|guest| {
                let here = guest.stream.as_ref().map(Stream::memory);
                size_of::<Guest>() + here.unwrap_or(guest.memory)
            })
            .sum()
    }

    /// Takes an event of the poll, if it is of a guest, or of a step that was made. Others may be meant by the latter, too, whom it
    /// does not matter to.
    pub fn take(&mut self, event: Readiness) -> bool {
        if event.token == IO_NEWS {
            return self.has_news();
        }
        if !(FIRST_GUEST..FIRST_CONNECTION).contains(&event.token) {
            return false;
        }
        self.line_up(event.token - FIRST_GUEST);
        true
    }

    fn line_up(&mut self, place: usize) {
        if let Some(Some(guest)) = self.guests.get_mut(place)
            && !std::mem::replace(&mut guest.is_queued, true)
            && guest.stream.is_some()
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
            memory: 0,
            stream: Some(stream),
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

    /// Hears of steps that were made, and has others made; some of them, where they are many.
    pub fn turn(&mut self, registry: &Registry) -> Departures {
        let mut departures = Departures::default();
        for _ in 0..GUESTS_PER_TURN {
            let Some(step) = self.porter.as_mut().and_then(Porter::take) else {
                break;
            };
            self.come_back(step, registry, &mut departures);
        }
        // Who lines up meanwhile has the next turn.
        for _ in 0..self.queue.len().min(GUESTS_PER_TURN) {
            if let Some(place) = self.queue.pop_front() {
                self.step(place, registry, &mut departures);
            }
        }
        debug_assert_eq!(self.check(), Ok(()));
        departures
    }

    fn come_back(&mut self, step: Step, registry: &Registry, departures: &mut Departures) {
        let Step {
            place,
            stream,
            shake,
        } = step;
        let Some(Some(guest)) = self.guests.get_mut(place) else {
            return debug_assert!(false, "nobody was sent from {place}");
        };
        debug_assert!(guest.stream.is_none(), "it was here");
        guest.stream = Some(stream);
        // What was told meanwhile may have come behind the step.
        if std::mem::take(&mut guest.is_queued) {
            self.line_up(place);
        }
        self.settle(place, shake, registry, departures);
    }

    /// Sends somebody to make a step, or makes it here where that cannot be.
    fn step(&mut self, place: usize, registry: &Registry, departures: &mut Departures) {
        let Some(Some(guest)) = self.guests.get_mut(place) else {
            return;
        };
        guest.is_queued = false;
        if guest.is_late {
            let late = io::Error::new(io::ErrorKind::TimedOut, "the handshake took too long");
            return self.settle(place, Err(late), registry, departures);
        }
        let (Some(stream), Some(porter)) = (guest.stream.take(), &mut self.porter) else {
            return debug_assert!(false, "no guest, or nobody to make a step");
        };
        guest.memory = stream.memory();
        match Movable::of(stream) {
            Ok(stream) => porter.send(place, stream),
            Err(mut stream) => {
                let shake = stream.shake();
                guest.stream = Some(stream);
                self.settle(place, shake, registry, departures);
            }
        }
    }

    /// A step was made.
    fn settle(
        &mut self,
        place: usize,
        shake: io::Result<Shake>,
        registry: &Registry,
        departures: &mut Departures,
    ) {
        match shake {
            Ok(Shake::Waits) => {}
            Ok(Shake::Goes) => self.line_up(place),
            Ok(Shake::Done) => departures.let_in.extend(self.remove(place, registry)),
            Err(error) => self.send_away(place, registry, error, departures),
        }
    }

    fn remove(&mut self, place: usize, registry: &Registry) -> Option<Stream> {
        let guest = self.guests[place].take()?;
        self.free.push(place);
        if guest.is_queued {
            self.queue.retain(|queued| *queued != place);
        }
        let mut stream = guest.stream?;
        // A socket that failed may be unknown to the poll already.
        let _ = registry.deregister(&mut stream);
        Some(stream)
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
        let queued = |guest: &&Guest| guest.is_queued && guest.stream.is_some();
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

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::RawFd;
    use std::sync::Arc;

    use mio::event::Source;
    use mio::net::TcpStream;
    use mio::{Poll, Waker};

    use super::*;
    use crate::host::{Departure, JobQueues, Outlet, Socket, Traveller};

    /// Somebody whose steps come to this, one after the other; the last one for ever.
    #[derive(Debug)]
    struct Guesting(VecDeque<Shake>);

    impl Read for Guesting {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Ok(0)
        }
    }

    impl Write for Guesting {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Source for Guesting {
        fn register(&mut self, _: &Registry, _: Token, _: Interest) -> io::Result<()> {
            Ok(())
        }

        fn reregister(&mut self, _: &Registry, _: Token, _: Interest) -> io::Result<()> {
            Ok(())
        }

        fn deregister(&mut self, _: &Registry) -> io::Result<()> {
            Ok(())
        }
    }

    impl Traveller for Guesting {
        fn arrive(self: Box<Self>) -> Stream {
            Stream::Other(self)
        }
    }

    impl Outlet for Guesting {}

    impl Socket for Guesting {
        fn peer(&self) -> Address {
            Address::Unix(String::new())
        }

        fn local(&self) -> Address {
            Address::Unix(String::new())
        }

        fn shutdown(&mut self) {}

        fn fd(&self) -> RawFd {
            -1
        }

        fn tcp(&self) -> Option<&TcpStream> {
            None
        }

        fn is_empty_after_short_read(&self) -> bool {
            true
        }

        fn shake(&mut self) -> io::Result<Shake> {
            let shake = self.0.pop_front().expect("a step to make");
            if self.0.is_empty() {
                self.0.push_back(shake);
            }
            Ok(shake)
        }

        fn depart(self: Box<Self>) -> Departure {
            Departure::Goes(Movable::Other(self))
        }
    }

    fn ready(place: usize) -> Readiness {
        Readiness {
            token: FIRST_GUEST + place,
            readable: true,
            writable: false,
            hangup: false,
        }
    }

    struct House {
        poll: Poll,
        doorway: Doorway,
        jobs: JobQueues,
    }

    impl House {
        fn new() -> House {
            let (poll, jobs) = (Poll::new().unwrap(), JobQueues::default());
            let waker = Arc::new(Waker::new(poll.registry(), Token(IO_NEWS)).unwrap());
            let mut doorway = Doorway::default();
            doorway.employ(Porter::new(jobs.worker(), waker));
            House {
                poll,
                doorway,
                jobs,
            }
        }

        fn comes(&mut self, steps: &[Shake]) {
            let guest = Guesting(steps.iter().copied().collect());
            let stream = Stream::Other(Box::new(guest));
            let added = self.doorway.add(self.poll.registry(), stream, 0);
            added.unwrap();
        }

        fn turn(&mut self) -> (usize, usize) {
            let left = self.doorway.turn(self.poll.registry());
            (left.let_in.len(), left.sent_away.len())
        }
    }

    #[test]
    fn what_is_told_while_a_step_is_made_is_not_forgotten() {
        let mut house = House::new();
        house.comes(&[Shake::Waits, Shake::Goes, Shake::Done]);
        assert!(house.doorway.take(ready(0)) && house.doorway.has_work());
        assert_eq!(house.turn(), (0, 0));
        assert!(!house.doorway.has_work(), "it is aside");
        house.doorway.take(ready(0));
        house.doorway.take(ready(0));
        assert!(!house.doorway.has_work(), "it is still aside");
        assert!(house.jobs.run(0) && house.doorway.has_work());
        // Back, and sent again for what was told; the step behind that needs no telling.
        for left in [(0, 0), (0, 0), (1, 0)] {
            assert_eq!(house.turn(), left);
            house.jobs.run(0);
        }
        assert!(house.doorway.is_empty() && !house.doorway.has_work());
    }

    #[test]
    fn who_is_late_while_a_step_is_made_goes_when_he_is_back() {
        let mut house = House::new();
        house.comes(&[Shake::Waits]);
        house.comes(&[Shake::Done]);
        house.doorway.take(ready(0));
        house.doorway.take(ready(1));
        house.turn();
        house.doorway.tick(SHAKE_MS + 1, 0);
        assert_eq!(house.turn(), (0, 0));
        while house.jobs.run(0) {}
        // The other one was as late, and is through.
        assert_eq!(house.turn(), (1, 1));
        assert!(house.doorway.is_empty() && !house.doorway.has_work());
        // Late before anything was told of it.
        house.comes(&[Shake::Done]);
        house.doorway.tick(SHAKE_MS + 1, 0);
        assert_eq!(house.turn(), (0, 1));
        assert_eq!(house.jobs.busy(), 0);
    }
}
