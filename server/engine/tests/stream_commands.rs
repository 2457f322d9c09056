//! What recorded sessions do not show of streams: answers that a Redis 7.0.15 gave, what is propagated and comes back,
//! and what transactions see.

mod support;

use cairn_engine::base::id::SessionId;
use cairn_format::resp::value::Value;
use support::Bench;

fn filled() -> Bench {
    let mut bench = Bench::new();
    for line in [
        "XADD s 1-1 f v",
        "XADD s 1-2 f v",
        "XADD s 2-1 other v f w",
        "XGROUP CREATE s g 0",
        "XREADGROUP GROUP g c0 COUNT 1 STREAMS s >",
    ] {
        assert!(!bench.line(line).starts_with('-'), "{line}");
    }
    bench.propagated();
    bench
}

#[test]
fn options_are_refused_in_the_words_of_redis() {
    let mut bench = filled();
    let syntax = "syntax error";
    let invalid = "Invalid stream ID specified as stream command argument";
    for (line, text) in [
        (
            "XTRIM s LIMIT 0",
            "syntax error, XTRIM must be called with a trimming strategy",
        ),
        (
            "XTRIM s LIMIT 5",
            "syntax error, LIMIT cannot be used without specifying a trimming strategy",
        ),
        (
            "XADD s LIMIT 0 9-1 f v",
            "syntax error, LIMIT cannot be used without the special ~ option",
        ),
        (
            "XADD s NOMKSTREAM MAXLEN 4 NOMKSTREAM",
            "wrong number of arguments for 'xadd' command",
        ),
        (
            "XREADGROUP COUNT 1 NOACK STREAMS s >",
            "Missing GROUP option for XREADGROUP",
        ),
        ("XREADGROUP GROUP a b COUNT 1 NOACK", syntax),
        ("XAUTOCLAIM s g c 0 0 COUNT 0", "COUNT must be > 0"),
        (
            "XAUTOCLAIM s g c 0 0 COUNT 9223372036854775807",
            "COUNT must be > 0",
        ),
        ("XAUTOCLAIM s g c 0 0 COUNT", syntax),
        (
            "XAUTOCLAIM s g c x 0",
            "Invalid min-idle-time argument for XAUTOCLAIM",
        ),
        (
            "XCLAIM s g c x 0",
            "Invalid min-idle-time argument for XCLAIM",
        ),
        (
            "XCLAIM s g c 0 0 IDLE x",
            "Invalid IDLE option argument for XCLAIM",
        ),
        (
            "XCLAIM s g c 0 0 TIME x",
            "Invalid TIME option argument for XCLAIM",
        ),
        (
            "XCLAIM s g c 0 0 RETRYCOUNT x",
            "Invalid RETRYCOUNT option argument for XCLAIM",
        ),
        ("XCLAIM s g c 0 0 LASTID x", invalid),
        (
            "XCLAIM s g c 0 0 RETRYCOUNT",
            "Unrecognized XCLAIM option 'RETRYCOUNT'",
        ),
        (
            "XGROUP CREATE s h 0 MKSTREAM MKSTREAM MKSTREAM MKSTREAM",
            "unknown subcommand or wrong number of arguments for 'CREATE'. Try XGROUP HELP.",
        ),
        (
            "XGROUP SETID s g 0 MKSTREAM",
            "unknown subcommand or wrong number of arguments for 'SETID'. Try XGROUP HELP.",
        ),
        ("XPENDING s g IDLE 5 - +", syntax),
    ] {
        assert_eq!(bench.line(line), format!("-ERR {text}\r\n"), "{line}");
    }
    assert_eq!(bench.propagated(), Vec::<String>::new());
}

#[test]
fn groups_can_be_set_to_either_end() {
    let mut bench = filled();
    assert_eq!(bench.line("XGROUP SETID s g +"), "+OK\r\n");
    assert_eq!(bench.line("XREADGROUP GROUP g c0 STREAMS s >"), "*-1\r\n");
    assert_eq!(bench.line("XGROUP SETID s g -"), "+OK\r\n");
    let reply = bench.value("XREADGROUP GROUP g c1 STREAMS s >");
    assert_eq!(reply.as_array().map(<[Value]>::len), Some(1));
    // An entry that was pending at another consumer is now pending at this one, delivered once.
    let pending = "*3\r\n*4\r\n$3\r\n1-1\r\n$2\r\nc1\r\n:0\r\n:1\r\n*4\r\n$3\r\n1-2\r\n$2\r\nc1\r\n:0\r\n:1\r\n*4\r\n$3\r\n2-1\r\n$2\r\nc1\r\n:0\r\n:1\r\n";
    assert_eq!(bench.line("XPENDING s g - + 10"), pending);
}

#[test]
fn watchers_see_entries_and_not_groups() {
    for (line, seen) in [
        ("XADD s * a b", true),
        ("XDEL s 1-1", true),
        ("XTRIM s MAXLEN 0", true),
        ("XGROUP CREATE other g 0 MKSTREAM", true),
        ("XSETID s 5-5", false),
        ("XGROUP CREATE s g2 0", false),
        ("XGROUP SETID s g 0", false),
        ("XGROUP DESTROY s g", false),
        ("XGROUP CREATECONSUMER s g c", false),
        ("XGROUP DELCONSUMER s g c0", false),
        ("XREADGROUP GROUP g c STREAMS s >", false),
        ("XACK s g 1-1", false),
        ("XCLAIM s g c9 0 1-1", false),
        ("XAUTOCLAIM s g c9 0 0", false),
    ] {
        let mut bench = filled();
        let watcher = bench.open();
        bench.run_as(watcher, &["WATCH", "s", "other"]);
        assert!(!bench.line(line).starts_with('-'), "{line}");
        bench.run_as(watcher, &["MULTI"]);
        bench.run_as(watcher, &["PING"]);
        let reply = bench.run_as(watcher, &["EXEC"]);
        assert_eq!(reply == b"*-1\r\n", seen, "{line}");
    }
}

/// What was propagated run on a second server: both are the same. (Reading history counts deliveries, but is not
/// propagated, in Redis too: it is not among these.)
#[test]
fn a_replica_becomes_the_same() {
    let mut bench = Bench::new();
    for i in 0..250 {
        bench.sleep_ms(3);
        bench.line(&format!("XADD s MAXLEN ~ 120 * n {i}"));
        bench.line(&format!(
            "XADD t MINID ~ {} LIMIT 100 {i}-* a 1 b {i}",
            i / 2
        ));
    }
    for line in [
        "XGROUP CREATE s g 0",
        "XGROUP CREATE t g 3 ENTRIESREAD 1",
        "XREADGROUP GROUP g c0 COUNT 30 STREAMS s t > >",
        "XREADGROUP GROUP g c1 NOACK COUNT 10 STREAMS s >",
        "XREADGROUP GROUP g c2 COUNT 10 STREAMS t >",
        "XGROUP CREATECONSUMER s g c5",
        "XTRIM t MAXLEN ~ 110 LIMIT 0",
        "XCLAIM t g c3 0 200-0 201-0 202-0 JUSTID FORCE",
        "XDEL t 201-0",
        "XAUTOCLAIM t g c4 0 0 COUNT 20",
        "XCLAIM t g c4 0 9-9 LASTID 248-0",
        "XACK t g 200-0",
        "XSETID s 9999999999999-1 ENTRIESADDED 400 MAXDELETEDID 5-5",
        "XGROUP DELCONSUMER t g c3",
        "XTRIM s MAXLEN ~ 10",
        "COPY t u",
    ] {
        let reply = bench.line(line);
        assert!(!reply.starts_with('-'), "{line}: {reply}");
    }
    let mut replica = Bench::new();
    replica.world.now = bench.world.now;
    replica.engine.set_now(bench.world.now);
    if let Some(session) = replica.engine.shared.sessions.get_mut(replica.session) {
        session.role = cairn_engine::session::Role::Replay;
    }
    for line in bench.propagated() {
        let reply = replica.line(&line);
        assert!(!reply.starts_with('-'), "{line}: {reply}");
    }
    for line in [
        "XINFO STREAM s",
        "XINFO STREAM t",
        "XINFO STREAM u",
        "XINFO GROUPS t",
        "XPENDING t g - + 100",
        "XPENDING s g",
        "XPENDING u g",
    ] {
        assert_eq!(bench.line(line), replica.line(line), "{line}");
    }
}

#[test]
fn reading_several_streams_is_a_map_in_resp3() {
    let mut bench = filled();
    bench.resp3();
    let reply = bench.line("XREAD COUNT 1 STREAMS s missing s 0 0 1-2");
    let first = "$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n";
    let second = "$1\r\ns\r\n*1\r\n*2\r\n$3\r\n2-1\r\n*4\r\n$5\r\nother\r\n$1\r\nv\r\n$1\r\nf\r\n$1\r\nw\r\n";
    assert_eq!(reply, format!("%2\r\n{first}{second}"));
    assert_eq!(bench.line("XREAD STREAMS missing $"), "_\r\n");
}

/// What reached a session that waited.
fn arrived(bench: &mut Bench, session: SessionId) -> String {
    let bytes = bench.world.delivered.remove(&session).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn the_last_id_is_that_of_the_moment_when_waiting_began() {
    let mut bench = filled();
    let waiter = bench.open();
    let command = ["XREAD", "BLOCK", "0", "STREAMS", "s", "other", "$", "$"];
    assert_eq!(bench.run_as(waiter, &command), b"");
    // Touched, but nothing new: the client goes on waiting.
    bench.line("XDEL s 2-1");
    assert_eq!(arrived(&mut bench, waiter), "");
    bench.line("XADD s 5-1 a b");
    let entry = "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n5-1\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n";
    assert_eq!(arrived(&mut bench, waiter), entry);
    bench.line("XADD s 6-1 a b");
    assert_eq!(arrived(&mut bench, waiter), "");
}

#[test]
fn a_waiting_consumer_hears_of_entries_and_of_the_end_of_its_group() {
    let mut bench = filled();
    let (first, second) = (bench.open(), bench.open());
    bench.line("XREADGROUP GROUP g c0 STREAMS s >");
    let read = |consumer: &'static str| {
        [
            "XREADGROUP",
            "GROUP",
            "g",
            consumer,
            "BLOCK",
            "0",
            "STREAMS",
            "s",
            ">",
        ]
    };
    bench.run_as(first, &read("c1"));
    bench.run_as(second, &read("c2"));
    bench.propagated();
    bench.line("XADD s 7-1 f v");
    assert!(arrived(&mut bench, first).contains("7-1"));
    assert_eq!(arrived(&mut bench, second), "");
    let now = Bench::START_MS;
    let propagated = [
        "XADD s 7-1 f v".to_string(),
        format!("XCLAIM s g c1 0 7-1 TIME {now} RETRYCOUNT 1 FORCE JUSTID LASTID 7-1"),
    ];
    assert_eq!(bench.propagated(), propagated);
    bench.line("XGROUP DESTROY s g");
    let gone = "-NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option\r\n";
    assert_eq!(arrived(&mut bench, second), gone);
}

#[test]
fn inside_a_transaction_nobody_waits() {
    let mut bench = filled();
    bench.line("MULTI");
    bench.line("XREAD BLOCK 0 STREAMS s $");
    bench.line("XREADGROUP GROUP g c BLOCK 0 STREAMS missing >");
    let reply = bench.line("EXEC");
    assert!(reply.starts_with("*2\r\n*-1\r\n-NOGROUP "), "{reply}");
}
