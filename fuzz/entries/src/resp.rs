//! The protocol: requests and replies, whole and in pieces.

use std::ops::Range;

use cairn_format::resp::request::{Limits, RequestParser, Step};
use cairn_format::resp::value::{ReplyScanner, ReplyStep, Value};

use crate::steps::Steps;

/// What a connection saw: commands, and how it ended.
type Seen = (Vec<Vec<Vec<u8>>>, String);

/// Reads requests from a connection that receives `pieces` one after the other. `compact` moves the buffer's rest to its
/// front before each piece, as a connection does that runs out of room.
fn read_requests<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
    limits: &Limits,
    compact: bool,
) -> Seen {
    let (mut buffer, mut start) = (Vec::new(), 0);
    let mut parser = RequestParser::new();
    let mut args: Vec<Range<u32>> = Vec::new();
    let mut commands = Vec::new();
    for piece in pieces {
        if compact {
            buffer.drain(..start);
            start = 0;
        }
        buffer.extend_from_slice(piece);
        loop {
            args.clear();
            match parser.next(&buffer, start, &mut args, limits) {
                Step::Command { end } => {
                    let text = |r: &Range<u32>| buffer[r.start as usize..r.end as usize].to_vec();
                    commands.push(args.iter().map(text).collect());
                    start = end;
                }
                Step::Inline { args, end } => {
                    assert!(!args.is_empty(), "an inline command without words");
                    commands.push(args);
                    start = end;
                }
                Step::Skip { end } => {
                    assert!(end > start, "nothing was skipped");
                    start = end;
                }
                Step::Incomplete { need } => {
                    assert!(need > 0, "nothing is missing, yet the command is not whole");
                    break;
                }
                Step::Error(error) => return (commands, error.to_string()),
            }
        }
    }
    (commands, "waits".into())
}

/// Requests give the same commands in whatever pieces they arrive.
pub fn request(bytes: &[u8]) {
    let mut steps = Steps::new(bytes);
    let kind = steps.byte();
    let limits = Limits {
        bulk_max: if kind & 1 == 0 { 512 << 20 } else { 64 },
        authenticated: kind & 2 == 0,
    };
    let piece = 1 + steps.below(64);
    let input = steps.rest();
    let whole = read_requests(std::iter::once(input), &limits, false);
    for compact in [false, true] {
        let pieces = read_requests(input.chunks(piece), &limits, compact);
        assert_eq!(pieces, whole, "in pieces of {piece}, moved: {compact}");
        if input.len() <= 1024 {
            let bytes = read_requests(input.chunks(1), &limits, compact);
            assert_eq!(bytes, whole, "byte by byte, moved: {compact}");
        }
    }
}

/// Ends of all replies in the input, and how it ended.
fn reply_ends<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<usize>, String) {
    let (mut buffer, mut start) = (Vec::new(), 0);
    let mut scanner = ReplyScanner::new();
    let mut ends = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match scanner.next(&buffer, start) {
                Ok(ReplyStep::Complete { end }) => {
                    assert!(end > start && end <= buffer.len());
                    ends.push(end);
                    start = end;
                }
                Ok(ReplyStep::Incomplete { need }) => {
                    assert!(need > 0);
                    break;
                }
                Err(error) => return (ends, error.to_string()),
            }
        }
    }
    (ends, "waits".into())
}

/// Replies end where they end in whatever pieces they arrive, and what decodes is what the scanner found.
pub fn reply(bytes: &[u8]) {
    let mut steps = Steps::new(bytes);
    let piece = 1 + steps.below(64);
    let input = steps.rest();
    let (ends, end) = reply_ends(std::iter::once(input));
    assert_eq!(
        reply_ends(input.chunks(piece)),
        (ends.clone(), end),
        "in pieces of {piece}"
    );
    let mut start = 0;
    for end in ends {
        if let Ok((value, len)) = Value::decode(&input[start..end]) {
            assert_eq!(len, end - start, "{value:?}");
        }
        start = end;
    }
    if let Ok((value, len)) = Value::decode(&input[start..]) {
        panic!("{value:?} of {len} bytes was not found by the scanner");
    }
}
