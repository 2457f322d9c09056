//! A line for a report that is made in a signal handler.

/// A line that is put together without the allocator.
pub(super) struct Line {
    bytes: [u8; 512],
    len: usize,
}

impl Line {
    pub(super) fn new() -> Line {
        Line {
            bytes: [0; 512],
            len: 0,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub(super) fn text(&mut self, text: &[u8]) {
        let count = text.len().min(self.bytes.len() - self.len);
        self.bytes[self.len..self.len + count].copy_from_slice(&text[..count]);
        self.len += count;
    }

    /// Text of which nothing is known, as Rust's `escape_ascii` shows it.
    pub(super) fn escaped(&mut self, text: &[u8]) {
        for byte in text {
            for part in std::ascii::escape_default(*byte) {
                self.text(&[part]);
            }
        }
    }

    pub(super) fn number(&mut self, number: i64) {
        if number < 0 {
            self.text(b"-");
        }
        self.digits(number.unsigned_abs(), 10);
    }

    pub(super) fn hex(&mut self, number: usize) {
        self.digits(number as u64, 16);
    }

    fn digits(&mut self, mut number: u64, base: u64) {
        let mut text = [0u8; 20];
        let mut at = text.len();
        loop {
            at -= 1;
            text[at] = b"0123456789abcdef"[(number % base) as usize];
            number /= base;
            if number == 0 {
                break;
            }
        }
        self.text(&text[at..]);
    }
}
