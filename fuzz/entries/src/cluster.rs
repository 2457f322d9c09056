//! Messages of the cluster bus, and `nodes.conf`.

use cairn_format::cluster::nodes_conf::NodesConf;
use cairn_format::cluster::{Body, Message, frame_len};

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
