//! A primary and those who say that they are replicas.

use cairn_replication::ReplId;
use cairn_replication::primary::{
    Action, Answer, Asked, Filter, Greeting, PeerId, Primary, State, Timing,
};

use super::name;
use crate::steps::Steps;

/// Connections that there are.
const PEERS: usize = 6;

struct World {
    primary: Primary,
    now_ms: u64,
    /// Names that were used.
    drawn: u8,
    /// A snapshot is being made.
    snapshot: bool,
}

impl World {
    fn fresh(&mut self) -> ReplId {
        self.drawn = self.drawn.wrapping_add(1);
        name(self.drawn)
    }

    fn greet(&mut self, peer: PeerId, steps: &mut Steps) {
        let text = String::from_utf8_lossy(&steps.text()).into_owned();
        let word = match steps.byte() % 8 {
            0 => Greeting::Port(steps.int()),
            1 => match Greeting::address(text.as_bytes()) {
                Ok(word) => word,
                Err(reason) => {
                    assert!(text.len() > 255 && reason.len() < 200);
                    return;
                }
            },
            2 => Greeting::Capability(text),
            3 => Greeting::Capability(
                ["eof", "PSYNC2", "rdb-version-80", "empty-lines"][steps.below(4)].into(),
            ),
            4 => Greeting::Version(format!("{}.{text}", steps.byte())),
            5 => Greeting::RdbOnly(steps.flip()),
            6 => Greeting::Filter(
                [Filter::Everything, Filter::Functions, Filter::Nothing][steps.below(3)],
            ),
            _ => Greeting::Version(text),
        };
        self.primary.greeted(peer, "10.0.0.9", word);
    }

    fn ask(&mut self, peer: PeerId, steps: &mut Steps) {
        let history = self.primary.history();
        let id = match steps.byte() % 5 {
            0 | 1 => history.id().as_bytes().to_vec(),
            2 => history
                .earlier()
                .map_or(b"?".to_vec(), |earlier| earlier.id.as_bytes().to_vec()),
            3 => b"?".to_vec(),
            _ => steps.text(),
        };
        let from = match steps.flip() {
            true => steps.int(),
            false => (history.offset() as i64).wrapping_add(i64::from(steps.byte() as i8)),
        };
        let (before, fresh) = (self.primary.replica(peer).cloned(), self.fresh());
        let asked = Asked { id: &id, from };
        let asked = (steps.below(4) > 0).then_some(asked);
        let kept = (steps.below(2) > 0).then(|| steps.below(1000) as u64);
        let answer = self
            .primary
            .sync(peer, "10.0.0.9", asked, fresh, kept, self.now_ms);
        match answer {
            Ok(Answer::Nothing) => {
                assert!(before.is_some_and(|replica| replica.state != State::Named));
            }
            Ok(Answer::Continue(line)) => {
                assert!(line.starts_with("+CONTINUE") && line.len() < 60);
                let behind = self.primary.bytes_behind(peer);
                let next = self.primary.history().offset() + 1 - behind;
                match self.primary.replica(peer).map(|replica| replica.state) {
                    Some(State::Transfer { .. }) => assert!((from as u64) < next && kept.is_some()),
                    _ => assert_eq!(from as u64, next),
                }
            }
            Ok(Answer::Full) => assert!(self.primary.streams()),
            Err(reason) => assert!(reason.starts_with("ERR ")),
        }
    }

    /// A snapshot begins or ends, as the server would have it.
    fn go_on_with_snapshot(&mut self, steps: &mut Steps) {
        if self.snapshot {
            self.snapshot = false;
            return self.primary.snapshot_ended(steps.below(4) > 0, self.now_ms);
        }
        let Some(wanted) = self.primary.wanted(self.now_ms) else {
            return;
        };
        assert!(wanted.replicas > 0);
        if steps.below(4) == 0 {
            return self.primary.snapshot_refused("no");
        }
        let marker = (wanted.eof && steps.flip()).then(|| self.fresh());
        self.primary.snapshot_began(wanted.filter, marker);
        self.snapshot = true;
    }

    fn send(&mut self, peer: PeerId, steps: &mut Steps) {
        let there: usize = self.primary.unsent(peer).map(<[u8]>::len).sum();
        let state = self.primary.replica(peer).map(|replica| replica.state);
        match state {
            Some(State::Transfer { .. }) => self.primary.transferred(peer, self.now_ms),
            Some(State::Online { .. }) => {
                assert_eq!(there as u64, self.primary.bytes_behind(peer));
                self.primary.sent(peer, steps.below(there + 1) as u64);
            }
            _ => assert_eq!(there, 0, "nothing is unsent to who is not online"),
        }
    }

    /// Does what is to be done; nobody is sent more than a line at once.
    fn act(&mut self) {
        for action in self.primary.take_actions() {
            match action {
                Action::Close(peer) | Action::Dismiss(peer) => {
                    self.primary.gone(peer, self.now_ms);
                }
                Action::Enter(command) => self.primary.stream(&command),
                Action::Send(_, bytes) => assert!(bytes.len() < 1000),
                Action::Transfer(peer) => {
                    let state = self.primary.replica(peer).map(|replica| replica.state);
                    assert!(matches!(state, None | Some(State::Transfer { .. })));
                }
                Action::Replay { peer, from, until } => {
                    let state = self.primary.replica(peer).map(|replica| replica.state);
                    assert!(state.is_none_or(|state| state == State::Transfer { next: until }));
                    assert!(0 < from && from < until);
                }
                Action::Log(_, line) => assert!(line.len() < 2000, "{} bytes", line.len()),
            }
        }
        let streamed = self.primary.streamed().count() + self.primary.syncing().count();
        assert!(streamed <= 2 * PEERS);
        self.primary.check().expect("the invariants of a primary");
    }
}

/// Replicas may say, ask and acknowledge whatever they like, in any order, and come and go: what they need is kept, no more is believed than there is, and nothing that they say grows.
pub fn run(bytes: &[u8]) {
    let mut steps = Steps::new(bytes);
    let mut world = World {
        primary: Primary::new(name(0), (16 * 1024) << (steps.byte() % 4)),
        now_ms: 0,
        drawn: 0,
        snapshot: false,
    };
    let timing = Timing {
        ping_ms: 10_000,
        timeout_ms: 60_000,
        backlog_ttl_ms: 100_000 * (u64::from(steps.byte()) % 3),
        no_pings: false,
        follows: false,
        is_cut_off: true,
    };
    while !steps.is_done() {
        let peer = (steps.byte() % PEERS as u8).into();
        match steps.byte() % 16 {
            0..=2 => world.greet(peer, &mut steps),
            3 | 4 => world.ask(peer, &mut steps),
            5 => {
                let (offset, synced) = (steps.int() as u64, steps.flip());
                let synced = synced.then(|| steps.int() as u64);
                let near = world.primary.history().offset();
                let offset = if steps.flip() { near } else { offset };
                world.primary.acked(peer, offset, synced, world.now_ms);
            }
            6 | 7 => {
                let len = steps.below(40_000);
                world.primary.stream(&vec![b'x'; len]);
                world.primary.note_time(world.now_ms);
            }
            8 | 9 => world.go_on_with_snapshot(&mut steps),
            10 | 11 => world.send(peer, &mut steps),
            12 => {
                world.primary.gone(peer, world.now_ms);
            }
            13 => {
                world.now_ms += steps.below(30_000) as u64;
                let fresh = world.fresh();
                world.primary.tick(world.now_ms, &timing, fresh);
            }
            14 => {
                let fresh = world.fresh();
                match steps.byte() % 4 {
                    0 => world.primary.promoted(fresh, world.now_ms),
                    1 => world.primary.renamed(fresh),
                    _ => world.primary.heard(peer, world.now_ms),
                }
            }
            _ => world.primary.set_backlog_size(steps.below(1 << 20) as u64),
        }
        world.act();
        let end = world.primary.history().offset();
        for replica in world.primary.replicas() {
            assert!(replica.acked <= end && replica.synced.is_none_or(|at| at <= end));
        }
    }
}
