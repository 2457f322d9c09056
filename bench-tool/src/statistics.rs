//! What numbers of a sample say of what they were drawn from.
//!
//! Intervals of ratios come from pairs: two servers are measured one right after the other, the logarithm of their ratio is one
//! observation, and the interval of its mean is that of Student's t. What drifts (other work on the machine, a warm cache) is in
//! both of a pair and cancels out; the order within pairs alternates, so that a steady drift cancels out, too.

/// A mean ratio and the interval that it lies in with a certain confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// The ratio of the means (geometric).
    pub mean: f64,
    /// Lower and upper end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The ratio `b / a` over pairs of measurements, with its two-sided interval; `None` without two pairs of positive numbers.
pub fn ratio(pairs: &[(f64, f64)], confidence: f64) -> Option<Ratio> {
    let logs: Vec<f64> = pairs
        .iter()
        .filter(|(a, b)| *a > 0.0 && *b > 0.0)
        .map(|(a, b)| (b / a).ln())
        .collect();
    if logs.len() < 2 {
        return None;
    }
    let (mean, deviation) = mean_and_deviation(&logs);
    let degrees = (logs.len() - 1) as f64;
    let half = student(degrees, confidence) * deviation / (logs.len() as f64).sqrt();
    Some(Ratio {
        mean: mean.exp(),
        low: (mean - half).exp(),
        high: (mean + half).exp(),
    })
}

/// Mean and standard deviation (with n - 1) of at least two numbers.
pub fn mean_and_deviation(numbers: &[f64]) -> (f64, f64) {
    let n = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / n;
    let squares: f64 = numbers.iter().map(|x| (x - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0)).sqrt())
}

/// The middle number; 0 of none.
pub fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

/// The share of a standard normal distribution below `x` (Abramowitz and Stegun 7.1.26; wrong by at most 1.5e-7).
#[cfg(test)]
pub fn normal_below(x: f64) -> f64 {
    let z = x.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let terms = [
        0.254_829_592,
        -0.284_496_736,
        1.421_413_741,
        -1.453_152_027,
        1.061_405_429,
    ];
    let series = terms.iter().rev().fold(0.0, |sum, term| (sum + term) * t);
    let erf = 1.0 - series * (-z * z).exp();
    match x < 0.0 {
        true => (1.0 - erf) / 2.0,
        false => (1.0 + erf) / 2.0,
    }
}

/// How many standard errors a two-sided interval of this confidence reaches with so many degrees of freedom: Student's t.
///
/// With `t = sqrt(degrees) * tan(angle)` the area below the distribution is that of `cos(angle)^(degrees - 1)`, over a finite range and smooth: Simpson's rule gives it, and
/// bisection the angle.
fn student(degrees: f64, confidence: f64) -> f64 {
    const STEPS: usize = 300;
    let height = |angle: f64| angle.cos().powf(degrees - 1.0);
    let area = |end: f64| {
        let step = end / STEPS as f64;
        let inner: f64 = (1..STEPS)
            .map(|i| height(step * i as f64) * if i % 2 == 1 { 4.0 } else { 2.0 })
            .sum();
        (height(0.0) + inner + height(end)) * step / 3.0
    };
    let wanted = confidence * area(std::f64::consts::FRAC_PI_2);
    let (mut low, mut high) = (0.0, std::f64::consts::FRAC_PI_2);
    for _ in 0..40 {
        let middle = (low + high) / 2.0;
        match area(middle) < wanted {
            true => low = middle,
            false => high = middle,
        }
    }
    degrees.sqrt() * high.tan()
}

/// Whether counts fit weights (chi-square; cells of fewer than 5 expected are put together); says what is wrong if that would happen to
/// true samples less than once in a thousand times.
#[cfg(test)]
pub fn chi_square_fits(seen: &[u64], weights: &[f64]) -> Result<(), String> {
    assert_eq!(seen.len(), weights.len());
    let (total, whole) = (seen.iter().sum::<u64>() as f64, weights.iter().sum::<f64>());
    let (mut sum, mut cells) = (0.0, 0);
    let (mut count, mut expected) = (0.0, 0.0);
    for (i, (n, weight)) in seen.iter().zip(weights).enumerate() {
        count += *n as f64;
        expected += total * weight / whole;
        if expected >= 5.0 || i + 1 == seen.len() {
            if expected > 0.0 {
                sum += (count - expected).powi(2) / expected;
                cells += 1;
            } else if count > 0.0 {
                return Err(format!("{count} of what never comes"));
            }
            (count, expected) = (0.0, 0.0);
        }
    }
    let degrees = f64::from(cells - 1);
    if degrees < 1.0 {
        return Ok(());
    }
    // Wilson and Hilferty 1931: the cube root is nearly normal; 3.09 deviations is one of a thousand.
    let share = 2.0 / (9.0 * degrees);
    let limit = degrees * (1.0 - share + 3.09 * share.sqrt()).powi(3);
    match sum <= limit {
        true => Ok(()),
        false => Err(format!(
            "chi-square {sum:.1}, at most {limit:.1} of {degrees} degrees"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn student_is_that_of_the_tables() {
        for (degrees, confidence, known) in [
            (1.0, 0.95, 12.706),
            (4.0, 0.95, 2.776),
            (10.0, 0.99, 3.169),
            (30.0, 0.95, 2.042),
            (1000.0, 0.95, 1.962),
        ] {
            let found = student(degrees, confidence);
            assert!((found - known).abs() < 0.002, "{degrees}: {found}");
        }
        assert!((normal_below(1.96) - 0.975).abs() < 1e-4);
        assert!((normal_below(-1.0) - 0.158_655).abs() < 1e-5);
    }

    /// Of intervals of 95 %, 95 of 100 hold the truth.
    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say() {
        let mut random = Random::new(3);
        let mut holds = 0;
        for _ in 0..2000 {
            let pairs: Vec<(f64, f64)> = (0..8)
                .map(|_| {
                    // What both share cancels out.
                    let drift = 1.0 + random.unit() * 5.0;
                    let mut of = |mean: f64| mean * drift * (0.1 * random.normal()).exp();
                    (of(100.0), of(120.0))
                })
                .collect();
            let found = ratio(&pairs, 0.95).unwrap();
            holds += u32::from(found.low <= 1.2 && 1.2 <= found.high);
        }
        assert!((1860..=1940).contains(&holds), "{holds} of 2000");
    }

    #[test]
    fn too_little_is_no_ratio() {
        assert_eq!(ratio(&[(1.0, 2.0)], 0.95), None);
        assert_eq!(ratio(&[(1.0, 2.0), (0.0, 1.0)], 0.95), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
    }
}
