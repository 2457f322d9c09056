//! Readers of the journal are independent: each has its own place, its own SELECT and its own annotations, and what it
//! read, run upon the data as it was when it began, is the data.

use std::any::Any;

use cairn_engine::Engine;
use cairn_engine::base::args::ArgsBuf;
use cairn_engine::base::effect::Feed;
use cairn_engine::base::id::SessionId;
use cairn_engine::base::time::Now;
use cairn_engine::call::Instance;
use cairn_engine::call::alone::Alone;
use cairn_engine::call::reply::Reply;
use cairn_engine::persist::digest;
use cairn_engine::persist::load::Loader;
use cairn_engine::persist::save::{SaveOptions, automatic_dialect, save};
use cairn_engine::replay::Replay;
use cairn_format::aof::reader::SliceReader;
use cairn_server::journal::{Journal, Subscriber};

#[path = "support/dice.rs"]
mod dice;

use dice::Dice;

const DATABASES: usize = 5;
const CLIENTS: usize = 3;
const ROUNDS: u64 = 60;
const STEPS: u64 = 400;

/// A reader as a log is one: the data at some moment, and the stream from there on.
struct Copy {
    base: Vec<u8>,
    feed: Subscriber,
    /// What was passed on.
    stream: Vec<u8>,
    stamped: bool,
}

impl Copy {
    fn of(engine: &Engine, journal: &Journal, stamped: bool) -> Copy {
        Copy {
            base: snapshot(engine),
            feed: journal.subscribe(),
            stream: Vec::new(),
            stamped,
        }
    }

    fn pass_on(&mut self, count: usize) {
        let count = count.min(self.feed.bytes().len());
        self.stream.extend_from_slice(&self.feed.bytes()[..count]);
        self.feed.passed_on(count);
    }

    /// As a log after a rewrite: another base, and an empty file behind it.
    fn begin_anew(&mut self, engine: &Engine) {
        self.pass_on(usize::MAX);
        self.feed.begin_anew();
        self.base = snapshot(engine);
        self.stream.clear();
    }

    /// The data set that base and stream stand for.
    fn digest(&mut self, now: Now) -> String {
        self.pass_on(usize::MAX);
        let mut engine = Engine::new(DATABASES, [9, 9, 9, 9], &[]);
        engine.set_now(now);
        let mut loader = Loader::new(&self.base[..], DATABASES, false, true).unwrap();
        loader.run(&mut engine.ks).unwrap();
        let mut world = Alone::at(now);
        let mut replay = Replay::begin(&mut engine, now, 0);
        let mut reader = SliceReader::new(&self.stream, 0);
        let mut stamps = 0;
        while let Some(item) = reader.next_item().unwrap() {
            stamps += usize::from(item.annotation().is_some());
            let told = replay.run(&mut engine, &mut world, &item);
            assert!(
                matches!(told, Ok(None)),
                "{told:?} in {}",
                self.stream.escape_ascii()
            );
        }
        assert!(!replay.is_inside_transaction());
        replay.end(&mut engine);
        assert_eq!(stamps > 0, self.stamped && !self.stream.is_empty());
        digest::of_all(&engine.ks).hex()
    }
}

fn snapshot(engine: &Engine) -> Vec<u8> {
    let options = SaveOptions {
        part: cairn_engine::persist::save::Part::Everything,
        dialect: automatic_dialect(&engine.ks),
        compress: false,
        checksum: true,
        aux: Vec::new(),
        idle: false,
        freq: false,
    };
    save(&engine.ks, Vec::new(), &options, false, &mut |_| {}).unwrap()
}

#[derive(Default)]
struct World {
    now: Now,
    journal: Journal,
    copies: Vec<Copy>,
    units: u64,
}

impl Instance for World {
    fn now(&mut self) -> Now {
        self.now
    }

    fn deliver(&mut self, _: SessionId, _: &[u8]) {}

    fn close(&mut self, _: SessionId) {}

    fn feed(&mut self, changes: &Feed, transaction: bool) -> u64 {
        let before = self.journal.position();
        let unit = self.journal.enter(changes, transaction);
        assert!(unit.end() > before);
        for copy in &mut self.copies {
            let second = copy.stamped.then_some(self.now.wall_us / 1_000_000);
            copy.feed.take(&unit, second);
            assert_eq!(copy.feed.position(), unit.end());
        }
        self.units += 1;
        unit.end()
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

fn key(dice: &mut Dice) -> String {
    format!(
        "{}{}",
        ["s", "l", "h", "z"][dice.below(4) as usize],
        dice.below(4)
    )
}

fn change(dice: &mut Dice) -> String {
    let (n, db, other) = (
        dice.below(9),
        dice.below(DATABASES as u64),
        dice.below(DATABASES as u64),
    );
    let (any, second) = (key(dice), key(dice));
    match dice.below(18) {
        0 => format!("SET s{n} {any}"),
        1 => format!("SET s{n} 7 PX {}", 1 + dice.below(4000)),
        2 => format!("INCRBYFLOAT s{n} 1.5"),
        3 => format!("RPUSH l{} a b {n}", n % 3),
        4 => format!("BLPOP l{} l{} 1", n % 3, n % 2),
        5 => format!("LMOVE l{} l{} LEFT RIGHT", n % 3, n % 2),
        6 => format!("HSET h{} f{n} {any}", n % 3),
        7 => format!("ZADD z{} {n} m{db}", n % 3),
        8 => format!("ZPOPMIN z{}", n % 3),
        9 => format!("SADD t{} a b c {n}", n % 3),
        10 => format!("SPOP t{} 2", n % 3),
        11 => format!("EXPIRE {any} {}", dice.below(4)),
        12 => format!("MOVE {any} {db}"),
        13 => format!("SWAPDB {db} {other}"),
        14 => format!("COPY {any} {second} DB {db} REPLACE"),
        15 => format!("DEL {any} {second}"),
        16 => "FLUSHDB".to_owned(),
        _ => format!("SELECT {db}"),
    }
}

struct Stage {
    engine: Engine,
    world: World,
    clients: Vec<SessionId>,
}

impl Stage {
    fn new() -> Stage {
        let mut engine = Engine::new(DATABASES, [1, 2, 3, 4], &[]);
        let now = Now {
            wall_us: 2_000_000_000_000_000,
            mono_us: 1_000_000,
        };
        engine.set_now(now);
        let clients = (0..CLIENTS).map(|_| engine.open_session(now)).collect();
        let world = World {
            now,
            ..World::default()
        };
        Stage {
            engine,
            world,
            clients,
        }
    }

    fn run(&mut self, client: usize, line: &str) {
        let slot = self.clients[client];
        let session = self.engine.shared.sessions.get(slot);
        if session.is_some_and(|session| session.waiting.is_some()) {
            return;
        }
        let args = ArgsBuf::from_slices(&line.split(' ').collect::<Vec<_>>());
        let mut reply = Reply::default();
        self.engine
            .call(slot, &args.args(), &mut reply, &mut self.world);
    }

    fn sleep_ms(&mut self, ms: u64) {
        self.world.now.wall_us += ms as i64 * 1000;
        self.world.now.mono_us += ms * 1000;
        self.engine.set_now(self.world.now);
        self.engine.time_out(&mut self.world);
        self.engine.expire(&mut self.world, 500);
    }

    fn readers_changed(&mut self) {
        self.engine.ks.fx.feed_on = self.world.journal.is_read();
    }

    fn join(&mut self, stamped: bool) {
        let copy = Copy::of(&self.engine, &self.world.journal, stamped);
        self.world.copies.push(copy);
        self.readers_changed();
    }

    fn step(&mut self, dice: &mut Dice) {
        match dice.below(40) {
            0 if self.world.copies.len() < 4 => self.join(dice.below(2) == 0),
            1 if !self.world.copies.is_empty() => {
                let at = dice.below(self.world.copies.len() as u64) as usize;
                let mut gone = self.world.copies.swap_remove(at);
                self.compare(&mut gone);
                drop(gone);
                self.readers_changed();
            }
            2 => {
                for copy in &mut self.world.copies {
                    match dice.below(3) {
                        0 => copy.begin_anew(&self.engine),
                        _ => copy.pass_on(dice.below(400) as usize),
                    }
                }
            }
            3 => self.sleep_ms(dice.below(1500)),
            4 => {
                let client = dice.below(CLIENTS as u64) as usize;
                self.run(client, "MULTI");
                for _ in 0..1 + dice.below(5) {
                    self.run(client, &change(dice));
                }
                self.run(client, "EXEC");
            }
            _ => {
                let client = dice.below(CLIENTS as u64) as usize;
                self.run(client, &change(dice));
            }
        }
    }

    fn compare(&self, copy: &mut Copy) {
        let wanted = digest::of_all(&self.engine.ks).hex();
        let found = copy.digest(self.world.now);
        assert_eq!(found, wanted, "{}", copy.stream.escape_ascii());
    }
}

#[test]
fn whoever_joins_whenever_reads_the_same_data() {
    let mut compared = 0;
    for seed in 0..ROUNDS {
        let mut dice = Dice::new(seed + 1);
        let mut stage = Stage::new();
        for _ in 0..STEPS {
            stage.step(&mut dice);
        }
        for mut copy in std::mem::take(&mut stage.world.copies) {
            println!("seed {seed}: a copy with {} bytes", copy.stream.len());
            stage.compare(&mut copy);
            compared += 1;
        }
        stage.readers_changed();
        assert!(!stage.engine.ks.fx.feed_on, "nobody reads any more");
    }
    assert!(compared > ROUNDS / 2, "{compared} copies only");
}

#[test]
fn a_reader_that_joins_late_selects_for_itself() {
    let mut stage = Stage::new();
    stage.join(false);
    stage.run(0, "SELECT 3");
    stage.run(0, "SET s1 a");
    stage.join(true);
    stage.run(0, "SET s2 b");
    let [early, late] = &stage.world.copies[..] else {
        panic!("two joined");
    };
    let text = |copy: &Copy| String::from_utf8_lossy(copy.feed.bytes()).replace("\r\n", " ");
    assert_eq!(
        text(early),
        "*2 $6 SELECT $1 3 *3 $3 SET $2 s1 $1 a *3 $3 SET $2 s2 $1 b "
    );
    assert_eq!(
        text(late),
        "#TS:2000000000 *2 $6 SELECT $1 3 *3 $3 SET $2 s2 $1 b "
    );
}

#[test]
fn without_a_reader_nothing_enters() {
    let mut stage = Stage::new();
    stage.run(0, "SET s1 a");
    assert_eq!((stage.world.units, stage.world.journal.position()), (0, 0));
    stage.join(false);
    stage.run(0, "SET s1 a");
    let position = stage.world.journal.position();
    assert_eq!(stage.world.units, 1);
    stage.world.copies.clear();
    stage.readers_changed();
    stage.run(0, "SET s1 b");
    stage.join(false);
    // Positions go on from where they were: none is used twice.
    assert_eq!(stage.world.copies[0].feed.position(), position);
    stage.run(0, "SET s1 c");
    assert!(stage.world.journal.position() > position);
}

#[test]
#[should_panic(expected = "a unit was missed or came twice")]
fn a_reader_that_misses_a_unit_is_found_out() {
    let mut journal = Journal::default();
    let mut reader = journal.subscribe();
    let mut changes = Feed::default();
    changes.push(0, &[b"PING"]);
    let _missed = journal.enter(&changes, false);
    reader.take(&journal.enter(&changes, false), None);
}
