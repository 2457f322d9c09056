//! Commands from their arguments to their reply, without a parser and sockets: `cargo bench -p cairn-engine --bench paths [-- NAME]`. Times
//! are of this machine and this moment; compare those of one run. What a whole request costs: `scripts/bench FOLDER instructions`.

use std::any::Any;

use cairn_engine::Engine;
use cairn_engine::base::args::ArgsBuf;
use cairn_engine::base::effect::Feed;
use cairn_engine::base::id::SessionId;
use cairn_engine::base::random::Random;
use cairn_engine::base::time::Now;
use cairn_engine::call::Instance;
use cairn_engine::call::reply::Reply;
use divan::Bencher;

/// Keys that are there, and members of what holds many.
const KEYS: usize = 10_000;
/// Commands that are run in turn.
const TURN: usize = 1024;

fn main() {
    divan::main();
}

/// A world that hears nothing.
#[derive(Debug)]
struct Nowhere;

impl Instance for Nowhere {
    fn now(&mut self) -> Now {
        NOW
    }

    fn deliver(&mut self, _: SessionId, _: &[u8]) {}

    fn close(&mut self, _: SessionId) {}

    fn feed(&mut self, _: &Feed, _: bool) -> u64 {
        0
    }

    fn used_memory(&mut self) -> u64 {
        0
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

const NOW: Now = Now {
    wall_us: 2_000_000_000_000_000,
    mono_us: 1_000_000,
};

/// Lines of commands that make what is measured meet something.
fn given() -> impl Iterator<Item = String> {
    let keys = (0..KEYS).flat_map(|n| {
        [
            format!("SET key:{n:012} {}", "v".repeat(64)),
            format!("SET ctr:{n:012} {n}"),
            format!("HSET hash f:{n:012} value"),
            format!("ZADD zset {n} m:{n:012}"),
            format!("SADD set m:{n:012}"),
        ]
    });
    keys.chain((0..100).map(|n| format!("RPUSH list item:{n:06}")))
}

fn args(line: &str) -> ArgsBuf {
    let words: Vec<&str> = line.split(' ').collect();
    ArgsBuf::from_slices(&words)
}

/// A command of which `#` is a random number.
#[divan::bench(args = [
    "GET key:#",
    "SET key:# vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv",
    "INCR ctr:#",
    "HSET hash f:# value",
    "HGET hash f:#",
    "SADD set m:#",
    "ZADD zset 77 m:#",
    "ZRANK zset m:#",
    "ZRANGE zset 5000 5009",
    "LRANGE list 0 99",
    "MGET key:# key:# key:# key:# key:# key:# key:# key:#",
    "SETEX key:# 1000 value",
    "EXISTS nokey:#",
])]
fn run(bencher: Bencher, command: &str) {
    let mut engine = Engine::new(16, [1, 2, 3, 4], &[]);
    engine.set_now(NOW);
    let session = engine.open_session(NOW);
    let mut call = |args: &ArgsBuf, reply: &mut Reply| {
        reply.buf.clear();
        engine.call(session, &args.args(), reply, &mut Nowhere);
    };
    let mut reply = Reply::default();
    for line in given() {
        call(&args(&line), &mut reply);
    }
    let mut random = Random::new(7);
    let mut commands = (0..TURN).map(|_| {
        let parts = command.split('#');
        let numbers: Vec<&str> = parts.collect();
        let number = |part: &&str| format!("{part}{:012}", random.index(KEYS));
        let (last, rest) = numbers.split_last().expect("a part");
        let text: String = rest.iter().map(number).collect();
        args(&(text + last))
    });
    let commands: Vec<ArgsBuf> = commands.by_ref().collect();
    call(&commands[0], &mut reply);
    assert_ne!(reply.buf.first(), Some(&b'-'), "{command}");
    let mut turn = commands.iter().cycle();
    bencher.bench_local(|| call(turn.next().expect("there is no end"), &mut reply));
}
