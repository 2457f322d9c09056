//! The data set as commands: the base of a log when `aof-use-rdb-preamble no`, and what aof-tool writes.

use std::io::{self, Write};

use cairn_format::aof::writer::{write_pexpireat, write_select};
use cairn_format::resp::value::{write_argument, write_command, write_command_header};
use cairn_format::text::number::{I64Text, write_f64};

use crate::keyspace::Keyspace;
use crate::structure::record::Record;
use crate::value::{Kind, Object, ValueRef};

/// Elements in one command, as Redis chunks them.
const CHUNK: usize = 64;
/// Bytes collected before the output is asked.
const BUFFER: usize = 64 * 1024;

/// Writes commands that make the data set again. `progress` hears the number of keys now and then.
///
/// # Errors
/// What the output reports.
pub fn rewrite(
    ks: &Keyspace,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(u64),
) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(2 * BUFFER);
    let mut keys = 0;
    for index in 0..ks.databases() {
        if ks.db(index).is_empty() {
            continue;
        }
        write_select(&mut buffer, index as u64);
        for record in ks.db(index).iter() {
            write_record(&mut buffer, record);
            keys += 1;
            if buffer.len() >= BUFFER {
                out.write_all(&buffer)?;
                buffer.clear();
                progress(keys);
            }
        }
    }
    progress(keys);
    out.write_all(&buffer)
}

fn write_record(out: &mut Vec<u8>, record: &Record<Object>) {
    let (key, value) = (record.key(), ValueRef::of(record.tag(), record.payload()));
    match value {
        ValueRef::Int(i) => write_command(out, &[b"SET", key, I64Text::new().format(i)]),
        ValueRef::Str(bytes) => write_command(out, &[b"SET", key, bytes]),
        ValueRef::Big(bytes) => write_command(out, &[b"SET", key, bytes]),
        ValueRef::Stream(stream) => super::stream::rewrite(out, key, stream),
        _ => write_collection(out, key, value),
    }
    if let Some(at) = record.expire() {
        write_pexpireat(out, key, at);
    }
}

fn write_collection(out: &mut Vec<u8>, key: &[u8], value: ValueRef) {
    let (mut a, mut b) = (I64Text::new(), I64Text::new());
    match value.kind() {
        Kind::List | Kind::Set => {
            let name: &[u8] = if value.kind() == Kind::List {
                b"RPUSH"
            } else {
                b"SADD"
            };
            let mut chunks = Chunks::new(out, name, key, value.count(), 1);
            value.each(&mut |element| chunks.item(&[element.text(&mut a)]));
        }
        Kind::Hash => {
            let mut chunks = Chunks::new(out, b"HMSET", key, value.count(), 2);
            value.each_field(&mut |field, value, _| {
                chunks.item(&[field.text(&mut a), value.text(&mut b)])
            });
            value.each_field(&mut |field, _, expire| {
                if let Some(at) = expire {
                    let at = b.format(at);
                    write_command(
                        out,
                        &[b"HPEXPIREAT", key, at, b"FIELDS", b"1", field.text(&mut a)],
                    );
                }
            });
        }
        Kind::Zset => {
            let mut chunks = Chunks::new(out, b"ZADD", key, value.count(), 2);
            value.each_scored(&mut |member, score| {
                let mut text = Vec::with_capacity(32);
                write_f64(&mut text, score);
                chunks.item(&[&text, member.text(&mut a)]);
            });
        }
        Kind::String | Kind::Stream => {}
    }
}

/// Commands of at most [`CHUNK`] items each.
struct Chunks<'o> {
    out: &'o mut Vec<u8>,
    name: &'static [u8],
    key: &'o [u8],
    left: usize,
    /// Items until the next command begins.
    room: usize,
    words: usize,
}

impl<'o> Chunks<'o> {
    fn new(
        out: &'o mut Vec<u8>,
        name: &'static [u8],
        key: &'o [u8],
        items: usize,
        words: usize,
    ) -> Self {
        Chunks {
            out,
            name,
            key,
            left: items,
            room: 0,
            words,
        }
    }

    fn item(&mut self, words: &[&[u8]]) {
        if self.room == 0 {
            self.room = self.left.min(CHUNK);
            write_command_header(self.out, 2 + self.room * self.words);
            write_argument(self.out, self.name);
            write_argument(self.out, self.key);
        }
        words.iter().for_each(|word| write_argument(self.out, word));
        self.room -= 1;
        self.left -= 1;
    }
}
