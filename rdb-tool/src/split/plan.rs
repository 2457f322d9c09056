//! Which part of a split a key goes to, and what the part is called.

use super::nodes::Nodes;
use crate::survey::slots::{SLOTS, range};
use cairn_format::crc16::key_slot;
use cairn_format::crc64::crc64;
use std::collections::HashMap;

/// Longer names of parts are cut, and told apart by a checksum.
const NAME_MAX: usize = 120;

/// How keys are told apart.
#[derive(Debug)]
pub enum Plan {
    /// Slots to their owners.
    Nodes(Nodes),
    /// Slots in this many equal ranges.
    Ranges(usize),
    /// Databases.
    Databases,
    /// What stands up to the first separator.
    Prefixes(Vec<u8>),
    /// This many parts of equal size, by a checksum of the key.
    Parts(usize),
}

/// The parts that have keys, numbered as they come.
#[derive(Debug, Default)]
pub struct Parts {
    by_name: HashMap<Vec<u8>, usize>,
}

impl Plan {
    /// Parts that are there whether or not a key goes to them.
    pub fn fixed(&self) -> Vec<String> {
        match self {
            Plan::Nodes(nodes) => nodes
                .nodes
                .iter()
                .map(|(id, _)| format!("node-{id}"))
                .collect(),
            Plan::Ranges(count) => (0..*count)
                .map(|part| {
                    let (first, last) = range(part, *count);
                    format!("slots-{first}-{last}")
                })
                .collect(),
            Plan::Parts(count) => (0..*count).map(|part| format!("part-{part}")).collect(),
            Plan::Databases | Plan::Prefixes(_) => Vec::new(),
        }
    }

    /// The part of a key, and its name if it is new.
    ///
    /// # Errors
    /// The slot belongs to nobody.
    pub fn part(
        &self,
        parts: &mut Parts,
        db: u64,
        key: &[u8],
    ) -> Result<(usize, Option<String>), String> {
        let slot = || usize::from(key_slot(key));
        let fixed = match self {
            Plan::Nodes(nodes) => {
                let slot = slot();
                nodes
                    .owner(slot)
                    .ok_or_else(|| format!("no node has slot {slot}"))?
            }
            Plan::Ranges(count) => part_of_slot(slot(), *count),
            Plan::Parts(count) => (crc64(key) % *count as u64) as usize,
            Plan::Databases => {
                return Ok(parts.of(db.to_string().as_bytes(), || format!("db-{db}")));
            }
            Plan::Prefixes(separator) => {
                let at = key
                    .windows(separator.len())
                    .position(|part| part == separator);
                return Ok(match at {
                    None => parts.of(&[], || "no-prefix".to_owned()),
                    Some(at) => {
                        let prefix = &key[..at + separator.len()];
                        parts.of(prefix, || format!("prefix-{}", file_name(&key[..at])))
                    }
                });
            }
        };
        Ok((fixed, None))
    }
}

impl Parts {
    fn of(&mut self, name: &[u8], make: impl FnOnce() -> String) -> (usize, Option<String>) {
        if let Some(part) = self.by_name.get(name) {
            return (*part, None);
        }
        let part = self.by_name.len();
        self.by_name.insert(name.to_vec(), part);
        (part, Some(make()))
    }
}

fn part_of_slot(slot: usize, count: usize) -> usize {
    let near = slot * count / SLOTS;
    // Ends are rounded, so the slot may be in the range beside.
    let around = near.saturating_sub(1)..=(near + 1).min(count - 1);
    around
        .into_iter()
        .find(|part| (range(*part, count).0..=range(*part, count).1).contains(&slot))
        .unwrap_or(near)
}

/// Bytes as part of a file name: letters, digits, `.`, `_` and `-` stand as they are, others as `%` and two digits.
fn file_name(bytes: &[u8]) -> String {
    let mut name = String::new();
    for byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => {
                name.push(char::from(*byte))
            }
            _ => name.push_str(&format!("%{byte:02x}")),
        }
        if name.len() > NAME_MAX {
            name.truncate(NAME_MAX);
            name.push_str(&format!("-{:016x}", crc64(bytes)));
            break;
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_is_in_the_range_that_its_part_names() {
        for count in [1, 2, 3, 5, 7, 6, 100, 16_384] {
            for slot in 0..SLOTS {
                let (first, last) = range(part_of_slot(slot, count), count);
                assert!((first..=last).contains(&slot), "slot {slot} of {count}");
            }
        }
    }

    #[test]
    fn names_of_parts_are_names_of_files_and_differ_as_the_prefixes_do() {
        assert_eq!(file_name(b"a/b%"), "a%2fb%25");
        let long = [&[b'x'; 300][..], &[&[b'x'; 299][..], b"y"].concat()].map(file_name);
        assert!(long[0] != long[1] && long[0].len() < 200);
        let (plan, mut parts) = (Plan::Prefixes(b":".to_vec()), Parts::default());
        let mut part = |key: &[u8]| plan.part(&mut parts, 0, key).unwrap();
        assert_eq!(part(b"a:1"), (0, Some("prefix-a".to_owned())));
        assert_eq!(part(b"a"), (1, Some("no-prefix".to_owned())));
        assert_eq!(part(b":x"), (2, Some("prefix-".to_owned())));
        assert_eq!(part(b"a:2:3"), (0, None));
    }
}
