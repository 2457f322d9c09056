//! One machine of the cluster: its world, and the server that runs on it or not.

use cairn_engine::base::random::Random;
use cairn_server::node::Node;

use crate::cable::Cables;
use crate::host::World;
use crate::instance::{Instance, NotStarted};
use crate::net::{HostId, PORT};

/// A server goes on so much later at most than it could, microseconds.
const LATE_US: u64 = 200;

/// A machine.
pub struct Machine {
    /// All of it that outlives its servers.
    pub world: World,
    /// Its disk failed since the server was started.
    pub troubled: bool,
    words: Vec<String>,
    /// Turns between two looks at all that a server holds.
    checked_every: u64,
    /// What servers before have logged, if anybody wants to know.
    past: Option<String>,
    instance: Option<Instance>,
    /// When its server does something by itself.
    wakes_us: u64,
    /// Until then its processor is with others, and its server has no turn.
    away_us: u64,
}

impl Machine {
    /// Without a server. `words`: how it is always started; `checked_every`: turns between two looks at all that it holds; `keeps_logs`: of all its servers.
    pub fn new(
        cables: &Cables,
        seed: u64,
        words: Vec<String>,
        checked_every: u64,
        keeps_logs: bool,
    ) -> Machine {
        Machine {
            world: World::among(cables, seed),
            troubled: false,
            words,
            checked_every,
            past: keeps_logs.then(String::new),
            instance: None,
            wakes_us: 0,
            away_us: 0,
        }
    }

    /// Starts the server from what the disk has.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(&mut self, primary: Option<HostId>, now_us: u64) -> Result<(), NotStarted> {
        self.world.clock.reach(now_us);
        let follows = primary.map(|primary| format!("{} {PORT}", crate::cable::address(primary)));
        let mut words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        if let Some(follows) = &follows {
            words.extend(["--replicaof", follows]);
        }
        let instance = Instance::start(&self.world, &words)?;
        self.instance = Some(instance.checked_every(self.checked_every));
        self.troubled = false;
        self.wakes_us = self.world.clock.now_us();
        Ok(())
    }

    /// The running server.
    pub fn node(&self) -> Option<&Node> {
        self.instance.as_ref().map(Instance::node)
    }

    /// What its servers have logged, if that was kept.
    pub fn log(&self) -> Option<String> {
        let now = self.instance.as_ref().map(Instance::log);
        Some(self.past.clone()? + &now.unwrap_or_default())
    }

    fn stop(&mut self) {
        self.past = self.log();
        self.world.jobs.clear();
        self.instance = None;
    }

    /// When its server has its next turn, if it runs.
    pub fn next_us(&self) -> Option<u64> {
        self.instance.as_ref()?;
        let now = self.world.clock.now_us().max(self.away_us);
        match self.world.net.is_anybody_ready() {
            true => Some(now),
            false => {
                let pipe_us = self.world.pipe_us().unwrap_or(u64::MAX);
                Some(self.wakes_us.min(pipe_us).max(now))
            }
        }
    }

    /// Its server has no turn until then, so that what comes meanwhile from several sides is heard in one.
    pub fn is_away_until(&mut self, away_us: u64) {
        self.away_us = away_us;
    }

    /// One turn of its server. The exit status if that was its last one.
    ///
    /// # Errors
    /// Something that may not be.
    pub fn step(&mut self, now_us: u64, random: &mut Random) -> Result<Option<i32>, String> {
        let Some(instance) = &mut self.instance else {
            return Ok(None);
        };
        let clock = &self.world.clock;
        clock.reach(now_us);
        let busy = self.world.jobs.busy();
        if busy > 0 && random.below(3) == 0 {
            self.world.jobs.run(random.index(busy));
        }
        instance.step()?;
        let wait = instance.node().wait().unwrap_or_default().as_micros() as u64;
        self.wakes_us = clock.now_us() + clock.until_shown(wait) + random.below(LATE_US);
        Ok(instance.status())
    }

    /// The server has ended by itself.
    pub fn ended(&mut self) {
        self.stop();
    }

    /// The power fails: what was not synced is gone, but for a torn piece.
    pub fn lose_power(&mut self, torn: usize) {
        self.world.disk.crash(torn);
        self.stop();
    }
}
