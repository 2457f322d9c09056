//! Clusters from seeds, those that once found something, and what they found as scenes of their own.

use cairn_engine::base::random::Random;
use cairn_format::resp::value::{Value, write_command};
use cairn_simulator::cable::{Cables, Quality};
use cairn_simulator::cluster::run;
use cairn_simulator::host::World;
use cairn_simulator::instance::Instance;

/// Seeds that found a fault, with the fault.
const FOUND: &[(u64, &str)] = &[
    (
        2,
        "a replica that starts from a snapshot leaves out what has expired, though its primary says otherwise since",
    ),
    (
        38,
        "a primary that starts drops fields that have expired, and who goes on with its stream is not told",
    ),
    (
        92,
        "WAIT counts a replica twice that came back while its old connection was half open",
    ),
    (
        138,
        "a transfer to replicas has no end when other data comes, so that no other one begins",
    ),
    (
        166,
        "a replica that is about to be dropped is beyond the stream of the new data",
    ),
    (
        12857,
        "a replica whose connection is about to be closed is counted in the stream that came in place of its own",
    ),
];

/// Random seeds of a test run; `scripts/test` runs ten thousand of an optimized build besides.
const SEEDS: u64 = 300;

#[test]
fn seeds_that_found_something_find_nothing() {
    for (seed, fault) in FOUND {
        run(*seed, false).unwrap_or_else(|error| panic!("{fault}: {error}"));
    }
}

#[test]
fn servers_become_the_same_and_never_hold_what_was_never_there() {
    let found = |seed| run(seed, false).err();
    let failures: Vec<String> = (0..SEEDS).filter_map(found).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_seed_is_a_run() {
    let figures = |seed| run(seed, false).unwrap().named();
    assert_eq!(figures(7), figures(7));
    assert_ne!(figures(7), figures(8));
}

/// Servers without accidents.
struct Scene {
    cables: Cables,
    worlds: Vec<World>,
    running: Vec<Option<Instance>>,
    now_us: u64,
}

impl Scene {
    fn new(seed: u64, machines: usize) -> Scene {
        let quality = Quality {
            delay_us: 100,
            per_kb_us: 1,
        };
        let cables = Cables::new(seed, quality);
        let mut random = Random::new(seed);
        let worlds = (0..machines).map(|_| World::among(&cables, random.next_u64()));
        Scene {
            worlds: worlds.collect(),
            running: (0..machines).map(|_| None).collect(),
            cables,
            now_us: 0,
        }
    }

    fn start(&mut self, machine: usize, words: &[&str]) {
        let words = [
            &["--protected-mode", "no", "--repl-diskless-sync-delay", "0"],
            words,
        ]
        .concat();
        let instance = Instance::start(&self.worlds[machine], &words);
        self.running[machine] = Some(instance.unwrap());
    }

    /// A millisecond for all.
    fn go_on(&mut self) {
        self.now_us += 1000;
        self.cables.pump(self.now_us);
        for (world, running) in self.worlds.iter().zip(&mut self.running) {
            world.clock.reach(self.now_us);
            if let Some(instance) = running {
                instance.step().unwrap();
            }
        }
    }

    fn ask(&mut self, machine: usize, words: &[&str]) -> Value {
        let plug = self.worlds[machine].net.connect().unwrap();
        let mut request = Vec::new();
        write_command(&mut request, words);
        plug.send(&request);
        let mut bytes = Vec::new();
        for _ in 0..10_000 {
            self.go_on();
            bytes.extend(plug.receive(usize::MAX));
            if let Ok((value, _)) = Value::decode(&bytes) {
                plug.reset();
                return value;
            }
        }
        panic!("{words:?} is not answered");
    }

    fn wait_until(&mut self, machine: usize, words: &[&str], wanted: &Value) {
        for _ in 0..10_000 {
            if self.ask(machine, words) == *wanted {
                return;
            }
        }
        panic!("{words:?} never answers {wanted:?}");
    }

    fn shut_down(&mut self, machine: usize) {
        let plug = self.worlds[machine].net.connect().unwrap();
        plug.send(b"SHUTDOWN\r\n");
        while self.running[machine].as_ref().unwrap().status().is_none() {
            self.go_on();
        }
        self.running[machine] = None;
    }

    fn log(&self, machine: usize) -> String {
        self.running[machine].as_ref().map(Instance::log).unwrap()
    }
}

fn text(text: &str) -> Value {
    Value::Bulk(text.as_bytes().to_vec())
}

/// The primary decides what goes, not the clock of a replica that starts.
#[test]
fn a_replica_that_reads_its_snapshot_keeps_what_has_expired() {
    let mut scene = Scene::new(1, 2);
    let follows = ["--replicaof", "10.0.0.1 6379", "--save", "3600 1"];
    let words = [&follows[..], &["--enable-debug-command", "yes"]].concat();
    scene.start(0, &[]);
    scene.start(1, &words);
    scene.ask(0, &["SET", "a", "1", "PX", "60000"]);
    scene.wait_until(1, &["GET", "a"], &text("1"));
    scene.shut_down(1);
    scene.ask(0, &["PERSIST", "a"]);
    scene.worlds[1].clock.jump(3_600_000_000);
    scene.start(1, &words);
    scene.ask(0, &["SET", "b", "2"]);
    scene.wait_until(1, &["GET", "b"], &text("2"));
    assert_eq!(scene.ask(1, &["GET", "a"]), text("1"));
    let log = scene.log(1);
    assert!(
        log.contains("Successful partial resynchronization"),
        "{log}"
    );

    scene.ask(0, &["SET", "c", "3", "PX", "60000"]);
    scene.wait_until(1, &["DBSIZE"], &Value::Int(3));
    assert_eq!(
        scene.ask(1, &["DEBUG", "RELOAD"]),
        Value::Simple(b"OK".to_vec())
    );
    scene.ask(0, &["PERSIST", "c"]);
    scene.wait_until(1, &["GET", "c"], &text("3"));
}

/// Fields that expired while a primary was away go on its replicas, too, though these need no snapshot.
#[test]
fn fields_that_expire_before_a_primary_starts_go_everywhere() {
    let mut scene = Scene::new(1, 2);
    let words = ["--save", "3600 1"];
    scene.start(0, &words);
    scene.start(1, &["--replicaof", "10.0.0.1 6379"]);
    scene.ask(0, &["HSET", "h", "a", "1", "b", "2"]);
    scene.ask(0, &["HSET", "alone", "a", "1"]);
    for key in ["h", "alone"] {
        scene.ask(0, &["HPEXPIRE", key, "60000", "FIELDS", "1", "a"]);
    }
    scene.wait_until(1, &["DBSIZE"], &Value::Int(2));
    scene.shut_down(0);
    scene.worlds[0].clock.jump(3_600_000_000);
    scene.start(0, &words);
    scene.ask(0, &["SET", "c", "3"]);
    scene.wait_until(1, &["GET", "c"], &text("3"));
    scene.wait_until(1, &["HLEN", "h"], &Value::Int(1));
    scene.wait_until(1, &["DBSIZE"], &Value::Int(2));
    let log = scene.log(1);
    assert!(
        log.contains("Successful partial resynchronization"),
        "{log}"
    );
}

/// No child writes files of data that is gone.
#[test]
fn a_rewrite_of_a_log_that_is_off_ends_when_other_data_comes() {
    for seed in 0..20 {
        let mut scene = Scene::new(seed, 2);
        scene.start(0, &[]);
        scene.start(1, &["--key-load-delay", "30000"]);
        for key in 0..40 {
            scene.ask(0, &["SET", &key.to_string(), "1"]);
        }
        // From here on the server is looked at between turns.
        scene.ask(1, &["REPLICAOF", "10.0.0.1", "6379"]);
        while !scene.log(1).contains("receiving") {
            assert!(!scene.log(1).contains("Finished with success"));
            scene.go_on();
            let idle = scene.running[1]
                .as_ref()
                .unwrap()
                .node()
                .front
                .keeper
                .work
                .is_none();
            if idle {
                scene.ask(1, &["BGREWRITEAOF"]);
            }
        }
        scene.wait_until(1, &["DBSIZE"], &Value::Int(40));
    }
}
