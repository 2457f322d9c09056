//! GEOSEARCH and its relatives: the members within a circle or a rectangle.

use super::options::{Form, Options, Order};
use super::{reply_distance, reply_place};
use crate::base::args::Args;
use crate::base::error::{Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::reply::Reply;
use crate::call::spec::{Begin, Command, Find, Flags, Group, KeySpec};
use crate::commands::zset::replace_zset;
use crate::keyspace::Keyspace;
use crate::structure::table::Slot;
use crate::value::geohash::{self, Cell, Place, Shape};
use crate::value::{Kind, ValueRef, zset};
use std::ops::Bound;

const COMPLEXITY: &str = "O(N+log(M)), N being the members near the shape and M those within it";

pub(super) const GEOSEARCH: Command = Command {
    name: "geosearch",
    group: Group::Geo,
    since: "6.2.0",
    arity: -7,
    flags: Flags::READ,
    keys: &[KeySpec::one(&["RO", "access"])],
    complexity: COMPLEXITY,
    summary: "Find the members within a circle or a rectangle",
    run: |cx, args| search(cx, args, Form::Search, false),
    ..Command::BASE
};

pub(super) const GEOSEARCHSTORE: Command = Command {
    name: "geosearchstore",
    arity: -8,
    flags: Flags::WRITE.and(Flags::DENY_OOM),
    keys: &[
        KeySpec::one(&["OW", "update"]),
        KeySpec::at(2, &["RO", "access"]),
    ],
    summary: "Store the members within a circle or a rectangle",
    run: |cx, args| search(cx, args, Form::SearchStore, true),
    ..GEOSEARCH
};

/// The key behind a word among the options.
const fn behind(word: &'static str, from: i16) -> KeySpec {
    KeySpec {
        notes: "",
        flags: &["OW", "update"],
        begin: Begin::Keyword(word, from),
        find: Find::Range {
            last: 0,
            step: 1,
            limit: 0,
        },
    }
}

pub(super) const GEORADIUS: Command = Command {
    name: "georadius",
    since: "3.2.0",
    arity: -6,
    flags: Flags::WRITE.and(Flags::DENY_OOM).and(Flags::MOVABLE_KEYS),
    keys: &[
        KeySpec::one(&["RO", "access"]),
        behind("STORE", 6),
        behind("STOREDIST", 6),
    ],
    summary: "Find the members within a distance of a place",
    run: |cx, args| search(cx, args, Form::Radius, true),
    ..GEOSEARCH
};

pub(super) const GEORADIUSBYMEMBER: Command = Command {
    name: "georadiusbymember",
    arity: -5,
    keys: &[
        KeySpec::one(&["RO", "access"]),
        behind("STORE", 5),
        behind("STOREDIST", 5),
    ],
    summary: "Find the members within a distance of a member",
    run: |cx, args| search(cx, args, Form::RadiusByMember, true),
    ..GEORADIUS
};

pub(super) const GEORADIUS_RO: Command = Command {
    name: "georadius_ro",
    since: "3.2.10",
    arity: -6,
    summary: "Find the members within a distance of a place, without storing",
    run: |cx, args| search(cx, args, Form::Radius, false),
    ..GEOSEARCH
};

pub(super) const GEORADIUSBYMEMBER_RO: Command = Command {
    name: "georadiusbymember_ro",
    arity: -5,
    summary: "Find the members within a distance of a member, without storing",
    run: |cx, args| search(cx, args, Form::RadiusByMember, false),
    ..GEORADIUS_RO
};

/// A member that was found.
struct Found {
    member: Vec<u8>,
    score: f64,
    place: Place,
    /// From the centre; metres.
    distance: f64,
}

fn search(cx: &mut Ctx, args: &Args, form: Form, may_store: bool) -> Outcome {
    let source = cx.ks.read_kind(args.at(form.source()), Kind::Zset)?;
    let ks = &*cx.ks;
    let locate = |member: &[u8]| match source {
        None => Ok(None),
        Some(slot) => match zset::score(ks.view(slot), member) {
            Some(score) => Ok(Some(geohash::decode(score))),
            None => Err(Error::new("ERR could not decode requested zset member")),
        },
    };
    let options = Options::parse(args, form, may_store, &locate)?;
    let found = match (source, options.centre, &options.shape) {
        (Some(source), Some(centre), Some(shape)) => {
            let enough = options.count.filter(|_| options.any);
            let mut found = members_within(cx.ks, source, &centre, shape, enough);
            arrange(&mut found, &options);
            found
        }
        _ => Vec::new(),
    };
    match options.store {
        Some(target) => {
            let event = if form == Form::SearchStore {
                "geosearchstore"
            } else {
                "georadiusstore"
            };
            store(cx.ks, args.at(target), &found, &options, event);
            cx.reply.int(found.len() as i64);
        }
        None => reply_found(cx.reply, &found, &options),
    }
    Ok(())
}

/// The members that the shape holds, in the order of its cells; no more than `enough`.
fn members_within(
    ks: &Keyspace,
    source: Slot,
    centre: &Place,
    shape: &Shape,
    enough: Option<usize>,
) -> Vec<Found> {
    let enough = enough.unwrap_or(usize::MAX);
    let view = ks.view(source);
    let mut found = Vec::new();
    let mut last: Option<Cell> = None;
    for (i, cell) in shape.cells(centre).into_iter().enumerate() {
        // Around the Earth a large cell meets itself; as in Redis it is passed over next to itself only, and not at once
        // after the cell of the centre.
        if i > 1 && last == Some(cell) {
            continue;
        }
        if found.len() >= enough {
            break;
        }
        add_cell(view, cell, centre, shape, enough, &mut found);
        last = Some(cell);
    }
    found
}

/// Ranks that are looked at between two questions whether there is enough.
const STRIDE: usize = 256;

fn add_cell(
    view: ValueRef,
    cell: Cell,
    centre: &Place,
    shape: &Shape,
    enough: usize,
    found: &mut Vec<Found>,
) {
    let scores = cell.range();
    let mut ranks = zset::ranks_by_score(
        view,
        Bound::Included(scores.start as f64),
        Bound::Excluded(scores.end as f64),
    );
    while !ranks.is_empty() && found.len() < enough {
        let end = ranks.end.min(ranks.start + STRIDE);
        zset::each_ranked(view, ranks.start..end, false, &mut |member, score| {
            let place = geohash::decode(score);
            if found.len() < enough
                && let Some(distance) = shape.distance(centre, &place)
            {
                found.push(Found {
                    member: member.to_bytes().into_owned(),
                    score,
                    place,
                    distance,
                });
            }
        });
        ranks.start = end;
    }
}

/// Sorts as asked for, and keeps as many as asked for. A count without an order asks for the nearest ones, unless any will do.
fn arrange(found: &mut Vec<Found>, options: &Options) {
    let keep = options.count.unwrap_or(usize::MAX);
    let farthest = match options.order {
        Order::Found if options.count.is_none() || options.any => {
            return found.truncate(keep);
        }
        order => order == Order::Farthest,
    };
    found.sort_by(|a, b| {
        let (a, b) = if farthest { (b, a) } else { (a, b) };
        a.distance.total_cmp(&b.distance)
    });
    found.truncate(keep);
}

fn reply_found(reply: &mut Reply, found: &[Found], options: &Options) {
    let extras = [options.with_distance, options.with_hash, options.with_place];
    let extras = extras.into_iter().filter(|asked| *asked).count();
    reply.array(found.len());
    for one in found {
        if extras > 0 {
            reply.array(extras + 1);
        }
        reply.bulk(&one.member);
        if options.with_distance {
            reply_distance(reply, one.distance / options.metres);
        }
        if options.with_hash {
            reply.int(one.score as i64);
        }
        if options.with_place {
            reply_place(reply, &one.place);
        }
    }
}

/// Makes the results the sorted set at a key, whatever it held; no results remove it.
fn store(ks: &mut Keyspace, key: &[u8], found: &[Found], options: &Options, event: &'static str) {
    let scored = found.iter().map(|one| {
        let distance = one.distance / options.metres;
        let score = if options.store_distance {
            distance
        } else {
            one.score
        };
        (one.member.clone(), score)
    });
    let mut members: Vec<_> = scored.collect();
    members.sort_by(|(a, x), (b, y)| x.total_cmp(y).then_with(|| a.cmp(b)));
    // A member of a cell that met itself was found twice.
    members.dedup();
    replace_zset(ks, key, &members, event, found.len() as u64);
}
