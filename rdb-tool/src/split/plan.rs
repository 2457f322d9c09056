//! Which part of a split a key goes to, and what the part is called.

use super::nodes::Nodes;
use crate::survey::slots::{SLOTS, range};
use cairn_format::crc16::key_slot;
use cairn_format::crc64::crc64;
use std::borrow::Cow;

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

/// A part of a split.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part<'k> {
    /// One of those that are there anyway.
    Fixed(usize),
    /// A database.
    Db(u64),
    /// What stands up to the first separator, with it.
    Prefix(Cow<'k, [u8]>),
    /// Keys without a separator.
    NoPrefix,
}

impl Part<'_> {
    /// For keeping.
    pub fn into_owned(self) -> Part<'static> {
        match self {
            Part::Fixed(number) => Part::Fixed(number),
            Part::Db(db) => Part::Db(db),
            Part::Prefix(prefix) => Part::Prefix(Cow::Owned(prefix.into_owned())),
            Part::NoPrefix => Part::NoPrefix,
        }
    }
}

impl Plan {
    /// Parts that are there whether or not a key goes to them.
    pub fn fixed(&self) -> Vec<String> {
        match self {
            Plan::Nodes(nodes) => nodes.ids.iter().map(|id| format!("node-{id}")).collect(),
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

    /// The part of a key.
    ///
    /// # Errors
    /// The slot belongs to nobody.
    pub fn part<'k>(&self, db: u64, key: &'k [u8]) -> Result<Part<'k>, String> {
        let slot = || usize::from(key_slot(key));
        Ok(match self {
            Plan::Nodes(nodes) => {
                let slot = slot();
                let owner = nodes.owner(slot);
                Part::Fixed(owner.ok_or_else(|| format!("no node has slot {slot}"))?)
            }
            Plan::Ranges(count) => Part::Fixed(part_of_slot(slot(), *count)),
            Plan::Parts(count) => Part::Fixed((crc64(key) % *count as u64) as usize),
            Plan::Databases => Part::Db(db),
            Plan::Prefixes(separator) => {
                let at = key
                    .windows(separator.len())
                    .position(|part| part == separator);
                at.map_or(Part::NoPrefix, |at| {
                    Part::Prefix(Cow::Borrowed(&key[..at + separator.len()]))
                })
            }
        })
    }

    /// What a part is called that is not there anyway.
    pub fn name(&self, part: &Part<'_>) -> String {
        match (part, self) {
            (Part::Fixed(number), _) => format!("part-{number}"),
            (Part::Db(db), _) => format!("db-{db}"),
            (Part::NoPrefix, _) => "no-prefix".to_owned(),
            (Part::Prefix(prefix), Plan::Prefixes(separator)) => {
                let before = prefix.strip_suffix(&separator[..]).unwrap_or(prefix);
                format!("prefix-{}", file_name(before))
            }
            (Part::Prefix(prefix), _) => format!("prefix-{}", file_name(prefix)),
        }
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
        let plan = Plan::Prefixes(b":".to_vec());
        let part = |key: &'static [u8]| plan.part(0, key).unwrap();
        let name = |key| plan.name(&part(key));
        assert_eq!(name(b"a:1"), "prefix-a");
        assert_eq!(name(b"a"), "no-prefix");
        assert_eq!(name(b":x"), "prefix-");
        assert_eq!(part(b"a:2:3"), part(b"a:1"));
    }
}
