//! The constants of instance commands against what a Redis 7.2.4 said of its own.

#[path = "../engine/tests/support/mod.rs"]
mod support;

use support::{Bench, docs, golden, help};

#[test]
fn instance_commands_describe_themselves_as_in_redis() {
    let mut bench = Bench::with(&cairn_server::commands::all());
    let found = golden::differences_from_redis(&mut bench);
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(bench.line("COMMAND INFO config|get").contains("@dangerous"));
}

#[test]
fn versions_groups_and_orders_are_those_of_redis() {
    let bench = Bench::with(&cairn_server::commands::all());
    let (compared, different) = docs::differences(&bench);
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(compared >= 260, "only {compared} commands");
}

#[test]
fn help_lists_what_is_there() {
    let mut bench = Bench::with(&cairn_server::commands::all());
    let (asked, different) = help::differences(&mut bench);
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(asked >= 7, "only {asked} containers have help");
}
