//! A hash for what is in memory: whoever writes bytes to a file takes a checksum.

/// A fast hash for finding candidates; equality is always confirmed on the bytes where it matters.
#[inline]
pub fn hash_bytes(bytes: &[u8], seed: u64) -> u64 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let fold = |state: u64| {
        let wide = u128::from(state) * u128::from(K);
        (wide as u64) ^ ((wide >> 64) as u64)
    };
    // With the length in the state, overlapping pieces tell any two texts apart; a copy of the rest into a padded
    // piece would cost more than all else. It is spread over all bits: added as it is, it is undone by one other letter
    // (`1111` and `01111`).
    let mut state = fold(seed ^ 0xc2b2_ae3d_27d4_eb4f) ^ (bytes.len() as u64).wrapping_mul(K);
    let mut rest = bytes;
    while let (Some((chunk, tail)), true) = (rest.split_first_chunk::<8>(), rest.len() > 8) {
        state = fold(state ^ u64::from_le_bytes(*chunk)).wrapping_add(K);
        rest = tail;
    }
    let last = match (
        bytes.last_chunk::<8>(),
        rest.first_chunk::<4>(),
        rest.last_chunk::<4>(),
    ) {
        (Some(chunk), ..) => u64::from_le_bytes(*chunk),
        (None, Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*last)) << 32 | u64::from(u32::from_le_bytes(*first))
        }
        _ => rest
            .iter()
            .fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    state = fold(state ^ last).wrapping_add(K);
    fold(state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn texts_of_all_lengths_and_seeds_differ() {
        let text: Vec<u8> = (0..40).collect();
        let parts = (0..40).flat_map(|from| (from..=40).map(move |to| from..to));
        let parts: HashSet<&[u8]> = parts.map(|part| &text[part]).collect();
        let hashes = parts
            .iter()
            .flat_map(|part| (0..3).map(|seed| hash_bytes(part, seed)));
        assert_eq!(hashes.collect::<HashSet<u64>>().len(), 3 * parts.len());
    }

    /// Texts of one letter and another in front, of lengths whose pieces overlap.
    #[test]
    fn a_letter_more_is_another_text() {
        for seed in 0..4 {
            let mut seen = HashSet::new();
            for (len, first) in (4..12).flat_map(|len| (b'0'..=b'9').map(move |first| (len, first)))
            {
                let mut text = vec![b'1'; len];
                text[0] = first;
                assert!(seen.insert(hash_bytes(&text, seed)), "{len} {first}");
            }
        }
    }
}
