//! Runs programs in a room and shows what they return or fail with.
#![allow(dead_code)] // Each test file uses a part.

use cairn_lua::sandbox::{Api, room};
use cairn_lua::{Fault, Host, Kind, Machine, Raise, Stack};

/// A host with one function, `redis.call`, which gives its first argument back, or raises it as a table.
pub struct Echo {
    /// Ticks until the script is ended.
    pub patience: u32,
}

impl Host for Echo {
    fn call(&mut self, number: u32, stack: &mut Stack) -> Result<usize, Raise> {
        if number == 0 {
            stack.cut(1);
            return Ok(1);
        }
        stack.push_table(0, 1)?;
        stack.push_bytes(b"CODE text")?;
        stack.set_field(-2, "err")?;
        Err(Raise::Top)
    }

    fn tick(&mut self) -> Option<&'static str> {
        self.patience = self.patience.saturating_sub(1);
        (self.patience == 0).then_some("killed")
    }
}

/// A fresh room.
pub fn machine() -> Machine {
    room(Api {
        functions: &[("call", 0), ("fail", 1)],
        constants: &[],
    })
}

/// Runs a program: its results as text with blanks between, or `!` and its error.
pub fn run_in(machine: &mut Machine, code: &[u8]) -> String {
    if let Err(message) = machine.compile(c"@user_script", code) {
        return format!("!compile {}", String::from_utf8_lossy(&message));
    }
    let ran = machine.run(&mut Echo { patience: 100 }, 0, 8, 100_000);
    let stack = &mut machine.stack();
    let mut shown: Vec<String> = Vec::new();
    if let Err(fault) = ran {
        let at = match fault {
            Fault::Error(Some(place)) => format!(" @{}", place.line),
            Fault::Error(None) => " @?".into(),
            Fault::Broken => " broken".into(),
        };
        let text = show(stack, 1);
        stack.cut(0);
        return format!("!{text}{at}");
    }
    for index in 1..=stack.top() {
        shown.push(show(stack, index));
    }
    stack.cut(0);
    while shown.last().is_some_and(|last| last == "nil") {
        shown.pop();
    }
    shown.join(" ")
}

/// As [`run_in`], in a room of its own.
pub fn run(code: &str) -> String {
    run_in(&mut machine(), code.as_bytes())
}

fn show(stack: &mut Stack, index: i32) -> String {
    match stack.kind(index) {
        Kind::Bool => stack.truth(index).to_string(),
        Kind::Number | Kind::String => {
            let text = stack.text(index).expect("it is one");
            text.escape_ascii()
                .to_string()
                .replace("\\'", "'")
                .replace("\\\"", "\"")
        }
        Kind::Table => {
            let mut parts = Vec::new();
            for n in 1..=stack.length(index) as i32 {
                stack.get_index(index, n).expect("room");
                let top = stack.top();
                parts.push(show(stack, top));
                stack.pop(1);
            }
            stack.get_field(index, "err").expect("room");
            if stack.kind(-1) != Kind::Nil {
                let top = stack.top();
                parts.push(format!("err={}", show(stack, top)));
            }
            stack.pop(1);
            format!("{{{}}}", parts.join(","))
        }
        Kind::Light if stack.is_null(index) => "null".into(),
        kind => kind.name().into(),
    }
}

/// What comes before a text of Redis about a mistake in the first line.
pub const HERE: &str = "!user_script:1: ";

/// Runs `return EXPRESSION` for each pair and compares; what is expected and begins with `!` is an error in the first line.
pub fn check(rows: &[(&str, &str)]) {
    for (expression, expected) in rows {
        let expected = match expected.strip_prefix('!') {
            Some(error) => format!("{HERE}{error} @1"),
            None => (*expected).to_string(),
        };
        assert_eq!(
            run(&format!("return {expression}")),
            expected,
            "{expression}"
        );
    }
}

/// As [`check`], of bytes that are expected in hexadecimal digits.
pub fn check_hex(rows: &[(&str, &str)]) {
    for (expression, expected) in rows {
        let code = format!(
            "return ({expression}):gsub('.', function(c) return string.format('%02x', c:byte()) end)"
        );
        let got = run(&code);
        let digits = got.split(' ').next().unwrap_or_default();
        // Of no bytes only the number of replacements is shown.
        let digits = if got == "0" { "" } else { digits };
        assert_eq!(digits, *expected, "{expression}: {got}");
    }
}
