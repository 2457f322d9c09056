//! From MessagePack to values. Nesting that the input asks for is kept in a list of open tables, not on the machine's stack.

use std::ops::Range;

use super::super::arguments;
use crate::raw::{Raise, Stack};

/// `unpack(s)`: all values.
pub(super) fn unpack(stack: &mut Stack) -> Result<usize, Raise> {
    read(stack, 0, 0)
}

/// `unpack_one(s, offset)`: where the next value begins, and one value.
pub(super) fn unpack_one(stack: &mut Stack) -> Result<usize, Raise> {
    let offset = arguments::optional_integer(stack, 2)?.unwrap_or(0);
    read(stack, 1, offset)
}

/// `unpack_limit(s, limit, offset)`: where the next value begins, and up to so many values.
pub(super) fn unpack_limit(stack: &mut Stack) -> Result<usize, Raise> {
    let limit = arguments::integer(stack, 2)?;
    let offset = arguments::optional_integer(stack, 3)?.unwrap_or(0);
    read(stack, limit, offset)
}

/// Leaves the values on top, behind the place of the next if only a part was asked for; neither limit nor offset asks for all.
fn read(stack: &mut Stack, limit: i64, offset: i64) -> Result<usize, Raise> {
    if stack.top() > 1 {
        stack.cut(1);
    }
    let source = arguments::string(stack, 1)?;
    let len = stack.bytes(source).map_or(0, <[u8]>::len);
    let (Ok(start), Ok(most)) = (usize::try_from(offset), usize::try_from(limit)) else {
        // The number shown as limit is another, and all are shown in 32 bits.
        let (offset, len) = (offset as i32, len as i32);
        return Err(Raise::here(format!(
            "Invalid request to unpack with offset of {offset} and limit of {len}."
        )));
    };
    if start > len {
        return Err(Raise::here(format!(
            "Start offset {} greater than input length {}.",
            offset as i32, len as i32
        )));
    }
    let is_all = limit == 0 && offset == 0;
    let base = stack.top();
    let mut reader = Reader {
        source,
        at: start,
        open: Vec::new(),
        arrays: 0,
    };
    let mut count = 0;
    while reader.at < len && (is_all || count < most) {
        reader.value(stack)?;
        count += 1;
    }
    if !is_all {
        let next = if reader.at == len {
            -1.0
        } else {
            reader.at as f64
        };
        let pushed = stack.push_number(next);
        pushed.map_err(|_| Raise::here("stack overflow (in function mp_unpack_full)"))?;
        stack.insert(base + 1);
        count += 1;
    }
    Ok(count)
}

/// A value as its first bytes tell it.
enum Head {
    Nil,
    Bool(bool),
    Number(f64),
    String(Range<usize>),
    Array(usize),
    Map(usize),
}

/// A table on the stack that is not complete; a map's key may be above it.
enum Open {
    Array { next: usize, len: usize },
    Map { left: usize, has_key: bool },
}

struct Reader {
    /// Index of the input.
    source: i32,
    at: usize,
    open: Vec<Open>,
    /// How many of the open tables are arrays. Redis has the number of the next element on the stack for each.
    arrays: i32,
}

impl Reader {
    /// Pushes the value at this place with all that is in it.
    fn value(&mut self, stack: &mut Stack) -> Result<(), Raise> {
        loop {
            let head = self.head(stack)?;
            let is_complete = self.push(stack, head)?;
            if is_complete && self.attach(stack)? {
                return Ok(());
            }
        }
    }

    /// Pushes what begins; whether it is complete.
    fn push(&mut self, stack: &mut Stack, head: Head) -> Result<bool, Raise> {
        if stack.reserve(1 + self.arrays).is_err() {
            return Err(Raise::here(
                "stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)",
            ));
        }
        match head {
            Head::Nil => stack.push_nil()?,
            Head::Bool(truth) => stack.push_bool(truth)?,
            Head::Number(number) => stack.push_number(number)?,
            Head::String(range) => stack.push_part(self.source, range)?,
            // No table is made larger than what is there for it: lengths are only claimed.
            Head::Array(len) => {
                stack.push_table(0, 0)?;
                if stack.reserve(1 + self.arrays).is_err() {
                    return Err(Raise::here(
                        "stack overflow (in function mp_decode_to_lua_array)",
                    ));
                }
                if len > 0 {
                    self.arrays += 1;
                    self.open.push(Open::Array { next: 1, len });
                    return Ok(false);
                }
            }
            Head::Map(left) => {
                stack.push_table(0, 0)?;
                if left > 0 {
                    let has_key = false;
                    self.open.push(Open::Map { left, has_key });
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Takes the value on top into the table that it belongs to, and that into its own if it is complete; whether none is open then.
    fn attach(&mut self, stack: &mut Stack) -> Result<bool, Raise> {
        loop {
            let is_full = match self.open.last_mut() {
                None => return Ok(true),
                Some(Open::Array { next, len }) => {
                    stack.set_index(-2, *next as i32)?;
                    *next += 1;
                    *next > *len
                }
                Some(Open::Map { left, has_key }) => {
                    if *has_key {
                        stack.set(-3)?;
                        *left -= 1;
                    }
                    *has_key = !*has_key;
                    *left == 0
                }
            };
            if !is_full {
                return Ok(false);
            }
            if let Some(Open::Array { .. }) = self.open.pop() {
                self.arrays -= 1;
            }
        }
    }

    /// Reads what begins at this place, strings whole.
    fn head(&mut self, stack: &Stack) -> Result<Head, Raise> {
        let data = stack.bytes(self.source).expect("it is a string");
        let mut input = Input { data, at: self.at };
        let head = input.head()?;
        self.at = input.at;
        Ok(head)
    }
}

struct Input<'a> {
    data: &'a [u8],
    at: usize,
}

impl Input<'_> {
    fn head(&mut self) -> Result<Head, Raise> {
        let [code] = self.take()?;
        Ok(match code {
            0x00..=0x7f | 0xe0..=0xff => Head::Number(f64::from(code as i8)),
            0x80..=0x8f => Head::Map(usize::from(code & 0x0f)),
            0x90..=0x9f => Head::Array(usize::from(code & 0x0f)),
            0xa0..=0xbf => self.string(usize::from(code & 0x1f))?,
            0xc0 => Head::Nil,
            0xc2 => Head::Bool(false),
            0xc3 => Head::Bool(true),
            0xca => Head::Number(f64::from(f32::from_be_bytes(self.take()?))),
            0xcb => Head::Number(f64::from_be_bytes(self.take()?)),
            0xcc => Head::Number(f64::from(u8::from_be_bytes(self.take()?))),
            0xcd => Head::Number(f64::from(u16::from_be_bytes(self.take()?))),
            0xce => Head::Number(f64::from(u32::from_be_bytes(self.take()?))),
            // Eight bytes have a sign to Redis in either form.
            0xcf | 0xd3 => Head::Number(i64::from_be_bytes(self.take()?) as f64),
            0xd0 => Head::Number(f64::from(i8::from_be_bytes(self.take()?))),
            0xd1 => Head::Number(f64::from(i16::from_be_bytes(self.take()?))),
            0xd2 => Head::Number(f64::from(i32::from_be_bytes(self.take()?))),
            0xd9 => {
                let [len] = self.take()?;
                self.string(usize::from(len))?
            }
            0xda => {
                let len = self.short_len()?;
                self.string(len)?
            }
            0xdb => {
                let len = self.long_len()?;
                self.string(len)?
            }
            0xdc => Head::Array(self.short_len()?),
            0xdd => Head::Array(self.long_len()?),
            0xde => Head::Map(self.short_len()?),
            0xdf => Head::Map(self.long_len()?),
            0xc1 | 0xc4..=0xc9 | 0xd4..=0xd8 => {
                return Err(Raise::here("Bad data format in input."));
            }
        })
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Raise> {
        let bytes = self.data[self.at..].first_chunk();
        let bytes = bytes.ok_or_else(|| Raise::here("Missing bytes in input."))?;
        self.at += N;
        Ok(*bytes)
    }

    fn short_len(&mut self) -> Result<usize, Raise> {
        self.take().map(|bytes| u16::from_be_bytes(bytes).into())
    }

    fn long_len(&mut self) -> Result<usize, Raise> {
        self.take().map(|bytes| u32::from_be_bytes(bytes) as usize)
    }

    fn string(&mut self, len: usize) -> Result<Head, Raise> {
        if self.data.len() - self.at < len {
            return Err(Raise::here("Missing bytes in input."));
        }
        let start = self.at;
        self.at += len;
        Ok(Head::String(start..self.at))
    }
}
