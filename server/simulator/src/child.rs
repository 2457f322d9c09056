//! Children of a simulated process: they have done their work as soon as they are there, and what of it is seen when is drawn.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::sync::Arc;

use cairn_engine::base::random::Random;
use cairn_server::host::{Child, ChildExit, ChildJob, ChildLink, ChildReport, Pipe, Readiness};
use mio::event::Source;
use mio::{Interest, Registry, Token};

use crate::clock::SimClock;

/// Longest time between two pieces of what a child writes, microseconds.
const PIECE_US: u64 = 60_000;
/// The signal of somebody who ends others.
const SIGKILL: i32 = 9;
/// The signal that a server ends its children with.
const SIGUSR1: i32 = 10;

/// A pipe of a child.
#[derive(Clone, Debug, Default)]
pub struct SimPipe(Rc<RefCell<Piped>>);

#[derive(Debug, Default)]
struct Piped {
    bytes: VecDeque<u8>,
    token: Option<usize>,
    /// How it comes; without it, all at once.
    pace: Option<Pace>,
}

#[derive(Debug)]
struct Pace {
    clock: Arc<SimClock>,
    random: Random,
    /// When there is more.
    at_us: u64,
    /// Somebody has found it empty.
    waited_for: bool,
}

impl SimPipe {
    /// A pipe whose bytes come in pieces.
    pub fn slow(clock: &Arc<SimClock>, seed: u64) -> SimPipe {
        let pace = Pace {
            clock: Arc::clone(clock),
            random: Random::new(seed),
            at_us: 0,
            waited_for: false,
        };
        SimPipe(Rc::new(RefCell::new(Piped {
            pace: Some(pace),
            ..Piped::default()
        })))
    }

    /// Who wrote into it has died before the end.
    pub fn tear(&self, random: &mut Random) {
        let bytes = &mut self.0.borrow_mut().bytes;
        bytes.truncate(random.index(bytes.len() + 1));
    }

    /// When there is more, if somebody waits for it.
    pub fn waited_us(&self) -> Option<u64> {
        let piped = self.0.borrow();
        let pace = piped.pace.as_ref().filter(|pace| pace.waited_for);
        piped.token.and(pace).map(|pace| pace.at_us)
    }

    /// Tells the poll, once, that there is more.
    pub fn report(&self) -> Option<Readiness> {
        let mut piped = self.0.borrow_mut();
        let token = piped.token?;
        let pace = piped.pace.as_mut()?;
        if !pace.waited_for || pace.clock.now_us() < pace.at_us {
            return None;
        }
        pace.waited_for = false;
        Some(Readiness {
            token,
            readable: true,
            writable: false,
            hangup: false,
        })
    }
}

impl Pace {
    /// How much of so many bytes is there now; none: nothing.
    fn piece(&mut self, len: usize) -> Option<usize> {
        if self.clock.now_us() < self.at_us {
            self.waited_for = true;
            return None;
        }
        let later = self.random.below(PIECE_US) * self.random.below(2);
        self.at_us = self.clock.now_us() + later;
        Some(match self.random.below(2) {
            0 if len > 0 => 1 + self.random.index(len),
            _ => len,
        })
    }
}

impl Read for SimPipe {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Piped { bytes, pace, .. } = &mut *self.0.borrow_mut();
        let most = into.len().min(bytes.len());
        let count = match pace {
            Some(pace) => pace.piece(most).ok_or(io::ErrorKind::WouldBlock)?,
            None => most,
        };
        bytes.read(&mut into[..count])
    }
}

impl Write for SimPipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Source for SimPipe {
    fn register(&mut self, _: &Registry, token: Token, _: Interest) -> io::Result<()> {
        self.0.borrow_mut().token = Some(token.0);
        Ok(())
    }

    fn reregister(&mut self, to: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        self.register(to, token, interest)
    }

    fn deregister(&mut self, _: &Registry) -> io::Result<()> {
        self.0.borrow_mut().token = None;
        Ok(())
    }
}

impl Pipe for SimPipe {}

struct SimLink {
    pid: u32,
    report: ChildReport,
}

impl ChildLink for SimLink {
    fn pid(&self) -> u32 {
        self.pid
    }

    fn progress(&mut self, keys: u64) {
        self.report.keys = keys;
    }

    fn finished(&mut self, bytes: u64) {
        self.report.bytes = bytes;
    }
}

/// A child.
pub struct SimChild {
    pid: u32,
    report: ChildReport,
    exit: ChildExit,
    /// So many questions are answered with "still at work".
    polls_left: u64,
    is_mortal: bool,
}

impl SimChild {
    /// Does its work.
    pub fn run(pid: u32, job: ChildJob<'_>) -> SimChild {
        let report = ChildReport::default();
        let mut link = SimLink { pid, report };
        let code = job(&mut link);
        SimChild {
            pid,
            report: link.report,
            exit: ChildExit::Code(i32::from(code)),
            polls_left: 0,
            is_mortal: false,
        }
    }

    /// It is said to be at work so many times.
    pub fn work_for(&mut self, polls: u64) {
        self.polls_left = polls;
    }

    /// It can be killed; otherwise that comes too late, as its work was done.
    pub fn make_mortal(&mut self) {
        self.is_mortal = true;
    }

    /// Somebody has killed it, at the last moment.
    pub fn die(&mut self) {
        self.exit = ChildExit::Signal(SIGKILL);
    }
}

impl Child for SimChild {
    fn pid(&self) -> u32 {
        self.pid
    }

    fn poll(&mut self) -> Option<ChildExit> {
        if self.polls_left > 0 {
            self.polls_left -= 1;
            return None;
        }
        Some(self.exit)
    }

    fn report(&self) -> ChildReport {
        self.report
    }

    fn kill(&mut self) {
        if self.is_mortal && self.polls_left > 0 {
            self.exit = ChildExit::Signal(SIGUSR1);
            self.polls_left = 0;
        }
    }

    fn wait(&mut self) -> ChildExit {
        self.exit
    }

    fn fork_us(&self) -> u64 {
        1
    }
}
