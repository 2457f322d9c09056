//! Clients that end: every order of requests, MULTI, a command that waits, a large reply, an error and QUIT, with the client
//! closing its side, closing all, or waiting for the server, and reading at once or late. Beside 7.0.15, whose answer must
//! be the beginning of ours, and all of it where the socket takes the replies.

use std::io::Read;
use std::net::{Ipv4Addr, Shutdown, SocketAddr};

use socket2::{Domain, Socket, Type};

use crate::support::process::{Program, Server};
use crate::support::{Connection, Folder, PATIENCE, Setup, wait_until};

/// Larger than what both ends' sockets hold.
const LARGE: usize = 8 << 20;

/// Something that a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Small requests.
    Requests,
    /// MULTI and a command, without EXEC.
    Multi,
    /// A command that waits for an element.
    Blocked,
    /// The command with a large reply.
    Large,
    /// A broken request.
    Error,
    /// QUIT.
    Quit,
}

use Step::{Blocked, Error, Large, Multi, Quit, Requests};

const STEPS: [Step; 6] = [Requests, Multi, Blocked, Large, Error, Quit];

/// What the client does when it has sent its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    /// Closes its side and reads what is left.
    Half,
    /// Goes.
    Full,
    /// Waits for the server to end.
    Wait,
}

impl Step {
    fn request(self) -> &'static [u8] {
        match self {
            Requests => b"PING\r\n*3\r\n$3\r\nSET\r\n$3\r\nran\r\n$1\r\n1\r\n",
            Multi => b"MULTI\r\nINCR n\r\n",
            Blocked => b"BLPOP queue 0\r\n",
            Large => b"GET large\r\n",
            Error => b"*1\r\n!x\r\n",
            Quit => b"QUIT\r\n",
        }
    }

    fn is_end(self) -> bool {
        matches!(self, Error | Quit)
    }
}

/// What the client must read: a reply to everything until it ends itself, or until a command waits as its input ends. To answer that as if
/// its time had run out would be a lie, which clients take for the reply; without one they ask again elsewhere.
fn expected(steps: &[Step]) -> Vec<u8> {
    let mut replies = Vec::new();
    let mut queues = false;
    for step in steps {
        let reply: &[u8] = match step {
            Requests if queues => b"+QUEUED\r\n+QUEUED\r\n",
            Requests => b"+PONG\r\n+OK\r\n",
            Multi => b"+OK\r\n+QUEUED\r\n",
            Blocked | Large if queues => b"+QUEUED\r\n",
            Blocked => break,
            Large => {
                replies.extend_from_slice(format!("${LARGE}\r\n").as_bytes());
                replies.resize(replies.len() + LARGE, b'x');
                b"\r\n"
            }
            Error => b"-ERR Protocol error: expected '$', got '!'\r\n",
            Quit => b"+OK\r\n",
        };
        replies.extend_from_slice(reply);
        if step.is_end() {
            break;
        }
        queues |= *step == Multi;
    }
    replies
}

/// The steps that run at once; those behind the first that ends or waits do not.
fn running(steps: &[Step]) -> &[Step] {
    let queued = steps.iter().position(|s| *s == Multi);
    let end = steps.iter().enumerate().position(|(at, step)| {
        step.is_end() || *step == Blocked && queued.is_none_or(|multi| at < multi)
    });
    &steps[..end.map_or(steps.len(), |at| at + 1)]
}

fn has_large_reply(steps: &[Step]) -> bool {
    steps
        .iter()
        .take_while(|s| **s != Multi)
        .any(|s| *s == Large)
}

/// All orders of up to `most` different steps.
fn orders(most: usize) -> Vec<Vec<Step>> {
    let mut all = vec![Vec::new()];
    let mut last: Vec<Vec<Step>> = all.clone();
    for _ in 0..most {
        last = last
            .iter()
            .flat_map(|order| {
                STEPS
                    .iter()
                    .filter(|step| !order.contains(step))
                    .map(|step| [order.as_slice(), &[*step]].concat())
                    .collect::<Vec<_>>()
            })
            .collect();
        all.extend(last.iter().cloned());
    }
    all
}

struct Place {
    server: Server,
    control: Connection,
}

impl Place {
    fn new(program: Program, folder: &Folder) -> Place {
        let server = Setup::new(program, folder).start();
        let mut control = server.connect();
        control.good_call(&[b"SET".as_slice(), b"large", &vec![b'x'; LARGE]]);
        Place { server, control }
    }

    /// A client that takes little at a time.
    fn client(&self) -> Socket {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(64 << 10).unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.server.port));
        socket.connect(&address.into()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    /// The other clients' lines.
    fn others(&mut self) -> Vec<String> {
        let list = self.control.text("CLIENT LIST");
        let others = list
            .lines()
            .filter(|line| !line.contains("cmd=client|list"));
        others.map(str::to_string).collect()
    }

    /// Clients that were ever let in.
    fn came(&mut self) -> String {
        self.control.info("stats")["total_connections_received"].clone()
    }

    /// What a client reads that sends these steps and then does the last; nothing if it goes.
    fn play(&mut self, steps: &[Step], last: Last, late: bool) -> Vec<u8> {
        let before = self.came();
        let mut socket = self.client();
        let requests: Vec<u8> = steps
            .iter()
            .flat_map(|step| step.request().to_vec())
            .collect();
        std::io::Write::write_all(&mut socket, &requests).unwrap();
        let mut socket = Some(socket).filter(|_| last != Last::Full);
        if let Some(socket) = socket.as_ref().filter(|_| last == Last::Half) {
            socket.shutdown(Shutdown::Write).unwrap();
        }
        if late {
            wait_until("the socket is full, or the client gone", || {
                let others = self.others();
                others.is_empty() || others.iter().any(|line| line.contains("events=rw"))
            });
        }
        let mut replies = Vec::new();
        if let Some(socket) = &mut socket {
            // A server that hangs up with unread input resets the connection: that is an end too.
            if let Err(error) = socket.read_to_end(&mut replies) {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
            }
        }
        drop(socket);
        // Who is not there yet is not gone.
        wait_until("the client was let in", || self.came() != before);
        wait_until("the client is gone", || self.others().is_empty());
        replies
    }

    /// Whether the first requests ran; that no waiting client took an element; and that nothing of MULTI ran.
    fn effects(&mut self) -> i64 {
        assert_eq!(self.control.int("RPUSH queue x"), 1);
        assert_eq!(self.control.int("LLEN queue"), 1, "somebody took it");
        assert_eq!(self.control.int("EXISTS n"), 0);
        let ran = self.control.int("DEL ran");
        self.control.good("DEL queue");
        ran
    }
}

#[test]
fn every_order_of_ends_gives_all_replies() {
    let folders = [Folder::new(), Folder::new()];
    let mut ours = Place::new(Program::Cairn, &folders[0]);
    let mut reference = Place::new(Program::Reference, &folders[1]);
    for steps in orders(3) {
        let late = has_large_reply(running(&steps));
        for last in [Last::Half, Last::Full, Last::Wait] {
            let waits_for_ever = running(&steps).last().is_none_or(|step| !step.is_end());
            if last == Last::Wait && waits_for_ever {
                continue;
            }
            for late in [false, true].into_iter().take(if late { 2 } else { 1 }) {
                let what = format!("{steps:?}, {last:?}, late: {late}");
                let found = ours.play(&steps, last, late);
                let other = reference.play(&steps, last, late);
                if last != Last::Full {
                    let expected = expected(&steps);
                    assert!(found == expected, "{what}: {}", shown(&found));
                    assert!(expected.starts_with(&other), "{what}: {}", shown(&other));
                }
                if !steps.contains(&Large) {
                    assert_eq!(shown(&found), shown(&other), "{what}");
                }
                let ran = ours.effects();
                let there = reference.effects();
                assert_eq!(ran, there, "{what}");
            }
        }
    }
}

fn shown(bytes: &[u8]) -> String {
    let end = bytes.len().min(200);
    format!("{} bytes: {}", bytes.len(), bytes[..end].escape_ascii())
}

#[test]
fn a_half_closed_client_beyond_its_limit_gets_no_part_of_a_reply() {
    for program in [Program::Cairn, Program::Reference] {
        let folder = Folder::new();
        let mut place = Place::new(program, &folder);
        place.control.good_call(&[
            "CONFIG",
            "SET",
            "client-output-buffer-limit",
            "normal 1mb 0 0",
        ]);
        for steps in [&[Large][..], &[Requests, Large], &[Large, Requests, Quit]] {
            assert_eq!(
                place.play(steps, Last::Half, false),
                b"",
                "{program:?} {steps:?}"
            );
        }
    }
}

#[test]
fn all_that_a_half_closed_client_sent_runs_however_much_it_is() {
    let folder = Folder::new();
    let place = Place::new(Program::Cairn, &folder);
    // More than one turn takes, and more replies than the sockets hold.
    let count = 400_000;
    let mut socket = place.client();
    let mut writer = socket.try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        std::io::Write::write_all(&mut writer, &b"INCR sum\r\n".repeat(count)).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut replies = Vec::new();
    socket.read_to_end(&mut replies).unwrap();
    sender.join().unwrap();
    assert!(replies.ends_with(format!("\r\n:{count}\r\n").as_bytes()));
}
