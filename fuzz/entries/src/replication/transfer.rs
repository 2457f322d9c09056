//! A snapshot that comes in pieces.

use cairn_replication::link::{About, Link, Order};

use crate::steps::Steps;

/// Bytes of a marker.
const MARKER: usize = 40;

/// A link that waits for the line with the size.
fn waiting() -> Link {
    let mut link = Link::new("primary", 6379, 0);
    link.connected(0);
    let answers =
        "+PONG\r\n+OK\r\n+OK\r\n+FULLRESYNC 0303030303030303030303030303030303030303 41\r\n";
    let mut at = 0;
    while at < answers.len() {
        let rest = &answers.as_bytes()[at..];
        let (taken, _) = link
            .input(rest, &About::default(), 0, &mut Vec::new())
            .expect("nothing is written");
        at += taken;
    }
    assert!(link.is_receiving());
    link
}

/// What the machine must have made of all that came: what belongs to the snapshot for certain, and whether it is complete.
fn model(come: &[u8], form: &Form) -> (usize, bool) {
    match form {
        Form::Sized(size) => {
            let all = come.len() as u64 >= *size;
            (if all { *size as usize } else { come.len() }, all)
        }
        Form::Marked(marker) => (come.len().saturating_sub(MARKER), come.ends_with(marker)),
    }
}

enum Form {
    Sized(u64),
    Marked(Vec<u8>),
}

/// Few letters, so that parts of a marker occur where it is not.
fn text(steps: &mut Steps, len: usize) -> Vec<u8> {
    let letters = steps.byte();
    (0..len).map(|n| b'a' + (letters >> (n % 7) & 1)).collect()
}

/// What is written is what came before the end, whether that is told by a size or by a marker, and never more.
pub fn run(bytes: &[u8]) {
    let mut steps = Steps::new(bytes);
    let form = match steps.flip() {
        true => Form::Marked(text(&mut steps, MARKER)),
        false => Form::Sized(match steps.flip() {
            true => steps.long(),
            false => steps.below(3000) as u64,
        }),
    };
    let line = match &form {
        Form::Sized(size) => format!("${size}\r\n"),
        Form::Marked(marker) => format!("$EOF:{}\r\n", String::from_utf8_lossy(marker)),
    };
    let (mut link, mut file, mut come) = (waiting(), Vec::new(), Vec::new());
    let (taken, order) = link
        .input(line.as_bytes(), &About::default(), 0, &mut file)
        .expect("nothing is written");
    let size = match &form {
        Form::Sized(size) => Some(*size),
        Form::Marked(_) => None,
    };
    assert_eq!((taken, order), (line.len(), Order::Open(size)));
    let mut pieces = 0;
    // The first piece may be none: a snapshot of no bytes is complete.
    while !link.is_loading() && pieces < 200 && (pieces == 0 || !steps.is_done()) {
        pieces += 1;
        let piece = match (steps.byte() % 4, &form) {
            (0, Form::Marked(marker)) => marker[steps.below(3)..].to_vec(),
            (1, _) => {
                let len = steps.below(100);
                text(&mut steps, len)
            }
            _ => {
                let len = steps.below(400);
                steps.take(len).to_vec()
            }
        };
        let (taken, order) = link
            .input(&piece, &About::default(), 0, &mut file)
            .expect("memory takes everything");
        come.extend_from_slice(&piece[..taken]);
        let (certain, complete) = model(&come, &form);
        assert_eq!(file, come[..certain]);
        assert_eq!(order == Order::Load, complete);
        assert_eq!(link.is_loading(), complete);
        assert!(taken == piece.len() || complete, "a part was left");
        assert_eq!(link.progress(), (size, come.len() as u64));
    }
}
