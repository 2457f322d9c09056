//! Packed values that are surely sound, found in the window at one glance.
//!
//! ```text
//!   [FC | 8 bytes expiry] | 0B, 10, 11 or 14 | key | blob                        intset or listpack
//!   [FC | 8 bytes expiry] | 12 | key | number of nodes | 02 | blob | 02 | ..     a list of listpacks
//! ```
//!
//! No event is built of them. Whatever looks different, is odd or is wrong is left to the general walk, which then says what it is.

use super::super::dialect::Dialect;
use super::super::object::Checker;
use super::super::opcode::{self, TypeInfo};
use super::super::string::{Form, form};
use super::Check;
use super::fast::{Start, start, string, unpack};
use crate::encoding::listpack::Listpack;

/// Room for work.
pub(super) struct Room<'r> {
    /// For the names of elements.
    pub checker: &'r mut Checker,
    /// For what is decompressed.
    pub buffer: &'r mut Vec<u8>,
}

/// The record at the window's begin, its length and its type, if its value is packed and all of it sound.
pub(super) fn sound_value(
    window: &[u8],
    dialect: Dialect,
    check: Check,
    room: &mut Room<'_>,
) -> Option<(Start, usize, &'static TypeInfo)> {
    let start = start(window)?;
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
        _ => return None,
    };
    Some((start, end, info))
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
        sound_value(window, dialect, check, &mut room).map(|(_, end, _)| end)
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
        assert!(!is_sound(&record(1, &[&[1], &pairs])), "no packed type");
        let set = record(20, &[&pairs]);
        let old = Dialect::redis(10);
        assert_eq!(end_in(&set, old, Check::Strict), None, "came later");
        let now = Dialect::REDIS_7_2;
        assert_eq!(end_in(&set, now, Check::Structure), None);
        assert_eq!(end_in(&set, now, Check::Sound), Some(set.len()));
    }
}
