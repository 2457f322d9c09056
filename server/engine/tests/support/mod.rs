//! A small world for the engine's tests: [`Bench`] runs commands on an engine whose clock stands still until it is
//! moved, and answers raw replies, what reached other sessions, and what was propagated.

#![allow(dead_code, reason = "each test file uses its own part of the bench")]

pub mod docs;
pub mod golden;
pub mod help;

use std::any::Any;
use std::collections::BTreeMap;

use cairn_engine::Engine;
use cairn_engine::base::args::ArgsBuf;
use cairn_engine::base::effect::Feed;
use cairn_engine::base::id::SessionId;
use cairn_engine::base::time::Now;
use cairn_engine::call::reply::{Protocol, Reply};
use cairn_engine::call::{Command, Instance};
use cairn_format::resp::value::Value;

/// What an engine sees of the world, and what it did to it.
#[derive(Debug, Default)]
pub struct World {
    /// Both clocks.
    pub now: Now,
    /// Bytes that reached sessions outside of their own replies.
    pub delivered: BTreeMap<SessionId, Vec<u8>>,
    /// Sessions to be closed.
    pub closed: Vec<SessionId>,
    /// Propagated commands with their databases; MULTI and EXEC stand around a unit of several.
    pub fed: Vec<(usize, String)>,
    /// Tells how much memory is in use; none: there is no end to it.
    pub memory: Option<fn() -> u64>,
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
        let mark = |word: &str| (0, word.to_string());
        self.fed.extend(transaction.then(|| mark("MULTI")));
        for (db, bytes) in changes.iter() {
            self.fed.push((db, words(bytes)));
        }
        self.fed.extend(transaction.then(|| mark("EXEC")));
        0
    }

    fn used_memory(&mut self) -> u64 {
        self.memory.map_or(0, |used| used())
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// A propagated command as one line, its arguments separated by blanks.
fn words(command: &[u8]) -> String {
    let (value, _) = Value::decode(command).expect("propagated commands are multibulks");
    let args = value.as_array().expect("propagated commands are arrays");
    let text = |arg: &Value| String::from_utf8_lossy(arg.as_bytes().expect("a bulk")).into_owned();
    args.iter().map(text).collect::<Vec<_>>().join(" ")
}

/// An engine with one client.
#[derive(Debug)]
pub struct Bench {
    /// The engine.
    pub engine: Engine,
    /// The world around it.
    pub world: World,
    /// The client that [`Bench::run`] speaks for.
    pub session: SessionId,
}

impl Default for Bench {
    fn default() -> Self {
        Bench::new()
    }
}

/// Whatever a test did, databases and sessions are sound behind it.
impl Drop for Bench {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.engine.check(), Ok(()));
        }
    }
}

impl Bench {
    /// Wall time of a new bench, milliseconds: in the year 2033, so that expiries of the past are in the past.
    pub const START_MS: i64 = 2_000_000_000_000;

    /// An empty engine of 16 databases; changes are propagated.
    pub fn new() -> Bench {
        Bench::with(&[])
    }

    /// The same with commands of an instance in the table.
    pub fn with(instance_commands: &[&[&'static Command]]) -> Bench {
        let mut engine = Engine::new(16, [1, 2, 3, 4], instance_commands);
        let world = World {
            now: Now {
                wall_us: Bench::START_MS * 1000,
                mono_us: 1_000_000,
            },
            ..World::default()
        };
        engine.ks.fx.feed_on = true;
        engine.set_now(world.now);
        let session = engine.open_session(world.now);
        Bench {
            engine,
            world,
            session,
        }
    }

    /// Another client.
    pub fn open(&mut self) -> SessionId {
        self.engine.open_session(self.world.now)
    }

    /// Lets time pass.
    pub fn sleep_ms(&mut self, ms: u64) {
        self.world.now.wall_us += ms as i64 * 1000;
        self.world.now.mono_us += ms * 1000;
        self.engine.set_now(self.world.now);
    }

    /// Runs a command and answers its raw reply.
    pub fn run<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Vec<u8> {
        self.run_as(self.session, args)
    }

    /// Runs a command of another client.
    pub fn run_as<A: AsRef<[u8]>>(&mut self, session: SessionId, args: &[A]) -> Vec<u8> {
        let mut reply = Reply::default();
        let args = ArgsBuf::from_slices(args);
        self.engine
            .call(session, &args.args(), &mut reply, &mut self.world);
        reply.flat()
    }

    /// Runs a line of words without quoting and answers the raw reply as text.
    pub fn line(&mut self, line: &str) -> String {
        let args: Vec<&str> = line.split(' ').collect();
        String::from_utf8_lossy(&self.run(&args)).into_owned()
    }

    /// Runs a line of words and answers the decoded reply.
    pub fn value(&mut self, line: &str) -> Value {
        let reply = self.run(&line.split(' ').collect::<Vec<_>>());
        let (value, end) = Value::decode(&reply).expect("replies are well formed");
        assert_eq!(end, reply.len(), "one reply to {line}");
        value
    }

    /// Speaks RESP3 from now on.
    pub fn resp3(&mut self) -> &mut Self {
        self.run(&["HELLO", "3"]);
        assert_eq!(
            self.engine
                .shared
                .sessions
                .get(self.session)
                .map(|s| s.protocol),
            Some(Protocol::Resp3)
        );
        self
    }

    /// What was propagated since the last call, one line per command, `db> words` where the database is not 0.
    pub fn propagated(&mut self) -> Vec<String> {
        let line = |(db, words): (usize, String)| match db {
            0 => words,
            db => format!("{db}> {words}"),
        };
        self.world.fed.drain(..).map(line).collect()
    }
}
