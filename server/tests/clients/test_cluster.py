"""The library's client for clusters: nodes of ours beside those of the reference, and the reference alone."""

import time

import redis
from redis.backoff import ConstantBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.retry import Retry

from harness import PATIENCE_S, Case, Server, free_port
from run import REFERENCE

SLOTS = 16384
KEYS = 300


class Cluster(Case):
    """Three primaries; where ours are tested the second one is the reference."""

    @classmethod
    def setUpClass(cls):
        ours = cls.server.name == "ours"
        kinds = [cls.server.program, REFERENCE, cls.server.program]
        cls.nodes = []
        cls.addClassCleanup(lambda: [node.stop() for node in cls.nodes])
        for program in kinds:
            options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "5000"]
            if ours and program != REFERENCE:
                # What it moves to a node of 7.0 must be readable there.
                options += ["--rdb-save-version", "redis-7.0"]
            bus = free_port()
            node = Server(cls.server.name, program, [*options, "--cluster-port", str(bus)])
            node.bus = bus
            cls.nodes.append(node)
        share = SLOTS // len(cls.nodes) + 1
        for at, node in enumerate(cls.nodes):
            with redis.Redis(port=node.port, decode_responses=True) as client:
                # Equal epochs are told apart later, perhaps while a slot moves.
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", at + 1)
                first, last = at * share, min((at + 1) * share, SLOTS) - 1
                client.execute_command("CLUSTER ADDSLOTSRANGE", first, last)
                other = cls.nodes[0]
                if node is not other:
                    client.execute_command("CLUSTER MEET", "127.0.0.1", other.port, other.bus)
        deadline = time.monotonic() + PATIENCE_S
        while not all(cls.serves(node) for node in cls.nodes):
            assert time.monotonic() < deadline, "the cluster does not serve"
            time.sleep(0.05)

    @classmethod
    def serves(cls, node):
        with redis.Redis(port=node.port, decode_responses=True) as client:
            info = client.execute_command("CLUSTER INFO")
            if isinstance(info, str):
                info = dict(line.split(":") for line in info.split("\r\n") if line)
            return info["cluster_state"] == "ok" and info["cluster_known_nodes"] == str(len(cls.nodes))

    def setUp(self):
        self.c = RedisCluster(
            startup_nodes=[ClusterNode("127.0.0.1", node.port) for node in self.nodes],
            decode_responses=True,
            protocol=self.protocol,
            retry=Retry(ConstantBackoff(0.05), 20),
        )
        self.addCleanup(self.c.close)
        self.c.flushall(target_nodes=RedisCluster.PRIMARIES)

    def test_keys_are_found_on_their_nodes(self):
        for i in range(KEYS):
            self.assertTrue(self.c.set(f"key:{i}", i))
        self.assertEqual([self.c.get(f"key:{i}") for i in range(KEYS)], [str(i) for i in range(KEYS)])
        self.assertEqual(sorted(self.c.scan_iter()), sorted(f"key:{i}" for i in range(KEYS)))
        self.assertEqual(self.c.dbsize(target_nodes=RedisCluster.PRIMARIES), KEYS)
        self.assertTrue(self.c.mset_nonatomic({f"m:{i}": i for i in range(50)}))
        self.assertEqual(self.c.mget_nonatomic([f"m:{i}" for i in range(50)]), [str(i) for i in range(50)])
        self.assertEqual(self.c.delete(*[f"m:{i}" for i in range(50)]), 50)
        self.assertEqual(self.c.eval("return redis.call('get', KEYS[1])", 1, "key:7"), "7")

    def test_pipelines_and_tags(self):
        with self.c.pipeline() as pipe:
            for i in range(KEYS):
                pipe.incr(f"n:{i}").rpush("{tag}list", i)
            replies = pipe.execute()
        self.assertEqual(replies, [n for i in range(KEYS) for n in (1, i + 1)])
        self.assertEqual(self.c.llen("{tag}list"), KEYS)
        self.c.mset({"{tag}a": 1, "{tag}b": 2})
        self.assertEqual(self.c.mget("{tag}a", "{tag}b", "{tag}c"), ["1", "2", None])
        with self.refused("same key slot", redis.exceptions.RedisClusterException):
            self.c.mget("a", "b")

    def test_sharded_messages(self):
        listener = self.c.pubsub()
        self.addCleanup(listener.close)
        listener.ssubscribe("news")
        self.assertEqual(listener.get_sharded_message(timeout=PATIENCE_S)["type"], "ssubscribe")
        self.assertEqual(self.c.spublish("news", "one"), 1)
        message = listener.get_sharded_message(timeout=PATIENCE_S)
        self.assertEqual((message["type"], message["data"]), ("smessage", "one"))

    def test_a_slot_that_moves_is_followed(self):
        for i in range(40):
            self.c.set("{moves}%d" % i, i)
        slot = self.c.keyslot("{moves}")
        source = self.c.get_node_from_key("{moves}")
        target = next(node for node in self.c.get_primaries() if node.name != source.name)
        ids = {node.name: self.c.cluster_myid(node) for node in (source, target)}
        self.c.cluster_setslot(target, ids[source.name], slot, "IMPORTING")
        self.c.cluster_setslot(source, ids[target.name], slot, "MIGRATING")
        at_source = self.c.get_redis_connection(source)
        keys = at_source.execute_command("CLUSTER GETKEYSINSLOT", slot, 20)
        at_source.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        # Half of the keys is there: these are asked for, the others are not.
        self.assertEqual([self.c.get("{moves}%d" % i) for i in range(40)], [str(i) for i in range(40)])
        keys = at_source.execute_command("CLUSTER GETKEYSINSLOT", slot, 100)
        self.assertEqual(len(keys), 20)
        at_source.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        for node in (target, source):
            self.c.get_redis_connection(node).execute_command(
                "CLUSTER SETSLOT", slot, "NODE", ids[target.name]
            )
        self.assertEqual([self.c.incr("{moves}%d" % i) for i in range(40)], list(range(1, 41)))
        self.assertEqual(self.c.get_node_from_key("{moves}").name, target.name)
