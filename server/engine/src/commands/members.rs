//! Taking named members out of a collection: HDEL, SREM, ZREM.

use crate::base::args::Args;
use crate::base::error::Outcome;
use crate::call::ctx::Ctx;
use crate::keyspace::{Keyspace, Named};
use crate::structure::table::Slot;
use crate::value::Kind;

/// Removes the members that arguments 2 and up name, and answers how many were there. `remove` takes out one of them, and
/// `event` of its class tells of all.
///
/// # Errors
/// The key holds another type.
pub fn remove(
    cx: &mut Ctx,
    args: &Args,
    kind: Kind,
    (class, event): (u32, &'static str),
    remove: fn(&mut Keyspace, Slot, &[u8]) -> (Slot, bool),
) -> Outcome {
    let key = args.at(1);
    let Some(mut slot) = cx.ks.write_kind(key, kind)? else {
        cx.reply.int(0);
        return Ok(());
    };
    let before = cx.ks.view(slot).count() as u64;
    let mut removed = 0;
    let mut members = Named::new(args, 2, 1);
    while let Some(at) = members.next(cx.ks, slot) {
        let was_there;
        (slot, was_there) = remove(cx.ks, slot, args.at(at));
        removed += u64::from(was_there);
        if was_there && cx.ks.view(slot).is_empty() {
            break;
        }
    }
    debug_assert!(removed <= before && removed <= args.len() as u64 - 2);
    if removed > 0 {
        cx.ks.modified(class, event, key, removed);
        cx.ks.remove_if_empty(slot, key);
        debug_assert!(
            removed < before || cx.ks.is_free(key),
            "with the last member"
        );
    }
    cx.reply.int(removed as i64);
    Ok(())
}
