//! A host: its machine, its disk, its clock, and how far its data is.

use std::collections::BTreeMap;

use cairn_cluster::Machine;
use cairn_cluster::seam::{LinkId, Moment, Options, PeerId, Upstream};
use cairn_engine::base::random::Random;
use cairn_format::cluster::NodeId;

use super::world::Conn;

/// Wall clock at the start, milliseconds since 1970.
const EPOCH_MS: i64 = 1_795_824_000_000;

/// A host.
pub struct Host {
    /// The node, if it runs.
    pub machine: Option<Machine>,
    /// Raised by each start.
    pub life: u32,
    pub ip: String,
    pub port: u16,
    /// `nodes.conf` as a power cut leaves it, and as it was written.
    pub synced: Option<String>,
    pub written: Option<String>,
    /// A copy that somebody has made once.
    pub backup: Option<String>,
    /// So far the wall clock is off, milliseconds.
    pub off_ms: i64,
    pub random: Random,
    pub own: BTreeMap<PeerId, Conn>,
    pub links: BTreeMap<LinkId, Conn>,
    pub next_link: u64,
    /// How far its data is.
    pub offset: u64,
    /// Whom replication follows: address and port.
    pub follows: Option<(String, u16)>,
    /// When it was last in step, if ever.
    pub in_step_ms: Option<u64>,
    /// Its writes stand still until then.
    pub paused_until: u64,
    pub log: Vec<String>,
}

impl Host {
    pub fn new(number: usize, seed: u64) -> Host {
        Host {
            machine: None,
            life: 0,
            ip: format!("10.0.{}.{}", number / 250, 1 + number % 250),
            port: 7000,
            synced: None,
            written: None,
            backup: None,
            off_ms: 0,
            random: Random::new(seed),
            own: BTreeMap::new(),
            links: BTreeMap::new(),
            next_link: 0,
            offset: 0,
            follows: None,
            in_step_ms: None,
            paused_until: 0,
            log: Vec::new(),
        }
    }

    /// Lets the machine do something.
    pub fn with<T>(
        &mut self,
        now_ms: u64,
        act: impl FnOnce(&mut Machine, &mut Moment<'_>) -> T,
    ) -> Option<T> {
        let upstream = self.upstream(now_ms);
        let machine = self.machine.as_mut()?;
        machine.local.offset = self.offset;
        machine.local.upstream = upstream;
        let random = &mut self.random;
        let mut draw = || random.next_u64();
        let mut moment = moment(now_ms, self.off_ms, &mut draw);
        Some(act(machine, &mut moment))
    }

    fn upstream(&self, now_ms: u64) -> Upstream {
        match self.in_step_ms {
            None => Upstream::Never,
            Some(at) if now_ms - at < 300 => Upstream::Up {
                silent_ms: now_ms - at,
            },
            Some(at) => Upstream::Down {
                away_ms: now_ms - at,
            },
        }
    }

    /// Starts the node from what is on the disk.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn start(&mut self, now_ms: u64, options: &Options) -> Result<(), String> {
        self.life += 1;
        (self.own, self.links) = (BTreeMap::new(), BTreeMap::new());
        (self.follows, self.in_step_ms, self.paused_until) = (None, None, 0);
        let random = &mut self.random;
        let mut draw = || random.next_u64();
        let mut moment = moment(now_ms, self.off_ms, &mut draw);
        let mut machine = match &self.written {
            Some(text) => Machine::load(text.as_bytes(), &mut moment)
                .map_err(|fault| format!("nodes.conf: {fault}\n{text}"))?,
            None => Machine::new(&mut moment),
        };
        machine.options.clone_from(options);
        machine.local.port = self.port;
        machine.local.cport = self.cport();
        self.machine = Some(machine);
        Ok(())
    }

    pub fn cport(&self) -> u16 {
        self.port + 10_000
    }

    pub fn id(&self) -> Option<NodeId> {
        self.machine.as_ref().map(Machine::id)
    }

    pub fn is_primary(&self) -> bool {
        self.machine.as_ref().is_some_and(Machine::is_primary)
    }
}

fn moment(now_ms: u64, off_ms: i64, draw: &mut dyn FnMut() -> u64) -> Moment<'_> {
    Moment {
        // No machine's clock begins at 0.
        now_ms: now_ms + 1_000_000,
        wall_ms: (EPOCH_MS + now_ms as i64 + off_ms) as u64,
        draw,
    }
}
