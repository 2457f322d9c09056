//! Figures of INFO that tell what happened, and the section that is shown to those who ask for it.

mod support;

use support::{Connection, Folder, Setup, wait_until};

fn figure(c: &mut Connection, section: &str, name: &str) -> u64 {
    let info = c.info(section);
    let text = info.get(name).unwrap_or_else(|| panic!("no {name}"));
    text.parse().expect("a number")
}

#[test]
fn what_a_turn_is_made_of_is_told_to_those_who_ask() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder)
        .with("--appendonly yes --appendfsync always --hz 100")
        .start();
    let mut c = server.connect();
    let debug = |c: &mut Connection, name: &str| figure(c, "debug", &format!("eventloop_{name}"));
    c.good("SET k v");
    assert!(debug(&mut c, "duration_aof_sum") > 0, "a sync takes time");
    wait_until("timed work", || debug(&mut c, "duration_cron_sum") > 0);
    assert!(debug(&mut c, "duration_max") > 0);
    let mut pipeline = Vec::new();
    for _ in 0..20 {
        pipeline.extend_from_slice(b"*1\r\n$4\r\nPING\r\n");
    }
    c.send(&pipeline);
    (0..20).for_each(|_| drop(c.read()));
    assert!(debug(&mut c, "cmd_per_cycle_max") >= 2);
    for hidden in ["", "all", "everything", "default"] {
        let text = c.text(format!("INFO {hidden}").trim());
        assert!(
            !text.contains("eventloop_duration_aof_sum"),
            "INFO {hidden}"
        );
        assert!(text.contains("eventloop_cycles"), "INFO {hidden}");
    }
    wait_until("a sample", || {
        figure(&mut c, "stats", "instantaneous_eventloop_cycles_per_sec") > 0
    });
}

#[test]
fn reads_and_writes_of_sockets_are_counted() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut c = server.connect();
    let both = |c: &mut Connection| {
        let info = c.info("stats");
        ["total_reads_processed", "total_writes_processed"]
            .map(|name| info[name].parse::<u64>().expect("a number"))
    };
    let before = both(&mut c);
    for _ in 0..10 {
        c.good("PING");
    }
    let after = both(&mut c);
    assert!(
        after[0] >= before[0] + 11 && after[1] >= before[1] + 11,
        "{before:?} {after:?}"
    );
}

#[test]
fn what_is_freed_elsewhere_is_counted() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut c = server.connect();
    let words: Vec<String> = ["SADD".into(), "set".into()]
        .into_iter()
        .chain((0..1000).map(|i| format!("element-{i}")))
        .collect();
    c.good_call(&words);
    c.good("UNLINK set");
    wait_until("it is freed", || {
        figure(&mut c, "memory", "lazyfreed_objects") == 1
    });
    c.good("CONFIG RESETSTAT");
    assert_eq!(figure(&mut c, "memory", "lazyfreed_objects"), 0);
}

#[test]
fn connections_kept_for_migrate_are_counted() {
    let (here, there) = (Folder::new(), Folder::new());
    let (from, to) = (Setup::cairn(&here).start(), Setup::cairn(&there).start());
    let mut c = from.connect();
    assert_eq!(figure(&mut c, "stats", "migrate_cached_sockets"), 0);
    c.good("SET k v");
    c.good(&format!("MIGRATE 127.0.0.1 {} k 0 5000", to.port));
    assert_eq!(figure(&mut c, "stats", "migrate_cached_sockets"), 1);
}

/// A command of very many words takes memory for where each word is; that is given back, not kept for the next such command.
#[test]
fn memory_of_a_command_of_many_words_comes_back() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).with("--hz 100").start();
    let mut c = server.connect();
    let used = |c: &mut Connection| figure(c, "memory", "used_memory");
    let before = used(&mut c);
    let words: Vec<String> = (0..200_000).map(|n| n.to_string()).collect();
    let call: Vec<&str> = ["SADD", "set"]
        .into_iter()
        .chain(words.iter().map(String::as_str))
        .collect();
    assert_eq!(c.call(&call).as_int(), Some(200_000));
    assert!(used(&mut c) > before + 1_000_000);
    c.good("UNLINK set");
    wait_until("the memory comes back", || used(&mut c) < before + 200_000);
}

/// The lines that Redis 8.2.3 answers to the same commands, streams not among them.
#[test]
fn keysizes_counts_every_key_by_type_and_size() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut client = server.connect();
    let commands = "SET e |SET a 1|SET b 12|SET c 123|SET d 1234567|SETRANGE big 1023 x|SETRANGE big2 1024 x|\
        SETRANGE huge 1048575 x|RPUSH l 1 2 3|SADD s 1 2 3 4|SADD s2 a b c|ZADD z 1 a 2 b|HSET h a 1 b 2 c 3|\
        XADD st * a 1|SET neg -5|PFADD hll a|DEL s|APPEND a 1234567|HDEL h a b|SELECT 1|SET x 5";
    for line in commands.split('|') {
        let words: Vec<&str> = line.split(' ').map(str::trim).collect();
        client.call(&words);
    }
    let told = client.call(&["INFO", "keysizes"]);
    assert_eq!(
        String::from_utf8_lossy(told.as_bytes().unwrap()),
        "# Keysizes\r\n\
         db0_distrib_strings_sizes:0=1,2=3,4=1,8=1,16=1,1K=2,1M=1\r\n\
         db0_distrib_lists_items:2=1\r\n\
         db0_distrib_sets_items:2=1\r\n\
         db0_distrib_zsets_items:2=1\r\n\
         db0_distrib_hashes_items:1=1\r\n\
         db1_distrib_strings_sizes:1=1\r\n"
    );
    client.call(&["FLUSHALL"]);
    let told = client.call(&["INFO", "keysizes"]);
    assert_eq!(told.as_bytes().unwrap(), b"# Keysizes\r\n");
}
