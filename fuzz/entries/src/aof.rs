//! Logs from slices and streams, how far they are valid, and manifests.

use std::io::Read;

use aof_tool::{Until, Watch};
use cairn_format::aof::block::{self, Block};
use cairn_format::aof::extent::{Rules, check, check_records};
use cairn_format::aof::manifest::Manifest;
use cairn_format::aof::reader::{Batch, SliceReader, StreamReader};
use cairn_format::aof::record::{Kind, timestamp};
use cairn_format::aof::survey::survey;

use crate::steps::Steps;

/// Longest line of a manifest that is read.
const LINE_MAX: usize = 1023;

/// Hands out at most so many bytes at a time.
pub struct Chopped<'a> {
    bytes: &'a [u8],
    most: usize,
}

impl<'a> Chopped<'a> {
    /// A stream of `bytes` that gives up to `most` of them per call, which is at least 1.
    pub fn new(bytes: &'a [u8], most: usize) -> Self {
        Chopped {
            bytes,
            most: most.max(1),
        }
    }
}

impl Read for Chopped<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = out.len().min(self.most).min(self.bytes.len());
        let (now, later) = self.bytes.split_at(count);
        out[..count].copy_from_slice(now);
        self.bytes = later;
        Ok(count)
    }
}

/// A log read in both ways, and cut where it stops being valid.
pub fn log(bytes: &[u8]) {
    let mut steps = Steps::new(bytes);
    let (base, piece) = (u64::from(steps.byte()), 1 + steps.below(256));
    let rules = Rules {
        vocabulary: steps.flip(),
        ..Rules::default()
    };
    let log = steps.rest();
    both_readers_agree(log, base, piece);
    batches_are_records(log, base);
    let extent = check(log, base, rules);
    assert!(extent.valid_end >= base && extent.valid_end <= base + log.len() as u64);
    assert_eq!(extent.damage.is_some(), extent.cure.is_some());
    let mut reader = StreamReader::new(Chopped::new(log, piece), base);
    let other = check_records(&mut reader, rules, |_| ()).expect("the stream does not fail");
    assert_eq!(format!("{other:?}"), format!("{extent:?}"));
    without_damage(log, base, rules, extent.damage.is_some());
    if extent.damage.is_none() {
        assert_eq!(extent.valid_end, base + log.len() as u64);
        return;
    }
    let valid = &log[..(extent.valid_end - base) as usize];
    let again = check(valid, base, rules);
    assert!(
        again.damage.is_none(),
        "cut at {}: {:?}",
        extent.valid_end,
        again.damage
    );
    let counts = |e: &cairn_format::aof::extent::Extent| {
        (e.valid_end, e.commands, e.transactions, e.annotations)
    };
    assert_eq!(counts(&again), counts(&extent));
}

/// What is left of a log without its damage is valid, and as much as was said.
fn without_damage(log: &[u8], base: u64, rules: Rules, is_damaged: bool) {
    let found = survey(log, base, rules, |_| ());
    assert_eq!(found.total > 0, is_damaged);
    let mut left = log.to_vec();
    for range in found.dropped.iter().rev() {
        left.drain((range.start - base) as usize..(range.end - base) as usize);
    }
    assert_eq!(found.lost_bytes, (log.len() - left.len()) as u64);
    let extent = check(&left, base, rules);
    assert!(extent.damage.is_none(), "{:?}", extent.damage);
    assert_eq!(extent.commands, found.kept);
}

fn both_readers_agree(log: &[u8], base: u64, piece: usize) {
    let mut slice = SliceReader::new(log, base);
    let mut stream = StreamReader::new(Chopped::new(log, piece), base);
    let mut end = base;
    loop {
        match (slice.next_item(), stream.next_item()) {
            (Ok(Some(a)), Ok(Some(b))) => {
                assert_eq!((a.offset, a.raw), (b.offset, b.raw));
                assert_eq!(a.offset, end, "records leave no gap");
                end = a.end();
                assert!(a.args().eq(b.args()) && a.args().count() == a.argc());
                match a.kind() {
                    Kind::Command => assert!(a.argc() > 0),
                    Kind::Annotation => {
                        let text = a.annotation().expect("an annotation has a text");
                        let _ = timestamp(text);
                    }
                }
            }
            (Ok(None), Ok(None)) => return assert_eq!(end, base + log.len() as u64),
            (Err(a), Err(b)) => {
                assert!(
                    a.offset >= base && a.offset <= base + log.len() as u64,
                    "{a}"
                );
                return assert_eq!(a, b);
            }
            (a, b) => panic!("{a:?} from the slice, {b:?} from the stream"),
        }
    }
}

/// Read in batches a log has the records that it has one by one, and the damage behind them.
fn batches_are_records(log: &[u8], base: u64) {
    let mut single = SliceReader::new(log, base);
    let mut many = SliceReader::new(log, base);
    let mut batch = Batch::default();
    loop {
        let read = many.next_batch(&mut batch);
        for index in 0..batch.len() {
            let item = many.of_batch(&batch, index);
            let one = single.next_item();
            let one = one.expect("no damage before").expect("not the end");
            assert_eq!((item.offset, item.raw), (one.offset, one.raw));
            assert!(item.args().eq(one.args()) && item.is_loose() == one.is_loose());
            let places = item.places().map(|place| &item.raw[place]);
            assert!(places.eq(one.args()));
        }
        match read {
            Ok(()) if batch.is_empty() => {
                return assert!(matches!(single.next_item(), Ok(None)));
            }
            Ok(()) => assert_eq!(single.offset(), many.offset()),
            Err(error) => return assert_eq!(single.next_item().err(), Some(error)),
        }
    }
}

/// A manifest that can be read is the same after being written and read again.
pub fn manifest(text: &[u8]) {
    let Ok(read) = Manifest::parse(text) else {
        assert!(Manifest::parse_strict(text).is_err());
        return;
    };
    let _ = Manifest::parse_strict(text);
    assert!(read.to_load().count() <= text.len());
    if read.is_empty() {
        return;
    }
    let written = read.to_text();
    // Quoting can make a line longer than any server reads, if a name is made of hundreds of strange bytes.
    if written
        .split(|b| *b == b'\n')
        .any(|line| line.len() >= LINE_MAX)
    {
        return;
    }
    let again = Manifest::parse_strict(&written).expect("what we write is sound");
    assert_eq!(format!("{again:?}"), format!("{read:?}"));
    assert_eq!(again.to_text(), written);
}

/// A moment of a log: the first line names it, the rest is the log. What is said of where it was agrees with where it was.
pub fn moment(bytes: &[u8]) {
    let at = bytes.iter().position(|byte| *byte == b'\n');
    let (text, log) = at.map_or((bytes, &[][..]), |at| (&bytes[..at], &bytes[at + 1..]));
    let Ok(Ok(until)) = std::str::from_utf8(text).map(str::parse::<Until>) else {
        return;
    };
    let mut watch = Watch::new(until.clone());
    let mut reader = SliceReader::new(log, 0);
    let (mut commands, mut end, mut last) = (0, 0, None);
    while let Ok(Some(item)) = reader.next_item() {
        if watch.is_reached_before(&item) {
            match until {
                Until::Command(number) => assert_eq!(commands, number),
                Until::Offset(at) => assert!(end <= at.max(end) && item.offset >= at),
                Until::Time(second) => {
                    let time = item.annotation().and_then(timestamp);
                    assert!(time.is_some_and(|time| time > second));
                }
                Until::Before(_) => assert_eq!(item.kind(), Kind::Command),
            }
            break;
        }
        commands += u64::from(item.kind() == Kind::Command);
        last = item.annotation().and_then(timestamp).or(last);
        end = item.offset;
    }
    assert_eq!(watch.time(), last, "the last time before the moment");
    let missed = watch.missed();
    match (&until, watch.is_reached()) {
        (Until::Command(_) | Until::Offset(_) | Until::Before(_), true) => assert_eq!(missed, None),
        (Until::Command(number), false) => assert_eq!(missed.is_none(), *number == commands),
        _ => {}
    }
}

/// Blocks of an archive: what counts is a whole begin, and counts again; one more behind it counts, too.
pub fn blocks(bytes: &[u8]) {
    let found = block::verify(bytes, |_| ());
    let end = usize::try_from(found.end).expect("within the bytes");
    let begin = &bytes[..end];
    let again = block::verify(begin, |_| ());
    assert_eq!((again.end, again.wrong), (found.end, None));
    assert_eq!(found.first.is_some(), end > 0);
    let content: &[u8] = b"*1\r\n$4\r\nPING\r\n";
    let mut longer = [begin, content].concat();
    let line = Block {
        id: vec![b'f'; 40],
        offset: 1 << 40,
        ms: 1,
        bytes: content.len() as u64,
        sum: 0,
    };
    line.write(&mut longer, content);
    assert_eq!(block::verify(&longer, |_| ()).end, longer.len() as u64);
}
