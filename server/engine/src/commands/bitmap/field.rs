//! BITFIELD and BITFIELD_RO: integers of any width at any bit of a string.

use super::{edit, offset, open, read};
use crate::base::args::Args;
use crate::base::effect::EventClass;
use crate::base::error::{self, Error, Outcome};
use crate::call::ctx::Ctx;
use crate::call::spec::{Command, Flags, Group, KeySpec};
use crate::value::bits::{FieldType, Overflow};
use cairn_format::text::number::parse_i64;

pub(super) const BITFIELD: Command = Command {
    name: "bitfield",
    group: Group::Bitmap,
    since: "3.2.0",
    arity: -2,
    flags: Flags::WRITE.and(Flags::DENY_OOM),
    keys: &[KeySpec::one(&["RW", "access", "update", "variable_flags"])
        .note("This command allows both access and modification of the key")],
    complexity: "O(1) for each subcommand specified",
    summary: "Read, write and count up integers inside a string",
    run: |cx, args| bitfield(cx, args, false),
    ..Command::BASE
};

pub(super) const BITFIELD_RO: Command = Command {
    name: "bitfield_ro",
    since: "6.0.0",
    flags: Flags::READ.and(Flags::FAST),
    keys: &[KeySpec::one(&["RO", "access"])],
    summary: "Read integers inside a string",
    run: |cx, args| bitfield(cx, args, true),
    ..BITFIELD
};

#[derive(Clone, Copy)]
enum Action {
    Get,
    Set(i64),
    Add(i64),
}

/// One of the operations of a command.
struct Step {
    field: FieldType,
    at: u64,
    action: Action,
    overflow: Overflow,
}

fn parse(cx: &Ctx, args: &Args) -> Result<Vec<Step>, Error> {
    let (mut steps, mut overflow, mut i) = (Vec::new(), Overflow::default(), 2);
    while i < args.len() {
        let words = args.len() - i;
        if args.is(i, "overflow") && words > 1 {
            overflow = overflow_named(args, i + 1)?;
            i += 2;
            continue;
        }
        let reads = args.is(i, "get");
        let sets = args.is(i, "set");
        let size = if reads { 3 } else { 4 };
        if !(reads || sets || args.is(i, "incrby")) || words < size {
            return Err(error::SYNTAX);
        }
        let field = field_type(args.at(i + 1))?;
        let at = offset(cx, args.at(i + 2), Some(field.width))?;
        let action = match () {
            () if reads => Action::Get,
            () if sets => Action::Set(args.int(i + 3)?),
            () => Action::Add(args.int(i + 3)?),
        };
        steps.push(Step {
            field,
            at,
            action,
            overflow,
        });
        i += size;
    }
    Ok(steps)
}

fn overflow_named(args: &Args, i: usize) -> Result<Overflow, Error> {
    match () {
        () if args.is(i, "wrap") => Ok(Overflow::Wrap),
        () if args.is(i, "sat") => Ok(Overflow::Saturate),
        () if args.is(i, "fail") => Ok(Overflow::Fail),
        () => Err(Error::new("ERR Invalid OVERFLOW type specified")),
    }
}

/// `i` or `u` and a width: up to 64 bits, 63 if unsigned, because replies have signed integers only.
fn field_type(text: &[u8]) -> Result<FieldType, Error> {
    let (signed, width, widest) = match text {
        [b'i', width @ ..] => (true, width, 64),
        [b'u', width @ ..] => (false, width, 63),
        _ => (false, text, 0),
    };
    match parse_i64(width) {
        Some(width) if (1..=widest).contains(&width) => Ok(FieldType {
            signed,
            width: width as u32,
        }),
        _ => Err(Error::new(
            "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
        )),
    }
}

fn bitfield(cx: &mut Ctx, args: &Args, read_only: bool) -> Outcome {
    let steps = parse(cx, args)?;
    let key = args.at(1);
    let writes = |step: &&Step| !matches!(step.action, Action::Get);
    let last_bit = steps
        .iter()
        .filter(writes)
        .map(|step| step.at + u64::from(step.field.width) - 1)
        .max();
    let Some(last_bit) = last_bit else {
        let run = |bytes: &[u8]| steps.iter().map(|s| s.field.get(bytes, s.at)).collect();
        let numbers: Vec<i64> = match read(cx, key, run)? {
            Some(numbers) => numbers,
            None => vec![0; steps.len()],
        };
        cx.reply.array(numbers.len());
        numbers.into_iter().for_each(|n| cx.reply.int(n));
        return Ok(());
    };
    if read_only {
        return Err(Error::new(
            "ERR BITFIELD_RO only supports the GET subcommand",
        ));
    }
    let row = open(cx, key, (last_bit / 8) as usize + 1)?;
    let (answers, changes) = edit(cx.ks, row.slot, row.len, |bytes| {
        let mut changes = 0;
        let answers: Vec<Option<i64>> = steps
            .iter()
            .map(|step| {
                let (answer, changed) = run(step, bytes);
                changes += u64::from(changed || row.grown && answer.is_some() && writes(&step));
                answer
            })
            .collect();
        (answers, changes)
    });
    cx.reply.array(answers.len());
    for answer in answers {
        match answer {
            Some(number) => cx.reply.int(number),
            None => cx.reply.null(),
        }
    }
    if changes > 0 {
        cx.ks.modified(EventClass::STRING, "setbit", key, changes);
    } else if row.grown {
        // Every number was refused, yet zeros were appended or the key was made. Redis tells neither replicas nor the log
        // of that, who then lack it.
        cx.ks.changed(key, 1);
    }
    Ok(())
}

/// Runs one operation: its answer (none if the number did not fit and that is to fail), and whether a bit changed.
fn run(step: &Step, bytes: &mut [u8]) -> (Option<i64>, bool) {
    let old = step.field.get(bytes, step.at);
    let wanted = match step.action {
        Action::Get => return (Some(old), false),
        // A negative number is a huge one to an unsigned field.
        Action::Set(new) if !step.field.signed => i128::from(new as u64),
        // Redis asks in 64 bits how far the largest number is; where that overflows, it goes to the wrong end.
        Action::Set(new) if step.overflow == Overflow::Saturate && step.field.is_far_below(new) => {
            i128::MAX
        }
        Action::Set(new) => i128::from(new),
        Action::Add(by) => i128::from(old) + i128::from(by),
    };
    let Some(new) = step.field.fit(wanted, step.overflow) else {
        return (None, false);
    };
    step.field.set(bytes, step.at, new);
    let answer = if matches!(step.action, Action::Set(_)) {
        old
    } else {
        new
    };
    (Some(answer), old != new)
}
