//! Title, out-of-memory score and processors, of the server and its children.

use crate::support::process::{Program, Server, children_of};
use crate::support::{Folder, Setup, left_out, wait_until};
use crate::{proc_file, status_of};

const BOTH: [Program; 2] = [Program::Cairn, Program::Reference];

/// What `ps` shows.
fn title(pid: u32) -> String {
    let all = proc_file(pid, "cmdline");
    all.split('\0').next().unwrap_or_default().to_string()
}

fn oom_score(pid: u32) -> i64 {
    proc_file(pid, "oom_score_adj").trim().parse().unwrap()
}

/// Starts a child that takes its time, and answers its number.
fn slow_child(server: &Server, command: &str) -> u32 {
    let mut client = server.connect();
    client.good("CONFIG SET rdb-key-save-delay 10000000");
    client.good("SET a b");
    client.good(command);
    let mut children = Vec::new();
    wait_until("there is a child", || {
        children = children_of(server.pid());
        !children.is_empty()
    });
    children[0]
}

#[test]
fn titles_are_as_the_template_says() {
    for program in BOTH {
        let folder = Folder::new();
        let name = program.path().display().to_string();
        let mut server = Setup::new(program, &folder)
            .with("--bind 127.0.0.1 --requirepass secret-word")
            .start();
        let port = server.port;
        assert_eq!(title(server.pid()), format!("{name} 127.0.0.1:{port}"));
        let mut client = server.connect();
        client.good("AUTH secret-word");
        for (template, shown) in [
            ("TEST", "TEST".to_string()),
            (
                "{{x}|{port}|{unixsocket}|{tls-port}|",
                format!("{{x}}|{port}||0|"),
            ),
            ("{title}{server-mode}:", format!("{name}:")),
        ] {
            client.good_call(&["CONFIG", "SET", "proc-title-template", template]);
            assert_eq!(title(server.pid()), shown, "{program:?}");
        }
        let bad = client.error("CONFIG SET proc-title-template {title}{nonsense}");
        assert!(
            bad.contains("template format is invalid or contains unknown variables"),
            "{bad}"
        );
        client.error("CONFIG SET proc-title-template {title}");
        assert_eq!(title(server.pid()), format!("{name}:"));
        let long = "x".repeat(10_000);
        client.good_call(&["CONFIG", "SET", "proc-title-template", &long]);
        let shown = title(server.pid());
        assert!(
            shown.len() > name.len() && shown.chars().all(|c| c == 'x'),
            "{shown}"
        );
        assert!(!proc_file(server.pid(), "cmdline").contains("secret-word"));
        drop(client);
        server.signal(libc::SIGKILL);
        server.wait_end();
    }
}

#[test]
fn a_title_follows_the_port_and_can_be_left_alone() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut client = server.connect();
    let other = crate::support::process::free_port();
    client.good(&format!("CONFIG SET port {other}"));
    assert!(title(server.pid()).ends_with(&format!(" *:{other}")));
    drop(client);
    server.stop();
    let server = Setup::cairn(&folder).with("--set-proc-title no").start();
    assert!(proc_file(server.pid(), "cmdline").contains("--set-proc-title\0no"));
    server.stop();
}

#[test]
fn without_a_port_the_title_has_the_socket() {
    let folder = Folder::new();
    let socket = folder.path("s");
    let options = format!("--port 0 --unixsocket {}", socket.display());
    for program in BOTH {
        let mut server = Setup::new(program, &folder).with(&options).launch();
        wait_until("the title has the socket", || {
            title(server.pid()).ends_with(&format!(" unixsocket:{}", socket.display()))
        });
        server.signal(libc::SIGTERM);
        server.wait_end();
    }
}

#[test]
fn children_have_a_title_of_their_own() {
    for program in BOTH {
        for (command, name) in [
            ("BGSAVE", "redis-rdb-bgsave"),
            ("BGREWRITEAOF", "redis-aof-rewrite"),
        ] {
            let folder = Folder::new();
            let server = Setup::new(program, &folder).start();
            let child = slow_child(&server, command);
            wait_until("the child has its title", || {
                title(child) == format!("{name} *:{}", server.port)
            });
            if program == Program::Cairn {
                assert_eq!(status_of(child, "Name"), name[..15]);
                assert_eq!(status_of(server.pid(), "Name"), "cairn-server");
            }
            server.kill();
        }
    }
}

#[test]
fn scores_are_set_for_the_server_and_its_children_and_taken_back() {
    let start = proc_file(std::process::id(), "oom_score_adj")
        .trim()
        .parse::<i64>()
        .unwrap();
    for program in BOTH {
        let folder = Folder::new();
        let options = "--oom-score-adj yes --oom-score-adj-values 10 20 30";
        let server = Setup::new(program, &folder).with(options).start();
        assert_eq!(oom_score(server.pid()), start + 10);
        let child = slow_child(&server, "BGSAVE");
        wait_until("the child has its score", || oom_score(child) == start + 30);
        let mut client = server.connect();
        client.good("CONFIG SET oom-score-adj absolute");
        assert_eq!(oom_score(server.pid()), 10);
        client.good_call(&["CONFIG", "SET", "oom-score-adj-values", "200 300 2000"]);
        assert_eq!(oom_score(server.pid()), 200);
        let rises = "may not work for non-privileged processes";
        assert!(!server.log().contains(rises));
        client.good_call(&["CONFIG", "SET", "oom-score-adj-values", "200 300 100"]);
        assert!(server.log().contains(rises));
        client.good("CONFIG SET oom-score-adj no");
        assert_eq!(oom_score(server.pid()), start);
        server.kill();
    }
}

#[test]
fn a_score_that_the_system_refuses_leaves_all_as_it_was() {
    let wrapper = ["setpriv", "--bounding-set", "-sys_resource"];
    let (status, said) =
        crate::support::process::run_program(wrapper[0], &[wrapper[1], wrapper[2], "true"]);
    if !status.success() {
        return left_out("process::looks", &format!("setpriv: {said}"));
    }
    let mut told = Vec::new();
    for program in BOTH {
        let folder = Folder::new();
        let server = Setup::new(program, &folder).under(&wrapper).start();
        let mut client = server.connect();
        client.good("CONFIG SET oom-score-adj relative");
        let before = oom_score(server.pid());
        let set = [
            "CONFIG",
            "SET",
            "oom-score-adj-values",
            "-10 -1 800",
            "maxmemory",
            "77",
        ];
        let error = client.call(&set);
        assert_eq!(oom_score(server.pid()), before, "{program:?}");
        assert!(
            server
                .log()
                .contains("Unable to write oom_score_adj: Permission denied")
        );
        told.push((
            error,
            client.good("CONFIG GET oom-score-adj-values"),
            client.good("CONFIG GET maxmemory"),
        ));
        server.stop();
    }
    assert_eq!(told[0], told[1]);
}

#[test]
fn threads_and_children_run_on_the_processors_that_are_named() {
    let cpus = std::thread::available_parallelism().unwrap().get();
    if cpus < 2 {
        return left_out("process::looks", "one processor: nothing to tell apart");
    }
    let folder = Folder::new();
    let options = "--server_cpulist 0 --bio_cpulist 1 --bgsave_cpulist 1 --appendonly yes";
    let server = Setup::cairn(&folder).with(options).start();
    let allowed = |pid: u32| status_of(pid, "Cpus_allowed_list");
    assert_eq!(allowed(server.pid()), "0");
    server.connect().good("SET x y");
    let mut threads = Vec::new();
    wait_until("a thread that syncs the log is at work", || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
        let numbers =
            tasks.map(|task| task.unwrap().file_name().to_str().unwrap().parse().unwrap());
        threads = numbers
            .filter(|task: &u32| {
                *task != server.pid() && status_of(*task, "Name").starts_with("aof-sync")
            })
            .collect();
        !threads.is_empty()
    });
    for thread in threads {
        wait_until("the thread is where it is to be", || allowed(thread) == "1");
    }
    let child = slow_child(&server, "BGSAVE");
    wait_until("the child is where it is to be", || allowed(child) == "1");
    server.kill();
    let folder = Folder::new();
    let server = Setup::cairn(&folder)
        .with("--server_cpulist 0-zz --bio_cpulist 1023,x --bgsave_cpulist 3-1 --aof_rewrite_cpulist x")
        .start();
    let log = server.stop();
    for name in ["server", "bio", "bgsave", "aof_rewrite"] {
        assert!(
            log.contains(&format!("{name}_cpulist has no effect: '")),
            "{log}"
        );
    }
}

#[test]
fn the_process_stays_out_of_huge_pages() {
    for (options, enabled) in [("--disable-thp yes", "0"), ("--disable-thp no", "1")] {
        let folder = Folder::new();
        let server = Setup::cairn(&folder).with(options).start();
        assert_eq!(status_of(server.pid(), "THP_enabled"), enabled);
        server.stop();
    }
}
