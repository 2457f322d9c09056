//! An encrypted connection over another that does not block.
//!
//! ```text
//!   read:   socket --> scratch --decrypt--> the caller's room     what is no whole record yet: `rest`; what found no room: `plain`
//!   write:  the caller's bytes --encrypt--> scratch --> socket    what the socket did not take: `sealed`
//! ```
//! The scratch is shared by all connections of a thread, so that one that is idle holds nothing but its session.
//!
//! Invariants: bytes are encrypted only while `sealed` is empty, or behind it; what `write` has taken is on its way, and leaves
//! with the next write or flush; `is_empty` says that the socket had no more when it was read last, and nothing is kept here.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::RawFd;

use mio::event::Source;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus,
};

use crate::host::{Address, Departure, Movable, Outlet, Shake, Socket, Stream, Traveller};

/// Bytes read at once.
const READ_MAX: usize = 64 * 1024;
/// Bytes encrypted at once: four records.
const SEAL_MAX: usize = 64 * 1024;
/// Bytes of one write to the connection; the others wait meanwhile.
const WRITE_MAX: usize = 1 << 20;
/// Encrypted bytes that are no whole message yet: the longest handshake message that rustls takes, and a record.
const REST_MAX: usize = 64 * 1024 + 20 * 1024;
/// What a record is longer than its contents, at most, bytes.
const RECORD_OVERHEAD: usize = 64;
/// Contents of a record, bytes.
const RECORD: usize = 16 * 1024;
/// The first byte of a record of the handshake, and so of a connection.
const HANDSHAKE: u8 = 22;

thread_local! {
    /// Room that all connections of a thread use in turn.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

#[derive(Debug, Default)]
struct Scratch {
    encrypted: Vec<u8>,
    gathered: Vec<u8>,
    sealed: Vec<u8>,
}

/// The session of either side.
pub enum Session {
    /// We were connected to.
    Server(UnbufferedServerConnection),
    /// We have connected.
    Client(UnbufferedClientConnection),
}

impl From<UnbufferedServerConnection> for Session {
    fn from(session: UnbufferedServerConnection) -> Session {
        Session::Server(session)
    }
}

impl From<UnbufferedClientConnection> for Session {
    fn from(session: UnbufferedClientConnection) -> Session {
        Session::Client(session)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Session::Server(_) => "Server",
            Session::Client(_) => "Client",
        })
    }
}

/// How far a session has come with what it was given.
enum Came {
    /// Nothing more can be done without more bytes.
    Needs,
    /// The same, and it is ready to encrypt.
    Ready,
    /// The other side will send no more.
    Ended,
}

impl Session {
    fn is_handshaking(&self) -> bool {
        match self {
            Session::Server(session) => session.is_handshaking(),
            Session::Client(session) => session.is_handshaking(),
        }
    }

    /// Works through encrypted bytes; answers how many are used up. What the session wants to say is put behind `sealed`, what is
    /// decrypted goes to `plain`. With `bytes`, these are encrypted as well once it is ready.
    fn work(
        &mut self,
        encrypted: &mut [u8],
        sealed: &mut Vec<u8>,
        bytes: &[u8],
        plain: &mut dyn FnMut(&[u8]),
    ) -> (usize, io::Result<Came>) {
        let mut used = 0;
        loop {
            let left = &mut encrypted[used..];
            let (discard, step) = match self {
                Session::Server(session) => {
                    let UnbufferedStatus { discard, state, .. } = session.process_tls_records(left);
                    (discard, step(state, sealed, bytes, plain))
                }
                Session::Client(session) => {
                    let UnbufferedStatus { discard, state, .. } = session.process_tls_records(left);
                    (discard, step(state, sealed, bytes, plain))
                }
            };
            used += discard;
            match step {
                Ok(None) => {}
                Ok(Some(came)) => return (used, Ok(came)),
                Err(error) => return (used, Err(error)),
            }
        }
    }

    /// What a session that has just failed wants the other side to know. It is not called again after that: where it stands in the
    /// bytes that it failed on is not certain.
    fn last_words(&mut self, sealed: &mut Vec<u8>) {
        // What waits to be said comes before any look at bytes, so that there need be none. Without it there would be such a look.
        let told = match self {
            Session::Server(session) if session.wants_write() => {
                told(session.process_tls_records(&mut []).state, sealed)
            }
            Session::Client(session) if session.wants_write() => {
                told(session.process_tls_records(&mut []).state, sealed)
            }
            _ => Ok(()),
        };
        // Without it the other side sees the end alone.
        let _ = told;
    }

    /// Says that nothing more will come; answers the bytes of it.
    fn goodbye(&mut self, rest: &mut [u8], room: &mut [u8]) -> usize {
        match self {
            Session::Server(session) => goodbye(session.process_tls_records(rest).state, room),
            Session::Client(session) => goodbye(session.process_tls_records(rest).state, room),
        }
    }
}

/// One step of a session; none: there may be another.
fn step<Data>(
    state: Result<ConnectionState<'_, '_, Data>, rustls::Error>,
    sealed: &mut Vec<u8>,
    bytes: &[u8],
    plain: &mut dyn FnMut(&[u8]),
) -> io::Result<Option<Came>> {
    match state.map_err(broken)? {
        ConnectionState::ReadTraffic(mut traffic) => {
            while let Some(record) = traffic.next_record() {
                plain(record.map_err(broken)?.payload);
            }
            Ok(None)
        }
        ConnectionState::EncodeTlsData(mut data) => {
            encode(&mut data, sealed)?;
            Ok(None)
        }
        ConnectionState::TransmitTlsData(data) => {
            data.done();
            Ok(None)
        }
        ConnectionState::BlockedHandshake => Ok(Some(Came::Needs)),
        ConnectionState::WriteTraffic(mut traffic) => {
            if !bytes.is_empty() {
                let room = bytes.len() + (bytes.len() / RECORD + 1) * RECORD_OVERHEAD;
                append(sealed, room, |room| match traffic.encrypt(bytes, room) {
                    Ok(count) => Ok(count),
                    Err(EncryptError::InsufficientSize(size)) => Err(Some(size.required_size)),
                    Err(EncryptError::EncryptExhausted) => Err(None),
                })?;
            }
            Ok(Some(Came::Ready))
        }
        // Early data is not offered, and what comes later is not known yet.
        _ => Ok(Some(Came::Ended)),
    }
}

fn encode<Data>(data: &mut EncodeTlsData<'_, Data>, sealed: &mut Vec<u8>) -> io::Result<()> {
    append(sealed, RECORD, |room| match data.encode(room) {
        Ok(count) => Ok(count),
        Err(EncodeError::InsufficientSize(size)) => Err(Some(size.required_size)),
        Err(EncodeError::AlreadyEncoded) => Err(None),
    })
}

fn told<Data>(
    state: Result<ConnectionState<'_, '_, Data>, rustls::Error>,
    sealed: &mut Vec<u8>,
) -> io::Result<()> {
    match state {
        Ok(ConnectionState::EncodeTlsData(mut data)) => encode(&mut data, sealed),
        _ => Ok(()),
    }
}

/// Lets `encode` put bytes behind others. It answers how many, or how many there must be room for.
fn append(
    to: &mut Vec<u8>,
    room: usize,
    mut encode: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>,
) -> io::Result<()> {
    let from = to.len();
    to.resize(from + room, 0);
    let mut encoded = encode(&mut to[from..]);
    if let Err(Some(required)) = encoded {
        to.resize(from + required, 0);
        encoded = encode(&mut to[from..]);
    }
    to.truncate(from + encoded.unwrap_or(0));
    match encoded {
        Ok(_) => Ok(()),
        Err(_) => Err(io::Error::other("the keys of the connection are used up")),
    }
}

fn broken(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// See the head of this file.
pub struct TlsStream {
    inner: Stream,
    state: Box<State>,
}

/// An encrypted connection on its way to another thread.
struct Traveling {
    inner: Movable,
    state: Box<State>,
}

/// All but the connection below.
struct State {
    session: Session,
    /// Encrypted bytes that are no whole message yet. The session has looked at them: whenever it is called it has to be given
    /// these very bytes.
    rest: Vec<u8>,
    plain: Vec<u8>,
    /// Bytes of `plain` that were taken.
    taken: usize,
    sealed: Vec<u8>,
    /// Bytes of `sealed` that have left.
    sent: usize,
    /// Something has left.
    has_spoken: bool,
    is_shaking: bool,
    /// The session has failed, and must not be called any more.
    has_failed: bool,
    /// The other side will send no more.
    is_over: bool,
    is_empty: bool,
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream")
            .field("inner", &self.inner)
            .field("session", &self.state.session)
            .field("is_shaking", &self.state.is_shaking)
            .finish_non_exhaustive()
    }
}

impl TlsStream {
    /// A connection whose handshake is yet to come.
    pub fn new(inner: Stream, session: Session) -> TlsStream {
        let state = State {
            session,
            rest: Vec::new(),
            plain: Vec::new(),
            taken: 0,
            sealed: Vec::new(),
            sent: 0,
            has_spoken: false,
            is_shaking: true,
            has_failed: false,
            is_over: false,
            is_empty: false,
        };
        TlsStream {
            inner,
            state: Box::new(state),
        }
    }

    /// Sends what is sealed; whether nothing is left of it.
    fn push(&mut self) -> io::Result<bool> {
        while self.state.sent < self.state.sealed.len() {
            match self.inner.write(&self.state.sealed[self.state.sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.state.sent += count,
                Err(error) if is_patience(&error) => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.state.sent > 0 {
            self.state.has_spoken = true;
            (self.state.sealed, self.state.sent) = (Vec::new(), 0);
        }
        Ok(true)
    }

    /// One read of the socket, of at most `want` bytes, decrypted into the room, and what finds none there kept. Answers the bytes put
    /// there.
    fn fill(&mut self, want: usize, into: &mut [u8]) -> io::Result<usize> {
        // Taken for as long: room that is used again and again.
        let mut encrypted =
            SCRATCH.with_borrow_mut(|scratch| std::mem::take(&mut scratch.encrypted));
        let filled = self.fill_by(&mut encrypted, want, into);
        SCRATCH.with_borrow_mut(|scratch| scratch.encrypted = encrypted);
        filled
    }

    fn fill_by(
        &mut self,
        encrypted: &mut Vec<u8>,
        want: usize,
        into: &mut [u8],
    ) -> io::Result<usize> {
        let before = self.state.rest.len();
        if encrypted.len() < before + want {
            encrypted.resize(before + want, 0);
        }
        encrypted[..before].copy_from_slice(&self.state.rest);
        let count = self.inner.read(&mut encrypted[before..before + want])?;
        self.state.is_over |= count == 0;
        self.state.is_empty = count < want && self.inner.is_empty_after_short_read();
        self.decrypt(&mut encrypted[..before + count], into)
    }

    fn decrypt(&mut self, encrypted: &mut [u8], into: &mut [u8]) -> io::Result<usize> {
        let mut put = 0;
        let kept = &mut self.state.plain;
        let (used, came) =
            self.state
                .session
                .work(encrypted, &mut self.state.sealed, &[], &mut |bytes| {
                    let count = match kept.is_empty() {
                        true => bytes.len().min(into.len() - put),
                        false => 0,
                    };
                    into[put..put + count].copy_from_slice(&bytes[..count]);
                    put += count;
                    kept.extend_from_slice(&bytes[count..]);
                });
        let left = &encrypted[used..];
        if left.is_empty() {
            if self.state.rest.capacity() > 0 {
                self.state.rest = Vec::new();
            }
        } else {
            self.state.rest.clear();
            self.state.rest.extend_from_slice(left);
        }
        match came {
            Ok(Came::Ended) => self.state.is_over = true,
            Ok(_) => {}
            Err(error) => {
                self.state.has_failed = true;
                // Who speaks no TLS would take it for an answer; OpenSSL is silent then, too.
                if self.state.has_spoken || encrypted.first() == Some(&HANDSHAKE) {
                    self.state.session.last_words(&mut self.state.sealed);
                }
                // Who has broken the rules may not read it either.
                let _ = self.push();
                return Err(error);
            }
        }
        if self.state.rest.len() > REST_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a message of the handshake is too long",
            ));
        }
        self.state.is_shaking = self.state.session.is_handshaking();
        Ok(put)
    }

    /// Takes what was decrypted before.
    fn take_plain(&mut self, into: &mut [u8]) -> usize {
        let left = &self.state.plain[self.state.taken..];
        let count = left.len().min(into.len());
        into[..count].copy_from_slice(&left[..count]);
        self.state.taken += count;
        if self.state.taken == self.state.plain.len() {
            (self.state.plain, self.state.taken) = (Vec::new(), 0);
        }
        count
    }

    /// Encrypts so many bytes and hands them to the socket; whether it took all.
    fn seal(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let mut out = SCRATCH.with_borrow_mut(|scratch| std::mem::take(&mut scratch.sealed));
        let sealed = self.seal_by(&mut out, bytes);
        SCRATCH.with_borrow_mut(|scratch| scratch.sealed = out);
        sealed
    }

    fn seal_by(&mut self, out: &mut Vec<u8>, bytes: &[u8]) -> io::Result<bool> {
        out.clear();
        let kept = &mut self.state.plain;
        let mut more = |bytes: &[u8]| kept.extend_from_slice(bytes);
        let (used, came) = self
            .state
            .session
            .work(&mut self.state.rest, out, bytes, &mut more);
        self.state.rest.drain(..used);
        if !matches!(came, Ok(Came::Ready)) {
            self.state.has_failed = true;
            return Err(came.err().unwrap_or(io::ErrorKind::BrokenPipe.into()));
        }
        let mut sent = 0;
        while sent < out.len() {
            match self.inner.write(&out[sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.state.sealed.extend_from_slice(&out[sent..]);
        Ok(sent == out.len())
    }

    fn write_all_of(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.state.has_failed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if self.state.is_shaking && self.shake()? != Shake::Done || !self.push()? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut written = 0;
        let mut slices = slices.iter().filter(|slice| !slice.is_empty()).peekable();
        let mut gathered = SCRATCH.with_borrow_mut(|scratch| std::mem::take(&mut scratch.gathered));
        gathered.clear();
        let mut go = || -> io::Result<()> {
            while let Some(slice) = slices.next() {
                let is_last = slices.peek().is_none();
                let mut rest: &[u8] = slice;
                while !rest.is_empty() {
                    let is_whole = gathered.is_empty() && (is_last || rest.len() >= RECORD);
                    let count = rest.len().min(SEAL_MAX - gathered.len());
                    let (part, behind) = rest.split_at(count);
                    rest = behind;
                    let sealed = if is_whole {
                        Some((self.seal(part)?, count))
                    } else {
                        gathered.extend_from_slice(part);
                        let is_due = gathered.len() == SEAL_MAX || (is_last && rest.is_empty());
                        match is_due {
                            true => {
                                let count = gathered.len();
                                let took = self.seal(&gathered)?;
                                gathered.clear();
                                Some((took, count))
                            }
                            false => None,
                        }
                    };
                    if let Some((took_all, count)) = sealed {
                        written += count;
                        if !took_all || written >= WRITE_MAX {
                            return Ok(());
                        }
                    }
                }
            }
            Ok(())
        };
        let done = go();
        SCRATCH.with_borrow_mut(|scratch| scratch.gathered = gathered);
        done.map(|()| written)
    }
}

/// Whether it is only too early: the socket is full or empty, or not connected yet.
fn is_patience(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected
    )
}

impl Traveller for Traveling {
    fn arrive(self: Box<Self>) -> Stream {
        let Traveling { inner, state } = *self;
        let inner = inner.into();
        Stream::Other(Box::new(TlsStream { inner, state }))
    }
}

impl fmt::Debug for Traveling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traveling")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl Read for TlsStream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.state.taken < self.state.plain.len() {
            return Ok(self.take_plain(into));
        }
        while self.state.is_shaking {
            match self.shake()? {
                Shake::Done | Shake::Goes => {}
                Shake::Waits => return Err(io::ErrorKind::WouldBlock.into()),
            }
        }
        loop {
            if self.state.taken < self.state.plain.len() {
                return Ok(self.take_plain(into));
            }
            if self.state.has_failed {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            if self.state.is_over {
                return Ok(0);
            }
            // A record may come in parts, and hold nothing for the caller: that is no end.
            let count = self.fill(into.len().min(READ_MAX), into)?;
            if count > 0 {
                return Ok(count);
            }
        }
    }
}

impl Write for TlsStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all_of(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write_all_of(slices)
    }

    /// Sends what was taken and has not left; `WouldBlock` if the socket does not take all of it.
    fn flush(&mut self) -> io::Result<()> {
        match self.push()? {
            true => Ok(()),
            false => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Source for TlsStream {
    fn register(&mut self, to: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        self.inner.register(to, token, interest)
    }

    fn reregister(&mut self, to: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        self.inner.reregister(to, token, interest)
    }

    fn deregister(&mut self, from: &Registry) -> io::Result<()> {
        self.inner.deregister(from)
    }
}

impl Outlet for TlsStream {}

impl Socket for TlsStream {
    fn peer(&self) -> Address {
        self.inner.peer()
    }

    fn local(&self) -> Address {
        self.inner.local()
    }

    fn shutdown(&mut self) {
        if !self.state.is_shaking && !self.state.has_failed && self.state.sealed.is_empty() {
            let mut room = [0; 2 * RECORD_OVERHEAD];
            let length = self.state.session.goodbye(&mut self.state.rest, &mut room);
            // Whoever is gone does not hear it.
            let _ = self.inner.write(&room[..length]);
        }
        self.inner.shutdown();
    }

    fn fd(&self) -> RawFd {
        self.inner.fd()
    }

    fn tcp(&self) -> Option<&TcpStream> {
        self.inner.tcp()
    }

    fn is_empty_after_short_read(&self) -> bool {
        self.state.is_empty && self.state.plain.is_empty()
    }

    fn is_encrypted(&self) -> bool {
        true
    }

    fn shake(&mut self) -> io::Result<Shake> {
        if self.state.has_failed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if !self.state.is_shaking {
            return Ok(match self.push()? {
                true => Shake::Done,
                false => Shake::Waits,
            });
        }
        if matches!(self.state.session, Session::Client(_)) && self.state.sealed.is_empty() {
            // It is the client that begins.
            let mut rest = std::mem::take(&mut self.state.rest);
            self.decrypt(&mut rest, &mut [])?;
        }
        self.push()?;
        match self.fill(RECORD, &mut []) {
            Ok(_) if self.state.is_over && self.state.is_shaking => {
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            Ok(_) if self.push()? && !self.state.is_shaking => Ok(Shake::Done),
            Ok(_) => Ok(Shake::Goes),
            Err(error) if is_patience(&error) => Ok(Shake::Waits),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Shake::Goes),
            Err(error) => Err(error),
        }
    }

    /// Where its hands are shaken, and it is over a socket of the system. (It can go before that, too, to have them shaken.)
    fn is_movable(&self) -> bool {
        let over = matches!(self.inner, Stream::Tcp(_) | Stream::Unix(..));
        over && !self.state.is_shaking && !self.state.has_failed
    }

    fn depart(self: Box<Self>) -> Departure {
        let TlsStream { inner, state } = *self;
        match Movable::of(inner) {
            Ok(inner) => Departure::Goes(Movable::Other(Box::new(Traveling { inner, state }))),
            Err(inner) => Departure::Stays(Box::new(TlsStream { inner, state })),
        }
    }

    fn memory(&self) -> usize {
        size_of::<TlsStream>()
            + size_of::<State>()
            + self.state.rest.capacity()
            + self.state.plain.capacity()
            + self.state.sealed.capacity()
    }
}

fn goodbye<Data>(
    state: Result<ConnectionState<'_, '_, Data>, rustls::Error>,
    room: &mut [u8],
) -> usize {
    match state {
        Ok(ConnectionState::WriteTraffic(mut traffic)) => {
            traffic.queue_close_notify(room).unwrap_or(0)
        }
        _ => 0,
    }
}
