//! Values of every type that 7.0 reads, made odd in ways that can be decoded: empty, out of order, with wrong counters.

use super::bytes::Odd;

/// Type bytes that 7.0.15 reads, but for those of modules.
pub const TYPES: [u8; 17] = [0, 1, 2, 3, 4, 5, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19];

impl Odd<'_> {
    /// A value of a type, without its type byte.
    pub fn value(&mut self, kind: u8) {
        match kind {
            0 => {
                let word = self.word();
                self.string(&word);
            }
            1 => {
                let mut words = self.words(8);
                words.extend(words.clone());
                self.strings(&words);
            }
            2 => {
                let words = self.words(8);
                self.strings(&words);
            }
            3 | 5 => self.plain_scores(kind == 3),
            4 => {
                let pairs = self.pairs();
                self.len(pairs.len() as u64);
                for (name, value) in pairs {
                    self.string(&name);
                    self.string(&value);
                }
            }
            9 => {
                let pairs = self.pairs();
                self.traits.empty_zipmap |= pairs.is_empty();
                let pack = self.zipmap(&pairs);
                self.string(&pack);
            }
            10 => {
                let words = self.words(8);
                let pack = self.ziplist(&words);
                self.string(&pack);
            }
            11 => {
                let mut numbers = self.numbers();
                let pack = self.intset(&mut numbers);
                self.string(&pack);
            }
            12 | 17 => self.packed_scores(kind == 12),
            13 | 16 => {
                let words: Vec<Vec<u8>> =
                    self.pairs().into_iter().flat_map(|(a, b)| [a, b]).collect();
                let pack = match kind {
                    13 => self.ziplist(&words),
                    _ => self.listpack(&words),
                };
                self.string(&pack);
            }
            14 | 18 => self.quicklist(kind == 14),
            _ => self.stream(kind == 19),
        }
    }

    fn strings(&mut self, words: &[Vec<u8>]) {
        self.len(words.len() as u64);
        words.iter().for_each(|word| self.string(word));
    }

    fn pairs(&mut self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let names = self.words(6);
        names.into_iter().map(|name| (name, self.word())).collect()
    }

    fn numbers(&mut self) -> Vec<i64> {
        let count = 1 + self.dice.below(6);
        (0..count)
            .map(|_| {
                let bits = 1 + self.dice.below(62);
                let n = self.dice.below(1 << bits) as i64;
                if self.once_in(2) { n } else { -n }
            })
            .collect()
    }

    fn score(&mut self) -> f64 {
        match self.dice.below(6) {
            0 => f64::INFINITY,
            1 => f64::NEG_INFINITY,
            2 => self.dice.below(1 << 40) as f64 / 8.0,
            3 => -(self.dice.below(1000) as f64),
            _ => self.dice.below(10) as f64,
        }
    }

    fn plain_scores(&mut self, text: bool) {
        let members = self.words(6);
        self.len(members.len() as u64);
        for member in members {
            self.string(&member);
            let score = self.score();
            if !text {
                self.out.extend_from_slice(&score.to_le_bytes());
            } else if score == f64::INFINITY {
                self.out.push(254);
            } else if score == f64::NEG_INFINITY {
                self.out.push(255);
            } else {
                let digits = match self.once_in(3) {
                    true => format!("{score:.17}"),
                    false => format!("{score}"),
                };
                self.out.push(digits.len() as u8);
                self.out.extend_from_slice(digits.as_bytes());
            }
        }
    }

    fn packed_scores(&mut self, zip: bool) {
        let members = self.words(6);
        let mut scored: Vec<(f64, Vec<u8>)> =
            members.into_iter().map(|m| (self.score(), m)).collect();
        scored.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
        let words: Vec<Vec<u8>> = scored
            .into_iter()
            .flat_map(|(score, member)| {
                let score = match score.is_infinite() {
                    true => if score > 0.0 { "inf" } else { "-inf" }.to_string(),
                    false => score.to_string(),
                };
                [member, score.into_bytes()]
            })
            .collect();
        let pack = match zip {
            true => self.ziplist(&words),
            false => self.listpack(&words),
        };
        self.string(&pack);
    }

    fn quicklist(&mut self, zip: bool) {
        let nodes = self.dice.below(4);
        self.len(nodes);
        for _ in 0..nodes {
            let words = self.words(5);
            if zip {
                let pack = self.ziplist(&words);
                self.string(&pack);
            } else if self.once_in(3) {
                self.len(1);
                let word = [self.word(), b"p".to_vec()].concat();
                self.string(&word);
            } else {
                self.len(2);
                let pack = self.listpack(&words);
                self.string(&pack);
            }
        }
    }

    /// A stream whose nodes are in order, with a group; its counters say anything.
    fn stream(&mut self, second: bool) {
        let nodes = self.dice.below(3);
        self.len(nodes);
        let (mut ids, mut ms) = (Vec::new(), 0);
        for _ in 0..nodes {
            ms += 1 + self.dice.below(100);
            let id = [ms.to_be_bytes(), 0_u64.to_be_bytes()].concat();
            self.string(&id);
            let mut words: Vec<Vec<u8>> = Vec::new();
            let mut push = |n: u64| words.push(n.to_string().into_bytes());
            let live = 1 + self.dice.below(3);
            // Live, deleted, one field of the master entry, and its end.
            [live, 0, 1].into_iter().for_each(&mut push);
            words.push(b"f".to_vec());
            words.push(b"0".to_vec());
            for seq in 0..live {
                ids.push((ms, seq));
                let value = self.word();
                words.push(b"2".to_vec());
                words.push(b"0".to_vec());
                words.push(seq.to_string().into_bytes());
                words.push(value);
                words.push(b"4".to_vec());
            }
            self.usual = !self.once_in(10);
            self.traits.wide_node |= !self.usual;
            let pack = self.listpack(&words);
            self.usual = false;
            self.string(&pack);
        }
        let count = ids.len() as u64;
        let length = match nodes > 0 && self.once_in(3) {
            true => self.dice.below(9),
            false => count,
        };
        self.len(length);
        let last = ids.last().copied().unwrap_or((ms, 0));
        self.len(last.0);
        self.len(last.1);
        if second {
            let first = ids.first().copied().unwrap_or((0, 0));
            for number in [first.0, first.1, 0, 0, length.max(count)] {
                self.len(number);
            }
        }
        self.groups(&ids, second);
    }

    fn groups(&mut self, ids: &[(u64, u64)], second: bool) {
        let groups = self.dice.below(3);
        self.len(groups);
        for number in 0..groups {
            self.string(format!("g{number}").as_bytes());
            let last = ids.last().copied().unwrap_or((0, 0));
            self.len(last.0);
            self.len(last.1);
            if second {
                self.len(ids.len() as u64);
            }
            let pending = &ids[..self.dice.below(ids.len() as u64 + 1) as usize];
            let raw = |id: &(u64, u64)| [id.0.to_be_bytes(), id.1.to_be_bytes()].concat();
            self.len(pending.len() as u64);
            for id in pending {
                self.out.extend_from_slice(&raw(id));
                self.out
                    .extend_from_slice(&1_700_000_000_000_u64.to_le_bytes());
                let deliveries = self.dice.below(5);
                self.len(deliveries);
            }
            let idle = self.dice.below(2);
            self.len(idle + 1);
            for consumer in 0..=idle {
                self.string(format!("c{consumer}").as_bytes());
                self.out
                    .extend_from_slice(&1_700_000_000_000_u64.to_le_bytes());
                let owned = if consumer == 0 { pending } else { &[] };
                self.len(owned.len() as u64);
                for id in owned {
                    self.out.extend_from_slice(&raw(id));
                }
            }
        }
    }
}
