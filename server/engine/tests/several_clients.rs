//! What one client does to others that watch or listen: each of them is reached, and only those.

mod support;

use support::Bench;

/// All that watch a key hear of a change, whoever came first, and whoever forgot it meanwhile.
#[test]
fn every_watcher_of_a_key_fails() {
    for count in [1, 2, 3] {
        for forgets in 0..=count {
            let mut bench = Bench::new();
            let watchers: Vec<_> = (0..count).map(|_| bench.open()).collect();
            for (i, watcher) in watchers.iter().enumerate() {
                bench.run_as(*watcher, &["WATCH", "k", "other"]);
                bench.run_as(*watcher, &["MULTI"]);
                bench.run_as(*watcher, &["SET", &format!("done{i}"), "v"]);
            }
            if let Some(one) = watchers.get(forgets) {
                bench.run_as(*one, &["DISCARD"]);
                bench.run_as(*one, &["MULTI"]);
            }
            bench.line("SET k v");
            for (i, watcher) in watchers.iter().enumerate() {
                let reply = bench.run_as(*watcher, &["EXEC"]);
                let expected: &[u8] = if i == forgets { b"*0\r\n" } else { b"*-1\r\n" };
                assert_eq!(reply, expected, "client {i} of {count}, {forgets} forgot");
                assert_eq!(bench.line(&format!("EXISTS done{i}")), ":0\r\n");
            }
            // And once more: nobody watches any longer.
            for watcher in &watchers {
                bench.run_as(*watcher, &["MULTI"]);
                bench.line("SET k w");
                assert_eq!(bench.run_as(*watcher, &["EXEC"]), b"*0\r\n");
            }
        }
    }
}

/// One of two watchers that has run its EXEC takes nothing from the other.
#[test]
fn a_watcher_that_is_done_leaves_the_other_watching() {
    for first in [0, 1] {
        let mut bench = Bench::new();
        let watchers = [bench.open(), bench.open()];
        for watcher in watchers {
            bench.run_as(watcher, &["WATCH", "k"]);
        }
        bench.run_as(watchers[first], &["MULTI"]);
        bench.run_as(watchers[first], &["SET", "k", "mine"]);
        assert_eq!(
            bench.run_as(watchers[first], &["EXEC"]),
            b"*1\r\n+OK\r\n",
            "its own change does not count"
        );
        bench.run_as(watchers[1 - first], &["MULTI"]);
        bench.run_as(watchers[1 - first], &["SET", "k", "late"]);
        assert_eq!(bench.run_as(watchers[1 - first], &["EXEC"]), b"*-1\r\n");
        assert_eq!(bench.line("GET k"), "$4\r\nmine\r\n");
    }
}

/// Channels and patterns are told apart by case, in every direction and for PUBSUB, too.
#[test]
fn channels_and_patterns_know_case() {
    let mut bench = Bench::new();
    let (upper, lower, channel) = (bench.open(), bench.open(), bench.open());
    bench.run_as(upper, &["PSUBSCRIBE", "News.[A-C]*", "X"]);
    bench.run_as(lower, &["PSUBSCRIBE", "news.[a-c]*", "x"]);
    bench.run_as(channel, &["SUBSCRIBE", "News.A"]);
    for (name, expected) in [
        ("News.A", [1, 0, 1]),
        ("news.a", [0, 1, 0]),
        ("News.a", [0, 0, 0]),
        ("NEWS.A", [0, 0, 0]),
        ("news.A", [0, 0, 0]),
        ("X", [1, 0, 0]),
        ("x", [0, 1, 0]),
    ] {
        bench.world.delivered.clear();
        let reached: i32 = expected.iter().sum();
        assert_eq!(
            bench.line(&format!("PUBLISH {name} hello")),
            format!(":{reached}\r\n"),
            "{name}"
        );
        for (session, count) in [upper, lower, channel].into_iter().zip(expected) {
            let got = bench.world.delivered.contains_key(&session);
            assert_eq!(got, count == 1, "{name}");
        }
    }
    assert_eq!(bench.line("PUBSUB CHANNELS news*"), "*0\r\n");
    assert_eq!(bench.line("PUBSUB CHANNELS N*"), "*1\r\n$6\r\nNews.A\r\n");
    assert_eq!(
        bench.line("PUBSUB NUMSUB news.a News.A"),
        "*4\r\n$6\r\nnews.a\r\n:0\r\n$6\r\nNews.A\r\n:1\r\n"
    );
}
