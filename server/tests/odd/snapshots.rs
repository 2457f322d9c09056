//! Whole snapshots: attributes in any place and number, hints and databases that say anything, old versions.

use cairn_format::crc64::crc64;

use super::bytes::{Odd, Traits};
use super::values::TYPES;
use crate::support::Dice;

/// Milliseconds of a time that is far off, and of one long gone.
const LATER: u64 = 4_102_444_800_000;
const GONE: u64 = 1_000_000_000_000;

/// A payload for RESTORE, and what is in it.
pub fn payload(seed: u64) -> (Vec<u8>, Traits) {
    let mut dice = Dice::new(seed);
    let mut odd = Odd::new(&mut dice);
    let kind = odd.one_of(&TYPES);
    odd.out.push(kind);
    odd.value(kind);
    let version = odd.dice.below(11) as u16;
    let (mut payload, traits) = (odd.out, odd.traits);
    payload.extend_from_slice(&version.to_le_bytes());
    let sum = crc64(&payload);
    payload.extend_from_slice(&sum.to_le_bytes());
    (payload, traits)
}

/// A snapshot, and what is in it.
pub fn file(seed: u64) -> (Vec<u8>, Traits) {
    let mut dice = Dice::new(seed);
    let mut odd = Odd::new(&mut dice);
    let version = 1 + odd.dice.below(10);
    odd.out = format!("REDIS{version:04}").into_bytes();
    for number in 0..1 + odd.dice.below(12) {
        odd.between();
        let mut attributes = odd.dice.below(4);
        while attributes > 0 {
            odd.attribute();
            if odd.once_in(4) {
                odd.between();
            }
            attributes -= 1;
        }
        let kind = odd.one_of(&TYPES);
        odd.out.push(kind);
        odd.string(format!("key:{number}:type:{kind}").as_bytes());
        odd.value(kind);
    }
    odd.between();
    if odd.once_in(4) {
        odd.attribute();
    }
    odd.out.push(0xff);
    if version >= 5 {
        let sum = match odd.once_in(4) {
            true => 0,
            false => crc64(&odd.out),
        };
        odd.out.extend_from_slice(&sum.to_le_bytes());
    }
    if odd.once_in(4) {
        let behind = odd.word();
        odd.out.extend_from_slice(&behind);
    }
    (odd.out, odd.traits)
}

impl Odd<'_> {
    /// An expiry, an idle time or a frequency.
    fn attribute(&mut self) {
        match self.dice.below(4) {
            0 => {
                let at = self.one_of(&[LATER, LATER, GONE]);
                self.out.push(0xfc);
                self.out.extend_from_slice(&at.to_le_bytes());
            }
            1 => {
                let at = self.one_of(&[2_000_000_000_u32, 1_000_000_000]);
                self.out.push(0xfd);
                self.out.extend_from_slice(&at.to_le_bytes());
            }
            2 => {
                self.out.push(0xf8);
                let idle = self.dice.below(1 << 20);
                self.len(idle);
            }
            _ => {
                let frequency = self.dice.below(256) as u8;
                self.out.extend_from_slice(&[0xf9, frequency]);
            }
        }
    }

    /// Opcodes that belong to no key.
    fn between(&mut self) {
        for _ in 0..self.dice.below(3) {
            match self.dice.below(3) {
                0 => {
                    self.out.push(0xfa);
                    let name = self.one_of(&["ctime", "x", "used-mem", "repl-id"]);
                    self.string(name.as_bytes());
                    let value = match name {
                        "ctime" | "used-mem" => self.dice.below(1 << 30).to_string().into_bytes(),
                        _ => self.word(),
                    };
                    self.string(&value);
                }
                1 => {
                    self.out.push(0xfb);
                    let hints = (self.dice.below(100), self.dice.below(100));
                    self.len(hints.0);
                    self.len(hints.1);
                }
                _ => {
                    self.out.push(0xfe);
                    let db = self.dice.below(16);
                    self.len(db);
                }
            }
        }
    }
}
