//! Debian's redis-sentinel watches a primary of ours with replicas of both kinds.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cairn_format::resp::value::Value;

use crate::fleet::{Member, in_step, said};
use crate::support::process::{Program, REFERENCE, free_port};
use crate::support::{Connection, Folder, wait_until};

struct Sentinel {
    process: Child,
    port: u16,
    _folder: Folder,
}

impl Sentinel {
    fn watching(primary: &Member) -> Sentinel {
        let folder = Folder::new();
        let port = free_port();
        let file = folder.path("sentinel.conf");
        let lines = format!(
            "port {port}\ndir {}\nsentinel monitor ours 127.0.0.1 {} 1\nsentinel down-after-milliseconds ours 4000\nsentinel failover-timeout ours 10000\n",
            folder.data().display(),
            primary.server.port
        );
        std::fs::write(&file, lines).unwrap();
        let process = Command::new(REFERENCE)
            .arg(&file)
            .arg("--sentinel")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Sentinel {
            process,
            port,
            _folder: folder,
        }
    }

    fn connect(&self) -> Connection {
        let mut stream = None;
        wait_until("the sentinel listens", || {
            stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).ok();
            stream.is_some()
        });
        Connection::new(stream.unwrap())
    }

    /// The port of the primary, as clients are told it.
    fn primary(&self) -> u16 {
        match self.connect().line("SENTINEL GET-MASTER-ADDR-BY-NAME ours") {
            Value::Array(words) => match &words[1] {
                Value::Bulk(port) => String::from_utf8_lossy(port).parse().unwrap(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    fn wait_for_replicas(&self, count: usize) {
        wait_until("the sentinel knows the replicas", || {
            match self.connect().line("SENTINEL REPLICAS ours") {
                Value::Array(replicas) => replicas.len() == count,
                other => panic!("{other:?}"),
            }
        });
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The primary is lost in some way; another takes over, takes writes, and the lost one comes back as its replica.
fn fails_over(replica: Program, lose: impl Fn(&mut Member), back: impl Fn(&mut Member)) {
    let mut primary = Member::start(Program::Cairn, "");
    let replica = Member::following(replica, &primary, "");
    in_step(&primary, &replica);
    let sentinel = Sentinel::watching(&primary);
    sentinel.wait_for_replicas(1);
    // It has to have heard of the replica's state, too.
    std::thread::sleep(Duration::from_secs(2));
    let before = primary.server.port;
    lose(&mut primary);
    wait_until("another takes over", || sentinel.primary() != before);
    assert_eq!(sentinel.primary(), replica.server.port);
    wait_until("it takes writes", || {
        matches!(replica.ask("SET after 1"), Value::Simple(_))
    });
    back(&mut primary);
    in_step(&replica, &primary);
    assert_eq!(said(&primary.ask("GET after")), "1");
}

#[test]
fn after_a_kill() {
    fails_over(
        Program::Cairn,
        |primary| primary.server.kill_here(),
        Member::restart,
    );
}

#[test]
fn after_a_kill_with_a_replica_of_the_reference() {
    fails_over(
        Program::Reference,
        |primary| primary.server.kill_here(),
        Member::restart,
    );
}

#[test]
fn while_the_primary_stands_still() {
    fails_over(
        Program::Cairn,
        |primary| primary.connect().send(b"DEBUG SLEEP 14\r\n"),
        |_| {},
    );
}

#[test]
fn when_somebody_asks_for_it() {
    let primary = Member::start(Program::Cairn, "");
    let replica = Member::following(Program::Cairn, &primary, "");
    in_step(&primary, &replica);
    let sentinel = Sentinel::watching(&primary);
    sentinel.wait_for_replicas(1);
    std::thread::sleep(Duration::from_secs(2));
    wait_until("it begins", || {
        matches!(
            sentinel.connect().line("SENTINEL FAILOVER ours"),
            Value::Simple(_)
        )
    });
    wait_until("the replica is the primary", || {
        sentinel.primary() == replica.server.port
    });
    in_step(&replica, &primary);
}
