//! What bench-tool makes of words and files of strangers: workloads, requests, what MONITOR printed.

use bench_tool::{requests_of_file, requests_of_words, skimmed, words_of_line};
use cairn_format::resp::request::{Limits, RequestParser, Step};
use cairn_format::resp::value::{ReplyScanner, ReplyStep};
use cairn_format::text::words::quote;

/// Any text is a workload file or an error with its place; what is taken makes requests that a server can read.
pub fn workload(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match requests_of_file(text) {
        Ok(requests) => requests
            .iter()
            .for_each(|(bytes, commands)| are_commands(bytes, *commands)),
        Err((line, column, what)) => {
            assert!(
                line >= 1 && line <= text.matches('\n').count() + 1,
                "{line}"
            );
            assert!(column >= 1 && !what.is_empty());
        }
    }
}

/// Any words are a request or an error.
pub fn request(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(requests) = requests_of_words(text)
    {
        requests
            .iter()
            .for_each(|(bytes, commands)| are_commands(bytes, *commands));
    }
}

/// Exactly so many whole commands, and nothing behind them.
fn are_commands(bytes: &[u8], commands: u32) {
    let (mut at, mut count) = (0, 0);
    let limits = Limits::default();
    while at < bytes.len() {
        let mut ranges = Vec::new();
        match RequestParser::default().next(bytes, at, &mut ranges, &limits) {
            Step::Command { end } => at = end,
            other => panic!("no command: {other:?} in {}", bytes.escape_ascii()),
        }
        count += 1;
    }
    assert_eq!((at, count), (bytes.len(), commands));
}

/// Replies that are passed over as a run end where they end one by one, and where the scanner ends them.
pub fn skim(bytes: &[u8]) {
    let Some((&most, bytes)) = bytes.split_first() else {
        return;
    };
    let (replies, end, misses) = skimmed(bytes, u64::from(most));
    let mut single = (0, 0, 0);
    while single.0 < replies {
        let rest = &bytes[single.1..];
        let (one, len, missed) = skimmed(rest, 1);
        assert_eq!(one, 1, "a reply that is none by itself");
        match ReplyScanner::new().next(rest, 0) {
            Ok(ReplyStep::Complete { end }) => assert_eq!(end, len),
            other => panic!("no reply: {other:?}"),
        }
        single = (single.0 + 1, single.1 + len, single.2 + missed);
    }
    assert_eq!(single, (replies, end, misses));
    assert!(replies == u64::from(most) || skimmed(&bytes[end..], 1).0 == 0);
}

/// Replies in a row, behind how many of them are passed over.
pub fn reply_rows() -> Vec<Vec<u8>> {
    let ok = b"+OK\r\n".repeat(5);
    let strings = b"$3\r\nabc\r\n$3\r\nabd\r\n$4\r\nabcd\r\n$-1\r\n".repeat(3);
    let others = b":0\r\n:1\r\n*1\r\n+a\r\n-ERR no\r\n_\r\n".to_vec();
    let rows = [ok, strings, others].map(|row| [&[200][..], &row].concat());
    rows.to_vec()
}

/// Any line is one of MONITOR, nothing, or an error; its words, written as MONITOR writes them, are the same again.
pub fn monitor(bytes: &[u8]) {
    if let Ok(Some(words)) = words_of_line(bytes) {
        let quoted: Vec<String> = words.iter().map(|word| quote(word)).collect();
        let again = format!("1700000000.000001 [0 127.0.0.1:1] {}", quoted.join(" "));
        assert_eq!(words_of_line(again.as_bytes()), Ok(Some(words)), "{again}");
    }
}

/// Lines of MONITOR.
pub fn monitor_lines() -> Vec<Vec<u8>> {
    [
        "1700000000.123456 [0 127.0.0.1:50412] \"SET\" \"key\" \"a\\x00b\"",
        "+1.000001 [15 [::1]:6379] \"GET\" \"key\"",
        "1700000000.000000 [0 lua] \"PING\"",
        "1700000000.000000 [0 unix:/tmp/sock] \"EVAL\" \"return 1\" \"0\"",
        "OK",
    ]
    .map(|line| line.as_bytes().to_vec())
    .to_vec()
}

/// Requests with places in them.
pub fn bench_requests() -> Vec<Vec<u8>> {
    [
        "SET key:{rand:1000} {data:64}",
        "HSET user:{=id:int:zipf:1000:0.99} id {=id} {field:10} {data:lognormal:20:0.5:100,compress=50}",
        "GET {key:latest:100} ; SET {{tag}}{key:insert:100} {data:uniform:1:9}",
        "ZADD z {int:normal:100:50:10} \"a {member:hot:100:10:90}\"",
    ]
    .map(|line| line.as_bytes().to_vec())
    .to_vec()
}

/// Workload files.
pub fn workloads() -> Vec<Vec<u8>> {
    let file = "keys = 50\n[load]\nclients = 2\nrate = \"5,8\"\npoisson = true\nduration = 4\n[distribution.sizes]\nquantiles = [[0.0, 3], [1.0, 90]]\n\
                [distribution.popular]\nranks = [[1, 0.3], [9, 1.0]]\n[[command]]\nrun = \"SET {key:@popular} {data:@sizes}\"\nweight = 9\n\
                [[prefill]]\nrun = \"SET {key:seq} {data:4}\"\ncount = 5\n";
    let short = "[[command]]\nrun = \"GET {key}\"\nname = \"read\"\n";
    vec![file.as_bytes().to_vec(), short.as_bytes().to_vec()]
}

/// Words of places.
pub fn place_words() -> Vec<Vec<u8>> {
    let words = [
        "{key:",
        "{int:",
        "{data:",
        "{field",
        "{member",
        "{=a:",
        "{=a}",
        "{seq}",
        "{rand:9}",
        "uniform:",
        "zipf:",
        "normal:",
        "hot:",
        "insert:",
        "latest:",
        "lognormal:",
        "@sizes",
        ",compress=",
        " ; ",
        "{{",
        "}}",
        "run = ",
        "ranks = ",
        "quantiles = ",
        "[[command]]\n",
        "[[prefill]]\n",
        "[distribution.",
    ];
    words.map(|word| word.as_bytes().to_vec()).to_vec()
}
