//! A snapshot from a primary: read as it comes, and only when it is known to be good put in the place of what there is.
//!
//! ```text
//!   socket --> feed --> loader --> Nowhere: into nothing, clients are served from the old data   -whole-> old data goes,
//!      |                                                                                          InPlace: loaded from the file
//!      |                       \-> Beside: into a data set of its own  -whole-> that takes the place of the old one
//!      \-----> temp-<seconds>.<pid>.rdb, which becomes the dump file
//! ```
//! | `repl-diskless-load` | there is data | file | goes | clients meanwhile |
//! |---|---|---|---|---|
//! | `disabled`, `on-empty-db` | yes | yes | nowhere | old data, LOADING while it is loaded in place |
//! | `disabled` | no | yes | beside | are served |
//! | `on-empty-db` | no | no | beside | LOADING |
//! | `swapdb` | either | no | beside | LOADING; of the same history: old data |
//!
//! Whatever goes wrong before it is whole leaves the old data as it is.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cairn_engine::Engine;
use cairn_engine::persist::load::{LoadError, Loader, Progress};
use cairn_replication::link::Failure;

use super::{pour, settle, upstream};
use crate::config::choice::DisklessLoad;
use crate::config::table;
use crate::files::snapshot::SyncingWriter;
use crate::front::Front;
use crate::host::{DiskFile, folder_of};
use crate::keeper::load::{tell_snapshot, unloadable};
use crate::os::error_text;
use crate::replication::{Copy, Feed, Goes, Load, Reading, Serving};

/// Bytes between two syncs of the file, as in Redis.
const SYNC_EVERY: u64 = 8 << 20;
/// Bytes read at once.
const READ_BYTES: usize = 256 * 1024;
/// Bytes from which on the head of a snapshot is looked at.
const HEAD: usize = 9;
/// Keys between two looks at the clock.
const STEP: usize = 64;
/// Time of a turn that it takes while clients are served.
const SERVING_SLICE: Duration = Duration::from_millis(2);
/// Time of a turn that it takes while clients only hear that it goes on.
const LOADING_SLICE: Duration = Duration::from_millis(20);

/// A snapshot comes, of so many bytes if that is known.
pub(super) fn open(
    engine: &mut Engine,
    front: &mut Front,
    size: Option<u64>,
) -> Result<(), String> {
    if let Some(before) = front.replication.load.take() {
        abandon(engine, front, before);
    }
    let is_empty = engine.ks.total_keys() == 0;
    let on_disk = match front.settings.config.get(table::REPL_DISKLESS_LOAD) {
        DisklessLoad::Disabled => true,
        DisklessLoad::OnEmptyDb => !is_empty,
        DisklessLoad::Swapdb => false,
    };
    let copy = if on_disk { Some(copy(front)?) } else { None };
    let fresh = Box::new(engine.ks.beside());
    let goes = match on_disk && !is_empty {
        true => Goes::Nowhere(fresh),
        false => Goes::Beside(fresh),
    };
    let ours = front.replication.primary.history().id();
    let given = front.replication.upstream.as_ref();
    let given = given.and_then(|upstream| upstream.link.given());
    let serving = match given {
        _ if on_disk => Serving::OldData,
        Some((id, _)) if id == ours && !is_empty => Serving::SameHistory,
        _ => Serving::Nothing,
    };
    let form = match size {
        Some(size) => format!("receiving {size} bytes from master"),
        None => "receiving streamed RDB from master with EOF".to_owned(),
    };
    let whereto = if on_disk { "to disk" } else { "to parser" };
    front
        .log
        .notice(format_args!("MASTER <-> REPLICA sync: {form} {whereto}"));
    if !on_disk {
        front.log.notice(format_args!(
            "MASTER <-> REPLICA sync: Loading DB in memory"
        ));
        front.keeper.load_progress = (0, size.unwrap_or(0));
    }
    let load = Load::arriving(goes, serving, copy);
    let gate = &mut engine.shared.gate;
    gate.loading = load.serving == Serving::Nothing;
    gate.async_loading = load.serving == Serving::SameHistory;
    front.replication.load = Some(Box::new(load));
    Ok(())
}

/// Makes the file that the snapshot is written to.
fn copy(front: &Front) -> Result<Copy, String> {
    let seconds = front.now().wall_ms() / 1000;
    let path = PathBuf::from(format!("temp-{seconds}.{}.rdb", front.host.pid()));
    let file = front.host.disk().create(&path).map_err(|error| {
        format!(
            "Opening the temp file needed for MASTER <-> REPLICA synchronization: {}",
            error_text(&error)
        )
    })?;
    let file = Some(SyncingWriter::new(file, Some(SYNC_EVERY)));
    Ok(Copy { path, file })
}

fn reader(front: &Front, path: &Path) -> Result<BufReader<Box<dyn DiskFile>>, String> {
    let file = front.host.disk().open(path);
    let file = file.map_err(|error| format!("{}: {}", path.display(), error_text(&error)))?;
    Ok(BufReader::with_capacity(READ_BYTES, file))
}

fn loader(engine: &Engine, front: &Front, input: Reading) -> Result<Loader<Reading>, LoadError> {
    let checksum = front.settings.config.get(table::RDBCHECKSUM);
    // What has expired stays: the primary says what goes.
    Loader::new(input, engine.ks.databases(), false, checksum)
}

/// The snapshot is here whole.
pub(super) fn complete(front: &mut Front) -> Result<(), String> {
    let load = front.replication.load.as_mut();
    let load = load.ok_or("no snapshot was begun")?;
    load.waits = false;
    load.feed.iter().for_each(Feed::end);
    let file = load.copy.as_mut().and_then(|copy| copy.file.take());
    let synced = file.map_or(Ok(0), SyncingWriter::finish);
    synced.map_err(|error| format!("{}: {}", load.name.display(), error_text(&error)))?;
    Ok(())
}

/// A snapshot that comes or is being loaded is not wanted any more.
pub(super) fn give_up(front: &mut Front) {
    if let Some(load) = &mut front.replication.load {
        load.given_up = true;
    }
}

/// Says where a snapshot ended that came straight from a socket, in words that begin as Redis's do.
fn tell_cut(front: &Front, load: &Load) {
    let is_cut = load.feed.as_ref().is_some_and(|feed| !feed.has_ended());
    if let Some(loader) = load.loader.as_ref().filter(|_| is_cut) {
        front.log.warning(format_args!(
            "Internal error in RDB reading offset {}: nothing more comes from the MASTER",
            loader.offset()
        ));
    }
}

/// Goes on with the snapshot for a slice of time.
pub fn go_on(engine: &mut Engine, front: &mut Front) {
    let Some(mut load) = front.replication.load.take() else {
        return;
    };
    if load.given_up {
        tell_cut(front, &load);
        return abandon(engine, front, load);
    }
    match slice(engine, front, &mut load) {
        Ok(Progress::Done) if load.feed.as_ref().is_none_or(Feed::has_ended) => {
            ended(engine, front, load);
        }
        Ok(progress) => {
            // Behind what is understood more may come: the marker, or the rest of a size that was said.
            load.waits = progress != Progress::More;
            make_room(front, &mut load);
            front.replication.load = Some(load);
        }
        Err(error) => {
            let reason = unloadable(&load.name, &error);
            failed(engine, front, load, &reason);
        }
    }
}

/// What was left in the socket is read again.
fn make_room(front: &mut Front, load: &mut Load) {
    if !std::mem::take(&mut load.held_back) {
        return;
    }
    let now_ms = front.now().mono_us / 1000;
    if let Some(upstream) = &mut front.replication.upstream {
        // It says nothing because it is not listened to.
        upstream.link.heard(now_ms);
        if let Some(slot) = upstream.slot {
            front.clients.connections.mark_ready(slot);
        }
    }
}

fn slice(engine: &mut Engine, front: &mut Front, load: &mut Load) -> Result<Progress, LoadError> {
    if load.loader.is_none()
        && let Some(feed) = &load.feed
    {
        if feed.waiting() < HEAD && !feed.has_ended() {
            return Ok(Progress::Waits);
        }
        load.loader = Some(loader(engine, front, Box::new(feed.clone()))?);
    }
    let Some(loader) = &mut load.loader else {
        return Ok(Progress::Waits);
    };
    let budget = match load.serving {
        Serving::Nothing => LOADING_SLICE,
        Serving::OldData | Serving::SameHistory => SERVING_SLICE,
    };
    let end = front.host.clock().monotonic_us() + budget.as_micros() as u64;
    let is_slow = front.saving().load_is_slow() && !matches!(load.goes, Goes::Nowhere(_));
    let count = if is_slow { 1 } else { STEP };
    loop {
        let ks = match &mut load.goes {
            Goes::Nowhere(ks) | Goes::Beside(ks) => ks,
            Goes::InPlace => &mut engine.ks,
        };
        if is_slow {
            load.keys += count as u64;
            front.saving().wait_for_load(load.keys);
        }
        let progress = loader.step(ks, count)?;
        if let Goes::Nowhere(ks) = &mut load.goes {
            ks.begin_anew();
            ks.take_garbage();
        }
        if load.serving == Serving::Nothing {
            front.keeper.load_progress.0 = loader.offset();
        }
        if progress != Progress::More || front.host.clock().monotonic_us() >= end {
            return Ok(progress);
        }
    }
}

/// Why an empty snapshot is not taken: the primary that this server follows has lost its data, and so would this server, unasked.
fn would_lose_all(engine: &Engine, front: &Front, load: &Load) -> Option<String> {
    let upstream = front.replication.upstream.as_ref()?;
    let history = front.replication.primary.history();
    let (given, _) = upstream.link.given()?;
    let is_ours = given == history.id() || history.earlier().is_some_and(|one| one.id == given);
    let brings = load
        .loader
        .as_ref()
        .map_or(0, |loader| loader.report().keys);
    let keys = engine.ks.total_keys();
    let unasked = upstream.is_known && !is_ours && load.keeps_old() && brings == 0 && keys > 0;
    let accepts = front
        .settings
        .config
        .get(table::REPLICA_ACCEPT_EMPTY_PRIMARY);
    (unasked && !accepts).then(|| {
        format!(
            "The MASTER has begun anew without any data, and this server holds {keys} keys: they stay. To let them go, 'CONFIG SET replica-accept-empty-primary yes', or name the MASTER anew by REPLICAOF NO ONE and REPLICAOF."
        )
    })
}

/// All of it is read, and good.
fn ended(engine: &mut Engine, front: &mut Front, mut load: Box<Load>) {
    if let Some(reason) = would_lose_all(engine, front, &load) {
        abandon(engine, front, load);
        return upstream::fail(engine, front, Failure::later(reason));
    }
    match std::mem::replace(&mut load.goes, Goes::InPlace) {
        Goes::Nowhere(_) => match begin_in_place(engine, front, load) {
            Ok(load) => front.replication.load = Some(load),
            Err((load, reason)) => failed(engine, front, load, &reason),
        },
        Goes::Beside(fresh) => {
            if load.copy.is_none() {
                front.log.notice(format_args!(
                    "MASTER <-> REPLICA sync: Swapping active DB with loaded DB"
                ));
            }
            load.log_was_on = retire(engine, front);
            engine.ks.fx.feed_on = false;
            engine.ks.take_over(*fresh);
            engine.apply_effects(front);
            engine.ks.fx.feed_on = front.journal.is_read();
            if let Some(copy) = load.copy.take() {
                install(front, &copy.path);
            } else {
                front.log.notice(format_args!(
                    "MASTER <-> REPLICA sync: Discarding old DB in background"
                ));
            }
            finish(engine, front, load);
        }
        Goes::InPlace => finish(engine, front, load),
    }
}

/// The snapshot is known to be good: the old data makes room for it, and it is loaded from its file.
fn begin_in_place(
    engine: &mut Engine,
    front: &mut Front,
    mut load: Box<Load>,
) -> Result<Box<Load>, (Box<Load>, String)> {
    let opened = reader(front, &load.name).and_then(|input| {
        loader(engine, front, Box::new(input)).map_err(|error| unloadable(&load.name, &error))
    });
    match opened {
        Ok(fresh) => load.loader = Some(fresh),
        Err(reason) => {
            load.goes = Goes::Nowhere(Box::new(engine.ks.beside()));
            return Err((load, reason));
        }
    }
    let log_was_on = retire(engine, front);
    front
        .log
        .notice(format_args!("MASTER <-> REPLICA sync: Flushing old data"));
    empty(engine, front);
    install(front, &load.name);
    front.log.notice(format_args!(
        "MASTER <-> REPLICA sync: Loading DB in memory"
    ));
    let dump = front.saving().snapshot_path();
    let size = front.host.disk().size(&dump).ok().flatten().unwrap_or(0);
    engine.shared.gate.loading = true;
    front.keeper.loading = true;
    front.keeper.load_progress = (0, size);
    Ok(Box::new(Load {
        name: dump,
        serving: Serving::Nothing,
        feed: None,
        copy: None,
        log_was_on,
        ..*load
    }))
}

/// What was made of the old data ends: its log, its snapshot, its stream. Answers whether its log was on.
fn retire(engine: &mut Engine, front: &mut Front) -> bool {
    if front.keeper.is_saving() {
        front.saving().kill_child(&mut engine.ks);
        front.keeper.ended_snapshot = None;
    }
    // Its replicas go, and nobody will hear of its child.
    pour::forget(front);
    let log_was_on = front.keeper.log_is_on();
    if log_was_on && let Err(reason) = front.saving().switch_log_off(&mut engine.ks) {
        // Its data goes anyway.
        front.log.warning(format_args!("Closing the AOF: {reason}"));
    }
    if front.keeper.is_rewriting() {
        // Asked for though the log is off.
        front.saving().kill_child(&mut engine.ks);
    }
    front.replication.primary.drop_all();
    front.replication.primary.forget();
    if let Some(upstream) = &mut front.replication.upstream {
        // Until the new data is there, nothing can be gone on with: neither by this primary nor by one that is named meanwhile.
        upstream.may_resume = false;
    }
    front.replication.marks.clear();
    log_was_on
}

/// The file becomes the dump file.
fn install(front: &mut Front, path: &Path) {
    let dump = front.saving().snapshot_path();
    let disk = front.host.disk();
    let renamed = disk
        .rename(path, &dump)
        .and_then(|()| disk.sync_dir(folder_of(&dump)));
    if let Err(error) = renamed {
        // It is loaded all the same; a restart would not find it.
        front.log.warning(format_args!(
            "Failed trying to rename the temp DB into {} in MASTER <-> REPLICA synchronization: {}",
            dump.display(),
            error_text(&error)
        ));
    }
}

/// All databases are empty, and everybody knows.
fn empty(engine: &mut Engine, front: &mut Front) {
    engine.ks.fx.feed_on = false;
    engine.ks.begin_anew();
    engine.apply_effects(front);
    engine.ks.fx.feed_on = front.journal.is_read();
}

fn end_loading(engine: &mut Engine, front: &mut Front) {
    serve_again(engine, front);
    engine.ks.dirty = 0;
    engine.ks.select(0);
    engine.apply_effects(front);
}

fn serve_again(engine: &mut Engine, front: &mut Front) {
    let gate = &mut engine.shared.gate;
    (gate.loading, gate.async_loading) = (false, false);
    front.keeper.loading = false;
}

fn finish(engine: &mut Engine, front: &mut Front, load: Box<Load>) {
    let Load {
        loader, log_was_on, ..
    } = *load;
    let report = loader.map(|loader| loader.finish().0).unwrap_or_default();
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
    if load.keeps_old() {
        // The old data was never touched.
        if let Some(copy) = &load.copy {
            // What cannot be removed is a file too many.
            let _ = front.host.disk().remove(&copy.path);
        } else {
            front.log.notice(format_args!(
                "MASTER <-> REPLICA sync: Discarding temporary DB in background"
            ));
        }
        if let Goes::Beside(fresh) = load.goes {
            engine.ks.forget(*fresh);
        }
        return serve_again(engine, front);
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
    // The file has another name each time; what is wrong with it is one line, which is told as often as other reasons are.
    let place = format!("{}: ", load.name.display());
    let reason = reason
        .strip_prefix(&place)
        .unwrap_or(reason)
        .replace('\n', "; ");
    let kept = load.keeps_old();
    let whence = if load.feed.is_some() {
        "socket"
    } else {
        "disk"
    };
    abandon(engine, front, load);
    if !kept && let Some(upstream) = &mut front.replication.upstream {
        upstream.may_resume = false;
    }
    let left = if kept {
        ": it is not readable, and the data set stays as it is"
    } else {
        ""
    };
    let what = format!(
        "Failed trying to load the MASTER synchronization DB from {whence}{left}: {reason}"
    );
    upstream::fail(engine, front, Failure::later(what));
}

/// Whether there is something to go on with.
pub(super) fn is_under_way(front: &Front) -> bool {
    let load = front.replication.load.as_ref();
    load.is_some_and(|load| !load.is_idle())
}
