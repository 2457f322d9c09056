//! GEOADD: places become scores, and ZADD does the rest.

use super::place;
use crate::base::args::{Args, ArgsBuf};
use crate::base::error::{self, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::value::geohash;
use cairn_format::text::number::I64Text;

pub(super) const GEOADD: Command = Command {
    name: "geoadd",
    group: Group::Geo,
    since: "3.2.0",
    arity: -5,
    flags: Flags::WRITE.and(Flags::DENY_OOM),
    keys: &[KeySpec::one(&["RW", "update"])],
    complexity: "O(log(N)) for each place, N being the number of members",
    summary: "Add members with places, or move them",
    run: geoadd,
    ..Command::BASE
};

fn geoadd(cx: &mut Ctx, args: &Args) -> Outcome {
    let (mut first, mut if_absent, mut if_present) = (2, false, false);
    loop {
        match () {
            () if args.is(first, "nx") => if_absent = true,
            () if args.is(first, "xx") => if_present = true,
            () if args.is(first, "ch") => {}
            () => break,
        }
        first += 1;
    }
    if !(args.len() - first).is_multiple_of(3) || (if_absent && if_present) {
        return Err(error::SYNTAX);
    }
    // Lower case, because that is how Redis propagates it.
    let mut zadd = ArgsBuf::from_slices(&[b"zadd"]);
    for i in 1..first {
        zadd.push(args.at(i));
    }
    for i in (first..args.len()).step_by(3) {
        let score = geohash::encode(&place(args, i)?);
        zadd.push(I64Text::new().format_u64(score));
        zadd.push(args.at(i + 2));
    }
    let zadd = zadd.args();
    let zadd_command = cx
        .shared
        .table
        .find(b"zadd")
        .expect("the engine has sorted sets");
    let dirty = cx.ks.dirty;
    (zadd_command.spec.run)(cx, &zadd)?;
    if cx.ks.dirty != dirty {
        let words: Vec<&[u8]> = zadd.iter_from(0).collect();
        cx.propagate(&words);
    }
    Ok(())
}
