//! DEBUG: what tests and fault finding need. One row per subcommand; unlike in other containers they are no commands of
//! their own, as in Redis.

use std::time::Duration;

use cairn_engine::command::error::{self, Error, Outcome};
use cairn_engine::command::reply::Protocol;
use cairn_engine::command::{Args, Command, Ctx, Flags, Group, help};
use cairn_engine::keyspace::lru_clock;
use cairn_engine::persist::digest;
use cairn_engine::persist::save::write_record;
use cairn_engine::value::{Encoding, NewValue, ValueRef, encoding_of};
use cairn_format::encoding::listpack::Listpack;
use cairn_format::rdb::WriteOptions;
use cairn_format::rdb::dump;
use cairn_format::rdb::event::Head;
use cairn_format::text::number::{I64Text, parse_f64};

use super::config::{is_local, rewrite};
use super::front;
use crate::config::choice::Permission;
use crate::config::table;
use crate::os::crash;

/// This family.
pub const COMMANDS: &[&Command] = &[&DEBUG];

const DEBUG: Command = Command {
    name: "debug",
    group: Group::Server,
    arity: -2,
    flags: Flags::ADMIN
        .and(Flags::NO_SCRIPT)
        .and(Flags::LOADING)
        .and(Flags::STALE),
    complexity: "Depends on subcommand.",
    summary: "Do what tests and fault finding need",
    run: debug,
    ..Command::BASE
};

type Handler = fn(&mut Ctx, &Args) -> Outcome;

/// Word, fewest and most arguments (both words included), what it does.
const SUBCOMMANDS: &[(&str, usize, usize, Handler)] = &[
    ("help", 2, 2, show_help),
    ("aof-flush-sleep", 3, 3, aof_flush_sleep),
    ("assert", 2, 2, assert_fails),
    ("change-repl-id", 2, 2, change_repl_id),
    ("config-rewrite-force-all", 2, 2, |cx, _| rewrite(cx, true)),
    ("digest", 2, 2, all_digest),
    ("digest-value", 2, usize::MAX, value_digests),
    ("error", 3, 3, error_reply),
    ("listpack", 3, 3, show_listpack),
    ("log", 3, 3, log_line),
    ("loop-turn", 2, 3, loop_turn),
    ("object", 3, 4, describe),
    ("panic", 2, 2, panics),
    ("pause-cron", 3, 3, pause_cron),
    ("populate", 3, 5, populate),
    ("protocol", 3, 3, protocol),
    ("reload", 2, usize::MAX, super::reload::reload),
    ("replicate", 3, usize::MAX, replicate),
    ("segfault", 2, 2, |_, _| crash::segfault()),
    ("set-active-expire", 3, 3, set_active_expire),
    ("sleep", 3, 3, sleep),
];

fn debug(cx: &mut Ctx, args: &Args) -> Outcome {
    let allowed = match front(&mut *cx.inst).config.get(table::ENABLE_DEBUG_COMMAND) {
        Permission::Yes => true,
        Permission::No => false,
        Permission::Local => is_local(cx),
    };
    if !allowed {
        return Err(Error::new(
            "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.",
        ));
    }
    let found = SUBCOMMANDS
        .iter()
        .find(|(word, least, most, _)| args.is(1, word) && (*least..=*most).contains(&args.len()));
    match found {
        Some((.., run)) => run(cx, args),
        None => {
            let word = String::from_utf8_lossy(args.at(1)).into_owned();
            Err(Error::text(format!(
                "ERR unknown subcommand or wrong number of arguments for '{word}'. Try DEBUG HELP."
            )))
        }
    }
}

fn ok(cx: &mut Ctx) -> Outcome {
    cx.reply.ok();
    Ok(())
}

/// A switch as C's `atoi` reads it: on for a number that is not 0.
fn switch(args: &Args) -> bool {
    args.int(2).is_ok_and(|number| number != 0)
}

fn sleep(cx: &mut Ctx, args: &Args) -> Outcome {
    let seconds = parse_f64(args.at(2)).unwrap_or(0.0);
    // Longer than a day is a mistake in any case, and must not overflow.
    std::thread::sleep(Duration::from_secs_f64(seconds.clamp(0.0, 86_400.0)));
    ok(cx)
}

fn set_active_expire(cx: &mut Ctx, args: &Args) -> Outcome {
    cx.ks.active_expire = switch(args);
    ok(cx)
}

fn pause_cron(cx: &mut Ctx, args: &Args) -> Outcome {
    front(&mut *cx.inst).cron_paused = switch(args);
    ok(cx)
}

fn aof_flush_sleep(cx: &mut Ctx, args: &Args) -> Outcome {
    front(&mut *cx.inst).keeper.flush_sleep_us = args.int(2).unwrap_or(0).max(0) as u64;
    ok(cx)
}

/// Not in Redis. Two numbers in microseconds, each of the turn of the loop that had most of it: time from the end of its poll
/// to its last reply, and processor time. The first holds also what others on the machine took, the second does not.
/// RESET begins anew after its own turn, and from the first RESET on processor time is watched; before, it is null.
fn loop_turn(cx: &mut Ctx, args: &Args) -> Outcome {
    let counters = &mut front(&mut *cx.inst).counters;
    let (longest, cpu) = (counters.turn_us_max, counters.turn_cpu_us_max);
    match args.get(2) {
        None => {}
        Some(word) if word.eq_ignore_ascii_case(b"reset") => {
            counters.turn_us_max = 0;
            counters.turn_cpu_us_max = Some(0);
        }
        Some(_) => return Err(error::SYNTAX),
    }
    cx.reply.array(2);
    cx.reply.int(longest as i64);
    match cpu {
        Some(cpu) => cx.reply.int(cpu as i64),
        None => cx.reply.null(),
    }
    Ok(())
}

/// There is no replication whose id could be changed; the run's own id stands for it in INFO.
fn change_repl_id(cx: &mut Ctx, _: &Args) -> Outcome {
    let front = front(&mut *cx.inst);
    let mut id = [0; 20];
    front.host.random(&mut id);
    front.run_id = id.iter().map(|byte| format!("{byte:02x}")).collect();
    ok(cx)
}

fn log_line(cx: &mut Ctx, args: &Args) -> Outcome {
    let text = String::from_utf8_lossy(args.at(2));
    front(&mut *cx.inst)
        .log
        .warning(format_args!("DEBUG LOG: {text}"));
    ok(cx)
}

fn error_reply(_: &mut Ctx, args: &Args) -> Outcome {
    Err(Error::text(String::from_utf8_lossy(args.at(2))))
}

fn panics(cx: &mut Ctx, _: &Args) -> Outcome {
    let log = &front(&mut *cx.inst).log;
    log.warning(format_args!(
        "------------------------------------------------"
    ));
    log.warning(format_args!(
        "!!! Software Failure. Press left mouse button to continue"
    ));
    log.warning(format_args!(
        "Guru Meditation: called by user #{}:{}",
        file!(),
        line!()
    ));
    log.warning(format_args!(
        "------------------------------------------------"
    ));
    std::process::abort()
}

fn assert_fails(cx: &mut Ctx, _: &Args) -> Outcome {
    let log = &front(&mut *cx.inst).log;
    log.warning(format_args!("=== ASSERTION FAILED ==="));
    log.warning(format_args!(
        "==> {}:{} 'asked for by DEBUG ASSERT' is not true",
        file!(),
        line!()
    ));
    std::process::abort()
}

fn replicate(cx: &mut Ctx, args: &Args) -> Outcome {
    let command: Vec<&[u8]> = args.iter_from(2).collect();
    cx.propagate(&command);
    ok(cx)
}

// ---- data ----

fn populate(cx: &mut Ctx, args: &Args) -> Outcome {
    let number =
        |i| usize::try_from(args.int(i).unwrap_or(-1)).map_err(|_| error::MUST_BE_POSITIVE);
    let count = number(2)?;
    let prefix = args.get(3).unwrap_or(b"key");
    let size = if args.len() > 4 {
        Some(number(4)?)
    } else {
        None
    };
    if size.is_some_and(|size| size > cx.ks.limits.string_bytes_max) {
        return Err(error::STRING_TOO_LONG);
    }
    let (mut key, mut value, mut digits) = (Vec::new(), Vec::new(), I64Text::new());
    for i in 0..count {
        let digits = digits.format(i as i64);
        key.clear();
        for part in [prefix, b":", digits] {
            key.extend_from_slice(part);
        }
        if cx.ks.find(&key).is_some() {
            continue;
        }
        value.clear();
        value.extend_from_slice(b"value:");
        value.extend_from_slice(digits);
        if let Some(size) = size {
            value.resize(size, 0);
        }
        cx.ks.add(&key, NewValue::string(&value), None);
        cx.ks.changed(&key, 0);
    }
    ok(cx)
}

fn all_digest(cx: &mut Ctx, _: &Args) -> Outcome {
    cx.reply.simple(&digest::of_all(cx.ks).hex());
    Ok(())
}

fn value_digests(cx: &mut Ctx, args: &Args) -> Outcome {
    cx.reply.array(args.len() - 2);
    for key in args.iter_from(2) {
        let digest = match cx.ks.find(key) {
            Some(slot) => digest::of_value(cx.ks.record(slot)),
            None => digest::Digest::default(),
        };
        cx.reply.simple(&digest.hex());
    }
    Ok(())
}

/// Body of a DUMP payload without its type byte, version and checksum.
const DUMP_FRAME: usize = 1 + 2 + 8;

fn describe(cx: &mut Ctx, args: &Args) -> Outcome {
    let fast = args.is(3, "fast");
    if args.len() == 4 && !fast {
        return Err(error::SYNTAX);
    }
    let slot = cx.ks.find(args.at(2)).ok_or(error::NO_SUCH_KEY)?;
    let mut options = WriteOptions::new(crate::keeper::automatic_dialect(cx.ks));
    options.compress = front(&mut *cx.inst).config.get(table::RDBCOMPRESSION);
    let record = cx.ks.record(slot);
    let value = cx.ks.view(slot);
    let saved = dump::build(options, |writer| {
        write_record(writer, &Head::default(), record)
    });
    let serialized = saved.map_or(0, |payload| payload.len().saturating_sub(DUMP_FRAME));
    let owners = match value {
        // Redis shares these integers between all keys.
        ValueRef::Int(0..=9999) => i32::MAX,
        _ => 1,
    };
    let clock = lru_clock(cx.ks.now_ms);
    let mut text = format!(
        "Value at:{record:p} refcount:{owners} encoding:{} serializedlength:{serialized} lru:{} lru_seconds_idle:{}",
        encoding_of(record.tag()).name(),
        record.access(),
        clock.wrapping_sub(record.access()) & 0xff_ffff,
    );
    if let ValueRef::List(list) = value
        && !fast
    {
        let nodes = list.node_count();
        text.push_str(&format!(
            " ql_nodes:{nodes} ql_avg_node:{:.2} ql_listpack_max:{} ql_compressed:{} ql_uncompressed_size:{}",
            list.len() as f64 / nodes.max(1) as f64,
            cx.ks.limits.list_listpack_size,
            u8::from(cx.ks.limits.list_compress_depth > 0),
            list.mem_bytes(),
        ));
    }
    cx.reply.simple(&text);
    Ok(())
}

fn show_listpack(cx: &mut Ctx, args: &Args) -> Outcome {
    let slot = cx.ks.find(args.at(2)).ok_or(error::NO_SUCH_KEY)?;
    match cx.ks.view(slot) {
        ValueRef::Packed(_, Encoding::Listpack, blob) => {
            let pack = Listpack::new(blob).map_err(|error| Error::text(format!("ERR {error}")))?;
            println!(
                "{{total bytes {}}} {{num entries {}}}",
                blob.len(),
                pack.len()
            );
            for (number, (at, entry)) in pack.iter().enumerate() {
                let text = entry.to_bytes();
                println!("{{{number}}} at {at}: {}", String::from_utf8_lossy(&text));
            }
        }
        _ => return Err(Error::new("ERR Not a listpack encoded object.")),
    }
    cx.reply.simple("Listpack structure printed on stdout");
    Ok(())
}

// ---- replies ----

#[expect(clippy::approx_constant, reason = "the very digits that Redis sends")]
fn protocol(cx: &mut Ctx, args: &Args) -> Outcome {
    let new = cx.session.protocol == Protocol::Resp3;
    let reply = &mut *cx.reply;
    match args.at(2).to_ascii_lowercase().as_slice() {
        b"string" => reply.bulk(b"Hello World"),
        b"integer" => reply.int(12345),
        b"double" => reply.double(3.141),
        b"null" => reply.null(),
        b"array" => {
            reply.array(3);
            (0..3).for_each(|i| reply.int(i));
        }
        b"set" => {
            reply.set(3);
            (0..3).for_each(|i| reply.int(i));
        }
        b"map" => {
            reply.map(3);
            for i in 0..3 {
                reply.int(i);
                reply.bool(i == 1);
            }
        }
        b"attrib" => {
            if new {
                reply.raw(b"|1\r\n");
                reply.bulk(b"key-popularity");
                reply.array(2);
                reply.bulk(b"key:123");
                reply.int(90);
            }
            reply.bulk(b"Some real reply following the attribute");
        }
        b"push" if !new => {
            return Err(Error::new("ERR RESP2 is not supported by this command"));
        }
        b"push" => {
            reply.push(2);
            reply.bulk(b"server-cpu-usage");
            reply.int(42);
            reply.bulk(b"Some real reply following the push reply");
        }
        b"true" => reply.bool(true),
        b"false" => reply.bool(false),
        b"verbatim" => reply.verbatim(b"txt", b"This is a verbatim\nstring"),
        b"bignum" => reply.big_number("1234567999999999999999999999999999999"),
        _ => {
            return Err(Error::new(
                "ERR Wrong protocol type name. Please use one of the following: string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
            ));
        }
    }
    Ok(())
}

fn show_help(cx: &mut Ctx, _: &Args) -> Outcome {
    help::write_lines(cx.reply, "DEBUG", HELP_LINES);
    Ok(())
}

const HELP_LINES: &[&str] = &[
    "AOF-FLUSH-SLEEP <microsec>",
    "    Server will sleep before flushing the AOF, this is used for testing.",
    "ASSERT",
    "    Crash by assertion failed.",
    "CHANGE-REPL-ID",
    "    Change the replication IDs of the instance.",
    "    Dangerous: should be used only for testing the replication subsystem.",
    "CONFIG-REWRITE-FORCE-ALL",
    "    Like CONFIG REWRITE but writes all configuration options, including",
    "    keywords not listed in original configuration file or default values.",
    "DIGEST",
    "    Output a hex signature representing the current DB content.",
    "DIGEST-VALUE <key> [<key> ...]",
    "    Output a hex signature of the values of all the specified keys.",
    "ERROR <string>",
    "    Return a Redis protocol error with <string> as message. Useful for clients",
    "    unit tests to simulate Redis errors.",
    "LOG <message>",
    "    Write <message> to the server log.",
    "LOOP-TURN [RESET]",
    "    Show the longest turn of the event loop in microseconds, without the time it",
    "    waited for work, and the most processor time of a turn, which is watched from",
    "    the first RESET on. RESET starts anew. Only in Cairn.",
    "REPLICATE <string>",
    "    Replicates the provided string to replicas, allowing data divergence.",
    "OBJECT <key>",
    "    Show low level info about `key` and associated value.",
    "PANIC",
    "    Crash the server simulating a panic.",
    "POPULATE <count> [<prefix>] [<size>]",
    "    Create <count> string keys named key:<num>. If <prefix> is specified then",
    "    it is used instead of the 'key' prefix. These are not propagated to",
    "    replicas. Cluster slots are not respected so keys not belonging to the",
    "    current node can be created in cluster mode.",
    "PROTOCOL <type>",
    "    Reply with a test value of the specified type. <type> can be: string,",
    "    integer, double, bignum, null, array, set, map, attrib, push, verbatim,",
    "    true, false.",
    "RELOAD [option ...]",
    "    Save the RDB on disk and reload it back to memory. Valid <option> values:",
    "    * MERGE: conflicting keys will be loaded from RDB.",
    "    * NOFLUSH: the existing database will not be removed before load, but",
    "      conflicting keys will generate an exception and kill the server.",
    "    * NOSAVE: the database will be loaded from an existing RDB file.",
    "    Examples:",
    "    * DEBUG RELOAD: verify that the server is able to persist, flush and reload",
    "      the database.",
    "    * DEBUG RELOAD NOSAVE: replace the current database with the contents of an",
    "      existing RDB file.",
    "    * DEBUG RELOAD NOSAVE NOFLUSH MERGE: add the contents of an existing RDB",
    "      file to the database.",
    "SEGFAULT",
    "    Crash the server with sigsegv.",
    "SET-ACTIVE-EXPIRE <0|1>",
    "    Setting it to 0 disables expiring keys in background when they are not",
    "    accessed (otherwise the Redis behavior). Setting it to 1 reenables back the",
    "    default.",
    "SLEEP <seconds>",
    "    Stop the server for <seconds>. Decimals allowed.",
    "LISTPACK <key>",
    "    Show low level info about the listpack encoding of <key>.",
    "PAUSE-CRON <0|1>",
    "    Stop periodic cron job processing.",
];
