//! Sorted sets.

mod add;
mod blocking;
mod bound;
mod combine;
mod lookup;
mod multi;
mod random;
mod range;
mod remove;
mod store;

pub(crate) use store::replace as replace_zset;

use crate::call::spec::Command;

/// This family.
pub const COMMANDS: &[&Command] = &[
    &multi::BZMPOP,
    &blocking::BZPOPMAX,
    &blocking::BZPOPMIN,
    &add::ZADD,
    &lookup::ZCARD,
    &range::ZCOUNT,
    &combine::ZDIFF,
    &combine::ZDIFFSTORE,
    &add::ZINCRBY,
    &combine::ZINTER,
    &combine::ZINTERCARD,
    &combine::ZINTERSTORE,
    &range::ZLEXCOUNT,
    &multi::ZMPOP,
    &lookup::ZMSCORE,
    &remove::ZPOPMAX,
    &remove::ZPOPMIN,
    &random::ZRANDMEMBER,
    &range::ZRANGE,
    &range::ZRANGEBYLEX,
    &range::ZRANGEBYSCORE,
    &range::ZRANGESTORE,
    &lookup::ZRANK,
    &remove::ZREM,
    &remove::ZREMRANGEBYLEX,
    &remove::ZREMRANGEBYRANK,
    &remove::ZREMRANGEBYSCORE,
    &range::ZREVRANGE,
    &range::ZREVRANGEBYLEX,
    &range::ZREVRANGEBYSCORE,
    &lookup::ZREVRANK,
    &lookup::ZSCAN,
    &lookup::ZSCORE,
    &combine::ZUNION,
    &combine::ZUNIONSTORE,
];
