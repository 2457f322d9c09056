//! Keys that are locked, and certificates as OpenSSL makes them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use rustls::SignatureScheme;
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use super::support::process::run_program;
use super::support::{Folder, Setup, wait_until};
use super::talk::{Encrypted, Place, config_of};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../testdata/tls")
        .join(name)
}

fn names() -> Vec<String> {
    let entries = fs::read_dir(file("")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".key")).collect()
}

/// What `redis-cli --tls` says to a PING at this port.
fn ping(port: u16, more: &[&str]) -> String {
    let (port, ca) = (port.to_string(), file("ca.crt"));
    let mut args = vec!["--tls", "-p", &port, "--cacert", ca.to_str().unwrap()];
    args.extend(more);
    args.push("PING");
    run_program("redis-cli", &args).1
}

#[test]
fn a_locked_key_is_opened_by_its_password() {
    let folder = Folder::new();
    let options = |key: &str, password: &str| {
        let kind = key.split(['-', '.']).next().unwrap();
        format!(
            "--tls-auth-clients no --tls-cert-file {} --tls-key-file {} --tls-key-file-pass {password}",
            file(&format!("{kind}.crt")).display(),
            file(key).display()
        )
    };
    let mut opened = 0;
    for key in names()
        .iter()
        .filter(|name| name.contains("-") && !name.starts_with("refused"))
    {
        let port = super::support::process::free_port();
        let setup = |password| {
            Setup::cairn(&folder).with(&format!("--tls-port {port} {}", options(key, password)))
        };
        let server = setup("secret").start();
        assert!(ping(port, &[]).contains("PONG"), "{key}");
        drop(server);
        for (password, told) in [
            ("wrong", "the password does not open it"),
            ("''", "it is locked, and no password is configured for it"),
        ] {
            let ended = setup(password).run();
            let line = format!(
                "Failed to load private key: {}: {told}",
                file(key).display()
            );
            assert!(ended.log.contains(&line), "{key}: {}", ended.log);
            assert_eq!(ended.status.code(), Some(1));
        }
        opened += 1;
    }
    assert_eq!(opened, 6);
}

/// The other server believes an authority that has not signed what this one shows to its clients.
#[test]
fn another_certificate_is_shown_to_other_servers_than_to_clients() {
    let (first, second) = (Place::new(), Place::new());
    let primary = first.start(&format!("--tls-ca-cert-file {}", file("ca.crt").display()));
    let authority = first.folder.data().join("ca.crt");
    let believes = format!(
        "--tls-replication yes --tls-ca-cert-file {}",
        authority.display()
    );
    let refused = second.start(&believes);
    refused
        .server
        .connect()
        .good(&format!("REPLICAOF 127.0.0.1 {}", primary.port));
    refused
        .server
        .wait_for_log("Error condition on socket for SYNC");
    drop(refused);
    let replica = second.start(&format!(
        "{believes} --tls-client-cert-file {} --tls-client-key-file {} --tls-client-key-file-pass secret",
        file("ec.crt").display(),
        file("ec-pkcs8-aes192-sha512.key").display()
    ));
    let mut client = replica.server.connect();
    client.good(&format!("REPLICAOF 127.0.0.1 {}", primary.port));
    wait_until("it is let in", || {
        client.info("replication")["master_link_status"] == "up"
    });
}

#[test]
fn a_lock_that_is_not_known_is_named() {
    let folder = Folder::new();
    for (key, named) in [
        ("refused-traditional-des3.key", "DES-EDE3-CBC"),
        ("refused-pkcs8-des3.key", "DES"),
        ("refused-pkcs8-scrypt.key", "scrypt"),
        ("refused-pkcs8-pbe1.key", "a scheme before PBES2"),
    ] {
        let options = format!(
            "--tls-port 1 --tls-auth-clients no --tls-cert-file {} --tls-key-file {} --tls-key-file-pass secret",
            file("rsa.crt").display(),
            file(key).display()
        );
        let ended = Setup::cairn(&folder).with(&options).run();
        let told = format!("a key locked by {named} is not supported");
        assert!(ended.log.contains(&told), "{key}: {}", ended.log);
    }
}

#[test]
fn certificates_of_version_1_are_believed_both_ways_and_so_is_a_folder_of_authorities() {
    let folder = Folder::new();
    let authorities = folder.path("authorities");
    fs::create_dir(&authorities).unwrap();
    fs::copy(file("ca.crt"), authorities.join("ca.crt")).unwrap();
    let names = format!(
        "--tls-cert-file {} --tls-key-file {} --tls-ca-cert-dir {}",
        file("rsa.crt").display(),
        file("rsa.key").display(),
        authorities.display()
    );
    let port = super::support::process::free_port();
    let setup = Setup::cairn(&folder).with(&format!("--tls-port {port} {names}"));
    let ended = setup.run();
    assert!(
        ended.log.contains("no file named by hash and number in it"),
        "{}",
        ended.log
    );
    // As `openssl rehash` names it.
    let (_, hash) = run_program(
        "openssl",
        &[
            "x509",
            "-noout",
            "-hash",
            "-in",
            file("ca.crt").to_str().unwrap(),
        ],
    );
    fs::copy(
        file("ca.crt"),
        authorities.join(format!("{}.0", hash.trim())),
    )
    .unwrap();
    let _server = setup.start();
    let shown = |kind: &str| [file(&format!("{kind}.crt")), file(&format!("{kind}.key"))];
    for kind in ["rsa", "ec"] {
        let [cert, key] = shown(kind);
        let more = [
            "--cert",
            cert.to_str().unwrap(),
            "--key",
            key.to_str().unwrap(),
        ];
        assert!(ping(port, &more).contains("PONG"), "{kind}");
    }
    assert!(!ping(port, &[]).contains("PONG"), "without one");
}

#[test]
fn who_shows_the_very_certificate_that_is_believed_is_believed() {
    let place = Place::new();
    let data = place.folder.data();
    // A server that is its own authority, as small installations have it.
    let (_, made) = run_program(
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=both",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            data.join("both.key").to_str().unwrap(),
            "-out",
            data.join("both.crt").to_str().unwrap(),
        ],
    );
    assert!(data.join("both.crt").exists(), "{made}");
    let options = "--tls-cert-file both.crt --tls-key-file both.key --tls-ca-cert-file both.crt";
    let encrypted = Encrypted::start(
        super::support::process::Program::Cairn,
        &place.folder,
        options,
    );
    let path = |end: &str| data.join(format!("both.{end}")).display().to_string();
    let port = encrypted.port.to_string();
    let (_, answer) = run_program(
        "redis-cli",
        &[
            "--tls",
            "-p",
            &port,
            "--cacert",
            &path("crt"),
            "--cert",
            &path("crt"),
            "--key",
            &path("key"),
            "PING",
        ],
    );
    assert!(answer.contains("PONG"), "{answer}");
}

/// Microseconds of one signature with this key, the least of five.
fn signature_us(key: &Path) -> u128 {
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let provider = ring::default_provider().key_provider;
    let key = provider.load_private_key(key).unwrap();
    let signer = key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]);
    let signer = signer.expect("a key of RSA");
    let times = (0..5).map(|_| {
        let began = Instant::now();
        signer.sign(b"a handshake").unwrap();
        began.elapsed().as_micros()
    });
    times.min().unwrap()
}

#[test]
fn nobody_waits_for_a_signature() {
    let place = Place::new();
    let data = place.folder.data();
    let path = |name: &str| data.join(name).to_str().unwrap().to_owned();
    let words = "req -x509 -newkey rsa:4096 -nodes -days 2 -subj /CN=long -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE";
    let (key, cert) = (path("long.key"), path("long.crt"));
    let mut words: Vec<&str> = words.split(' ').collect();
    words.extend(["-keyout", &key, "-out", &cert]);
    run_program("openssl", &words);
    let options = "--tls-auth-clients no --enable-debug-command yes --tls-cert-file long.crt --tls-key-file long.key";
    let encrypted = place.start(options);
    let mut control = encrypted.server.connect();
    control.line("DEBUG LOOP-TURN RESET");
    let believed = fs::read_to_string(&cert).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let config = config_of(&believed, None);
                for _ in 0..10 {
                    // No ticket of the last one: each costs a signature.
                    let mut config = (*config).clone();
                    config.resumption = Resumption::disabled();
                    assert_eq!(encrypted.talk(&Arc::new(config)).ask("PING"), "PONG");
                }
            });
        }
    });
    let reply = control.line("DEBUG LOOP-TURN");
    let longest_us = reply.as_array().unwrap()[1].as_int().unwrap();
    let signature_us = signature_us(Path::new(&key));
    assert!(
        (longest_us as u128) < signature_us / 2,
        "{longest_us} us for a turn, {signature_us} us for a signature"
    );
}
