//! The library `struct`. What is expected was recorded from Redis 7.2.4, unless a line says otherwise.

mod support;

use support::{check, check_hex};

#[test]
fn packed_bytes_are_those_of_redis() {
    check_hex(&[
        ("struct.pack('b',1)", "01"),
        ("struct.pack('b',-1)", "ff"),
        ("struct.pack('b',300)", "2c"),
        ("struct.pack('B',255)", "ff"),
        ("struct.pack('h',1)", "0100"),
        ("struct.pack('>h',1)", "0001"),
        ("struct.pack('<H',65535)", "ffff"),
        ("struct.pack('i',1)", "01000000"),
        ("struct.pack('>i',-2)", "fffffffe"),
        ("struct.pack('I',4294967295)", "ffffffff"),
        ("struct.pack('l',1)", "0100000000000000"),
        ("struct.pack('>L',1)", "0000000000000001"),
        ("struct.pack('T',5)", "0500000000000000"),
        ("struct.pack('i1',5)", "05"),
        ("struct.pack('i3',-2)", "feffff"),
        ("struct.pack('>i5',1)", "0000000001"),
        ("struct.pack('i16',1)", "01000000000000000000000000000000"),
        ("struct.pack('i16',-1)", "ffffffffffffffff0000000000000000"),
        ("struct.pack('i0',1)", ""),
        ("struct.pack('f',1.5)", "0000c03f"),
        ("struct.pack('>f',1.5)", "3fc00000"),
        ("struct.pack('d',1.5)", "000000000000f83f"),
        ("struct.pack('>d',0.1)", "3fb999999999999a"),
        ("struct.pack('s','abc')", "61626300"),
        ("struct.pack('s','a\\0b')", "61006200"),
        ("struct.pack('s',5)", "3500"),
        ("struct.pack('bxb',1,2)", "010002"),
        ("struct.pack('b i h',1,2,3)", "01020000000300"),
        ("struct.pack('!b i',1,2)", "0100000002000000"),
        ("struct.pack('!4bi',1,2)", "0100000002000000"),
        ("struct.pack('!2bi',1,2)", "010002000000"),
        (
            "struct.pack('!8bd',1,2)",
            "01000000000000000000000000000040",
        ),
        ("struct.pack('!bl',1,2)", "01000000000000000200000000000000"),
        (
            "struct.pack('!16bl',1,2)",
            "01000000000000000200000000000000",
        ),
        ("struct.pack('!4i3i3',1,2)", "00000100000000020000"),
        ("struct.pack('<i>i',1,1)", "0100000000000001"),
        ("struct.pack('bc0',3,'abc')", "03616263"),
        ("struct.pack('c','abc')", "61"),
        ("struct.pack('c2','abc')", "6162"),
        ("struct.pack('b',1.9)", "01"),
        ("struct.pack('b',-1.9)", "ff"),
        ("struct.pack('L',-1)", "ffffffffffffffff"),
        ("struct.pack('L',2^63)", "0000000000000080"),
        ("struct.pack('l',2^63)", "0000000000000080"),
        ("struct.pack('L',2^64)", "0000000000000000"),
        ("struct.pack('L',0/0)", "0000000000000080"),
        ("struct.pack('b','12')", "0c"),
        ("struct.pack('b',1,2,3)", "01"),
        ("struct.pack('')", ""),
        ("struct.pack('b\\0z',1)", "01"),
    ]);
}

#[test]
fn unpacked_values_are_those_of_redis() {
    check(&[
        ("struct.unpack('b','\\255')", "-1 2"),
        ("struct.unpack('B','\\255')", "255 2"),
        ("struct.unpack('>h','\\1\\2')", "258 3"),
        ("struct.unpack('<h','\\1\\2')", "513 3"),
        ("struct.unpack('i','\\255\\255\\255\\255')", "-1 5"),
        ("struct.unpack('I','\\255\\255\\255\\255')", "4294967295 5"),
        (
            "struct.unpack('L',('\\255'):rep(8))",
            "1.844674407371e+19 9",
        ),
        ("struct.unpack('s','abc\\0x')", "abc 5"),
        ("struct.unpack('c2','abc')", "ab 3"),
        ("struct.unpack('bc0','\\3abcd')", "abc 5"),
        ("struct.unpack('sc0','3\\0abc')", "abc 6"),
        ("struct.unpack('b','\\1\\2',2)", "2 3"),
        ("struct.unpack('!4bi','\\1\\0\\0\\0\\2\\0\\0\\0')", "1 2 9"),
        ("struct.unpack('x','a')", "2"),
        ("struct.unpack('','')", "1"),
        ("struct.unpack('i5',('\\255'):rep(5))", "-1 6"),
        ("struct.unpack('i16',('\\255'):rep(16))", "-1 17"),
        ("struct.unpack('f',struct.pack('f',1.5))", "1.5 5"),
        ("struct.unpack('>d',struct.pack('>d',0.1))", "0.1 9"),
        // From here on asked of Redis 7.0.15.
        (
            "struct.unpack('i9','\\128\\0\\0\\0\\0\\0\\0\\0\\0')",
            "-128 10",
        ),
        (
            "struct.unpack('i10','\\128\\128\\0\\0\\0\\0\\0\\0\\0\\0')",
            "-32640 11",
        ),
        ("struct.unpack('i0','')", "0 1"),
        ("struct.unpack('','abc',-5)", "-5"),
        ("struct.unpack('','abc',77)", "77"),
        ("struct.unpack('bb',55)", "53 53 3"),
        ("struct.unpack('dc0',struct.pack('d',1e30))", " 9"),
        ("#{struct.unpack(('b'):rep(7990),('a'):rep(9000))}", "7991"),
    ]);
}

#[test]
fn sizes_are_those_of_redis() {
    check(&[
        ("struct.size('b')", "1"),
        ("struct.size('bhilTfd')", "35"),
        ("struct.size('!bhilTfd')", "40"),
        ("struct.size('!8bd')", "16"),
        ("struct.size('i7c10x')", "18"),
        ("struct.size('>!4b i')", "8"),
        ("struct.size('z')", "0"),
        ("struct.size('c2147483647c1')", "2147483648"),
        (
            "struct.size('s')",
            "!bad argument #1 to 'size' (option 's' has no fixed size)",
        ),
        (
            "struct.size('c0')",
            "!bad argument #1 to 'size' (option 'c0' has no fixed size)",
        ),
        (
            "struct.size('\\255')",
            "!bad argument #1 to 'size' (invalid format option '\\xff')",
        ),
    ]);
}

#[test]
fn errors_are_those_of_redis() {
    const SHORT: &str = "!bad argument #2 to 'unpack' (data string too short)";
    check(&[
        (
            "struct.pack('z',1)",
            "!bad argument #1 to 'pack' (invalid format option 'z')",
        ),
        (
            "struct.pack('c5','abc')",
            "!bad argument #3 to 'pack' (string too short)",
        ),
        (
            "struct.pack('b')",
            "!bad argument #2 to 'pack' (number expected, got nil)",
        ),
        (
            "struct.pack('s')",
            "!bad argument #2 to 'pack' (string expected, got nil)",
        ),
        (
            "struct.pack('bb',1)",
            "!bad argument #3 to 'pack' (number expected, got nil)",
        ),
        (
            "struct.pack('b',{})",
            "!bad argument #2 to 'pack' (number expected, got table)",
        ),
        (
            "struct.pack({})",
            "!bad argument #1 to 'pack' (string expected, got table)",
        ),
        (
            "struct.pack('i33',1)",
            "!integral size 33 is larger than limit of 32",
        ),
        ("struct.pack('i99999999999',1)", "!integral size overflow"),
        ("struct.pack('!3b',1)", "!alignment 3 is not a power of 2"),
        ("struct.pack('!0b',1)", "!alignment 0 is not a power of 2"),
        ("struct.unpack('i','abc')", SHORT),
        ("struct.unpack('b','abc',9)", SHORT),
        ("struct.unpack('b','abc',-1)", SHORT),
        (
            "struct.unpack('b','abc',0)",
            "!bad argument #3 to 'unpack' (offset must be 1 or greater)",
        ),
        ("struct.unpack('s','abc')", "!unfinished string in data"),
        (
            "struct.unpack('c0','abc')",
            "!format 'c0' needs a previous size",
        ),
        (
            "struct.unpack('sc0','x\\0abc')",
            "!format 'c0' needs a previous size",
        ),
        ("struct.unpack('bc0','\\9abc')", SHORT),
        ("struct.unpack('bc0','\\255abc')", SHORT),
        (
            "struct.unpack(('b'):rep(8000),('a'):rep(9000))",
            "!stack overflow (too many results)",
        ),
    ]);
}
