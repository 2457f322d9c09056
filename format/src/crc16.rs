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

/// The checksum of one slice.
pub fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (crc << 8) ^ TABLE[usize::from((crc >> 8) as u8 ^ byte)]
    })
}

/// The slot of a key. If the key has a `{` and a `}` behind it with something between the first of each, only that counts, so
/// that keys can be made to live together.
pub fn key_slot(key: &[u8]) -> u16 {
    crc16(hash_tag(key).unwrap_or(key)) % SLOTS
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
