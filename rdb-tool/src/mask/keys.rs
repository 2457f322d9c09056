//! Pseudonyms of keys: they stay in their slots, and what they share at their front they still share.
//!
//! ```text
//!   user:17:name         user: and 17: become the same wherever they stand so; the rest is drawn until the slot is right
//!   user:{17}:name       the tag is drawn until the slot is right; what stands around it becomes the same everywhere
//! ```
//!
//! What is drawn has letters and digits where the key has any. A pseudonym that another key of the database has already is not taken, so it may
//! depend, very rarely, on the keys before. A key whose slot hangs on fewer than three letters and digits of ASCII stays as it is, or
//! comes to another slot if it has other letters.

use super::cipher::Cipher;
use cairn_format::crc16::{SLOTS, crc16};
use std::collections::{HashMap, HashSet};

/// The symbols of drawn places.
const SYMBOLS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// Places that are needed to reach every slot.
const LAST: usize = 3;
/// Places of the part that is drawn, if the key has as many: more leave fewer keys with the same choice.
const DRAWN: usize = 8;
/// Parts that are remembered, and their bytes.
const PARTS_MAX: usize = 1 << 16;
const PART_MAX: usize = 64;
/// Tables of checksums that are remembered, of 1.7 MB each. Keys that end alike share one.
const TABLES_MAX: usize = 16;
/// Drawings before a key is given another slot. One drawing finds the slot in most cases.
const DRAWINGS: u32 = 64;

/// Makes pseudonyms of keys, and remembers those that are taken.
pub struct Keys<'c> {
    cipher: &'c Cipher,
    taken: HashSet<u128>,
    tags: HashMap<Vec<u8>, Vec<u8>>,
    pairs: HashMap<[usize; LAST], Sums>,
    /// Pseudonyms of parts that were seen, as long as they are few: most keys begin alike.
    parts: HashMap<Vec<u8>, Vec<u8>>,
    /// Keys that stayed as they are.
    pub kept: u64,
    /// Keys that are in another slot.
    pub moved: u64,
}

/// What the last three symbols add to the checksum, which stand so many bytes before the end.
struct Sums {
    /// By the first of them.
    first: [u16; SYMBOLS.len()],
    /// By checksum: which two others give it.
    others: Vec<Vec<[u8; 2]>>,
}

impl<'c> Keys<'c> {
    /// Nothing is taken.
    pub fn new(cipher: &'c Cipher) -> Keys<'c> {
        Keys {
            cipher,
            taken: HashSet::new(),
            tags: HashMap::new(),
            pairs: HashMap::new(),
            parts: HashMap::new(),
            kept: 0,
            moved: 0,
        }
    }

    /// The pseudonym of a key.
    pub fn key(&mut self, db: u64, key: &[u8]) -> Vec<u8> {
        let Some((open, close)) = tag(key) else {
            return self.drawn(&db.to_le_bytes(), key);
        };
        let inner = &key[open..close];
        let made = match self.tags.get(inner) {
            Some(made) => made.clone(),
            None => {
                let made = self.drawn(b"tag", inner);
                self.tags.insert(inner.to_vec(), made.clone());
                made
            }
        };
        [self.parts(&key[..open]), made, self.parts(&key[close..])].concat()
    }

    /// Each part of a text by itself.
    fn parts(&mut self, text: &[u8]) -> Vec<u8> {
        let mut made = Vec::with_capacity(text.len());
        for part in text.split_inclusive(|byte| !byte.is_ascii_alphanumeric() && byte.is_ascii()) {
            match self.parts.get(part) {
                Some(known) => made.extend_from_slice(known),
                None => {
                    let new = self.cipher.letters(part);
                    made.extend_from_slice(&new);
                    if self.parts.len() < PARTS_MAX && part.len() <= PART_MAX {
                        self.parts.insert(part.to_vec(), new);
                    }
                }
            }
        }
        made
    }

    /// A text of the same length and slot that nobody else in `space` has.
    fn drawn(&mut self, space: &[u8], text: &[u8]) -> Vec<u8> {
        let places: Vec<usize> = (0..text.len())
            .filter(|at| text[*at].is_ascii_alphanumeric())
            .collect();
        if places.len() < LAST {
            // No drawn text has as few, so these stay apart from all others, and from one another.
            let has_more = text.iter().any(|byte| !byte.is_ascii());
            let made = match has_more {
                true => self.parts(text),
                false => text.to_vec(),
            };
            self.kept += u64::from(!has_more);
            self.moved += u64::from(slot_of(&made) != slot_of(text));
            return made;
        }
        let start = start_of_drawn(text, &places);
        let mut made = self.parts(&text[..start]);
        match text[start..].is_ascii() {
            // All of its letters and digits are drawn.
            true => made.extend_from_slice(&text[start..]),
            false => made.extend(self.cipher.letters(&text[start..])),
        }
        let drawn: Vec<usize> = places.into_iter().filter(|at| *at >= start).collect();
        let slot = slot_of(text);
        for drawing in 0_u32.. {
            let draw = self.cipher.draw(b'd', &[text, &drawing.to_le_bytes()]);
            for (at, byte) in drawn.iter().zip(draw.iter().cycle()) {
                made[*at] = SYMBOLS[usize::from(*byte) % SYMBOLS.len()];
            }
            let fits = drawing > DRAWINGS || self.bring_to(slot, &mut made, &drawn, &draw[16..]);
            if fits && self.taken.insert(self.mark(space, &made)) {
                self.moved += u64::from(drawing > DRAWINGS);
                break;
            }
        }
        made
    }

    fn mark(&self, space: &[u8], made: &[u8]) -> u128 {
        let draw = self.cipher.draw(b't', &[space, made]);
        draw.first_chunk()
            .map_or(0, |chunk| u128::from_le_bytes(*chunk))
    }

    /// Changes the last three places so that the slot is right; false if no symbols there do that.
    fn bring_to(&mut self, slot: u16, made: &mut [u8], drawn: &[usize], draw: &[u8]) -> bool {
        let last = &drawn[drawn.len() - LAST..];
        let behind = [0, 1, 2].map(|place| made.len() - 1 - last[place]);
        if self.pairs.len() == TABLES_MAX && !self.pairs.contains_key(&behind) {
            self.pairs.clear();
        }
        let sums = self.pairs.entry(behind).or_insert_with(|| Sums::of(behind));
        last.iter().for_each(|at| made[*at] = 0);
        let rest = crc16(made);
        let from = usize::from(draw[0]);
        for turn in 0..SYMBOLS.len() {
            let symbol = (from + turn) % SYMBOLS.len();
            let with = rest ^ sums.first[symbol];
            // Only 14 of the 16 bits of the checksum are the slot.
            for high in 0..4_u16 {
                let above = (high + u16::from(draw[1])) % 4;
                let needed = with ^ (slot | above << 14);
                let two = &sums.others[usize::from(needed)];
                if let Some([a, b]) = two.get(usize::from(draw[2]) % two.len().max(1)) {
                    made[last[0]] = SYMBOLS[symbol];
                    (made[last[1]], made[last[2]]) = (*a, *b);
                    return true;
                }
            }
        }
        false
    }
}

impl Sums {
    fn of(behind: [usize; LAST]) -> Sums {
        let [first, a, b] = behind.map(|behind| SYMBOLS.map(|symbol| alone(symbol, behind)));
        let mut others = vec![Vec::new(); 1 << u16::BITS];
        for (x, one) in SYMBOLS.iter().zip(a) {
            for (y, two) in SYMBOLS.iter().zip(b) {
                others[usize::from(one ^ two)].push([*x, *y]);
            }
        }
        Sums { first, others }
    }
}

/// Where the part that is drawn begins: behind a separator, with at least as many places as [`DRAWN`] or all there are.
fn start_of_drawn(text: &[u8], places: &[usize]) -> usize {
    let needed = places[places.len().saturating_sub(DRAWN)];
    (1..=needed)
        .rev()
        .find(|at| !text[at - 1].is_ascii_alphanumeric())
        .unwrap_or(0)
}

/// What one symbol adds to the checksum with so many bytes behind it.
fn alone(symbol: u8, behind: usize) -> u16 {
    let mut bytes = vec![0; behind + 1];
    bytes[0] = symbol;
    crc16(&bytes)
}

/// Where the tag of a key begins and ends, if it has one.
fn tag(key: &[u8]) -> Option<(usize, usize)> {
    let open = key.iter().position(|byte| *byte == b'{')? + 1;
    let length = key[open..].iter().position(|byte| *byte == b'}')?;
    (length > 0).then_some((open, open + length))
}

/// The slot of a text all of which counts: a tag has no tag in it, and a key without one counts whole.
fn slot_of(text: &[u8]) -> u16 {
    crc16(text) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_format::crc16::key_slot;

    #[test]
    fn keys_stay_in_their_slots_and_apart() {
        let cipher = Cipher::new(b"key");
        let mut keys = Keys::new(&cipher);
        let mut made = HashSet::new();
        let mut count = 0;
        let texts = (0..4000).flat_map(|i| {
            [
                format!("user:{i}:name"),
                format!("{i}"),
                format!("a{{t{}}}:{i}", i % 7),
                format!("x:{i:05}"),
            ]
        });
        for text in texts {
            let pseudonym = keys.key(0, text.as_bytes());
            assert_eq!(pseudonym.len(), text.len());
            assert_eq!(key_slot(&pseudonym), key_slot(text.as_bytes()), "{text}");
            assert!(made.insert(pseudonym), "{text} is not alone");
            count += 1;
        }
        assert_eq!((made.len(), keys.moved), (count, 0));
        // One or two letters and digits are too few: 0 to 99, and the tags t0 to t6.
        assert_eq!(keys.kept, 107);
    }

    #[test]
    fn what_keys_share_at_their_front_they_still_share() {
        let cipher = Cipher::new(b"key");
        let mut keys = Keys::new(&cipher);
        let made = [
            &b"user:17:namesake"[..],
            b"user:17:mailaddress",
            b"user:18:namesake",
            b"user:{17}:x",
            b"user:{17}:y",
        ]
        .map(|key| keys.key(0, key));
        let front = |key: &[u8], parts: usize| {
            key.split(|byte| *byte == b':')
                .take(parts)
                .map(<[u8]>::to_vec)
                .collect::<Vec<_>>()
        };
        assert_eq!(front(&made[0], 2), front(&made[1], 2));
        assert_eq!(front(&made[0], 1), front(&made[2], 1));
        assert_ne!(front(&made[0], 2), front(&made[2], 2));
        assert_ne!(made[0][..4], b"user"[..]);
        assert_eq!(made[3][..9], made[4][..9]);
    }
}
