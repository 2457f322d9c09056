//! What the subcommands of CLIENT have in common.

use cairn_engine::call::{Command, Ctx, Flags, Group};

const OPEN: Flags = Flags::NO_SCRIPT.and(Flags::LOADING).and(Flags::STALE);
/// Flags of subcommands that reach beyond the own connection.
pub(super) const ADMIN: Flags = OPEN.and(Flags::ADMIN);

/// What most subcommands have in common.
pub(super) const SUB: Command = Command {
    group: Group::Connection,
    since: "2.4.0",
    arity: 2,
    flags: OPEN,
    ..Command::BASE
};

/// Ends a connection: the own one when its replies are sent.
pub(super) fn close(cx: &mut Ctx, id: u64) {
    if cx.session.id == id {
        cx.session.closing = true;
        return;
    }
    let slot = cx
        .shared
        .sessions
        .iter()
        .find(|s| s.id == id)
        .map(|s| s.slot);
    if let Some(slot) = slot {
        cx.inst.close(slot);
    }
}
