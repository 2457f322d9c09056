"""Channels, patterns, shard channels and keyspace events."""

import time

from harness import PATIENCE_S, Case, later


class Channels(Case):
    def subscriber(self, *channels, patterns=(), shard=()):
        """A subscription whose confirmations have been read."""
        pubsub = self.client().pubsub()
        self.addCleanup(pubsub.close)
        if channels:
            pubsub.subscribe(*channels)
        if patterns:
            pubsub.psubscribe(*patterns)
        if shard:
            pubsub.ssubscribe(*shard)
        for number, name in enumerate((*channels, *patterns, *shard)):
            confirmation = self.next(pubsub)
            self.assertEqual(confirmation["channel"], name)
        return pubsub

    def next(self, pubsub, sharded=False):
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            read = pubsub.get_sharded_message if sharded else pubsub.get_message
            if (message := read(timeout=1)) is not None:
                return message
        self.fail("no message came")

    def messages(self, pubsub, count):
        found = [self.next(pubsub) for _ in range(count)]
        return [(m["type"], m["pattern"], m["channel"], m["data"]) for m in found]

    def test_messages_reach_channels_and_patterns(self):
        one = self.subscriber("news", "other", patterns=["n?ws", "x*"])
        two = self.subscriber("news")
        self.assertEqual(self.r.publish("news", "hello"), 3)
        self.assertEqual(self.r.publish("x-ray", "see"), 1)
        self.assertEqual(self.r.publish("nobody", "x"), 0)
        wanted = [
            ("message", None, "news", "hello"),
            ("pmessage", "n?ws", "news", "hello"),
            ("pmessage", "x*", "x-ray", "see"),
        ]
        self.assertEqual(self.messages(one, 3), wanted)
        self.assertEqual(self.messages(two, 1), wanted[:1])

    def test_confirmations_count(self):
        pubsub = self.client().pubsub()
        self.addCleanup(pubsub.close)
        pubsub.subscribe("a", "b")
        pubsub.psubscribe("p*")
        self.assertEqual([self.next(pubsub)["data"] for _ in range(3)], [1, 2, 3])
        pubsub.unsubscribe("a")
        pubsub.punsubscribe()
        kinds = [(m["type"], m["channel"], m["data"]) for m in (self.next(pubsub), self.next(pubsub))]
        self.assertEqual(kinds, [("unsubscribe", "a", 2), ("punsubscribe", "p*", 1)])
        self.assertEqual(self.r.publish("a", "x"), 0)
        self.assertEqual(self.r.publish("b", "x"), 1)

    def test_information(self):
        self.subscriber("c1", "c2", patterns=["p*", "q*"])
        self.subscriber("c1", patterns=["p*"])
        self.assertEqual(set(self.r.pubsub_channels()), {"c1", "c2"})
        self.assertEqual(self.r.pubsub_channels("*2"), ["c2"])
        self.assertEqual(self.r.pubsub_numsub("c1", "c2", "none"), [("c1", 2), ("c2", 1), ("none", 0)])
        self.assertEqual(self.r.pubsub_numpat(), 2)

    def test_shard_channels(self):
        pubsub = self.subscriber(shard=["s1", "s2"])
        self.assertEqual(self.r.spublish("s1", "hello"), 1)
        self.assertEqual(self.r.publish("s1", "not for shards"), 0)
        message = self.next(pubsub)
        self.assertEqual((message["type"], message["channel"], message["data"]), ("smessage", "s1", "hello"))
        self.assertEqual(set(self.r.pubsub_shardchannels()), {"s1", "s2"})
        self.assertEqual(self.r.pubsub_shardnumsub("s1", "none"), [("s1", 1), ("none", 0)])
        pubsub.sunsubscribe("s1")
        self.assertEqual(self.next(pubsub)["type"], "sunsubscribe")
        self.assertEqual(self.r.spublish("s1", "hello"), 0)

    def test_ping_and_other_commands_while_subscribed(self):
        connection = self.subscriber("c").connection
        connection.send_command("PING", "text")
        self.assertEqual(connection.read_response(), "text" if self.protocol == 3 else ["pong", "text"])
        connection.send_command("GET", "k")
        if self.protocol == 3:
            self.assertIsNone(connection.read_response())
        else:
            with self.refused("Can't execute 'get': only"):
                connection.read_response()

    def test_messages_of_many_bytes_keep_their_order(self):
        pubsub = self.subscriber("c")
        pipe = self.r.pipeline(transaction=False)
        for number in range(500):
            pipe.publish("c", f"{number}:" + "x" * 1000)
        self.assertEqual(pipe.execute(), [1] * 500)
        found = [data.split(":")[0] for *_, data in self.messages(pubsub, 500)]
        self.assertEqual(found, [str(number) for number in range(500)])


class KeyspaceEvents(Channels):
    def events(self, cause, count):
        self.configured(notify_keyspace_events="KEA")
        pubsub = self.subscriber(patterns=["__key*@*__:*"])
        cause()
        return [
            (channel.split("__:")[0] + "__", channel.split("__:")[1], data)
            for _, _, channel, data in self.messages(pubsub, count)
        ]

    def test_events_of_each_family(self):
        def cause():
            self.r.set("k", "v", ex=100)
            self.r.lpush("l", "x")
            self.r.lpop("l")
            self.r.hset("h", "f", "v")
            self.r.rename("h", "g")

        space = [(key, event) for where, key, event in self.events(cause, 16) if where == "__keyspace@0__"]
        wanted = [
            ("k", "set"),
            ("k", "expire"),
            ("l", "lpush"),
            ("l", "lpop"),
            ("l", "del"),
            ("h", "hset"),
            ("h", "rename_from"),
            ("g", "rename_to"),
        ]
        self.assertEqual(space, wanted)

    def test_expiry_is_an_event(self):
        found = self.events(lambda: self.r.set("k", "v", px=20), 6)
        self.assertEqual(found[-2:], [("__keyspace@0__", "k", "expired"), ("__keyevent@0__", "expired", "k")])

    @later("HPEXPIRE")
    def test_expiry_of_fields_is_an_event(self):
        self.r.hset("h", mapping={"a": 1, "b": 2})
        found = self.events(lambda: self.r.hpexpire("h", 20, "a"), 4)
        self.assertEqual(
            [key for where, key, _ in found if where == "__keyevent@0__"], ["hexpire", "hexpired"]
        )

    @later("new-event")
    def test_a_new_key_is_an_event_when_asked_for(self):
        self.configured(notify_keyspace_events="Kn")
        pubsub = self.subscriber(patterns=["__key*@*__:*"])
        self.r.set("k", "v")
        self.r.set("k", "w")
        self.r.lpush("l", "x")
        wanted = [("pmessage", "__key*@*__:*", f"__keyspace@0__:{key}", "new") for key in "kl"]
        self.assertEqual(self.messages(pubsub, 2), wanted)
