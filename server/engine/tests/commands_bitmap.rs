//! Bits of strings in every place that a string can have: in its record, behind a pointer, as an integer, shared with a reply.

mod support;

use support::Bench;

#[test]
fn bits_grow_a_string_through_all_its_places() {
    let mut bench = Bench::new();
    let mut set = 0;
    for at in [0u64, 7, 100, 500, 2_000, 9_000, 100_000, 1_000_000] {
        assert_eq!(bench.line(&format!("SETBIT b {at} 1")), ":0\r\n");
        assert_eq!(bench.line(&format!("GETBIT b {at}")), ":1\r\n");
        set += 1;
        assert_eq!(bench.line("BITCOUNT b"), format!(":{set}\r\n"));
        assert_eq!(bench.line("STRLEN b"), format!(":{}\r\n", at / 8 + 1));
        assert_eq!(bench.line("OBJECT ENCODING b"), "$3\r\nraw\r\n");
    }
    assert_eq!(bench.line("BITPOS b 1 1"), ":100\r\n");
    assert_eq!(bench.line("BITPOS b 0"), ":1\r\n");
}

#[test]
fn an_integer_is_the_text_of_it() {
    let mut bench = Bench::new();
    bench.line("SET n 12");
    assert_eq!(bench.line("BITCOUNT n"), ":6\r\n");
    assert_eq!(bench.line("BITFIELD_RO n GET u8 8"), "*1\r\n:50\r\n");
    bench.line("EXPIRE n 50");
    assert_eq!(bench.line("SETBIT n 15 1"), ":0\r\n");
    assert_eq!(bench.line("GET n"), "$2\r\n13\r\n");
    assert_eq!(bench.line("OBJECT ENCODING n"), "$3\r\nraw\r\n");
    assert_eq!(bench.line("TTL n"), ":50\r\n");
    assert_eq!(bench.line("BITOP NOT m n"), ":2\r\n");
    assert_eq!(bench.line("TTL m"), ":-1\r\n");
}

#[test]
fn what_changes_nothing_is_not_propagated() {
    let mut bench = Bench::new();
    let cases = [
        ("SETBIT b 9 0", true),
        ("SETBIT b 9 0", false),
        ("SETBIT b 17 0", true),
        ("BITFIELD b SET u8 0 0", false),
        ("BITFIELD b SET u8 0 7 GET u4 0", true),
        ("BITFIELD b OVERFLOW FAIL INCRBY u4 4 15", false),
        // Redis propagates nothing here, though there is a key of zeros now, which is then missing elsewhere.
        ("BITFIELD fresh OVERFLOW FAIL INCRBY u4 4 16", true),
        ("BITFIELD fresh OVERFLOW FAIL INCRBY u4 4 16", false),
        ("BITOP AND none a c", false),
        ("BITOP OR copy b", true),
    ];
    for (line, changes) in cases {
        bench.line(line);
        let expected: Vec<&str> = changes.then_some(line).into_iter().collect();
        assert_eq!(bench.propagated(), expected, "{line}");
    }
}

#[test]
fn offsets_end_where_strings_do() {
    let mut bench = Bench::new();
    let error = "-ERR bit offset is not an integer or out of range\r\n";
    let lines = [
        "SETBIT b 4294967296 1",
        "SETBIT b #1 1",
        "GETBIT b -1",
        "BITFIELD b GET u8 #536870912",
        "BITFIELD b GET i64 #9223372036854775807",
        "BITFIELD b GET u8 -1",
        "BITFIELD b SET u8 x 1",
    ];
    for line in lines {
        assert_eq!(bench.line(line), error, "{line}");
    }
    assert_eq!(bench.line("GETBIT b 4294967295"), ":0\r\n");
    assert_eq!(bench.line("EXISTS b"), ":0\r\n");
}

/// The bits that a range names: `from` and `to` inclusive, negative from the end, in bits or bytes. Empty if they cross.
fn named(total_bits: i64, from: i64, to: i64, by_bit: bool) -> Vec<usize> {
    let unit = if by_bit { 1 } else { 8 };
    let total = total_bits / unit;
    let place = |at: i64| if at < 0 { (at + total).max(0) } else { at };
    let (from, to) = (place(from), place(to).min(total - 1));
    (from * unit..(to + 1) * unit)
        .map(|bit| bit as usize)
        .collect()
}

/// Every range of small strings in every form, beside a row of booleans.
#[test]
fn ranges_are_counted_and_searched_as_a_row_of_booleans() {
    let mut bench = Bench::new();
    let strings: [&[u8]; 6] = [
        b"\0",
        b"\xff",
        b"\xff\xff\xff",
        b"\0\0\0",
        b"\x0f\xf0",
        b"\xfe\0\x01",
    ];
    for string in strings {
        bench.run(&[b"SET".as_slice(), b"b", string]);
        let bits: Vec<bool> = string
            .iter()
            .flat_map(|byte| (0..8).map(move |at| byte >> (7 - at) & 1 == 1))
            .collect();
        let total = bits.len() as i64;
        for (form, by_bit) in [("", false), (" BYTE", false), (" BIT", true)] {
            let reach = if by_bit { total + 2 } else { total / 8 + 2 };
            for (from, to) in
                (-reach..=reach).flat_map(|from| (-reach..=reach).map(move |to| (from, to)))
            {
                let range = named(total, from, to, by_bit);
                let crossed = from < 0 && to < 0 && from > to;
                let count = range.iter().filter(|at| bits[**at] && !crossed).count();
                let line = format!("BITCOUNT b {from} {to}{form}");
                assert_eq!(
                    bench.line(&line),
                    format!(":{count}\r\n"),
                    "{line} of {string:?}"
                );
                for bit in [false, true] {
                    let first = range.iter().find(|at| bits[**at] == bit);
                    let first = first.map_or(-1, |at| *at as i64);
                    let line = format!("BITPOS b {} {from} {to}{form}", u8::from(bit));
                    assert_eq!(
                        bench.line(&line),
                        format!(":{first}\r\n"),
                        "{line} of {string:?}"
                    );
                }
            }
        }
        for (bit, from) in [false, true]
            .iter()
            .flat_map(|bit| (-4..=4).map(move |from| (*bit, from)))
        {
            let range = named(total, from, -1, false);
            let first = range
                .iter()
                .find(|at| bits[**at] == bit)
                .map(|at| *at as i64);
            // Behind the string are zeros, unless the range is empty.
            let behind = if bit || range.is_empty() { -1 } else { total };
            let line = format!("BITPOS b {} {from}", u8::from(bit));
            assert_eq!(
                bench.line(&line),
                format!(":{}\r\n", first.unwrap_or(behind)),
                "{line} of {string:?}"
            );
        }
    }
}

/// The forms and ranges that no recording has.
#[test]
fn words_are_checked_in_the_order_of_redis() {
    let mut bench = Bench::new();
    bench.line("SET b foobar");
    let cases = [
        ("BITCOUNT b 0", "-ERR syntax error\r\n"),
        ("BITCOUNT b -1 -2 nonsense", ":0\r\n"),
        ("BITCOUNT b 0 -1 nonsense", "-ERR syntax error\r\n"),
        ("BITCOUNT none x y z", ":0\r\n"),
        ("BITCOUNT b 5 30 BIT", ":17\r\n"),
        ("BITPOS b 1 2 -1 BIT", ":2\r\n"),
        ("BITPOS none 1 x", ":-1\r\n"),
        ("BITPOS b 3", "-ERR The bit argument must be 1 or 0.\r\n"),
        ("BITPOS b 1 0 -1 BIT x", "-ERR syntax error\r\n"),
        ("BITOP NAND d b", "-ERR syntax error\r\n"),
        (
            "BITOP NOT d b b",
            "-ERR BITOP NOT must be called with a single source key.\r\n",
        ),
        ("BITFIELD b", "*0\r\n"),
        ("BITFIELD b OVERFLOW SAT", "*0\r\n"),
        (
            "BITFIELD s OVERFLOW SAT SET i8 0 -9223372036854775808 GET i8 0 SET i8 0 -200 GET i8 0",
            "*4\r\n:0\r\n:127\r\n:127\r\n:-128\r\n",
        ),
    ];
    for (line, reply) in cases {
        assert_eq!(bench.line(line), reply, "{line}");
    }
}
