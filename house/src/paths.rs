//! The module paths that a file names: `use` trees and paths inside expressions alike.

use crate::source::{Kind, Token};

/// A path that begins at the root of the crate, or at another crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// `crate` or the name of another crate, then modules and perhaps an item.
    pub segments: Vec<String>,
    /// Where it stands.
    pub line: usize,
}

/// All paths in `tokens` that begin with `crate`, `self`, `super` or one of `crates`. `module` is where the file stands,
/// without `crate`.
pub fn named(tokens: &[Token], module: &[String], crates: &[String]) -> Vec<Named> {
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        let Some(word) = tokens[at].word() else {
            continue;
        };
        let begins = matches!(word, "crate" | "self" | "super") || crates.iter().any(|c| c == word);
        let continues = at > 0 && tokens[at - 1].is(':');
        if begins && !continues && is_separator(tokens, at + 1) {
            let mut path = Vec::new();
            tree(tokens, at, &mut path, module, &mut found);
        }
    }
    found
}

fn is_separator(tokens: &[Token], at: usize) -> bool {
    tokens.len() > at + 1 && tokens[at].is(':') && tokens[at + 1].is(':')
}

/// Follows a path from one of its words on, into the groups of a `use`. Answers the place behind it.
fn tree(
    tokens: &[Token],
    mut at: usize,
    path: &mut Vec<String>,
    module: &[String],
    found: &mut Vec<Named>,
) -> usize {
    let depth = path.len();
    let line = tokens[at].line;
    while let Some(word) = tokens.get(at).and_then(Token::word) {
        path.push(word.to_owned());
        at += 1;
        if !is_separator(tokens, at) {
            break;
        }
        at += 2;
        match tokens.get(at).map(|t| &t.kind) {
            Some(Kind::Sign('{')) => {
                at += 1;
                while at < tokens.len() && !tokens[at].is('}') {
                    at = if tokens[at].word().is_some() {
                        tree(tokens, at, path, module, found)
                    } else {
                        at + 1
                    };
                }
                path.truncate(depth);
                return at + 1;
            }
            Some(Kind::Word(_)) => {}
            // A glob, or the generic arguments of an item.
            _ => break,
        }
    }
    found.push(Named {
        segments: absolute(path, module),
        line,
    });
    path.truncate(depth);
    at
}

/// `super` and `self` resolved.
fn absolute(path: &[String], module: &[String]) -> Vec<String> {
    let mut base: Vec<String> = match path[0].as_str() {
        "self" | "super" => module.to_vec(),
        _ => return without_self(path.to_vec()),
    };
    let mut rest = path;
    while let Some((first, others)) = rest.split_first() {
        match first.as_str() {
            "self" => {}
            "super" => {
                base.pop();
            }
            _ => break,
        }
        rest = others;
    }
    let mut whole = vec!["crate".to_owned()];
    whole.extend(base);
    whole.extend_from_slice(rest);
    without_self(whole)
}

fn without_self(mut path: Vec<String>) -> Vec<String> {
    if path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::parse;

    fn all(text: &str) -> Vec<String> {
        let module = ["a".to_owned(), "b".to_owned()];
        named(
            &parse(text).unwrap().product,
            &module,
            &["other".to_owned()],
        )
        .into_iter()
        .map(|named| named.segments.join("::"))
        .collect()
    }

    #[test]
    fn uses_and_inline_paths_are_resolved() {
        assert_eq!(
            all("use crate::x::{self, y::Z, w::*};"),
            ["crate::x", "crate::x::y::Z", "crate::x::w"]
        );
        assert_eq!(
            all("use super::super::c; use super::{d, e::f};"),
            ["crate::c", "crate::a::d", "crate::a::e::f"]
        );
        assert_eq!(
            all("fn f() { self::g(); other::h::<u8>(); }"),
            ["crate::a::b::g", "other::h"]
        );
        assert_eq!(
            all("fn f() -> crate::x::Y<u8> { std::crate::no() }"),
            ["crate::x::Y"]
        );
    }
}
