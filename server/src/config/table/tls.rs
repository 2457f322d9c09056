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
    TLS_PORT: i64 = int("tls-port", "0", 0, 65535);
    /// Certificate.
    TLS_CERT_FILE: Text = text("tls-cert-file", "").names_file();
    /// Its key.
    TLS_KEY_FILE: Text = text("tls-key-file", "").names_file();
    /// Password of the key.
    TLS_KEY_FILE_PASS: Text = text("tls-key-file-pass", "").secret();
    /// Certificate for outgoing connections.
    TLS_CLIENT_CERT_FILE: Text = text("tls-client-cert-file", "").names_file();
    /// Its key.
    TLS_CLIENT_KEY_FILE: Text = text("tls-client-key-file", "").names_file();
    /// Password of that key.
    TLS_CLIENT_KEY_FILE_PASS: Text = text("tls-client-key-file-pass", "").secret();
    /// Diffie-Hellman parameters.
    TLS_DH_PARAMS_FILE: Text = text("tls-dh-params-file", "").moot("no cipher with such parameters is offered");
    /// Certificates of authorities.
    TLS_CA_CERT_FILE: Text = text("tls-ca-cert-file", "").names_file();
    /// Folder of certificates of authorities.
    TLS_CA_CERT_DIR: Text = text("tls-ca-cert-dir", "").names_file();
    /// Whether clients need a certificate.
    TLS_AUTH_CLIENTS: TlsAuthClients = choice("tls-auth-clients", "yes", TlsAuthClients::WORDS);
    /// Use TLS towards the primary.
    TLS_REPLICATION: bool = flag("tls-replication", "no");
    /// Use TLS on the cluster bus.
    TLS_CLUSTER: bool = flag("tls-cluster", "no");
    /// Versions of TLS.
    TLS_PROTOCOLS: Text = text("tls-protocols", "");
    /// Ciphers up to TLS 1.2.
    TLS_CIPHERS: Text = text("tls-ciphers", "");
    /// Ciphers of TLS 1.3.
    TLS_CIPHERSUITES: Text = text("tls-ciphersuites", "");
    /// The server's order of ciphers counts.
    TLS_PREFER_SERVER_CIPHERS: bool = flag("tls-prefer-server-ciphers", "no");
    /// Resume sessions.
    TLS_SESSION_CACHING: bool = flag("tls-session-caching", "yes");
    /// Sessions remembered.
    TLS_SESSION_CACHE_SIZE: i64 = int("tls-session-cache-size", "20480", 0, INT_MAX);
    /// Seconds that a session is remembered.
    TLS_SESSION_CACHE_TIMEOUT: i64 = int("tls-session-cache-timeout", "300", 0, INT_MAX);
}
