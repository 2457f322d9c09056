//! The constants of instance commands against what a Redis 7.2.4 said of its own.

#[path = "../engine/tests/support/mod.rs"]
mod support;

use support::{Bench, golden};

#[test]
fn instance_commands_describe_themselves_as_in_redis() {
    let mut bench = Bench::with(&cairn_server::commands::all());
    let found = golden::differences_from_redis(&mut bench);
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(bench.line("COMMAND INFO config|get").contains("@dangerous"));
}
