//! The start: configuration, log, process, listeners, load, and then the loop.
//!
//! The order is what programs that drive `redis-server` rely on: ` PID: n` and `Server initialized` are logged before
//! the data is loaded, `Ready to accept connections` only after.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cairn_engine::Engine;
use cairn_engine::call::alone::Alone;
use cairn_engine::commands::connection::{REDIS_VERSION, password_digest};

use crate::config::{Config, Invocation, Start, table};
use crate::front::Front;
use crate::host::{Clock, Host, Poller};
use crate::keeper::load::Loading;
use crate::listening::listen_plan;
use crate::log::Log;
use crate::net::{Connections, FIRST_CONNECTION, FIRST_LISTENER, Listeners};
use crate::node::Node;
use crate::os::clock::SystemClock;
use crate::os::poll::SystemPoller;
use crate::os::process::{self, OpenFiles};
use crate::os::{SystemHost, alloc, complain, crash, error_text, print, signals};

/// Time that a load takes before clients get an answer.
const LOAD_SLICE: Duration = Duration::from_millis(20);

/// Runs the server as the command line asks; answers the exit status. `args` are without the program's name.
pub fn main(args: &[Vec<u8>]) -> i32 {
    let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let start = match crate::config::start(args, &cwd, &mut io::stdin()) {
        Ok(Invocation::Print(text)) => {
            print(&text);
            return 0;
        }
        Ok(Invocation::Run(start)) => *start,
        Err(error) => {
            complain(error);
            return 1;
        }
    };
    crash::catch_panics();
    match crash::survive(|| boot(start)) {
        Some(Ok(mut node)) => {
            crash::survive(|| node.run()).unwrap_or_else(|| crash::finish(|| node.last_words()))
        }
        Some(Err(status)) => status,
        None => crash::finish(Vec::new),
    }
}

fn boot(start: Start) -> Result<Node, i32> {
    let Start {
        mut config,
        warnings,
    } = start;
    let refuse = |line: &dyn std::fmt::Display| {
        complain(line);
        1
    };
    enter_folder(&mut config).map_err(|line| refuse(&line))?;
    let log = open_log(&config).map_err(|line| refuse(&line))?;
    if config.get(table::DAEMONIZE) {
        process::daemonize().map_err(|error| refuse(&error))?;
    }
    alloc::set_background_thread(true);
    let host = SystemHost::new();
    introduce(&log, &config, &host);
    for warning in &warnings {
        log.warning(format_args!("{warning}"));
    }
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
    assemble(Box::new(host), config, log, Box::new(poller))
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
    let listeners = listen(&config, &log, &*host, &*poller).map_err(fatal)?;
    let registry = poller
        .registry()
        .try_clone()
        .map_err(|error| fatal(error.to_string()))?;
    let mut engine = make_engine(&config, &*host);
    engine.ks.limits = crate::admin::limits_of(&config);
    let watched = crate::admin::watch_limits_of(&config);
    engine.shared.watch.configure(watched);
    let password = config.get(table::REQUIREPASS);
    engine.shared.gate.password = (!password.is_empty()).then(|| password_digest(password));
    let mut front = Front::new(
        host,
        config,
        log,
        Connections::new(FIRST_CONNECTION),
        registry,
    );
    front.clients.listeners = Some(listeners);
    write_pidfile(&front);
    tell_places(&front);
    front.log.notice(format_args!("Server initialized"));
    let mut node = Node::new(engine, front, poller);
    load(&mut node)?;
    ready(&node.front);
    Ok(node)
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

fn open_log(config: &Config) -> Result<Log, String> {
    let path = config.path(table::LOGFILE);
    let file = (!path.as_os_str().is_empty()).then(|| config.dir().join(path));
    crash::set_log_file(file.as_deref());
    if config.get(table::CRASH_LOG_ENABLED)
        && let Err(error) = crash::install()
    {
        complain(format_args!("crash reports are off: {error}"));
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    Log::new(config.get(table::LOGLEVEL), file, clock).map_err(|error| {
        config
            .start_error(table::LOGFILE.directive(), error_text(&error))
            .to_string()
    })
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
    let port = config.get(table::PORT);
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
            // The number is within the directive's bounds, and nothing needs to be applied yet.
            let _ = config.set_many(&[b"maxclients", value.as_bytes()], caller, &mut |_, _| {
                Ok(())
            });
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
    log: &Log,
    host: &dyn Host,
    poller: &dyn Poller,
) -> Result<Listeners, String> {
    let opened = host.listen(&listen_plan(config), log)?;
    let mut listeners = Listeners::new(opened, FIRST_LISTENER);
    listeners
        .register(poller.registry())
        .map_err(|error| error.to_string())?;
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
            "Failed to write PID file: {}",
            error_text(&error)
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
    Engine::new(
        config.get(table::DATABASES) as usize,
        seed,
        &crate::commands::all(),
    )
}

fn tell_places(front: &Front) {
    for name in front.clients.listeners.iter().flat_map(|l| l.names()) {
        front.log.notice(format_args!("Listening on {name}"));
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
    loading
        .finish(&mut node.engine, &mut node.front.saving())
        .map_err(|line| fatal(node, &line))
}

fn ready(front: &Front) {
    let port = front.settings.config.get(table::PORT);
    if port != 0 {
        front
            .log
            .notice(format_args!("Ready to accept connections tcp"));
    }
    if !front
        .settings
        .config
        .path(table::UNIXSOCKET)
        .as_os_str()
        .is_empty()
    {
        front
            .log
            .notice(format_args!("Ready to accept connections unix"));
    }
}
