//! The hot paths of the bytes: `cargo bench -p cairn-format --bench paths [-- NAME]`. Times are of this machine and this moment; compare
//! those of one run, or instructions (`valgrind --tool=callgrind`).

use cairn_format::crc16::key_slot;
use cairn_format::crc64::crc64;
use cairn_format::encoding::listpack::{self, Listpack};
use cairn_format::lzf;
use cairn_format::resp::request::{Limits, RequestParser, Step};
use cairn_format::resp::value::write_command;
use cairn_format::text::glob::glob_match;
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};

/// Requests of a batch.
const PIPELINE: usize = 64;

fn main() {
    divan::main();
}

/// A batch of requests, as `words` has them for each number.
fn batch<const N: usize>(words: impl Fn(usize) -> [String; N]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in 0..PIPELINE {
        write_command(&mut bytes, &words(number));
    }
    bytes
}

/// Parses all of a batch; how many requests it had.
fn parse(bytes: &[u8]) -> usize {
    let (mut parser, limits) = (RequestParser::new(), Limits::default());
    let (mut args, mut start, mut count) = (Vec::new(), 0, 0);
    while start < bytes.len() {
        let Step::Command { end } = parser.next(bytes, start, &mut args, &limits) else {
            panic!("requests are whole");
        };
        (start, count) = (end, count + 1);
        args.clear();
    }
    count
}

#[divan::bench]
fn parse_64_get(bencher: Bencher) {
    let bytes = batch(|number| ["GET".into(), format!("key:{number:012}")]);
    assert_eq!(parse(&bytes), PIPELINE);
    let bencher = bencher.counter(ItemsCount::new(PIPELINE));
    bencher.bench_local(|| parse(black_box(&bytes)));
}

#[divan::bench]
fn parse_64_set(bencher: Bencher) {
    let bytes = batch(|number| ["SET".into(), format!("key:{number:012}"), "v".repeat(64)]);
    assert_eq!(parse(&bytes), PIPELINE);
    let bencher = bencher.counter(ItemsCount::new(PIPELINE));
    bencher.bench_local(|| parse(black_box(&bytes)));
}

#[divan::bench(args = [16, 24, 64])]
fn slot_of_a_key(bencher: Bencher, len: usize) {
    let key = vec![b'k'; len];
    bencher.bench_local(|| key_slot(black_box(&key)));
}

#[divan::bench(args = [64, 4096, 1 << 20])]
fn checksum(bencher: Bencher, len: usize) {
    let bytes = vec![b'x'; len];
    let bencher = bencher.counter(BytesCount::new(len));
    bencher.bench_local(|| crc64(black_box(&bytes)));
}

/// Text that becomes about half as long.
fn text(len: usize) -> Vec<u8> {
    let words = (0_u64..).map(|n| format!("{:x} of many words, ", n.wrapping_mul(0x9e37_79b9)));
    words.flat_map(String::into_bytes).take(len).collect()
}

#[divan::bench]
fn compress_4_kb(bencher: Bencher) {
    let (bytes, mut out, mut table) = (text(4096), Vec::new(), lzf::Table::new());
    let bencher = bencher.counter(BytesCount::new(bytes.len()));
    bencher.bench_local(|| {
        out.clear();
        lzf::compress(black_box(&bytes), &mut out, &mut table)
    });
}

#[divan::bench]
fn decompress_4_kb(bencher: Bencher) {
    let (bytes, mut packed, mut out) = (text(4096), Vec::new(), Vec::new());
    assert!(lzf::compress(&bytes, &mut packed, &mut lzf::Table::new()));
    let bencher = bencher.counter(BytesCount::new(bytes.len()));
    bencher.bench_local(|| {
        out.clear();
        lzf::decompress(black_box(&packed), bytes.len(), &mut out)
    });
}

fn packed() -> Vec<u8> {
    let mut packed = listpack::empty();
    for number in 0..100 {
        listpack::push_back(&mut packed, format!("member:{number:06}").as_bytes());
        listpack::push_back_int(&mut packed, number);
    }
    packed
}

#[divan::bench]
fn check_a_listpack_of_200(bencher: Bencher) {
    let packed = packed();
    let bencher = bencher.counter(ItemsCount::new(200_usize));
    bencher.bench_local(|| Listpack::check(black_box(&packed)).is_ok());
}

#[divan::bench]
fn push_200_into_a_listpack(bencher: Bencher) {
    let bencher = bencher.counter(ItemsCount::new(200_usize));
    bencher.bench_local(packed);
}

#[divan::bench(args = ["key:*", "key:*:name", "*e[a-y]*0?2*"])]
fn match_a_pattern(bencher: Bencher, pattern: &str) {
    let bencher = bencher.counter(ItemsCount::new(1_usize));
    bencher.bench_local(|| {
        let key = black_box(&b"key:000000001234:name"[..]);
        glob_match(black_box(pattern.as_bytes()), key, false)
    });
}
