//! RESTORE takes bytes from any client: whatever they are, the answer is a value that every command can read, or an
//! error. Each payload is damaged at every byte, with the checksum put right again, so that the damage gets through.

mod support;

use cairn_format::crc64::crc64;
use cairn_format::resp::value::Value;
use support::Bench;

/// One value of each type and encoding, by name of its key.
fn fill(bench: &mut Bench) -> Vec<&'static str> {
    for line in [
        "SET text hello",
        "SET number 12345",
        "RPUSH list a 1 -70000 some-longer-text",
        "SADD integers 1 2 70000",
        "SADD words a b 3",
        "ZADD scores 1 a 2.5 b -3 c",
        "HSET fields f v n 5",
    ] {
        bench.line(line);
    }
    let limits = &mut bench.engine.ks.limits;
    limits.hash_listpack_entries = 0;
    limits.set_listpack_entries = 0;
    limits.set_intset_entries = 0;
    limits.zset_listpack_entries = 0;
    limits.list_listpack_size = 2;
    bench.line("RPUSH chain a b c d e");
    bench.line("SADD table a b");
    bench.line("ZADD ranked 1 a 2.5 b");
    bench.line("HSET hashed f v g w");
    bench.engine.ks.limits = cairn_engine::base::limits::Limits::default();
    vec![
        "text", "number", "list", "integers", "words", "scores", "fields", "chain", "table",
        "ranked", "hashed",
    ]
}

fn dump(bench: &mut Bench, key: &str) -> Vec<u8> {
    let value = bench.value(&format!("DUMP {key}"));
    value.as_bytes().expect("a payload").to_vec()
}

/// Puts the checksum of the first bytes behind them.
fn seal(payload: &mut [u8]) {
    let body = payload.len() - 8;
    let sum = crc64(&payload[..body]);
    payload[body..].copy_from_slice(&sum.to_le_bytes());
}

/// Restores and reads everything that the type has to show. Answers whether it was taken.
fn restore_and_read(bench: &mut Bench, payload: &[u8]) -> bool {
    let reply = bench.run(&[b"RESTORE".as_slice(), b"new", b"0", payload, b"REPLACE"]);
    if reply.starts_with(b"-") {
        assert!(
            reply.starts_with(b"-ERR Bad data format")
                || reply.starts_with(b"-ERR DUMP payload version or checksum are wrong"),
            "{}",
            reply.escape_ascii()
        );
        return false;
    }
    for line in [
        "TYPE new",
        "OBJECT ENCODING new",
        "GET new",
        "LRANGE new 0 -1",
        "LPOS new a",
        "SMEMBERS new",
        "SISMEMBER new 70000",
        "ZRANGE new 0 -1 WITHSCORES",
        "ZRANK new b",
        "HGETALL new",
        "HGET new f",
        "SORT new ALPHA",
        "DUMP new",
        "COPY new other REPLACE",
        "LPOP new",
        "SPOP new",
        "ZPOPMIN new",
        "HDEL new f",
        "DEL new",
    ] {
        let reply = bench.run(&line.split(' ').collect::<Vec<_>>());
        assert!(Value::decode(&reply).is_ok(), "{line}");
    }
    true
}

#[test]
fn damaged_payloads_are_refused_or_harmless() {
    let mut bench = Bench::new();
    let mut taken = 0;
    for key in fill(&mut bench) {
        let whole = dump(&mut bench, key);
        assert!(restore_and_read(&mut bench, &whole), "{key} as it was");
        for at in 0..whole.len() - 8 {
            for change in [1, 0x80, 0xff, whole[at].wrapping_add(1) ^ whole[at]] {
                let mut damaged = whole.clone();
                damaged[at] ^= change;
                seal(&mut damaged);
                taken += usize::from(restore_and_read(&mut bench, &damaged));
            }
            let mut cut = whole[..at].to_vec();
            cut.extend_from_slice(&whole[whole.len() - 10..]);
            seal(&mut cut);
            restore_and_read(&mut bench, &cut);
        }
    }
    // Letters may change without harm; lengths and types may not.
    assert!(
        taken > 50,
        "only {taken} changes of mere content were taken"
    );
}

#[test]
fn a_payload_comes_back_as_the_value_it_was() {
    let mut bench = Bench::new();
    for key in fill(&mut bench) {
        let payload = dump(&mut bench, key);
        let restored = bench.run(&[b"RESTORE".as_slice(), b"copy", b"0", &payload, b"REPLACE"]);
        assert_eq!(restored, b"+OK\r\n", "{key}");
        let digest = |bench: &mut Bench, key: &[u8]| {
            let slot = bench.engine.ks.find(key).expect("the key is there");
            cairn_engine::persist::digest::of_value(bench.engine.ks.record(slot))
        };
        assert_eq!(
            digest(&mut bench, key.as_bytes()),
            digest(&mut bench, b"copy"),
            "{key}"
        );
    }
}
