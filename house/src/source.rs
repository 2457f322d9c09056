//! One file as a flat list of tokens, without comments and without what only tests compile.

use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// One token with the line it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Line in the file, from 1.
    pub line: usize,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A word.
    Word(String),
    /// A sign; an opening or closing bracket too.
    Sign(char),
    /// A number, string or character.
    Literal,
}

impl Token {
    /// The word, if it is one.
    pub fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }

    /// Whether it is this sign.
    pub fn is(&self, sign: char) -> bool {
        self.kind == Kind::Sign(sign)
    }
}

/// The tokens of a file: all of them, or without items under `#[cfg(test)]`.
#[derive(Debug)]
pub struct Source {
    /// Without tests.
    pub product: Vec<Token>,
    /// With tests.
    pub whole: Vec<Token>,
    /// Lines of the file.
    pub lines: usize,
}

/// Reads a file.
///
/// # Errors
/// The file cannot be read, or is no Rust; with its name.
pub fn read(path: &Path) -> Result<Source, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    parse(&text).map_err(|e| format!("{}: {e}", path.display()))
}

/// As [`read`], from text.
///
/// # Errors
/// The text is no Rust.
pub fn parse(text: &str) -> Result<Source, String> {
    let stream: TokenStream = text.parse().map_err(|e| format!("no tokens: {e}"))?;
    let mut whole = Vec::new();
    flatten(stream, &mut whole);
    Ok(Source {
        product: without_tests(&whole),
        whole,
        lines: text.lines().count(),
    })
}

fn flatten(stream: TokenStream, into: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        let mut push = |kind| into.push(Token { kind, line });
        match tree {
            TokenTree::Ident(ident) => push(Kind::Word(ident.to_string())),
            TokenTree::Punct(punct) => push(Kind::Sign(punct.as_char())),
            TokenTree::Literal(_) => push(Kind::Literal),
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ('(', ')'),
                    Delimiter::Brace => ('{', '}'),
                    Delimiter::Bracket => ('[', ']'),
                    Delimiter::None => (' ', ' '),
                };
                push(Kind::Sign(open));
                flatten(group.stream(), into);
                into.push(Token {
                    kind: Kind::Sign(close),
                    line: group.span_close().start().line,
                });
            }
        }
    }
}

/// Drops every item that stands under `#[cfg(test)]`.
fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        if is_test_attribute(&tokens[at..]) {
            at = end_of_item(tokens, closing(tokens, at + 1) + 1);
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

fn is_test_attribute(tokens: &[Token]) -> bool {
    let words = ["cfg", "test"];
    tokens.len() > 5
        && tokens[0].is('#')
        && tokens[1].is('[')
        && tokens[2].word() == Some(words[0])
        && tokens[3].is('(')
        && tokens[4].word() == Some(words[1])
        && tokens[5].is(')')
}

/// Place of the bracket that closes the one at `open`.
pub fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        if let Kind::Sign(sign) = token.kind {
            depth += usize::from("([{".contains(sign));
            if ")]}".contains(sign) {
                depth -= 1;
                if depth == 0 {
                    return at;
                }
            }
        }
    }
    tokens.len().saturating_sub(1)
}

/// First place behind the item that begins at `at`: behind its `;` or its body.
fn end_of_item(tokens: &[Token], mut at: usize) -> usize {
    while at < tokens.len() {
        match tokens[at].kind {
            Kind::Sign(';') => return at + 1,
            Kind::Sign('{') => return closing(tokens, at) + 1,
            Kind::Sign('(' | '[') => at = closing(tokens, at) + 1,
            _ => at += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(tokens: &[Token]) -> Vec<&str> {
        tokens.iter().filter_map(Token::word).collect()
    }

    #[test]
    fn tests_comments_and_strings_are_no_code() {
        let text = "// crate::a\nfn f() { \"crate::b\"; }\n#[cfg(test)]\nmod tests { use x; }\n#[cfg(test)] use y;\nfn g() {}";
        let source = parse(text).unwrap();
        assert_eq!(words(&source.product), ["fn", "f", "fn", "g"]);
        assert!(words(&source.whole).contains(&"y"));
        assert_eq!(source.product.last().map(|t| t.line), Some(6));
    }
}
