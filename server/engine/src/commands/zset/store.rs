//! One member in, one member out, in the encoding that the limits ask for.

use crate::base::effect::EventClass;
use crate::base::error::Error;
use crate::keyspace::Keyspace;
use crate::structure::ranked::Ranked;
use crate::structure::table::Slot;
use crate::value::{Encoding, Kind, NewValue, Object, ValueRef, zset};
use cairn_format::encoding::listpack;

/// The sorted set at a key, made empty if there is none. As in Redis 7.2 the length of the first member decides
/// the first encoding.
pub(super) fn open(ks: &mut Keyspace, key: &[u8], first: &[u8]) -> Result<Slot, Error> {
    if let Some(slot) = ks.write_kind(key, Kind::Zset)? {
        return Ok(slot);
    }
    let packed = ks.limits.zset_listpack_entries > 0
        && first.len() <= ks.limits.zset_listpack_value
        && ks.limits.may_pack(0, first.len());
    Ok(if packed {
        ks.add(
            key,
            NewValue::packed(Kind::Zset, Encoding::Listpack, &listpack::empty()),
            None,
        )
    } else {
        let empty = Ranked::new(ks.hasher);
        ks.add(key, NewValue::object(Object::Zset(empty)), None)
    })
}

/// Gives a member its score; the caller knows whether it is there (`replaces`).
pub(super) fn put(
    ks: &mut Keyspace,
    slot: Slot,
    member: &[u8],
    score: f64,
    replaces: bool,
) -> Slot {
    debug_assert!(!score.is_nan(), "scores have an order");
    let mut slot = slot;
    if let ValueRef::Packed(_, _, blob) = ks.view(slot) {
        let fits = replaces
            || ks.view(slot).count() < ks.limits.zset_listpack_entries
                && member.len() <= ks.limits.zset_listpack_value
                && ks.limits.may_pack(blob.len(), member.len());
        if fits {
            let (slot, ()) = ks.change(slot).edit_packed(|blob| {
                if replaces {
                    zset::packed_remove(blob, member);
                }
                zset::packed_insert(blob, member, score);
            });
            return slot;
        }
        let members = ks.view(slot).count();
        let ranked = zset::to_ranked(ks.view(slot), ks.hasher);
        slot = ks.change(slot).replace(ranked);
        debug_assert_eq!(ks.view(slot).count(), members, "the same members");
    }
    unpacked(ks, slot).insert(member, score);
    slot
}

/// Replaces what is at a key by a sorted set of these members, which are in order, and counts that as so many changes; no
/// members remove the key.
pub(crate) fn replace(
    ks: &mut Keyspace,
    key: &[u8],
    members: &[(Vec<u8>, f64)],
    event: &'static str,
    changes: u64,
) {
    debug_assert!(
        members.is_sorted_by(|(a, low), (b, high)| (low, a) <= (high, b)),
        "in order"
    );
    let old = ks.write(key);
    if members.is_empty() {
        if let Some(slot) = old {
            crate::commands::string::delete_key(ks, slot, key);
        }
        return;
    }
    let packed = members.len() <= ks.limits.zset_listpack_entries
        && members
            .iter()
            .all(|(member, _)| member.len() <= ks.limits.zset_listpack_value)
        && ks
            .limits
            .may_pack(0, members.iter().map(|(member, _)| member.len()).sum());
    if packed {
        let mut blob = listpack::empty();
        for (member, score) in members {
            zset::packed_insert(&mut blob, member, *score);
        }
        ks.set(
            key,
            NewValue::packed(Kind::Zset, Encoding::Listpack, &blob),
            None,
        );
    } else {
        let mut ranked = Ranked::new(ks.hasher);
        for (member, score) in members {
            ranked.insert(member, *score);
        }
        ks.set(key, NewValue::object(Object::Zset(ranked)), None);
    }
    ks.modified(EventClass::ZSET, event, key, changes);
}

/// Removes a member; whether it was there.
pub(super) fn remove(ks: &mut Keyspace, slot: Slot, member: &[u8]) -> (Slot, bool) {
    if matches!(ks.view(slot), ValueRef::Packed(..)) {
        return ks
            .change(slot)
            .edit_packed(|blob| zset::packed_remove(blob, member));
    }
    (slot, unpacked(ks, slot).remove(member).is_some())
}

/// Removes a range of ranks.
pub(super) fn remove_range(ks: &mut Keyspace, slot: Slot, ranks: std::ops::Range<usize>) -> Slot {
    if matches!(ks.view(slot), ValueRef::Packed(..)) {
        return ks
            .change(slot)
            .edit_packed(|blob| zset::packed_remove_range(blob, ranks))
            .0;
    }
    unpacked(ks, slot).remove_range(ranks, |_, _| {});
    slot
}

/// The sorted set with both indexes, if it is not packed.
#[inline]
pub(super) fn ranked(ks: &mut Keyspace, slot: Slot) -> Option<&mut Ranked> {
    match ks.change(slot).object() {
        Some(Object::Zset(ranked)) => Some(ranked),
        _ => None,
    }
}

fn unpacked(ks: &mut Keyspace, slot: Slot) -> &mut Ranked {
    ranked(ks, slot).expect("a sorted set that is not packed has both indexes")
}
