//! The commands of a server that sessions need to be replayed: CONFIG SET and GET of the engine's limits, and those of
//! DEBUG that look at the data set.

use cairn_engine::base::args::Args;
use cairn_engine::base::effect::EventClass;
use cairn_engine::base::error::{Error, Outcome};
use cairn_engine::base::limits::Limits;
use cairn_engine::call::{Command, Ctx, Flags, Group};
use cairn_engine::persist::digest;
use cairn_engine::persist::load::Loader;
use cairn_engine::persist::save::{SaveOptions, save};
use cairn_format::rdb::Dialect;

use super::stage::World;

/// This family.
pub const COMMANDS: &[&Command] = &[&CONFIG, &DEBUG];

const CONFIG: Command = Command::container(
    "config",
    Group::Server,
    "2.0.0",
    "Parameters",
    &[&GET, &SET],
);

const GET: Command = Command {
    name: "config|get",
    group: Group::Server,
    arity: -3,
    run: get,
    ..Command::BASE
};
const SET: Command = Command {
    name: "config|set",
    group: Group::Server,
    arity: -4,
    run: set,
    ..Command::BASE
};

fn lacking(cx: &mut Ctx) -> Outcome {
    let world = cx
        .inst
        .as_any()
        .downcast_mut::<World>()
        .expect("the tests' world");
    world.lacking = true;
    Ok(())
}

/// The parameters that are limits of the engine.
fn limit<'l>(limits: &'l mut Limits, name: &str) -> Option<&'l mut usize> {
    Some(match name.replace("ziplist", "listpack").as_str() {
        "hash-max-listpack-entries" => &mut limits.hash_listpack_entries,
        "hash-max-listpack-value" => &mut limits.hash_listpack_value,
        "set-max-intset-entries" => &mut limits.set_intset_entries,
        "set-max-listpack-entries" => &mut limits.set_listpack_entries,
        "set-max-listpack-value" => &mut limits.set_listpack_value,
        "zset-max-listpack-entries" => &mut limits.zset_listpack_entries,
        "zset-max-listpack-value" => &mut limits.zset_listpack_value,
        "stream-node-max-entries" => &mut limits.stream_node_entries,
        "stream-node-max-bytes" => &mut limits.stream_node_bytes,
        "hll-sparse-max-bytes" => &mut limits.hll_sparse_bytes,
        _ => return None,
    })
}

fn lower(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).to_ascii_lowercase()
}

fn set(cx: &mut Ctx, args: &Args) -> Outcome {
    for i in (2..args.len()).step_by(2) {
        let (name, value) = (
            lower(args.at(i)),
            String::from_utf8_lossy(args.at(i + 1)).into_owned(),
        );
        let limits = &mut cx.ks.limits;
        match name.as_str() {
            "notify-keyspace-events" => limits.notify = classes(&value),
            "list-max-listpack-size" | "list-max-ziplist-size" => {
                limits.list_listpack_size = number(&value)?
            }
            "list-compress-depth" => limits.list_compress_depth = number(&value)?,
            "slowlog-log-slower-than" => {}
            "requirepass" => cx.shared.users.require_password(value.as_bytes()),
            name => match limit(limits, name) {
                Some(place) => *place = number(&value)?,
                None => return lacking(cx),
            },
        }
    }
    cx.reply.ok();
    Ok(())
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, Error> {
    text.parse().map_err(|_| {
        Error::new("ERR CONFIG SET failed - argument couldn't be parsed into an integer")
    })
}

fn classes(text: &str) -> u32 {
    let bit = |letter: char| match letter {
        'K' => EventClass::KEYSPACE,
        'E' => EventClass::KEYEVENT,
        'g' => EventClass::GENERIC,
        '$' => EventClass::STRING,
        'l' => EventClass::LIST,
        's' => EventClass::SET,
        'h' => EventClass::HASH,
        'z' => EventClass::ZSET,
        'x' => EventClass::EXPIRED,
        'e' => EventClass::EVICTED,
        't' => EventClass::STREAM,
        'm' => EventClass::KEY_MISS,
        'd' => EventClass::MODULE,
        'n' => EventClass::NEW,
        'A' => EventClass::ALL,
        other => panic!("event class {other}"),
    };
    text.chars().fold(0, |bits, letter| bits | bit(letter))
}

fn get(cx: &mut Ctx, args: &Args) -> Outcome {
    let name = lower(args.at(2));
    let value = match name.as_str() {
        "list-max-ziplist-size" | "list-max-listpack-size" => {
            cx.ks.limits.list_listpack_size.to_string()
        }
        name => match limit(&mut cx.ks.limits, name) {
            Some(place) => place.to_string(),
            None => return lacking(cx),
        },
    };
    cx.reply.map(1);
    cx.reply.bulk(name.as_bytes());
    cx.reply.bulk(value.as_bytes());
    Ok(())
}

const DEBUG: Command = Command {
    name: "debug",
    group: Group::Server,
    arity: -2,
    flags: Flags::ADMIN
        .and(Flags::NO_SCRIPT)
        .and(Flags::LOADING)
        .and(Flags::STALE),
    run: debug,
    ..Command::BASE
};

fn debug(cx: &mut Ctx, args: &Args) -> Outcome {
    match (lower(args.at(1)).as_str(), args.len()) {
        ("digest", 2) => {
            let sum = digest::of_all(cx.ks).hex();
            cx.reply.simple(&sum);
        }
        ("digest-value", _) => {
            cx.reply.array(args.len() - 2);
            for key in args.iter_from(2) {
                let sum = cx
                    .ks
                    .find(key)
                    .map(|slot| digest::of_value(cx.ks.record(slot)));
                cx.reply.simple(sum.unwrap_or_default().hex());
            }
        }
        ("set-active-expire", 3) => {
            cx.ks.active_expire = args.is(2, "1");
            cx.reply.ok();
        }
        ("reload", 2) => {
            reload(cx);
            cx.reply.ok();
        }
        ("sleep", 3) => {
            let seconds: f64 = String::from_utf8_lossy(args.at(2)).parse().unwrap_or(0.0);
            let world = cx
                .inst
                .as_any()
                .downcast_mut::<World>()
                .expect("the tests' world");
            world.slept_ms = (seconds * 1000.0) as u64;
            cx.reply.ok();
        }
        _ => return lacking(cx),
    }
    Ok(())
}

/// Saves the data set, forgets it, and loads it again.
fn reload(cx: &mut Ctx) {
    let options = SaveOptions {
        part: cairn_engine::persist::save::Part::Everything,
        dialect: Dialect::redis(if cx.ks.ttl_hashes > 0 { 12 } else { 11 }),
        compress: true,
        checksum: true,
        aux: Vec::new(),
        idle: false,
        freq: false,
    };
    let (selected, databases) = (cx.ks.selected(), cx.ks.databases());
    let mut bytes = Vec::new();
    save(cx.ks, &mut bytes, &options, false, &mut |_| {}).expect("everything can be saved");
    cx.ks.begin_anew();
    let mut loader =
        Loader::new(bytes.as_slice(), databases, true, true).expect("a header of our own");
    loader.run(cx.ks).expect("a snapshot of our own");
    cx.ks.select(selected);
}
