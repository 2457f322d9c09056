//! What scripts may do to the libraries: bytes that mean nothing, lengths that are only claimed, tables that would fill the memory.

mod support;

use support::{machine, run, run_in};

/// Numbers that look random and are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }

    /// Up to `max` pieces, each as it stands in a string of Lua.
    fn text(&mut self, max: usize, pieces: &[&str]) -> String {
        (0..self.below(max + 1))
            .map(|_| match pieces.get(self.below(pieces.len() * 5 / 4 + 1)) {
                Some(piece) => (*piece).to_string(),
                None => format!("\\{:03}", self.below(256)),
            })
            .collect()
    }
}

/// Runs many programs in one room, whose memory must not grow by them, and whose every answer must be one of a result or an error of
/// the library.
fn torment(mut program: impl FnMut(&mut Random) -> String) {
    let machine = &mut machine();
    let random = &mut Random(0x9e37_79b9_7f4a_7c15);
    let (mut good, mut bad) = (0, 0);
    let used = |machine: &mut cairn_lua::Machine| {
        run_in(machine, b"collectgarbage() collectgarbage()");
        machine.used()
    };
    let before = used(machine);
    for _ in 0..5_000 {
        let program = program(random);
        let said = run_in(machine, program.as_bytes());
        match said.split(' ').next() {
            Some("true") => good += 1,
            Some("false") => bad += 1,
            _ => panic!("{program}\n{said}"),
        }
    }
    assert!(good > 100 && bad > 100, "{good} {bad}");
    let after = used(machine);
    assert!(after < before + 20_000, "{before} {after}");
}

#[test]
fn json_of_any_kind_is_read_or_refused() {
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\\\",
        "\\\\u",
        "d83d",
        "dc00",
        "00",
        "1",
        "-",
        "+",
        ".",
        "e",
        "0x",
        "p",
        "nan",
        "(",
        ")",
        "inf",
        "null",
        "[1,2]",
        "{\"a\":1}",
        "true",
        "false",
        " ",
        "\\n",
        "{\"a\":",
        "[1,",
        "\"b\"",
        "12345678901234567890",
        "e-400",
    ];
    torment(|random| format!("return pcall(cjson.decode, '{}')", random.text(12, &pieces)));
}

#[test]
fn message_pack_of_any_kind_is_read_or_refused() {
    let pieces = [
        "\\129",
        "\\145",
        "\\192",
        "\\220\\0",
        "\\221\\0\\0\\0",
        "\\222\\0",
        "\\223\\255",
        "\\217",
        "\\219\\255",
        "\\1",
        "\\161x",
        "\\203",
        "\\202",
        "\\207",
        "\\211",
        "\\0",
        "\\255",
    ];
    torment(|random| {
        format!(
            "return pcall(cmsgpack.unpack, '{}')",
            random.text(16, &pieces)
        )
    });
    torment(|random| {
        let text = random.text(8, &pieces);
        let (limit, offset) = (random.below(4), random.below(6));
        format!("return pcall(cmsgpack.unpack_limit, '{text}', {limit}, {offset})")
    });
}

#[test]
fn formats_of_any_kind_are_followed_or_refused() {
    let pieces = [
        "b",
        "B",
        "h",
        "H",
        "i",
        "I",
        "l",
        "L",
        "T",
        "f",
        "d",
        "x",
        "s",
        "c",
        "c0",
        "<",
        ">",
        "!",
        " ",
        "0",
        "1",
        "2",
        "3",
        "9",
        "16",
        "33",
        "i7",
        "!4",
        "bc0",
        "2147483647",
    ];
    torment(|random| {
        let format = random.text(6, &pieces);
        let data = random.text(24, &["\\0", "\\1", "\\2", "\\255", "3"]);
        format!(
            "return pcall(struct.unpack, '{format}', '{data}', {})",
            1 + random.below(3)
        )
    });
    torment(|random| {
        let format = random.text(6, &pieces);
        let values: String = (0..random.below(6))
            .map(|_| [",1", ",-1", ",2^63", ",0/0", ",1e300", ",'abc'", ",'7'"][random.below(7)])
            .collect();
        format!("return pcall(struct.pack, '{format}'{values})")
    });
    torment(|random| format!("return pcall(struct.size, '{}')", random.text(4, &pieces)));
}

#[test]
fn results_beyond_the_memory_are_refused() {
    let same = "local s = ('\\1'):rep(2^23) local t = {} for i = 1, 200 do t[i] = s end ";
    for code in [
        "return cjson.encode(t)",
        "return cmsgpack.pack(t)",
        "return cjson.encode({[s:rep(30)] = 1})",
    ] {
        let said = run(&format!("{same}{code}"));
        assert!(
            said.starts_with("!not enough memory"),
            "{code}: {said:.100}"
        );
    }
}
