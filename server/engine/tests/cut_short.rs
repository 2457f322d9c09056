//! Options that lack their value, at the end of a command or before the next word, against what a Redis 7.0.15 replies
//! (`cut_short.txt`): each parser of options has such an edge.

mod support;

use support::Bench;

const XREAD: &str =
    "-ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified.";
const XREADGROUP: &str = "-ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified.";

/// Replies that are others here, as in 7.2: its words for streams, and HELLO reads all of its options before it looks at the password.
const OTHER: [(&str, &str); 6] = [
    ("XREAD STREAMS s 0 COUNT", XREAD),
    ("XREAD COUNT 1 STREAMS s", XREAD),
    ("XREAD STREAMS s t 0", XREAD),
    ("XREADGROUP COUNT 1 STREAMS s > GROUP", XREADGROUP),
    ("XREADGROUP GROUP g c STREAMS s t >", XREADGROUP),
    (
        "HELLO 3 AUTH u p SETNAME",
        "-ERR Syntax error in HELLO option 'SETNAME'",
    ),
];

#[test]
fn what_is_cut_short_is_refused_as_by_redis() {
    let text = include_str!("cut_short.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let (setup, cases): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.starts_with("> "));
    let (mut asked, mut different) = (0, Vec::new());
    for (line, reply) in cases.iter().filter_map(|case| case.split_once('\t')) {
        let mut bench = Bench::new();
        setup.iter().for_each(|line| drop(bench.line(&line[2..])));
        let other = OTHER.iter().find(|(of, _)| *of == line);
        let want = other.map_or(reply, |(_, reply)| *reply);
        let got = bench.line(line);
        if got.trim_end() != want {
            different.push(format!("{line}\n    {}\n    {want}", got.trim_end()));
        }
        asked += 1;
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(asked > 200, "only {asked} were asked");
}
