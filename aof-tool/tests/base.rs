//! `aof-tool fix` of logs whose snapshot is damaged, as base or in front of the commands: a living server judges what is left.

#[path = "../../toolkit/tests/support/real_server.rs"]
mod real_server;
mod tool;

use real_server::RealServer;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tool::run;

/// Keys of the base, of each of three types.
const KEYS: usize = 2000;
const PARTS: &str = "appendonlydir";
const BASE: &str = "appendonlydir/appendonly.aof.2.base.rdb";

/// A server over `folder` with a log.
fn server(folder: &Path) -> RealServer {
    let options = ["--appendonly", "yes", "--appendfsync", "always"];
    RealServer::start(folder, &options)
}

/// The data folder of a server that has rewritten its log and gone on.
fn written() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    let mut commands = String::new();
    for i in 0..KEYS {
        commands += &tool::command(&format!("SET user:{i} value-of-user-{i}"));
        commands += &tool::command(&format!("HSET item:{i} name item-{i} price {i}"));
        commands += &tool::command(&format!("RPUSH list:{i} a b {i}"));
    }
    server.send(commands.as_bytes());
    server.ask("BGREWRITEAOF");
    let is_done = || {
        server
            .ask("INFO persistence")
            .contains("aof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0")
    };
    while !is_done() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    server.ask("SET behind yes");
    drop(server);
    assert!(folder.path().join(BASE).is_file());
    folder
}

fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    fs::create_dir(to.path().join(PARTS)).unwrap();
    for file in fs::read_dir(from.join(PARTS)).unwrap().flatten() {
        fs::copy(file.path(), to.path().join(PARTS).join(file.file_name())).unwrap();
    }
    to
}

/// All files of a folder.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

/// Keys that a server has which starts over this folder: how many are as they were written, and how many others there are.
fn keys_loaded(folder: &Path) -> [usize; 2] {
    let server = server(folder);
    assert!(server.ask("GET behind").contains("yes"));
    let count = "local right, other = 0, 0 for _, key in ipairs(redis.call('keys', '*')) do \
        local kind, i = key:match('^(%a+):(%d+)$') \
        local kinds = { user = 'string', item = 'hash', list = 'list' } \
        if kind and redis.call('type', key).ok ~= kinds[kind] then kind = nil end \
        local is = { user = function() return redis.call('get', key) == 'value-of-user-' .. i end, \
          item = function() return table.concat(redis.call('hgetall', key), ' ') == 'name item-' .. i .. ' price ' .. i end, \
          list = function() return table.concat(redis.call('lrange', key, 0, -1), ' ') == 'a b ' .. i end } \
        if is[kind] and is[kind]() then right = right + 1 elseif key ~= 'behind' and key ~= 'n' then other = other + 1 end end \
        return {right, other}";
    let reply = server.ask(&format!("EVAL \"{count}\" 0"));
    let numbers = reply.lines().filter_map(|line| line.strip_prefix(':'));
    let numbers: Vec<usize> = numbers.map(|number| number.parse().unwrap()).collect();
    numbers.try_into().unwrap_or_else(|_| panic!("{reply}"))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Mends the log after this damage; gives how many keys a server then has, each as it was written.
fn mended(written: &Path, damage: impl Fn(&mut Vec<u8>)) -> usize {
    let ([right, other], told) = mended_with_others(written, damage);
    assert_eq!(other, 0, "{told}");
    right
}

/// The same where some may be others; and what the tool says about the snapshot.
fn mended_with_others(written: &Path, damage: impl Fn(&mut Vec<u8>)) -> ([usize; 2], Value) {
    let folder = copy(written);
    let (base, parts) = (folder.path().join(BASE), folder.path().join(PARTS));
    let mut bytes = fs::read(&base).unwrap();
    damage(&mut bytes);
    fs::write(&base, &bytes).unwrap();
    let before = files(&parts);
    let dry = run(&["fix", "--dry-run", text(&parts)]);
    assert_eq!(dry.code, 1, "{dry:?}");
    assert_eq!(files(&parts), before, "a dry run changes nothing");
    let fixed = run(&["fix", "--json", text(&parts)]);
    assert_eq!(fixed.code, 1, "{fixed:?}");
    let first: Value = serde_json::from_str(fixed.stdout.lines().next().unwrap()).unwrap();
    let told = first["snapshot"].clone();
    assert!(dry.stdout.contains("snapshot: "), "{dry:?}");
    let mut backup = base.clone().into_os_string();
    backup.push(".bak");
    assert_eq!(fs::read(backup).unwrap(), bytes, "the base as it was");
    let again = run(&["fix", text(&parts)]);
    assert_eq!(again.code, 0, "{again:?}");
    let loaded = keys_loaded(folder.path());
    let kept = loaded.iter().sum::<usize>();
    assert_eq!(told["keys"], kept, "as many as the report says: {loaded:?}");
    (loaded, told)
}

/// Where the values of two users with numbers of four digits stand in a base, the first behind `from`, and so many bytes apart. A server has its
/// keys in another order each time, so damage at a fixed place may end right before the length of a key: with a zero in the place of its type that
/// is a sound record of another.
fn two_values(base: &[u8], from: usize, apart: usize) -> [usize; 2] {
    let value = b"value-of-user-";
    let places = base.windows(value.len() + 4).enumerate();
    let mut places = places
        .filter(|(_, word)| word.starts_with(value) && word.iter().all(|byte| *byte > b' '))
        .map(|(at, _)| at);
    let first = places.find(|at| *at > from).unwrap();
    [first, places.find(|at| *at > first + apart).unwrap()]
}

#[test]
fn a_damaged_base_keeps_what_can_be_read_and_a_server_loads_it() {
    let written = written();
    let path = written.path();
    let all = 3 * KEYS;
    assert_eq!(
        mended(path, |bytes| bytes[20_000] ^= 0x40),
        all,
        "put right"
    );
    let zeroed = mended(path, |bytes| {
        let [first, second] = two_values(bytes, 20_000, 4096);
        bytes[first + 5..second + 5].fill(0);
    });
    assert!(zeroed > all - 300 && zeroed < all, "{zeroed}");
    let cut = mended(path, |bytes| bytes.truncate(bytes.len() * 3 / 4));
    assert!(cut > all / 2 && cut < all, "{cut}");
    let tail = mended(path, |bytes| {
        let len = bytes.len();
        bytes[len - 2000..].fill(0);
    });
    assert!(tail > all - 200 && tail < all, "{tail}");
    for lost in [5, 9, 100] {
        let head = mended(path, |bytes| bytes[..lost].fill(b'?'));
        assert!(head > all - 100, "{head}");
    }
    // The first value ends within the key behind the second: nobody can read on there, so it is not kept.
    let spliced = mended(path, |bytes| {
        let [first, second] = two_values(bytes, 30_000, 1000);
        bytes.drain(first + 5..second + 8);
    });
    assert!(spliced > all - 200 && spliced < all, "{spliced}");
}

/// From within one value to the same place in another as long: all records are sound, and the first user has the value of the second. Nothing
/// but the checksum tells of it, and that not where.
#[test]
fn a_splice_that_nobody_can_see_is_told_to_be_there() {
    let written = written();
    let ([right, other], told) = mended_with_others(written.path(), |bytes| {
        let [first, second] = two_values(bytes, 30_000, 1000);
        bytes.drain(first + 9..second + 9);
    });
    assert!(right > 3 * KEYS - 200 && right < 3 * KEYS, "{right}");
    assert_eq!(other, 1, "{told}");
    assert_eq!(told["unplaced"], true, "{told}");
    assert!(told["keys_missing"].as_u64().unwrap() > 5, "{told}");
}

/// One file, a snapshot with commands behind it: those are kept, also where the end of the snapshot is lost.
#[test]
fn a_damaged_snapshot_in_front_keeps_the_commands_behind_it() {
    let written = written();
    let base = fs::read(written.path().join(BASE)).unwrap();
    let end = base.len();
    let [first, second] = two_values(&base, 20_000, 4096);
    let commands = tool::log(&[
        "SELECT 0",
        "SET behind yes",
        "SET user:0 value-of-user-0",
        "INCR n",
    ]);
    let whole = [&base[..], commands.as_bytes()].concat();
    for (name, range, least) in [
        ("middle", first + 5..second + 5, 3 * KEYS - 300),
        ("end", end - 500..end, 3 * KEYS - 100),
        ("end and more", end - 500..end + 10, 3 * KEYS - 100),
    ] {
        let mut bytes = whole.clone();
        bytes[range].fill(0);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("appendonly.aof");
        fs::write(&path, &bytes).unwrap();
        let fixed = run(&["fix", text(&path)]);
        assert_eq!(fixed.code, 1, "{name}: {fixed:?}");
        assert!(
            fixed.stdout.contains("commands follow as they were") || name == "end and more",
            "{fixed:?}"
        );
        assert_eq!(run(&["check", text(&path)]).code, 0, "{name}");
        if name == "end and more" {
            // The SELECT is lost, so nobody knows the database of what follows.
            assert!(!fixed.stdout.contains("commands follow"), "{fixed:?}");
            continue;
        }
        assert!(fixed.stdout.contains("4 commands kept"), "{fixed:?}");
        let [keys, other] = keys_loaded(folder.path());
        assert!(keys >= least && keys < 3 * KEYS, "{name}: {keys}");
        assert_eq!(other, 0, "{name}");
    }
}

/// Nothing of it can be read: the log stays as it is, and so do its other files.
#[test]
fn a_base_of_which_nothing_is_left_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let part = |name: &str| folder.path().join(name);
    fs::write(
        part("a.manifest"),
        "file a.1.base.rdb seq 1 type b\nfile a.1.incr.aof seq 1 type i\n",
    )
    .unwrap();
    fs::write(part("a.1.base.rdb"), vec![0; 5000]).unwrap();
    fs::write(part("a.1.incr.aof"), "*2\r\n$3\r\nDEL").unwrap();
    let before = files(folder.path());
    let refused = run(&["fix", text(folder.path())]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(
        refused
            .stderr
            .contains("nothing in it can be read as a record"),
        "{refused:?}"
    );
    assert!(
        refused
            .stderr
            .contains("nothing was changed in any file of the log"),
        "{refused:?}"
    );
    assert_eq!(files(folder.path()), before);
}
