//! The turn that ends the server: who is told OK finds it after the next start, and who was served before is told.
//!
//! A client that sleeps (DEBUG SLEEP) makes the others' requests meet in one turn. Should one come too late on a busy machine,
//! what is asked still holds.

use cairn_format::resp::value::Value;

use crate::support::process::Server;
use crate::support::{Connection, Folder, Setup};

/// Puts the server to sleep, so that what is sent now is served in one turn.
fn begin_turn(server: &Server) -> Connection {
    let mut sleeper = server.connect();
    sleeper.send(b"DEBUG LOG asleep\r\nDEBUG SLEEP 1\r\nSET slept 1\r\n");
    server.wait_for_log("DEBUG LOG: asleep");
    sleeper
}

/// The keys among those asked to be set that were acknowledged.
fn acknowledged(client: &mut Connection, keys: &[&str]) -> Vec<String> {
    let mut told = Vec::new();
    for key in keys {
        match client.try_read() {
            Ok(Value::Simple(ok)) if ok == b"OK" => told.push((*key).to_string()),
            Ok(other) => panic!("{key}: {other:?}"),
            Err(_) => break,
        }
    }
    told
}

fn set(client: &mut Connection, keys: &[&str]) {
    let requests: String = keys.iter().map(|key| format!("SET {key} 1\r\n")).collect();
    client.send(requests.as_bytes());
}

/// Ends the server by `end` in one turn with clients before and behind it.
fn nothing_acknowledged_is_lost(options: &str, by_signal: bool) {
    let folder = Folder::new();
    let options = format!("--enable-debug-command yes {options}");
    let mut server = Setup::cairn(&folder).only(&options).start();
    let [mut before, mut ender, mut behind, mut queued] = [(); 4].map(|()| server.connect());
    queued.good("MULTI");
    for key in ["q1", "q2"] {
        queued.good(&format!("SET {key} 1"));
    }
    let mut sleeper = begin_turn(&server);
    set(&mut before, &["a1", "a2"]);
    if by_signal {
        server.signal(libc::SIGTERM);
    } else {
        ender.send(b"SET e 1\r\nSHUTDOWN\r\nSET f 1\r\n");
    }
    let many: Vec<String> = (0..200).map(|i| format!("b{i}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    set(&mut behind, &many);
    queued.send(b"EXEC\r\n");
    // Its own turn is over before anything can end the server.
    let mut told = acknowledged(&mut sleeper, &["log", "sleep", "slept"]).split_off(2);
    assert_eq!(told, ["slept"], "{options}");
    let earlier = acknowledged(&mut before, &["a1", "a2"]);
    // A signal may be acted on before anybody else's requests are read.
    assert!(by_signal || earlier.len() == 2, "{options}: {earlier:?}");
    told.extend(earlier);
    told.extend(acknowledged(&mut behind, &many));
    if let Ok(reply) = queued.try_read() {
        assert_eq!(reply.as_array().map(<[Value]>::len), Some(2), "{reply:?}");
        told.extend(["q1", "q2"].map(str::to_string));
    }
    told.extend(acknowledged(&mut ender, &["e"]));
    assert_eq!(server.wait_end().code(), Some(0), "{options}");
    let server = Setup::cairn(&folder).only(&options).start();
    let mut client = server.connect();
    for key in told {
        assert_eq!(client.int(&format!("EXISTS {key}")), 1, "{options}: {key}");
    }
}

const KEPT: [&str; 4] = [
    "--save 3600 1",
    "--save '' --appendonly yes",
    "--save '' --appendonly yes --appendfsync always",
    "--save 3600 1 --appendonly yes --appendfsync no",
];

#[test]
fn shutdown_acknowledges_only_what_it_saved() {
    for options in KEPT {
        nothing_acknowledged_is_lost(options, false);
    }
}

#[test]
fn a_signal_acknowledges_only_what_it_saved() {
    for options in KEPT {
        nothing_acknowledged_is_lost(options, true);
    }
}

#[test]
fn a_shutdown_that_is_forced_past_a_failed_save_acknowledges_nothing() {
    let folder = Folder::new();
    let options = "--enable-debug-command yes --dbfilename dump.rdb --save 3600 1";
    let mut server = Setup::cairn(&folder).only(options).start();
    // A folder of the file's name cannot be replaced by a file.
    std::fs::create_dir_all(folder.data().join("dump.rdb/inside")).unwrap();
    let [mut before, mut ender] = [(); 2].map(|()| server.connect());
    let _sleeper = begin_turn(&server);
    set(&mut before, &["a1", "a2"]);
    ender.send(b"SHUTDOWN FORCE\r\n");
    // On a machine so busy that the two did not meet, the first was answered long before.
    let told = acknowledged(&mut before, &["a1", "a2"]);
    assert!(told.is_empty() || told.len() == 2, "{told:?}");
    assert_eq!(server.wait_end().code(), Some(0));
}

#[test]
fn a_shutdown_by_signal_can_be_taken_back_while_it_waits() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut client = server.connect();
    assert_eq!(
        client.error("SHUTDOWN ABORT"),
        "ERR No shutdown in progress."
    );
    client.good("DEBUG PAUSE-CRON 1");
    server.signal(libc::SIGTERM);
    // The signal is on its way to the process when `kill` has ended.
    crate::support::wait_until("the signal is there", || {
        !client.line("SHUTDOWN ABORT").is_error()
    });
    server.wait_for_log("Shutdown manually aborted");
    client.good("DEBUG PAUSE-CRON 0");
    assert_eq!(client.text("PING"), "PONG");
}

#[test]
fn the_file_of_a_save_that_is_broken_off_is_removed() {
    for command in ["", "SAVE", "SHUTDOWN SAVE"] {
        let folder = Folder::new();
        let mut server = Setup::cairn(&folder).only("--save 3600 1").start();
        let mut client = server.connect();
        for i in 0..100 {
            client.good(&format!("SET {i} {i}"));
        }
        client.good("CONFIG SET rdb-key-save-delay 100000");
        // A first SIGINT asks for the end, which saves; during a save by command it is only noted.
        if !command.is_empty() {
            client.send(format!("{command}\r\n").as_bytes());
        } else {
            server.signal(libc::SIGINT);
        }
        let temporary = format!("temp-{}.rdb", server.pid());
        crate::support::wait_until("the file is begun", || folder.names().contains(&temporary));
        let mut ended = false;
        // Two signals that wait at once are delivered as one.
        crate::support::wait_until("the process ends", || {
            if !ended {
                server.signal(libc::SIGINT);
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            ended = server.log().contains("You insist... exiting now.");
            ended
        });
        assert_eq!(server.wait_end().code(), Some(1), "{command}");
        assert_eq!(folder.names(), [""; 0], "{command}");
    }
}
