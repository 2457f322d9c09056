//! Counting bits that are set: with wide vectors where the processor has them.
#![allow(unsafe_code)]

/// Number of bits that are set.
pub fn count(bytes: &[u8]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if bytes.len() >= WIDE_FROM
        && is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("popcnt")
    {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { count_wide(bytes) };
    }
    count_words(bytes)
}

/// Bytes from which on it pays to ask what the processor has.
#[cfg(target_arch = "x86_64")]
const WIDE_FROM: usize = 256;

/// The same loop, in other instructions.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,popcnt")]
fn count_wide(bytes: &[u8]) -> u64 {
    count_words(bytes)
}

#[inline(always)]
fn count_words(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    // Popcounts of single words add up in u32 within a block, which lets the compiler keep them in vector registers.
    let blocks = words.chunks(1024).map(|block| {
        let ones = block
            .iter()
            .map(|word| u64::from_ne_bytes(*word).count_ones());
        u64::from(ones.sum::<u32>())
    });
    blocks.sum::<u64>() + rest.iter().map(|b| u64::from(b.count_ones())).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ways_count_alike() {
        let bytes: Vec<u8> = (0..20_000_u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        for len in (0..300).chain([1_000, 8_191, 8_192, 8_200, 20_000]) {
            let bytes = &bytes[..len];
            let plain: u64 = bytes.iter().map(|byte| u64::from(byte.count_ones())).sum();
            assert_eq!(count(bytes), plain, "{len} bytes");
            assert_eq!(count_words(bytes), plain, "{len} bytes");
        }
    }
}
