//! Which of the 16,384 cluster slots a key belongs to: CRC-16 (XMODEM: polynomial 0x1021, start 0, not reflected) modulo 16384.
//!
//! `123456789` gives 0x31c3.

use std::cell::Cell;

/// Slots of a cluster.
pub const SLOTS: u16 = 16_384;

const TABLE: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 != 0 {
                (crc << 1) ^ 0x1021
            } else {
                crc << 1
            };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// `AHEAD[k]` is the table for a byte with `k` others behind it, so that sixteen bytes are taken at once: a key of a usual length in one
/// step, without a chain from byte to byte. Above the sixteen bits of the checksum each table has a bit of its own that a `{` sets, so that the
/// sum of all tells whether there was one.
static AHEAD: [[u32; 256]; BLOCK] = {
    let mut tables = [[0; 256]; BLOCK];
    let mut byte = 0;
    while byte < 256 {
        let (mut crc, mut k) = (TABLE[byte], 0);
        while k < BLOCK {
            let brace = (byte == b'{' as usize) as u32;
            tables[k][byte] = crc as u32 | brace << (u16::BITS as usize + k);
            crc = (crc << 8) ^ TABLE[(crc >> 8) as usize];
            k += 1;
        }
        byte += 1;
    }
    tables
};

/// Bytes that are taken at once: as many tables as a sum has bits for braces.
const BLOCK: usize = 16;
/// The end of a key that is looked up byte by byte.
const END: usize = 8;

/// What `N` bytes add, with `behind` others behind them.
#[inline(always)]
fn sum_of<const N: usize>(block: &[u8; N], behind: usize) -> u32 {
    let mut sum = 0;
    for (at, byte) in block.iter().enumerate() {
        sum ^= AHEAD[behind + N - 1 - at][usize::from(*byte)];
    }
    sum
}

/// What `N` bytes make of the checksum of those before them; of one byte there is nothing before.
#[inline(always)]
fn with_block<const N: usize>(crc: u16, block: &[u8; N]) -> u16 {
    let mut block = *block;
    for (byte, before) in block.iter_mut().zip(crc.to_be_bytes()) {
        *byte ^= before;
    }
    sum_of(&block, 0) as u16
}

/// The sum of some lengths, each with its own code, so that there is no loop; of others 0.
macro_rules! by_length {
    ($bytes:expr, $behind:expr; $($len:literal)*) => {
        match $bytes.len() {
            $($len => $bytes.first_chunk::<$len>().map_or(0, |block| sum_of(block, $behind)),)*
            _ => 0,
        }
    };
}

/// What a block or less adds.
#[inline(never)]
fn sum_of_short(bytes: &[u8]) -> u32 {
    by_length!(bytes, 0; 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
}

/// The checksum of one slice.
pub fn crc16(bytes: &[u8]) -> u16 {
    let (head, blocks) = bytes.as_rchunks::<BLOCK>();
    let head = sum_of_short(head) as u16;
    blocks.iter().fold(head, with_block::<BLOCK>)
}

/// The slot of what adds so much, unless a `{` was in it.
#[inline(always)]
fn plain_slot(sum: u32) -> Option<u16> {
    (sum <= u32::from(u16::MAX)).then_some((sum % u32::from(SLOTS)) as u16)
}

/// The slot of a key. If the key has a `{` and a `}` behind it with something between the first of each, only that counts, so
/// that keys can be made to live together.
pub fn key_slot(key: &[u8]) -> u16 {
    match key.first_chunk::<BLOCK>() {
        Some(first) if key.len() > BLOCK => {
            let (_, blocks) = key.as_rchunks::<BLOCK>();
            match has_brace(first) || blocks.iter().any(has_brace) {
                true => tagged_slot(key),
                false => crc16(key) % SLOTS,
            }
        }
        _ => plain_slot(sum_of_short(key)).unwrap_or_else(|| tagged_slot(key)),
    }
}

/// The slot of a key that has a `{`.
#[inline(never)]
fn tagged_slot(key: &[u8]) -> u16 {
    crc16(hash_tag(key).unwrap_or(key)) % SLOTS
}

#[inline(always)]
fn has_brace(block: &[u8; BLOCK]) -> bool {
    block
        .iter()
        .fold(false, |found, byte| found | (*byte == b'{'))
}

/// The slots of many keys, one after the other. Keys often begin alike (`user:1000`): what the beginning adds to the checksum is kept, by the length of
/// the key, and as long as the first eight bytes are those of the last key of that length only the last eight are looked up.
#[derive(Clone, Debug, Default)]
pub struct KeySlots {
    /// The first eight bytes of the last key of 8 bytes, of 9, and so on. Nothing begins as eight zeros, which add nothing.
    firsts: [Cell<u64>; LENGTHS],
    /// What all but the last eight bytes of these keys add.
    sums: [Cell<u32>; LENGTHS],
}

/// Lengths of keys whose beginnings are kept.
const LENGTHS: usize = BLOCK - END + 1;

impl KeySlots {
    /// The slot of a key, as [`key_slot`] has it.
    #[inline(always)]
    pub fn slot_of(&self, key: &[u8]) -> u16 {
        self.known(key).unwrap_or_else(|| self.find(key))
    }

    /// The slot of a key that begins as the last one of its length did, and has no `{`.
    #[inline(always)]
    pub fn known(&self, key: &[u8]) -> Option<u16> {
        let before = key.len().wrapping_sub(END);
        let (known, sum) = (self.firsts.get(before)?, self.sums.get(before)?);
        let (first, last) = (key.first_chunk()?, key.last_chunk::<END>()?);
        match known.get() == u64::from_le_bytes(*first) {
            true => plain_slot(sum.get() ^ sum_of(last, 0)),
            false => None,
        }
    }

    /// The slot of a key that is not [`KeySlots::known`].
    #[inline(never)]
    pub fn find(&self, key: &[u8]) -> u16 {
        let Some((before, last)) = key.split_last_chunk::<END>() else {
            return key_slot(key);
        };
        let (Some(first), Some(known), Some(sum)) = (
            key.first_chunk(),
            self.firsts.get(before.len()),
            self.sums.get(before.len()),
        ) else {
            return key_slot(key);
        };
        if key[0] == b'{' {
            return tagged_slot(key);
        }
        let added = by_length!(before, END; 1 2 3 4 5 6 7 8);
        let Some(slot) = plain_slot(added ^ sum_of(last, 0)) else {
            return tagged_slot(key);
        };
        known.set(u64::from_le_bytes(*first));
        sum.set(added);
        slot
    }
}

/// The slot of all keys that match a glob pattern, if the pattern alone tells it: it has a hash tag before anything special, or nothing
/// special at all.
pub fn pattern_slot(pattern: &[u8]) -> Option<u16> {
    let special = pattern.iter().position(|byte| b"*?[\\".contains(byte));
    let plain = &pattern[..special.unwrap_or(pattern.len())];
    match hash_tag(plain) {
        Some(tag) => Some(crc16(tag) % SLOTS),
        // What is special may close the first tag, or make one.
        None if special.is_none() => Some(key_slot(pattern)),
        None => None,
    }
}

fn hash_tag(key: &[u8]) -> Option<&[u8]> {
    let open = key.iter().position(|&byte| byte == b'{')?;
    let inner = &key[open + 1..];
    let close = inner.iter().position(|&byte| byte == b'}')?;
    (close > 0).then(|| &inner[..close])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_known_values() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!((key_slot(b"foo"), key_slot(b"")), (12_182, 0));
    }

    #[test]
    fn eight_bytes_at_once_are_as_one_after_the_other() {
        let bytes: Vec<u8> = (0..400_u32).map(|i| (i * i * 7 + i / 3) as u8).collect();
        for start in 0..40 {
            for len in 0..64 {
                let slice = &bytes[start * 5..][..len];
                let slow = slice.iter().fold(0, |crc: u16, byte| {
                    (crc << 8) ^ TABLE[usize::from((crc >> 8) as u8 ^ byte)]
                });
                assert_eq!(crc16(slice), slow);
            }
        }
        for at in 0..20 {
            let mut key = vec![b'z'; 20];
            key[at] = b'{';
            key.extend(b"x}");
            let tag = [&vec![b'z'; 19 - at][..], b"x"].concat();
            assert_eq!(key_slot(&key), crc16(&tag) % SLOTS, "{at}");
        }
    }

    #[test]
    fn what_is_kept_of_keys_changes_no_slot() {
        let slow = |key: &[u8]| crc16(hash_tag(key).unwrap_or(key)) % SLOTS;
        let slots = KeySlots::default();
        let mut state = 1_u64;
        let mut draw = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % below
        };
        let mut known = 0;
        for step in 0..200_000_u64 {
            let begin: &[u8] = [
                &b"user:"[..],
                b"session:",
                b"{",
                b"",
                b"\0\0\0\0\0\0\0\0",
                b"a{b",
            ][draw(6) as usize];
            let mut key = begin.to_vec();
            for _ in 0..draw(12 + 8 * (step % 3)) {
                key.push(b"0123456789{}\0z"[draw(14) as usize]);
            }
            let expected = slow(&key);
            let found = slots.known(&key);
            known += u64::from(found.is_some());
            let text = key.escape_ascii();
            assert_eq!(found.unwrap_or(expected), expected, "{text}");
            assert_eq!(slots.slot_of(&key), expected, "{text}");
            assert_eq!(key_slot(&key), expected, "{text}");
            let is_kept = (8..=16).contains(&key.len()) && !key.contains(&b'{');
            assert_eq!(slots.known(&key).is_some(), is_kept, "{text}");
        }
        assert!(known > 5_000, "{known}");
    }

    #[test]
    fn patterns_tell_the_slot_of_all_their_keys() {
        assert_eq!(pattern_slot(b"foo"), Some(key_slot(b"foo")));
        assert_eq!(pattern_slot(b"{tag}*"), Some(key_slot(b"tag")));
        assert_eq!(pattern_slot(b"a{tag}[b]"), Some(key_slot(b"tag")));
        for unclear in [&b"*"[..], b"a*{tag}", b"{t?g}", b"{}*", b"\\{tag}"] {
            assert_eq!(pattern_slot(unclear), None, "{}", unclear.escape_ascii());
        }
    }

    #[test]
    fn hash_tags() {
        assert_eq!(key_slot(b"{user1000}.following"), key_slot(b"user1000"));
        assert_eq!(key_slot(b"foo{}{bar}"), crc16(b"foo{}{bar}") % SLOTS);
        assert_eq!(key_slot(b"foo{{bar}}zap"), key_slot(b"{bar"));
        assert_eq!(key_slot(b"foo{bar}{zap}"), key_slot(b"bar"));
        assert_eq!(key_slot(b"foo{bar"), crc16(b"foo{bar") % SLOTS);
        assert_eq!(key_slot(b"}foo{"), crc16(b"}foo{") % SLOTS);
    }
}
