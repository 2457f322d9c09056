//! `struct`: values in bytes as a format says, a code for each.
//!
//! ```text
//! b B  1 byte       l L  8 bytes         f  4 bytes, IEEE     s  up to a zero byte      < >  from here on little, big endian
//! h H  2 bytes      T    8 bytes         d  8 bytes, IEEE     cN N bytes                !N   from here on align to at most N
//! iN IN N bytes or 4, at most 32         x  one zero byte     c0 all, or as many as     ' '  nothing
//!                                                                the number before
//! ```
//! Small letters of whole numbers are those with a sign.

mod format;
mod integers;

use self::format::{Format, Item};
use super::{arguments, push_functions};
use crate::raw::{Kind, Native, Raise, Stack};

const FUNCTIONS: &[(&str, Native)] = &[("pack", pack), ("unpack", unpack), ("size", size)];

pub(super) fn open(stack: &mut Stack) -> Result<(), Raise> {
    push_functions(stack, FUNCTIONS)
}

/// Argument `n` of `pack`. What is missing is nil to Redis.
fn value(stack: &mut Stack, n: i32) -> Result<f64, Raise> {
    match n > stack.top() {
        true => Err(stack.bad_argument(n, "number expected, got nil")),
        false => arguments::number(stack, n),
    }
}

fn pack(stack: &mut Stack) -> Result<usize, Raise> {
    let mut format = Format::argument(stack)?;
    let mut out = Vec::new();
    let room = stack.memory_left();
    let mut n = 2;
    while let Some(item) = format.next()? {
        out.resize(out.len() + format.padding(out.len(), &item), 0);
        match item.code {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                let number = value(stack, n)?;
                integers::push(&mut out, number, item.size, format.is_big);
                n += 1;
            }
            b'x' => out.push(0),
            b'f' => {
                let number = value(stack, n)? as f32;
                out.extend_from_slice(&format.ordered(number.to_le_bytes()));
                n += 1;
            }
            b'd' => {
                let number = value(stack, n)?;
                out.extend_from_slice(&format.ordered(number.to_le_bytes()));
                n += 1;
            }
            b'c' | b's' => {
                push_string(stack, &mut out, n, &item)?;
                n += 1;
            }
            code => format.control(stack, code)?,
        }
        if out.len() > room {
            return Err(Raise::plain("not enough memory"));
        }
    }
    stack.push_bytes(&out)?;
    Ok(1)
}

fn push_string(stack: &mut Stack, out: &mut Vec<u8>, n: i32, item: &Item) -> Result<(), Raise> {
    if n > stack.top() {
        return Err(stack.bad_argument(n, "string expected, got nil"));
    }
    let text = arguments::text(stack, n)?;
    let taken = match item.size {
        0 => Some(&text[..]),
        size => text.get(..size),
    };
    let Some(taken) = taken else {
        // Redis counts on before it looks.
        drop(text);
        return Err(stack.bad_argument(n + 1, "string too short"));
    };
    out.extend_from_slice(taken);
    if item.code == b's' {
        out.push(0);
    }
    Ok(())
}

fn unpack(stack: &mut Stack) -> Result<usize, Raise> {
    let mut format = Format::argument(stack)?;
    // Data that is a number is pushed as a string, which is no third argument.
    while stack.kind(2) == Kind::Number && stack.top() < 3 {
        stack.push_nil()?;
    }
    let source = arguments::string(stack, 2)?;
    let start = arguments::optional_integer(stack, 3)?.unwrap_or(1);
    if start == 0 {
        return Err(stack.bad_argument(3, "offset must be 1 or greater"));
    }
    // A place before the data is one far behind it, as long as nothing is read there.
    let mut at = start.wrapping_sub(1) as usize;
    let base = stack.top();
    while let Some(item) = format.next()? {
        at = at.wrapping_add(format.padding(at, &item));
        expect(stack, source, at, item.size)?;
        if stack.reserve(2).is_err() {
            return Err(Raise::here("stack overflow (too many results)"));
        }
        let mut size = item.size;
        match item.code {
            b'x' => {}
            b'c' => {
                if size == 0 {
                    size = take_size(stack, base)?;
                    expect(stack, source, at, size)?;
                }
                stack.push_part(source, at..at + size)?;
            }
            b's' => {
                let rest = &stack.bytes(source).expect("it is one")[at..];
                let end = rest.iter().position(|&byte| byte == 0);
                let end = end.ok_or_else(|| Raise::here("unfinished string in data"))?;
                stack.push_part(source, at..at + end)?;
                size = end + 1;
            }
            code => {
                let data = stack.bytes(source).expect("it is one");
                match number(&format, code, &data[at..at + size]) {
                    Some(number) => stack.push_number(number)?,
                    None => format.control(stack, code)?,
                }
            }
        }
        at += size;
    }
    stack.push_number(at.wrapping_add(1) as i64 as f64)?;
    Ok((stack.top() - base) as usize)
}

/// An error if the data does not have so many bytes there.
fn expect(stack: &mut Stack, source: i32, at: usize, size: usize) -> Result<(), Raise> {
    let len = stack.bytes(source).map_or(0, <[u8]>::len);
    match size > len || at > len - size {
        true => Err(stack.bad_argument(2, "data string too short")),
        false => Ok(()),
    }
}

/// The number that a code says of its bytes, if it is such a code.
fn number(format: &Format, code: u8, field: &[u8]) -> Option<f64> {
    Some(match code {
        b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
            integers::read(field, format.is_big, code.is_ascii_lowercase())
        }
        b'f' => f64::from(f32::from_le_bytes(format.ordered(*field.first_chunk()?))),
        b'd' => f64::from_le_bytes(format.ordered(*field.first_chunk()?)),
        _ => return None,
    })
}

/// Takes the result before as the size of the string that follows.
fn take_size(stack: &mut Stack, base: i32) -> Result<usize, Raise> {
    let number = match stack.top() > base {
        true => stack.as_number(-1),
        false => None,
    };
    let number = number.ok_or_else(|| Raise::here("format 'c0' needs a previous size"))?;
    stack.pop(1);
    Ok(super::number::truncate_unsigned(number) as usize)
}

fn size(stack: &mut Stack) -> Result<usize, Raise> {
    let mut format = Format::argument(stack)?;
    let mut total = 0;
    while let Some(item) = format.next()? {
        total += format.padding(total, &item);
        match item.code {
            b's' => return Err(stack.bad_argument(1, "option 's' has no fixed size")),
            b'c' if item.size == 0 => {
                return Err(stack.bad_argument(1, "option 'c0' has no fixed size"));
            }
            // Letters that are no codes are not noticed.
            code if code.is_ascii_alphanumeric() => {}
            code => format.control(stack, code)?,
        }
        total += item.size;
    }
    stack.push_number(total as f64)?;
    Ok(1)
}
