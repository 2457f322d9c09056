//! Logs run by the engine, as a start and `aof-tool rewrite` do: whatever the bytes are, the replay ends with the data or
//! with the place and the reason, and the data up to there is sound.

use cairn_format::resp::value::write_command;
use cairn_format::text::words::split_words;

use crate::commands::compare_copies;
use crate::stage::Stage;
use crate::steps::Steps;

/// Runs a log. By its first byte encodings change at a few elements, and what follows is a log as it is on the disk or
/// the words of its commands in lines, which a fuzzer finds sooner.
pub fn run(bytes: &[u8]) {
    let mut steps = Steps::new(bytes);
    let form = steps.byte();
    let mut stage = Stage::new(form & 1 == 1);
    let log = match form & 2 {
        0 => steps.rest().to_vec(),
        _ => of_lines(steps.rest()),
    };
    stage.play(&log);
    compare_copies(&mut stage);
}

fn of_lines(lines: &[u8]) -> Vec<u8> {
    let mut log = Vec::new();
    for line in lines.split(|byte| *byte == b'\n') {
        match split_words(line) {
            Ok(words) if !words.is_empty() => write_command(&mut log, &words),
            _ => {}
        }
    }
    log
}
