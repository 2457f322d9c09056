//! What a Redis 7.0.15 said in COMMAND DOCS of each command and subcommand (`testdata/commands-docs-7.0.tsv`: name, the version that
//! brought it, group, order of its complexity or `-` where it names none), compared with our constants.

use std::collections::BTreeMap;

use super::Bench;

/// Of another order here, on purpose.
const OTHER_ORDER: [(&str, &str); 7] = [
    ("cluster|getkeysinslot", "N counts the keys asked for"),
    ("cluster|replicas", "all nodes are walked"),
    ("cluster|slaves", "all nodes are walked"),
    ("geodist", "members are found by hash"),
    (
        "geohash",
        "members are found by hash, and N counts those asked for",
    ),
    ("punsubscribe", "only the client's own patterns are walked"),
    ("unlink", "N counts the keys"),
];

/// Commands that came later; 8.1 is Valkey.
const LATER: [&str; 10] = [
    "7.2.0", "7.4.0", "8.0.0", "8.1.0", "8.2.0", "8.4.0", "8.6.0", "8.8.0", "8.10.0", "9.0.0",
];

/// How many commands were compared, and every field in which one differs.
pub fn differences(bench: &Bench) -> (usize, Vec<String>) {
    let recorded = include_str!("../../../../testdata/commands-docs-7.0.tsv");
    let recorded: BTreeMap<&str, Vec<&str>> = recorded
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(name, rest)| (name, rest.split('\t').collect()))
        .collect();
    let (mut compared, mut found) = (0, Vec::new());
    for command in bench.engine.shared.table.entries() {
        let Some(&[since, group, order]) = recorded.get(command.name).map(Vec::as_slice) else {
            if !LATER.contains(&command.since) {
                found.push(format!("{}: since {}?", command.name, command.since));
            }
            continue;
        };
        compared += 1;
        if (command.since, command.group.name()) != (since, group) {
            let (since_here, group_here) = (command.since, command.group.name());
            found.push(format!(
                "{}: {since_here} {group_here} instead of {since} {group}",
                command.name
            ));
        }
        // `O(M log(M))` and `O(M*log(M))` are one.
        let plain = |text: &str| text.replace([' ', '*'], "");
        let is_same = order == "-" || plain(command.complexity).starts_with(&plain(order));
        let is_listed = OTHER_ORDER.iter().any(|(name, _)| *name == command.name);
        if is_same == is_listed {
            found.push(format!(
                "{}: {} and {order}, listed as different: {is_listed}",
                command.name, command.complexity
            ));
        }
    }
    (compared, found)
}
