//! The library `cjson`. What is expected was recorded from Redis 7.2.4, unless a line says otherwise.

mod support;

use support::{check, machine, run, run_in};

#[test]
fn values_are_written_as_redis_does() {
    check(&[
        ("cjson.encode({})", "{}"),
        ("cjson.encode({1,2,3})", "[1,2,3]"),
        ("cjson.encode({[1]=1,[3]=3})", "[1,null,3]"),
        ("cjson.encode({1,nil,3})", "[1,null,3]"),
        ("cjson.encode({nil,2})", "[null,2]"),
        (
            "cjson.encode({[1]=1,[10]=10})",
            "[1,null,null,null,null,null,null,null,null,10]",
        ),
        (
            "cjson.encode({1,2,3,4,5,[12]=1})",
            "[1,2,3,4,5,null,null,null,null,null,null,1]",
        ),
        ("cjson.encode({a=1})", "{\"a\":1}"),
        ("cjson.encode({1,a=2})", "{\"1\":1,\"a\":2}"),
        ("cjson.encode({[1.5]=1})", "{\"1.5\":1}"),
        ("cjson.encode({[0]=1})", "{\"0\":1}"),
        ("cjson.encode({[-1]=1})", "{\"-1\":1}"),
        ("cjson.encode({{},{{}}})", "[{},[{}]]"),
        (
            "cjson.encode(setmetatable({},{__index=function() return 1 end}))",
            "{}",
        ),
        (
            "cjson.encode('a\"b\\\\c/d\\b\\f\\n\\r\\t\\1\\127\\200')",
            "\"a\\\\\"b\\\\\\\\c\\\\/d\\\\b\\\\f\\\\n\\\\r\\\\t\\\\u0001\\\\u007f\\xc8\"",
        ),
        ("cjson.encode('\\0')", "\"\\\\u0000\""),
        ("cjson.encode(1)", "1"),
        ("cjson.encode(1.0)", "1"),
        ("cjson.encode(-0)", "-0"),
        ("cjson.encode(0.1)", "0.1"),
        ("cjson.encode(1/3)", "0.33333333333333"),
        ("cjson.encode(99999999999999)", "99999999999999"),
        ("cjson.encode(100000000000000)", "1e+14"),
        ("cjson.encode(2^53)", "9.007199254741e+15"),
        ("cjson.encode(1e-5)", "1e-05"),
        ("cjson.encode(1e100)", "1e+100"),
        ("cjson.encode(nil)", "null"),
        ("cjson.encode(cjson.null)", "null"),
        ("cjson.encode(true)", "true"),
        // An index that no array of Lua's functions reaches is a key; Redis may lose what is beside it.
        ("cjson.encode({[2^40]=1})", "{\"1099511627776\":1}"),
        ("tostring(cjson.null)", "userdata: (nil)"),
    ]);
}

#[test]
fn errors_of_writing_are_those_of_redis() {
    const SPARSE: &str = "!Cannot serialise table: excessively sparse array";
    const INVALID: &str = "!Cannot serialise number: must not be NaN or Inf";
    const COUNT: &str = "!bad argument #1 to 'encode' (expected 1 argument)";
    check(&[
        ("cjson.encode({[1]=1,[11]=11})", SPARSE),
        (
            "cjson.encode({[true]=1})",
            "!Cannot serialise boolean: table key must be a number or string",
        ),
        ("cjson.encode(1/0)", INVALID),
        ("cjson.encode(0/0)", INVALID),
        ("cjson.encode({[1/0]=1})", INVALID),
        (
            "cjson.encode(type)",
            "!Cannot serialise function: type not supported",
        ),
        (
            "cjson.encode(coroutine.create(function() end))",
            "!Cannot serialise thread: type not supported",
        ),
        (
            "cjson.encode(newproxy())",
            "!Cannot serialise userdata: type not supported",
        ),
        ("cjson.encode()", COUNT),
        ("cjson.encode(1,2)", COUNT),
        (
            "(function() local t = {} t.a = t return cjson.encode(t) end)()",
            "!Cannot serialise, excessive nesting (1001)",
        ),
    ]);
    let nested = |depth| {
        format!("local t = {{}} for i = 2, {depth} do t = {{t}} end return #cjson.encode(t)")
    };
    assert_eq!(run(&nested(1000)), "2000");
    let deep = "!user_script:1: Cannot serialise, excessive nesting (1001) @1";
    assert_eq!(run(&nested(1001)), deep);
}

#[test]
fn text_is_read_as_redis_does() {
    check(&[
        ("cjson.decode('[1,null,3]')", "{1,null,3}"),
        ("cjson.decode('null')", "null"),
        ("cjson.decode('1')", "1"),
        ("cjson.decode('\"x\"')", "x"),
        ("cjson.decode('true')", "true"),
        (
            "cjson.decode('1.5'), cjson.decode('1e3'), cjson.decode('1e400'), cjson.decode('-0')",
            "1.5 1000 inf -0",
        ),
        (
            "cjson.decode('12345678901234567890')",
            "1.2345678901235e+19",
        ),
        (
            "cjson.decode('0x10'), cjson.decode('-0x10'), cjson.decode('01'), cjson.decode('+1')",
            "16 -16 1 1",
        ),
        (
            "cjson.decode('1.'), cjson.decode('inf'), cjson.decode('-Infinity')",
            "1 inf -inf",
        ),
        ("cjson.decode('nan'), cjson.decode('NaN')", "nan nan"),
        (
            "cjson.decode('\"\\\\u00e9\\\\u20ac\\\\ud83d\\\\ude00\"')",
            "\\xc3\\xa9\\xe2\\x82\\xac\\xf0\\x9f\\x98\\x80",
        ),
        ("cjson.decode('\"a\\n\\255\\\\u0000\"')", "a\\n\\xff\\x00"),
        (
            "cjson.decode('\"\\\\\"\\\\\\\\\\\\/\\\\b\\\\f\\\\n\\\\r\\\\t\"')",
            "\"\\\\/\\x08\\x0c\\n\\r\\t",
        ),
        ("cjson.decode('{\"a\":{\"b\":[1]}}').a.b", "{1}"),
        ("cjson.decode('{\"a\":1,\"a\":2}').a", "2"),
        ("cjson.decode('[1]\\0junk')", "{1}"),
        ("cjson.decode(5)", "5"),
        (
            "cjson.encode(cjson.decode('[]')), cjson.encode(cjson.decode('{}'))",
            "{} {}",
        ),
        (
            "type(cjson.decode(('['):rep(1000)..(']'):rep(1000)))",
            "table",
        ),
        ("cjson.decode(' [ 1 , { } ]\\r\\n\\t')[1]", "1"),
    ]);
}

#[test]
fn errors_of_reading_are_those_of_redis() {
    for (text, what, found, place) in [
        (".5", "value", "invalid token", 1),
        ("-", "value", "invalid number", 1),
        ("\"\\\\ud83d\"", "value", "invalid unicode escape code", 2),
        (
            "\"\\\\ude00\\\\ud83d\"",
            "value",
            "invalid unicode escape code",
            2,
        ),
        ("\"\\\\u12\"", "value", "invalid unicode escape code", 2),
        ("\"\\\\q\"", "value", "invalid escape code", 2),
        ("\"a", "value", "unexpected end of string", 3),
        ("", "value", "T_END", 1),
        (" ", "value", "T_END", 2),
        ("[1,2", "comma or array end", "T_END", 5),
        ("[1,]", "value", "T_ARR_END", 4),
        ("[1 2]", "comma or array end", "T_NUMBER", 4),
        ("{\"a\"}", "colon", "T_OBJ_END", 5),
        ("{\"a\":1,}", "object key string", "T_OBJ_END", 8),
        ("{a:1}", "object key string", "invalid token", 2),
        ("{\"a\":1 \"b\":2}", "comma or object end", "T_STRING", 8),
        ("1 2", "the end", "T_NUMBER", 3),
        ("trueX", "the end", "invalid token", 5),
        ("nul", "value", "invalid token", 1),
        ("}", "value", "T_OBJ_END", 1),
        ("]", "value", "T_ARR_END", 1),
        (",", "value", "T_COMMA", 1),
        (":", "value", "T_COLON", 1),
        ("1{", "the end", "T_OBJ_BEGIN", 2),
        ("1[", "the end", "T_ARR_BEGIN", 2),
        ("1 true", "the end", "T_BOOLEAN", 3),
        ("1 null", "the end", "T_NULL", 3),
        ("\\239\\187\\191[]", "value", "invalid token", 1),
        ("//", "value", "invalid token", 1),
    ] {
        let expected = format!("!Expected {what} but found {found} at character {place}");
        check(&[(&format!("cjson.decode('{text}')"), &expected)]);
    }
    check(&[
        (
            "cjson.decode('1\\0')",
            "!JSON parser does not support UTF-16 or UTF-32",
        ),
        (
            "cjson.decode({})",
            "!bad argument #1 to 'decode' (string expected, got table)",
        ),
        (
            "cjson.decode()",
            "!bad argument #1 to 'decode' (expected 1 argument)",
        ),
        (
            "cjson.decode(('['):rep(1001))",
            "!Found too many nested data structures (1001) at character 1001",
        ),
    ]);
}

#[test]
fn settings_are_those_of_redis() {
    check(&[
        ("cjson.encode_sparse_array()", "false 2 10"),
        ("cjson.encode_sparse_array(true,3,20)", "true 3 20"),
        (
            "cjson.encode_max_depth(), cjson.decode_max_depth()",
            "1000 1000",
        ),
        (
            "cjson.encode_number_precision(), cjson.encode_keep_buffer()",
            "14 true",
        ),
        (
            "cjson.encode_invalid_numbers(), cjson.decode_invalid_numbers()",
            "false true",
        ),
        ("cjson.encode_invalid_numbers('null')", "null"),
        ("cjson.encode_keep_buffer('off')", "false"),
        ("cjson.encode_max_depth(1.7)", "1"),
        (
            "cjson.encode_keep_buffer('maybe')",
            "!bad argument #1 to 'encode_keep_buffer' (invalid option 'maybe')",
        ),
        (
            "cjson.encode_invalid_numbers('bad')",
            "!bad argument #1 to 'encode_invalid_numbers' (invalid option 'bad')",
        ),
        (
            "cjson.encode_sparse_array(true,-1)",
            "!bad argument #1 to 'encode_sparse_array' (expected integer between 0 and 2147483647)",
        ),
        (
            "cjson.encode_sparse_array(1,2,3,4)",
            "!bad argument #4 to 'encode_sparse_array' (found too many arguments)",
        ),
        (
            "cjson.encode_max_depth(0)",
            "!bad argument #1 to 'encode_max_depth' (expected integer between 1 and 2147483647)",
        ),
        (
            "cjson.encode_max_depth('x')",
            "!bad argument #1 to 'encode_max_depth' (number expected, got string)",
        ),
        (
            "cjson.encode_number_precision(15)",
            "!bad argument #1 to 'encode_number_precision' (expected integer between 1 and 14)",
        ),
    ]);
}

#[test]
fn settings_do_what_they_say() {
    for (code, expected) in [
        (
            "cjson.encode_sparse_array(true) return cjson.encode({[1]=1,[50]=2})",
            "{\"1\":1,\"50\":2}",
        ),
        (
            "cjson.encode_sparse_array(false,0) return #cjson.encode({[50]=2})",
            "248",
        ),
        (
            "cjson.encode_sparse_array(false,2,50) return #cjson.encode({[50]=2})",
            "248",
        ),
        (
            "cjson.encode_number_precision(3) return cjson.encode({1/3,12345,-0.5})",
            "[0.333,1.23e+04,-0.5]",
        ),
        (
            "cjson.encode_invalid_numbers('null') return cjson.encode({1/0,0/0})",
            "[null,null]",
        ),
        (
            "cjson.encode_invalid_numbers(true) return cjson.encode({1/0,-1/0,0/0})",
            "[inf,-inf,nan]",
        ),
        (
            "cjson.encode_max_depth(1) return cjson.encode({{}})",
            "!user_script:1: Cannot serialise, excessive nesting (2) @1",
        ),
        (
            "cjson.decode_max_depth(1) return cjson.decode('[[]]')",
            "!user_script:1: Found too many nested data structures (2) at character 2 @1",
        ),
        (
            "cjson.decode_invalid_numbers(false) return cjson.decode('0x10')",
            "!user_script:1: Expected value but found invalid number at character 1 @1",
        ),
        (
            "cjson.decode_invalid_numbers(false) return cjson.decode('01')",
            "!user_script:1: Expected value but found invalid number at character 1 @1",
        ),
        (
            "cjson.decode_invalid_numbers(false) return cjson.decode('inf')",
            "!user_script:1: Expected value but found invalid token at character 1 @1",
        ),
        // As deep as Lua's stack; asked of Redis 7.0.15.
        (
            "cjson.encode_max_depth(1e6) local t = {} for i = 1, 9000 do t = {t} end return cjson.encode(t)",
            "!user_script:1: Cannot serialise, excessive nesting (7998) @1",
        ),
        (
            "cjson.encode_max_depth(1e6) local t = {} for i = 1, 9000 do t = {a=t} end return cjson.encode(t)",
            "!user_script:1: Cannot serialise, excessive nesting (4000) @1",
        ),
        (
            "cjson.decode_max_depth(1e6) return cjson.decode(('['):rep(9000))",
            "!user_script:1: Found too many nested data structures (7999) at character 7999 @1",
        ),
        (
            "cjson.decode_max_depth(1e6) return cjson.decode(('{\"a\":'):rep(9000))",
            "!user_script:1: Found too many nested data structures (4000) at character 19996 @1",
        ),
    ] {
        assert_eq!(run(code), expected, "{code}");
    }
}

#[test]
fn settings_last_and_a_new_library_has_its_own() {
    let machine = &mut machine();
    for (code, expected) in [
        ("cjson.encode_max_depth(5)", ""),
        ("return cjson.encode_max_depth()", "5"),
        ("return cjson.new().encode_max_depth()", "1000"),
        (
            "local c = cjson.new() c.encode_max_depth(7) c.x = 1 return c.encode_max_depth(), c.x",
            "7 1",
        ),
        ("return cjson.encode_max_depth()", "5"),
        // Those before a wrong one are changed; asked of Redis 7.0.15.
        (
            "pcall(cjson.encode_sparse_array, true, 5, -1) return cjson.encode_sparse_array()",
            "true 5 10",
        ),
        (
            "cjson.x = 1",
            "!user_script:1: Attempt to modify a readonly table @1",
        ),
    ] {
        assert_eq!(run_in(machine, code.as_bytes()), expected, "{code}");
    }
}

#[test]
fn fields_stand_in_the_order_of_redis() {
    check(&[
        (
            "(function() local t = {} for k in pairs(cjson) do t[#t+1] = k end return table.concat(t,' ') end)()",
            "_NAME encode decode_max_depth _VERSION decode_invalid_numbers encode_keep_buffer null \
             encode_number_precision new encode_max_depth encode_invalid_numbers decode encode_sparse_array",
        ),
        ("cjson._NAME, cjson._VERSION", "cjson 2.1.0"),
    ]);
}
