//! What comes to a port for TLS before anybody is known.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use cairn_server::host::{Address, Departure, Host, Outlet, Shake, Socket, Stream};
use cairn_server::os::SystemHost;
use cairn_server::tls::{Asks, Encryption, Plan};
use mio::event::Source;
use mio::{Interest, Registry, Token};

/// No half of a handshake takes more memory than this, bytes.
const MEMORY_MAX: usize = 160 * 1024;

/// A socket that so many bytes come from at once.
#[derive(Debug)]
struct Wire {
    bytes: Rc<RefCell<VecDeque<u8>>>,
    step: usize,
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut bytes = self.bytes.borrow_mut();
        let count = into.len().min(self.step).min(bytes.len());
        for (byte, from) in into.iter_mut().zip(bytes.drain(..count)) {
            *byte = from;
        }
        match count {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Source for Wire {
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

impl Outlet for Wire {}

impl Socket for Wire {
    fn depart(self: Box<Self>) -> Departure {
        Departure::Stays(self)
    }

    fn peer(&self) -> Address {
        Address::Unix(String::new())
    }
    fn local(&self) -> Address {
        Address::Unix(String::new())
    }
    fn shutdown(&mut self) {}
    fn fd(&self) -> i32 {
        -1
    }
    fn tcp(&self) -> Option<&mio::net::TcpStream> {
        None
    }
    fn is_empty_after_short_read(&self) -> bool {
        true
    }
}

fn encryption() -> Encryption {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/tls");
    let file = |name: &str| folder.join(name);
    let plan = Plan {
        identity: (file("ec.crt"), file("ec.key"), Vec::new()),
        client_identity: Default::default(),
        ca_file: file("ca.crt"),
        ca_dir: Default::default(),
        asks: Asks::Must,
        is_between_servers: false,
        protocols: String::new(),
        ciphers: String::new(),
        ciphersuites: String::new(),
        prefers_ours: false,
        sessions: None,
    };
    let host = SystemHost::new();
    let encryption = Encryption::default();
    let renewed = encryption.renew(&plan, &*host.disk(), &Arc::clone(host.clock()));
    renewed.expect("the certificates of testdata/tls are good");
    encryption
}

/// What clients of TLS say first, in pieces of several lengths.
pub fn hellos() -> Vec<Vec<u8>> {
    let hellos: [&[u8]; 2] = [
        include_bytes!("../../../testdata/tls/hello-1.3.bin"),
        include_bytes!("../../../testdata/tls/hello-1.2.bin"),
    ];
    let with_step = |step: u8| hellos.map(|hello| [&[step], hello].concat());
    [0, 1, 255].into_iter().flat_map(with_step).collect()
}

thread_local! {
    static ENCRYPTION: Encryption = encryption();
}

/// Whatever comes, in pieces of any length: nobody is let in, who breaks the rules is told apart from who has not said all, and
/// little is kept of either.
pub fn run(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else {
        return;
    };
    let wire = Wire {
        bytes: Rc::new(RefCell::new(rest.iter().copied().collect())),
        step: 1 + usize::from(*first) * 16,
    };
    let left = Rc::clone(&wire.bytes);
    let stream = Stream::Other(Box::new(wire));
    let accepted = ENCRYPTION.with(|encryption| encryption.accept(stream));
    let mut stream = accepted.expect("it is planned");
    loop {
        match stream.shake() {
            Ok(Shake::Goes) => {}
            Ok(Shake::Done) => panic!("let in without a certificate"),
            Ok(Shake::Waits) => {
                assert!(left.borrow().is_empty(), "it waits for what is there");
                break;
            }
            Err(_) => break,
        }
        assert!(stream.memory() <= MEMORY_MAX, "{} bytes", stream.memory());
    }
    stream.shutdown();
}
