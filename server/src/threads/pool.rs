//! All I/O threads, as the thread of the data sees them.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use mio::{Poll, Waker};

use super::PARCELS;
use super::bell::Bell;
use super::far::{End, Far, Outbox};
use super::parcel::{Line, Order, Parcel, Requests};
use super::worker::{BELL, Bounds, Post, Tally};
use crate::host::{Enter, Movable, Stream};

/// Orders that wait for one thread beside those that found no room.
const ORDERS: usize = 256;
/// What a read or a write costs, microseconds: about half of a lone request.
const CALL_US: u64 = 3;
/// Looks in a row, ten a second, that say the threads are needed, and that they are not.
const VOTES_UP: u32 = 2;
const VOTES_DOWN: u32 = 20;
/// Longest query that a thread gathers, whatever is configured: places in a parcel are 32 bits.
const QUERY_MAX: usize = 2 << 30;

/// What is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `io-threads`: the thread of the data counts.
    pub threads: usize,
    /// `io-threads-min-load`, percent.
    pub min_load: u64,
    /// `proto-max-bulk-len`.
    pub bulk_max: usize,
    /// `client-query-buffer-limit`.
    pub query_max: usize,
}

/// What one I/O thread has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Connections that it owns.
    pub clients: usize,
    /// Calls of read and of write.
    pub reads: u64,
    /// See `reads`.
    pub writes: u64,
    /// Its number in the system; 0 before it runs.
    pub thread: u64,
}

struct Thread {
    orders: SyncSender<Order>,
    parcels: Receiver<Parcel>,
    bell: Arc<Bell>,
    ends: Vec<Option<Rc<End>>>,
    free: Vec<u32>,
    outbox: Rc<RefCell<Outbox>>,
    tally: Arc<Tally>,
    handle: JoinHandle<()>,
}

/// A connection that is about to go to a thread.
#[derive(Debug)]
pub struct Ticket {
    thread: usize,
    wire: u32,
    line: Arc<Line>,
}

/// A parcel whose letters run.
#[derive(Debug)]
struct Running {
    thread: usize,
    requests: Arc<Requests>,
    next: usize,
}

/// How busy all threads are, from one look to the next.
#[derive(Debug, Default)]
struct Watch {
    at_us: u64,
    busy_us: u64,
    calls: u64,
    /// Looks in a row that spoke for a change.
    votes: u32,
}

/// See the head of this file.
pub struct Pool {
    /// Rings the thread of the data; none before threads were ever wanted.
    bell: Option<Arc<Bell>>,
    threads: Vec<Thread>,
    bounds: Arc<Bounds>,
    turn: Rc<Cell<u64>>,
    between: Rc<Cell<bool>>,
    /// Clients were served in between since the outermost parcel began.
    was_between: bool,
    /// Parcels that came and are not run.
    arrived: Vec<(usize, Parcel)>,
    /// The one whose letters run, and those that were under way when it began.
    running: Vec<Running>,
    /// Parcels that have run.
    done: Vec<(usize, Parcel)>,
    /// New connections go to them.
    pub is_active: bool,
    watch: Watch,
    /// So many threads could not be started: it is not tried again and again.
    refused: Option<usize>,
    /// The thread that gets the next connection.
    next: usize,
}

impl Default for Pool {
    fn default() -> Self {
        Pool {
            bell: None,
            threads: Vec::new(),
            bounds: Arc::new(Bounds {
                bulk_max: AtomicUsize::new(0),
                query_max: AtomicUsize::new(0),
            }),
            turn: Rc::default(),
            between: Rc::default(),
            was_between: false,
            arrived: Vec::new(),
            running: Vec::new(),
            done: Vec::new(),
            is_active: false,
            watch: Watch::default(),
            refused: None,
            next: 0,
        }
    }
}

impl Pool {
    // ---- threads ----

    /// Threads there are beside that of the data.
    pub fn len(&self) -> usize {
        self.threads.len()
    }

    /// Whether there are none: all is as if there could be none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.threads.is_empty()
    }

    /// Connections that threads own.
    pub fn owned(&self) -> usize {
        let owned = |thread: &Thread| thread.ends.len() - thread.free.len();
        self.threads.iter().map(owned).sum()
    }

    /// What each thread has done.
    pub fn loads(&self) -> impl Iterator<Item = Load> {
        self.threads.iter().map(|thread| Load {
            clients: thread.ends.len() - thread.free.len(),
            reads: thread.tally.reads.load(Ordering::Relaxed),
            writes: thread.tally.writes.load(Ordering::Relaxed),
            thread: thread.tally.thread.load(Ordering::Relaxed),
        })
    }

    /// Notes limits that may have changed.
    pub fn set_bounds(&self, settings: &Settings) {
        let Bounds {
            bulk_max,
            query_max,
        } = &*self.bounds;
        bulk_max.store(settings.bulk_max, Ordering::Relaxed);
        let longest = settings.query_max.min(QUERY_MAX);
        query_max.store(longest, Ordering::Relaxed);
    }

    /// Whether there are as many threads as are wanted, or can be.
    pub fn is_manned(&self, count: usize) -> bool {
        self.threads.len() == count || self.refused == Some(count)
    }

    /// Starts threads, so that there are `count`. `enter`: what each does first; `waker`: how this thread is rung.
    ///
    /// # Errors
    /// The system's; those that run by then stay.
    pub fn start(&mut self, count: usize, enter: &Enter, waker: Arc<Waker>) -> io::Result<()> {
        let own = || Arc::new(Bell::of(waker));
        let own = Arc::clone(self.bell.get_or_insert_with(own));
        self.refused = Some(count);
        while self.threads.len() < count {
            let thread = self.one(Arc::clone(enter), Arc::clone(&own))?;
            self.threads.push(thread);
        }
        self.refused = None;
        Ok(())
    }

    fn one(&self, enter: Enter, own: Arc<Bell>) -> io::Result<Thread> {
        let poll = Poll::new()?;
        let bell = Arc::new(Bell::new(poll.registry(), BELL)?);
        let (orders, taken) = sync_channel(ORDERS);
        let (given, parcels) = sync_channel(PARCELS);
        let tally = Arc::<Tally>::default();
        let post = Post {
            poll,
            orders: taken,
            parcels: given,
            bell: Arc::clone(&bell),
            other_bell: own,
            tally: Arc::clone(&tally),
            bounds: Arc::clone(&self.bounds),
        };
        let name = format!("cairn-io-{}", self.threads.len() + 1);
        let handle = std::thread::Builder::new().name(name).spawn(move || {
            let _kept = enter();
            post.run();
        })?;
        Ok(Thread {
            orders,
            parcels,
            bell,
            ends: Vec::new(),
            free: Vec::new(),
            outbox: Rc::default(),
            tally,
            handle,
        })
    }

    /// Ends all threads. They send what they were given, and with `sends` what they are still to be given.
    pub fn stop(&mut self, sends: bool) {
        self.is_active = false;
        self.arrived.clear();
        match sends {
            true => self.dispatch(),
            false => self.done.clear(),
        }
        for thread in self.threads.drain(..) {
            let Thread {
                orders,
                bell,
                handle,
                parcels,
                outbox,
                ..
            } = thread;
            while sends && let Some(order) = outbox.borrow_mut().take() {
                // It takes them; there is always room soon.
                bell.ring();
                if orders.send(order).is_err() {
                    break;
                }
            }
            drop(orders);
            bell.ring();
            drop(parcels);
            let _ = handle.join();
        }
    }

    /// Judges whether threads are used from now on: how busy one thread is or would be with all there is to do. `busy_us`: what the
    /// data's thread has worked so far, microseconds.
    pub fn judge(&mut self, min_load: u64, now_us: u64, busy_us: u64) -> bool {
        let calls = self.loads().map(|load| load.reads + load.writes).sum();
        let now = Watch {
            at_us: now_us,
            busy_us,
            calls,
            votes: self.watch.votes,
        };
        let before = std::mem::replace(&mut self.watch, now);
        let passed_us = now_us.saturating_sub(before.at_us).max(1);
        let calls = calls.saturating_sub(before.calls);
        let worked_us = busy_us.saturating_sub(before.busy_us) + calls * CALL_US;
        let load = worked_us * 100 / passed_us;
        let (speaks, needed) = match self.is_active {
            true => (load < min_load / 2, VOTES_DOWN),
            false => (load >= min_load, VOTES_UP),
        };
        self.watch.votes = if speaks { self.watch.votes + 1 } else { 0 };
        if self.threads.is_empty() {
            self.is_active = false;
        } else if min_load == 0 {
            self.is_active = true;
        } else if self.watch.votes >= needed {
            self.watch.votes = 0;
            self.is_active = !self.is_active;
        }
        self.is_active
    }

    // ---- connections ----

    /// Prepares that a connection goes to a thread: what stands for it here, and what to hand over its stream with.
    pub fn reserve(&mut self, slot: usize, stream: &Stream) -> Option<(Stream, Ticket)> {
        if self.threads.is_empty() || !stream.is_movable() {
            return None;
        }
        self.next = (self.next + 1) % self.threads.len();
        let thread = &mut self.threads[self.next];
        let wire = thread.free.pop().unwrap_or_else(|| {
            thread.ends.push(None);
            thread.ends.len() as u32 - 1
        });
        let line = Arc::<Line>::default();
        let end = Rc::new(End {
            slot,
            wire,
            line: Arc::clone(&line),
            arrived: RefCell::default(),
            ended: Cell::new(false),
            error: Cell::new(None),
            is_recalled: Cell::new(false),
            said: Cell::new(u64::MAX),
            turn: Rc::clone(&self.turn),
            is_closed: Cell::new(false),
            awaits: Cell::new(false),
            between: Rc::clone(&self.between),
        });
        thread.ends[wire as usize] = Some(Rc::clone(&end));
        let far = Far {
            end,
            outbox: Rc::clone(&thread.outbox),
            peer: stream.peer(),
            local: stream.local(),
            fd: stream.fd(),
            is_encrypted: stream.is_encrypted(),
        };
        let ticket = Ticket {
            thread: self.next,
            wire,
            line,
        };
        Some((Stream::Other(Box::new(far)), ticket))
    }

    /// Hands the stream of a prepared connection over.
    pub fn hand_over(&mut self, ticket: Ticket, stream: Stream) {
        let Ticket { thread, wire, line } = ticket;
        match Movable::of(stream) {
            Ok(movable) => {
                let order = Order::Adopt(wire, movable, line);
                self.threads[thread].outbox.borrow_mut().order(order);
            }
            Err(mut stream) => {
                debug_assert!(false, "it was movable");
                stream.shutdown();
            }
        }
    }

    /// A prepared connection does not go.
    pub fn cancel(&mut self, ticket: Ticket) {
        self.forget(ticket.thread, ticket.wire);
    }

    /// Asks for connections back.
    pub fn recall(&mut self, which: impl Fn(usize) -> bool) {
        for thread in &self.threads {
            for end in thread.ends.iter().flatten().filter(|end| which(end.slot)) {
                if !end.is_closed.get() && !end.is_recalled.replace(true) {
                    thread.outbox.borrow_mut().order(Order::Recall(end.wire));
                }
            }
        }
    }

    fn end(&self, thread: usize, wire: u32) -> Option<&Rc<End>> {
        self.threads.get(thread)?.ends.get(wire as usize)?.as_ref()
    }

    /// The connection that a wire is, unless it was closed meanwhile.
    pub fn slot_of(&self, thread: usize, wire: u32) -> Option<usize> {
        let end = self.end(thread, wire)?;
        (!end.is_closed.get()).then_some(end.slot)
    }

    /// Whether replies to a wire may go with their parcel.
    pub fn is_straight(&self, thread: usize, wire: u32) -> bool {
        self.end(thread, wire).is_some_and(|end| end.is_straight())
    }

    /// What came of a wire and was not read from what stands for it.
    pub fn take_arrived(&self, thread: usize, wire: u32) -> Vec<u8> {
        let end = self.end(thread, wire);
        end.map_or_else(Vec::new, |end| {
            std::mem::take(&mut *end.arrived.borrow_mut())
        })
    }

    /// Bytes of a wire are to be read from what stands for it.
    pub fn put(&self, thread: usize, wire: u32, bytes: &[u8]) {
        if let Some(end) = self.end(thread, wire) {
            end.arrived.borrow_mut().extend_from_slice(bytes);
        }
    }

    /// A wire says no more.
    pub fn note_end(&self, thread: usize, wire: u32, error: Option<io::ErrorKind>) {
        if let Some(end) = self.end(thread, wire) {
            end.ended.set(true);
            end.error.set(error.or(end.error.get()));
        }
    }

    /// A wire is gone from its thread.
    pub fn forget(&mut self, thread: usize, wire: u32) {
        if let Some(thread) = self.threads.get_mut(thread)
            && let Some(end) = thread.ends.get_mut(wire as usize)
            && end.take().is_some()
        {
            thread.free.push(wire);
        }
    }

    // ---- parcels ----

    /// Takes what has come. Answers whether there is anything to hear.
    pub fn receive(&mut self) -> bool {
        for (at, thread) in self.threads.iter().enumerate() {
            while let Ok(parcel) = thread.parcels.try_recv() {
                self.arrived.push((at, parcel));
            }
        }
        !self.arrived.is_empty()
    }

    /// Whether this thread may sleep: nothing has come. It is rung from now on.
    pub fn doze(&mut self) -> bool {
        let Some(bell) = &self.bell else {
            return true;
        };
        bell.doze();
        let may = !self.receive() && self.threads.iter().all(|t| t.outbox.borrow().is_empty());
        if !may {
            self.awake();
        }
        may
    }

    /// This thread is awake.
    pub fn awake(&self) {
        if let Some(bell) = &self.bell {
            bell.awake();
        }
    }

    /// The next parcel that came, with its thread.
    pub fn take(&mut self) -> Option<(usize, Parcel)> {
        match self.arrived.is_empty() {
            true => None,
            false => Some(self.arrived.remove(0)),
        }
    }

    /// The letters of a parcel begin to run.
    pub fn begin(&mut self, thread: usize, requests: &Arc<Requests>) {
        self.running.push(Running {
            thread,
            requests: Arc::clone(requests),
            next: 0,
        });
    }

    /// The next letter of the parcel whose letters run.
    pub fn next_letter(&mut self) -> Option<usize> {
        let running = self.running.last_mut()?;
        (running.next < running.requests.letters.len()).then(|| {
            running.next += 1;
            running.next - 1
        })
    }

    /// The parcel whose letters run, for whoever serves clients in between.
    pub fn interrupted(&self) -> Option<(usize, Arc<Requests>)> {
        let running = self.running.last()?;
        Some((running.thread, Arc::clone(&running.requests)))
    }

    /// A wire is answered with the parcel whose letters run.
    pub fn note_answer(&self, thread: usize, wire: u32) {
        if let Some(end) = self.end(thread, wire) {
            end.awaits.set(true);
        }
    }

    /// Whether a wire has an answer in a parcel that is not given back yet, which has to come before all others.
    pub fn awaits(&self, thread: usize, wire: u32) -> bool {
        self.end(thread, wire).is_some_and(|end| end.awaits.get())
    }

    /// Clients are served in the middle of a parcel, or no longer.
    pub fn set_between(&mut self, between: bool) {
        self.between.set(between && !self.running.is_empty());
        self.was_between |= self.between.get();
    }

    /// All letters of a parcel have run. Answers whether clients were held back meanwhile.
    pub fn finish(&mut self, thread: usize, parcel: Parcel) -> bool {
        self.running.pop();
        for (wire, range) in &parcel.answered {
            if let Some(end) = self.end(thread, *wire) {
                end.line.hand_over(range.len());
                end.awaits.set(false);
            }
        }
        self.done.push((thread, parcel));
        self.running.is_empty() && std::mem::take(&mut self.was_between)
    }

    /// Gives replies and orders to the threads, as far as there is room.
    pub fn dispatch(&mut self) {
        self.turn.set(self.turn.get() + 1);
        for (thread, parcel) in self.done.drain(..).rev() {
            if let Some(thread) = self.threads.get(thread) {
                thread.outbox.borrow_mut().order_first(Order::Reply(parcel));
            }
        }
        for thread in &self.threads {
            let mut outbox = thread.outbox.borrow_mut();
            let mut sent = false;
            while let Some(order) = outbox.take() {
                if let Err(TrySendError::Full(order)) = thread.orders.try_send(order) {
                    outbox.put_back(order);
                    break;
                }
                sent = true;
            }
            outbox.end_turn();
            drop(outbox);
            if sent {
                thread.bell.ring();
            }
        }
    }
}
