//! A snapshot's values as text that does not depend on their encoding, to compare what was read before and after.

use cairn_format::error::Result;
use cairn_format::rdb::Object;
use cairn_format::rdb::object::{Group, Hash, Stream, Zset};
use cairn_format::text::words::quote;

/// All elements of a value. `form` is the poorer of two forms of streams that are compared, as [`stream_form`] counts them: what
/// only the richer one has is left out.
///
/// [`stream_form`]: cairn_format::rdb::Dialect::stream_form
///
/// # Errors
/// Damage inside the value.
pub fn value(object: &Object<'_>, form: u8) -> Result<String> {
    let lines = match object {
        Object::String(text) => vec![quote(&text.to_vec())],
        Object::List(list) => list
            .elements()
            .map(|e| Ok(quote(&e?.to_vec())))
            .collect::<Result<_>>()?,
        Object::Set(set) => {
            let members = set.members().map(|m| Ok(quote(&m?.to_vec())));
            sorted(members.collect::<Result<_>>()?)
        }
        Object::Zset(zset) => scores(zset)?,
        Object::Hash(hash) => fields(hash)?,
        Object::Stream(stream) => entries(stream, form)?,
        Object::Module(module) => module
            .decoded()
            .map(|v| Ok(format!("{:?}", v?)))
            .collect::<Result<_>>()?,
        Object::Array(array) => array
            .items()
            .map(|i| Ok(format!("{:?}", i?)))
            .collect::<Result<_>>()?,
    };
    Ok(format!("{} {}", object.type_name(), lines.join(" ")))
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

/// Packed forms cannot tell -0 from 0, so both are 0 here.
fn scores(zset: &Zset<'_>) -> Result<Vec<String>> {
    let pairs = zset.pairs().map(|pair| {
        let (member, score) = pair?;
        Ok(format!(
            "{} {:x}",
            quote(&member.to_vec()),
            (score + 0.0).to_bits()
        ))
    });
    Ok(sorted(pairs.collect::<Result<_>>()?))
}

fn fields(hash: &Hash<'_>) -> Result<Vec<String>> {
    let fields = hash.fields().map(|field| {
        let field = field?;
        Ok(format!(
            "{} {} {:?}",
            quote(&field.name.to_vec()),
            quote(&field.value.to_vec()),
            field.expire_ms
        ))
    });
    Ok(sorted(fields.collect::<Result<_>>()?))
}

fn entries(stream: &Stream<'_>, form: u8) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for entry in stream.entries() {
        let entry = entry?;
        lines.push(format!("{}", entry.id));
        for (name, value) in entry.fields {
            lines.push(format!(
                "{} {}",
                quote(&name.to_vec()),
                quote(&value.to_vec())
            ));
        }
    }
    lines.push(format!("{} {}", stream.length, stream.last_id));
    if form >= 2 {
        lines.push(format!(
            "{:?} {:?}",
            stream.max_deleted_id, stream.entries_added
        ));
    }
    lines.extend(stream.groups.iter().map(|g| group(g, form)));
    Ok(lines)
}

fn group(group: &Group<'_>, form: u8) -> String {
    let consumer = |c: &cairn_format::rdb::object::Consumer<'_>| {
        format!("{} {} {:?}", quote(&c.name.to_vec()), c.seen_ms, c.pending)
    };
    let consumers: Vec<String> = sorted(group.consumers.iter().map(consumer).collect());
    let read = if form >= 2 { group.entries_read } else { None };
    format!(
        "{} {} {read:?} {:?} {consumers:?}",
        quote(&group.name.to_vec()),
        group.last_id,
        group.pending
    )
}
