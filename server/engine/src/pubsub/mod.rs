//! Who listens to which channel. It knows sessions by address only and sends nothing itself.

use std::collections::HashMap;

use cairn_format::text::glob::glob_match;

use crate::base::id::SessionId;

/// Listeners of one kind of channel. A session appears once per channel.
#[derive(Debug, Default)]
pub struct Channels(HashMap<Box<[u8]>, Vec<SessionId>>);

impl Channels {
    /// Adds a listener.
    pub fn add(&mut self, channel: &[u8], session: SessionId) {
        let listeners = self.0.entry(channel.into()).or_default();
        debug_assert!(!listeners.contains(&session), "it hears each message once");
        if !listeners.contains(&session) {
            listeners.push(session);
        }
    }

    /// Removes a listener.
    pub fn remove(&mut self, channel: &[u8], session: SessionId) {
        if let Some(listeners) = self.0.get_mut(channel) {
            let before = listeners.len();
            listeners.retain(|s| *s != session);
            debug_assert_eq!(listeners.len() + 1, before, "it listened, once");
            if listeners.is_empty() {
                self.0.remove(channel);
            }
        }
    }

    /// The listeners of a channel.
    pub fn of(&self, channel: &[u8]) -> &[SessionId] {
        self.0.get(channel).map_or(&[], Vec::as_slice)
    }

    /// All channels with at least one listener.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.0.keys().map(|name| &**name)
    }

    /// Listeners of all channels; who listens to several counts as often.
    pub fn listeners(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// Number of channels.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Nobody listens.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// All channels, patterns and shard channels.
#[derive(Debug, Default)]
pub struct PubSub {
    /// SUBSCRIBE.
    pub channels: Channels,
    /// PSUBSCRIBE.
    pub patterns: Channels,
    /// SSUBSCRIBE.
    pub shard_channels: Channels,
}

impl PubSub {
    /// Nobody listens to anything.
    pub fn is_idle(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty()
    }

    /// The patterns that match a channel, with their listeners.
    pub fn matching<'a>(
        &'a self,
        channel: &'a [u8],
    ) -> impl Iterator<Item = (&'a [u8], &'a [SessionId])> {
        self.patterns
            .0
            .iter()
            .filter(move |(pattern, _)| glob_match(pattern, channel, false))
            .map(|(pattern, sessions)| (&**pattern, sessions.as_slice()))
    }
}
