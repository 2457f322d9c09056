use super::*;

fn id(digit: u8) -> ReplId {
    ReplId::of_random([digit; 20])
}

fn about(resume: Option<Resume>) -> About {
    About {
        port: 7777,
        reads: 80,
        resume,
        ..About::default()
    }
}

/// Feeds all of it; the orders but waits, and what was written.
fn feed(link: &mut Link, bytes: &[u8], about: &About) -> (Vec<Order>, Vec<u8>) {
    let (mut at, mut orders, mut file) = (0, Vec::new(), Vec::new());
    loop {
        let (taken, order) = link.input(&bytes[at..], about, 5, &mut file).unwrap();
        at += taken;
        let waits = order == Order::Wait;
        if !waits {
            orders.push(order);
        }
        if waits && (taken == 0 || at == bytes.len()) {
            return (orders, file);
        }
    }
}

fn sent(orders: &[Order]) -> String {
    let [Order::Send(bytes)] = orders else {
        panic!("{orders:?}")
    };
    String::from_utf8(bytes.clone()).unwrap()
}

#[test]
fn the_handshake_is_that_of_redis() {
    let mut link = Link::new("primary", 6379, 0);
    assert!(link.is_due(0) && link.state_word() == "connect");
    assert_eq!(link.connected(0), b"*1\r\n$4\r\nPING\r\n");
    assert_eq!((link.is_due(99), link.state_word()), (false, "connecting"));
    let about = About {
        password: b"pw".to_vec(),
        address: "10.1.2.3".to_owned(),
        ..about(None)
    };
    let orders = feed(&mut link, b"-NOAUTH Authentication required.\r\n", &about).0;
    assert_eq!(
        sent(&orders),
        "*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n\
         *3\r\n$8\r\nREPLCONF\r\n$14\r\nlistening-port\r\n$4\r\n7777\r\n\
         *3\r\n$8\r\nREPLCONF\r\n$10\r\nip-address\r\n$8\r\n10.1.2.3\r\n\
         *9\r\n$8\r\nREPLCONF\r\n$4\r\ncapa\r\n$3\r\neof\r\n$4\r\ncapa\r\n$6\r\npsync2\r\n$4\r\ncapa\r\n$14\r\nrdb-version-80\r\n$4\r\ncapa\r\n$11\r\nempty-lines\r\n"
    );
    assert_eq!(link.state_word(), "handshake");
    let orders = feed(&mut link, b"+OK\r\n+OK\r\n-ERR no\r\n+OK\r\n", &about).0;
    assert_eq!(
        sent(&orders),
        "*3\r\n$5\r\nPSYNC\r\n$1\r\n?\r\n$2\r\n-1\r\n"
    );
    let text = format!("\n\n+FULLRESYNC {} 41\r\n\n$5\r\nhelloSTREAM", id(3));
    let mut file = Vec::new();
    let (mut at, mut orders) = (0, Vec::new());
    while !link.is_loading() {
        let (taken, order) = link
            .input(&text.as_bytes()[at..], &about, 5, &mut file)
            .unwrap();
        at += taken;
        orders.push(order);
    }
    assert_eq!(orders.last(), Some(&Order::Load));
    assert!(orders.contains(&Order::Open(Some(5))));
    assert_eq!((&file[..], &text[at..]), (&b"hello"[..], "STREAM"));
    assert_eq!(link.given(), Some((id(3), 41)));
    link.loaded(6);
    assert!(link.is_up() && link.state_word() == "connected");
    let lines = link.take_lines().join("\n");
    assert!(
        lines.contains("(Non critical) Master does not understand REPLCONF ip-address: -ERR no")
    );
    assert!(lines.contains(&format!("Full resync from master: {}:41", id(3))));
}

/// A link that has asked to go on, or for all.
fn asked(resume: Option<Resume>) -> Link {
    let mut link = Link::new("primary", 6379, 0);
    link.connected(0);
    let about = about(resume);
    feed(&mut link, b"+PONG\r\n", &about);
    let orders = feed(&mut link, b"+OK\r\n+OK\r\n", &about).0;
    assert!(sent(&orders).contains("PSYNC"));
    link
}

#[test]
fn a_stream_goes_on_only_where_that_was_asked_for() {
    let resume = Some(Resume {
        id: id(1),
        from: 12,
    });
    for (line, answer) in [
        (format!("+CONTINUE {}\r\n", id(2)), Some(id(2))),
        ("+CONTINUE\r\n".to_owned(), None),
    ] {
        let mut link = asked(resume);
        let orders = feed(&mut link, line.as_bytes(), &about(resume)).0;
        assert_eq!(orders, [Order::Continue(answer)]);
        assert!(link.is_up());
        let mut link = asked(None);
        let orders = feed(&mut link, line.as_bytes(), &about(None)).0;
        assert!(
            matches!(&orders[..], [Order::Fail(failure)] if failure.patience == Patience::Later)
        );
    }
}

#[test]
fn refusals_say_when_to_come_back() {
    for (line, patience) in [
        (
            "-NOMASTERLINK Can't SYNC while not connected with my master",
            Patience::Soon,
        ),
        (
            "-LOADING Redis is loading the dataset in memory",
            Patience::Soon,
        ),
        ("-NOPERM no", Patience::Later),
        ("-NOAUTH no", Patience::Later),
        ("+FULLRESYNC short 1", Patience::Later),
        ("+FULLRESYNC", Patience::Later),
        (
            "+FULLRESYNC 0123456789012345678901234567890123456789 9223372036854775808",
            Patience::Later,
        ),
        (
            "+FULLRESYNC 0123456789012345678901234567890123456789 -1",
            Patience::Later,
        ),
    ] {
        let mut link = asked(None);
        let orders = feed(&mut link, format!("{line}\r\n").as_bytes(), &about(None)).0;
        let [Order::Fail(failure)] = &orders[..] else {
            panic!("{line}: {orders:?}")
        };
        assert_eq!(failure.patience, patience, "{line}");
    }
    for line in ["-ERR unknown command", "garbage"] {
        let mut link = asked(None);
        let orders = feed(&mut link, format!("{line}\r\n").as_bytes(), &about(None)).0;
        assert_eq!(sent(&orders), "SYNC\r\n");
        let orders = feed(&mut link, b"-ERR no\r\n", &about(None)).0;
        assert!(matches!(&orders[..], [Order::Fail(_)]), "{orders:?}");
    }
}

#[test]
fn silence_is_a_failure_in_each_state_but_those_of_our_own_making() {
    let mut link = Link::new("primary", 6379, 0);
    assert_eq!(link.tick(100_000, 60_000), None);
    link.connected(0);
    assert_eq!(link.tick(60_000, 60_000), None);
    let failure = link.tick(60_001, 60_000).unwrap();
    assert!(failure.reason.contains("Timeout connecting"));
    link.failed(failure, 60_001, 0);
    let line =
        "Timeout connecting to the MASTER... (MASTER primary:6379, waiting for its answer to PING)";
    assert_eq!(link.take_lines().last().map(String::as_str), Some(line));
    assert!(!link.is_due(61_000) && link.is_due(61_001));
    assert_eq!(link.down_since_ms(), None, "it never was up");
}

/// A link that has asked for all and was given it, of this stream, at this time.
fn synchronized(link: &mut Link, of: ReplId, now_ms: u64) {
    link.connected(now_ms);
    let answers = format!("+PONG\r\n+OK\r\n+OK\r\n+FULLRESYNC {of} 41\r\n$1\r\nx");
    let (mut at, about) = (0, about(None));
    while !link.is_loading() {
        let bytes = &answers.as_bytes()[at..];
        at += link
            .input(bytes, &about, now_ms, &mut Vec::new())
            .unwrap()
            .0;
    }
    link.loaded(now_ms);
    link.take_lines();
}

/// A loop that stood still notices late that the link has ended, and tries again at once: the data is as old as the last that was heard of the stream.
#[test]
fn data_is_as_old_as_what_was_heard_last_of_the_stream() {
    let mut link = Link::new("primary", 6379, 0);
    assert_eq!(link.streamed_until_ms(), None);
    synchronized(&mut link, ReplId::parse(&[b'a'; 40]).unwrap(), 1000);
    link.heard(5000);
    let failure = link.lost().unwrap();
    link.failed(failure, 25_000, 0);
    link.connected(25_100);
    let failure = link.lost().unwrap();
    link.failed(failure, 26_000, 0);
    assert_eq!(
        (link.down_since_ms(), link.streamed_until_ms()),
        (Some(25_000), Some(5000))
    );
}

#[test]
fn a_stream_that_is_cut_off_behind_each_snapshot_is_asked_for_more_and_more_rarely() {
    let mut link = Link::new("primary", 6379, 0);
    let mut now_ms = 0;
    let mut lose = |link: &mut Link, of: ReplId, lasted_ms: u64| {
        synchronized(link, of, now_ms);
        now_ms += lasted_ms;
        let failure = link.lost().unwrap();
        link.failed(failure, now_ms, 0);
        let lost_at_ms = now_ms;
        while !link.is_due(now_ms) {
            now_ms += 1;
        }
        (now_ms - lost_at_ms, link.take_lines().len())
    };
    let stream = id(3);
    let waits: Vec<(u64, usize)> = (0..6).map(|_| lose(&mut link, stream, 5000)).collect();
    let expected = [
        (0, 1),
        (1000, 1),
        (2000, 2),
        (4000, 0),
        (8000, 0),
        (16_000, 0),
    ];
    assert_eq!(waits, expected, "and what to change is told with the third");
    // One that lasts is good, and its end is as the first.
    assert_eq!(lose(&mut link, stream, 10_000), (0, 1));
    assert_eq!(lose(&mut link, stream, 1), (0, 1));
    // So is that of another stream: the primary has begun anew.
    assert_eq!(lose(&mut link, id(4), 1).0, 0);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400), lines in 0usize..6) {
        let mut link = Link::new("primary", 6379, 0);
        link.connected(0);
        let about = about(Some(Resume { id: id(1), from: 12 }));
        let answers = ["+PONG\r\n", "+OK\r\n", "+OK\r\n", &format!("+FULLRESYNC {} 41\r\n", id(3)), "$300\r\n", ""];
        for line in &answers[..lines] {
            feed(&mut link, line.as_bytes(), &about);
        }
        feed(&mut link, &bytes, &about);
    }
}
