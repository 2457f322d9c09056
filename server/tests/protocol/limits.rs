//! Who may come in, and how much of the server one client may take.

use std::io::Read;
use std::net::{IpAddr, TcpStream, UdpSocket};

use cairn_format::resp::value::{Value, write_command};

use crate::support::process::{Program, Server};
use crate::support::{Connection, Folder, Setup, left_out, wait_until};

#[test]
fn more_clients_than_maxclients_are_turned_away() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).with("--maxclients 5").start();
    let mut clients: Vec<Connection> = (0..5).map(|_| server.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.text("PING"), "PONG");
    }
    let mut late = server.connect();
    assert_eq!(
        late.read_to_end(),
        b"-ERR max number of clients reached\r\n"
    );
    assert_eq!(clients[0].info("stats")["rejected_connections"], "1");
    clients.pop();
    wait_until("there is room again", || {
        server.connect().try_call(&["PING"]).is_ok()
    });
    clients[0].good("CONFIG SET maxclients 100");
    let mut more: Vec<Connection> = (0..20).map(|_| server.connect()).collect();
    for client in &mut more {
        assert_eq!(client.text("PING"), "PONG");
    }
}

#[test]
fn without_the_password_nothing_works() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).with("--requirepass secret").start();
    let mut connection = server.connect();
    for command in [
        "GET a",
        "SET a 1",
        "CONFIG GET requirepass",
        "SHUTDOWN NOSAVE",
        "SUBSCRIBE c",
    ] {
        assert_eq!(
            connection.error(command),
            "NOAUTH Authentication required.",
            "{command}"
        );
    }
    assert!(connection.error("AUTH wrong").starts_with("WRONGPASS"));
    assert!(
        connection
            .error("AUTH someone secret")
            .starts_with("WRONGPASS")
    );
    assert!(connection.error("HELLO 3").starts_with("NOAUTH"));
    connection.good("AUTH secret");
    connection.good("SET a 1");
    assert!(
        !server
            .connect()
            .line("HELLO 3 AUTH default secret")
            .is_error()
    );
    // Strangers may not make the server reserve much.
    for request in [b"*11\r\n".as_slice(), b"*1\r\n$16385\r\n"] {
        let mut stranger = server.connect();
        stranger.send(request);
        let told = String::from_utf8_lossy(&stranger.read_to_end()).into_owned();
        assert!(told.contains("unauthenticated"), "{told}");
    }
    connection.good("CONFIG SET requirepass other");
    assert!(
        server
            .connect()
            .error("AUTH secret")
            .starts_with("WRONGPASS")
    );
    assert!(!server.connect().line("AUTH other").is_error());
    assert!(!server.connect().line("AUTH default other").is_error());
}

/// An address of this machine that is not the loopback, if it has one: no packet is sent to find it.
fn outside_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

#[test]
fn protected_mode_takes_local_clients_only() {
    let Some(address) = outside_address() else {
        let reason = "this machine has no address besides the loopback";
        return left_out("protected_mode_takes_local_clients_only", reason);
    };
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let outside =
        |server: &Server| Connection::new(TcpStream::connect((address, server.port)).unwrap());
    let told = String::from_utf8_lossy(&outside(&server).read_to_end()).into_owned();
    assert!(
        told.starts_with("-DENIED ") && told.ends_with("\r\n"),
        "{told}"
    );
    let mut inside = server.connect();
    assert_eq!(inside.text("PING"), "PONG");
    inside.good("CONFIG SET protected-mode no");
    assert_eq!(outside(&server).text("PING"), "PONG");
    inside.good("CONFIG SET protected-mode yes");
    inside.good("CONFIG SET requirepass secret");
    assert!(outside(&server).error("PING").starts_with("NOAUTH"));
    server.stop();
    // With the option off from the start, and bound to the loopback alone.
    let server = Setup::cairn(&folder).with("--bind 127.0.0.1").start();
    assert!(TcpStream::connect((address, server.port)).is_err());
}

#[test]
fn a_request_larger_than_the_query_buffer_ends_the_connection() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder)
        .with("--client-query-buffer-limit 2mb")
        .start();
    let mut other = server.connect();
    let mut connection = server.connect();
    let mut out = Vec::new();
    write_command(&mut out, &[b"SET".as_slice(), b"k", &vec![b'x'; 4 << 20]]);
    // The server hangs up while this is on its way.
    let _ = connection.try_send(&out);
    assert_eq!(connection.read_to_end(), b"");
    assert_eq!(other.int("EXISTS k"), 0);
    server.wait_for_log("Closing client that reached max query buffer length");
    let mut connection = server.connect();
    connection.good_call(&[b"SET".as_slice(), b"k", &vec![b'x'; 1 << 20]]);
    // Many small commands are no large one.
    let request = b"*1\r\n$4\r\nPING\r\n".repeat(200_000);
    let mut reader = connection.stream().try_clone().unwrap();
    let count = std::thread::spawn(move || {
        let mut bytes = vec![0; 200_000 * 7];
        reader.read_exact(&mut bytes).map(|()| bytes.len())
    });
    connection.send(&request);
    assert_eq!(count.join().unwrap().unwrap(), 200_000 * 7);
}

#[test]
fn a_subscriber_that_does_not_read_is_cut_off() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder)
        .with("--client-output-buffer-limit pubsub 8mb 2mb 60")
        .start();
    let mut subscriber = server.connect();
    subscriber.send(b"SUBSCRIBE c\r\n");
    subscriber.read();
    let mut publisher = server.connect();
    let message = vec![b'm'; 1 << 20];
    wait_until("the subscriber is gone", || {
        publisher.call(&[b"PUBLISH".as_slice(), b"c", &message]) == Value::Int(0)
    });
    assert_eq!(publisher.text("PING"), "PONG");
    server.wait_for_log("overcoming of output buffer limits");
}

#[test]
fn proto_max_bulk_len_is_a_limit() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder)
        .with("--proto-max-bulk-len 1mb")
        .start();
    let mut connection = server.connect();
    connection.send(b"*2\r\n$3\r\nGET\r\n$1048577\r\n");
    assert_eq!(
        connection.read_to_end(),
        b"-ERR Protocol error: invalid bulk length\r\n"
    );
    let mut connection = server.connect();
    connection.good_call(&[b"SET".as_slice(), b"k", &vec![b'x'; 1 << 20]]);
    assert!(
        connection
            .error("APPEND k more")
            .contains("string exceeds maximum allowed size")
    );
}

#[test]
fn the_longest_turn_is_known() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder)
        .with("--enable-debug-command yes")
        .start();
    let mut connection = server.connect();
    connection.good("DEBUG SLEEP 0.5");
    let (time, cpu) = longest(&mut connection, "DEBUG LOOP-TURN");
    assert!(time >= 500_000 && cpu.is_none(), "{time} {cpu:?}");
    assert!(longest(&mut connection, "DEBUG LOOP-TURN RESET").0 >= 500_000);
    // More keys than are made in no time at all, so that there is processor time to be seen.
    connection.good("DEBUG POPULATE 20000");
    let (time, cpu) = longest(&mut connection, "DEBUG LOOP-TURN");
    assert!(time > 0 && cpu > Some(0), "{time} {cpu:?}");
    connection.good("DEBUG SLEEP 0.5");
    let (time, cpu) = longest(&mut connection, "DEBUG LOOP-TURN");
    assert!(time >= 500_000, "{time}");
    assert!(cpu < Some(500_000), "sleeping takes no processor: {cpu:?}");
    assert_eq!(connection.error("DEBUG LOOP-TURN SOON"), "ERR syntax error");
}

/// Time and processor time of the longest turn, microseconds.
fn longest(connection: &mut Connection, command: &str) -> (i64, Option<i64>) {
    let reply = connection.line(command);
    let numbers = reply.as_array().expect(command);
    (numbers[0].as_int().expect("a time"), numbers[1].as_int())
}

/// A field of the line of CLIENT LIST with this name; none if there is no such client.
fn field(connection: &mut Connection, name: &str, field: &str) -> Option<u64> {
    let list = connection.text("CLIENT LIST");
    let line = list
        .lines()
        .find(|line| line.contains(&format!(" name={name} ")))?;
    let word = line
        .split(' ')
        .find_map(|word| word.strip_prefix(&format!("{field}=")));
    Some(word.expect(field).parse().expect(field))
}

/// Bytes of a client's query buffer, used and free.
fn query_buffer(connection: &mut Connection, name: &str) -> u64 {
    let parts = ["qbuf", "qbuf-free"].map(|part| field(connection, name, part));
    parts.iter().map(|part| part.expect(name)).sum()
}

#[test]
fn query_buffers_of_idle_and_of_large_clients_shrink() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut control = server.connect();
    let mut idle = server.connect();
    idle.good("CLIENT SETNAME idle");
    let at_first = query_buffer(&mut control, "idle");
    assert!((16_384..32_768).contains(&at_first), "{at_first}");
    wait_until("the buffer of the idle client is gone", || {
        query_buffer(&mut control, "idle") == 0
    });
    assert!(field(&mut control, "idle", "idle") >= Some(2));
    let mut busy = server.connect();
    busy.good("CLIENT SETNAME busy");
    busy.good_call(&[b"SET".as_slice(), b"k", &vec![b'x'; 400_000]]);
    let large = query_buffer(&mut busy, "busy");
    assert!(large > 400_000, "{large}");
    wait_until("what is not needed any more is given back", || {
        busy.good("SET k small");
        query_buffer(&mut control, "busy") < 32_768
    });
    assert!(query_buffer(&mut control, "busy") > 0);
    // Of half a request counts what is not understood yet, and the own one as it is.
    idle.send(b"*1\r\n$100\r\nabc");
    wait_until("half a request is there", || {
        field(&mut control, "idle", "qbuf") == Some(3)
    });
    control.good("CLIENT SETNAME control");
    assert_eq!(
        field(&mut control, "control", "qbuf"),
        Some("*2\r\n$6\r\nCLIENT\r\n$4\r\nLIST\r\n".len() as u64)
    );
}

#[test]
fn a_reply_beyond_the_hard_limit_ends_the_client_and_nothing_of_it_is_sent() {
    for program in [Program::Cairn, Program::Reference] {
        let folder = Folder::new();
        let server = Setup::new(program, &folder).start();
        let mut control = server.connect();
        for (command, count) in [("RPUSH list", 150), ("SADD set", 150)] {
            for i in 0..count {
                control.good(&format!("{command} {}{i}", "x".repeat(1000)));
            }
        }
        control.good("HSET hash a b");
        control.good("ZADD sorted 1 a");
        control.good("SADD few a b");
        control.good(&format!("SET text {}", "x".repeat(10_000)));
        control.good_call(&[
            "CONFIG",
            "SET",
            "client-output-buffer-limit",
            "normal 100000 0 0",
        ]);
        let many = "GET text\r\nINCR ran\r\n".repeat(15);
        for requests in [
            "LRANGE list 0 -1\r\n",
            "PING\r\nSMEMBERS set\r\n",
            "HRANDFIELD hash -999999999\r\n",
            "HRANDFIELD hash -999999999 WITHVALUES\r\n",
            "SRANDMEMBER few -999999999\r\n",
            "ZRANDMEMBER sorted -999999999\r\n",
            &many,
            "MULTI\r\nSET k2 v2\r\nLRANGE list 0 -1\r\nSET k3 v3\r\nDEL text\r\nEXEC\r\nSET k4 v4\r\n",
        ] {
            let mut client = server.connect();
            client.send(requests.as_bytes());
            assert_eq!(client.read_to_end(), b"", "{program:?} {requests:?}");
        }
        // A pipeline runs as far as it came, a transaction as a whole.
        let ran: i64 = control.text("GET ran").parse().unwrap();
        assert!((9..15).contains(&ran), "{program:?} {ran}");
        assert_eq!(control.int("EXISTS k2 k3 text k4"), 2, "{program:?}");
        assert_eq!(control.text("PING"), "PONG");
    }
}
