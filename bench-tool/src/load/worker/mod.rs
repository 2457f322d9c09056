//! One thread of load: an event loop over its clients.
//!
//! Closed loop: a client that waits for nothing gets `pipeline` requests at once, and the next ones when all are answered.
//! Open loop: the worker's requests fall due on its part of the schedule and go to the next client that has fewer than
//! `pipeline` on their way. If none has, they wait here, and their time runs: that is the point of the open loop. Requests that
//! fell due before the end are sent even if they are late, or the worst times would be missing from the result. What is due at once goes to
//! one client as far as it has room, so that a backlog costs few writes.
//!
//! A client has one link, or one to each node of a cluster; the slot of a request's key says which.

use super::Shared;
use super::alarm::{Alarm, Bell};
use super::arrivals::Pace;
use super::link::{Link, Redirected, Waiting, register};
use super::mender::Mender;
use super::sink::Sink;
use super::stock::Stock;
use super::strain::{self, Strain};
use crate::random::Random;
use crate::target::Stream;
use crate::workload::template::{About, Filler};
use mio::{Events, Poll, Token};
use std::io;
use std::time::Duration;

mod ringed;

pub use ringed::Io;

/// How often a waiting worker looks up to see whether it should stop.
const LOOK_UP: Duration = Duration::from_millis(100);
/// Tokens of the poll beside those of links.
const ALARM: Token = Token(usize::MAX - 1);
const MENDER: Token = Token(usize::MAX - 2);
/// How often a request follows redirects before they count as an error.
const HOPS_MAX: u32 = 16;

/// A client of the crowd.
#[derive(Debug, Default)]
struct Client {
    /// Its link to each node, by place in the worker's list.
    links: Vec<Option<usize>>,
    /// Requests on their way.
    waiting: usize,
}

/// How long there is nothing to do but to listen.
#[derive(Clone, Copy, Debug)]
enum Sleep {
    /// Until somebody has to look up.
    LookUp,
    /// Until the alarm rings.
    Until { now: u64, rings: u64 },
    /// Not at all.
    Not,
}

/// What a worker has to say of itself in the end.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// How busy it was.
    pub strain: Option<Strain>,
    /// Whether its bytes went through a ring of the system.
    pub is_ringed: bool,
}

/// A link, or what is left of one.
#[derive(Debug)]
struct Slot {
    link: Option<Link>,
    client: usize,
    node: usize,
    /// It is in the worker's list of those that were written to.
    is_touched: bool,
}

/// A thread's clients and its part of the schedule.
#[derive(Debug)]
pub struct Worker<'a> {
    shared: &'a Shared<'a>,
    clients: Vec<Client>,
    slots: Vec<Slot>,
    filler: Filler,
    stock: Stock,
    pace: Option<Pace<'a>>,
    next_client: usize,
    /// The last look at the clock beside those of the sink.
    clock: u64,
    /// When the last request was due, to tell how far apart they are.
    last_due: u64,
    /// Until when no client had room.
    room_since: u64,
    had_room: bool,
    redirected: Vec<Redirected>,
    hops: u32,
    mender: Option<Mender>,
    /// The links that were written to and not sent yet.
    touched: Vec<usize>,
    /// They go when the turn ends: the system is given all at once.
    is_ringed: bool,
    /// When the last sign of life came.
    heard: u64,
    live: usize,
    /// Requests on their way.
    in_flight: usize,
    busy_from: Option<(u64, Option<(u64, u64)>)>,
}

impl<'a> Worker<'a> {
    /// A worker; `index` tells it from the others. Each client comes with a connection to each node.
    pub fn new(
        shared: &'a Shared<'a>,
        index: usize,
        connected: Vec<Vec<Stream>>,
        filler: Filler,
        random: Random,
    ) -> Worker<'a> {
        let pace = shared
            .arrivals
            .map(|arrivals| Pace::new(arrivals, index as u64, shared.threads as u64, random));
        let mut worker = Worker {
            shared,
            clients: Vec::new(),
            slots: Vec::new(),
            filler,
            stock: Stock::default(),
            pace,
            next_client: 0,
            clock: 0,
            last_due: 0,
            room_since: 0,
            had_room: true,
            redirected: Vec::new(),
            hops: 0,
            mender: None,
            touched: Vec::new(),
            is_ringed: false,
            heard: 0,
            live: 0,
            in_flight: 0,
            busy_from: None,
        };
        for (client, streams) in connected.into_iter().enumerate() {
            worker.clients.push(Client::default());
            for (node, stream) in streams.into_iter().enumerate() {
                worker.add_link(stream, client, node);
            }
        }
        worker
    }

    fn add_link(&mut self, stream: Stream, client: usize, node: usize) -> usize {
        let keeps = self.shared.nodes.is_cluster();
        let link = Some(Link::new(stream, keeps));
        self.slots.push(Slot {
            link,
            client,
            node,
            is_touched: false,
        });
        self.live += 1;
        let links = &mut self.clients[client].links;
        if links.len() <= node {
            links.resize(node + 1, None);
        }
        links[node] = Some(self.slots.len() - 1);
        self.slots.len() - 1
    }

    /// Runs until the budget is spent and all replies are there, or nobody is left to ask.
    ///
    /// # Errors
    /// The event loop itself fails.
    pub fn run(mut self, sink: &mut Sink<'_>) -> io::Result<Told> {
        match self.ring()? {
            Some(ring) => self.run_on_ring(ring, sink)?,
            None => self.run_on_poll(sink)?,
        }
        self.count_what_is_left(sink);
        let marks = self.shared.marks;
        let until = marks.now().min(marks.end());
        let strain = self.busy_from.and_then(|(from, before)| {
            Strain::between(before, strain::of_this_thread(), until.saturating_sub(from))
        });
        Ok(Told {
            strain,
            is_ringed: self.is_ringed,
        })
    }

    fn run_on_poll(&mut self, sink: &mut Sink<'_>) -> io::Result<()> {
        let shared = self.shared;
        let mut poll = Poll::new()?;
        let mut events = Events::with_capacity(1024);
        for (token, slot) in self.slots.iter_mut().enumerate() {
            if let Some(link) = &mut slot.link {
                register(link, poll.registry(), token)?;
            }
        }
        let mut alarm = Alarm::default();
        let mut bell = match self.pace {
            Some(_) => Some(Bell::new(poll.registry(), ALARM)?),
            None => None,
        };
        if shared.reconnect {
            self.mender = Some(Mender::new(poll.registry(), MENDER)?);
        }
        self.begin(sink);
        while self.is_working() && !shared.budget.is_stopped() {
            let wait = self.wait(&mut alarm, bell.as_mut())?;
            match poll.poll(&mut events, wait) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            }
            let mut is_alive = false;
            for event in &events {
                match event.token() {
                    ALARM => alarm.rang(shared.marks.now()),
                    MENDER => self.mended(poll.registry(), sink)?,
                    Token(token) => {
                        is_alive = true;
                        let is_over = event.is_read_closed() || event.is_error();
                        if event.is_readable() || is_over {
                            self.readable(token, is_over, poll.registry(), sink)?;
                        }
                        if event.is_writable() {
                            self.send(token, sink);
                        }
                    }
                }
            }
            self.end_turn(is_alive, sink);
        }
        Ok(())
    }

    /// Closed loop: the first requests of all.
    fn begin(&mut self, sink: &mut Sink<'_>) {
        self.clock = self.shared.marks.now();
        if self.pace.is_none() {
            (0..self.clients.len()).for_each(|client| self.refill(client, sink));
        }
        self.heard = self.clock;
    }

    /// What came is counted: what is due is sent, and somebody looks whether it goes on.
    fn end_turn(&mut self, is_alive: bool, sink: &mut Sink<'_>) {
        self.send_due(sink);
        self.clock = self.shared.marks.now();
        self.look_at_strain();
        // Silence is counted only while somebody waits, and from the last sign of life.
        if is_alive || (self.in_flight == 0 && self.live > 0) {
            self.heard = self.clock;
        } else {
            self.give_up_after(self.heard, sink);
        }
    }

    /// Takes the first reading of how busy this thread is when the measuring has begun.
    fn look_at_strain(&mut self) {
        if self.busy_from.is_none() && self.clock >= self.shared.marks.measure_from() {
            self.busy_from = Some((self.clock, strain::of_this_thread()));
        }
    }

    fn is_working(&self) -> bool {
        let may_come_back = self.shared.reconnect && self.mender.is_some();
        let has_more = match &self.pace {
            Some(pace) => !pace.is_over,
            None => {
                may_come_back && self.shared.marks.now() < self.shared.marks.end() && self.live == 0
            }
        };
        (has_more && (self.live > 0 || may_come_back)) || self.in_flight > 0
    }

    /// How long the poll may sleep: until something is due. Without end where the alarm rings soon, as a second timer costs as much as a reply.
    fn wait(&self, alarm: &mut Alarm, bell: Option<&mut Bell>) -> io::Result<Option<Duration>> {
        Ok(match (self.sleep(alarm), bell) {
            (Sleep::Not, _) => Some(Duration::ZERO),
            (Sleep::Until { now, rings }, Some(bell)) => {
                bell.set(now, rings)?;
                Some(LOOK_UP).filter(|look_up| rings - now >= look_up.as_nanos() as u64)
            }
            (Sleep::LookUp | Sleep::Until { .. }, _) => Some(LOOK_UP),
        })
    }

    /// Until when there is nothing to do but to listen.
    fn sleep(&self, alarm: &mut Alarm) -> Sleep {
        let pace = self.pace.as_ref().filter(|pace| !pace.is_over);
        let Some(pace) = pace.filter(|_| self.had_room) else {
            return Sleep::LookUp;
        };
        let (now, due) = (self.shared.marks.now(), pace.due);
        let gap = due.saturating_sub(self.last_due);
        match due > now {
            true => alarm
                .set(now, due, gap)
                .map_or(Sleep::Not, |rings| Sleep::Until { now, rings }),
            false => Sleep::Not,
        }
    }

    fn readable(
        &mut self,
        token: usize,
        is_over: bool,
        registry: &mio::Registry,
        sink: &mut Sink<'_>,
    ) -> io::Result<()> {
        let Some(slot) = self.slots.get_mut(token) else {
            return Ok(());
        };
        let (client, node) = (slot.client, slot.node);
        let Some(link) = &mut slot.link else {
            return Ok(());
        };
        match link.receive(sink, is_over, &mut self.redirected, &mut self.stock) {
            Ok(answered) => {
                self.count_answered(client, answered);
                if !self.redirected.is_empty() {
                    self.redirect(client, node, registry, sink)?;
                }
                self.go_on(client, answered, sink);
            }
            Err(why) => self.lose(token, &why, sink),
        }
        Ok(())
    }

    fn count_answered(&mut self, client: usize, answered: u64) {
        self.clients[client].waiting -= answered as usize;
        self.in_flight -= answered as usize;
    }

    /// So many requests of a client were answered: it may have room for others.
    fn go_on(&mut self, client: usize, answered: u64, sink: &mut Sink<'_>) {
        if self.pace.is_none() && self.clients[client].waiting == 0 {
            self.refill(client, sink);
        } else if !self.had_room && answered > 0 {
            self.had_room = true;
            self.room_since = self.shared.marks.now();
        }
    }

    fn send(&mut self, token: usize, sink: &mut Sink<'_>) {
        let link = self
            .slots
            .get_mut(token)
            .and_then(|slot| slot.link.as_mut());
        if let Some(Err(why)) = link.map(|link| link.send(&mut self.stock)) {
            self.lose(token, &why, sink);
        }
    }

    /// Sends what was appended to links.
    fn send_touched(&mut self, sink: &mut Sink<'_>) {
        if self.is_ringed {
            return;
        }
        while let Some(token) = self.touched.pop() {
            self.slots[token].is_touched = false;
            self.send(token, sink);
        }
    }

    /// Closed loop: the next requests of a client that waits for nothing. They are asked for as of the last look at the clock, and sent as of a new one,
    /// so that a time has nothing of their making in it.
    fn refill(&mut self, client: usize, sink: &mut Sink<'_>) {
        if !self.is_live(client) {
            return;
        }
        let shared = self.shared;
        let now = self.clock.max(sink.now());
        let granted = shared
            .budget
            .take(shared.pipeline as u64, now, shared.marks);
        if granted == 0 {
            return;
        }
        self.write_requests(client, granted, now, now);
        if self.is_ringed {
            return;
        }
        self.clock = shared.marks.now();
        for &token in &self.touched {
            if let Some(link) = &mut self.slots[token].link {
                link.stamp(self.clock);
            }
        }
        self.send_touched(sink);
    }

    /// Open loop: everything that is due by now and finds a client with room.
    fn send_due(&mut self, sink: &mut Sink<'_>) {
        let shared = self.shared;
        let mut chosen: Option<usize> = None;
        while let Some(pace) = self.pace.as_mut().filter(|pace| !pace.is_over) {
            let (due, now) = (pace.due, shared.marks.now());
            if due >= shared.marks.end() {
                pace.is_over = true;
                break;
            }
            if due > now {
                break;
            }
            let room = chosen
                .filter(|&client| self.has_room(client))
                .or_else(|| self.free_client());
            let Some(client) = room else {
                self.had_room = false;
                break;
            };
            chosen = Some(client);
            // The grant is asked for at the due time, so that what is late still counts.
            let granted = shared.budget.take(1, due, shared.marks);
            if let Some(pace) = &mut self.pace {
                pace.is_over = granted == 0;
                pace.advance();
            }
            if granted == 1 {
                self.count_lateness(due, now, sink);
                self.last_due = due;
                self.write_requests(client, 1, due, now);
                self.next_client = client + 1;
            }
        }
        self.send_touched(sink);
    }

    fn count_lateness(&mut self, due: u64, now: u64, sink: &mut Sink<'_>) {
        if due < self.shared.marks.measure_from() {
            return;
        }
        let tally = sink.tally();
        tally.last_sent = now;
        tally.held_back += u64::from(self.room_since > due);
        tally
            .lateness
            .saturating_record((now - due.max(self.room_since).min(now)).max(1));
    }

    fn has_room(&self, client: usize) -> bool {
        self.clients[client].waiting < self.shared.pipeline && self.is_live(client)
    }

    fn is_live(&self, client: usize) -> bool {
        let mut links = self.clients[client].links.iter().flatten();
        links.any(|&token| self.slots[token].link.is_some())
    }

    /// The next client, in turn, with room for a request.
    fn free_client(&self) -> Option<usize> {
        let count = self.clients.len();
        (0..count)
            .map(|i| (self.next_client + i) % count)
            .find(|&client| self.has_room(client))
    }

    /// Writes so many requests of a client, all due and sent at the same time.
    fn write_requests(&mut self, client: usize, count: u64, due: u64, sent: u64) {
        match self.shared.nodes.is_cluster() {
            true => self.write_to_nodes(client, count, due, sent),
            false => self.write_to_server(client, count, due, sent),
        }
        self.clients[client].waiting += count as usize;
        self.in_flight += count as usize;
    }

    /// To the one link of a client.
    fn write_to_server(&mut self, client: usize, count: u64, due: u64, sent: u64) {
        let shared = self.shared;
        let mut like = Waiting::new(due, sent, due >= shared.marks.measure_from());
        let Some(token) = self.clients[client].links[0] else {
            return;
        };
        let Some(link) = &mut self.slots[token].link else {
            return;
        };
        link.open(&mut self.stock);
        like.count = 0;
        let mut left = count;
        if let [operation] = &shared.workload.operations[..]
            && operation
                .template
                .write_alike(&mut link.out, &mut self.filler, count)
        {
            like.be_of(0, operation.template.replies(), About::default());
            (like.count, left) = (count, 0);
        }
        for _ in 0..left {
            let (operation, template, counted) = shared.next_request(&mut self.filler.random);
            let start = link.out.end();
            let about = template.write(&mut link.out, &mut self.filler, counted);
            if like.count > 0 && (operation != like.operation || about != like.about) {
                link.push(like, start);
                like.count = 0;
            }
            like.be_of(operation, template.replies(), about);
            like.count += 1;
        }
        link.push(like, link.out.end());
        self.touch(token);
    }

    /// Each to the link of a client to the node that has its key.
    fn write_to_nodes(&mut self, client: usize, count: u64, due: u64, sent: u64) {
        let shared = self.shared;
        let mut like = Waiting::new(due, sent, due >= shared.marks.measure_from());
        for _ in 0..count {
            let (operation, template, counted) = shared.next_request(&mut self.filler.random);
            let mut page = self.stock.page();
            let about = template.write(&mut page, &mut self.filler, counted);
            like.be_of(operation, template.replies(), about);
            let node = shared.nodes.owner(about.slot);
            self.append(client, node, like, page.rest());
            page.sent(page.rest().len());
            self.stock.give_page(page);
        }
    }

    fn touch(&mut self, token: usize) {
        if !std::mem::replace(&mut self.slots[token].is_touched, true) {
            self.touched.push(token);
        }
    }

    /// Of a cluster: appends a request to the link of a client to a node; to another one if that is lost.
    fn append(&mut self, client: usize, node: usize, waiting: Waiting, bytes: &[u8]) {
        let links = &self.clients[client].links;
        let wanted = links.get(node).copied().flatten();
        let mut all = wanted.into_iter().chain(links.iter().flatten().copied());
        let Some(token) = all.find(|&token| self.slots[token].link.is_some()) else {
            return;
        };
        if let Some(link) = &mut self.slots[token].link {
            link.open(&mut self.stock);
            let start = link.out.end();
            link.out.put(bytes);
            link.push(waiting, start);
            self.touch(token);
        }
    }

    /// Sends requests of a client to the nodes that they were redirected to.
    fn redirect(
        &mut self,
        client: usize,
        asked: usize,
        registry: &mio::Registry,
        sink: &mut Sink<'_>,
    ) -> io::Result<()> {
        let nodes = self.shared.nodes;
        for Redirected {
            to,
            mut waiting,
            bytes,
        } in std::mem::take(&mut self.redirected)
        {
            let tally = sink.tally();
            match to.once {
                true => tally.asked += 1,
                false => tally.moved += 1,
            }
            self.hops += 1;
            let operation = &self.shared.workload.operations[waiting.operation as usize];
            waiting.left = operation.template.replies();
            let node = nodes.follow(&to, asked).unwrap_or(asked);
            if self.clients[client]
                .links
                .get(node)
                .copied()
                .flatten()
                .is_none()
            {
                self.link_to(client, node, registry, sink)?;
            }
            if to.once {
                let silent = Waiting {
                    replies: 1,
                    left: 1,
                    is_silent: true,
                    ..waiting
                };
                self.append(client, node, silent, b"*1\r\n$6\r\nASKING\r\n");
            }
            self.append(client, node, waiting, &bytes);
        }
        // Nodes that send a request round in a circle get time to agree.
        if self.hops > HOPS_MAX * self.shared.pipeline as u32 {
            self.hops = 0;
            std::thread::sleep(Duration::from_millis(1));
        }
        self.send_touched(sink);
        Ok(())
    }

    /// Connects a client to a node that was not known at the start.
    fn link_to(
        &mut self,
        client: usize,
        node: usize,
        registry: &mio::Registry,
        sink: &mut Sink<'_>,
    ) -> io::Result<()> {
        match self.shared.nodes.target(node).connect() {
            Ok(stream) => {
                let token = self.add_link(stream, client, node);
                if let Some(link) = &mut self.slots[token].link {
                    register(link, registry, token)?;
                }
            }
            Err(failure) => sink
                .tally()
                .lost(failure.line().unwrap_or("a node cannot be reached"), 0),
        }
        Ok(())
    }

    fn lose(&mut self, token: usize, why: &str, sink: &mut Sink<'_>) {
        let slot = &mut self.slots[token];
        let (client, node) = (slot.client, slot.node);
        if let Some(link) = slot.link.take() {
            self.live -= 1;
            sink.tally().lost(why, link.waiting_measured());
            let gone = link.waiting();
            self.clients[client].waiting -= gone;
            self.in_flight -= gone;
            if let Some(mender) = &self.mender {
                mender.ask(token, self.shared.nodes.target(node));
            }
        }
    }

    /// Takes the connections that were made again.
    fn mended(&mut self, registry: &mio::Registry, sink: &mut Sink<'_>) -> io::Result<()> {
        self.clock = self.shared.marks.now();
        while let Some((token, stream)) = self.mender.as_ref().and_then(Mender::made) {
            let client = self.slots[token].client;
            let mut link = Link::new(stream, self.shared.nodes.is_cluster());
            register(&mut link, registry, token)?;
            self.slots[token].link = Some(link);
            self.live += 1;
            sink.tally().reconnected += 1;
            match &self.pace {
                None if self.clients[client].waiting == 0 => self.refill(client, sink),
                _ if !self.had_room => {
                    self.had_room = true;
                    self.room_since = self.shared.marks.now();
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn give_up_after(&mut self, heard: u64, sink: &mut Sink<'_>) {
        let Some(timeout) = self.shared.timeout else {
            return;
        };
        if self.clock.saturating_sub(heard) <= timeout.as_nanos() as u64 {
            return;
        }
        self.shared.budget.stop();
        let why = format!("no reply for {} s", timeout.as_secs_f64());
        for token in 0..self.slots.len() {
            if self.slots[token]
                .link
                .as_ref()
                .is_some_and(|link| link.waiting() > 0)
            {
                self.lose(token, &why, sink);
            }
        }
    }

    /// Requests that nobody waits for any more, because the run was stopped.
    fn count_what_is_left(&mut self, sink: &mut Sink<'_>) {
        let links = self.slots.iter().filter_map(|slot| slot.link.as_ref());
        sink.tally().unanswered += links.map(Link::waiting_measured).sum::<u64>();
        sink.finish();
    }
}
