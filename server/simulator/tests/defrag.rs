//! Active defragmentation on slabs and time that are made up: when a pass runs, how long its slices are, and what it waits for.

use cairn_engine::base::random::Random;
use cairn_format::resp::value::{Value, write_command};
use cairn_simulator::host::World;
use cairn_simulator::instance::Instance;
use cairn_simulator::net::Plug;
use cairn_simulator::slabs::{Asked, SimSlabs};

const TURNS: usize = 1_000_000;
const MB: u64 = 1 << 20;

/// A server with one client.
struct Bench {
    world: World,
    instance: Instance,
    client: Plug,
}

impl Bench {
    fn start(seed: u64, options: &str) -> Bench {
        Bench::start_in(World::new(seed), options)
    }

    fn start_in(world: World, options: &str) -> Bench {
        let words: Vec<&str> = ["--save", ""]
            .into_iter()
            .chain(options.split(' '))
            .collect();
        let instance = Instance::start(&world, &words).unwrap().checked_every(1000);
        let client = world.net.connect().unwrap();
        client.widen();
        Bench {
            world,
            instance,
            client,
        }
    }

    fn slabs(&self) -> &SimSlabs {
        self.world.slabs.as_ref().unwrap()
    }

    fn asked(&self) -> Asked {
        self.slabs().asked()
    }

    fn call(&mut self, words: &[&str]) -> Value {
        let (mut request, mut reply) = (Vec::new(), Vec::new());
        write_command(&mut request, words);
        self.client.send(&request);
        for _ in 0..TURNS {
            self.instance.step().unwrap();
            reply.extend(self.client.receive(usize::MAX));
            if let Ok((value, end)) = Value::decode(&reply) {
                assert_eq!(end, reply.len(), "one reply to {words:?}");
                return value;
            }
        }
        panic!("no reply to {words:?}");
    }

    fn line(&mut self, line: &str) -> Value {
        self.call(&line.split(' ').collect::<Vec<_>>())
    }

    fn good(&mut self, line: &str) {
        let reply = self.line(line);
        assert!(!matches!(reply, Value::Error(_)), "{line}: {reply:?}");
    }

    /// A number of INFO.
    fn info(&mut self, name: &str) -> u64 {
        let text = self.line("INFO everything");
        let text = String::from_utf8_lossy(text.as_bytes().unwrap()).into_owned();
        let begin = format!("{name}:");
        let line = text.lines().find_map(|line| line.strip_prefix(&begin));
        line.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
    }

    /// Turns for so long, milliseconds, in which nobody asks for anything.
    fn rest_ms(&mut self, ms: u64) {
        let end = self.world.clock.now_us() + ms * 1000;
        while self.world.clock.now_us() < end {
            self.instance.step().unwrap();
        }
    }

    /// Values of all types, small and large.
    fn fill(&mut self, elements: usize) {
        let many = |head: &str, word: fn(usize) -> String| {
            let words: Vec<String> = (0..elements).map(word).collect();
            format!("{head} {}", words.join(" "))
        };
        self.good(&many("RPUSH list", |i| format!("element{i}")));
        self.good(&many("SADD set", |i| format!("element{i}")));
        self.good(&many("HSET hash", |i| format!("field{i} {i}")));
        self.good(&many("ZADD zset", |i| format!("{i} element{i}")));
        self.good(&many("MSET", |i| format!("key{i} value{i}")));
        self.good("HPEXPIRE hash 99999999 FIELDS 2 field1 field2");
        for i in 0..elements / 10 {
            self.good(&format!("XADD stream {}-1 f v", i + 1));
        }
        self.good("XGROUP CREATE stream group 0");
        self.good("XREADGROUP GROUP group me STREAMS stream >");
    }

    /// Turns until a pass is under way.
    fn begin(&mut self) {
        let before = self.asked().begun;
        for _ in 0..TURNS {
            self.instance.step().unwrap();
            if self.asked().begun > before {
                return;
            }
        }
        panic!("no pass begins");
    }

    fn digest(&mut self) -> Value {
        self.line("DEBUG DIGEST")
    }
}

const ALWAYS: &str = "--enable-debug-command yes --activedefrag yes --active-defrag-ignore-bytes 1";

#[test]
fn values_are_moved_and_stay_what_they_are() {
    for seed in 0..5 {
        let mut bench = Bench::start(seed, ALWAYS);
        bench.fill(3000);
        let digest = bench.digest();
        assert_eq!(bench.asked(), Asked::default(), "nothing is wasted yet");
        bench.slabs().set(100 * MB, 200 * MB);
        bench.rest_ms(2_000);
        assert!(bench.asked().ended >= 1, "{:?}", bench.asked());
        assert!(bench.info("active_defrag_hits") > 5_000);
        assert!(bench.info("active_defrag_misses") > 5_000);
        assert!(bench.info("active_defrag_key_hits") > 1_000);
        assert!(bench.info("active_defrag_key_misses") > 100);
        assert!(bench.info("total_active_defrag_time") > 10);
        assert_eq!(bench.digest(), digest, "seed {seed}");
        let mut random = Random::new(seed);
        for _ in 0..200 {
            let (n, e) = (random.index(3000), random.index(3000));
            bench.good(&format!("SREM set element{n}"));
            bench.good(&format!("ZADD zset {e} element{n}"));
            bench.good(&format!("HSET hash field{n} {e}"));
            bench.good(&format!("SET key{n} {e}"));
            bench.good("LPOP list");
        }
        bench.instance.node().check().unwrap();
        // All wasted memory is gone: the last pass ends, and no other one begins.
        bench.slabs().set(100 * MB, 100 * MB);
        bench.rest_ms(3_000);
        assert_eq!(bench.info("active_defrag_running"), 0);
        assert_eq!(bench.info("current_active_defrag_time"), 0);
        let asked = bench.asked();
        assert_eq!(asked.begun, asked.ended);
        bench.rest_ms(3_000);
        assert_eq!(bench.asked(), asked);
        bench.good("CONFIG RESETSTAT");
        for name in [
            "active_defrag_hits",
            "active_defrag_key_misses",
            "total_active_defrag_time",
        ] {
            assert_eq!(bench.info(name), 0, "{name}");
        }
    }
}

/// Used and held in MB, and the percentage with lower 20, upper 60, 1 to 9 percent, from 5 MB on.
#[test]
fn the_effort_follows_the_fragmentation() {
    let options = "--active-defrag-threshold-lower 20 --active-defrag-threshold-upper 60 --active-defrag-cycle-min 1 --active-defrag-cycle-max 9 --active-defrag-ignore-bytes 5mb --active-defrag-max-scan-fields 10 --activedefrag yes";
    for (used, held, percent) in [
        (100, 100, 0),
        (100, 119, 0),
        (10, 14, 0),
        (100, 120, 1),
        (100, 130, 3),
        (100, 140, 5),
        (100, 160, 9),
        (100, 300, 9),
        (10, 16, 9),
        (0, 6, 9),
    ] {
        let mut bench = Bench::start(7, options);
        bench.fill(if percent == 3 { 50_000 } else { 5_000 });
        bench.slabs().set(used * MB, held * MB);
        bench.rest_ms(1_200);
        assert_eq!(
            bench.info("active_defrag_running"),
            percent,
            "{used} of {held} MB"
        );
        assert_eq!(
            bench.asked().begun,
            u64::from(percent > 0),
            "{used} of {held} MB"
        );
        if percent == 3 {
            // Within a pass it rises, and falls only when somebody says so.
            bench.slabs().set(used * MB, 150 * MB);
            bench.rest_ms(1_100);
            assert_eq!(bench.info("active_defrag_running"), 7);
            bench.slabs().set(used * MB, 120 * MB);
            bench.rest_ms(1_100);
            assert_eq!(bench.info("active_defrag_running"), 7);
            bench.good("CONFIG SET active-defrag-cycle-min 2");
            bench.rest_ms(1_100);
            assert_eq!(bench.info("active_defrag_running"), 2);
        }
    }
}

/// Percent of the time are held, whether somebody is served meanwhile or not, and no slice is long.
#[test]
fn slices_are_short_and_hold_their_percentage() {
    for (percent, busy) in [(1, false), (5, false), (25, false), (25, true), (75, true)] {
        let cycle =
            format!("--active-defrag-cycle-min {percent} --active-defrag-cycle-max {percent}");
        let mut bench = Bench::start(3, &format!("{ALWAYS} {cycle}"));
        bench.fill(50_000);
        bench.slabs().set(100 * MB, 150 * MB);
        bench.begin();
        let (from, before) = (bench.world.clock.now_us(), bench.asked());
        let (mut longest, mut last) = (0, before.blocks);
        while bench.world.clock.now_us() < from + 200_000 {
            if busy {
                bench.client.send(b"PING\r\n");
            }
            bench.instance.step().unwrap();
            bench.client.receive(usize::MAX);
            let asked = bench.asked().blocks;
            longest = longest.max(asked - last);
            last = asked;
        }
        assert!(longest <= 500, "{longest} us in one turn");
        let part = (last - before.blocks) * 1000 / 200_000;
        assert!(
            (percent * 8..=percent * 11).contains(&part),
            "{part} thousandths for {percent} percent, busy: {busy}"
        );
        assert_eq!(
            bench.asked().begun,
            1,
            "the data is too small for this test"
        );
    }
}

/// A slice ends after so many elements of a large value, though it has time left.
#[test]
fn a_large_value_takes_many_slices() {
    let slices = |limit: &str| {
        let mut bench = Bench::start(3, &format!("{ALWAYS} --active-defrag-cycle-max 90 {limit}"));
        let members: Vec<String> = (0..20_000).map(|i| format!("element{i}")).collect();
        bench.good(&format!("SADD set {}", members.join(" ")));
        bench.slabs().set(100 * MB, 300 * MB);
        bench.begin();
        let (mut last, mut longest) = (0, 0);
        while bench.asked().ended == 0 {
            bench.instance.step().unwrap();
            let asked = bench.asked().blocks;
            longest = longest.max(asked - last);
            last = asked;
        }
        longest
    };
    let few = slices("--active-defrag-max-scan-fields 20");
    assert!((15..60).contains(&few), "{few} blocks in one turn");
    let many = slices("--active-defrag-max-scan-fields 1000");
    assert!((150..500).contains(&many), "{many} blocks in one turn");
}

#[test]
fn it_is_switched_off_at_once() {
    let mut bench = Bench::start(3, ALWAYS);
    bench.fill(50_000);
    bench.slabs().set(100 * MB, 150 * MB);
    bench.rest_ms(1_100);
    assert_eq!((bench.asked().begun, bench.asked().ended), (1, 0));
    bench.good("CONFIG SET activedefrag no");
    let asked = bench.asked();
    assert_eq!(asked.ended, 1);
    assert_eq!(bench.info("active_defrag_running"), 0);
    bench.rest_ms(3_000);
    assert_eq!(bench.asked(), asked);
    bench.good("CONFIG SET activedefrag yes");
    bench.rest_ms(1_100);
    assert_eq!(bench.asked().begun, 2);
    bench.good("FLUSHALL");
    bench.rest_ms(1_000);
    assert!(bench.asked().ended >= 2, "nothing is left to be walked");
}

/// Each page that is written while a child shares it is copied.
#[test]
fn it_waits_while_a_child_saves() {
    let (mut waited, mut seed) = (0, 0);
    while waited < 3 {
        seed += 1;
        assert!(seed < 100, "children end too soon");
        let mut bench = Bench::start(seed, ALWAYS);
        bench.fill(20_000);
        bench.slabs().set(100 * MB, 150 * MB);
        bench.rest_ms(1_100);
        bench.good("BGSAVE");
        let asked = bench.asked();
        bench.rest_ms(1);
        if bench.instance.node().front.keeper.work.is_none() {
            continue;
        }
        waited += 1;
        while bench.instance.node().front.keeper.work.is_some() {
            assert_eq!(bench.asked(), asked, "a block is moved while a child saves");
            bench.instance.step().unwrap();
        }
        bench.rest_ms(100);
        assert!(bench.asked().blocks > asked.blocks, "it goes on");
    }
}

#[test]
fn what_moved_nothing_is_not_tried_again_at_once() {
    let mut bench = Bench::start(3, ALWAYS);
    bench.fill(1000);
    bench.slabs().stick(true);
    bench.slabs().set(100 * MB, 150 * MB);
    bench.rest_ms(30_000);
    assert_eq!((bench.asked().begun, bench.asked().ended), (1, 1));
    bench.rest_ms(40_000);
    assert_eq!(bench.asked().begun, 2);
}

/// Debian's 7.0.15, whose allocator cannot do it either, begins with the same words.
#[test]
fn where_there_are_no_slabs_it_is_refused() {
    let without = || {
        let mut world = World::new(3);
        world.slabs = None;
        world
    };
    let mut bench = Bench::start_in(without(), "--activedefrag no");
    let refused = bench.line("CONFIG SET activedefrag yes");
    let words = "ERR CONFIG SET failed (possibly related to argument 'activedefrag') - Active defragmentation cannot be enabled: ";
    assert!(
        matches!(&refused, Value::Error(text) if text.starts_with(words.as_bytes())),
        "{refused:?}"
    );
    let mut bench = Bench::start_in(without(), "--activedefrag yes");
    bench.rest_ms(2_000);
    assert_eq!(
        bench
            .instance
            .log()
            .matches("activedefrag has no effect")
            .count(),
        1
    );
    bench.good("CONFIG SET activedefrag no");
}
