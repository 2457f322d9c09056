//! Machines that are not there: a counter and a kernel's clock that do what a test wants of them, and the clock that comes of it.

use proptest::prelude::*;

use super::anchor::{PART_BITS, TICKS_MAX, parts_of_ns};
use super::counter::{Counter, MEASURE_PARTS, OFF_PARTS_MAX, Pair};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1000 * MS;
/// How far it may be ahead of the kernel's clock, which somebody steers, or behind it, microseconds.
const OFF_US: u64 = (OFF_PARTS_MAX >> PART_BITS) + 3;

struct Machine {
    clock: Counter,
    /// The kernel's clock.
    ns: u64,
    ticks: u64,
    /// Ticks of the counter in a thousand nanoseconds of the kernel's clock.
    pace: u64,
    is_trusted: bool,
    told: u64,
}

impl Machine {
    fn new(pace: u64) -> Machine {
        let mut machine = Machine {
            clock: Counter::new(),
            ns: 0,
            ticks: 1 << 40,
            pace,
            is_trusted: true,
            told: 0,
        };
        machine.read();
        machine
    }

    /// A machine of this pace that has been measured.
    fn running(pace: u64) -> Machine {
        let mut machine = Machine::new(pace);
        machine.pass((MEASURE_PARTS >> PART_BITS) * 1000 + MS);
        machine.read();
        assert_eq!(machine.clock.mhz(), Some(pace));
        machine
    }

    fn pass(&mut self, ns: u64) {
        self.ns += ns;
        self.ticks += (u128::from(ns) * u128::from(self.pace) / 1000) as u64;
    }

    fn note(&mut self, us: u64) -> u64 {
        assert!(us >= self.told, "{us} behind {}", self.told);
        self.told = us;
        us
    }

    fn ask(&mut self) -> u64 {
        let pair = Pair {
            ticks: self.ticks,
            width: 60,
            parts: parts_of_ns(self.ns),
        };
        let us = self.clock.ask(pair, || self.is_trusted);
        self.note(us)
    }

    fn read(&mut self) -> u64 {
        match self.clock.us(self.ticks) {
            Some(us) => self.note(us),
            None => self.ask(),
        }
    }

    /// How far the next reading is ahead, microseconds; less than 0 is behind.
    fn off(&mut self) -> i64 {
        self.read() as i64 - (self.ns / 1000) as i64
    }

    /// So long in steps of 10 us with a reading after each, and a turn of the loop each millisecond. The furthest that one was off.
    fn serve(&mut self, ns: u64) -> u64 {
        let end = self.ns + ns;
        let mut off_max = 0;
        let mut steps = 0;
        while self.ns < end {
            self.pass(10_000);
            off_max = off_max.max(self.off().unsigned_abs());
            steps += 1;
            if steps % 100 == 0 {
                self.ask();
            }
        }
        off_max
    }
}

/// What happens to a machine.
#[derive(Debug, Clone)]
enum Event {
    /// Time passes, and somebody reads the clock.
    Pass(u64),
    /// Time passes, and a turn begins.
    Turn(u64),
    /// Another processor's counter, or another machine's.
    Jump(i64),
    /// Another machine's counter, or a kernel's clock that is steered.
    Pace(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let ns = prop_oneof![0..100u64, 0..100_000u64, 0..100 * MS, 0..100 * SECOND];
    let jump = prop_oneof![
        -10_000..10_000i64,
        -(1i64 << 22)..1 << 22,
        -(1i64 << 39)..1 << 50
    ];
    prop_oneof![
        8 => ns.clone().prop_map(Event::Pass),
        4 => ns.prop_map(Event::Turn),
        1 => jump.prop_map(Event::Jump),
        1 => (0..20_000u64).prop_map(Event::Pace),
    ]
}

proptest! {
    /// It never goes back (`note`), is never further ahead than an anchor lasts, and a turn's reading is never behind.
    #[test]
    fn whatever_the_counter_does_it_is_held_to_the_kernel(
        pace in 400..=10_000u64,
        events in proptest::collection::vec(event(), 1..200),
    ) {
        let mut machine = Machine::running(pace);
        let lasts_us = (TICKS_MAX / 400 + OFF_US) as i64;
        for event in events {
            let ahead = match event {
                Event::Pass(ns) => { machine.pass(ns); machine.off() }
                Event::Turn(ns) => {
                    machine.pass(ns);
                    let ahead = machine.ask() as i64 - (machine.ns / 1000) as i64;
                    prop_assert!(ahead >= 0, "{ahead} us behind at a turn");
                    ahead
                }
                Event::Jump(ticks) => { machine.ticks = machine.ticks.saturating_add_signed(ticks); continue }
                Event::Pace(pace) => { machine.pace = pace; continue }
            };
            prop_assert!(ahead <= lasts_us, "{ahead} us ahead");
        }
    }

    /// A counter that goes on evenly is off by no more than the microsecond that is cut off and what the rate is too low.
    #[test]
    fn an_even_counter_stays_within_two_microseconds_of_the_kernel(
        pace in 400..=10_000u64,
        steps in proptest::collection::vec(prop_oneof![0..1000u64, 0..3 * MS, 0..10 * SECOND], 1..300),
    ) {
        let mut machine = Machine::new(pace);
        for ns in steps {
            machine.pass(ns);
            let off = machine.off();
            prop_assert!((-2..=1).contains(&off), "{off}");
        }
    }
}

#[test]
fn an_hour_adds_nothing_up() {
    let mut machine = Machine::running(2596);
    for _ in 0..36_000 {
        machine.pass(100 * MS);
        let off = machine.serve(50_000);
        assert!(off <= 2, "{off} us");
    }
}

#[test]
fn a_kernel_that_is_steered_is_followed() {
    // Millionths: what ntpd may do, and what chronyd may.
    for steered in [-500i64, 500, 8_000, 20_000, -80_000] {
        let mut machine = Machine::running(3_000);
        machine.serve(20 * MS);
        machine.pace = (3_000 - 3_000 * steered / 1_000_000) as u64;
        let mut off = 0;
        for _ in 0..50 {
            off = off.max(machine.serve(20 * MS));
        }
        // One anchor lasts 700 us: so much of them may be wrong.
        let first = 700 * steered.unsigned_abs() / 1_000_000;
        assert!(off <= OFF_US + first, "{steered}: {off} us");
        machine.serve(SECOND);
        let off = machine.serve(20 * MS);
        assert!(off <= 2, "{steered}: {off} us when measured anew");
    }
}

/// Once the fault has been seen, which takes an anchor's ticks or a turn, the kernel tells the time; the counter, when it is measured again.
#[test]
fn a_counter_that_jumps_or_changes_its_pace_is_found_out_within_milliseconds() {
    type Fault = fn(&mut Machine);
    let faults: [(&str, Fault); 8] = [
        ("an hour ahead", |m| m.ticks += 3600 * 3_000_000_000),
        ("100 us ahead", |m| m.ticks += 300_000),
        ("100 us back", |m| m.ticks -= 300_000),
        ("begins anew", |m| m.ticks = 0),
        ("twice as fast", |m| m.pace *= 2),
        ("half as fast", |m| m.pace /= 2),
        ("stands still", |m| m.pace = 0),
        ("too fast to be one", |m| m.pace = 100_000),
    ];
    for (name, fault) in faults {
        let mut machine = Machine::running(3_000);
        machine.serve(5 * MS);
        machine.pass(MS / 3);
        fault(&mut machine);
        let off = machine.serve(2 * MS);
        assert!(off <= 1010, "{name}: {off} us at first");
        let off = machine.serve(20 * MS);
        assert!(off <= 2, "{name}: {off} us");
        assert_eq!(machine.clock.mhz(), None, "{name}: the kernel is asked");
        let off = machine.serve(200 * MS);
        assert!(off <= 2, "{name}: {off} us");
        let pace = Some(machine.pace).filter(|pace| (400..=10_000).contains(pace));
        assert_eq!(machine.clock.mhz(), pace, "{name}");
    }
}

#[test]
fn a_counter_that_the_kernel_has_given_up_is_not_asked_again() {
    let mut machine = Machine::running(2_000);
    machine.serve(5 * MS);
    machine.is_trusted = false;
    machine.serve(5 * MS);
    assert_eq!(machine.clock.mhz(), Some(2_000), "nothing was off");
    machine.ticks += 1_000_000;
    machine.serve(5 * MS);
    machine.is_trusted = true;
    assert_eq!(machine.serve(SECOND), 0, "by the kernel");
    assert_eq!(machine.clock.mhz(), None);
}

#[test]
fn it_is_measured_longer_after_each_failure() {
    let mut machine = Machine::running(2_000);
    let mut before = 0;
    for _ in 0..5 {
        machine.ticks += 1_000_000;
        let since = machine.ns;
        machine.ask();
        while machine.clock.mhz().is_none() {
            machine.pass(MS);
            machine.read();
        }
        let took = machine.ns - since;
        assert!(
            took >= before * 2 - 2 * MS.min(before),
            "{took} behind {before}"
        );
        before = took;
    }
    assert!(before > SECOND, "{before} ns");
}
