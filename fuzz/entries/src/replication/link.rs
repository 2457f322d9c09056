//! A replica's connection to its primary.

use cairn_replication::link::{About, Link, Order, Resume};

use super::name;
use crate::steps::Steps;

/// What a silent primary is given.
const TIMEOUT_MS: u64 = 60_000;
/// The longest delay with what is added to it at random.
const DELAY_MAX_MS: u64 = 37_500;
/// Bytes of an answer that may wait for their end.
const WAITING_MAX: usize = 1024;
/// The longest line of the log: an answer, escaped, and words around it.
const SHOWN_MAX: usize = 4 * WAITING_MAX + 400;

/// Answers that lead on.
const ANSWERS: &[&str] = &[
    "+PONG\r\n",
    "+OK\r\n",
    "\n",
    "-NOAUTH Authentication required.\r\n",
    "-ERR no\r\n",
    "-NOMASTERLINK no\r\n",
    "+CONTINUE\r\n",
    "+CONTINUE 0303030303030303030303030303030303030303\r\n",
    "+FULLRESYNC 0303030303030303030303030303030303030303 41\r\n",
    "$7\r\n",
    "$0\r\n",
    "$9223372036854775808\r\n",
    "$EOF:0404040404040404040404040404040404040404\r\n",
    "0404040404040404040404040404040404040404",
];

/// What a replica has, that a primary is asked with it, and where its snapshots go.
struct Replica {
    link: Link,
    about: About,
    now_ms: u64,
    /// Come, and not understood yet.
    input: Vec<u8>,
    /// Bytes of the snapshot so far, if one comes.
    file: Option<Vec<u8>>,
    /// What it was to do so far.
    orders: Vec<String>,
}

impl Replica {
    fn new(about: About) -> Replica {
        Replica {
            link: Link::new("primary", 6379, 0),
            about,
            now_ms: 0,
            input: Vec::new(),
            file: None,
            orders: Vec::new(),
        }
    }

    fn connect(&mut self) {
        if self.link.is_due(self.now_ms) {
            self.input.clear();
            self.file = None;
            assert_eq!(self.link.connected(self.now_ms), b"*1\r\n$4\r\nPING\r\n");
        }
    }

    /// Understands what it can, as the server does.
    fn come(&mut self, bytes: &[u8]) {
        if self.is_idle() {
            return;
        }
        self.input.extend_from_slice(bytes);
        loop {
            let mut nowhere = Vec::new();
            let file = self.file.as_mut().unwrap_or(&mut nowhere);
            let (taken, order) = self
                .link
                .input(&self.input, &self.about, self.now_ms, file)
                .expect("memory takes everything");
            assert!(taken <= self.input.len());
            assert!(nowhere.is_empty(), "a snapshot without a file");
            self.input.drain(..taken);
            match order {
                Order::Wait if taken == 0 => break,
                Order::Wait => continue,
                _ => {}
            }
            self.orders.push(format!("{order:?}"));
            match order {
                Order::Fail(failure) => return self.fail(failure),
                Order::Open(size) => {
                    assert_eq!(self.link.progress(), (size, 0));
                    self.file = Some(Vec::new());
                }
                Order::Load => assert!(self.link.is_loading()),
                Order::Continue(_) => assert!(self.link.is_up() && self.about.resume.is_some()),
                Order::Reject => assert!(self.about.failover),
                Order::Send(bytes) => assert!(bytes.len() < 1000),
                Order::Wait => {}
            }
        }
        match self.link.is_up() || self.link.is_loading() {
            // Commands, and what comes while a snapshot is loaded, are somebody else's.
            true => self.input.clear(),
            false => assert!(self.input.len() <= WAITING_MAX, "{}", self.input.len()),
        }
    }

    /// Whether there is no connection.
    fn is_idle(&self) -> bool {
        self.link.is_due(u64::MAX)
    }

    fn fail(&mut self, failure: cairn_replication::link::Failure) {
        self.link.failed(failure, self.now_ms, u64::MAX);
        self.input.clear();
        self.file = None;
        assert!(!self.link.is_up() && !self.link.is_syncing());
        assert!(self.link.is_due(self.now_ms + DELAY_MAX_MS), "never again");
    }

    fn check(&mut self) {
        let link = &mut self.link;
        assert!(!(link.is_up() && link.is_syncing()));
        assert_eq!(link.is_up(), link.state_word() == "connected");
        assert_eq!(link.is_syncing(), link.state_word() == "sync");
        let (all, come) = link.progress();
        assert!(all.is_none_or(|all| come <= all));
        if let Some(file) = &self.file {
            assert!(file.len() as u64 <= come);
        }
        // The stream can go on from there.
        assert!(
            link.given()
                .is_none_or(|(_, offset)| offset <= i64::MAX as u64)
        );
        for line in link.take_lines() {
            assert!(line.len() <= SHOWN_MAX, "{} bytes: {line:.100}", line.len());
        }
    }
}

fn about(steps: &mut Steps) -> About {
    About {
        password: if steps.flip() {
            b"pw".to_vec()
        } else {
            Vec::new()
        },
        address: if steps.flip() {
            "10.1.2.3".into()
        } else {
            String::new()
        },
        port: 7777,
        reads: 80,
        resume: steps.flip().then(|| Resume {
            id: name(1),
            from: 12,
        }),
        failover: steps.below(8) == 0,
        ..About::default()
    }
}

/// In any state any bytes are understood, waited for the rest of, or a reason to hang up; the link can always be tried again, and nothing grows without an end.
pub fn run(bytes: &[u8]) {
    let mut steps = Steps::new(bytes);
    let mut replica = Replica::new(about(&mut steps));
    while !steps.is_done() {
        match steps.byte() % 12 {
            0 => {
                replica.now_ms += steps.below(100_000) as u64;
                if let Some(failure) = replica.link.tick(replica.now_ms, TIMEOUT_MS) {
                    replica.fail(failure);
                }
            }
            1 | 2 => replica.connect(),
            3 => {
                if let Some(failure) = replica.link.lost() {
                    replica.fail(failure);
                }
            }
            4 if replica.link.is_loading() => replica.link.loaded(replica.now_ms),
            5..=8 => {
                let answer = ANSWERS[steps.below(ANSWERS.len())];
                replica.come(answer.as_bytes());
            }
            _ => {
                let len = steps.below(2000);
                replica.come(steps.take(len));
            }
        }
        replica.check();
    }
    in_pieces(bytes);
}

/// A conversation from its beginning: the same is made of it, in whatever pieces it comes. But for a marker, which is one only
/// at the end of what has come.
fn in_pieces(bytes: &[u8]) {
    if bytes.windows(5).any(|at| at == b"$EOF:") {
        return;
    }
    let step = bytes.first().map_or(1, |byte| usize::from(*byte) + 1);
    let [whole, pieces] = [bytes.len().max(1), step].map(|step| {
        let mut replica = Replica::new(About {
            resume: Some(Resume {
                id: name(1),
                from: 12,
            }),
            ..About::default()
        });
        replica.connect();
        for piece in bytes.chunks(step) {
            replica.come(piece);
            replica.check();
        }
        (replica.link.state_word(), replica.orders)
    });
    assert_eq!(whole, pieces);
}
