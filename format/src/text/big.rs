//! Whole numbers of any size, as far as reading and printing 80-bit numbers needs them.
//!
//! Sizes stay small: a text has at most 5,119 digits and an exponent adds some 5,000, so the largest has about 1,100 limbs.

use super::number::I64Text;

const TEN_TO_9: u32 = 1_000_000_000;

/// A whole number of any size: limbs of 32 bits, lowest first, no zero limb on top.
pub(super) struct Big {
    limbs: Vec<u32>,
}

impl From<u128> for Big {
    fn from(value: u128) -> Self {
        let mut big = Big {
            limbs: (0..4).map(|at| (value >> (32 * at)) as u32).collect(),
        };
        big.trim();
        big
    }
}

impl Big {
    fn trim(&mut self) {
        while self.limbs.last() == Some(&0) {
            self.limbs.pop();
        }
    }

    pub(super) fn is_zero(&self) -> bool {
        self.limbs.is_empty()
    }

    pub(super) fn bits(&self) -> usize {
        debug_assert_ne!(self.limbs.last(), Some(&0), "no zero limb on top");
        self.limbs.last().map_or(0, |top| {
            32 * self.limbs.len() - top.leading_zeros() as usize
        })
    }

    pub(super) fn times_add(&mut self, factor: u32, add: u32) {
        let mut carry = u64::from(add);
        for limb in &mut self.limbs {
            carry += u64::from(*limb) * u64::from(factor);
            *limb = carry as u32;
            carry >>= 32;
        }
        debug_assert!(u32::try_from(carry).is_ok(), "one limb more at most");
        if carry > 0 {
            self.limbs.push(carry as u32);
        }
    }

    pub(super) fn times_ten_to(&mut self, power: usize) {
        (0..power / 9).for_each(|_| self.times_add(TEN_TO_9, 0));
        self.times_add(10u32.pow((power % 9) as u32), 0);
    }

    pub(super) fn shift_left(&mut self, bits: usize) {
        if self.is_zero() {
            return;
        }
        self.times_add(1 << (bits % 32), 0);
        self.limbs.splice(0..0, std::iter::repeat_n(0, bits / 32));
    }

    pub(super) fn halve(&mut self) {
        let mut carry = 0;
        for limb in self.limbs.iter_mut().rev() {
            let low = *limb & 1;
            *limb = *limb >> 1 | carry << 31;
            carry = low;
        }
        self.trim();
    }

    /// The number without its lowest `drop` bits (at most 128 are left), and whether one of those was set.
    pub(super) fn top(&self, drop: usize) -> (u128, bool) {
        debug_assert!(self.bits() <= drop + 128, "at most 128 bits are left");
        let (whole, part) = (drop / 32, drop % 32);
        let lost = self.limbs[..whole].iter().any(|&limb| limb != 0)
            || self
                .limbs
                .get(whole)
                .is_some_and(|limb| limb & ((1u32 << part) - 1) != 0);
        let mut value = 0u128;
        for (at, &limb) in self.limbs[whole..].iter().enumerate() {
            let place = 32 * at as i32 - part as i32;
            value |= if place >= 0 {
                u128::from(limb) << place
            } else {
                u128::from(limb) >> -place
            };
        }
        (value, lost)
    }

    /// Takes `other` away if that leaves no less than zero; says whether it did.
    pub(super) fn subtract_if_not_less(&mut self, other: &Big) -> bool {
        let order = self
            .limbs
            .len()
            .cmp(&other.limbs.len())
            .then_with(|| self.limbs.iter().rev().cmp(other.limbs.iter().rev()));
        if order.is_lt() {
            return false;
        }
        let mut borrow = 0i64;
        for (at, limb) in self.limbs.iter_mut().enumerate() {
            let rest =
                i64::from(*limb) - i64::from(other.limbs.get(at).copied().unwrap_or(0)) + borrow;
            *limb = rest as u32;
            borrow = rest >> 32;
        }
        debug_assert_eq!(borrow, 0, "no less than zero");
        self.trim();
        true
    }

    /// Divides by ten to the ninth and gives the remainder.
    fn take_nine_digits(&mut self) -> u32 {
        let mut rest = 0u64;
        for limb in self.limbs.iter_mut().rev() {
            let value = rest << 32 | u64::from(*limb);
            *limb = (value / u64::from(TEN_TO_9)) as u32;
            rest = value % u64::from(TEN_TO_9);
        }
        debug_assert!(rest < u64::from(TEN_TO_9), "nine digits");
        self.trim();
        rest as u32
    }

    /// Appends the decimal text.
    pub(super) fn write(mut self, out: &mut Vec<u8>) {
        let mut groups = vec![self.take_nine_digits()];
        while !self.is_zero() {
            groups.push(self.take_nine_digits());
        }
        let mut room = I64Text::new();
        for (index, &group) in groups.iter().rev().enumerate() {
            if index == 0 {
                out.extend_from_slice(room.format(i64::from(group)));
            } else {
                out.extend_from_slice(&room.format(i64::from(TEN_TO_9 + group))[1..]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(big: Big) -> String {
        let mut out = Vec::new();
        big.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn grows_and_prints() {
        let mut big = Big::from(7);
        big.times_ten_to(30);
        big.times_add(10, 5);
        assert_eq!(text(big), format!("7{}5", "0".repeat(30)));
        assert_eq!(text(Big::from(0)), "0");
        let mut big = Big::from(3);
        big.shift_left(70);
        assert_eq!((big.bits(), big.top(60)), (72, (3 << 10, false)));
        big.halve();
        assert_eq!(text(big), (3u128 << 69).to_string());
    }

    #[test]
    fn subtracts_only_what_it_has() {
        let mut big = Big::from(u128::MAX);
        assert!(big.subtract_if_not_less(&Big::from(1 << 100)));
        assert!(!big.subtract_if_not_less(&Big::from(u128::MAX)));
        assert_eq!(text(big), (u128::MAX - (1 << 100)).to_string());
        assert_eq!(Big::from(0b1011).top(2), (0b10, true));
    }
}
