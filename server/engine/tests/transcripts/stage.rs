//! The world of a replayed session: an engine, its connections, and a clock that stands still between the waits.

use std::any::Any;
use std::collections::BTreeMap;

use cairn_engine::Engine;
use cairn_engine::base::args::{Args, ArgsBuf};
use cairn_engine::base::effect::Feed;
use cairn_engine::base::id::SessionId;
use cairn_engine::base::time::Now;
use cairn_engine::call::peer::{PeerAnswer, PeerCall, PeerFailure};
use cairn_engine::call::{Instance, Reply};
use cairn_format::resp::request::{Limits, RequestParser, Step};
use cairn_format::resp::value::{Value, write_command};

use super::instance;

/// Wall time at the start, milliseconds: near the time of the recordings, because those name expiries of their future.
const START_MS: i64 = 1_790_000_000_000;

/// What the engine sees of the world.
#[derive(Debug, Default)]
pub struct World {
    /// Both clocks.
    pub now: Now,
    /// Bytes for sessions, beside their own replies.
    delivered: BTreeMap<SessionId, Vec<u8>>,
    /// Sessions that were closed by others.
    closed: Vec<SessionId>,
    /// Propagated commands, as a replica would read them.
    fed: Vec<Vec<Vec<u8>>>,
    fed_db: usize,
    /// The running command has slept so long.
    pub slept_ms: u64,
    /// A command of the instance that this small one does not have was called.
    pub lacking: bool,
}

impl Instance for World {
    fn now(&mut self) -> Now {
        self.now
    }

    fn deliver(&mut self, to: SessionId, bytes: &[u8]) {
        self.delivered
            .entry(to)
            .or_default()
            .extend_from_slice(bytes);
    }

    fn close(&mut self, session: SessionId) {
        self.closed.push(session);
    }

    fn feed(&mut self, changes: &Feed, transaction: bool) -> u64 {
        let word = |word: &str| vec![word.as_bytes().to_vec()];
        for (i, (db, bytes)) in changes.iter().enumerate() {
            if db != self.fed_db {
                self.fed_db = db;
                self.fed
                    .push(vec![b"SELECT".to_vec(), db.to_string().into_bytes()]);
            }
            if i == 0 && transaction {
                self.fed.push(word("MULTI"));
            }
            self.fed.push(words(bytes));
        }
        if transaction {
            self.fed.push(word("EXEC"));
        }
        0
    }

    fn fill_secret(&mut self, bytes: &mut [u8]) -> bool {
        bytes.fill(0x5a);
        true
    }

    fn ask_peer(&mut self, _: &PeerCall) -> PeerAnswer {
        // Nobody listens anywhere, as on port 1 where the sessions were recorded.
        PeerAnswer::failed(PeerFailure::Write)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

fn words(command: &[u8]) -> Vec<Vec<u8>> {
    let (value, _) = Value::decode(command).expect("propagated commands are multibulks");
    let args = value.as_array().expect("propagated commands are arrays");
    args.iter()
        .map(|arg| arg.as_bytes().expect("of bulk strings").to_vec())
        .collect()
}

/// One connection: what was sent and not understood yet, what came back and was not read yet.
struct Connection {
    session: SessionId,
    input: Vec<u8>,
    output: Vec<u8>,
    closed: bool,
}

/// An engine with named connections.
pub struct Stage {
    /// The engine.
    pub engine: Engine,
    /// The world around it.
    pub world: World,
    proto: u64,
    connections: BTreeMap<String, Connection>,
}

impl Stage {
    /// An empty data set; changes are propagated.
    pub fn new(proto: u64) -> Stage {
        let mut engine = Engine::new(16, [11, 22, 33, 44], &[instance::COMMANDS]);
        let now = Now {
            wall_us: START_MS * 1000,
            mono_us: 1_000_000,
        };
        engine.ks.fx.feed_on = true;
        engine.set_now(now);
        let world = World {
            now,
            ..World::default()
        };
        Stage {
            engine,
            world,
            proto,
            connections: BTreeMap::new(),
        }
    }

    /// Lets time pass, and expired keys go as the server's cycle would remove them.
    pub fn sleep(&mut self, ms: u64) {
        self.world.now.wall_us += ms as i64 * 1000;
        self.world.now.mono_us += ms * 1000;
        self.engine.set_now(self.world.now);
        self.engine.time_out(&mut self.world);
        while self.engine.expire(&mut self.world, 1000).removed > 0 {}
        self.hand_out();
    }

    /// Takes what was propagated. What a replayer reads of it ends with a mark in database 0.
    pub fn take_fed(&mut self) -> Vec<Vec<Vec<u8>>> {
        if self.world.fed_db != 0 {
            self.world.fed_db = 0;
            self.world.fed.push(vec![b"SELECT".to_vec(), b"0".to_vec()]);
        }
        std::mem::take(&mut self.world.fed)
    }

    /// Whether a transaction is open on a connection.
    pub fn in_multi(&self, name: &str) -> bool {
        let session = self
            .connections
            .get(name)
            .and_then(|c| self.engine.shared.sessions.get(c.session));
        session.is_some_and(|s| s.multi.is_some())
    }

    fn connect(&mut self, name: &str) {
        if self.connections.get(name).is_some_and(|c| !c.closed) {
            return;
        }
        let session = self.engine.open_session(self.world.now);
        let connection = Connection {
            session,
            input: Vec::new(),
            output: Vec::new(),
            closed: false,
        };
        self.connections.insert(name.to_string(), connection);
        if self.proto == 3 {
            self.send_command(name, &["HELLO", "3"]);
            self.read_all(name);
        }
    }

    /// Sends a command as a multibulk.
    pub fn send_command<A: AsRef<[u8]>>(&mut self, name: &str, words: &[A]) {
        let mut bytes = Vec::new();
        write_command(&mut bytes, words);
        self.send(name, &bytes);
    }

    /// Sends bytes, and lets the engine run what is complete.
    pub fn send(&mut self, name: &str, bytes: &[u8]) {
        self.connect(name);
        let connection = self.connections.get_mut(name).expect("connected above");
        connection.input.extend_from_slice(bytes);
        self.run_connection(name);
        self.hand_out();
        if self.world.slept_ms > 0 {
            let ms = std::mem::take(&mut self.world.slept_ms);
            self.sleep(ms);
        }
    }

    fn run_connection(&mut self, name: &str) {
        let connection = self.connections.get_mut(name).expect("a connection");
        let (session, input) = (connection.session, std::mem::take(&mut connection.input));
        let mut reply = std::mem::take(&mut connection.output);
        let (consumed, closed) = self.run_input(session, &input, &mut reply);
        let connection = self.connections.get_mut(name).expect("a connection");
        connection.input = input[consumed..].to_vec();
        connection.output = reply;
        connection.closed |= closed;
    }

    fn is_blocked(&self, session: SessionId) -> bool {
        self.engine
            .shared
            .sessions
            .get(session)
            .is_some_and(|s| s.blocked)
    }

    /// Runs commands; answers how much of the input was used and whether the client is to be closed.
    fn run_input(&mut self, session: SessionId, input: &[u8], out: &mut Vec<u8>) -> (usize, bool) {
        let (mut parser, mut at) = (RequestParser::new(), 0);
        loop {
            let Some(state) = self.engine.shared.sessions.get(session) else {
                return (at, true);
            };
            let limits = Limits {
                authenticated: state.authenticated,
                ..Limits::default()
            };
            let mut ranges = Vec::new();
            let end = match parser.next(input, at, &mut ranges, &limits) {
                Step::Command { end } => {
                    let args = Args::new(input, &ranges, Some(at as u32..end as u32));
                    self.run(session, &args, out);
                    end
                }
                Step::Inline { args, end } => {
                    self.run(session, &ArgsBuf::from_slices(&args).args(), out);
                    end
                }
                Step::Skip { end } => end,
                Step::Incomplete { .. } => return (at, false),
                Step::Error(error) => {
                    out.extend_from_slice(b"-ERR ");
                    error.append_to(out);
                    out.extend_from_slice(b"\r\n");
                    return (input.len(), true);
                }
            };
            at = end;
            if self
                .engine
                .shared
                .sessions
                .get(session)
                .is_none_or(|s| s.closing)
            {
                return (at, true);
            }
        }
    }

    /// Runs one command. Messages that the client sends to itself follow its reply.
    fn run(&mut self, session: SessionId, args: &Args, out: &mut Vec<u8>) {
        let mut reply = Reply::default();
        self.engine.call(session, args, &mut reply, &mut self.world);
        out.extend(reply.flat());
        out.extend(self.world.delivered.remove(&session).unwrap_or_default());
    }

    /// Puts messages behind what their receivers have not read yet, and lets those go on who do not wait any more.
    fn hand_out(&mut self) {
        let names: Vec<String> = self.connections.keys().cloned().collect();
        for name in names {
            let connection = self.connections.get_mut(&name).expect("a name of the list");
            let session = connection.session;
            connection
                .output
                .extend(self.world.delivered.remove(&session).unwrap_or_default());
            connection.closed |= self.world.closed.contains(&session);
            if !connection.input.is_empty() && !connection.closed && !self.is_blocked(session) {
                self.run_connection(&name);
            }
        }
    }

    /// Takes what waits to be read, also from a connection that was closed since.
    pub fn read_all(&mut self, name: &str) -> Vec<u8> {
        if !self.connections.contains_key(name) {
            self.connect(name);
        }
        self.connections
            .get_mut(name)
            .map(|c| std::mem::take(&mut c.output))
            .unwrap_or_default()
    }

    /// Takes so many frames; all that is there if there are fewer.
    pub fn read_frames(&mut self, name: &str, count: usize) -> Vec<u8> {
        self.wait_for(name, count);
        let all = self.read_all(name);
        let mut at = 0;
        for _ in 0..count {
            at = super::compare::frame_end(&all, at).unwrap_or(all.len());
        }
        self.put_back(name, &all[at..]);
        all[..at].to_vec()
    }

    /// A reader waits: time passes until its blocked command gives up.
    fn wait_for(&mut self, name: &str, count: usize) {
        loop {
            let Some(connection) = self.connections.get(name) else {
                return;
            };
            let deadline = self
                .engine
                .next_deadline_ms()
                .filter(|_| self.is_blocked(connection.session));
            let Some(deadline) =
                deadline.filter(|_| super::compare::frames(&connection.output) < count)
            else {
                return;
            };
            let ms = deadline - self.world.now.wall_ms();
            self.sleep(ms.max(1) as u64);
        }
    }

    /// Takes frames until one holds a word.
    pub fn read_until(&mut self, name: &str, word: &[u8]) -> Vec<u8> {
        let all = self.read_all(name);
        let mut at = 0;
        while let Some(end) = super::compare::frame_end(&all, at).filter(|end| *end > at) {
            let found = all[at..end]
                .to_ascii_lowercase()
                .windows(word.len())
                .any(|w| w == word);
            at = end;
            if found {
                break;
            }
        }
        self.put_back(name, &all[at..]);
        all[..at].to_vec()
    }

    fn put_back(&mut self, name: &str, rest: &[u8]) {
        if let Some(connection) = self.connections.get_mut(name) {
            connection.output = rest.to_vec();
        }
    }

    /// Whether the server has closed a connection.
    pub fn is_closed(&self, name: &str) -> bool {
        self.connections.get(name).is_some_and(|c| c.closed)
    }
}
