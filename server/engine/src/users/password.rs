//! Passwords are kept as digests.

use sha2::{Digest as _, Sha256};

/// SHA-256 of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Of a password in clear.
    pub fn of(password: &[u8]) -> Digest {
        Digest(Sha256::digest(password).into())
    }

    /// From 64 lower-case hexadecimal digits.
    pub fn parse(digits: &[u8]) -> Option<Digest> {
        if digits.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            *byte = value_of(pair[0])? << 4 | value_of(pair[1])?;
        }
        Some(Digest(bytes))
    }

    /// As such digits.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether both are of the same password. Compared whole, so that the time taken tells nothing of where they differ.
    pub fn fits(&self, other: &Digest) -> bool {
        let differ = self.0.iter().zip(other.0).fold(0, |d, (a, b)| d | (a ^ b));
        differ == 0
    }
}

fn value_of(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}
