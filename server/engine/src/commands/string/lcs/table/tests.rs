//! The bits against the plain table of lengths.

use super::*;
use crate::base::random::Random;

fn found(a: &[u8], b: &[u8]) -> Found {
    Table::new(&Alphabet::new(a, b), a).walk(a, b)
}

/// The head comment word by word: a length per cell, and the walk over lengths.
fn plain(a: &[u8], b: &[u8]) -> (usize, Found) {
    let mut lengths = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            lengths[i][j] = if a[i - 1] == b[j - 1] {
                lengths[i - 1][j - 1] + 1
            } else {
                lengths[i - 1][j].max(lengths[i][j - 1])
            };
        }
    }
    let (mut i, mut j) = (a.len(), b.len());
    let (mut bytes, mut pairs) = (Vec::new(), Vec::new());
    while i > 0 && j > 0 {
        if a[i - 1] == b[j - 1] {
            (i, j) = (i - 1, j - 1);
            bytes.insert(0, a[i]);
            pairs.push((i, j));
        } else if lengths[i - 1][j] > lengths[i][j - 1] {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    let mut runs: Vec<Run> = Vec::new();
    for (first, second) in pairs {
        match runs.last_mut() {
            Some(run) if (run.first, run.second) == (first + 1, second + 1) => {
                (run.first, run.second, run.len) = (first, second, run.len + 1);
            }
            _ => runs.push(Run {
                first,
                second,
                len: 1,
            }),
        }
    }
    (lengths[a.len()][b.len()], Found { bytes, runs })
}

#[test]
fn the_bytes_and_runs_of_the_usual_example() {
    let found = found(b"ohmytext", b"mynewtext");
    assert_eq!(found.bytes, b"mytext");
    let runs: Vec<_> = found
        .runs
        .iter()
        .map(|r| (r.first, r.second, r.len))
        .collect();
    assert_eq!(runs, [(4, 5, 4), (2, 0, 2)]);
}

/// Lengths around those of words, alphabets from one letter to all bytes, which carry far or hardly at all.
#[test]
fn every_pair_is_as_the_plain_table_has_it() {
    let mut random = Random::new(7);
    let lengths = [0, 1, 2, 7, 63, 64, 65, 127, 128, 129, 200];
    for a_len in lengths {
        for b_len in lengths {
            for letters in [1, 2, 3, 26, 256] {
                let mut text = |len: usize| -> Vec<u8> {
                    (0..len).map(|_| random.below(letters) as u8).collect()
                };
                let (a, b) = (text(a_len), text(b_len));
                let (length, walked) = plain(&a, &b);
                assert_eq!(Alphabet::new(&a, &b).length(&a), length, "{a:?} {b:?}");
                assert_eq!(found(&a, &b), walked, "{a:?} {b:?}");
            }
        }
    }
}

#[test]
fn a_table_takes_a_bit_a_cell() {
    assert_eq!(Table::bytes(1000, 1000, false), (1000 + 256) * 16 * 8);
    assert_eq!(Table::bytes(1000, 1000, true), (1 + 256) * 16 * 8);
    assert_eq!(Table::bytes(0, 1000, false), 0);
}
