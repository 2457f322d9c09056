//! DEBUG DIGEST: one number for the whole data set, independent of order and encoding.
//!
//! The arithmetic is that of Redis 7.2 (`debug.c`), so that two servers can be compared in one command: `xor` folds
//! the SHA-1 of bytes into a sum in which order does not matter, `mix` hashes the sum after that, so that it does.
//! A fractional score enters in its shortest text, as 7.2 has it; 7.0 used 17 digits.

use cairn_format::text::double::write_f64;
use cairn_format::text::number::I64Text;
use sha1_smol::Sha1;

use crate::keyspace::Keyspace;
use crate::structure::record::Record;
use crate::value::stream::StreamId;
use crate::value::{Kind, Object, ValueRef};

/// 20 bytes, shown as 40 hex digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest([u8; 20]);

impl Digest {
    fn xor(&mut self, bytes: &[u8]) {
        let hash = Sha1::from(bytes).digest().bytes();
        self.0
            .iter_mut()
            .zip(hash)
            .for_each(|(sum, byte)| *sum ^= byte);
    }

    fn mix(&mut self, bytes: &[u8]) {
        self.xor(bytes);
        self.0 = Sha1::from(self.0).digest().bytes();
    }

    /// The hex digits.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The digest of all databases. Keys whose time has come but which nobody has removed yet count, as in Redis.
pub fn of_all(ks: &Keyspace) -> Digest {
    let mut sum = Digest::default();
    for index in 0..ks.databases() {
        let db = ks.database(index);
        if db.is_empty() {
            continue;
        }
        sum.mix(&(index as u32).to_be_bytes());
        for record in db.iter() {
            let mut one = Digest::default();
            one.mix(record.key());
            add_value(&mut one, record);
            sum.xor(&one.0);
        }
    }
    sum
}

/// The digest of one value, without its key.
pub fn of_value(record: &Record<Object>) -> Digest {
    let mut sum = Digest::default();
    add_value(&mut sum, record);
    sum
}

fn add_value(sum: &mut Digest, record: &Record<Object>) {
    let value = ValueRef::of(record.tag(), record.payload());
    sum.mix(&type_number(value.kind()).to_be_bytes());
    let mut text = I64Text::new();
    match value {
        ValueRef::Int(i) => sum.mix(text.format(i)),
        ValueRef::Str(bytes) => sum.mix(bytes),
        ValueRef::Big(bytes) => sum.mix(bytes),
        ValueRef::Stream(stream) => add_stream(sum, stream),
        _ => add_collection(sum, value),
    }
    if record.expire().is_some() {
        sum.xor(b"!!expire!!");
    }
}

/// Redis's own numbers of the types.
fn type_number(kind: Kind) -> u32 {
    match kind {
        Kind::String => 0,
        Kind::List => 1,
        Kind::Set => 2,
        Kind::Zset => 3,
        Kind::Hash => 4,
        Kind::Stream => 6,
    }
}

fn add_collection(sum: &mut Digest, value: ValueRef) {
    let (mut a, mut b) = (I64Text::new(), I64Text::new());
    match value.kind() {
        Kind::List => value.each(&mut |entry| sum.mix(entry.text(&mut a))),
        Kind::Set => value.each(&mut |entry| sum.xor(entry.text(&mut a))),
        Kind::Hash => value.each_field(&mut |field, value, expire| {
            let mut one = Digest::default();
            one.mix(field.text(&mut a));
            one.mix(value.text(&mut b));
            if expire.is_some() {
                one.xor(b"!!hexpire!!");
            }
            sum.xor(&one.0);
        }),
        Kind::Zset => value.each_scored(&mut |member, score| {
            let mut one = Digest::default();
            let mut digits = Vec::with_capacity(32);
            write_f64(&mut digits, score);
            one.mix(member.text(&mut a));
            one.mix(&digits);
            sum.xor(&one.0);
        }),
        Kind::String | Kind::Stream => {}
    }
}

fn add_stream(sum: &mut Digest, stream: &crate::value::stream::Stream) {
    for entry in stream.range(StreamId::MIN, StreamId::MAX) {
        sum.mix(format!("{}.{}", entry.id.ms, entry.id.seq).as_bytes());
        for (field, value) in entry.fields {
            sum.mix(&field.to_bytes());
            sum.mix(&value.to_bytes());
        }
    }
}
