//! Decisions taken from bytes: what a fuzzer mutates becomes the steps of a model test.

/// Reads decisions off the front of some bytes. At the end everything is zero, so that no input is refused.
#[derive(Debug)]
pub struct Steps<'a> {
    rest: &'a [u8],
}

impl<'a> Steps<'a> {
    /// Decisions for `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Steps { rest: bytes }
    }

    /// Whether no byte is left.
    pub fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        match self.rest.split_first() {
            Some((first, rest)) => {
                self.rest = rest;
                *first
            }
            None => 0,
        }
    }

    /// A number below `n`, which is at least 1, from one byte or as many as `n` needs.
    pub fn below(&mut self, n: usize) -> usize {
        let mut wide = usize::from(self.byte());
        let mut reach = 256_usize;
        while reach < n {
            wide = wide << 8 | usize::from(self.byte());
            reach <<= 8;
        }
        wide % n
    }

    /// Yes or no.
    pub fn flip(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Eight bytes as a number.
    pub fn long(&mut self) -> u64 {
        (0..8).fold(0, |wide, _| wide << 8 | u64::from(self.byte()))
    }

    /// An integer of any size, small ones most often: the first byte tells the bits.
    pub fn int(&mut self) -> i64 {
        match self.byte() % 4 {
            0 => i64::from(self.byte() as i8),
            1 => i64::from(i16::from_le_bytes([self.byte(), self.byte()])),
            2 => {
                let shift = self.byte() % 64;
                (1_i64 << shift).wrapping_add(i64::from(self.byte() as i8))
            }
            _ => self.long() as i64,
        }
    }

    /// Up to `most` bytes, as they stand.
    pub fn take(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(most.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// A string that is likely to occur again, or one of the lengths at which encodings change.
    pub fn text(&mut self) -> Vec<u8> {
        match self.byte() % 8 {
            0 | 1 => self.int().to_string().into_bytes(),
            2 | 3 => format!("word-{}", self.byte() % 32).into_bytes(),
            4 => {
                let len = self.below(20);
                self.take(len).to_vec()
            }
            5 => vec![self.byte(); self.below(80)],
            6 => vec![
                self.byte();
                [63, 64, 65, 127, 128, 253, 254, 255, 256, 4095, 4096][self.below(11)]
            ],
            _ => vec![self.byte(); self.below(20_000)],
        }
    }
}
