//! What scripts can and cannot do in their room. What is expected was recorded from Redis 7.2.4 where that has an answer.

mod support;

use support::{machine, run, run_in};

#[test]
fn globals_can_be_read_and_not_changed() {
    for (code, expected) in [
        ("return 1, 'a', true, {1, 'x'}", "1 a true {1,x}"),
        (
            "return string.rep('ab', 3), ('x'):upper(), #'abc'",
            "ababab X 3",
        ),
        (
            "return _G == getfenv(0), _G._G == _G, type(_G)",
            "true true table",
        ),
        (
            "x = 1",
            "!user_script:1: Attempt to modify a readonly table @1",
        ),
        (
            "function f() end",
            "!user_script:1: Attempt to modify a readonly table @1",
        ),
        (
            "_G.x = 1",
            "!user_script:1: Attempt to modify a readonly table @1",
        ),
        (
            "redis.call = nil",
            "!user_script:1: Attempt to modify a readonly table @1",
        ),
        (
            "string.foo = 1",
            "!user_script:1: Attempt to modify a readonly table @1",
        ),
        (
            "getmetatable(_G).__index = nil",
            "!user_script:1: Attempt to modify a readonly table @1",
        ),
        (
            "getmetatable('').__index = nil",
            "!user_script:1: Attempt to modify a readonly table @1",
        ),
        (
            "getmetatable('').__index.rep = nil",
            "!user_script:1: Attempt to modify a readonly table @1",
        ),
        (
            "rawset(_G, 'x', 1)",
            "!Attempt to modify a readonly table @1",
        ),
        (
            "table.insert(redis, 1)",
            "!Attempt to modify a readonly table @1",
        ),
        (
            "setmetatable(_G, {})",
            "!Attempt to modify a readonly table @1",
        ),
        (
            "setmetatable(redis, nil)",
            "!Attempt to modify a readonly table @1",
        ),
        (
            "\nfoo()",
            "!user_script:2: Script attempted to access nonexistent global variable 'foo' @2",
        ),
        (
            "return os",
            "!user_script:1: Script attempted to access nonexistent global variable 'os' @1",
        ),
        ("return rawget(_G, 'nope')", ""),
        ("return rawget(_G, 'type') == type", "true"),
        ("return redis.nope", ""),
        (
            "redis.nope()",
            "!user_script:1: attempt to call field 'nope' (a nil value) @1",
        ),
        (
            "return type(getmetatable(_G)), type(getmetatable(_G).__index)",
            "table function",
        ),
        ("return getmetatable(redis), getmetatable({})", ""),
        (
            "local n = 0 for k in pairs(redis) do n = n + 1 end return n",
            "2",
        ),
        (
            "local t = select(2, pairs(redis)) t.x = 1",
            "!user_script:1: Attempt to modify a readonly table @1",
        ),
        (
            "local n = 0 for k, v in pairs(_G) do n = n + 1 end return n > 20",
            "true",
        ),
        (
            "local t = {} for k, v in pairs({1,2,a=3}) do t[#t+1] = v end return t",
            "{1,2,3}",
        ),
        ("return next({}), next(string) ~= nil", "nil true"),
    ] {
        assert_eq!(run(code), expected, "{code}");
    }
}

#[test]
fn errors_are_those_of_redis() {
    for (code, expected) in [
        ("error('boom')", "!user_script:1: boom @1"),
        ("error('boom', 0)", "!boom @1"),
        (
            "local a = nil; return a.b",
            "!user_script:1: attempt to index local 'a' (a nil value) @1",
        ),
        ("return pcall(error, 'x')", "false x"),
        ("return pcall(error, {err='E1 x'})", "false E1 x"),
        ("return pcall(error, {1})", "false {1}"),
        ("return pcall(error)", "false"),
        ("return pcall()", "false attempt to call a boolean value"),
        (
            "return pcall(pcall)",
            "true false attempt to call a boolean value",
        ),
        ("return pcall(redis.fail)", "false CODE text"),
        ("\n\nredis.fail()", "!{err=CODE text} @3"),
        (
            "return xpcall(redis.fail, function(e) return type(e) .. ':' .. e.err end)",
            "false table:CODE text",
        ),
        (
            "return xpcall(function() error('boom') end, function(e) return 'H:' .. e end)",
            "false H:user_script:1: boom",
        ),
        (
            "coroutine.yield(1)",
            "!attempt to yield across metamethod/C-call boundary @1",
        ),
        (
            "return coroutine.resume(coroutine.create(function() error('z') end))",
            "false user_script:1: z",
        ),
        (
            "local function f() return 1 + f() end f()",
            "!user_script:1: stack overflow @1",
        ),
        ("return unpack({1, 2, 3}, 2)", "2 3"),
        ("return #{unpack({}, 1, 7900)} >= 0", "true"),
        (
            "return unpack({}, 1, 8000)",
            "!user_script:1: too many results to unpack @1",
        ),
        (
            "return unpack({}, 0, 2147483647)",
            "!user_script:1: too many results to unpack @1",
        ),
        ("return loadstring('return 7')()", "7"),
        (
            "return loadstring('retur 7')",
            "nil [string \"retur 7\"]:1: '=' expected near '7'",
        ),
        (
            "return loadstring('x x', '=chunk')",
            "nil chunk:1: '=' expected near 'x'",
        ),
        (
            "return loadstring(string.dump(function() end)) == nil",
            "true",
        ),
        ("return load(function() return nil end)()", ""),
        (
            "setfenv(0, {})",
            "!user_script:1: 'setfenv' cannot change environment of given object @1",
        ),
        ("setfenv(1, {a=5}) return a", "5"),
        (
            "pairs(nil)",
            "!user_script:1: bad argument #1 to 'pairs' (table expected, got nil) @1",
        ),
        (
            "string.rep()",
            "!user_script:1: bad argument #1 to 'rep' (string expected, got no value) @1",
        ),
        (
            "setmetatable(1)",
            "!user_script:1: bad argument #1 to 'setmetatable' (table expected, got number) @1",
        ),
        (
            "setmetatable({}, 1)",
            "!user_script:1: bad argument #2 to 'setmetatable' (nil or table expected) @1",
        ),
        (
            "return 1 +",
            "!compile user_script:1: unexpected symbol near '<eof>'",
        ),
        (
            "\x1bLua",
            "!compile user_script:1: unexpected symbol near 'char(27)'",
        ),
    ] {
        assert_eq!(run(code), expected, "{code}");
    }
}

#[test]
fn nothing_catches_the_end_of_a_script() {
    let machine = &mut machine();
    for code in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "while true do xpcall(function() while true do end end, function() end) end",
        "local f = coroutine.wrap(function() while true do pcall(function() while true do end end) end end) while true do pcall(f) end",
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
    ] {
        assert!(
            run_in(machine, code.as_bytes()).starts_with("!killed"),
            "{code}"
        );
        assert_eq!(run_in(machine, b"return 1"), "1", "after {code}");
    }
}

#[test]
fn memory_is_counted_and_limited() {
    let machine = &mut machine();
    let before = machine.used();
    assert!(before > 10_000 && before < 200_000, "{before}");
    for code in [
        "local t = {} while true do t[#t + 1] = string.rep('x', 1000000) .. #t end",
        "local s = 'x' while true do s = s .. s end",
        "return #string.rep('x', 2000000000)",
    ] {
        let said = run_in(machine, code.as_bytes());
        assert!(said.starts_with("!not enough memory"), "{code}: {said}");
    }
    assert_eq!(run_in(machine, b"collectgarbage() return 1"), "1");
    assert!(
        machine.used() < before + 400_000,
        "{} {before}",
        machine.used()
    );
}

#[test]
fn random_numbers_are_those_of_redis() {
    let machine = &mut machine();
    let code =
        b"return math.random(1000000), math.random(1000000), math.random(1000000), math.random()";
    assert_eq!(
        run_in(machine, code),
        "396465 840486 353337 0.44658343468168"
    );
    let code = b"math.randomseed(0) return math.random(1000000), math.random(1000000), math.random(1000000), math.random()";
    assert_eq!(
        run_in(machine, code),
        "170829 749902 96372 0.87046522734243"
    );
    let code = b"math.randomseed(-1) return math.random(1000000), math.random(1000000), math.random(1000000), math.random()";
    assert_eq!(run_in(machine, code), "300026 45312 357927 0.4049444237747");
    assert_eq!(
        run("math.random(0)"),
        "!user_script:1: bad argument #1 to 'random' (interval is empty) @1"
    );
}
