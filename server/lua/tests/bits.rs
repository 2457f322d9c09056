//! The library `bit`. What is expected was recorded from Redis 7.2.4.

mod support;

use support::check;

#[test]
fn results_are_those_of_redis() {
    check(&[
        ("bit.tobit(2^31)", "-2147483648"),
        ("bit.tobit(2^32+5)", "5"),
        ("bit.tobit(1.5)", "2"),
        ("bit.tobit(2.5)", "2"),
        ("bit.tobit(-2^31-1)", "2147483647"),
        ("bit.tobit(2^51)", "0"),
        ("bit.tobit(2^53+2)", "1"),
        ("bit.tobit(1e20)", "2025163840"),
        ("bit.tobit(0/0)", "0"),
        ("bit.tobit(1/0)", "0"),
        ("bit.tobit('5')", "5"),
        ("bit.tobit('0x10')", "16"),
        ("bit.bnot(0)", "-1"),
        ("bit.band(0xff,0x0f,3)", "3"),
        ("bit.band(5)", "5"),
        ("bit.bor(1,2,4)", "7"),
        ("bit.bxor(0xa5a5f0f0,0xaa55ff00)", "267390960"),
        ("bit.lshift(1,31)", "-2147483648"),
        ("bit.lshift(1,32)", "1"),
        ("bit.lshift(1,-1)", "-2147483648"),
        ("bit.rshift(-1,28)", "15"),
        ("bit.arshift(-256,4)", "-16"),
        ("bit.rol(0x12345678,12)", "1164411171"),
        ("bit.ror(0x12345678,12)", "1736516421"),
        ("bit.bswap(0x12345678)", "2018915346"),
        ("bit.tohex(1)", "00000001"),
        ("bit.tohex(-1)", "ffffffff"),
        ("bit.tohex(255,2)", "ff"),
        ("bit.tohex(255,-4)", "00FF"),
        ("bit.tohex(1,100)", "00000001"),
        ("#bit.tohex(1,0)", "0"),
        // Redis 7.2.4 writes beyond its buffer here.
        ("bit.tohex(255,-2^31)", "000000FF"),
    ]);
}

#[test]
fn errors_are_those_of_redis() {
    check(&[
        (
            "bit.tobit('x')",
            "!bad argument #1 to 'tobit' (number expected, got string)",
        ),
        (
            "bit.tobit(nil)",
            "!bad argument #1 to 'tobit' (number expected, got nil)",
        ),
        (
            "bit.tobit()",
            "!bad argument #1 to 'tobit' (number expected, got no value)",
        ),
        (
            "bit.tobit(true)",
            "!bad argument #1 to 'tobit' (number expected, got boolean)",
        ),
        (
            "bit.band(1,{})",
            "!bad argument #2 to 'band' (number expected, got table)",
        ),
        (
            "bit.band(1,'x',{})",
            "!bad argument #3 to 'band' (number expected, got table)",
        ),
        (
            "bit.lshift(1)",
            "!bad argument #2 to 'lshift' (number expected, got no value)",
        ),
        (
            "pcall(bit.bnot)",
            "false bad argument #1 to '?' (number expected, got no value)",
        ),
        (
            "pcall(function() local t = {f = bit.bnot} t:f() end)",
            "false user_script:1: calling 'f' on bad self (number expected, got table)",
        ),
    ]);
}

#[test]
fn fields_stand_in_the_order_of_redis() {
    check(&[(
        "(function() local t = {} for k in pairs(bit) do t[#t+1] = k end return t end)()",
        "{band,rshift,bor,bnot,bswap,bxor,tobit,ror,lshift,tohex,rol,arshift}",
    )]);
}
