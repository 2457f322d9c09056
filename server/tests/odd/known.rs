//! The differences between ours and 7.0.15 that were looked at, each with its reason. What is not here is a finding.

use super::bytes::Traits;
use super::logs::{Case, Place, is_error};
use super::sides::{Side, Verdict};

/// The data is the same and DEBUG DIGEST is not.
pub const DIGEST: &str =
    "the digest of a sorted set is that of its printed scores, and 7.2 prints them shorter";

/// Of a value, by what is in it and who takes it.
pub fn value(traits: Traits, ours: bool, theirs: bool) -> Option<&'static str> {
    match (ours, theirs) {
        (false, true) if traits.wide_node => Some(
            "a stream node whose flags take more than two bytes: no server writes it, and in 7.0.15 XDEL moves what other \
             readers still point at",
        ),
        (true, false) if traits.empty_zipmap => Some(
            "an empty zipmap is skipped as any other empty collection; 7.0.15 refuses the file",
        ),
        _ => None,
    }
}

/// Of a log that ours refuses, whatever the reference makes of it.
pub fn refused(case: &Case, ours: &Verdict) -> Option<&'static str> {
    let Verdict::Refused(told) = ours else {
        return None;
    };
    let arity = told.contains("wrong number of arguments");
    match case.place {
        Place::Shorter | Place::Longer if arity => {
            Some("7.0.15 does not count the words of a command and may read beyond them")
        }
        _ => None,
    }
}

/// Of two logs.
pub fn log(case: &Case, ours: &Verdict, theirs: &Verdict, live: &mut Side) -> Option<&'static str> {
    if case.name() == "MULTI" && ours.is_taken() {
        return Some(
            "DEBUG LOADAOF of 7.0.15 ends at an open transaction; a start takes the log up to it, as ours does both times",
        );
    }
    if case.name() == "DISCARD" && ours.is_taken() {
        return Some(
            "7.0.15 ends in a crash at DISCARD in a transaction of a log, which no server writes",
        );
    }
    let mut errors = 0;
    for command in case.live() {
        errors += live
            .ask(&command)
            .iter()
            .filter(|reply| is_error(reply))
            .count();
    }
    match (ours, theirs) {
        (Verdict::Refused(_), Verdict::Taken(_)) if errors > 0 => {
            Some("7.0.15 goes on without a command that a client would be refused")
        }
        _ => None,
    }
}
