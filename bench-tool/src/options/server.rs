//! Which server is meant, and as whom we come.

use crate::target::Target;
use cairn_format::resp::reply::Protocol;
use cairn_toolkit::Failure;
use cairn_toolkit::remote::{Address, Place, Sign, Tls};
use clap::Args;
use std::path::PathBuf;

/// The variable that `redis-cli` takes a password from.
const PASSWORD: &str = "REDISCLI_AUTH";

/// Options that say which server.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Server")]
pub struct ServerArguments {
    /// Host name or address of the server
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Port of the server
    #[arg(short, long, default_value_t = 6379)]
    port: u16,
    /// Connect to this Unix socket instead
    #[arg(short, long, conflicts_with_all = ["host", "port"], value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Connect to redis://user:password@host:port/db instead; rediss:// is over TLS
    #[arg(long, conflicts_with_all = ["host", "port", "socket", "tls"], value_name = "ADDRESS")]
    uri: Option<String>,
    #[command(flatten)]
    manner: MannerArguments,
    /// Ask all nodes of the cluster that the server is part of; so many --clients go to each
    #[arg(long)]
    cluster: bool,
}

/// Options that say how one talks to whatever server.
#[derive(Args, Clone, Debug)]
pub struct MannerArguments {
    /// Password; the environment variable REDISCLI_AUTH is used if this is not given
    #[arg(short = 'a', long)]
    password: Option<String>,
    /// User name that goes with the password
    #[arg(long)]
    user: Option<String>,
    /// Database number
    #[arg(long, default_value_t = 0)]
    db: u32,
    /// Protocol version, 2 or 3
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=3))]
    resp: u8,
    /// Encrypt the connections
    #[arg(long)]
    tls: bool,
    /// File with the authorities that are believed [default: those of the system]
    #[arg(long, value_name = "FILE", requires = "tls")]
    cacert: Option<PathBuf>,
    /// File with the certificate that we show
    #[arg(long, value_name = "FILE", requires = "key", requires = "tls")]
    cert: Option<PathBuf>,
    /// File with the key of that certificate
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Name in the server's certificate, if not that of the host
    #[arg(long, value_name = "NAME", requires = "tls")]
    sni: Option<String>,
    /// Believe any certificate
    #[arg(long, requires = "tls")]
    insecure: bool,
}

impl ServerArguments {
    /// The server.
    ///
    /// # Errors
    /// The words do not go together.
    pub fn target(&self) -> Result<Target, Failure> {
        match (&self.uri, &self.socket) {
            (Some(uri), _) => self.manner.at(uri),
            (None, Some(path)) => self.manner.target(Place::Unix(path.clone())),
            (None, None) => self.manner.target(Place::Tcp(self.host.clone(), self.port)),
        }
    }

    /// Whether all nodes of a cluster are meant.
    pub fn is_cluster(&self) -> bool {
        self.cluster
    }
}

impl MannerArguments {
    /// The server at an address, `redis://...` or `host:port` or the path of a socket.
    ///
    /// # Errors
    /// It is none.
    pub fn at(&self, text: &str) -> Result<Target, Failure> {
        if let Some(address) = Address::parse(text)? {
            let own = self.sign()?;
            let sign = address.sign().clone();
            return Ok(Target {
                place: address.place().clone(),
                sign: Sign {
                    user: sign.user.or(own.user),
                    password: sign.password.or(own.password),
                    db: address.db().unwrap_or(own.db),
                    protocol: own.protocol,
                },
                tls: address.tls().cloned(),
            });
        }
        if text.contains('/') {
            return self.target(Place::Unix(text.into()));
        }
        let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let host = if host.is_empty() { "127.0.0.1" } else { host };
        match port.parse() {
            Ok(port) => self.target(Place::Tcp(host.to_owned(), port)),
            Err(_) => Err(Failure::new(format!(
                "{text}: expected a server, as in 6379, host:6379, redis://host:6379 or /path/of/socket"
            ))),
        }
    }

    fn target(&self, place: Place) -> Result<Target, Failure> {
        Ok(Target {
            place,
            sign: self.sign()?,
            tls: self.encryption()?,
        })
    }

    fn sign(&self) -> Result<Sign, Failure> {
        let password = self
            .password
            .clone()
            .or_else(|| std::env::var(PASSWORD).ok());
        if self.user.is_some() && password.is_none() {
            return Err(Failure::new("--user without a password")
                .hint(format!("--password or {PASSWORD} gives it")));
        }
        Ok(Sign {
            user: self.user.clone(),
            password,
            db: u64::from(self.db),
            protocol: match self.resp {
                3 => Protocol::Resp3,
                _ => Protocol::Resp2,
            },
        })
    }

    /// The words of the query of an address, which the toolkit understands.
    fn encryption(&self) -> Result<Option<Tls>, Failure> {
        if !self.tls {
            return Ok(None);
        }
        let mut query = Vec::new();
        for (name, path) in [
            ("cacert", &self.cacert),
            ("cert", &self.cert),
            ("key", &self.key),
        ] {
            if let Some(path) = path {
                query.push(format!("{name}={}", path.display()));
            }
        }
        query.extend(self.sni.as_ref().map(|name| format!("sni={name}")));
        query.extend(self.insecure.then(|| "insecure=yes".to_owned()));
        match Tls::parse(&query.join("&")) {
            Some(tls) => Ok(Some(tls)),
            None => Err(Failure::new(
                "--cacert, --cert, --key and --sni cannot have an & in them",
            )),
        }
    }
}
