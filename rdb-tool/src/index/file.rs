//! The sidecar that says where each key of a snapshot stands.
//!
//! ```text
//!   0   "CAIRNIDX" | version u32 | entries of a block u32
//!   16  entries u64 | size of the snapshot u64 | its time of change i64, ns | its last eight bytes u64
//!   48  CRC-64 of what stands before u64
//!   56  block | block | ...        entry, entry, ... up to 1024 of them | CRC-64 of them u64
//!
//!   entry   hash of the key u64 | offset u64 | database u32          by hash, then by offset
//! ```
//!
//! All little-endian. An entry's offset is where the attributes of its key begin, also where another opcode stands between them. The last
//! eight bytes of a snapshot are its checksum. A block is believed once its checksum is right, and an entry once the key is found at its place.

use cairn_format::crc64::crc64;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

const MAGIC: &[u8; 8] = b"CAIRNIDX";
const VERSION: u32 = 1;
const BLOCK: usize = 1024;
const ENTRY_BYTES: usize = 20;
const SUM_BYTES: usize = 8;
const BLOCK_BYTES: usize = BLOCK * ENTRY_BYTES + SUM_BYTES;
const HEADER_BYTES: usize = 56;

/// Where a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Of the key; several keys may share it.
    pub hash: u64,
    /// Of its first attribute.
    pub offset: u64,
    /// Its database.
    pub db: u32,
}

/// What ties an index to the snapshot that it was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bond {
    size: u64,
    changed_ns: i64,
    last: u64,
}

impl Bond {
    /// Of the snapshot at `path`, whose bytes are `bytes`.
    ///
    /// # Errors
    /// The system does not tell when it was changed.
    pub fn of(path: &Path, bytes: &[u8]) -> std::io::Result<Bond> {
        let changed = path.metadata()?.modified()?;
        let changed_ns = match changed.duration_since(UNIX_EPOCH) {
            Ok(since) => since.as_nanos() as i64,
            Err(before) => -(before.duration().as_nanos() as i64),
        };
        Ok(Bond {
            size: bytes.len() as u64,
            changed_ns,
            last: bytes
                .last_chunk()
                .map_or(0, |last| u64::from_le_bytes(*last)),
        })
    }

    /// What of the snapshot is not as it was; nothing if all is.
    pub fn broken_by(self, now: Bond) -> Option<&'static str> {
        match () {
            () if self.size != now.size => Some("the snapshot has another size"),
            () if self.last != now.last => Some("the snapshot has another checksum"),
            () if self.changed_ns != now.changed_ns => Some("the snapshot was written since"),
            () => None,
        }
    }
}

/// The path at which a snapshot's index is looked for.
pub fn beside(snapshot: &Path) -> PathBuf {
    let mut name = snapshot.as_os_str().to_owned();
    name.push(".idx");
    name.into()
}

/// What keys are found by.
pub fn hash(key: &[u8]) -> u64 {
    crc64(key)
}

/// Whether a file is an index of any kind.
pub fn is_index(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// The bytes of an index; `entries` are put in order.
pub fn encode(bond: Bond, entries: &mut [Entry]) -> Vec<u8> {
    entries.sort_unstable();
    let blocks = entries.len().div_ceil(BLOCK);
    let mut out = Vec::with_capacity(HEADER_BYTES + blocks * BLOCK_BYTES);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&(BLOCK as u32).to_le_bytes());
    out.extend_from_slice(&(entries.len() as u64).to_le_bytes());
    out.extend_from_slice(&bond.size.to_le_bytes());
    out.extend_from_slice(&bond.changed_ns.to_le_bytes());
    out.extend_from_slice(&bond.last.to_le_bytes());
    out.extend_from_slice(&crc64(&out).to_le_bytes());
    debug_assert_eq!(out.len(), HEADER_BYTES, "the header is as drawn");
    for block in entries.chunks(BLOCK) {
        let start = out.len();
        for entry in block {
            out.extend_from_slice(&entry.hash.to_le_bytes());
            out.extend_from_slice(&entry.offset.to_le_bytes());
            out.extend_from_slice(&entry.db.to_le_bytes());
        }
        let sum = crc64(&out[start..]);
        out.extend_from_slice(&sum.to_le_bytes());
    }
    out
}

/// An index that was read.
#[derive(Debug)]
pub struct Index<'a> {
    bond: Bond,
    entries: usize,
    blocks: &'a [u8],
}

impl<'a> Index<'a> {
    /// Reads the header; blocks are looked at when they are needed.
    ///
    /// # Errors
    /// What is wrong, for an error line.
    pub fn decode(bytes: &'a [u8]) -> Result<Index<'a>, String> {
        if !is_index(bytes) {
            return Err("is no index of a snapshot".to_owned());
        }
        let Some((header, blocks)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Err("the index ends in its header".to_owned());
        };
        let [version, block] = [8, 12].map(|at| u32_at(header, at));
        let [entries, size, changed, last, sum] = [16, 24, 32, 40, 48].map(|at| u64_at(header, at));
        if version != VERSION || block as usize != BLOCK {
            return Err(format!(
                "an index of version {version}, and {VERSION} is known"
            ));
        }
        if sum != crc64(&header[..48]) {
            return Err("the header of the index is damaged".to_owned());
        }
        let index = Index {
            bond: Bond {
                size,
                changed_ns: changed as i64,
                last,
            },
            entries: usize::try_from(entries).unwrap_or(usize::MAX),
            blocks,
        };
        let expected = index.entries.checked_mul(ENTRY_BYTES).and_then(|bytes| {
            bytes.checked_add(index.entries.div_ceil(BLOCK).checked_mul(SUM_BYTES)?)
        });
        match expected {
            Some(expected) if expected == blocks.len() => Ok(index),
            _ => Err(format!("the index of {entries} keys has another length")),
        }
    }

    /// What it was made of.
    pub fn bond(&self) -> Bond {
        self.bond
    }

    /// Where keys with this hash stand, in the order of the file.
    ///
    /// # Errors
    /// A block is damaged.
    pub fn find(&self, hash: u64) -> Result<Vec<Entry>, String> {
        let mut found = Vec::new();
        let (mut low, mut high) = (0, self.entries);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.entry(middle)?.hash < hash {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        while low < self.entries {
            let entry = self.entry(low)?;
            if entry.hash != hash {
                break;
            }
            found.push(entry);
            low += 1;
        }
        Ok(found)
    }

    fn entry(&self, at: usize) -> Result<Entry, String> {
        let start = at / BLOCK * BLOCK_BYTES;
        let end = (start + BLOCK_BYTES).min(self.blocks.len());
        let (block, sum) = self.blocks[start..end].split_at(end - start - SUM_BYTES);
        if crc64(block) != u64_at(sum, 0) {
            return Err(format!("block {} of the index is damaged", at / BLOCK));
        }
        let entry = &block[at % BLOCK * ENTRY_BYTES..];
        Ok(Entry {
            hash: u64_at(entry, 0),
            offset: u64_at(entry, 8),
            db: u32_at(entry, 16),
        })
    }
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let chunk = bytes[at..].first_chunk();
    chunk.map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let chunk = bytes[at..].first_chunk();
    chunk.map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOND: Bond = Bond {
        size: 9,
        changed_ns: -5,
        last: 7,
    };

    fn entries(count: u64) -> Vec<Entry> {
        (0..count)
            .map(|i| Entry {
                hash: i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 3 << 1,
                offset: i,
                db: (i % 3) as u32,
            })
            .collect()
    }

    #[test]
    fn every_entry_is_found_and_nothing_else() {
        for count in [0, 1, 1023, 1024, 1025, 5000] {
            let mut all = entries(count);
            all.extend_from_within(..all.len().min(2));
            let bytes = encode(BOND, &mut all);
            let index = Index::decode(&bytes).unwrap();
            assert_eq!(index.bond(), BOND);
            for entry in &all {
                let same = all.iter().filter(|other| other.hash == entry.hash);
                assert_eq!(
                    index.find(entry.hash).unwrap(),
                    same.copied().collect::<Vec<_>>()
                );
                assert!(index.find(entry.hash + 1).unwrap().is_empty());
            }
        }
    }

    #[test]
    fn no_damage_goes_unseen_or_ends_in_a_panic() {
        let mut all = entries(1500);
        let bytes = encode(BOND, &mut all);
        for cut in (0..bytes.len()).step_by(97) {
            assert!(Index::decode(&bytes[..cut]).is_err(), "{cut}");
        }
        for at in (0..bytes.len()).step_by(61) {
            let mut broken = bytes.clone();
            broken[at] ^= 0x10;
            if let Ok(index) = Index::decode(&broken) {
                for entry in all.iter().step_by(50) {
                    if let Ok(found) = index.find(entry.hash) {
                        assert!(found.contains(entry), "byte {at} hides an entry");
                    }
                }
            }
        }
    }
}
