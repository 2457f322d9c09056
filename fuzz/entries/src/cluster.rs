//! Messages of the cluster bus, `nodes.conf`, and the machine that hears and remembers them.

use cairn_cluster::Machine;
use cairn_cluster::machine::Addresses;
use cairn_cluster::seam::{Action, LinkId, Moment, PeerId};
use cairn_format::cluster::nodes_conf::NodesConf;
use cairn_format::cluster::{Body, Message, frame_len};

use crate::steps::Steps;

/// Bytes behind a length that fits, as most would be refused for that alone; and what can be read is what is written.
pub fn message(bytes: &[u8]) {
    let _ = frame_len(bytes);
    read(bytes);
    let mut fitting = bytes.to_vec();
    if let Some(length) = fitting.get_mut(4..8) {
        length.copy_from_slice(&(bytes.len() as u32).to_be_bytes());
        read(&fitting);
    }
}

fn read(bytes: &[u8]) {
    let Ok(message) = Message::decode(bytes) else {
        return;
    };
    assert_eq!(frame_len(bytes).ok(), Some(Some(bytes.len())));
    if let Body::Ping { gossip, .. } = &message.body {
        assert!(gossip.len() < bytes.len() / 100, "an entry has its bytes");
    }
    // Unused bytes, and names that are none, are not kept.
    let again = message.encode();
    assert!(again.len() <= bytes.len());
    assert_eq!(Message::decode(&again).expect("our own is sound"), message);
}

/// What can be read of a file is what is written.
pub fn nodes(bytes: &[u8]) {
    match NodesConf::parse(bytes) {
        Ok((conf, notes)) => {
            assert!(notes.len() <= bytes.len());
            let (again, _) =
                NodesConf::parse(conf.write(false).as_bytes()).expect("our own is sound");
            assert_eq!(again, conf);
        }
        Err(fault) => assert!(fault.line <= bytes.len() + 1),
    }
}

/// Steps of a machine at most.
const STEPS_MAX: usize = 60;

/// A node that remembers a real cluster hears changed messages of real nodes, and time passes: what it knows stays sound, and so does its file.
pub fn machine(bytes: &[u8]) {
    let mut steps = Steps::new(bytes);
    let files = crate::seeds::nodes_files();
    let messages = crate::seeds::bus_messages();
    let mut drawn = 0_u64;
    let mut draw = || {
        drawn = drawn.wrapping_add(0x9e37_79b9_7f4a_7c15);
        drawn
    };
    let mut moment = Moment {
        now_ms: 1000,
        wall_ms: 1_795_955_000_000,
        draw: &mut draw,
    };
    let file = &files[steps.below(files.len())];
    let mut machine = Machine::load(file, &mut moment).expect("a real file");
    machine.options.node_timeout_ms = 1000;
    let mut peers = Vec::new();
    for _ in 0..STEPS_MAX {
        if steps.is_done() {
            break;
        }
        step(&mut machine, &mut steps, &messages, &mut peers, &mut moment);
        for action in machine.take().actions {
            if let Action::Connect { peer, .. } = action {
                peers.push(peer);
            }
        }
        machine.check().expect("it stays sound");
    }
    let text = machine.nodes_conf(&moment, false);
    let again = Machine::load(text.as_bytes(), &mut moment).expect("our own file is sound");
    assert_eq!(again.id(), machine.id());
    assert_eq!(again.slots(), machine.slots());
    again.check().expect("it is sound");
}

fn step(
    machine: &mut Machine,
    steps: &mut Steps<'_>,
    messages: &[Vec<u8>],
    peers: &mut Vec<PeerId>,
    moment: &mut Moment<'_>,
) {
    let link = LinkId(steps.below(3) as u64);
    match steps.below(8) {
        0 => {
            moment.now_ms += steps.below(3000) as u64;
            machine.tick(moment);
        }
        1 => machine.accepted(
            link,
            Addresses {
                remote: "127.0.0.1".to_owned(),
                local: "127.0.0.1".to_owned(),
            },
        ),
        2 => machine.hung_up(link),
        3 => {
            if let Some(peer) = peers.pop() {
                machine.connected(peer, moment);
                let mut frame = messages[steps.below(messages.len())].clone();
                change(&mut frame, steps);
                machine.frame_from_peer(peer, &frame, moment);
            }
        }
        _ => {
            let mut frame = messages[steps.below(messages.len())].clone();
            change(&mut frame, steps);
            machine.frame_from_link(link, &frame, moment);
        }
    }
}

/// Changes the fields that matter, or any byte.
fn change(frame: &mut [u8], steps: &mut Steps<'_>) {
    for _ in 0..steps.below(6) {
        let at = match steps.below(4) {
            // Epochs, flags, slots.
            0 => 16 + steps.below(16),
            1 => 2250 + steps.below(4),
            2 => 80 + steps.below(2048),
            _ => steps.below(frame.len()),
        };
        frame[at] = steps.byte();
    }
}
