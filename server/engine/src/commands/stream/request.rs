//! The words of XREAD and XREADGROUP, and waiting for what they ask for.

use super::{id, no_key_or_group, stream_at};
use crate::base::args::{Args, ArgsBuf};
use crate::base::error::{self, Error, Outcome};
use crate::call::blocking::{Wait, deadline_ms};
use crate::call::ctx::Ctx;
use crate::value::Kind;
use crate::value::stream::StreamId;

/// Where reading a stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// Behind this id.
    After(StreamId),
    /// `>`: behind what the group was given. As in Redis, the greatest id means the same.
    New,
}

/// What stands in front of the streams, and where they are.
pub struct Request<'a> {
    /// Entries of each stream at most; `None` is no limit.
    count: Option<usize>,
    /// Group and consumer.
    pub group: Option<(&'a [u8], &'a [u8])>,
    /// What is delivered counts as acknowledged.
    pub no_ack: bool,
    /// What is pending for so long, milliseconds, is claimed before anything new is read (Redis 8.4).
    pub claim_ms: Option<i64>,
    /// Until when to wait if there is nothing to read, if at all.
    pub block: Option<Option<i64>>,
    /// First key.
    pub first: usize,
    /// Number of streams.
    streams: usize,
}

impl<'a> Request<'a> {
    /// Reads everything in front of the ids.
    pub fn parse(cx: &Ctx, args: &Args<'a>, with_group: bool) -> Result<Request<'a>, Error> {
        let mut request = Request {
            count: None,
            group: None,
            no_ack: false,
            claim_ms: None,
            block: None,
            first: 0,
            streams: 0,
        };
        let mut i = 1;
        while i < args.len() {
            let more = args.len() - i - 1;
            if more > 0 && args.is(i, "block") {
                if cx.shared.in_script(cx.session) {
                    return Err(Error::text(format!(
                        "ERR {} command is not allowed with BLOCK option from scripts",
                        error::lossless(args.at(0))
                    )));
                }
                request.block = Some(deadline_ms(args.at(i + 1), cx.ks.now_ms)?);
                i += 2;
            } else if more > 0 && args.is(i, "count") {
                request.count = usize::try_from(args.int(i + 1)?).ok().filter(|n| *n > 0);
                i += 2;
            } else if more > 0 && args.is(i, "streams") {
                request.first = i + 1;
                break;
            } else if more > 1 && args.is(i, "group") {
                if !with_group {
                    return Err(only_xreadgroup("GROUP"));
                }
                request.group = Some((args.at(i + 1), args.at(i + 2)));
                i += 3;
            } else if more > 0 && args.is(i, "claim") {
                if !with_group {
                    return Err(only_xreadgroup("CLAIM"));
                }
                let idle_ms = args.int(i + 1)?;
                if idle_ms < 0 {
                    return Err(Error::new("ERR min-idle-time must be a positive integer"));
                }
                request.claim_ms = Some(idle_ms);
                i += 2;
            } else if args.is(i, "noack") {
                if !with_group {
                    return Err(only_xreadgroup("NOACK"));
                }
                request.no_ack = true;
                i += 1;
            } else {
                return Err(error::SYNTAX);
            }
        }
        request.find_streams(args, with_group)?;
        Ok(request)
    }

    fn find_streams(&mut self, args: &Args, with_group: bool) -> Result<(), Error> {
        if self.first == 0 {
            return Err(error::SYNTAX);
        }
        let words = args.len() - self.first;
        if words % 2 == 1 {
            let (name, symbol) = if with_group {
                ("xreadgroup", '>')
            } else {
                ("xread", '$')
            };
            return Err(Error::text(format!(
                "ERR Unbalanced '{name}' list of streams: for each stream key an ID or '{symbol}' must be specified."
            )));
        }
        self.streams = words / 2;
        if with_group && self.group.is_none() {
            return Err(Error::new("ERR Missing GROUP option for XREADGROUP"));
        }
        Ok(())
    }

    /// Entries to be given out of one stream.
    pub fn count(&self) -> usize {
        self.count.unwrap_or(usize::MAX)
    }

    /// Reads the ids, and makes sure that keys have the right type and their groups exist.
    pub fn starts(&self, cx: &mut Ctx, args: &Args) -> Result<Vec<From>, Error> {
        let mut starts = Vec::with_capacity(self.streams);
        for i in self.first..self.first + self.streams {
            let (key, text) = (args.at(i), args.at(i + self.streams));
            let slot = cx.ks.read_kind(key, Kind::Stream)?;
            let stream = slot.map(|slot| stream_at(cx.ks, slot));
            if let Some((group, _)) = self.group
                && stream.and_then(|stream| stream.group(group)).is_none()
            {
                let tail = " in XREADGROUP with GROUP option";
                return Err(no_key_or_group(key, group, tail));
            }
            starts.push(match text {
                b"$" if self.group.is_some() => return Err(LAST_OF_GROUP),
                b"$" => From::After(stream.map_or(StreamId::MIN, |stream| stream.last_id())),
                b">" if self.group.is_none() => return Err(NEW_WITHOUT_GROUP),
                b">" => From::New,
                text => match id::parse(text)? {
                    StreamId::MAX => From::New,
                    id => From::After(id),
                },
            });
        }
        Ok(starts)
    }

    /// When the first of what is pending can be claimed, Unix milliseconds, if that is asked for. What will be delivered from now on can be
    /// no sooner than after the whole time, so that a look then misses nothing.
    fn claimable_ms(&self, cx: &mut Ctx, args: &Args, starts: &[From]) -> Option<i64> {
        let (claim_ms, (group, _)) = (self.claim_ms?, self.group?);
        let now_ms = cx.ks.now_ms;
        let read = starts
            .iter()
            .enumerate()
            .filter(|(_, from)| **from == From::New);
        let delivered = read.filter_map(|(i, _)| {
            let slot = cx.ks.find(args.at(self.first + i))?;
            stream_at(cx.ks, slot).group(group)?.first_delivery_ms()
        });
        let first_ms = delivered.min().unwrap_or(now_ms).min(now_ms);
        Some(
            first_ms
                .saturating_add(claim_ms)
                .max(now_ms.saturating_add(AGAIN_MS)),
        )
    }

    /// Waits for entries, and as a consumer also for the end of the group. The command is run again then: `$` has to
    /// go on meaning what it means now.
    pub fn wait(&self, cx: &mut Ctx, args: &Args, starts: &[From]) -> Outcome {
        let mut again = ArgsBuf::default();
        for (i, word) in args.iter_from(0).enumerate() {
            let start = i.checked_sub(self.first + self.streams).map(|i| starts[i]);
            match start {
                Some(From::After(id)) if word == b"$" => id::with_text(id, |id| again.push(id)),
                _ => again.push(word),
            }
        }
        let keys = args.iter_from(self.first).take(self.streams);
        let wait = Wait {
            deadline_ms: self.block.flatten(),
            kind: Kind::Stream,
            on_missing: self.group.is_some(),
            again_ms: self.claimable_ms(cx, args, starts),
        };
        cx.block(&again.args(), keys, wait)
    }
}

/// A consumer that waits does not look for what it can claim more often, milliseconds.
const AGAIN_MS: i64 = 10;

const LAST_OF_GROUP: Error = Error::new(
    "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.",
);
const NEW_WITHOUT_GROUP: Error = Error::new(
    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
);

fn only_xreadgroup(option: &str) -> Error {
    Error::text(format!(
        "ERR The {option} option is only supported by XREADGROUP. You called XREAD instead."
    ))
}
