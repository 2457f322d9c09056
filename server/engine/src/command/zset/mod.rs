//! Sorted sets.

mod add;
mod blocking;
mod bound;
mod lookup;
mod range;
mod remove;
mod store;

use super::spec::Command;

/// This family.
pub const COMMANDS: &[&Command] = &[
    &blocking::BZPOPMAX,
    &blocking::BZPOPMIN,
    &add::ZADD,
    &lookup::ZCARD,
    &range::ZCOUNT,
    &add::ZINCRBY,
    &range::ZLEXCOUNT,
    &lookup::ZMSCORE,
    &remove::ZPOPMAX,
    &remove::ZPOPMIN,
    &range::ZRANGE,
    &range::ZRANGEBYLEX,
    &range::ZRANGEBYSCORE,
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
];
