//! Patterns of keys taken apart once: they match what the commands' patterns match, and what is learned from one key holds for others.

use cairn_engine::base::args::ArgsBuf;
use cairn_engine::base::random::Random;
use cairn_engine::users::glob::Glob;
use cairn_engine::users::likeness::Likeness;
use cairn_format::text::glob::glob_match;

/// So many bytes out of these.
fn bytes_of(random: &mut Random, alphabet: &[u8], most: usize) -> Vec<u8> {
    let len = random.index(most + 1);
    (0..len)
        .map(|_| alphabet[random.index(alphabet.len())])
        .collect()
}

/// A pattern: short pieces, or long runs of plain bytes between few stars.
fn random_pattern(random: &mut Random) -> Vec<u8> {
    let pieces: &[&[u8]] = match random.index(3) {
        0 => &[b"a", b"b", b"*", b"?", b"[", b"]", b"^", b"-", b"\\", b"c"],
        1 => &[
            b"*", b"ab", b"?", b"[ab]", b"[^a]", b"[a-b]", b"\\*", b"b:", b"[]", b"[^]",
        ],
        _ => &[
            b"*",
            b"abababa:",
            b"b",
            b"aaaaaaaaaaaaaaaa",
            b":name",
            b"?",
            b"bbbbbbbbbb",
            b"a",
        ],
    };
    let count = random.index(8);
    (0..count)
        .flat_map(|_| pieces[random.index(pieces.len())])
        .copied()
        .collect()
}

/// A key that the pattern has a chance to take: the pattern with something in place of what stands for others, sometimes damaged.
fn random_key(random: &mut Random, pattern: &[u8]) -> Vec<u8> {
    if random.index(4) == 0 {
        return bytes_of(random, b"ab:c]^-", 12);
    }
    let mut key = Vec::new();
    for byte in pattern {
        match byte {
            b'*' => key.extend(bytes_of(random, b"ab:", 6)),
            b'?' => key.push(b"abc"[random.index(3)]),
            b'[' | b']' | b'\\' | b'^' | b'-' if random.index(2) == 0 => {}
            byte => key.push(*byte),
        }
    }
    if random.index(4) == 0 && !key.is_empty() {
        let at = random.index(key.len());
        key[at] = b"ab:*"[random.index(4)];
    }
    if random.index(8) == 0 {
        key.truncate(random.index(key.len() + 1));
    }
    key
}

#[test]
fn a_pattern_taken_apart_matches_as_it_does_as_a_whole() {
    let mut random = Random::new(11);
    let (mut hits, mut misses) = (0, 0);
    for _ in 0..20_000 {
        let pattern = random_pattern(&mut random);
        let glob = Glob::new(&pattern);
        for _ in 0..8 {
            let key = random_key(&mut random, &pattern);
            let expected = glob_match(&pattern, &key, false);
            let told = (
                String::from_utf8_lossy(&pattern),
                String::from_utf8_lossy(&key),
            );
            assert_eq!(glob.fit(&key).is_some(), expected, "{told:?}");
            *if expected { &mut hits } else { &mut misses } += 1;
        }
        if let Some(example) = glob.example() {
            assert!(glob_match(&pattern, &example, false) == glob.fit(&example).is_some());
        }
    }
    assert!(hits > 30_000 && misses > 30_000, "{hits} and {misses}");
}

#[test]
fn what_is_learned_from_a_key_holds_for_others() {
    let mut random = Random::new(12);
    let (mut learned, mut told, mut unlike) = (0, 0, 0);
    for _ in 0..20_000 {
        let pattern = random_pattern(&mut random);
        let glob = Glob::new(&pattern);
        let key = random_key(&mut random, &pattern);
        let Some(fit) = glob.fit(&key) else { continue };
        let Some(likeness) = Likeness::of(&fit, &key) else {
            continue;
        };
        learned += 1;
        for _ in 0..24 {
            let mut other = match random.index(2) {
                0 => key.clone(),
                _ => random_key(&mut random, &pattern),
            };
            match random.index(4) {
                0 => other.truncate(random.index(other.len() + 1)),
                1 => other.extend(bytes_of(&mut random, b"ab:", 20)),
                _ => {}
            }
            // Whatever stands behind the key, and nothing.
            let behind = match random.index(3) {
                0 => Vec::new(),
                1 => bytes_of(&mut random, b"ab:", 20),
                _ => key.clone(),
            };
            let call = ArgsBuf::from_slices(&[&b"GET"[..], &other, &behind]);
            let (has, is_of) = (
                likeness.has(&call.args(), 1),
                glob_match(&pattern, &other, false),
            );
            let texts = [&pattern, &key, &other].map(|text| String::from_utf8_lossy(text));
            assert!(is_of || !has, "{texts:?}");
            *if has { &mut told } else { &mut unlike } += 1;
        }
    }
    assert!(
        learned > 5_000 && told > 60_000 && unlike > 30_000,
        "{learned}: {told} and {unlike}"
    );
}
