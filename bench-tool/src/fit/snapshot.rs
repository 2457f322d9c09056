//! What data alone tells: how many keys of which type, how large, how long they live. Nobody says how often they are asked for, so reads of each type are
//! assumed, evenly, as often as the type has keys.
//!
//! Collections get the mean number of elements; sizes of elements are means of each collection.

use super::measure::Sample;
use super::profile::quoted;
use cairn_format::rdb::{Event, Object, Options, Record, SliceReader};
use cairn_toolkit::{Failure, Input};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// One type's keys.
#[derive(Default)]
struct Type {
    keys: u64,
    elements: u64,
    sizes: Sample,
    /// Seconds that keys with an expiry had left at the time of the snapshot.
    lives: Sample,
}

/// The profile of a snapshot.
///
/// # Errors
/// It is damaged, or empty.
pub fn fit(path: &Path) -> Result<String, Failure> {
    let input = Input::open(path)?.into_mapped()?;
    let bytes = input.bytes().unwrap_or_default();
    let damaged = |error| Failure::damage(input.name(), &error);
    let options = Options {
        trailing: false,
        ..Options::shallow()
    };
    let mut reader = SliceReader::from_slice(bytes, options).map_err(|error| damaged(*error))?;
    let (mut types, mut made_at) = (BTreeMap::<&'static str, Type>::new(), None);
    while let Some(located) = reader.next().map_err(|error| damaged(*error))? {
        input.passed(located.offset);
        match located.event {
            Event::Aux { name, value } if name.to_vec() == b"ctime" => made_at = value.as_int(),
            Event::Record(record) => types
                .entry(record.value.type_name())
                .or_default()
                .see(&record, made_at),
            _ => {}
        }
    }
    let known = types
        .into_iter()
        .filter(|(name, _)| commands(name, 0, &Type::default()).is_some());
    let known: Vec<(&'static str, Type)> = known.collect();
    if known.is_empty() {
        return Err(Failure::new(format!(
            "{}: no key of a type that can be modelled",
            path.display()
        )));
    }
    Ok(profile(&known))
}

impl Type {
    fn see(&mut self, record: &Record<'_>, made_at: Option<i64>) {
        self.keys += 1;
        let count = record.value.count().unwrap_or(1).max(1);
        self.elements += count;
        self.sizes.see(match &record.value {
            Object::String(text) => text.len() as u64,
            _ => record.value_len / count,
        });
        if let (Some(at_ms), Some(made_at)) = (record.head.expire_ms, made_at) {
            self.lives
                .see((at_ms / 1000).saturating_sub(made_at).max(1) as u64);
        }
    }
}

fn profile(types: &[(&'static str, Type)]) -> String {
    let (mut shapes, mut commands_text) = (String::new(), String::new());
    let most = types.iter().map(|(_, of)| of.keys).max().unwrap_or(1);
    for (name, of) in types {
        let pairs: Vec<String> = of
            .sizes
            .quantiles()
            .iter()
            .map(|(share, size)| format!("[{share}, {}]", (*size).max(1)))
            .collect();
        let _ = write!(
            shapes,
            "\n[distribution.size_{name}]\nquantiles = [{}]\n",
            pairs.join(", ")
        );
        if !of.lives.is_empty() {
            let pairs: Vec<String> = of
                .lives
                .quantiles()
                .iter()
                .map(|(share, left)| format!("[{share}, {left}]"))
                .collect();
            let _ = write!(
                shapes,
                "\n[distribution.life_{name}]\nquantiles = [{}]\n",
                pairs.join(", ")
            );
        }
        let Some((read, make)) = commands(name, of.keys, of) else {
            continue;
        };
        let weight = (of.keys.saturating_mul(1_000_000.min(most)) / most).max(1);
        let _ = write!(
            commands_text,
            "\n[[command]]\nrun = {}\nweight = {weight}\n",
            quoted(&read)
        );
        let _ = write!(
            commands_text,
            "\n[[prefill]]\nrun = {}\ncount = {}\n",
            quoted(&make),
            of.elements
        );
        if !of.lives.is_empty() {
            let expire = format!("EXPIRE {name}:{{int:seq}} {{int:@life_{name}}}");
            let _ = write!(
                commands_text,
                "\n[[prefill]]\nrun = {}\ncount = {}\n",
                quoted(&expire),
                of.lives.count()
            );
        }
    }
    format!("{shapes}{commands_text}")
}

/// How a key of a type is read, and how an element of it is made.
fn commands(name: &str, keys: u64, of: &Type) -> Option<(String, String)> {
    let keys = keys.max(1);
    let each = format!("{name}:{{int:uniform:{keys}}}");
    let make = format!("{name}:{{int:seq:{keys}}}");
    let last = (of.elements / of.keys.max(1)).clamp(1, 100) - 1;
    let data = format!("{{data:@size_{name}}}");
    Some(match name {
        "string" => (format!("GET {each}"), format!("SET {make} {data}")),
        "hash" => (
            format!("HGETALL {each}"),
            format!("HSET {make} {{field:seq}} {data}"),
        ),
        "list" => (
            format!("LRANGE {each} 0 {last}"),
            format!("RPUSH {make} {data}"),
        ),
        "set" => (
            format!("SMEMBERS {each}"),
            format!("SADD {make} {{int:seq}}{data}"),
        ),
        "zset" => (
            format!("ZRANGE {each} 0 {last}"),
            format!("ZADD {make} {{int:seq}} {{int:seq}}{data}"),
        ),
        "stream" => (
            format!("XRANGE {each} - + COUNT 10"),
            format!("XADD {make} * field {data}"),
        ),
        _ => return None,
    })
}
