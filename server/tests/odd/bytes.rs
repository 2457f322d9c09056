//! Bytes as a snapshot has them, but in any form that can be decoded: lengths longer than they need to be, strings as
//! integers or compressed.

use cairn_format::text::number::parse_i64;

use crate::support::Dice;

/// Oddities about which the two are known to differ.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traits {
    /// Numbers of a stream node are in wider forms than they need, or texts.
    pub wide_node: bool,
    /// A zipmap has no fields.
    pub empty_zipmap: bool,
}

/// Bytes under way, and the dice that choose their forms.
pub struct Odd<'d> {
    /// What decides.
    pub dice: &'d mut Dice,
    /// What is there so far.
    pub out: Vec<u8>,
    /// Entries of listpacks have their usual forms.
    pub usual: bool,
    /// What is in it.
    pub traits: Traits,
}

impl<'d> Odd<'d> {
    /// Nothing yet.
    pub fn new(dice: &'d mut Dice) -> Odd<'d> {
        Odd {
            dice,
            out: Vec::new(),
            usual: false,
            traits: Traits::default(),
        }
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: u64) -> bool {
        self.dice.below(n) == 0
    }

    /// One of these.
    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.dice.below(all.len() as u64) as usize]
    }

    /// A length in any form that holds it, mostly the shortest.
    pub fn len(&mut self, n: u64) {
        let fitting = match n {
            0..64 => 0,
            64..16_384 => 1,
            16_384..=0xffff_ffff => 2,
            _ => 3,
        };
        let form = match self.once_in(4) {
            true => fitting + self.dice.below(4 - fitting),
            false => fitting,
        };
        match form {
            0 => self.out.push(n as u8),
            1 => self
                .out
                .extend_from_slice(&(n as u16 | 0x4000).to_be_bytes()),
            2 => {
                self.out.push(0x80);
                self.out.extend_from_slice(&(n as u32).to_be_bytes());
            }
            _ => {
                self.out.push(0x81);
                self.out.extend_from_slice(&n.to_be_bytes());
            }
        }
    }

    /// A string in any form that gives these bytes.
    pub fn string(&mut self, bytes: &[u8]) {
        let number = parse_i64(bytes).filter(|n| n.to_string().as_bytes() == bytes);
        match self.dice.below(4) {
            0 if number.is_some_and(|n| i32::try_from(n).is_ok()) => {
                self.integer(number.expect("it was looked at") as i32);
            }
            1 if !bytes.is_empty() => self.compressed(bytes),
            _ => {
                self.len(bytes.len() as u64);
                self.out.extend_from_slice(bytes);
            }
        }
    }

    /// An integer in the place of a string, in any width that holds it.
    fn integer(&mut self, n: i32) {
        let fitting = match n {
            -128..=127 => 0,
            -32_768..=32_767 => 1,
            _ => 2,
        };
        let form = fitting + self.dice.below(3 - fitting);
        self.out.push(0xc0 | form as u8);
        self.out.extend_from_slice(&n.to_le_bytes()[..1 << form]);
    }

    /// LZF that only quotes, or a reference where a byte repeats itself.
    fn compressed(&mut self, bytes: &[u8]) {
        let mut packed = Vec::new();
        let repeats = bytes.len() >= 4 && bytes.iter().all(|byte| *byte == bytes[0]);
        if repeats && bytes.len() <= 8 {
            packed.extend_from_slice(&[0, bytes[0]]);
            // Length minus two in three bits, distance minus one in thirteen.
            packed.extend_from_slice(&[((bytes.len() - 3) << 5) as u8, 0]);
        } else {
            for run in bytes.chunks(1 + self.dice.below(32) as usize) {
                packed.push(run.len() as u8 - 1);
                packed.extend_from_slice(run);
            }
        }
        self.out.push(0xc3);
        self.len(packed.len() as u64);
        self.len(bytes.len() as u64);
        self.out.extend_from_slice(&packed);
    }

    /// A word: a number, a short or a long text, or nothing.
    pub fn word(&mut self) -> Vec<u8> {
        let n = self.dice.below(1 << 40) as i64;
        match self.dice.below(12) {
            0 => Vec::new(),
            1 => (n & 0x7f).to_string().into_bytes(),
            2 => (-(n & 0xfff)).to_string().into_bytes(),
            3 => (n & 0xffff).to_string().into_bytes(),
            4 => n.to_string().into_bytes(),
            5 => i64::MIN.to_string().into_bytes(),
            6 => format!("0{n}").into_bytes(),
            7 => vec![b'r'; 4 + (n & 3) as usize],
            8 => vec![n as u8; 70 + (n & 0xff) as usize],
            _ => format!("w{}", n & 0xff).into_bytes(),
        }
    }

    /// Different words.
    pub fn words(&mut self, most: u64) -> Vec<Vec<u8>> {
        let mut all: Vec<Vec<u8>> = Vec::new();
        for _ in 0..self.dice.below(most + 1) {
            let word = self.word();
            if !all.contains(&word) {
                all.push(word);
            }
        }
        all
    }
}
