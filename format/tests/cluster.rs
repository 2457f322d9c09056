//! Messages of the bus and `nodes.conf` of real nodes (`testdata/cluster`), and such that no node sends.

use std::path::{Path, PathBuf};

use cairn_format::cluster::nodes_conf::{Line, NodesConf, Style};
use cairn_format::cluster::{Body, Flags, HEADER_SIZE, Kind, Message, NodeId, frame_len, mflags};
use cairn_format::error::Damage;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/cluster")
}

fn servers() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder()).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let servers: Vec<PathBuf> = paths.filter(|path| path.is_dir()).collect();
    assert_eq!(servers.len(), 3);
    servers
}

fn recorded(server: &str, kind: &str) -> Vec<u8> {
    std::fs::read(folder().join(server).join(format!("{kind}.bin"))).expect("a recording")
}

/// A message as the script that recorded it tells it, in the form of its lines.
fn told(message: &Message) -> String {
    let header = &message.header;
    let pairs = |slots: &cairn_format::cluster::SlotSet| {
        let mut ranges: Vec<[u16; 2]> = Vec::new();
        for slot in slots.iter() {
            match ranges.last_mut() {
                Some([_, last]) if *last + 1 == slot => *last = slot,
                _ => ranges.push([slot, slot]),
            }
        }
        format!("{ranges:?}")
    };
    let id = |id: Option<NodeId>| id.map(|id| id.to_string()).unwrap_or_default();
    let mut text = format!(
        "\"type\": {}, \"version\": 1, \"port\": {}, \"current_epoch\": {}, \"config_epoch\": {}, \"offset\": {}, \"sender\": \"{}\", \"slots\": {}, \
         \"primary\": \"{}\", \"ip\": \"{}\", \"pport\": {}, \"cport\": {}, \"flags\": {}, \"state\": {}, \"mflags\": {}",
        message.body.kind().number(),
        header.port,
        header.current_epoch,
        header.config_epoch,
        header.offset,
        header.sender,
        pairs(&header.slots),
        id(header.primary),
        header.ip,
        header.pport,
        header.cport,
        header.flags.0,
        u8::from(!header.is_ok),
        header.mflags
    );
    match &message.body {
        Body::Ping {
            gossip, extensions, ..
        } => {
            let entries: Vec<String> = gossip
                .iter()
                .map(|g| {
                    format!(
                        "{{\"id\": \"{}\", \"ping_sent\": {}, \"pong_received\": {}, \"ip\": \"{}\", \"port\": {}, \"cport\": {}, \"flags\": {}, \"pport\": {}}}",
                        g.id, g.ping_sent, g.pong_received, g.ip, g.port, g.cport, g.flags.0, g.pport
                    )
                })
                .collect();
            let mut words: Vec<String> = Vec::new();
            let names = [(0, &extensions.hostname), (1, &extensions.node_name)];
            words.extend(
                names
                    .iter()
                    .filter_map(|(kind, name)| Some(format!("[{kind}, \"{}\"]", name.as_ref()?))),
            );
            words.extend(
                extensions
                    .forgotten
                    .iter()
                    .map(|f| format!("[2, \"{}\", {}]", f.id, f.seconds)),
            );
            words.extend(extensions.shard.map(|shard| format!("[3, \"{shard}\"]")));
            words.extend(extensions.others.iter().map(|other| {
                format!(
                    "[{}, \"{}\"]",
                    other.kind,
                    String::from_utf8_lossy(&other.payload)
                )
            }));
            text += &format!(
                ", \"gossip\": [{}], \"extensions\": [{}]",
                entries.join(", "),
                words.join(", ")
            );
        }
        Body::Fail(failed) => text += &format!(", \"failed\": \"{failed}\""),
        Body::Publish {
            channel, message, ..
        } => {
            let (channel, message) = (
                String::from_utf8_lossy(channel),
                String::from_utf8_lossy(message),
            );
            text += &format!(", \"channel\": \"{channel}\", \"message\": \"{message}\"");
        }
        Body::Update {
            config_epoch,
            id,
            slots,
        } => {
            text += &format!(
                ", \"update\": {{\"config_epoch\": {config_epoch}, \"id\": \"{id}\", \"slots\": {}}}",
                pairs(slots)
            );
        }
        _ => {}
    }
    text
}

#[test]
fn messages_of_real_nodes_are_read_as_they_are_and_written_as_they_were() {
    let mut count = 0;
    for server in servers() {
        let truth = std::fs::read_to_string(server.join("truth.jsonl")).expect("the truth");
        for line in truth.lines() {
            let (name, fields) = line
                .strip_prefix("{\"file\": \"")
                .and_then(|rest| rest.strip_suffix('}')?.split_once("\", "))
                .expect("a line of the script");
            let bytes = std::fs::read(server.join(name)).expect("a recording");
            assert_eq!(frame_len(&bytes), Ok(Some(bytes.len())));
            let message =
                Message::decode(&bytes).unwrap_or_else(|e| panic!("{server:?} {name}: {e}"));
            assert_eq!(told(&message), fields, "{server:?} {name}");
            assert!(message.encode() == bytes, "{server:?} {name}: other bytes");
            count += 1;
        }
    }
    assert_eq!(count, 33);
}

#[test]
fn kinds_without_a_recording_go_both_ways() {
    let message = Message::decode(&recorded("redis-7.0.15", "fail")).unwrap();
    let module = Body::Module {
        module: *b"opaque-8",
        kind: 7,
        payload: b"payload".to_vec(),
    };
    let message = Message {
        header: message.header,
        body: module,
    };
    let bytes = message.encode();
    assert_eq!(bytes.len(), HEADER_SIZE + 13 + 7);
    assert_eq!(Message::decode(&bytes), Ok(message));
    assert!(Kind::all().all(|kind| Kind::of(kind.number()) == Some(kind)));
    assert_eq!(Kind::of(11), None);
}

/// A recorded message with some bytes in it changed.
fn changed(kind: &str, at: usize, bytes: &[u8]) -> Damage {
    let mut message = recorded("redis-8.2.3", kind);
    message[at..at + bytes.len()].copy_from_slice(bytes);
    Message::decode(&message).expect_err("it is damaged").kind
}

#[test]
fn what_does_not_hold_what_it_says_is_refused() {
    let ping = recorded("redis-8.2.3", "ping");
    let extension = (HEADER_SIZE..).step_by(104).nth(3).unwrap();
    for (at, bytes, kind) in [
        (0, &b"RCmc"[..], Damage::Magic),
        (4, &[0, 0, 8, 0xcf], Damage::Length),
        (4, &[0xff; 4], Damage::Length),
        (8, &[0, 2], Damage::Version),
        (12, &[0, 11], Damage::Type),
        (12, &[0x80, 4], Damage::Type),
        (14, &[0, 2], Damage::Length),
        (14, &[0xff, 0xff], Damage::Encoding),
        (2214, &[0xff, 0xff], Damage::Truncated),
        (2214, &[0, 4], Damage::Length),
        (40, b"A", Damage::Encoding),
        (2128, b" ", Damage::Encoding),
        (2168, b"1,2", Damage::Encoding),
        (2168, b"a b", Damage::Encoding),
        (2168, &[b'1'; 46], Damage::Encoding),
        (extension, &[0, 0, 0, 0], Damage::Length),
        (extension, &[0, 0, 0, 0x1c], Damage::Length),
        (extension, &[0, 1, 0, 0x18], Damage::Truncated),
    ] {
        assert_eq!(changed("ping", at, bytes), kind, "{bytes:?} at {at}");
    }
    let body = HEADER_SIZE;
    assert_eq!(changed("publish", body, &[0xff; 8]), Damage::Truncated);
    assert_eq!(changed("publish", body, &[0, 0, 0, 3]), Damage::Length);
    assert_eq!(changed("fail", body, b"\n"), Damage::Encoding);
    assert_eq!(changed("update", body + 8, b"\0"), Damage::Encoding);
    for length in 0..ping.len() {
        let mut cut = ping[..length].to_vec();
        assert!(Message::decode(&cut).is_err());
        if length >= HEADER_SIZE {
            cut[4..8].copy_from_slice(&(length as u32).to_be_bytes());
            assert!(Message::decode(&cut).is_err(), "cut to {length}");
        }
    }
    assert_eq!(frame_len(&ping[..7]), Ok(None));
}

#[test]
fn a_name_that_would_spoil_a_file_is_no_name() {
    let mut bytes = recorded("redis-8.2.3", "ping");
    let at = bytes.windows(6).position(|w| w == b"alpha\0").unwrap();
    bytes[at..at + 5].copy_from_slice(b"a b,c");
    let message = Message::decode(&bytes).unwrap();
    let Body::Ping { extensions, .. } = &message.body else {
        panic!("a ping");
    };
    assert_eq!(extensions.node_name, None);
    assert_eq!(extensions.hostname.as_deref(), Some("alpha.example"));
    assert_eq!(message.header.mflags, mflags::EXT_DATA);
}

#[test]
fn a_name_without_its_end_is_no_name() {
    let mut bytes = recorded("redis-8.2.3", "ping");
    let at = bytes.windows(6).position(|w| w == b"alpha\0").unwrap();
    bytes[at..at + 8].copy_from_slice(b"alphabet");
    let message = Message::decode(&bytes).unwrap();
    let Body::Ping { extensions, .. } = &message.body else {
        panic!("a ping");
    };
    assert_eq!(extensions.node_name, None);
    // It would be longer, had it been given an end.
    let again = message.encode();
    assert!(again.len() < bytes.len());
    assert_eq!(Message::decode(&again), Ok(message));
}

/// A file, its text, and the ids of those that were given the shard of their primary.
fn conf(server: &Path, name: &str) -> (NodesConf, String, Vec<String>) {
    let bytes = std::fs::read(server.join(format!("nodes-{name}.conf"))).expect("a file");
    let (conf, notes) = NodesConf::parse(&bytes).unwrap_or_else(|e| panic!("{server:?}: {e}"));
    let mended = notes.iter().map(|note| {
        let id = note.strip_suffix(": takes the shard of its primary");
        id.unwrap_or_else(|| panic!("{note}")).to_owned()
    });
    let mended = mended.collect();
    (conf, String::from_utf8(bytes).expect("text"), mended)
}

/// Line by line: what 7.0 writes is what CLUSTER NODES answers.
fn old_style(conf: &NodesConf) -> String {
    let mut text = String::new();
    for node in &conf.nodes {
        node.write(&mut text, Style::Answer);
        text.push('\n');
    }
    text + &format!(
        "vars currentEpoch {} lastVoteEpoch {}\n",
        conf.current_epoch, conf.last_vote_epoch
    )
}

#[test]
fn files_of_real_nodes_are_read_and_written_byte_for_byte() {
    for server in servers() {
        let is_old = server.ends_with("redis-7.0.15");
        for name in ["primary", "promoted", "demoted"] {
            let (conf, text, mended) = conf(&server, name);
            let written = if is_old {
                old_style(&conf)
            } else {
                conf.write(false)
            };
            let lasting = |line: &&str| !mended.iter().any(|id| line.starts_with(id.as_str()));
            let written: Vec<&str> = written.split('\n').filter(lasting).collect();
            let text: Vec<&str> = text.split('\n').filter(lasting).collect();
            assert_eq!(written, text, "{server:?} {name}");
            assert!(mended.is_empty() || !is_old, "{name}: {mended:?}");
            assert_eq!(
                NodesConf::parse(conf.write(true).as_bytes()).unwrap().0,
                conf
            );
        }
    }
}

#[test]
fn answers_of_cluster_nodes_have_the_same_lines() {
    for server in servers() {
        let (conf, _, _) = conf(&server, "primary");
        let answer = std::fs::read_to_string(server.join("nodes-primary.txt")).unwrap();
        let (told, _) = NodesConf::parse(answer.as_bytes()).unwrap();
        let lasting = |line: &Line| {
            (
                line.id,
                line.ip.clone(),
                line.flags,
                line.slots.clone(),
                line.moves.clone(),
            )
        };
        assert!(
            told.nodes
                .iter()
                .map(lasting)
                .eq(conf.nodes.iter().map(lasting))
        );
        let myself = told
            .nodes
            .iter()
            .find(|node| node.flags.has(Flags::MYSELF))
            .unwrap();
        assert_eq!(myself.moves.len(), 2);
        assert_eq!(myself.slots, [(0, 99), (101, 5460)]);
    }
}

#[test]
fn damage_is_told_with_line_and_reason() {
    let id = "f".repeat(40);
    let me = format!(
        "{id} 127.0.0.1:7000@17000,,tls-port=0,shard-id={id} myself,master - 0 0 1 connected 0-5 9\n"
    );
    let with = |line: &str| NodesConf::parse(format!("{me}{line}").as_bytes()).unwrap_err();
    let other = "e".repeat(40);
    for (line, what) in [
        (
            format!("{other} :0@0 master - 0 0 1\n"),
            "a node has at least 8 words",
        ),
        (
            format!("{}G :0@0 master - 0 0 1 connected\n", &other[1..]),
            "is no id of a node",
        ),
        (
            format!("{other} :0@0,h,client-ipv4=1 master - 0 0 1 connected\n"),
            "unknown name client-ipv4",
        ),
        (
            format!("{other} :0@0,h,nodename master - 0 0 1 connected\n"),
            "nodename has no value",
        ),
        (
            format!("{other} :0@0,h,nodename=a=b master - 0 0 1 connected\n"),
            "a=b is no name of a node",
        ),
        (
            format!("{other} :0@0,my_host master - 0 0 1 connected\n"),
            "my_host is no host name",
        ),
        (
            format!("{other} :70000@0 master - 0 0 1 connected\n"),
            "port: 70000 is no number or too large",
        ),
        (
            format!("{other} :60000 master - 0 0 1 connected\n"),
            "the port of the bus is above 65535",
        ),
        (
            format!("{other} :0@0 chief - 0 0 1 connected\n"),
            "unknown flag chief",
        ),
        (
            format!("{other} :0@0 master - 0 0 1 connected 16384\n"),
            "there is no slot 16384",
        ),
        (
            format!("{other} :0@0 master - 0 0 1 connected 8-7\n"),
            "8-7 ends before it begins",
        ),
        (
            format!("{other} :0@0 master - 0 0 1 connected 7-9\n"),
            "slot 9 has two owners",
        ),
        (
            format!("{other} :0@0 master - 0 0 1 connected [7>{id}]\n"),
            "is no move of a slot",
        ),
        (
            format!("{other} :0@0 master - 0 0 +1 connected\n"),
            "epoch: +1 is no number or too large",
        ),
        (me.clone(), "is there twice"),
        ("vars currentEpoch\n".to_owned(), "a variable has no value"),
        (
            "vars currentEpoch 7 lastVoteEpoch 1".to_owned(),
            "the line has no end",
        ),
        (
            format!("{other} :0@0 master - 0 0 1 connected 7"),
            "the line has no end",
        ),
    ] {
        let fault = with(&line);
        assert_eq!(fault.line, 2, "{line}");
        assert!(fault.to_string().contains(what), "{line}: {fault}");
    }
    let nobody = NodesConf::parse(b"vars currentEpoch 1 lastVoteEpoch 1\n").unwrap_err();
    assert_eq!(nobody.to_string(), "one node must be the node itself");
    let text = format!(
        "\r\n{}\r\n\nvars currentEpoch 3 colour 7 lastVoteEpoch 2\r\n",
        me.trim_end()
    );
    let (read, notes) = NodesConf::parse(text.as_bytes()).unwrap();
    assert_eq!(
        (read.current_epoch, read.last_vote_epoch, read.nodes.len()),
        (3, 2, 1)
    );
    assert_eq!(notes, ["Skipping unknown cluster config variable 'colour'"]);
}
