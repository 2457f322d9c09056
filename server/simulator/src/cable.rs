//! What is between machines: connections that take time, stall, break, and are sometimes gone for one side only.
//!
//! ```text
//!   machine a: socket <-> Plug --- Flow: (when, bytes), ... ---> Plug <-> socket: machine b
//! ```
//! A connection is two ends that servers hold, each as in [`crate::net`], and two flows between their plugs. Bytes arrive in order,
//! in any pieces, as late as the link is slow. What is written beyond the window waits in the socket of the writer.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use cairn_engine::base::random::Random;
use cairn_server::host::Stream;

use crate::net::{HostId, Net, Plug};
use crate::sniff::{Sniffer, Synced};

/// Who tries to connect in vain tries again so much later, microseconds.
const RETRY_US: u64 = 1_000_000;
/// What stood still goes on so much later at most, microseconds.
const RESENT_US: u64 = 200_000;

/// The address of a machine.
pub fn address(host: HostId) -> IpAddr {
    IpAddr::from([10, 0, 0, host as u8 + 1])
}

/// The machine that has an address.
pub fn host_of(address: &str) -> Option<HostId> {
    let number: usize = address.strip_prefix("10.0.0.")?.parse().ok()?;
    number.checked_sub(1)
}

/// One direction.
#[derive(Default)]
struct Flow {
    on_way: VecDeque<(u64, Vec<u8>)>,
    bytes: usize,
    /// When the last of them arrives: nothing overtakes.
    last_us: u64,
    /// When the other end learns that there will be no more.
    end_us: Option<u64>,
}

struct End {
    plug: Plug,
    host: HostId,
    /// Its machine lost its power: it says nothing any more.
    lost: bool,
    /// It was told that the connection is over.
    told: bool,
}

impl End {
    fn is_over(&self) -> bool {
        self.lost || self.told || self.plug.is_closed()
    }

    fn reset(&mut self) {
        self.told = true;
        self.plug.reset();
    }
}

struct Wire {
    /// Who connected, and to whom.
    ends: [End; 2],
    /// From the end of the same number.
    flows: [Flow; 2],
    /// Nothing passes any more, and nobody is told.
    silent: bool,
    /// It breaks in the middle of what is sent next to who connected.
    doomed: bool,
    window: usize,
    sniffer: Sniffer,
}

/// Somebody connects.
struct Attempt {
    plug: Plug,
    host: HostId,
    ends: [SocketAddr; 2],
    at_us: u64,
}

struct Machine {
    net: Net,
    powered: bool,
}

/// How bytes travel.
#[derive(Clone, Copy, Debug)]
pub struct Quality {
    /// Microseconds until they arrive, at most.
    pub delay_us: u64,
    /// Microseconds for a thousand bytes.
    pub per_kb_us: u64,
}

struct State {
    random: Random,
    machines: Vec<Machine>,
    wires: Vec<Wire>,
    attempts: Vec<Attempt>,
    /// Pairs between which nothing passes, the smaller number first.
    parted: BTreeSet<(HostId, HostId)>,
    quality: Quality,
    dialed: u16,
    synced: Vec<Synced>,
}

/// All that is between machines; clones are the same.
#[derive(Clone)]
pub struct Cables(Rc<RefCell<State>>);

fn pair(a: HostId, b: HostId) -> (HostId, HostId) {
    (a.min(b), a.max(b))
}

impl Cables {
    /// Without machines.
    pub fn new(seed: u64, quality: Quality) -> Cables {
        Cables(Rc::new(RefCell::new(State {
            random: Random::new(seed),
            machines: Vec::new(),
            wires: Vec::new(),
            attempts: Vec::new(),
            parted: BTreeSet::new(),
            quality,
            dialed: 0,
            synced: Vec::new(),
        })))
    }

    /// One more machine, with its power on.
    pub fn add(&self, net: &Net) -> HostId {
        let machines = &mut self.0.borrow_mut().machines;
        machines.push(Machine {
            net: net.clone(),
            powered: true,
        });
        machines.len() - 1
    }

    /// A machine begins to connect to an address.
    ///
    /// # Errors
    /// None: what comes of it is seen later.
    pub fn dial(&self, host: HostId, to: SocketAddr, now_us: u64) -> io::Result<Stream> {
        let mut state = self.0.borrow_mut();
        state.dialed = state.dialed % 30_000 + 1;
        let ends = [(address(host), 30_000 + state.dialed).into(), to];
        // The server's view of its own connection: the other end first.
        let (plug, stream) = state.machines[host].net.open([ends[1], ends[0]]);
        let at_us = now_us + state.delay();
        state.attempts.push(Attempt {
            plug,
            host,
            ends,
            at_us,
        });
        Ok(stream)
    }

    /// Takes what servers have written, and hands over what has arrived.
    pub fn pump(&self, now_us: u64) {
        let mut state = self.0.borrow_mut();
        state.connect(now_us);
        let mut wires = std::mem::take(&mut state.wires);
        for wire in &mut wires {
            for from in [0, 1] {
                state.collect(wire, from, now_us);
                state.deliver(wire, from, now_us);
            }
        }
        wires.retain(|wire| !wire.ends.iter().all(End::is_over));
        state.wires = wires;
    }

    /// When the next thing arrives, if anything is on its way.
    pub fn next_us(&self) -> Option<u64> {
        let state = self.0.borrow();
        let attempts = state.attempts.iter().map(|attempt| attempt.at_us);
        let flows = state.wires.iter().flat_map(|wire| {
            [0, 1]
                .into_iter()
                .filter_map(|from| state.next_of(wire, from))
        });
        attempts.chain(flows).min()
    }

    /// Which synchronizations were asked for and how that was answered, since this was asked last.
    pub fn take_synced(&self) -> Vec<Synced> {
        std::mem::take(&mut self.0.borrow_mut().synced)
    }

    /// Connections there are.
    pub fn count(&self) -> usize {
        self.0.borrow().wires.len()
    }

    /// From now on bytes travel so.
    pub fn set_quality(&self, quality: Quality) {
        self.0.borrow_mut().quality = quality;
    }

    /// A connection breaks, and both ends are told.
    pub fn cut(&self, number: usize) {
        let mut state = self.0.borrow_mut();
        state.wires[number].ends.iter_mut().for_each(End::reset);
    }

    /// A connection breaks in the middle of what is sent next to who made it: a part of that arrives, and the end.
    pub fn doom(&self, number: usize) {
        self.0.borrow_mut().wires[number].doomed = true;
    }

    /// A connection breaks, and only one of its ends is told, or none.
    pub fn silence(&self, number: usize, told: Option<usize>) {
        let wire = &mut self.0.borrow_mut().wires[number];
        wire.silent = true;
        if let Some(told) = told {
            wire.ends[told].reset();
        }
    }

    /// Nothing passes between two machines, or all that stood still goes on.
    pub fn part(&self, a: HostId, b: HostId, parted: bool, now_us: u64) {
        let mut state = self.0.borrow_mut();
        match parted {
            true => drop(state.parted.insert(pair(a, b))),
            false if state.parted.remove(&pair(a, b)) => {
                let later = now_us + state.random.below(RESENT_US);
                let between = |w: &&mut Wire| pair(w.ends[0].host, w.ends[1].host) == pair(a, b);
                for wire in state.wires.iter_mut().filter(between) {
                    wire.flows.iter_mut().for_each(|flow| flow.delay(later));
                }
            }
            false => {}
        }
    }

    /// All links are good: nobody is parted, and what was silent is known to be over.
    pub fn heal(&self, now_us: u64) {
        let count = self.0.borrow().machines.len();
        for a in 0..count {
            for b in a + 1..count {
                self.part(a, b, false, now_us);
            }
        }
        let mut state = self.0.borrow_mut();
        for wire in state.wires.iter_mut().filter(|wire| wire.silent) {
            wire.ends.iter_mut().for_each(End::reset);
        }
    }

    /// The power of a machine fails, or is there again.
    pub fn set_power(&self, host: HostId, powered: bool) {
        let mut state = self.0.borrow_mut();
        state.machines[host].powered = powered;
        if !powered {
            state.attempts.retain(|attempt| attempt.host != host);
            let ends = state.wires.iter_mut().flat_map(|wire| &mut wire.ends);
            ends.filter(|end| end.host == host)
                .for_each(|end| end.lost = true);
        }
    }
}

impl Flow {
    /// What is on its way arrives then, if not later.
    fn delay(&mut self, at_us: u64) {
        for (at, _) in &mut self.on_way {
            *at = at_us.max(*at);
        }
        self.last_us = self.last_us.max(at_us);
        self.end_us = self.end_us.map(|end| end.max(self.last_us));
    }
}

impl Wire {
    /// Who is gone takes anything.
    fn has_room(&self, to: usize) -> bool {
        self.ends[to].is_over() || self.ends[to].plug.unread() < self.window
    }
}

impl State {
    fn delay(&mut self) -> u64 {
        1 + self.random.below(self.quality.delay_us)
    }

    fn is_parted(&self, a: HostId, b: HostId) -> bool {
        self.parted.contains(&pair(a, b))
    }

    /// When the next thing that an end has sent arrives, if it can.
    fn next_of(&self, wire: &Wire, from: usize) -> Option<u64> {
        let [a, b] = [0, 1].map(|end| wire.ends[end].host);
        let to = &wire.ends[1 - from];
        if wire.silent || to.told || self.is_parted(a, b) || !self.machines[to.host].powered {
            return None;
        }
        match wire.flows[from].on_way.front() {
            Some((at, _)) => Some(*at).filter(|_| wire.has_room(1 - from)),
            None => wire.flows[from].end_us,
        }
    }

    fn connect(&mut self, now_us: u64) {
        let due = |attempt: &Attempt| attempt.at_us <= now_us;
        if !self.attempts.iter().any(due) {
            return;
        }
        for mut attempt in std::mem::take(&mut self.attempts) {
            if attempt.plug.is_closed() {
                continue;
            }
            if !due(&attempt) {
                self.attempts.push(attempt);
                continue;
            }
            let to = (0..self.machines.len()).find(|host| address(*host) == attempt.ends[1].ip());
            let to =
                to.filter(|to| self.machines[*to].powered && !self.is_parted(attempt.host, *to));
            let Some(to) = to else {
                attempt.at_us = now_us + RETRY_US;
                self.attempts.push(attempt);
                continue;
            };
            let port = attempt.ends[1].port();
            match self.machines[to]
                .net
                .connect_between(port, Some(attempt.ends))
            {
                None => attempt.plug.reset(),
                Some(plug) => self.join(attempt, to, plug),
            }
        }
    }

    fn join(&mut self, attempt: Attempt, to: HostId, plug: Plug) {
        let window = [600, 5000, 1 << 16][self.random.index(3)];
        let ends = [(attempt.plug, attempt.host), (plug, to)].map(|(plug, host)| End {
            plug,
            host,
            lost: false,
            told: false,
        });
        ends.iter().for_each(|end| end.plug.set_room(window));
        self.wires.push(Wire {
            sniffer: Sniffer::new(ends[0].host, to),
            ends,
            flows: Default::default(),
            silent: false,
            doomed: false,
            window,
        });
    }

    /// What an end has written goes on its way, as much as the window allows.
    fn collect(&mut self, wire: &mut Wire, from: usize, now_us: u64) {
        let end = &wire.ends[from];
        if end.lost || end.told {
            return;
        }
        let flow = &mut wire.flows[from];
        let free = wire.window.saturating_sub(flow.bytes);
        let mut bytes = end.plug.receive(free);
        let breaks = wire.doomed && from == 1 && !bytes.is_empty();
        if breaks {
            bytes.truncate(self.random.index(bytes.len() + 1));
        }
        if !bytes.is_empty() {
            if from == 1 {
                self.synced.extend(wire.sniffer.take(1, &bytes, now_us));
            }
            let begin = flow.last_us.max(now_us + self.delay());
            if self.random.below(4) == 0 {
                let rest = bytes.split_off(self.random.index(bytes.len()));
                self.send(&mut wire.flows[from], begin, bytes);
                bytes = rest;
            }
            let begin = begin.max(wire.flows[from].last_us);
            self.send(&mut wire.flows[from], begin, bytes);
        }
        if breaks {
            wire.ends[from].reset();
        }
        let flow = &mut wire.flows[from];
        if flow.end_us.is_none() && (breaks || wire.ends[from].plug.is_over()) {
            flow.end_us = Some(flow.last_us.max(now_us + self.delay()));
        }
    }

    fn send(&mut self, flow: &mut Flow, begin_us: u64, bytes: Vec<u8>) {
        let takes = bytes.len() as u64 * self.quality.per_kb_us / 1000;
        flow.last_us = begin_us + takes + self.random.below(self.quality.delay_us / 8 + 1);
        flow.bytes += bytes.len();
        flow.on_way.push_back((flow.last_us, bytes));
    }

    fn deliver(&mut self, wire: &mut Wire, from: usize, now_us: u64) {
        while self.next_of(wire, from).is_some_and(|at| at <= now_us) {
            let to = &mut wire.ends[1 - from];
            let flow = &mut wire.flows[from];
            let Some((_, bytes)) = flow.on_way.pop_front() else {
                flow.end_us = None;
                match self.random.below(4) {
                    0 => to.reset(),
                    _ => to.plug.half_close(),
                }
                // It is said once.
                to.told = true;
                return;
            };
            flow.bytes -= bytes.len();
            if to.is_over() {
                // Nobody is there any more, and whoever sends is told.
                wire.ends[from].reset();
                return;
            }
            if from == 0 {
                // Nothing is answered before it has come.
                wire.sniffer.take(0, &bytes, now_us);
            }
            to.plug.send(&bytes);
        }
    }
}
