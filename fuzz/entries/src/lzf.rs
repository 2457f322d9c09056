//! Compression, alone and against another implementation.

use cairn_format::lzf::{Table, compress, decompress, holds};

use crate::steps::Steps;

/// Packed bytes with a claimed length, or plain bytes there and back.
pub fn run(bytes: &[u8]) {
    let mut steps = Steps::new(bytes);
    match steps.byte() % 4 {
        0 => unpack(steps.long() as usize >> 20, steps.rest()),
        1 => unpack(steps.below(1 << 16), steps.rest()),
        2 => there_and_back(steps.rest()),
        _ => {
            // Runs and repetitions, which random bytes rarely have.
            let mut plain = Vec::new();
            while !steps.is_done() && plain.len() < 200_000 {
                let (len, again) = (steps.below(70), 1 + steps.below(40));
                let piece = steps.take(len);
                plain.extend(piece.repeat(again));
            }
            there_and_back(&plain);
        }
    }
}

fn unpack(len: usize, packed: &[u8]) {
    let mut out = b"before".to_vec();
    let result = decompress(packed, len, &mut out);
    assert_eq!(
        result.is_ok(),
        holds(packed, len),
        "{len} bytes of {}",
        packed.len()
    );
    assert!(out.starts_with(b"before"));
    match result {
        Ok(()) => {
            assert_eq!(out.len(), 6 + len);
            if len > 0 {
                assert_eq!(
                    lzf::decompress(packed, len).as_deref(),
                    Ok(&out[6..]),
                    "the other implementation"
                );
            }
            there_and_back(&out[6..]);
        }
        Err(error) => {
            assert_eq!(out.len(), 6);
            assert!(error.offset <= packed.len() as u64, "{error}");
        }
    }
}

fn there_and_back(plain: &[u8]) {
    let mut packed = Vec::new();
    let mut table = Table::new();
    for _ in 0..2 {
        // The second time the table is in use already.
        packed.clear();
        if compress(plain, &mut packed, &mut table) {
            assert!(packed.len() < plain.len());
            let mut out = Vec::new();
            decompress(&packed, plain.len(), &mut out).expect("what we packed");
            assert!(out == plain && holds(&packed, plain.len()));
            assert_eq!(
                lzf::decompress(&packed, plain.len()).as_deref(),
                Ok(plain),
                "the other implementation"
            );
        } else {
            assert!(packed.is_empty());
        }
    }
    if let Ok(packed) = lzf::compress(plain) {
        let mut out = Vec::new();
        decompress(&packed, plain.len(), &mut out).expect("what the other implementation packed");
        assert!(out == plain);
    }
}
