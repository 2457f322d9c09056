//! Inside a list: LINSERT, LSET, LREM, LTRIM.

use super::ends::after_removal;
use super::store;
use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::{self, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::value::{Kind, ValueRef, list_pack};

pub(super) const LINSERT: Command = Command {
    name: "linsert",
    group: Group::List,
    since: "2.2.0",
    arity: 5,
    flags: Flags::WRITE.and(Flags::DENY_OOM),
    keys: &[KeySpec::one(&["RW", "insert"])],
    complexity: "O(N) where N is the number of elements to traverse before seeing the value pivot. This means that inserting somewhere on the left end on the list (head) can be considered O(1) and inserting somewhere on the right end (tail) is O(N).",
    summary: "Insert before or after an element",
    run: linsert,
    ..Command::BASE
};

fn linsert(cx: &mut Ctx, args: &Args) -> Outcome {
    let (key, pivot, value) = (args.at(1), args.at(3), args.at(4));
    let after = args.is(2, "after");
    if !after && !args.is(2, "before") {
        return Err(error::SYNTAX);
    }
    let Some(slot) = cx.ks.write_kind(key, Kind::List)? else {
        cx.reply.int(0);
        return Ok(());
    };
    // Room is made before the element is looked for, as in Redis.
    let slot = store::prepare(cx.ks, slot, std::iter::once(value));
    let before = cfg!(debug_assertions).then(|| cx.ks.view(slot).count());
    let (slot, found) = store::edit(
        cx.ks,
        slot,
        |blob| list_pack::insert(blob, pivot, after, value),
        |list, limits| list.insert(pivot, after, value, limits),
    );
    debug_assert_eq!(before, Some(cx.ks.view(slot).count() - usize::from(found)));
    if !found {
        cx.reply.int(-1);
        return Ok(());
    }
    cx.ks.modified(EventClass::LIST, "linsert", key, 1);
    let len = cx.ks.view(slot).count();
    cx.reply.int(len as i64);
    Ok(())
}

pub(super) const LSET: Command = Command {
    name: "lset",
    since: "1.0.0",
    arity: 4,
    keys: &[KeySpec::one(&["RW", "update"])],
    complexity: "O(N) where N is the length of the list. Setting either the first or the last element of the list is O(1).",
    summary: "Replace the element at an index",
    run: lset,
    ..LINSERT
};

fn lset(cx: &mut Ctx, args: &Args) -> Outcome {
    let (key, value) = (args.at(1), args.at(3));
    let slot = cx
        .ks
        .write_kind(key, Kind::List)?
        .ok_or(error::NO_SUCH_KEY)?;
    // Redis keeps the lowest 32 bits of the index.
    let index = i64::from(args.int(2)? as i32);
    let slot = store::prepare(cx.ks, slot, std::iter::once(value));
    let before = cfg!(debug_assertions).then(|| cx.ks.view(slot).count());
    let (slot, found) = store::edit(
        cx.ks,
        slot,
        |blob| list_pack::set(blob, index, value),
        |list, limits| list.set(index, value, limits),
    );
    debug_assert_eq!(before, Some(cx.ks.view(slot).count()), "one for another");
    if !found {
        return Err(error::INDEX_OUT_OF_RANGE);
    }
    store::shrink(cx.ks, slot);
    cx.ks.modified(EventClass::LIST, "lset", key, 1);
    cx.reply.ok();
    Ok(())
}

pub(super) const LREM: Command = Command {
    name: "lrem",
    since: "1.0.0",
    arity: 4,
    flags: Flags::WRITE,
    keys: &[KeySpec::one(&["RW", "delete"])],
    complexity: "O(N+M) where N is the length of the list and M is the number of elements removed.",
    summary: "Remove elements of a value",
    run: lrem,
    ..LINSERT
};

fn lrem(cx: &mut Ctx, args: &Args) -> Outcome {
    let (key, value) = (args.at(1), args.at(3));
    let count = args.int(2)?;
    let Some(slot) = cx.ks.write_kind(key, Kind::List)? else {
        cx.reply.int(0);
        return Ok(());
    };
    let before = cfg!(debug_assertions).then(|| cx.ks.view(slot).count());
    let (slot, removed) = store::edit(
        cx.ks,
        slot,
        |blob| list_pack::remove_value(blob, value, count),
        |list, limits| list.remove_value(value, count, limits),
    );
    debug_assert_eq!(before, Some(cx.ks.view(slot).count() + removed));
    debug_assert!(count == 0 || removed as u64 <= count.unsigned_abs());
    if removed > 0 {
        cx.ks
            .modified(EventClass::LIST, "lrem", key, removed as u64);
        after_removal(cx, slot, key);
    }
    cx.reply.int(removed as i64);
    Ok(())
}

pub(super) const LTRIM: Command = Command {
    name: "ltrim",
    since: "1.0.0",
    arity: 4,
    complexity: "O(N) where N is the number of elements to be removed by the operation.",
    summary: "Keep a range of elements, remove the others",
    run: ltrim,
    ..LREM
};

fn ltrim(cx: &mut Ctx, args: &Args) -> Outcome {
    let key = args.at(1);
    let (start, stop) = (args.int(2)?, args.int(3)?);
    let Some(slot) = cx.ks.write_kind(key, Kind::List)? else {
        cx.reply.ok();
        return Ok(());
    };
    let len = cx.ks.view(slot).count();
    let (first, kept) = list_pack::resolve_range(start, stop, len);
    debug_assert!(kept == 0 || first + kept <= len, "a range of the list");
    let (slot, ()) = store::edit(
        cx.ks,
        slot,
        |blob| list_pack::trim(blob, first, kept),
        |list, limits| list.trim(first, kept, limits),
    );
    debug_assert_eq!(cx.ks.view(slot).count(), kept);
    // The event comes even if nothing had to go; such a trim is no change.
    cx.ks
        .modified(EventClass::LIST, "ltrim", key, (len - kept) as u64);
    after_removal(cx, slot, key);
    cx.reply.ok();
    Ok(())
}

pub(super) const LPOS: Command = Command {
    name: "lpos",
    group: Group::List,
    since: "6.0.6",
    arity: -3,
    flags: Flags::READ,
    keys: &[KeySpec::one(&["RO", "access"])],
    complexity: "O(N) where N is the number of elements in the list, for the average case. When searching for elements near the head or the tail of the list, or when the MAXLEN option is provided, the command may run in constant time.",
    summary: "Find the positions of a value",
    run: lpos,
    ..Command::BASE
};

struct Search {
    /// Matches to pass over; the search runs from the tail if `backwards`.
    skip: u64,
    backwards: bool,
    /// Matches to answer, 0 for all; none: one, as a single number.
    count: Option<usize>,
    /// Elements to compare, 0 for all.
    most: usize,
}

impl Search {
    fn parse(args: &Args) -> Result<Search, error::Error> {
        let mut search = Search {
            skip: 0,
            backwards: false,
            count: None,
            most: 0,
        };
        let positive = |i: usize, text: &'static str| {
            let number = args.int(i).ok().and_then(|n| usize::try_from(n).ok());
            number.ok_or(error::Error::new(text))
        };
        let mut i = 3;
        while i < args.len() {
            let more = i + 1 < args.len();
            if args.is(i, "rank") && more {
                let rank = args.int_within(i + 1, -i64::MAX, i64::MAX)?;
                if rank == 0 {
                    return Err(error::Error::new(
                        "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list",
                    ));
                }
                (search.skip, search.backwards) = (rank.unsigned_abs() - 1, rank < 0);
            } else if args.is(i, "count") && more {
                search.count = Some(positive(i + 1, "ERR COUNT can't be negative")?);
            } else if args.is(i, "maxlen") && more {
                search.most = positive(i + 1, "ERR MAXLEN can't be negative")?;
            } else {
                return Err(error::SYNTAX);
            }
            i += 2;
        }
        Ok(search)
    }

    /// The positions of `value`.
    fn run(&self, list: ValueRef, value: &[u8]) -> Vec<usize> {
        use std::ops::ControlFlow;
        let len = list.count();
        let visited = if self.most == 0 {
            len
        } else {
            self.most.min(len)
        };
        let wanted = match self.count {
            None => 1,
            Some(0) => usize::MAX,
            Some(count) => count,
        };
        let (mut found, mut skip, mut seen) = (Vec::new(), self.skip, 0);
        let mut see = |element: cairn_format::encoding::listpack::Entry| {
            if element.eq_bytes(value) {
                if skip > 0 {
                    skip -= 1;
                } else {
                    found.push(if self.backwards { len - 1 - seen } else { seen });
                }
            }
            seen += 1;
            if found.len() >= wanted {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        };
        match (list, self.backwards) {
            (ValueRef::Packed(_, _, blob), false) => {
                let _ = list_pack::visit(blob, 0, visited, &mut see);
            }
            (ValueRef::Packed(_, _, blob), true) => {
                let _ = list_pack::visit_rev(blob, len - 1, visited, &mut see);
            }
            (ValueRef::List(list), false) => list.visit(0, visited, see),
            (ValueRef::List(list), true) => list.visit_rev(len - 1, visited, see),
            _ => {}
        }
        debug_assert!(found.iter().all(|at| *at < len) && found.len() <= wanted);
        found
    }
}

fn lpos(cx: &mut Ctx, args: &Args) -> Outcome {
    let search = Search::parse(args)?;
    let slot = cx.ks.read_kind(args.at(1), Kind::List)?;
    let found = slot.map_or(Vec::new(), |slot| search.run(cx.ks.view(slot), args.at(2)));
    match (search.count, found.first()) {
        (Some(_), _) => {
            cx.reply.array(found.len());
            found.iter().for_each(|at| cx.reply.int(*at as i64));
        }
        (None, Some(at)) => cx.reply.int(*at as i64),
        (None, None) => cx.reply.null(),
    }
    Ok(())
}
