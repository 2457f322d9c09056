//! A moment that is known by both clocks, and the rate at which time goes on from there.
//!
//! Time is counted in parts, 4096 to the microsecond: 64 bits last for 142 years.

/// Bits of a number of parts that lie below the microsecond.
pub(super) const PART_BITS: u32 = 12;
/// Ticks for which an anchor tells the time: half a millisecond at 4 GHz, five at the slowest that [`Rate::between`] takes.
pub(super) const TICKS_MAX: u64 = 1 << 21;
/// Bits of a rate that lie below one part per tick.
const RATE_BITS: u32 = 32;
/// What a counter that can be trusted may do in a microsecond.
const MHZ: std::ops::RangeInclusive<u64> = 400..=10_000;

/// Parts of this many nanoseconds, rounded down.
pub(super) fn parts_of_ns(ns: u64) -> u64 {
    ((ns / 1000) << PART_BITS) + (((ns % 1000) << PART_BITS) / 1000)
}

/// Parts that pass with each tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate(u64);

impl Rate {
    /// Time stands still.
    pub(super) const ZERO: Rate = Rate(0);

    /// Rounded down. Nothing, where that is not what a processor does.
    pub(super) fn between(ticks: u64, parts: u64) -> Option<Rate> {
        let mhz = (u128::from(ticks) << PART_BITS).checked_div(u128::from(parts))?;
        if !MHZ.contains(&u64::try_from(mhz).ok()?) {
            return None;
        }
        let rate = (u128::from(parts) << RATE_BITS) / u128::from(ticks);
        Some(Rate(u64::try_from(rate).ok()?))
    }

    /// Parts of no more than [`TICKS_MAX`] ticks. Fits: a rate of a plausible counter has 36 bits.
    #[inline]
    fn parts(self, ticks: u64) -> u64 {
        debug_assert!(ticks <= TICKS_MAX, "nobody is told so much");
        (ticks * self.0) >> RATE_BITS
    }

    /// Parts of any number of ticks.
    pub(super) fn parts_long(self, ticks: u64) -> u64 {
        let parts = (u128::from(ticks) * u128::from(self.0)) >> RATE_BITS;
        u64::try_from(parts).unwrap_or(u64::MAX)
    }

    /// Ticks of a microsecond.
    pub(super) fn mhz(self) -> Option<u64> {
        ((1 << (PART_BITS + RATE_BITS)) + self.0 / 2).checked_div(self.0)
    }
}

/// At this tick it was this late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Anchor {
    ticks: u64,
    parts: u64,
    rate: Rate,
}

impl Anchor {
    /// From here on at this rate.
    pub(super) const fn new(ticks: u64, parts: u64, rate: Rate) -> Anchor {
        Anchor { ticks, parts, rate }
    }

    /// Tells no time: no counter gets to its tick within thousands of years.
    pub(super) const NONE: Anchor = Anchor::new(1 << 63, 0, Rate::ZERO);

    /// How late it is, while the anchor may tell.
    #[inline]
    pub(super) fn at(self, ticks: u64) -> Option<u64> {
        let since = ticks.wrapping_sub(self.ticks);
        (since < TICKS_MAX).then(|| self.parts + self.rate.parts(since))
    }

    /// How late it would be if the counter had gone on as before, however long ago that was.
    pub(super) fn expected(self, ticks: u64) -> u64 {
        let since = self.rate.parts_long(ticks.saturating_sub(self.ticks));
        self.parts.saturating_add(since)
    }

    /// How late it was.
    pub(super) fn parts(self) -> u64 {
        self.parts
    }

    /// How fast it goes on.
    pub(super) fn rate(self) -> Rate {
        self.rate
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_number() -> impl Strategy<Value = u64> {
        prop_oneof![
            0..10u64,
            0..1u64 << 40,
            any::<u64>(),
            u64::MAX - 9..=u64::MAX
        ]
    }

    proptest! {
        #[test]
        fn parts_are_those_of_wide_arithmetic(ns in any::<u64>().prop_map(|ns| ns >> 13)) {
            let exact = (u128::from(ns) << PART_BITS) / 1000;
            prop_assert_eq!(u128::from(parts_of_ns(ns)), exact);
        }

        #[test]
        fn a_rate_is_that_of_wide_arithmetic_or_implausible(
            (ticks, parts) in (any_number(), any_number()),
            since in 0..=TICKS_MAX,
        ) {
            match Rate::between(ticks, parts) {
                None => {
                    let mhz = (u128::from(ticks) << PART_BITS).checked_div(parts.into());
                    prop_assert!(mhz.is_none_or(|mhz| !(400..=10_000).contains(&mhz)));
                }
                Some(rate) => check(rate, ticks, parts, since)?,
            }
        }

        #[test]
        fn a_plausible_rate_is_that_of_wide_arithmetic(
            mhz in 400..=10_000u64,
            us in 1..=1u64 << 40,
            since in prop_oneof![0..=TICKS_MAX, Just(TICKS_MAX)],
        ) {
            let (ticks, parts) = (mhz * us, us << PART_BITS);
            let rate = Rate::between(ticks, parts).unwrap();
            let told = rate.mhz().unwrap();
            prop_assert!(told.abs_diff(mhz) <= 1, "{} in place of {}", told, mhz);
            check(rate, ticks, parts, since)?;
        }
    }

    /// A short time by the rate is exactly its product, and what passed but for the rounding.
    fn check(rate: Rate, ticks: u64, parts: u64, since: u64) -> Result<(), TestCaseError> {
        let wide = (u128::from(since) * u128::from(rate.0)) >> RATE_BITS;
        prop_assert_eq!(u128::from(rate.parts(since)), wide);
        prop_assert_eq!(rate.parts_long(since), rate.parts(since));
        let exact = u128::from(since) * u128::from(parts) / u128::from(ticks);
        prop_assert!(wide <= exact, "{} is more than {}", wide, exact);
        prop_assert!(exact - wide <= 1, "{} in place of {}", wide, exact);
        Ok(())
    }

    #[test]
    fn the_longest_times_fit() {
        let slowest = Rate::between(400 << 20, 1 << (20 + PART_BITS)).unwrap();
        assert_eq!(slowest.parts(TICKS_MAX) >> PART_BITS, TICKS_MAX / 400);
        assert_eq!(slowest.parts_long(u64::MAX), u64::MAX);
        assert_eq!(Anchor::new(0, 5, slowest).expected(u64::MAX), u64::MAX);
        assert_eq!(Rate::ZERO.mhz(), None);
    }

    #[test]
    fn an_anchor_tells_for_its_ticks_and_no_longer() {
        let rate = Rate::between(3000, 1 << PART_BITS).unwrap();
        let anchor = Anchor::new(1000, 70, rate);
        assert_eq!(anchor.at(999), None);
        assert_eq!(anchor.at(1000), Some(70));
        assert_eq!(anchor.at(1000 + TICKS_MAX), None);
        assert!(anchor.at(999 + TICKS_MAX).is_some());
        assert_eq!(anchor.expected(0), 70);
        assert_eq!(Anchor::NONE.at(u64::MAX >> 1), None);
    }
}
