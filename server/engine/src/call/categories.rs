//! ACL categories of a command, derived from its constant as Redis 7.2 derives them.
//!
//! Flags give @read, @write, @admin, @pubsub, @fast or @slow, @blocking and @dangerous; the group gives the category of
//! its data type. Containers have no data: only their subcommands belong to the group.

use super::spec::{Command, Flags};

/// All categories, in the order in which COMMAND INFO and ACL CAT list them.
pub const ALL: &[&str] = &[
    "@keyspace",
    "@read",
    "@write",
    "@set",
    "@sortedset",
    "@list",
    "@hash",
    "@string",
    "@bitmap",
    "@hyperloglog",
    "@geo",
    "@stream",
    "@pubsub",
    "@admin",
    "@fast",
    "@slow",
    "@blocking",
    "@dangerous",
    "@connection",
    "@transaction",
    "@scripting",
];

/// The categories of a command, in the order of [`ALL`].
pub fn of(command: &Command) -> impl Iterator<Item = &'static str> {
    ALL.iter().copied().filter(|word| belongs(command, word))
}

/// Whether a command belongs to a category (with its `@`).
pub fn belongs(command: &Command, category: &str) -> bool {
    let has = |flag| command.flags.has(flag);
    let by_flags = match category {
        "@write" => has(Flags::WRITE),
        "@read" => has(Flags::READ) && !own(command, "@scripting"),
        "@admin" => has(Flags::ADMIN),
        "@dangerous" => has(Flags::ADMIN) || has(Flags::DANGEROUS),
        "@pubsub" => has(Flags::PUBSUB),
        "@blocking" => has(Flags::BLOCKING),
        "@fast" => has(Flags::FAST),
        "@slow" => !has(Flags::FAST),
        "@keyspace" => has(Flags::KEYSPACE),
        _ => false,
    };
    by_flags || own(command, category)
}

/// What the constant names itself, or its group stands for.
fn own(command: &Command, category: &str) -> bool {
    match command.categories {
        Some(words) => words.contains(&category),
        None => command.subcommands.is_empty() && command.group.category() == Some(category),
    }
}
