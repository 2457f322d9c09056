//! Any bytes give a value or an error, in time and in bounded memory, never a panic.
//!
//! Small files are cut at every byte and get every byte changed; large ones near every record's edge and at
//! 2,000 seeded places. The checksum is not compared, so that decoding goes on behind the change.

mod rdb_support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cairn_format::error::Result;
use cairn_format::rdb::dump::Payload;
use cairn_format::rdb::{
    Check, Dialect, Options, SliceReader, StreamReader, WriteOptions, Writer, verify,
};
use rdb_support::*;

/// Remembers the largest single allocation.
struct Watch;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system allocator unchanged; only a size is noted.
unsafe impl GlobalAlloc for Watch {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is handed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static WATCH: Watch = Watch;

const DEEP: Options = Options {
    checksum: false,
    ..Options::deep()
};
const SHALLOW: Options = Options {
    checksum: false,
    ..Options::shallow()
};

/// Decodes all that can be decoded; what comes out is either fine or an error.
fn swallow(bytes: &[u8], elements: bool) {
    let deep =
        SliceReader::from_slice(bytes, DEEP).and_then(|mut reader| verify(&mut reader).map(|_| ()));
    let shallow = SliceReader::from_slice(bytes, SHALLOW).and_then(|mut reader| drain(&mut reader));
    if elements && deep.is_ok() {
        let all = SliceReader::from_slice(bytes, DEEP).and_then(|mut reader| read_all(&mut reader));
        assert!(all.is_ok(), "passed the check, but {all:?}");
    }
    for error in [deep.err(), shallow.err()].into_iter().flatten() {
        assert!(
            error.offset <= bytes.len() as u64 && !error.what.is_empty(),
            "{error}"
        );
    }
}

/// Reads without checks and writes to an old target, so that unchecked values are walked and converted.
fn drain(reader: &mut SliceReader<'_>) -> Result<()> {
    let mut writer = Writer::new(std::io::sink(), WriteOptions::new(Dialect::redis(6))).unwrap();
    while let Some(found) = reader.next()? {
        match writer.event(&found.event) {
            Ok(_) | Err(cairn_format::rdb::WriteError::Unsupported(_)) => {}
            // A damaged value was begun; the writer cannot go on.
            Err(_) => return Ok(()),
        }
    }
    Ok(())
}

/// A small generator, so that places are the same in every run.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

#[test]
fn small_files_cut_and_changed_at_every_byte() {
    let mut seed = Seeded(7);
    let (mut files, mut slowest) = (0, Duration::ZERO);
    for file in golden_files() {
        let bytes = std::fs::read(&file).unwrap();
        if bytes.len() > 8 * 1024 || !file.starts_with(testdata()) {
            continue;
        }
        files += 1;
        for place in 0..bytes.len() {
            let before = Instant::now();
            swallow(&bytes[..place], false);
            for (change, elements) in [
                (1 << seed.below(8), false),
                ((1 + seed.below(255)) as u8, true),
            ] {
                let mut changed = bytes.clone();
                changed[place] ^= change;
                swallow(&changed, elements);
            }
            slowest = slowest.max(before.elapsed());
        }
    }
    assert!(files > 80, "{files}");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
}

#[test]
fn large_files_near_every_edge_and_at_seeded_places() {
    let mut seed = Seeded(11);
    for file in golden_files() {
        let bytes = std::fs::read(&file).unwrap();
        if bytes.len() <= 8 * 1024 || !file.starts_with(testdata()) {
            continue;
        }
        let mut places = Vec::new();
        let mut reader = SliceReader::from_slice(&bytes, SHALLOW).unwrap();
        while let Some(record) = reader.next_raw().unwrap() {
            let edge = record.offset as usize;
            places.extend(edge.saturating_sub(2)..(edge + 3).min(bytes.len()));
        }
        places.extend((0..2000).map(|_| seed.below(bytes.len())));
        places.sort_unstable();
        places.dedup();
        for (index, place) in places.iter().enumerate() {
            let mut changed = bytes.clone();
            changed[*place] ^= (1 + seed.below(255)) as u8;
            // A change is read to the end only now and then: a whole pass for each would take minutes.
            let whole = index % 16 == 0;
            let result = SliceReader::from_slice(&changed, DEEP)
                .and_then(|mut reader| until(&mut reader, *place as u64, whole));
            if let Err(error) = result {
                assert!(error.offset <= bytes.len() as u64, "{error}");
            }
            if index % 4 != 0 {
                continue;
            }
            let cut = SliceReader::from_slice(&bytes[..*place], SHALLOW)
                .and_then(|mut reader| until(&mut reader, u64::MAX, true));
            assert!(cut.is_err(), "{} cut at {place}", file.display());
        }
    }
}

/// Reads spans up to a place, then decodes a little further or to the end.
fn until(reader: &mut SliceReader<'_>, place: u64, whole: bool) -> Result<()> {
    while reader.offset() + 64 < place {
        if reader.next_raw()?.is_none() {
            return Ok(());
        }
    }
    let mut left = 8;
    while let Some(found) = reader.next()? {
        if let cairn_format::rdb::Event::Record(record) = &found.event {
            record.value.count()?;
        }
        left -= 1;
        if left == 0 && !whole {
            return Ok(());
        }
    }
    Ok(())
}

#[test]
fn dump_payloads_with_a_right_checksum_around_wrong_values() {
    for line in lines(&testdata().join("rdb/redis-7.2.4/small.dump-payloads.jsonl")) {
        let bytes = unb64(&line["dump"]);
        for place in 0..bytes.len() - 8 {
            for change in [1_u8, 0x80, 0xff] {
                let mut changed = bytes[..bytes.len() - 8].to_vec();
                changed[place] ^= change;
                let sum = cairn_format::crc64::crc64(&changed);
                changed.extend_from_slice(&sum.to_le_bytes());
                for check in [Check::Strict, Check::Sound, Check::Structure] {
                    let mut scratch = Vec::new();
                    if let Ok(value) = Payload::open(&changed, Dialect::NEWEST_REDIS)
                        .and_then(|payload| payload.value(&mut scratch, check))
                    {
                        let walked = object_line(&value).is_ok();
                        assert!(walked || check == Check::Structure, "{line} {place}");
                    }
                }
            }
        }
    }
}

#[test]
fn claimed_lengths_cost_no_memory() {
    LARGEST.store(0, Ordering::Relaxed);
    let header = b"REDIS0011\xfe\x00";
    let huge = |first: u8| [&[first][..], &(1_u64 << 40).to_be_bytes()].concat();
    let claims: [Vec<u8>; 7] = [
        [&[0, 1, b'k'][..], &huge(0x81), b"abc"].concat(),
        [&[0, 1, b'k', 0xc3, 3][..], &huge(0x81), b"abc"].concat(),
        [&[4, 1, b'k'][..], &huge(0x81), b"abc"].concat(),
        [&[2, 1, b'k'][..], &huge(0x81), &[1; 64]].concat(),
        [&[5, 1, b'k'][..], &huge(0x81), &[1; 64]].concat(),
        [&[18, 1, b'k'][..], &huge(0x81), &[2; 64]].concat(),
        [
            &[21, 1, b'k', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..],
            &huge(0x81),
            &[2; 64],
        ]
        .concat(),
    ];
    for claim in claims {
        let bytes = [&header[..], &claim].concat();
        assert!(
            SliceReader::from_slice(&bytes, DEEP)
                .and_then(|mut reader| read_all(&mut reader))
                .is_err()
        );
        assert!(
            StreamReader::from_read(&bytes[..], DEEP)
                .and_then(|mut reader| read_all(&mut reader))
                .is_err()
        );
    }
    // Other tests of this file may run at the same time; none of them has a value above a megabyte.
    let largest = LARGEST.load(Ordering::Relaxed);
    assert!(largest < 64 << 20, "{largest} bytes at once");
}
