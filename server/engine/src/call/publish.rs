//! Messages to those who listen to a channel.

use cairn_format::resp::reply::Protocol;

use super::ctx::{Instance, Shared};
use super::reply::Reply;
use crate::base::id::SessionId;
use crate::session::Session;

/// Sends a message to the listeners of a channel and of matching patterns; answers how many there were.
/// `running` is the session that is out of the slab.
pub fn publish(
    shared: &Shared,
    inst: &mut dyn Instance,
    running: Option<&Session>,
    channel: &[u8],
    message: &[u8],
) -> usize {
    let direct = shared.pubsub.channels.of(channel);
    let mut receivers = direct.len();
    send(
        shared,
        inst,
        running,
        direct,
        &[b"message", channel, message],
    );
    for (pattern, sessions) in shared.pubsub.matching(channel) {
        receivers += sessions.len();
        send(
            shared,
            inst,
            running,
            sessions,
            &[b"pmessage", pattern, channel, message],
        );
    }
    receivers
}

/// Encodes a message once per protocol and hands it to each listener.
pub fn send(
    shared: &Shared,
    inst: &mut dyn Instance,
    running: Option<&Session>,
    to: &[SessionId],
    parts: &[&[u8]],
) {
    let mut encoded: [Option<Vec<u8>>; 2] = [None, None];
    for &slot in to {
        let session = running
            .filter(|s| s.slot == slot)
            .or_else(|| shared.sessions.get(slot));
        let Some(session) = session else { continue };
        let bytes =
            encoded[usize::from(session.protocol == Protocol::Resp3)].get_or_insert_with(|| {
                let mut reply = Reply::to(session.protocol);
                reply.push(parts.len());
                parts.iter().for_each(|part| reply.bulk(part));
                reply.buf
            });
        inst.deliver(slot, bytes);
    }
}
