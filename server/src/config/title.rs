//! Templates of the title of the process (`proc-title-template`).

/// The names in braces of `proc-title-template`.
const NAMES: [&str; 7] = [
    TITLE,
    "listen-addr",
    MODE,
    "port",
    "tls-port",
    "unixsocket",
    "config-file",
];
/// What the process is called.
pub(super) const TITLE: &str = "title";
/// An ordinary server has no word for its mode.
const MODE: &str = "server-mode";

/// A piece of a template.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// As it is.
    Text(&'a [u8]),
    /// What stands for it.
    Name(&'static str),
}

/// Whether a template can be shown: it is text with known names in braces, and two braces are a brace. It must come to
/// something beside the title, which Redis looks at without one, and the mode.
pub(super) fn is_title(template: &[u8]) -> bool {
    pieces(template).is_some_and(|pieces| {
        pieces.iter().any(|piece| match piece {
            Piece::Text(text) => text.iter().any(|byte| *byte != b' '),
            Piece::Name(name) => ![MODE, TITLE].contains(name),
        })
    })
}

/// The pieces of a template. None where a brace stays open or a name is not known.
pub(super) fn pieces(template: &[u8]) -> Option<Vec<Piece<'_>>> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some(open) = rest.iter().position(|b| *b == b'{') {
        pieces.push(Piece::Text(&rest[..open]));
        let after = &rest[open + 1..];
        if after.first() == Some(&b'{') {
            pieces.push(Piece::Text(b"{"));
            rest = &after[1..];
            continue;
        }
        let close = after.iter().position(|b| *b == b'}')?;
        let name = NAMES
            .into_iter()
            .find(|name| name.as_bytes() == &after[..close])?;
        pieces.push(Piece::Name(name));
        rest = &after[close + 1..];
    }
    pieces.push(Piece::Text(rest));
    Some(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_know_their_variables() {
        assert!(is_title(b"{title} {listen-addr} {server-mode}"));
        assert!(is_title(b"--my {{x"));
        assert!(is_title(b" {title}:"));
        for nothing in [
            "",
            "  ",
            " {title}",
            "{title}{server-mode}",
            "{server-mode}",
            " {server-mode} ",
        ] {
            assert!(!is_title(nothing.as_bytes()), "{nothing:?}");
        }
        assert!(!is_title(b"{bad}"));
        assert!(!is_title(b"{title"));
    }
}
