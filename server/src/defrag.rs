//! Active defragmentation: when blocks are moved together, and how much of the time that may take. docs/defragmentation.md tells all
//! of it.
//!
//! ```text
//!   once a second   how much of the slabs is used?   enough to gain: the slabs choose, a pass begins
//!   each turn       a slice, if the pass has earned one: so many percent of the time that has passed
//!   the walk done   the pass ends, and the next one may begin
//! ```

use cairn_engine::Engine;
use cairn_engine::call::watch::latency::event;
use cairn_engine::keyspace::defrag::{Slice, Walk};

use crate::config::{Config, table};
use crate::front::Front;
use crate::host::Slabs;

/// Time after which a slice ends, microseconds: with the batch that is under way then it takes half a millisecond at most.
const SLICE_US: u64 = 400;
/// A pass that has earned less waits on: shorter slices would cost more than they move, microseconds.
const SLICE_LEAST_US: u64 = 200;
/// What a pass may have earned at most, so that a long wait is no reason for many slices at a time, microseconds.
const EARNED_MAX_US: u64 = 1000;
/// Time between two looks at the fragmentation, microseconds (as Redis).
const LOOK_US: u64 = 1_000_000;
/// Time until the next pass after one that could move nothing, microseconds.
const REST_US: u64 = 60_000_000;
/// By which part the waste must have grown for one before that.
const VAIN_PART: u64 = 4;

const _: () = assert!(SLICE_LEAST_US <= SLICE_US && SLICE_US <= EARNED_MAX_US);

/// What the directives say about when and how much.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Effort {
    /// `active-defrag-ignore-bytes`.
    ignored_bytes: u64,
    /// `active-defrag-threshold-lower` and `-upper`, percent.
    thresholds: (f64, f64),
    /// `active-defrag-cycle-min` and `-max`, percent.
    cycle: (f64, f64),
}

impl Effort {
    fn of(config: &Config) -> Effort {
        let number = |key| config.get(key) as f64;
        Effort {
            ignored_bytes: config.get(table::ACTIVE_DEFRAG_IGNORE_BYTES),
            thresholds: (
                number(table::ACTIVE_DEFRAG_THRESHOLD_LOWER),
                number(table::ACTIVE_DEFRAG_THRESHOLD_UPPER),
            ),
            cycle: (
                number(table::ACTIVE_DEFRAG_CYCLE_MIN),
                number(table::ACTIVE_DEFRAG_CYCLE_MAX),
            ),
        }
    }

    /// Whether a pass is worth beginning.
    fn is_worth(&self, waste: Waste) -> bool {
        waste.bytes >= self.ignored_bytes && waste.percent >= self.thresholds.0
    }

    /// Percent of the time for so much waste: from the lower to the upper threshold on a line, and never outside of the two ends (as
    /// Redis, where a minimum above the maximum counts).
    fn percent(&self, waste: Waste) -> u64 {
        let ((lower, upper), (least, most)) = (self.thresholds, self.cycle);
        let part = match upper > lower {
            true => (waste.percent - lower) / (upper - lower),
            false => f64::from(u8::from(waste.percent >= upper)),
        };
        let percent = least + part * (most - least);
        (if percent < least {
            least
        } else {
            percent.min(most)
        }) as u64
    }
}

/// What slabs hold beyond what is used in them.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Waste {
    bytes: u64,
    /// Of what is used.
    percent: f64,
}

impl Waste {
    fn of(slabs: &dyn Slabs) -> Waste {
        let used = slabs.used();
        let bytes = slabs.held().saturating_sub(used);
        Waste {
            bytes,
            percent: bytes as f64 * 100.0 / used.max(1) as f64,
        }
    }
}

/// What a pass may spend: so many percent of the time that passes.
#[derive(Clone, Copy, Debug)]
struct Purse {
    /// Hundredths of a microsecond; below zero after a slice that took longer than it should.
    earned: i64,
    /// Until when, monotonic microseconds.
    until_us: u64,
}

impl Purse {
    fn new(now_us: u64) -> Purse {
        Purse {
            earned: 0,
            until_us: now_us,
        }
    }

    fn earn(&mut self, now_us: u64, percent: u64) {
        let passed = now_us.saturating_sub(self.until_us).min(LOOK_US);
        self.earned = (self.earned + (passed * percent) as i64).min(EARNED_MAX_US as i64 * 100);
        self.until_us = now_us;
    }

    fn spend(&mut self, us: u64) {
        self.earned -= us as i64 * 100;
    }

    /// How long a slice may take now, microseconds.
    fn slice_us(&self) -> Option<u64> {
        let us = (self.earned.max(0) / 100) as u64;
        (us >= SLICE_LEAST_US).then(|| us.min(SLICE_US))
    }

    /// When a slice will have been earned, monotonic microseconds.
    fn due_us(&self, percent: u64) -> u64 {
        let missing = (SLICE_LEAST_US as i64 * 100 - self.earned).max(0) as u64;
        self.until_us
            .saturating_add(missing.div_ceil(percent.max(1)))
    }
}

/// A pass under way.
#[derive(Debug)]
struct Pass {
    walk: Walk,
    effort: Effort,
    /// Percent of the time that it may take.
    percent: u64,
    purse: Purse,
    began_us: u64,
    /// Blocks moved before it.
    hits_before: u64,
    /// It must wait for something: nothing is due.
    rests: bool,
}

/// A pass that could move nothing: what is left does not lie behind keys. The next one is in vain, too, for a while, unless much more has
/// become free since.
#[derive(Clone, Copy, Debug)]
struct Vain {
    until_us: u64,
    bytes: u64,
}

impl Vain {
    fn new(now_us: u64, waste: Waste) -> Vain {
        Vain {
            until_us: now_us + REST_US,
            bytes: waste.bytes + waste.bytes / VAIN_PART,
        }
    }

    fn holds(&self, now_us: u64, waste: Waste) -> bool {
        now_us < self.until_us && waste.bytes <= self.bytes
    }
}

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Defrag {
    pass: Option<Pass>,
    next_look_us: u64,
    /// The last pass could move nothing.
    vain: Option<Vain>,
    /// The slabs are choosing which of them are to be emptied.
    is_choosing: bool,
    /// Somebody was told that it cannot be.
    has_warned: bool,
}

impl Defrag {
    /// Whether a pass is under way.
    #[inline]
    pub fn is_under_way(&self) -> bool {
        self.pass.is_some()
    }

    /// When the next slice is due, monotonic microseconds; never where there is none to come.
    pub fn due_us(&self) -> u64 {
        match &self.pass {
            Some(pass) if !pass.rests => pass.purse.due_us(pass.percent),
            _ => u64::MAX,
        }
    }

    /// Begins a pass if one is worth it, or sees how much time the one under way may take: with each run of timed work.
    pub fn look(&mut self, engine: &mut Engine, front: &mut Front, now_us: u64) {
        if !front.settings.config.get(table::ACTIVEDEFRAG) {
            return self.forget_choice(front);
        }
        if now_us < self.next_look_us && !self.is_choosing {
            return;
        }
        let Some(slabs) = front.host.slabs() else {
            self.next_look_us = now_us + LOOK_US;
            return self.warn(front);
        };
        let (effort, waste) = (Effort::of(&front.settings.config), Waste::of(slabs));
        let percent = effort.percent(waste);
        self.next_look_us = now_us + LOOK_US;
        if let Some(pass) = &mut self.pass {
            if percent > pass.percent || effort != pass.effort {
                (pass.percent, pass.effort) = (percent, effort);
                front.figures.defrag.running = percent;
            }
            return;
        }
        let is_vain = self.vain.is_some_and(|vain| vain.holds(now_us, waste));
        let is_held_up = front.keeper.work.is_some() || is_vain;
        if !self.is_choosing && (is_held_up || !effort.is_worth(waste)) {
            return;
        }
        let chosen = slabs.choose();
        self.is_choosing = chosen.is_none();
        if chosen.is_none_or(|bytes| bytes == 0) {
            return;
        }
        front.log.verbose(format_args!(
            "Starting active defrag, frag={:.0}%, frag_bytes={}, cpu={percent}%",
            waste.percent, waste.bytes
        ));
        front.figures.defrag.begin(percent, now_us);
        self.pass = Some(Pass {
            walk: Walk::default(),
            effort,
            percent,
            purse: Purse::new(now_us),
            began_us: now_us,
            hits_before: engine.ks.stats.moved.hits,
            rests: false,
        });
    }

    /// It was switched off while the slabs chose.
    fn forget_choice(&mut self, front: &Front) {
        if std::mem::take(&mut self.is_choosing) {
            front.host.slabs().into_iter().for_each(Slabs::end);
        }
    }

    /// In a configuration file it may be switched on where it cannot be.
    fn warn(&mut self, front: &Front) {
        if !std::mem::replace(&mut self.has_warned, true) {
            front.log.warning(format_args!(
                "activedefrag has no effect: the allocator has no slabs that could be emptied"
            ));
        }
    }

    /// A slice of the pass under way, if it has earned one.
    pub fn go_on(&mut self, engine: &mut Engine, front: &mut Front) {
        let now_us = front.host.clock().monotonic_us();
        let Some(pass) = &mut self.pass else { return };
        let Some(slabs) = front.host.slabs() else {
            return;
        };
        if !front.settings.config.get(table::ACTIVEDEFRAG) {
            return self.end(engine, front, now_us);
        }
        // Each page that is written while a child shares it is copied; and what is being loaded is not the data yet.
        pass.rests =
            front.keeper.work.is_some() || engine.shared.gate.loading || front.settings.cron_paused;
        pass.purse.earn(now_us, pass.percent);
        let slice_us = pass.purse.slice_us().filter(|_| !pass.rests);
        let Some(slice_us) = slice_us else { return };
        let (clock, end_us) = (front.host.clock(), now_us + slice_us);
        let elements = front
            .settings
            .config
            .get(table::ACTIVE_DEFRAG_MAX_SCAN_FIELDS);
        let ended = engine.ks.move_slice(
            &mut pass.walk,
            usize::try_from(elements).unwrap_or(usize::MAX),
            &mut |block| slabs.is_leaving(block),
            &mut || clock.monotonic_us() < end_us,
        );
        let after_us = clock.monotonic_us();
        let took_us = after_us.saturating_sub(now_us);
        let waste = Waste::of(slabs);
        pass.purse.spend(took_us);
        engine.note_latency(event::ACTIVE_DEFRAG_CYCLE, took_us, front);
        if ended == Slice::Done {
            let in_vain = engine.ks.stats.moved.hits == pass.hits_before;
            self.vain = in_vain.then(|| Vain::new(after_us, waste));
            self.end(engine, front, after_us);
            // There may be more to gain at once.
            self.next_look_us = after_us;
        }
    }

    /// The pass is over.
    fn end(&mut self, engine: &Engine, front: &mut Front, now_us: u64) {
        let Some(pass) = self.pass.take() else { return };
        let Some(slabs) = front.host.slabs() else {
            return;
        };
        slabs.end();
        let moved = engine.ks.stats.moved.hits.saturating_sub(pass.hits_before);
        let waste = Waste::of(slabs);
        front.log.verbose(format_args!(
            "Active defrag done in {}ms, reallocated={moved}, frag={:.0}%, frag_bytes={}",
            now_us.saturating_sub(pass.began_us) / 1000,
            waste.percent,
            waste.bytes
        ));
        front.figures.defrag.end(now_us);
    }
}
