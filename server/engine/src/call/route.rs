//! Where a call works: in the table of its database, or where keys are kept by slot (a node of a cluster) in that of its keys' slot, and
//! only if this node serves that slot.
//!
//! ```text
//!   no slots      the session's database                         one test
//!   slots         the slot of the keys: one for all of them      CROSSSLOT otherwise
//!                 `Routes` has a bit for what is plainly served here; anything else is asked of the instance ([`Instance::route`](super::ctx::Instance::route))
//! ```
//! What another server or this one has decided earlier (the primary's stream, the log) is done, not judged; but it has to have one slot,
//! too, as a command works in one table. The order and the words of refusals are those of Redis 7.2.4.

use cairn_format::crc16::{SLOTS, key_slot};

use super::ctx::Ctx;
use super::keys::{keys_of, shard_channels};
use super::spec::Flags;
use super::table::Entry;
use crate::base::args::Args;
use crate::base::error::Error;
use crate::keyspace::Keyspace;
use crate::users::catalog::KnownKeys;

/// The keys of one call have different slots.
pub const CROSS_SLOT: Error = Error::new("CROSSSLOT Keys in request don't hash to the same slot");

/// One bit for each slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotBits(Box<[u64; SLOTS as usize / 64]>);

impl Default for SlotBits {
    fn default() -> SlotBits {
        SlotBits(Box::new([0; SLOTS as usize / 64]))
    }
}

impl SlotBits {
    /// Whether the bit of a slot is set.
    #[inline]
    pub fn has(&self, slot: u16) -> bool {
        let slot = usize::from(slot % SLOTS);
        self.0[slot / 64] >> (slot % 64) & 1 == 1
    }

    /// Sets or clears the bit of a slot.
    pub fn set(&mut self, slot: u16, value: bool) {
        let slot = usize::from(slot % SLOTS);
        let (word, bit) = (&mut self.0[slot / 64], 1 << (slot % 64));
        match value {
            true => *word |= bit,
            false => *word &= !bit,
        }
    }
}

/// What is plainly served here, so that nobody has to be asked.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    /// Slots that this node owns, that do not move, in a cluster that serves.
    pub owned: SlotBits,
    /// Slots of this node's primary: clients that said READONLY may read them.
    pub readable: SlotBits,
}

/// What a call asks for a slot that is not plainly served.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// The slot of its keys.
    pub slot: u16,
    /// How many keys or channels.
    pub keys: usize,
    /// It may change something.
    pub writes: bool,
    /// It is MIGRATE, which works on slots that move.
    pub is_migrate: bool,
    /// What it names are channels, not keys.
    pub is_channel: bool,
    /// The client said ASKING just before, or the command says so.
    pub asking: bool,
    /// The client said READONLY.
    pub readonly: bool,
}

/// What the keys of a call say of where it works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It has none.
    Anywhere,
    /// So many keys or channels of one slot.
    Slot {
        slot: u16,
        keys: usize,
        is_channel: bool,
    },
    /// Keys of different slots.
    Across,
}

fn place_of(command: Entry, args: &Args) -> Place {
    let (ats, is_channel) = match shard_channels(command.spec, args) {
        Some(channels) => (channels.collect(), true),
        None => {
            let keys = keys_of(command.spec, args).unwrap_or_default();
            (keys.iter().map(|key| key.at).collect::<Vec<_>>(), false)
        }
    };
    place_of_words(ats.iter().filter_map(|at| args.get(*at)), is_channel)
}

fn place_of_words<'a>(words: impl Iterator<Item = &'a [u8]>, is_channel: bool) -> Place {
    let (mut found, mut keys) = (None, 0);
    for word in words {
        let slot = key_slot(word);
        if found.is_some_and(|known| known != slot) {
            return Place::Across;
        }
        (found, keys) = (Some(slot), keys + 1);
    }
    match found {
        None => Place::Anywhere,
        Some(slot) => Place::Slot {
            slot,
            keys,
            is_channel,
        },
    }
}

/// The table that a call works in.
///
/// # Errors
/// It may not run here, or its keys have different slots.
#[inline]
pub fn table_of(cx: &mut Ctx, args: &Args) -> Result<usize, Error> {
    match cx.shared.routes {
        None => Ok(cx.session.db),
        Some(_) => routed(cx, args),
    }
}

#[inline(never)]
fn routed(cx: &mut Ctx, args: &Args) -> Result<usize, Error> {
    cx.session.asked = std::mem::take(&mut cx.session.asking);
    match cx.shared.table.known_keys(cx.command.id) {
        KnownKeys::One(touched) if touched.at < args.len() => {
            let slot = key_slot(args.at(touched.at));
            let routes = cx.shared.routes.as_deref();
            if routes.is_some_and(|routes| routes.owned.has(slot)) || cx.session.applies() {
                return Ok(usize::from(slot));
            }
        }
        KnownKeys::None if cx.command.spec.name == "exec" => return whole_transaction(cx),
        KnownKeys::None if cx.command.spec.keys.is_empty() => return Ok(0),
        _ => {}
    }
    ask(
        cx,
        place_of(cx.command, args),
        args,
        cx.command.spec.flags_of_call(cx.shared, cx.ks, args),
    )
}

/// As [`table_of`] for a part of a unit that was let in as a whole.
pub fn table_of_part(cx: &Ctx, args: &Args) -> usize {
    if cx.shared.routes.is_none() {
        return cx.session.db;
    }
    match place_of(cx.command, args) {
        Place::Slot { slot, .. } => usize::from(slot),
        Place::Anywhere | Place::Across => 0,
    }
}

/// The commands of a transaction have one slot between them.
fn whole_transaction(cx: &mut Ctx) -> Result<usize, Error> {
    let Some(multi) = cx.session.multi.take() else {
        return Ok(0);
    };
    let mut whole = Place::Anywhere;
    let mut flags = Flags::NONE;
    let mut all_keys: Vec<Vec<u8>> = Vec::new();
    for queued in &multi.queue {
        let (command, args) = (cx.shared.table.entry(queued.command), queued.args());
        flags = flags.and(command.spec.flags_of_call(cx.shared, cx.ks, &args));
        whole = match (whole, place_of(command, &args)) {
            (before, Place::Anywhere) => before,
            (Place::Anywhere, now) => now,
            (
                Place::Slot {
                    slot,
                    keys,
                    is_channel,
                },
                Place::Slot {
                    slot: other,
                    keys: more,
                    is_channel: too,
                },
            ) if slot == other => Place::Slot {
                slot,
                keys: keys + more,
                is_channel: is_channel && too,
            },
            _ => Place::Across,
        };
        let keys = keys_of(command.spec, &args).unwrap_or_default();
        all_keys.extend(
            keys.iter()
                .filter_map(|key| args.get(key.at))
                .map(<[u8]>::to_vec),
        );
    }
    cx.session.multi = Some(multi);
    let keys: Vec<&[u8]> = all_keys.iter().map(Vec::as_slice).collect();
    decide(cx, whole, &keys, flags)
}

fn ask(cx: &mut Ctx, place: Place, args: &Args, flags: Flags) -> Result<usize, Error> {
    let keys = keys_of(cx.command.spec, args).unwrap_or_default();
    let keys: Vec<&[u8]> = keys.iter().filter_map(|key| args.get(key.at)).collect();
    decide(cx, place, &keys, flags)
}

fn decide(cx: &mut Ctx, place: Place, names: &[&[u8]], flags: Flags) -> Result<usize, Error> {
    let (slot, keys, is_channel) = match place {
        Place::Anywhere => return Ok(0),
        Place::Across => return Err(CROSS_SLOT),
        Place::Slot {
            slot,
            keys,
            is_channel,
        } => (slot, keys, is_channel),
    };
    let table = usize::from(slot);
    let routes = cx.shared.routes.as_deref();
    let writes = flags.has(Flags::WRITE);
    let is_plain = routes.is_some_and(|routes| {
        routes.owned.has(slot) || (cx.session.readonly && !writes && routes.readable.has(slot))
    });
    if is_plain || cx.session.applies() {
        return Ok(table);
    }
    let asked = Ask {
        slot,
        keys,
        writes,
        is_migrate: cx.command.spec.name == "migrate",
        is_channel,
        asking: cx.session.asked || cx.command.spec.name == "restore-asking",
        readonly: cx.session.readonly,
    };
    let ks = &*cx.ks;
    cx.inst.route(&asked, &mut || missing(ks, table, names))?;
    Ok(table)
}

/// How many of these keys are not there. What has expired is.
fn missing(ks: &Keyspace, table: usize, keys: &[&[u8]]) -> usize {
    let table = &ks.table(table).keys;
    let absent = |key: &&&[u8]| table.find(ks.hasher.hash(key), key).is_none();
    keys.iter().filter(absent).count()
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
    let place = place_of(cx.command, args);
    let flags = cx.command.spec.flags;
    let table = ask(cx, place, args, flags).map_err(|refusal| {
        Error::new(match (refusal.prefix(), flags.has(Flags::WRITE)) {
            ("CLUSTERDOWN", true) if refusal.0.contains("read only") => {
                "ERR Script attempted to execute a write command while the cluster is down and readonly"
            }
            ("CLUSTERDOWN", _) if !refusal.0.contains("not served") => {
                "ERR Script attempted to execute a command while the cluster is down"
            }
            _ => "ERR Script attempted to access a non local key in a cluster node",
        })
    })?;
    if let Place::Slot { slot: used, .. } = place
        && !may_cross
        && *slot.get_or_insert(used) != used
    {
        return Err(Error::new(
            "ERR Script attempted to access keys that do not hash to the same slot",
        ));
    }
    Ok(table)
}

/// The slot of the keys that a call names, if there is one.
pub fn slot_of(command: Entry, args: &Args) -> Option<u16> {
    match place_of(command, args) {
        Place::Slot { slot, .. } => Some(slot),
        Place::Anywhere | Place::Across => None,
    }
}

/// Why a refusal of a call ends a transaction with its own words.
pub fn is_redirect(refusal: &Error) -> bool {
    matches!(
        refusal.prefix(),
        "MOVED" | "ASK" | "TRYAGAIN" | "CROSSSLOT" | "CLUSTERDOWN"
    )
}
