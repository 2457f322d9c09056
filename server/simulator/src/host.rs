//! The world of a simulated node: its time, disk, threads, children and poll.

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cairn_engine::base::random::Random;
use cairn_server::host::faulty::FaultyDisk;
use cairn_server::host::{
    Acceptor, AllocatorStats, Child, ChildGuise, ChildJob, Clock, CpuTimes, Dialing, Disk, Host,
    Interrupt, JobQueues, Line, ListenPlan, Logger, Milestone, OomScore, Pipe, Poller, Process,
    Readiness, Slabs, Stream, Worker,
};
use mio::Registry;

use crate::cable::Cables;
use crate::child::{SimChild, SimPipe};
use crate::clock::SimClock;
use crate::net::{HostId, Net};
use crate::slabs::SimSlabs;

/// Memory that the process claims to use, bytes.
const MEMORY: u64 = 1 << 20;
/// Longest step of time while nobody is ready, microseconds.
const STEP_MAX_US: u64 = 20_000;
/// Among machines one child of so many dies, though its file may be there.
const CHILDREN_TO_A_DEATH: u64 = 12;
/// Time that passes for each socket that is ready, microseconds: waits of others end though somebody is always ready.
const SERVED_US: u64 = 50;

/// What of a world outlives its processes, and what the simulator holds of it.
#[derive(Clone)]
pub struct World {
    /// The time of all.
    pub clock: Arc<SimClock>,
    /// The disk, with what was synced and what was not.
    pub disk: FaultyDisk,
    /// Jobs of threads that were not begun.
    pub jobs: JobQueues,
    /// The network.
    pub net: Net,
    /// The pipe of the last child that had one.
    pipe: Rc<RefCell<Option<SimPipe>>>,
    /// The way to other machines, and which one this is; none where there is only one.
    cables: Option<(Cables, HostId)>,
    random: Rc<RefCell<Random>>,
    /// Slabs of the allocator, if it has them.
    pub slabs: Option<SimSlabs>,
    /// Processes started so far.
    pids: Rc<Cell<u32>>,
}

impl World {
    /// A world whose whole future follows from `seed`.
    pub fn new(seed: u64) -> World {
        let jobs = JobQueues::default();
        let clock = Arc::default();
        World {
            slabs: Some(SimSlabs::new(&clock, seed ^ 0x736c_6162)),
            clock,
            disk: FaultyDisk::with_jobs(jobs.clone()),
            jobs,
            net: Net::new(seed ^ 0x6e65_7477),
            pipe: Rc::default(),
            cables: None,
            random: Rc::new(RefCell::new(Random::new(seed ^ 0x776f_726c))),
            pids: Rc::new(Cell::new(1000)),
        }
    }

    /// A machine among others.
    pub fn among(cables: &Cables, seed: u64) -> World {
        let world = World::new(seed);
        let id = cables.add(&world.net);
        World {
            cables: Some((cables.clone(), id)),
            ..world
        }
    }

    /// When there is more in a pipe that somebody waits for.
    pub fn pipe_us(&self) -> Option<u64> {
        self.pipe.borrow().as_ref().and_then(SimPipe::waited_us)
    }

    fn next_pid(&self) -> u32 {
        self.pids.set(self.pids.get() + 1);
        self.pids.get()
    }

    /// The host of a new process.
    pub fn host(&self) -> SimHost {
        self.slabs.iter().for_each(SimSlabs::begin_anew);
        SimHost {
            world: self.clone(),
            clock: Arc::clone(&self.clock) as _,
            pid: self.next_pid(),
        }
    }

    /// The poll of a new process.
    ///
    /// # Errors
    /// The system has no descriptor left for the registry.
    pub fn poller(&self) -> io::Result<SimPoller> {
        Ok(SimPoller {
            world: self.clone(),
            beneath: mio::Poll::new()?,
        })
    }
}

/// One process as its node sees the world.
pub struct SimHost {
    world: World,
    clock: Arc<dyn Clock>,
    pid: u32,
}

impl Host for SimHost {
    fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    fn sleep(&self, time: Duration) {
        self.world.clock.pass(time.as_micros() as u64);
    }

    fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(self.world.disk.clone())
    }

    /// The job is done at once, as a child that runs before its parent goes on; the parent learns of its end later.
    fn fork(&self, _: &ChildGuise, job: ChildJob<'_>) -> io::Result<Box<dyn Child>> {
        let mut child = SimChild::run(self.world.next_pid(), job);
        let mut random = self.world.random.borrow_mut();
        child.work_for(random.below(20));
        if self.world.cables.is_some() {
            child.make_mortal();
            if random.below(CHILDREN_TO_A_DEATH) == 0 {
                child.die();
                let pipe = self.world.pipe.borrow();
                pipe.iter().for_each(|pipe| pipe.tear(&mut random));
            }
        }
        Ok(Box::new(child))
    }

    fn pipe(&self) -> io::Result<(Box<dyn Pipe>, Box<dyn Write>)> {
        let pipe = match &self.world.cables {
            None => SimPipe::default(),
            Some(_) => {
                let seed = self.world.random.borrow_mut().next_u64();
                SimPipe::slow(&self.world.clock, seed)
            }
        };
        self.world.pipe.replace(Some(pipe.clone()));
        Ok((Box::new(pipe.clone()), Box::new(pipe)))
    }

    fn process(&self) -> &dyn Process {
        self
    }

    fn worker(&self, _: &'static str) -> Box<dyn Worker> {
        self.world.jobs.worker()
    }

    fn listen(&self, plan: &ListenPlan, _: &dyn Logger) -> Result<Vec<Box<dyn Acceptor>>, String> {
        Ok(vec![self.world.net.acceptor(plan.port)])
    }

    /// Nobody is waited for in this world: what blocks would stop all of it.
    fn dial(&self, _: &Dialing<'_>) -> io::Result<Box<dyn Line>> {
        Err(io::ErrorKind::TimedOut.into())
    }

    fn connect(&self, to: &Dialing<'_>) -> io::Result<Stream> {
        let Some((cables, id)) = &self.world.cables else {
            return Err(io::ErrorKind::TimedOut.into());
        };
        let other: IpAddr = to.host.parse().map_err(|_| io::ErrorKind::NotFound)?;
        cables.dial(*id, (other, to.port).into(), self.world.clock.now_us())
    }

    fn used_memory(&self) -> u64 {
        MEMORY
    }

    fn resident_memory(&self) -> u64 {
        MEMORY
    }

    fn slabs(&self) -> Option<&dyn Slabs> {
        Some(self.world.slabs.as_ref()?)
    }

    fn interrupt(&self) -> Option<Interrupt> {
        None
    }

    fn forget_interrupt(&self) -> bool {
        false
    }

    fn enter_folder(&self, folder: &Path) -> io::Result<PathBuf> {
        Ok(folder.to_path_buf())
    }

    fn random(&self, bytes: &mut [u8]) {
        let mut random = self.world.random.borrow_mut();
        bytes.fill_with(|| random.next_u64() as u8);
    }

    fn pid(&self) -> u32 {
        self.pid
    }
}

/// Nobody looks at it or waits for it.
impl Process for SimHost {
    fn program(&self) -> &str {
        "simulated"
    }

    fn set_title(&self, _: &str) {}

    fn set_oom_score(&self, _: OomScore) -> Result<(), String> {
        Ok(())
    }

    fn reached(&self, _: Milestone) -> Result<(), String> {
        Ok(())
    }

    fn cpu_times(&self) -> CpuTimes {
        CpuTimes::default()
    }

    fn allocator_stats(&self) -> Option<AllocatorStats> {
        None
    }

    fn watch(&self, _: u64) {}
}

/// Tells who of the network is ready; waiting lets time pass. Among other machines it never waits: whoever gives them their turns
/// knows when the next thing happens.
pub struct SimPoller {
    world: World,
    /// Only for its registry, with which nothing is ever registered: virtual sockets keep their token themselves.
    beneath: mio::Poll,
}

impl Poller for SimPoller {
    fn poll(&mut self, ready: &mut Vec<Readiness>, wait: Option<Duration>) -> io::Result<()> {
        self.world.net.report(ready);
        let pipe = self.world.pipe.borrow();
        ready.extend(pipe.as_ref().and_then(SimPipe::report));
        if ready.is_empty() && self.world.cables.is_none() {
            let wait_us = wait.map_or(STEP_MAX_US, |wait| wait.as_micros() as u64);
            let most = wait_us.min(STEP_MAX_US);
            let us = self.world.random.borrow_mut().below(most + 1);
            self.world.clock.pass(us);
        } else {
            self.world.clock.pass(SERVED_US * ready.len() as u64);
        }
        Ok(())
    }

    fn registry(&self) -> &Registry {
        self.beneath.registry()
    }
}
