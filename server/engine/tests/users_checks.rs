//! What users may do, wherever a command may come from, and what becomes of those who may not.

mod support;

use cairn_engine::base::id::SessionId;
use support::Bench;

const NO_KEY: &str = "-NOPERM No permissions to access a key\r\n";
const NO_CHANNEL: &str = "-NOPERM No permissions to access a channel\r\n";

fn text(reply: Vec<u8>) -> String {
    String::from_utf8_lossy(&reply).into_owned()
}

/// A bench whose default client made users of these words, and a client of the first of them.
fn bench_with(users: &[&str]) -> (Bench, SessionId) {
    let mut bench = Bench::new();
    for words in users {
        assert_eq!(bench.line(&format!("ACL SETUSER {words}")), "+OK\r\n");
    }
    let name = users[0].split(' ').next().expect("a name");
    let session = bench.open();
    log_in(&mut bench, session, name);
    (bench, session)
}

fn log_in(bench: &mut Bench, session: SessionId, name: &str) {
    assert_eq!(bench.run_as(session, &["AUTH", name, "any"]), b"+OK\r\n");
}

fn ask(bench: &mut Bench, session: SessionId, line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    text(bench.run_as(session, &words))
}

#[test]
fn each_use_of_a_key_needs_its_right() {
    let rules = "u on nopass +@all %R~r* %W~w* ~b* &c";
    let (mut bench, u) = bench_with(&[rules]);
    let allowed = [
        "GET r1",
        "MGET r1 b1",
        "SET w1 v",
        "GETSET b1 v",
        "COPY r1 w1",
        "SUNIONSTORE w1 r1 b1",
        "SET b1 v GET",
        "EXISTS w1",
        "EXISTS r1",
        "BITFIELD r1 GET u8 0",
        "XREAD STREAMS r1 0",
        "SORT r1 STORE w1",
        "GEORADIUS r1 0 0 1 m STORE w1",
        "ZUNIONSTORE w1 1 r1",
        "PFCOUNT r1",
        "EVAL 1 0",
        "KEYS *",
        "RENAME b1 w2",
        "SINTERCARD 1 r1",
        "LMPOP 1 b1 LEFT",
    ];
    let wrong_count = [
        (
            "EVAL 1 3 x b1",
            "-ERR Number of keys can't be greater than number of args\r\n",
        ),
        ("EVAL 1 -1 x", "-ERR Number of keys can't be negative\r\n"),
    ];
    for (line, error) in wrong_count {
        assert_eq!(ask(&mut bench, u, line), error);
    }
    for line in allowed {
        let reply = ask(&mut bench, u, line);
        assert!(!reply.starts_with("-NOPERM"), "{line}: {reply}");
    }
    let denied = [
        "GET w1",
        "GET x",
        "MGET r1 w1",
        "SET r1 v",
        "GETSET w1 v",
        "GETSET r1 v",
        "COPY w1 w2",
        "COPY r1 r2",
        "SUNIONSTORE r1 r2",
        "SUNIONSTORE w1 x",
        "SET w1 v GET",
        "EXISTS x",
        "BITFIELD r1 SET u8 0 1",
        "XREAD STREAMS w1 0",
        "SORT r1 STORE r2",
        "RENAME w1 w2",
        "GEORADIUS r1 0 0 1 m STORE w1 STORE r1",
        "GEORADIUS r1 0 0 1 m STORE w1 STOREDIST x",
        "ZUNIONSTORE w1 2 r1 x",
        "LMPOP 1 r1 LEFT",
        "EVAL 1 1 r1",
        "MSET w1 1 x 2",
        "PFCOUNT w1",
        // A count that is too large.
        "ZUNIONSTORE w1 9 r1",
        // Neither the group nor the first word behind it begins the streams.
        "XREADGROUP COUNT 1 GROUP streams r1 STREAMS x >",
    ];
    for line in denied {
        assert_eq!(ask(&mut bench, u, line), NO_KEY, "{line}");
    }
}

#[test]
fn one_selector_has_to_allow_a_call_as_a_whole() {
    let rules = "u on nopass (+get ~a) (+set ~b) (+mget %R~*) (+copy %R~a*) (+copy %W~b*) (+getset %R~a* %W~ab*)";
    let (mut bench, u) = bench_with(&[rules]);
    assert_eq!(ask(&mut bench, u, "GET a"), "$-1\r\n");
    assert_eq!(ask(&mut bench, u, "GET b"), NO_KEY);
    assert_eq!(ask(&mut bench, u, "SET b v"), "+OK\r\n");
    assert_eq!(ask(&mut bench, u, "SET a v"), NO_KEY);
    assert_eq!(ask(&mut bench, u, "MGET a b"), "*2\r\n$-1\r\n$1\r\nv\r\n");
    assert_eq!(ask(&mut bench, u, "COPY a b"), NO_KEY);
    assert_eq!(ask(&mut bench, u, "GETSET ab v"), NO_KEY);
    let echo = "-NOPERM User u has no permissions to run the 'echo' command\r\n";
    assert_eq!(ask(&mut bench, u, "ECHO x"), echo);
}

#[test]
fn first_arguments_and_subcommands_are_told_apart() {
    let rules = "u on nopass +select|0 +acl|whoami +config -acl|log +object|encoding ~*";
    let rules = &rules.replace("+config ", "");
    let (mut bench, u) = bench_with(&[rules]);
    assert_eq!(ask(&mut bench, u, "SELECT 0"), "+OK\r\n");
    let select = "-NOPERM User u has no permissions to run the 'select' command\r\n";
    assert_eq!(ask(&mut bench, u, "SELECT 00"), select);
    assert_eq!(ask(&mut bench, u, "ACL WHOAMI"), "$1\r\nu\r\n");
    let list = "-NOPERM User u has no permissions to run the 'acl|list' command\r\n";
    assert_eq!(ask(&mut bench, u, "ACL LIST"), list);
    assert_eq!(ask(&mut bench, u, "OBJECT ENCODING x"), "$-1\r\n");
    // What everybody may say needs no right.
    assert_eq!(ask(&mut bench, u, "HELLO 2 AUTH u x").as_bytes()[0], b'*');
    assert_eq!(
        ask(&mut bench, u, "NOSUCH"),
        "-ERR unknown command 'NOSUCH', with args beginning with: \r\n"
    );
    assert_eq!(
        ask(&mut bench, u, "GET"),
        "-ERR wrong number of arguments for 'get' command\r\n"
    );
}

#[test]
fn a_renamed_command_is_ruled_by_its_own_name() {
    let mut bench = Bench::new();
    let table = &mut bench.engine.shared.table;
    table.rename(b"get", "fetch").expect("there is one");
    table.rename(b"strlen", "get").expect("it is free");
    assert_eq!(bench.line("ACL SETUSER u on nopass ~* +get"), "+OK\r\n");
    let fetch = bench.line("ACL SETUSER u +fetch");
    assert!(fetch.contains("Unknown command"), "{fetch}");
    let u = bench.open();
    log_in(&mut bench, u, "u");
    assert_eq!(ask(&mut bench, u, "FETCH k"), "$-1\r\n");
    let strlen = "-NOPERM User u has no permissions to run the 'strlen' command\r\n";
    assert_eq!(ask(&mut bench, u, "GET k"), strlen);
}

#[test]
fn channels_are_matched_and_patterns_are_compared() {
    let (mut bench, u) = bench_with(&["u on nopass +@all &c* &d"]);
    for line in [
        "PUBLISH c1 m",
        "SPUBLISH d m",
        "SUBSCRIBE c1 d",
        "PSUBSCRIBE c*",
        "UNSUBSCRIBE x",
        "PUNSUBSCRIBE",
    ] {
        let reply = ask(&mut bench, u, line);
        assert!(!reply.starts_with('-'), "{line}: {reply}");
    }
    let (mut bench, u) = bench_with(&["u on nopass +@all &c* &d"]);
    for line in [
        "PUBLISH x m",
        "SPUBLISH x m",
        "SUBSCRIBE c1 x",
        "SSUBSCRIBE x",
        "PSUBSCRIBE c1",
        "PSUBSCRIBE c1*",
        "PSUBSCRIBE *",
        "PSUBSCRIBE c*\0zz",
    ] {
        assert_eq!(ask(&mut bench, u, line), NO_CHANNEL, "{line}");
    }
}

#[test]
fn rights_are_looked_at_when_queued_and_when_run() {
    let (mut bench, u) = bench_with(&["u on nopass +@all ~*"]);
    ask(&mut bench, u, "MULTI");
    for line in ["SET a 1", "GET a", "GET b", "PING"] {
        assert_eq!(ask(&mut bench, u, line), "+QUEUED\r\n");
    }
    bench.line("ACL SETUSER u -get resetkeys ~a +get -set");
    let frame = "-NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no longer allowed for the following reason: ";
    let want = format!(
        "*4\r\n{frame}no permission to execute the command or subcommand\r\n$-1\r\n{frame}no permission to touch the specified keys\r\n+PONG\r\n"
    );
    assert_eq!(ask(&mut bench, u, "EXEC"), want);
    ask(&mut bench, u, "MULTI");
    assert_eq!(ask(&mut bench, u, "GET b"), NO_KEY);
    let aborted = "-EXECABORT Transaction discarded because of previous errors.\r\n";
    assert_eq!(ask(&mut bench, u, "EXEC"), aborted);
}

#[test]
fn scripts_have_the_rights_of_their_caller() {
    let (mut bench, u) = bench_with(&["u on nopass +eval +get +set +acl ~k &c"]);
    let run = |bench: &mut Bench, code: &str| text(bench.run_as(u, &["EVAL", code, "0"]));
    assert_eq!(
        run(&mut bench, "return redis.call('set', 'k', '1')"),
        "+OK\r\n"
    );
    let key = run(&mut bench, "return redis.call('set', 'x', '1')");
    assert!(
        key.starts_with("-ERR ACL failure in script: No permissions to access a key script: "),
        "{key}"
    );
    let command = run(&mut bench, "return redis.pcall('del', 'k')");
    assert_eq!(
        command,
        "-ERR ACL failure in script: User u has no permissions to run the 'del' command\r\n"
    );
    let asked = "local r = {} for i, c in ipairs({'get k', 'get x', 'del k', 'publish c m'}) do local w = {} for p in c:gmatch('%S+') do w[#w + 1] = p end r[i] = redis.acl_check_cmd(unpack(w)) and 1 or 0 end return r";
    assert_eq!(run(&mut bench, asked), "*4\r\n:1\r\n:0\r\n:0\r\n:0\r\n");
    assert_eq!(
        run(&mut bench, "return redis.acl_check_cmd('get') and 1 or 0"),
        ":1\r\n"
    );
}

#[test]
fn who_waits_for_a_key_needs_the_right_when_it_comes() {
    let (mut bench, u) = bench_with(&["u on nopass +@all ~*"]);
    assert_eq!(ask(&mut bench, u, "BLPOP l 0"), "");
    bench.line("ACL SETUSER u resetkeys ~x");
    assert_eq!(bench.line("RPUSH l a"), ":1\r\n");
    assert_eq!(
        bench.world.delivered.remove(&u).map(text).as_deref(),
        Some(NO_KEY)
    );
    assert_eq!(bench.line("LLEN l"), ":1\r\n");
}

#[test]
fn what_was_allowed_is_looked_at_again_after_each_change() {
    let (mut bench, u) = bench_with(&["u on nopass ~* +get +publish +auth", "v on nopass ~* +set"]);
    let get =
        |name: &str| format!("-NOPERM User {name} has no permissions to run the 'get' command\r\n");
    for _ in 0..2 {
        assert_eq!(ask(&mut bench, u, "GET k"), "$-1\r\n");
        assert_eq!(ask(&mut bench, u, "PUBLISH c m"), NO_CHANNEL);
        assert_eq!(ask(&mut bench, u, "GET k"), "$-1\r\n");
    }
    bench.line("ACL SETUSER u -get");
    assert_eq!(ask(&mut bench, u, "GET k"), get("u"));
    bench.line("ACL SETUSER u +get|k");
    assert_eq!(ask(&mut bench, u, "GET k"), "$-1\r\n");
    assert_eq!(ask(&mut bench, u, "GET x"), get("u"));
    bench.line("ACL SETUSER u +get");
    assert_eq!(ask(&mut bench, u, "GET x"), "$-1\r\n");
    bench.line("ACL SETUSER u resetkeys ~k");
    assert_eq!(ask(&mut bench, u, "GET k"), "$-1\r\n");
    assert_eq!(ask(&mut bench, u, "GET x"), NO_KEY);
    bench.line("ACL SETUSER u allkeys");
    assert_eq!(ask(&mut bench, u, "GET x"), "$-1\r\n");
    log_in(&mut bench, u, "v");
    assert_eq!(ask(&mut bench, u, "GET k"), get("v"));
    log_in(&mut bench, u, "u");
    assert_eq!(ask(&mut bench, u, "GET k"), "$-1\r\n");
    bench.line("ACL DELUSER u");
    assert_eq!(ask(&mut bench, u, "GET k"), get(""));
}

#[test]
fn sort_reads_by_patterns_only_for_who_may_read_all() {
    let by = "-ERR BY option of SORT denied due to insufficient ACL permissions.\r\n";
    let get = "-ERR GET option of SORT denied due to insufficient ACL permissions.\r\n";
    for (rules, may) in [
        ("+@all ~k", false),
        ("+@all %W~* %R~k", false),
        ("+@all %R~*", true),
        ("+@all ~*", true),
        ("(+sort ~k) (+get ~*)", false),
        ("(+sort %R~*)", true),
    ] {
        let (mut bench, u) = bench_with(&[&format!("u on nopass {rules}")]);
        for (line, refusal) in [
            ("SORT k BY w*", by),
            ("SORT k GET #", get),
            ("SORT k GET w*", get),
        ] {
            let want = if may { "*0\r\n" } else { refusal };
            assert_eq!(ask(&mut bench, u, line), want, "{rules}: {line}");
        }
        assert_eq!(ask(&mut bench, u, "SORT k BY nosort"), "*0\r\n");
    }
}

#[test]
fn new_clients_are_the_default_user_as_it_is_then() {
    let mut bench = Bench::new();
    let early = bench.open();
    bench.line("ACL SETUSER default -get");
    let late = bench.open();
    let get = "-NOPERM User default has no permissions to run the 'get' command\r\n";
    for session in [early, late, bench.session] {
        assert_eq!(ask(&mut bench, session, "GET k"), get);
    }
    bench.line("ACL SETUSER default +get off");
    assert_eq!(ask(&mut bench, early, "GET k"), "$-1\r\n");
    let stranger = bench.open();
    let no_auth = "-NOAUTH Authentication required.\r\n";
    assert_eq!(ask(&mut bench, stranger, "GET k"), no_auth);
    let nobody = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    assert_eq!(ask(&mut bench, stranger, "AUTH default x"), nobody);
    let without = ask(&mut bench, stranger, "AUTH x");
    assert!(
        without.starts_with("-ERR AUTH <password> called without any password"),
        "{without}"
    );
    bench.line("ACL SETUSER default on");
    assert_eq!(ask(&mut bench, stranger, "GET k"), "$-1\r\n");
    bench.line("ACL SETUSER default >secret");
    assert_eq!(ask(&mut bench, early, "GET k"), "$-1\r\n");
    assert_eq!(ask(&mut bench, stranger, "GET k"), no_auth);
    assert_eq!(ask(&mut bench, stranger, "AUTH secret"), "+OK\r\n");
    assert_eq!(ask(&mut bench, early, "RESET"), "+RESET\r\n");
    assert_eq!(ask(&mut bench, early, "GET k"), no_auth);
}

#[test]
fn users_who_go_take_their_connections_along() {
    let (mut bench, u) = bench_with(&["u on nopass +@all", "v on nopass +@all"]);
    let v = bench.open();
    log_in(&mut bench, v, "v");
    let refused = bench.line("ACL DELUSER u default");
    assert_eq!(refused, "-ERR The 'default' user cannot be removed\r\n");
    assert_eq!(bench.world.closed, []);
    assert_eq!(ask(&mut bench, v, "ACL DELUSER u nosuch v"), ":2\r\n");
    assert_eq!(bench.world.closed, [u]);
    let closing = |bench: &Bench, slot| bench.engine.shared.sessions.get(slot).map(|s| s.closing);
    assert_eq!(closing(&bench, v), Some(true));
    assert_eq!(closing(&bench, bench.session), Some(false));
    // Nothing is allowed to who is nobody, nor after another one of that name came.
    bench.line("ACL SETUSER u on nopass +@all allkeys allchannels");
    let get = "-NOPERM User  has no permissions to run the 'get' command\r\n";
    assert_eq!(ask(&mut bench, u, "GET k"), get);
}

#[test]
fn listeners_who_lose_their_channel_are_cut_off() {
    let cases = [
        ("+get", false),
        ("&other", false),
        ("resetchannels &a* &p* &more", false),
        ("resetchannels &a1 &p*", false),
        ("resetchannels &a*", true),
        ("resetchannels &p* &b*", true),
        ("resetchannels", true),
        ("allchannels", false),
        ("resetchannels (allchannels)", false),
    ];
    for (words, cut) in cases {
        let (mut bench, u) =
            bench_with(&["u on nopass +@all &a* &p*", "other on nopass +@all &a*"]);
        let other = bench.open();
        log_in(&mut bench, other, "other");
        ask(&mut bench, other, "SUBSCRIBE a1");
        ask(&mut bench, u, "SUBSCRIBE a1");
        ask(&mut bench, u, "PSUBSCRIBE p*");
        assert_eq!(bench.line(&format!("ACL SETUSER u {words}")), "+OK\r\n");
        assert_eq!(bench.world.closed.contains(&u), cut, "{words}");
        assert!(!bench.world.closed.contains(&other), "{words}");
    }
    let (mut bench, u) = bench_with(&["u on nopass +@all &a"]);
    bench.run_as(u, &["HELLO", "3"]);
    ask(&mut bench, u, "SUBSCRIBE a");
    assert_eq!(ask(&mut bench, u, "ACL SETUSER u resetchannels"), "+OK\r\n");
    assert_eq!(
        bench.engine.shared.sessions.get(u).map(|s| s.closing),
        Some(true)
    );
}

#[test]
fn new_users_have_the_channels_that_are_configured() {
    let mut bench = Bench::new();
    bench.line("ACL SETUSER old");
    bench.engine.shared.users.configure(true, 0);
    let cases = [
        ("old", "resetchannels -@all"),
        ("old (+get)", "resetchannels -@all (&* -@all +get)"),
        ("old reset", "&* -@all"),
        ("new", "&* -@all"),
    ];
    for (words, printed) in cases {
        assert_eq!(bench.line(&format!("ACL SETUSER {words}")), "+OK\r\n");
        let list = bench.line("ACL LIST");
        let name = words.split(' ').next().expect("a name");
        let want = format!("user {name} off sanitize-payload {printed}\r\n");
        assert!(list.contains(&want), "{words}: {list}");
    }
    let denied = bench.line("ACL SETUSER new &x");
    assert!(
        denied.contains("Adding a pattern after the * pattern (or the 'allchannels' flag)"),
        "{denied}"
    );
}

#[test]
fn refusals_are_logged_and_the_same_are_grouped() {
    let (mut bench, u) = bench_with(&["u on nopass +@all -set ~k &c"]);
    ask(&mut bench, u, "GET x");
    bench.sleep_ms(59_000);
    ask(&mut bench, u, "GET x");
    ask(&mut bench, u, "SET k v");
    ask(&mut bench, u, "MULTI");
    ask(&mut bench, u, "PUBLISH d m");
    ask(&mut bench, u, "DISCARD");
    ask(&mut bench, u, "EVAL redis.pcall('set','k','v') 0");
    ask(&mut bench, u, "AUTH nobody pw");
    ask(&mut bench, u, "hello 2 AUTH nobody pw");
    bench.sleep_ms(1_500);
    bench.line("ACL DRYRUN u SET k v");
    let entries = |bench: &mut Bench, line: &str| {
        let value = bench.value(line);
        let entries = value.as_array().expect("an array").to_vec();
        let text = |value: &cairn_format::resp::value::Value| match value.as_int() {
            Some(number) => number.to_string(),
            None => String::from_utf8_lossy(value.as_bytes().expect("text")).into_owned(),
        };
        let shown = |entry: &cairn_format::resp::value::Value| {
            let parts = entry.as_array().expect("a map");
            let values: Vec<String> = parts.iter().skip(1).step_by(2).map(text).collect();
            [&values[..6], &values[7..8]].concat().join(" ")
        };
        entries.iter().map(shown).collect::<Vec<_>>()
    };
    let all = [
        "1 auth toplevel hello nobody 1.5 5",
        "1 auth toplevel AUTH nobody 1.5 4",
        "1 command lua set u 1.5 3",
        "1 channel multi d u 1.5 2",
        "1 command toplevel set u 1.5 1",
        "2 key toplevel x u 1.5 0",
    ];
    assert_eq!(entries(&mut bench, "ACL LOG"), all);
    assert_eq!(entries(&mut bench, "ACL LOG 2"), all[..2]);
    assert!(entries(&mut bench, "ACL LOG -1").is_empty());
    // A minute after the last one it is another refusal.
    bench.sleep_ms(60_000);
    ask(&mut bench, u, "GET x");
    assert_eq!(entries(&mut bench, "ACL LOG 1"), ["1 key toplevel x u 0 6"]);
    let denials = bench.engine.shared.users.log.denials;
    let counts = [denials.auth, denials.command, denials.key, denials.channel];
    assert_eq!(counts, [2, 2, 3, 1]);
    assert_eq!(bench.line("ACL LOG RESET"), "+OK\r\n");
    assert_eq!(bench.line("ACL LOG"), "*0\r\n");
    bench.engine.shared.users.configure(true, 2);
    for key in ["a", "b", "c"] {
        ask(&mut bench, u, &format!("GET {key}"));
    }
    assert_eq!(
        entries(&mut bench, "ACL LOG"),
        ["1 key toplevel c u 0 9", "1 key toplevel b u 0 8"]
    );
}

#[test]
fn the_only_key_of_a_command_is_the_one_that_is_found_otherwise() {
    use cairn_engine::base::args::ArgsBuf;
    use cairn_engine::call::keys::{keys_of, only_key};
    let bench = Bench::new();
    let mut compared = 0;
    for command in bench.engine.shared.table.entries() {
        let Some(only) = only_key(command) else {
            continue;
        };
        for more in 0..3 {
            let count = usize::from(command.arity.unsigned_abs()) + more;
            let args = ArgsBuf::from_slices(&vec!["1"; count]);
            assert_eq!(
                keys_of(command, &args.args()),
                Some(vec![only]),
                "{}",
                command.name
            );
            compared += 1;
        }
    }
    assert!(compared > 300, "only {compared} calls");
}

/// A call like the last one is not looked at again; a call that only looks like it, or whose rules have changed since, is.
#[test]
fn what_was_granted_is_granted_no_longer_than_the_rules_say() {
    let (mut bench, u) = bench_with(&["u on nopass +get +set +ping +del ~key:* %R~r* ~x:*:y"]);
    let ping = "PING behind-it-is-room";
    for (line, allowed) in [
        ("GET key:1", true),
        ("GET key:12345678", true),
        ("GET key", false),
        ("GET key:", true),
        ("GET kex:12345678", false),
        ("GET r1", true),
        ("GET r", true),
        ("SET r1 0123456789", false),
        ("SET key:1 0123456789", true),
        ("SET ke y:1-behind-it", false),
        ("GET x:1:y", true),
        ("GET x:1:z", false),
        ("DEL key:1 r1", false),
        ("DEL key:1 key:2", true),
        (ping, true),
        (ping, true),
        ("GET r123456789", true),
    ] {
        assert_eq!(ask(&mut bench, u, line) != NO_KEY, allowed, "{line}");
    }
    for (change, then) in [
        ("ACL SETUSER u resetkeys ~key:*", NO_KEY),
        ("ACL SETUSER u %R~r*", "$-1\r\n"),
        (
            "ACL SETUSER u -get",
            "-NOPERM User u has no permissions to run the 'get' command\r\n",
        ),
        ("ACL SETUSER u +@all allkeys", "$-1\r\n"),
        ("ACL SETUSER u resetkeys", NO_KEY),
    ] {
        assert_eq!(bench.line(change), "+OK\r\n");
        assert_eq!(ask(&mut bench, u, "GET r123456789"), then, "{change}");
        assert_eq!(ask(&mut bench, u, "GET r123456789"), then, "{change}");
    }
}
