//! Which arguments of a command are keys, and what happens to them: read from the key specifications of its constant.
//!
//! COMMAND GETKEYS, access control and the cluster's slots all ask here.

use super::spec::{Begin, Command, Find, KeySpec};
use crate::base::args::Args;
use crate::users::check::UsedChannels;

/// One key among the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// Number of the argument.
    pub at: usize,
    /// What happens to it: `RO`, `RW`, `OW`, `RM`, then access, update, insert, delete.
    pub flags: &'static [&'static str],
}

/// Whether any argument of the command can be a key.
pub fn has_keys(command: &Command) -> bool {
    command
        .keys
        .iter()
        .any(|spec| !spec.flags.contains(&"not_key"))
}

/// The key of a command that has one, always at the same place: what [`keys_of`] answers then, without making a list.
pub fn only_key(command: &Command) -> Option<KeyUse> {
    let key = place_of_only_key(command)?;
    (!key.flags.contains(&"variable_flags")).then_some(key)
}

/// As [`only_key`], also where arguments decide what is done to it: its flags are the most that may be.
pub fn place_of_only_key(command: &Command) -> Option<KeyUse> {
    match command.keys {
        [
            KeySpec {
                begin: Begin::Index(at),
                find: Find::Range { last: 0, .. },
                flags,
                ..
            },
        ] if !flags.contains(&"not_key") => {
            let at = usize::try_from(*at).ok()?;
            Some(KeyUse { at, flags })
        }
        _ => None,
    }
}

/// The arguments of a command of channels that belong to slots as keys do; none for other commands.
pub fn shard_channels(command: &Command, args: &Args) -> Option<std::ops::Range<usize>> {
    let is_sharded = |spec: &KeySpec| spec.flags.contains(&"not_key");
    let last = match command.channels {
        _ if !command.keys.iter().any(is_sharded) => return None,
        UsedChannels::First => 1,
        UsedChannels::All => args.len().saturating_sub(1),
        UsedChannels::None | UsedChannels::Patterns => return None,
    };
    Some(1..last + 1)
}

/// The keys of a whole command (name first), in the order of its specifications. `None`: the arguments contradict a
/// specification, for instance a count of keys that is larger than what follows it.
pub fn keys_of(command: &Command, args: &Args) -> Option<Vec<KeyUse>> {
    match command.name {
        "sort" => return Some(sort_keys(command, args)),
        // What BY and GET read is named by the elements.
        "sort_ro" => return Some(vec![use_of(command, 0, 1)]),
        "migrate" => return migrate_keys(command, args),
        "georadius" => return Some(radius_keys(command, args, 6)),
        "georadiusbymember" => return Some(radius_keys(command, args, 5)),
        "xread" | "xreadgroup" => return stream_keys(command, args),
        _ => {}
    }
    let mut found = Vec::new();
    for spec in command.keys {
        if spec.flags.contains(&"not_key") {
            continue;
        }
        let flags = flags_of(command, spec, args);
        let Some(begin) = begin_of(spec, args)? else {
            continue;
        };
        for at in positions(spec, begin, args)? {
            found.push(KeyUse { at, flags });
        }
    }
    Some(found)
}

fn use_of(command: &Command, spec: usize, at: usize) -> KeyUse {
    KeyUse {
        at,
        flags: command.keys[spec].flags,
    }
}

/// SORT: its first argument, and what the last STORE names. Words that are arguments of an option are no options.
fn sort_keys(command: &Command, args: &Args) -> Vec<KeyUse> {
    let (mut i, mut target) = (2, None);
    while i < args.len() {
        if args.is(i, "limit") {
            i += 2;
        } else if args.is(i, "by") || args.is(i, "get") {
            i += 1;
        } else if args.is(i, "store") && i + 1 < args.len() {
            i += 1;
            target = Some(i);
        }
        i += 1;
    }
    let source = std::iter::once(use_of(command, 0, 1));
    source
        .chain(target.map(|at| use_of(command, 2, at)))
        .collect()
}

/// GEORADIUS and GEORADIUSBYMEMBER: the first argument, and what the last STORE or STOREDIST names. Words that are arguments of an
/// option are no options.
fn radius_keys(command: &Command, args: &Args, options: usize) -> Vec<KeyUse> {
    let (mut i, mut target) = (options, None);
    while i + 1 < args.len() {
        let stores = args.is(i, "store") || args.is(i, "storedist");
        if stores {
            target = Some(i + 1);
        }
        i += if stores || args.is(i, "count") { 2 } else { 1 };
    }
    let source = std::iter::once(use_of(command, 0, 1));
    source
        .chain(target.map(|at| use_of(command, 1, at)))
        .collect()
}

/// XREAD and XREADGROUP: the first half of what follows STREAMS. The names of group and consumer, and numbers, are no options.
fn stream_keys(command: &Command, args: &Args) -> Option<Vec<KeyUse>> {
    let mut i = 1;
    while i < args.len() && !args.is(i, "streams") {
        i += match () {
            () if args.is(i, "block") || args.is(i, "count") => 2,
            () if args.is(i, "group") => 3,
            () => 1,
        };
    }
    if i >= args.len() {
        return Some(Vec::new());
    }
    let words = args.len() - i - 1;
    let keys = i + 1..i + 1 + words / 2;
    // An odd word at the end is refused by the command itself.
    (words > 1).then(|| keys.map(|at| use_of(command, 0, at)).collect())
}

/// MIGRATE: its third argument, or if that is empty all arguments behind KEYS. Words that are arguments of an option are
/// no options.
fn migrate_keys(command: &Command, args: &Args) -> Option<Vec<KeyUse>> {
    let mut i = 6;
    // A KEYS behind which nothing stands is no option either.
    while i < args.len() && !(args.is(i, "keys") && i + 1 < args.len()) {
        i += match () {
            () if args.is(i, "auth") => 2,
            () if args.is(i, "auth2") => 3,
            () => 1,
        };
    }
    if i >= args.len() {
        return Some(vec![use_of(command, 0, 3)]);
    }
    // With KEYS the single key has to be empty.
    args.at(3).is_empty().then(|| {
        (i + 1..args.len())
            .map(|at| use_of(command, 0, at))
            .collect()
    })
}

/// The flags of one use: some commands do less or more than their specification says at most.
fn flags_of(command: &Command, spec: &KeySpec, args: &Args) -> &'static [&'static str] {
    if !spec.flags.contains(&"variable_flags") {
        return spec.flags;
    }
    match command.name {
        "set" if !(3..args.len()).any(|i| args.is(i, "get")) => &["OW", "update"],
        "bitfield" if bitfield_reads_only(args) => &["RO", "access"],
        _ => &["RW", "access", "update"],
    }
}

fn bitfield_reads_only(args: &Args) -> bool {
    let mut i = 2;
    while i < args.len() {
        let step = match args.at(i) {
            word if word.eq_ignore_ascii_case(b"get") => 3,
            word if word.eq_ignore_ascii_case(b"overflow") => 2,
            _ => return false,
        };
        i += step;
    }
    true
}

/// Where a group of keys begins. The inner `None`: the word before it is not there, so these keys are not given.
fn begin_of(spec: &KeySpec, args: &Args) -> Option<Option<usize>> {
    match spec.begin {
        Begin::Index(index) => {
            let index = usize::try_from(index).ok()?;
            (index < args.len()).then_some(Some(index))
        }
        Begin::Keyword(word, from) => {
            let word = word.as_bytes();
            let is_word = |i: &usize| args.at(*i).eq_ignore_ascii_case(word);
            let last = args.len() - 1;
            let place = match usize::try_from(from) {
                Ok(from) => (from..last).find(is_word),
                Err(_) => {
                    let from = args.len().saturating_sub(usize::from(from.unsigned_abs()));
                    (1..=from).rev().find(is_word)
                }
            };
            Some(place.map(|i| i + 1))
        }
        Begin::Unknown => None,
    }
}

fn positions(
    spec: &KeySpec,
    begin: usize,
    args: &Args,
) -> Option<std::iter::StepBy<std::ops::Range<usize>>> {
    let count = args.len() as i64;
    let first = begin as i64;
    let (first, last, step) = match spec.find {
        Find::Range { last, step, limit } => {
            let last = match (last, limit) {
                (0.., _) => first + i64::from(last),
                (-1, 2..) => first + (count - first) / i64::from(limit) - 1,
                _ => count + i64::from(last),
            };
            (first, last, step)
        }
        Find::Count {
            at,
            first: offset,
            step,
        } => {
            let keys = args
                .int(usize::try_from(first + i64::from(at)).ok()?)
                .ok()?;
            if !(0..=count).contains(&keys) {
                return None;
            }
            let first = first + i64::from(offset);
            // No keys are asked for: an empty range behind the count.
            (first, first + (keys - 1) * i64::from(step), step)
        }
        Find::Unknown => return None,
    };
    let empty = last == first - i64::from(step) && matches!(spec.find, Find::Count { .. });
    let step = usize::try_from(step).ok().filter(|step| *step > 0)?;
    if empty {
        return Some((0..0).step_by(1));
    }
    (last >= first && last < count).then(|| (first as usize..last as usize + 1).step_by(step))
}

/// First key, last key and step in the form of Redis before 7.0: one range that covers what it can of the
/// specifications. A negative last counts from the end.
pub fn legacy_range(command: &Command) -> (i64, i64, i64) {
    let ranges = |spec: &KeySpec| match (spec.begin, spec.find) {
        (Begin::Index(first), Find::Range { last, step, .. }) => {
            let (first, last) = (i64::from(first), i64::from(last));
            let last = if last >= 0 { first + last } else { last };
            Some((first, last, i64::from(step)))
        }
        _ => None,
    };
    if let [only] = command.keys {
        return ranges(only).unwrap_or((0, 0, 0));
    }
    let mut whole: Option<(i64, i64)> = None;
    for (first, last, step) in command.keys.iter().filter_map(ranges) {
        let joins = whole.is_none_or(|(_, end)| end == first - 1);
        if step != 1 || !joins {
            break;
        }
        let start = whole.map_or(first, |(start, _)| start.min(first));
        whole = Some((start, last));
    }
    whole.map_or((0, 0, 0), |(first, last)| (first, last, 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::args::ArgsBuf;

    fn keys(specs: &'static [KeySpec], words: &[&str]) -> Option<Vec<usize>> {
        let command = Command {
            name: "x",
            keys: specs,
            ..Command::BASE
        };
        let args = ArgsBuf::from_slices(words);
        keys_of(&command, &args.args()).map(|uses| uses.iter().map(|u| u.at).collect())
    }

    #[test]
    fn ranges_end_at_a_place_at_the_end_or_in_the_middle() {
        const ONE: &[KeySpec] = &[KeySpec::one(&["RO"])];
        const PAIRS: &[KeySpec] = &[KeySpec::range(1, -1, 2, &["OW"])];
        const ALL_BUT_LAST: &[KeySpec] = &[KeySpec::range(1, -2, 1, &["RW"])];
        assert_eq!(keys(ONE, &["x", "a", "b"]), Some(vec![1]));
        assert_eq!(keys(PAIRS, &["x", "a", "1", "b", "2"]), Some(vec![1, 3]));
        assert_eq!(keys(ALL_BUT_LAST, &["x", "a", "b", "0"]), Some(vec![1, 2]));
        assert_eq!(keys(ALL_BUT_LAST, &["x", "0"]), None);
        assert_eq!(keys(ONE, &["x"]), None);
    }

    #[test]
    fn a_count_is_believed_only_as_far_as_arguments_go() {
        const COUNT: &[KeySpec] = &[KeySpec::count(1, &["RO"])];
        assert_eq!(keys(COUNT, &["x", "2", "a", "b", "c"]), Some(vec![2, 3]));
        assert_eq!(keys(COUNT, &["x", "0"]), Some(vec![]));
        assert_eq!(keys(COUNT, &["x", "3", "a", "b"]), None);
        assert_eq!(keys(COUNT, &["x", "9223372036854775807", "a"]), None);
        assert_eq!(keys(COUNT, &["x", "-1", "a"]), None);
        assert_eq!(keys(COUNT, &["x", "two", "a"]), None);
        assert_eq!(keys(COUNT, &["x"]), None);
    }

    #[test]
    fn a_word_may_stand_before_the_keys() {
        const STREAMS: &[KeySpec] = &[KeySpec {
            notes: "",
            flags: &["RO"],
            begin: Begin::Keyword("STREAMS", 1),
            find: Find::Range {
                last: -1,
                step: 1,
                limit: 2,
            },
        }];
        assert_eq!(
            keys(STREAMS, &["x", "count", "2", "streams", "a", "b", "0", "0"]),
            Some(vec![4, 5])
        );
        assert_eq!(keys(STREAMS, &["x", "a", "0"]), Some(vec![]));
    }
}
