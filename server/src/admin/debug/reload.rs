//! DEBUG RELOAD and LOADAOF: save, empty, load again, so that a test sees whether the data survives it.

use std::io::BufReader;

use cairn_engine::base::args::Args;
use cairn_engine::base::error::{Error, Outcome};
use cairn_engine::call::Ctx;
use cairn_engine::keyspace::Keyspace;
use cairn_engine::persist::load::{LoadError, Loader};

use crate::config::table;
use crate::front::Front;
use crate::front::access;
use crate::keeper::load::{tell_snapshot, unloadable};
use crate::os::error_text;

/// Bytes read at once.
const READ_BYTES: usize = 256 * 1024;

pub(super) fn reload(cx: &mut Ctx, args: &Args) -> Outcome {
    let (mut merge, mut flush, mut save) = (false, true, true);
    for word in args.iter_from(2) {
        match word.to_ascii_lowercase().as_slice() {
            b"merge" => merge = true,
            b"noflush" => flush = false,
            b"nosave" => save = false,
            _ => {
                return Err(Error::new(
                    "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.",
                ));
            }
        }
    }
    let front = access::whole(&mut *cx.inst);
    if save {
        front
            .saving()
            .save_now(cx.ks)
            .map_err(|_| Error::new("ERR"))?;
    }
    if flush {
        cx.ks.begin_anew();
    }
    let selected = cx.ks.selected();
    let loaded = load(front, cx.ks, merge);
    cx.ks.select(selected);
    loaded.map_err(|reason| {
        for line in reason.lines() {
            front.log.warning(format_args!("{line}"));
        }
        Error::new("ERR Error trying to load the RDB dump, check server logs")
    })?;
    cx.ks.dirty = 0;
    front
        .log
        .warning(format_args!("DB reloaded by DEBUG RELOAD"));
    cx.reply.ok();
    Ok(())
}

/// LOADAOF. Commands run on the whole engine while the log is read, so it begins when this one is over; the session
/// waits until then.
pub(super) fn load_log(cx: &mut Ctx, _: &Args) -> Outcome {
    let slot = cx.session.slot;
    let front = access::whole(&mut *cx.inst);
    if cx.session.deny_blocking {
        return Err(Error::new(
            "ERR DEBUG LOADAOF is not allowed in transactions.",
        ));
    }
    front.load_log_for = Some(slot);
    cx.session.blocked = true;
    Ok(())
}

fn load(front: &mut Front, ks: &mut Keyspace, merge: bool) -> Result<(), String> {
    let path = front.saving().snapshot_path();
    let file = front
        .host
        .disk()
        .open(&path)
        .map_err(|error| format!("{}: {}", path.display(), error_text(&error)))?;
    let told = |error: LoadError| unloadable(&path, &error);
    let input = BufReader::with_capacity(READ_BYTES, file);
    let checksum = front.settings.config.get(table::RDBCHECKSUM) && !ks.limits.tests.skip_checksums;
    let drops_expired = !front.replication.follows();
    let loader = Loader::new(input, ks.databases(), drops_expired, checksum);
    let mut loader = loader.map_err(told)?;
    loader.replace = merge;
    loader.run(ks).map_err(told)?;
    let (report, ..) = loader.finish();
    tell_snapshot(&front.saving(), &report);
    front.keeper.last_load = (report.keys, report.expired);
    Ok(())
}
