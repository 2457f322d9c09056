//! Patterns as KEYS, SCAN and PSUBSCRIBE take them: `*`, `?`, `[a-c]`, `[^a-c]`, and a backslash before a byte meant literally.
//!
//! Only the last `*` seen is ever tried again: a later star can match all that an earlier one could. So the time is at most
//! pattern times text, whatever the pattern, where plain recursion takes exponential time on `a*a*a*b`.

/// Whether all of `text` matches `pattern`, letters of either case being equal if `nocase`.
///
/// An empty text matches only the empty pattern and `*`: in Redis, too, `**` does not match it (seen with 7.0.15), and `*` is
/// taken as "all" by the commands before they compare.
pub fn glob_match(pattern: &[u8], text: &[u8], nocase: bool) -> bool {
    if text.is_empty() {
        return pattern.is_empty() || pattern == b"*";
    }
    let (mut p, mut t) = (0, 0);
    // Where to go on after a mismatch: the pattern behind the last star, and the text that the star has not swallowed yet.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            retry = Some((p, t));
            if p == pattern.len() {
                return true;
            }
            continue;
        }
        if t == text.len() {
            return p == pattern.len();
        }
        match match_one(&pattern[p..], text[t], nocase) {
            Some(size) => {
                p += size;
                t += 1;
            }
            None => match retry {
                Some((after, from)) => {
                    (p, t) = (after, from + 1);
                    retry = Some((after, from + 1));
                }
                None => return false,
            },
        }
    }
}

/// Whether the first element of `pattern`, which is no `*`, takes `byte`; if so, the element's size.
pub fn match_one(pattern: &[u8], byte: u8, nocase: bool) -> Option<usize> {
    match pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'[', class @ ..] => {
            let (hit, size) = match_class(class, byte, nocase);
            hit.then_some(size + 1)
        }
        [b'\\', literal, ..] => same(*literal, byte, nocase).then_some(2),
        [literal, ..] => same(*literal, byte, nocase).then_some(1),
    }
}

fn same(a: u8, b: u8, nocase: bool) -> bool {
    a == b || (nocase && a.eq_ignore_ascii_case(&b))
}

/// What follows `[`: whether `byte` is in the class, and the size up to and with `]`. A class that is never closed ends with the pattern.
fn match_class(class: &[u8], byte: u8, nocase: bool) -> (bool, usize) {
    let negated = class.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut hit = false;
    loop {
        match &class[at..] {
            [] => break,
            [b'\\', literal, ..] => {
                hit |= *literal == byte;
                at += 2;
            }
            [b']', ..] => {
                at += 1;
                break;
            }
            [start, b'-', end, ..] => {
                hit |= in_range(*start, *end, byte, nocase);
                at += 3;
            }
            [literal, ..] => {
                hit |= same(*literal, byte, nocase);
                at += 1;
            }
        }
    }
    (hit != negated, at)
}

/// Ranges may be given either way round.
fn in_range(a: u8, b: u8, byte: u8, nocase: bool) -> bool {
    let (mut low, mut high) = (a.min(b), a.max(b));
    let mut byte = byte;
    if nocase {
        (low, high, byte) = (
            low.to_ascii_lowercase(),
            high.to_ascii_lowercase(),
            byte.to_ascii_lowercase(),
        );
    }
    (low..=high).contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_redis_does() {
        for (pattern, text, hit) in [
            ("", "", true),
            ("*", "", true),
            ("**", "", false),
            ("*", "abc", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("?", "", false),
            ("a?c", "abc", true),
            ("h[ae]llo", "hello", true),
            ("h[^e]llo", "hello", false),
            ("h[^e]llo", "hallo", true),
            ("[a-c]x", "bx", true),
            ("[c-a]x", "bx", true),
            ("[a-c]x", "dx", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("a\\", "a\\", true),
            ("[\\]]", "]", true),
            ("[abc", "b", true),
            ("[abc", "d", false),
            ("**a**", "xax", true),
            ("*a*b*c*", "1a2b3c4", true),
            ("[^]x", "ax", true),
            ("a[", "a[", false),
            ("*?", "a", true),
            ("??*", "a", false),
            ("[a-]", "-", false),
            ("[a-]", "^", true),
            ("x", "X", false),
            ("user:*:name", "user:1:2:name", true),
        ] {
            assert_eq!(
                glob_match(pattern.as_bytes(), text.as_bytes(), false),
                hit,
                "{pattern} on {text}"
            );
        }
        assert!(glob_match(b"HE[L-M]*", b"hello", true));
    }

    #[test]
    fn many_stars_take_bounded_time() {
        let pattern = b"a*".repeat(2000);
        let text = vec![b'a'; 4000];
        assert!(glob_match(&pattern, &text, false));
        let mut never = pattern;
        never.push(b'b');
        assert!(!glob_match(&never, &text, false));
    }
}
