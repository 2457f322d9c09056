//! A snapshot from a primary: written to a file, proven, and only then loaded in place of what there is.
//!
//! ```text
//!   socket -> temp-<seconds>.<pid>.rdb -> Proving: read as a load would, into nothing; clients are served from the old data
//!                                      -> Loading: old data goes, the file becomes the dump file; clients hear LOADING
//! ```
//! Whatever goes wrong before Loading leaves the old data as it is.

use std::io::BufReader;
use std::path::PathBuf;
use std::time::Duration;

use cairn_engine::Engine;
use cairn_engine::keyspace::Keyspace;
use cairn_engine::persist::load::{LoadError, Loader};
use cairn_replication::link::Failure;

use super::{settle, upstream};
use crate::config::table;
use crate::files::snapshot::SyncingWriter;
use crate::front::Front;
use crate::host::{DiskFile, folder_of};
use crate::keeper::load::{tell_snapshot, unloadable};
use crate::os::error_text;
use crate::replication::{Arriving, Load, Reading};

/// Bytes between two syncs of the file, as in Redis.
const SYNC_EVERY: u64 = 8 << 20;
/// Bytes read at once.
const READ_BYTES: usize = 256 * 1024;
/// Keys between two looks at the clock.
const STEP: usize = 64;
/// Time of a turn that proving takes: clients are served meanwhile.
const PROVE_SLICE: Duration = Duration::from_millis(2);
/// Time of a turn that loading takes: clients only hear that it goes on.
const LOAD_SLICE: Duration = Duration::from_millis(20);

/// Makes the file that the snapshot is written to.
pub(super) fn open(front: &mut Front) -> Result<(), String> {
    let seconds = front.now().wall_ms() / 1000;
    let path = PathBuf::from(format!("temp-{seconds}.{}.rdb", front.host.pid()));
    let file = front.host.disk().create(&path).map_err(|error| {
        format!(
            "Opening the temp file needed for MASTER <-> REPLICA synchronization: {}",
            error_text(&error)
        )
    })?;
    if let Some(upstream) = &mut front.replication.upstream {
        let file = SyncingWriter::new(file, Some(SYNC_EVERY));
        upstream.arriving = Some(Arriving { path, file });
    }
    Ok(())
}

fn reader(front: &Front, path: &std::path::Path) -> Result<BufReader<Box<dyn DiskFile>>, String> {
    let file = front.host.disk().open(path);
    let file = file.map_err(|error| format!("{}: {}", path.display(), error_text(&error)))?;
    Ok(BufReader::with_capacity(READ_BYTES, file))
}

fn loader(
    engine: &Engine,
    front: &Front,
    path: &std::path::Path,
) -> Result<Loader<Reading>, String> {
    let input: Reading = Box::new(reader(front, path)?);
    let checksum = front.settings.config.get(table::RDBCHECKSUM);
    // What has expired stays: the primary says what goes.
    Loader::new(input, engine.ks.databases(), false, checksum)
        .map_err(|error| unloadable(path, &error))
}

/// The snapshot is here whole: begins to prove it.
pub(super) fn begin(engine: &mut Engine, front: &mut Front) -> Result<(), String> {
    let arriving = front
        .replication
        .upstream
        .as_mut()
        .and_then(|upstream| upstream.arriving.take())
        .ok_or("no snapshot was begun")?;
    let Arriving { path, file } = arriving;
    let begun = file
        .finish()
        .map_err(|error| format!("{}: {}", path.display(), error_text(&error)))
        .and_then(|_| loader(engine, front, &path));
    match begun {
        Ok(loader) => {
            front.replication.load = Some(Box::new(Load {
                path,
                loader,
                scratch: Some(Box::new(Keyspace::new(engine.ks.databases(), [1, 2, 3, 4]))),
                keys: 0,
                log_was_on: false,
                given_up: false,
            }));
            Ok(())
        }
        Err(reason) => {
            // It is of no use; one file too many is no harm.
            let _ = front.host.disk().remove(&path);
            Err(format!(
                "The snapshot of the MASTER is not readable, the data set stays as it is: {reason}"
            ))
        }
    }
}

/// A snapshot that comes or is being loaded is not wanted any more.
pub(super) fn give_up(front: &mut Front) {
    let arriving = front
        .replication
        .upstream
        .as_mut()
        .and_then(|upstream| upstream.arriving.take());
    if let Some(arriving) = arriving {
        // What cannot be removed is a file too many.
        let _ = front.host.disk().remove(&arriving.path);
    }
    if let Some(load) = &mut front.replication.load {
        load.given_up = true;
    }
}

/// Goes on with the snapshot for a slice of time.
pub fn go_on(engine: &mut Engine, front: &mut Front) {
    let Some(mut load) = front.replication.load.take() else {
        return;
    };
    if load.given_up {
        return abandon(engine, front, load);
    }
    let proves = load.scratch.is_some();
    match slice(engine, front, &mut load) {
        Ok(true) => front.replication.load = Some(load),
        Ok(false) if proves => match replace(engine, front, load) {
            Ok(load) => front.replication.load = Some(load),
            Err((load, reason)) => failed(engine, front, load, &reason),
        },
        Ok(false) => finish(engine, front, load),
        Err(error) => {
            let reason = unloadable(&load.path, &error);
            failed(engine, front, load, &reason);
        }
    }
}

/// Answers whether there is more.
fn slice(engine: &mut Engine, front: &mut Front, load: &mut Load) -> Result<bool, LoadError> {
    let budget = if load.scratch.is_some() {
        PROVE_SLICE
    } else {
        LOAD_SLICE
    };
    let end = front.host.clock().monotonic_us() + budget.as_micros() as u64;
    let is_slow = front.saving().load_is_slow();
    let count = if is_slow { 1 } else { STEP };
    loop {
        let more = match &mut load.scratch {
            Some(scratch) => {
                let more = load.loader.step(scratch, count)?;
                for db in 0..scratch.databases() {
                    scratch.flush(db);
                }
                scratch.take_garbage();
                more
            }
            None => {
                load.keys += count as u64;
                if is_slow {
                    front.saving().wait_for_load(load.keys);
                }
                let more = load.loader.step(&mut engine.ks, count)?;
                front.keeper.load_progress.0 = load.loader.offset();
                more
            }
        };
        if !more {
            return Ok(false);
        }
        if front.host.clock().monotonic_us() >= end {
            return Ok(true);
        }
    }
}

/// The snapshot is known to be good: the old data makes room for it.
fn replace(
    engine: &mut Engine,
    front: &mut Front,
    load: Box<Load>,
) -> Result<Box<Load>, (Box<Load>, String)> {
    let fresh = match loader(engine, front, &load.path) {
        Ok(fresh) => fresh,
        Err(reason) => return Err((load, reason)),
    };
    if front.keeper.is_saving() {
        front.saving().kill_child(&mut engine.ks);
        front.keeper.ended_snapshot = None;
    }
    let log_was_on = front.keeper.log_is_on();
    if log_was_on && let Err(reason) = front.saving().switch_log_off(&mut engine.ks) {
        // Its data goes anyway.
        front.log.warning(format_args!("Closing the AOF: {reason}"));
    }
    front
        .log
        .notice(format_args!("MASTER <-> REPLICA sync: Flushing old data"));
    front.replication.primary.drop_all();
    front.replication.primary.forget();
    if let Some(upstream) = &mut front.replication.upstream {
        // Until the new data is there, nothing can be gone on with: neither by this primary nor by one that is named meanwhile.
        upstream.may_resume = false;
    }
    front.replication.marks.clear();
    empty(engine, front);
    let dump = front.saving().snapshot_path();
    let disk = front.host.disk();
    let renamed = disk
        .rename(&load.path, &dump)
        .and_then(|()| disk.sync_dir(folder_of(&dump)));
    if let Err(error) = renamed {
        // It is loaded all the same; a restart would not find it.
        front.log.warning(format_args!(
            "Failed trying to rename the temp DB into {} in MASTER <-> REPLICA synchronization: {}",
            dump.display(),
            error_text(&error)
        ));
    }
    front.log.notice(format_args!(
        "MASTER <-> REPLICA sync: Loading DB in memory"
    ));
    engine.shared.gate.loading = true;
    front.keeper.loading = true;
    let size = disk.size(&dump).ok().flatten().unwrap_or(0);
    front.keeper.load_progress = (0, size);
    Ok(Box::new(Load {
        path: dump,
        loader: fresh,
        scratch: None,
        keys: 0,
        log_was_on,
        given_up: false,
    }))
}

/// All databases are empty, and everybody knows.
fn empty(engine: &mut Engine, front: &mut Front) {
    engine.ks.fx.feed_on = false;
    for db in 0..engine.ks.databases() {
        engine.ks.flush(db);
    }
    engine.apply_effects(front);
    engine.ks.fx.feed_on = front.journal.is_read();
    assert_eq!(engine.ks.total_keys(), 0, "old keys among the new ones");
}

fn end_loading(engine: &mut Engine, front: &mut Front) {
    engine.shared.gate.loading = false;
    front.keeper.loading = false;
    engine.ks.dirty = 0;
    engine.ks.select(0);
    engine.apply_effects(front);
}

fn finish(engine: &mut Engine, front: &mut Front, load: Box<Load>) {
    let Load {
        loader, log_was_on, ..
    } = *load;
    let (report, ..) = loader.finish();
    tell_snapshot(&front.saving(), &report);
    front.keeper.last_load = (report.keys, report.expired);
    end_loading(engine, front);
    settle::remove_dump_if_unwanted(front);
    let now_ms = front.now().mono_us / 1000;
    let Some(upstream) = &mut front.replication.upstream else {
        return;
    };
    upstream.db = report.stream.db.unwrap_or(0);
    upstream.link.loaded(now_ms);
    let given = upstream.link.given();
    let is_there = upstream.slot.is_some();
    match given {
        Some((id, offset)) => {
            front.replication.primary.copied(id, offset);
            upstream::streams(engine, front);
        }
        // By SYNC: nobody knows where the stream is.
        None => {
            upstream::streams(engine, front);
            if let Some(upstream) = &mut front.replication.upstream {
                upstream.may_resume = false;
            }
        }
    }
    if log_was_on && let Err(reason) = front.saving().switch_log_on(&mut engine.ks, false) {
        front.log.warning(format_args!("{reason}"));
    }
    match is_there {
        true => upstream::acknowledge(front),
        false => {
            let failure = Failure::at_once("Connection with master lost.");
            upstream::note_failure(front, failure, now_ms);
        }
    }
}

fn abandon(engine: &mut Engine, front: &mut Front, load: Box<Load>) {
    if load.scratch.is_some() {
        // The old data was never touched.
        let _ = front.host.disk().remove(&load.path);
        return;
    }
    front.log.warning(format_args!(
        "MASTER <-> REPLICA sync: given up while the snapshot was being loaded; the data set is empty"
    ));
    empty(engine, front);
    end_loading(engine, front);
    if load.log_was_on
        && let Err(reason) = front.saving().switch_log_on(&mut engine.ks, false)
    {
        front.log.warning(format_args!("{reason}"));
    }
}

fn failed(engine: &mut Engine, front: &mut Front, load: Box<Load>, reason: &str) {
    for line in reason.lines() {
        front.log.warning(format_args!("{line}"));
    }
    let proved = load.scratch.is_some();
    abandon(engine, front, load);
    if !proved && let Some(upstream) = &mut front.replication.upstream {
        upstream.may_resume = false;
    }
    let what = match proved {
        true => {
            "Failed trying to load the MASTER synchronization DB: it is not readable, and the data set stays as it is"
        }
        false => "Failed trying to load the MASTER synchronization DB from disk",
    };
    upstream::fail(engine, front, Failure::later(what));
}

/// Whether there is something to go on with, so that the loop does not wait.
pub fn is_under_way(front: &Front) -> bool {
    front.replication.load.is_some()
}
