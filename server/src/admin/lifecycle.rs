//! Saving on demand, and the end of the server.

use cairn_engine::base::args::Args;
use cairn_engine::base::error::{self, Error, Outcome};
use cairn_engine::call::{Command, Ctx, Flags, Group};

use crate::config::ShutdownFlags;
use crate::front::access;
use crate::shutdown::{shut_down, waiting};

/// This family.
pub const COMMANDS: &[&Command] = &[&SAVE, &BGSAVE, &LASTSAVE, &BGREWRITEAOF, &SHUTDOWN];

const ADMIN: Flags = Flags::ADMIN.and(Flags::NO_SCRIPT);

const SAVE: Command = Command {
    name: "save",
    group: Group::Server,
    arity: 1,
    flags: ADMIN.and(Flags::NO_ASYNC_LOADING).and(Flags::NO_MULTI),
    complexity: "O(N) where N is the total number of keys in all databases",
    summary: "Write a snapshot and wait for it",
    run: save,
    ..Command::BASE
};

fn save(cx: &mut Ctx, _: &Args) -> Outcome {
    let mut saving = access::saving(&mut *cx.inst);
    if saving.keeper.is_saving() {
        return Err(Error::new("ERR Background save already in progress"));
    }
    // The reason of a failure is in the log, as Redis's bare `-ERR` has it.
    saving.save_now(cx.ks).map_err(|_| Error::new("ERR"))?;
    cx.shared.gate.refuse_writes = saving.write_refusal();
    cx.reply.ok();
    Ok(())
}

const BGSAVE: Command = Command {
    name: "bgsave",
    group: Group::Server,
    arity: -1,
    flags: ADMIN.and(Flags::NO_ASYNC_LOADING),
    summary: "Write a snapshot in the background",
    run: background_save,
    ..Command::BASE
};

fn background_save(cx: &mut Ctx, args: &Args) -> Outcome {
    let schedule = args.len() == 2 && args.is(1, "schedule");
    if args.len() > 1 && !schedule {
        return Err(error::SYNTAX);
    }
    let mut saving = access::saving(&mut *cx.inst);
    saving.keeper.save_scheduled = false;
    if saving.keeper.is_saving() {
        return Err(Error::new("ERR Background save already in progress"));
    }
    // Inside a transaction a child would hold half of it.
    if saving.keeper.work.is_some() || cx.session.deny_blocking {
        if !schedule && saving.keeper.work.is_some() {
            return Err(Error::new(
                "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible.",
            ));
        }
        saving.keeper.save_scheduled = true;
        cx.reply.simple("Background saving scheduled");
        return Ok(());
    }
    saving.begin_save(cx.ks)?;
    debug_assert!(saving.keeper.is_saving() && !saving.keeper.save_scheduled);
    cx.reply.simple("Background saving started");
    Ok(())
}

const LASTSAVE: Command = Command {
    name: "lastsave",
    group: Group::Server,
    arity: 1,
    flags: Flags::LOADING.and(Flags::STALE).and(Flags::FAST),
    categories: Some(&["@admin", "@dangerous"]),
    tips: &["nondeterministic_output"],
    summary: "Tell when the last snapshot was written, Unix seconds",
    run: |cx, _| {
        cx.reply.int(access::keeper(&mut *cx.inst).last_save_s);
        Ok(())
    },
    ..Command::BASE
};

const BGREWRITEAOF: Command = Command {
    name: "bgrewriteaof",
    group: Group::Server,
    arity: 1,
    flags: ADMIN.and(Flags::NO_ASYNC_LOADING),
    summary: "Rewrite the append-only log in the background",
    run: rewrite,
    ..Command::BASE
};

fn rewrite(cx: &mut Ctx, _: &Args) -> Outcome {
    let mut saving = access::saving(&mut *cx.inst);
    if saving.keeper.is_rewriting() {
        return Err(Error::new(
            "ERR Background append only file rewriting already in progress",
        ));
    }
    if saving.keeper.work.is_some() || cx.session.deny_blocking {
        saving.keeper.rewrite_scheduled = true;
        cx.reply
            .simple("Background append only file rewriting scheduled");
    } else if saving.begin_rewrite(cx.ks) {
        cx.reply
            .simple("Background append only file rewriting started");
    } else {
        return Err(Error::new(
            "ERR Can't execute an AOF background rewriting. Please check the server logs for more information.",
        ));
    }
    Ok(())
}

const SHUTDOWN: Command = Command {
    name: "shutdown",
    group: Group::Server,
    arity: -1,
    flags: ADMIN
        .and(Flags::LOADING)
        .and(Flags::STALE)
        .and(Flags::NO_MULTI)
        .and(Flags::ALLOW_BUSY),
    complexity: "O(N) when saving, where N is the total number of keys in all databases when saving data, otherwise O(1)",
    summary: "Save as configured or asked, and end",
    run: shutdown,
    ..Command::BASE
};

fn shutdown(cx: &mut Ctx, args: &Args) -> Outcome {
    let mut flags = ShutdownFlags {
        save: false,
        nosave: false,
        now: false,
        force: false,
    };
    let mut abort = false;
    for word in args.iter_from(1) {
        match word.to_ascii_lowercase().as_slice() {
            b"nosave" => flags.nosave = true,
            b"save" => flags.save = true,
            b"now" => flags.now = true,
            b"force" => flags.force = true,
            b"abort" => abort = true,
            _ => return Err(error::SYNTAX),
        }
    }
    if (abort && args.len() > 2) || (flags.save && flags.nosave) {
        return Err(error::SYNTAX);
    }
    if abort {
        return abort_shutdown(cx);
    }
    if let Some(busy) = cx.shared.gate.busy.clone().filter(|_| !flags.nosave) {
        return Err(busy);
    }
    let front = access::whole(&mut *cx.inst);
    front
        .log
        .warning(format_args!("User requested shutdown..."));
    if !cx.session.deny_blocking
        && waiting::begin(front, &mut cx.shared.gate, flags, Some(cx.session.slot))
    {
        cx.session.blocked = true;
        return Ok(());
    }
    shut_down(cx.ks, front, flags).map_err(|reason| {
        front.log.warning(format_args!("{reason}"));
        Error::new("ERR Errors trying to SHUTDOWN. Check logs.")
    })?;
    cx.session.closing = true;
    Ok(())
}

/// SHUTDOWN ABORT: of one that waits for replicas, or of a signal that was not acted on.
fn abort_shutdown(cx: &mut Ctx) -> Outcome {
    let front = access::whole(&mut *cx.inst);
    let waits = front.farewell.is_some();
    front.stays = waits;
    if !front.host.forget_interrupt() && !waits {
        return Err(Error::new("ERR No shutdown in progress."));
    }
    access::log(&mut *cx.inst).notice(format_args!("Shutdown manually aborted."));
    cx.reply.ok();
    Ok(())
}
