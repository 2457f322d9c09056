//! Parts of a string: STRLEN, GETRANGE, SETRANGE, APPEND.

use bytes::{Bytes, BytesMut};

use super::bytes_of;
use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::{self, Error, Outcome};
use crate::base::limits::can_hold;
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::keyspace::Keyspace;
use crate::structure::record::INLINE_MAX;
use crate::structure::table::Slot;
use crate::value::{Kind, NewValue, Object, ValueRef};
use cairn_format::text::number::I64Text;

pub(super) const STRLEN: Command = Command {
    name: "strlen",
    group: Group::String,
    since: "2.2.0",
    arity: 2,
    flags: Flags::READ.and(Flags::FAST),
    keys: &[KeySpec::one(&["RO"])],
    summary: "Measure the string at a key",
    run: strlen,
    ..Command::BASE
};

fn strlen(cx: &mut Ctx, args: &Args) -> Outcome {
    let len = match cx.ks.read_kind(args.at(1), Kind::String)? {
        Some(slot) => bytes_of(cx.ks.view(slot), &mut I64Text::new())?.len(),
        None => 0,
    };
    cx.reply.int(len as i64);
    Ok(())
}

pub(super) const GETRANGE: Command = Command {
    name: "getrange",
    group: Group::String,
    since: "2.4.0",
    arity: 4,
    flags: Flags::READ,
    keys: &[KeySpec::one(&["RO", "access"])],
    complexity: "O(N) where N is the length of the returned string. The complexity is ultimately determined by the returned length, but because creating a substring from an existing string is very cheap, it can be considered O(1) for small strings.",
    summary: "Read a part of the string at a key",
    run: getrange,
    ..Command::BASE
};

pub(super) const SUBSTR: Command = Command {
    name: "substr",
    since: "1.0.0",
    ..GETRANGE
};

fn getrange(cx: &mut Ctx, args: &Args) -> Outcome {
    let (start, end) = (args.int(2)?, args.int(3)?);
    let Some(slot) = cx.ks.read_kind(args.at(1), Kind::String)? else {
        cx.reply.bulk(b"");
        return Ok(());
    };
    let view = cx.ks.view(slot);
    let mut text = I64Text::new();
    let bytes = bytes_of(view, &mut text)?;
    let range = byte_range(start, end, bytes.len());
    match view {
        ValueRef::Big(shared) if range.len() >= crate::call::reply::SHARE_FROM => {
            cx.reply.bulk_shared(&shared.slice(range));
        }
        _ => cx.reply.bulk(&bytes[range]),
    }
    Ok(())
}

/// The bytes that `start` and `end` (inclusive, negative from the end) name.
fn byte_range(start: i64, end: i64, len: usize) -> std::ops::Range<usize> {
    // Both negative and crossed is empty even where clipping would uncross them, as in Redis.
    if start < 0 && end < 0 && start > end {
        return 0..0;
    }
    let len = len as i64;
    let from_end = |i: i64| if i < 0 { (len + i).max(0) } else { i };
    let (start, end) = (from_end(start), from_end(end).min(len - 1));
    debug_assert!(
        start >= 0 && end < len,
        "counted from the start, within the string"
    );
    if start > end || len == 0 {
        0..0
    } else {
        start as usize..end as usize + 1
    }
}

pub(super) const APPEND: Command = Command {
    name: "append",
    group: Group::String,
    since: "2.0.0",
    arity: 3,
    flags: Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
    keys: &[KeySpec::one(&["RW", "insert"])],
    complexity: "O(1). The amortized time complexity is O(1) assuming the appended value is small and the already present value is of any size, since the dynamic string library used by Redis will double the free space available on every reallocation.",
    summary: "Add to the end of the string at a key",
    run: append,
    ..Command::BASE
};

fn append(cx: &mut Ctx, args: &Args) -> Outcome {
    let (key, tail) = (args.at(1), args.at(2));
    let len = match cx.ks.write_kind(key, Kind::String)? {
        None => {
            cx.ks.add(key, NewValue::string(tail), None);
            tail.len()
        }
        Some(slot) => {
            let old = bytes_of(cx.ks.view(slot), &mut I64Text::new())?.len();
            check_len(cx, old, tail.len())?;
            edit_text(cx.ks, slot, old + tail.len(), |text| {
                text.extend_from_slice(tail)
            })
        }
    };
    debug_assert!(len >= tail.len(), "the tail is there");
    cx.ks.modified(EventClass::STRING, "append", key, 1);
    cx.reply.int(len as i64);
    Ok(())
}

fn check_len(cx: &Ctx, offset: usize, len: usize) -> Outcome {
    match offset.checked_add(len) {
        Some(total) if total <= cx.string_bytes_max() => Ok(()),
        _ => Err(error::STRING_TOO_LONG),
    }
}

pub(super) const SETRANGE: Command = Command {
    name: "setrange",
    group: Group::String,
    since: "2.2.0",
    arity: 4,
    flags: Flags::WRITE.and(Flags::DENY_OOM),
    keys: &[KeySpec::one(&["RW", "update"])],
    complexity: "O(1), not counting the time taken to copy the new string in place. Usually, this string is very small so the amortized complexity is O(1). Otherwise, complexity is O(M) with M being the length of the value argument.",
    summary: "Overwrite a part of the string at a key",
    run: setrange,
    ..Command::BASE
};

fn setrange(cx: &mut Ctx, args: &Args) -> Outcome {
    let (key, part) = (args.at(1), args.at(3));
    let offset =
        usize::try_from(args.int(2)?).map_err(|_| Error::new("ERR offset is out of range"))?;
    let slot = cx.ks.write_kind(key, Kind::String)?;
    let old = match slot {
        Some(slot) => bytes_of(cx.ks.view(slot), &mut I64Text::new())?.len(),
        None => 0,
    };
    if part.is_empty() {
        cx.reply.int(old as i64);
        return Ok(());
    }
    check_len(cx, offset, part.len())?;
    if !can_hold(offset.saturating_sub(old)) {
        return Err(error::NO_MEMORY);
    }
    let slot = slot.unwrap_or_else(|| cx.ks.add(key, NewValue::raw(b""), None));
    let end = offset + part.len();
    let len = edit_text(cx.ks, slot, old.max(end), |text| {
        text.resize(text.len().max(end), 0);
        text[offset..end].copy_from_slice(part);
    });
    debug_assert_eq!(len, old.max(end), "it grows as far as it must");
    cx.ks.modified(EventClass::STRING, "setrange", key, 1);
    cx.reply.int(len as i64);
    Ok(())
}

/// Edits the bytes of a string in place where they are ours alone; afterwards the string is `raw`.
/// Room is made at once for `len` bytes, its length after the edit or an estimate. Answers the length.
pub(crate) fn edit_text(
    ks: &mut Keyspace,
    slot: Slot,
    len: usize,
    edit: impl FnOnce(&mut BytesMut),
) -> usize {
    debug_assert_eq!(ks.kind(slot), Kind::String);
    if let Some(Object::Str(shared)) = ks.change(slot).object() {
        // Bytes that a reply still holds must not change under it: those are copied.
        let mut text = std::mem::take(shared)
            .try_into_mut()
            .unwrap_or_else(|held| BytesMut::from(&held[..]));
        edit(&mut text);
        *shared = text.freeze();
        return shared.len();
    }
    let mut text = BytesMut::with_capacity(if len > INLINE_MAX { len } else { 0 });
    let mut digits = I64Text::new();
    text.extend_from_slice(bytes_of(ks.view(slot), &mut digits).unwrap_or_default());
    edit(&mut text);
    let len = text.len();
    let value = if text.len() <= INLINE_MAX {
        NewValue::raw(&text)
    } else {
        NewValue::object(Object::Str(Bytes::from(text)))
    };
    ks.change(slot).replace(value);
    len
}

#[cfg(test)]
mod tests {
    use super::byte_range;

    #[test]
    fn ranges_count_from_either_end() {
        assert_eq!(byte_range(0, -1, 5), 0..5);
        assert_eq!(byte_range(-3, -2, 5), 2..4);
        assert_eq!(byte_range(-100, 1, 5), 0..2);
        assert_eq!(byte_range(3, 1, 5), 0..0);
        assert_eq!(byte_range(-1, -5, 5), 0..0);
        assert_eq!(byte_range(7, 9, 5), 0..0);
        assert_eq!(byte_range(0, 0, 0), 0..0);
    }
}
