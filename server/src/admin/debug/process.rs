//! DEBUG of the process: its sleep, its end, its log, its timed work, its allocator.

use std::time::Duration;

use cairn_engine::base::args::Args;
use cairn_engine::base::error::{self, Error, Outcome};
use cairn_engine::call::Ctx;
use cairn_format::text::double::parse_f64;

use super::{ok, switch};
use crate::front::access;
use crate::net::ReplyTrim;
use crate::os::{alloc, error_text};
use crate::replication::fresh_id;

pub(super) fn sleep(cx: &mut Ctx, args: &Args) -> Outcome {
    let seconds = parse_f64(args.at(2)).unwrap_or(0.0);
    // Longer than a day is a mistake in any case, and must not overflow.
    let time = Duration::from_secs_f64(seconds.clamp(0.0, 86_400.0));
    access::host(&mut *cx.inst).sleep(time);
    ok(cx)
}

pub(super) fn pause_cron(cx: &mut Ctx, args: &Args) -> Outcome {
    access::settings(&mut *cx.inst).cron_paused = switch(args);
    ok(cx)
}

pub(super) fn aof_flush_sleep(cx: &mut Ctx, args: &Args) -> Outcome {
    access::keeper(&mut *cx.inst).flush_sleep_us = args.int(2).unwrap_or(0).max(0) as u64;
    ok(cx)
}

/// Not in Redis. Two numbers in microseconds, each of the turn of the loop that had most of it: time from the end of its poll
/// to its last reply, and processor time. The first holds also what others on the machine took, the second does not.
/// RESET begins anew after its own turn, and from the first RESET on processor time is watched; before, it is null.
pub(super) fn loop_turn(cx: &mut Ctx, args: &Args) -> Outcome {
    let counters = &mut access::figures(&mut *cx.inst).counters;
    let (longest, cpu) = (counters.turn_us_max, counters.turn_cpu_us_max);
    match args.get(2) {
        None => {}
        Some(word) if word.eq_ignore_ascii_case(b"reset") => {
            counters.turn_us_max = 0;
            counters.turn_cpu_us_max = Some(0);
        }
        Some(_) => return Err(error::SYNTAX),
    }
    cx.reply.array(2);
    cx.reply.int(longest as i64);
    match cpu {
        Some(cpu) => cx.reply.int(cpu as i64),
        None => cx.reply.null(),
    }
    Ok(())
}

/// The stream goes on under a name that nobody can go on with.
pub(super) fn change_repl_id(cx: &mut Ctx, _: &Args) -> Outcome {
    let id = fresh_id(access::host(&mut *cx.inst));
    let replication = access::replication(&mut *cx.inst);
    replication.flush();
    replication.primary.change_id(id);
    ok(cx)
}

pub(super) fn log_line(cx: &mut Ctx, args: &Args) -> Outcome {
    let text = String::from_utf8_lossy(args.at(2));
    access::log(&mut *cx.inst).warning(format_args!("DEBUG LOG: {text}"));
    ok(cx)
}

pub(super) fn error_reply(_: &mut Ctx, args: &Args) -> Outcome {
    Err(Error::text(String::from_utf8_lossy(args.at(2))))
}

pub(super) fn panics(_: &mut Ctx, _: &Args) -> Outcome {
    panic!("called by user")
}

pub(super) fn assert_fails(cx: &mut Ctx, args: &Args) -> Outcome {
    assert!(args.is_empty());
    ok(cx)
}

pub(super) fn replicate(cx: &mut Ctx, args: &Args) -> Outcome {
    let words: Vec<&[u8]> = args.iter_from(2).collect();
    let db = cx.session.db;
    access::whole(&mut *cx.inst).enter_stream_in_words(db, &words);
    ok(cx)
}

/// REPLYBUFFER: whether room for replies is ever given back, and after how long what was needed of it is forgotten.
pub(super) fn reply_buffer(cx: &mut Ctx, args: &Args) -> Outcome {
    let trim = if args.is(2, "peak-reset-time") {
        match args.at(3).to_ascii_lowercase().as_slice() {
            b"never" => (None, Some(None)),
            b"reset" => (None, Some(ReplyTrim::default().forget_ms)),
            _ => (None, Some(Some(args.int(3)?.max(0) as u64))),
        }
    } else if args.is(2, "resizing") {
        (Some(args.int(3).is_ok_and(|on| on != 0)), None)
    } else {
        return Err(super::unknown(args));
    };
    let current = &mut access::settings(&mut *cx.inst).reply_trim;
    let (on, forget_ms) = trim;
    *current = ReplyTrim {
        on: on.unwrap_or(current.on),
        forget_ms: forget_ms.unwrap_or(current.forget_ms),
    };
    ok(cx)
}

/// MALLCTL: one number of jemalloc's, read or set.
pub(super) fn allocator_number(cx: &mut Ctx, args: &Args) -> Outcome {
    let new = args.get(3).map(|_| args.int(3)).transpose()?;
    match alloc::control_number(args.at(2), new) {
        Ok(old) => cx.reply.int(old),
        Err(error) => return Err(Error::text(format!("ERR {}", error_text(&error)))),
    }
    Ok(())
}

/// MALLCTL-STR: one text of jemalloc's. None of those that are safe to read can be set; behind the name of what is no value, `VOID` has it done.
pub(super) fn allocator_text(cx: &mut Ctx, args: &Args) -> Outcome {
    if args.get(3) == Some(b"VOID") && alloc::control_call(args.at(2)) {
        return ok(cx);
    }
    match alloc::control_text(args.at(2)) {
        Ok(text) => cx.reply.bulk(text.as_bytes()),
        Err(error) => return Err(Error::text(format!("ERR {}", error_text(&error)))),
    }
    Ok(())
}
