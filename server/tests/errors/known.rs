//! The differences between 7.0.15 and 7.2 in the answers to the cases. What is not here is a finding, and what is here and
//! does not show any more is one, too.

use cairn_format::resp::value::Value;

/// Data commands that have no error of their own to be asked for here.
pub const WITHOUT_CASES: &[&str] = &["multi", "pfselftest"];

/// A known difference.
struct Row {
    /// Commands, lower case.
    commands: &'static [&'static str],
    /// Whether these answers differ for this reason: the command, ours, the reference's.
    is: fn(&[Vec<u8>], &Value, &Value) -> bool,
    /// Why.
    why: &'static str,
}

const ROWS: &[Row] = &[
    Row {
        commands: &[
            "spop",
            "srandmember",
            "hrandfield",
            "zrandmember",
            "randomkey",
        ],
        is: |_, a, b| !a.is_error() && !b.is_error(),
        why: "chance",
    },
    Row {
        commands: &[
            "smembers", "sinter", "sunion", "sdiff", "sscan", "scan", "keys",
        ],
        is: |_, a, b| !a.is_error() && !b.is_error(),
        why: "members of tables come in any order, and 7.2 packs small sets",
    },
    Row {
        commands: &["blpop", "brpop"],
        is: |_, a, b| says(a, "ERR timeout is out of range") && says(b, "ERR timeout is negative"),
        why: "7.0 lets a timeout that is too large run over",
    },
    Row {
        commands: &["xread", "xreadgroup"],
        is: |_, a, b| begins(a, "ERR Unbalanced 'xread") && begins(b, "ERR Unbalanced XREAD"),
        why: "7.2 names the command that was called",
    },
    Row {
        commands: &["xinfo"],
        is: |command, a, b| {
            command[1].eq_ignore_ascii_case(b"consumers") && !a.is_error() && !b.is_error()
        },
        why: "7.2 tells how long a consumer was inactive",
    },
];

fn begins(reply: &Value, text: &str) -> bool {
    matches!(reply, Value::Error(error) if error.starts_with(text.as_bytes()))
}

fn says(reply: &Value, text: &str) -> bool {
    matches!(reply, Value::Error(error) if &error[..] == text.as_bytes())
}

/// The row that explains why two answers differ.
pub fn explain(command: &[Vec<u8>], ours: &Value, theirs: &Value) -> Option<usize> {
    let name = String::from_utf8_lossy(&command[0]).to_ascii_lowercase();
    ROWS.iter()
        .position(|row| row.commands.contains(&name.as_str()) && (row.is)(command, ours, theirs))
}

/// The reasons of all rows.
pub fn reasons() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|row| row.why)
}
