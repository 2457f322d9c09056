//! How much may wait for a client before it is cut off (`client-output-buffer-limit`).

/// The classes of clients that have limits of their own, in the order in which the directive prints them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientClass {
    /// Everybody else, MONITOR included.
    Normal,
    /// Replicas.
    Replica,
    /// Clients with at least one subscription.
    Pubsub,
    /// The primary.
    Primary,
}

/// One class's limits; 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BufferLimit {
    /// Bytes beyond which the client is closed at once.
    pub hard: u64,
    /// Bytes beyond which it is closed when it stays there.
    pub soft: u64,
    /// Seconds it may stay there.
    pub soft_seconds: u64,
}

/// Since when a client is beyond its soft limit.
#[derive(Debug, Clone, Copy, Default)]
pub struct LimitWatch {
    soft_since_ms: Option<u64>,
}

impl LimitWatch {
    /// Everything was sent: the time beyond the soft limit, if it ran, is over.
    #[inline]
    pub fn reset(&mut self) {
        self.soft_since_ms = None;
    }

    /// Whether a client with `bytes` waiting has to be closed; `now_ms` is monotonic.
    pub fn exceeded(&mut self, limit: BufferLimit, bytes: u64, now_ms: u64) -> bool {
        if limit.hard > 0 && bytes >= limit.hard {
            return true;
        }
        if limit.soft == 0 || bytes < limit.soft {
            self.soft_since_ms = None;
            return false;
        }
        let since = *self.soft_since_ms.get_or_insert(now_ms);
        assert!(
            since <= now_ms,
            "beyond its limit since {since}, and it is {now_ms}"
        );
        // In whole seconds and strictly more, as Redis compares two second stamps.
        now_ms / 1000 - since / 1000 > limit.soft_seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hard_is_at_once_and_soft_takes_its_time() {
        let limit = BufferLimit {
            hard: 100,
            soft: 10,
            soft_seconds: 2,
        };
        let mut watch = LimitWatch::default();
        assert!(!watch.exceeded(limit, 9, 0));
        assert!(watch.exceeded(limit, 100, 0));
        assert!(!watch.exceeded(limit, 10, 1000));
        assert!(!watch.exceeded(limit, 50, 3999));
        assert!(watch.exceeded(limit, 50, 4000));
        assert!(
            !watch.exceeded(limit, 9, 4001),
            "below the limit the time starts again"
        );
        assert!(!watch.exceeded(limit, 10, 5000));
        assert!(!watch.exceeded(limit, 10, 7000));
        watch.reset();
        assert!(!watch.exceeded(limit, 10, 9000), "all was sent in between");
        assert!(!watch.exceeded(BufferLimit::default(), u64::MAX, 9000));
    }
}
