//! The end of the process: on a signal or by SHUTDOWN.

pub mod waiting;

use cairn_engine::Engine;
use cairn_engine::keyspace::Keyspace;

use crate::config::{ShutdownFlags, table};
use crate::front::{Ending, Front};
use crate::host::{Interrupt, Milestone};

/// What the log says when the end was asked for and does not come.
const STAYS: &str = "Errors trying to shut down the server. Check the logs for more information.";

/// Ends the process if a signal asked for it; it waits while timed work is paused, and SHUTDOWN ABORT takes it back.
pub fn on_signal(engine: &mut Engine, front: &mut Front) {
    let Some(interrupt) = front
        .host
        .interrupt()
        .filter(|_| !front.settings.cron_paused && front.farewell.is_none())
    else {
        return;
    };
    let (name, flags) = match interrupt {
        Interrupt::Sigint => (
            "SIGINT",
            front.settings.config.get(table::SHUTDOWN_ON_SIGINT),
        ),
        Interrupt::Sigterm => (
            "SIGTERM",
            front.settings.config.get(table::SHUTDOWN_ON_SIGTERM),
        ),
    };
    front
        .log
        .warning(format_args!("Received {name} scheduling shutdown..."));
    front
        .log
        .warning(format_args!("User requested shutdown..."));
    if waiting::begin(front, &mut engine.shared.gate, flags, None) {
        return;
    }
    if let Err(reason) = shut_down(&mut engine.ks, front, flags) {
        front.log.warning(format_args!("{reason}"));
        front.log.warning(format_args!("{STAYS}"));
        front.host.forget_interrupt();
    }
}

/// Saves as asked and marks the end; the error says why the process stays.
///
/// # Errors
/// The snapshot or the log could not be written, and `force` was not asked for.
pub fn shut_down(ks: &mut Keyspace, front: &mut Front, flags: ShutdownFlags) -> Result<(), String> {
    front.reached(Milestone::Stopping);
    save_and_end(ks, front, flags).inspect_err(|_| front.reached(Milestone::Staying))
}

fn save_and_end(ks: &mut Keyspace, front: &mut Front, flags: ShutdownFlags) -> Result<(), String> {
    if front.keeper.is_saving() {
        front
            .log
            .warning(format_args!("There is a child saving an .rdb. Killing it!"));
        front.saving().kill_child(ks);
    }
    if front.keeper.is_rewriting() {
        let incomplete = front
            .keeper
            .append
            .as_ref()
            .is_some_and(|open| open.first_pending);
        if incomplete && !flags.force {
            return Err("Writing initial AOF, can't exit.".into());
        }
        front.log.warning(format_args!(
            "There is a child rewriting the AOF. Killing it!"
        ));
        front.saving().kill_child(ks);
    }
    if front.keeper.append.is_some() {
        front
            .log
            .notice(format_args!("Calling fsync() on the AOF file."));
        if let Err(reason) = front.saving().finish_log()
            && !flags.force
        {
            return Err(format!("Fail to fsync the AOF file: {reason}"));
        }
    }
    assert!(front.keeper.work.is_none(), "a child would live longer");
    debug_assert!(front.ending.is_none(), "it ends once");
    let saved = save_snapshot(ks, front, flags)?;
    let open = front.keeper.append.as_ref();
    assert!(
        flags.force || open.is_none_or(|open| open.log.buffered() == 0),
        "a change waits behind the end"
    );
    front.clients.close_listeners();
    front.visitors.listen(None, &front.clients.registry);
    front.remove_pidfile();
    front
        .log
        .warning(format_args!("Redis is now ready to exit, bye bye..."));
    front.ending = Some(match saved {
        true => Ending::Exit(0),
        false => Ending::Lost(0),
    });
    Ok(())
}

/// Answers whether all is saved that was to be.
fn save_snapshot(
    ks: &mut Keyspace,
    front: &mut Front,
    flags: ShutdownFlags,
) -> Result<bool, String> {
    if front.keeper.loading {
        // What has been loaded so far is a part; the snapshot on disk is the whole.
        return Ok(true);
    }
    let wanted = flags.save || !front.settings.config.get(table::SAVE).is_empty();
    if !wanted || flags.nosave {
        return Ok(true);
    }
    front.log.notice(format_args!(
        "Saving the final RDB snapshot before exiting."
    ));
    match front.saving().save_now(ks) {
        Err(_) if !flags.force => {
            front
                .log
                .warning(format_args!("Error trying to save the DB, can't exit."));
            Err("Error trying to save the DB, can't exit.".into())
        }
        saved => Ok(saved.is_ok()),
    }
}
