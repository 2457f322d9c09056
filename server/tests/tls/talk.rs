//! A client that encrypts, and servers that it talks to.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use cairn_format::resp::value::{ReplyScanner, ReplyStep, Value, write_command};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::authority::{Authority, Wish};
use super::support::process::{Program, Server, free_port};
use super::support::{Folder, PATIENCE, Setup};

/// Certificates in the data of a folder, and the options that name them.
pub struct Place {
    /// Where the data is.
    pub folder: Folder,
    /// Who has signed all.
    pub authority: Authority,
}

/// What a server needs to know of its certificates.
pub const FILES: &str =
    "--tls-cert-file server.crt --tls-key-file server.key --tls-ca-cert-file ca.crt";

impl Place {
    /// One with `server.crt`, `client.crt`, their keys, and `ca.crt`.
    pub fn new() -> Place {
        Place::of(Authority::new("the authority"))
    }

    /// The same, signed by this one.
    pub fn of(authority: Authority) -> Place {
        let folder = Folder::new();
        for name in ["server", "client"] {
            authority.write(&folder.data(), name, Wish::default());
        }
        Place { folder, authority }
    }

    /// A server with a port for TLS beside the other.
    pub fn start(&self, options: &str) -> Encrypted {
        Encrypted::start(Program::Cairn, &self.folder, options)
    }

    /// A client's configuration with the certificate of this name, if there is a name.
    pub fn config(&self, name: Option<&str>) -> Arc<ClientConfig> {
        let shown = name.map(|name| {
            let file = |end: &str| self.folder.data().join(format!("{name}.{end}"));
            (file("crt"), file("key"))
        });
        let shown = shown
            .as_ref()
            .map(|(cert, key)| (cert.as_path(), key.as_path()));
        config_of(&self.authority.cert, shown)
    }
}

/// A client that believes this authority and shows this certificate with its key.
pub fn config_of(authority: &str, shown: Option<(&Path, &Path)>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap())
        .unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    Arc::new(match shown {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let chain = CertificateDer::pem_file_iter(cert).unwrap();
            let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
            let key = PrivateKeyDer::from_pem_file(key).unwrap();
            let provider = ring::default_provider().key_provider;
            // Without a look at the certificate: this library shows none of version 1 by itself.
            let shown = CertifiedKey::new(chain, provider.load_private_key(key).unwrap());
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(shown)))
        }
    })
}

/// A running server and its port for TLS.
pub struct Encrypted {
    /// The server.
    pub server: Server,
    /// Where it shakes hands.
    pub port: u16,
    /// How to start it again, on the same ports.
    pub setup: Setup,
}

impl Encrypted {
    /// Starts one in a folder that has the certificates.
    pub fn start(program: Program, folder: &Folder, options: &str) -> Encrypted {
        let port = free_port();
        let setup =
            Setup::new(program, folder).with(&format!("--tls-port {port} {FILES} {options}"));
        let server = setup.start();
        let setup = setup.on_port(server.port);
        Encrypted {
            server,
            port,
            setup,
        }
    }

    /// A socket to the port for TLS.
    pub fn socket(&self) -> TcpStream {
        let socket = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        socket
    }

    /// A client, whose handshake is over.
    pub fn talk(&self, config: &Arc<ClientConfig>) -> Talk {
        self.try_talk(config).expect("they shake hands")
    }

    /// A client that has been answered, or why there is none: with TLS 1.3 a client learns that it is refused only then.
    pub fn try_talk(&self, config: &Arc<ClientConfig>) -> io::Result<Talk> {
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let session = ClientConnection::new(Arc::clone(config), name).unwrap();
        let mut talk = Talk::new(StreamOwned::new(session, self.socket()));
        talk.try_call(&["PING"])?;
        Ok(talk)
    }
}

/// A client.
pub struct Talk {
    /// Its connection.
    pub stream: StreamOwned<ClientConnection, TcpStream>,
    input: Vec<u8>,
    scanner: ReplyScanner,
}

impl Talk {
    fn new(stream: StreamOwned<ClientConnection, TcpStream>) -> Talk {
        Talk {
            stream,
            input: Vec::new(),
            scanner: ReplyScanner::new(),
        }
    }

    /// Writes bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next reply.
    pub fn read(&mut self) -> io::Result<Value> {
        loop {
            if !self.input.is_empty()
                && let ReplyStep::Complete { end } = self.scanner.next(&self.input, 0).unwrap()
            {
                let (value, used) = Value::decode(&self.input[..end]).unwrap();
                self.input.drain(..used);
                return Ok(value);
            }
            let mut chunk = [0; 1 << 16];
            match self.stream.read(&mut chunk)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.input.extend_from_slice(&chunk[..count]),
            }
        }
    }

    /// Sends a command and reads its reply.
    pub fn try_call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> io::Result<Value> {
        let mut out = Vec::new();
        write_command(&mut out, args);
        self.stream.write_all(&out)?;
        self.read()
    }

    /// Sends words between blanks; the reply in words.
    pub fn ask(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        told(
            &self
                .try_call(&words)
                .unwrap_or_else(|error| panic!("{line}: {error}")),
        )
    }
}

/// A reply in words.
pub fn told(value: &Value) -> String {
    match (value.as_bytes(), value) {
        (_, Value::Error(text)) => format!("-{}", String::from_utf8_lossy(text)),
        (Some(bytes), _) => String::from_utf8_lossy(bytes).into_owned(),
        (None, other) => format!("{other:?}"),
    }
}
