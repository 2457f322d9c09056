//! What the node knows.

use cairn_cluster::machine::{Health, LinkInfo, NodeInfo};
use cairn_cluster::seam::Counters;
use cairn_engine::base::args::Args;
use cairn_engine::base::error::{Error, Outcome};
use cairn_engine::call::reply::Reply;
use cairn_engine::call::{Command, Ctx, Flags};
use cairn_format::cluster::nodes_conf::{Line, Style};
use cairn_format::cluster::{Kind, NodeId};
use cairn_format::crc16::{SLOTS as COUNT, key_slot};

use super::{ASKS, CHANGES, id_at, node, refused, with_machine};
use crate::cluster::{endpoint, port_for_client};
use crate::config::choice::EndpointType;
use crate::config::table;
use crate::front::access;
use crate::net::bus::End;

pub(super) const INFO: Command = Command {
    name: "cluster|info",
    tips: &["nondeterministic_output"],
    summary: "Tell the state of the cluster",
    run: info,
    ..ASKS
};

fn info(cx: &mut Ctx, _: &Args) -> Outcome {
    let machine = &node(cx)?.machine;
    let info = machine.info();
    let mut text = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        text.push_str(&format!("{name}:{value}\r\n"));
    };
    line("cluster_state", &if info.is_ok { "ok" } else { "fail" });
    line("cluster_slots_assigned", &info.assigned);
    line("cluster_slots_ok", &info.slots_ok);
    line("cluster_slots_pfail", &info.slots_pfail);
    line("cluster_slots_fail", &info.slots_fail);
    line("cluster_known_nodes", &info.nodes);
    line("cluster_size", &info.size);
    line("cluster_current_epoch", &info.current_epoch);
    line("cluster_my_epoch", &info.my_epoch);
    let counters: &Counters = &machine.counters;
    for (counts, way) in [(&counters.sent, "sent"), (&counters.received, "received")] {
        for (kind, count) in Kind::all().zip(counts).filter(|(_, count)| **count > 0) {
            let name = kind.name();
            line(&format!("cluster_stats_messages_{name}_{way}"), count);
        }
        let all: u64 = counts.iter().sum();
        line(&format!("cluster_stats_messages_{way}"), &all);
    }
    line(
        "total_cluster_links_buffer_limit_exceeded",
        &counters.limits_exceeded,
    );
    cx.reply.verbatim(b"txt", text.as_bytes());
    Ok(())
}

pub(super) const NODES: Command = Command {
    name: "cluster|nodes",
    tips: &["nondeterministic_output"],
    complexity: "O(N) where N is the total number of Cluster nodes",
    summary: "List all nodes",
    run: |cx, _| {
        let tells_other = access::whole(&mut *cx.inst).tells_other_port();
        let mut lines = with_machine(cx, |machine, moment| machine.nodes(moment))?;
        tell_port(&mut lines, tells_other);
        let text: String = lines.iter().map(|line| text_of(line) + "\n").collect();
        cx.reply.verbatim(b"txt", text.as_bytes());
        Ok(())
    },
    ..ASKS
};

/// Each node by the port that the client is told.
fn tell_port(lines: &mut [Line], tells_other: bool) {
    for line in lines {
        line.port = port_for_client(tells_other, line.port, line.pport);
    }
}

fn text_of(line: &Line) -> String {
    let mut text = String::new();
    line.write(&mut text, Style::Answer);
    text
}

pub(super) const MYID: Command = Command {
    name: "cluster|myid",
    summary: "Tell the id of this node",
    run: |cx, _| {
        let id = node(cx)?.machine.id();
        cx.reply.bulk(id.as_bytes());
        Ok(())
    },
    ..ASKS
};

pub(super) const MYSHARDID: Command = Command {
    name: "cluster|myshardid",
    since: "7.2.0",
    tips: &["nondeterministic_output"],
    summary: "Tell the id of this node's shard",
    run: |cx, _| {
        let id = node(cx)?.machine.shard_id();
        cx.reply.bulk(id.as_bytes());
        Ok(())
    },
    ..ASKS
};

pub(super) const SLOTS: Command = Command {
    name: "cluster|slots",
    flags: Flags::STALE.and(Flags::LOADING),
    tips: &["nondeterministic_output"],
    complexity: "O(N) where N is the total number of Cluster nodes",
    summary: "Tell who has which slots",
    run: slots,
    ..ASKS
};

fn slots(cx: &mut Ctx, _: &Args) -> Outcome {
    let ranges = node(cx)?.machine.slots_info();
    let preferred = preferred(cx);
    let tells_other = access::whole(&mut *cx.inst).tells_other_port();
    cx.reply.array(ranges.len());
    for range in ranges {
        cx.reply.array(2 + range.nodes.len());
        cx.reply.int(i64::from(range.first));
        cx.reply.int(i64::from(range.last));
        for node in &range.nodes {
            let port = port_for_client(tells_other, node.port, node.pport);
            write_node(cx.reply, node, port, preferred);
        }
    }
    Ok(())
}

fn preferred(cx: &mut Ctx) -> EndpointType {
    let config = &access::settings(&mut *cx.inst).config;
    config.get(table::CLUSTER_PREFERRED_ENDPOINT_TYPE)
}

/// Endpoint, port, id, and what else is known of its address.
fn write_node(reply: &mut Reply, node: &NodeInfo, port: u16, preferred: EndpointType) {
    reply.array(4);
    match preferred {
        EndpointType::UnknownEndpoint => reply.null(),
        _ => reply.bulk(endpoint(preferred, &node.ip, &node.hostname).as_bytes()),
    }
    reply.int(i64::from(port));
    reply.bulk(node.id.as_bytes());
    let ip = (preferred != EndpointType::Ip).then_some(("ip", &node.ip));
    let has_name = preferred != EndpointType::Hostname && !node.hostname.is_empty();
    let hostname = has_name.then_some(("hostname", &node.hostname));
    let more: Vec<(&str, &String)> = ip.into_iter().chain(hostname).collect();
    reply.map(more.len());
    for (name, value) in more {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
}

pub(super) const SHARDS: Command = Command {
    name: "cluster|shards",
    since: "7.0.0",
    summary: "Tell all shards with their slots and nodes",
    run: shards,
    ..SLOTS
};

fn shards(cx: &mut Ctx, _: &Args) -> Outcome {
    let shards = node(cx)?.machine.shards();
    let preferred = preferred(cx);
    let by_tls = access::settings(&mut *cx.inst)
        .config
        .get(table::TLS_CLUSTER);
    cx.reply.array(shards.len());
    for shard in shards {
        cx.reply.map(2);
        cx.reply.bulk(b"slots");
        cx.reply.array(2 * shard.slots.len());
        for (first, last) in &shard.slots {
            cx.reply.int(i64::from(*first));
            cx.reply.int(i64::from(*last));
        }
        cx.reply.bulk(b"nodes");
        cx.reply.array(shard.nodes.len());
        for node in &shard.nodes {
            write_member(cx.reply, node, by_tls, preferred);
        }
    }
    Ok(())
}

/// `by_tls`: the main port is the one for TLS.
fn write_member(reply: &mut Reply, node: &NodeInfo, by_tls: bool, preferred: EndpointType) {
    enum Value<'a> {
        Text(&'a str),
        Number(i64),
    }
    let role = if node.is_replica { "replica" } else { "master" };
    let health = match node.health {
        Health::Online => "online",
        Health::Fail => "fail",
        Health::Loading => "loading",
    };
    let hostname = Some(node.hostname.as_str()).filter(|name| !name.is_empty());
    let (plain, tls) = match by_tls {
        true => (node.pport, node.port),
        false => (node.port, node.pport),
    };
    let number = |name, port: u16| (port != 0).then_some((name, Value::Number(i64::from(port))));
    let fields = [
        Some(("id", Value::Text(node.id.as_str()))),
        number("port", plain),
        number("tls-port", tls),
        Some(("ip", Value::Text(&node.ip))),
        Some((
            "endpoint",
            Value::Text(endpoint(preferred, &node.ip, &node.hostname)),
        )),
        hostname.map(|name| ("hostname", Value::Text(name))),
        Some(("role", Value::Text(role))),
        Some(("replication-offset", Value::Number(node.offset as i64))),
        Some(("health", Value::Text(health))),
    ];
    reply.map(fields.iter().flatten().count());
    for (name, value) in fields.into_iter().flatten() {
        reply.bulk(name.as_bytes());
        match value {
            Value::Text(text) => reply.bulk(text.as_bytes()),
            Value::Number(number) => reply.int(number),
        }
    }
}

pub(super) const LINKS: Command = Command {
    name: "cluster|links",
    since: "7.0.0",
    tips: &["nondeterministic_output"],
    complexity: "O(N) where N is the total number of Cluster nodes",
    summary: "Tell the connections of the bus",
    run: links,
    ..ASKS
};

fn links(cx: &mut Ctx, _: &Args) -> Outcome {
    let now = cx.inst.now();
    let cluster = node(cx)?;
    let known = cluster.machine.links().into_iter();
    let links: Vec<_> = known
        .filter_map(|link| {
            let (way, id, end): (&str, NodeId, End) = match link {
                LinkInfo::To(id, peer) => ("to", id, End::Peer(peer)),
                LinkInfo::From(id, link) => ("from", id, End::Link(link)),
            };
            Some((way, id, cluster.bus.info(end)?))
        })
        .collect();
    cx.reply.array(links.len());
    for (way, id, wire) in links {
        let age_ms = (now.mono_us / 1000).saturating_sub(wire.created_ms);
        cx.reply.map(6);
        for (name, value) in [
            ("direction", way),
            ("node", id.as_str()),
            ("create-time", ""),
            ("events", if wire.writes { "rw" } else { "r" }),
        ] {
            cx.reply.bulk(name.as_bytes());
            match name {
                "create-time" => cx.reply.int(now.wall_ms() - age_ms as i64),
                _ => cx.reply.bulk(value.as_bytes()),
            }
        }
        cx.reply.bulk(b"send-buffer-allocated");
        cx.reply.int(wire.allocated as i64);
        cx.reply.bulk(b"send-buffer-used");
        cx.reply.int(wire.waiting as i64);
    }
    Ok(())
}

pub(super) const REPLICAS: Command = Command {
    name: "cluster|replicas",
    since: "5.0.0",
    arity: 3,
    flags: Flags::STALE.and(Flags::ADMIN),
    tips: &["nondeterministic_output"],
    complexity: "O(N) where N is the number of replicas.",
    summary: "List the replicas of a primary",
    run: replicas,
    ..CHANGES
};

pub(super) const SLAVES: Command = Command {
    name: "cluster|slaves",
    since: "3.0.0",
    ..REPLICAS
};

fn replicas(cx: &mut Ctx, args: &Args) -> Outcome {
    node(cx)?;
    let id = id_at(args, 2)?;
    let tells_other = access::whole(&mut *cx.inst).tells_other_port();
    let lines = with_machine(cx, |machine, moment| machine.replicas(&id, moment))?;
    let mut lines = lines.map_err(refused)?;
    tell_port(&mut lines, tells_other);
    cx.reply.array(lines.len());
    for line in &lines {
        cx.reply.bulk(text_of(line).as_bytes());
    }
    Ok(())
}

pub(super) const COUNT_FAILURE_REPORTS: Command = Command {
    name: "cluster|count-failure-reports",
    complexity: "O(N) where N is the number of failure reports",
    summary: "Count who says that a node fails",
    run: |cx, args| {
        node(cx)?;
        let id = id_at(args, 2)?;
        let count = with_machine(cx, |machine, moment| {
            machine.count_failure_reports(&id, moment)
        })?;
        let count = count.map_err(refused)?;
        cx.reply.int(count as i64);
        Ok(())
    },
    ..SLAVES
};

pub(super) const KEYSLOT: Command = Command {
    name: "cluster|keyslot",
    arity: 3,
    complexity: "O(N) where N is the number of bytes in the key",
    summary: "Tell the slot of a key",
    run: |cx, args| {
        node(cx)?;
        cx.reply.int(i64::from(key_slot(args.at(2))));
        Ok(())
    },
    ..ASKS
};

/// The table of the slot of this number.
fn slot_of(number: i64) -> Option<usize> {
    let slot = usize::try_from(number).ok();
    slot.filter(|slot| *slot < usize::from(COUNT))
}

pub(super) const COUNTKEYSINSLOT: Command = Command {
    name: "cluster|countkeysinslot",
    complexity: "O(1)",
    summary: "Count the keys of a slot that are here",
    run: |cx, args| {
        node(cx)?;
        let slot = slot_of(args.int(2)?).ok_or(Error::new("ERR Invalid slot"))?;
        cx.reply.int(cx.ks.table(slot).len() as i64);
        Ok(())
    },
    ..KEYSLOT
};

pub(super) const GETKEYSINSLOT: Command = Command {
    name: "cluster|getkeysinslot",
    arity: 4,
    tips: &["nondeterministic_output"],
    complexity: "O(N) where N is the number of requested keys",
    summary: "List keys of a slot that are here",
    run: keys_in_slot,
    ..KEYSLOT
};

fn keys_in_slot(cx: &mut Ctx, args: &Args) -> Outcome {
    node(cx)?;
    let (slot, count) = (args.int(2)?, args.int(3)?);
    let (Some(slot), Ok(count)) = (slot_of(slot), usize::try_from(count)) else {
        return Err(Error::new("ERR Invalid slot or number of keys"));
    };
    let table = cx.ks.table(slot);
    cx.reply.array(count.min(table.len()));
    for record in table.iter().take(count) {
        cx.reply.bulk(record.key());
    }
    Ok(())
}
