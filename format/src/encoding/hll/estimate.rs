//! From registers to a number: the estimator of Otmar Ertl ("New cardinality estimation algorithms for HyperLogLog sketches",
//! 2017, arXiv:1702.01284), in the order of operations of Redis 7.2, so that every count is the same.

use super::{COUNTED_BITS, REGISTERS};

/// 1 / (2 ln 2), the bias for infinitely many registers.
const ALPHA: f64 = 0.721_347_520_444_481_7;

/// What Redis answers where the estimate is infinite: the least 64-bit integer, taken as unsigned.
const BEYOND: u64 = 1 << 63;

/// The estimate from how many registers have each value.
pub(super) fn cardinality(histogram: &[u32; 64]) -> u64 {
    let m = REGISTERS as f64;
    let full = f64::from(histogram[COUNTED_BITS as usize + 1]);
    let mut z = m * tau((m - full) / m);
    for count in histogram[1..=COUNTED_BITS as usize].iter().rev() {
        z = (z + f64::from(*count)) * 0.5;
    }
    z += m * sigma(f64::from(histogram[0]) / m);
    let estimate = (ALPHA * m * m / z).round();
    if estimate < BEYOND as f64 {
        estimate as u64
    } else {
        BEYOND
    }
}

/// Corrects for registers that are still 0.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if before == z {
            return z;
        }
    }
}

/// Corrects for registers that are full.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if before == z {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_the_scale() {
        let mut none = [0; 64];
        none[0] = REGISTERS as u32;
        assert_eq!(cardinality(&none), 0);
        let mut full = [0; 64];
        full[COUNTED_BITS as usize + 1] = REGISTERS as u32;
        assert_eq!(cardinality(&full), BEYOND);
    }
}
