"""Strings."""

import time

from harness import Case, later


class Strings(Case):
    def test_set_and_get_hold_any_bytes(self):
        raw = self.client(decode_responses=False)
        every_byte = bytes(range(256)) + b"\r\n$-1\r\n"
        self.assertTrue(raw.set(b"k\x00\xff", every_byte))
        self.assertEqual(raw.get(b"k\x00\xff"), every_byte)
        self.assertIsNone(raw.get("missing"))
        self.assertTrue(raw.set("empty", b""))
        self.assertEqual(raw.get("empty"), b"")
        self.assertEqual(raw.strlen(b"k\x00\xff"), 256 + 7)

    def test_conditions_of_set(self):
        self.assertTrue(self.r.set("k", "1", nx=True))
        self.assertIsNone(self.r.set("k", "2", nx=True))
        self.assertIsNone(self.r.set("other", "2", xx=True))
        self.assertTrue(self.r.set("k", "3", xx=True))
        self.assertEqual(self.r.set("k", "4", get=True), "3")
        self.assertIsNone(self.r.set("fresh", "4", get=True))
        self.assertEqual(self.r.set("k", "5", nx=True, get=True), "4")
        self.assertEqual(self.r.mget("k", "other", "fresh"), ["4", None, "4"])

    def test_expiries_of_set(self):
        now_s = int(time.time())
        self.r.set("ex", "v", ex=100)
        self.assertIn(self.r.ttl("ex"), (99, 100))
        self.r.set("px", "v", px=100_500)
        self.assertIn(self.r.pttl("px"), range(95_000, 100_501))
        self.r.set("exat", "v", exat=now_s + 1000)
        self.assertEqual(self.r.expiretime("exat"), now_s + 1000)
        self.r.set("pxat", "v", pxat=(now_s + 1000) * 1000 + 7)
        self.assertEqual(self.r.pexpiretime("pxat"), (now_s + 1000) * 1000 + 7)
        self.r.set("exat", "w", keepttl=True)
        self.assertEqual(self.r.expiretime("exat"), now_s + 1000)
        self.r.set("exat", "x")
        self.assertEqual(self.r.ttl("exat"), -1)
        with self.refused("invalid expire time in 'set' command"):
            self.r.set("k", "v", ex=0)

    def test_older_forms_of_set(self):
        self.assertTrue(self.r.setex("k", 100, "v"))
        self.assertIn(self.r.ttl("k"), (99, 100))
        self.assertTrue(self.r.psetex("p", 100_000, "w"))
        self.assertIn(self.r.ttl("p"), (99, 100))
        self.assertFalse(self.r.setnx("k", "other"))
        self.assertTrue(self.r.setnx("n", "new"))
        self.assertEqual(self.r.getset("n", "newer"), "new")
        self.assertEqual(self.r.mget(["k", "p", "n"]), ["v", "w", "newer"])
        with self.refused("invalid expire time in 'psetex' command"):
            self.r.psetex("p", -1, "w")

    def test_get_that_changes(self):
        self.r.set("k", "v")
        self.assertEqual(self.r.getex("k", ex=50), "v")
        self.assertIn(self.r.ttl("k"), (49, 50))
        self.assertEqual(self.r.getex("k", persist=True), "v")
        self.assertEqual(self.r.ttl("k"), -1)
        self.assertEqual(self.r.getex("k", pxat=4_102_444_800_123), "v")
        self.assertEqual(self.r.pexpiretime("k"), 4_102_444_800_123)
        self.assertEqual(self.r.getdel("k"), "v")
        self.assertEqual(self.r.exists("k"), 0)
        self.assertIsNone(self.r.getdel("k"))

    def test_many_at_once(self):
        self.assertTrue(self.r.mset({f"k{i}": i for i in range(100)}))
        self.assertEqual(self.r.mget([f"k{i}" for i in range(100)]), [str(i) for i in range(100)])
        self.assertFalse(self.r.msetnx({"k0": "x", "fresh": "y"}))
        self.assertEqual(self.r.exists("fresh"), 0)
        self.assertTrue(self.r.msetnx({"a": "x", "b": "y"}))
        self.assertEqual(self.r.mget("a", "b"), ["x", "y"])
        self.r.rpush("list", "x")
        self.assertEqual(self.r.mget("a", "list"), ["x", None])

    def test_numbers(self):
        self.assertEqual(self.r.incr("n"), 1)
        self.assertEqual(self.r.incr("n", 41), 42)
        self.assertEqual(self.r.incrby("n", 8), 50)
        self.assertEqual(self.r.decr("n"), 49)
        self.assertEqual(self.r.decr("n", 9), 40)
        self.assertEqual(self.r.decrby("n", 50), -10)
        self.assertEqual(self.r.execute_command("INCR", "n"), -9)
        self.assertEqual(self.r.execute_command("DECR", "n"), -10)
        self.assertEqual(self.r.incrbyfloat("n", 0.5), -9.5)
        self.assertEqual(self.r.get("n"), "-9.5")
        self.assertEqual(self.r.incrbyfloat("n", "3.0e3"), 2990.5)
        with self.refused("value is not an integer or out of range"):
            self.r.incr("n")
        self.r.set("max", 2**63 - 1)
        with self.refused("increment or decrement would overflow"):
            self.r.incr("max")
        self.assertEqual(self.r.get("max"), "9223372036854775807")

    def test_parts(self):
        self.assertEqual(self.r.append("k", "Hello"), 5)
        self.assertEqual(self.r.append("k", " World"), 11)
        self.assertEqual(self.r.getrange("k", 0, 4), "Hello")
        self.assertEqual(self.r.getrange("k", -5, -1), "World")
        self.assertEqual(self.r.substr("k", 6), "World")
        self.assertEqual(self.r.getrange("k", 20, 30), "")
        self.assertEqual(self.r.setrange("k", 6, "Cairn"), 11)
        self.assertEqual(self.r.get("k"), "Hello Cairn")
        self.assertEqual(self.r.setrange("padded", 3, "x"), 4)
        self.assertEqual(self.r.get("padded"), "\0\0\0x")
        with self.refused("string exceeds maximum allowed size"):
            self.r.setrange("k", 2**29, "x")

    def test_longest_common_subsequence(self):
        self.r.mset({"a": "ohmytext", "b": "mynewtext"})
        self.assertEqual(self.r.lcs("a", "b"), "mytext")
        self.assertEqual(self.r.lcs("a", "b", len=True), 6)
        found = self.r.lcs("a", "b", idx=True, minmatchlen=4, withmatchlen=True)
        self.assertEqual(found, {"matches": [[[4, 7], [5, 8], 4]], "len": 6})
        found = self.r.lcs("a", "b", idx=True)
        self.assertEqual(found, {"matches": [[[4, 7], [5, 8]], [[2, 3], [0, 1]]], "len": 6})

    def test_encodings(self):
        self.r.set("int", 12345)
        self.r.set("embstr", "x" * 44)
        self.r.set("raw", "x" * 45)
        found = [self.r.object("ENCODING", key) for key in ("int", "embstr", "raw")]
        self.assertEqual(found, ["int", "embstr", "raw"])

    def test_other_types_are_refused(self):
        self.r.rpush("list", "x")
        for call in (
            lambda: self.r.get("list"),
            lambda: self.r.append("list", "x"),
            lambda: self.r.incr("list"),
            lambda: self.r.set("list", "v", get=True),
        ):
            with self.refused("WRONGTYPE Operation against a key holding the wrong kind of value"):
                call()
        self.assertEqual(self.r.lrange("list", 0, -1), ["x"])


class LargeValues(Case):
    def test_a_value_of_sixteen_megabytes_comes_back_as_it_was(self):
        raw = self.client(decode_responses=False)
        block = bytes(range(251)) * 4
        value = (block * (16 * 1024 * 1024 // len(block) + 1))[: 16 * 1024 * 1024]
        self.assertTrue(raw.set("big", value))
        self.assertEqual(raw.strlen("big"), len(value))
        self.assertEqual(raw.getrange("big", 1_000_000, 1_000_009), value[1_000_000:1_000_010])
        self.assertEqual(raw.get("big"), value)
        self.assertEqual(raw.append("big", b"end"), len(value) + 3)

    def test_many_large_values_in_one_pipeline(self):
        raw = self.client(decode_responses=False)
        values = {f"k{i}": bytes([i]) * 300_000 for i in range(40)}
        pipe = raw.pipeline(transaction=False)
        for key, value in values.items():
            pipe.set(key, value)
        pipe.mget(list(values))
        replies = pipe.execute()
        self.assertEqual(replies[:-1], [True] * 40)
        self.assertEqual(replies[-1], list(values.values()))

    def test_large_elements_of_collections(self):
        large = "e" * 200_000
        self.r.rpush("list", "small", large, "small")
        self.r.hset("hash", mapping={large: large})
        self.r.sadd("set", large, "1")
        self.r.zadd("zset", {large: 1.5})
        self.assertEqual(self.r.lrange("list", 0, -1), ["small", large, "small"])
        self.assertEqual(self.r.hgetall("hash"), {large: large})
        self.assertEqual(self.r.smembers("set"), {large, "1"})
        self.assertEqual(self.r.zrange("zset", 0, -1, withscores=True), [[large, 1.5]])
        self.assertEqual(self.r.lindex("list", 1), large)

    @later("DELEX", "DIGEST")
    def test_values_are_compared(self):
        self.r.set("k", "v")
        self.assertIsNone(self.r.set("k", "w", ifeq="x"))
        self.assertTrue(self.r.set("k", "w", ifeq="v"))
        digest = self.r.digest("k")
        self.assertEqual(len(digest), 16)
        self.assertIsNone(self.r.set("k", "x", ifdne=digest))
        self.assertTrue(self.r.set("k", "x", ifdeq=digest))
        self.assertIsNone(self.r.digest("none"))
        self.assertEqual(self.r.delex("k", ifeq="w"), 0)
        self.assertEqual(self.r.delex("k", ifdeq=digest), 0)
        self.assertEqual(self.r.delex("k", ifne="w"), 1)
        self.assertEqual(self.r.exists("k"), 0)

    @later("MSETEX")
    def test_msetex(self):
        self.assertEqual(self.r.msetex({"a": "1", "b": "2"}, ex=100), 1)
        self.assertTrue(0 < self.r.ttl("a") <= 100)
        self.assertEqual(self.r.msetex({"a": "3"}, keepttl=True), 1)
        self.assertTrue(0 < self.r.ttl("a") <= 100)
        self.assertEqual(self.r.mget("a", "b"), ["3", "2"])

    @later("INCREX")
    def test_increx(self):
        numbers = lambda answer: [float(number) for number in answer]
        self.assertEqual(numbers(self.r.increx("n")), [1, 1])
        self.assertEqual(numbers(self.r.increx("n", byint=5, ubound=3, saturate=True, ex=100)), [3, 2])
        self.assertEqual(numbers(self.r.increx("n", byint=5, ubound=3)), [3, 0])
        self.assertTrue(0 < self.r.ttl("n") <= 100)
        self.assertEqual(numbers(self.r.increx("f", byfloat=0.5)), [0.5, 0.5])
