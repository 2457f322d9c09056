//! Cluster.

use crate::config::choice::EndpointType;
use crate::config::directive::{Directive, Key, choice, flag, int, ruled, size, text};
use crate::config::rules::TextRule;
use crate::config::value::Text;
#[cfg(test)]
use crate::config::value::{Setting, Value};

const INT_MAX: i64 = i32::MAX as i64;

directives! {
    after super::replication::END;

    /// Be a node of a cluster.
    CLUSTER_ENABLED: bool = flag("cluster-enabled", "no").immutable();
    /// File that the node remembers the cluster in.
    CLUSTER_CONFIG_FILE: Text = text("cluster-config-file", "nodes.conf").immutable();
    /// Port of the cluster bus; 0 is `port` + 10000.
    CLUSTER_PORT: i64 = int("cluster-port", "0", 0, 65535).immutable();
    /// Milliseconds after which a node is taken for failed.
    CLUSTER_NODE_TIMEOUT: i64 = int("cluster-node-timeout", "15000", 0, i64::MAX);
    /// How long a replica may have been away to be promoted.
    CLUSTER_REPLICA_VALIDITY_FACTOR: i64 = int("cluster-replica-validity-factor", "10", 0, INT_MAX).alias("cluster-slave-validity-factor");
    /// Replicas that a primary keeps when one moves.
    CLUSTER_MIGRATION_BARRIER: i64 = int("cluster-migration-barrier", "1", 0, INT_MAX);
    /// Replicas move to primaries without one.
    CLUSTER_ALLOW_REPLICA_MIGRATION: bool = flag("cluster-allow-replica-migration", "yes");
    /// Replicas do not promote themselves.
    CLUSTER_REPLICA_NO_FAILOVER: bool = flag("cluster-replica-no-failover", "no").alias("cluster-slave-no-failover");
    /// Stop serving when a slot has no node.
    CLUSTER_REQUIRE_FULL_COVERAGE: bool = flag("cluster-require-full-coverage", "yes");
    /// Serve reads while the cluster is down.
    CLUSTER_ALLOW_READS_WHEN_DOWN: bool = flag("cluster-allow-reads-when-down", "no");
    /// Serve sharded channels while the cluster is down.
    CLUSTER_ALLOW_PUBSUBSHARD_WHEN_DOWN: bool = flag("cluster-allow-pubsubshard-when-down", "yes");
    /// Bytes that may wait on a link of the bus; 0 is no limit.
    CLUSTER_LINK_SENDBUF_LIMIT: u64 = size("cluster-link-sendbuf-limit", "0", 0, -1);
    /// What clients are told to connect to.
    CLUSTER_PREFERRED_ENDPOINT_TYPE: EndpointType = choice("cluster-preferred-endpoint-type", "ip", EndpointType::WORDS);
    /// Count time and bytes of calls by slot.
    CLUSTER_SLOT_STATS_ENABLED: bool = flag("cluster-slot-stats-enabled", "no");
    /// Address that other nodes are told.
    CLUSTER_ANNOUNCE_IP: Text = text("cluster-announce-ip", "");
    /// Host name that clients are told.
    CLUSTER_ANNOUNCE_HOSTNAME: Text = ruled("cluster-announce-hostname", "", TextRule::Hostname);
    /// Name of the node for people.
    CLUSTER_ANNOUNCE_HUMAN_NODENAME: Text = ruled("cluster-announce-human-nodename", "", TextRule::NodeName);
    /// Port that other nodes are told.
    CLUSTER_ANNOUNCE_PORT: i64 = int("cluster-announce-port", "0", 0, 65535);
    /// TLS port that other nodes are told.
    CLUSTER_ANNOUNCE_TLS_PORT: i64 = int("cluster-announce-tls-port", "0", 0, 65535);
    /// Bus port that other nodes are told.
    CLUSTER_ANNOUNCE_BUS_PORT: i64 = int("cluster-announce-bus-port", "0", 0, 65535);
}
