//! HyperLogLog commands where recordings say little: damage, the cached count, what is propagated and announced.

mod support;

use cairn_format::encoding::hll;
use support::Bench;

const WRONG: &str = "-WRONGTYPE Key is not a valid HyperLogLog string value.\r\n";
const CORRUPTED: &str = "-INVALIDOBJ Corrupted HLL object detected\r\n";

fn set(bench: &mut Bench, key: &str, bytes: &[u8]) {
    let reply = bench.run(&[b"SET".as_slice(), key.as_bytes(), bytes]);
    assert_eq!(reply, b"+OK\r\n");
}

#[test]
fn strings_that_are_none_are_told_apart_from_other_types() {
    let mut bench = Bench::new();
    bench.line("RPUSH list a");
    let dense_too_short = [b"HYLL\0".as_slice(), &[0; 100]].concat();
    for text in [
        b"12345678901234567".as_slice(),
        b"",
        b"HYLL",
        b"HYLL\x02\0\0\0\0\0\0\0\0\0\0\0\0\0",
        &dense_too_short,
    ] {
        set(&mut bench, "s", text);
        for command in [
            "PFADD s a",
            "PFCOUNT s",
            "PFCOUNT none s",
            "PFMERGE d s",
            "PFDEBUG ENCODING s",
        ] {
            assert_eq!(bench.line(command), WRONG, "{command}");
        }
    }
    for command in [
        "PFADD list a",
        "PFCOUNT list",
        "PFMERGE d none list",
        "PFDEBUG GETREG list",
    ] {
        let other = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
        assert_eq!(bench.line(command), other, "{command}");
    }
    assert_eq!(
        bench.line("EXISTS d"),
        ":0\r\n",
        "a merge that fails leaves nothing"
    );
}

#[test]
fn runs_that_are_damaged_are_named_and_stay_as_they_were() {
    let mut bench = Bench::new();
    let mut short = hll::empty();
    hll::invalidate(&mut short);
    short.truncate(16);
    short.push(0x05);
    set(&mut bench, "h", &short);
    for command in [
        "PFADD h a",
        "PFCOUNT h",
        "PFCOUNT h h",
        "PFMERGE d h",
        "PFDEBUG TODENSE h",
        "PFDEBUG GETREG h",
    ] {
        assert_eq!(bench.line(command), CORRUPTED, "{command}");
    }
    assert_eq!(bench.line("PFDEBUG DECODE h"), "$3\r\nz:6\r\n");
    assert_eq!(bench.line("EXISTS d"), ":0\r\n");
    let stored = bench.run(&["GET", "h"]);
    assert_eq!(stored, [b"$17\r\n".as_slice(), &short, b"\r\n"].concat());
}

#[test]
fn counting_is_propagated_only_when_it_stores_the_count() {
    let mut bench = Bench::new();
    bench.line("PFADD h a b c");
    assert_eq!(bench.propagated(), ["PFADD h a b c"]);
    for (reply, propagated) in [(":3\r\n", vec!["PFCOUNT h"]), (":3\r\n", vec![])] {
        assert_eq!(bench.line("PFCOUNT h"), reply);
        assert_eq!(bench.propagated(), propagated);
    }
    assert_eq!(bench.line("PFCOUNT h h2"), ":3\r\n");
    assert_eq!(bench.line("PFADD h a"), ":0\r\n");
    assert!(bench.propagated().is_empty());
    assert_eq!(bench.line("PFDEBUG TODENSE h"), ":1\r\n");
    assert_eq!(bench.line("PFDEBUG TODENSE h"), ":0\r\n");
    assert_eq!(bench.propagated(), ["PFDEBUG TODENSE h"]);
    assert_eq!(
        bench.line("PFCOUNT h"),
        ":3\r\n",
        "the cached count survives"
    );
    assert!(bench.propagated().is_empty());
}

#[test]
fn an_expiry_stays_and_a_reply_on_its_way_is_not_changed() {
    let mut bench = Bench::new();
    bench.line("PFADD h a");
    bench.line("EXPIRE h 100");
    bench.line("PFADD h b");
    bench.line("PFDEBUG TODENSE h");
    let before = bench.run(&["GET", "h"]);
    bench.line("PFADD h c");
    bench.line("PFMERGE h h");
    assert_eq!(bench.line("TTL h"), ":100\r\n");
    assert_ne!(bench.run(&["GET", "h"]), before);
    assert_eq!(bench.line("PFCOUNT h"), ":3\r\n");
    assert_eq!(bench.line("OBJECT ENCODING h"), "$3\r\nraw\r\n");
}

#[test]
fn the_self_test_passes() {
    assert_eq!(Bench::new().line("PFSELFTEST"), "+OK\r\n");
}
