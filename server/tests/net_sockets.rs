//! Listeners and connections over real sockets and a real poll.

#[path = "../../toolkit/tests/support/ports.rs"]
mod ports;

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use cairn_server::host::{Host, Level, ListenPlan, Logger, Stream};
use cairn_server::net::{Accepting, Connections, Flush, Listeners, Received, ReplyTrim};
use cairn_server::os::SystemHost;
use mio::{Events, Poll, Token};
use ports::free_port;

#[derive(Default)]
struct Lines(RefCell<Vec<String>>);

impl Logger for Lines {
    fn log(&self, _level: Level, line: &str) {
        self.0.borrow_mut().push(line.to_string());
    }
}

const FIRST_CLIENT: usize = 64;

fn plan(bind: &[&str], port: u16) -> ListenPlan {
    let bind = bind.iter().map(|word| word.to_string()).collect();
    ListenPlan {
        bind,
        port,
        mark: None,
        backlog: 128,
        unixsocket: None,
        unixsocketperm: None,
        speech: "tcp",
    }
}

fn open(plan: &ListenPlan, logger: &dyn Logger) -> Result<Listeners, String> {
    let opened = SystemHost::new().listen(plan, logger)?;
    Ok(Listeners::new(opened, 8))
}

/// A poll with one listener and room for clients.
struct Bed {
    poll: Poll,
    listeners: Listeners,
    connections: Connections,
}

impl Bed {
    fn new(plan: &ListenPlan) -> Bed {
        let poll = Poll::new().unwrap();
        let mut listeners = open(plan, &Lines::default()).unwrap();
        listeners.register(poll.registry()).unwrap();
        Bed {
            poll,
            listeners,
            connections: Connections::new(FIRST_CLIENT),
        }
    }

    fn wait(&mut self) -> Vec<(Token, bool, bool)> {
        let mut events = Events::with_capacity(64);
        self.poll
            .poll(&mut events, Some(Duration::from_secs(5)))
            .unwrap();
        events
            .iter()
            .map(|event| {
                (
                    event.token(),
                    event.is_read_closed() || event.is_error(),
                    event.is_writable(),
                )
            })
            .collect()
    }

    fn accept_one(&mut self) -> usize {
        loop {
            for (token, _, _) in self.wait() {
                let Some(place) = self.listeners.place_of(token) else {
                    continue;
                };
                let mut streams = Vec::new();
                assert!(matches!(
                    self.listeners
                        .accept(place, &mut |stream| streams.push(stream)),
                    Accepting::Drained
                ));
                let stream = streams.pop().expect("somebody waits");
                stream.set_nodelay(true).unwrap();
                stream.set_keepalive(300).unwrap();
                return self
                    .connections
                    .add(self.poll.registry(), stream, 0)
                    .unwrap();
            }
        }
    }
}

#[test]
fn what_is_small_leaves_at_once_or_waits() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let stream = Stream::Tcp(mio::net::TcpStream::connect(address).unwrap());
    for at_once in [true, false, true] {
        stream.set_nodelay(at_once).unwrap();
        let Stream::Tcp(socket) = &stream else {
            unreachable!("it was made of one")
        };
        assert_eq!(socket.nodelay().unwrap(), at_once);
    }
}

#[test]
fn star_and_optional_addresses() {
    let port = free_port();
    let listeners = open(&plan(&["*", "-::*"], port), &Lines::default()).unwrap();
    assert!(!listeners.is_empty());
    assert_eq!(
        listeners.tcp_addresses()[0].to_string(),
        format!("0.0.0.0:{port}")
    );
    drop(listeners);
    // 192.0.2.0/24 is reserved for documentation: no machine has it.
    let optional = plan(&["127.0.0.1", "-192.0.2.1"], free_port());
    assert_eq!(open(&optional, &Lines::default()).unwrap().len(), 1);
    let lines = Lines::default();
    let missing = plan(&["192.0.2.1"], 7001);
    assert_eq!(
        open(&missing, &lines).unwrap_err(),
        "Failed listening on port 7001 (tcp), aborting."
    );
    assert_eq!(lines.0.borrow().len(), 1);
}

#[test]
fn a_taken_port_is_told_as_redis_tells_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let lines = Lines::default();
    let failure = open(&plan(&["127.0.0.1"], port), &lines).unwrap_err();
    assert_eq!(
        failure,
        format!("Failed listening on port {port} (tcp), aborting.")
    );
    assert_eq!(
        lines.0.into_inner(),
        [format!(
            "Warning: Could not create server TCP listening socket 127.0.0.1:{port}: bind: Address already in use"
        )]
    );
}

#[test]
fn a_unix_socket_has_its_mode_and_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let mut unix = plan(&[], 0);
    unix.unixsocket = Some(path.clone());
    unix.unixsocketperm = Some(0o700);
    // A socket that a killed server left is replaced.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let mut bed = Bed::new(&unix);
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let mut client = UnixStream::connect(&path).unwrap();
    let slot = bed.accept_one();
    let connection = bed.connections.get_mut(slot).unwrap();
    assert_eq!(
        connection.stream().peer().to_string(),
        format!("{}:0", path.display())
    );
    assert!(connection.stream().peer().is_local());
    client.write_all(b"PING\r\n").unwrap();
    bed.wait();
    let connection = bed.connections.get_mut(slot).unwrap();
    assert_eq!(connection.receive(0).unwrap(), Received::Drained(6));
    bed.listeners.close(bed.poll.registry());
    assert!(!path.exists());
    // What is not a socket is not ours to remove.
    std::fs::write(&path, b"precious").unwrap();
    let failure = open(&unix, &Lines::default()).unwrap_err();
    assert_eq!(
        failure,
        "Failed opening Unix socket: bind: Address already in use"
    );
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}

#[test]
fn a_request_comes_in_and_a_large_reply_goes_out_as_the_socket_takes_it() {
    let port = free_port();
    let mut bed = Bed::new(&plan(&["127.0.0.1"], port));
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let slot = bed.accept_one();
    let connection = bed.connections.get_mut(slot).unwrap();
    assert_eq!(connection.id, 1);
    assert_eq!(
        connection.stream().peer().to_string(),
        client.local_addr().unwrap().to_string()
    );
    assert_eq!(
        connection.stream().local().to_string(),
        format!("127.0.0.1:{port}")
    );
    client.write_all(b"*1\r\n$4\r\nPING\r\n").unwrap();
    bed.wait();
    let connection = bed.connections.get_mut(slot).unwrap();
    connection.begin_turn(false);
    assert_eq!(connection.receive(0).unwrap(), Received::Drained(14));
    assert_eq!(connection.input.filled(), b"*1\r\n$4\r\nPING\r\n");
    connection.input.consume(14);
    // 16 MB do not fit into the socket: the first flush blocks, the poll tells when there is room.
    let value = bytes::Bytes::from(
        (0..16u32 << 20)
            .map(|at| (at % 251) as u8)
            .collect::<Vec<u8>>(),
    );
    connection.output.tail().extend_from_slice(b"$16777216\r\n");
    connection.output.push_shared(value.clone());
    connection.output.tail().extend_from_slice(b"\r\n");
    let total = connection.output.pending();
    let reader = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        let mut reply = vec![0; total];
        client.read_exact(&mut reply).unwrap();
        (client, reply)
    });
    let mut blocked = 0;
    loop {
        let connection = bed.connections.get_mut(slot).unwrap();
        let (_, flush) = connection.flush(bed.poll.registry()).unwrap();
        if flush == Flush::Done {
            break;
        }
        assert!(connection.is_blocked());
        blocked += 1;
        let events = bed.wait();
        assert!(
            events
                .iter()
                .any(|(token, _, writable)| token.0 == FIRST_CLIENT + slot && *writable)
        );
    }
    assert!(blocked > 0);
    let (client, reply) = reader.join().unwrap();
    assert_eq!(&reply[..11], b"$16777216\r\n");
    assert_eq!(&reply[11..total - 2], &value[..]);
    assert!(!bed.connections.get(slot).unwrap().is_blocked());
    // The peer ends: the event says so, and the read finds the end although it follows a short read.
    let mut client = client;
    client.write_all(b"x").unwrap();
    drop(client);
    std::thread::sleep(Duration::from_millis(20));
    let closed = bed.wait().iter().any(|(_, closed, _)| *closed);
    let connection = bed.connections.get_mut(slot).unwrap();
    connection.begin_turn(closed);
    assert_eq!(connection.receive(0).unwrap(), Received::More(1));
    assert_eq!(connection.receive(0).unwrap(), Received::End);
    assert_eq!(
        bed.connections
            .remove(bed.poll.registry(), slot)
            .unwrap()
            .id,
        1
    );
    assert!(bed.connections.is_empty());
}

#[test]
fn a_fast_sender_is_cut_short_and_comes_again_without_an_event() {
    let port = free_port();
    let mut bed = Bed::new(&plan(&["127.0.0.1"], port));
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let slot = bed.accept_one();
    let sender = std::thread::spawn(move || {
        client
            .write_all(&vec![7; 3 << 20])
            .map(|()| client)
            .unwrap()
    });
    let mut total = 0;
    let mut turns = 0;
    let mut ready = Vec::new();
    while total < 3 << 20 {
        if !bed.connections.has_ready() {
            bed.wait();
            bed.connections.mark_ready(slot);
            bed.connections.mark_ready(slot);
        }
        bed.connections.take_ready(&mut ready);
        assert_eq!(ready, [slot]);
        let connection = bed.connections.get_mut(slot).unwrap();
        connection.begin_turn(false);
        turns += 1;
        let mut again = false;
        loop {
            match connection.receive(0).unwrap() {
                Received::More(count) => {
                    total += count;
                    connection.input.consume(count);
                }
                Received::Drained(count) => {
                    total += count;
                    connection.input.consume(count);
                    break;
                }
                Received::End => panic!("the sender is still there"),
            }
            if connection.turn_is_over() {
                again = true;
                break;
            }
        }
        if again {
            bed.connections.mark_ready(slot);
        }
    }
    assert_eq!(total, 3 << 20);
    assert!(turns >= 3, "{turns} turns");
    drop(sender.join().unwrap());
    let connection = bed.connections.get_mut(slot).unwrap();
    connection.trim(5000, 2000, ReplyTrim::default());
    assert_eq!(connection.input.capacity(), 0);
}

#[test]
fn slots_are_used_again_and_ids_are_not() {
    let port = free_port();
    let mut bed = Bed::new(&plan(&["127.0.0.1"], port));
    let _first = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let slot = bed.accept_one();
    bed.connections.mark_touched(slot);
    bed.connections.remove(bed.poll.registry(), slot);
    assert!(bed.connections.remove(bed.poll.registry(), slot).is_none());
    let mut touched = Vec::new();
    bed.connections.take_touched(&mut touched);
    assert_eq!(touched, [slot]);
    let _second = TcpStream::connect(("127.0.0.1", port)).unwrap();
    assert_eq!(bed.accept_one(), slot);
    assert_eq!(bed.connections.get(slot).unwrap().id, 2);
    assert_eq!(bed.connections.iter().count(), 1);
    assert_eq!(bed.connections.slot_of(Token(FIRST_CLIENT)), Some(0));
    assert_eq!(bed.connections.slot_of(Token(FIRST_CLIENT - 1)), None);
}
