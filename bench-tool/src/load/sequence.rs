//! Commands sent in a given order, each when it is due, over one connection or a few: what a replay does.
//!
//! Commands come one by one ([`Sequence::send`]). The order on a connection is the order in which they come; a connection with `depth` on their way takes no
//! more, and what falls due meanwhile waits, and its time runs.

use super::alarm::{Alarm, Bell};
use super::budget::Marks;
use super::link::{Link, Waiting, register};
use super::sink::{Gauge, Place, Sink};
use super::stock::Stock;
use super::tally::Tally;
use super::timeline::Timeline;
use crate::target::{Stream, Target};
use crate::workload::data::Pools;
use crate::workload::reading::Reading;
use crate::workload::template::About;
use cairn_toolkit::{Failure, map};
use mio::{Events, Poll, Token};
use std::io;
use std::time::Duration;

/// How often a waiting loop looks up to see whether it should stop.
const LOOK_UP: Duration = Duration::from_millis(100);
const ALARM: Token = Token(usize::MAX - 1);
/// Operations that are told apart.
pub const OPERATIONS_MAX: usize = 64;

/// What a sequence has around it.
#[derive(Debug)]
pub struct Ground {
    timeline: Timeline,
    marks: Marks,
    pools: Pools,
    gauge: Gauge,
    readings: Vec<Reading>,
}

impl Ground {
    /// Nothing yet.
    pub fn new() -> Ground {
        Ground {
            timeline: Timeline::default(),
            marks: Marks::new(Some(Duration::ZERO), None),
            pools: Pools::default(),
            gauge: Gauge::default(),
            readings: vec![Reading::default(); OPERATIONS_MAX],
        }
    }
}

/// Connections that commands are sent over.
pub struct Sequence<'a> {
    ground: &'a Ground,
    sink: Sink<'a>,
    links: Vec<Link>,
    stock: Stock,
    poll: Poll,
    events: Events,
    alarm: Alarm,
    bell: Bell,
    depth: usize,
    timeout: Option<Duration>,
    name: String,
    last_due: u64,
}

impl<'a> Sequence<'a> {
    /// Connects.
    ///
    /// # Errors
    /// The server is not there, or the system has no more room.
    pub fn new(
        target: &Target,
        connections: usize,
        depth: usize,
        timeout: Option<Duration>,
        ground: &'a Ground,
        tally: &'a mut Tally,
    ) -> Result<Sequence<'a>, Failure> {
        let streams: Vec<Stream> = (0..connections)
            .map(|_| target.connect())
            .collect::<Result<_, _>>()?;
        let failed = |error: io::Error| Failure::io("event loop", &error);
        let poll = Poll::new().map_err(failed)?;
        let mut links = Vec::new();
        for (token, stream) in streams.into_iter().enumerate() {
            let mut link = Link::new(stream, false);
            register(&mut link, poll.registry(), token).map_err(failed)?;
            links.push(link);
        }
        let place = Place {
            timeline: &ground.timeline,
            marks: &ground.marks,
            pools: &ground.pools,
            gauge: &ground.gauge,
            readings: &ground.readings,
            verify: false,
        };
        Ok(Sequence {
            sink: Sink::new(tally, place),
            links,
            stock: Stock::default(),
            alarm: Alarm::default(),
            bell: Bell::new(poll.registry(), ALARM).map_err(failed)?,
            poll,
            events: Events::with_capacity(256),
            depth,
            timeout,
            name: target.name(),
            last_due: 0,
            ground,
        })
    }

    /// What is counted.
    pub fn tally(&mut self) -> &mut Tally {
        self.sink.tally()
    }

    /// Nanoseconds since the start.
    fn now(&self) -> u64 {
        self.ground.marks.now()
    }

    /// Sends a command when it is due and its connection has room; `None` for as soon as it has. `false` if somebody stopped it.
    ///
    /// # Errors
    /// The connection ends.
    pub fn send(
        &mut self,
        connection: usize,
        due: Option<u64>,
        bytes: &[u8],
        operation: usize,
    ) -> Result<bool, Failure> {
        loop {
            if map::is_asked_to_end() {
                return Ok(false);
            }
            let now = self.now();
            let has_room = self.links[connection].waiting() < self.depth;
            if has_room && due.is_none_or(|due| due <= now) {
                break;
            }
            self.turn(due.filter(|_| has_room))?;
        }
        let now = self.now();
        let due = due.unwrap_or(now);
        let link = &mut self.links[connection];
        link.open(&mut self.stock);
        let start = link.out.end();
        link.out.put(bytes);
        let mut waiting = Waiting::new(due, now, true);
        waiting.be_of(operation as u32, 1, About::default());
        link.push(waiting, start);
        self.last_due = due;
        let tally = self.sink.tally();
        tally.last_sent = now;
        tally
            .lateness
            .saturating_record((now - due.min(now)).max(1));
        // What is due at once goes in one write, unless that grows large.
        if link.waiting() == self.depth || link.out.rest().len() > 64 << 10 {
            self.flush()?;
        }
        Ok(true)
    }

    /// Waits until all replies are there.
    ///
    /// # Errors
    /// The connection ends.
    pub fn finish(mut self) -> Result<(), Failure> {
        while self.links.iter().any(|link| link.waiting() > 0) {
            if map::is_asked_to_end() {
                let left: u64 = self.links.iter().map(Link::waiting_measured).sum();
                self.sink.tally().unanswered += left;
                break;
            }
            self.turn(None)?;
        }
        self.sink.finish();
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let (name, stock) = (&self.name, &mut self.stock);
        self.links
            .iter_mut()
            .try_for_each(|link| link.send(stock).map_err(|why| ended(name, &why)))
    }

    /// Sends what is written, and waits for something to happen, or until what is due.
    fn turn(&mut self, due: Option<u64>) -> Result<(), Failure> {
        self.flush()?;
        let failed = |error: io::Error| Failure::io("event loop", &error);
        let now = self.now();
        let gap = |due: u64| due.saturating_sub(self.last_due);
        let wait = match due.map(|due| self.alarm.set(now, due, gap(due))) {
            Some(None) => Duration::ZERO,
            Some(Some(rings)) => {
                self.bell.set(now, rings).map_err(failed)?;
                LOOK_UP
            }
            None => LOOK_UP,
        };
        let since = self.now();
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result.map_err(failed)?,
        }
        let mut none = Vec::new();
        for event in &self.events {
            match event.token() {
                ALARM => self.alarm.rang(self.ground.marks.now()),
                Token(token) => {
                    let is_over = event.is_read_closed() || event.is_error();
                    let told = self.links[token].receive(
                        &mut self.sink,
                        is_over,
                        &mut none,
                        &mut self.stock,
                    );
                    told.map_err(|why| ended(&self.name, &why))?;
                }
            }
        }
        let is_waiting = self.links.iter().any(|link| link.waiting() > 0);
        match (self.timeout, self.events.is_empty() && is_waiting) {
            (Some(timeout), true) if self.silence(since) > timeout => Err(ended(
                &self.name,
                &format!("no reply for {} s", timeout.as_secs_f64()),
            )),
            _ => Ok(()),
        }
    }

    /// How long nothing has come while something was waited for.
    fn silence(&mut self, since: u64) -> Duration {
        let heard = self
            .sink
            .tally()
            .last_reply
            .max(self.sink.tally().last_sent)
            .min(since);
        Duration::from_nanos(self.now().saturating_sub(heard))
    }
}

fn ended(name: &str, why: &str) -> Failure {
    Failure::new(format!("{name}: the connection ended: {why}"))
}
