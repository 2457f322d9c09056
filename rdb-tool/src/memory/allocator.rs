//! What an allocator gives for a request, as servers count it.

/// Allocators that servers are built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Allocator {
    /// jemalloc as the source of Redis and Valkey brings it: steps of 8 bytes up to 64
    Jemalloc,
    /// jemalloc as distributions package it: steps of 16 bytes up to 128
    JemallocOfSystem,
    /// The C library of Linux (glibc)
    Libc,
}

impl Allocator {
    /// Bytes that are taken for `bytes`.
    pub fn size(self, bytes: u64) -> u64 {
        match self {
            // Eight bytes of each chunk are its own, and chunks are multiples of 16.
            Allocator::Libc => ((bytes + 8).next_multiple_of(16) - 8).max(24),
            Allocator::Jemalloc if bytes <= 64 => bytes.max(1).next_multiple_of(8),
            Allocator::JemallocOfSystem if bytes <= 8 => 8,
            Allocator::JemallocOfSystem if bytes <= 128 => bytes.next_multiple_of(16),
            // Four classes for each doubling.
            _ => {
                let step = (bytes - 1).ilog2() - 2;
                bytes.next_multiple_of(1 << step)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_those_of_the_allocators() {
        let sizes = |allocator: Allocator, of: [u64; 8]| of.map(|bytes| allocator.size(bytes));
        let requests = [1, 9, 17, 65, 129, 300, 8144, 20_000];
        assert_eq!(
            sizes(Allocator::Jemalloc, requests),
            [8, 16, 24, 80, 160, 320, 8192, 20_480]
        );
        assert_eq!(
            sizes(Allocator::JemallocOfSystem, requests),
            [8, 16, 32, 80, 160, 320, 8192, 20_480]
        );
        assert_eq!(
            sizes(Allocator::Libc, requests),
            [24, 24, 24, 72, 136, 312, 8152, 20_008]
        );
    }
}
