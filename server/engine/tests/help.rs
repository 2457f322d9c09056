//! `X HELP` lists the subcommands that X has, all of them and no other.

mod support;

use support::{Bench, help};

#[test]
fn help_lists_what_is_there() {
    let (asked, different) = help::differences(&mut Bench::new());
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(asked >= 4, "only {asked} containers have help");
}
