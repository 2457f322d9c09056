//! Encryption of the way to a server: whom is believed, and who we are.
//!
//! Named in the query of an address: `rediss://host:6379?cacert=ca.crt&cert=me.crt&key=me.key`. Without `cacert` the authorities of the
//! system are believed; `insecure=yes` believes anybody, and says so.

use crate::outcome::{Failure, note, plain};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
    StreamOwned,
};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

/// Where Debian and its like, Fedora and its like, and Alpine keep the authorities that they believe.
const SYSTEM: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// That anybody is believed has been said.
static TOLD: Once = Once::new();

/// What an address says of encryption.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// File of the authorities that are believed.
    cacert: Option<PathBuf>,
    /// Our certificate, and its key.
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    /// The name in the server's certificate, if not that of the host.
    sni: Option<String>,
    /// Believe anybody.
    is_insecure: bool,
}

impl Tls {
    /// Reads the query of an address; `None` if it says what nobody understands.
    pub fn parse(query: &str) -> Option<Tls> {
        let mut tls = Tls::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=')?;
            match name {
                "cacert" => tls.cacert = Some(value.into()),
                "cert" => tls.cert = Some(value.into()),
                "key" => tls.key = Some(value.into()),
                "sni" => tls.sni = Some(value.to_owned()),
                "insecure" if value == "yes" => tls.is_insecure = true,
                _ => return None,
            }
        }
        (tls.cert.is_some() == tls.key.is_some()).then_some(tls)
    }

    /// Shakes hands over a connected socket.
    pub fn over(
        &self,
        stream: TcpStream,
        host: &str,
        name: &str,
    ) -> Result<StreamOwned<ClientConnection, TcpStream>, Failure> {
        let host = self.sni.as_deref().unwrap_or(host);
        let server = ServerName::try_from(host.to_owned())
            .map_err(|_| Failure::new(format!("{name}: {host} is no name for a certificate")))?;
        let config = Arc::new(self.config(name)?);
        let failed = |error: &dyn std::fmt::Display| {
            Failure::new(format!("{name}: no encrypted connection: {error}"))
                .hint("?cacert=FILE names the authority that signed the server's certificate")
        };
        let mut connection =
            ClientConnection::new(config, server).map_err(|error| failed(&error))?;
        let mut stream = stream;
        while connection.is_handshaking() {
            connection
                .complete_io(&mut stream)
                .map_err(|error| failed(&plain(&error)))?;
        }
        Ok(StreamOwned::new(connection, stream))
    }

    fn config(&self, name: &str) -> Result<ClientConfig, Failure> {
        let provider = Arc::new(ring::default_provider());
        let failed = |error: &dyn std::fmt::Display| Failure::new(format!("{name}: TLS: {error}"));
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(&error))?;
        let builder = match self.is_insecure {
            true => {
                // Once, however many connections are made.
                TOLD.call_once(|| {
                    note(&format!(
                        "{name}: whoever answers there is believed (insecure=yes)"
                    ));
                });
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            }
            false => builder.with_root_certificates(self.authorities()?),
        };
        let (Some(cert), Some(key)) = (&self.cert, &self.key) else {
            return Ok(builder.with_no_client_auth());
        };
        let chain = certificates(cert)?;
        let secret = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| Failure::new(format!("{}: {error}", key.display())))?;
        builder
            .with_client_auth_cert(chain, secret)
            .map_err(|error| failed(&error))
    }

    fn authorities(&self) -> Result<RootCertStore, Failure> {
        let path = match &self.cacert {
            Some(path) => path.clone(),
            None => SYSTEM
                .iter()
                .map(PathBuf::from)
                .find(|path| path.is_file())
                .ok_or_else(|| {
                    Failure::new("no certificates of authorities in this system")
                        .hint("?cacert=FILE names those that are believed")
                })?,
        };
        let mut store = RootCertStore::empty();
        let (added, _) = store.add_parsable_certificates(certificates(&path)?);
        match added {
            0 => Err(Failure::new(format!(
                "{}: no certificate of an authority in it",
                path.display()
            ))),
            _ => Ok(store),
        }
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let failed =
        |error: rustls::pki_types::pem::Error| Failure::new(format!("{}: {error}", path.display()));
    CertificateDer::pem_file_iter(path)
        .map_err(failed)?
        .collect::<Result<_, _>>()
        .map_err(failed)
}

/// Takes any certificate; that its owner has the key is still looked at.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
