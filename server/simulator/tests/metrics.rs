//! The metrics port on virtual sockets and time: requests in pieces, slow readers, garbage, crowds, time that runs out.

use cairn_engine::base::random::Random;
use cairn_format::resp::value::write_command;
use cairn_simulator::host::World;
use cairn_simulator::instance::Instance;
use cairn_simulator::net::Plug;

const PORT: u16 = 9121;
const TURNS: usize = 100_000;

fn start(seed: u64) -> (World, Instance) {
    let world = World::new(seed);
    let words = ["--save", "", "--metrics-port", "9121"];
    let instance = Instance::start(&world, &words).unwrap();
    (world, instance)
}

fn visit(world: &World, bytes: &[u8]) -> Plug {
    let plug = world.net.connect_to(PORT).expect("a metrics port");
    plug.send(bytes);
    plug
}

/// Turns until `done` says that what has come is enough; all of it.
fn read_until(instance: &mut Instance, plug: &Plug, done: impl Fn(&[u8], bool) -> bool) -> String {
    let mut bytes = Vec::new();
    for _ in 0..TURNS {
        instance.step().unwrap();
        bytes.extend(plug.receive(usize::MAX));
        if done(&bytes, plug.is_over()) {
            return String::from_utf8(bytes).unwrap();
        }
    }
    panic!("in vain; so far {}", bytes.escape_ascii());
}

fn read_to_end(instance: &mut Instance, plug: &Plug) -> String {
    read_until(instance, plug, |_, is_over| is_over)
}

/// Status lines and bodies of the answers, which say how long they are; nothing may be left.
fn answers(mut text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    while !text.is_empty() {
        let (head, rest) = text.split_once("\r\n\r\n").expect("a whole head");
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "));
        let (body, rest) = rest.split_at(length.unwrap().parse().unwrap());
        found.push((head.lines().next().unwrap().to_owned(), body.to_owned()));
        text = rest;
    }
    found
}

const LAST: &str = "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// However its bytes travel, each request has its answer, in order, and clients have theirs meanwhile.
#[test]
fn every_request_is_answered_in_whatever_pieces_it_comes() {
    for seed in 0..100 {
        let (world, mut instance) = start(seed);
        let mut random = Random::new(seed);
        let client = world.net.connect().unwrap();
        let plug = visit(&world, b"");
        let paths = ["/metrics", "/", "/readyz", "/nothing", "/healthz?a=b"];
        let asked: Vec<&str> = (0..10).map(|_| paths[random.index(5)]).collect();
        let requests = asked
            .iter()
            .map(|path| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let mut bytes = (requests.collect::<String>() + LAST).into_bytes();
        let (mut got, mut clients) = (Vec::new(), 0);
        for _ in 0..TURNS {
            let count = random.index(bytes.len().min(40) + 1);
            plug.send(&bytes[..count]);
            bytes.drain(..count);
            if random.below(4) == 0 {
                let mut request = Vec::new();
                write_command(&mut request, &["PING"]);
                client.send(&request);
                clients += 7;
            }
            instance.step().unwrap();
            got.extend(plug.receive(random.index(3000)));
            if plug.is_over() {
                break;
            }
        }
        let got = answers(std::str::from_utf8(&got).unwrap());
        assert_eq!(got.len(), 11, "seed {seed}");
        for (path, (status, body)) in asked.iter().zip(&got) {
            let (wanted, begin) = match *path {
                "/metrics" => ("200 OK", "# HELP redis_up "),
                "/" => ("200 OK", "/metrics: "),
                "/readyz" => ("200 OK", "ready\n"),
                "/nothing" => ("404 Not Found", "404 Not Found\n"),
                _ => ("200 OK", "ok\n"),
            };
            assert_eq!(*status, format!("HTTP/1.1 {wanted}"), "seed {seed}");
            assert!(body.starts_with(begin), "seed {seed}: {path}: {body}");
        }
        read_until(&mut instance, &client, |pongs, _| pongs.len() == clients);
    }
}

#[test]
fn garbage_is_told_so_and_ends() {
    for seed in 0..50 {
        for garbage in [
            "PING\r\n",
            "*1\r\n$4\r\nPING\r\n",
            "\u{16}\u{3}\u{1}",
            "GET / HTTP/1.1\n",
        ] {
            let (world, mut instance) = start(seed);
            let plug = visit(&world, garbage.as_bytes());
            let text = read_to_end(&mut instance, &plug);
            // A close with unread bytes may overtake the answer, here as in life.
            let told = text.is_empty() || text.starts_with("HTTP/1.1 400 Bad Request\r\n");
            assert!(told, "seed {seed}: {garbage:?}: {text}");
        }
    }
    let (world, mut instance) = start(1);
    let plug = visit(&world, "GET /".repeat(5000).as_bytes());
    read_to_end(&mut instance, &plug);
}

/// Time is virtual here, so this waits for nothing.
#[test]
fn who_is_slow_is_sent_away() {
    let (world, mut instance) = start(3);
    let began = visit(&world, b"GET /metrics HTTP/1.1\r\nHo");
    let silent = visit(&world, b"");
    let (text, nothing) = (
        read_to_end(&mut instance, &began),
        read_to_end(&mut instance, &silent),
    );
    assert!(
        text.starts_with("HTTP/1.1 408 Request Timeout\r\n"),
        "{text}"
    );
    assert_eq!(nothing, "");
    // Idle after an answer, and an answer that nobody takes.
    let idle = visit(&world, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let text = read_to_end(&mut instance, &idle);
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    let deaf = visit(&world, b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    for _ in 0..20_000 {
        instance.step().unwrap();
    }
    deaf.receive(usize::MAX);
    assert!(deaf.is_over(), "what nobody takes is kept for ever");
}

/// Two hundred who say nothing: they take turns, and somebody who asks has an answer; clients do not notice.
#[test]
fn a_crowd_does_not_lock_the_door() {
    let (world, mut instance) = start(4);
    let crowd: Vec<Plug> = (0..200).map(|_| visit(&world, b"GET")).collect();
    let late = visit(&world, LAST.as_bytes());
    let text = read_to_end(&mut instance, &late);
    assert!(text.ends_with("ok\n"), "{text}");
    for plug in &crowd {
        read_to_end(&mut instance, plug);
    }
}

#[test]
fn half_a_connection_is_answered_and_a_reset_is_nothing() {
    for seed in 0..50 {
        let (world, mut instance) = start(seed);
        let gone = visit(&world, b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
        if seed % 2 == 0 {
            instance.step().unwrap();
        }
        gone.reset();
        let half = visit(&world, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /h");
        half.half_close();
        let text = read_to_end(&mut instance, &half);
        assert_eq!(answers(&text).len(), 1, "seed {seed}");
    }
}

/// Nothing of the real process gets in, or a seed that found something would not find it again.
#[test]
fn figures_are_those_of_the_world() {
    let figures = || {
        let (world, mut instance) = start(6);
        let metrics = b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let page = read_to_end(&mut instance, &visit(&world, metrics));
        let client = world.net.connect().unwrap();
        let mut request = Vec::new();
        for words in [&["INFO", "everything"][..], &["MEMORY", "STATS"], &["QUIT"]] {
            write_command(&mut request, words);
        }
        client.send(&request);
        (page, read_to_end(&mut instance, &client))
    };
    let (page, info) = figures();
    let (later_page, later_info) = figures();
    for (first, later) in [(page, later_page), (info, later_info)] {
        let differs = first.lines().zip(later.lines()).find(|(a, b)| a != b);
        assert_eq!(differs, None);
        assert_eq!(first.len(), later.len());
    }
}

/// The port goes with the process, and comes and goes with its directive.
#[test]
fn the_port_comes_and_goes() {
    let world = World::new(5);
    let mut instance = Instance::start(&world, &["--save", ""]).unwrap();
    assert!(world.net.connect_to(PORT).is_none());
    let client = world.net.connect().unwrap();
    let ask = |instance: &mut Instance, words: &[&str]| {
        let mut request = Vec::new();
        write_command(&mut request, words);
        client.send(&request);
        read_until(instance, &client, |bytes, is_over| {
            is_over || bytes.ends_with(b"\r\n")
        })
    };
    assert_eq!(
        ask(&mut instance, &["CONFIG", "SET", "metrics-port", "9121"]),
        "+OK\r\n"
    );
    let plug = visit(&world, LAST.as_bytes());
    assert!(read_to_end(&mut instance, &plug).ends_with("ok\n"));
    assert_eq!(
        ask(&mut instance, &["CONFIG", "SET", "metrics-port", "0"]),
        "+OK\r\n"
    );
    assert!(world.net.connect_to(PORT).is_none());
    ask(&mut instance, &["CONFIG", "SET", "metrics-port", "9121"]);
    ask(&mut instance, &["SHUTDOWN"]);
    assert!(world.net.connect_to(PORT).is_none());
}
