//! Values larger than the limit of a replica's buffer, replicas behind a narrow link, and such that stand still.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::fleet::{Member, all_equal, in_step, syncs};
use crate::support::process::Program::{self, Cairn, Reference};
use crate::support::wait_until;

const CUT: &str = "for overcoming of output buffer limits";

/// Writes so many megabytes over the same few keys.
fn write_over(member: &Member, megabytes: usize) {
    let mut client = member.connect();
    let value = "x".repeat(100_000);
    for n in 0..megabytes * 10 {
        client.good_call(&["SET", &format!("over:{}", n % 10), &value]);
    }
}

/// As much, and never so much at once that one who is near falls behind.
fn write_in_step(primary: &Member, near: &Member, megabytes: usize) {
    for _ in 0..megabytes {
        write_over(primary, 1);
        in_step(primary, near);
    }
}

fn buffers(member: &Member) -> u64 {
    let fields = member.connect().info("memory");
    fields["mem_total_replication_buffers"].parse().unwrap()
}

/// How often the log has it.
fn told(member: &Member, text: &str) -> usize {
    member.server.log().matches(text).count()
}

/// A link that takes so many bytes a second towards the replica, and as many as come the other way.
fn narrow(primary: &Member, bytes_a_second: usize) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let to = primary.server.port;
    std::thread::spawn(move || {
        while let Ok((replica, _)) = listener.accept() {
            let Ok(primary) = TcpStream::connect(("127.0.0.1", to)) else {
                continue;
            };
            let ends = (primary.try_clone().unwrap(), replica.try_clone().unwrap());
            std::thread::spawn(move || pass(ends.0, ends.1, Some(bytes_a_second)));
            std::thread::spawn(move || pass(replica, primary, None));
        }
    });
    port
}

/// Until one side hangs up; then both are.
fn pass(mut from: TcpStream, mut to: TcpStream, bytes_a_second: Option<usize>) {
    let mut chunk = vec![0; 16 * 1024];
    let began = Instant::now();
    let mut passed = 0;
    while let Ok(count @ 1..) = from.read(&mut chunk) {
        if to.write_all(&chunk[..count]).is_err() {
            break;
        }
        passed += count;
        if let Some(rate) = bytes_a_second {
            let due = Duration::from_secs_f64(passed as f64 / rate as f64);
            std::thread::sleep(due.saturating_sub(began.elapsed()));
        }
    }
    // Either may be gone.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// The stream is too long for the limit, the snapshot is not: one more synchronization for each, and that is all.
fn is_fetched_whole(bytes: usize, options: &str) {
    let primary = Member::start(Cairn, options);
    let replicas = [Cairn, Reference].map(|program| Member::following(program, &primary, ""));
    for replica in &replicas {
        in_step(&primary, replica);
    }
    let mut client = primary.connect();
    client.good("SET small 1");
    client.good_call(&["SET", "large", &"x".repeat(bytes)]);
    client.good("SET small 2");
    for replica in &replicas {
        in_step(&primary, replica);
        let mut client = replica.connect();
        assert_eq!(client.int("STRLEN large"), i64::try_from(bytes).unwrap());
        assert_eq!(client.text("GET small"), "2");
    }
    assert_eq!(told(&primary, CUT), 2, "{}", primary.server.log());
    assert_eq!(syncs(&primary).0, "4");
}

#[test]
fn a_value_of_300_mb_with_a_limit_of_256() {
    is_fetched_whole(300_000_000, "");
}

/// What the socket takes at once is not counted, so it is well beyond both.
#[test]
fn a_value_larger_than_a_small_limit() {
    is_fetched_whole(
        40_000_000,
        "--client-output-buffer-limit replica 1mb 1mb 60",
    );
}

/// A primary, a replica that stays in step all the time, and one behind a link of 1 MB a second.
fn with_a_narrow_link(options: &str) -> [Member; 3] {
    let primary = Member::start(Cairn, options);
    let near = Member::following(Cairn, &primary, "");
    in_step(&primary, &near);
    let port = narrow(&primary, 1_000_000);
    let far = Member::start(Cairn, &format!("--replicaof 127.0.0.1 {port}"));
    in_step(&primary, &far);
    [primary, near, far]
}

#[test]
fn a_narrow_link_within_the_limit_catches_up() {
    let [primary, near, far] = with_a_narrow_link("--client-output-buffer-limit replica 0 0 0");
    write_in_step(&primary, &near, 9);
    assert!(
        buffers(&primary) > 2_000_000,
        "what the far one lacks is kept"
    );
    all_equal(&[&primary, &far]);
    assert_eq!(syncs(&primary), ("2".into(), "0".into()));
    wait_until("nothing more is kept than the backlog", || {
        buffers(&primary) < 2 << 20
    });
}

#[test]
fn a_narrow_link_beyond_the_limit_is_cut() {
    let options = "--client-output-buffer-limit replica 4mb 0 0 --repl-backlog-size 1mb";
    let [primary, near, far] = with_a_narrow_link(options);
    wait_until("it is cut", || {
        write_in_step(&primary, &near, 2);
        // The limit, the backlog, and what came in one turn.
        let kept = buffers(&primary);
        assert!(kept < 8 << 20, "{kept}");
        told(&primary, CUT) >= 1
    });
    // The load is over: it comes back by itself.
    all_equal(&[&primary, &far]);
    assert_eq!(told(&near, "Connection with master lost"), 0);
}

/// Every attempt ends at the limit. It says so three times and what to change, and comes more and more rarely.
#[test]
fn a_link_that_is_always_too_narrow_is_no_loop() {
    let options = "--client-output-buffer-limit replica 2mb 0 0 --repl-backlog-size 1mb";
    let [primary, near, far] = with_a_narrow_link(options);
    wait_until("the reason is told for the last time", || {
        write_in_step(&primary, &near, 2);
        told(&far, "failed three times for the same reason") == 1
    });
    let tries = told(&far, "MASTER <-> REPLICA sync started");
    assert!(tries <= 8, "{tries}: {}", far.server.log());
    assert_eq!(told(&near, "Connection with master lost"), 0);
    all_equal(&[&primary, &far]);
}

/// A replica that is stopped, and goes on later.
fn stands_still(program: Program, options: &str, megabytes: usize, full: &str) -> [Member; 3] {
    let primary = Member::start(Cairn, options);
    let other = Member::following(Cairn, &primary, "");
    let stopped = Member::following(program, &primary, "");
    in_step(&primary, &other);
    in_step(&primary, &stopped);
    stopped.server.signal(libc::SIGSTOP);
    write_in_step(&primary, &other, megabytes);
    stopped.server.signal(libc::SIGCONT);
    all_equal(&[&primary, &stopped]);
    assert_eq!(syncs(&primary).0, full, "{}", primary.server.log());
    assert_eq!(told(&other, "Connection with master lost"), 0);
    [primary, other, stopped]
}

#[test]
fn one_that_stands_still_within_the_limit_goes_on() {
    for program in [Cairn, Reference] {
        let options = "--client-output-buffer-limit replica 64mb 0 0 --repl-diskless-sync no";
        let [primary, _, stopped] = stands_still(program, options, 30, "2");
        assert_eq!(told(&primary, CUT), 0);
        assert_eq!(told(&stopped, "onnection with master lost"), 0);
    }
}

#[test]
fn one_that_stands_still_beyond_the_limit_begins_anew() {
    for program in [Cairn, Reference] {
        let options = "--client-output-buffer-limit replica 4mb 0 0 --repl-diskless-sync no";
        let [primary, ..] = stands_still(program, options, 60, "3");
        assert_eq!(told(&primary, CUT), 1);
    }
}

/// It is given up when its time is over, and goes on where it was.
#[test]
fn one_that_stands_still_for_too_long_goes_on_where_it_was() {
    let primary = Member::start(Cairn, "--repl-timeout 2");
    let replica = Member::following(Cairn, &primary, "");
    in_step(&primary, &replica);
    replica.server.signal(libc::SIGSTOP);
    let mut client = primary.connect();
    client.good("SET meanwhile 1");
    wait_until("it is given up", || {
        primary.field("replication", "connected_slaves") == "0"
    });
    assert_eq!(told(&primary, "Disconnecting timedout replica"), 1);
    client.good("SET meanwhile 2");
    replica.server.signal(libc::SIGCONT);
    all_equal(&[&primary, &replica]);
    assert_eq!(syncs(&primary), ("1".into(), "1".into()));
}

/// The other way: a primary that stands still is given up, and gone on with.
#[test]
fn a_primary_that_stands_still_is_gone_on_with() {
    let primary = Member::start(Cairn, "");
    let replica = Member::following(Cairn, &primary, "--repl-timeout 2");
    in_step(&primary, &replica);
    primary.server.signal(libc::SIGSTOP);
    replica
        .server
        .wait_for_log("MASTER timeout: no data nor PING received");
    primary.server.signal(libc::SIGCONT);
    primary.connect().good("SET after 1");
    all_equal(&[&primary, &replica]);
    assert_eq!(syncs(&primary), ("1".into(), "1".into()));
}
