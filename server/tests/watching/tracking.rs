//! Client-side caching, beside 7.0.15: the same stories are told to both, and each connection must read the same bytes.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::both;
use crate::support::Connection;
use crate::support::process::{Program, Server};
use crate::support::told;
use crate::support::{Folder, Setup};
use cairn_format::resp::value::write_command;

/// Time after which nothing is going to arrive.
const SILENCE: Duration = Duration::from_millis(150);

/// A connection of a story, with all that it has read.
struct Listener {
    connection: Connection,
    id: String,
    read: Vec<u8>,
}

impl Listener {
    fn new(server: &Server, resp3: bool) -> Listener {
        let mut connection = server.connect();
        if resp3 {
            connection.good("HELLO 3");
        }
        let id = connection.int("CLIENT ID").to_string();
        Listener {
            connection,
            id,
            read: Vec::new(),
        }
    }

    fn run(&mut self, words: &[String], is_silent: bool) {
        let mut request = Vec::new();
        write_command(&mut request, words);
        self.connection.send(&request);
        if is_silent {
            return;
        }
        loop {
            let frame = self.connection.try_read_raw().expect("a reply");
            self.read.extend_from_slice(&frame);
            if !frame.starts_with(b">") {
                return;
            }
        }
    }

    fn read_on(&mut self) {
        let stream = self.connection.stream();
        stream.set_read_timeout(Some(SILENCE)).unwrap();
        while let Ok(frame) = self.connection.try_read_raw() {
            self.read.extend_from_slice(&frame);
        }
    }
}

/// Lines `name: command`; a name in capitals speaks RESP3; `@x` is the number of connection `x`; `name! command` has no reply; `name.` hangs up;
/// `wait N` waits milliseconds. What each connection reads, with names in place of numbers.
fn tell(server: &Server, story: &str) -> BTreeMap<String, String> {
    let mut listeners: BTreeMap<String, Listener> = BTreeMap::new();
    let mut gone: Vec<(String, String)> = Vec::new();
    for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(ms) = line.strip_prefix("wait ") {
            std::thread::sleep(Duration::from_millis(ms.parse().unwrap()));
            continue;
        }
        let end = line.find([':', '!', '.']).expect("a name");
        let name = &line[..end];
        if &line[end..] == "." {
            let listener = listeners.remove(name).expect("it is there");
            gone.push((name.to_owned(), listener.id));
            drop(listener.connection);
            // The server has heard of it when it answers somebody else for the second time.
            std::thread::sleep(Duration::from_millis(50));
            continue;
        }
        let is_resp3 = name.starts_with(char::is_uppercase);
        if !listeners.contains_key(name) {
            listeners.insert(name.to_owned(), Listener::new(server, is_resp3));
        }
        let words = line[end + 1..].split_whitespace().map(|word| {
            let id_of = |name: &str| {
                let there = listeners.get(name).map(|listener| listener.id.clone());
                there.unwrap_or_else(|| panic!("{name} is not there"))
            };
            word.strip_prefix('@').map_or(word.to_owned(), id_of)
        });
        let words: Vec<String> = words.collect();
        if !words.is_empty() {
            let listener = listeners.get_mut(name).expect("made above");
            listener.run(&words, &line[end..=end] == "!");
        }
    }
    for listener in listeners.values_mut() {
        listener.read_on();
    }
    let there = listeners
        .iter()
        .map(|(name, listener)| (name.clone(), listener.id.clone()));
    let names: Vec<(String, String)> = gone.into_iter().chain(there).collect();
    let read = listeners.into_iter().map(|(name, listener)| {
        let mut text = String::from_utf8_lossy(&listener.read).replace("\r\n", " ");
        for version in ["$5 7.2.4", "$6 7.0.15"] {
            text = text.replace(version, "version");
        }
        for (name, id) in &names {
            text = text.replace(&format!(":{id} "), &format!(":@{name} "));
        }
        (name, text)
    });
    read.collect()
}

fn same(stories: &[&str]) {
    let (_folders, servers) = both("");
    for story in stories {
        for server in &servers {
            server.connect().good("FLUSHALL");
            // No number that a story tells of is one of a connection.
            while server.connect().int("CLIENT ID") < 200 {}
        }
        let [ours, theirs] = [&servers[0], &servers[1]].map(|server| tell(server, story));
        assert_eq!(ours, theirs, "{story}");
    }
}

#[test]
fn readers_hear_of_each_kind_of_change_once_per_read() {
    same(&[
        "A: CLIENT TRACKING on\nA: GET k\nb: SET k 1\nb: SET k 2\nA: GET k\nb: APPEND k x\nA: PING",
        "A: CLIENT TRACKING on\nA: MGET a b c\nb: MSET a 1 b 2\nb: DEL c\nb: RENAME a c\nA: EXISTS a b c\nb: RENAME b c\nA: TYPE c\nb: COPY c a\nA: GET c\nA: GET a\nb: MOVE c 3\nA: PING",
        // Nothing of this changes anything.
        "A: CLIENT TRACKING on\nb: SADD s m\nb: ZADD z 1 m\nb: SET k v\nA: MGET s z k x\nb: DEL x\nb: SADD s m\nb: SETNX k 1\nb: ZADD z 1 m\nb: SREM s x\nb: TOUCH k\nb: PERSIST k\nA: PING",
        "A: CLIENT TRACKING on\nb: SET k v\nA: GET k\nb: EXPIRE k 100\nA: TTL k\nb: GETEX k EX 50\nA: STRLEN k\nb: PERSIST k\nA: GETRANGE k 0 1\nb: SETRANGE k 0 x\nA: GET k\nb: SELECT 3\nb: SET k other\nA: PING",
        // Failing reads count as well, writes that read do not.
        "A: CLIENT TRACKING on\nb: RPUSH l x\nA: GET l\nb: LPUSH l y\nA: LRANGE l 0 -1\nb: LPOP l\nA: INCR n\nA: GETDEL n\nb: SET n 1\nA: WATCH n\nb: SET n 2\nA: UNWATCH",
        "A: CLIENT TRACKING on\nb: XADD s 1-1 f v\nA: XREAD STREAMS s 0\nb: XADD s 1-2 f v\nA: XRANGE s - +\nb: XDEL s 1-1\nA: PING",
    ]);
}

#[test]
fn what_a_client_changes_itself_comes_behind_its_reply() {
    same(&[
        "A: CLIENT TRACKING on\nA: HSET h f 1 g 2\nA: HGET h f\nA: HDEL h f\nA: PING",
        "A: CLIENT TRACKING on\nA: MULTI\nA: GET k\nA: SET k 1\nA: GET k\nA: SET k 2\nA: SET k 3\nA: EXEC\nA: PING",
        // Written, then read: what is remembered is the later.
        "A: CLIENT TRACKING on\nA: MULTI\nA: SET k 1\nA: GET k\nA: EXEC\nb: SET k 2\nA: PING",
        "A: CLIENT TRACKING on\nA: EVAL return{redis.call('get',KEYS[1]),redis.call('set',KEYS[1],1)} 1 k\nA: PING",
        "A: CLIENT TRACKING on\nA: EVAL return{redis.call('set',KEYS[1],1),redis.call('get',KEYS[1])} 1 k\nb: SET k 2\nA: EVAL_RO return{1} 1 k\nb: SET k 3\nA: PING",
        "A: CLIENT TRACKING on\nA: MULTI\nA: GET k\nA: FLUSHALL\nA: GET k\nA: EXEC\nb: SET k 1\nA: PING",
        "A: CLIENT TRACKING on NOLOOP\nA: GET k\nA: SET k 1\nb: SET k 2\nA: GET k\nb: SET k 3\nA: MULTI\nA: GET k\nA: SET k 1\nA: EXEC\nb: SET k 2\nA: FLUSHDB\nA: PING",
    ]);
}

#[test]
fn a_wait_that_ends_is_answered_before_its_changes_are_told() {
    same(&[
        "A: CLIENT TRACKING on NOLOOP\nA: LRANGE to 0 -1\nA! BLMOVE from to LEFT RIGHT 0\nwait 50\nb: RPUSH from x\nwait 50\nb: RPUSH to y",
        "A: CLIENT TRACKING on\nA: LRANGE to 0 -1\nA! BLMOVE from to LEFT RIGHT 0\nwait 50\nb: RPUSH from x\nwait 50\nb: RPUSH to y",
    ]);
}

#[test]
fn prefixes_are_told_once_per_turn_in_order() {
    same(&[
        "A: CLIENT TRACKING on BCAST\nb: MSET c 1 a 2 b 3 a 4\nA: SET x 1\nA: PING",
        "A: CLIENT TRACKING on BCAST PREFIX a PREFIX b\nb: MSET b1 1 a1 2 c1 3 a2 4\nA: CLIENT TRACKING on BCAST PREFIX c\nb: MSET c1 1 a1 1\nA: PING",
        "A: CLIENT TRACKING on BCAST NOLOOP\nA: MSET a 1 b 2\nb: MSET a 1 c 2\nA: PING",
        "A: CLIENT TRACKING on BCAST NOLOOP\nc: CLIENT TRACKING on BCAST\nA: CLIENT TRACKING on BCAST REDIRECT @A PREFIX x\nA: FLUSHALL\nA: PING",
        "A: CLIENT TRACKING on BCAST\nb: MULTI\nb: SET k 1\nb: FLUSHDB\nb: SET l 1\nb: EXEC\nA: PING",
        "A: CLIENT TRACKING on\nA: GET k\nA: CLIENT TRACKING off\nA: CLIENT TRACKING on BCAST PREFIX x\nb: SET k 1\nb: SET x 1\nA: PING",
        "A: CLIENT TRACKING on BCAST PREFIX x\nb: SET x1 1\nwait 30\nA: CLIENT TRACKING off\nb: SET x1 1\nA: PING",
    ]);
}

#[test]
fn another_connection_is_told_in_place_of_the_reader() {
    same(&[
        "s: SUBSCRIBE __redis__:invalidate\na: CLIENT TRACKING on REDIRECT @s\na: MGET k l\nb: SET k 1\nb: DEL l\nb: SET l 1",
        "s: SUBSCRIBE other\na: CLIENT TRACKING on REDIRECT @s\na: GET k\nb: SET k 1",
        "s: PING\na: CLIENT TRACKING on REDIRECT @s\na: GET k\nb: SET k 1\ns: SUBSCRIBE __redis__:invalidate\nb: SET k 2\na: GET k\nb: SET k 3",
        "a: CLIENT TRACKING on\na: GET k\nb: SET k 1\na: GET k\na: HELLO 3\nb: SET k 2",
        "S: PING\na: CLIENT TRACKING on REDIRECT @S\na: GET k\nb: SET k 1",
        "S: PING\nA: CLIENT TRACKING on REDIRECT @S BCAST\nb: MSET k 1 l 2",
        "S: PING\nA: CLIENT TRACKING on REDIRECT @S\nA: GET k\nS.\nA: CLIENT TRACKINGINFO\nb: SET k 1\nA: CLIENT TRACKINGINFO\nA: CLIENT GETREDIR\nA: GET k\nb: SET k 2\nA: CLIENT TRACKING off\nA: CLIENT TRACKING on\nA: CLIENT TRACKINGINFO",
        "s: SUBSCRIBE __redis__:invalidate\na: CLIENT TRACKING on REDIRECT @s\na: GET k\ns.\nb: SET k 1\na: CLIENT TRACKINGINFO",
        "A: CLIENT TRACKING on\nA: GET k\nA! CLIENT REPLY OFF\nb: SET k 1",
    ]);
}

#[test]
fn reads_are_chosen_by_the_mark() {
    same(&[
        "A: CLIENT TRACKING on OPTIN\nA: GET k\nb: SET k 1\nA: CLIENT CACHING yes\nA: CLIENT ID\nA: CLIENT TRACKINGINFO\nA: GET k\nA: GET l\nb: SET k 2\nb: SET l 2\nA: CLIENT CACHING yes\nA: PING\nA: GET k\nb: SET k 3\nA: PING",
        "A: CLIENT TRACKING on OPTIN\nA: CLIENT CACHING yes\nA: MULTI\nA: GET k\nA: GET l\nA: EXEC\nA: GET m\nb: MSET k 1 l 1 m 1\nA: MULTI\nA: CLIENT CACHING yes\nA: GET k\nA: EXEC\nA: GET l\nb: MSET k 1 l 1\nA: PING",
        "A: CLIENT TRACKING on OPTOUT\nA: CLIENT CACHING no\nA: GET k\nA: GET l\nb: MSET k 1 l 1\nA: CLIENT CACHING no\nA: NOSUCH\nA: GET k\nb: SET k 1\nA: CLIENT CACHING no\nA: CLIENT NOSUCH\nA: GET k\nb: SET k 1\nA: PING",
        "A: CLIENT CACHING yes\nA: CLIENT TRACKING on\nA: CLIENT CACHING yes\nA: CLIENT TRACKING on OPTOUT\nA: CLIENT CACHING yes\nA: CLIENT CACHING x\nA: CLIENT TRACKING on OPTIN\nA: CLIENT TRACKING on\nA: CLIENT TRACKING on OPTIN OPTOUT\nA: CLIENT TRACKING on OPTIN REDIRECT 0\nA: CLIENT TRACKING on REDIRECT 12345678\nA: CLIENT TRACKING on REDIRECT x\nA: CLIENT TRACKING on REDIRECT\nA: CLIENT TRACKING off REDIRECT @A REDIRECT @A\nA: CLIENT TRACKING maybe",
        "A: CLIENT TRACKING on\nA: GET k\nA: RESET\nb: SET k 1\nA: PING\nA: CLIENT TRACKINGINFO",
    ]);
}

#[test]
fn what_nobody_changed_is_told_too() {
    same(&[
        "A: CLIENT TRACKING on\nA: SET k v PX 300\nA: GET k\nwait 700\nA: GET k\nA: PING",
        "A: CLIENT TRACKING on NOLOOP\nb: DEBUG SET-ACTIVE-EXPIRE 0\nA: SET k v PX 300\nA: MGET k l\nwait 400\nA: MGET l k\nb: DEBUG SET-ACTIVE-EXPIRE 1",
        "A: CLIENT TRACKING on\nA: GET k\nb: SWAPDB 0 1\nb: SWAPDB 0 1\nA: PING",
        "A: CLIENT TRACKING on BCAST\nb: DEBUG SET-ACTIVE-EXPIRE 0\nb: SET k v PX 300\nwait 400\nb: GET k\nb: DEBUG SET-ACTIVE-EXPIRE 1\nA: PING",
        "A: CLIENT TRACKING on\nb: CONFIG SET notify-keyspace-events KEA\nA! SUBSCRIBE __keyevent@0__:set\nA: GET k\nb: SET k 1\nA: PING\nb: CONFIG SET notify-keyspace-events x",
    ]);
}

#[test]
fn a_full_table_has_others_leave() {
    let (_folders, servers) = both("--tracking-table-max-keys 3");
    for server in &servers {
        let mut reader = Listener::new(server, true);
        for number in 0..10 {
            reader.run(&["CLIENT", "TRACKING", "ON"].map(String::from), false);
            reader.run(&["GET".to_owned(), format!("k{number}")], false);
        }
        reader.run(&["PING".to_owned()], false);
        reader.read_on();
        let told = String::from_utf8_lossy(&reader.read)
            .matches("invalidate")
            .count();
        assert_eq!(told, 7, "{}", String::from_utf8_lossy(&reader.read));
        let mut other = server.connect();
        assert_eq!(other.info("stats")["tracking_total_keys"], "3");
        other.good("CONFIG SET tracking-table-max-keys 1");
        other.good("PING");
        reader.read_on();
        let told = String::from_utf8_lossy(&reader.read)
            .matches("invalidate")
            .count();
        assert_eq!(told, 9);
    }
}

#[test]
fn figures_and_lines_tell_who_tracks() {
    let (_folders, servers) = both("");
    let lines = servers.each_ref().map(|server| {
        let mut all = [(); 4].map(|()| server.connect());
        let [a, b, c, d] = &mut all;
        a.good("HELLO 3");
        let target = d.int("CLIENT ID").to_string();
        a.good("CLIENT TRACKING ON");
        b.good("CLIENT TRACKING ON BCAST PREFIX x PREFIX y");
        c.good(&format!("CLIENT TRACKING ON REDIRECT {target} OPTIN"));
        a.line("MGET k l m");
        c.good("CLIENT CACHING YES");
        c.line("GET k");
        let (clients, stats) = (d.info("clients"), d.info("stats"));
        let mut figures = vec![clients["tracking_clients"].clone()];
        for name in ["keys", "items", "prefixes"] {
            figures.push(stats[&format!("tracking_total_{name}")].clone());
        }
        for connection in [a, b, c] {
            let line = connection.text("CLIENT INFO");
            let field = |name: &str| {
                let words = line.split_whitespace();
                let mut values = words.filter_map(|w| w.strip_prefix(name));
                values.next().unwrap_or_default().replace(&target, "@")
            };
            figures.push(field("flags="));
            figures.push(field("redir="));
        }
        figures
    });
    assert_eq!(lines[0], lines[1]);
    assert_eq!(
        lines[0],
        ["3", "3", "4", "2", "t", "0", "tB", "0", "t", "@"]
    );
}

/// Where 7.0.15 forgets somebody: docs/tracking.md.
#[test]
fn a_target_learns_that_its_reader_is_gone() {
    let folder = Folder::new();
    let server = Setup::new(Program::Cairn, &folder).start();
    let null = ">2 $10 invalidate _ ";
    let read = tell(
        &server,
        "S: PING\na: CLIENT TRACKING on REDIRECT @S\na: GET k\na.\nb: SET k 1",
    );
    assert_eq!(read["S"], format!("+PONG {null}"));
    // Who quits knows what it does.
    let read = tell(
        &server,
        "S: PING\na: CLIENT TRACKING on REDIRECT @S\na: GET k\na: QUIT\nwait 50\nb: SET k 1",
    );
    assert_eq!(read["S"], "+PONG ");
    assert_eq!(server.connect().info("stats")["tracking_total_keys"], "0");
}

/// 7.0 takes the keys that a script names for read as soon as it reads any; 7.2 those that its commands read.
#[test]
fn the_caller_of_a_script_has_read_what_its_commands_read() {
    let folder = Folder::new();
    let server = Setup::new(Program::Cairn, &folder).start();
    let read = tell(
        &server,
        "A: CLIENT TRACKING on OPTIN\nA: CLIENT CACHING yes\nA: EVAL return{redis.call('get','k'),redis.call('get','l')} 1 m\nb: MSET k 1 l 1 m 1\nA: PING",
    );
    let told = |key| format!(">2 $10 invalidate *1 $1 {key} ");
    let wanted = format!("+OK +OK *2 _ _ {}{}+PONG ", told("k"), told("l"));
    assert_eq!(read["A"], wanted);
}

/// A client that does not read what it is told costs no more than it may, and learns that it has missed something.
#[test]
fn who_does_not_read_gets_one_null_for_all_it_missed() {
    let folder = Folder::new();
    let options = "--client-output-buffer-limit pubsub 100000 0 0";
    let server = Setup::new(Program::Cairn, &folder).with(options).start();
    let mut deaf = server.connect();
    deaf.good("HELLO 3");
    deaf.good("CLIENT TRACKING ON BCAST");
    let mut writer = server.connect();
    let mut sent = 0;
    // What the sockets of both sides hold comes on top.
    for round in 0..200 {
        let keys: Vec<String> = (0..1000)
            .map(|n| format!("key:{round}:{n}:{:0100}", 0))
            .collect();
        let mut words = vec!["MSET".to_owned()];
        for key in &keys {
            words.extend([key.clone(), "v".to_owned()]);
        }
        writer.good_call(&words);
        sent += keys.len();
    }
    let waiting = |writer: &mut Connection| {
        let list = writer.text("CLIENT LIST");
        let omem = |line: &str| {
            let words = line.split_whitespace();
            let mut values = words.filter_map(|word| word.strip_prefix("omem="));
            values.next().unwrap().parse::<usize>().unwrap()
        };
        list.lines().map(omem).max().unwrap()
    };
    let omem = waiting(&mut writer);
    // How much the sockets take in the meantime is theirs.
    assert!(omem < 1_000_000, "{omem} bytes wait");
    // It reads now: keys, and then that it has missed some.
    let mut heard = 0;
    loop {
        let message = deaf.read();
        let Some([_, keys]) = message.as_array() else {
            panic!("{message:?}");
        };
        match keys.as_array() {
            Some(keys) => heard += keys.len(),
            None => break,
        }
    }
    assert!(heard < sent, "{heard} of {sent}");
    writer.good("SET again 1");
    assert!(told(&deaf.read()).contains("again"), "it is told again");
}
