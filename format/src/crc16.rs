//! Which of the 16,384 cluster slots a key belongs to: CRC-16 (XMODEM: polynomial 0x1021, start 0, not reflected) modulo 16384.
//!
//! `123456789` gives 0x31c3.

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
/// step, without a chain from byte to byte.
static AHEAD: [[u16; 256]; 16] = {
    let mut tables = [TABLE; 16];
    let mut k = 1;
    while k < 16 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[k - 1][byte];
            tables[k][byte] = (before << 8) ^ TABLE[(before >> 8) as usize];
            byte += 1;
        }
        k += 1;
    }
    tables
};

/// What `N` bytes make of the checksum of those before them; of one byte there is nothing before.
#[inline(always)]
fn with_block<const N: usize>(crc: u16, block: &[u8; N]) -> u16 {
    let [high, low] = crc.to_be_bytes();
    let mut sum = 0;
    for (at, byte) in block.iter().enumerate() {
        let byte = match at {
            0 => byte ^ high,
            1 => byte ^ low,
            _ => *byte,
        };
        sum ^= AHEAD[N - 1 - at][usize::from(byte)];
    }
    sum
}

/// The checksum of some lengths, each with its own code, so that there is no loop; of others 0.
macro_rules! by_length {
    ($bytes:expr; $($len:literal)*) => {
        match $bytes.len() {
            $($len => $bytes.first_chunk::<$len>().map_or(0, |block| with_block(0, block)),)*
            _ => 0,
        }
    };
}

/// The checksum of one slice.
pub fn crc16(bytes: &[u8]) -> u16 {
    let (head, blocks) = bytes.as_rchunks::<16>();
    let head = by_length!(head; 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    blocks.iter().fold(head, with_block::<16>)
}

/// The slot of a key. If the key has a `{` and a `}` behind it with something between the first of each, only that counts, so
/// that keys can be made to live together.
#[inline(never)]
pub fn key_slot(key: &[u8]) -> u16 {
    key_slot_inlined(key)
}

/// As [`key_slot`], for places where the call would be a good part of it.
#[inline(always)]
pub fn key_slot_inlined(key: &[u8]) -> u16 {
    if let (Some(first), Some(last)) = (key.first_chunk::<8>(), key.last_chunk::<8>())
        && key.len() <= 16
        && !has_brace(first, last)
    {
        return by_length!(key; 16 15 14 13 12 11 10 9 8) % SLOTS;
    }
    slot_of_any(key)
}

#[inline(never)]
fn slot_of_any(key: &[u8]) -> u16 {
    crc16(hash_tag(key).unwrap_or(key)) % SLOTS
}

/// Whether there is a `{` in the first or the last eight bytes.
#[inline(always)]
fn has_brace(first: &[u8; 8], last: &[u8; 8]) -> bool {
    let mut ends = [0; 16];
    ends[..8].copy_from_slice(first);
    ends[8..].copy_from_slice(last);
    ends.iter()
        .fold(false, |found, byte| found | (*byte == b'{'))
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
