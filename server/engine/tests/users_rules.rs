//! The words of users: how they are printed, and what is said of those that cannot be. Facts of Redis 7.2.4.

mod support;

use cairn_engine::base::args::ArgsBuf;
use cairn_engine::base::random::Random;
use cairn_engine::call::CommandTable;
use cairn_engine::call::rights;
use cairn_engine::families;
use cairn_engine::users::granted::Granted;
use cairn_engine::users::passes::Passes;
use cairn_engine::users::{User, Users};
use support::Bench;

/// The line of the user `u` in ACL LIST.
fn listed(bench: &mut Bench) -> String {
    let reply = bench.line("ACL LIST");
    let mut lines = reply.split("\r\n");
    let line = lines.find(|line| line.starts_with("user u "));
    line.expect("there is such a user").to_owned()
}

#[test]
fn rules_are_printed_as_redis_prints_them() {
    let cases = [
        ("", "~ -@all"),
        ("+@all -get +get", "~ +@all +get"),
        ("+@read -@read +@READ", "~ -@all +@read"),
        ("+acl|list +acl|log -acl|log", "~ -@all +acl|list -acl|log"),
        ("+acl -acl|log +acl", "~ -@all +acl"),
        ("+acl +acl|whoami", "~ -@all +acl +acl|whoami"),
        ("+acl|whoami -acl", "~ -@all -acl"),
        ("+select|0 +select|1 -select", "~ -@all -select"),
        ("+GET +Get|X", "~ -@all +get +get|x"),
        (
            "+set -@write +@write -set +mset",
            "~ -@all +@write -set +mset",
        ),
        (
            "+@all -@admin +acl|whoami ~* &*",
            "~* &* +@all -@admin +acl|whoami",
        ),
        (
            "allcommands -flushall -@scripting +eval",
            "~ +@all -flushall -@scripting +eval",
        ),
        ("+acl|list +@all", "~ +@all"),
        ("-@all -@dangerous", "~ -@all -@dangerous"),
        (
            "~a %R~c &x (~z +@list)",
            "~a %R~c resetchannels &x -@all (~z resetchannels -@all +@list)",
        ),
        ("%R~a %W~a", "~a resetchannels -@all"),
        ("%rw~a %wR~b", "~a ~b resetchannels -@all"),
        ("%RW~*", "~* resetchannels -@all"),
        ("%R~* %W~*", "~* resetchannels -@all"),
        ("%R~* ~x", "%R~* ~x resetchannels -@all"),
        ("~a ~b ~a &c &d &c", "~a ~b resetchannels &c &d -@all"),
        ("~a allkeys resetkeys ~b", "~b resetchannels -@all"),
        (
            "(+get) (+get)",
            "~ -@all (resetchannels -@all +get) (resetchannels -@all +get)",
        ),
        ("(+get ~a) clearselectors", "~ -@all"),
        ("( +get ~a )", "~ -@all (~a resetchannels -@all +get)"),
        ("(allkeys allchannels allcommands)", "~ -@all (~* &* +@all)"),
    ];
    for (words, printed) in cases {
        let mut bench = Bench::new();
        let reply = bench.line(format!("ACL SETUSER u {words}").trim_end());
        assert_eq!(reply, "+OK\r\n", "{words}");
        let printed = match printed.strip_prefix("~ ") {
            Some(rest) => format!("resetchannels {rest}"),
            None => printed.to_owned(),
        };
        let want = format!("user u off sanitize-payload {printed}");
        assert_eq!(listed(&mut bench), want, "{words}");
        // What was printed makes the same user.
        let again = want.replace("user u", "user v");
        let words = again.strip_prefix("user v ").expect("it was put there");
        bench.line(&format!("ACL SETUSER v {words}"));
        let users = &bench.engine.shared.users;
        let user = |name: &[u8]| users.find(name).and_then(|id| users.get(id)).cloned();
        assert_eq!(user(b"u"), user(b"v"), "{words}");
    }
}

#[test]
fn passwords_and_flags_are_kept_as_they_are_said() {
    let mut bench = Bench::new();
    let of_pw = "30c952fab122c3f9759f02a6d95c3758b246b4fee239957b2d4fee46e26170c4";
    let steps = [
        ("on >pw >pw", format!("on sanitize-payload #{of_pw}")),
        ("nopass", "on nopass sanitize-payload".to_owned()),
        (">pw", format!("on sanitize-payload #{of_pw}")),
        ("<pw", "on sanitize-payload".to_owned()),
        (
            "skip-sanitize-payload OFF",
            "off skip-sanitize-payload".to_owned(),
        ),
        ("nopass resetpass", "off skip-sanitize-payload".to_owned()),
        ("RESET", "off sanitize-payload".to_owned()),
    ];
    for (words, flags) in steps {
        assert_eq!(bench.line(&format!("ACL SETUSER u {words}")), "+OK\r\n");
        let want = format!("user u {flags} resetchannels -@all");
        assert_eq!(listed(&mut bench), want, "{words}");
    }
    for word in [">a \0b", "<a \0b"] {
        assert_eq!(bench.run(&["ACL", "SETUSER", "u", word]), b"+OK\r\n");
    }
}

#[test]
fn a_word_that_cannot_be_is_named_and_nothing_is_changed() {
    const UNKNOWN: &str = "Unknown command or category name in ACL";
    const SYNTAX: &str = "Syntax error";
    let keys = "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try 'resetkeys' to start with an empty list of patterns";
    let channels = "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. Try 'resetchannels' to start with an empty list of channels";
    let digest = "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters";
    let upper = format!("#{}", "A".repeat(64));
    let cases = [
        ("+nosuch", UNKNOWN),
        ("-nosuch", UNKNOWN),
        ("+@nosuch", UNKNOWN),
        ("+@", UNKNOWN),
        ("+", UNKNOWN),
        ("+nosuch|x", UNKNOWN),
        ("+acl|nosuch", UNKNOWN),
        ("-get|x", UNKNOWN),
        ("+set|a|b", UNKNOWN),
        (
            "+acl|list|x",
            "Allowing first-arg of a subcommand is not supported",
        ),
        ("+acl|", SYNTAX),
        ("+get|", SYNTAX),
        ("foo", SYNTAX),
        ("%X~a", SYNTAX),
        ("%RR~a", SYNTAX),
        ("%~a", SYNTAX),
        ("%R", SYNTAX),
        ("%RW", SYNTAX),
        ("%", SYNTAX),
        ("(nosuch)", SYNTAX),
        ("(on)", SYNTAX),
        ("(>pw)", SYNTAX),
        ("((+get))", SYNTAX),
        ("(+nosuch)", UNKNOWN),
        ("(+get 'x)", SYNTAX),
        (")", SYNTAX),
        (
            "<pw",
            "The password you are trying to remove from the user does not exist",
        ),
        ("#ab", digest),
        ("!ab", digest),
        (&upper, digest),
    ];
    for (word, reason) in cases {
        let mut bench = Bench::new();
        let mut words = vec!["ACL", "SETUSER", "u", "on", "+get", word];
        let want = format!("-ERR Error in ACL SETUSER modifier '{word}': {reason}\r\n");
        let reply = |bench: &mut Bench, words: &[&str]| {
            String::from_utf8_lossy(&bench.run(words)).into_owned()
        };
        assert_eq!(reply(&mut bench, &words), want);
        assert_eq!(bench.line("ACL USERS"), "*1\r\n$7\r\ndefault\r\n", "{word}");
        bench.line("ACL SETUSER u ~k");
        let before = listed(&mut bench);
        words[4] = "-@all";
        assert_eq!(reply(&mut bench, &words), want);
        assert_eq!(listed(&mut bench), before, "{word}");
    }
    let mut bench = Bench::new();
    for (words, word, reason) in [
        ("~* ~a", "~a", keys),
        ("allkeys %R~a", "%R~a", keys),
        ("&* &a", "&a", channels),
        ("(~* ~a)", "(~* ~a)", keys),
    ] {
        let want = format!("-ERR Error in ACL SETUSER modifier '{word}': {reason}\r\n");
        assert_eq!(bench.line(&format!("ACL SETUSER w {words}")), want);
    }
    for (words, first) in [
        ("(+get ~a", "(+get"),
        ("+get ( +x", "("),
        ("(a) (b c", "(b"),
    ] {
        let want = format!("-ERR Unmatched parenthesis in acl selector starting at '{first}'.\r\n");
        assert_eq!(bench.line(&format!("ACL SETUSER w {words}")), want);
    }
    for name in ["a b", "a\tb", "a\0b"] {
        let reply = bench.run(&["ACL", "SETUSER", name]);
        assert_eq!(
            reply,
            b"-ERR Usernames can't contain spaces or null characters\r\n"
        );
    }
    for word in ["~a b", "&a\n", "+get|a b", "+get\0x", "~\0"] {
        let reply = bench.run(&["ACL", "SETUSER", "w", word]);
        assert!(reply.ends_with(b": Syntax error\r\n"), "{word:?}");
    }
}

/// A word that may or may not be one.
fn random_word(random: &mut Random) -> String {
    const COMMANDS: [&str; 12] = [
        "get",
        "SET",
        "acl",
        "acl|list",
        "acl|whoami",
        "select",
        "select|0",
        "get|x",
        "xgroup",
        "xgroup|create",
        "xgroup|nosuch",
        "eval",
    ];
    const CATEGORIES: [&str; 8] = [
        "all",
        "read",
        "WRITE",
        "admin",
        "slow",
        "stream",
        "dangerous",
        "nosuch",
    ];
    const PATTERNS: [&str; 8] = ["*", "a", "a*", "", "[x]", "k:*", "abcdefgh*", "abcdefghi*"];
    const PLAIN: [&str; 8] = [
        "allkeys",
        "resetkeys",
        "allchannels",
        "resetchannels",
        "allcommands",
        "nocommands",
        "reset",
        "nosuch",
    ];
    let sign = ["+", "-"][random.index(2)];
    match random.index(8) {
        0..=2 => format!("{sign}{}", COMMANDS[random.index(COMMANDS.len())]),
        3 => format!("{sign}@{}", CATEGORIES[random.index(CATEGORIES.len())]),
        4 => format!("~{}", PATTERNS[random.index(PATTERNS.len())]),
        5 => {
            let letters = ["R", "W", "RW", "wr", "X", ""][random.index(6)];
            format!("%{letters}~{}", PATTERNS[random.index(PATTERNS.len())])
        }
        6 => format!("&{}", PATTERNS[random.index(PATTERNS.len())]),
        _ => PLAIN[random.index(PLAIN.len())].to_owned(),
    }
}

/// A user of random rules, and how many words were applied.
fn random_user(random: &mut Random, table: &CommandTable) -> (User, usize) {
    let mut user = User::new(table, false);
    let mut applied = 0;
    for _ in 0..random.index(12) {
        let mut word = random_word(random);
        if random.index(6) == 0 {
            let inside: Vec<String> = (0..random.index(4)).map(|_| random_word(random)).collect();
            word = format!("({})", inside.join(" "));
        }
        let mut changed = user.clone();
        let words = [word.as_bytes()];
        if changed.apply_all(words.into_iter(), false, table).is_ok() {
            user = changed;
            applied += 1;
        }
    }
    (user, applied)
}

/// Random arguments of a command, with more behind them or not: words at their end are read otherwise.
fn random_call(random: &mut Random, name: &str) -> ArgsBuf {
    let words = [
        &b"a"[..],
        b"ab",
        b"b",
        b"k:1",
        b"",
        b"0",
        b"*",
        b"abcdefghij",
    ];
    let mut call: Vec<&[u8]> = vec![name.as_bytes()];
    call.extend((0..random.index(4)).map(|_| words[random.index(words.len())]));
    if random.index(2) == 0 {
        call.push(b"0123456789");
    }
    ArgsBuf::from_slices(&call)
}

/// What is easily told is what the rules say, for every command, and so is what was granted with it.
#[test]
fn what_passes_is_allowed_by_the_rules() {
    let table = CommandTable::new(families::ALL);
    let mut random = Random::new(7);
    let (mut passed, mut allowed, mut repeated) = (0, 0, 0);
    for round in 0..600 {
        let (user, _) = random_user(&mut random, &table);
        let passes = Passes::of(&user, &table);
        for command in table.entries() {
            let entry = table.find_original(command.name.split('|').next().unwrap().as_bytes());
            let Some(entry) = entry else { continue };
            let mut granted = Granted::NONE;
            for _ in 0..2 {
                let call = random_call(&mut random, command.name);
                let rules = user.check(&rights::request_of(entry, &call.args())).is_ok();
                allowed += usize::from(rules);
                let again = granted.covers(&call.args());
                let is_granted = passes.grant(entry.id, &call.args(), &mut granted);
                passed += usize::from(is_granted);
                repeated += usize::from(again);
                assert!(
                    rules || !is_granted && !again,
                    "round {round}: {} {call:?}",
                    String::from_utf8_lossy(&user.print())
                );
            }
        }
    }
    assert!(
        passed * 2 > allowed && allowed > 10_000 && repeated > 1000,
        "{passed} of {allowed}, {repeated} by what was granted before"
    );
}

/// Ends of any length are told as the pattern that they are of, wherever the key ends and whatever lies behind it.
#[test]
fn the_ends_of_a_pattern_are_told_exactly() {
    let lengths = [0, 1, 7, 8, 9, 15, 16, 17];
    for head in lengths {
        for tail in lengths {
            tell_ends(head, tail);
        }
    }
}

fn tell_ends(head: usize, tail: usize) {
    let table = CommandTable::new(families::ALL);
    let get = table.find_original(b"get").expect("it is there");
    let (front, back) = (&b"abcdefghijklmnopqr"[..], &b"ABCDEFGHIJKLMNOPQR"[..]);
    let (head, tail) = (&front[..head], &back[back.len() - tail..]);
    let mut user = User::new(&table, false);
    let rule = [b"%R~", head, b"*", tail].concat();
    user.apply_all([&b"+get"[..], &rule].into_iter(), false, &table)
        .expect("a rule");
    let passes = Passes::of(&user, &table);
    let mut granted = Granted::NONE;
    let lengths = |text: &[u8]| [0, 1, 6, 7, 8, 9, 15, 16, 17, text.len()];
    for (of_front, of_back) in lengths(front)
        .into_iter()
        .flat_map(|front| lengths(back).map(|back| (front, back)))
    {
        let key = [&front[..of_front], &back[back.len() - of_back..]].concat();
        for (wrong_at, behind) in (0..=key.len()).flat_map(|at| [(at, &b""[..]), (at, back)]) {
            let mut key = key.clone();
            if let Some(byte) = key.get_mut(wrong_at) {
                *byte ^= 1;
            }
            let call = ArgsBuf::from_slices(&[&b"GET"[..], &key, behind]);
            let is_long = key.len() >= head.len() + tail.len();
            let expected = is_long && key.starts_with(head) && key.ends_with(tail);
            let told = format!("{head:?} {tail:?} {key:?}");
            assert!(expected || !granted.covers(&call.args()), "{told}");
            let is_granted = passes.grant(get.id, &call.args(), &mut granted);
            assert_eq!(is_granted, expected, "{told}");
            let covered = granted.covers(&call.args());
            // All but the shortest keys are told by what was granted for them.
            let is_told = match (head.len(), tail.len()) {
                (0..=16, 0) => true,
                (0..=8, 0..=8) => key.len() >= 8,
                (0..=16, 0..=16) => key.len() >= 16,
                (_, tail) => tail == 0,
            };
            assert_eq!(covered, expected && is_told, "{told}");
        }
    }
}

#[test]
fn users_are_written_into_a_file_and_read_back() {
    let table = CommandTable::new(families::ALL);
    let mut random = Random::new(9);
    for round in 0..300 {
        let mut users = Users::new(&table);
        for name in ["default", "a", "b'c", "d\"e"] {
            let (user, _) = random_user(&mut random, &table);
            users.put(name.as_bytes(), user, &table);
        }
        let text = users.print_file();
        let shown = String::from_utf8_lossy(&text);
        let roll = users.read_file(&text, "f", &table);
        let roll = roll.unwrap_or_else(|faults| panic!("round {round}: {shown}: {faults}"));
        let mut again = Users::new(&table);
        again.replace_all(roll, &table);
        assert_eq!(String::from_utf8_lossy(&again.print_file()), shown);
        // Damaged text is refused or means something; nothing is in force before it is known which.
        let mut damaged = text.clone();
        let at = random.index(damaged.len());
        damaged[at] = b" \t\n\r\0()~%+-@\xff"[random.index(13)];
        let _ = users.read_file(&damaged, "f", &table);
        assert_eq!(users.print_file(), text);
    }
}

#[test]
fn what_is_printed_makes_the_same_user() {
    let table = CommandTable::new(families::ALL);
    let mut random = Random::new(5);
    let mut applied = 0;
    for round in 0..3000 {
        let (user, words) = random_user(&mut random, &table);
        applied += words;
        let printed = user.print();
        let mut again = User::new(&table, false);
        let words = printed.split(|byte| *byte == b' ');
        let made = again.apply_all(words, false, &table);
        let text = String::from_utf8_lossy(&printed);
        assert_eq!(made, Ok(()), "round {round}: {text}");
        assert_eq!(again.print(), printed);
        for command in [
            "get",
            "set",
            "acl|list",
            "acl|whoami",
            "xgroup|create",
            "select",
        ] {
            for arg in ["0", "x"] {
                let parts = |user: &User| verdicts(user, &table, command, arg);
                assert_eq!(
                    parts(&user),
                    parts(&again),
                    "round {round}: {text}: {command}"
                );
            }
        }
    }
    assert!(applied > 5000, "only {applied} words were applied");
}

fn verdicts(user: &User, table: &CommandTable, command: &str, arg: &str) -> Vec<bool> {
    use cairn_engine::users::Catalog;
    let (name, sub) = match command.split_once('|') {
        Some((name, sub)) => (name, Some(sub.as_bytes())),
        None => (command, None),
    };
    let id = Catalog::find(table, name.as_bytes(), sub).expect("a command");
    let selectors = user.selectors().iter();
    selectors
        .map(|selector| selector.commands.allows(id, Some(arg.as_bytes())))
        .collect()
}
