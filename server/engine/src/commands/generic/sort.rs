//! SORT: the elements of a list, set or sorted set in another order, by themselves or by what other keys hold.

use std::cmp::Ordering;
use std::ops::Range;

use cairn_format::text::double::parse_f64;
use cairn_format::text::number::I64Text;

use cairn_format::crc16::{key_slot, pattern_slot};

use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::{self, Error, Outcome, WRONG_TYPE};
use crate::base::limits::Collation;
use crate::call::ctx::Ctx;
use crate::call::rights;
use crate::call::spec::{Begin, Command, Find, Flags, Group, KeySpec};
use crate::commands::list::replace_list;
use crate::commands::string::bytes_of;
use crate::keyspace::Keyspace;
use crate::structure::table::Slot;
use crate::value::{Kind, ValueRef, hash, zset};

const UNKNOWN: KeySpec = KeySpec {
    notes: "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort",
    flags: &["RO", "access"],
    begin: Begin::Unknown,
    find: Find::Unknown,
};

pub(super) const SORT: Command = Command {
    name: "sort",
    group: Group::Generic,
    arity: -2,
    flags: Flags::WRITE
        .and(Flags::DENY_OOM)
        .and(Flags::MOVABLE_KEYS)
        .and(Flags::DANGEROUS),
    categories: Some(&["@set", "@sortedset", "@list"]),
    keys: &[
        KeySpec::one(&["RO", "access"]),
        UNKNOWN,
        KeySpec {
            notes: "For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in the argument array",
            flags: &["OW", "update"],
            ..UNKNOWN
        },
    ],
    complexity: "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of returned elements. When the elements are not sorted, complexity is O(N).",
    summary: "Answer or store the elements of a list, set or sorted set in order",
    run: |cx, args| sort(cx, args, true),
    ..Command::BASE
};

pub(super) const SORT_RO: Command = Command {
    name: "sort_ro",
    since: "7.0.0",
    flags: Flags::READ.and(Flags::MOVABLE_KEYS).and(Flags::DANGEROUS),
    keys: &[KeySpec::one(&["RO", "access"]), UNKNOWN],
    summary: "Answer the elements of a list, set or sorted set in order",
    run: |cx, args| sort(cx, args, false),
    ..SORT
};

const BY_DENIED: Error =
    Error::new("ERR BY option of SORT denied due to insufficient ACL permissions.");
const BY_ELSEWHERE: Error = Error::new("ERR BY option of SORT denied in Cluster mode.");
const GET_ELSEWHERE: Error = Error::new("ERR GET option of SORT denied in Cluster mode.");
const GET_DENIED: Error =
    Error::new("ERR GET option of SORT denied due to insufficient ACL permissions.");

#[derive(Default)]
struct Options<'a> {
    descending: bool,
    by_text: bool,
    limit: Option<(i64, i64)>,
    /// Pattern of the keys to sort by.
    by: Option<&'a [u8]>,
    /// BY names a pattern without `*`: the order stays as it is.
    unsorted: bool,
    get: Vec<&'a [u8]>,
    store: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    /// `reads_all`: the client may read whatever key a pattern names. `slot`: where keys are kept by slot, patterns name keys of this one.
    fn parse(
        args: &Args<'a>,
        may_store: bool,
        reads_all: bool,
        slot: Option<u16>,
    ) -> Result<Options<'a>, Error> {
        let mut o = Options::default();
        let mut i = 2;
        while i < args.len() {
            let left = args.len() - i - 1;
            match () {
                () if args.is(i, "asc") => o.descending = false,
                () if args.is(i, "desc") => o.descending = true,
                () if args.is(i, "alpha") => o.by_text = true,
                () if args.is(i, "limit") && left >= 2 => {
                    o.limit = Some((args.int(i + 1)?, args.int(i + 2)?));
                    i += 2;
                }
                () if args.is(i, "store") && left >= 1 && may_store => {
                    o.store = Some(args.at(i + 1));
                    i += 1;
                }
                () if args.is(i, "by") && left >= 1 => {
                    o.unsorted = !args.at(i + 1).contains(&b'*');
                    o.by = Some(args.at(i + 1)).filter(|_| !o.unsorted);
                    if let Some(pattern) = o.by
                        && !stays_in_slot(pattern, slot)
                    {
                        return Err(BY_ELSEWHERE);
                    }
                    if o.by.is_some() && !reads_all {
                        return Err(BY_DENIED);
                    }
                    i += 1;
                }
                () if args.is(i, "get") && left >= 1 => {
                    if args.at(i + 1) != b"#" && !stays_in_slot(args.at(i + 1), slot) {
                        return Err(GET_ELSEWHERE);
                    }
                    if !reads_all {
                        return Err(GET_DENIED);
                    }
                    o.get.push(args.at(i + 1));
                    i += 1;
                }
                () => return Err(error::SYNTAX),
            }
            i += 1;
        }
        Ok(o)
    }

    /// The elements to answer, of `len`.
    fn range(&self, len: usize) -> std::ops::Range<usize> {
        let (start, count) = self.limit.unwrap_or((0, -1));
        let start = usize::try_from(start).unwrap_or(0).min(len);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        start..start + count.min(len - start)
    }
}

/// An element with what it is compared by.
struct Item {
    element: Vec<u8>,
    score: f64,
    /// The text that it is compared by, if that is not itself.
    text: Option<Vec<u8>>,
    /// Where it was before.
    at: usize,
}

impl Item {
    /// The text that is compared.
    fn compared(&self) -> &[u8] {
        self.text.as_deref().unwrap_or(&self.element)
    }
}

/// Whether all keys that a pattern forms have this slot, if that matters.
fn stays_in_slot(pattern: &[u8], slot: Option<u16>) -> bool {
    slot.is_none_or(|slot| pattern_slot(pattern) == Some(slot))
}

fn sort(cx: &mut Ctx, args: &Args, may_store: bool) -> Outcome {
    let own_slot = cx.ks.has_slots().then(|| key_slot(args.at(1)));
    let reads_all = rights::may_read_all(cx, args);
    let mut options = Options::parse(args, may_store, reads_all, own_slot)?;
    let slot = cx.ks.read(args.at(1));
    let kind = slot.map(|slot| cx.ks.kind(slot));
    if !matches!(kind, None | Some(Kind::List | Kind::Set | Kind::Zset)) {
        return Err(WRONG_TYPE);
    }
    let must_not_vary = options.store.is_some() || cx.shared.in_script(cx.session);
    if options.unsorted && kind == Some(Kind::Set) && must_not_vary {
        // The order of a set is nobody's business: what is stored, or what a script does, must not depend on it.
        (options.unsorted, options.by_text) = (false, true);
    }
    let mut elements = slot.map_or(Vec::new(), |slot| load(cx.ks, slot, &options));
    let range = options.range(elements.len());
    let shown = if options.unsorted {
        elements.drain(range).collect()
    } else {
        in_order(cx.ks, elements, range, &options)?
    };
    let found = collect(cx.ks, shown, &options.get);
    match options.store {
        Some(target) => store(cx, target, found),
        None => {
            cx.reply.array(found.len());
            for value in found {
                match value {
                    Some(value) => cx.reply.bulk(&value),
                    None => cx.reply.null(),
                }
            }
        }
    }
    Ok(())
}

/// All elements, in the order of the collection; where that order is to stay, DESC turns a list or sorted set around.
fn load(ks: &mut Keyspace, slot: Slot, options: &Options) -> Vec<Vec<u8>> {
    let mut slot = slot;
    if ks.kind(slot) == Kind::Zset && matches!(ks.view(slot), ValueRef::Packed(..)) {
        // Redis makes a sorted set unpacked before it sorts it, and leaves it so.
        let ranked = zset::to_ranked(ks.view(slot), ks.hasher);
        slot = ks.change(slot).replace(ranked);
    }
    let value = ks.view(slot);
    let backwards = options.unsorted && options.descending;
    let mut all = Vec::with_capacity(value.count());
    if value.kind() == Kind::Zset {
        zset::each_ranked(value, 0..value.count(), backwards, &mut |member, _| {
            all.push(member.to_bytes().into_owned());
        });
    } else {
        value.each(&mut |element| all.push(element.to_bytes().into_owned()));
    }
    if backwards && value.kind() == Kind::List {
        all.reverse();
    }
    all
}

/// Those elements that are in this range when all are in order.
fn in_order(
    ks: &mut Keyspace,
    elements: Vec<Vec<u8>>,
    range: Range<usize>,
    options: &Options,
) -> Result<Vec<Vec<u8>>, Error> {
    let mut items = Vec::with_capacity(elements.len());
    let mut all_numbers = true;
    for (at, element) in elements.into_iter().enumerate() {
        let other = options.by.map(|pattern| look_up(ks, pattern, &element));
        let mut item = Item {
            element,
            score: 0.0,
            text: None,
            at,
        };
        if options.by_text {
            item.text = other.flatten();
        } else {
            // What the pattern does not find counts 0.
            let number = match &other {
                None => number(&item.element),
                Some(Some(text)) => number(text),
                Some(None) => Some(0.0),
            };
            all_numbers &= number.is_some();
            item.score = number.unwrap_or(0.0);
        }
        items.push(item);
    }
    if !all_numbers {
        return Err(Error::new(
            "ERR One or more scores can't be converted into double",
        ));
    }
    let order = Order {
        options,
        collation: ks.limits.collation,
        has_zeros: options.by_text && items.iter().any(|item| item.compared().contains(&0)),
    };
    let shown = order.sorted(items, range);
    Ok(shown.into_iter().map(|item| item.element).collect())
}

/// As C's `strtod` reads it: nothing is 0, blanks may stand in front, a zero byte ends it.
fn number(text: &[u8]) -> Option<f64> {
    let text = until_zero(text);
    if text.is_empty() {
        return Some(0.0);
    }
    let blanks = text
        .iter()
        .take_while(|b| b.is_ascii_whitespace() || **b == 0x0b);
    let blanks = blanks.count();
    parse_f64(&text[blanks..])
}

/// What C sees of a text.
fn until_zero(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|b| *b == 0);
    &text[..end.unwrap_or(text.len())]
}

/// How items are compared.
struct Order<'a> {
    options: &'a Options<'a>,
    collation: Option<Collation>,
    /// Some text has a zero byte, where it ends for C.
    has_zeros: bool,
}

impl Order<'_> {
    /// The items of a range of all in order. What is outside of it is set apart and not sorted.
    fn sorted(&self, mut items: Vec<Item>, range: Range<usize>) -> Vec<Item> {
        let total = |a: &Item, b: &Item| self.total(a, b);
        if range.is_empty() {
            return Vec::new();
        }
        if range.end < items.len() {
            items.select_nth_unstable_by(range.end, total);
            items.truncate(range.end);
        }
        if range.start > 0 {
            items.select_nth_unstable_by(range.start, total);
            items.drain(..range.start);
        }
        // What is in order in part is sorted faster by the stable way.
        items.sort_by(total);
        items
    }

    /// Equal ones stay as they were.
    fn total(&self, a: &Item, b: &Item) -> Ordering {
        let order = self.compare(a, b);
        let order = if self.options.descending {
            order.reverse()
        } else {
            order
        };
        order.then(a.at.cmp(&b.at))
    }

    fn compare(&self, a: &Item, b: &Item) -> Ordering {
        if !self.options.by_text {
            let by_score = a.score.partial_cmp(&b.score).unwrap_or(Ordering::Equal);
            return by_score.then_with(|| a.element.cmp(&b.element));
        }
        if self.options.by.is_some() {
            // What the pattern does not find comes first.
            return match (&a.text, &b.text) {
                (Some(a), Some(b)) => self.compare_texts(a, b),
                (a, b) => a.is_some().cmp(&b.is_some()),
            };
        }
        self.compare_texts(&a.element, &b.element)
    }

    /// What is stored is compared as bytes; what is answered as C's `strcoll` does, up to a zero byte.
    fn compare_texts(&self, a: &[u8], b: &[u8]) -> Ordering {
        let seen = |text| {
            if self.has_zeros {
                until_zero(text)
            } else {
                text
            }
        };
        match (self.options.store, self.collation) {
            (Some(_), _) => a.cmp(b),
            (None, None) => seen(a).cmp(seen(b)),
            (None, Some(collation)) => collation(seen(a), seen(b)),
        }
    }
}

/// What a pattern finds for an element: `#` is the element, `key_*` a string, `key_*->field` a field of a hash.
fn look_up(ks: &mut Keyspace, pattern: &[u8], element: &[u8]) -> Option<Vec<u8>> {
    if pattern == b"#" {
        return Some(element.to_vec());
    }
    let star = pattern.iter().position(|b| *b == b'*')?;
    let (before, behind) = (&pattern[..star], &pattern[star + 1..]);
    // An arrow without a field behind it is part of the name.
    let arrow = behind.windows(2).position(|w| w == b"->");
    let arrow = arrow.filter(|at| at + 2 < behind.len());
    let (behind, field) = match arrow {
        Some(at) => (&behind[..at], Some(&behind[at + 2..])),
        None => (behind, None),
    };
    let key = [before, element, behind].concat();
    let slot = ks.read(&key)?;
    let value = ks.view(slot);
    match (field, value.kind()) {
        (Some(field), Kind::Hash) => Some(hash::get(value, field)?.to_bytes().into_owned()),
        (None, Kind::String) => {
            let mut text = I64Text::new();
            Some(bytes_of(value, &mut text).ok()?.to_vec())
        }
        _ => None,
    }
}

/// The elements themselves, or what the patterns of GET find for each.
fn collect(ks: &mut Keyspace, elements: Vec<Vec<u8>>, get: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
    if get.is_empty() {
        return elements.into_iter().map(Some).collect();
    }
    let mut found = Vec::with_capacity(elements.len() * get.len());
    for element in &elements {
        for pattern in get {
            found.push(look_up(ks, pattern, element));
        }
    }
    found
}

/// Stores the result as a list; what was not found becomes an empty string.
fn store(cx: &mut Ctx, target: &[u8], found: Vec<Option<Vec<u8>>>) {
    let count = found.len();
    let values: Vec<Vec<u8>> = found.into_iter().map(Option::unwrap_or_default).collect();
    let existed = replace_list(cx.ks, target, &values);
    if count > 0 {
        cx.ks
            .modified(EventClass::LIST, "sortstore", target, count as u64);
    } else if existed {
        cx.ks.modified(EventClass::GENERIC, "del", target, 1);
    }
    cx.reply.int(count as i64);
}
