//! Packed values whose entries are in any form that can be decoded: integers wider than they need to be or as text, texts
//! with long lengths, counts that say "unknown".

use cairn_format::text::number::parse_i64;

use super::bytes::Odd;

impl Odd<'_> {
    /// The bytes of a listpack.
    pub fn listpack(&mut self, words: &[Vec<u8>]) -> Vec<u8> {
        let mut pack = vec![0; 6];
        for word in words {
            let entry = self.listpack_entry(word);
            let len = entry.len();
            pack.extend_from_slice(&entry);
            pack.extend_from_slice(&back_length(len));
        }
        pack.push(0xff);
        let total = pack.len() as u32;
        pack[..4].copy_from_slice(&total.to_le_bytes());
        let count = match self.once_in(4) {
            true => u16::MAX,
            false => words.len() as u16,
        };
        pack[4..6].copy_from_slice(&count.to_le_bytes());
        pack
    }

    fn listpack_entry(&mut self, word: &[u8]) -> Vec<u8> {
        let number = parse_i64(word).filter(|n| n.to_string().as_bytes() == word);
        if let Some(n) = number
            && (self.usual || !self.once_in(8))
        {
            let fitting = match n {
                0..=127 => 0,
                -4096..=4095 => 1,
                -32_768..=32_767 => 2,
                -8_388_608..=8_388_607 => 3,
                -2_147_483_648..=2_147_483_647 => 4,
                _ => 5,
            };
            let form = match !self.usual && self.once_in(3) {
                true => fitting + self.dice.below(6 - fitting),
                false => fitting,
            };
            let bytes = n.to_le_bytes();
            return match form {
                0 => vec![n as u8],
                1 => ((n as u16 & 0x1fff) | 0xc000).to_be_bytes().to_vec(),
                2 => [&[0xf1], &bytes[..2]].concat(),
                3 => [&[0xf2], &bytes[..3]].concat(),
                4 => [&[0xf3], &bytes[..4]].concat(),
                _ => [&[0xf4], &bytes[..]].concat(),
            };
        }
        let fitting = match word.len() {
            0..64 => 0,
            64..4096 => 1,
            _ => 2,
        };
        let head = match fitting + self.dice.below(3 - fitting) {
            0 => vec![0x80 | word.len() as u8],
            1 => (word.len() as u16 | 0xe000).to_be_bytes().to_vec(),
            _ => [&[0xf0], &(word.len() as u32).to_le_bytes()[..]].concat(),
        };
        [&head, word].concat()
    }

    /// The bytes of a ziplist.
    pub fn ziplist(&mut self, words: &[Vec<u8>]) -> Vec<u8> {
        let mut pack = vec![0; 10];
        let (mut before, mut tail) = (0_usize, 10_usize);
        for word in words {
            let at = pack.len();
            tail = at;
            if before < 254 && !self.once_in(6) {
                pack.push(before as u8);
            } else {
                pack.push(254);
                pack.extend_from_slice(&(before as u32).to_le_bytes());
            }
            let entry = self.ziplist_entry(word);
            pack.extend_from_slice(&entry);
            before = pack.len() - at;
        }
        pack.push(0xff);
        let total = pack.len() as u32;
        pack[..4].copy_from_slice(&total.to_le_bytes());
        pack[4..8].copy_from_slice(&(tail as u32).to_le_bytes());
        let count = match self.once_in(4) {
            true => u16::MAX,
            false => words.len() as u16,
        };
        pack[8..10].copy_from_slice(&count.to_le_bytes());
        pack
    }

    fn ziplist_entry(&mut self, word: &[u8]) -> Vec<u8> {
        let number = parse_i64(word).filter(|n| n.to_string().as_bytes() == word);
        if let Some(n) = number
            && !self.once_in(8)
        {
            let bytes = n.to_le_bytes();
            let forms: &[(i64, i64, u8, usize)] = &[
                (0, 12, 0xf1, 0),
                (-128, 127, 0xfe, 1),
                (-32_768, 32_767, 0xc0, 2),
                (-8_388_608, 8_388_607, 0xf0, 3),
                (-2_147_483_648, 2_147_483_647, 0xd0, 4),
                (i64::MIN, i64::MAX, 0xe0, 8),
            ];
            let fitting: Vec<_> = forms
                .iter()
                .filter(|(min, max, ..)| (*min..=*max).contains(&n))
                .copied()
                .collect();
            let (_, _, head, width) = self.one_of(&fitting);
            return match width {
                0 => vec![head + n as u8],
                _ => [&[head], &bytes[..width]].concat(),
            };
        }
        let fitting = match word.len() {
            0..64 => 0,
            64..16_384 => 1,
            _ => 2,
        };
        let head = match fitting + self.dice.below(3 - fitting) {
            0 => vec![word.len() as u8],
            1 => (word.len() as u16 | 0x4000).to_be_bytes().to_vec(),
            _ => [&[0x80], &(word.len() as u32).to_be_bytes()[..]].concat(),
        };
        [&head, word].concat()
    }

    /// The bytes of an intset of different numbers, in any width that holds them.
    pub fn intset(&mut self, numbers: &mut Vec<i64>) -> Vec<u8> {
        numbers.sort_unstable();
        numbers.dedup();
        let holds = |width: u32| {
            numbers.iter().all(|n| {
                let shift = 64 - 8 * width;
                n << shift >> shift == *n
            })
        };
        let widths: Vec<u32> = [2, 4, 8]
            .into_iter()
            .filter(|width| holds(*width))
            .collect();
        let width = self.one_of(&widths);
        let mut pack = [width.to_le_bytes(), (numbers.len() as u32).to_le_bytes()].concat();
        for number in numbers.iter() {
            pack.extend_from_slice(&number.to_le_bytes()[..width as usize]);
        }
        pack
    }

    /// The bytes of a zipmap: lengths in either form, free bytes behind values.
    pub fn zipmap(&mut self, pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        let mut pack = vec![match self.once_in(4) {
            true => 254,
            false => pairs.len() as u8,
        }];
        for (name, value) in pairs {
            self.zipmap_len(&mut pack, name.len());
            pack.extend_from_slice(name);
            self.zipmap_len(&mut pack, value.len());
            let free = self.dice.below(4) as usize;
            pack.push(free as u8);
            pack.extend_from_slice(value);
            pack.extend_from_slice(&[0x55, 0xff, 0x00][..free]);
        }
        pack.push(0xff);
        pack
    }

    fn zipmap_len(&mut self, pack: &mut Vec<u8>, len: usize) {
        if len < 254 {
            pack.push(len as u8);
        } else {
            pack.push(254);
            pack.extend_from_slice(&(len as u32).to_le_bytes());
        }
    }
}

/// The length of an entry, readable from behind.
fn back_length(len: usize) -> Vec<u8> {
    let mut groups = vec![(len & 0x7f) as u8];
    let mut rest = len >> 7;
    while rest > 0 {
        groups.push((rest & 0x7f) as u8);
        rest >>= 7;
    }
    groups.reverse();
    for group in &mut groups[1..] {
        *group |= 0x80;
    }
    groups
}
