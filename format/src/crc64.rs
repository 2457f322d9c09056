//! The checksum of snapshots and DUMP payloads: CRC-64, polynomial 0xad93d23594c935a9, bits reflected, start 0, no final xor.
//!
//! `123456789` gives 0xe9c6d914c4b8d9ca. Snapshots store it little-endian after the EOF opcode, over all bytes before it.
//! The work is done by `crc-fast`, which folds with carry-less multiplication where the processor has it; the crate `crc64`, a
//! plain table walk, is the reference that tests compare with.

use std::fmt;
use std::sync::LazyLock;

use crc_fast::{CrcParams, Digest};

/// Folding constants for our polynomial, computed once.
static PARAMS: LazyLock<CrcParams> = LazyLock::new(|| {
    CrcParams::new(
        "CRC-64/REDIS",
        64,
        0xad93_d235_94c9_35a9,
        0,
        true,
        0,
        0xe9c6_d914_c4b8_d9ca,
    )
});

/// A checksum under way.
#[derive(Clone)]
pub struct Crc64 {
    digest: Digest,
}

impl Crc64 {
    /// The checksum of nothing: 0.
    pub fn new() -> Self {
        Crc64 {
            digest: Digest::new_with_params(*PARAMS),
        }
    }

    /// Takes in more bytes. A call costs some nanoseconds by itself, so that many tiny pieces are better gathered first.
    #[inline]
    pub fn update(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.digest.update(bytes);
        }
    }

    /// The checksum of all bytes so far; more may follow.
    #[inline]
    pub fn value(&self) -> u64 {
        self.digest.finalize()
    }
}

impl Default for Crc64 {
    fn default() -> Self {
        Crc64::new()
    }
}

impl fmt::Debug for Crc64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crc64({:#018x})", self.value())
    }
}

/// The checksum of one slice.
pub fn crc64(bytes: &[u8]) -> u64 {
    let mut crc = Crc64::new();
    crc.update(bytes);
    crc.value()
}

/// The checksum of two slices one behind the other, from those of both and the length of the second: some microseconds. The sum of
/// the first goes on as if so many zeros followed, and that of the second is added, as both are linear.
pub fn combine(first: u64, second: u64, second_len: u64) -> u64 {
    times(first, second_len, &ZEROS) ^ second
}

/// A sum times the power of something whose powers of two these are.
fn times(sum: u64, power: u64, powers: &[u64; 64]) -> u64 {
    let bits = (0..u64::BITS).filter(|bit| power >> bit & 1 == 1);
    bits.fold(sum, |sum, bit| product(sum, powers[bit as usize]))
}

/// Our polynomial with its bits reflected, as the sums are: the highest bit is that of the lowest power.
const REFLECTED: u64 = 0xad93_d235_94c9_35a9_u64.reverse_bits();

/// What 1, 2, 4, 8 ... zero bytes multiply a sum with.
static ZEROS: LazyLock<[u64; 64]> = LazyLock::new(|| {
    // One zero byte is the eighth power of x.
    powers(1 << (63 - 8))
});

/// The first, second, fourth, eighth ... power.
fn powers(mut power: u64) -> [u64; 64] {
    std::array::from_fn(|_| {
        let this = power;
        power = product(power, power);
        this
    })
}

/// The product of two polynomials, less all multiples of ours.
fn product(first: u64, mut second: u64) -> u64 {
    let mut sum = 0;
    for bit in (0..u64::BITS).rev() {
        if first >> bit & 1 == 1 {
            sum ^= second;
        }
        second = (second >> 1) ^ if second & 1 == 1 { REFLECTED } else { 0 };
    }
    sum
}

/// Two neighbouring bytes at most are blamed for a wrong checksum: then a wrong verdict about a file of a gigabyte has a probability
/// of one in hundreds of thousands, and whoever follows it sees whether the file can be read.
const FAULT_BITS: u32 = 16;

/// One fault that explains a wrong checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which byte is wrong, the first of them.
    pub at: u64,
    /// What it and the next one must be combined with by exclusive or.
    pub mask: [u8; 2],
}

/// The one place where one or two changed bytes explain why `len` bytes give `computed`, and not what is stored.
///
/// The difference of the two sums is what the change has become on its way to the end. It is followed back; where it has only a few
/// bits left, the change was made. What a sum has become eight bytes before it shows all that changed in these eight, so that one step in
/// `STRIDE` bytes sees every pair of neighbours. Takes half a nanosecond for each byte between the change and the end.
pub fn single_fault(stored: u64, computed: u64, len: u64) -> Option<Fault> {
    let difference = stored ^ computed;
    // A sum that differs in one byte was changed itself.
    if difference == 0 || (0..8).any(|place| difference & !(0xff << (8 * place)) == 0) {
        return None;
    }
    let steps = len.saturating_sub(WINDOW) / STRIDE / LANES as u64;
    let mut lanes: [Lane; LANES] = std::array::from_fn(|lane| {
        let at = (len.saturating_sub(WINDOW)) - steps * STRIDE * lane as u64;
        let state = times(difference, len - at, &BACK);
        Lane { at, state }
    });
    // The last change is meant, and the lane in front has the last bytes.
    let mut found: [Option<Fault>; LANES] = [None; LANES];
    let tables = &*STRIDES_BACK;
    for _ in 0..steps {
        for (lane, found) in lanes.iter_mut().zip(&mut found) {
            if lane.is_fault() {
                *found = found.or_else(|| lane.fault(len));
            }
            lane.stride_back(tables);
        }
    }
    let mut last = lanes[LANES - 1];
    let mut rest = || loop {
        let fault = last.is_fault().then(|| last.fault(len)).flatten();
        if fault.is_some() || last.at == 0 {
            return fault;
        }
        match last.at < STRIDE {
            true => {
                last = Lane {
                    at: 0,
                    state: times(last.state, last.at, &BACK),
                }
            }
            false => last.stride_back(tables),
        }
    };
    found.into_iter().flatten().next().or_else(&mut rest)
}

/// Bytes that a sum shows whole, and by how many of them it is followed back at once: two neighbours are in one of these windows.
const WINDOW: u64 = 8;
const STRIDE: u64 = WINDOW - 1;

/// The change is followed back in so many parts of the bytes at once: each step waits for the one before it, so that one part
/// alone would leave a processor idle most of the time.
const LANES: usize = 8;

/// What a change has become when `at` bytes are left before it: if it is a change of the eight bytes from there on, its very bits.
#[derive(Clone, Copy)]
struct Lane {
    at: u64,
    state: u64,
}

impl Lane {
    #[inline]
    fn stride_back(&mut self, tables: &[[u64; 256]; 8]) {
        self.at -= STRIDE;
        let bytes = self.state.to_le_bytes();
        let parts = bytes.iter().zip(tables);
        self.state = parts.fold(0, |sum, (byte, table)| sum ^ table[usize::from(*byte)]);
    }

    /// Whether it is no more than a change of two neighbouring bytes, or nearly so.
    #[inline]
    fn is_fault(&self) -> bool {
        u64::BITS - self.state.leading_zeros() - self.state.trailing_zeros() <= FAULT_BITS
    }

    /// That change, if it is one in front of `len`.
    fn fault(&self, len: u64) -> Option<Fault> {
        let place = self.state.trailing_zeros() / u8::BITS;
        let mask = self.state >> (place * u8::BITS);
        let at = self.at + u64::from(place);
        let bytes = if mask > 0xff { 2 } else { 1 };
        // What lies behind would be the checksum itself.
        let is_one = mask >> FAULT_BITS == 0 && at + bytes <= len;
        is_one.then_some(Fault {
            at,
            mask: [mask as u8, (mask >> 8) as u8],
        })
    }
}

/// What the sum was before its last byte, if that was a zero.
fn step_back(sum: u64) -> u64 {
    let (forward, back) = &*TABLES;
    let byte = back[(sum >> 56) as usize];
    ((sum ^ forward[usize::from(byte)]) << 8) | u64::from(byte)
}

/// What 1, 2, 4, 8 ... steps back multiply a sum with.
static BACK: LazyLock<[u64; 64]> = LazyLock::new(|| powers(step_back(1 << 63)));

/// By place of a byte in the sum: what it becomes [`STRIDE`] bytes before.
static STRIDES_BACK: LazyLock<[[u64; 256]; 8]> = LazyLock::new(|| {
    let back = |place: usize, byte: usize| times((byte as u64) << (8 * place), STRIDE, &BACK);
    std::array::from_fn(|place| std::array::from_fn(|byte| back(place, byte)))
});

/// What a byte makes of the sum, and which byte makes its top byte: a step forward and a step back.
static TABLES: LazyLock<([u64; 256], [u8; 256])> = LazyLock::new(|| {
    let (mut forward, mut back) = ([0; 256], [0; 256]);
    for byte in 0..=u8::MAX {
        let sum = crc64(&[byte]);
        forward[usize::from(byte)] = sum;
        back[(sum >> 56) as usize] = byte;
    }
    (forward, back)
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sums_give_that_of_both_slices() {
        let bytes: Vec<u8> = (0..70_000_u32).map(|n| ((n * 31) >> 3) as u8).collect();
        for at in [0, 1, 7, 8, 255, 4096, 65_537, bytes.len()] {
            let (first, second) = bytes.split_at(at);
            let both = combine(crc64(first), crc64(second), second.len() as u64);
            assert_eq!(both, crc64(&bytes), "{at}");
        }
    }

    #[test]
    fn gives_the_known_value() {
        assert_eq!(crc64(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        assert_eq!(crc64(b""), 0);
    }

    proptest::proptest! {
        #[test]
        fn agrees_with_the_table_walk_in_any_pieces(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..2000),
            cuts in proptest::collection::vec(0usize..2000, 0..6),
        ) {
            let expected = ::crc64::crc64(0, &bytes);
            proptest::prop_assert_eq!(crc64(&bytes), expected);
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut crc = Crc64::new();
            for pair in cuts.windows(2) {
                crc.update(&bytes[pair[0]..pair[1]]);
            }
            proptest::prop_assert_eq!(crc.value(), expected);
        }
    }

    #[test]
    fn one_or_two_changed_bytes_are_found_and_more_are_not() {
        let bytes: Vec<u8> = (0..5000_u32).map(|n| ((n * n) >> 3) as u8).collect();
        let stored = crc64(&bytes);
        for at in [0, 1, 7, 8, 2500, 4990, 4998, 4999] {
            for mask in [
                [1, 0],
                [0x80, 0],
                [0xff, 0],
                [1, 1],
                [0, 0x40],
                [0xff, 0xff],
            ] {
                let Some(second) = bytes.get(at + 1).map_or(Some(0), |_| Some(mask[1])) else {
                    continue;
                };
                let mut changed = bytes.clone();
                changed[at] ^= mask[0];
                if let Some(byte) = changed.get_mut(at + 1) {
                    *byte ^= second;
                }
                let found = single_fault(stored, crc64(&changed), 5000);
                let expected = match (mask[0], second) {
                    (0, 0) => None,
                    (0, second) => Some(Fault {
                        at: at as u64 + 1,
                        mask: [second, 0],
                    }),
                    (first, second) => Some(Fault {
                        at: at as u64,
                        mask: [first, second],
                    }),
                };
                assert_eq!(found, expected, "{at} {mask:?}");
            }
        }
        let mut changed = bytes.clone();
        changed[100..120].fill(0);
        assert_eq!(single_fault(stored, crc64(&changed), 5000), None);
        assert_eq!(
            single_fault(stored, stored ^ 0x0100, 5000),
            None,
            "the sum itself"
        );
        assert_eq!(single_fault(stored, stored, 5000), None);
    }
}
