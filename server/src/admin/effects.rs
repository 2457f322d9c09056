//! What a changed value does. CONFIG SET calls [`apply`] with the new values in place; when it refuses, it is called once
//! more with the old ones, so that each effect is written to go to whatever the configuration says now.

use cairn_engine::base::limits::Limits;
use cairn_engine::call::ctx::Gate;
use cairn_engine::call::watch::Watch;
use cairn_engine::keyspace::Keyspace;
use cairn_engine::users::Users;

use super::{configure_users, limits_of, watch_limits_of};
use crate::cluster::options_of;
use crate::config::{Change, Directive, Rejected, table};
use crate::front::Front;
use crate::listening;
use crate::os::process::{OpenFiles, adjust_open_files};
use crate::os::{alloc, collate, crash, error_text, memtest};
use crate::settings;
use crate::sync;

/// Begins as what Redis says where its allocator cannot tell what is worth moving (Debian's 7.0.15 is such a build).
const NO_DEFRAGMENTATION: &str =
    "Active defragmentation cannot be enabled: the allocator has no slabs that could be emptied";

/// What values have effects on.
pub(super) struct Parts<'a> {
    pub(super) front: &'a mut Front,
    pub(super) ks: &'a mut Keyspace,
    pub(super) gate: &'a mut Gate,
    pub(super) users: &'a mut Users,
    pub(super) watch: &'a mut Watch,
    /// A transaction runs: no child may begin before its end.
    pub(super) in_transaction: bool,
}

/// Brings the server in line with its configuration, as far as `changes` tell that it is not.
pub(super) fn apply(parts: Parts, changes: &[Change]) -> Result<(), Rejected> {
    let Parts {
        front,
        ks,
        gate,
        users,
        watch,
        in_transaction,
    } = parts;
    // What cannot fail comes first: it is right even if the rest has to be undone and this runs again.
    ks.set_limits(Limits {
        tests: ks.limits.tests,
        collation: ks.limits.collation,
        ..limits_of(&front.settings.config)
    });
    watch.configure(watch_limits_of(&front.settings.config));
    configure_users(users, &front.settings.config);
    front.settings.refresh_hot();
    if let Some(cluster) = &mut front.cluster {
        cluster.machine.options = options_of(&front.settings.config);
        cluster.is_asked = true;
    }
    renew_encryption(front, changes)?;
    for change in changes {
        if change.is(table::LOGLEVEL) {
            front
                .log
                .set_level(front.settings.config.get(table::LOGLEVEL));
        } else if change.is(table::REQUIREPASS) {
            users.require_password(front.settings.config.get(table::REQUIREPASS));
        } else if change.is(table::APPENDFSYNC) {
            front.saving().refresh_sync_policy();
        } else if change.is(table::AOF_DISABLE_AUTO_GC) {
            front
                .saving()
                .refresh_keep_history()
                .map_err(|reason| Rejected::of(table::AOF_DISABLE_AUTO_GC, reason))?;
        } else if change.is(table::JEMALLOC_BG_THREAD) {
            alloc::set_background_thread(front.settings.config.get(table::JEMALLOC_BG_THREAD));
        } else if change.is(table::ACTIVEDEFRAG) {
            let wanted = front.settings.config.get(table::ACTIVEDEFRAG);
            if wanted && front.host.slabs().is_none() {
                return Err(Rejected::of(table::ACTIVEDEFRAG, NO_DEFRAGMENTATION));
            }
        } else if change.is(table::CRASH_LOG_ENABLED) {
            set_crash_report(front)?;
        } else if change.is(table::MAXCLIENTS) {
            raise_open_files(front)?;
        } else if change.is(table::DIR) {
            enter_folder(front)?;
        } else if change.is(table::PORT) {
            let failed = "Unable to listen on this port. Check server logs.";
            listen(front).map_err(|()| Rejected::of(table::PORT, failed))?;
            front.refresh_title();
        } else if change.is(table::TLS_PORT) {
            let failed = "Unable to listen on this port. Check server logs.";
            listen(front).map_err(|()| Rejected::of(table::TLS_PORT, failed))?;
            front.refresh_title();
        } else if change.is(table::BIND) {
            let failed = "Failed to bind to specified addresses.";
            listen(front).map_err(|()| Rejected::of(table::BIND, failed))?;
            front.refresh_title();
        } else if change.is(table::PROC_TITLE_TEMPLATE) {
            front.refresh_title();
        } else if change.is(table::OOM_SCORE_ADJ) {
            set_oom_score(front, table::OOM_SCORE_ADJ.directive())?;
        } else if change.is(table::OOM_SCORE_ADJ_VALUES) {
            set_oom_score(front, table::OOM_SCORE_ADJ_VALUES.directive())?;
        } else if change.is(table::WATCHDOG_PERIOD) {
            set_watch(front);
        } else if change.is(table::CRASH_MEMCHECK_ENABLED) {
            memtest::enable(front.settings.config.get(table::CRASH_MEMCHECK_ENABLED));
        } else if change.is(table::USE_EXIT_ON_PANIC) {
            crash::set_exit_on_panic(front.settings.config.get(table::USE_EXIT_ON_PANIC));
        } else if change.is(table::LOCALE_COLLATE) {
            ks.limits.collation = collate::choose(front.settings.config.get(table::LOCALE_COLLATE))
                .map_err(|unknown| Rejected::of(table::LOCALE_COLLATE, unknown.to_string()))?;
        } else if change.is(table::METRICS_PORT) {
            let failed = "Unable to listen on this port. Check server logs.";
            listen_for_metrics(front).map_err(|()| Rejected::of(table::METRICS_PORT, failed))?;
        } else if change.is(table::METRICS_BIND) {
            let failed = "Failed to bind to specified addresses.";
            listen_for_metrics(front).map_err(|()| Rejected::of(table::METRICS_BIND, failed))?;
        } else if change.is(table::APPENDONLY) {
            switch_log(front, ks, in_transaction)?;
        }
    }
    front
        .replication
        .primary
        .set_backlog_size(front.settings.config.get(table::REPL_BACKLOG_SIZE) as u64);
    sync::refresh_gate(front, gate);
    gate.refuse_writes = front.saving().write_refusal();
    let config = &front.settings.config;
    debug_assert!(
        front.keeper.loading || front.keeper.log_is_on() == config.get(table::APPENDONLY),
        "the log is not as it is configured"
    );
    Ok(())
}

/// New encrypted connections are made as configured, if anything was changed that they are made by. Where that fails, they are
/// made as before.
fn renew_encryption(front: &Front, changes: &[Change]) -> Result<(), Rejected> {
    let of_tls = |change: &&Change| table::is_of_tls(change.directive);
    let Some(change) = changes.iter().find(of_tls) else {
        return Ok(());
    };
    settings::renew_encryption(
        &front.settings.encryption,
        &front.settings.config,
        &*front.host,
    )
    .map_err(|line| {
        front.log.warning(format_args!("{line}"));
        Rejected {
            name: change.directive.name,
            reason: Some("Unable to update TLS configuration. Check server logs.".into()),
        }
    })
}

fn set_oom_score(front: &Front, changed: &'static Directive) -> Result<(), Rejected> {
    front.warn_of_oom_scores();
    if front.refresh_oom_score() {
        return Ok(());
    }
    Err(Rejected {
        name: changed.name,
        reason: Some("Failed to set current oom_score_adj. Check server logs.".into()),
    })
}

fn set_watch(front: &mut Front) {
    let clients = front.clients.connections.len();
    front.settings.raise_watchdog_period(clients);
    match front.settings.config.get(table::WATCHDOG_PERIOD) {
        0 => front.host.process().watch(0),
        _ => front.wind_watch(),
    }
}

fn set_crash_report(front: &Front) -> Result<(), Rejected> {
    if !front.settings.config.get(table::CRASH_LOG_ENABLED) {
        crash::uninstall();
        return Ok(());
    }
    crash::install().map_err(|error| Rejected::of(table::CRASH_LOG_ENABLED, error_text(&error)))
}

fn raise_open_files(front: &Front) -> Result<(), Rejected> {
    let works = match adjust_open_files(front.settings.config.get(table::MAXCLIENTS)) {
        OpenFiles::Enough | OpenFiles::Raised { .. } => return Ok(()),
        OpenFiles::Reduced { maxclients, .. } => maxclients,
        OpenFiles::TooFew { .. } => 0,
    };
    Err(Rejected::of(
        table::MAXCLIENTS,
        format!(
            "The operating system is not able to handle the specified number of clients, try with {works}"
        ),
    ))
}

fn enter_folder(front: &mut Front) -> Result<(), Rejected> {
    let failed = |error: std::io::Error| Rejected::of(table::DIR, error_text(&error));
    let real = front
        .host
        .enter_folder(front.settings.config.dir())
        .map_err(failed)?;
    front.settings.config.note_dir(real);
    Ok(())
}

/// Listens where the configuration says now. The old sockets are closed first, because they may stand in the way of
/// the new ones; if those cannot be opened, the undoing call opens the old ones again.
fn listen(front: &mut Front) -> Result<(), ()> {
    front.clients.close_listeners();
    let listeners = listening::for_clients(
        &front.settings.config,
        &front.settings.encryption,
        &*front.host,
        &front.clients.registry,
        &front.log,
    )
    .map_err(|line| front.log.warning(format_args!("{line}")))?;
    front.clients.listeners = Some(listeners);
    Ok(())
}

/// The same for the metrics port.
fn listen_for_metrics(front: &mut Front) -> Result<(), ()> {
    front.visitors.listen(None, &front.clients.registry);
    let listeners = listening::for_metrics(
        &front.settings.config,
        &*front.host,
        &front.clients.registry,
        &front.log,
    )
    .map_err(|line| front.log.warning(format_args!("{line}")))?;
    front.visitors.listen(listeners, &front.clients.registry);
    Ok(())
}

fn switch_log(front: &mut Front, ks: &mut Keyspace, put_off: bool) -> Result<(), Rejected> {
    if front.settings.config.get(table::APPENDONLY) {
        front.saving().switch_log_on(ks, put_off).map_err(|reason| {
            front.log.warning(format_args!("{reason}"));
            Rejected::of(
                table::APPENDONLY,
                "Unable to turn on AOF. Check server logs.",
            )
        })
    } else {
        // Off it is in any case; what could not be written is in the log.
        if let Err(reason) = front.saving().switch_log_off(ks) {
            front.log.warning(format_args!("Closing the AOF: {reason}"));
        }
        Ok(())
    }
}
