//! Timed work: `hz` times a second, and what was too long for one turn.

use cairn_engine::Engine;
use cairn_engine::session::Role;

use crate::config::table;
use crate::defrag::Defrag;
use crate::front::Front;
use crate::host::Slabs;
use crate::net::Cause;
use crate::settings::TRIM_AFTER_MS;

/// Part of the time between two runs that expiry may take, percent (`ACTIVE_EXPIRE_CYCLE_SLOW_TIME_PERC` of Redis).
const EXPIRE_PERCENT: u64 = 25;
/// What each step of `active-expire-effort` above the first adds to it, percent.
const EXPIRE_PERCENT_STEP: u64 = 2;
/// Time that expiry may take in one turn, microseconds.
const EXPIRE_SLICE_US: u64 = 500;
/// Time that moving table entries may take in one turn, microseconds.
const REHASH_US: u64 = 500;
/// Time that a new meaning of access fields may take in one turn, microseconds.
const RESTAMP_US: u64 = 500;
/// How old a sample of the memory becomes, microseconds (`serverCron` of Redis takes one as often).
const MEMORY_SAMPLE_US: u64 = 100_000;
/// Clients that each run looks at, even if there are few.
const CLIENTS_PER_RUN: usize = 5;

/// When what is due.
#[derive(Debug)]
pub struct Cron {
    next_us: u64,
    /// Runs so far.
    runs: u64,
    /// What is left of the time that expiry may take until the next run, microseconds.
    expire_left_us: u64,
    /// Something is left to do: the loop does not wait.
    pub work_left: bool,
    /// The client that was looked at last.
    next_client: usize,
    /// Blocks of values are moved together.
    defrag: Defrag,
}

impl Cron {
    /// The first run is due at once.
    pub fn new(now_us: u64) -> Cron {
        Cron {
            next_us: now_us,
            runs: 0,
            expire_left_us: 0,
            work_left: false,
            next_client: 0,
            defrag: Defrag::default(),
        }
    }

    /// When something is due next, monotonic microseconds.
    pub fn due_us(&self) -> u64 {
        self.next_us.min(self.defrag.due_us())
    }

    /// Does what is due; whether anything was.
    pub fn run(&mut self, engine: &mut Engine, front: &mut Front) -> bool {
        crate::shutdown::on_signal(engine, front);
        if front.ending.is_some() {
            return false;
        }
        if self.work_left {
            self.work_left = self.slices(engine, front);
        }
        if self.defrag.is_under_way() {
            self.defrag.go_on(engine, front);
        }
        // Each turn asks, so this does not read the clock: the last command has.
        if engine.mono_us() < self.next_us || front.settings.cron_paused {
            return false;
        }
        self.run_due(engine, front)
    }

    /// Ten times a second or so, and so not in the loop itself.
    #[inline(never)]
    fn run_due(&mut self, engine: &mut Engine, front: &mut Front) -> bool {
        let now = front.host.clock().monotonic_us();
        let hz = front.settings.hz(front.clients.connections.len());
        debug_assert!(now >= self.next_us, "it was not due");
        self.next_us = now + 1_000_000 / hz;
        assert!(self.next_us > now, "the next run is due at once");
        debug_assert_eq!(front.settings.check(), Ok(()));
        self.runs += 1;
        front.sample_memory(MEMORY_SAMPLE_US);
        front.wind_watch();
        crate::sync::tick(engine, front);
        crate::shutdown::waiting::go_on(engine, front);
        if front.ending.is_some() {
            return true;
        }
        if engine.shared.gate.loading {
            // What is there is not yet the data: nothing expires and nothing is saved.
            return false;
        }
        engine.expire_own(front);
        let effort = u64::from(engine.ks.limits.expire_effort.clamp(1, 10)) - 1;
        let percent = EXPIRE_PERCENT + effort * EXPIRE_PERCENT_STEP;
        self.expire_left_us = 1_000_000 / hz * percent / 100;
        debug_assert!(
            self.expire_left_us < 1_000_000 / hz,
            "nothing is left for clients"
        );
        if let Some(slabs) = front.host.slabs() {
            slabs.age();
        }
        self.work_left = self.slices(engine, front);
        self.defrag.look(engine, front, now);
        front.saving().cron(&mut engine.ks, &mut engine.shared.gate);
        front.note_memory();
        clients(engine, front, &mut self.next_client, hz);
        if self.runs.is_multiple_of(hz) {
            front.peers.forget_idle(now / 1000);
        }
        let counters = &front.figures.counters;
        let rated = [
            engine.shared.stats.processed,
            counters.bytes_in,
            counters.bytes_out,
            counters.turns,
            counters.turn_us,
        ];
        front.figures.rates.sample(now, rated);
        front.figures.counters.cron_us += front.host.clock().monotonic_us() - now;
        true
    }

    /// A little of all that takes longer than one turn; whether more is left.
    fn slices(&mut self, engine: &mut Engine, front: &mut Front) -> bool {
        self.expire(engine, front)
            | rehash(engine, front)
            | restamp(engine, front)
            | engine.evict(front)
            | front.host.slabs().is_some_and(Slabs::tidy)
    }

    /// Whether there is more to expire, and time left for it.
    fn expire(&mut self, engine: &mut Engine, front: &mut Front) -> bool {
        if self.expire_left_us == 0 {
            return false;
        }
        let start = front.host.clock().monotonic_us();
        let cycle = engine.expire(front, EXPIRE_SLICE_US.min(self.expire_left_us));
        let took = front.host.clock().monotonic_us() - start;
        self.expire_left_us = match cycle.cut_short {
            true => self.expire_left_us.saturating_sub(took.max(1)),
            false => 0,
        };
        let more = self.expire_left_us > 0;
        engine.ks.stats.expire_capped += u64::from(cycle.cut_short && !more);
        more
    }
}

/// Tables go on growing while there is time for it; without `activerehashing` only as keys are added.
fn rehash(engine: &mut Engine, front: &mut Front) -> bool {
    if !front.settings.config.get(table::ACTIVEREHASHING) {
        return false;
    }
    let end = front.host.clock().monotonic_us() + REHASH_US;
    engine.rehash(&mut || front.host.clock().monotonic_us() < end)
}

/// A new meaning of the access fields reaches all keys; not while a child shares their memory.
fn restamp(engine: &mut Engine, front: &mut Front) -> bool {
    if front.keeper.work.is_some() {
        return false;
    }
    let end = front.host.clock().monotonic_us() + RESTAMP_US;
    engine
        .ks
        .restamp_step(&mut |_| front.host.clock().monotonic_us() < end)
}

/// Idle clients end or give memory back, those beyond their output limit for too long are cut off. Each run looks at so
/// many clients that each is looked at once a second at least.
fn clients(engine: &mut Engine, front: &mut Front, next: &mut usize, hz: u64) {
    let slots = front.clients.connections.slot_count();
    let visits = slots.min((slots / hz as usize).max(CLIENTS_PER_RUN));
    debug_assert!(
        (visits + 1) * hz as usize > slots,
        "some are not looked at within a second"
    );
    for _ in 0..visits {
        *next = (*next + 1) % slots;
        client(engine, front, *next);
    }
}

fn client(engine: &mut Engine, front: &mut Front, slot: usize) {
    let timeout_ms = front.settings.config.milliseconds(table::TIMEOUT);
    let now_ms = front.host.clock().monotonic_us() / 1000;
    let session = front.clients.session_on(slot);
    let Some(connection) = front.clients.connections.get_mut(slot) else {
        return;
    };
    if connection.stream().take_moved() {
        connection.heard_ms = now_ms;
    }
    let state = session.and_then(|s| engine.shared.sessions.get(s));
    let subscribed = state.is_some_and(|s| s.listens());
    let exempt = subscribed || state.is_some_and(|s| s.blocked || s.role != Role::Client);
    if timeout_ms > 0 && connection.idle_ms(now_ms) > timeout_ms && !exempt {
        return front.clients.connections.end(slot, Cause::Cut);
    }
    let resized = connection.trim(now_ms, TRIM_AFTER_MS, front.settings.reply_trim);
    front.figures.counters.reply_expands += resized.expands;
    front.figures.counters.reply_shrinks += resized.shrinks;
    if connection.output.limited_bytes() > 0 {
        front.cut_if_beyond_limit(slot, subscribed, now_ms);
    }
    if front.clients.budget.is_on() {
        front.weigh(slot, &engine.shared.sessions);
    }
}
