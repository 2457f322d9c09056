//! What stands at the data's thread for a connection that an I/O thread owns.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use mio::event::Source;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::parcel::{Line, Order, Piece, Sends};
use crate::host::{Address, Departure, Outlet, Socket};

/// Bytes that may be on their way to the socket of one connection; what is beyond waits where it is counted and limited.
const WINDOW: usize = 1 << 20;

/// Orders for one thread, in their order.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    sends: Sends,
    orders: VecDeque<Order>,
    /// So many of the orders are of turns before: they found no room.
    old: usize,
}

impl Outbox {
    /// An order behind all that was said.
    pub fn order(&mut self, order: Order) {
        self.seal();
        self.orders.push_back(order);
    }

    /// An order in front of what was said since the last turn, and behind what was said before: replies of this turn.
    pub fn order_first(&mut self, order: Order) {
        self.orders.insert(self.old, order);
    }

    /// A turn is over: what is still here comes before all that follows.
    pub fn end_turn(&mut self) {
        self.seal();
        self.old = self.orders.len();
    }

    fn seal(&mut self) {
        if !self.sends.pieces.is_empty() {
            let sends = std::mem::take(&mut self.sends);
            self.orders.push_back(Order::Send(sends));
        }
    }

    /// What is next, if there is anything.
    pub fn take(&mut self) -> Option<Order> {
        if self.orders.is_empty() {
            self.seal();
        }
        self.orders.pop_front()
    }

    /// What `take` gave comes back: there was no room for it.
    pub fn put_back(&mut self, order: Order) {
        self.orders.push_front(order);
    }

    /// Whether nothing is left to be said.
    pub fn is_empty(&self) -> bool {
        self.orders.is_empty() && self.sends.pieces.is_empty()
    }
}

/// One connection, as the data's thread knows it.
#[derive(Debug)]
pub(super) struct End {
    pub slot: usize,
    pub wire: u32,
    pub line: Arc<Line>,
    /// What came and is not run from its parcel.
    pub arrived: RefCell<Vec<u8>>,
    /// There will be no more; and why, if it failed.
    pub ended: Cell<bool>,
    pub error: Cell<Option<io::ErrorKind>>,
    /// It was asked to come back: nothing is sent meanwhile.
    pub is_recalled: Cell<bool>,
    /// The turn in which something was last sent beside replies.
    pub said: Cell<u64>,
    /// The turn at hand.
    pub turn: Rc<Cell<u64>>,
    /// It was closed.
    pub is_closed: Cell<bool>,
    /// A reply to it is in a parcel that is not given back yet.
    pub awaits: Cell<bool>,
    /// A script runs for long in the middle of a parcel, and clients are served in between.
    pub between: Rc<Cell<bool>>,
}

impl End {
    /// Whether nothing may be sent now: it would come in front of a reply that was made before.
    fn is_held(&self) -> bool {
        self.awaits.get() && self.between.get()
    }

    /// Whether replies may go with their parcel: nothing of this client waits elsewhere.
    pub fn is_straight(&self) -> bool {
        !self.is_recalled.get()
            && !self.is_closed.get()
            && self.said.get() != self.turn.get()
            && self.line.unsent() < WINDOW
            && self.arrived.borrow().is_empty()
    }
}

/// A connection that an I/O thread owns, as a stream.
#[derive(Debug)]
pub struct Far {
    pub(super) end: Rc<End>,
    pub(super) outbox: Rc<RefCell<Outbox>>,
    pub(super) peer: Address,
    pub(super) local: Address,
    pub(super) fd: RawFd,
    pub(super) is_encrypted: bool,
}

impl Far {
    fn room(&self) -> io::Result<usize> {
        if self.end.is_closed.get() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if let Some(error) = self.end.error.get() {
            return Err(error.into());
        }
        let room = WINDOW.saturating_sub(self.end.line.unsent());
        match room == 0 || self.end.is_recalled.get() || self.end.is_held() {
            true => Err(io::ErrorKind::WouldBlock.into()),
            false => Ok(room),
        }
    }

    fn close(&self, at_once: bool) {
        if !self.end.is_closed.replace(true) {
            let order = Order::Close(self.end.wire, at_once);
            self.outbox.borrow_mut().order(order);
        }
    }

    fn say(&self, bytes: &[u8]) {
        let sends = &mut self.outbox.borrow_mut().sends;
        let begin = sends.bytes.len();
        sends.bytes.extend_from_slice(bytes);
        let end = sends.bytes.len();
        match sends.pieces.last_mut() {
            Some((wire, Piece::Copied(range))) if *wire == self.end.wire => range.end = end,
            _ => {
                let piece = Piece::Copied(begin..end);
                sends.pieces.push((self.end.wire, piece));
            }
        }
        self.note_said(bytes.len());
    }

    fn note_said(&self, bytes: usize) {
        self.end.line.hand_over(bytes);
        self.end.said.set(self.end.turn.get());
    }

    fn say_shared(&self, value: Bytes) {
        self.note_said(value.len());
        let sends = &mut self.outbox.borrow_mut().sends;
        sends.pieces.push((self.end.wire, Piece::Shared(value)));
    }
}

impl Read for Far {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut arrived = self.end.arrived.borrow_mut();
        let count = arrived.len().min(into.len());
        if count > 0 {
            into[..count].copy_from_slice(&arrived[..count]);
            arrived.drain(..count);
            return Ok(count);
        }
        match (self.end.ended.get(), self.end.error.get()) {
            (_, Some(error)) => Err(error.into()),
            (true, None) => Ok(0),
            (false, None) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Far {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.room()?.min(bytes.len());
        self.say(&bytes[..count]);
        Ok(count)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let room = self.room()?;
        let mut written = 0;
        for slice in slices {
            let count = slice.len().min(room - written);
            self.say(&slice[..count]);
            written += count;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Outlet for Far {
    fn keeps_shared(&self) -> bool {
        true
    }

    fn write_shared(&mut self, value: &Bytes, from: usize) -> io::Result<usize> {
        let count = self.room()?.min(value.len() - from);
        self.say_shared(value.slice(from..from + count));
        Ok(count)
    }
}

impl Source for Far {
    fn register(&mut self, _: &Registry, _: Token, _: Interest) -> io::Result<()> {
        Ok(())
    }

    fn reregister(&mut self, _: &Registry, _: Token, interest: Interest) -> io::Result<()> {
        let end = &self.end;
        let may_ask = !end.is_recalled.get() && !end.is_closed.get() && !end.is_held();
        if interest.is_writable() && may_ask {
            let order = Order::TellRoom(self.end.wire);
            self.outbox.borrow_mut().order(order);
        }
        Ok(())
    }

    fn deregister(&mut self, _: &Registry) -> io::Result<()> {
        Ok(())
    }
}

impl Socket for Far {
    fn peer(&self) -> Address {
        self.peer.clone()
    }

    fn local(&self) -> Address {
        self.local.clone()
    }

    /// What was said before is sent before it is closed.
    fn shutdown(&mut self) {
        self.close(false);
    }

    fn cut(&mut self) {
        self.close(true);
    }

    fn fd(&self) -> RawFd {
        self.fd
    }

    fn tcp(&self) -> Option<&TcpStream> {
        None
    }

    fn is_empty_after_short_read(&self) -> bool {
        self.end.arrived.borrow().is_empty() && !self.end.ended.get()
    }

    fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }

    fn depart(self: Box<Self>) -> Departure {
        Departure::Stays(self)
    }

    fn gathered(&self) -> usize {
        self.end.line.gathered() + self.end.arrived.borrow().len()
    }

    fn take_moved(&self) -> bool {
        self.end.line.take_moved()
    }

    fn memory(&self) -> usize {
        let line = &self.end.line;
        line.held() + line.unsent() + self.end.arrived.borrow().capacity()
    }
}
