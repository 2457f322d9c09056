//! From values to JSON. Tables in tables are kept in a list, not on the machine's stack: scripts may allow thousands of levels.

use super::settings::{Setting, Settings};
use crate::libraries::number::push_general;
use crate::raw::{Kind, Raise, Stack};

/// `encode(value)`
pub(super) fn encode(stack: &mut Stack) -> Result<usize, Raise> {
    super::expect_one_argument(stack)?;
    let mut writer = Writer {
        settings: Settings::of(stack),
        out: Vec::with_capacity(128),
        room: stack.memory_left(),
        open: Vec::new(),
    };
    writer.write(stack)?;
    stack.push_bytes(&writer.out)?;
    Ok(1)
}

/// A table on the stack that is not written to its end; an object's last key is above it.
enum Open {
    Array { at: i32, len: i32 },
    Object { is_empty: bool },
}

struct Writer {
    settings: Settings,
    out: Vec<u8>,
    /// How long `out` may become.
    room: usize,
    open: Vec<Open>,
}

impl Writer {
    /// Writes the value on top and takes it away.
    fn write(&mut self, stack: &mut Stack) -> Result<(), Raise> {
        loop {
            if self.out.len() > self.room {
                return Err(Raise::plain("not enough memory"));
            }
            if stack.kind(-1) == Kind::Table {
                self.begin(stack)?;
            } else {
                self.scalar(stack)?;
                stack.pop(1);
            }
            if !self.advance(stack)? {
                return Ok(());
            }
        }
    }

    fn scalar(&mut self, stack: &mut Stack) -> Result<(), Raise> {
        match stack.kind(-1) {
            Kind::String => self.string(stack.bytes(-1).expect("it is one"))?,
            Kind::Number => self.number(stack.number(-1).expect("it is one"))?,
            Kind::Bool => {
                let text: &[u8] = if stack.truth(-1) { b"true" } else { b"false" };
                self.out.extend_from_slice(text);
            }
            Kind::Nil => self.out.extend_from_slice(b"null"),
            Kind::Light if stack.is_null(-1) => self.out.extend_from_slice(b"null"),
            _ => return Err(refuse(stack, -1, "type not supported")),
        }
        Ok(())
    }

    fn string(&mut self, text: &[u8]) -> Result<(), Raise> {
        // Of what could become too long with all bytes escaped, the length is looked at first.
        let left = self.room.saturating_sub(self.out.len());
        if text.len() > left / ESCAPE_MAX {
            let lens = text.iter().map(|byte| match ESCAPES[usize::from(*byte)] {
                0 => 1,
                b'u' => ESCAPE_MAX,
                _ => 2,
            });
            if lens.sum::<usize>() > left {
                return Err(Raise::plain("not enough memory"));
            }
        }
        push_string(&mut self.out, text);
        Ok(())
    }

    fn number(&mut self, number: f64) -> Result<(), Raise> {
        if !number.is_finite() {
            match self.settings.get(Setting::EncodeInvalid) {
                0 => {
                    let why = "must not be NaN or Inf";
                    return Err(Raise::here(format!("Cannot serialise number: {why}")));
                }
                1 if number.is_nan() => self.out.extend_from_slice(b"nan"),
                1 => push_general(&mut self.out, number, 1),
                _ => self.out.extend_from_slice(b"null"),
            }
            return Ok(());
        }
        let precision = self.settings.get(Setting::Precision) as usize;
        push_general(&mut self.out, number, precision);
        Ok(())
    }

    /// Begins the table on top.
    fn begin(&mut self, stack: &mut Stack) -> Result<(), Raise> {
        let depth = self.open.len() + 1;
        let is_deep = depth > self.settings.get(Setting::EncodeDepth) as usize;
        if is_deep || stack.reserve(3).is_err() {
            let text = format!("Cannot serialise, excessive nesting ({depth})");
            return Err(Raise::here(text));
        }
        match self.array_len(stack)? {
            0 => {
                self.out.push(b'{');
                stack.push_nil()?;
                self.open.push(Open::Object { is_empty: true });
            }
            len => {
                self.out.push(b'[');
                self.open.push(Open::Array { at: 0, len });
            }
        }
        Ok(())
    }

    /// The last index of the table on top, if that is an array and not empty; else 0.
    fn array_len(&self, stack: &mut Stack) -> Result<i32, Raise> {
        let (mut last, mut count) = (0, 0u64);
        let table = stack.top();
        let is_array = stack.all_fields(table, |stack| {
            let Some(index) = stack.number(-2).and_then(array_index) else {
                return Ok(false);
            };
            last = last.max(index);
            count += 1;
            Ok(true)
        })?;
        if !is_array {
            return Ok(0);
        }
        let setting = |setting| u64::from(self.settings.get(setting) as u32);
        let ratio = setting(Setting::SparseRatio);
        let end = last as u64;
        if ratio > 0 && end > count * ratio && end > setting(Setting::SparseSafe) {
            return match self.settings.get(Setting::SparseConvert) {
                0 => Err(refuse(stack, table, "excessively sparse array")),
                _ => Ok(0),
            };
        }
        Ok(last)
    }

    /// Pushes the value to write next and writes what is before it; false if all is written.
    fn advance(&mut self, stack: &mut Stack) -> Result<bool, Raise> {
        loop {
            match self.open.last_mut() {
                None => return Ok(false),
                Some(Open::Array { at, len }) if *at < *len => {
                    if *at > 0 {
                        self.out.push(b',');
                    }
                    *at += 1;
                    stack.get_index(-1, *at)?;
                    return Ok(true);
                }
                Some(Open::Array { .. }) => self.out.push(b']'),
                Some(Open::Object { is_empty }) => {
                    if stack.next(-2)? {
                        if !*is_empty {
                            self.out.push(b',');
                        }
                        *is_empty = false;
                        self.key(stack)?;
                        return Ok(true);
                    }
                    self.out.push(b'}');
                }
            }
            stack.pop(1);
            self.open.pop();
        }
    }

    /// The key below the value on top.
    fn key(&mut self, stack: &mut Stack) -> Result<(), Raise> {
        if let Some(text) = stack.bytes(-2) {
            self.string(text)?;
        } else if let Some(number) = stack.number(-2) {
            self.out.push(b'"');
            self.number(number)?;
            self.out.push(b'"');
        } else {
            let why = "table key must be a number or string";
            return Err(refuse(stack, -2, why));
        }
        self.out.push(b':');
        Ok(())
    }
}

/// The number as the index of an array, from 1; none beyond what Lua's functions count.
fn array_index(number: f64) -> Option<i32> {
    let index = number as i32;
    (index > 0 && f64::from(index) == number).then_some(index)
}

fn refuse(stack: &Stack, index: i32, why: &str) -> Raise {
    let kind = stack.kind(index).name();
    Raise::here(format!("Cannot serialise {kind}: {why}"))
}

/// Length of `\u0000`.
const ESCAPE_MAX: usize = 6;

/// What stands behind the backslash for a byte; `u`: its number in hexadecimal digits; 0: the byte stands for itself.
const ESCAPES: [u8; 256] = {
    let mut escapes = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        escapes[byte] = b'u';
        byte += 1;
    }
    escapes[0x7f] = b'u';
    escapes[0x08] = b'b';
    escapes[b'\t' as usize] = b't';
    escapes[b'\n' as usize] = b'n';
    escapes[0x0c] = b'f';
    escapes[b'\r' as usize] = b'r';
    escapes[b'"' as usize] = b'"';
    escapes[b'/' as usize] = b'/';
    escapes[b'\\' as usize] = b'\\';
    escapes
};

fn push_string(out: &mut Vec<u8>, text: &[u8]) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = rest
        .iter()
        .position(|&byte| ESCAPES[usize::from(byte)] != 0)
    {
        out.extend_from_slice(&rest[..at]);
        let byte = rest[at];
        match ESCAPES[usize::from(byte)] {
            b'u' => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', DIGITS[high], DIGITS[low]]);
            }
            escape => out.extend_from_slice(&[b'\\', escape]),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}
