//! An I/O thread: it owns connections whole, and waits in a poll of its own.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError};
use std::time::{Duration, Instant};

use cairn_format::resp::request::Limits;
use mio::{Events, Poll, Token};

use super::PARCELS;
use super::bell::Bell;
use super::parcel::{Line, News, Order, Parcel, Piece, Sends};
use super::wire::{Fate, Read, Wire};
use crate::host::Movable;

/// The poll's token of the bell; a wire's is its number behind it.
pub(super) const BELL: Token = Token(0);
/// Events taken from the system at once.
const EVENTS: usize = 1024;
/// A parcel with so many bytes is handed in before more is read.
const PARCEL_MAX: usize = 256 * 1024;
/// So many letters are handed in at once; fewer when nothing more comes.
const GATHERED: usize = 16;
/// Reads of one connection in a row.
const READS: usize = 16;
/// How long who is closed may take nothing of what is left for it.
const LINGER: Duration = Duration::from_secs(30);
/// How often connections that nothing came from give memory back.
const TRIM: Duration = Duration::from_secs(2);

/// What a thread has done so far, for INFO.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub reads: AtomicU64,
    pub writes: AtomicU64,
    /// Number of the thread, as the system counts them; 0 before it runs.
    pub thread: AtomicU64,
}

impl Tally {
    fn add(counter: &AtomicU64) {
        // One thread writes.
        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

/// What may change while threads run.
#[derive(Debug)]
pub(super) struct Bounds {
    /// `proto-max-bulk-len`.
    pub bulk_max: AtomicUsize,
    /// `client-query-buffer-limit`.
    pub query_max: AtomicUsize,
}

/// What a thread is started with.
pub(super) struct Post {
    pub poll: Poll,
    pub orders: Receiver<Order>,
    pub parcels: SyncSender<Parcel>,
    pub bell: Arc<Bell>,
    /// That of the data's thread.
    pub other_bell: Arc<Bell>,
    pub tally: Arc<Tally>,
    pub bounds: Arc<Bounds>,
}

impl Post {
    /// Runs until the other side is gone.
    pub fn run(self) {
        let worker = Worker {
            post: self,
            books: Books::default(),
            begun: Instant::now(),
        };
        worker.run();
    }
}

/// See the head of this file.
struct Worker {
    post: Post,
    books: Books,
    begun: Instant,
}

/// What a worker keeps from turn to turn.
#[derive(Default)]
struct Books {
    wires: Vec<Option<Wire>>,
    /// To be read: told by the poll, or more to say.
    ready: VecDeque<(u32, bool)>,
    /// To be flushed at the end of the turn.
    touched: Vec<u32>,
    /// Parcels that are here.
    spare: Vec<Parcel>,
    /// Parcels that were made.
    made: usize,
    /// The one that is filled.
    filling: Option<Parcel>,
    /// Wires that are on their way out.
    leaving: Vec<u32>,
    news: Vec<News>,
}

impl Books {
    /// Whether something is to be looked at again though nobody says so.
    fn has_timed_work(&self) -> bool {
        let holds = |wire: &Wire| wire.holds_memory();
        !self.leaving.is_empty() || self.wires.iter().flatten().any(holds)
    }
}

impl Worker {
    fn run(mut self) {
        self.note_thread();
        let mut events = Events::with_capacity(EVENTS);
        let mut trimmed = Instant::now();
        while self.take_orders() {
            self.read_ready();
            self.flush_touched();
            if self.is_gathering() {
                // What comes meanwhile goes with it: the other side is woken for many at once, and at the latest when nothing comes.
                match self.look(&mut events, Some(Duration::ZERO)) {
                    Ok(true) => continue,
                    Ok(false) => {}
                    Err(_) => break,
                }
            }
            self.hand_in();
            let idle = self.books.ready.is_empty() || !self.has_parcel();
            let mut wait = (!idle).then_some(Duration::ZERO);
            if idle {
                self.post.bell.doze();
                match self.post.orders.try_recv() {
                    Ok(order) => {
                        self.post.bell.awake();
                        self.take(order);
                        continue;
                    }
                    Err(TryRecvError::Disconnected) => break,
                    Err(TryRecvError::Empty) => {}
                }
                wait = self.books.has_timed_work().then_some(TRIM);
            }
            let looked = self.look(&mut events, wait);
            self.post.bell.awake();
            if looked.is_err() {
                break;
            }
            if trimmed.elapsed() > TRIM {
                trimmed = Instant::now();
                self.look_at_all();
            }
        }
        self.leave();
    }

    /// Whether there is something for the data, and not so much yet that it is to be handed in at once.
    fn is_gathering(&self) -> bool {
        let letters = |parcel: &Parcel| parcel.requests.letters.len();
        let gathered = self.books.filling.as_ref().map_or(0, letters);
        (1..GATHERED).contains(&gathered) && self.books.ready.is_empty()
    }

    /// Waits for what comes, and notes it; whether anything has.
    fn look(&mut self, events: &mut Events, wait: Option<Duration>) -> io::Result<bool> {
        match self.post.poll.poll(events, wait) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in &*events {
            let Some(number) = event.token().0.checked_sub(BELL.0 + 1) else {
                continue;
            };
            let number = number as u32;
            if event.is_writable() {
                self.books.touched.push(number);
            }
            let hangup = event.is_read_closed() || event.is_error();
            if event.is_readable() || hangup {
                self.list(number, hangup);
            }
        }
        Ok(!events.is_empty())
    }

    fn note_thread(&self) {
        let link = std::fs::read_link("/proc/thread-self").unwrap_or_default();
        let number = link
            .file_name()
            .and_then(|name| name.to_str()?.parse().ok());
        self.post
            .tally
            .thread
            .store(number.unwrap_or(0), Ordering::Relaxed);
    }

    fn has_parcel(&self) -> bool {
        let books = &self.books;
        books.filling.is_some() || !books.spare.is_empty() || books.made < PARCELS
    }

    fn list(&mut self, number: u32, hangup: bool) {
        let Some(Some(wire)) = self.books.wires.get_mut(number as usize) else {
            return;
        };
        if hangup || !std::mem::replace(&mut wire.is_listed, true) {
            self.books.ready.push_back((number, hangup));
        }
    }

    // ---- orders ----

    /// Does what was ordered; false if there will be no more orders.
    fn take_orders(&mut self) -> bool {
        loop {
            match self.post.orders.try_recv() {
                Ok(order) => self.take(order),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Reply(parcel) => self.reply(parcel),
            Order::Send(sends) => self.send(sends),
            Order::Adopt(number, stream, line) => self.adopt(number, stream, line),
            Order::TellRoom(number) => {
                if let Some(wire) = self.wire(number) {
                    wire.tells_room = true;
                    self.books.touched.push(number);
                }
            }
            Order::Close(number, at_once) => match at_once {
                true => self.close(number),
                false => self.send_away(number, Fate::Closes),
            },
            Order::Recall(number) => self.send_away(number, Fate::Returns),
        }
    }

    fn wire(&mut self, number: u32) -> Option<&mut Wire> {
        self.books.wires.get_mut(number as usize)?.as_mut()
    }

    fn adopt(&mut self, number: u32, stream: Movable, line: Arc<Line>) {
        let wires = &mut self.books.wires;
        let at = number as usize;
        if wires.len() <= at {
            wires.resize_with(at + 1, || None);
        }
        debug_assert!(wires[at].is_none(), "a number that is in use");
        let mut wire = Wire::new(number, stream, line);
        let watched = wire.watch(self.post.poll.registry(), Token(BELL.0 + 1 + at));
        let holds_more = wire.is_encrypted();
        self.books.wires[at] = Some(wire);
        if holds_more {
            // What came behind the handshake is with the stream already, and nobody tells of it.
            self.list(number, false);
        }
        if let Err(error) = watched {
            self.books
                .news
                .push(News::Ended(number, Some(error.kind())));
        }
    }

    fn reply(&mut self, mut parcel: Parcel) {
        for (number, range) in &parcel.answered {
            self.write(*number, |wire| wire.send(&parcel.replies[range.clone()]));
        }
        parcel.clear();
        self.books.spare.push(parcel);
    }

    fn send(&mut self, sends: Sends) {
        for (number, piece) in sends.pieces {
            self.write(number, |wire| match piece {
                Piece::Copied(range) => wire.send(&sends.bytes[range]),
                Piece::Shared(value) => wire.send_shared(value),
            });
        }
    }

    /// Writes to a wire, if it is still there.
    #[inline]
    fn write(&mut self, number: u32, write: impl FnOnce(&mut Wire) -> io::Result<()>) {
        let Some(Some(wire)) = self.books.wires.get_mut(number as usize) else {
            return;
        };
        Tally::add(&self.post.tally.writes);
        match write(wire) {
            Ok(()) if !wire.waits() => {}
            Ok(()) => self.books.touched.push(number),
            Err(error) => {
                let news = News::Ended(number, Some(error.kind()));
                self.books.news.push(news);
            }
        }
    }

    fn send_away(&mut self, number: u32, fate: Fate) {
        if let Some(wire) = self.wire(number) {
            wire.fate = fate;
            self.books.leaving.push(number);
            self.books.touched.push(number);
        }
    }

    fn close(&mut self, number: u32) {
        if let Some(wire) = self.books.wires.get_mut(number as usize)
            && let Some(mut wire) = wire.take()
        {
            wire.close(self.post.poll.registry());
            self.books.leaving.retain(|one| *one != number);
            self.books.news.push(News::Gone(number));
        }
    }

    // ---- reading ----

    fn read_ready(&mut self) {
        for _ in 0..self.books.ready.len() {
            if !self.fits() {
                return;
            }
            let Some((number, hangup)) = self.books.ready.pop_front() else {
                return;
            };
            self.read(number, hangup);
        }
    }

    /// Whether there is a parcel to put more into.
    fn fits(&mut self) -> bool {
        if let Some(parcel) = &self.books.filling
            && parcel.requests.bytes.len() >= PARCEL_MAX
        {
            self.hand_in();
        }
        if self.books.filling.is_none() {
            let books = &mut self.books;
            books.filling = books.spare.pop();
            if books.filling.is_none() && books.made < PARCELS {
                books.made += 1;
                books.filling = Some(Parcel::default());
            }
        }
        self.books.filling.is_some()
    }

    fn read(&mut self, number: u32, hangup: bool) {
        let limits = Limits {
            bulk_max: self.post.bounds.bulk_max.load(Ordering::Relaxed),
            authenticated: true,
        };
        let query_max = self.post.bounds.query_max.load(Ordering::Relaxed);
        let (Some(Some(wire)), Some(parcel)) = (
            self.books.wires.get_mut(number as usize),
            &mut self.books.filling,
        ) else {
            return;
        };
        wire.is_listed = false;
        let Some(requests) = Arc::get_mut(&mut parcel.requests) else {
            debug_assert!(false, "the other side still looks at it");
            return;
        };
        let mut reads = 0;
        while wire.reads() {
            Tally::add(&self.post.tally.reads);
            let read = wire.receive(hangup);
            if matches!(read, Read::Drained(1..) | Read::More(_)) {
                wire.understand(requests, &limits, query_max);
            }
            reads += 1;
            match read {
                Read::Drained(_) => break,
                Read::Ended(error) => self.books.news.push(News::Ended(number, error)),
                Read::More(_) if reads == READS || requests.bytes.len() >= PARCEL_MAX => {
                    wire.is_listed = true;
                    self.books.ready.push_back((number, hangup));
                    break;
                }
                Read::More(_) => {}
            }
        }
        wire.note_read();
    }

    /// Hands in what was read, and what became of wires.
    fn hand_in(&mut self) {
        if !self.books.news.is_empty() && !self.has_parcel() {
            // Told with the next parcel that comes back.
            return;
        }
        if !self.books.news.is_empty() && self.books.filling.is_none() {
            let books = &mut self.books;
            books.filling = books.spare.pop().or_else(|| {
                books.made += 1;
                Some(Parcel::default())
            });
        }
        let Some(mut parcel) = self.books.filling.take() else {
            return;
        };
        parcel.news.append(&mut self.books.news);
        if parcel.is_empty() {
            self.books.spare.push(parcel);
            return;
        }
        // There is room for all parcels; if there is nobody any more, the next order tells.
        let _ = self.post.parcels.try_send(parcel);
        self.post.other_bell.ring();
    }

    // ---- writing ----

    fn flush_touched(&mut self) {
        for number in std::mem::take(&mut self.books.touched) {
            self.flush(number);
        }
    }

    fn flush(&mut self, number: u32) {
        let Some(Some(wire)) = self.books.wires.get_mut(number as usize) else {
            return;
        };
        let flushed = wire.flush(
            self.post.poll.registry(),
            Token(BELL.0 + 1 + number as usize),
        );
        let done = match flushed {
            Ok(done) => done,
            Err(_) if wire.fate == Fate::Closes => return self.close(number),
            Err(error) => {
                self.books
                    .news
                    .push(News::Ended(number, Some(error.kind())));
                // Nothing of it will leave.
                wire.fate == Fate::Returns
            }
        };
        wire.note_memory();
        if !done {
            return;
        }
        if std::mem::take(&mut wire.tells_room) {
            self.books.news.push(News::Room(number));
        }
        match wire.fate {
            Fate::Stays => {}
            Fate::Closes => self.close(number),
            Fate::Returns => self.give_back(number),
        }
    }

    fn give_back(&mut self, number: u32) {
        let Some(wire) = self.books.wires[number as usize].take() else {
            return;
        };
        self.books.leaving.retain(|one| *one != number);
        let parts = wire.into_parts(self.post.poll.registry());
        self.books.news.push(match parts {
            Some((stream, rest)) => News::Returned(number, stream, rest),
            None => News::Gone(number),
        });
    }

    /// Now and then: who is closed and takes nothing goes, and who is idle gives memory back.
    fn look_at_all(&mut self) {
        let passed = TRIM.as_millis() as u64;
        let mut over = Vec::new();
        for number in self.books.leaving.clone() {
            if let Some(wire) = self.wire(number).filter(|w| w.fate == Fate::Closes) {
                wire.since_ms += passed;
                if wire.since_ms > LINGER.as_millis() as u64 {
                    over.push(number);
                }
            }
        }
        over.into_iter().for_each(|number| self.close(number));
        let now_ms = self.begun.elapsed().as_millis() as u64;
        for wire in self.books.wires.iter_mut().flatten() {
            wire.trim(now_ms);
        }
    }

    /// The end: what can be sent now is sent.
    fn leave(&mut self) {
        let registry = self.post.poll.registry();
        for (at, wire) in self.books.wires.iter_mut().enumerate() {
            if let Some(wire) = wire {
                let _ = wire.flush(registry, Token(BELL.0 + 1 + at));
                wire.close(registry);
            }
        }
    }
}
