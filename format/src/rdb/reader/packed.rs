//! Packed values, and runs of strings, that are surely sound, found in the window at one glance.
//!
//! ```text
//!   [FC | 8 bytes expiry] | 0B, 10, 11 or 14 | key | blob                        intset or listpack
//!   [FC | 8 bytes expiry] | 12 | key | number of nodes | 02 | blob | 02 | ..     a list of listpacks
//!   [FC | 8 bytes expiry] | 01, 02 or 04 | key | count | string | string | ..    list, set or hash in single strings
//! ```
//!
//! No event is built of them. Whatever looks different, is odd or is wrong is left to the general walk, which then says what it is.

use super::super::dialect::Dialect;
use super::super::object::Checker;
use super::super::opcode::{self, TypeInfo};
use super::super::string::{Form, form};
use super::Check;
use super::fast::{Start, string, unpack};
use crate::encoding::listpack::Listpack;

/// Room for work.
pub(super) struct Room<'r> {
    /// For the names of elements.
    pub checker: &'r mut Checker,
    /// For what is decompressed.
    pub buffer: &'r mut Vec<u8>,
}

/// Where the record ends that begins so at the window's begin, and its type, if its value is packed and all of it sound.
pub(super) fn sound_value(
    window: &[u8],
    start: &Start,
    dialect: Dialect,
    check: Check,
    room: &mut Room<'_>,
) -> Option<(usize, &'static TypeInfo)> {
    let info = opcode::type_info(dialect.family(), start.type_byte)?;
    // Without a check entries are nobody's concern; a type that came later is odd.
    if check == Check::Structure || info.since > dialect.version() {
        return None;
    }
    let at = start.value_at();
    let end = match start.type_byte {
        opcode::SET_INTSET
        | opcode::SET_LISTPACK
        | opcode::HASH_LISTPACK
        | opcode::ZSET_LISTPACK => {
            let (bytes, end) = blob(window, at, room.buffer)?;
            let is_sound = room.checker.is_surely_sound(start.type_byte, bytes);
            is_sound.then_some(end)?
        }
        opcode::LIST_NODES => sound_nodes(window, at, room.buffer)?,
        opcode::LIST | opcode::SET | opcode::HASH => {
            sound_strings(window, at, start.type_byte, room)?
        }
        _ => return None,
    };
    Some((end, info))
}

/// Where a list ends whose nodes are listpacks with elements.
fn sound_nodes(window: &[u8], at: usize, buffer: &mut Vec<u8>) -> Option<usize> {
    let (nodes, mut at) = number(window, at)?;
    for _ in 0..nodes {
        let (container, blob_at) = number(window, at)?;
        if container != opcode::NODE_PACKED {
            return None;
        }
        let (bytes, end) = blob(window, blob_at, buffer)?;
        if Listpack::check(bytes).ok()?.is_empty() {
            return None;
        }
        at = end;
    }
    (nodes > 0).then_some(at)
}

/// Where a list, set or hash ends that is a run of strings, none of its names twice.
fn sound_strings(window: &[u8], at: usize, type_byte: u8, room: &mut Room<'_>) -> Option<usize> {
    let (count, mut at) = number(window, at)?;
    let mut names = room.checker.names();
    for _ in 0..count {
        let (form, place) = string(window, at)?;
        at = place.end;
        let name = match unpack(form, &place, window, room.buffer)? {
            true => &room.buffer[..],
            false => window.get(place)?,
        };
        if type_byte != opcode::LIST {
            names.add(name);
        }
        if type_byte == opcode::HASH {
            let (form, place) = string(window, at)?;
            at = place.end;
            unpack(form, &place, window, room.buffer)?;
        }
    }
    (count > 0 && names.differ()).then_some(at)
}

/// A length that stands by itself, and where it ends.
fn number(window: &[u8], at: usize) -> Option<(u64, usize)> {
    match form(window, at, true).ok()? {
        (Form::Plain(number), end) => Some((number, end)),
        _ => None,
    }
}

/// The bytes of a string that is no number, in `buffer` if they were compressed, and where it ends.
#[inline]
fn blob<'s>(window: &'s [u8], at: usize, buffer: &'s mut Vec<u8>) -> Option<(&'s [u8], usize)> {
    let (form, place) = string(window, at)?;
    let end = place.end;
    if matches!(form, Form::Int(_)) {
        return None;
    }
    match unpack(form, &place, window, buffer)? {
        true => Some((buffer, end)),
        false => Some((window.get(place)?, end)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::listpack;

    fn packed(entries: &[&[u8]]) -> Vec<u8> {
        let mut bytes = listpack::empty();
        for entry in entries {
            listpack::push_back(&mut bytes, entry);
        }
        bytes
    }

    fn record(type_byte: u8, value: &[&[u8]]) -> Vec<u8> {
        [&[type_byte, 1, b'k'][..], &value.concat()].concat()
    }

    /// A string of the file.
    fn stored(bytes: &[u8]) -> Vec<u8> {
        [&[bytes.len() as u8][..], bytes].concat()
    }

    fn end_in(window: &[u8], dialect: Dialect, check: Check) -> Option<usize> {
        let mut room = Room {
            checker: &mut Checker::default(),
            buffer: &mut Vec::new(),
        };
        let start = super::super::fast::start(window)?;
        sound_value(window, &start, dialect, check, &mut room).map(|(end, _)| end)
    }

    fn is_sound(window: &[u8]) -> bool {
        end_in(window, Dialect::REDIS_7_2, Check::Strict) == Some(window.len())
    }

    #[test]
    fn sound_values_of_each_packed_type_are_passed() {
        let pairs = stored(&packed(&[b"a", b"1", b"b", b"2"]));
        for type_byte in [16, 17, 20] {
            assert!(is_sound(&record(type_byte, &[&pairs])), "{type_byte}");
        }
        let numbers = stored(&[2, 0, 0, 0, 3, 0, 0, 0, 7, 0, 8, 0]);
        assert!(!is_sound(&record(11, &[&numbers])), "one is missing");
        let numbers = stored(&[2, 0, 0, 0, 2, 0, 0, 0, 7, 0, 8, 0]);
        assert!(is_sound(&record(11, &[&numbers])));
        let list = record(18, &[&[2, 2], &pairs, &[2], &pairs]);
        assert!(is_sound(&list));
        for end in 0..list.len() {
            assert!(!is_sound(&list[..end]), "{end}");
        }
        let expiring = [&b"\xfc12345678"[..], &list].concat();
        assert!(is_sound(&expiring));
    }

    #[test]
    fn runs_of_strings_are_passed_if_their_names_differ() {
        let long = b"\xc3\x05\x0c\x00\x61\xe0\x02\x00";
        assert!(is_sound(&record(1, &[b"\x02\x01a\x01a"])));
        assert!(is_sound(&record(2, &[b"\x03\x01a\xc0\x07", long])));
        assert!(!is_sound(&record(2, &[b"\x02\x01a\x01a"])));
        assert!(!is_sound(&record(2, &[b"\x02\x017\xc0\x07"])), "one text");
        assert!(is_sound(&record(4, &[b"\x02\x01a\x01v\x01b", long])));
        assert!(!is_sound(&record(4, &[b"\x02\x01a\x01v\x01a\x01w"])));
        assert!(!is_sound(&record(
            4,
            &[b"\x01\x01a\xc3\x05\x0d", &long[3..]]
        )));
        for type_byte in [1, 2, 4] {
            assert!(!is_sound(&record(type_byte, &[b"\x00"])), "empty");
            assert!(!is_sound(&record(type_byte, &[b"\x02\x01a"])), "cut");
        }
        // Each claims more than there is, and nothing is taken for it.
        assert!(!is_sound(&record(
            2,
            &[b"\x81\xff\xff\xff\xff\xff\xff\xff\xff"]
        )));
    }

    #[test]
    fn what_is_wrong_or_odd_is_left_to_who_says_it() {
        let twice = stored(&packed(&[b"a", b"1", b"a", b"2"]));
        let empty = stored(&packed(&[]));
        for type_byte in [16, 17, 20] {
            assert!(!is_sound(&record(type_byte, &[&twice])), "{type_byte}");
            assert!(!is_sound(&record(type_byte, &[&empty])), "{type_byte}");
            assert!(!is_sound(&record(type_byte, &[b"\xc0\x01"])), "{type_byte}");
        }
        let pairs = stored(&packed(&[b"a", b"1"]));
        for nodes in [&[0][..], &[1, 3], &[1, 1], &[0xc0, 1, 2]] {
            assert!(!is_sound(&record(18, &[nodes, &pairs])), "{nodes:?}");
        }
        assert!(!is_sound(&record(18, &[&[1, 2], &empty])));
        assert!(!is_sound(&record(3, &[&[1], &pairs])), "no such type here");
        let set = record(20, &[&pairs]);
        let old = Dialect::redis(10);
        assert_eq!(end_in(&set, old, Check::Strict), None, "came later");
        let now = Dialect::REDIS_7_2;
        assert_eq!(end_in(&set, now, Check::Structure), None);
        assert_eq!(end_in(&set, now, Check::Sound), Some(set.len()));
    }
}
