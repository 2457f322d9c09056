//! An engine with some clients and a clock that stands still unless the script moves it. What it propagates is kept, so
//! that another engine can follow.

use std::any::Any;
use std::collections::HashSet;

use cairn_engine::Engine;
use cairn_engine::base::args::ArgsBuf;
use cairn_engine::base::effect::Feed;
use cairn_engine::base::id::SessionId;
use cairn_engine::base::time::Now;
use cairn_engine::call::Instance;
use cairn_engine::call::reply::Reply;
use cairn_engine::keyspace::Keyspace;
use cairn_engine::keyspace::defrag::{Slice, Walk};
use cairn_engine::persist::digest::{Digest, of_all};
use cairn_engine::persist::load::{LoadError, Loader};
use cairn_engine::persist::rewrite::rewrite;
use cairn_engine::persist::save::{SaveOptions, save};
use cairn_engine::replay::Replay;
use cairn_engine::value::list::ListLimits;
use cairn_engine::value::{Encoding, ValueRef, encoding_of};
use cairn_format::aof::reader::SliceReader;
use cairn_format::aof::release::Release;
use cairn_format::aof::rewrite::Rewriter;
use cairn_format::aof::writer::LogState;
use cairn_format::encoding::intset::Intset;
use cairn_format::encoding::listpack::Listpack;
use cairn_format::rdb::{self, Dialect};
use cairn_format::resp::value::Value;

use crate::portrait::{Way, portrait};

/// Clients of a stage.
pub const CLIENTS: usize = 4;
/// Steps of a walk that moves blocks behind each command.
const STEPS_BEHIND: usize = 8;
/// Longest string that commands may make, so that a script stays small, bytes.
const STRING_MAX: usize = 16 * 1024;
/// The first moment of every script, wall milliseconds.
const START_MS: i64 = 1_700_000_000_000;

/// The world around the engine.
#[derive(Debug)]
struct World {
    now: Now,
    log: Vec<u8>,
    state: LogState,
    closed: HashSet<SessionId>,
}

impl Instance for World {
    fn now(&mut self) -> Now {
        self.now
    }

    fn deliver(&mut self, _: SessionId, bytes: &[u8]) {
        whole_replies(bytes);
    }

    fn close(&mut self, session: SessionId) {
        self.closed.insert(session);
    }

    fn feed(&mut self, changes: &Feed, transaction: bool) -> u64 {
        let commands = changes.iter().map(|(db, bytes)| (db as u64, bytes));
        self.state
            .write_unit(&mut self.log, commands, transaction, None);
        0
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// What is sent to a client is made of whole replies.
fn whole_replies(bytes: &[u8]) {
    let mut rest = bytes;
    while !rest.is_empty() {
        match Value::decode(rest) {
            Ok((_, len)) => rest = &rest[len..],
            Err(error) => panic!("{error}: {}", bytes.escape_ascii()),
        }
    }
}

/// An engine on its stage.
#[derive(Debug)]
pub struct Stage {
    engine: Engine,
    world: World,
    clients: [SessionId; CLIENTS],
    current: usize,
    /// Behind each command some blocks move.
    walk: Walk,
}

impl Stage {
    /// An empty engine. `small`: encodings change at a few elements already.
    pub fn new(small: bool) -> Stage {
        let mut engine = Engine::new(16, [1, 2, 3, 4], &[]);
        let now = Now {
            wall_us: START_MS * 1000,
            mono_us: 1_000_000,
        };
        engine.ks.limits.string_bytes_max = STRING_MAX;
        if small {
            make_small(&mut engine.ks);
        }
        engine.ks.fx.feed_on = true;
        engine.set_now(now);
        let clients = std::array::from_fn(|_| engine.open_session(now));
        let world = World {
            now,
            log: Vec::new(),
            state: LogState::new(),
            closed: HashSet::new(),
        };
        Stage {
            engine,
            world,
            clients,
            current: 0,
            walk: Walk::default(),
        }
    }

    /// The client that speaks from now on.
    pub fn switch(&mut self, client: usize) {
        self.current = client % CLIENTS;
    }

    /// Lets time pass and does what a server does in between.
    pub fn sleep(&mut self, ms: u64) {
        self.world.now.wall_us += ms as i64 * 1000;
        self.world.now.mono_us += ms * 1000;
        self.engine.set_now(self.world.now);
        self.engine.time_out(&mut self.world);
        self.engine.expire(&mut self.world, 1000);
        self.engine.rehash(&mut || false);
        self.engine.apply_effects(&mut self.world);
    }

    /// Runs a command of the current client, unless that one waits for something. Answers the replies.
    pub fn run(&mut self, args: &[Vec<u8>]) -> Vec<u8> {
        let client = self.clients[self.current];
        let session = self.engine.shared.sessions.get(client);
        if session.is_none_or(|session| session.blocked) || args.is_empty() {
            return Vec::new();
        }
        let mut reply = Reply::default();
        let args = ArgsBuf::from_slices(args);
        self.engine
            .call(client, &args.args(), &mut reply, &mut self.world);
        let bytes = reply.flat();
        whole_replies(&bytes);
        self.replace_closed();
        self.move_blocks();
        bytes
    }

    /// A few steps of a walk, in which every second block leaves that is asked about.
    fn move_blocks(&mut self) {
        let (mut asked, mut steps) = (0, 0);
        let leaves = &mut |_: *const u8| {
            asked += 1;
            asked % 2 == 0
        };
        let ended =
            self.engine
                .ks
                .move_slice(&mut self.walk, STEPS_BEHIND * 8, leaves, &mut || {
                    steps += 1;
                    steps < STEPS_BEHIND
                });
        if ended == Slice::Done {
            self.walk = Walk::default();
        }
    }

    /// A client that is gone makes place for a new one.
    fn replace_closed(&mut self) {
        for client in &mut self.clients {
            let closing = self
                .engine
                .shared
                .sessions
                .get(*client)
                .is_none_or(|session| session.closing);
            if closing || self.world.closed.remove(client) {
                self.engine.close_session(*client);
                *client = self.engine.open_session(self.world.now);
            }
        }
    }

    /// The length of a string, 0 if there is none.
    pub fn string_len(&mut self, key: &[u8]) -> usize {
        let Some(slot) = self.engine.ks.find(key) else {
            return 0;
        };
        let record = self.engine.ks.record(slot);
        match ValueRef::of(record.tag(), record.payload()) {
            ValueRef::Str(bytes) => bytes.len(),
            ValueRef::Big(bytes) => bytes.len(),
            _ => 0,
        }
    }

    /// Looks at every value's own invariants.
    pub fn check_values(&self) {
        let ks = &self.engine.ks;
        let limits = ListLimits::new(ks.limits.list_listpack_size, ks.limits.list_compress_depth);
        self.engine
            .check()
            .expect("the invariants of databases and sessions");
        for record in (0..ks.databases()).flat_map(|db| ks.database(db).iter()) {
            let checked = match ValueRef::of(record.tag(), record.payload()) {
                ValueRef::Int(_) | ValueRef::Str(_) | ValueRef::Big(_) => Ok(()),
                ValueRef::Packed(_, Encoding::Intset, blob) => Intset::check(blob)
                    .map_err(|e| e.to_string())
                    .and_then(|set| full(set.len())),
                ValueRef::Packed(_, _, blob) => Listpack::check(blob)
                    .map_err(|e| e.to_string())
                    .and_then(|list| full(list.len())),
                ValueRef::List(list) => list.check(&limits).and_then(|()| full(list.len())),
                ValueRef::Set(table) => table.check().and_then(|()| full(table.len())),
                ValueRef::Hash(table) => table.check().and_then(|()| full(table.len())),
                ValueRef::Zset(set) => set.check().and_then(|()| full(set.len())),
                ValueRef::Stream(stream) => stream.check(),
            };
            let name = encoding_of(record.tag()).name();
            checked
                .unwrap_or_else(|what| panic!("{} as {name}: {what}", record.key().escape_ascii()));
        }
    }

    /// Whether a sorted set holds -0 as a table. Packed ones, as in Redis, know only 0, so that another encoding is another
    /// digest.
    pub fn has_negative_zero(&self) -> bool {
        let ks = &self.engine.ks;
        let mut records = (0..ks.databases()).flat_map(|db| ks.database(db).iter());
        records.any(
            |record| match ValueRef::of(record.tag(), record.payload()) {
                ValueRef::Zset(set) => set
                    .iter()
                    .any(|(_, score)| score == 0.0 && score.is_sign_negative()),
                _ => false,
            },
        )
    }

    /// The digest of the data.
    pub fn digest(&self) -> Digest {
        of_all(&self.engine.ks)
    }

    /// The digest of the data after a snapshot was written and read.
    pub fn saved_and_loaded(&self) -> Digest {
        of_all(&self.loaded_copy(false).ks)
    }

    /// A snapshot of the data, with what keys remember of their use.
    fn snapshot(&self) -> Vec<u8> {
        let options = SaveOptions {
            part: cairn_engine::persist::save::Part::Everything,
            dialect: Dialect::redis(12),
            compress: true,
            checksum: true,
            aux: Vec::new(),
            idle: !self.engine.ks.limits.lfu,
            freq: self.engine.ks.limits.lfu,
        };
        save(&self.engine.ks, Vec::new(), &options, false, &mut |_| ())
            .expect("all of it can be saved")
    }

    /// An engine that has loaded a snapshot of the data, as a server that starts (`drop_expired`) or as the base of a log.
    fn loaded_copy(&self, drop_expired: bool) -> Engine {
        let file = self.snapshot();
        let mut other = self.follower();
        let mut loader =
            Loader::new(&file[..], 16, drop_expired, true).expect("our own snapshot is sound");
        loader
            .run(&mut other.ks)
            .unwrap_or_else(|error| panic!("our own snapshot: {error}"));
        other
    }

    /// The data on every way that it can take, as reading commands show it, compared with itself.
    ///
    /// # Errors
    /// The way and the first difference.
    pub fn compare_by_reading(&mut self, followed: bool) -> Result<(), String> {
        let now = self.world.now;
        // What expires by being looked at is in the log then.
        self.remove_expired();
        let origin = portrait(&mut self.engine, now);
        let rewritten = portrait(&mut self.replayed(&self.rewrite()), now);
        let mut others = vec![
            ("rewritten as commands", Way::Rewritten, rewritten.clone()),
            (
                "a snapshot as commands",
                Way::Rewritten,
                portrait(&mut self.replayed(&self.converted()), now),
            ),
            (
                "saved and loaded",
                Way::Snapshot,
                portrait(&mut self.loaded_copy(true), now),
            ),
            (
                "as the base of a log",
                Way::Snapshot,
                portrait(&mut self.loaded_copy(false), now),
            ),
        ];
        if followed {
            let other = portrait(&mut self.replayed(&self.world.log), now);
            others.push(("followed", Way::Followed, other));
        }
        for (name, way, other) in others {
            other
                .same_as(&origin, way, &rewritten)
                .map_err(|what| format!("{name}: {what}"))?;
        }
        Ok(())
    }

    fn remove_expired(&mut self) {
        let session = self.engine.open_session(self.world.now);
        for db in 0..self.engine.ks.databases() {
            let records = self.engine.ks.database(db).iter();
            let keys: Vec<Vec<u8>> = records.map(|record| record.key().to_vec()).collect();
            let select = [b"SELECT".to_vec(), db.to_string().into_bytes()];
            let looks = keys.into_iter().map(|key| [b"TYPE".to_vec(), key]);
            for words in std::iter::once(select).chain(looks) {
                let args = ArgsBuf::from_slices(&words);
                let mut reply = Reply::default();
                self.engine
                    .call(session, &args.args(), &mut reply, &mut self.world);
            }
        }
        self.engine.close_session(session);
    }

    /// The data written as commands by the engine.
    fn rewrite(&self) -> Vec<u8> {
        let mut log = Vec::new();
        rewrite(&self.engine.ks, &mut log, Release::NEWEST, &mut |_| ())
            .expect("a vector takes every byte");
        log
    }

    /// The data written as commands by way of a snapshot, as rdb-tool does.
    fn converted(&self) -> Vec<u8> {
        let file = self.snapshot();
        let mut reader =
            rdb::SliceReader::from_slice(&file, rdb::Options::deep()).expect("our own snapshot");
        let mut to = Rewriter::new(Release::NEWEST);
        while let Some(found) = reader.next().expect("our own snapshot") {
            let lost = to.event(&found.event).expect("our own snapshot");
            assert_eq!(lost, None, "commands can say all of it");
        }
        to.bytes().to_vec()
    }

    /// The keyspace, to set it up.
    pub fn keyspace(&mut self) -> &mut Keyspace {
        &mut self.engine.ks
    }

    /// An engine that was started with a snapshot, if that is sound.
    ///
    /// # Errors
    /// What the snapshot is refused for.
    pub fn loaded(file: &[u8], small: bool) -> Result<Stage, LoadError> {
        let mut stage = Stage::new(small);
        let mut loader = Loader::new(file, 16, false, false)?;
        loader.run(&mut stage.engine.ks)?;
        Ok(stage)
    }

    /// Runs a log as a start does, up to the first damage or the first command that is refused.
    pub fn play(&mut self, log: &[u8]) {
        let Stage { engine, world, .. } = self;
        engine.ks.fx.feed_on = false;
        let mut replay = Replay::begin(engine, world.now, 0);
        let mut reader = SliceReader::new(log, 0);
        while let Ok(Some(item)) = reader.next_item() {
            if let Err(refused) = replay.run(engine, world, &item) {
                assert!(refused.offset <= item.offset, "{refused}");
                break;
            }
        }
        assert!(replay.valid_end() <= log.len() as u64);
        replay.end(engine);
        assert!(world.log.is_empty(), "a replay propagates nothing");
    }

    /// The digest of an engine that ran all that was propagated.
    pub fn followed(&self) -> Digest {
        of_all(&self.replayed(&self.world.log).ks)
    }

    /// The digest of an engine that ran the data written as commands.
    pub fn rewritten(&self) -> Digest {
        of_all(&self.replayed(&self.rewrite()).ks)
    }

    /// An empty engine with the same settings and time.
    fn follower(&self) -> Engine {
        let mut other = Engine::new(16, [5, 6, 7, 8], &[]);
        other.ks.limits = self.engine.ks.limits.clone();
        other.set_now(self.world.now);
        other
    }

    fn replayed(&self, log: &[u8]) -> Engine {
        let mut other = self.follower();
        let mut world = World {
            now: self.world.now,
            log: Vec::new(),
            state: LogState::new(),
            closed: HashSet::new(),
        };
        let mut replay = Replay::begin(&mut other, world.now, 0);
        let mut reader = SliceReader::new(log, 0);
        while let Some(item) = reader.next_item().expect("what was propagated is a log") {
            let failure = replay.run(&mut other, &mut world, &item);
            assert_eq!(failure, Ok(None), "{}", item.raw.escape_ascii());
        }
        replay.end(&mut other);
        other
    }
}

fn full(len: usize) -> Result<(), String> {
    if len == 0 {
        Err("is empty".into())
    } else {
        Ok(())
    }
}

fn make_small(ks: &mut Keyspace) {
    let limits = &mut ks.limits;
    limits.hash_listpack_entries = 3;
    limits.hash_listpack_value = 12;
    limits.set_intset_entries = 3;
    limits.set_listpack_entries = 3;
    limits.set_listpack_value = 12;
    limits.zset_listpack_entries = 3;
    limits.zset_listpack_value = 12;
    limits.list_listpack_size = 2;
    limits.list_compress_depth = 1;
    limits.stream_node_entries = 3;
    limits.hll_sparse_bytes = 40;
}
