//! HyperLogLog strings: any bytes behind the header, additions, unions.

use cairn_format::encoding::hll::{self, Encoding, Registers};

use crate::steps::Steps;

/// Two strings from the bytes, of which the second may be ours, united and added to.
pub fn run(bytes: &[u8]) {
    let mut steps = Steps::new(bytes);
    let sparse_max = [0, 100, 3000, 20_000][steps.below(4)];
    let first = given(&mut steps);
    look(&first);
    let second = ours(&mut steps, sparse_max);
    let Ok(mut registers) = Registers::of(&first) else {
        return;
    };
    registers.unite(&second).expect("our own is sound");
    let mut united = first.clone();
    registers
        .store(&mut united, sparse_max)
        .expect("both are sound");
    assert_eq!(
        Registers::of(&united)
            .expect("it was written by us")
            .values(),
        registers.values()
    );
    add(united, steps.take(8), sparse_max);
}

/// A string as a client may have SET it.
fn given(steps: &mut Steps<'_>) -> Vec<u8> {
    let kind = steps.byte() % 4;
    let len = steps.below(1 << 14);
    let body = steps.take(len);
    match kind {
        0 => body.to_vec(),
        1 => {
            let mut dense = b"HYLL\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
            dense.extend_from_slice(body);
            dense.resize(hll::DENSE_SIZE, body.first().copied().unwrap_or(0));
            dense
        }
        2 => [b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\0", body].concat(),
        _ => completed(body),
    }
}

/// Runs from the bytes, cut and filled up so that they cover all registers.
fn completed(body: &[u8]) -> Vec<u8> {
    let mut sparse = b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    let (mut covered, mut at) = (0, 0);
    while let Some(&head) = body.get(at) {
        let next = usize::from(body.get(at + 1).copied().unwrap_or(0));
        let (len, size) = match head {
            0..=63 => (usize::from(head) + 1, 1),
            64..=127 => ((usize::from(head & 63) << 8 | next) + 1, 2),
            _ => (usize::from(head & 3) + 1, 1),
        };
        if covered + len > hll::REGISTERS || at + size > body.len() {
            break;
        }
        sparse.extend_from_slice(&body[at..at + size]);
        covered += len;
        at += size;
    }
    while covered < hll::REGISTERS {
        let len = (hll::REGISTERS - covered).min(64);
        sparse.push(len as u8 - 1);
        covered += len;
    }
    sparse
}

fn ours(steps: &mut Steps<'_>, sparse_max: usize) -> Vec<u8> {
    let mut made = hll::empty();
    for _ in 0..steps.below(60) {
        hll::add(&mut made, &steps.long().to_le_bytes(), sparse_max).expect("our own is sound");
    }
    if steps.flip() {
        let element = steps.text();
        let before = Registers::of(&made).expect("our own is sound");
        let changed = hll::add(&mut made, &element, sparse_max).expect("our own is sound");
        let after = Registers::of(&made).expect("our own is sound");
        assert_eq!(changed, before.values() != after.values());
    }
    made
}

fn look(bytes: &[u8]) {
    let encoding = hll::encoding(bytes);
    let count = hll::count(bytes);
    let _ = hll::cached(bytes);
    assert!(hll::describe(bytes).len() <= 12 * bytes.len());
    assert!(encoding.is_some() || count.is_err());
    let mut dense = bytes.to_vec();
    match hll::to_dense(&mut dense) {
        Ok(was_sparse) => {
            assert_eq!(was_sparse, encoding == Some(Encoding::Sparse));
            assert_eq!(hll::encoding(&dense), Some(Encoding::Dense));
            assert_eq!(hll::count(&dense).ok(), count.ok());
        }
        Err(_) => assert!(dense == bytes, "a refused one stays as it was"),
    }
}

fn add(mut bytes: Vec<u8>, element: &[u8], sparse_max: usize) {
    let before = Registers::of(&bytes).expect("it is sound");
    let mut dense = bytes.clone();
    hll::to_dense(&mut dense).expect("it is sound");
    let changed = hll::add(&mut bytes, element, sparse_max).expect("it is sound");
    assert_eq!(hll::add_dense(&mut dense, element), changed);
    let after = Registers::of(&bytes).expect("it stays sound");
    assert_eq!(
        after.values(),
        Registers::of(&dense).expect("it stays sound").values()
    );
    assert!(
        after
            .values()
            .iter()
            .zip(before.values())
            .all(|(a, b)| a >= b)
    );
    assert!(
        !hll::add(&mut bytes, element, sparse_max).expect("it is sound"),
        "nothing is new the second time"
    );
}
