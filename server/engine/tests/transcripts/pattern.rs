//! The patterns of recordings: characters, `.`, `\d`, `[sets]`, each with `*`, `+`, `?`, `{n}` or `{m,n}` behind it. They
//! match the whole of the bytes; a dot matches any byte.

/// One byte of a pattern, how often.
struct Part {
    bytes: [bool; 256],
    least: usize,
    most: usize,
}

/// Whether all of `text` is matched. The pattern is one of ours: anything else in it is a mistake in the recording.
pub fn matches(pattern: &str, text: &[u8]) -> bool {
    let pattern: Vec<u8> = pattern.chars().map(|c| u32::from(c) as u8).collect();
    run(&parse(&pattern), text)
}

fn run(parts: &[Part], text: &[u8]) -> bool {
    let Some((part, rest)) = parts.split_first() else {
        return text.is_empty();
    };
    let run_len = text
        .iter()
        .take(part.most)
        .take_while(|b| part.bytes[usize::from(**b)])
        .count();
    (part.least..=run_len).rev().any(|n| run(rest, &text[n..]))
}

fn parse(mut pattern: &[u8]) -> Vec<Part> {
    let mut parts = Vec::new();
    while !pattern.is_empty() {
        let bytes = class(&mut pattern);
        let (least, most) = times(&mut pattern);
        parts.push(Part { bytes, least, most });
    }
    parts
}

fn take(pattern: &mut &[u8]) -> u8 {
    let (first, rest) = pattern.split_first().expect("a pattern that goes on");
    *pattern = rest;
    *first
}

fn class(pattern: &mut &[u8]) -> [bool; 256] {
    let mut set = [false; 256];
    match take(pattern) {
        b'.' => set = [true; 256],
        b'\\' => escape(take(pattern), &mut set),
        b'[' => {
            let negated = pattern.first() == Some(&b'^');
            if negated {
                take(pattern);
            }
            loop {
                match take(pattern) {
                    b']' => break,
                    b'\\' => escape(take(pattern), &mut set),
                    from if pattern.first() == Some(&b'-') && pattern.get(1) != Some(&b']') => {
                        take(pattern);
                        (from..=take(pattern)).for_each(|b| set[usize::from(b)] = true);
                    }
                    byte => set[usize::from(byte)] = true,
                }
            }
            if negated {
                set.iter_mut().for_each(|b| *b = !*b);
            }
        }
        byte @ (b'(' | b')' | b'|' | b'?' | b'^' | b'$') => {
            panic!("{:?} in a pattern", char::from(byte))
        }
        byte => set[usize::from(byte)] = true,
    }
    set
}

fn escape(byte: u8, set: &mut [bool; 256]) {
    match byte {
        b'd' => (b'0'..=b'9').for_each(|b| set[usize::from(b)] = true),
        b'r' => set[usize::from(b'\r')] = true,
        b'n' => set[usize::from(b'\n')] = true,
        byte => set[usize::from(byte)] = true,
    }
}

fn times(pattern: &mut &[u8]) -> (usize, usize) {
    match pattern.first() {
        Some(b'*') => {
            take(pattern);
            (0, usize::MAX)
        }
        Some(b'+') => {
            take(pattern);
            (1, usize::MAX)
        }
        Some(b'?') => {
            take(pattern);
            (0, 1)
        }
        Some(b'{') => {
            let end = pattern
                .iter()
                .position(|b| *b == b'}')
                .expect("a closing brace");
            let inside = String::from_utf8_lossy(&pattern[1..end]).into_owned();
            *pattern = &pattern[end + 1..];
            let (least, most) = inside.split_once(',').unwrap_or((&inside, &inside));
            let number = |text: &str| text.parse().expect("a number of times");
            (number(least), number(most))
        }
        _ => (1, 1),
    }
}

#[test]
fn patterns_match_all_of_the_text() {
    assert!(matches(r":\d+\r\n", b":17\r\n"));
    assert!(!matches(r":\d+\r\n", b":17\r\nx"));
    assert!(matches(r"\$64\r\n[0-9a-f]{2}.*", b"$64\r\nf0 and \xff"));
    assert!(matches(r"[^ ]+ x\d{1,3}", b"ab x12"));
    assert!(!matches(r"[^ ]+ x\d{1,3}", b"ab x1234"));
    assert!(matches(r":-?\d+", b":-1") && matches(r":-?\d+", b":1"));
}
