//! A wrong length of a key shows only at a record behind it. Whichever way strings are passed, the same error says so, and
//! where the key may be looked at again, it is the one that is blamed.

use cairn_format::error::{Damage, FormatError};
use cairn_format::rdb::{Dialect, Options, SliceReader, StreamReader, verify};

/// Records of a file of plain strings with keys and values of several lengths; one in seven expires, and `hash` records
/// stand between strings.
fn records(count: usize, with_hashes: bool) -> Vec<(usize, Vec<u8>)> {
    let text = |byte: u8, len: usize| -> Vec<u8> {
        let mut bytes = vec![len as u8];
        bytes.extend((0..len).map(|i| byte + (i % 20) as u8));
        bytes
    };
    (0..count)
        .map(|n| {
            let mut record = Vec::new();
            if n % 7 == 3 {
                record.push(0xfc);
                record.extend(u64::MAX.wrapping_shr(8).to_le_bytes());
            }
            let hash = with_hashes && n % 5 == 4;
            record.push(if hash { 4 } else { 0 });
            let key_at = record.len();
            let mut key = text(b'a', 5 + n % 9);
            key[1..3].copy_from_slice(format!("{n:02}").as_bytes());
            record.extend(key);
            if hash {
                record.push(1);
                record.extend(text(b'f', 3));
            }
            record.extend(text(b'A', 2 + n * 7 % 23));
            (key_at, record)
        })
        .collect()
}

fn file(records: &[(usize, Vec<u8>)]) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = b"REDIS0011".to_vec();
    let mut keys = Vec::new();
    for (key_at, record) in records {
        keys.push(bytes.len() + key_at);
        bytes.extend(record);
    }
    bytes.push(0xff);
    // No checksum: the damage is to be found by structure.
    bytes.extend([0; 8]);
    (bytes, keys)
}

fn options() -> Options {
    Options::for_server(Dialect::REDIS_7_2)
}

/// Strings are passed in one go.
fn at_once(bytes: &[u8]) -> Result<(), Box<FormatError>> {
    verify(&mut SliceReader::from_slice(bytes, options())?).map(|_| ())
}

/// Each record is an event of its own.
fn one_by_one(bytes: &[u8]) -> Result<(), Box<FormatError>> {
    let mut reader = SliceReader::from_slice(bytes, options())?;
    while reader.next()?.is_some() {}
    Ok(())
}

fn through_a_pipe(bytes: &[u8]) -> Result<(), Box<FormatError>> {
    verify(&mut StreamReader::from_read(bytes, options())?).map(|_| ())
}

fn shown(result: &Result<(), Box<FormatError>>) -> String {
    format!("{result:?}")
}

#[test]
fn a_wrong_key_length_is_blamed_whichever_way_strings_are_passed() {
    for with_hashes in [false, true] {
        let (sound, keys) = file(&records(40, with_hashes));
        assert!(at_once(&sound).is_ok() && one_by_one(&sound).is_ok());
        let (mut blamed, mut exact, mut damaged) = (0, 0, 0);
        // The last keys have too few records behind them to be sure.
        for key_at in &keys[..34] {
            let stated = sound[*key_at];
            for wrong in (1..60).filter(|length| *length != stated) {
                let mut bytes = sound.clone();
                bytes[*key_at] = wrong;
                let (fast, slow) = (at_once(&bytes), one_by_one(&bytes));
                assert_eq!(shown(&fast), shown(&slow), "{key_at}: {stated} as {wrong}");
                let Err(error) = fast else {
                    continue;
                };
                damaged += 1;
                if error.kind == Damage::Length && error.offset == *key_at as u64 {
                    blamed += 1;
                    let words = format!("key length {wrong} leads to");
                    assert!(error.what.starts_with(&words), "{error}");
                    exact += usize::from(error.what.contains(&format!("with {stated} the")));
                }
                let piped = through_a_pipe(&bytes);
                assert!(piped.is_err(), "{key_at}: {stated} as {wrong}");
            }
        }
        // Often the file makes sense for a while, and then another key stands before the damage, or it ends too early.
        assert!(blamed * 10 > damaged, "{blamed} of {damaged}");
        // Another length may happen to make sense, too.
        assert!(exact * 5 > blamed * 4, "{exact} of {blamed}");
    }
}

#[test]
fn damage_far_from_any_key_is_told_as_it_is() {
    let (sound, keys) = file(&records(40, false));
    // A type that no server has, where a record begins: its key is sound, and so is the one before.
    for key_at in &keys[1..30] {
        let mut bytes = sound.clone();
        bytes[key_at - 1] = 200;
        let error = at_once(&bytes).expect_err("no such type");
        assert_eq!(shown(&Err(error.clone())), shown(&one_by_one(&bytes)));
        assert_eq!(
            (error.kind, error.offset),
            (Damage::Type, *key_at as u64 - 1)
        );
    }
}

#[test]
fn every_bit_is_told_alike_whichever_way_strings_are_passed() {
    let (sound, _) = file(&records(12, true));
    for at in 9..sound.len() {
        for bit in 0..8 {
            let mut bytes = sound.clone();
            bytes[at] ^= 1 << bit;
            assert_eq!(
                shown(&at_once(&bytes)),
                shown(&one_by_one(&bytes)),
                "bit {bit} of byte {at}"
            );
        }
    }
}
