//! Hashes of keys beyond what memory is to hold, in a temporary file without a name.

use cairn_format::rdb::reader::{Beyond, Spill};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

/// Hashes that memory may hold: those of two and a half million keys.
pub const BEYOND: Beyond = Beyond {
    memory: 20 << 20,
    open,
};

/// The same for who writes what was examined and has it read again: memory that was free once is not given back, and counts twice.
pub const BEYOND_BESIDE: Beyond = Beyond {
    memory: 8 << 20,
    ..BEYOND
};

/// Bytes that are read at once.
const BUFFER: usize = 64 << 10;
/// Bytes of a number.
const NUMBER: usize = size_of::<u64>();

#[derive(Debug)]
struct TemporaryFile {
    /// What is written is flushed before somebody reads.
    file: Mutex<BufWriter<File>>,
}

fn open() -> io::Result<Box<dyn Spill>> {
    let file = BufWriter::with_capacity(BUFFER, tempfile::tempfile()?);
    Ok(Box::new(TemporaryFile {
        file: Mutex::new(file),
    }))
}

impl Spill for TemporaryFile {
    fn append(&mut self, numbers: &[u64]) -> io::Result<()> {
        let file = self.file.get_mut().unwrap_or_else(PoisonError::into_inner);
        for number in numbers {
            file.write_all(&number.to_le_bytes())?;
        }
        Ok(())
    }

    fn read(&self, first: u64, numbers: &mut [u64]) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.flush()?;
        let mut buffer = [0; BUFFER];
        let mut place = first * NUMBER as u64;
        for piece in numbers.chunks_mut(BUFFER / NUMBER) {
            let bytes = &mut buffer[..piece.len() * NUMBER];
            file.get_ref().read_exact_at(bytes, place)?;
            for (number, bytes) in piece.iter_mut().zip(bytes.as_chunks::<NUMBER>().0) {
                *number = u64::from_le_bytes(*bytes);
            }
            place += bytes.len() as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_from_any_place() {
        let mut place = open().unwrap();
        let numbers: Vec<u64> = (0..30_000_u64)
            .map(|n| n.wrapping_mul(n << 40 | 3))
            .collect();
        for piece in numbers.chunks(7777) {
            place.append(piece).unwrap();
        }
        for (first, count) in [(0, 30_000), (12_345, 10_000), (29_999, 1), (5, 0)] {
            let mut back = vec![0; count];
            place.read(first as u64, &mut back).unwrap();
            assert_eq!(back, numbers[first..first + count]);
        }
        assert!(place.read(29_999, &mut [0; 2]).is_err());
    }
}
