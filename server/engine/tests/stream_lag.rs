//! What XINFO GROUPS says of entries read and left, where Redis 7.2 says a wrong number: never one that is not true.
//! And consumers that were given nothing, which 7.2 does not tell its log.

mod support;

use cairn_format::rdb::Dialect;
use support::Bench;

fn bench(lines: &[&str]) -> Bench {
    let mut bench = Bench::new();
    for line in lines {
        let reply = bench.line(line);
        assert!(!reply.starts_with('-'), "{line}: {reply}");
    }
    bench
}

/// Entries read and lag of the first group of a stream, -1 for none.
fn progress(bench: &mut Bench, key: &str) -> (i64, i64) {
    let groups = bench.value(&format!("XINFO GROUPS {key}"));
    let group = groups.as_array().expect("groups")[0].clone();
    let fields = group.as_array().expect("names and values");
    let number = |name: &str| {
        let at = fields
            .iter()
            .position(|f| f.as_bytes() == Some(name.as_bytes()));
        fields[at.expect("the field is there") + 1]
            .as_int()
            .unwrap_or(-1)
    };
    (number("entries-read"), number("lag"))
}

#[test]
fn deleted_before_they_were_read() {
    let mut bench = bench(&[
        "XGROUP CREATE p g $ MKSTREAM",
        "XADD p 7-1 f v",
        "XADD p 7-2 f v",
        "XREADGROUP GROUP g c STREAMS p >",
        "XADD p 7-3 f v",
        "XADD p 7-4 f v",
    ]);
    assert_eq!(progress(&mut bench, "p"), (2, 2));
    bench.line("XDEL p 7-3");
    assert_eq!(
        progress(&mut bench, "p"),
        (2, -1),
        "one is left, 7.2 says 2"
    );
    bench.line("XDEL p 7-1 7-2 7-4");
    assert_eq!(
        progress(&mut bench, "p").1,
        0,
        "nothing is left, 7.2 says 2"
    );
}

#[test]
fn passing_a_deleted_entry_does_not_count_it_away() {
    let mut bench = bench(&[
        "XADD s 1-0 f v",
        "XADD s 2-0 f v",
        "XADD s 3-0 f v",
        "XADD s 4-0 f v",
        "XGROUP CREATE s g 0",
        "XREADGROUP GROUP g c COUNT 1 STREAMS s >",
        "XDEL s 2-0",
        "XREADGROUP GROUP g c COUNT 1 STREAMS s >",
    ]);
    assert_eq!(
        progress(&mut bench, "s"),
        (-1, -1),
        "3-0 is the third that was added, 7.2 says the second"
    );
    bench.line("XREADGROUP GROUP g c COUNT 1 STREAMS s >");
    assert_eq!(progress(&mut bench, "s"), (4, 0));
    // What was read and is deleted then makes nothing uncertain: the counter goes on.
    bench.line("XDEL s 4-0");
    bench.line("XADD s 5-0 f v");
    bench.line("XREADGROUP GROUP g c COUNT 1 STREAMS s >");
    assert_eq!(progress(&mut bench, "s"), (5, 0));
}

#[test]
fn trimmed_before_they_were_read() {
    let mut bench = bench(&[
        "XADD x 1-0 f v",
        "XADD x 2-0 f v",
        "XADD x 3-0 f v",
        "XADD x 4-0 f v",
        "XADD x 5-0 f v",
        "XGROUP CREATE x g1 0",
        "XREADGROUP GROUP g1 c COUNT 1 STREAMS x >",
    ]);
    assert_eq!(progress(&mut bench, "x"), (1, 4));
    bench.line("XTRIM x MAXLEN 2");
    assert_eq!(progress(&mut bench, "x"), (1, 2), "7.2 says 4");
    bench.line("XREADGROUP GROUP g1 c COUNT 1 STREAMS x >");
    assert_eq!(progress(&mut bench, "x"), (4, 1), "7.2 says 2 and 3");
    bench.line("XTRIM x MAXLEN 0");
    assert_eq!(progress(&mut bench, "x").1, 0);
    bench.line("XADD x 9-0 f v");
    assert_eq!(progress(&mut bench, "x").1, 1);
}

/// A delivery reaches the log as a claim, which has no word for the count of entries read: whoever follows counts itself.
#[test]
fn who_follows_counts_as_well() {
    let mut bench = bench(&[
        "XGROUP CREATE s g 0 MKSTREAM",
        "XADD s 1-0 f v",
        "XADD s 2-0 f v",
        "XADD s 3-0 f v",
        "XREADGROUP GROUP g c COUNT 2 STREAMS s >",
    ]);
    let log = bench.propagated();
    let mut other = Bench::new();
    for line in &log {
        assert!(!other.line(line).starts_with('-'), "{line}");
    }
    assert_eq!(progress(&mut bench, "s"), (2, 1));
    assert_eq!(progress(&mut other, "s"), (2, 1));
    // A claim that jumps over entries says no more than can be known.
    other.line("XADD s 4-0 f v");
    other.line("XADD s 5-0 f v");
    other.line("XCLAIM s g c 0 4-0 FORCE JUSTID LASTID 4-0");
    assert_eq!(progress(&mut other, "s"), (-1, -1));
    other.line("XCLAIM s g c 0 5-0 FORCE JUSTID LASTID 5-0");
    assert_eq!(progress(&mut other, "s"), (5, 0));
}

#[test]
fn a_consumer_that_was_given_nothing_is_told() {
    for (line, told) in [
        ("XREADGROUP GROUP g c2 STREAMS s >", true),
        ("XREADGROUP GROUP g c2 NOACK STREAMS s >", true),
        ("XREADGROUP GROUP g c2 STREAMS s 0", true),
        ("XREADGROUP GROUP g c2 STREAMS s 5-5", true),
        ("XCLAIM s g c2 1000000 1-0", true),
        ("XCLAIM s g c2 0 9-9", true),
        ("XAUTOCLAIM s g c2 1000000 0", true),
        ("XCLAIM s g c2 0 1-0", false),
        ("XAUTOCLAIM s g c2 0 0", false),
    ] {
        let mut bench = bench(&[
            "XGROUP CREATE s g 0 MKSTREAM",
            "XADD s 1-0 f v",
            "XREADGROUP GROUP g c1 STREAMS s >",
        ]);
        bench.propagated();
        assert!(!bench.line(line).starts_with('-'), "{line}");
        let wanted = "XGROUP CREATECONSUMER s g c2".to_string();
        let fed = bench.propagated();
        assert_eq!(fed.contains(&wanted), told, "{line}: {fed:?}");
        // Once.
        bench.line(line);
        assert!(!bench.propagated().contains(&wanted), "{line}");
    }
}

/// XAUTOCLAIM that only finds entries which are gone tells their end, under the name of their owner.
#[test]
fn one_that_found_only_what_is_gone_is_told() {
    let mut bench = bench(&[
        "XGROUP CREATE s g 0 MKSTREAM",
        "XADD s 1-0 f v",
        "XREADGROUP GROUP g c1 STREAMS s >",
        "XDEL s 1-0",
    ]);
    bench.propagated();
    bench.line("XAUTOCLAIM s g c2 0 0");
    let fed = bench.propagated();
    assert!(
        fed.contains(&"XGROUP CREATECONSUMER s g c2".to_string()),
        "{fed:?}"
    );
    assert!(fed.iter().any(|line| line.starts_with("XCLAIM s g c1 ")));
}

/// A snapshot from before Redis 7.0 does not say what was added and read, and neither do payloads for such servers. 7.0.15
/// tells these numbers of them, by what is left.
#[test]
fn groups_from_before_the_counters_are_counted_at_load() {
    let mut bench = bench(&["XGROUP CREATE x first 0 MKSTREAM"]);
    for id in 1..=6 {
        bench.line(&format!("XADD x {id}-0 field value"));
    }
    for line in [
        "XDEL x 3-0",
        "XREADGROUP GROUP first consumer COUNT 4 STREAMS x >",
        "XTRIM x MAXLEN = 2",
        "XGROUP CREATE x none 0",
        "XGROUP CREATE x all $",
        "XGROUP CREATE x between 5-5",
    ] {
        bench.line(line);
    }
    bench.engine.ks.limits.dump_dialect = Some(Dialect::redis(9));
    let payload = bench
        .value("DUMP x")
        .as_bytes()
        .expect("a payload")
        .to_vec();
    bench.run(&[&b"RESTORE"[..], b"y", b"0", &payload]);
    let groups = String::from_utf8(bench.run(&["XINFO", "GROUPS", "y"])).expect("a text");
    let groups = groups.replace("\r\n", " ");
    for (name, read, lag) in [
        ("first", ":1", ":1"),
        ("none", ":0", ":2"),
        ("all", ":2", ":0"),
        ("between", "$-1", "$-1"),
    ] {
        let (_, group) = groups.split_once(&format!(" {name} ")).expect(name);
        let (_, counters) = group.split_once(" entries-read ").expect("counters");
        assert!(
            counters.starts_with(&format!("{read} $3 lag {lag} ")),
            "{name}: {groups}"
        );
    }
}
