//! What log and replicas hear of groups: deliveries and claims as one kind of claim, and where a group stands.

use super::stream_at;
use crate::call::ctx::Ctx;
use crate::structure::table::Slot;
use crate::value::stream::StreamId;

/// A pending entry as it is propagated.
pub struct Claim {
    /// Text of its id.
    pub id: Vec<u8>,
    /// Name of its owner.
    pub owner: Box<[u8]>,
    /// When it was delivered, Unix milliseconds.
    pub delivery_ms: i64,
    /// How often.
    pub deliveries: u64,
}

/// Propagates that an entry is pending: a claim that makes it so wherever it runs.
pub fn propagate_claim(cx: &mut Ctx, key: &[u8], group: &[u8], last: StreamId, claim: &Claim) {
    let time = claim.delivery_ms.to_string();
    let deliveries = claim.deliveries.to_string();
    let last = last.to_string();
    cx.propagate(&[
        b"XCLAIM",
        key,
        group,
        &claim.owner,
        b"0",
        &claim.id,
        b"TIME",
        time.as_bytes(),
        b"RETRYCOUNT",
        deliveries.as_bytes(),
        b"FORCE",
        b"JUSTID",
        b"LASTID",
        last.as_bytes(),
    ]);
}

/// Propagates that a consumer is there, to which no claim makes it: it must not be gone after a restart. (Redis 7.2 forgets
/// it; later versions tell it as we do.)
pub fn propagate_consumer(cx: &mut Ctx, key: &[u8], group: &[u8], name: &[u8]) {
    cx.propagate(&[b"XGROUP", b"CREATECONSUMER", key, group, name]);
}

/// Propagates where a group stands.
pub fn propagate_group(cx: &mut Ctx, slot: Slot, key: &[u8], name: &[u8]) {
    let Some(group) = stream_at(cx.ks, slot).group(name) else {
        return;
    };
    let last = group.last_id.to_string();
    let read = group
        .entries_read
        .map_or_else(|| "-1".to_string(), |read| read.to_string());
    cx.propagate(&[
        b"XGROUP",
        b"SETID",
        key,
        name,
        last.as_bytes(),
        b"ENTRIESREAD",
        read.as_bytes(),
    ]);
}
