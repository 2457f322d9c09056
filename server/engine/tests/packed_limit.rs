//! A packed value never grows beyond the size that is safe, whatever `*-max-listpack-*` say: it becomes a table, or an
//! element starts a node of its own. The real limit is 1 GiB; here it is 200 bytes.

mod support;

use cairn_format::crc64::crc64;
use support::Bench;

/// Limits of the types that allow everything.
fn unlimited() -> Bench {
    let mut bench = Bench::new();
    let limits = &mut bench.engine.ks.limits;
    limits.hash_listpack_entries = usize::MAX;
    limits.hash_listpack_value = usize::MAX;
    limits.set_listpack_entries = usize::MAX;
    limits.set_listpack_value = usize::MAX;
    limits.zset_listpack_entries = usize::MAX;
    limits.zset_listpack_value = usize::MAX;
    limits.tests.packed_bytes_max = 200;
    bench
}

fn encoding(bench: &mut Bench, key: &str) -> String {
    let reply = bench.line(&format!("OBJECT ENCODING {key}"));
    reply.lines().nth(1).expect("a name").to_string()
}

/// Every command that makes a packed value grow, by little steps and by one large one.
#[test]
fn packed_values_stop_growing() {
    let long = "x".repeat(300);
    let short = "y".repeat(30);
    let commands = [
        ("h", "HSET h f# VALUE", "hashtable"),
        ("h1", "HSETNX h1 f# VALUE", "hashtable"),
        ("h2", "HMSET h2 f# VALUE g# VALUE", "hashtable"),
        ("h3", "HSETEX h3 EX 100 FIELDS 1 f# VALUE", "hashtable"),
        ("s", "SADD s VALUE#", "hashtable"),
        ("z", "ZADD z 1 VALUE#", "skiplist"),
        ("z1", "ZINCRBY z1 1 VALUE#", "skiplist"),
    ];
    for (text, steps) in [(&short, 12), (&long, 1)] {
        let mut bench = unlimited();
        for (key, command, end) in commands {
            for step in 0..steps {
                let line = command
                    .replace("VALUE", text)
                    .replace('#', &step.to_string());
                let reply = bench.line(&line);
                assert!(!reply.starts_with('-'), "{line}: {reply}");
            }
            assert_eq!(encoding(&mut bench, key), end, "{command}");
        }
    }
}

#[test]
fn stored_results_and_copies_are_no_way_around() {
    let mut bench = unlimited();
    for step in 0..12 {
        bench.line(&format!("SADD s {}{step}", "y".repeat(30)));
        bench.line(&format!("ZADD z {step} {}{step}", "y".repeat(30)));
    }
    for (line, key, end) in [
        ("SINTERSTORE inter s s", "inter", "hashtable"),
        ("SUNIONSTORE union s s", "union", "hashtable"),
        ("ZUNIONSTORE zu 1 z", "zu", "skiplist"),
        ("ZRANGESTORE zr z 0 -1", "zr", "skiplist"),
        ("COPY s copy", "copy", "hashtable"),
    ] {
        let reply = bench.line(line);
        assert!(!reply.starts_with('-'), "{line}: {reply}");
        assert_eq!(encoding(&mut bench, key), end, "{line}");
    }
}

/// An integer set that becomes a listpack, and values of payloads.
#[test]
fn conversions_and_payloads_ask_as_well() {
    let mut bench = unlimited();
    for number in 0..60 {
        bench.line(&format!("SADD ints {}", 1_000_000 + number));
    }
    assert_eq!(encoding(&mut bench, "ints"), "intset");
    bench.line("SADD ints word");
    assert_eq!(encoding(&mut bench, "ints"), "hashtable");

    let mut whole = Bench::new();
    for step in 0..12 {
        whole.line(&format!("HSET h f{step} {}", "v".repeat(20)));
        whole.line(&format!("ZADD z {step} {}{step}", "v".repeat(20)));
        whole.line(&format!("SADD s {}{step}", "v".repeat(20)));
    }
    for (key, end) in [("h", "hashtable"), ("z", "skiplist"), ("s", "hashtable")] {
        let reply = whole.run(&[b"DUMP".as_slice(), key.as_bytes()]);
        let at = reply
            .iter()
            .position(|byte| *byte == b'\n')
            .expect("a header")
            + 1;
        let payload = &reply[at..reply.len() - 2];
        assert_eq!(
            crc64(&payload[..payload.len() - 8]).to_le_bytes(),
            payload[payload.len() - 8..]
        );
        bench.line(&format!("DEL {key}"));
        let restored = bench.run(&[b"RESTORE".as_slice(), key.as_bytes(), b"0", payload]);
        assert_eq!(restored, b"+OK\r\n", "{key}");
        assert_eq!(encoding(&mut bench, key), end, "{key}");
    }
}
