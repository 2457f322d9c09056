//! Members that are known by name: GEOPOS, GEOHASH, GEODIST.

use super::{reply_distance, reply_place, unit};
use crate::base::args::Args;
use crate::base::error::{self, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::value::geohash::{self, Place};
use crate::value::{Kind, zset};

pub(super) const GEOPOS: Command = Command {
    name: "geopos",
    group: Group::Geo,
    since: "3.2.0",
    arity: -2,
    flags: Flags::READ,
    keys: &[KeySpec::one(&["RO", "access"])],
    complexity: "O(N) where N is the number of members requested.",
    summary: "Tell the places of members",
    run: geopos,
    ..Command::BASE
};

/// The places of the members from argument 2 on; none for those that are not there.
fn places(cx: &mut Ctx, args: &Args) -> Result<Vec<Option<Place>>, error::Error> {
    let slot = cx.ks.read_kind(args.at(1), Kind::Zset)?;
    let place = |member| {
        let score = zset::score(cx.ks.view(slot?), member)?;
        Some(geohash::decode(score))
    };
    Ok(args.iter_from(2).map(place).collect())
}

fn geopos(cx: &mut Ctx, args: &Args) -> Outcome {
    let places = places(cx, args)?;
    cx.reply.array(places.len());
    for place in places {
        match place {
            Some(place) => reply_place(cx.reply, &place),
            None => cx.reply.null_array(),
        }
    }
    Ok(())
}

pub(super) const GEOHASH: Command = Command {
    name: "geohash",
    summary: "Tell the places of members as standard geohashes",
    run: geohash_of,
    ..GEOPOS
};

fn geohash_of(cx: &mut Ctx, args: &Args) -> Outcome {
    let places = places(cx, args)?;
    cx.reply.array(places.len());
    for place in places {
        match place {
            Some(place) => cx.reply.bulk(&geohash::text(&place)),
            None => cx.reply.null(),
        }
    }
    Ok(())
}

pub(super) const GEODIST: Command = Command {
    name: "geodist",
    arity: -4,
    summary: "Measure the distance between two members",
    run: geodist,
    ..GEOPOS
};

fn geodist(cx: &mut Ctx, args: &Args) -> Outcome {
    let metres = match args.len() {
        4 => 1.0,
        5 => unit(args, 4)?,
        _ => return Err(error::SYNTAX),
    };
    let slot = cx.ks.read_kind(args.at(1), Kind::Zset)?;
    let place = |i: usize| {
        let score = zset::score(cx.ks.view(slot?), args.at(i))?;
        Some(geohash::decode(score))
    };
    match (place(2), place(3)) {
        (Some(a), Some(b)) => reply_distance(cx.reply, a.distance(&b) / metres),
        _ => cx.reply.null(),
    }
    Ok(())
}
