//! The start: configuration, log, process, listeners, load, and then the loop.
//!
//! The order is what programs that drive `redis-server` rely on: ` PID: n` and `Server initialized` are logged before
//! the data is loaded, `Ready to accept connections` only after.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cairn_engine::Engine;
use cairn_engine::base::limits::Collation;
use cairn_engine::call::alone::Alone;
use cairn_engine::call::table::RenameError;
use cairn_engine::commands::connection::REDIS_VERSION;

use crate::config::choice::Supervised;
use crate::config::value::Text;
use crate::config::{Config, Invocation, Key, table};
use crate::front::Front;
use crate::host::{Clock, Host, Milestone, Poller};
use crate::keeper::load::Loading;
use crate::listening;
use crate::log::Log;
use crate::member;
use crate::net::{Connections, FIRST_CONNECTION, Listeners};
use crate::node::Node;
use crate::os::affinity::{self, Processors};
use crate::os::clock::SystemClock;
use crate::os::daemon::Background;
use crate::os::guise::SystemProcess;
use crate::os::poll::SystemPoller;
use crate::os::process::{self, OpenFiles};
use crate::os::supervisor::{Asked, Supervisor};
use crate::os::syslog::Syslog;
use crate::os::{
    SystemHost, alloc, collate, complain, crash, error_text, memtest, print, signals, system_check,
};
use crate::settings::renew_encryption;
use crate::sync;
use crate::tls::Encryption;

/// Time that a load takes before clients get an answer.
const LOAD_SLICE: Duration = Duration::from_millis(20);

/// Runs the server as the command line asks; answers the exit status. `program` is the name that it was started by, `args`
/// are what follows it.
pub fn main(program: &str, args: &[Vec<u8>]) -> i32 {
    let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let config = match crate::config::start_as(program, args, &cwd, &mut io::stdin()) {
        Ok(Invocation::Print(text)) => {
            print(&text);
            return 0;
        }
        Ok(Invocation::CheckSystem) => {
            let fine = system_check::run(&mut io::stdout());
            return i32::from(!fine.unwrap_or(false));
        }
        Ok(Invocation::Run(config)) => *config,
        Err(error) => {
            complain(error);
            return 1;
        }
    };
    crash::catch_panics();
    match crash::survive(|| boot(program, config)) {
        Some(Ok(mut node)) => {
            crash::survive(|| node.run()).unwrap_or_else(|| crash::finish(|| node.last_words()))
        }
        Some(Err(status)) => status,
        None => crash::finish(Vec::new),
    }
}

fn boot(program: &str, mut config: Config) -> Result<Node, i32> {
    let refuse = |line: &dyn std::fmt::Display| {
        complain(line);
        1
    };
    enter_folder(&mut config).map_err(|line| refuse(&line))?;
    let supervisor = Supervisor::find(match config.get(table::SUPERVISED) {
        Supervised::No => Asked::Nobody,
        Supervised::Auto => Asked::Anybody,
        Supervised::Systemd => Asked::Systemd,
        Supervised::Upstart => Asked::Upstart,
    });
    let background = go_on_in_background(&config, &supervisor).map_err(|error| refuse(&error))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let log = open_log(&config, &clock).map_err(|line| refuse(&line))?;
    let process = dress(program, &config, &log, supervisor, background);
    alloc::set_background_thread(config.get(table::JEMALLOC_BG_THREAD));
    let host = SystemHost::of(clock, process, place_threads(&config, &log));
    introduce(&log, &config, &host);
    look_at_system(&config, &log)?;
    raise_limits(&mut config, &log)?;
    let fatal = |line: String| {
        log.warning(format_args!("{line}"));
        1
    };
    let signals = signals::Signals::install()
        .map_err(|error| fatal(format!("Cannot handle signals: {error}")))?;
    let poller = SystemPoller::new(signals).map_err(|error| {
        fatal(format!(
            "Failed creating the event loop. Error message: '{error}'"
        ))
    })?;
    crash::set_exit_on_panic(config.get(table::USE_EXIT_ON_PANIC));
    memtest::enable(config.get(table::CRASH_MEMCHECK_ENABLED));
    let collation = choose_locale(&config).map_err(fatal)?;
    let mut node = assemble(Box::new(host), config, log, Box::new(poller))?;
    node.engine.ks.limits.collation = collation;
    Ok(node)
}

/// Where `daemonize` asks for it and nobody waits for this very process.
fn go_on_in_background(
    config: &Config,
    supervisor: &Result<Supervisor, String>,
) -> io::Result<Option<Background>> {
    let is_supervised = !matches!(supervisor, Ok(Supervisor::Nobody) | Err(_));
    if !config.get(table::DAEMONIZE) || is_supervised {
        return Ok(None);
    }
    if config.get(table::LOGFILE).is_empty() && !config.get(table::SYSLOG_ENABLED) {
        complain(
            "cairn-server: 'daemonize yes' without 'logfile' or 'syslog-enabled': once it listens, what it logs is lost",
        );
    }
    Background::enter().map(Some)
}

/// What the process shows of itself, and to whom.
fn dress(
    program: &str,
    config: &Config,
    log: &Log,
    supervisor: Result<Supervisor, String>,
    background: Option<Background>,
) -> SystemProcess {
    let supervisor = supervisor.unwrap_or_else(|reason| {
        log.warning(format_args!("{reason}"));
        Supervisor::Nobody
    });
    match supervisor {
        Supervisor::Systemd(_) => log.notice(format_args!(
            "Supervised by systemd. Please make sure you set appropriate values for TimeoutStartSec and TimeoutStopSec in your service unit."
        )),
        Supervisor::Upstart => log.notice(format_args!(
            "Supervised by upstart, will stop to signal readiness."
        )),
        Supervisor::Nobody => {}
    }
    let mut process = SystemProcess::new(program.to_string(), supervisor, background);
    if config.get(table::SET_PROC_TITLE) {
        // SAFETY: no thread was started yet; the arguments were read, and nobody here keeps a variable of the environment.
        unsafe { process.claim_title() };
    }
    process
}

/// Keeps this thread on its processors; where those of other threads are.
fn place_threads(config: &Config, log: &Log) -> Option<Processors> {
    let told = |key: Key<Text>, why: String| {
        log.warning(format_args!(
            "{} has no effect: {why}",
            key.directive().name
        ));
    };
    let anywhere = Processors::of_this_thread().ok();
    for key in [table::BGSAVE_CPULIST, table::AOF_REWRITE_CPULIST] {
        if !config.get(key).is_empty()
            && let Err(why) = Processors::parse(&config.text(key))
        {
            told(key, why);
        }
    }
    if let Err(why) = affinity::pin(&config.text(table::SERVER_CPULIST)) {
        told(table::SERVER_CPULIST, why);
    }
    if config.get(table::BIO_CPULIST).is_empty() {
        // Threads would be where the one that starts them is.
        return anywhere.filter(|_| !config.get(table::SERVER_CPULIST).is_empty());
    }
    Processors::parse(&config.text(table::BIO_CPULIST))
        .map_err(|why| told(table::BIO_CPULIST, why))
        .ok()
}

/// Warns of settings of the system; ends the start on one that loses data.
fn look_at_system(config: &Config, log: &Log) -> Result<(), i32> {
    let kept_out = config.get(table::DISABLE_THP) && system_check::disable_huge_pages();
    for warning in system_check::at_start(kept_out) {
        log.warning(format_args!("{warning}"));
    }
    let found = system_check::loses_pages();
    if let Some(warning) = system_check::unless_ignored(found, &config.text(table::IGNORE_WARNINGS))
    {
        log.warning(format_args!(
            "WARNING {warning} The server will now exit; 'ignore-warnings {}' starts it all the same.",
            system_check::LOST_PAGES
        ));
        return Err(1);
    }
    Ok(())
}

/// A node in a world: listens, loads its data, and is ready to be run. Everything it does to the world goes through `host` and
/// `poller`.
///
/// # Errors
/// The exit status; why is in the log.
pub fn assemble(
    host: Box<dyn Host>,
    config: Config,
    log: Log,
    poller: Box<dyn Poller>,
) -> Result<Node, i32> {
    let fatal = |line: String| {
        log.warning(format_args!("{line}"));
        1
    };
    let mut engine = make_engine(&config, &*host);
    engine.ks.limits = crate::admin::limits_of(&config);
    let watched = crate::admin::watch_limits_of(&config);
    engine.shared.watch.configure(watched);
    rename_commands(&mut engine, &config).map_err(fatal)?;
    crate::admin::define_users(&mut engine.shared, &config, &log).map_err(|error| {
        complain(&error);
        fatal(error)
    })?;
    let encryption = Encryption::default();
    renew_encryption(&encryption, &config, &*host).map_err(|line| {
        fatal(line);
        fatal("Failed to configure TLS. Check logs for more info.".to_owned())
    })?;
    let listeners = listen(&config, &encryption, &log, &*host, &*poller).map_err(fatal)?;
    let metrics =
        listening::for_metrics(&config, &*host, poller.registry(), &log).map_err(fatal)?;
    let bus = match config.get(table::CLUSTER_ENABLED) {
        true => {
            let registry = poller.registry();
            let bus = listening::for_bus(&config, &encryption, &*host, registry, &log);
            Some(bus.map_err(fatal)?)
        }
        false => None,
    };
    let registry = poller
        .registry()
        .try_clone()
        .map_err(|error| fatal(error.to_string()))?;
    let mut front = Front::new(
        host,
        config,
        log,
        Connections::new(FIRST_CONNECTION),
        registry,
    );
    front.settings.encryption = encryption;
    front.clients.listeners = Some(listeners);
    front.visitors.listen(metrics, &front.clients.registry);
    if let Some(bus) = bus {
        member::join(&mut front, bus).map_err(|line| {
            front.log.warning(format_args!("{line}"));
            1
        })?;
    }
    write_pidfile(&front);
    tell_places(&front);
    front.refresh_title();
    front.warn_of_oom_scores();
    // What the system does not allow is in the log; the server serves all the same.
    front.refresh_oom_score();
    front.log.notice(format_args!("Server initialized"));
    front.reached(Milestone::Initialized);
    let mut node = Node::new(engine, front, poller);
    sync::follow_configured(&mut node.front, &mut node.engine.shared.gate);
    load(&mut node)?;
    member::begin(&mut node.engine, &mut node.front);
    ready(&node.front);
    node.front.reached(Milestone::Ready);
    Ok(node)
}

/// `rename-command`, line by line.
fn rename_commands(engine: &mut Engine, config: &Config) -> Result<(), String> {
    for line in config.renames() {
        let renamed = engine.shared.table.rename(&line.from, &line.to);
        renamed.map_err(|error| {
            let error = line.error(match error {
                RenameError::Unknown => "No such command in rename-command",
                RenameError::Taken => "Target command name already exists",
            });
            complain(&error);
            error.to_string()
        })?;
    }
    Ok(())
}

/// How `locale-collate` orders texts.
fn choose_locale(config: &Config) -> Result<Option<Collation>, String> {
    collate::choose(config.get(table::LOCALE_COLLATE)).map_err(|unknown| {
        let error = config.start_error(table::LOCALE_COLLATE.directive(), unknown.to_string());
        complain(&error);
        error.to_string()
    })
}

/// `dir` holds from here on for all relative paths.
fn enter_folder(config: &mut Config) -> Result<(), String> {
    let dir = config.dir().to_path_buf();
    std::env::set_current_dir(&dir).map_err(|error| {
        config
            .start_error(table::DIR.directive(), error_text(&error))
            .to_string()
    })?;
    if let Ok(real) = std::env::current_dir() {
        config.note_dir(real);
    }
    Ok(())
}

fn open_log(config: &Config, clock: &Arc<dyn Clock>) -> Result<Log, String> {
    let path = config.path(table::LOGFILE);
    let file = (!path.as_os_str().is_empty()).then(|| config.dir().join(path));
    crash::set_log_file(file.as_deref());
    if config.get(table::CRASH_LOG_ENABLED)
        && let Err(error) = crash::install()
    {
        complain(format_args!("crash reports are off: {error}"));
    }
    let log = Log::new(config.get(table::LOGLEVEL), file, Arc::clone(clock)).map_err(|error| {
        config
            .start_error(table::LOGFILE.directive(), error_text(&error))
            .to_string()
    })?;
    if config.get(table::SYSLOG_ENABLED) {
        let facility = config.get(table::SYSLOG_FACILITY).number();
        let syslog = Syslog::new(facility, config.text(table::SYSLOG_IDENT).into_owned());
        if let Err(reason) = syslog.probe() {
            log.warning(format_args!(
                "syslog-enabled: nobody takes lines for now: {reason}"
            ));
        }
        log.send_to(syslog);
    }
    Ok(log)
}

fn introduce(log: &Log, config: &Config, host: &SystemHost) {
    let pid = host.pid();
    log.notice(format_args!(
        "oO0OoO0OoO0Oo Cairn is starting oO0OoO0OoO0Oo"
    ));
    log.notice(format_args!(
        "Cairn version={}, compatible with Redis {REDIS_VERSION}, bits=64, pid={pid}, just started",
        env!("CARGO_PKG_VERSION")
    ));
    match config.file() {
        Some(_) => log.notice(format_args!("Configuration loaded")),
        None => log.warning(format_args!(
            "Warning: no config file specified, using the default config. In order to specify a config file use cairn-server /path/to/redis.conf"
        )),
    }
    let port = match config.get(table::PORT) {
        0 => config.get(table::TLS_PORT),
        port => port,
    };
    let to_terminal = config.get(table::LOGFILE).is_empty()
        && !config.get(table::SYSLOG_ENABLED)
        && io::stdout().is_terminal();
    if !to_terminal && !config.get(table::ALWAYS_SHOW_LOGO) {
        return log.notice(format_args!("Running mode={}, port={port}.", config.mode()));
    }
    log.raw(&format!(
        "\n   Cairn {}  (Redis {REDIS_VERSION} compatible)\n   Port: {port}\n   PID: {pid}\n\n",
        env!("CARGO_PKG_VERSION")
    ));
}

fn raise_limits(config: &mut Config, log: &Log) -> Result<(), i32> {
    let wanted = config.get(table::MAXCLIENTS).max(1);
    match process::adjust_open_files(wanted) {
        OpenFiles::Enough => {}
        OpenFiles::Raised { from, to } => {
            log.notice(format_args!(
                "Increased maximum number of open files to {to} (it was originally set to {from})."
            ));
        }
        OpenFiles::Reduced {
            maxclients,
            limit,
            needed,
            reason,
        } => {
            log.warning(format_args!(
                "You requested maxclients of {wanted} requiring at least {needed} max file descriptors. Server can't set maximum open files to {needed} because of OS error: {reason}. Current maximum open files is {limit}. maxclients has been reduced to {maxclients} to compensate for low ulimit."
            ));
            let value = maxclients.to_string();
            let caller = crate::config::Caller {
                local: true,
                loading: false,
            };
            // Nothing needs to be applied yet.
            let set = config.set_many(&[b"maxclients", value.as_bytes()], caller, &mut |_, _| {
                Ok(())
            });
            assert!(
                set.is_ok(),
                "{value} is within the directive's bounds: {set:?}"
            );
        }
        OpenFiles::TooFew { limit, needed } => {
            log.warning(format_args!(
                "Your current 'ulimit -n' of {limit} is not enough for the server to start. Please increase your open file limit to at least {needed}. Exiting."
            ));
            return Err(1);
        }
    }
    Ok(())
}

fn listen(
    config: &Config,
    encryption: &Encryption,
    log: &Log,
    host: &dyn Host,
    poller: &dyn Poller,
) -> Result<Listeners, String> {
    let listeners = listening::for_clients(config, encryption, host, poller.registry(), log)?;
    if listeners.is_empty() {
        return Err("Configured to not listen anywhere, exiting.".into());
    }
    Ok(listeners)
}

fn write_pidfile(front: &Front) {
    if let Some(path) = front.settings.pidfile()
        && let Err(error) = process::write_pidfile(&path)
    {
        front.log.warning(format_args!(
            "Failed to write PID file: {}: {}",
            error_text(&error),
            path.display()
        ));
    }
}

fn make_engine(config: &Config, host: &dyn Host) -> Engine {
    let mut bytes = [0; 32];
    host.random(&mut bytes);
    let mut seed = [0; 4];
    for (word, chunk) in seed.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = chunk.iter().fold(0, |n, b| n << 8 | u64::from(*b));
    }
    assert_ne!(seed, [0; 4], "the host draws no random numbers");
    let commands = crate::commands::all();
    match config.get(table::CLUSTER_ENABLED) {
        true => Engine::with_slots(seed, &commands),
        false => Engine::new(config.get(table::DATABASES) as usize, seed, &commands),
    }
}

fn tell_places(front: &Front) {
    for name in front.clients.listeners.iter().flat_map(|l| l.names()) {
        front.log.notice(format_args!("Listening on {name}"));
    }
    for name in front.visitors.names() {
        front
            .log
            .notice(format_args!("Metrics on http://{name}/metrics"));
    }
    front.log.notice(format_args!(
        "Data lives in {}",
        front.settings.config.dir().display()
    ));
}

fn load(node: &mut Node) -> Result<(), i32> {
    let fatal = |node: &Node, line: &str| {
        for part in line.lines() {
            node.front.log.warning(format_args!("{part}"));
            complain(part);
        }
        1
    };
    node.front.figures.memory.at_start = node.front.host.used_memory();
    let mut loading = Loading::find(&node.front.saving()).map_err(|line| fatal(node, &line))?;
    node.engine.shared.gate.loading = true;
    node.front.keeper.loading = true;
    let mut world = Alone::default();
    loop {
        let mut saving = node.front.saving();
        let loaded = loading.step(&mut node.engine, &mut saving, &mut world, LOAD_SLICE);
        node.front.pass_on(&mut world);
        match loaded {
            Ok(true) => break,
            Ok(false) => node.serve_while_loading(),
            Err(line) => return Err(fatal(node, &line)),
        }
        if let Some(ending) = node.front.ending {
            return Err(ending.status());
        }
    }
    node.engine.shared.gate.loading = false;
    node.front.keeper.loading = false;
    let (place, dropped) = loading.stream_place();
    loading
        .finish(&mut node.engine, &mut node.front.saving())
        .map_err(|line| fatal(node, &line))?;
    sync::restore(&mut node.engine, &mut node.front, &place, &dropped);
    Ok(())
}

fn ready(front: &Front) {
    let config = &front.settings.config;
    let is_set = [
        ("tcp", config.get(table::PORT) != 0),
        (
            "unix",
            !config.path(table::UNIXSOCKET).as_os_str().is_empty(),
        ),
        ("tls", config.get(table::TLS_PORT) != 0),
    ];
    for (kind, _) in is_set.into_iter().filter(|(_, is_set)| *is_set) {
        front
            .log
            .notice(format_args!("Ready to accept connections {kind}"));
    }
}
