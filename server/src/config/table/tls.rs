//! TLS.

use crate::config::choice::TlsAuthClients;
use crate::config::directive::{Awaited, Directive, Key, choice, flag, int, text};
use crate::config::value::Text;
#[cfg(test)]
use crate::config::value::{Setting, Value};

const INT_MAX: i64 = i32::MAX as i64;

directives! {
    after super::cluster::END;

    /// Port for TLS; 0 is none.
    TLS_PORT: i64 = int("tls-port", "0", 0, 65535).refused("TLS");
    /// Certificate.
    TLS_CERT_FILE: Text = text("tls-cert-file", "").waits(Awaited::Tls);
    /// Its key.
    TLS_KEY_FILE: Text = text("tls-key-file", "").waits(Awaited::Tls);
    /// Password of the key.
    TLS_KEY_FILE_PASS: Text = text("tls-key-file-pass", "").secret().waits(Awaited::Tls);
    /// Certificate for outgoing connections.
    TLS_CLIENT_CERT_FILE: Text = text("tls-client-cert-file", "").waits(Awaited::Tls);
    /// Its key.
    TLS_CLIENT_KEY_FILE: Text = text("tls-client-key-file", "").waits(Awaited::Tls);
    /// Password of that key.
    TLS_CLIENT_KEY_FILE_PASS: Text = text("tls-client-key-file-pass", "").secret().waits(Awaited::Tls);
    /// Diffie-Hellman parameters.
    TLS_DH_PARAMS_FILE: Text = text("tls-dh-params-file", "").waits(Awaited::Tls);
    /// Certificates of authorities.
    TLS_CA_CERT_FILE: Text = text("tls-ca-cert-file", "").waits(Awaited::Tls);
    /// Folder of certificates of authorities.
    TLS_CA_CERT_DIR: Text = text("tls-ca-cert-dir", "").waits(Awaited::Tls);
    /// Whether clients need a certificate.
    TLS_AUTH_CLIENTS: TlsAuthClients = choice("tls-auth-clients", "yes", TlsAuthClients::WORDS).waits(Awaited::Tls);
    /// Use TLS towards the primary.
    TLS_REPLICATION: bool = flag("tls-replication", "no").waits(Awaited::Tls);
    /// Use TLS on the cluster bus.
    TLS_CLUSTER: bool = flag("tls-cluster", "no").waits(Awaited::Tls);
    /// Versions of TLS.
    TLS_PROTOCOLS: Text = text("tls-protocols", "").waits(Awaited::Tls);
    /// Ciphers up to TLS 1.2.
    TLS_CIPHERS: Text = text("tls-ciphers", "").waits(Awaited::Tls);
    /// Ciphers of TLS 1.3.
    TLS_CIPHERSUITES: Text = text("tls-ciphersuites", "").waits(Awaited::Tls);
    /// The server's order of ciphers counts.
    TLS_PREFER_SERVER_CIPHERS: bool = flag("tls-prefer-server-ciphers", "no").waits(Awaited::Tls);
    /// Resume sessions.
    TLS_SESSION_CACHING: bool = flag("tls-session-caching", "yes").waits(Awaited::Tls);
    /// Sessions remembered.
    TLS_SESSION_CACHE_SIZE: i64 = int("tls-session-cache-size", "20480", 0, INT_MAX).waits(Awaited::Tls);
    /// Seconds that a session is remembered.
    TLS_SESSION_CACHE_TIMEOUT: i64 = int("tls-session-cache-timeout", "300", 0, INT_MAX).waits(Awaited::Tls);
}
