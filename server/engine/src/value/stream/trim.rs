//! Trimming a stream from its oldest end.

use super::{Stream, StreamId};
use cairn_format::encoding::stream_node::{self as node, Node};

/// What XTRIM, and XADD with MAXLEN or MINID, ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    /// What may stay.
    pub keep: Keep,
    /// `~`: only whole nodes are removed, so that more than asked may stay.
    pub approximate: bool,
    /// LIMIT: stop before more entries than this are removed; 0 sets no limit. The default for `~` is
    /// 100 times `stream-node-max-entries`, which the caller fills in.
    pub limit: u64,
}

/// The two strategies of trimming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// MAXLEN: so many of the newest entries.
    Newest(u64),
    /// MINID: entries from this id on.
    From(StreamId),
}

impl Stream {
    /// Removes the oldest entries; returns how many. As Redis 7.2 does: whole nodes first, then, if exact, entries at
    /// the beginning of the next node are marked. A node is not begun if its live entries would exceed the limit.
    pub fn trim(&mut self, trim: &Trim) -> u64 {
        let mut removed = 0;
        while let Some((base, blob)) = self.nodes.first() {
            if matches!(trim.keep, Keep::Newest(count) if self.len <= count) {
                break;
            }
            let base = *base;
            let view = Node::new(base, blob).expect("nodes are checked before they are adopted");
            let live = view.live();
            if trim.limit > 0 && removed + live > trim.limit {
                break;
            }
            let whole = match trim.keep {
                Keep::Newest(count) => self.len - live >= count,
                Keep::From(id) => view.last().is_some_and(|last| last.id < id),
            };
            if !whole {
                if !trim.approximate {
                    removed += self.trim_node(base, trim.keep);
                }
                break;
            }
            self.nodes.pop_first();
            assert!(
                live <= self.len,
                "more live entries in a node than in the stream"
            );
            self.len -= live;
            removed += live;
        }
        if removed > 0 {
            self.first_id = self.edge_id(true).unwrap_or(StreamId::MIN);
        }
        self.assert_marks();
        debug_assert!(
            trim.limit == 0 || !trim.approximate || removed <= trim.limit,
            "LIMIT"
        );
        removed
    }

    /// Marks entries at the beginning of a node. A node whose last entry was deleted before can be left without live
    /// entries by MINID; it stays, as in Redis.
    fn trim_node(&mut self, base: StreamId, keep: Keep) -> u64 {
        let Some(blob) = self.nodes.get_mut(&base) else {
            return 0;
        };
        let mut surplus = match keep {
            Keep::Newest(count) => self.len.saturating_sub(count),
            Keep::From(_) => u64::MAX,
        };
        let removed = node::delete_while(base, blob, |id, deleted| match keep {
            Keep::From(min) => id < min,
            Keep::Newest(_) if surplus == 0 => false,
            Keep::Newest(_) => {
                surplus -= u64::from(!deleted);
                true
            }
        });
        assert!(
            removed <= self.len,
            "more live entries in a node than in the stream"
        );
        self.len -= removed;
        removed
    }
}
