//! Formats of `struct`: the codes one after the other, and what they say of those that follow.

use crate::libraries::arguments;
use crate::raw::{Raise, Stack};

/// Most bytes of a whole number.
const INTEGER_MAX: usize = 32;

/// The largest alignment of what C has.
const ALIGN_NATIVE: usize = 8;

/// Where in a format one is, and what it has said of what follows.
pub(super) struct Format {
    text: Vec<u8>,
    at: usize,
    pub(super) is_big: bool,
    align: usize,
}

/// A code and how many bytes it takes; 0 if that is not said by the code.
pub(super) struct Item {
    pub(super) code: u8,
    pub(super) size: usize,
}

impl Format {
    /// The first argument: a text that ends at a zero byte.
    pub(super) fn argument(stack: &mut Stack) -> Result<Format, Raise> {
        let mut text = arguments::text(stack, 1)?.into_owned();
        if let Some(end) = text.iter().position(|&byte| byte == 0) {
            text.truncate(end);
        }
        Ok(Format {
            text,
            at: 0,
            is_big: false,
            align: 1,
        })
    }

    pub(super) fn next(&mut self) -> Result<Option<Item>, Raise> {
        let Some(&code) = self.text.get(self.at) else {
            return Ok(None);
        };
        self.at += 1;
        let size = match code {
            b'b' | b'B' | b'x' => 1,
            b'h' | b'H' => 2,
            b'f' => 4,
            b'l' | b'L' | b'T' | b'd' => 8,
            b'c' => self.digits(1)?,
            b'i' | b'I' => {
                let size = self.digits(4)?;
                if size > INTEGER_MAX {
                    return Err(Raise::here(format!(
                        "integral size {size} is larger than limit of {INTEGER_MAX}"
                    )));
                }
                size
            }
            _ => 0,
        };
        Ok(Some(Item { code, size }))
    }

    /// The number at this place, which may be left out.
    fn digits(&mut self, default: usize) -> Result<usize, Raise> {
        let rest = &self.text[self.at..];
        let end = rest.iter().position(|byte| !byte.is_ascii_digit());
        let digits = &rest[..end.unwrap_or(rest.len())];
        if digits.is_empty() {
            return Ok(default);
        }
        self.at += digits.len();
        let number = digits.iter().try_fold(0i32, |number, digit| {
            number.checked_mul(10)?.checked_add(i32::from(digit - b'0'))
        });
        let number = number.ok_or_else(|| Raise::here("integral size overflow"))?;
        Ok(number as usize)
    }

    /// Bytes to leave out so that an item begins where it must. The size is used as a mask, a power of two or not.
    pub(super) fn padding(&self, position: usize, item: &Item) -> usize {
        if item.size == 0 || item.code == b'c' {
            return 0;
        }
        let size = item.size.min(self.align);
        size.wrapping_sub(position & (size - 1)) & (size - 1)
    }

    /// Does what a code says that stands for no value.
    pub(super) fn control(&mut self, stack: &mut Stack, code: u8) -> Result<(), Raise> {
        match code {
            b' ' => {}
            b'<' => self.is_big = false,
            b'>' => self.is_big = true,
            b'!' => {
                let align = self.digits(ALIGN_NATIVE)?;
                if !align.is_power_of_two() {
                    let text = format!("alignment {align} is not a power of 2");
                    return Err(Raise::here(text));
                }
                self.align = align;
            }
            _ => {
                let what = [b"invalid format option '", &[code][..], b"'"].concat();
                return Err(stack.bad_argument(1, what));
            }
        }
        Ok(())
    }

    /// Bytes in the order of the format.
    pub(super) fn ordered<const N: usize>(&self, mut little: [u8; N]) -> [u8; N] {
        if self.is_big {
            little.reverse();
        }
        little
    }
}
