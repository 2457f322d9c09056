//! What a session has outside of itself: watched keys, subscriptions, and what it wants to hear of keys.

use crate::keyspace::Keyspace;
use crate::pubsub::PubSub;
use crate::session::Session;

/// Ends everything that reaches beyond the session itself. Also what RESET and DISCARD build on.
pub fn forget_interests(ks: &mut Keyspace, pubsub: &mut PubSub, session: &mut Session) {
    session.multi = None;
    unwatch_all(ks, session);
    stop_tracking(ks, session);
    if let Some(subscriptions) = session.subscriptions.take() {
        for channel in &subscriptions.channels {
            pubsub.channels.remove(channel, session.slot);
        }
        for pattern in &subscriptions.patterns {
            pubsub.patterns.remove(pattern, session.slot);
        }
        for channel in &subscriptions.shard_channels {
            pubsub.shard_channels.remove(channel, session.slot);
        }
    }
}

/// It is not told of changed keys any more.
pub fn stop_tracking(ks: &mut Keyspace, session: &mut Session) {
    if let Some(options) = session.tracking.take() {
        ks.end_tracking(session.reader(), &options);
    }
}

/// Forgets all watched keys of a session.
pub fn unwatch_all(ks: &mut Keyspace, session: &mut Session) {
    session.watch_touched = false;
    for (db, key) in session.watched.drain(..) {
        ks.unwatch(session.slot, db, &key);
    }
    debug_assert!(session.watched.is_empty() && !session.watch_touched);
}
