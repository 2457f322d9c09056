//! What a session remembers of keys that it was allowed: it is never more than the rules say, whatever takes turns and whenever they change.

mod support;

use cairn_engine::base::args::ArgsBuf;
use cairn_engine::base::random::Random;
use cairn_engine::call::CommandTable;
use cairn_engine::call::rights;
use cairn_engine::families;
use cairn_engine::users::User;
use cairn_engine::users::granted::Granted;
use cairn_engine::users::passes::Passes;
use cairn_format::text::glob::glob_match;
use support::Bench;

/// Rules of the kinds that are told in different ways, of which keys take turns.
fn random_rule(random: &mut Random) -> Vec<u8> {
    let long = b"abababababababababababababababababababababababababababababababababababab";
    let head = &long[random.index(2)..]
        [..[0, 2, 7, 8, 9, 15, 16, 17, 25, 31, 32, 33, 40, 63, 64, 65][random.index(16)]];
    let tail: &[&[u8]] = &[
        b"",
        b"*",
        b"*a",
        b"*:name:b",
        b"*:ab:*",
        b"?b*",
        b"[ab]??",
        b"*abababababababab",
    ];
    [b"%R~", head, tail[random.index(tail.len())]].concat()
}

/// Whether a key is of one of the rules, by the matcher of commands.
fn fits(rules: &[Vec<u8>], key: &[u8]) -> bool {
    rules.iter().any(|rule| glob_match(&rule[3..], key, false))
}

/// A key that one of the rules has a chance to take, whose bytes are wrong now and then.
fn random_key_of(random: &mut Random, rules: &[Vec<u8>]) -> Vec<u8> {
    let mut key = Vec::new();
    for byte in &rules[random.index(rules.len())][3..] {
        match byte {
            b'*' => key.extend_from_slice(&b"abab1234"[..random.index(8)]),
            b'?' => key.push(b'x'),
            b'[' | b']' => {}
            byte => key.push(*byte),
        }
    }
    match random.index(8) {
        0 => key.truncate(random.index(key.len() + 1)),
        1 => key.push(b'a'),
        2 if !key.is_empty() => {
            let at = random.index(key.len());
            key[at] ^= 3;
        }
        _ => {}
    }
    key
}

/// Whatever is remembered of keys of several rules and of several commands is what the rules say.
#[test]
fn what_is_remembered_is_allowed_by_the_rules_whatever_takes_turns() {
    let table = CommandTable::new(families::ALL);
    let names = ["get", "ttl", "set", "getrange", "ping", "object|encoding"];
    let commands = names.map(|name| {
        let command = table.find_original(name.split('|').next().unwrap().as_bytes());
        command.expect("it is there")
    });
    let mut random = Random::new(23);
    let (mut allowed, mut remembered) = (0, 0);
    for _ in 0..1500 {
        let count = 1 + random.index(4);
        let rules: Vec<_> = (0..count).map(|_| random_rule(&mut random)).collect();
        let words = rules.iter().map(Vec::as_slice);
        let mut user = User::new(&table, false);
        user.apply_all(words.chain([&b"+@all"[..], b"-ping"]), false, &table)
            .expect("rules");
        let passes = Passes::of(&user, &table);
        let (mut granted, mut command) = (Granted::NONE, commands[0]);
        for _ in 0..100 {
            if random.index(6) == 0 {
                command = commands[random.index(commands.len())];
                passes.turn_to(command.id, &mut granted);
            }
            let key = random_key_of(&mut random, &rules);
            let behind: &[u8] = [&b""[..], b"abababababababababab"][random.index(2)];
            let call = ArgsBuf::from_slices(&[command.spec.name.as_bytes(), &key, behind]);
            let request = rights::request_of(command, &call.args());
            let expected = user.check(&request).is_ok();
            let is_told = command.spec.name == "get";
            assert!(expected == fits(&rules, &key) || !is_told);
            let covered = granted.covers(&call.args());
            let is_granted = covered || passes.grant(command.id, &call.args(), &mut granted);
            let shown = rules.join(&b" "[..]);
            let shown = [&shown, &key].map(|text| String::from_utf8_lossy(text));
            assert!(
                expected == is_granted || expected && !is_told,
                "{} {shown:?}: {covered}",
                command.spec.name
            );
            allowed += usize::from(expected);
            remembered += usize::from(covered);
        }
    }
    assert!(
        allowed > 50_000 && remembered * 2 > allowed,
        "{remembered} of {allowed}"
    );
}

/// Keys of two patterns that take turns are both remembered, and so they are if they come with two commands of which the same is known.
#[test]
fn keys_and_commands_that_take_turns_are_remembered() {
    let table = CommandTable::new(families::ALL);
    let mut user = User::new(&table, false);
    let rules = ["~app:users:*", "~counter", "~*:a:long:name", "+@all"];
    user.apply_all(rules.iter().map(|word| word.as_bytes()), false, &table)
        .expect("rules");
    let passes = Passes::of(&user, &table);
    let mut granted = Granted::NONE;
    for round in 0..3 {
        for name in ["get", "set"] {
            let command = table.find_original(name.as_bytes()).expect("it is there");
            passes.turn_to(command.id, &mut granted);
            for key in ["app:users:1", "counter", "something:a:long:name"] {
                let call = ArgsBuf::from_slices(&[name, key, "a value"]);
                let is_first = round == 0 && name == "get";
                assert_eq!(granted.covers(&call.args()), !is_first, "{name} {key}");
                assert!(passes.grant(command.id, &call.args(), &mut granted) || !is_first);
            }
        }
    }
    let ping = table.find_original(b"ping").expect("it is there");
    passes.turn_to(ping.id, &mut granted);
    let get = table.find_original(b"get").expect("it is there");
    passes.turn_to(get.id, &mut granted);
    let call = ArgsBuf::from_slices(&["get", "counter", "a value"]);
    assert!(
        !granted.covers(&call.args()),
        "another command came between"
    );
}

/// The same of a client whose rules are changed by another one while it goes on.
#[test]
fn rules_that_are_changed_hold_for_the_next_call() {
    let mut random = Random::new(24);
    let mut bench = Bench::new();
    assert_eq!(bench.line("ACL SETUSER u on nopass +get +ping"), "+OK\r\n");
    let client = bench.open();
    assert_eq!(bench.run_as(client, &["AUTH", "u", "any"]), b"+OK\r\n");
    let mut rules = vec![random_rule(&mut random)];
    let mut allowed = 0;
    for round in 0..20_000 {
        if round % 16 == 0 {
            let count = 1 + random.index(3);
            // Keys of the rules that were come as well.
            rules.truncate(1);
            let own: Vec<_> = (0..count).map(|_| random_rule(&mut random)).collect();
            let mut words: Vec<&[u8]> = vec![b"ACL", b"SETUSER", b"u", b"resetkeys"];
            words.extend(own.iter().map(Vec::as_slice));
            assert_eq!(bench.run(&words), b"+OK\r\n");
            rules.splice(0..0, own);
        }
        let own = &rules[..rules.len() - 1];
        let key = random_key_of(&mut random, &rules);
        if random.index(8) == 0 {
            bench.run_as(client, &[&b"PING"[..], &key]);
        }
        let is_refused = bench
            .run_as(client, &[&b"GET"[..], &key])
            .starts_with(b"-NOPERM");
        let shown = String::from_utf8_lossy(&key);
        assert_eq!(is_refused, !fits(own, &key), "{round}: {shown}");
        allowed += usize::from(!is_refused);
    }
    assert!(allowed > 8000, "{allowed}");
}
