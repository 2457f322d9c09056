//! Grisu2: few decimal digits that read back as the same double, without big numbers (Florian Loitsch, "Printing
//! floating-point numbers quickly and accurately with integers", 2010).
//!
//! Redis 7.2 prints with this very algorithm. It finds the shortest digits in about 99.9 % of all cases and otherwise one digit
//! more than needed; an always-shortest algorithm would therefore print some scores differently. To agree to the last digit the
//! choice of the cached power (exponent of the product between -60 and -32, found from the same first guess) is part of the contract.

/// Decimal digits and the power of ten they are to be multiplied with.
pub(super) struct Digits {
    text: [u8; 20],
    len: usize,
    /// Value = the digits as one integer, times ten to this.
    pub(super) exponent: i32,
}

impl Digits {
    /// The digits, most significant first, without leading zeros.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.text[..self.len]
    }

    fn push(&mut self, digit: u64) {
        debug_assert!(digit < 10, "a decimal digit");
        // Leading zeros are no digits.
        if digit > 0 || self.len > 0 {
            self.text[self.len] = b'0' + digit as u8;
            self.len += 1;
        }
    }
}

/// A number with 64 bits of precision: `f` times 2^`e`.
#[derive(Clone, Copy)]
struct Wide {
    f: u64,
    e: i32,
}

impl Wide {
    fn normal(self) -> Wide {
        let shift = self.f.leading_zeros();
        Wide {
            f: self.f << shift,
            e: self.e - shift as i32,
        }
    }

    /// The upper half of the product, rounded.
    fn times(self, other: Wide) -> Wide {
        debug_assert!(
            self.f >> 63 == 1 || other.f >> 63 == 1,
            "else the upper half has too few bits"
        );
        let product = u128::from(self.f) * u128::from(other.f) + (1 << 63);
        Wide {
            f: (product >> 64) as u64,
            e: self.e + other.e + 64,
        }
    }
}

/// The digits of a positive, finite double.
pub(super) fn shortest(value: f64) -> Digits {
    let bits = value.to_bits();
    debug_assert!(value.is_finite() && value > 0.0, "positive and finite");
    let (fraction, biased) = (bits & ((1 << 52) - 1), (bits >> 52) as i32);
    let w = match biased {
        0 => Wide {
            f: fraction,
            e: -1074,
        },
        _ => Wide {
            f: fraction | 1 << 52,
            e: biased - 1075,
        },
    };
    // The borders half way to the neighbours; the one below is nearer at a power of two.
    let above = Wide {
        f: 2 * w.f + 1,
        e: w.e - 1,
    }
    .normal();
    let nearer = if w.f == 1 << 52 { 2 } else { 1 };
    let below = Wide {
        f: ((w.f << nearer) - 1) << (w.e - nearer - above.e),
        e: above.e,
    };

    let (power, decimal) = cached_power(above.e);
    let (w, above, below) = (
        w.normal().times(power),
        above.times(power),
        below.times(power),
    );
    // Each product is off by less than one unit, so the safe interval is one smaller at both ends.
    generate(
        w,
        Wide {
            f: above.f - 1,
            e: above.e,
        },
        below.f + 1,
        -decimal,
    )
}

/// Writes digits of the upper border until what remains is within the interval, then steps down towards the value.
fn generate(w: Wide, above: Wide, below: u64, exponent: i32) -> Digits {
    let mut digits = Digits {
        text: [0; 20],
        len: 0,
        exponent,
    };
    let shift = (-above.e) as u32;
    debug_assert!(
        (32..=60).contains(&shift),
        "as the choice of the power promises"
    );
    debug_assert!(below < w.f && w.f <= above.f, "the value lies inside");
    let mask = (1u64 << shift) - 1;
    let (mut distance, mut delta) = (above.f - w.f, above.f - below);
    let (mut whole, mut fraction) = (above.f >> shift, above.f & mask);

    let mut unit = 1_000_000_000u64;
    for kappa in (0..10).rev() {
        digits.push(whole / unit);
        whole %= unit;
        let rest = (whole << shift) + fraction;
        if rest <= delta {
            digits.exponent += kappa;
            step_down(&mut digits, delta, rest, unit << shift, distance);
            return digits;
        }
        unit /= 10;
    }
    loop {
        fraction *= 10;
        delta *= 10;
        distance = distance.wrapping_mul(10);
        digits.exponent -= 1;
        digits.push(fraction >> shift);
        fraction &= mask;
        if fraction < delta {
            step_down(&mut digits, delta, fraction, mask + 1, distance);
            return digits;
        }
    }
}

/// Lowers the last digit while that comes nearer to the value and stays inside.
fn step_down(digits: &mut Digits, delta: u64, mut rest: u64, unit: u64, distance: u64) {
    while rest < distance
        && delta - rest >= unit
        && (rest + unit < distance || distance - rest > rest + unit - distance)
    {
        digits.text[digits.len - 1] -= 1;
        rest += unit;
    }
}

/// A power of ten that brings a number of binary exponent `e` into the range, and its decimal exponent.
fn cached_power(e: i32) -> (Wide, i32) {
    let guess = (-f64::from(e + POWERS.len() as i32) * std::f64::consts::LOG10_2) as i32;
    let mut index = (guess - FIRST) / STEP;
    loop {
        let (f, exponent) = POWERS[index as usize];
        let power = Wide {
            f,
            e: i32::from(exponent),
        };
        match e + power.e + 64 {
            product if product < -60 => index += 1,
            product if product > -32 => index -= 1,
            _ => return (power, FIRST + index * STEP),
        }
    }
}

/// The decimal exponent of the first cached power, and the step between two.
const FIRST: i32 = -348;
const STEP: i32 = 8;

/// 10^-348, 10^-340 ... 10^340 as 64-bit significand, rounded to nearest, and binary exponent.
#[rustfmt::skip]
const POWERS: [(u64, i16); 87] = [
    (0xfa8fd5a0081c0288, -1220), (0xbaaee17fa23ebf76, -1193), (0x8b16fb203055ac76, -1166),
    (0xcf42894a5dce35ea, -1140), (0x9a6bb0aa55653b2d, -1113), (0xe61acf033d1a45df, -1087),
    (0xab70fe17c79ac6ca, -1060), (0xff77b1fcbebcdc4f, -1034), (0xbe5691ef416bd60c, -1007),
    (0x8dd01fad907ffc3c, -980), (0xd3515c2831559a83, -954), (0x9d71ac8fada6c9b5, -927),
    (0xea9c227723ee8bcb, -901), (0xaecc49914078536d, -874), (0x823c12795db6ce57, -847),
    (0xc21094364dfb5637, -821), (0x9096ea6f3848984f, -794), (0xd77485cb25823ac7, -768),
    (0xa086cfcd97bf97f4, -741), (0xef340a98172aace5, -715), (0xb23867fb2a35b28e, -688),
    (0x84c8d4dfd2c63f3b, -661), (0xc5dd44271ad3cdba, -635), (0x936b9fcebb25c996, -608),
    (0xdbac6c247d62a584, -582), (0xa3ab66580d5fdaf6, -555), (0xf3e2f893dec3f126, -529),
    (0xb5b5ada8aaff80b8, -502), (0x87625f056c7c4a8b, -475), (0xc9bcff6034c13053, -449),
    (0x964e858c91ba2655, -422), (0xdff9772470297ebd, -396), (0xa6dfbd9fb8e5b88f, -369),
    (0xf8a95fcf88747d94, -343), (0xb94470938fa89bcf, -316), (0x8a08f0f8bf0f156b, -289),
    (0xcdb02555653131b6, -263), (0x993fe2c6d07b7fac, -236), (0xe45c10c42a2b3b06, -210),
    (0xaa242499697392d3, -183), (0xfd87b5f28300ca0e, -157), (0xbce5086492111aeb, -130),
    (0x8cbccc096f5088cc, -103), (0xd1b71758e219652c, -77), (0x9c40000000000000, -50),
    (0xe8d4a51000000000, -24), (0xad78ebc5ac620000, 3), (0x813f3978f8940984, 30),
    (0xc097ce7bc90715b3, 56), (0x8f7e32ce7bea5c70, 83), (0xd5d238a4abe98068, 109),
    (0x9f4f2726179a2245, 136), (0xed63a231d4c4fb27, 162), (0xb0de65388cc8ada8, 189),
    (0x83c7088e1aab65db, 216), (0xc45d1df942711d9a, 242), (0x924d692ca61be758, 269),
    (0xda01ee641a708dea, 295), (0xa26da3999aef774a, 322), (0xf209787bb47d6b85, 348),
    (0xb454e4a179dd1877, 375), (0x865b86925b9bc5c2, 402), (0xc83553c5c8965d3d, 428),
    (0x952ab45cfa97a0b3, 455), (0xde469fbd99a05fe3, 481), (0xa59bc234db398c25, 508),
    (0xf6c69a72a3989f5c, 534), (0xb7dcbf5354e9bece, 561), (0x88fcf317f22241e2, 588),
    (0xcc20ce9bd35c78a5, 614), (0x98165af37b2153df, 641), (0xe2a0b5dc971f303a, 667),
    (0xa8d9d1535ce3b396, 694), (0xfb9b7cd9a4a7443c, 720), (0xbb764c4ca7a44410, 747),
    (0x8bab8eefb6409c1a, 774), (0xd01fef10a657842c, 800), (0x9b10a4e5e9913129, 827),
    (0xe7109bfba19c0c9d, 853), (0xac2820d9623bf429, 880), (0x80444b5e7aa7cf85, 907),
    (0xbf21e44003acdd2d, 933), (0x8e679c2f5e44ff8f, 960), (0xd433179d9c8cb841, 986),
    (0x9e19db92b4e31ba9, 1013), (0xeb96bf6ebadf77d9, 1039), (0xaf87023b9bf0ee6b, 1066),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_few_digits() {
        for (value, digits, exponent) in [
            (0.1, "1", -1),
            (5e-324, "5", -324),
            (f64::MAX, "17976931348623157", 292),
            (1e22, "1", 22),
            (1e23, "9999999999999999", 7),
            (2.0, "2", 0),
        ] {
            let found = shortest(value);
            assert_eq!(
                (found.as_bytes(), found.exponent),
                (digits.as_bytes(), exponent)
            );
        }
    }

    #[test]
    fn is_the_shortest_nearly_always_and_never_far_off() {
        let (mut longer, mut state) = (0, 1u64);
        for _ in 0..20_000 {
            // Knuth's linear congruential generator: any spread of bits will do.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let value = f64::from_bits(state >> 1);
            if !value.is_finite() || value == 0.0 {
                continue;
            }
            let found = shortest(value);
            let best = format!("{value:e}")
                .bytes()
                .take_while(|&byte| byte != b'e')
                .filter(u8::is_ascii_digit)
                .count();
            assert!((best..=17).contains(&found.as_bytes().len()), "{value:e}");
            longer += usize::from(found.as_bytes().len() > best);
        }
        assert!(longer < 200, "{longer} of 20,000 are longer than need be");
    }
}
