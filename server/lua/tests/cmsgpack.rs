//! The library `cmsgpack`. What is expected was recorded from Redis 7.2.4, unless a line says otherwise.

mod support;

use support::{check, check_hex, run};

#[test]
fn numbers_are_written_as_redis_does() {
    let rows = [
        ("nil", "c0"),
        ("true", "c3"),
        ("false", "c2"),
        ("0", "00"),
        ("127", "7f"),
        ("128", "cc80"),
        ("255", "ccff"),
        ("256", "cd0100"),
        ("65535", "cdffff"),
        ("65536", "ce00010000"),
        ("4294967295", "ceffffffff"),
        ("4294967296", "cf0000000100000000"),
        ("2^53", "cf0020000000000000"),
        ("-1", "ff"),
        ("-32", "e0"),
        ("-33", "d0df"),
        ("-128", "d080"),
        ("-129", "d1ff7f"),
        ("-32768", "d18000"),
        ("-32769", "d2ffff7fff"),
        ("-2147483648", "d280000000"),
        ("-2147483649", "d3ffffffff7fffffff"),
        ("-2^63", "d38000000000000000"),
        ("2^63", "ca5f000000"),
        ("2^64", "ca5f800000"),
        ("1.5", "ca3fc00000"),
        ("0.1", "cb3fb999999999999a"),
        ("1/3", "cb3fd5555555555555"),
        ("1/0", "ca7f800000"),
        ("-1/0", "caff800000"),
        ("0/0", "cbfff8000000000000"),
        ("1e300", "cb7e37e43c8800759c"),
    ];
    for (value, bytes) in rows {
        check_hex(&[(&format!("cmsgpack.pack({value})"), bytes)]);
    }
}

#[test]
fn strings_and_tables_are_written_as_redis_does() {
    let nested = "91".repeat(16) + "c0";
    check_hex(&[
        ("cmsgpack.pack('')", "a0"),
        ("cmsgpack.pack('abc')", "a3616263"),
        ("cmsgpack.pack(('a'):rep(31)):sub(1,1)", "bf"),
        ("cmsgpack.pack(('a'):rep(32)):sub(1,2)", "d920"),
        ("cmsgpack.pack(('a'):rep(256)):sub(1,3)", "da0100"),
        ("cmsgpack.pack(('a'):rep(65536)):sub(1,5)", "db00010000"),
        ("cmsgpack.pack({1,2,3})", "93010203"),
        ("cmsgpack.pack({})", "90"),
        ("cmsgpack.pack({a=1})", "81a16101"),
        ("cmsgpack.pack({1,nil,3})", "8201010303"),
        ("cmsgpack.pack({[2]=1})", "810201"),
        ("cmsgpack.pack({[0]=1})", "810001"),
        ("cmsgpack.pack({[1.5]=1})", "81ca3fc0000001"),
        ("cmsgpack.pack({1,a=2})", "820101a16102"),
        ("cmsgpack.pack({[true]=false})", "81c3c2"),
        ("cmsgpack.pack(1,2,'x')", "0102a178"),
        (
            "cmsgpack.pack({1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6}):sub(1,3)",
            "dc0010",
        ),
        (
            "(function() local t = {} t[1] = t return cmsgpack.pack(t) end)()",
            &nested,
        ),
        ("cmsgpack.pack(newproxy(),type)", "c0c0"),
    ]);
}

#[test]
fn values_are_read_as_redis_does() {
    check(&[
        ("cmsgpack.unpack('')", ""),
        ("cmsgpack.unpack('\\1\\161x\\195\\194')", "1 x true false"),
        ("cmsgpack.unpack('\\207'..('\\255'):rep(8))", "-1"),
        ("cmsgpack.unpack('\\211'..('\\255'):rep(8))", "-1"),
        (
            "cmsgpack.unpack('\\208\\128\\209\\128\\0\\210\\128\\0\\0\\0')",
            "-128 -32768 -2147483648",
        ),
        (
            "cmsgpack.unpack('\\204\\255\\205\\255\\255\\206\\255\\255\\255\\255')",
            "255 65535 4294967295",
        ),
        (
            "cmsgpack.unpack('\\202\\63\\192\\0\\0\\203\\63\\185\\153\\153\\153\\153\\153\\154')",
            "1.5 0.1",
        ),
        (
            "cmsgpack.unpack('\\217\\1a\\218\\0\\1b\\219\\0\\0\\0\\1c')",
            "a b c",
        ),
        (
            "cmsgpack.unpack('\\220\\0\\2\\1\\2\\221\\0\\0\\0\\1\\3')",
            "{1,2} {3}",
        ),
        (
            "cmsgpack.unpack('\\129\\161a\\5').a, cmsgpack.unpack('\\222\\0\\1\\161a\\6').a",
            "5 6",
        ),
        ("cmsgpack.unpack('\\223\\0\\0\\0\\1\\161a\\7').a", "7"),
        ("cmsgpack.unpack('\\147\\1\\192\\3')[3]", "3"),
        // A later nil takes a field away; asked of Redis 7.0.15.
        ("next(cmsgpack.unpack('\\130\\1\\2\\1\\192'))", ""),
        ("cmsgpack.unpack(5)", "53"),
        ("cmsgpack.unpack_one('\\1\\2')", "1 1"),
        ("cmsgpack.unpack_one('\\1\\2',1)", "-1 2"),
        ("cmsgpack.unpack_one('\\1\\2',2)", "-1"),
        ("cmsgpack.unpack_limit('\\1\\2\\3',2)", "2 1 2"),
        ("cmsgpack.unpack_limit('\\1\\2\\3',9,1)", "-1 2 3"),
        ("cmsgpack.unpack_limit('\\1\\2\\3',0)", "1 2 3"),
        ("cmsgpack.unpack_limit('\\1\\2\\3',0,1)", "1"),
    ]);
    assert_eq!(
        run(
            "local t = {} for i = 1, 70000 do t[i] = i end return #cmsgpack.unpack(cmsgpack.pack(t))"
        ),
        "70000"
    );
}

#[test]
fn errors_are_those_of_redis() {
    const FORMAT: &str = "!Bad data format in input.";
    const MISSING: &str = "!Missing bytes in input.";
    check(&[
        (
            "cmsgpack.pack()",
            "!bad argument #0 to 'pack' (MessagePack pack needs input.)",
        ),
        (
            "cmsgpack.unpack()",
            "!bad argument #1 to 'unpack' (string expected, got no value)",
        ),
        ("cmsgpack.unpack('\\196\\1a')", FORMAT),
        ("cmsgpack.unpack('\\199\\1\\1a')", FORMAT),
        ("cmsgpack.unpack('\\212\\1a')", FORMAT),
        ("cmsgpack.unpack('\\193')", FORMAT),
        ("cmsgpack.unpack('\\162a')", MISSING),
        ("cmsgpack.unpack('\\221\\255\\255\\255\\255')", MISSING),
        ("cmsgpack.unpack('\\223\\255\\255\\255\\255\\1')", MISSING),
        ("cmsgpack.unpack('\\207\\1')", MISSING),
        (
            "cmsgpack.unpack_one('\\1\\2\\3',4)",
            "!Start offset 4 greater than input length 3.",
        ),
        (
            "cmsgpack.unpack_one('\\1\\2\\3',-1)",
            "!Invalid request to unpack with offset of -1 and limit of 3.",
        ),
        (
            "cmsgpack.unpack_limit('\\1\\2\\3',-1)",
            "!Invalid request to unpack with offset of 0 and limit of 3.",
        ),
        (
            "cmsgpack.unpack_limit('\\1')",
            "!bad argument #2 to 'unpack_limit' (number expected, got no value)",
        ),
        (
            "cmsgpack.unpack(('\\1'):rep(9000))",
            "!stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)",
        ),
        (
            "cmsgpack.unpack(('\\145'):rep(9000))",
            "!stack overflow (in function mp_decode_to_lua_array)",
        ),
        (
            "cmsgpack.unpack(('\\129\\1'):rep(9000))",
            "!stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)",
        ),
    ]);
    assert_eq!(
        run("return cmsgpack.unpack('\\129\\192\\1')"),
        "!table index is nil @1"
    );
    assert_eq!(run("return #{cmsgpack.unpack(('\\1'):rep(7990))}"), "7990");
}

#[test]
fn fields_stand_in_the_order_of_redis() {
    check(&[
        (
            "(function() local t = {} for k in pairs(cmsgpack) do t[#t+1] = k end return t end)()",
            "{_DESCRIPTION,pack,_NAME,unpack,_COPYRIGHT,_VERSION,unpack_one,unpack_limit}",
        ),
        ("cmsgpack._VERSION", "lua-cmsgpack 0.4.0"),
    ]);
}
