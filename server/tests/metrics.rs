//! The metrics port on real sockets: garbage, crowds and slow visitors beside clients, a server that is loading. What its
//! text says is tested with the parser of Prometheus' library (`clients/test_metrics.py`), its clocks in the simulator.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

use support::process::{Server, free_port};
use support::{Folder, PATIENCE, Setup, wait_until};

fn start(folder: &Folder, options: &str) -> (Server, u16) {
    let port = free_port();
    let options = format!("--metrics-port {port} {options}");
    (Setup::cairn(folder).with(&options).start(), port)
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends bytes on a connection of their own; all that comes back until its end.
fn exchange(port: u16, bytes: &[u8]) -> String {
    let mut stream = connect(port);
    // The server may end it before it has taken all.
    let _ = stream.write_all(bytes);
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    String::from_utf8(text).unwrap()
}

fn get(port: u16, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    exchange(port, request.as_bytes())
}

#[test]
fn the_port_is_off_unless_it_is_asked_for_and_listens_here_only() {
    let folder = Folder::new();
    let (server, port) = start(&folder, "");
    assert!(get(port, "/healthz").ends_with("ok\n"));
    let log = server.log();
    assert!(log.contains(&format!("Metrics on http://127.0.0.1:{port}/metrics")));
    assert!(!log.contains(&format!("0.0.0.0:{port}")), "{log}");
    server.stop();
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    assert!(!server.log().contains("Metrics on"));
}

#[test]
fn a_port_that_is_taken_ends_the_start_with_its_name() {
    let folder = Folder::new();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let ended = Setup::cairn(&folder)
        .with(&format!("--metrics-port {port}"))
        .run();
    assert_eq!(ended.status.code(), Some(1));
    let line = format!("Metrics port: Failed listening on port {port} (tcp), aborting.");
    assert!(ended.log.contains(&line), "{}", ended.log);
}

#[test]
fn garbage_is_answered_and_clients_do_not_notice() {
    let folder = Folder::new();
    let (server, port) = start(&folder, "");
    let mut client = server.connect();
    let long = [b"GET / HTTP/1.1\r\nX: ".to_vec(), vec![b'x'; 20_000]].concat();
    let cases: &[(&[u8], &str)] = &[
        (b"PING\r\n", "400 Bad Request"),
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            "400 Bad Request",
        ),
        (b"GET / HTTP/1.1\r\n\r\n", "400 Bad Request"),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
            "400 Bad Request",
        ),
        (
            b"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n",
            "405 Method Not Allowed",
        ),
        (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "505 HTTP Version Not Supported",
        ),
        (&long, "431 Request Header Fields Too Large"),
    ];
    for (bytes, status) in cases {
        let text = exchange(port, bytes);
        assert!(
            text.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{}: {text}",
            bytes.escape_ascii()
        );
        assert!(text.contains("Connection: close\r\n"), "{text}");
        client.call(&["PING"]);
    }
    let ids = client.call(&["CLIENT", "LIST"]);
    let lines = ids.as_bytes().unwrap().split(|b| *b == b'\n').count();
    assert_eq!(lines, 2, "visitors are no clients");
}

/// Two hundred connections, most of which say half a request: all who ask are answered, and so is a client.
#[test]
fn a_crowd_is_served() {
    let folder = Folder::new();
    let (server, port) = start(&folder, "");
    let mut client = server.connect();
    let before = client.call(&["INFO", "clients"]);
    let crowd: Vec<TcpStream> = (0..200)
        .map(|number| {
            let mut stream = connect(port);
            let whole = "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
            let part = &whole.as_bytes()[..if number % 4 == 0 { whole.len() } else { 10 }];
            stream.write_all(part).unwrap();
            stream
        })
        .collect();
    client.call(&["SET", "a", "1"]);
    let connected = |info: &[u8]| {
        let text = String::from_utf8_lossy(info).into_owned();
        text.lines()
            .find(|line| line.starts_with("connected_clients:"))
            .map(str::to_owned)
    };
    let after = client.call(&["INFO", "clients"]);
    assert_eq!(
        connected(after.as_bytes().unwrap()),
        connected(before.as_bytes().unwrap())
    );
    for mut stream in crowd.into_iter().step_by(4) {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.ends_with("ok\n"), "{text}");
    }
}

#[test]
fn a_server_that_loads_is_alive_and_not_ready() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut client = server.connect();
    client.call(&["DEBUG", "POPULATE", "20000"]);
    client.call(&["SAVE"]);
    server.stop();
    let port = free_port();
    let options = format!("--metrics-port {port} --key-load-delay 500");
    let mut server = Setup::cairn(&folder).with(&options).launch();
    wait_until("the metrics port", || {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    let ready = get(port, "/readyz");
    assert!(
        ready.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
        "{ready}"
    );
    assert!(
        ready.ends_with("loading: the data is being read from disk\n"),
        "{ready}"
    );
    assert!(get(port, "/healthz").ends_with("ok\n"));
    assert!(get(port, "/metrics").contains("\nredis_loading_dump_file 1\n"));
    let mut client = server.try_connect().unwrap();
    client.call(&["CONFIG", "SET", "key-load-delay", "0"]);
    assert!(server.wait_ready());
    assert!(get(port, "/readyz").ends_with("ready\n"));
}
