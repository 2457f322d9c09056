//! The event loop over a ring of the system: what a turn has to send goes with one call, which also waits for what comes next.
//!
//! What comes in a turn has come by the time the call returns, and counts as of then; what is sent in a turn counts as sent when all of it is
//! written, just before the next call.

use super::{LOOK_UP, Sleep, Worker};
use crate::load::Shared;
use crate::load::alarm::Alarm;
use crate::load::ring::{Done, Ring};
use crate::load::sink::Sink;
use cairn_toolkit::outcome::plain;
use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

/// Longest pipeline for which a ring is taken unless one is asked for: with more requests in a call of the system the calls matter less than where
/// the bytes lie.
const PIPELINE_MAX: usize = 16;
/// Most links of a thread for which one is taken unless it is asked for: each has a buffer of its own there.
const LINKS_MAX: usize = 1024;

/// What the bytes go through.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Io {
    /// A ring where there is one and it costs less.
    #[default]
    Auto,
    /// epoll, a call for each read and each write.
    Poll,
    /// io_uring, one call for all of a turn.
    Ring,
}

impl Shared<'_> {
    /// Whether a ring over so many links costs less than a poll. In an open loop it costs more: few requests at a time share a call there, and its timer is
    /// less exact.
    fn is_cheaper_ringed(&self, links: usize) -> bool {
        self.arrivals.is_none() && self.pipeline <= PIPELINE_MAX && links <= LINKS_MAX
    }
}

impl Worker<'_> {
    /// A ring over all links, if one is to be used.
    ///
    /// # Errors
    /// One was asked for, and the system has none.
    pub(super) fn ring(&mut self) -> io::Result<Option<Ring>> {
        let shared = self.shared;
        let io = match shared.reconnect || shared.nodes.is_cluster() {
            true => Io::Poll,
            false => shared.io,
        };
        let links = self.slots.iter_mut().filter_map(|slot| slot.link.as_mut());
        let sockets: Option<Vec<RawFd>> = links.map(|link| link.stream().plain_fd()).collect();
        let Some(sockets) = sockets.filter(|sockets| !sockets.is_empty()) else {
            return Ok(None);
        };
        match io {
            Io::Auto if shared.is_cheaper_ringed(sockets.len()) => Ok(Ring::new(&sockets).ok()),
            Io::Auto | Io::Poll => Ok(None),
            Io::Ring => match Ring::new(&sockets) {
                Ok(ring) => Ok(Some(ring)),
                Err(error) => Err(io::Error::other(format!("--io ring: {}", plain(&error)))),
            },
        }
    }

    pub(super) fn run_on_ring(&mut self, mut ring: Ring, sink: &mut Sink<'_>) -> io::Result<()> {
        self.is_ringed = true;
        for token in 0..self.slots.len() {
            ring.read(token)?;
        }
        let mut alarm = Alarm::default();
        self.begin(sink);
        while self.is_working() && !self.shared.budget.is_stopped() {
            self.hand_over(&mut ring)?;
            ring.wait(self.longest_wait(&mut alarm))?;
            sink.look_at_the_clock();
            if alarm.rings() != 0 && sink.now() >= alarm.rings() {
                alarm.rang(sink.now());
            }
            let mut is_alive = false;
            while let Some(done) = ring.take()? {
                is_alive |= matches!(done, Done::Read(..));
                self.hear(done, &mut ring, sink)?;
            }
            sink.flush();
            self.end_turn(is_alive, sink);
        }
        Ok(())
    }

    fn longest_wait(&self, alarm: &mut Alarm) -> Duration {
        match self.sleep(alarm) {
            Sleep::LookUp => LOOK_UP,
            Sleep::Not => Duration::ZERO,
            Sleep::Until { now, rings } => Duration::from_nanos(rings - now).min(LOOK_UP),
        }
    }

    fn hear(&mut self, done: Done, ring: &mut Ring, sink: &mut Sink<'_>) -> io::Result<()> {
        match done {
            Done::Read(token, Ok(count)) => {
                let slot = &mut self.slots[token];
                let client = slot.client;
                let Some(link) = &mut slot.link else {
                    return Ok(());
                };
                let took = match ring.bytes(token, count) {
                    [] => Err("closed by the server".to_owned()),
                    bytes => link.take(bytes, sink, &mut self.redirected, &mut self.stock),
                };
                match took {
                    Ok(answered) => {
                        ring.read(token)?;
                        self.count_answered(client, answered);
                        self.go_on(client, answered, sink);
                    }
                    Err(why) => self.part(token, &why, ring, sink),
                }
            }
            Done::Read(token, Err(error)) => self.part(token, &plain(&error), ring, sink),
            Done::Sent(token, page, Ok(())) => {
                self.stock.give_page(page);
                let link = &self.slots[token].link;
                if link.as_ref().is_some_and(|link| !link.out.is_empty()) {
                    self.touch(token);
                }
            }
            Done::Sent(token, _, Err(error)) => self.part(token, &plain(&error), ring, sink),
        }
        Ok(())
    }

    fn part(&mut self, token: usize, why: &str, ring: &mut Ring, sink: &mut Sink<'_>) {
        self.lose(token, why, sink);
        ring.forget(token);
    }

    /// Gives the ring what was appended to links; what is behind a page on its way goes when that is sent.
    fn hand_over(&mut self, ring: &mut Ring) -> io::Result<()> {
        if self.touched.is_empty() {
            return Ok(());
        }
        self.clock = self.shared.marks.now();
        let is_closed = self.pace.is_none();
        for token in self.touched.drain(..) {
            let slot = &mut self.slots[token];
            slot.is_touched = false;
            let Some(link) = slot.link.as_mut().filter(|_| !ring.is_sending(token)) else {
                continue;
            };
            if is_closed {
                link.stamp(self.clock);
            }
            ring.send(token, std::mem::take(&mut link.out))?;
        }
        Ok(())
    }
}
