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

#[cfg(test)]
mod tests {
    use super::*;

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
}
