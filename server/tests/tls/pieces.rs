//! Bytes that come and go in pieces of any length: a whole conversation, cut at every place.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::Arc;

use cairn_server::host::{Address, Departure, Host, Outlet, Shake, Socket, Stream};
use cairn_server::os::SystemHost;
use cairn_server::tls::{Asks, Encryption, Plan, Sessions};
use mio::event::Source;
use mio::{Interest, Registry, Token};

use super::talk::Place;

/// One way of a connection: takes and gives so many bytes, and no more before it is told to.
#[derive(Debug, Default)]
struct Way {
    bytes: VecDeque<u8>,
    /// Bytes that may still be given.
    given: usize,
    /// Bytes that may still be taken.
    taken: usize,
}

#[derive(Debug)]
struct Half {
    reads: Rc<RefCell<Way>>,
    writes: Rc<RefCell<Way>>,
}

impl Read for Half {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut way = self.reads.borrow_mut();
        let count = into.len().min(way.bytes.len()).min(way.given);
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        way.given -= count;
        for (byte, from) in into.iter_mut().zip(way.bytes.drain(..count)) {
            *byte = from;
        }
        Ok(count)
    }
}

impl Write for Half {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut way = self.writes.borrow_mut();
        let count = bytes.len().min(way.taken);
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        way.taken -= count;
        way.bytes.extend(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Source for Half {
    fn register(&mut self, _: &Registry, _: Token, _: Interest) -> io::Result<()> {
        Ok(())
    }
    fn reregister(&mut self, _: &Registry, _: Token, _: Interest) -> io::Result<()> {
        Ok(())
    }
    fn deregister(&mut self, _: &Registry) -> io::Result<()> {
        Ok(())
    }
}

impl Outlet for Half {}

impl Socket for Half {
    fn depart(self: Box<Self>) -> Departure {
        Departure::Stays(self)
    }

    fn peer(&self) -> Address {
        Address::Unix("there".into())
    }
    fn local(&self) -> Address {
        Address::Unix("here".into())
    }
    fn shutdown(&mut self) {}
    fn fd(&self) -> RawFd {
        -1
    }
    fn tcp(&self) -> Option<&mio::net::TcpStream> {
        None
    }
    fn is_empty_after_short_read(&self) -> bool {
        false
    }
}

fn encryption(place: &Place) -> Encryption {
    let file = |name: &str| place.folder.data().join(name);
    let plan = Plan {
        identity: (file("server.crt"), file("server.key"), Vec::new()),
        client_identity: (file("client.crt"), file("client.key"), Vec::new()),
        ca_file: file("ca.crt"),
        ca_dir: "".into(),
        asks: Asks::Must,
        is_between_servers: true,
        protocols: String::new(),
        ciphers: String::new(),
        ciphersuites: String::new(),
        prefers_ours: false,
        sessions: Some(Sessions {
            size: 10,
            timeout_s: 10,
        }),
    };
    let host = SystemHost::new();
    let encryption = Encryption::default();
    encryption
        .renew(&plan, &*host.disk(), &Arc::clone(host.clock()))
        .unwrap();
    encryption
}

/// What one end still has to write, and what it has read.
struct End {
    stream: Stream,
    left: Vec<u8>,
    read: Vec<u8>,
}

impl End {
    /// Goes as far as it goes.
    fn go_on(&mut self) {
        loop {
            match self.stream.shake().expect("they agree") {
                Shake::Done => break,
                Shake::Goes => {}
                Shake::Waits => return,
            }
        }
        while !self.left.is_empty() {
            match self.stream.write(&self.left) {
                Ok(count) => drop(self.left.drain(..count)),
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    break;
                }
            }
        }
        if let Err(error) = self.stream.flush() {
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        }
        let mut room = [0; 700];
        loop {
            match self.stream.read(&mut room) {
                Ok(0) => panic!("nobody has ended it"),
                Ok(count) => self.read.extend_from_slice(&room[..count]),
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    break;
                }
            }
        }
    }
}

/// Lets both talk, with as many bytes at once as `steps` says in turn, the last of them for ever.
fn talk(encryption: &Encryption, bytes: usize, steps: &[usize]) {
    let ways = [
        Rc::new(RefCell::new(Way::default())),
        Rc::new(RefCell::new(Way::default())),
    ];
    let half = |reads: usize| {
        Stream::Other(Box::new(Half {
            reads: Rc::clone(&ways[reads]),
            writes: Rc::clone(&ways[1 - reads]),
        }))
    };
    let contents =
        |seed: usize| -> Vec<u8> { (0..bytes).map(|at| (at * seed % 251) as u8).collect() };
    let end = |stream, left| End {
        stream,
        left,
        read: Vec::new(),
    };
    let mut ends = [
        end(encryption.accept(half(0)).unwrap(), contents(3)),
        end(encryption.connect(half(1)).unwrap(), contents(7)),
    ];
    let mut turn = 0;
    while ends.iter().any(|end| end.read.len() < bytes) {
        let step = steps[turn.min(steps.len() - 1)];
        for way in &ways {
            let mut way = way.borrow_mut();
            (way.given, way.taken) = (step, step);
        }
        ends[turn % 2].go_on();
        ends[1 - turn % 2].go_on();
        turn += 1;
        assert!(turn < 10_000_000, "they do not come to an end");
    }
    assert_eq!((&ends[0].read, &ends[1].read), (&contents(7), &contents(3)));
}

#[test]
fn a_conversation_cut_at_every_place_is_the_same() {
    let place = Place::new();
    let encryption = encryption(&place);
    // One byte at a time, and other small steps.
    for step in [1, 2, 3, 5, 7, 100, 1000, 16_384, 1 << 20] {
        talk(&encryption, 40_000, &[step]);
    }
    // Whole, but for one cut: each place of the handshake and of the first records.
    for cut in (1..6000).step_by(13) {
        talk(&encryption, 1000, &[cut, 1 << 20]);
    }
}

#[test]
fn large_writes_pass_through_narrow_places() {
    let place = Place::new();
    let encryption = encryption(&place);
    for step in [777, 20_000, 70_000] {
        talk(&encryption, 3_000_000, &[step]);
    }
}
