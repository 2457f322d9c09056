//! The extent of a command that stands in a snapshot as a client would send it.
//!
//! ```text
//!   f2   *2\r\n   $3\r\nDEL\r\n   $1\r\nk\r\n          DEL k, in Valkey's version 81
//! ```
//!
//! Its length is not told, so its arguments are walked over.

use super::{Scan, Source};
use crate::error::{Damage, Result};

/// Digits that a number may have.
const DIGITS_MAX: usize = 10;

impl<S: Source> Scan<'_, S> {
    /// A command with its arguments.
    pub fn command(&mut self) -> Result<()> {
        let start = self.at;
        let count = self.line_of(b'*', "number of arguments")?;
        if count == 0 {
            return Err(self.error_at(start, Damage::Encoding, "a command without a name"));
        }
        for _ in 0..count {
            let len = self.line_of(b'$', "length of an argument")?;
            self.skip(len, "argument")?;
            self.line_end("argument")?;
        }
        Ok(())
    }

    /// A number in a line of its own, behind this mark.
    fn line_of(&mut self, mark: u8, what: &str) -> Result<u64> {
        let start = self.at;
        let wrong = |scan: &Self| {
            let mark = char::from(mark);
            scan.error_at(
                start,
                Damage::Encoding,
                format!("{what}: `{mark}` and a number expected"),
            )
        };
        if self.byte(what)? != mark {
            return Err(wrong(self));
        }
        let (mut number, mut digits) = (0_u64, 0);
        loop {
            match self.byte(what)? {
                digit @ b'0'..=b'9' if digits < DIGITS_MAX => {
                    number = number * 10 + u64::from(digit - b'0');
                    digits += 1;
                }
                b'\r' if digits > 0 => break,
                _ => return Err(wrong(self)),
            }
        }
        match self.byte(what)? {
            b'\n' => Ok(number),
            _ => Err(wrong(self)),
        }
    }

    fn line_end(&mut self, what: &str) -> Result<()> {
        let start = self.at;
        match self.array(what)? {
            [b'\r', b'\n'] => Ok(()),
            _ => Err(self.error_at(
                start,
                Damage::Encoding,
                format!("{what}: no end of its line behind it"),
            )),
        }
    }
}
