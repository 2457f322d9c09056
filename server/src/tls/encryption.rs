//! The way into encryption: a plan is made into contexts, and contexts make connections.
//!
//! Contexts are replaced as a whole, and only by others that work. A connection keeps those that it was made with.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, UnbufferedServerConnection};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, ServerConfig, StreamOwned};

use super::identity::{self, certificates};
use super::offer::Offer;
use super::sessions::SessionCache;
use super::stream::TlsStream;
use super::trust::{Guests, Hosts, Trust};
use crate::host::{Clock, Disk, Line, Stream};

/// Whether who connects has to show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// It is not asked for one.
    No,
    /// It may show one, which must be good.
    May,
    /// It must.
    Must,
}

/// Sessions that clients may take up again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sessions {
    /// How many are remembered; 0: any number.
    pub size: usize,
    /// Each of them for so many seconds.
    pub timeout_s: u64,
}

/// What is configured; an empty path is none.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Our certificate, its key, and what opens the key.
    pub identity: (PathBuf, PathBuf, Vec<u8>),
    /// The same where we connect to others; without it ours is shown there, too.
    pub client_identity: (PathBuf, PathBuf, Vec<u8>),
    /// Certificates of authorities.
    pub ca_file: PathBuf,
    /// Folder of certificates of authorities, named by hash and number as `openssl rehash` does.
    pub ca_dir: PathBuf,
    /// Whether clients need a certificate.
    pub asks: Asks,
    /// We connect to others, or nodes of a cluster to us.
    pub is_between_servers: bool,
    /// Versions.
    pub protocols: String,
    /// Ciphers of TLS 1.2.
    pub ciphers: String,
    /// Those of TLS 1.3.
    pub ciphersuites: String,
    /// Our order of ciphers counts, not the client's.
    pub prefers_ours: bool,
    /// Sessions, if they may be taken up again.
    pub sessions: Option<Sessions>,
}

/// What new connections are made by.
#[derive(Debug)]
struct Contexts {
    clients: Arc<ServerConfig>,
    /// Nodes of a cluster always show a certificate. Without authorities there is none of it.
    nodes: Option<Arc<ServerConfig>>,
    hosts: Option<Arc<ClientConfig>>,
}

/// A handle: all copies are the same.
#[derive(Clone, Debug, Default)]
pub struct Encryption {
    contexts: Rc<RefCell<Option<Contexts>>>,
}

impl Encryption {
    /// New connections are made as planned from now on.
    ///
    /// # Errors
    /// The line for the log, as Redis begins it; then all is as before.
    pub fn renew(
        &self,
        plan: &Plan,
        disk: &dyn Disk,
        clock: &Arc<dyn Clock>,
    ) -> Result<(), String> {
        let contexts = Contexts::of(plan, disk, clock)?;
        *self.contexts.borrow_mut() = Some(contexts);
        Ok(())
    }

    /// A client has connected; its handshake is yet to come.
    ///
    /// # Errors
    /// Nothing was planned, or no connection can be made of it.
    pub fn accept(&self, stream: Stream) -> io::Result<Stream> {
        let context = self.with(|contexts| Some(Arc::clone(&contexts.clients)))?;
        self.accept_by(context, stream)
    }

    /// Another node of the cluster has.
    ///
    /// # Errors
    /// As [`Encryption::accept`].
    pub fn accept_node(&self, stream: Stream) -> io::Result<Stream> {
        let context = self.with(|contexts| contexts.nodes.clone())?;
        self.accept_by(context, stream)
    }

    fn accept_by(&self, context: Arc<ServerConfig>, stream: Stream) -> io::Result<Stream> {
        let session = UnbufferedServerConnection::new(context).map_err(io::Error::other)?;
        Ok(Stream::Other(Box::new(TlsStream::new(
            stream,
            session.into(),
        ))))
    }

    /// We have begun to connect to another server.
    ///
    /// # Errors
    /// As [`Encryption::accept`].
    pub fn connect(&self, stream: Stream) -> io::Result<Stream> {
        let context = self.with(|contexts| contexts.hosts.clone())?;
        let session =
            UnbufferedClientConnection::new(context, nobody()).map_err(io::Error::other)?;
        Ok(Stream::Other(Box::new(TlsStream::new(
            stream,
            session.into(),
        ))))
    }

    /// The same over a connection that is waited for. The handshake comes with the first bytes.
    ///
    /// # Errors
    /// As [`Encryption::accept`].
    pub fn over(&self, line: Box<dyn Line>) -> io::Result<Box<dyn Line>> {
        let context = self.with(|contexts| contexts.hosts.clone())?;
        let session = ClientConnection::new(context, nobody()).map_err(io::Error::other)?;
        Ok(Box::new(TlsLine(StreamOwned::new(session, line))))
    }

    fn with<T>(&self, what: impl FnOnce(&Contexts) -> Option<T>) -> io::Result<T> {
        let contexts = self.contexts.borrow();
        contexts.as_ref().and_then(what).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::Unsupported,
                "TLS is not configured: tls-cert-file, tls-key-file and an authority are needed",
            )
        })
    }
}

/// Names are not looked at, so that none is said.
fn nobody() -> ServerName<'static> {
    ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into())
}

impl Contexts {
    fn of(plan: &Plan, disk: &dyn Disk, clock: &Arc<dyn Clock>) -> Result<Contexts, String> {
        let is_set = |path: &Path| !path.as_os_str().is_empty();
        let (cert, key, password) = &plan.identity;
        if !is_set(cert) {
            return Err("No tls-cert-file configured!".to_owned());
        }
        if !is_set(key) {
            return Err("No tls-key-file configured!".to_owned());
        }
        let has_authorities = is_set(&plan.ca_file) || is_set(&plan.ca_dir);
        if !has_authorities && (plan.is_between_servers || plan.asks != Asks::No) {
            return Err("Either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-cluster, tls-replication or tls-auth-clients are enabled!".to_owned());
        }
        let offer = Offer::parse(&plan.protocols, &plan.ciphers, &plan.ciphersuites)?;
        let provider = Arc::new(CryptoProvider {
            cipher_suites: offer.suites.clone(),
            ..ring::default_provider()
        });
        let trust = match has_authorities {
            true => Some(Arc::new(Contexts::trust(plan, disk, &provider)?)),
            false => None,
        };
        let identity = identity::load(disk, cert, key, password, &provider)?;
        let (cert, key, password) = &plan.client_identity;
        let client_identity = match is_set(cert) && is_set(key) {
            true => identity::load(disk, cert, key, password, &provider)?,
            false => Arc::clone(&identity),
        };
        let maker = Maker {
            plan,
            offer,
            provider,
            clock,
        };
        Ok(Contexts {
            clients: Arc::new(maker.server(&identity, trust.as_ref(), plan.asks)?),
            nodes: match &trust {
                Some(trust) => {
                    let nodes = maker.server(&identity, Some(trust), Asks::Must)?;
                    Some(Arc::new(nodes))
                }
                None => None,
            },
            hosts: match trust {
                Some(trust) => Some(Arc::new(maker.client(client_identity, trust)?)),
                None => None,
            },
        })
    }

    fn trust(plan: &Plan, disk: &dyn Disk, provider: &CryptoProvider) -> Result<Trust, String> {
        let failed =
            |why: String| format!("Failed to configure CA certificate(s) file/directory: {why}");
        let mut authorities = Vec::new();
        if !plan.ca_file.as_os_str().is_empty() {
            let of_file = |why: String| failed(format!("{}: {why}", plan.ca_file.display()));
            let bytes = identity::read(disk, &plan.ca_file).map_err(of_file)?;
            authorities = certificates(&bytes).map_err(of_file)?;
            if authorities.is_empty() {
                return Err(of_file("no certificate in PEM form in it".to_owned()));
            }
        }
        if !plan.ca_dir.as_os_str().is_empty() {
            let of_dir = |why: String| failed(format!("{}: {why}", plan.ca_dir.display()));
            let more = of_folder(disk, &plan.ca_dir).map_err(of_dir)?;
            if more.is_empty() && authorities.is_empty() {
                return Err(of_dir(
                    "no file named by hash and number in it (`openssl rehash` makes them)"
                        .to_owned(),
                ));
            }
            authorities.extend(more);
        }
        Trust::new(authorities, provider).map_err(failed)
    }
}

/// The certificates of a folder's files that are named as OpenSSL looks for them: eight digits in hex, a dot and a number.
fn of_folder(disk: &dyn Disk, folder: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let names = disk.list(folder).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "No such file or directory".to_owned(),
        _ => error.to_string(),
    })?;
    let is_hashed = |name: &String| {
        name.split_once('.').is_some_and(|(hash, number)| {
            hash.len() == 8
                && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
                && !number.is_empty()
                && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    let mut names: Vec<String> = names.into_iter().filter(is_hashed).collect();
    names.sort_unstable();
    let mut found = Vec::new();
    for name in names {
        let of_file = |why: String| format!("{name}: {why}");
        let bytes = identity::read(disk, &folder.join(&name)).map_err(of_file)?;
        found.extend(certificates(&bytes).map_err(of_file)?);
    }
    Ok(found)
}

/// Makes contexts that have much in common.
struct Maker<'a> {
    plan: &'a Plan,
    offer: Offer,
    provider: Arc<CryptoProvider>,
    clock: &'a Arc<dyn Clock>,
}

/// What a certificate's times are compared with.
#[derive(Debug)]
struct Calendar(ClockHandle);

struct ClockHandle(Arc<dyn Clock>);

impl std::fmt::Debug for ClockHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

impl TimeProvider for Calendar {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.0.wall_ms() / 1000).ok()?;
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(
            seconds,
        )))
    }
}

impl Maker<'_> {
    fn calendar(&self) -> Arc<dyn TimeProvider> {
        Arc::new(Calendar(ClockHandle(Arc::clone(self.clock))))
    }

    fn server(
        &self,
        identity: &Arc<CertifiedKey>,
        trust: Option<&Arc<Trust>>,
        asks: Asks,
    ) -> Result<ServerConfig, String> {
        let failed = |error: rustls::Error| format!("Failed to configure TLS: {error}");
        let builder =
            ServerConfig::builder_with_details(Arc::clone(&self.provider), self.calendar())
                .with_protocol_versions(&self.offer.versions)
                .map_err(failed)?;
        let builder = match (asks, trust) {
            (Asks::May | Asks::Must, Some(trust)) => {
                let required = asks == Asks::Must;
                let guests = Guests::new(Arc::clone(trust), required, &self.provider)?;
                builder.with_client_cert_verifier(Arc::new(guests))
            }
            _ => builder.with_no_client_auth(),
        };
        let shown = SingleCertAndKey::from(Arc::clone(identity));
        let mut config = builder.with_cert_resolver(Arc::new(shown));
        config.ignore_client_order = self.plan.prefers_ours;
        match self.plan.sessions {
            Some(Sessions { size, timeout_s }) => {
                let clock = Arc::clone(self.clock);
                config.session_storage = Arc::new(SessionCache::new(clock, size, timeout_s));
                config.send_tls13_tickets = 1;
            }
            None => {
                config.session_storage = Arc::new(NoServerSessionStorage {});
                config.send_tls13_tickets = 0;
            }
        }
        Ok(config)
    }

    fn client(
        &self,
        identity: Arc<CertifiedKey>,
        trust: Arc<Trust>,
    ) -> Result<ClientConfig, String> {
        let failed = |error: rustls::Error| format!("Failed to configure TLS: {error}");
        let mut config =
            ClientConfig::builder_with_details(Arc::clone(&self.provider), self.calendar())
                .with_protocol_versions(&self.offer.versions)
                .map_err(failed)?
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Hosts(trust)))
                .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
        config.enable_sni = false;
        config.resumption = rustls::client::Resumption::disabled();
        Ok(config)
    }
}

/// A connection that is waited for.
#[derive(Debug)]
struct TlsLine(StreamOwned<ClientConnection, Box<dyn Line>>);

impl io::Read for TlsLine {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl io::Write for TlsLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Line for TlsLine {
    fn set_read_timeout(&mut self, after: std::time::Duration) -> io::Result<()> {
        self.0.sock.set_read_timeout(after)
    }

    fn set_write_timeout(&mut self, after: std::time::Duration) -> io::Result<()> {
        self.0.sock.set_write_timeout(after)
    }
}
