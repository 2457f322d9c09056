//! DEBUG of the data set: digests, one key in detail, many keys at once, switches that shape values.

use cairn_engine::base::args::Args;
use cairn_engine::base::error::{self, Error, Outcome};
use cairn_engine::base::limits::TestLimits;
use cairn_engine::call::Ctx;
use cairn_engine::keyspace::{Expired, lru_clock};
use cairn_engine::persist::digest;
use cairn_engine::persist::save::{automatic_dialect, write_record};
use cairn_engine::value::{NewValue, ValueRef, encoding_of};
use cairn_format::rdb::WriteOptions;
use cairn_format::rdb::dump;
use cairn_format::rdb::event::Head;
use cairn_format::text::glob::glob_match;
use cairn_format::text::number::I64Text;

use super::{ok, switch};
use crate::config::{memory_size, table};
use crate::front::access;

pub(super) fn populate(cx: &mut Ctx, args: &Args) -> Outcome {
    let number =
        |i| usize::try_from(args.int(i).unwrap_or(-1)).map_err(|_| error::MUST_BE_POSITIVE);
    let count = number(2)?;
    let prefix = args.get(3).unwrap_or(b"key");
    let size = if args.len() > 4 {
        Some(number(4)?)
    } else {
        None
    };
    if size.is_some_and(|size| size > cx.ks.limits.string_bytes_max) {
        return Err(error::STRING_TOO_LONG);
    }
    let (mut key, mut value, mut digits) = (Vec::new(), Vec::new(), I64Text::new());
    for i in 0..count {
        let digits = digits.format(i as i64);
        key.clear();
        for part in [prefix, b":", digits] {
            key.extend_from_slice(part);
        }
        cx.ks.select_key(&key);
        if cx.ks.find(&key).is_some() {
            continue;
        }
        value.clear();
        value.extend_from_slice(b"value:");
        value.extend_from_slice(digits);
        if let Some(size) = size {
            value.resize(size, 0);
        }
        cx.ks.add(&key, NewValue::string(&value), None);
        cx.ks.changed(&key, 0);
    }
    ok(cx)
}

pub(super) fn all_digest(cx: &mut Ctx, _: &Args) -> Outcome {
    cx.reply.simple(digest::of_all(cx.ks).hex());
    Ok(())
}

pub(super) fn value_digests(cx: &mut Ctx, args: &Args) -> Outcome {
    cx.reply.array(args.len() - 2);
    for key in args.iter_from(2) {
        cx.ks.select_key(key);
        let digest = match cx.ks.find(key) {
            Some(slot) => digest::of_value(cx.ks.record(slot)),
            None => digest::Digest::default(),
        };
        cx.reply.simple(digest.hex());
    }
    Ok(())
}

/// Body of a DUMP payload without its type byte, version and checksum.
const DUMP_FRAME: usize = 1 + 2 + 8;

pub(super) fn describe(cx: &mut Ctx, args: &Args) -> Outcome {
    let fast = args.is(3, "fast");
    if args.len() == 4 && !fast {
        return Err(error::SYNTAX);
    }
    // What has expired is shown as long as it is there.
    let view = std::mem::replace(&mut cx.ks.expired, Expired::Stays);
    cx.ks.select_key(args.at(2));
    let found = cx.ks.find(args.at(2));
    cx.ks.expired = view;
    let slot = found.ok_or(error::NO_SUCH_KEY)?;
    let mut options = WriteOptions::new(automatic_dialect(cx.ks));
    options.compress = access::settings(&mut *cx.inst)
        .config
        .get(table::RDBCOMPRESSION);
    let record = cx.ks.record(slot);
    let value = cx.ks.view(slot);
    let saved = dump::build(options, |writer| {
        write_record(writer, &Head::default(), record)
    });
    let serialized = saved.map_or(0, |payload| payload.len().saturating_sub(DUMP_FRAME));
    let owners = match value {
        // Redis shares these integers between all keys.
        ValueRef::Int(0..=9999) => i32::MAX,
        _ => 1,
    };
    let clock = lru_clock(cx.ks.now_ms);
    let mut text = format!(
        "Value at:{record:p} refcount:{owners} encoding:{} serializedlength:{serialized} lru:{} lru_seconds_idle:{}",
        encoding_of(record.tag()).name(),
        record.access(),
        clock.wrapping_sub(record.access()) & 0xff_ffff,
    );
    if let ValueRef::List(list) = value
        && !fast
    {
        let nodes = list.node_count();
        text.push_str(&format!(
            " ql_nodes:{nodes} ql_avg_node:{:.2} ql_listpack_max:{} ql_compressed:{} ql_uncompressed_size:{}",
            list.len() as f64 / nodes.max(1) as f64,
            cx.ks.limits.list_listpack_size,
            u8::from(cx.ks.limits.list_compress_depth > 0),
            list.mem_bytes(),
        ));
    }
    cx.reply.simple(&text);
    Ok(())
}

/// Largest threshold, bytes: a little below 4 GB, because a listpack counts its bytes in 32 bits.
const PLAIN_THRESHOLD_MAX: u64 = (1 << 32) - (1 << 20);

/// QUICKLIST-PACKED-THRESHOLD: from which size on an element of a long list has a node of its own; 0 is the default.
pub(super) fn plain_threshold(cx: &mut Ctx, args: &Args) -> Outcome {
    let size = memory_size(args.at(2)).filter(|size| *size <= PLAIN_THRESHOLD_MAX);
    let size = size.ok_or(Error::new(
        "ERR argument must be a memory value bigger than 1 and smaller than 4gb",
    ))?;
    cx.ks.limits.tests.list_plain_threshold = match size as usize {
        0 => TestLimits::default().list_plain_threshold,
        size => size,
    };
    ok(cx)
}

pub(super) fn skip_checksums(cx: &mut Ctx, args: &Args) -> Outcome {
    cx.ks.limits.tests.skip_checksums = switch(args);
    ok(cx)
}

pub(super) fn scripts_call_all(cx: &mut Ctx, args: &Args) -> Outcome {
    cx.ks.limits.tests.scripts_call_all = switch(args);
    ok(cx)
}

pub(super) fn set_active_expire(cx: &mut Ctx, args: &Args) -> Outcome {
    cx.ks.active_expire = switch(args);
    ok(cx)
}

/// Rounds of STRINGMATCH-TEST, and the longest pattern and text, bytes.
const GLOB_ROUNDS: usize = 100_000;
const GLOB_BYTES_MAX: usize = 32;

/// STRINGMATCH-TEST: random patterns against random texts of few letters; the answer comes if no match hangs or fails.
pub(super) fn glob_test(cx: &mut Ctx, _: &Args) -> Outcome {
    const LETTERS: &[u8] = b"ab*?[]^-\\";
    let random = &mut cx.ks.random;
    let mut draw = |of: &[u8]| -> Vec<u8> {
        let len = random.index(GLOB_BYTES_MAX + 1);
        (0..len).map(|_| of[random.index(of.len())]).collect()
    };
    for _ in 0..GLOB_ROUNDS {
        let (pattern, text) = (draw(LETTERS), draw(&LETTERS[..2]));
        std::hint::black_box(glob_match(&pattern, &text, false));
    }
    cx.reply
        .simple("Apparently Redis did not crash: test passed");
    Ok(())
}
