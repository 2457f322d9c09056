//! The structures of the engine against plain models.

pub mod btree;
pub mod keyed;
pub mod list;
pub mod ranked;
pub mod table;

use cairn_engine::structure::table::Hasher;

use crate::steps::Steps;

const HASHER: Hasher = Hasher::new([11, 12, 13, 14]);
/// Most steps of one run, so that a long input does not hide a slow step.
const STEPS_MAX: usize = 120;

/// Whether to go on: bytes are left and not too many steps were taken.
fn more(steps: &Steps<'_>, taken: &mut usize) -> bool {
    *taken += 1;
    !steps.is_done() && *taken <= STEPS_MAX
}

/// One of many names.
fn name(n: usize) -> Vec<u8> {
    format!("name:{n}").into_bytes()
}
