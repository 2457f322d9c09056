//! What travels between an I/O thread and the thread of the data.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;

use crate::host::Movable;

/// Requests of a parcel are no longer kept beyond this when it comes back, bytes.
const KEPT: usize = 256 * 1024;

/// One understood command.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// Its arguments among the ranges beside it.
    pub args: Range<u32>,
    /// Its bytes in the input.
    pub bytes: Range<u32>,
}

impl Parsed {
    /// Its arguments among the ranges of all.
    #[inline(always)]
    pub fn args_in<'r>(&self, ranges: &'r [Range<u32>]) -> &'r [Range<u32>] {
        &ranges[self.args.start as usize..self.args.end as usize]
    }
}

/// What one client has sent.
#[derive(Debug, Clone)]
pub struct Letter {
    /// Whose it is: the number of its wire on its thread.
    pub wire: u32,
    /// Its bytes in the parcel.
    pub bytes: Range<u32>,
    /// Its commands in the parcel. None: they are not understood yet (inline, or no RESP at all).
    pub commands: Range<u32>,
}

/// The requests of many clients, understood. Shared while they run: whoever serves clients while a script runs for long goes on with
/// the letters behind it.
#[derive(Debug, Default)]
pub struct Requests {
    /// All bytes.
    pub bytes: Vec<u8>,
    /// Arguments of all commands.
    pub ranges: Vec<Range<u32>>,
    /// All commands.
    pub commands: Vec<Parsed>,
    /// Who sent which of them, in the order in which they came.
    pub letters: Vec<Letter>,
}

impl Requests {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ranges.clear();
        self.commands.clear();
        self.letters.clear();
        if self.bytes.capacity() > KEPT {
            *self = Requests::default();
        }
    }
}

/// What became of a wire.
#[derive(Debug)]
pub enum News {
    /// There will be no more to read, or it failed.
    Ended(u32, Option<io::ErrorKind>),
    /// All that was to be sent is sent, as was asked to be told.
    Room(u32),
    /// It is closed; its number is free.
    Gone(u32),
    /// It is given back, with bytes that are no whole command yet.
    Returned(u32, Movable, Vec<u8>),
}

/// Requests on their way to the data, replies on their way back.
#[derive(Debug, Default)]
pub struct Parcel {
    /// The requests.
    pub requests: Arc<Requests>,
    /// News of wires, which come behind all letters.
    pub news: Vec<News>,
    /// Replies, one after the other.
    pub replies: Vec<u8>,
    /// Which of them are for which wire.
    pub answered: Vec<(u32, Range<usize>)>,
}

impl Parcel {
    /// Whether there is anything in it for the data.
    pub fn is_empty(&self) -> bool {
        self.requests.letters.is_empty() && self.news.is_empty()
    }

    /// Empties it, to be filled again. What was large is given back.
    pub fn clear(&mut self) {
        match Arc::get_mut(&mut self.requests) {
            Some(requests) => requests.clear(),
            None => self.requests = Arc::default(),
        }
        self.news.clear();
        self.answered.clear();
        self.replies.clear();
        if self.replies.capacity() > KEPT {
            self.replies = Vec::new();
        }
    }
}

/// What both sides know of a connection.
#[derive(Debug, Default)]
pub struct Line {
    /// Bytes handed over to be sent that are not with the system yet.
    unsent: AtomicUsize,
    /// Bytes of memory that its thread holds for it.
    held: AtomicUsize,
    /// Bytes among them that are the begin of a command.
    gathered: AtomicUsize,
    /// Something came, or has left.
    moved: AtomicBool,
}

impl Line {
    /// Bytes on their way out.
    pub fn unsent(&self) -> usize {
        self.unsent.load(Ordering::Relaxed)
    }

    /// So many more are on their way.
    pub fn hand_over(&self, bytes: usize) {
        self.unsent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many have left.
    pub fn sent(&self, bytes: usize) {
        let before = self.unsent.fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(before >= bytes, "{bytes} of {before} bytes sent");
    }

    /// Notes the memory that its thread holds for it, and what of it is the begin of a command, bytes.
    pub fn hold(&self, bytes: usize, gathered: usize) {
        self.held.store(bytes, Ordering::Relaxed);
        self.gathered.store(gathered, Ordering::Relaxed);
    }

    /// Notes that something came, or has left.
    pub fn moves(&self) {
        self.moved.store(true, Ordering::Relaxed);
    }

    /// Whether something came or has left since this was asked last.
    pub fn take_moved(&self) -> bool {
        self.moved.load(Ordering::Relaxed) && self.moved.swap(false, Ordering::Relaxed)
    }

    /// The begin of a command that its thread has, bytes.
    pub fn gathered(&self) -> usize {
        self.gathered.load(Ordering::Relaxed)
    }

    /// The memory that its thread holds for it, bytes.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

/// What is to be sent beside replies.
#[derive(Debug, Default)]
pub struct Sends {
    /// Bytes of all wires.
    pub bytes: Vec<u8>,
    /// What is for which wire.
    pub pieces: Vec<(u32, Piece)>,
}

/// What is to be sent to one wire.
#[derive(Debug)]
pub enum Piece {
    /// Some of the bytes of all.
    Copied(Range<usize>),
    /// A large value, which the data has as well.
    Shared(Bytes),
}

/// What an I/O thread is to do.
#[derive(Debug)]
pub enum Order {
    /// Take a connection, of which nothing was read that has not run.
    Adopt(u32, Movable, Arc<Line>),
    /// Send replies; the parcel is free.
    Reply(Parcel),
    /// Send what else there is.
    Send(Sends),
    /// Tell when all of this wire is sent.
    TellRoom(u32),
    /// Close it: at once, or when all is sent.
    Close(u32, bool),
    /// Give it back when all is sent.
    Recall(u32),
}
