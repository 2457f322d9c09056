//! Slots that move as one at work: [`cairn_cluster::moves`] joined to connections, the journal and the data.

use cairn_cluster::moves::{LEASE_MS, Move, NEARLY_DONE, Order, State};
use cairn_engine::Engine;
use cairn_engine::base::id::SessionId;
use cairn_engine::call::ctx::Holds;
use cairn_engine::call::pause;
use cairn_engine::session::Role;
use cairn_format::cluster::ranges;
use cairn_format::resp::value::write_command;

use crate::cluster::{Cluster, Export, at_moment};
use crate::config::table;
use crate::front::Front;
use crate::net::{Cause, ClientClass};
use crate::sync;

/// Bytes that are made of keys in one turn.
const TURN_MAX: usize = 256 * 1024;
/// Bytes that wait for the target until no more is made of keys.
const WAITING_MAX: usize = 1 << 20;
/// Keys that are dropped in one turn.
const DROPPED_MAX: usize = 1000;
/// While keys are sent the target hears something so often at least, milliseconds.
const PING_MS: u64 = 1000;
/// After so long a target that refused is asked again, milliseconds.
const AGAIN_MS: u64 = 100;
/// Longest line of a target, bytes.
const LINE_MAX: usize = 64 * 1024;

/// Whether the next turn must not wait.
pub(super) fn has_work(front: &Front, cluster: &Cluster) -> bool {
    let moves = &cluster.moves;
    let sends = |export: &Export| {
        export.what.state == State::Sending && waiting(front, export) < WAITING_MAX
    };
    !moves.dropping.is_empty() || moves.exports.iter().any(sends)
}

/// Bytes that wait for the target.
fn waiting(front: &Front, export: &Export) -> usize {
    let connection = export
        .slot
        .and_then(|slot| front.clients.connections.get(slot));
    connection.map_or(0, |connection| connection.output.pending())
}

/// Whether a connection is the one to a target.
#[inline]
pub fn is_target(front: &Front, slot: usize) -> bool {
    let cluster = front.cluster.as_deref();
    cluster.is_some_and(|cluster| {
        let mut exports = cluster.moves.exports.iter();
        exports.any(|export| export.slot == Some(slot))
    })
}

/// A slice of all that is under way.
pub(super) fn go_on(engine: &mut Engine, front: &mut Front) {
    if !engine.shared.gate.holds.hold_all() {
        drop_some(engine, front);
    }
    each_export(engine, front, advance);
    let now_ms = engine.mono_us() / 1000;
    // Not in each turn, as all slots are looked at; the step that takes them looks again.
    if front
        .cluster
        .as_ref()
        .is_some_and(|cluster| cluster.tick_ms <= now_ms)
    {
        judge_imports(front);
    }
}

/// What comes must still be the source's, may still come here, and the source must be there.
pub(super) fn judge_imports(front: &mut Front) {
    let timeout_ms = timeout_ms(front);
    let Front {
        cluster,
        host,
        clients,
        ..
    } = front;
    let Some(cluster) = cluster else { return };
    for import in &mut cluster.moves.imports {
        let Move {
            slots,
            source,
            state,
            ..
        } = &import.what;
        if state.is_over() {
            continue;
        }
        let verdict = cluster.machine.may_import(slots, source);
        let slot = import
            .session
            .and_then(|session| clients.connection_slot(session));
        let connection = slot.and_then(|slot| clients.connections.get(slot));
        at_moment(&**host, |moment| {
            let is_silent = connection.is_some_and(|connection| {
                moment.now_ms.saturating_sub(connection.heard_ms) > timeout_ms
            });
            let why = match verdict {
                Err(refusal) => refusal.0,
                Ok(()) if is_silent => "The source says nothing".to_owned(),
                Ok(()) => return,
            };
            cluster.is_asked |= import.what.fail(State::Failed, &why, moment);
        });
    }
}

/// Calls with each export, which is out of its place meanwhile: nothing may change the data.
fn each_export(
    engine: &mut Engine,
    front: &mut Front,
    mut call: impl FnMut(&mut Engine, &mut Front, &mut Export),
) {
    let Some(cluster) = &mut front.cluster else {
        return;
    };
    let mut exports = std::mem::take(&mut cluster.moves.exports);
    for export in &mut exports {
        call(engine, front, export);
    }
    if let Some(cluster) = &mut front.cluster {
        cluster.moves.exports = exports;
    }
}

/// At the end of a turn of the node: who has given slots away lets its writes go, now that calls are sent to the new owner.
pub(super) fn settle(engine: &mut Engine, front: &mut Front) {
    let Some(cluster) = &mut front.cluster else {
        return;
    };
    if cluster.moves.is_idle() {
        return;
    }
    let held = cluster.moves.exports.iter().any(|export| export.holds);
    for export in &mut cluster.moves.exports {
        export.holds &= export.what.holds_writes();
    }
    let holds = cluster.moves.exports.iter().any(|export| export.holds);
    let imports = cluster.moves.imports.iter();
    let failed = imports.filter(|import| {
        !matches!(import.what.state, State::Success) && import.what.state.is_over()
    });
    // Nothing more may come for slots whose keys go.
    let sessions = failed.filter_map(|import| import.session);
    sessions.for_each(|session| front.clients.close(session));
    cluster.moves.sort_out();
    look_at_dropping(engine, front);
    if held && !holds {
        pause::let_writes_go(&mut engine.ks, &mut engine.shared, front, Holds::SLOTS);
    }
    engine.ks.fx.feed_on = front.journal.is_read();
}

/// One turn of one export.
fn advance(engine: &mut Engine, front: &mut Front, export: &mut Export) {
    if export.what.state.is_over() {
        return end(front, export);
    }
    if let Some(why) = judge(front, export) {
        return fail(front, export, &why);
    }
    if export.what.state == State::Success {
        return end(front, export);
    }
    if export.slot.is_none() && export.what.state == State::Establishing {
        return connect(engine, front, export);
    }
    let mut out = Vec::new();
    if let Err(why) = gather(engine, export, &mut out) {
        return fail(front, export, why);
    }
    let now_ms = engine.mono_us() / 1000;
    if export.ask_ms.take_if(|at_ms| *at_ms <= now_ms).is_some() {
        establish(export, &mut out);
    }
    if export.what.state == State::Sending && export.ping_ms <= now_ms {
        // Where nothing is to be sent, as writes stand still or the target waits for PREPARE.
        export.ping_ms = now_ms + PING_MS;
        write_command(&mut out, &[b"PING"]);
    }
    if export.what.state == State::Sending && waiting(front, export) + out.len() < WAITING_MAX {
        export.outgoing.step(&engine.ks, &mut out, TURN_MAX);
        let is_nearly_done = waiting(front, export) + out.len() < NEARLY_DONE;
        if export.outgoing.is_complete() && is_nearly_done && !engine.shared.gate.holds.any() {
            at_moment(&*front.host, |moment| export.what.prepare(moment));
            syncslots(&mut out, &[b"PREPARE"]);
        }
    }
    send(front, export, &out);
    if waiting(front, export) > limit(front) {
        fail(
            front,
            export,
            "More waits for the target than client-output-buffer-limit allows a replica",
        );
    }
}

/// Bytes that may wait for a target: as many as for a replica.
fn limit(front: &Front) -> usize {
    let hard = front.settings.buffer_limit(ClientClass::Replica).hard;
    match hard {
        0 => usize::MAX,
        hard => usize::try_from(hard)
            .unwrap_or(usize::MAX)
            .max(2 * WAITING_MAX),
    }
}

/// Whether an export cannot go on, and why.
fn judge(front: &mut Front, export: &mut Export) -> Option<String> {
    let waits = waiting(front, export);
    let timeout_ms = timeout_ms(front);
    let Front { cluster, host, .. } = front;
    let cluster = cluster.as_ref()?;
    let Move { slots, target, .. } = &export.what;
    // The target may have told of its slots on the bus before its answer came.
    let is_theirs = |slot| cluster.machine.owner(slot) == Some(*target);
    let is_committing = export.what.state == State::Committing;
    if is_committing && slots.iter().all(is_theirs) {
        at_moment(&**host, |moment| export.what.succeed(moment));
        return None;
    }
    // Once the target may take them it is not known to have failed before the lease is over, whatever becomes of the slots here.
    if !is_committing && !cluster.machine.has_all(slots) {
        return Some("Slots are not served by this node any more".to_owned());
    }
    let takes = export.what.state == State::Sending && (waits == 0 || waits < export.waited);
    export.waited = waits;
    at_moment(&**host, |moment| {
        if takes {
            export.what.goes_on(moment);
        }
        if export.what.lease_is_over(moment) {
            return Some("The target did not take the slots in time".to_owned());
        }
        let is_stuck = export.what.is_stuck(timeout_ms, moment);
        is_stuck.then(|| "The target does not answer".to_owned())
    })
}

/// How long another node may say nothing, milliseconds.
fn timeout_ms(front: &Front) -> u64 {
    front.settings.config.milliseconds(table::REPL_TIMEOUT)
}

/// What changed since this was called last is passed on, as far as it concerns what the target has.
fn gather(engine: &Engine, export: &mut Export, out: &mut Vec<u8>) -> Result<(), &'static str> {
    let Some(reader) = &mut export.reader else {
        return Ok(());
    };
    let noted = export
        .outgoing
        .note(&engine.shared.table, reader.bytes(), out);
    reader.passed_on(reader.bytes().len());
    noted.map_err(|_| "All data was removed")
}

fn connect(engine: &mut Engine, front: &mut Front, export: &mut Export) {
    let address = front
        .cluster
        .as_ref()
        .and_then(|cluster| cluster.machine.clients_address(&export.what.target));
    let Some((host, port)) = address else {
        return fail(front, export, "The target is not known any more");
    };
    let is_encrypted = front.settings.config.get(table::TLS_CLUSTER);
    let dialed = sync::dial(engine, front, (&host, port, is_encrypted), Role::Export);
    let (slot, _) = match dialed {
        Ok(dialed) => dialed,
        Err(error) => {
            let why = format!(
                "Unable to connect to the target: {}",
                crate::os::error_text(&error)
            );
            return fail(front, export, &why);
        }
    };
    export.slot = Some(slot);
    let greeting = greeting(front, export);
    send(front, export, &greeting);
}

/// What the target is told first.
fn greeting(front: &Front, export: &mut Export) -> Vec<u8> {
    let config = &front.settings.config;
    let mut out = Vec::new();
    let (user, password) = (config.get(table::MASTERUSER), config.get(table::MASTERAUTH));
    if !password.is_empty() {
        export.greetings = 1;
        match user.is_empty() {
            true => write_command(&mut out, &[b"AUTH", password]),
            false => write_command(&mut out, &[b"AUTH", user, password]),
        }
    }
    establish(export, &mut out);
    out
}

/// Asks the target for its leave.
fn establish(export: &Export, out: &mut Vec<u8>) {
    let (name, source) = (export.what.name.to_string(), export.what.source.to_string());
    let bounds: Vec<String> = ranges(export.what.slots.iter())
        .into_iter()
        .flat_map(|(first, last)| [first.to_string(), last.to_string()])
        .collect();
    let mut words: Vec<&[u8]> = vec![b"ESTABLISH", name.as_bytes(), source.as_bytes()];
    words.extend(bounds.iter().map(String::as_bytes));
    syncslots(out, &words);
}

fn syncslots(out: &mut Vec<u8>, words: &[&[u8]]) {
    let mut all: Vec<&[u8]> = vec![b"CLUSTER", b"SYNCSLOTS"];
    all.extend(words);
    write_command(out, &all);
}

fn send(front: &mut Front, export: &Export, bytes: &[u8]) {
    if let Some(slot) = export.slot
        && !bytes.is_empty()
    {
        front.clients.send(slot, bytes);
    }
}

/// Lines that a target has sent.
pub fn hear(engine: &mut Engine, front: &mut Front, slot: usize) {
    loop {
        let Some(connection) = front.clients.connections.get_mut(slot) else {
            return;
        };
        let bytes = connection.input.filled();
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let is_endless = end.is_none() && bytes.len() > LINE_MAX;
        let line = end.map(|end| bytes[..end].trim_ascii_end().to_vec());
        if let Some(end) = end {
            connection.input.consume(end + 1);
        }
        let mut heard = |engine: &mut Engine, front: &mut Front, export: &mut Export| {
            if export.slot != Some(slot) {
                return;
            }
            match &line {
                Some(line) => hear_line(engine, front, export, line),
                None if is_endless => fail(front, export, "The target sends a line without an end"),
                None => {}
            }
        };
        each_export(engine, front, &mut heard);
        if line.is_none() {
            return;
        }
    }
}

fn hear_line(engine: &mut Engine, front: &mut Front, export: &mut Export, line: &[u8]) {
    if export.what.state.is_over() {
        return;
    }
    if export.greetings > 0 && line == b"+OK" {
        export.greetings -= 1;
        return;
    }
    let order = at_moment(&*front.host, |moment| export.what.hear(line, moment));
    match order {
        Ok(Order::Send) => {
            export.reader = Some(front.journal.subscribe());
            engine.ks.fx.feed_on = true;
        }
        Ok(Order::AskAgain) => export.ask_ms = Some(engine.mono_us() / 1000 + AGAIN_MS),
        Ok(Order::Commit) => commit(engine, front, export),
        Ok(Order::Give) => {
            let Front { cluster, host, .. } = front;
            if let Some(cluster) = cluster {
                let Move { slots, target, .. } = &export.what;
                at_moment(&**host, |moment| {
                    cluster.machine.hand_over(slots, target, moment)
                });
                cluster.is_asked = true;
            }
        }
        Err(why) => fail(front, export, &why),
    }
}

/// From here on nothing changes until the target has the slots, or cannot take them any more.
fn commit(engine: &mut Engine, front: &mut Front, export: &mut Export) {
    if engine.shared.gate.holds.any() {
        return fail(front, export, "Writes stand still for something else");
    }
    engine.shared.gate.holds.hold(Holds::SLOTS);
    export.holds = true;
    let mut out = Vec::new();
    if let Err(why) = gather(engine, export, &mut out) {
        return fail(front, export, why);
    }
    let Some(cluster) = &mut front.cluster else {
        return;
    };
    cluster.machine.local.gives_slots = true;
    let (lease, epoch) = (
        LEASE_MS.to_string(),
        cluster.machine.current_epoch().to_string(),
    );
    syncslots(&mut out, &[b"COMMIT", lease.as_bytes(), epoch.as_bytes()]);
    send(front, export, &out);
}

/// It ends without success, and its connection with it. Whoever waits for its writes goes on at the end of the turn.
fn fail(front: &mut Front, export: &mut Export, why: &str) {
    if at_moment(&*front.host, |moment| {
        export.what.fail(State::Failed, why, moment)
    }) {
        let Move { name, target, .. } = &export.what;
        front.log.warning(format_args!(
            "Slot migration {name} to {target} failed: {why}"
        ));
    }
    end(front, export);
}

/// Nothing of it is left but what is told.
fn end(front: &mut Front, export: &mut Export) {
    export.reader = None;
    if let Some(slot) = export.slot.take() {
        front.clients.connections.end(slot, Cause::Cut);
    }
    if let Some(cluster) = &mut front.cluster {
        cluster.is_asked = true;
    }
}

/// A connection has ended: the move that it was for, too.
pub fn closed(engine: &mut Engine, front: &mut Front, slot: usize, session: Option<SessionId>) {
    each_export(engine, front, |_, front, export| {
        if export.slot != Some(slot) {
            return;
        }
        export.slot = None;
        // Whether the target has the slots by now is heard on the bus, or nobody knows: the lease decides.
        if export.what.state != State::Committing {
            fail(front, export, "The connection to the target was lost");
        }
    });
    let Front {
        cluster, host, log, ..
    } = front;
    let Some(cluster) = cluster else { return };
    if let Some(import) = session.and_then(|session| cluster.moves.import_of(session)) {
        // Another client may get the number of the session.
        import.session = None;
        let why = "The connection to the source was lost";
        if at_moment(&**host, |moment| {
            import.what.fail(State::Failed, why, moment)
        }) {
            log.warning(format_args!(
                "Slot migration {} failed: {why}",
                import.what.name
            ));
        }
        cluster.is_asked = true;
    }
}

/// Some keys of slots that have left, or did not come whole, go.
fn drop_some(engine: &mut Engine, front: &mut Front) {
    let mut left = DROPPED_MAX;
    while left > 0 {
        let cluster = front.cluster.as_ref();
        let Some(slot) = cluster.and_then(|cluster| cluster.moves.dropping.front().copied()) else {
            return;
        };
        left -= engine.drop_from_slot(slot, left, front);
        if !engine.ks.table(usize::from(slot)).is_empty() {
            return;
        }
        engine.ks.hide_slot(slot, false);
        if let Some(cluster) = &mut front.cluster {
            cluster.moves.dropping.pop_front();
        }
    }
}

/// All of them go now.
pub(super) fn drop_all(engine: &mut Engine, front: &mut Front) {
    while front
        .cluster
        .as_ref()
        .is_some_and(|cluster| !cluster.moves.dropping.is_empty())
    {
        drop_some(engine, front);
    }
}

/// What is served has changed: a slot that came back must not show keys that were to go.
pub(super) fn look_at_dropping(engine: &mut Engine, front: &mut Front) {
    let came_back = front.cluster.as_ref().is_some_and(|cluster| {
        let mut dropping = cluster.moves.dropping.iter();
        dropping.any(|slot| cluster.machine.slots().contains(*slot))
    });
    if came_back {
        drop_all(engine, front);
    }
}
