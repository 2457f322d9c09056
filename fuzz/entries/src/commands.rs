//! Scripts of commands on an engine, as text, so that a finding can be read.
//!
//! ```text
//!   @small                   first line only: encodings change at a few elements
//!   @1                       client 1 speaks from now on (0 to 3)
//!   @sleep 1500              time passes, milliseconds
//!   SET key "a value"        words as in an inline command
//! ```

use cairn_format::text::double::parse_f64;
use cairn_format::text::number::parse_i64;
use cairn_format::text::words::split_words;

use crate::stage::Stage;

/// Most commands of a script.
const COMMANDS_MAX: usize = 100;
/// Commands that answer or repeat as often as a number says, in Redis too, and the most that a script may ask of them.
const REPEATING: [&[u8]; 4] = [b"SRANDMEMBER", b"HRANDFIELD", b"ZRANDMEMBER", b"LOLWUT"];
const REPEATED_MAX: i64 = 1000;
/// LCS takes time and memory by the product of two lengths; this is the longest of either, bytes.
const LCS_MAX: usize = 1000;

/// Runs a script and compares the data with itself: saved and loaded, rewritten as commands, and followed command by command.
pub fn run(script: &[u8]) {
    let mut lines = script.split(|b| *b == b'\n').peekable();
    let small = lines.next_if(|line| *line == b"@small").is_some();
    let mut stage = Stage::new(small);
    for line in lines.take(COMMANDS_MAX) {
        if let Ok(words) = split_words(line) {
            step(&mut stage, &words);
        }
    }
    compare(&mut stage);
}

/// Runs one line.
pub fn step(stage: &mut Stage, words: &[Vec<u8>]) {
    let Some(first) = words.first() else { return };
    let number = |at: usize| words.get(at).and_then(|word| parse_i64(word));
    match first.strip_prefix(b"@") {
        Some(b"sleep") => stage.sleep(number(1).unwrap_or(0).clamp(0, 1 << 40) as u64),
        Some(client) => stage.switch(parse_i64(client).unwrap_or(0).unsigned_abs() as usize),
        None if is_bounded(stage, words) => {
            stage.run(words);
        }
        None => {}
    }
}

/// Whether the command does no more work than its own and the data's length.
fn is_bounded(stage: &mut Stage, words: &[Vec<u8>]) -> bool {
    let is = |name: &[u8]| words[0].eq_ignore_ascii_case(name);
    if REPEATING.iter().any(|name| is(name)) {
        let small = |word: &Vec<u8>| parse_f64(word).is_none_or(|n| n.abs() <= REPEATED_MAX as f64);
        return words[1..].iter().all(small);
    }
    if is(b"LCS") {
        return words[1..]
            .iter()
            .all(|key| stage.string_len(key) <= LCS_MAX);
    }
    is_tame(words)
}

/// Words of a script that goes on for as long as it likes, or tells nobody what it changes.
const WILD: [&[u8]; 5] = [b"while", b"repeat", b"for", b"goto", b"set_repl"];

/// Whether the command, if it brings a program, brings one that ends and can be followed.
fn is_tame(words: &[Vec<u8>]) -> bool {
    const BRING: [&[u8]; 4] = [b"EVAL", b"EVAL_RO", b"SCRIPT", b"FUNCTION"];
    let brings = BRING.iter().any(|name| words[0].eq_ignore_ascii_case(name));
    let has = |word: &Vec<u8>, part: &[u8]| word.windows(part.len()).any(|piece| piece == part);
    !brings
        || !words
            .iter()
            .any(|word| WILD.iter().any(|wild| has(word, wild)))
}

/// The data is the same on every way that it can take.
pub fn compare(stage: &mut Stage) {
    compare_copies(stage);
    let followed = stage.followed().hex() == stage.digest().hex();
    assert!(
        followed || stage.has_negative_zero(),
        "an engine that follows has other data"
    );
}

/// The data is the same after it was saved and loaded, and after it was written as commands.
pub fn compare_copies(stage: &mut Stage) {
    stage.check_values();
    let digest = stage.digest().hex();
    let ways = [
        ("saved and loaded", stage.saved_and_loaded()),
        ("rewritten as commands", stage.rewritten()),
    ];
    for (way, other) in ways {
        assert!(
            other.hex() == digest || stage.has_negative_zero(),
            "{way}, the data differs"
        );
    }
    if !stage.has_negative_zero() {
        // What follows is compared by its digest alone: a script may deliver entries once more, which no log tells.
        stage
            .compare_by_reading(false)
            .unwrap_or_else(|what| panic!("{what}"));
    }
}
