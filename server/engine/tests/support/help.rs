//! What containers say of themselves against what they have.

use std::collections::BTreeSet;

use super::Bench;

/// Older names of subcommands, which Redis does not list; those of later servers, of which the help of 7.2 says nothing; and what only nodes say.
const UNLISTED: [(&str, &str); 3] = [
    ("cluster", "SLAVES"),
    ("client", "CAPA"),
    ("cluster", "SYNCSLOTS"),
];

/// Containers whose `HELP` does not list their subcommands, all of them and no other; and how many have help at all.
pub fn differences(bench: &mut Bench) -> (usize, Vec<String>) {
    // That of CLUSTER is for nodes.
    bench.engine.shared.routes = Some(Box::default());
    let containers: Vec<_> = bench.engine.shared.table.top_level().collect();
    let (mut asked, mut different) = (0, Vec::new());
    for container in containers {
        let names = container.subcommands.iter();
        let there = names.map(|c| c.own_name().to_ascii_uppercase());
        let is_listed = |name: &String| !UNLISTED.contains(&(container.name, name.as_str()));
        let there: BTreeSet<String> = there.filter(is_listed).collect();
        if !there.contains("HELP") {
            continue;
        }
        asked += 1;
        let listed = listed(&bench.line(&format!("{} HELP", container.name)));
        if listed != there {
            different.push(format!(
                "{}: lists {listed:?}, has {there:?}",
                container.name
            ));
        }
    }
    (asked, different)
}

/// The first words of forms.
fn listed(help: &str) -> BTreeSet<String> {
    help.split("\r\n")
        .filter_map(|line| line.strip_prefix('+'))
        .filter(|line| !line.starts_with([' ', '(']) && !line.contains("Subcommands are:"))
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}
