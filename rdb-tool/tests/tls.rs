//! An encrypted way to a server: 7.0.15 with certificates that openssl makes.

#[path = "../../toolkit/tests/support/certificates.rs"]
mod certificates;
mod common;

use certificates::certificates;
use common::real_server::{RealServer, free_port};
use common::{code, golden, run, stderr, stdout};
use std::fs;
use std::path::Path;

/// A server that has loaded a golden file, and its encrypted port.
fn server(folder: &Path, clients: &str) -> (RealServer, u16) {
    fs::copy(golden("redis-7.0.15/lru.rdb"), folder.join("dump.rdb")).unwrap();
    let port = free_port();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (text, cert, key, ca) = (
        port.to_string(),
        path("server.crt"),
        path("server.key"),
        path("ca.crt"),
    );
    let options = [
        ["--tls-port", &text],
        ["--tls-cert-file", &cert],
        ["--tls-key-file", &key],
        ["--tls-ca-cert-file", &ca],
        ["--tls-auth-clients", clients],
        ["--repl-diskless-sync-delay", "0"],
    ];
    (RealServer::start(folder, &options.concat()), port)
}

#[test]
fn a_server_is_asked_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path(), &["server", "client"]);
    let (_server, port) = server(folder.path(), "no");
    let file = golden("redis-7.0.15/lru.rdb").display().to_string();
    let ca = folder.path().join("ca.crt").display().to_string();
    for host in ["localhost", "127.0.0.1"] {
        for way in [&[][..], &["--scan"]] {
            let url = format!("rediss://{host}:{port}?cacert={ca}");
            let output = run(&[&["diff", &file, &url], way].concat());
            let told = format!("{host}: {}{}", stdout(&output), stderr(&output));
            assert_eq!(code(&output), 0, "{told}");
            assert!(told.contains(&format!("only in rediss://{host}:{port}: 0 keys")));
        }
    }
    // An authority that is not known, a name that the certificate has not.
    let inspect = |url: String| {
        let output = run(&["inspect", &url]);
        (code(&output), stderr(&output))
    };
    let (status, told) = inspect(format!("rediss://localhost:{port}"));
    assert_eq!(status, 2);
    assert!(
        told.contains("no encrypted connection: invalid peer certificate"),
        "{told}"
    );
    assert!(told.contains("hint: ?cacert=FILE"), "{told}");
    let (status, told) = inspect(format!("rediss://localhost:{port}?cacert={ca}&sni=other"));
    assert_eq!(status, 2);
    assert!(told.contains("not valid for name"), "{told}");
    let (status, told) = inspect(format!("rediss://localhost:{port}?insecure=yes"));
    assert_eq!(status, 0, "{told}");
    assert!(told.contains("whoever answers there is believed"), "{told}");
}

#[test]
fn a_server_that_wants_to_know_who_asks_is_shown_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path(), &["server", "client"]);
    let (_server, port) = server(folder.path(), "yes");
    let [ca, cert, key] = ["ca.crt", "client.crt", "client.key"]
        .map(|name| folder.path().join(name).display().to_string());
    let url = format!("rediss://localhost:{port}?cacert={ca}");
    let output = run(&["inspect", &url]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    let output = run(&["inspect", &format!("{url}&cert={cert}&key={key}")]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let output = run(&["inspect", &format!("{url}&cert={cert}&key=/nowhere")]);
    assert_eq!(code(&output), 2);
    assert!(
        stderr(&output).contains("/nowhere: "),
        "{}",
        stderr(&output)
    );
}
