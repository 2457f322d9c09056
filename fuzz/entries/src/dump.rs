//! DUMP payloads: decoded, written again, and given to RESTORE, which takes them from any client; and whole snapshots for the
//! start of an engine.

use cairn_format::crc64::crc64;
use cairn_format::rdb::dump::{Payload, encode};
use cairn_format::rdb::{Check, Dialect, WriteError, WriteOptions};

use crate::commands;
use crate::describe;
use crate::rdb::{DIALECTS, file};
use crate::stage::Stage;
use crate::steps::Steps;

/// Commands that read a value from end to end, and some that change it.
const LINES: &str = "TYPE k\nOBJECT ENCODING k\nGET k\nSTRLEN k\nBITCOUNT k\nPFCOUNT k\nLRANGE k 0 -1\nLPOS k a\nLINDEX k -1\nSMEMBERS k
SISMEMBER k 70000\nSRANDMEMBER k 3\nZRANGE k 0 -1 WITHSCORES\nZRANK k b\nZRANGEBYSCORE k -inf +inf\nZRANGEBYLEX k - +\nHGETALL k\nHGET k f
HPTTL k FIELDS 1 f\nHRANDFIELD k 3 WITHVALUES\nXRANGE k - +\nXREVRANGE k + - COUNT 5\nXINFO STREAM k FULL\nXINFO GROUPS k\nXLEN k\nSORT k ALPHA
SCAN 0\nSSCAN k 0\nHSCAN k 0\nZSCAN k 0\nDUMP k\nCOPY k other REPLACE\nRENAME other third\nAPPEND k x\nPFADD k x\nRPUSH k a\nLSET k 0 b\nSADD k 5
SADD k word\nZADD k 5 a\nHSET k f v\nHINCRBY k n 1\nXADD k * a b\nXTRIM k MAXLEN 2\nLPOP k\nSPOP k\nZPOPMIN k\nHDEL k f";

/// A payload from the bytes, with a footer that is right.
fn payload(version: u16, body: &[u8]) -> Vec<u8> {
    let mut payload = body.to_vec();
    payload.extend_from_slice(&version.to_le_bytes());
    let sum = crc64(&payload);
    payload.extend_from_slice(&sum.to_le_bytes());
    payload
}

/// Decodes, writes again, and restores.
pub fn run(bytes: &[u8]) {
    let mut steps = Steps::new(bytes);
    let from = DIALECTS[steps.below(DIALECTS.len())];
    let target = DIALECTS[steps.below(DIALECTS.len())];
    let small = steps.flip();
    let payload = payload(from.version(), steps.rest());
    let mut scratch = Vec::new();
    for newest in [Dialect::NEWEST_REDIS, Dialect::NEWEST_VALKEY] {
        let Ok(payload) = Payload::open(&payload, newest) else {
            continue;
        };
        let _ = (payload.type_byte(), payload.functions());
        if let Ok(value) = payload.value(&mut scratch, Check::Structure) {
            // Unchecked: walking it may find damage, which must end it.
            let _ = (value.count(), describe::value(&value, 5));
        }
        if let Ok(value) = payload.value(&mut scratch, Check::Strict) {
            assert!(value.count().is_ok(), "{value:?}");
            again(&value, from, target);
        }
    }
    restore(payload, small);
}

/// What was sound is the same after being written and read.
fn again(value: &cairn_format::rdb::Object<'_>, from: Dialect, target: Dialect) {
    let form = from.stream_form().min(target.stream_form());
    let told = describe::value(value, form).expect("it was checked");
    let written = match encode(WriteOptions::new(target), value) {
        Ok(written) => written,
        Err(WriteError::Unsupported(_) | WriteError::Dialect(_)) => return,
        Err(error) => panic!("a sound value cannot be written: {error}"),
    };
    let newest = if target.version() >= 80 {
        Dialect::NEWEST_VALKEY
    } else {
        Dialect::NEWEST_REDIS
    };
    let payload = Payload::open(&written, newest).expect("our own payload is sound");
    let mut scratch = Vec::new();
    let found = payload
        .value(&mut scratch, Check::Strict)
        .unwrap_or_else(|error| panic!("{from} to {target}: {error}: {told}"));
    assert_eq!(
        describe::value(&found, form).expect("it was checked"),
        told,
        "{from} to {target}"
    );
}

fn restore(payload: Vec<u8>, small: bool) {
    let mut stage = Stage::new(small);
    let reply = stage.run(&[b"RESTORE".to_vec(), b"k".to_vec(), b"0".to_vec(), payload]);
    if reply != b"+OK\r\n" {
        let known = reply.starts_with(b"-ERR Bad data format")
            || reply.starts_with(b"-ERR DUMP payload version or checksum are wrong");
        return assert!(known, "{}", reply.escape_ascii());
    }
    commands::compare(&mut stage);
    for line in LINES.lines() {
        let words: Vec<Vec<u8>> = line
            .split(' ')
            .map(|word| word.as_bytes().to_vec())
            .collect();
        commands::step(&mut stage, &words);
    }
    commands::compare(&mut stage);
}

/// An engine takes a snapshot and has it, or refuses it.
pub fn load(bytes: &[u8]) {
    let mut steps = Steps::new(bytes);
    let small = steps.flip();
    let file = file(&mut steps);
    if let Ok(mut stage) = Stage::loaded(&file, small) {
        commands::compare_copies(&mut stage);
    }
}
