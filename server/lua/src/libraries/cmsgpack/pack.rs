//! From values to MessagePack, each number and length in the shortest form.

use super::super::number::truncate;
use crate::raw::{Kind, Raise, Stack};

/// Tables in tables; what is deeper is written as nil.
const DEPTH_MAX: usize = 16;

/// What was written so far, and how long it may become.
struct Output {
    bytes: Vec<u8>,
    room: usize,
}

/// `pack(...)`: its arguments, one after the other.
pub(super) fn pack(stack: &mut Stack) -> Result<usize, Raise> {
    let count = stack.top();
    if count == 0 {
        return Err(stack.bad_argument(0, "MessagePack pack needs input."));
    }
    if stack.reserve(count).is_err() {
        return Err(stack.bad_argument(0, "Too many arguments for MessagePack pack."));
    }
    let mut out = Output {
        bytes: Vec::with_capacity(64),
        room: stack.memory_left(),
    };
    for n in 1..=count {
        value(stack, n, &mut out, 0)?;
    }
    stack.push_bytes(&out.bytes)?;
    Ok(1)
}

fn value(stack: &mut Stack, at: i32, out: &mut Output, depth: usize) -> Result<(), Raise> {
    out.expect_room(0)?;
    match stack.kind(at) {
        Kind::String => out.string(stack.bytes(at).expect("it is one"))?,
        Kind::Bool => out.bytes.push(if stack.truth(at) { 0xc3 } else { 0xc2 }),
        Kind::Number => out.number(stack.number(at).expect("it is one")),
        Kind::Table if depth < DEPTH_MAX => return table(stack, at, out, depth),
        _ => out.bytes.push(0xc0),
    }
    Ok(())
}

fn table(stack: &mut Stack, at: i32, out: &mut Output, depth: usize) -> Result<(), Raise> {
    let (count, is_array) = measure(stack, at)?;
    if is_array {
        out.head(count, 15, 0x90, [None, Some(0xdc), Some(0xdd)]);
        for n in 1..=count {
            stack.get_index(at, n as i32)?;
            value(stack, stack.top(), out, depth + 1)?;
            stack.pop(1);
        }
        return Ok(());
    }
    out.head(count, 15, 0x80, [None, Some(0xde), Some(0xdf)]);
    stack.for_each(at, |stack| {
        let field = stack.top();
        value(stack, field - 1, out, depth + 1)?;
        value(stack, field, out, depth + 1)
    })
}

/// How many fields a table has, and whether they are an array: the keys are 1 to their number.
fn measure(stack: &mut Stack, at: i32) -> Result<(usize, bool), Raise> {
    let (mut count, mut last, mut is_array) = (0, 0, true);
    stack.for_each(at, |stack| {
        count += 1;
        match stack.number(-2) {
            Some(key) if is_array && key > 0.0 && f64::from(key as i32) == key => {
                last = last.max(key as usize);
            }
            _ => is_array = false,
        }
        Ok(())
    })?;
    Ok((count, is_array && last == count))
}

impl Output {
    /// A length in its shortest form: in the low bits of `fixed` up to `fixed_max`, or behind the code for one, two or four bytes.
    fn head(&mut self, len: usize, fixed_max: usize, fixed: u8, codes: [Option<u8>; 3]) {
        match (len, codes) {
            (..=0xff, _) if len <= fixed_max => self.bytes.push(fixed | len as u8),
            (..=0xff, [Some(code), _, _]) => self.bytes.extend_from_slice(&[code, len as u8]),
            (..=0xffff, [_, Some(code), _]) => self.coded(code, (len as u16).to_be_bytes()),
            (_, [_, _, code]) => {
                let code = code.expect("there is one for every length");
                self.coded(code, (len as u32).to_be_bytes());
            }
        }
    }

    fn coded<const N: usize>(&mut self, code: u8, bytes: [u8; N]) {
        self.bytes.push(code);
        self.bytes.extend_from_slice(&bytes);
    }

    /// An error if so many bytes more are too many.
    fn expect_room(&self, more: usize) -> Result<(), Raise> {
        match self.bytes.len() + more > self.room {
            true => Err(Raise::plain("not enough memory")),
            false => Ok(()),
        }
    }

    fn string(&mut self, text: &[u8]) -> Result<(), Raise> {
        self.expect_room(text.len())?;
        self.head(text.len(), 31, 0xa0, [Some(0xd9), Some(0xda), Some(0xdb)]);
        self.bytes.extend_from_slice(text);
        Ok(())
    }

    fn number(&mut self, number: f64) {
        let whole = truncate(number);
        if whole as f64 == number {
            self.whole(whole);
        } else if f64::from(number as f32) == number {
            self.coded(0xca, (number as f32).to_be_bytes());
        } else {
            self.coded(0xcb, number.to_be_bytes());
        }
    }

    fn whole(&mut self, number: i64) {
        match number {
            -32..=0x7f => self.bytes.push(number as u8),
            0x80..=0xff => self.coded(0xcc, [number as u8]),
            0x100..=0xffff => self.coded(0xcd, (number as u16).to_be_bytes()),
            0x1_0000..=0xffff_ffff => self.coded(0xce, (number as u32).to_be_bytes()),
            0x1_0000_0000.. => self.coded(0xcf, number.to_be_bytes()),
            -0x80..-32 => self.coded(0xd0, [number as u8]),
            -0x8000..-0x80 => self.coded(0xd1, (number as i16).to_be_bytes()),
            -0x8000_0000..-0x8000 => self.coded(0xd2, (number as i32).to_be_bytes()),
            ..-0x8000_0000 => self.coded(0xd3, number.to_be_bytes()),
        }
    }
}
