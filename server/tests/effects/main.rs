//! What directives do, seen from outside: those that no other test sets.
//!
//! `seen` asks for such a test of every directive that is said to work.

mod scripts;
mod seen;
mod shapes;
#[path = "../support/mod.rs"]
mod support;
mod values;
