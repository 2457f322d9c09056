//! One thread of load: an event loop over its clients.
//!
//! Closed loop: a client that waits for nothing gets `pipeline` requests at once, and the next ones when all are answered.
//! Open loop: the worker's requests fall due every `threads / rate` seconds and go to the next client that has fewer than
//! `pipeline` on their way. If none has, they wait here, and their time runs: that is the point of the open loop. Requests that
//! fell due before the end are sent even if they are late, or the worst times would be missing from the result.

use crate::budget::{Budget, Marks};
use crate::client::{Client, Waiting, register};
use crate::tally::Tally;
use crate::template::{Filler, Template};
use mio::{Events, Poll};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const SECOND_NS: u64 = 1_000_000_000;
/// A timer of the event queue is exact to a millisecond; what is due sooner is waited for by looking at the clock.
const SPIN_NS: u64 = 2_000_000;
/// How often a waiting worker looks up to see whether it should stop.
const LOOK_UP: Duration = Duration::from_millis(100);

/// What the threads of a run have in common.
#[derive(Debug)]
pub struct Shared {
    /// Commands and the running sum of their weights.
    pub commands: Vec<(Template, u64)>,
    /// Requests left.
    pub budget: Budget,
    /// Start, end of the warm-up, end.
    pub marks: Marks,
    /// Replies so far, for the progress line; the warm-up's too.
    pub replies: AtomicU64,
    /// Requests that one client may have on their way.
    pub pipeline: usize,
    /// Requests a second of all threads.
    pub rate: Option<u64>,
    /// Number of threads.
    pub threads: usize,
    /// Longest silence.
    pub timeout: Option<Duration>,
}

/// A thread's clients and its part of the schedule.
#[derive(Debug)]
pub struct Worker<'a> {
    shared: &'a Shared,
    clients: Vec<Option<Client>>,
    filler: Filler,
    tally: Tally,
    schedule: Option<Schedule>,
    uses_seq: bool,
    next_client: usize,
}

/// Due times of an open loop: start + (first + i * step) / rate.
#[derive(Debug)]
struct Schedule {
    next: u64,
    step: u64,
    rate: u64,
    over: bool,
}

impl Schedule {
    fn due(&self) -> u64 {
        (u128::from(self.next) * u128::from(SECOND_NS) / u128::from(self.rate)) as u64
    }
}

impl<'a> Worker<'a> {
    /// A worker; `index` tells it from the others.
    pub fn new(
        shared: &'a Shared,
        index: usize,
        clients: Vec<Client>,
        filler: Filler,
    ) -> Worker<'a> {
        let schedule = shared.rate.map(|rate| Schedule {
            next: index as u64,
            step: shared.threads as u64,
            rate,
            over: false,
        });
        Worker {
            shared,
            clients: clients.into_iter().map(Some).collect(),
            filler,
            tally: Tally::new(shared.commands.len()),
            schedule,
            uses_seq: shared
                .commands
                .iter()
                .any(|(template, _)| template.uses_seq()),
            next_client: 0,
        }
    }

    /// Runs until the budget is spent and all replies are there, or nobody is left to ask.
    pub fn run(mut self) -> io::Result<Tally> {
        let mut poll = Poll::new()?;
        let mut events = Events::with_capacity(1024);
        for (token, client) in self.clients.iter_mut().enumerate() {
            if let Some(client) = client {
                register(client, poll.registry(), token)?;
            }
        }
        if self.schedule.is_none() {
            (0..self.clients.len()).for_each(|token| self.refill(token));
        }
        let mut heard = self.shared.marks.now();
        while self.is_working() {
            let wait = self.wait();
            match poll.poll(&mut events, Some(wait)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            }
            for event in &events {
                if event.is_readable() || event.is_read_closed() || event.is_error() {
                    self.readable(event.token().0, event.is_read_closed() || event.is_error());
                }
                if event.is_writable() {
                    self.writable(event.token().0);
                }
            }
            // Silence is counted only while somebody waits, and from the last sign of life.
            if !events.is_empty() || self.waiting_clients() == 0 {
                heard = self.shared.marks.now();
            } else if self.is_silent_since(heard) {
                self.give_up();
            }
            self.send_due();
        }
        Ok(self.tally)
    }

    fn is_working(&self) -> bool {
        let mut clients = self.clients.iter().flatten();
        match &self.schedule {
            Some(schedule) if !schedule.over => clients.next().is_some(),
            _ => clients.any(|client| client.waiting() > 0),
        }
    }

    /// How long the poll may sleep: until something is due.
    fn wait(&self) -> Duration {
        let Some(schedule) = self.schedule.as_ref().filter(|schedule| !schedule.over) else {
            return LOOK_UP;
        };
        let due_in = schedule.due().saturating_sub(self.shared.marks.now());
        match self.free_client().is_some() {
            true => sleep_before(due_in),
            false => LOOK_UP,
        }
    }

    fn readable(&mut self, token: usize, drain: bool) {
        let Some(client) = &mut self.clients[token] else {
            return;
        };
        let marks = &self.shared.marks;
        match client.receive(&mut self.tally, || marks.now(), drain) {
            Ok(replies) => {
                self.shared.replies.fetch_add(replies, Relaxed);
                if self.schedule.is_none() && client.waiting() == 0 {
                    self.refill(token);
                }
            }
            Err(why) => self.lose(token, &why),
        }
    }

    fn writable(&mut self, token: usize) {
        let Some(client) = &mut self.clients[token] else {
            return;
        };
        if let Err(why) = client.send() {
            self.lose(token, &why);
        }
    }

    /// Closed loop: the next requests of a client that waits for nothing.
    fn refill(&mut self, token: usize) {
        let now = self.shared.marks.now();
        let granted = self
            .shared
            .budget
            .take(self.shared.pipeline as u64, now, &self.shared.marks);
        for _ in 0..granted {
            self.write_request(token, now);
        }
        if granted > 0 {
            self.writable(token);
        }
    }

    /// Open loop: everything that is due by now and finds a client with room.
    fn send_due(&mut self) {
        while let Some(schedule) = self.schedule.as_mut().filter(|schedule| !schedule.over) {
            let due = schedule.due();
            if due >= self.shared.marks.end {
                schedule.over = true;
                return;
            }
            if due > self.shared.marks.now() {
                return;
            }
            let Some(token) = self.free_client() else {
                return;
            };
            // The grant is asked for at the due time, so that what is late still counts.
            let granted = self.shared.budget.take(1, due, &self.shared.marks);
            if let Some(schedule) = &mut self.schedule {
                schedule.over = granted == 0;
                schedule.next += schedule.step;
            }
            if granted == 1 {
                self.write_request(token, due);
                self.next_client = token + 1;
                self.writable(token);
            }
        }
    }

    /// The next client, in turn, with room for a request.
    fn free_client(&self) -> Option<usize> {
        let count = self.clients.len();
        (0..count)
            .map(|i| (self.next_client + i) % count)
            .find(|&token| {
                self.clients[token]
                    .as_ref()
                    .is_some_and(|client| client.waiting() < self.shared.pipeline)
            })
    }

    fn write_request(&mut self, token: usize, since: u64) {
        let commands = &self.shared.commands;
        let command = match &commands[..] {
            [_] => 0,
            _ => {
                let total = commands[commands.len() - 1].1;
                let pick = self.filler.random.below(total);
                commands.partition_point(|(_, sum)| *sum <= pick)
            }
        };
        let seq = if self.uses_seq {
            self.shared.budget.next_seq()
        } else {
            0
        };
        if let Some(client) = &mut self.clients[token] {
            commands[command]
                .0
                .write(&mut client.out, &mut self.filler, seq);
            client.push(Waiting {
                since,
                command: command as u32,
                counts: since >= self.shared.marks.measure_from,
            });
        }
    }

    fn lose(&mut self, token: usize, why: &str) {
        if let Some(client) = self.clients[token].take() {
            self.tally.lost(why, client.waiting_measured());
        }
    }

    fn waiting_clients(&self) -> usize {
        self.clients
            .iter()
            .flatten()
            .filter(|client| client.waiting() > 0)
            .count()
    }

    fn is_silent_since(&self, heard: u64) -> bool {
        let limit = self
            .shared
            .timeout
            .map_or(u64::MAX, |timeout| timeout.as_nanos() as u64);
        self.shared.marks.now().saturating_sub(heard) > limit
            || self.shared.budget.stop.load(Relaxed)
    }

    fn give_up(&mut self) {
        self.shared.budget.stop.store(true, Relaxed);
        let why = match self.shared.timeout {
            Some(timeout) => format!("no reply for {} s", timeout.as_secs_f64()),
            None => "given up".to_owned(),
        };
        for token in 0..self.clients.len() {
            if self.clients[token]
                .as_ref()
                .is_some_and(|client| client.waiting() > 0)
            {
                self.lose(token, &why);
            }
        }
    }
}

/// How long to sleep when a request is due in so many nanoseconds: not at all shortly before, else less than that, as the system
/// may sleep a little longer.
fn sleep_before(due_in: u64) -> Duration {
    match due_in {
        ..SPIN_NS => Duration::ZERO,
        _ => Duration::from_nanos(due_in - SPIN_NS / 2).min(LOOK_UP),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_sleeps_until_shortly_before_the_next_request() {
        let micros = |nanos| sleep_before(nanos).as_nanos() as u64;
        assert_eq!([0, 1, SPIN_NS - 1].map(micros), [0; 3]);
        for due_in in [SPIN_NS, 2 * SPIN_NS, 10 * SPIN_NS] {
            assert_eq!(micros(due_in), due_in - SPIN_NS / 2);
        }
        assert_eq!(sleep_before(u64::MAX), LOOK_UP);
    }
}
