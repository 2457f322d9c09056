//! Answers of commands as values of Lua, and values of Lua as the answer to a client. The rules were recorded from Redis 7.2.4.

use cairn_format::resp::reply::Protocol;
use cairn_format::text::double::{parse_f64, write_f64};
use cairn_lua::{Kind, Raise, Stack};

use super::tape::{Item, Tape};
use crate::base::error::{Error, lossless};
use crate::call::ctx::Stats;
use crate::call::reply::Reply;
use crate::call::run::count_error;
use crate::call::sink::Shape;
use crate::scripts::api::push_field;

/// The field that says that an error was counted when it arose.
pub(super) const COUNTED: &str = "ignore_error_stats_update";

/// Pushes a whole answer as a script of a protocol sees it.
pub(super) fn push_answer(stack: &mut Stack, tape: &Tape, protocol: Protocol) -> Result<(), Raise> {
    let mut reader = Reader {
        tape,
        at: 0,
        resp3: protocol == Protocol::Resp3,
    };
    reader.push(stack)?;
    debug_assert_eq!(reader.at, tape.items.len(), "an answer is one element");
    Ok(())
}

struct Reader<'t> {
    tape: &'t Tape,
    at: usize,
    resp3: bool,
}

impl Reader<'_> {
    /// Pushes the next element with all that it holds.
    fn push(&mut self, stack: &mut Stack) -> Result<(), Raise> {
        let Some(item) = self.tape.items.get(self.at) else {
            debug_assert!(false, "an answer ends too soon");
            return stack.push_nil();
        };
        self.at += 1;
        let tape = self.tape;
        match item {
            Item::Int(number) => stack.push_number(*number as f64),
            Item::Bulk(text) => stack.push_bytes(tape.text(text)),
            Item::Simple(text) => push_field(stack, "ok", tape.text(text)),
            Item::Error(text) => push_field(stack, "err", tape.text(text)),
            Item::Null => match self.resp3 {
                true => stack.push_nil(),
                false => stack.push_bool(false),
            },
            Item::Double(number) => self.push_double(stack, *number),
            Item::Digits(text) => match self.resp3 {
                true => self.push_double(stack, parse_f64(tape.text(text)).unwrap_or(f64::NAN)),
                false => stack.push_bytes(tape.text(text)),
            },
            Item::Bool(truth) => match self.resp3 {
                true => stack.push_bool(*truth),
                false => stack.push_number(f64::from(u8::from(*truth))),
            },
            Item::Verbatim(kind, text) => match self.resp3 {
                true => push_verbatim(stack, kind, tape.text(text)),
                false => stack.push_bytes(tape.text(text)),
            },
            Item::BigNumber(text) => match self.resp3 {
                true => push_field(stack, "big_number", tape.text(text)),
                false => stack.push_bytes(tape.text(text)),
            },
            Item::Header(shape, count) => self.push_aggregate(stack, *shape, *count),
        }
    }

    fn push_double(&mut self, stack: &mut Stack, number: f64) -> Result<(), Raise> {
        if !self.resp3 {
            let mut digits = Vec::new();
            write_f64(&mut digits, number);
            return stack.push_bytes(&digits);
        }
        stack.push_table(0, 1)?;
        stack.push_number(number)?;
        stack.set_field(-2, "double")
    }

    fn push_aggregate(
        &mut self,
        stack: &mut Stack,
        shape: Shape,
        count: usize,
    ) -> Result<(), Raise> {
        match (shape, self.resp3) {
            (Shape::Attribute, _) => {
                for _ in 0..count * 2 {
                    self.push(stack)?;
                    stack.pop(1);
                }
                self.push(stack)
            }
            (Shape::Map, true) => self.push_map(stack, count),
            (Shape::Set, true) => self.push_set(stack, count),
            (Shape::Map, false) => self.push_array(stack, count * 2),
            (Shape::Array | Shape::Set | Shape::Push, _) => self.push_array(stack, count),
        }
    }

    fn push_array(&mut self, stack: &mut Stack, count: usize) -> Result<(), Raise> {
        stack.push_table(count, 0)?;
        for n in 1..=count {
            self.push(stack)?;
            match stack.kind(-1) {
                // A hole.
                Kind::Nil => stack.pop(1),
                _ => stack.set_index(-2, n as i32)?,
            }
        }
        Ok(())
    }

    fn push_map(&mut self, stack: &mut Stack, count: usize) -> Result<(), Raise> {
        stack.push_table(0, 1)?;
        stack.push_table(0, count)?;
        for _ in 0..count {
            self.push(stack)?;
            self.push(stack)?;
            match stack.kind(-2) == Kind::Nil || stack.kind(-1) == Kind::Nil {
                true => stack.pop(2),
                false => stack.set(-3)?,
            }
        }
        stack.set_field(-2, "map")
    }

    fn push_set(&mut self, stack: &mut Stack, count: usize) -> Result<(), Raise> {
        stack.push_table(0, 1)?;
        stack.push_table(0, count)?;
        for _ in 0..count {
            self.push(stack)?;
            if stack.kind(-1) == Kind::Nil {
                stack.pop(1);
                continue;
            }
            stack.push_bool(true)?;
            stack.set(-3)?;
        }
        stack.set_field(-2, "set")
    }
}

fn push_verbatim(stack: &mut Stack, kind: &[u8; 3], text: &[u8]) -> Result<(), Raise> {
    stack.push_table(0, 1)?;
    push_field(stack, "string", text)?;
    stack.push_bytes(kind)?;
    stack.set_field(-2, "format")?;
    stack.set_field(-2, "verbatim_string")
}

/// Maps and sets within each other whose elements are still answered; arrays are limited by the stack of Lua alone.
const DEPTH_MAX: usize = 256;

/// Writes the value on top of the stack as the answer to a client, and takes it away. Metatables are not asked.
pub(super) struct Answer<'a> {
    pub(super) reply: &'a mut Reply,
    pub(super) stats: &'a mut Stats,
    /// The script's own protocol at its end: it decides how truth is told.
    pub(super) protocol: Protocol,
}

/// An array on its way: the next element and how many there are.
struct Open {
    next: usize,
    count: usize,
}

/// What a table is to a client.
enum Sort {
    Array,
    Map,
    Set,
    /// It was written.
    Done,
}

impl Answer<'_> {
    /// Writes the value on top, and takes it away.
    pub(super) fn write(&mut self, stack: &mut Stack, depth: usize) {
        let mut open: Vec<Open> = Vec::new();
        loop {
            if let Some(count) = self.write_one(stack, depth) {
                open.push(Open { next: 1, count });
            }
            if !self.go_to_next(stack, &mut open) {
                return;
            }
        }
    }

    /// Puts the next element of the innermost array that has one on the stack.
    fn go_to_next(&mut self, stack: &mut Stack, open: &mut Vec<Open>) -> bool {
        while let Some(array) = open.last_mut() {
            if array.next > array.count {
                stack.pop(1);
                open.pop();
                continue;
            }
            let n = array.next as i32;
            array.next += 1;
            // The classification of a table needs a few places more.
            let room = stack.reserve(8).and_then(|()| stack.get_index(-1, n));
            if room.is_ok() {
                return true;
            }
            self.error(b"ERR reached lua stack limit", false);
        }
        false
    }

    /// Writes the value on top and takes it away; of an array only the header, and how many elements it has: it stays.
    fn write_one(&mut self, stack: &mut Stack, depth: usize) -> Option<usize> {
        match stack.kind(-1) {
            Kind::String => self.reply.bulk(stack.bytes(-1).unwrap_or_default()),
            Kind::Number => self.reply.int(truncated(stack.number(-1).unwrap_or(0.0))),
            Kind::Bool => self.truth(stack.truth(-1)),
            Kind::Table => {
                let sort = self.sort_of(stack);
                match sort {
                    Sort::Array => return Some(self.begin_array(stack)),
                    Sort::Map => self.map(stack, depth),
                    Sort::Set => self.set(stack, depth),
                    Sort::Done => {}
                }
            }
            _ => self.reply.null(),
        }
        stack.pop(1);
        None
    }

    fn truth(&mut self, truth: bool) {
        match (self.protocol, truth) {
            (Protocol::Resp3, truth) => self.reply.bool(truth),
            (Protocol::Resp2, true) => self.reply.int(1),
            (Protocol::Resp2, false) => self.reply.null(),
        }
    }

    fn begin_array(&mut self, stack: &mut Stack) -> usize {
        let mut count = 0;
        while count < i32::MAX as usize && stack.get_index(-1, count as i32 + 1).is_ok() {
            let is_end = stack.kind(-1) == Kind::Nil;
            stack.pop(1);
            if is_end {
                break;
            }
            count += 1;
        }
        self.reply.array(count);
        count
    }

    /// Says what the table on top is; writes it if it stands for one element. For maps and sets their inner table is put on top of it.
    fn sort_of(&mut self, stack: &mut Stack) -> Sort {
        let table = stack.top();
        let sort = self.try_sort(stack, table);
        match sort {
            Ok(sort @ (Sort::Map | Sort::Set)) => sort,
            Ok(sort) => {
                stack.cut(table);
                sort
            }
            Err(_) => {
                stack.cut(table);
                self.error(b"ERR reached lua stack limit", false);
                Sort::Done
            }
        }
    }

    fn try_sort(&mut self, stack: &mut Stack, table: i32) -> Result<Sort, Raise> {
        let field = |stack: &mut Stack, name: &str, kind: Kind| -> Result<bool, Raise> {
            stack.cut(table);
            stack.get_field(table, name)?;
            Ok(stack.kind(-1) == kind)
        };
        if field(stack, "err", Kind::String)? {
            let text = stack.bytes(-1).unwrap_or_default().to_vec();
            stack.get_field(table, COUNTED)?;
            let is_counted = stack.truth(-1);
            self.error(&text, is_counted);
            return Ok(Sort::Done);
        }
        if field(stack, "ok", Kind::String)? {
            let text = until_nul(stack.bytes(-1).unwrap_or_default());
            self.reply.simple(one_line(text));
            return Ok(Sort::Done);
        }
        if field(stack, "double", Kind::Number)? {
            self.reply.double(stack.number(-1).unwrap_or(0.0));
            return Ok(Sort::Done);
        }
        if field(stack, "big_number", Kind::String)? {
            let digits = one_line(stack.bytes(-1).unwrap_or_default());
            self.reply.big_number(digits);
            return Ok(Sort::Done);
        }
        if field(stack, "verbatim_string", Kind::Table)? && self.verbatim(stack)? {
            return Ok(Sort::Done);
        }
        if field(stack, "map", Kind::Table)? {
            return Ok(Sort::Map);
        }
        if field(stack, "set", Kind::Table)? {
            return Ok(Sort::Set);
        }
        Ok(Sort::Array)
    }

    /// Writes the text of the table on top, if it is one.
    fn verbatim(&mut self, stack: &mut Stack) -> Result<bool, Raise> {
        let inner = stack.top();
        stack.get_field(inner, "string")?;
        stack.get_field(inner, "format")?;
        let (Some(text), Some(format)) = (stack.bytes(-2), stack.bytes(-1)) else {
            return Ok(false);
        };
        let mut kind = *b"   ";
        let len = format.len().min(3);
        kind[..len].copy_from_slice(&format[..len]);
        self.reply.verbatim(&kind, text);
        Ok(true)
    }

    /// Writes the inner table on top as a map, and takes it away.
    fn map(&mut self, stack: &mut Stack, depth: usize) {
        let inner = stack.top();
        self.reply.map(fields(stack, inner));
        self.each(stack, inner, depth, |answer, stack, depth| {
            answer.write(stack, depth);
            answer.write(stack, depth);
        });
        stack.pop(1);
    }

    /// As [`Answer::map`], the keys alone.
    fn set(&mut self, stack: &mut Stack, depth: usize) {
        let inner = stack.top();
        self.reply.set(fields(stack, inner));
        self.each(stack, inner, depth, |answer, stack, depth| {
            answer.write(stack, depth);
            stack.pop(1);
        });
        stack.pop(1);
    }

    /// Calls `write` with a copy of each field's value, and of its key above it, which it takes away.
    fn each(
        &mut self,
        stack: &mut Stack,
        inner: i32,
        depth: usize,
        write: impl Fn(&mut Self, &mut Stack, usize),
    ) {
        let walked = stack.for_each(inner, |stack| {
            stack.reserve(8)?;
            stack.push_copy(-1)?;
            stack.push_copy(-3)?;
            match depth < DEPTH_MAX {
                true => write(self, stack, depth + 1),
                false => {
                    // Anything flat can still be told, so that the answer stays whole.
                    stack.pop(2);
                    stack.push_nil()?;
                    stack.push_nil()?;
                    write(self, stack, depth);
                }
            }
            Ok(())
        });
        debug_assert!(walked.is_ok(), "room was made for it");
    }

    fn error(&mut self, text: &[u8], is_counted: bool) {
        let error = Error::text(lossless(until_nul(text)));
        if !is_counted {
            count_error(self.stats, &error);
        }
        self.reply.error(&error);
    }
}

fn fields(stack: &mut Stack, table: i32) -> usize {
    let mut count = 0;
    let walked = stack.for_each(table, |_| {
        count += 1;
        Ok(())
    });
    walked.map_or(0, |()| count)
}

pub(super) fn until_nul(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn one_line(text: &[u8]) -> Vec<u8> {
    let blank = |byte: &u8| {
        if matches!(byte, b'\r' | b'\n') {
            b' '
        } else {
            *byte
        }
    };
    text.iter().map(blank).collect()
}

/// A number as a client gets it: cut towards zero; what no 64 bits hold is the lowest that they do, as on the processors of the recordings.
fn truncated(number: f64) -> i64 {
    const LIMIT: f64 = (1_u64 << 63) as f64;
    match (-LIMIT..LIMIT).contains(&number) {
        true => number as i64,
        false => i64::MIN,
    }
}
