//! One run: a seed decides on everything, and the ledger on whether it may have been so.

use cairn_engine::base::random::Random;
use cairn_format::resp::value::{ReplyScanner, ReplyStep, Value, write_command};

use crate::client::{Client, LARGE};
use crate::host::World;
use crate::instance::Instance;
use crate::ledger::{Item, Ledger};
use crate::net::Plug;
use crate::seed::guarded;
use crate::visitor::{PORT, Visitor};

/// Turns in which a calm server must have answered everything.
const CALM_TURNS: usize = 200_000;
/// Turns in which one question must be answered.
const ANSWER_TURNS: usize = 100_000;

/// In some runs replies may not pile up: a few large ones are too many.
const OUTPUT_LIMIT: &str = "normal 250000 0 0";

/// What a run did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// Turns of the loop.
    pub turns: u64,
    /// Replies judged.
    pub replies: u64,
    /// Connections made.
    pub connections: u64,
}

/// How data is kept, and how the first process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// By the snapshot that SHUTDOWN writes.
    Snapshot,
    /// By the log; the process ends by SHUTDOWN.
    Log,
    /// By the log, synced before each reply; the power fails.
    SyncedLog,
}

impl Kept {
    fn words(self) -> &'static [&'static str] {
        match self {
            Kept::Snapshot => &["--save", "3600 1"],
            Kept::Log => &["--save", "", "--appendonly", "yes"],
            Kept::SyncedLog => &[
                "--save",
                "",
                "--appendonly",
                "yes",
                "--appendfsync",
                "always",
            ],
        }
    }
}

/// Runs a seed.
///
/// # Errors
/// What happened that may not, with the seed.
pub fn run(seed: u64) -> Result<Summary, String> {
    guarded(seed, || Run::new(seed)?.whole())
}

struct Run {
    random: Random,
    world: World,
    kept: Kept,
    instance: Instance,
    clients: Vec<Client>,
    /// At the metrics port, where it is on.
    visitors: Vec<Visitor>,
    /// What they do has its own dice: the seeds of before stay what they were.
    visitors_random: Random,
    ledger: Ledger,
    turns: u64,
}

impl Run {
    fn new(seed: u64) -> Result<Run, String> {
        let mut random = Random::new(seed);
        let world = World::new(seed);
        let kept = [Kept::Snapshot, Kept::Log, Kept::SyncedLog][random.index(3)];
        let mut words = kept.words().to_vec();
        let limited = random.below(4) == 0;
        if limited {
            words.extend(["--client-output-buffer-limit", OUTPUT_LIMIT]);
        }
        let port = PORT.to_string();
        let visitors = match seed % 3 {
            2 => 1 + (seed / 3 % 3),
            _ => 0,
        };
        if visitors > 0 {
            words.extend(["--metrics-port", &port]);
        }
        // Where it is on there is always something to gain, so that blocks move all the time.
        if seed % 4 == 1
            && let Some(slabs) = &world.slabs
        {
            words.extend(["--activedefrag", "yes", "--active-defrag-cycle-min", "50"]);
            words.extend([
                "--active-defrag-cycle-max",
                "50",
                "--active-defrag-ignore-bytes",
                "1",
            ]);
            slabs.set(1 << 30, 2 << 30);
        }
        let instance = Instance::start(&world, &words)?;
        let workers = 2 + random.index(5);
        let listeners = random.index(3);
        let clients = (0..workers + listeners).map(|n| Client::new(n >= workers));
        Ok(Run {
            clients: clients.collect(),
            visitors: (0..visitors).map(|_| Visitor::default()).collect(),
            visitors_random: Random::new(seed ^ 0x7669_7369),
            random,
            world,
            kept,
            instance,
            ledger: Ledger {
                limited,
                log_may_change: kept == Kept::Snapshot,
                ..Ledger::default()
            },
            turns: 0,
        })
    }

    fn whole(mut self) -> Result<Summary, String> {
        let large = "x".repeat(LARGE);
        self.ask(&["SET", "large", &large])?;
        let rounds = 50 + self.random.below(400);
        let trouble_at = match self.random.below(3) {
            0 => self.random.below(rounds),
            _ => rounds,
        };
        for round in 0..rounds {
            if round == trouble_at {
                self.trouble();
            }
            self.round(false)?;
            if self.instance.status().is_some() {
                return self.again();
            }
        }
        self.world.disk.set_space(None);
        self.world.disk.fail_syncs(0);
        if self.random.below(3) > 0 {
            self.calm_down()?;
            self.ledger.channel.settle()?;
            self.compare()?;
        }
        self.end()?;
        self.again()
    }

    /// The disk fails.
    fn trouble(&mut self) {
        self.ledger.troubled = true;
        match self.random.below(2) {
            0 => self.world.disk.fail_syncs(1 + self.random.index(3)),
            _ => self.world.disk.set_space(Some(self.random.index(2000))),
        }
    }

    /// The process has ended: the next one has what was acknowledged.
    fn again(mut self) -> Result<Summary, String> {
        self.world.disk.set_space(None);
        self.world.disk.fail_syncs(0);
        self.instance = Instance::start(&self.world, self.kept.words())
            .map_err(|error| format!("no second start ({:?}):\n{}", self.kept, error.text))?;
        self.compare()?;
        Ok(Summary {
            turns: self.turns,
            replies: self.ledger.replies,
            connections: self.ledger.speakers,
        })
    }

    fn step(&mut self) -> Result<(), String> {
        if self.random.below(4) == 0 {
            let busy = self.world.jobs.busy();
            if busy > 0 {
                self.world.jobs.run(self.random.index(busy));
            }
        }
        self.turns += 1;
        self.instance.step()
    }

    /// Some clients do something, then the server has a turn.
    fn round(&mut self, calm: bool) -> Result<(), String> {
        for _ in 0..self.random.below(8) {
            let client = self.random.index(self.clients.len());
            self.clients[client].act(&self.world, &mut self.random, &mut self.ledger, calm)?;
        }
        for visitor in &mut self.visitors {
            visitor.act(&self.world, &mut self.visitors_random)?;
        }
        self.step()?;
        match self.instance.status() {
            None => Ok(()),
            // Under `appendfsync always` nothing can be acknowledged any more.
            Some(1) if self.ledger.troubled && self.kept == Kept::SyncedLog => {
                for client in &mut self.clients {
                    client.last_words(&self.world, &mut self.random, &mut self.ledger)?;
                }
                Ok(())
            }
            Some(status) => Err(format!("exit {status}:\n{}", self.instance.log())),
        }
    }

    /// Until everything that was asked is answered.
    fn calm_down(&mut self) -> Result<(), String> {
        self.clients.iter().for_each(Client::widen);
        for _ in 0..CALM_TURNS {
            if self.clients.iter().all(Client::is_idle) {
                return self.read_all();
            }
            self.round(true)?;
        }
        Err("some answers never come".to_owned())
    }

    /// What is on its way to listeners arrives.
    fn read_all(&mut self) -> Result<(), String> {
        for _ in 0..400 {
            self.step()?;
            for client in &mut self.clients {
                client.receive(&self.world, &mut self.random, &mut self.ledger)?;
            }
        }
        Ok(())
    }

    /// The first process ends, with whatever is under way.
    fn end(&mut self) -> Result<(), String> {
        if self.kept == Kept::SyncedLog && self.random.below(4) > 0 {
            for client in &mut self.clients {
                // What has left the server may be read: it was acknowledged.
                client.last_words(&self.world, &mut self.random, &mut self.ledger)?;
            }
            self.world.jobs.clear();
            let torn = self.random.index(100);
            self.world.disk.crash(torn);
            return Ok(());
        }
        let plug = self.world.net.connect().ok_or("nobody listens")?;
        let mut request = Vec::new();
        write_command(&mut request, &["SHUTDOWN"]);
        plug.send(&request);
        for _ in 0..ANSWER_TURNS {
            // Refused while the first base of a log is written.
            if plug.receive(usize::MAX).ends_with(b"\n") {
                plug.send(&request);
            }
            for _ in 0..self.random.below(8) {
                let client = self.random.index(self.clients.len());
                let client = &mut self.clients[client];
                let acted = client.act(&self.world, &mut self.random, &mut self.ledger, false);
                // The end of the process ends connections.
                acted.or_else(|error| match self.instance.status() {
                    Some(_) => Ok(()),
                    None => Err(error),
                })?;
            }
            self.step()?;
            if let Some(status) = self.instance.status() {
                for client in &mut self.clients {
                    client.last_words(&self.world, &mut self.random, &mut self.ledger)?;
                }
                return match status {
                    0 => Ok(()),
                    _ => Err(format!("exit {status}:\n{}", self.instance.log())),
                };
            }
        }
        Err(format!("SHUTDOWN does not end:\n{}", self.instance.log()))
    }

    /// The data as it is now against the ledger.
    fn compare(&mut self) -> Result<(), String> {
        let context = format!("{:?}", self.kept);
        for counter in 0..self.ledger.counters.len() {
            let value = self.ask(&["GET", &format!("c:{counter}")])?;
            let text = value.as_bytes().unwrap_or(b"0").to_vec();
            let number = String::from_utf8_lossy(&text)
                .parse()
                .map_err(|_| "no number")?;
            let settled = self.ledger.counters[counter].settle(number);
            settled.map_err(|error| format!("{context}, c:{counter}: {error}"))?;
        }
        for queue in 0..self.ledger.queues.len() {
            let value = self.ask(&["LRANGE", &format!("q:{queue}"), "0", "-1"])?;
            let parts = value.as_array().unwrap_or_default().iter();
            let rest: Result<Vec<Item>, String> = parts
                .map(|part| Item::parse(part.as_bytes().unwrap_or_default()))
                .collect();
            let settled = self.ledger.queues[queue].settle(&rest?);
            settled.map_err(|error| format!("{context}, q:{queue}: {error}"))?;
        }
        Ok(())
    }

    /// Asks on a connection of its own while nobody else does anything.
    fn ask(&mut self, words: &[&str]) -> Result<Value, String> {
        let plug = self.world.net.connect().ok_or("nobody listens")?;
        let mut request = Vec::new();
        write_command(&mut request, words);
        plug.send(&request);
        self.answer(&plug)
    }

    fn answer(&mut self, plug: &Plug) -> Result<Value, String> {
        let (mut bytes, mut scanner) = (Vec::new(), ReplyScanner::new());
        for _ in 0..ANSWER_TURNS {
            self.step()?;
            bytes.extend(plug.receive(usize::MAX));
            let step = scanner.next(&bytes, 0).map_err(|error| error.to_string())?;
            if let ReplyStep::Complete { .. } = step {
                let (value, _) = Value::decode(&bytes).map_err(|error| error.to_string())?;
                plug.reset();
                return Ok(value);
            }
        }
        Err("no answer".to_owned())
    }
}
