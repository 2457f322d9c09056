//! SCRIPT KILL and FUNCTION KILL.

use crate::base::error::{Error, Outcome};
use crate::call::ctx::Ctx;
use crate::scripts::running::Sort;

/// Ends the script that runs, if it is of this sort and has changed nothing yet.
///
/// # Errors
/// None runs, or not one of this sort, or it must come to its end by itself.
pub(super) fn kill(cx: &mut Ctx, sort: Sort) -> Outcome {
    let busy = cx.shared.gate.busy.clone();
    let Some(running) = &mut cx.shared.running else {
        return Err(Error::new("NOTBUSY No scripts in execution right now."));
    };
    if running.applied {
        return Err(Error::new(
            "UNKILLABLE The busy script was sent by a master instance in the context of replication and cannot be killed.",
        ));
    }
    if running.wrote {
        return Err(Error::new(
            "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.",
        ));
    }
    if running.sort != sort
        && let Some(busy) = busy
    {
        return Err(busy);
    }
    running.killed = true;
    cx.reply.ok();
    Ok(())
}
