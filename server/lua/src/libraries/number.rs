//! Numbers as C has them: what becomes of them in whole types.

/// Cut towards zero to 64 bits. What has no place there becomes the lowest number, as x86-64 does it.
pub(super) fn truncate(number: f64) -> i64 {
    const END: f64 = 9_223_372_036_854_775_808.0;
    match (-END..END).contains(&number) {
        true => number as i64,
        false => i64::MIN,
    }
}

/// As [`truncate`], to 64 bits without a sign; the C compilers' way: the upper half is reached by taking 2^63 away.
pub(super) fn truncate_unsigned(number: f64) -> u64 {
    const HALF: f64 = 9_223_372_036_854_775_808.0;
    match number >= HALF {
        true => truncate(number - HALF) as u64 ^ 1 << 63,
        false => truncate(number) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_types_are_those_of_the_machine() {
        assert_eq!(truncate(-1.9), -1);
        assert_eq!(truncate(f64::NAN), i64::MIN);
        assert_eq!(truncate(9.3e18), i64::MIN);
        assert_eq!(truncate(-9.3e18), i64::MIN);
        assert_eq!(truncate_unsigned(-1.0), u64::MAX);
        assert_eq!(truncate_unsigned(1.5e19), 15_000_000_000_000_000_000);
        assert_eq!(truncate_unsigned(f64::NAN), 1 << 63);
        assert_eq!(truncate_unsigned(1.8446744073709552e19), 0);
    }
}
