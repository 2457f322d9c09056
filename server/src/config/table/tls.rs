//! TLS.

use crate::config::choice::TlsAuthClients;
use crate::config::directive::{Directive, Key, choice, flag, int, text};
use crate::config::value::Text;
#[cfg(test)]
use crate::config::value::{Setting, Value};

const INT_MAX: i64 = i32::MAX as i64;

directives! {
    after super::cluster::END;

    /// Port for TLS; 0 is none.
    TLS_PORT: i64 = int("tls-port", "0", 0, 65535).refused("TLS");
    /// Certificate.
    TLS_CERT_FILE: Text = text("tls-cert-file", "").no_effect();
    /// Its key.
    TLS_KEY_FILE: Text = text("tls-key-file", "").no_effect();
    /// Password of the key.
    TLS_KEY_FILE_PASS: Text = text("tls-key-file-pass", "").secret().no_effect();
    /// Certificate for outgoing connections.
    TLS_CLIENT_CERT_FILE: Text = text("tls-client-cert-file", "").no_effect();
    /// Its key.
    TLS_CLIENT_KEY_FILE: Text = text("tls-client-key-file", "").no_effect();
    /// Password of that key.
    TLS_CLIENT_KEY_FILE_PASS: Text = text("tls-client-key-file-pass", "").secret().no_effect();
    /// Diffie-Hellman parameters.
    TLS_DH_PARAMS_FILE: Text = text("tls-dh-params-file", "").no_effect();
    /// Certificates of authorities.
    TLS_CA_CERT_FILE: Text = text("tls-ca-cert-file", "").no_effect();
    /// Folder of certificates of authorities.
    TLS_CA_CERT_DIR: Text = text("tls-ca-cert-dir", "").no_effect();
    /// Whether clients need a certificate.
    TLS_AUTH_CLIENTS: TlsAuthClients = choice("tls-auth-clients", "yes", TlsAuthClients::WORDS).no_effect();
    /// Use TLS towards the primary.
    TLS_REPLICATION: bool = flag("tls-replication", "no").no_effect();
    /// Use TLS on the cluster bus.
    TLS_CLUSTER: bool = flag("tls-cluster", "no").no_effect();
    /// Versions of TLS.
    TLS_PROTOCOLS: Text = text("tls-protocols", "").no_effect();
    /// Ciphers up to TLS 1.2.
    TLS_CIPHERS: Text = text("tls-ciphers", "").no_effect();
    /// Ciphers of TLS 1.3.
    TLS_CIPHERSUITES: Text = text("tls-ciphersuites", "").no_effect();
    /// The server's order of ciphers counts.
    TLS_PREFER_SERVER_CIPHERS: bool = flag("tls-prefer-server-ciphers", "no").no_effect();
    /// Resume sessions.
    TLS_SESSION_CACHING: bool = flag("tls-session-caching", "yes").no_effect();
    /// Sessions remembered.
    TLS_SESSION_CACHE_SIZE: i64 = int("tls-session-cache-size", "20480", 0, INT_MAX).no_effect();
    /// Seconds that a session is remembered.
    TLS_SESSION_CACHE_TIMEOUT: i64 = int("tls-session-cache-timeout", "300", 0, INT_MAX).no_effect();
}
