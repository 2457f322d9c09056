//! The bytes that module heads and `docs/formats` show are read here, so that neither can drift from the code unseen.
//!
//! An example is a line of hexadecimal groups; in a document the next line says what it holds, in a module head the words
//! after `holds` do.

use std::path::PathBuf;

use cairn_format::encoding::{
    intset::Intset, listpack::Listpack, ziplist::Ziplist, zipmap::Zipmap,
};
use cairn_format::lzf;

type Reader = fn(&[u8]) -> Option<String>;

fn join(texts: impl Iterator<Item = Vec<u8>>) -> String {
    texts
        .map(|text| String::from_utf8(text).unwrap())
        .collect::<Vec<_>>()
        .join(" ")
}

fn listpack(bytes: &[u8]) -> Option<String> {
    let list = Listpack::check(bytes).ok()?;
    Some(join(
        list.iter().map(|(_, entry)| entry.to_bytes().into_owned()),
    ))
}

fn intset(bytes: &[u8]) -> Option<String> {
    let set = Intset::check(bytes).ok()?;
    Some(join(set.iter().map(|value| value.to_string().into_bytes())))
}

fn ziplist(bytes: &[u8]) -> Option<String> {
    let list = Ziplist::check(bytes).ok()?;
    Some(join(
        list.iter().map(|(_, entry)| entry.to_bytes().into_owned()),
    ))
}

fn zipmap(bytes: &[u8]) -> Option<String> {
    let map = Zipmap::check(bytes).ok()?;
    Some(join(
        map.iter().map(|(_, entry)| entry.to_bytes().into_owned()),
    ))
}

fn unpacked(bytes: &[u8]) -> Option<String> {
    // The size is not part of the stream; an example is short, so the right one is soon found.
    (0..100).find_map(|len| {
        let mut out = Vec::new();
        lzf::decompress(bytes, len, &mut out).ok()?;
        String::from_utf8(out).ok()
    })
}

fn read(path: &str) -> String {
    let full = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(path);
    std::fs::read_to_string(&full).unwrap_or_else(|error| panic!("{}: {error}", full.display()))
}

/// The bytes of the hexadecimal groups at the start of a line, if it has at least five bytes of them, and the rest of the line.
fn hex_line(line: &str) -> Option<(Vec<u8>, String)> {
    let mut bytes = Vec::new();
    let mut words = line.split_whitespace().peekable();
    let is_hex = |word: &str| {
        word.len().is_multiple_of(2)
            && word
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'))
    };
    while let Some(word) = words.next_if(|word| is_hex(word)) {
        bytes.extend(
            (0..word.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&word[at..at + 2], 16).unwrap()),
        );
    }
    (bytes.len() >= 5).then(|| (bytes, words.collect::<Vec<_>>().join(" ")))
}

#[test]
fn the_documents_tell_the_truth() {
    let documents: [(&str, Reader, usize); 5] = [
        ("listpack", listpack, 3),
        ("intset", intset, 2),
        ("ziplist", ziplist, 2),
        ("zipmap", zipmap, 1),
        ("lzf", unpacked, 2),
    ];
    for (name, reader, expected) in documents {
        let text = read(&format!("docs/formats/{name}.md"));
        let lines: Vec<_> = text.lines().collect();
        let mut seen = 0;
        for pair in lines.windows(2).filter(|pair| pair[0].starts_with("    ")) {
            let Some((bytes, rest)) = hex_line(pair[0]) else {
                continue;
            };
            seen += 1;
            if rest.starts_with("is not one") {
                assert_eq!(reader(&bytes), None, "{name}: {}", pair[0]);
            } else {
                assert_eq!(
                    reader(&bytes).as_deref(),
                    Some(pair[1].trim()),
                    "{name}: {}",
                    pair[0]
                );
            }
        }
        assert_eq!(seen, expected, "examples in {name}.md");
    }
}

#[test]
fn the_module_heads_tell_the_truth() {
    let heads: [(&str, Reader); 4] = [
        ("encoding/listpack/mod.rs", listpack),
        ("encoding/intset.rs", intset),
        ("encoding/ziplist.rs", ziplist),
        ("encoding/zipmap.rs", zipmap),
    ];
    for (name, reader) in heads {
        let text = read(&format!("format/src/{name}"));
        let mut seen = 0;
        for line in text.lines().filter_map(|line| line.strip_prefix("//!")) {
            let line = line.replace("Example: ", "").replace('`', "");
            let Some((bytes, rest)) = hex_line(&line) else {
                continue;
            };
            let Some(holds) = rest.strip_prefix("holds ") else {
                continue;
            };
            let holds = holds.trim_end_matches('.').split(',').next().unwrap();
            assert_eq!(reader(&bytes).as_deref(), Some(holds), "{name}: {line}");
            seen += 1;
        }
        assert_eq!(seen, 1, "examples in the head of {name}");
    }
}
