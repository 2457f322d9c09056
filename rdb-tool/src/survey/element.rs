//! The largest element of a value: a field name or value, a member, a field of an entry; of a string, the string.

use cairn_format::error::Result;
use cairn_format::rdb::object::{ArrayItem, Hash, List, Set, Zset};
use cairn_format::rdb::{Object, Record, Text};

/// Compression cannot make more of a byte than this.
const GROWTH_MAX: u64 = 88;

/// Bytes of the largest element. A value that cannot have one above `floor` is not looked into; 0 is told of it.
///
/// # Errors
/// Damage inside the value.
pub fn largest_element(record: &Record<'_>, floor: u64) -> Result<u64> {
    if may_have_at_most(record) <= floor {
        return Ok(0);
    }
    match &record.value {
        Object::String(text) => Ok(text.len() as u64),
        Object::List(list) => longest(list.elements()),
        Object::Set(set) => longest(set.members()),
        Object::Zset(zset) => longest(zset.pairs().map(|pair| pair.map(|(member, _)| member))),
        Object::Hash(hash) => hash.fields().try_fold(0, |most, field| {
            let field = field?;
            Ok(most
                .max(field.name.len() as u64)
                .max(field.value.len() as u64))
        }),
        Object::Stream(stream) => {
            let mut most = 0;
            for entry in stream.entries() {
                for (name, value) in entry?.fields {
                    most = most.max(name.len()).max(value.len());
                }
            }
            Ok(most as u64)
        }
        Object::Array(array) => longest(array.items().filter_map(|item| match item {
            Ok((_, ArrayItem::String(text))) => Some(Ok(text)),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        })),
        Object::Module(_) => Ok(0),
    }
}

fn longest<'a>(mut texts: impl Iterator<Item = Result<Text<'a>>>) -> Result<u64> {
    texts.try_fold(0, |most, text| Ok(most.max(text?.len() as u64)))
}

/// No element has more bytes than this.
fn may_have_at_most(record: &Record<'_>) -> u64 {
    let packed = match &record.value {
        Object::List(List::Ziplist(blob))
        | Object::Set(Set::Listpack(blob) | Set::Intset(blob))
        | Object::Zset(Zset::Ziplist(blob) | Zset::Listpack(blob))
        | Object::Hash(
            Hash::Zipmap(blob)
            | Hash::Ziplist(blob)
            | Hash::Listpack(blob)
            | Hash::ExpiringListpack(blob),
        ) => Some(blob.bytes().len() as u64),
        _ => None,
    };
    // Integers are told as up to 20 digits, whatever room they take.
    packed
        .unwrap_or(record.value_len.saturating_mul(GROWTH_MAX))
        .max(20)
}
