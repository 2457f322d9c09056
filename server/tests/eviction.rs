//! Which keys stay under `maxmemory`, compared with the reference: clients with a favourite part of the keys must find them about as
//! often in ours as there.

mod support;

use cairn_format::resp::value::{Value, write_command};
use support::process::{Program, Server};
use support::{Connection, Dice, Folder, Setup};

/// Keys that are asked for.
const KEYS: u64 = 8000;
/// Keys that fit.
const ROOM: u64 = 2000;
/// Requests of one pipeline.
const BATCH: usize = 200;

/// Draws numbers below `KEYS` so that number n comes about 1 / (n + 1) times as often as number 0.
struct Zipf {
    sums: Vec<f64>,
    dice: Dice,
}

impl Zipf {
    fn new(seed: u64) -> Zipf {
        let mut sum = 0.0;
        let weights = (0..KEYS).map(|n| 1.0 / (n as f64 + 1.0));
        let sums = weights.map(|weight| {
            sum += weight;
            sum
        });
        Zipf {
            sums: sums.collect(),
            dice: Dice::new(seed),
        }
    }

    fn draw(&mut self) -> u64 {
        let whole = *self.sums.last().expect("there are keys");
        let at = (self.dice.next() >> 11) as f64 / (1_u64 << 53) as f64 * whole;
        self.sums.partition_point(|sum| *sum <= at) as u64
    }
}

struct Cache {
    _server: Server,
    connection: Connection,
    _folder: Folder,
}

impl Cache {
    /// A server in which `ROOM` keys fit; values are long, so that their number decides and not what a key costs.
    fn new(program: Program, policy: &str) -> Cache {
        let folder = Folder::new();
        let server = Setup::new(program, &folder).with("--appendonly no").start();
        let mut cache = Cache {
            connection: server.connect(),
            _server: server,
            _folder: folder,
        };
        cache.send(&(0..ROOM).map(|n| set(KEYS + n)).collect::<Vec<_>>());
        let info = cache.connection.info("memory");
        cache.connection.good("FLUSHALL");
        for [name, value] in [
            ["maxmemory-policy", policy],
            ["maxmemory", &info["used_memory"]],
        ] {
            cache.connection.good_call(&["CONFIG", "SET", name, value]);
        }
        cache
    }

    fn send(&mut self, commands: &[Vec<String>]) -> Vec<Value> {
        let mut bytes = Vec::new();
        for words in commands {
            let words: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
            write_command(&mut bytes, &words);
        }
        self.connection.send(&bytes);
        commands.iter().map(|_| self.connection.read()).collect()
    }

    /// Asks for keys and stores those that are missing; how many were there.
    fn ask(&mut self, keys: &[u64]) -> usize {
        let gets: Vec<_> = keys.iter().map(|n| vec!["GET".into(), name(*n)]).collect();
        let replies = self.send(&gets);
        let missing = keys
            .iter()
            .zip(&replies)
            .filter(|(_, r)| r.as_bytes().is_none());
        let mut missing: Vec<u64> = missing.map(|(n, _)| *n).collect();
        let hits = keys.len() - missing.len();
        missing.sort_unstable();
        missing.dedup();
        self.send(&missing.into_iter().map(set).collect::<Vec<_>>());
        hits
    }
}

fn name(n: u64) -> String {
    format!("key:{n}")
}

fn set(n: u64) -> Vec<String> {
    vec!["SET".into(), name(n), "v".repeat(2000)]
}

/// Part of the requests that found their key, after both had the time to learn; the clock of LRU ticks once a second.
fn hit_ratios(policy: &str, batches: usize, pause_ms: u64) -> [f64; 2] {
    let programs = [Program::Cairn, Program::Reference];
    let mut caches = programs.map(|program| Cache::new(program, policy));
    let mut zipf = Zipf::new(7);
    let mut hits = [0; 2];
    for batch in 0..batches {
        let keys: Vec<u64> = (0..BATCH).map(|_| zipf.draw()).collect();
        for (cache, hits) in caches.iter_mut().zip(&mut hits) {
            let found = cache.ask(&keys);
            *hits += if batch * 2 >= batches { found } else { 0 };
        }
        std::thread::sleep(std::time::Duration::from_millis(pause_ms));
    }
    hits.map(|hits| hits as f64 / ((batches - batches / 2) * BATCH) as f64)
}

fn about_as_good(policy: &str, batches: usize, pause_ms: u64) {
    let [ours, theirs] = hit_ratios(policy, batches, pause_ms);
    println!("{policy}: {ours:.4} here, {theirs:.4} in the reference");
    assert!(
        ours > theirs - 0.02,
        "{policy}: {ours} here, {theirs} there"
    );
    assert!(ours > 0.5, "{policy}: {ours} is no cache");
}

#[test]
fn recently_used_keys_stay() {
    about_as_good("allkeys-lru", 400, 20);
}

#[test]
fn often_used_keys_stay() {
    about_as_good("allkeys-lfu", 400, 0);
}

#[test]
fn random_choice_is_the_same_everywhere() {
    about_as_good("allkeys-random", 200, 0);
}
