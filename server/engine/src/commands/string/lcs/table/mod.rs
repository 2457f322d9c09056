//! The table of LCS, a bit a cell.
//!
//! The table of lengths has a row per byte of the first string and a column per byte of the second, with a row and a
//! column of zeros before them:
//!
//! ```text
//!          o h m y
//!        0 0 0 0 0
//!      m 0 0 0 1 1        lengths[i][j] = lengths[i-1][j-1] + 1           where the bytes are equal
//!      y 0 0 0 1 2                      = max of the one above and left    elsewhere
//! ```
//! Walking back from the last corner, up or left where the length is larger, finds the bytes and the runs of matches.
//!
//! Neighbours in a row differ by one at most, so a bit per cell tells a row: 0 where the length grows by one from the cell to
//! the left, 1 where it stays. Sixty-four cells are then computed at once, as Hyyrö describes ("Bit-parallel LCS-length
//! computation revisited", 2004): with `row` the bits of the row above and `equal` those of the columns whose byte is that of
//! the row,
//!
//! ```text
//!      next = (row + (row & equal)) | (row & !equal)
//! ```
//! over the whole row as one long number; the carry of the sum moves a growth from where it was to the first match before it.
//! The bits suffice for the walk: where the bytes differ, the length grows from the left exactly if the one above is larger.

/// Cells in a word.
const BITS: usize = u64::BITS as usize;
/// Different bytes.
const BYTES: usize = 256;

/// For each byte of the first string the columns, bytes of the second, that equal it.
pub(super) struct Alphabet {
    /// A row of bits for each byte of the first string, in the order of their first appearance.
    equal: Vec<u64>,
    /// Which row a byte has.
    row_of: [Option<u8>; BYTES],
    /// Words in a row.
    words: usize,
}

impl Alphabet {
    pub(super) fn new(first: &[u8], second: &[u8]) -> Alphabet {
        let mut row_of = [None; BYTES];
        let mut rows = 0;
        for byte in first {
            row_of[usize::from(*byte)].get_or_insert_with(|| {
                rows += 1;
                (rows - 1) as u8
            });
        }
        let words = second.len().div_ceil(BITS);
        let mut equal = vec![0; rows * words];
        for (j, byte) in second.iter().enumerate() {
            if let Some(row) = row_of[usize::from(*byte)] {
                equal[usize::from(row) * words + j / BITS] |= 1 << (j % BITS);
            }
        }
        Alphabet {
            equal,
            row_of,
            words,
        }
    }

    /// The columns that equal a byte of the first string.
    fn equal(&self, byte: u8) -> &[u64] {
        let row = self.row_of[usize::from(byte)].expect("a byte of the first string");
        &self.equal[usize::from(row) * self.words..][..self.words]
    }

    /// Length of the longest common subsequence, for which one row is enough.
    pub(super) fn length(&self, first: &[u8]) -> usize {
        let mut row = vec![u64::MAX; self.words];
        for byte in first {
            let mut carry = false;
            for (cells, equal) in row.iter_mut().zip(self.equal(*byte)) {
                *cells = next(*cells, *equal, &mut carry);
            }
        }
        row.iter().map(|cells| cells.count_zeros() as usize).sum()
    }
}

/// A word of the row below a word of cells. Behind the last column nothing is equal, so the bits there stay 1.
fn next(cells: u64, equal: u64, carry: &mut bool) -> u64 {
    let (sum, over) = cells.overflowing_add(cells & equal);
    let (sum, again) = sum.overflowing_add(u64::from(*carry));
    *carry = over | again;
    sum | cells & !equal
}

/// The rows of the head comment, without the row of zeros.
pub(super) struct Table {
    rows: Vec<u64>,
    words: usize,
}

impl Table {
    /// Bytes that an alphabet takes at most and a table (of one row where only the length is asked for).
    pub(super) fn bytes(first: usize, second: usize, one_row: bool) -> usize {
        let rows = if one_row { 1 } else { first };
        (rows + first.min(BYTES)).saturating_mul(second.div_ceil(BITS) * size_of::<u64>())
    }

    pub(super) fn new(alphabet: &Alphabet, first: &[u8]) -> Table {
        let words = alphabet.words;
        let mut rows = Vec::with_capacity(first.len() * words);
        for (i, byte) in first.iter().enumerate() {
            let equal = alphabet.equal(*byte);
            let mut carry = false;
            if i == 0 {
                rows.extend(equal.iter().map(|equal| next(u64::MAX, *equal, &mut carry)));
                continue;
            }
            let at = rows.len();
            rows.extend_from_within(at - words..);
            for (cells, equal) in rows[at..].iter_mut().zip(equal) {
                *cells = next(*cells, *equal, &mut carry);
            }
        }
        Table { rows, words }
    }

    /// Whether the length grows from the cell on the left to this one. Rows and columns count from the first byte.
    fn grows(&self, i: usize, j: usize) -> bool {
        self.rows[i * self.words + j / BITS] >> (j % BITS) & 1 == 0
    }

    /// Walks back from the last corner.
    pub(super) fn walk(&self, first: &[u8], second: &[u8]) -> Found {
        let (mut i, mut j) = (first.len(), second.len());
        let (mut bytes, mut runs): (Vec<u8>, Vec<Run>) = (Vec::new(), Vec::new());
        while i > 0 && j > 0 {
            if first[i - 1] == second[j - 1] {
                (i, j) = (i - 1, j - 1);
                bytes.push(first[i]);
                match runs.last_mut() {
                    Some(run) if (run.first, run.second) == (i + 1, j + 1) => {
                        (run.first, run.second, run.len) = (i, j, run.len + 1);
                    }
                    _ => runs.push(Run {
                        first: i,
                        second: j,
                        len: 1,
                    }),
                }
            } else if self.grows(i - 1, j - 1) {
                i -= 1;
            } else {
                j -= 1;
            }
        }
        bytes.reverse();
        Found { bytes, runs }
    }
}

/// A run of equal bytes: where it begins in either string, and how long it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) first: usize,
    pub(super) second: usize,
    pub(super) len: usize,
}

/// What a walk finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The longest common subsequence.
    pub(super) bytes: Vec<u8>,
    /// From the last to the first.
    pub(super) runs: Vec<Run>,
}

#[cfg(test)]
mod tests;
