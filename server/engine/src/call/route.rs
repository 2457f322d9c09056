//! Where a call works: in the table of its database, or where keys are kept by slot (a node of a cluster) in that of its keys' slot, and
//! only if this node serves that slot.
//!
//! ```text
//!   no slots      the session's database                         one test
//!   slots         the slot of the keys: one for all of them      CROSSSLOT otherwise
//!                 `Routes` has a bit for each slot that is plainly served here; anything else is asked of the instance ([`Instance::route`](super::ctx::Instance::route))
//! ```
//! What another server or this one has decided earlier (the primary's stream, the log) is done, not judged; but it has to have one slot,
//! too, as a command works in one table. The order and the words of refusals are those of Redis 7.2.4.

use cairn_format::cluster::SlotSet;
use cairn_format::crc16::key_slot;

use super::ctx::Ctx;
use super::keys::{keys_of, shard_channels};
use super::spec::Flags;
use super::table::{CommandTable, Entry};
use crate::base::args::Args;
use crate::base::error::Error;
use crate::keyspace::Keyspace;
use crate::users::catalog::KnownKeys;

/// The keys of one call have different slots.
pub const CROSS_SLOT: Error = Error::new("CROSSSLOT Keys in request don't hash to the same slot");
/// The cluster does not serve.
pub const DOWN: Error = Error::new("CLUSTERDOWN The cluster is down");
/// The cluster does not serve, and this is no read.
pub const DOWN_FOR_WRITES: Error =
    Error::new("CLUSTERDOWN The cluster is down and only accepts read commands");

/// What is plainly served here, so that nobody has to be asked.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    /// Slots that this node owns, that do not move, in a cluster that serves.
    pub served: SlotSet,
    /// Slots that clients who said READONLY may read here, too.
    pub readable: SlotSet,
    /// Of which state of the cluster these are.
    pub number: u64,
}

/// What a call asks for a slot that is not plainly served.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// The slot of its first key or channel.
    pub slot: u16,
    /// Others have other slots.
    pub is_crossed: bool,
    /// There are several.
    pub has_many_keys: bool,
    /// It may change something.
    pub is_write: bool,
    /// It is MIGRATE, which works on slots that move.
    pub is_migrate: bool,
    /// What it names are channels, not keys.
    pub is_channel: bool,
    /// The client said ASKING just before, or the command says so.
    pub is_asking: bool,
    /// The client said READONLY.
    pub is_readonly: bool,
}

/// What the keys of a call say of where it works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    /// The slot of the first key or channel, if there is one.
    slot: Option<u16>,
    /// Others have other slots.
    is_crossed: bool,
    /// There are several.
    has_many_keys: bool,
    /// They are channels.
    is_channel: bool,
}

impl Place {
    fn add(&mut self, name: &[u8], is_channel: bool) {
        let slot = key_slot(name);
        self.has_many_keys |= self.slot.is_some();
        self.is_channel = is_channel && (self.is_channel || self.slot.is_none());
        self.is_crossed |= *self.slot.get_or_insert(slot) != slot;
    }
}

/// Calls back for each key or sharded channel of a call.
fn for_each_name<'a>(command: Entry, args: &Args<'a>, with: &mut dyn FnMut(&'a [u8], bool)) {
    match shard_channels(command.spec, args) {
        Some(channels) => channels
            .filter_map(|at| args.get(at))
            .for_each(|name| with(name, true)),
        None => keys_of(command.spec, args)
            .unwrap_or_default()
            .iter()
            .filter_map(|key| args.get(key.at))
            .for_each(|name| with(name, false)),
    }
}

fn place_of(command: Entry, args: &Args) -> Place {
    let mut place = Place::default();
    for_each_name(command, args, &mut |name, is_channel| {
        place.add(name, is_channel)
    });
    place
}

/// Selects the table of a call that has one key, whose slot is plainly served, where keys are kept by slot: most calls are no more. Says
/// whether it was one: a result that may be an error would go through memory. Inlined where registers are saved anyway: the look-ups of the
/// slot take six, and to save them here was a fifth of the whole.
#[inline(always)]
pub fn select_plainly(cx: &mut Ctx, args: &Args) -> bool {
    let Some(key) = cx.shared.table.only_key(cx.command.id, args) else {
        return false;
    };
    match cx.ks.known_table_of(key) {
        Some(table) => select_served(cx, table),
        None => select_found(cx, key),
    }
}

#[inline(never)]
fn select_found(cx: &mut Ctx, key: &[u8]) -> bool {
    let slot = cx.ks.find_slot_of(key);
    select_served(cx, usize::from(slot))
}

/// Selects a slot's table for a call with one key, if nobody has to be asked.
#[inline(always)]
fn select_served(cx: &mut Ctx, table: usize) -> bool {
    if !plainly_served(cx, table as u16) {
        return false;
    }
    // Nobody asks what more this one might have done.
    cx.session.asking = false;
    cx.ks.select(table);
    true
}

/// Selects the table of any other call.
///
/// # Errors
/// It may not run here, or its keys have different slots.
pub fn select_table(cx: &mut Ctx, args: &Args) -> Result<(), Error> {
    let table = routed(cx, args)?;
    cx.ks.select(table);
    Ok(())
}

fn routed(cx: &mut Ctx, args: &Args) -> Result<usize, Error> {
    cx.session.asked = std::mem::take(&mut cx.session.asking);
    let spec = cx.command.spec;
    match cx.shared.table.known_keys(cx.command.id) {
        KnownKeys::None if spec.name == "exec" => return whole_transaction(cx),
        KnownKeys::None if spec.keys.is_empty() => return Ok(0),
        _ => {}
    }
    let flags = spec.flags_of_call(cx.shared, cx.ks, args);
    decide_call(cx, place_of(cx.command, args), args, flags)
}

/// Whether nobody has to be asked. What was decided elsewhere is done.
#[inline]
fn plainly_served(cx: &Ctx, slot: u16) -> bool {
    let routes = cx.shared.routes.as_deref();
    routes.is_some_and(|routes| routes.served.contains(slot)) || cx.session.applies()
}

/// The table of a part of a unit that was let in as a whole.
pub fn table_of_part(cx: &Ctx, args: &Args) -> usize {
    if cx.shared.routes.is_none() {
        return cx.session.db;
    }
    slot_of(cx.command, args).map_or(0, usize::from)
}

/// The commands of a transaction have one slot between them.
fn whole_transaction(cx: &mut Ctx) -> Result<usize, Error> {
    let Some(multi) = cx.session.multi.take() else {
        return Ok(0);
    };
    let (mut place, mut flags) = (Place::default(), Flags::NONE);
    for queued in &multi.queue {
        let (command, args) = (cx.shared.table.entry(queued.command), queued.args());
        flags = flags.and(command.spec.flags_of_call(cx.shared, cx.ks, &args));
        for_each_name(command, &args, &mut |name, is_channel| {
            place.add(name, is_channel)
        });
    }
    let decided = decide(cx, place, flags, &|table, with| {
        for queued in &multi.queue {
            let command = table.entry(queued.command);
            for_each_name(command, &queued.args(), &mut |name, _| with(name));
        }
    });
    cx.session.multi = Some(multi);
    decided
}

fn decide_call(cx: &mut Ctx, place: Place, args: &Args, flags: Flags) -> Result<usize, Error> {
    let command = cx.command;
    decide(cx, place, flags, &|_, with| {
        for_each_name(command, args, &mut |name, _| with(name))
    })
}

/// Calls back for each name of what is decided about; it is told all commands.
type Names<'n> = &'n dyn Fn(&CommandTable, &mut dyn FnMut(&[u8]));

fn decide(cx: &mut Ctx, place: Place, flags: Flags, names: Names) -> Result<usize, Error> {
    let Some(slot) = place.slot else {
        return Ok(0);
    };
    let table = usize::from(slot);
    let may_read = cx.session.readonly && !flags.has(Flags::WRITE) && {
        let routes = cx.shared.routes.as_deref();
        routes.is_some_and(|routes| routes.readable.contains(slot))
    };
    if !place.is_crossed && (may_read || plainly_served(cx, slot)) {
        return Ok(table);
    }
    if cx.session.applies() {
        return Err(CROSS_SLOT);
    }
    let ask = Ask {
        slot,
        is_crossed: place.is_crossed,
        has_many_keys: place.has_many_keys,
        is_write: flags.has(Flags::WRITE),
        is_migrate: cx.command.spec.name == "migrate",
        is_channel: place.is_channel,
        is_asking: cx.session.asked || cx.command.spec.name == "restore-asking",
        is_readonly: cx.session.readonly,
    };
    let (ks, commands) = (&*cx.ks, &cx.shared.table);
    let mut count = || {
        let (mut absent, mut all) = (0, 0);
        names(commands, &mut |name| {
            absent += usize::from(!is_there(ks, table, name));
            all += 1;
        });
        (absent, all)
    };
    cx.inst.route(&ask, &mut count)?;
    match place.is_crossed {
        true => Err(CROSS_SLOT),
        false => Ok(table),
    }
}

/// Whether a key is there; one whose time has come is not.
fn is_there(ks: &Keyspace, table: usize, key: &[u8]) -> bool {
    let found = ks.table(table).keys.lookup(ks.hasher.hash(key), key);
    found.is_some_and(|(_, record)| record.expire().is_none_or(|at| at >= ks.now_ms))
}

/// The table of a command that a script calls; `slot` is that of its keys so far, unless it may use several.
///
/// # Errors
/// It may not run here.
pub fn table_of_inner(
    cx: &mut Ctx,
    args: &Args,
    slot: &mut Option<u16>,
    may_cross: bool,
) -> Result<usize, Error> {
    if cx.shared.routes.is_none() {
        return Ok(cx.session.db);
    }
    let (place, flags) = (place_of(cx.command, args), cx.command.spec.flags);
    let table = decide_call(cx, place, args, flags).map_err(|refusal| inner_refusal(&refusal))?;
    if let Some(used) = place.slot
        && !may_cross
        && *slot.get_or_insert(used) != used
    {
        return Err(Error::new(
            "ERR Script attempted to access keys that do not hash to the same slot",
        ));
    }
    Ok(table)
}

fn inner_refusal(refusal: &Error) -> Error {
    Error::new(match () {
        () if refusal.0 == DOWN_FOR_WRITES.0 => {
            "ERR Script attempted to execute a write command while the cluster is down and readonly"
        }
        () if refusal.0 == DOWN.0 => {
            "ERR Script attempted to execute a command while the cluster is down"
        }
        () => "ERR Script attempted to access a non local key in a cluster node",
    })
}

/// The slot of the keys that a call names, if there is one.
pub fn slot_of(command: Entry, args: &Args) -> Option<u16> {
    let place = place_of(command, args);
    place.slot.filter(|_| !place.is_crossed)
}

/// Whether a refusal says where a call may run, or that it may nowhere: a transaction that ends so says it in its own words.
pub fn is_redirect(refusal: &Error) -> bool {
    matches!(
        refusal.prefix(),
        "MOVED" | "ASK" | "TRYAGAIN" | "CROSSSLOT" | "CLUSTERDOWN"
    )
}
