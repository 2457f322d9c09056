//! DEBUG of structures: the entries of a listpack, the nodes of a list, how full tables are.
//!
//! What is printed on standard output is for people, if there are any; only the replies are those of Redis.

use std::collections::BTreeMap;
use std::fmt::Write;

use cairn_engine::base::args::Args;
use cairn_engine::base::error::{self, Error, Outcome};
use cairn_engine::call::Ctx;
use cairn_engine::value::list::NodeRef;
use cairn_engine::value::{Encoding, ValueRef};
use cairn_format::encoding::listpack::Listpack;

use crate::os::print;

pub(super) fn show_listpack(cx: &mut Ctx, args: &Args) -> Outcome {
    cx.ks.select_key(args.at(2));
    let slot = cx.ks.find(args.at(2)).ok_or(error::NO_SUCH_KEY)?;
    match cx.ks.view(slot) {
        ValueRef::Packed(_, Encoding::Listpack | Encoding::ListpackEx, blob) => {
            let mut text = String::new();
            print_listpack(blob, &mut text)?;
            print(&text);
        }
        _ => return Err(Error::new("ERR Not a listpack encoded object.")),
    }
    cx.reply.simple("Listpack structure printed on stdout");
    Ok(())
}

// Writing to a String cannot fail, here and below.
fn print_listpack(blob: &[u8], text: &mut String) -> Outcome {
    let pack = Listpack::new(blob).map_err(|error| Error::text(format!("ERR {error}")))?;
    let _ = writeln!(
        text,
        "{{total bytes {}}} {{num entries {}}}",
        blob.len(),
        pack.len()
    );
    for (number, (at, entry)) in pack.iter().enumerate() {
        let bytes = entry.to_bytes();
        let shown = String::from_utf8_lossy(&bytes);
        let _ = writeln!(text, "{{{number}}} at {at}: {shown}");
    }
    Ok(())
}

pub(super) fn show_list(cx: &mut Ctx, args: &Args) -> Outcome {
    let full = args.int(3).is_ok_and(|level| level != 0);
    cx.ks.select_key(args.at(2));
    let slot = cx.ks.find(args.at(2)).ok_or(error::NO_SUCH_KEY)?;
    let ValueRef::List(list) = cx.ks.view(slot) else {
        return Err(Error::new("ERR Not a quicklist encoded object."));
    };
    let mut text = format!(
        "{{count : {}}}\n{{len : {}}}\n{{fill : {}}}\n{{compress : {}}}\n",
        list.len(),
        list.node_count(),
        cx.ks.limits.list_listpack_size,
        cx.ks.limits.list_compress_depth
    );
    for (number, node) in list.nodes().enumerate() {
        let (container, encoding, size, packed) = match node {
            NodeRef::Packed(blob) => ("PACKED", "RAW", blob.len(), Some(blob)),
            NodeRef::Plain(text) => ("PLAIN", "RAW", text.len(), None),
            NodeRef::Squeezed { raw_len, .. } => ("PACKED", "LZF", raw_len, None),
        };
        let _ = writeln!(
            text,
            "{{quicklist node({number})}} {{container : {container}, encoding: {encoding}, size: {size}}}"
        );
        if let Some(blob) = packed.filter(|_| full) {
            print_listpack(blob, &mut text)?;
        }
    }
    print(&text);
    cx.reply.simple("Quicklist structure printed on stdout");
    Ok(())
}

/// How many buckets hold how many entries each.
#[derive(Default)]
struct Filling {
    buckets: BTreeMap<usize, usize>,
}

impl Filling {
    /// Walks a table by its cursor: each step is one bucket with its overflow, and tells how many entries it saw.
    fn of(mut step: impl FnMut(u64, &mut usize) -> u64) -> Filling {
        let (mut filling, mut cursor) = (Filling::default(), 0);
        loop {
            let mut entries = 0;
            cursor = step(cursor, &mut entries);
            *filling.buckets.entry(entries).or_default() += 1;
            if cursor == 0 {
                return filling;
            }
        }
    }

    /// The lines of Redis 7.2; all after the second only if `full`.
    fn lines(&self, full: bool) -> String {
        let mut text = "Hash table 0 stats (main hash table):\n".to_owned();
        let size: usize = self.buckets.values().sum();
        let elements: usize = self.buckets.iter().map(|(len, times)| len * times).sum();
        if elements == 0 {
            text.push_str("No stats available for empty dictionaries\n");
            return text;
        }
        let used = size - self.buckets.get(&0).copied().unwrap_or(0);
        let longest = self.buckets.keys().next_back().copied().unwrap_or(0);
        let _ = writeln!(text, " table size: {size}\n number of elements: {elements}");
        if !full {
            return text;
        }
        let mean = elements as f64 / used as f64;
        let _ = writeln!(
            text,
            " different slots: {used}\n max chain length: {longest}\n avg chain length (counted): {mean:.2}\n avg chain length (computed): {mean:.2}\n Chain length distribution:"
        );
        for (len, times) in &self.buckets {
            let percent = *times as f64 * 100.0 / size as f64;
            let _ = writeln!(text, "   {len}: {times} ({percent:.2}%)");
        }
        text
    }
}

/// HTSTATS: the table of keys, and how the keys that expire lie in it (they have no table of their own).
pub(super) fn table_stats(cx: &mut Ctx, args: &Args) -> Outcome {
    let number = usize::try_from(args.int(2)?).ok();
    // With slots each has a table of its own.
    let table = number.filter(|table| *table < cx.ks.tables());
    let db = cx
        .ks
        .table(table.ok_or(Error::new("ERR Out of range database"))?);
    let full = args.is(3, "full");
    let all = Filling::of(|cursor, seen| db.scan(cursor, &mut |_| *seen += 1));
    let expiring = Filling::of(|cursor, seen| {
        db.scan(cursor, &mut |record| {
            *seen += usize::from(record.expire().is_some());
        })
    });
    let text = format!(
        "[Dictionary HT]\n{}[Expires HT]\n{}",
        all.lines(full),
        expiring.lines(full)
    );
    cx.reply.verbatim(b"txt", text.as_bytes());
    Ok(())
}

/// HTSTATS-KEY: the table of one hash, set or sorted set.
pub(super) fn key_table_stats(cx: &mut Ctx, args: &Args) -> Outcome {
    let full = args.is(3, "full");
    cx.ks.select_key(args.at(2));
    let slot = cx.ks.find(args.at(2)).ok_or(error::NO_SUCH_KEY)?;
    let filling = match cx.ks.view(slot) {
        ValueRef::Hash(table) => {
            Filling::of(|cursor, seen| table.scan(cursor, &mut |_| *seen += 1))
        }
        ValueRef::Set(table) => Filling::of(|cursor, seen| table.scan(cursor, &mut |_| *seen += 1)),
        ValueRef::Zset(table) => Filling::of(|cursor, seen| table.scan(cursor, |_, _| *seen += 1)),
        _ => {
            return Err(Error::new(
                "ERR The value stored at the specified key is not represented using an hash table",
            ));
        }
    };
    cx.reply.verbatim(b"txt", filling.lines(full).as_bytes());
    Ok(())
}
