//! Directives one by one.

use crate::support::process::{children_of, free_port, run_program, send_signal};
use crate::support::{Folder, Setup, left_out, wait_until};

/// What `ss` says of sockets at a port.
fn sockets(port: u16, options: &str) -> Option<String> {
    if !std::process::Command::new("ss")
        .arg("-V")
        .output()
        .is_ok_and(|output| output.status.success())
    {
        left_out("effects::values", "no ss (package iproute2)");
        return None;
    }
    Some(
        run_program(
            "ss",
            &["-H", "-n", options, "sport", "=", &format!(":{port}")],
        )
        .1,
    )
}

#[test]
fn as_many_may_wait_to_be_accepted_as_tcp_backlog_says() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder)
        .with("--tcp-backlog 77 --bind 127.0.0.1")
        .start();
    let Some(listening) = sockets(server.port, "-lt") else {
        return;
    };
    // State, waiting, most that may wait, address.
    assert_eq!(
        listening.split_whitespace().nth(2),
        Some("77"),
        "{listening}"
    );
    server.stop();
}

#[test]
fn connections_are_probed_as_tcp_keepalive_says() {
    for (seconds, probed) in [(300, true), (0, false)] {
        let folder = Folder::new();
        let server = Setup::cairn(&folder)
            .with(&format!("--tcp-keepalive {seconds} --bind 127.0.0.1"))
            .start();
        let mut client = server.connect();
        client.good("PING");
        let Some(connected) = sockets(server.port, "-to") else {
            return;
        };
        assert_eq!(
            connected.contains("timer:(keepalive,"),
            probed,
            "{connected}"
        );
        server.stop();
    }
}

#[test]
fn the_log_has_the_lines_of_its_level() {
    for (level, has_notice, has_warning) in [
        ("notice", true, true),
        ("warning", false, true),
        ("nothing", false, false),
    ] {
        let folder = Folder::new();
        let port = free_port();
        let file = folder.path("server.log");
        let options = format!(
            "--loglevel {level} --daemonize yes --logfile {}",
            file.display()
        );
        // In the background, so that the start tells when it is done whatever is logged.
        let ended = Setup::cairn(&folder).with(&options).on_port(port).run();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
        let stream = std::net::TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port)).unwrap();
        let mut client = crate::support::Connection::new(stream);
        client.send(b"SHUTDOWN NOSAVE\r\n");
        client.read_to_end();
        let log = std::fs::read_to_string(&file).unwrap();
        assert_eq!(
            log.contains(" * Server initialized"),
            has_notice,
            "{level}: {log}"
        );
        assert_eq!(
            log.contains(" # Warning: no config file specified"),
            has_warning,
            "{level}: {log}"
        );
    }
}

#[test]
fn the_logo_is_shown_on_a_terminal_or_always() {
    for (always, shown) in [("yes", true), ("no", false)] {
        let folder = Folder::new();
        let server = Setup::cairn(&folder)
            .with(&format!("--always-show-logo {always}"))
            .start();
        let port = server.port;
        let log = server.stop();
        assert_eq!(log.contains(" PID: "), shown, "{log}");
        assert_eq!(
            log.contains(&format!("Running mode=standalone, port={port}.")),
            !shown,
            "{log}"
        );
    }
}

#[test]
fn the_allocators_own_thread_is_there_if_it_may_be() {
    for (may, there) in [("yes", true), ("no", false)] {
        let folder = Folder::new();
        let server = Setup::cairn(&folder)
            .with(&format!("--jemalloc-bg-thread {may}"))
            .start();
        let names = || {
            let tasks = std::fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
            let names = tasks
                .map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap());
            names.collect::<String>()
        };
        let mut client = server.connect();
        // A thread gives itself its name.
        wait_until("the thread is there or not", || {
            names().contains("jemalloc_bg_thd") == there
        });
        client.good(&format!(
            "CONFIG SET jemalloc-bg-thread {}",
            if there { "no" } else { "yes" }
        ));
        wait_until("the thread comes or goes", || {
            names().contains("jemalloc_bg_thd") != there
        });
        server.stop();
    }
}

#[test]
fn tables_catch_up_after_a_child_only_if_activerehashing_says_so() {
    for (active, catches_up) in [("yes", true), ("no", false)] {
        let folder = Folder::new();
        let server = Setup::cairn(&folder)
            .with(&format!(
                "--activerehashing {active} --rdb-key-save-delay 10000000"
            ))
            .start();
        let mut client = server.connect();
        let buckets = |client: &mut crate::support::Connection| {
            let stats = client.text("DEBUG HTSTATS 0");
            let line = stats
                .lines()
                .find_map(|line| line.trim().strip_prefix("table size: "));
            line.unwrap_or_else(|| panic!("{stats}"))
                .parse::<u64>()
                .unwrap()
        };
        client.good("SET a b");
        client.good("BGSAVE");
        client.good("DEBUG POPULATE 20000");
        let behind = buckets(&mut client);
        for child in children_of(server.pid()) {
            send_signal(child, libc::SIGKILL);
        }
        client.wait_for_children();
        // Several runs of timed work.
        client.good("DEBUG SLEEP 0.2");
        std::thread::sleep(std::time::Duration::from_millis(300));
        if catches_up {
            wait_until("the table has caught up", || {
                buckets(&mut client) > 2 * behind
            });
        } else {
            assert_eq!(buckets(&mut client), behind);
        }
        server.kill();
    }
}

#[test]
fn counters_of_use_grow_and_fall_as_the_factors_say() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder)
        .with("--maxmemory-policy allkeys-lfu --lfu-log-factor 0 --lfu-decay-time 0")
        .start();
    let mut client = server.connect();
    client.good("SET a b");
    for _ in 0..50 {
        client.good("GET a");
    }
    // Each use counts, from 5 on.
    assert_eq!(client.int("OBJECT FREQ a"), 55);
    client.good("CONFIG SET lfu-log-factor 1000000");
    for _ in 0..50 {
        client.good("GET a");
    }
    assert!(client.int("OBJECT FREQ a") <= 57);
    server.stop();
}

#[test]
fn the_log_of_large_requests_ends_where_its_length_says() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder)
        .with("--commandlog-request-larger-than 10 --commandlog-large-request-max-len 3")
        .start();
    let mut client = server.connect();
    for _ in 0..9 {
        client.good("SET a 0123456789");
    }
    assert_eq!(client.int("COMMANDLOG LEN large-request"), 3);
    server.stop();
}

#[test]
fn expired_keys_are_logged_by_the_command_that_is_asked_for() {
    for (lazy, command) in [("no", "DEL"), ("yes", "UNLINK")] {
        let folder = Folder::new();
        let server = Setup::cairn(&folder)
            .with(&format!("--lazyfree-lazy-expire {lazy} --appendonly yes"))
            .start();
        let mut client = server.connect();
        client.good("SET a b PX 1");
        wait_until("the key is gone", || client.int("EXISTS a") == 0);
        server.stop();
        let log = std::fs::read_to_string(folder.log_file(".incr.aof")).unwrap();
        assert!(
            log.contains(&format!("\r\n{command}\r\n$1\r\na\r\n")),
            "{log}"
        );
    }
}

#[test]
fn replaced_files_of_the_log_stay_if_they_are_to() {
    for (keep, files) in [("no", 2), ("yes", 4)] {
        let folder = Folder::new();
        let server = Setup::cairn(&folder)
            .with(&format!("--aof-disable-auto-gc {keep} --appendonly yes"))
            .start();
        let mut client = server.connect();
        client.good("SET a b");
        client.good("BGREWRITEAOF");
        client.wait_for_children();
        let parts = || {
            let names = folder.names();
            names
                .iter()
                .filter(|name| name.ends_with(".aof") || name.ends_with(".rdb"))
                .count()
        };
        wait_until("the files are those that are to stay", || parts() == files);
        server.stop();
    }
}

#[test]
fn metrics_are_answered_where_metrics_bind_says() {
    let folder = Folder::new();
    let port = free_port();
    let server = Setup::cairn(&folder)
        .with(&format!("--metrics-port {port} --metrics-bind 127.0.0.3"))
        .start();
    assert!(std::net::TcpStream::connect(("127.0.0.3", port)).is_ok());
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    server.stop();
}
