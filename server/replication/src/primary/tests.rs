use super::*;

fn id(digit: u8) -> ReplId {
    ReplId::of_random([digit; 20])
}

const TIMING: Timing = Timing {
    ping_ms: 10_000,
    timeout_ms: 60_000,
    backlog_ttl_ms: 3_600_000,
    no_pings: false,
    follows: false,
    is_cut_off: false,
};

fn primary() -> Primary {
    Primary::new(id(1), 1 << 20)
}

fn greet(primary: &mut Primary, peer: PeerId) {
    for word in ["eof", "psync2"] {
        primary.greeted(peer, "10.0.0.9", Greeting::Capability(word.to_owned()));
    }
    primary.greeted(peer, "10.0.0.9", Greeting::Port(7000 + peer as i64));
}

fn ask(primary: &mut Primary, peer: PeerId, id_: &str, from: i64) -> Answer {
    let asked = Asked {
        id: id_.as_bytes(),
        from,
    };
    primary
        .sync(peer, "10.0.0.9", Some(asked), id(9), None, 0)
        .unwrap()
}

/// Brings a new replica online by a snapshot.
fn bring_online(primary: &mut Primary, peer: PeerId) {
    greet(primary, peer);
    assert_eq!(ask(primary, peer, "?", -1), Answer::Full);
    assert!(primary.wanted(0).is_some());
    primary.snapshot_began(Filter::Everything, None);
    primary.snapshot_ended(true, 0);
    primary.transferred(peer, 0);
    assert!(primary.replica(peer).unwrap().is_online());
    primary.check().unwrap();
}

fn sends(primary: &mut Primary, peer: PeerId) -> Vec<u8> {
    let bytes: Vec<u8> = primary.unsent(peer).flatten().copied().collect();
    primary.sent(peer, bytes.len() as u64);
    bytes
}

#[test]
fn a_replica_is_sent_what_changed_since_its_snapshot() {
    let mut primary = primary();
    greet(&mut primary, 5);
    primary.stream(b"nobody follows");
    assert_eq!(primary.history().offset(), 0);
    assert_eq!(ask(&mut primary, 5, "?", -1), Answer::Full);
    assert_eq!(
        primary.history().id(),
        id(9),
        "a stream that begins has a new name"
    );
    primary.stream(b"before");
    primary.take_actions();
    primary.snapshot_began(Filter::Everything, None);
    let line = format!("+FULLRESYNC {} 6\r\n", id(9)).into_bytes();
    assert_eq!(primary.take_actions(), [Action::Send(5, line)]);
    primary.stream(b"during");
    assert_eq!(sends(&mut primary, 5), b"", "not before the snapshot");
    primary.snapshot_ended(true, 0);
    assert_eq!(primary.take_actions(), [Action::Transfer(5)]);
    primary.stream(b"then");
    primary.transferred(5, 7);
    assert_eq!(primary.behind().collect::<Vec<_>>(), [5]);
    assert_eq!(primary.bytes_behind(5), 10);
    assert_eq!(sends(&mut primary, 5), b"duringthen");
    assert_eq!(primary.behind().count(), 0);
    assert_eq!(primary.acknowledged(1), (0, 0));
    primary.acked(5, 16, Some(12), 8);
    assert_eq!(
        (primary.acknowledged(16), primary.acknowledged(12)),
        ((1, 0), (1, 1))
    );
    // What it cannot have is not believed.
    primary.acked(5, 17, Some(99), 8);
    assert_eq!(primary.acknowledged(17), (0, 0));
    primary.check().unwrap();
}

/// A connection that broke for the replica only is still there for the primary when the replica is back on another one.
#[test]
fn who_is_there_twice_counts_once() {
    let mut primary = primary();
    bring_online(&mut primary, 1);
    bring_online(&mut primary, 2);
    let own = primary.history().id().to_string();
    greet(&mut primary, 3);
    primary.greeted(3, "10.0.0.9", Greeting::Port(7001));
    ask(&mut primary, 3, &own, 1);
    primary.stream(b"abc");
    for peer in [1, 3] {
        primary.acked(peer, 3, Some(3), 0);
    }
    assert_eq!(primary.acknowledged(3), (1, 1));
    assert_eq!(primary.acknowledged(0), (2, 1));
    assert_eq!(primary.good(0, 10), 2);
    // Nobody knows who these are.
    for peer in [4, 5] {
        primary.greeted(peer, "10.0.0.9", Greeting::Capability("psync2".to_owned()));
        ask(&mut primary, peer, &own, 4);
    }
    assert_eq!(primary.acknowledged(3), (3, 1));
}

#[test]
fn who_comes_back_goes_on_where_it_was() {
    let mut primary = primary();
    bring_online(&mut primary, 1);
    primary.stream(&[b'x'; 100]);
    sends(&mut primary, 1);
    assert!(primary.gone(1, 0) && !primary.gone(1, 0));
    primary.stream(&[b'y'; 50]);
    let own = primary.history().id().to_string();
    for (peer, asked, from, expected) in [
        (2, own.as_str(), 101, 50),
        (3, &own.to_uppercase(), 151, 0),
        (4, &own, 1, 150),
    ] {
        greet(&mut primary, peer);
        let answer = Answer::Continue(format!("+CONTINUE {own}\r\n"));
        assert_eq!(ask(&mut primary, peer, asked, from), answer);
        assert_eq!(sends(&mut primary, peer).len(), expected);
    }
    for (peer, asked, from) in [
        (5, own.as_str(), 152),
        (6, &own, 0),
        (7, &own, -1),
        (8, &id(3).to_string(), 101),
        (9, "?", -1),
    ] {
        greet(&mut primary, peer);
        assert_eq!(
            ask(&mut primary, peer, asked, from),
            Answer::Full,
            "{asked} {from}"
        );
    }
    let counters = primary.counters;
    assert_eq!(
        (
            counters.sync_full,
            counters.partial_ok,
            counters.partial_err
        ),
        (6, 3, 4)
    );
    primary.check().unwrap();
}

#[test]
fn who_comes_late_joins_a_snapshot_under_way() {
    let mut primary = primary();
    greet(&mut primary, 1);
    ask(&mut primary, 1, "?", -1);
    primary.snapshot_began(Filter::Everything, None);
    primary.stream(b"since");
    greet(&mut primary, 2);
    primary.take_actions();
    ask(&mut primary, 2, "?", -1);
    assert_eq!(
        primary.replica(2).unwrap().state,
        State::Snapshot { next: 1 }
    );
    // Another wants another version: it waits for the next.
    greet(&mut primary, 3);
    primary.greeted(3, "h", Greeting::Capability("rdb-version-80".to_owned()));
    ask(&mut primary, 3, "?", -1);
    assert_eq!(primary.wanted(5).unwrap().reads, Some(80));
    primary.snapshot_ended(false, 0);
    let actions = primary.take_actions();
    assert!(actions.contains(&Action::Close(1)) && actions.contains(&Action::Close(2)));
    assert!(!actions.contains(&Action::Close(3)));
}

#[test]
fn time_pings_drops_and_forgets() {
    let mut primary = primary();
    bring_online(&mut primary, 1);
    primary.take_actions();
    primary.tick(10_000, &TIMING, id(7));
    assert_eq!(primary.take_actions(), [Action::Enter(clock_ping())]);
    primary.tick(11_000, &TIMING, id(7));
    assert_eq!(primary.take_actions(), []);
    primary.tick(60_001, &TIMING, id(7));
    let actions = primary.take_actions();
    assert!(actions.contains(&Action::Close(1)), "{actions:?}");
    primary.gone(1, 60_001);
    let before = primary.history().id();
    primary.tick(60_001 + 3_599_999, &TIMING, id(7));
    assert!(primary.streams());
    primary.tick(60_001 + 3_600_000, &TIMING, id(7));
    assert!(!primary.streams() && primary.history().id() == id(7) && before != id(7));
}

fn clock_ping() -> Vec<u8> {
    b"*1\r\n$4\r\nping\r\n".to_vec()
}

#[test]
fn who_was_dropped_counts_for_nothing_until_it_is_gone() {
    let mut primary = primary();
    bring_online(&mut primary, 1);
    primary.stream(b"0123456789");
    primary.acked(1, 10, Some(10), 0);
    assert_eq!(primary.acknowledged(10), (1, 1));
    primary.drop_all();
    primary.forget();
    primary.copied(id(9), 3);
    // Its connection ends later in the turn, or in the next one.
    primary.check().unwrap();
    assert_eq!(primary.acknowledged(3), (0, 0));
    primary.acked(1, 3, Some(3), 0);
    assert_eq!(primary.acknowledged(3), (0, 0));
    assert_eq!(ask(&mut primary, 1, "?", -1), Answer::Nothing);
    assert!(primary.gone(1, 0));
}

#[test]
fn a_promoted_server_drops_its_replicas_and_takes_them_back() {
    let mut primary = primary();
    bring_online(&mut primary, 1);
    primary.stream(b"0123456789");
    let old = primary.history().id().to_string();
    primary.take_actions();
    primary.promoted(id(8), 0);
    assert!(primary.take_actions().contains(&Action::Close(1)));
    primary.gone(1, 0);
    greet(&mut primary, 2);
    let answer = Answer::Continue(format!("+CONTINUE {}\r\n", id(8)));
    assert_eq!(ask(&mut primary, 2, &old, 11), answer);
}

#[test]
fn a_snapshot_that_is_sent_while_it_is_written_ends_with_a_marker_that_is_answered() {
    let mut primary = primary();
    greet(&mut primary, 1);
    ask(&mut primary, 1, "?", -1);
    greet(&mut primary, 2);
    primary.greeted(2, "h", Greeting::RdbOnly(true));
    ask(&mut primary, 2, "?", -1);
    primary.take_actions();
    primary.snapshot_began(Filter::Everything, Some(id(4)));
    let lines: Vec<u8> = primary
        .take_actions()
        .into_iter()
        .flat_map(|action| match action {
            Action::Send(1, bytes) => bytes,
            _ => Vec::new(),
        })
        .collect();
    let expected = format!("+FULLRESYNC {} 0\r\n$EOF:{}\r\n", id(9), id(4));
    assert_eq!(String::from_utf8(lines).unwrap(), expected);
    primary.stream(b"since");
    // Who comes now is not part of it, and hears no newline in the middle of it.
    greet(&mut primary, 3);
    ask(&mut primary, 3, "?", -1);
    assert!(matches!(
        primary.replica(3).unwrap().state,
        State::Waits { .. }
    ));
    primary.tick(1000, &TIMING, id(7));
    let newlines: Vec<PeerId> = primary
        .take_actions()
        .into_iter()
        .filter_map(|action| match action {
            Action::Send(peer, bytes) if bytes == b"\n" => Some(peer),
            _ => None,
        })
        .collect();
    assert_eq!(newlines, [3]);
    assert_eq!(primary.streamed().collect::<Vec<_>>(), [1, 2]);
    primary.snapshot_ended(true, 2000);
    let marker = id(4).to_string().into_bytes();
    let actions = primary.take_actions();
    for expected in [
        Action::Send(1, marker.clone()),
        Action::Send(2, marker),
        Action::Dismiss(2),
    ] {
        assert!(actions.contains(&expected), "{actions:?}");
    }
    // Nothing follows the marker before it was answered; the offset in the answer does not matter.
    assert_eq!(sends(&mut primary, 1), b"");
    primary.acked(1, 0, None, 2001);
    assert_eq!(sends(&mut primary, 1), b"since");
    primary.check().unwrap();
    // Who never answers is lost.
    primary.snapshot_began(Filter::Everything, Some(id(5)));
    primary.snapshot_ended(true, 3000);
    primary.take_actions();
    primary.acked(1, 5, None, 62_000);
    primary.tick(63_001, &TIMING, id(7));
    assert!(primary.take_actions().contains(&Action::Close(3)));
}

/// Whatever is kept elsewhere: there is nothing before the first byte.
#[test]
fn nothing_goes_on_from_before_the_first_byte() {
    let mut primary = primary();
    bring_online(&mut primary, 1);
    primary.stream(b"0123456789");
    let own = primary.history().id();
    for (peer, from) in [(2, 0), (3, -1), (4, i64::MIN)] {
        greet(&mut primary, peer);
        let asked = Asked {
            id: own.as_bytes(),
            from,
        };
        let answer = primary.sync(peer, "h", Some(asked), id(9), Some(0), 0);
        assert_eq!(answer, Ok(Answer::Full));
    }
    primary.check().unwrap();
}

#[test]
fn who_follows_a_server_that_is_cut_off_hears_that_it_is_there() {
    let mut primary = primary();
    bring_online(&mut primary, 1);
    bring_online(&mut primary, 2);
    primary.greeted(2, "h", Greeting::Capability("empty-lines".to_owned()));
    let newline = Action::Send(2, b"\n".to_vec());
    let cut_off = Timing {
        follows: true,
        is_cut_off: true,
        ..TIMING
    };
    primary.take_actions();
    primary.tick(1000, &TIMING, id(7));
    assert_eq!(primary.take_actions(), []);
    // Only to who does not count it, and only between commands.
    primary.tick(2000, &cut_off, id(7));
    assert_eq!(primary.take_actions(), [newline]);
    primary.stream(b"more");
    primary.tick(3000, &cut_off, id(7));
    assert_eq!(primary.take_actions(), []);
}
