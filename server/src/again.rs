//! DEBUG LOADAOF: the data set once more, from its log, in a running server.

use cairn_engine::Engine;
use cairn_engine::base::id::SessionId;
use cairn_engine::call::Instance;
use cairn_engine::call::alone::Alone;

use crate::front::{Ending, Front};
use crate::keeper::load::{Loading, forget_and_load};

/// Writes the log to its end, forgets the data and loads it again from the log, without letting anybody
/// else in. The log may be off, if there are files of it. A log that cannot be loaded ends the process, as at start: half
/// of the data is no data.
pub fn load_again(engine: &mut Engine, front: &mut Front, session: SessionId) {
    debug_assert!(front.ending.is_none(), "data for nobody");
    let mut saving = front.saving();
    let found = saving.finish_log().and_then(|()| Loading::of_log(&saving));
    if found.as_ref().is_ok_and(Loading::is_empty) {
        return answer(
            engine,
            front,
            session,
            b"-ERR there is no append only file to load\r\n",
        );
    }
    let mut world = Alone::default();
    let loaded =
        found.and_then(|loading| forget_and_load(engine, &mut saving, &mut world, loading));
    front.pass_on(&mut world);
    if let Err(line) = loaded {
        for part in line.lines() {
            front.log.warning(format_args!("{part}"));
        }
        front.ending = Some(Ending::Exit(1));
        return;
    }
    front
        .log
        .warning(format_args!("Append Only File loaded by DEBUG LOADAOF"));
    answer(engine, front, session, b"+OK\r\n");
}

fn answer(engine: &mut Engine, front: &mut Front, session: SessionId, reply: &[u8]) {
    if let Some(state) = engine.shared.sessions.get_mut(session) {
        debug_assert!(state.blocked, "an answer that nobody waits for");
        state.blocked = false;
        front.deliver(session, reply);
        front.resume(session);
    }
}
