//! A small cluster in which nothing is lost: failover by votes and by hand, slots that move, commands and their errors, redirects, forged senders, `nodes.conf`.
//! What is lost, late and at the same time is the simulator's.

mod support;

use std::sync::Arc;

use cairn_cluster::Machine;
use cairn_cluster::machine::{
    Addresses, Asked, Bumped, Failover, Health, Present, Refusal, Route, SetSlot,
};
use cairn_cluster::seam::{Action, LinkId};
use cairn_format::cluster::nodes_conf::Style;
use cairn_format::cluster::{Body, Flags, Message, NodeId};
use support::Net;

fn refused<T: std::fmt::Debug>(outcome: Result<T, Refusal>) -> String {
    outcome.expect_err("it is refused").0
}

fn asked(slot: u16) -> Asked {
    Asked {
        slot,
        ..Asked::default()
    }
}

#[test]
fn a_killed_primary_is_replaced_and_comes_back_as_a_replica() {
    let mut net = Net::cluster();
    net.kill(0);
    net.pass(6000);
    assert!(net.hosts[3].machine.is_primary());
    assert!(
        net.log(3)
            .contains("Failover election won: I'm the new master.")
    );
    assert!(net.hosts[3].actions.contains(&Action::Promote));
    assert!((1..4).all(|host| net.hosts[host].machine.owner(0) == Some(net.id(3))));
    assert!(net.log(1).contains("Failover auth granted to"));
    net.revive(0);
    net.pass(4000);
    assert_eq!(net.hosts[0].machine.primary(), Some(net.id(3)));
    assert!(
        net.log(0)
            .contains("Configuration change detected. Reconfiguring myself as a replica of")
    );
    assert!(net.hosts.iter().all(|host| host.machine.is_ok()));
}

#[test]
fn a_primary_alone_stops_serving_and_nobody_is_elected_without_most() {
    let mut net = Net::cluster();
    net.kill(0);
    net.kill(1);
    net.pass(10_000);
    assert!(!net.hosts[2].machine.is_ok() && !net.hosts[3].machine.is_primary());
    assert_eq!(
        net.hosts[2].machine.route(&asked(12_000), || Present::All),
        Route::Down
    );
    // By hand and without anybody.
    net.on(3, |machine, moment| {
        machine.failover(Failover::Takeover, moment)
    })
    .unwrap();
    net.revive(1);
    net.pass(8000);
    assert!(net.hosts[1..4].iter().all(|host| host.machine.is_ok()));
}

#[test]
fn a_manual_failover_waits_for_the_data_of_a_primary_that_stands_still() {
    let mut net = Net::cluster();
    net.hosts[3].machine.local.offset = 60;
    net.on(3, |machine, moment| {
        machine.failover(Failover::Agreed, moment)
    })
    .unwrap();
    net.pass(1000);
    let mut actions = net.hosts[0].actions.iter();
    assert!(actions.any(|action| matches!(action, Action::PauseWrites(_))));
    assert!(!net.hosts[3].machine.is_primary(), "40 bytes are missing");
    net.hosts[3].machine.local.offset = 100;
    net.pass(500);
    assert!(net.hosts[3].machine.is_primary());
    assert_eq!(net.hosts[0].machine.primary(), Some(net.id(3)));
    assert!(net.hosts[0].actions.contains(&Action::ResumeWrites));
    // Back again, without waiting; and one that never ends.
    net.on(0, |machine, moment| {
        machine.failover(Failover::Force, moment)
    })
    .unwrap();
    net.pass(300);
    assert!(net.hosts[0].machine.is_primary());
    net.hosts[3].machine.local.offset = 7;
    net.on(3, |machine, moment| {
        machine.failover(Failover::Agreed, moment)
    })
    .unwrap();
    net.pass(6000);
    assert!(
        net.log(3).contains("Manual failover timed out.")
            && net.log(0).contains("Manual failover timed out.")
    );
}

#[test]
fn of_equals_the_smaller_id_stands_first_and_one_without_data_never() {
    let mut net = Net::cluster();
    net.hosts[3].machine.local.upstream = cairn_cluster::seam::Upstream::Never;
    net.kill(0);
    net.pass(20_000);
    assert!(!net.hosts[3].machine.is_primary());
    assert!(net.log(3).contains(
        "Currently unable to failover: Disconnected from master for longer than allowed."
    ));
}

#[test]
fn a_slot_moves_and_calls_follow_it() {
    let mut net = Net::cluster();
    let (from, to) = (net.id(0), net.id(1));
    net.on(1, |machine, moment| {
        machine.set_slot(7, SetSlot::Importing(from), 0, moment)
    })
    .unwrap();
    net.on(0, |machine, moment| {
        machine.set_slot(7, SetSlot::Migrating(to), 5, moment)
    })
    .unwrap();
    let source = &net.hosts[0].machine;
    assert!(!source.serves(7) && source.serves(8));
    assert_eq!(source.route(&asked(7), || Present::All), Route::Serve);
    assert_eq!(source.route(&asked(7), || Present::Some), Route::TryAgain);
    let Route::Ask(place) = source.route(&asked(7), || Present::None) else {
        panic!("it is asked for elsewhere");
    };
    assert_eq!((place.ip, place.port), ("10.0.0.2", 7001));
    let migrate = Asked {
        is_migrate: true,
        ..asked(7)
    };
    assert_eq!(source.route(&migrate, || Present::None), Route::Serve);
    let pubsub = Asked {
        is_pubsub: true,
        ..asked(7)
    };
    assert_eq!(source.route(&pubsub, || Present::None), Route::Serve);
    let target = &net.hosts[1].machine;
    assert!(matches!(
        target.route(&asked(7), || Present::None),
        Route::Moved(_)
    ));
    let asking = Asked {
        is_asking: true,
        ..asked(7)
    };
    assert_eq!(target.route(&asking, || Present::None), Route::Serve);
    let many = Asked {
        has_many_keys: true,
        ..asking
    };
    assert_eq!(target.route(&many, || Present::Some), Route::TryAgain);
    let refusal = net.on(0, |machine, moment| {
        machine.set_slot(7, SetSlot::Node(to), 5, moment)
    });
    assert_eq!(
        refused(refusal),
        "Can't assign hashslot 7 to a different node while I still hold keys for this hash slot."
    );
    net.on(1, |machine, moment| {
        machine.set_slot(7, SetSlot::Node(to), 0, moment)
    })
    .unwrap();
    net.on(0, |machine, moment| {
        machine.set_slot(7, SetSlot::Node(to), 0, moment)
    })
    .unwrap();
    net.pass(2000);
    assert!(
        net.hosts
            .iter()
            .all(|host| host.machine.owner(7) == Some(to))
    );
    assert!(net.hosts[1].machine.serves(7));
}

#[test]
fn redirects_of_each_kind() {
    let net = Net::cluster();
    let (first, replica) = (&net.hosts[0].machine, &net.hosts[3].machine);
    let (_, served, readable) = replica.plainly_served();
    assert_eq!((served.len(), readable.len()), (0, 5461));
    let crossed = Asked {
        is_crossed: true,
        ..asked(7)
    };
    assert_eq!(first.route(&crossed, || Present::All), Route::CrossSlot);
    assert!(
        matches!(first.route(&asked(16_000), || Present::All), Route::Moved(place) if place.port == 7002)
    );
    let readonly = Asked {
        is_readonly: true,
        ..asked(7)
    };
    assert_eq!(replica.route(&readonly, || Present::All), Route::Serve);
    let write = Asked {
        is_write: true,
        ..readonly
    };
    assert!(
        matches!(replica.route(&write, || Present::All), Route::Moved(place) if place.port == 7000)
    );
    assert!(matches!(
        replica.route(&asked(7), || Present::All),
        Route::Moved(_)
    ));
    let pubsub = Asked {
        is_pubsub: true,
        ..asked(7)
    };
    assert_eq!(replica.route(&pubsub, || Present::All), Route::Serve);
}

#[test]
fn what_is_served_while_the_cluster_is_down() {
    let mut net = Net::new(1);
    net.on(0, |machine, moment| machine.add_slots(&[7], moment))
        .unwrap();
    net.pass(3000);
    let machine = &mut net.hosts[0].machine;
    assert!(!machine.is_ok());
    assert_eq!(machine.route(&asked(8), || Present::All), Route::Unowned);
    assert_eq!(machine.route(&asked(7), || Present::All), Route::Down);
    assert_eq!(
        machine.route(
            &Asked {
                is_pubsub: true,
                ..asked(7)
            },
            || Present::All
        ),
        Route::Serve
    );
    machine.options.reads_when_down = true;
    assert_eq!(machine.route(&asked(7), || Present::All), Route::Serve);
    let write = Asked {
        is_write: true,
        ..asked(7)
    };
    assert_eq!(machine.route(&write, || Present::All), Route::DownForWrites);
    // Asked again at once, not with the next event.
    machine.options.full_coverage = false;
    net.pass(100);
    assert!(net.hosts[0].machine.serves(7));
}

#[test]
fn errors_are_those_of_redis() {
    let mut net = Net::cluster();
    let (first, second, replica) = (net.id(0), net.id(1), net.id(3));
    let nobody = NodeId::parse(&[b'a'; 40]).unwrap();
    let mut on = |host: usize,
                  act: &mut dyn FnMut(
        &mut Machine,
        &mut cairn_cluster::seam::Moment<'_>,
    ) -> Result<(), Refusal>| refused(net.on(host, act));
    assert_eq!(
        on(0, &mut |m, t| m.add_slots(&[7], t)),
        "Slot 7 is already busy"
    );
    assert_eq!(
        on(3, &mut |m, t| m.add_slots(&[7], t)),
        "Please use ADDSLOTS only with masters."
    );
    assert_eq!(
        on(0, &mut |m, t| m.flush_slots(true, t)),
        "DB must be empty to perform CLUSTER FLUSHSLOTS."
    );
    assert_eq!(
        on(3, &mut |m, t| m.set_slot(7, SetSlot::Stable, 0, t)),
        "Please use SETSLOT only with masters."
    );
    assert_eq!(
        on(0, &mut |m, t| m.set_slot(
            16_000,
            SetSlot::Migrating(second),
            0,
            t
        )),
        "I'm not the owner of hash slot 16000"
    );
    assert_eq!(
        on(0, &mut |m, t| m.set_slot(
            7,
            SetSlot::Importing(second),
            0,
            t
        )),
        "I'm already the owner of hash slot 7"
    );
    assert_eq!(
        on(0, &mut |m, t| m.set_slot(
            7,
            SetSlot::Migrating(nobody),
            0,
            t
        )),
        format!("I don't know about node {nobody}")
    );
    assert_eq!(
        on(0, &mut |m, t| m.set_slot(
            7,
            SetSlot::Migrating(replica),
            0,
            t
        )),
        "Target node is not a master"
    );
    assert_eq!(
        on(0, &mut |m, t| m.set_slot(7, SetSlot::Node(nobody), 0, t)),
        format!("Unknown node {nobody}")
    );
    assert_eq!(
        on(0, &mut |m, t| m.forget(&first, t)),
        "I tried hard but I can't forget myself..."
    );
    assert_eq!(
        on(3, &mut |m, t| m.forget(&first, t)),
        "Can't forget my master!"
    );
    assert_eq!(
        on(0, &mut |m, t| m.forget(&nobody, t)),
        format!("Unknown node {nobody}")
    );
    assert_eq!(
        on(0, &mut |m, t| m.replicate(&first, false, t)),
        "Can't replicate myself"
    );
    assert_eq!(
        on(0, &mut |m, t| m.replicate(&replica, false, t)),
        "I can only replicate a master, not a replica."
    );
    assert_eq!(
        on(0, &mut |m, t| m.replicate(&second, false, t)),
        "To set a master the node must be empty and without assigned slots."
    );
    assert_eq!(
        on(0, &mut |m, t| m.failover(Failover::Agreed, t)),
        "You should send CLUSTER FAILOVER to a replica"
    );
    assert_eq!(
        on(0, &mut |m, t| m.reset(true, true, t)),
        "CLUSTER RESET can't be called with master nodes containing keys"
    );
    assert_eq!(
        on(0, &mut |m, _| m.set_config_epoch(9)),
        "The user can assign a config epoch only when the node does not know any other node."
    );
    assert_eq!(
        on(0, &mut |m, t| m.meet("example.com", 7000, None, t)),
        "Invalid node address specified: example.com:7000"
    );
    assert_eq!(
        on(0, &mut |m, t| m.meet("10.0.0.9", 60_000, None, t)),
        "Invalid node address specified: 10.0.0.9:60000"
    );
    assert_eq!(
        on(0, &mut |m, t| m.delete_slots(&[7, 7], t)),
        "Slot 7 specified multiple times"
    );
    assert_eq!(
        on(0, &mut |m, t| m.replicas(&replica, t).map(|_| ())),
        "The specified node is not a master"
    );
    assert_eq!(
        on(0, &mut |m, t| m
            .count_failure_reports(&nobody, t)
            .map(|_| ())),
        format!("Unknown node {nobody}")
    );
    net.kill(0);
    net.pass(1500);
    let error = net.on(3, |machine, moment| {
        machine.failover(Failover::Agreed, moment)
    });
    assert!(
        error.is_ok()
            || refused(error) == "Master is down or failed, please use CLUSTER FAILOVER FORCE"
    );
}

#[test]
fn a_forgotten_node_is_forgotten_by_all_and_not_introduced_again() {
    let mut net = Net::cluster();
    let replica = net.id(3);
    net.kill(3);
    net.on(0, |machine, moment| machine.forget(&replica, moment))
        .unwrap();
    net.pass(3000);
    assert!(
        net.hosts[..3]
            .iter()
            .all(|host| host.machine.info().nodes == 3)
    );
    assert!(
        net.on(1, |machine, moment| machine.forget(&replica, moment))
            .is_ok(),
        "the others have told"
    );
}

#[test]
fn a_reset_node_is_a_new_one() {
    let mut net = Net::cluster();
    let before = net.id(3);
    net.on(3, |machine, moment| machine.reset(false, true, moment))
        .unwrap();
    assert!(net.hosts[3].machine.is_primary() && net.id(3) == before);
    assert!(net.hosts[3].actions.contains(&Action::EmptyData));
    net.on(3, |machine, moment| machine.reset(true, false, moment))
        .unwrap();
    assert_ne!(net.id(3), before);
    assert_eq!(net.hosts[3].machine.current_epoch(), 0);
    assert_eq!(
        net.on(3, |machine, _| machine.bump_epoch()),
        Bumped::Bumped(1)
    );
    assert_eq!(
        net.on(3, |machine, _| machine.bump_epoch()),
        Bumped::Still(1)
    );
}

/// The last PING that a host sent to another, as a message.
fn last_ping(net: &Net, host: usize) -> Message {
    let frames = net.hosts[host]
        .actions
        .iter()
        .rev()
        .filter_map(|action| match action {
            Action::SendPeer(_, bytes) => Message::decode(bytes).ok(),
            _ => None,
        });
    let mut pings = frames.filter(|message| matches!(message.body, Body::Ping { .. }));
    pings.next().expect("it pings")
}

#[test]
fn a_forged_sender_is_not_believed() {
    let mut net = Net::cluster();
    let mut forged = last_ping(&net, 1);
    forged.header.config_epoch = 99;
    forged.header.slots = (0..16_384).collect();
    let bytes: Arc<[u8]> = forged.encode().into();
    let (link, addresses) = (
        LinkId(1 << 40),
        Addresses {
            remote: "10.6.6.6".to_owned(),
            local: "10.0.0.1".to_owned(),
        },
    );
    net.on(0, |machine, _| machine.accepted(link, addresses));
    net.on(0, |machine, moment| {
        machine.frame_from_link(link, &bytes, moment)
    });
    let machine = &net.hosts[0].machine;
    assert_eq!(machine.counters.forged, 1);
    assert_eq!(machine.owner(0), Some(machine.id()));
    assert_eq!(machine.current_epoch(), 3);
    // Random bytes and other versions are dropped and counted; the bus goes on.
    net.on(0, |machine, moment| {
        machine.frame_from_link(link, &[7; 300], moment)
    });
    assert_eq!(net.hosts[0].machine.counters.damaged, 1);
    net.pass(2000);
    assert!(net.hosts[0].machine.is_ok());
}

#[test]
fn what_is_remembered_is_the_same_node() {
    let mut net = Net::cluster();
    let to = net.id(1);
    net.on(0, |machine, moment| {
        machine.set_slot(9, SetSlot::Migrating(to), 1, moment)
    })
    .unwrap();
    for host in [0, 3] {
        let text = net.on(host, |machine, moment| machine.nodes_conf(moment, false));
        let again = net
            .moment(|moment| Machine::load(text.as_bytes(), moment))
            .unwrap();
        let machine = &net.hosts[host].machine;
        assert_eq!(again.id(), machine.id());
        assert_eq!(again.slots(), machine.slots());
        assert_eq!(
            (again.current_epoch(), again.config_epoch(), again.primary()),
            (
                machine.current_epoch(),
                machine.config_epoch(),
                machine.primary()
            )
        );
        assert_eq!(again.shard_id(), machine.shard_id());
        again.check().unwrap();
        let damaged = text.replace(" master", " chief");
        let fault = net
            .moment(|moment| Machine::load(damaged.as_bytes(), moment))
            .unwrap_err();
        assert!(fault.to_string().contains("unknown flag chief"), "{fault}");
    }
}

#[test]
fn answers_tell_of_all() {
    let mut net = Net::cluster();
    let lines = net.on(0, |machine, moment| machine.nodes(moment));
    let mut text = String::new();
    lines.iter().for_each(|line| {
        line.write(&mut text, Style::Answer);
        text.push('\n');
    });
    assert!(
        text.contains(&format!(
            "{} 10.0.0.1:7000@17000 myself,master - 0 ",
            net.id(0)
        )),
        "{text}"
    );
    assert!(text.contains("connected 10923-16383\n"), "{text}");
    let machine = &net.hosts[1].machine;
    let slots = machine.slots_info();
    assert_eq!(
        (slots.len(), slots[0].nodes.len(), slots[0].nodes[1].id),
        (3, 2, net.id(3))
    );
    let shards = machine.shards();
    assert_eq!(shards.len(), 3);
    let nodes = shards.iter().flat_map(|shard| &shard.nodes);
    assert!(nodes.clone().all(|node| node.health == Health::Online) && nodes.count() == 4);
    assert_eq!(machine.links().len(), 6);
    let info = machine.info();
    assert_eq!(
        (info.assigned, info.slots_ok, info.size, info.nodes),
        (16_384, 16_384, 3, 4)
    );
    assert_eq!(
        net.hosts[3].machine.shard_id(),
        net.hosts[0].machine.shard_id()
    );
    let replicas = net
        .on(1, |machine, moment| {
            machine.replicas(&slots[0].nodes[0].id, moment)
        })
        .unwrap();
    assert!(replicas[0].flags.has(Flags::REPLICA) && replicas[0].config_epoch == 1);
}

#[test]
fn messages_of_subscribers_reach_all_or_the_shard() {
    let mut net = Net::cluster();
    net.on(0, |machine, _| machine.publish(false, b"news", b"hello"));
    net.on(0, |machine, _| machine.publish(true, b"ch", b"hi"));
    let heard = |net: &Net, host: usize| {
        net.hosts[host]
            .actions
            .iter()
            .filter(|action| matches!(action, Action::Publish { .. }))
            .count()
    };
    assert_eq!([0, 1, 2, 3].map(|host| heard(&net, host)), [0, 1, 1, 2]);
}

#[test]
fn keys_that_were_loaded_decide_whose_slots_are() {
    let mut net = Net::cluster();
    net.on(2, |machine, moment| machine.delete_slots(&[16_000], moment))
        .unwrap();
    net.on(2, |machine, moment| {
        machine.keys_loaded(&[7, 16_000].into_iter().collect(), moment)
    });
    let machine = &net.hosts[2].machine;
    assert!(machine.slots().contains(16_000) && !machine.slots().contains(7));
    assert!(net.log(2).contains("I have keys for slot 7, but the slot is assigned to another node. Setting it to importing state."));
}

#[test]
fn a_connection_that_is_killed_is_made_anew() {
    let mut net = Net::cluster();
    let second = net.id(1);
    assert!(net.on(0, |machine, _| machine.kill_links(&second, true, true)));
    assert!(!net.on(0, |machine, _| machine.kill_links(
        &NodeId::parse(&[b'0'; 40]).unwrap(),
        true,
        true
    )));
    net.pass(1000);
    assert_eq!(net.hosts[0].machine.links().len(), 6);
    net.hosts[0].machine.limit_exceeded();
    assert_eq!(net.hosts[0].machine.counters.limits_exceeded, 1);
}

/// Redis waits for an answer on a connection that is dead as long as anything comes from the node on other ones, so that a node that was marked as failed stays so.
#[test]
fn a_connection_without_answers_is_made_anew_though_the_node_speaks_on_its_own() {
    let mut net = Net::cluster();
    net.hosts[1].machine.options.ping_interval_ms = 100;
    net.lose(0, 1);
    net.pass(4000);
    net.heal();
    net.pass(3000);
    let second = net.id(1);
    let lines = net.on(0, |machine, moment| machine.nodes(moment));
    let line = lines.iter().find(|line| line.id == second).unwrap();
    assert!(
        line.is_connected && !line.flags.has_any(Flags::PFAIL | Flags::FAIL),
        "{line:?}"
    );
    assert!(
        line.ping_sent == 0,
        "its last answer came long ago: {line:?}"
    );
}

#[test]
fn two_nodes_that_follow_each_other_do_not_for_good() {
    let mut net = Net::cluster();
    let old = net.on(3, |machine, moment| machine.nodes_conf(moment, false));
    net.on(3, |machine, moment| {
        machine.failover(Failover::Takeover, moment)
    })
    .unwrap();
    net.pass(2000);
    assert_eq!(net.hosts[0].machine.primary(), Some(net.id(3)));
    // Its old file is put back: it follows the one that follows it.
    net.kill(3);
    net.pass(100);
    let local = net.hosts[3].machine.local.clone();
    let options = net.hosts[3].machine.options.clone();
    net.hosts[3].machine = net
        .moment(|moment| Machine::load(old.as_bytes(), moment))
        .unwrap();
    (net.hosts[3].machine.local, net.hosts[3].machine.options) = (local, options);
    net.revive(3);
    net.pass(3000);
    assert!(!net.hosts[0].machine.is_primary() && !net.hosts[3].machine.is_primary());
    net.pass(8000);
    assert!(net.hosts[0].machine.is_primary() != net.hosts[3].machine.is_primary());
}

#[test]
fn a_node_that_announces_another_port_is_believed() {
    let mut net = Net::cluster();
    net.hosts[1].machine.local.port = 6543;
    net.pass(3000);
    let second = net.id(1);
    for host in [0, 2, 3] {
        let lines = net.on(host, |machine, moment| machine.nodes(moment));
        let line = lines.iter().find(|line| line.id == second).unwrap();
        assert!(line.port == 6543 && line.is_connected, "{line:?}");
        assert!(net.hosts[host].machine.is_ok());
    }
    let before = net.hosts[0].machine.counters.forged;
    net.pass(2000);
    assert_eq!(
        net.hosts[0].machine.counters.forged, before,
        "what it says is heard again"
    );
}

/// Slots of a node are taken by another, and the node does not hear of it. Were it to take an epoch then, for a slot that comes from elsewhere, its old claim
/// would win the slots back, and what the other has written would be lost.
#[test]
fn a_claim_that_may_be_old_does_not_win() {
    let mut net = Net::cluster();
    let (source, slots) = (net.id(0), (0..10).collect());
    let epoch = net.on(1, |machine, moment| {
        machine.take_over(&slots, &source, 50, moment)
    });
    assert!(epoch.is_ok_and(|epoch| epoch > 50));
    let bumped = net.on(2, |machine, _| {
        machine.local.gives_slots = true;
        machine.bump_epoch()
    });
    assert!(matches!(bumped, Bumped::Still(_)));
    let others = (20..30).collect();
    let taken = net.on(2, |machine, moment| {
        machine.local.gives_slots = true;
        machine.take_over(&others, &source, 50, moment)
    });
    assert!(taken.is_err_and(|refusal| refusal.0.contains("change hands")));
}
