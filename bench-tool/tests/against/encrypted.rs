//! TLS, with certificates that openssl makes, on the servers that have it.

use crate::certificates::certificates;
use crate::json;
use crate::real_server::{Program, RealServer, free_port};

#[test]
fn load_goes_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path(), &["server"]);
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let port = free_port().to_string();
    let (cert, key, ca) = (path("server.crt"), path("server.key"), path("ca.crt"));
    let options = [
        ["--tls-port", &port],
        ["--tls-cert-file", &cert],
        ["--tls-key-file", &key],
        ["--tls-ca-cert-file", &ca],
        ["--tls-auth-clients", "no"],
    ];
    let _server = RealServer::start_program(Program::Redis7, folder.path(), &options.concat());
    let load = [
        "-c",
        "10",
        "-P",
        "16",
        "-n",
        "5000",
        "--json",
        "-",
        "--command",
        "SET {key:100} {data:3000}",
        "--command",
        "GET {key:100}",
    ];
    let tls = ["run", "--tls", "--cacert", &ca, "-p", &port];
    let (code, result, stderr) = json(&[&tls[..], &load].concat());
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert_eq!(
        (&result["replies"], &result["errors"]),
        (&5000.into(), &0.into())
    );
    let open = [
        "-c",
        "10",
        "-P",
        "4",
        "--rate",
        "500",
        "-d",
        "1",
        "--json",
        "-",
        "--command",
        "GET {key:100}",
    ];
    let uri = format!("rediss://localhost:{port}?cacert={ca}");
    let (code, result, stderr) = json(&[&["run", "--uri", &uri], &open[..]].concat());
    assert_eq!(
        (code, stderr.as_str(), &result["replies"]),
        (0, "", &500.into())
    );
    let (code, _, stderr) = json(&["run", "--tls", "-p", &port, "--command", "PING"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("no encrypted connection"), "{stderr}");
}
