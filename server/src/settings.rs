//! What is configured, and what DEBUG sets beside it.

use std::path::PathBuf;

use crate::config::choice::TlsAuthClients;
use crate::config::{Config, table};
use crate::host::Host;
use crate::net::{BufferLimit, ClientClass, ReplyTrim};
use crate::threads;
use crate::tls::{Asks, Encryption, Plan, Sessions};

/// A client idle for so long gives its buffers back, milliseconds.
pub(crate) const TRIM_AFTER_MS: u64 = 2000;

/// The least that `maxmemory-clients` limits clients to, bytes.
const CLIENTS_MIN: u64 = 128 * 1024;

/// Fewest and most runs of timed work in a second.
const HZ: (i64, i64) = (1, 500);
/// With more clients for each run there are more runs, as in Redis.
const CLIENTS_PER_RUN_MAX: u64 = 200;

/// Configured values that the request path reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hot {
    /// `proto-max-bulk-len`, bytes.
    pub bulk_max: usize,
    /// `client-query-buffer-limit`, bytes.
    pub query_max: usize,
    /// Hard limits of `client-output-buffer-limit`: of normal clients and of those that listen to channels, bytes.
    pub output_max: [usize; 2],
    /// What all clients together may take, bytes: see [`Settings::clients_max`].
    pub clients_max: Option<u64>,
}

/// The settings of a running instance.
pub struct Settings {
    /// The values of `redis.conf`.
    pub config: Config,
    /// Those that every request needs.
    pub hot: Hot,
    /// DEBUG PAUSE-CRON.
    pub cron_paused: bool,
    /// DEBUG REPLYBUFFER.
    pub reply_trim: ReplyTrim,
    /// What encrypted connections are made by.
    pub encryption: Encryption,
}

/// Makes new encrypted connections as they are configured, if there may be any.
///
/// # Errors
/// The line for the log; then they are made as before.
pub fn renew_encryption(
    encryption: &Encryption,
    config: &Config,
    host: &dyn Host,
) -> Result<(), String> {
    let is_between_servers = config.get(table::TLS_REPLICATION) || config.get(table::TLS_CLUSTER);
    if config.get(table::TLS_PORT) == 0 && !is_between_servers {
        return Ok(());
    }
    encryption.renew(
        &tls_plan(config, is_between_servers),
        &*host.disk(),
        host.clock(),
    )
}

fn tls_plan(config: &Config, is_between_servers: bool) -> Plan {
    Plan {
        identity: (
            config.path(table::TLS_CERT_FILE),
            config.path(table::TLS_KEY_FILE),
            config.get(table::TLS_KEY_FILE_PASS).to_vec(),
        ),
        client_identity: (
            config.path(table::TLS_CLIENT_CERT_FILE),
            config.path(table::TLS_CLIENT_KEY_FILE),
            config.get(table::TLS_CLIENT_KEY_FILE_PASS).to_vec(),
        ),
        ca_file: config.path(table::TLS_CA_CERT_FILE),
        ca_dir: config.path(table::TLS_CA_CERT_DIR),
        asks: match config.get(table::TLS_AUTH_CLIENTS) {
            TlsAuthClients::No => Asks::No,
            TlsAuthClients::Optional => Asks::May,
            TlsAuthClients::Yes => Asks::Must,
        },
        is_between_servers,
        protocols: config.text(table::TLS_PROTOCOLS).into_owned(),
        ciphers: config.text(table::TLS_CIPHERS).into_owned(),
        ciphersuites: config.text(table::TLS_CIPHERSUITES).into_owned(),
        prefers_ours: config.get(table::TLS_PREFER_SERVER_CIPHERS),
        sessions: config.get(table::TLS_SESSION_CACHING).then(|| Sessions {
            size: config.get(table::TLS_SESSION_CACHE_SIZE) as usize,
            timeout_s: config.get(table::TLS_SESSION_CACHE_TIMEOUT) as u64,
        }),
    }
}

impl Settings {
    /// Those of a start.
    pub fn new(config: Config) -> Settings {
        let mut settings = Settings {
            config,
            hot: Hot::default(),
            cron_paused: false,
            reply_trim: ReplyTrim::default(),
            encryption: Encryption::default(),
        };
        settings.refresh_hot();
        settings.raise_watchdog_period(0);
        settings
    }

    /// The shortest time that the watchdog waits, milliseconds: never less than two runs of timed work.
    pub fn watchdog_min_ms(&self, clients: usize) -> i64 {
        (1000 / self.hz(clients) * 2) as i64
    }

    /// A watchdog that was to wait for less than the shortest time waits for that, and CONFIG GET says so, as in Redis.
    pub fn raise_watchdog_period(&mut self, clients: usize) {
        let (period, min) = (
            self.config.get(table::WATCHDOG_PERIOD),
            self.watchdog_min_ms(clients),
        );
        if (1..min).contains(&period) {
            self.config.note_watchdog_period(min);
        }
    }

    /// Runs of timed work in a second: `hz`, and with `dynamic-hz` more where each run would have too many clients to look at.
    pub fn hz(&self, clients: usize) -> u64 {
        let mut hz = self.config.get(table::HZ).clamp(HZ.0, HZ.1) as u64;
        if self.config.get(table::DYNAMIC_HZ) {
            while clients as u64 / hz > CLIENTS_PER_RUN_MAX && hz < HZ.1 as u64 {
                hz = (hz * 2).min(HZ.1 as u64);
            }
        }
        assert!(
            (HZ.0 as u64..=HZ.1 as u64).contains(&hz),
            "{hz} runs a second"
        );
        hz
    }

    /// The path of the pid file, if one was to be written.
    pub fn pidfile(&self) -> Option<PathBuf> {
        let path = self.config.path(table::PIDFILE);
        match path.as_os_str().is_empty() {
            false => Some(path),
            true if self.config.get(table::DAEMONIZE) => Some("/var/run/redis.pid".into()),
            true => None,
        }
    }

    /// What all clients together may take, bytes: at least 128 KB (as in Redis), or nothing that limits them.
    fn clients_max(&self) -> Option<u64> {
        let limit = match self.config.get(table::MAXMEMORY_CLIENTS) {
            // A percentage of what the data may take; without a limit of that there is none of this.
            percent @ ..0 => {
                percent
                    .unsigned_abs()
                    .saturating_mul(self.config.get(table::MAXMEMORY))
                    / 100
            }
            bytes => bytes as u64,
        };
        (limit > 0).then(|| limit.max(CLIENTS_MIN))
    }

    /// What I/O threads are to know.
    pub fn io_threads(&self) -> threads::Settings {
        threads::Settings {
            threads: self.config.get(table::IO_THREADS).max(1) as usize,
            min_load: self.config.get(table::IO_THREADS_MIN_LOAD).max(0) as u64,
            bulk_max: self.hot.bulk_max,
            query_max: self.hot.query_max,
        }
    }

    /// Copies the values that the request path reads out of the configuration.
    pub fn refresh_hot(&mut self) {
        self.hot = self.hot_as_configured();
        assert!(
            self.hot.bulk_max > 0 && self.hot.query_max > 0 && !self.hot.output_max.contains(&0),
            "no request could be served with {:?}",
            self.hot
        );
    }

    /// What must hold between turns.
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self) -> Result<(), String> {
        let configured = self.hot_as_configured();
        match self.hot == configured {
            true => Ok(()),
            false => Err(format!(
                "{:?} is used, {configured:?} is configured",
                self.hot
            )),
        }
    }

    fn hot_as_configured(&self) -> Hot {
        Hot {
            bulk_max: self.config.get(table::PROTO_MAX_BULK_LEN) as usize,
            query_max: self.config.get(table::CLIENT_QUERY_BUFFER_LIMIT) as usize,
            clients_max: self.clients_max(),
            output_max: [ClientClass::Normal, ClientClass::Pubsub].map(|class| {
                match self.buffer_limit(class).hard {
                    0 => usize::MAX,
                    hard => hard as usize,
                }
            }),
        }
    }

    /// How much may wait for clients of a class.
    pub fn buffer_limit(&self, class: ClientClass) -> BufferLimit {
        let limits = self.config.get(table::CLIENT_OUTPUT_BUFFER_LIMIT);
        let limit = match class {
            ClientClass::Normal => &limits.normal,
            ClientClass::Replica => &limits.replica,
            ClientClass::Pubsub => &limits.pubsub,
            // It is sent a line now and then, and never cut off for it.
            ClientClass::Primary => return BufferLimit::default(),
        };
        BufferLimit {
            hard: limit.hard,
            soft: limit.soft,
            soft_seconds: limit.soft_seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn many_clients_have_more_runs_if_that_is_wanted() {
        let settings = |lines: &[(&[u8], &[u8])]| {
            let mut config = Config::new(Path::new("/"));
            for (name, value) in lines {
                let caller = crate::config::Caller {
                    local: true,
                    loading: false,
                };
                config
                    .set_many(&[name, value], caller, &mut |_, _| Ok(()))
                    .unwrap();
            }
            Settings::new(config)
        };
        let dynamic = settings(&[]);
        for (clients, hz) in [
            (0, 10),
            (2009, 10),
            (2010, 20),
            (8040, 80),
            (1_000_000, 500),
        ] {
            assert_eq!(dynamic.hz(clients), hz, "{clients}");
        }
        let fixed = settings(&[(b"dynamic-hz", b"no"), (b"hz", b"50")]);
        assert_eq!(fixed.hz(1_000_000), 50);
    }
}
