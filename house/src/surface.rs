//! What the crates show and need: public items without a caller, dependencies without a user, assertions.

use std::collections::{BTreeMap, BTreeSet};

use crate::crates::{Crate, File};
use crate::source::{Token, closing};

/// A public item.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// `file:line`.
    pub place: String,
    /// Its name.
    pub name: String,
    is_type: bool,
}

/// Public items that no other file names outside of tests, by name alone: a name that several items share counts as used
/// by whoever names one of them. A type that its own file uses too is left alone: it stands in the signature of something else.
pub fn without_caller(crates: &[Crate]) -> Vec<Item> {
    let mut used: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    let files: Vec<&File> = crates.iter().flat_map(|krate| &krate.product).collect();
    for (number, file) in files.iter().enumerate() {
        for word in file.source.product.iter().filter_map(Token::word) {
            used.entry(word).or_default().insert(number);
        }
    }
    let mut idle = Vec::new();
    for (number, file) in files.iter().enumerate() {
        for item in public_items(file) {
            let elsewhere = used
                .get(item.name.as_str())
                .is_some_and(|by| by.iter().any(|other| *other != number));
            let in_signature = item.is_type && is_used_within(file, &item.name);
            if !(elsewhere || in_signature) {
                idle.push(item);
            }
        }
    }
    idle
}

/// Whether a file names a type elsewhere than where it is defined and implemented.
fn is_used_within(file: &File, name: &str) -> bool {
    let tokens = &file.source.product;
    (1..tokens.len()).any(|at| {
        let before = tokens[at - 1].word();
        tokens[at].word() == Some(name)
            && !matches!(
                before,
                Some("struct" | "enum" | "trait" | "type" | "impl" | "for")
            )
    })
}

/// Functions, types, traits, constants and statics under a plain `pub`.
fn public_items(file: &File) -> Vec<Item> {
    let tokens = &file.source.product;
    let mut items = Vec::new();
    for at in 0..tokens.len() {
        if tokens[at].word() != Some("pub") {
            continue;
        }
        let mut words = tokens[at + 1..].iter().map_while(Token::word);
        let kind = words.find(|word| !matches!(*word, "const" | "unsafe" | "async" | "extern"));
        let name = match kind {
            Some("fn" | "struct" | "enum" | "trait" | "static" | "type") => words.next(),
            // `pub const NAME: ...`
            Some(name) if tokens[at + 1].word() == Some("const") => Some(name),
            _ => None,
        };
        if let Some(name) = name {
            items.push(Item {
                place: format!("{}:{}", file.path.display(), tokens[at].line),
                name: name.to_owned(),
                is_type: matches!(kind, Some("struct" | "enum" | "trait" | "type")),
            });
        }
    }
    items
}

/// Dependencies that no file of their crate names: `crate: dependency`.
pub fn idle_dependencies(crates: &[Crate]) -> Vec<String> {
    let mut idle = Vec::new();
    for krate in crates {
        let names = |files: &[File], name: &str, whole: bool| {
            files.iter().any(|file| {
                let tokens = if whole {
                    &file.source.whole
                } else {
                    &file.source.product
                };
                tokens.iter().any(|token| token.word() == Some(name))
            })
        };
        for (section, whole) in [("dependencies", false), ("dev-dependencies", true)] {
            for dependency in dependencies(&krate.manifest, section) {
                let name = dependency.replace('-', "_");
                let by_tests = whole && names(&krate.tests, &name, true);
                if !names(&krate.product, &name, whole) && !by_tests {
                    idle.push(format!("{}: {dependency} under [{section}]", krate.name));
                }
            }
        }
    }
    idle
}

fn dependencies<'a>(manifest: &'a str, section: &str) -> Vec<&'a str> {
    let head = format!("[{section}]");
    manifest
        .lines()
        .skip_while(|line| line.trim() != head)
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split(['=', '.']).next())
        .map(str::trim)
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .collect()
}

/// Functions and assertions of a crate's product code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Assertions {
    /// Functions with a body.
    pub functions: usize,
    /// `assert!`, `debug_assert!`, `unreachable!` and kin.
    pub assertions: usize,
}

/// Counts them.
pub fn assertions(krate: &Crate) -> Assertions {
    let mut sum = Assertions::default();
    for file in &krate.product {
        let tokens = &file.source.product;
        for (at, token) in tokens.iter().enumerate() {
            let followed = |sign| tokens.get(at + 1).is_some_and(|next: &Token| next.is(sign));
            match token.word() {
                Some("fn") => sum.functions += usize::from(has_body(tokens, at)),
                Some(word) if followed('!') => {
                    let asserts = word.starts_with("assert") || word.starts_with("debug_assert");
                    sum.assertions += usize::from(asserts || word == "unreachable");
                }
                _ => {}
            }
        }
    }
    sum
}

fn has_body(tokens: &[Token], mut at: usize) -> bool {
    // A type such as `fn(u8)` has no name.
    if tokens.get(at + 1).and_then(Token::word).is_none() {
        return false;
    }
    while let Some(token) = tokens.get(at) {
        if token.is('{') {
            return true;
        }
        if token.is(';') {
            return false;
        }
        at = if token.is('(') || token.is('[') {
            closing(tokens, at) + 1
        } else {
            at + 1
        };
    }
    false
}
